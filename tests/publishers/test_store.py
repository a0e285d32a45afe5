from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest
from made import HOP_NS, SPEC, assert_same, event, labelled, numbered

from motionsig.errors import InputError, SinkError
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures
from motionsig.publishers.store import Store
from motionsig.publishers.stores import Added
from motionsig.wire import Message, Recording

OTHER = dataclasses.replace(SPEC, fingerprint=b"another!")


def put(path: Path, *messages: Message) -> list[Added]:
    store = Store(path)
    try:
        return [store.add(message) for message in messages]
    finally:
        store.close()


def test_vectors_of_different_encoders_are_never_mixed(tmp_path: Path) -> None:
    url = f"store:{tmp_path / 's'}"
    put(tmp_path / "s", Message("d", 1, 0, numbered(3)), Message("e", 1, 0, numbered(4, spec=OTHER)))
    with pytest.raises(InputError, match=f"{SPEC.fingerprint.hex()}, {OTHER.fingerprint.hex()}"):
        read_signatures(url)
    assert_same(read_signatures(url, fingerprint=OTHER.fingerprint), numbered(4, spec=OTHER))
    assert_same(read_signatures(url, device="d"), numbered(3))
    with pytest.raises(InputError, match=f"of encoder {bytes(8).hex()}, got .*{SPEC.fingerprint.hex()}"):
        read_signatures(url, fingerprint=bytes(8))
    with pytest.raises(InputError, match="of device 'nobody', got none"):
        read_signatures(url, device="nobody")


def test_an_encoder_that_says_something_else_of_itself_is_a_conflict(tmp_path: Path) -> None:
    liar = dataclasses.replace(SPEC, motion_dim=10)
    added = put(tmp_path / "s", Message("d", 1, 0, numbered(3)), Message("d", 1, 3, numbered(3, 3, spec=liar)))
    assert added == [Added(3), Added(conflicts=3)]


def test_files_that_are_not_ours_stay_as_they_are(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("these are notes, not a database, and long enough to have a header" * 20)
    foreign = tmp_path / "foreign"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    newer = tmp_path / "newer"
    put(newer)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    for path, message in ((text, "not a database"), (foreign, "of something else"), (newer, "got version 2")):
        before = path.read_bytes()
        with pytest.raises(SinkError, match=message):
            Store(path)
        with pytest.raises(SinkError, match=message):
            read_signatures(f"store:{path}")
        assert path.read_bytes() == before
    with pytest.raises(SinkError, match="no such file"):
        read_signatures(f"store:{tmp_path / 'none'}")
    with pytest.raises(SinkError, match="cannot be opened"):
        Store(tmp_path / "no" / "folder")


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    with pytest.raises(SinkError, match="empty database"):
        read_signatures(f"store:{tmp_path / 's'}")
    assert put(tmp_path / "s", Message("d", 1, 0, numbered(1))) == [Added(1)]


def test_a_locked_store_is_an_error_after_the_time_allowed(tmp_path: Path) -> None:
    url = f"store:{tmp_path / 's'}"
    sink = open_sink(url, device="d", stream_id=1, busy_timeout_s=0.05)
    sink.publish(numbered(2))
    other = sqlite3.connect(tmp_path / "s", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkError, match="3 signatures could not be stored: database is locked"):
        sink.publish(numbered(3, 2))
    with pytest.raises(SinkError, match="1 events could not be stored: database is locked"):
        sink.publish_events([event(1)])
    sink.publish_events([])
    assert_same(read_signatures(url), numbered(2))
    other.execute("ROLLBACK")
    other.close()
    sink.publish(numbered(3, 2))
    sink.close()
    assert_same(read_signatures(url), numbered(5))


def test_durable_is_full_synchronous(tmp_path: Path) -> None:
    for durable, level in ((False, 1), (True, 2)):
        store = Store(tmp_path / "s", durable=durable)
        assert store._connection is not None
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        store.close()


def test_the_options_of_a_sink_reach_the_database(tmp_path: Path) -> None:
    for query, wanted in (("", (1, 10_000)), ("?durable=true&busy_timeout_s=0.05", (2, 50))):
        with open_sink(f"store:{tmp_path / 's'}{query}", device="d", stream_id=1) as sink:
            connection = sink._store._connection  # type: ignore[attr-defined]
            found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "busy_timeout")]
            assert tuple(found) == wanted


def test_a_message_that_fails_halfway_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither its first signatures, nor its encoder, its name and labels, nor a lock."""
    store = Store(tmp_path / "s")
    message = Message("d", 1, 0, labelled(numbered(5), "walk"), Recording("walk.csv", 0))
    other = sqlite3.connect(tmp_path / "s", timeout=0)
    other.execute("CREATE TRIGGER t BEFORE INSERT ON signatures WHEN new.seq = 3 BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(SinkError, match="5 signatures could not be stored: no"):
        store.add(message)
    for table in ("signatures", "encoders", "recordings", "texts", "labels"):
        assert other.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    other.execute("DROP TRIGGER t")
    other.close()
    assert store.add(message) == Added(5, 0, 0)
    store.close()
    assert_same(read_signatures(f"store:{tmp_path / 's'}"), labelled(numbered(5), "walk"))


_OF_VERSION_0_1 = """
CREATE TABLE encoders (id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, quantization TEXT NOT NULL,
    motion_dim INTEGER NOT NULL, length_ns INTEGER NOT NULL, hop_ns INTEGER NOT NULL, UNIQUE (fingerprint, hop_ns));
CREATE TABLE signatures (device TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    encoder INTEGER NOT NULL REFERENCES encoders (id), start_ns INTEGER NOT NULL, quality INTEGER NOT NULL,
    codes BLOB NOT NULL, PRIMARY KEY (device, epoch, seq)) WITHOUT ROWID;
PRAGMA application_id = 1834183015;
PRAGMA user_version = 1;
"""


def test_a_store_of_version_0_1_is_read_as_it_is_and_completed_when_written(tmp_path: Path) -> None:
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    put(tmp_path / "new", Message("d", 1, 0, numbered(5)))
    with sqlite3.connect(path) as old:
        old.executescript(_OF_VERSION_0_1)
        old.execute("ATTACH ? AS new", (str(tmp_path / "new"),))
        old.execute("INSERT INTO encoders SELECT * FROM new.encoders")
        old.execute("INSERT INTO signatures SELECT * FROM new.signatures")
    old.close()
    path.chmod(0o444)
    before = path.read_bytes()
    (stored,) = iter_signatures(url)
    assert (stored.recording, stored.signatures.labels, path.read_bytes()) == (None, None, before)
    with pytest.raises(InputError, match="of recording 'walk', got none"):
        read_signatures(url, recording="walk")
    path.chmod(0o644)
    recording = Recording("walk", 10**18)
    assert put(path, Message("d", 1, 0, labelled(numbered(6), "walk"), recording)) == [Added(1, 5)]
    (stored,) = iter_signatures(url, recording="walk")
    assert stored.recording == recording
    assert_same(stored.signatures, labelled(numbered(6), "walk"))
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    # What an older motionsig does with a store, word for word.
    connection.execute("INSERT INTO signatures VALUES (?, ?, ?, ?, ?, ?, ?)", ("d", 1, 6, 1, 0, 0, bytes(64)))
    query = "SELECT seq, encoder, start_ns, quality, codes FROM signatures WHERE device = ? AND epoch = ?"
    assert len(connection.execute(query, ("d", 1)).fetchall()) == 7
    connection.close()


def test_a_store_from_before_there_were_events_is_read_as_it_is_and_completed_when_written(tmp_path: Path) -> None:
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    message = Message("d", 1, 0, labelled(numbered(5), "walk"), Recording("walk", 10**18))
    put(path, message)
    with sqlite3.connect(path) as old:
        for table in ("events", "clocks", "event_clocks"):
            old.execute(f"DROP TABLE {table}")
    old.close()
    before = path.read_bytes()
    assert read_events(url) == []
    (stored,) = iter_signatures(url, recording="walk")
    assert_same(stored.signatures, labelled(numbered(5), "walk"))
    assert path.read_bytes() == before
    with open_sink(url, device="d", stream_id=1) as sink:
        sink.publish_events([event(1)])
    assert read_events(url) == [event(1)]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


def test_events_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    other = sqlite3.connect(tmp_path / "s", timeout=0)
    other.execute("CREATE TRIGGER t BEFORE INSERT ON events WHEN new.seq = 3 BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(SinkError, match="2 events could not be stored: no"):
        store.add_all([], [event(2), event(3)])
    assert read_events(f"store:{tmp_path / 's'}") == []
    other.execute("DROP TRIGGER t")
    other.close()
    assert store.add_all([], [event(2), event(3)]) == Added(0, 0, 0, 2)
    store.close()


def test_a_stream_is_found_without_reading_those_before_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    streams = [("a", 0), ("a", 1), ("a", (1 << 63) - 1), ("b", 0), ("b b", 5)]
    put(path, *(Message(*stream, 0, numbered(3)) for stream in reversed(streams)))
    assert [part[:2] for part in iter_signatures(f"store:{path}")] == streams
    assert [part[:2] for part in iter_signatures(f"store:{path}", device="a")] == streams[:3]
    assert [part[:2] for part in iter_signatures(f"store:{path}", stream_id=0)] == [("a", 0), ("b", 0)]
    with sqlite3.connect(path) as connection:
        for query in (
            "SELECT min(device) FROM signatures WHERE device > 'a'",
            "SELECT min(epoch) FROM signatures WHERE device = 'a' AND epoch > 1",
        ):
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
            assert "SEARCH" in plan and "SCAN" not in plan
    connection.close()


def test_labels_come_a_few_at_a_time_and_go_with_their_signatures(tmp_path: Path) -> None:
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    labels = ["walk" if number % 3 else "" for number in range(20)]
    put(path, Message("d", 1, 0, labelled(numbered(20), *labels)), Message("d", 1, 20, numbered(10, 20)))
    parts = list(iter_signatures(url, rows=8))
    found = [None if part.signatures.labels is None else part.signatures.labels.tolist() for part in parts]
    assert found == [labels[:8], labels[8:16], [*labels[16:], "", "", "", ""], None]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM signatures WHERE seq < 10")
        assert connection.execute("SELECT count(*) FROM labels").fetchone() == (7,)
    connection.close()
    assert put(path, Message("d", 1, 0, numbered(20))) == [Added(10, 10)]
    assert_same(read_signatures(url), labelled(numbered(30), *[""] * 10, *labels[10:], *[""] * 10))


def test_the_same_labels_again_write_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    message = Message("d", 1, 0, labelled(numbered(5), "walk"), Recording("walk.csv", 0))
    store.add(message)
    assert store._connection is not None
    before = store._connection.total_changes
    assert store.add(message) == Added(0, 5)
    assert store._connection.total_changes == before
    store.close()


def test_a_store_grows_in_a_day_by_as_much_as_the_document_says(tmp_path: Path) -> None:
    # A tenth of a day, in messages of several signatures, under a stream id as large as the daemon's.
    tenth = 86_400_000_000_000 // HOP_NS // 10
    put(tmp_path / "s", *(Message("hall", 1 << 62, seq, numbered(50, seq)) for seq in range(0, tenth, 50)))
    assert round((tmp_path / "s").stat().st_size * 10 / 1e6) == 8
