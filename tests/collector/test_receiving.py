from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
import socket
import sqlite3
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from broker import PERSISTENT, Broker, make_certificates
from made import SPEC, assert_same, numbered, running, wait_until
from receiving import begin_session, collect_some, happened

from motionsig import wire
from motionsig.collector import CollectCounts, collect, collect_options
from motionsig.collector.inbox import Inbox
from motionsig.errors import InputError, SinkError
from motionsig.events import BEGAN, ENDED, Event, to_json
from motionsig.publishers import iter_signatures, open_sink, read_signatures
from motionsig.publishers.brokers import parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.store import Store


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", settings=f"allow_anonymous true\n{PERSISTENT}") as running:
        yield running


def subscribe(broker: Broker, tmp_path: Path) -> None:
    """Create the persistent session, so that nothing published from now on is missed."""
    begin_session(broker, f"store:{tmp_path / 's'}")


def put(broker: Broker, *messages: tuple[str, bytes], retain: bool = False) -> None:
    """Publish bytes under topics, as anybody on the network can."""
    connection = Connection(parse_broker(broker.url), client_id="anybody", clean_session=True, keepalive_s=10)
    connection.open(60, lambda: False)
    waiting = {connection.publish(topic, payload, retain=retain) for topic, payload in messages}
    while waiting:
        connection.loop(0.1)
        waiting -= {each.mid for each in connection.acknowledged}
    connection.close()


def message(device: str, seq: int, count: int) -> tuple[str, bytes]:
    return f"motionsig/{device}/signatures", wire.encode(wire.Message(device, 1, seq, numbered(count, seq)))


def test_from_sink_to_store(broker: Broker, tmp_path: Path) -> None:
    subscribe(broker, tmp_path)
    with open_sink(broker.url, device="wrist", stream_id=7, spool=str(tmp_path / "spool")) as sink:
        sink.publish(numbered(500))
    seen: list[CollectCounts] = []
    counts = collect(broker.url, f"store:{tmp_path / 's'}", count=500, timeout_s=60, on_progress=seen.append)
    assert counts == seen[-1] and (counts.stored, counts.duplicates, counts.junk) == (500, 0, 0)
    assert_same(read_signatures(f"store:{tmp_path / 's'}"), numbered(500))
    assert [part[:2] for part in iter_signatures(f"store:{tmp_path / 's'}")] == [("wrist", 7)]


def test_junk_and_repeats_are_counted_and_harm_nothing(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subscribe(broker, tmp_path)
    conflict = numbered(2, 3)
    conflict = dataclasses.replace(conflict, codes=conflict.codes * 0 + 1)
    topic, payload = message("a", 0, 5)
    put(
        broker,
        (topic, b""),
        (topic, b"\xd9\xd9\xf7" + b"\x9f" * 500),
        (topic, payload[:-1]),
        (topic, payload),
        (topic, payload),
        ("motionsig/b/signatures", payload),
        (topic, wire.encode(wire.Message("a", 1, 3, conflict))),
        message("b", 0, 1),
    )
    counts = collect(broker.url, f"store:{tmp_path / 's'}", count=6, timeout_s=60)
    assert counts == CollectCounts(messages=4, stored=6, duplicates=5, conflicts=2, junk=4)
    assert caplog.text.count("that are not ours") == 1
    assert_same(read_signatures(f"store:{tmp_path / 's'}", device="a"), numbered(5))


def test_what_arrives_while_it_is_away_is_kept_and_a_restart_stores_nothing_twice(
    broker: Broker, tmp_path: Path
) -> None:
    subscribe(broker, tmp_path)
    for first in range(0, 30, 10):
        put(broker, *(message("a", seq, 1) for seq in range(first, first + 10)))
        counts = collect(broker.url, f"store:{tmp_path / 's'}", count=5, timeout_s=60)
        assert counts.stored >= 5
        broker.stop()
        broker.start()
    collect(broker.url, f"store:{tmp_path / 's'}", count=30 - count(tmp_path / "s"), timeout_s=60)
    assert_same(read_signatures(f"store:{tmp_path / 's'}"), numbered(30))


def test_a_store_that_fails_acknowledges_nothing(broker: Broker, tmp_path: Path) -> None:
    subscribe(broker, tmp_path)
    put(broker, message("a", 0, 5))
    lock = sqlite3.connect(tmp_path / "s", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkError, match=r"^store:.*database is locked"):
        collect(broker.url, f"store:{tmp_path / 's'}?busy_timeout_s=0.05", count=5, timeout_s=60)
    lock.execute("ROLLBACK")
    lock.close()
    assert collect(broker.url, f"store:{tmp_path / 's'}", count=5, timeout_s=60).stored == 5


def test_a_message_is_on_the_disk_before_it_is_acknowledged(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only FULL has SQLite fsync its write-ahead log at each commit (sqlite.org/pragma.html#pragma_synchronous)."""
    opened: list[Store] = []

    class Noted(Store):
        def __init__(self, path: Path, **options: Any) -> None:
            super().__init__(path, **options)
            opened.append(self)

    monkeypatch.setattr("motionsig.publishers.store.Store", Noted)
    subscribe(broker, tmp_path)
    put(broker, message("a", 0, 5))
    found: list[tuple[int, bool]] = []

    def look(_: CollectCounts) -> None:
        connection = opened[-1]._connection
        assert connection is not None
        found.append((connection.execute("PRAGMA synchronous").fetchone()[0], connection.in_transaction))

    assert collect(broker.url, f"store:{tmp_path / 's'}", count=5, timeout_s=60, on_progress=look).stored == 5
    assert found == [(2, False)], "committed and fsynced when it is counted, which is before it is acknowledged"


def test_broker_restarts_and_kills(broker: Broker, tmp_path: Path) -> None:
    into = f"store:{tmp_path / 's'}"
    subscribe(broker, tmp_path)
    results: list[CollectCounts] = []
    thread = threading.Thread(
        target=lambda: results.append(collect(broker.url, into, count=400, timeout_s=60, retry_s=0.05, max_retry_s=0.2))
    )
    thread.start()
    options: dict[str, Any] = {"retry_s": 0.05, "max_retry_s": 0.2, "delay_s": 0}
    with open_sink(broker.url, device="d", stream_id=1, spool=str(tmp_path / "spool"), **options) as sink:
        for number in range(200):
            sink.publish(numbered(2, 2 * number))
            time.sleep(0.001)
            if number in (40, 90, 150):
                (broker.kill if number != 90 else broker.stop)()
                broker.start()
    thread.join()
    assert results[0].stored == 400
    assert_same(read_signatures(into), numbered(400))


KILLED = """
import sys
from motionsig.collector import collect
print("ready", flush=True)
collect(sys.argv[1], sys.argv[2], retry_s=0.05)
"""


def test_kill_9_of_the_collector_loses_nothing(broker: Broker, tmp_path: Path) -> None:
    into = f"store:{tmp_path / 's'}"
    subscribe(broker, tmp_path)
    with open_sink(broker.url, device="d", stream_id=1, spool=str(tmp_path / "spool"), delay_s=0) as sink:
        for first in range(0, 300, 100):
            with running(sys.executable, "-c", KILLED, broker.url, into) as child:
                assert child.stdout is not None
                child.stdout.readline()
                for seq in range(first, first + 100):
                    sink.publish(numbered(1, seq))
                    time.sleep(0.001)
                if first < 200:
                    wait_until(lambda: count(tmp_path / "s") > first)  # noqa: B023
    collect(broker.url, into, count=300 - count(tmp_path / "s"), timeout_s=60)
    assert_same(read_signatures(into), numbered(300))


def count(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM signatures").fetchone()[0])
    finally:
        connection.close()


def test_no_broker_is_a_clear_error_once_the_time_is_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    absent = Broker(tmp_path / "absent")
    with pytest.raises(SinkError, match=rf"nothing collected: {absent.url}: connection refused \(after 0\.3 s\)"):
        collect(absent.url, f"store:{tmp_path / 's'}", timeout_s=0.3, retry_s=0.01, max_retry_s=0.05)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_quiet_broker_is_no_error(broker: Broker, tmp_path: Path) -> None:
    assert collect_some(broker.url, f"store:{tmp_path / 's'}", but_none=True) == CollectCounts()
    assert collect(broker.url, f"store:{tmp_path / 's'}", count=0) == CollectCounts()


def test_a_subscription_that_is_not_allowed(tmp_path: Path) -> None:
    """Mosquitto 2.0 never refuses a subscription, other brokers do; so these are such a broker's bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(1000)
                        client.sendall(b"\x20\x02\x00\x00")
                        client.sendall(b"\x90\x03" + client.recv(1000)[2:4] + b"\x80")

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(SinkError, match=r"refused the subscription: .*allowed to subscribe"):
            collect(
                f"mqtt://127.0.0.1:{server.getsockname()[1]}", f"store:{tmp_path / 's'}", timeout_s=4.0, retry_s=0.05
            )
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_over_tls_with_a_client_certificate(tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    make_certificates(folder)
    listener = f"cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
    files = f"ca={folder}/ca.pem&cert={folder}/client.pem&key={folder}/client.key"
    with Broker(tmp_path / "broker", listener=listener + "require_certificate true\n") as broker:
        url = f"mqtts://localhost:{broker.port}?{files}"
        assert collect_some(url, f"store:{tmp_path / 's'}", but_none=True) == CollectCounts()
        with pytest.raises(SinkError, match="nothing collected"):
            collect(url.partition("&")[0], f"store:{tmp_path / 's'}", timeout_s=0.5)


def test_options_and_urls(tmp_path: Path) -> None:
    store = f"store:{tmp_path / 's'}"
    with pytest.raises(InputError, match=r"expected store:.* to collect into, got file"):
        collect("mqtt://h", "file:x")
    with pytest.raises(InputError, match=r"got 'speed'.*client_id"):
        collect("mqtt://h?speed=1", store)
    with pytest.raises(InputError, match="got 'durable'; the options are busy_timeout_s, keep_bytes, keep_days"):
        collect("mqtt://h", f"{store}?durable=0")
    with pytest.raises(InputError, match="broker URL"):
        collect("store:x", store)
    with pytest.raises(InputError, match="prefix"):
        collect("mqtt://h", store, prefix="a/#")
    assert {"ca", "cert", "key", "username", "password", "client_id", "prefix"} <= set(collect_options())


def test_another_encoder_of_the_same_name_is_a_conflict(broker: Broker, tmp_path: Path) -> None:
    subscribe(broker, tmp_path)
    liar = dataclasses.replace(SPEC, length_ns=1)
    put(
        broker,
        message("a", 0, 2),
        ("motionsig/a/signatures", wire.encode(wire.Message("a", 1, 2, numbered(3, 2, spec=liar)))),
        message("a", 5, 1),
    )
    counts = collect(broker.url, f"store:{tmp_path / 's'}", count=3, timeout_s=60)
    assert (counts.stored, counts.conflicts) == (3, 3)


def of_event(what: Event) -> tuple[str, bytes]:
    return f"motionsig/{what.device}/events/{what.head}", to_json(what)


def event_rows(path: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT device, epoch, head, seq, phase FROM events ORDER BY 1, 2, 3, 4, 5"
        ).fetchall()


def test_events_from_sink_to_store(broker: Broker, tmp_path: Path) -> None:
    subscribe(broker, tmp_path)
    events = [
        happened(3),
        happened(4, BEGAN, head="walking"),
        happened(9, ENDED, head="walking"),
        happened(3, device="another"),
    ]
    with open_sink(broker.url, device="wrist-7", stream_id=3, spool=str(tmp_path / "spool"), delay_s=0) as sink:
        sink.publish_events(events)
        sink.publish(numbered(5))
    seen: list[CollectCounts] = []
    counts = collect(broker.url, f"store:{tmp_path / 's'}", count=5, timeout_s=60, on_progress=seen.append)
    assert counts == seen[-1]
    # The state that the broker keeps may come once more, in the same transaction.
    assert (counts.stored, counts.events, counts.junk) == (5, 4, 0) and counts.duplicates <= 1
    assert event_rows(tmp_path / "s") == sorted(it.key for it in events)


def test_a_state_that_the_broker_keeps_is_stored_once_however_often_it_is_seen(broker: Broker, tmp_path: Path) -> None:
    subscribe(broker, tmp_path)
    put(broker, of_event(happened(4, BEGAN, head="walking")), retain=True)
    into = f"store:{tmp_path / 's'}"
    first = collect_some(broker.url, into)
    again = collect_some(broker.url, into, client_id="another")
    assert (first.events, again.events) == (1, 0)
    assert again.duplicates >= 1
    # An empty payload removes it, and is passed on.
    put(broker, ("motionsig/wrist-7/events/walking", b""), ("motionsig/wrist-7/events/wave", b""), retain=True)
    assert collect_some(broker.url, into, but_none=True) == CollectCounts()
    assert len(event_rows(tmp_path / "s")) == 1


def test_events_that_are_none_are_junk_and_harm_nothing(broker: Broker, tmp_path: Path) -> None:
    subscribe(broker, tmp_path)
    topic, payload = of_event(happened(4))
    other = dataclasses.replace(happened(4), score=0.5)
    junk = [
        ("motionsig/another/events/wave", payload),
        ("motionsig/wrist-7/events/clap", payload),
        (topic, payload.replace(b"0.75", b"NaN")),
        (topic, bytes(range(256))),
        (topic, message("wrist-7", 0, 1)[1]),
        (topic, b"[" * 5000),
        (topic, payload[:-1]),
        ("motionsig/wrist-7/signatures", payload),
        ("motionsig/events/signatures", message("wrist-7", 0, 1)[1]),
    ]
    put(broker, *junk, (topic, payload), (topic, payload), of_event(other), message("events", 0, 1))
    counts = collect(broker.url, f"store:{tmp_path / 's'}", count=1, timeout_s=60)
    assert counts == CollectCounts(messages=4, stored=1, events=1, duplicates=1, conflicts=1, junk=len(junk))
    assert event_rows(tmp_path / "s") == [happened(4).key]


def test_an_event_that_cannot_be_stored_is_not_acknowledged(broker: Broker, tmp_path: Path) -> None:
    subscribe(broker, tmp_path)
    put(broker, of_event(happened(0)))
    with contextlib.closing(sqlite3.connect(tmp_path / "s", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkError, match=r"^store:.*database is locked"):
            collect(broker.url, f"store:{tmp_path / 's'}?busy_timeout_s=0.05", timeout_s=60)
        lock.execute("ROLLBACK")
    assert collect_some(broker.url, f"store:{tmp_path / 's'}").events == 1


def test_kill_9_of_the_collector_loses_no_event(broker: Broker, tmp_path: Path) -> None:
    into = f"store:{tmp_path / 's'}"
    subscribe(broker, tmp_path)
    with open_sink(broker.url, device="wrist-7", stream_id=3, spool=str(tmp_path / "spool"), delay_s=6) as sink:
        for first in range(0, 300, 100):
            with running(sys.executable, "-c", KILLED, broker.url, into) as child:
                assert child.stdout is not None
                child.stdout.readline()
                for seq in range(first, first + 100):
                    sink.publish_events([happened(seq)])
                    time.sleep(0.001)
                time.sleep(0.2)
    wait_until(lambda: bool(collect_some(broker.url, into, but_none=True)) and len(event_rows(tmp_path / "s")) >= 300)
    assert [seq for *_, seq, _ in event_rows(tmp_path / "s")] == list(range(300))


def test_receivers_of_a_group_share_the_work_and_kill_9_of_one_loses_nothing(broker: Broker, tmp_path: Path) -> None:
    """Each has its own part of every stream; what the killed one had not stored comes when it is back."""
    group = f"{broker.url}?prefix=$share/g/motionsig"
    with contextlib.ExitStack() as children:
        for name in "ab":
            child = children.enter_context(running(sys.executable, "-c", KILLED, group, f"store:{tmp_path / name}"))
            assert child.stdout is not None
            child.stdout.readline()
        wait_until(lambda: broker.log.count("Sending SUBACK") >= 6)
        put(broker, *(message(f"d{seq % 7}", seq, 1) for seq in range(100)))
        wait_until(lambda: count(tmp_path / "a") + count(tmp_path / "b") == 100)
        assert count(tmp_path / "a") > 10 and count(tmp_path / "b") > 10
        child.kill()
        child.wait()
        put(broker, *(message(f"d{seq % 7}", seq, 1) for seq in range(100, 200)))

    def all_came() -> bool:
        for name in "ab":
            collect_some(group, f"store:{tmp_path / name}", but_none=True)
        return sum(count(tmp_path / name) for name in "ab") >= 200

    wait_until(all_came)
    held = [(device, seq) for name in "ab" for device, seq in _numbers(tmp_path / name)]
    assert sorted(held) == sorted((f"d{seq % 7}", seq) for seq in range(200))


def _numbers(path: Path) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT device, seq FROM signatures").fetchall()


@pytest.mark.parametrize("prefix", ["$share", "$share/g", "$share//motionsig", "$share/g/", "$share/+/motionsig"])
def test_a_share_without_a_group_or_a_prefix_is_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(InputError, match="prefix"):
        collect("mqtt://h", f"store:{tmp_path / 's'}", prefix=prefix)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_message_that_is_far_too_large_is_not_read_into_memory(broker: Broker, tmp_path: Path, protocol: str) -> None:
    subscribe(broker, tmp_path)
    put(broker, ("motionsig/evil/signatures", bytes(40_000_000)), message("honest", 0, 5))
    tracemalloc.start()
    try:
        counts = collect(broker.url, f"store:{tmp_path / 's'}", count=5, timeout_s=60, protocol=protocol)
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()
    # With MQTT 5 the broker does not send it (2.0.11 may end the connection then, and send the rest again). Without, it
    # is junk and does not come again.
    assert (counts.stored, counts.junk) == (5, int(protocol == "3.1.1"))
    again = collect_some(broker.url, f"store:{tmp_path / 's'}", but_none=True, protocol=protocol)
    assert (again.stored, again.junk) == (0, 0)


def test_a_backlog_larger_than_a_transaction_is_stored_before_the_broker_answers(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker sends what waited before it answers the subscription: it must not pile up, nor silence the status."""
    monkeypatch.setattr("motionsig.collector.inbox.MOST_MESSAGES", 20)
    subscribe(broker, tmp_path)
    put(broker, *(message("a", seq, 1) for seq in range(300)))
    waiting: list[int] = []
    put_into = Inbox.store

    def noted(self: Inbox) -> Any:
        waiting.append(self.waiting)
        return put_into(self)

    monkeypatch.setattr(Inbox, "store", noted)
    assert collect(broker.url, f"store:{tmp_path / 's'}", count=300, timeout_s=60).stored == 300
    assert max(waiting) == 20


def test_the_status_tells_holes_lag_and_connection(broker: Broker, tmp_path: Path) -> None:
    subscribe(broker, tmp_path)
    put(broker, message("a", 0, 5), message("a", 10, 5), message("b", 7, 1))

    def statuses(count: int, seq: int, holds: Callable[[dict[str, Any]], bool]) -> tuple[dict[str, Any], ...]:
        """Collect `count` signatures, of which the last, number seq of device b, is sent once a status holds.

        Return that status, and the last one.
        """
        seen: list[dict[str, Any]] = []
        with ThreadPoolExecutor(1) as pool:
            how = {"count": count, "timeout_s": 60, "holes_s": 0.5, "on_status": seen.append}
            done = pool.submit(collect, broker.url, f"store:{tmp_path / 's'}", **how)
            wait_until(lambda: any(map(holds, list(seen))))
            put(broker, message("b", seq, 1))
            done.result()
        return next(filter(holds, seen)), seen[-1]

    last, _ = statuses(12, 8, lambda it: it["stored"] == 11 and it["holes"]["found"] == 2)
    assert last["connected"] and last["protocol"] == "5" and last["broker"] == broker.url
    assert (last["messages"], last["stored"]) == (3, 11)
    assert last["holes"] == {"open": 2, "missing": 12, "devices": 2, "found": 2, "filled": 0}
    assert last["lag_s"]["p50"] > 1e6 and last["silent_s"] < 60
    # A new receiver asks its store: what is missing before the newest was reported in its time.
    put(broker, message("a", 15, 5))
    last, ended = statuses(6, 9, lambda it: it["stored"] == 5 and it["silent_s"] >= 1)
    assert last["holes"]["found"] == 0 and not ended["connected"]


def test_a_group_that_stores_into_files_reports_no_holes_unless_it_is_told_to(broker: Broker, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    for more in ({}, {"holes_s": 20}):
        into = f"store:{tmp_path / 's'}"
        collect_some(f"{broker.url}?prefix=$share/g/m", into, but_none=True, on_status=seen.append, **more)
        seen = [seen[-1]] if not more else [seen[0], seen[-1]]
    assert seen[0]["holes"] is None and seen[1]["holes"] is not None


def test_two_receivers_of_one_client_id_are_told_why(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """MQTT 5 may say it; with 3.1.1 the connection only ends, again and again."""
    for protocol in ("5", "3.1.1"):
        caplog.clear()
        options: dict[str, Any] = {"client_id": "same", "protocol": protocol, "retry_s": 0.02, "max_retry_s": 0.05}
        threads = [
            threading.Thread(
                target=collect, args=(broker.url, f"store:{tmp_path / name}"), kwargs={"timeout_s": 5, **options}
            )
            for name in "xy"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert re.search(r"another (program using|receiver use) the client ID 'same'", caplog.text)
