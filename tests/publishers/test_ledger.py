"""The ledger of what was replayed into a store completely."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest
from made import START_NS, labelled, numbered

from motionsig.errors import SinkError
from motionsig.publishers import open_sink, read_signatures
from motionsig.publishers.store import StoreSink
from motionsig.wire import Recording


def opened(path: Path, device: str = "d") -> StoreSink:
    sink = open_sink(f"store:{path}", device=device, stream_id=1)
    assert isinstance(sink, StoreSink)
    return sink


def put(sink: StoreSink, stream_id: int, count: int, label: str = "", name: str = "walk.csv") -> None:
    """Publish signatures 0 to `count` of a recording, all with one label."""
    sink.begin(stream_id, 0, Recording(name, START_NS))
    sink.publish(labelled(numbered(count), label))


def test_what_was_noted_is_there_by_path_and_how(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as sink:
        assert sink.replayed("motion64, hop 64") == {}
        put(sink, 1, 5)
        sink.note_replayed("A/walk.csv", "motion64, hop 64", "10 B", 1, 5)
        sink.note_replayed("B/walk.csv", "motion64, hop 64", "20 B", 2, 0)
        put(sink, 3, 9)
        sink.note_replayed("A/walk.csv", "motion64, hop 32", "10 B", 3, 9)
    with opened(tmp_path / "s", "another") as sink:
        assert sink.replayed("motion64, hop 64") == {"A/walk.csv": ("10 B", 5), "B/walk.csv": ("20 B", 0)}
        assert sink.replayed("motion64, hop 32") == {"A/walk.csv": ("10 B", 9)}
        put(sink, 4, 6)
        sink.note_replayed("A/walk.csv", "motion64, hop 64", "11 B", 4, 6)
        assert sink.replayed("motion64, hop 64") == {"A/walk.csv": ("11 B", 6), "B/walk.csv": ("20 B", 0)}
        assert sink.replayed("motion64") == {}
    with pytest.raises(SinkError, match="closed"):
        sink.replayed("motion64")
    with pytest.raises(SinkError, match="closed"):
        sink.note_replayed("A/walk.csv", "motion64", "11 B", 4, 6)


def test_a_replay_into_the_same_stream_in_another_way_takes_the_place_of_the_first(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as sink:
        put(sink, 1, 5)
        for path, how in (("A/walk.csv", "CPU"), ("copy/walk.csv", "CPU"), ("A/walk.csv", "Edge TPU")):
            sink.note_replayed(path, how, "10 B", 1, 5)
        assert set(sink.replayed("CPU")) == {"copy/walk.csv"}
        assert set(sink.replayed("Edge TPU")) == {"A/walk.csv"}


@pytest.mark.parametrize(("before", "after"), [("", "A"), ("A", ""), ("A", "B")])
def test_another_label_in_a_stream_ends_what_was_noted_of_it(tmp_path: Path, before: str, after: str) -> None:
    with opened(tmp_path / "s") as sink:
        for stream_id in (1, 2):
            put(sink, stream_id, 5, before)
            sink.note_replayed(f"{stream_id}", "how", "10 B", stream_id, 5)
        # The same labels, under another name: two copies of a log are both there.
        put(sink, 1, 5, before, "copy.csv")
        sink.note_replayed("copy", "how", "10 B", 1, 5)
        assert set(sink.replayed("how")) == {"1", "2", "copy"}
        # A replay that ends before it is noted.
        put(sink, 1, 2, after)
        assert set(sink.replayed("how")) == {"2"}


def test_what_a_log_was_before_stays_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path / "s") as sink:
        put(sink, 1, 5)
        sink.note_replayed("walk.csv", "how", "10 B", 1, 5)
        sink.note_replayed("walk.csv", "how", "12 B", 1, 5)
        assert not caplog.records
        put(sink, 2, 6)
        sink.note_replayed("walk.csv", "how", "11 B", 2, 6)
        assert (
            "walk.csv has changed; what it was stays in the store: device d, stream 1, beside stream 2" in caplog.text
        )
        assert sink.replayed("how") == {"walk.csv": ("11 B", 6)}
    assert len(read_signatures(f"store:{tmp_path / 's'}")) == 11


def test_signatures_deleted_during_a_replay_are_missed_when_it_is_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path / "s") as sink:
        # More are stored than the log has: a live sensor went on.
        put(sink, 1, 9)
        with closing(sqlite3.connect(tmp_path / "s")) as other, other:
            other.execute("DELETE FROM signatures WHERE seq = 1")
        sink.note_replayed("walk.csv", "how", "10 B", 1, 5)
        assert sink.replayed("how") == {}
        assert "expected 5 signatures of walk.csv, got fewer" in caplog.text
        put(sink, 1, 5)
        sink.note_replayed("walk.csv", "how", "10 B", 1, 5)
        assert sink.replayed("how") == {"walk.csv": ("10 B", 5)}


@pytest.mark.parametrize(
    ("deleted", "left"),
    [("device = 'd' AND epoch = 2 AND seq = 1", {"1"}), ("device = 'e'", {"1", "2"}), ("1", set())],
)
def test_signatures_deleted_by_hand_leave_no_entry_that_lies(tmp_path: Path, deleted: str, left: set[str]) -> None:
    for device in ("d", "e"):
        with opened(tmp_path / "s", device) as sink:
            for stream_id in (1, 2):
                sink.begin(stream_id, 0)
                sink.publish(numbered(3))
                if device == "d":
                    sink.note_replayed(f"{stream_id}", "how", "stamp", stream_id, 3)
    with sqlite3.connect(tmp_path / "s") as connection:
        connection.execute(f"DELETE FROM signatures WHERE {deleted}")
    connection.close()
    with opened(tmp_path / "s") as sink:
        assert set(sink.replayed("how")) == left


def test_kill_9_never_leaves_an_entry_without_its_signatures(tmp_path: Path) -> None:
    program = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from made import numbered
        from motionsig.publishers import open_sink
        sink = open_sink("store:{tmp_path / "s"}", device="d", stream_id=1)
        for stream_id in range(10**9):
            sink.begin(stream_id, 0)
            sink.publish(numbered(2))
            sink.note_replayed(str(stream_id), "how", "stamp", stream_id, 2)
            print(stream_id, flush=True)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(20)]
        child.kill()
        lines += child.stdout.read().splitlines()
    with opened(tmp_path / "s") as sink:
        noted = set(sink.replayed("how"))
    said = [line for line in lines if line.strip()]
    assert {line.strip() for line in said} <= noted
    connection = sqlite3.connect(tmp_path / "s")
    stored = connection.execute("SELECT epoch FROM signatures GROUP BY epoch HAVING count(*) = 2").fetchall()
    connection.close()
    assert noted <= {str(stream_id) for (stream_id,) in stored}


def test_a_hundred_thousand_logs_are_one_quick_query(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as sink:
        sink.note_replayed("x", "how", "stamp", 1, 0)
        connection = sink._store._connection
        assert connection is not None
        connection.execute("BEGIN")
        logs = ((f"/somewhere/{number:06d}.csv", f"{number}", number) for number in range(100_000))
        connection.executemany("INSERT INTO replayed SELECT id, ?, ?, 'd', ?, 5 FROM texts", logs)
        connection.execute("COMMIT")
        before_s = time.process_time()
        found = sink.replayed("how")
        # 0.14 s of one core, measured.
        assert time.process_time() - before_s < 3
        assert len(found) == 100_001
        # What the trigger does for each row that is deleted looks for its own stream only.
        plans = [
            connection.execute(f"EXPLAIN QUERY PLAN DELETE FROM {table} WHERE device = 'd' AND epoch = 1").fetchall()
            for table in ("replayed", "labels")
        ]
        assert all("SEARCH" in row[3] for plan in plans for row in plan)
