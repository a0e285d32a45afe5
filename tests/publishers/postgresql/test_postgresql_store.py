"""Several writers at once, kill -9 of writer and server, a server that goes away."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from broker import Broker
from made import (
    MONTH_NS,
    assert_same,
    begun,
    event,
    lines_until_killed,
    numbered,
    wait_until,
)
from postgres import Server
from processes import STALL_S

from motionsig.collector import collect
from motionsig.errors import SinkError
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures, without_login
from motionsig.publishers.postgresql.store import PostgresStore
from motionsig.publishers.stores import Added
from motionsig.quality import Quality
from motionsig.wire import Message


def at_once(*calls: Callable[[], None]) -> None:
    """Run the calls at the same time; an exception of one is raised."""
    with ThreadPoolExecutor(len(calls)) as threads:
        for done in [threads.submit(call) for call in calls]:
            done.result(60)


def test_the_newest_numbers_of_a_stream(url: str) -> None:
    with PostgresStore(url) as store:
        store.add_all([Message("d", 1, 0, numbered(5)), Message("d", 1, 9, begun(numbered(2, 9), MONTH_NS))])
        assert store.newest_numbers("d", 1, 0, 100, 4) == [10, 9, 4, 3]
        assert store.newest_numbers("d", 1, 1, 3, 4) == [3, 2, 1]
        assert store.newest_numbers("d", 2, 0, 100, 4) == []


def test_durable_is_what_the_server_is_told(url: str) -> None:
    for durable in (True, False):
        with PostgresStore(
            f"{url}?options=-csynchronous_commit%3D{'off' if durable else 'on'}", durable=durable
        ) as store:
            assert store._connection is not None
            told = store._connection.execute("SHOW synchronous_commit").fetchone()
            assert told == ("on" if durable else "off",)


def test_several_writers_of_the_same_neither_stop_each_other_nor_count_twice(url: str) -> None:
    """Each stores the same batches in another order, half of the devices in a month of their own."""
    results: list[Added] = []

    def fill(seed: int) -> None:
        dice = np.random.default_rng(seed)
        with PostgresStore(url) as store:
            for batch in dice.permutation(20).tolist():
                messages = [
                    Message(f"d{device}", 1, batch * 4, begun(numbered(4, batch * 4), (device % 2) * MONTH_NS))
                    for device in dice.permutation(8).tolist()
                ]
                results.append(store.add_all(messages, [event(batch)]))

    at_once(*(partial(fill, seed) for seed in range(3)))
    rows = 20 * 4 * 8
    assert Added(*map(sum, zip(*results, strict=True))) == Added(rows, 2 * (rows + 20), 0, 20)
    assert [len(part.seq) for part in iter_signatures(url)] == [80] * 8


def test_two_writers_of_one_signature_with_two_times_store_one(url: str) -> None:
    """Into two partitions at the same time, of which neither sees what the other is about to do."""
    results: list[Added] = []

    def fill(later_ns: int) -> None:
        with PostgresStore(url) as store:
            batches = [[Message("d", 1, seq, begun(numbered(1, seq), later_ns))] for seq in range(30)]
            results.extend([store.add_all(batch) for batch in batches])

    at_once(partial(fill, 0), partial(fill, MONTH_NS))
    assert Added(*map(sum, zip(*results, strict=True))) == Added(30, 0, 30)
    assert len(read_signatures(url)) == 30


@pytest.mark.parametrize("later_ns", [5, MONTH_NS, -MONTH_NS])
def test_two_writers_of_a_wrong_and_the_right_time_store_the_right_one(url: str, later_ns: int) -> None:
    results: list[Added] = []

    def fill(wrong: bool) -> None:
        with PostgresStore(url) as store:
            for seq in [*range(15), *range(15)]:
                batch = numbered(1, seq)
                if wrong:
                    flagged = batch.quality | np.uint8(Quality.UNSET_CLOCK)
                    batch = dataclasses.replace(begun(batch, later_ns), quality=flagged)
                results.append(store.add_all([Message("d", 1, seq, batch)]))

    at_once(partial(fill, True), partial(fill, False))
    assert Added(*map(sum, zip(*results, strict=True))) == Added(15, 45)
    assert_same(read_signatures(url), numbered(15))


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from made import event, numbered
from motionsig.publishers.postgresql.store import PostgresStore
from motionsig.wire import Message
store = PostgresStore(sys.argv[1])
number = 0
while True:
    messages = [Message(f"d{device}", 1, number, numbered(3, number)) for device in range(20)]
    added = store.add_all(messages, [event(number)])
    assert added == (60, 0, 0, 1), added
    number += 3
    print(number, flush=True)
"""


def complete(url: str, lines: list[str]) -> None:
    """Fail unless all that a writer said it had stored is there once, and of its last batch all or nothing."""
    parts = list(iter_signatures(url, rows=10**6))
    (count,) = {len(part.seq) for part in parts}
    assert len(parts) == 20 and count >= int(lines[-1])
    for part in parts:
        assert part.seq.tolist() == list(range(count))
    assert [it.seq for it in read_events(url)] == list(range(0, count, 3))


def test_kill_9_of_the_writer_loses_and_doubles_nothing(url: str) -> None:
    lines = lines_until_killed(sys.executable, "-c", WRITER, url, str(Path(__file__).parents[1]), after=15)
    complete(url, lines)


def test_kill_9_of_the_server_loses_and_doubles_nothing_and_the_writer_goes_on(
    postgres: Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    added: list[Added] = []
    stop = threading.Event()

    def write() -> None:
        with PostgresStore(url) as store:
            while not stop.is_set():
                number = 3 * len(added)
                messages = [Message(f"d{device}", 1, number, numbered(3, number)) for device in range(20)]
                added.append(store.add_all(messages, [event(number)]))

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        reached = len(added) + 3
        wait_until(lambda: len(added) >= reached)  # noqa: B023
        postgres.kill()
        postgres.start()
    reached = len(added) + 2
    wait_until(lambda: len(added) >= reached)
    stop.set()
    writer.join(60)
    # Each batch was counted as stored, also the one whose commit arrived and whose answer did not.
    assert set(added) == {Added(60, 0, 0, 1)}
    assert "are not stored yet, this goes on for" in caplog.text
    complete(url, [str(3 * len(added))])


def test_a_commit_whose_answer_is_lost_is_not_counted_as_duplicates(
    postgres: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresStore(url)
    import psycopg

    leave = psycopg.Transaction.__exit__
    calls = 0

    def lost(self: psycopg.Transaction, *error: object) -> object:
        nonlocal calls
        calls += 1
        result = leave(self, *error)  # type: ignore[arg-type]
        if error == (None, None, None) and calls == 2:
            self.connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return result

    monkeypatch.setattr(psycopg.Transaction, "__exit__", lost)
    assert store.add_all([Message("d", 1, 0, numbered(5))]) == Added(5)
    assert store.add_all([Message("d", 1, 0, numbered(5))]) == Added(0, 5)
    store.close()


def test_a_server_that_stays_away_is_an_error_with_what_was_not_stored(postgres: Server, url: str) -> None:
    with PostgresStore(url, retry_for_s=0.5) as store:
        store.add_all([Message("d", 1, 0, numbered(1))])
        postgres.kill()
        try:
            began_s = time.monotonic()
            with pytest.raises(SinkError, match=r"/test_\d+: cannot be reached: .*refused"):
                store.add_all([Message("d", 1, 1, numbered(5, 1))])
            assert 0.4 < time.monotonic() - began_s < 10 + STALL_S
        finally:
            postgres.start()
        assert store.add_all([Message("d", 1, 1, numbered(5, 1))]) == Added(5)
    assert_same(read_signatures(url), numbered(6))


def test_what_a_receiver_collects_is_in_the_database(broker: Broker, url: str) -> None:
    said: list[dict[str, object]] = []
    session = {"client_id": "here", "timeout_s": 20, "on_status": said.append}
    with ThreadPoolExecutor() as threads:
        collected = threads.submit(collect, broker.url, f"{url}?partition=day", count=5, **session)
        wait_until(lambda: "motionsig/+/signatures (QoS 1)" in broker.log)
        with open_sink(broker.url, device="d", stream_id=1, spool=str(broker.folder / "spool"), delay_s=0) as sink:
            sink.publish(numbered(5))
        assert collected.result().stored == 5
    assert_same(read_signatures(url), numbered(5))
    assert {each["store"] for each in said} == {without_login(url)}
