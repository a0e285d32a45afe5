from __future__ import annotations

import dataclasses
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
from made import SPEC, assert_same, lines_until_killed, numbered

from motionsig.blocks import Quality, SignatureBatch, concatenate
from motionsig.errors import InputError, SinkError
from motionsig.publishers import iter_signatures, open_sink, read_signatures
from motionsig.publishers.store import Added, Store
from motionsig.wire import Message

OTHER = dataclasses.replace(SPEC, fingerprint=b"another!")


def put(path: Path, *messages: Message) -> list[Added]:
    store = Store(path)
    try:
        return [store.add(message) for message in messages]
    finally:
        store.close()


def test_duplicates_and_conflicts_are_told_apart_and_the_first_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ten = numbered(10)
    codes, start_ns, quality = ten.codes.copy(), ten.start_ns.copy(), ten.quality.copy()
    codes[4, 0] ^= 1
    start_ns[5] += 1
    quality[6] ^= 1
    changed = dataclasses.replace(ten, codes=codes, start_ns=start_ns, quality=quality)
    added = put(
        tmp_path / "s",
        Message("d", 1, 0, numbered(10)),
        Message("d", 1, 5, numbered(10, 5)),
        Message("d", 1, 0, changed),
        Message("d", 2, 0, numbered(10)),
        Message("e", 1, 0, numbered(10)),
        Message("e", 1, 0, numbered(0)),
    )
    assert added == [(10, 0, 0), (5, 5, 0), (0, 7, 3), (10, 0, 0), (10, 0, 0), (0, 0, 0)]
    assert "3 signatures of d, stream 1" in caplog.text
    read = list(iter_signatures(f"store:{tmp_path / 's'}"))
    assert [(device, stream_id, seq.tolist()) for device, stream_id, seq, _ in read] == [
        ("d", 1, list(range(15))),
        ("d", 2, list(range(10))),
        ("e", 1, list(range(10))),
    ]
    assert_same(read[0][3], numbered(15))


def test_rows_come_in_order_and_few_at_a_time(tmp_path: Path) -> None:
    put(tmp_path / "s", *(Message("d", 1, seq, numbered(10, seq)) for seq in (40, 0, 20, 30)))
    read = list(iter_signatures(f"store:{tmp_path / 's'}", rows=7))
    assert max(len(seq) for _, _, seq, _ in read) == 7
    seq = np.concatenate([seq for _, _, seq, _ in read])
    assert seq.tolist() == [*range(10), *range(20, 50)]
    assert_same(concatenate([batch for *_, batch in read]), concatenate([numbered(10), numbered(30, 20)]))


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
    assert added == [(3, 0, 0), (0, 0, 3)]


def test_one_encoder_with_two_hops(tmp_path: Path) -> None:
    double = dataclasses.replace(numbered(4), hop_ns=2 * numbered(1).hop_ns)
    put(tmp_path / "s", Message("d", 1, 0, numbered(3)), Message("d", 1, 3, double))
    hops = [batch.hop_ns for *_, batch in iter_signatures(f"store:{tmp_path / 's'}")]
    assert hops == [numbered(1).hop_ns, double.hop_ns]


def test_the_largest_numbers(tmp_path: Path) -> None:
    last = (1 << 63) - 1
    put(tmp_path / "s", Message("d", last, last - 2, numbered(3)))
    ((_, stream_id, seq, _),) = iter_signatures(f"store:{tmp_path / 's'}")
    assert (stream_id, seq[-1]) == (last, last)


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
    assert put(tmp_path / "s", Message("d", 1, 0, numbered(1))) == [(1, 0, 0)]


def test_a_locked_store_is_an_error_after_the_time_allowed(tmp_path: Path) -> None:
    url = f"store:{tmp_path / 's'}"
    sink = open_sink(url, device="d", stream_id=1, busy_timeout_s=0.05)
    sink.publish(numbered(2))
    other = sqlite3.connect(tmp_path / "s", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkError, match="3 signatures could not be stored: database is locked"):
        sink.publish(numbered(3, 2))
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


def test_publishing_a_recording_again_stores_nothing_twice(tmp_path: Path) -> None:
    for stored in (7, 0):
        with open_sink(f"store:{tmp_path / 's'}", device="d", stream_id=1) as sink:
            sink.publish(numbered(7))
        assert sink.counts.delivered == 7
        assert sink.counts.duplicates == 7 - stored


def test_a_message_that_fails_halfway_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither its first signatures, nor its encoder, nor a lock."""
    store, message = Store(tmp_path / "s"), Message("d", 1, 0, numbered(5))
    other = sqlite3.connect(tmp_path / "s", timeout=0)
    other.execute("CREATE TRIGGER t BEFORE INSERT ON signatures WHEN new.seq = 3 BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(SinkError, match="5 signatures could not be stored: no"):
        store.add(message)
    assert other.execute("SELECT count(*) FROM signatures").fetchone() == (0,)
    other.execute("DROP TRIGGER t")
    other.close()
    assert store.add(message) == Added(5, 0, 0)
    store.close()
    assert_same(read_signatures(f"store:{tmp_path / 's'}"), numbered(5))


def test_who_ran_the_network_is_no_content_and_a_bridged_loss_is(tmp_path: Path) -> None:
    by_tpu, bridged = (
        dataclasses.replace(numbered(2), quality=np.array([flag, flag | 1], np.uint8)) for flag in (Quality.EDGE_TPU, 1)
    )
    found = put(tmp_path / "s", *(Message("d", 1, 0, batch) for batch in (numbered(2), by_tpu, bridged)))
    assert found == [Added(2, 0, 0), Added(0, 2, 0), Added(0, 1, 1)]


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from made import numbered
from motionsig.publishers import open_sink
sink = open_sink("store:" + sys.argv[1], device="d", stream_id=1)
number = 0
while True:
    sink.publish(numbered(3, number))
    number += 3
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_published(tmp_path: Path) -> None:
    lines = lines_until_killed(sys.executable, "-c", KILLED, str(tmp_path / "s"), str(Path(__file__).parent), after=100)
    read = read_signatures(f"store:{tmp_path / 's'}")
    assert len(read) >= int(lines[-1])
    assert_same(read, numbered(len(read)))


def test_two_stores_of_one_file(tmp_path: Path) -> None:
    url = f"store:{tmp_path / 's'}"
    with open_sink(url, device="a", stream_id=1) as one, open_sink(url, device="b", stream_id=1) as two:
        for first in range(0, 20, 2):
            one.publish(numbered(2, first))
            two.publish(numbered(2, first))
    signatures: SignatureBatch = read_signatures(f"store:{tmp_path / 's'}", device="a")
    assert_same(signatures, numbered(20))
