"""A dataset whose writer is killed at each of its steps, as motionsig and as others see it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
from made import event, labelled, numbered

from motionsig.publishers import iter_signatures, read_events
from motionsig.publishers.parquet.layout import DAY_NS
from motionsig.publishers.parquet.store import ParquetStore
from motionsig.publishers.stores import Added
from motionsig.wire import Message

# Each child is a copy of this process, killed before its k-th step. A step is what Python announces of files, locks and
# databases.
# Every 17th step, as there are two hundred; EVERY=1 tries all of them.
KILLER = """
import itertools, os, shutil, signal, sys
sys.path[:0] = sys.argv[2:]
import pyarrow.parquet, sqlite3
from made import event
from test_parquet_kills import before, during
os.fsync = lambda fd: None  # which matters only when the power goes
folder = sys.argv[1]
before(f"{folder}/before")
steps = {"open", "os.rename", "os.remove", "os.mkdir", "os.link", "fcntl.flock", "sqlite3.connect", "shutil.rmtree"}
for k in itertools.count(1, int(os.environ.get("EVERY", "17"))):
    shutil.copytree(f"{folder}/before", f"{folder}/{k}")
    out = os.open(f"{folder}/{k}.acknowledged", os.O_WRONLY | os.O_CREAT)
    if not (child := os.fork()):
        left = k
        def at(name, arguments):
            global left
            if name in steps:
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(at)
        during(f"{folder}/{k}", lambda: os.write(out, b"."))
        os._exit(0)
    os.close(out)
    if not os.waitpid(child, 0)[1]:
        break
"""


def message(first: int, count: int, *labels: str) -> Message:
    """Return signatures of two days, taking turns by six."""
    batch = numbered(count, first)
    days = np.arange(first, first + count) // 6 % 2
    batch = dataclasses.replace(batch, start_ns=batch.start_ns + days * DAY_NS)
    return Message("d", 1, first, labelled(batch, *labels) if labels else batch)


def before(path: str) -> None:
    """Make seven small files for each day, so that the next roll merges them."""
    for number in range(7):
        with ParquetStore(path) as store:
            store.add_all([message(12 * number, 12)], [event(number)])


def during(path: str, acknowledge: object) -> None:
    """Add signatures, late ones, those that come again and those with other labels; roll, merge, and close."""
    store = ParquetStore(path, roll_rows=20)
    for number in range(4):
        store.add_all([message(84 + 12 * number, 12), message(30 + number, 3, "again")], [event(7 + number)])
        acknowledge()  # type: ignore[operator]
    store.close()


def test_killed_at_any_step_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-W", "ignore", "-c", KILLER, str(tmp_path), *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    killed = sorted(tmp_path.glob("*.acknowledged"), key=lambda path: int(path.stem))
    assert len(killed) > 9
    assert killed[-1].read_text() == "...."
    for step in killed:
        path, acknowledged = step.with_suffix(""), len(step.read_text())
        least, url = 84 + 12 * acknowledged, f"parquet:{step.with_suffix('')}"
        seen = pl.scan_parquet(path / "signatures/*/*.parquet").select("seq").collect()["seq"]
        assert seen.is_unique().all(), step
        for _ in range(2):
            seq = np.concatenate([part.seq for part in iter_signatures(url)])
            assert len(seq) >= least, step
            np.testing.assert_array_equal(seq, np.arange(len(seq)))
            assert len(read_events(url)) == len(seq) // 12, step
            # The next writer mends what was left, and then others see all of it.
            with ParquetStore(path) as store:
                assert store.add_all([message(0, 84)], [event(0)]) == Added(duplicates=85)
        seen = pl.scan_parquet(path / "signatures/*/*.parquet").select("seq").collect()["seq"]
        assert sorted(seen.to_list()) == list(range(len(seq)))
        assert not list((path / "_motionsig").glob("new-*"))
        labelled_again = [
            part.seq[part.signatures.labels == "again"].tolist()
            for part in iter_signatures(url)
            if part.signatures.labels is not None
        ]
        assert set(range(30, 32 + acknowledged) if acknowledged else ()) <= {
            seq for part in labelled_again for seq in part
        }
