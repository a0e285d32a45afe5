"""The sending thread against a real broker that is stopped, stalled, killed, or whose acknowledgements are lost."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from broker import Broker, Proxy
from made import lines_until_killed, numbered, wait_until
from processes import STALL_S
from receiving import Receiver, mqtt
from scripted import Publish, Scripted, acknowledgement

from motionsig import wire
from motionsig.errors import SinkError
from motionsig.publishers import open_sink, sending, transport
from motionsig.publishers.messages import pack
from motionsig.publishers.spool import Spool


def test_a_broker_that_comes_later_gets_everything(
    broker: Broker, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker.stop()
    with mqtt(broker.url, tmp_path / "spool") as sink:
        for number in range(100):
            sink.publish(numbered(1, number))
        wait_until(lambda: sink.last_error == f"{broker.url}: connection refused")
        assert (sink.counts.pending, sink.payload_bytes) == (100, 0)
        time.sleep(0.3)
        broker.start()
        wait_until(lambda: sink.counts.pending == 0)
        assert sink.last_error is None
    wait_until(lambda: receiver.firsts() == list(range(100)))
    assert caplog.text.count("connection refused") == 1, "said once, not at every attempt"


def test_broker_restarts_and_kills_lose_nothing_and_keep_order(
    broker: Broker, receiver: Receiver, tmp_path: Path
) -> None:
    chance = random.Random(4)
    with mqtt(broker.url, tmp_path / "spool", delay_s=0, hold_s=5) as sink:
        number = 0
        for end in (broker.stop, broker.kill, broker.kill, broker.stop, broker.kill):
            until = time.monotonic() + chance.uniform(0.05, 0.3)
            while time.monotonic() < until:
                sink.publish(numbered(2, number))
                number += 2
                time.sleep(0.002)
            end()
            sink.publish(numbered(2, number))
            number += 2
            broker.start()
        wait_until(lambda: len(receiver.firsts()) == number)
        wait_until(lambda: sink.counts.pending == 0)
    assert receiver.firsts() == list(range(number))
    assert sink.counts.delivered == number


def test_what_a_killed_broker_acknowledged_and_lost_is_sent_again(tmp_path: Path) -> None:
    """Nobody is subscribed and nothing saved when it dies: only holding on to acknowledged records helps."""
    with Broker(tmp_path / "broker") as broker, mqtt(broker.url, tmp_path / "spool", hold_s=30) as sink:
        sink.publish(numbered(50))
        wait_until(lambda: sink.counts.pending == 0)
        broker.kill()
        broker.start()
        with Receiver(broker.url) as receiver:
            # An attempt may come before the subscription does; one of them finds it.
            for end in range(50, 70):
                sink.publish(numbered(1, end))
                wait_until(lambda: sink.counts.pending == 0)
                broker.stop()
                subscriptions = receiver.subscriptions
                broker.start()
                wait_until(lambda: receiver.subscriptions > subscriptions)  # noqa: B023
                with contextlib.suppress(AssertionError):
                    wait_until(lambda: set(receiver.seqs) >= set(range(50)), 5)
                    break
            assert set(receiver.seqs) >= set(range(50))
        assert sink.counts.delivered == end + 1
        sink.close()


def test_what_was_held_long_enough_is_forgotten(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", hold_s=0.1, keepalive_s=1) as sink:
        sink.publish(numbered(500))
        wait_until(lambda: sink.counts.pending == 0)
        wait_until(lambda: sink._spool.used_bytes == 0)


def test_a_stalled_broker_is_given_up_and_taken_up_again(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", ack_timeout_s=0.4, delay_s=0) as sink:
        sink.publish(numbered(1))
        wait_until(lambda: sink.counts.pending == 0)
        broker.stall()
        for number in range(1, 100):
            sink.publish(numbered(1, number))
        wait_until(lambda: "no acknowledgement for 0.4 s" in str(sink.last_error))
        wait_until(lambda: sink._outbox._lanes == ())
        broker.go_on()
        wait_until(lambda: len(receiver.firsts()) == 100)
        wait_until(lambda: sink.counts.pending == 0)
    assert receiver.firsts() == list(range(100))


def test_closing_while_the_broker_stalls_takes_no_longer_than_told(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", close_timeout_s=0.5) as sink:
        wait_until(lambda: "wrist" in broker.log)
        broker.stall()
        sink.publish(numbered(10))
        began = time.monotonic()
    assert time.monotonic() - began < 0.5 + STALL_S
    assert sink.counts.pending == 10
    broker.go_on()


@pytest.mark.parametrize("swallow", [range(1), range(3, 5), range(20)])
def test_lost_acknowledgements_do_not_stop_the_window(
    broker: Broker, receiver: Receiver, tmp_path: Path, swallow: range
) -> None:
    proxy = Proxy(broker.port, swallow)
    try:
        with mqtt(
            f"mqtt://127.0.0.1:{proxy.port}", tmp_path / "spool", ack_timeout_s=0.2, in_flight=5, max_message_bytes=250
        ) as sink:
            for number in range(30):
                sink.publish(numbered(1, number))
            wait_until(lambda: sink.counts.pending == 0)
        wait_until(lambda: len(receiver.firsts()) == 30)
        assert receiver.firsts() == list(range(30))
        assert len(receiver.seqs) > 30, "the broker had them already"
        assert sink.counts.delivered == 30
        assert proxy.connections > 1
    finally:
        proxy.close()


PUBLISHER = """
import sys, time
sys.path.insert(0, sys.argv[3])
from made import numbered
from motionsig.publishers import open_sink
url, spool, _, stream_id = sys.argv[1:]
options = {"delay_s": 0.02, "retry_s": 0.05, "max_retry_s": 0.2}
sink = open_sink(url, device="d", stream_id=int(stream_id), spool=spool, buffer=spool + "-buffer", **options)
number = 0
while True:
    sink.publish(numbered(2, number))
    number += 2
    print(stream_id, number, flush=True)
    time.sleep(0.001)
"""


def test_kill_9_of_the_publisher_loses_nothing_it_accepted(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    chance = random.Random(1)
    accepted = {}
    for stream_id in range(4):
        arguments = [broker.url, str(tmp_path / "spool"), str(Path(__file__).parent), str(stream_id)]
        pause_s = chance.uniform(0.0, 0.3)
        lines = lines_until_killed(sys.executable, "-c", PUBLISHER, *arguments, after=1, pause_s=pause_s)
        accepted[stream_id] = max(int(line.split()[1]) for line in lines if len(line.split()) == 2)
    with mqtt(broker.url, tmp_path / "spool", buffer=str(tmp_path / "spool-buffer")) as sink:
        assert sink.counts.damaged_bytes == 0
    assert sink.counts.pending == 0
    for stream_id, count in accepted.items():

        def firsts(stream_id: int = stream_id) -> list[int]:
            return list(dict.fromkeys(
                message.seq + row
                for message in list(receiver.messages)
                if message.stream_id == stream_id
                for row in range(len(message.signatures))
            ))  # fmt: skip

        wait_until(lambda: len(firsts()) >= count)  # noqa: B023
        assert firsts() in (list(range(count)), list(range(count + 2)))


def test_live_signatures_pass_a_backlog(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for first in range(0, 6000, 12):
        (message,) = pack(wire.Message("wrist-7", 2, first, numbered(12, first)))
        spool.append(message.data, message.rows)
    spool.close()

    def answer(message: Publish) -> bytes:
        # Between two messages of the backlog, however fast it goes.
        if len(broker.received) == 10:
            for number in range(5):
                sink.publish(numbered(1, number))
        return acknowledgement(message)

    with Scripted(puback=answer) as broker:
        with mqtt(broker.url, tmp_path / "spool", delay_s=0, in_flight=2) as sink:
            wait_until(lambda: sink.counts.delivered == 6005)
        messages = [wire.decode(message.payload) for message in broker.received]
    stream_ids = [message.stream_id for message in messages]
    behind = len(stream_ids) - stream_ids.index(3)
    assert behind > 40, "what was published first would have come last"
    assert next(message.seq for message in messages if message.stream_id == 3) == 0
    backlog = [message.seq for message in messages if message.stream_id == 2]
    assert backlog == sorted(set(backlog))


def test_a_fleet_comes_back_spread_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[float] = []
    monkeypatch.setattr(sending.random, "uniform", lambda low, high: bounds.append(high) or 0.01)
    with open_sink(
        "mqtt://127.0.0.1:9", device="d", stream_id=1, spool=str(tmp_path / "absent"), close_timeout_s=0
    ) as sink:
        wait_until(lambda: len(bounds) >= 7)
    assert bounds[:7] == [20, 40, 80, 160, 300, 300, 300]
    options = {"spool": str(tmp_path / "spool"), "delay_s": 0}
    with Broker(tmp_path / "broker") as broker, open_sink(broker.url, device="d", stream_id=1, **options) as sink:
        sink.publish(numbered(1))
        wait_until(lambda: sink.counts.delivered == 1)
        bounds.clear()
        broker.kill()
        wait_until(lambda: len(bounds) >= 2)
        broker.start()
    assert bounds[:2] == [10, 20], "after a connection that delivered"


def test_a_dead_thread_is_not_hidden(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    sink = mqtt(broker.url, tmp_path / "spool")
    sink._sender.outbox = None  # type: ignore[assignment]
    sink._sender.wake()
    wait_until(lambda: not sink._sender.alive)
    with pytest.raises(SinkError, match="the sending thread ended"):
        sink.publish(numbered(1))
    sink.close()
    assert sink.counts.accepted == 0


def test_a_sink_closed_on_a_hung_thread_leaves_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "HANDSHAKE_TIMEOUT_S", 600.0)
    monkeypatch.setattr(sending, "GOODBYE_S", 0.05)
    # What a thread that died in an earlier test had open goes with its traceback.
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd"))
    # It takes connections and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtts://127.0.0.1:{server.getsockname()[1]}"
        sink = mqtt(url, tmp_path / "spool", close_timeout_s=0.05, keepalive_s=60)
        sink.publish(numbered(1))
        client, _ = server.accept()
        heartbeat_s = sink.heartbeat_s
        sink.close()
        assert sink._sender.alive
        assert sink.heartbeat_s == heartbeat_s, "which is what the daemon sees of it"
        client.close()
        wait_until(lambda: not sink._sender.alive)
    assert len(os.listdir("/proc/self/fd")) == descriptors
