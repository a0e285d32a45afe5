from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made import numbered

from motionsig import wire
from motionsig.collector import CollectCounts
from motionsig.collector.holes import Holes
from motionsig.collector.inbox import DROPPED_TOPIC, MOST_BYTES, Inbox
from motionsig.errors import SinkError
from motionsig.publishers.store import Store


def arrived(device: str, first: int, count: int = 1, *, mid: int = 1) -> Any:
    payload = wire.encode(wire.Message(device, 1, first, numbered(count, first)))
    return SimpleNamespace(topic=f"motionsig/{device}/signatures", payload=payload, mid=mid)


def conflicting(device: str) -> Any:
    """Return what says something else of signature 0."""
    payload = wire.encode(wire.Message(device, 1, 0, numbered(1, 1)))
    return SimpleNamespace(topic=f"motionsig/{device}/signatures", payload=payload, mid=1)


def refusing(path: Path, device: str) -> Store:
    """Return a store whose file refuses the signatures of a device, as a damaged page of its table would."""
    store = Store(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON signatures WHEN new.device = "
            f"'{device}' BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    return store


def test_what_arrives_together_is_one_transaction_and_is_acknowledged_in_its_order(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s")) as store:
        inbox = Inbox(store, "motionsig")
        messages = [arrived(f"d{number % 3}", number // 3 * 5, 5, mid=number + 1) for number in range(30)]
        messages[7].payload = b"junk"
        for each in messages:
            inbox.take(each)
        assert inbox.waiting == 30 and inbox.counts == CollectCounts(junk=1)
        with closing(sqlite3.connect(tmp_path / "s")) as other:
            assert other.execute("SELECT count(*) FROM signatures").fetchone() == (0,)
            before = other.execute("PRAGMA data_version").fetchone()
            assert [each.mid for each in inbox.store()] == list(range(1, 31))
            assert other.execute("SELECT count(*) FROM signatures").fetchone() == (145,)
            assert other.execute("PRAGMA data_version").fetchone() == (before[0] + 1,), "one commit"
        assert inbox.counts == CollectCounts(messages=29, stored=145, junk=1)
        assert inbox.store() == [] and not inbox.waiting


def test_one_message_that_the_store_refuses_does_not_cost_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(refusing(tmp_path / "s", "bad")) as store:
        inbox = Inbox(store, "motionsig", holes=Holes(None, report_after_s=30))
        for device in ("bad", "a", "b", "bad", "c"):
            inbox.take(arrived(device, 0, 5))
        assert len(inbox.store()) == 5
        assert inbox.counts == CollectCounts(messages=3, stored=15, junk=2) and inbox.failure is None
    assert "the store refuses it: store:" in caplog.text and "no room" in caplog.text


def test_a_store_that_fails_acknowledges_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    inbox = Inbox(store, "motionsig")
    for device in "abc":
        inbox.take(arrived(device, 0))
    store.close()
    with pytest.raises(SinkError, match="closed"):
        inbox.store()
    assert inbox.failure is not None and inbox.counts == CollectCounts()


def test_it_is_full_by_what_messages_stand_for(tmp_path: Path) -> None:
    """Ten kilobytes on the wire may be half a megabyte of labels."""
    import dataclasses

    import numpy as np

    batch = dataclasses.replace(numbered(1), labels=np.array(["\U0001f6b6" * 128]))
    rows = np.arange(1024)
    batch = dataclasses.replace(
        batch,
        start_ns=batch.start_ns[0] + rows * batch.hop_ns,
        codes=np.zeros((1024, 64), np.int8),
        quality=np.zeros(1024, np.uint8),
        labels=np.repeat(batch.labels, 1024),
    )
    payload = wire.encode(wire.Message("a", 1, 0, batch), compress=True)
    assert len(payload) < 2000
    with closing(Store(tmp_path / "s")) as store:
        inbox = Inbox(store, "motionsig")
        while not inbox.full:
            inbox.take(SimpleNamespace(topic="motionsig/a/signatures", payload=payload, mid=1))
        assert inbox.waiting * 1024 * 128 * 4 < 2 * MOST_BYTES


def test_the_lag_and_what_the_broker_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Store(tmp_path / "s")) as store:
        inbox = Inbox(store, "motionsig")
        assert inbox.lag_s() is None and inbox.broker_dropped is None
        inbox.take(arrived("a", 0))
        inbox.store()
        lag_s = inbox.lag_s()
        # The made-up signatures are of November 2023.
        assert lag_s is not None and 9e7 < lag_s["p50"] <= lag_s["most"]
        for payload in (b"5", b"rubbish", b"5", b"12"):
            inbox.take(SimpleNamespace(topic=DROPPED_TOPIC, payload=payload, mid=0))
        assert inbox.broker_dropped == 12 and not inbox.waiting
    assert [line.partition(":")[0] for line in caplog.messages] == [
        "the broker has dropped 7 messages more, 12 since its start"
    ]


def test_what_a_store_refuses_is_found_by_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(refusing(tmp_path / "s", "bad")) as store:
        tried = list[int]()
        add_all = store.add_all
        monkeypatch.setattr(store, "add_all", lambda messages, events: tried.append(1) or add_all(messages, events))
        inbox = Inbox(store, "motionsig")
        for number in range(256):
            inbox.take(arrived("bad" if number == 77 else f"d{number}", 0))
        inbox.store()
        assert inbox.counts == CollectCounts(messages=255, stored=255, junk=1)
        assert len(tried) == 1 + 2 * 8


def test_a_topic_takes_no_memory_until_it_is_stored(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s")) as store:
        inbox = Inbox(store, "motionsig")
        for number in range(900):
            junk = SimpleNamespace(topic=f"motionsig/{number}{'x' * 60_000}/signatures", payload=b"junk", mid=1)
            inbox.take(junk)
            assert not junk.topic and not junk.payload
        assert len(inbox.store()) == 900


def test_who_sends_conflicts_without_end_does_not_fill_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Store(tmp_path / "s")) as store:
        inbox = Inbox(store, "motionsig")
        for _ in range(3):
            for number in range(100):
                inbox.take(arrived(f"d{number % 5}", 0))
                inbox.take(conflicting(f"d{number % 5}"))
            inbox.store()
        assert inbox.counts.conflicts == 300 and len(caplog.messages) == 1
        monkeypatch.setattr("motionsig.publishers.sparing.EVERY_S", 0.0)
        inbox.take(conflicting("d4"))
        inbox.store()
    assert len(caplog.messages) == 2 and caplog.messages[1].endswith(
        "under their key; 299 more such lines were left out"
    )
