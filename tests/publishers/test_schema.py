"""A store of an older version is read as it is, and upgraded when it is written."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest
from made import HOP_NS, SPEC, START_NS, assert_same, event, labelled, numbered
from stored import EVENTS, OF_VERSION_0_1, UNTIL_EVENTS, make_version_1, put

from motionsig.errors import InputError
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures
from motionsig.publishers.stores import Added
from motionsig.wire import Message, Recording

OTHER = dataclasses.replace(SPEC, fingerprint=b"another!")


def test_a_store_of_version_0_1_is_read_as_it_is_and_upgraded_when_written(tmp_path: Path) -> None:
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    put(tmp_path / "new", Message("d", 1, 0, numbered(5)))
    make_version_1(path, tmp_path / "new", OF_VERSION_0_1)
    path.chmod(0o444)
    before = path.read_bytes()
    (stored,) = iter_signatures(url)
    assert (stored.recording, stored.signatures.labels, path.read_bytes()) == (None, None, before)
    assert_same(read_signatures(url, since_ns=START_NS + HOP_NS, until_ns=START_NS + 2 * HOP_NS), numbered(1, 1))
    with pytest.raises(InputError, match="of recording 'walk', got none"):
        read_signatures(url, recording="walk")
    path.chmod(0o644)
    recording = Recording("walk", 10**18)
    assert put(path, Message("d", 1, 0, labelled(numbered(6), "walk"), recording)) == [Added(1, 5)]
    (stored,) = iter_signatures(url, recording="walk")
    assert stored.recording == recording
    assert_same(stored.signatures, labelled(numbered(6), "walk"))
    with sqlite3.connect(path) as connection:
        # So an older motionsig, which would store rows without checksums, refuses it.
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        # The block that was written has its span, and every row of it a checksum.
        assert connection.execute("SELECT count(crc) FROM signatures").fetchone() == (6,)
        assert connection.execute("SELECT block, rows FROM spans").fetchall() == [(0, 6)]
    connection.close()
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_version_1_stored_is_whole_after_an_upgrade(tmp_path: Path) -> None:
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    message = Message("d", 1, 0, labelled(numbered(5), "walk"), Recording("walk", 10**18))
    put(tmp_path / "new", message, Message("e", 1, 0, numbered(3, spec=OTHER)))
    with open_sink(f"store:{tmp_path / 'new'}", device="d", stream_id=1) as sink:
        sink.publish_events([event(1), event(2)])
    for name, schema in (("s", UNTIL_EVENTS), ("t", UNTIL_EVENTS + EVENTS)):
        make_version_1(tmp_path / name, tmp_path / "new", OF_VERSION_0_1 + schema)
    before = path.read_bytes()
    assert (read_events(url), read_events(f"store:{tmp_path / 't'}")) == ([], [event(1), event(2)])
    (stored,) = iter_signatures(url, recording="walk")
    assert_same(stored.signatures, labelled(numbered(5), "walk"))
    assert path.read_bytes() == before
    for name, events in (("s", []), ("t", [event(1), event(2)])):
        url = f"store:{tmp_path / name}"
        with open_sink(url, device="f", stream_id=1) as sink:
            sink.publish_events([event(9)])
        assert read_events(url) == [*events, event(9)]
        (stored,) = iter_signatures(url, recording="walk")
        assert_same(stored.signatures, labelled(numbered(5), "walk"))
        assert_same(read_signatures(url, device="e"), numbered(3, spec=OTHER))
        # Neither device has to describe its encoder anew.
        added = put(tmp_path / name, message, Message("e", 1, 3, numbered(3, 3, spec=OTHER)))
        assert added == [Added(duplicates=5), Added(3)]
        assert_same(read_signatures(url, device="e"), numbered(6, spec=OTHER))
