"""The inbox and messages that trained tables packed: unpacked together, damaged, or kept where tables are missing."""

from __future__ import annotations

import dataclasses
import hashlib
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made import assert_same, numbered

from motionsig import wire
from motionsig.collector import CollectCounts
from motionsig.collector.inbox import Inbox
from motionsig.collector.unread import unread_file
from motionsig.encoders import find_model
from motionsig.errors import SinkError
from motionsig.model_card import BACKGROUND_NAME
from motionsig.packing import FILE_NAME
from motionsig.publishers import read_signatures
from motionsig.publishers.store import Store

CARD = find_model()
NAME = hashlib.sha256((CARD.path / FILE_NAME).read_bytes()).digest()[:4]
with np.load(CARD.path / BACKGROUND_NAME) as _bank:
    REAL = dataclasses.replace(numbered(5), codes=_bank["codes"][10000:10005], spec=CARD.spec)


def arrived(device: str, change: Any = None, *, mid: int = 1) -> Any:
    payload = wire.encode(wire.Message(device, 1, 0, REAL), compress="trained")
    assert NAME in payload
    payload = change(payload) if change else payload
    return SimpleNamespace(topic=f"motionsig/{device}/signatures", payload=payload, mid=mid)


def lacking(payload: bytes) -> bytes:
    return payload.replace(NAME, b"none")


def damaged(payload: bytes) -> bytes:
    at = payload.index(NAME) + 20
    return payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]


def test_a_packed_message_is_stored_a_damaged_one_is_junk_and_one_that_lacks_tables_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unread = unread_file("store", str(tmp_path / "s"))
    with closing(Store(tmp_path / "s")) as store:
        inbox = Inbox(store, "motionsig", unread=unread)
        for mid, change in enumerate((None, damaged, lacking, None), 1):
            inbox.take(arrived(f"d{mid}", change, mid=mid))
        assert [each.mid for each in inbox.store()] == [1, 2, 3, 4]
        assert inbox.counts == CollectCounts(messages=2, stored=10, junk=1)
        inbox.take(arrived("d5", lacking))
        inbox.store()
    assert_same(read_signatures(f"store:{tmp_path / 's'}", device="d4"), REAL)
    assert f"kept in {unread} until it can be read: message: expected tables" in caplog.text
    assert unread.read_bytes().count(b"none") == 2 and unread.stat().st_mode & 0o777 == 0o600
    # Once the tables are there, it is a file of messages.
    unread.write_bytes(unread.read_bytes().replace(b"none", NAME))
    assert_same(read_signatures(f"file:{unread}", device="d3"), REAL)
    assert_same(read_signatures(f"file:{unread}", device="d5"), REAL)


def test_what_cannot_be_kept_is_not_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "s.unread").mkdir()
    with closing(Store(tmp_path / "s")) as store:
        inbox = Inbox(store, "motionsig", unread=tmp_path / "s.unread")
        inbox.take(arrived("d", lacking))
        with pytest.raises(SinkError, match=r"s\.unread: expected to keep messages there that lack tables"):
            inbox.store()
        assert inbox.failure is not None


def test_a_message_that_lacks_tables_is_kept_only_from_the_device_that_it_names(tmp_path: Path) -> None:
    """A broker lets a device publish below its own name alone: what it says of others must not be read back later."""
    with closing(Store(tmp_path / "s")) as store:
        inbox = Inbox(store, "motionsig", unread=tmp_path / "s.unread")
        forged = arrived("victim", lacking)
        forged.topic = "motionsig/forger/signatures"
        inbox.take(forged)
        inbox.store()
        assert inbox.counts == CollectCounts(junk=1) and not (tmp_path / "s.unread").exists()
        inbox.take(arrived("victim", lacking))
        inbox.store()
        assert inbox.counts == CollectCounts(junk=1) and (tmp_path / "s.unread").exists()
