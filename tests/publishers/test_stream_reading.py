"""Which blocks of a stream a reader looks at, and that it needs no more memory for more of them."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from made import HOP_NS, START_NS, assert_same, numbered
from stored import put

from motionsig.blocks import concatenate
from motionsig.publishers import iter_signatures, read_signatures, stream_reading
from motionsig.publishers.local import Wanted
from motionsig.publishers.snapshot import snapshot
from motionsig.wire import Message

MOST = (1 << 63) - 1


def runs_of(path: Path, since: int | None, until: int | None) -> list[tuple[int, int, dict[int, int]]]:
    """Return the runs of stream 1 of "d" for signatures `since` to `until`."""
    since_ns, until_ns = (None if number is None else START_NS + number * HOP_NS for number in (since, until))
    with snapshot(str(path)) as store:
        return list(stream_reading.runs(store, ("d", 1), Wanted("d", None, 1, None, since_ns, until_ns)))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signatures 0 to 1,023, and 5,000 to 5,099."""
    path = tmp_path_factory.mktemp("runs") / "s"
    put(path, Message("d", 1, 0, numbered(1024)), Message("d", 1, 5000, numbered(100, 5000)))
    return path


def test_a_time_is_looked_for_in_its_blocks_alone(path: Path) -> None:
    # 5,000 is in block 19; what has no span, between the two runs and behind the last, may be of version 1.
    far = {19: 100}
    assert runs_of(path, None, None) == [(0, MOST, {0: 256, 1: 256, 2: 256, 3: 256} | far)]
    assert runs_of(path, 300, 310) == [(256, 511, {1: 256}), (1024, 4863, {}), (5120, MOST, {})]
    assert runs_of(path, 511, 513) == [(256, 767, {1: 256, 2: 256}), (1024, 4863, {}), (5120, MOST, {})]
    assert runs_of(path, 5050, None) == [(1024, MOST, far)]
    assert runs_of(path, None, 1) == [(0, 255, {0: 256}), (1024, 4863, {}), (5120, MOST, {})]
    assert runs_of(path, 2000, 2001) == [(1024, 4863, {}), (5120, MOST, {})]


def test_what_is_read_of_a_time_is_that_of_a_scan(path: Path) -> None:
    everything = concatenate([numbered(1024), numbered(100, 5000)])
    for since, until in ((0, 1), (255, 257), (300, 900), (900, 5010), (5099, 5100), (1000, 6000)):
        since_ns, until_ns = START_NS + since * HOP_NS, START_NS + until * HOP_NS
        expected = everything[(everything.start_ns >= since_ns) & (everything.start_ns < until_ns)]
        assert_same(read_signatures(f"store:{path}", since_ns=since_ns, until_ns=until_ns), expected)


def test_times_that_do_not_rise_with_the_number_are_found(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(1500)
    shuffled = dataclasses.replace(numbered(1500), start_ns=START_NS + order * HOP_NS)
    put(tmp_path / "s", *(Message("d", 1, first, shuffled[first : first + 100]) for first in range(1400, -100, -100)))
    since_ns, until_ns = START_NS + 700 * HOP_NS, START_NS + 750 * HOP_NS
    read = read_signatures(f"store:{tmp_path / 's'}", since_ns=since_ns, until_ns=until_ns)
    assert_same(read, shuffled[(order >= 700) & (order < 750)])


def test_an_hour_reads_few_rows_and_one_device_those_of_no_other(tmp_path: Path) -> None:
    put(tmp_path / "s", *(Message(f"d{number}", 1, 0, numbered(2000)) for number in range(4)))
    steps, connect = {}, sqlite3.connect
    for name, wanted in {
        "hour": {"since_ns": START_NS + 1000 * HOP_NS, "until_ns": START_NS + 1010 * HOP_NS},
        "device": {"device": "d2"},
        "none": {},
    }.items():
        counted = [0]

        def step(counted: list[int] = counted) -> int:
            counted[0] += 1
            return 0

        with pytest.MonkeyPatch.context() as patch:

            def counting(*given: object, step: object = step, **options: object) -> sqlite3.Connection:
                connection: sqlite3.Connection = connect(*given, **options)  # type: ignore[call-overload]
                connection.set_progress_handler(step, 100)  # type: ignore[arg-type]
                return connection

            patch.setattr(sqlite3, "connect", counting)
            list(iter_signatures(f"store:{tmp_path / 's'}", **wanted))  # type: ignore[arg-type]
        steps[name] = counted[0]
    assert steps["hour"] < steps["none"] / 4
    assert steps["device"] < steps["none"] / 3


def test_runs_are_cut_so_that_memory_does_not_grow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_reading, "_MOST_BLOCKS", 2)
    assert runs_of(path, None, None) == [
        (0, 511, {0: 256, 1: 256}),
        (512, 4863, {2: 256, 3: 256}),
        (4864, MOST, {19: 100}),
    ]
    assert_same(read_signatures(f"store:{path}"), concatenate([numbered(1024), numbered(100, 5000)]))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM spans").fetchone() == (5,)
