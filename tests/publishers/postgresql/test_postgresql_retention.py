"""What is too old is dropped by the partition."""

from __future__ import annotations

import time

import pytest
from made import (
    DAY_NS,
    MONTH_NS,
    START_NS,
    begun,
    event,
    numbered,
)
from postgres import Server

from motionsig.errors import InputError
from motionsig.publishers import iter_signatures, read_events, read_signatures
from motionsig.publishers.postgresql.store import PostgresStore
from motionsig.publishers.stores import Added
from motionsig.wire import Message, Recording


def partitions(server: Server, url: str) -> list[str]:
    return [str(name) for (name,) in server.run(url, "SELECT name FROM motionsig.partitions ORDER BY first_ns")]


def test_old_partitions_are_dropped_with_all_that_was_theirs(postgres: Server, url: str) -> None:
    now_ns = time.time_ns()
    ages = {"old": 100, "young": 3}
    with PostgresStore(url) as store:
        for device, days in ages.items():
            start_ns = now_ns - days * DAY_NS - START_NS
            store.add_all(
                [Message(device, 1, 0, begun(numbered(3), start_ns), Recording(f"{device}.csv", 0))],
                [event(1, device=device, start_ns=now_ns - days * DAY_NS, end_ns=now_ns)],
            )
        with PostgresStore(url, keep_days=40) as keeping:
            assert keeping.add_all([Message("new", 1, 0, begun(numbered(1), now_ns - START_NS))]) == Added(1)
        assert [part.device for part in iter_signatures(url)] == ["new", "young"]
        assert [it.device for it in read_events(url)] == ["young"]
        with pytest.raises(InputError, match=r"recording 'old.csv', got young.csv"):
            read_signatures(url, recording="old.csv")
        # Whoever still knew stream and partition stores into new ones.
        again = Message("old", 1, 0, begun(numbered(3), now_ns - 100 * DAY_NS - START_NS))
        assert store.add_all([again]) == Added(3)
    assert len(read_signatures(url, device="old")) == 3


def test_the_oldest_partitions_are_dropped_while_all_are_too_large(postgres: Server, url: str) -> None:
    with PostgresStore(url) as store:
        for month in range(3):
            store.add_all([Message("d", 1, 10 * month, begun(numbered(3), month * MONTH_NS))])
    with PostgresStore(url, keep_bytes=1) as store:
        store.add_all([Message("d", 1, 30, begun(numbered(1), 2 * MONTH_NS))])
    assert partitions(postgres, url) == ["signatures_2024_01_01"]
    assert len(read_signatures(url)) == 4


def test_a_reader_is_in_the_way_of_dropping_for_two_seconds_only(
    postgres: Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with PostgresStore(url) as store:
        store.add_all([Message("d", 1, 0, numbered(5)), Message("e", 1, 0, numbered(5))])
    reading = iter_signatures(url, rows=1)
    next(reading)
    with PostgresStore(url, keep_days=1) as store:
        assert store.add_all([Message("d", 1, 5, numbered(1, 5))]) == Added(1)
        assert "old signatures could not be dropped: canceling statement due to lock timeout" in caplog.text
        assert sum(1 for _ in reading) == 9
        store._dropped_at_s = float("-inf")
        store.add_all([Message("d", 1, 6, numbered(1, 6))])
    assert partitions(postgres, url) == []
