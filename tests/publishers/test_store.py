from __future__ import annotations

import dataclasses
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from made import HOP_NS, SPEC, START_NS, assert_same, event, labelled, numbered
from stored import put

from motionsig.errors import InputError, SinkError
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures
from motionsig.publishers.store import Store
from motionsig.publishers.stores import Added
from motionsig.quantization import Group, Quantization
from motionsig.wire import Message, Recording

OTHER = dataclasses.replace(SPEC, fingerprint=b"another!")


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


def test_what_one_device_says_of_an_encoder_binds_that_device_alone(tmp_path: Path) -> None:
    url = f"store:{tmp_path / 's'}"
    liar = dataclasses.replace(SPEC, quantization=Quantization((Group(48, 9.0, 0), Group(16, 0.02, 0))))
    added = put(
        tmp_path / "s",
        Message("evil", 1, 0, numbered(3, spec=liar)),
        Message("honest", 1, 0, numbered(50)),
        Message("evil", 1, 3, numbered(3, 3)),
        Message("honest", 1, 50, numbered(5, 50, spec=liar)),
        Message("evil", 1, 3, numbered(2, 3, spec=liar)),
    )
    assert added == [Added(3), Added(50), Added(conflicts=3), Added(conflicts=5), Added(2)]
    assert_same(read_signatures(url, device="honest"), numbered(50))
    assert_same(read_signatures(url, device="evil"), numbered(5, spec=liar))
    message = f"devices describe encoder {SPEC.fingerprint.hex()} differently.*device=: evil / honest"
    for chosen in ({}, {"fingerprint": SPEC.fingerprint}):
        with pytest.raises(InputError, match=message):
            read_signatures(url, **chosen)
    # Where only one of them is in what is wanted, there is nothing to choose.
    assert_same(read_signatures(url, since_ns=numbered(1, 10).start_ns[0]), numbered(40, 10))


def test_one_transaction_stores_all_messages_or_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    messages = [Message(f"d{number}", 1, 0, numbered(3)) for number in range(20)]
    twice = Message("d3", 1, 1, numbered(4, 1))
    assert store.add_all(messages) == Added(60)
    assert store.add_all([*messages[:3], twice, twice, Message("e", 1, 0, numbered(0))], [event(1)]) == Added(
        2, 15, 0, 1
    )
    with sqlite3.connect(tmp_path / "s") as other:
        other.execute(
            "CREATE TRIGGER t BEFORE INSERT ON signatures WHEN new.seq = 9 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    other.close()
    with pytest.raises(SinkError, match="12 signatures and 1 events could not be stored: no"):
        store.add_all([Message("f", 1, 0, numbered(2)), Message("g", 1, 0, numbered(10))], [event(5)])
    store.close()
    url = f"store:{tmp_path / 's'}"
    assert sum(len(part.seq) for part in iter_signatures(url)) == 62
    assert read_events(url) == [event(1)]


def test_a_file_that_was_moved_away_is_left_alone_and_a_new_one_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "s")
    store.add(Message("d", 1, 0, numbered(3)))
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"s{ending}").rename(tmp_path / f"old{ending}")
    assert store.add(Message("d", 1, 0, numbered(5))) == Added(5)
    assert "was moved or removed; a new one begins" in caplog.text
    store.close()
    assert_same(read_signatures(f"store:{tmp_path / 's'}"), numbered(5))
    assert_same(read_signatures(f"store:{tmp_path / 'old'}"), numbered(3))


def test_its_owner_alone_can_read_a_new_store(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(Store(tmp_path / "s")) as store:
            store.add(Message("d", 1, 0, numbered(3)))
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
            assert modes == dict.fromkeys(("s", "s-wal", "s-shm"), 0o600)
        (tmp_path / "s").chmod(0o640)
        put(tmp_path / "s", Message("d", 1, 3, numbered(3, 3)))
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_texts_may_hold_a_nul(tmp_path: Path) -> None:
    """CBOR can carry one, and SQLite's own functions of texts end there."""
    url = f"store:{tmp_path / 's'}"
    messages = [
        Message(device, 1, 0, labelled(numbered(3), f"walk{device}"), Recording(device, 0))
        for device in ("a", "a\0", "a\0b", "b")
    ]
    assert put(tmp_path / "s", *messages, *messages) == [Added(3)] * 4 + [Added(duplicates=3)] * 4
    read = list(iter_signatures(url))
    assert [(part.device, part.recording) for part in read] == [(it.device, it.recording) for it in messages]
    for part in read:
        assert_same(part.signatures, labelled(numbered(3), f"walk{part.device}"))
        assert_same(read_signatures(url, device=part.device), part.signatures)


def test_numbers_beyond_64_bits_are_no_numbers_to_look_for(tmp_path: Path) -> None:
    url = f"store:{tmp_path / 's'}"
    put(tmp_path / "s", Message("d", 1, 0, numbered(3)))
    for name in ("since_ns", "until_ns", "stream_id"):
        for value in (1 << 63, -(1 << 63) - 1, 1e300):
            for read in (read_signatures, read_events):
                with pytest.raises(InputError, match=f"{name}: expected an integer of 64 bits"):
                    read(url, **{name: value})
    assert_same(read_signatures(url, since_ns=-(1 << 63), until_ns=(1 << 63) - 1), numbered(3))
    assert_same(read_signatures(url, since_ns=np.int64(START_NS)), numbered(3))


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
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    for path, message in ((text, "not a database"), (foreign, "of something else"), (newer, "got version 3")):
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
    put(tmp_path / "empty")
    size = (tmp_path / "s").stat().st_size - (tmp_path / "empty").stat().st_size
    assert round(size * 10 / 1e6) == 8
