"""The MQTT sink against a real broker that is stopped, stalled, killed, or whose acknowledgements are lost."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from broker import PERSISTENT, Broker, Proxy, make_certificates
from made import assert_same, numbered, wait_until

from motionsig import wire
from motionsig.errors import InputError, SinkError
from motionsig.publishers import connection, open_sink, sending
from motionsig.publishers.connection import Connection, parse_broker
from motionsig.publishers.messages import pack
from motionsig.publishers.mqtt import MqttSink, default_spool
from motionsig.publishers.spool import Spool

QUICK = {"retry_s": 0.05, "max_retry_s": 0.3, "delay_s": 0.05, "close_timeout_s": 5, "keepalive_s": 5}


def mqtt(url: str, spool: Path, **options: Any) -> MqttSink:
    sink = open_sink(url, device="wrist-7", stream_id=3, spool=str(spool), **{**QUICK, **options})
    assert isinstance(sink, MqttSink)
    return sink


class Receiver:
    """A plain subscriber with a persistent session, reconnecting for as long as it is open."""

    def __init__(self, url: str) -> None:
        self.messages: list[wire.Message] = []
        self.sizes: list[int] = []
        self.subscriptions = 0
        self._broker = parse_broker(url)
        self._open = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_until(lambda: self.subscriptions > 0)

    def _take(self, message: Any) -> None:
        self.messages.append(wire.decode(bytes(message.payload)))
        self.sizes.append(len(message.payload))

    def _run(self) -> None:
        while self._open:
            connection = Connection(
                self._broker, client_id="receiver", clean_session=False, keepalive_s=5, on_message=self._take
            )
            try:
                connection.open(5, lambda: not self._open)
                connection.subscribe("motionsig/+/signatures", 5)
                self.subscriptions += 1
                while self._open:
                    connection.turn(0.05)
                connection.close()
            except SinkError:
                connection.drop()
                time.sleep(0.02)

    @property
    def seqs(self) -> list[int]:
        return [message.seq + row for message in list(self.messages) for row in range(len(message.signatures))]

    def firsts(self) -> list[int]:
        """Return every sequence number when it came for the first time."""
        return list(dict.fromkeys(self.seqs))

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._thread.join()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", settings=f"allow_anonymous true\n{PERSISTENT}") as running:
        yield running


@pytest.fixture
def receiver(broker: Broker) -> Iterator[Receiver]:
    with Receiver(broker.url) as running:
        yield running


def test_signatures_travel_together(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", delay_s=30) as sink:
        for number in range(130):
            sink.publish(numbered(1, number))
        wait_until(lambda: len(receiver.messages) >= 2)
        time.sleep(0.1)
        full = len(receiver.messages)
        assert full == 2
        sink.flush()
        wait_until(lambda: len(receiver.seqs) == 130)
        sink.publish(numbered(1, 130))
        began = time.monotonic()
    assert time.monotonic() - began < 2, "close does not wait for delay_s"
    wait_until(lambda: len(receiver.seqs) == 131)
    assert receiver.seqs == list(range(131))
    assert [len(message.signatures) for message in receiver.messages[-2:]] == [130 - len_of(receiver, full), 1]
    assert 3800 < max(receiver.sizes) <= 4000
    assert sink.payload_bytes == sum(receiver.sizes)
    assert (sink.counts.delivered, sink.counts.pending) == (131, 0)
    for message in receiver.messages:
        assert (message.device, message.stream_id) == ("wrist-7", 3)
        assert_same(message.signatures, numbered(len(message.signatures), message.seq))


def len_of(receiver: Receiver, messages: int) -> int:
    return sum(len(message.signatures) for message in receiver.messages[:messages])


def test_a_delay_of_nothing_sends_each_at_once(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", delay_s=0) as sink:
        for number in range(5):
            sink.publish(numbered(1, number))
            wait_until(lambda: len(receiver.seqs) == number + 1)  # noqa: B023
    assert len(receiver.messages) == 5


def test_the_delay_bounds_the_wait(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", delay_s=0.5) as sink:
        wait_until(lambda: sink.last_error is None and "wrist" in broker.log)
        began = time.monotonic()
        sink.publish(numbered(1))
        time.sleep(0.2)
        sink.publish(numbered(1, 1))
        wait_until(lambda: len(receiver.seqs) == 2)
        assert 0.45 < time.monotonic() - began < 2
        assert len(receiver.messages) == 1


def test_compressed_signatures_fill_messages(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    smooth = numbered(3000)
    smooth.codes[:] = (smooth.start_ns[:, None] // smooth.hop_ns // 50).astype("int8")
    with mqtt(broker.url, tmp_path / "spool", compress=True, delay_s=30) as sink:
        for first in range(0, 3000, 3):
            sink.publish(smooth[first : first + 3])
    wait_until(lambda: len(receiver.seqs) == 3000)
    assert receiver.seqs == list(range(3000))
    assert max(receiver.sizes) <= 4000
    assert sink.payload_bytes == sum(receiver.sizes) < 3000 * 30


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


def test_what_is_left_at_close_is_said_and_sent_next_time(
    broker: Broker, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    absent = Broker(tmp_path / "absent")
    began = time.monotonic()
    with mqtt(absent.url, tmp_path / "spool", close_timeout_s=0.3) as sink:
        sink.publish(numbered(70))
    assert time.monotonic() - began < 3
    assert sink.counts.pending == 70
    assert "70 signatures are not acknowledged and wait in" in caplog.text
    assert "connection refused" in caplog.text
    with mqtt(broker.url, tmp_path / "spool") as sink:
        assert sink.counts.recovered == 70
        sink.publish(numbered(5, 70))
    wait_until(lambda: receiver.seqs == [*range(70), *range(5)])
    assert (sink.counts.delivered, sink.counts.accepted, sink.counts.pending) == (75, 5, 0)
    assert sink.payload_bytes < 5 * 70 + 200, "left-overs are not this run's payload"
    assert not list((tmp_path / "spool").glob("*.segment"))


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
    broker = Broker(tmp_path / "broker")
    broker.start()
    with mqtt(broker.url, tmp_path / "spool", hold_s=30) as sink:
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
                    wait_until(lambda: set(receiver.seqs) >= set(range(50)), 2)
                    break
            assert set(receiver.seqs) >= set(range(50))
        assert sink.counts.delivered == end + 1
        sink.close()
    broker.stop()


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
    assert time.monotonic() - began < 2
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
sink = open_sink(url, device="d", stream_id=int(stream_id), spool=spool, buffer=spool + "-stage", **options)
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
        arguments = [str(tmp_path / "spool"), str(Path(__file__).parent), str(stream_id)]
        child = subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, broker.url, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        time.sleep(chance.uniform(0.0, 0.3))
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines()
        child.stdout.close()
        child.wait()
        accepted[stream_id] = max(int(line.split()[1]) for line in lines if len(line.split()) == 2)
    with mqtt(broker.url, tmp_path / "spool", buffer=str(tmp_path / "spool-stage")) as sink:
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


def test_live_signatures_pass_a_backlog(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for first in range(0, 6000, 12):
        (message,) = pack(numbered(12, first), device="wrist-7", stream_id=2, seq=first)
        spool.append(message.data, message.rows)
    spool.close()
    with mqtt(broker.url, tmp_path / "spool", delay_s=0, in_flight=2) as sink:
        wait_until(lambda: sink.counts.delivered > 0)
        for number in range(5):
            sink.publish(numbered(1, number))
        wait_until(lambda: sink.counts.pending == 0)
        wait_until(lambda: len(receiver.seqs) == 6005)
    stream_ids = [message.stream_id for message in receiver.messages]
    behind = len(stream_ids) - stream_ids.index(3)
    assert behind > 40, "what was published first would have come last"
    assert next(message.seq for message in receiver.messages if message.stream_id == 3) == 0
    backlog = [message.seq for message in receiver.messages if message.stream_id == 2]
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


@pytest.mark.parametrize("full", ["oldest", "newest"])
def test_a_full_spool_drops_by_choice_and_says_so_once(
    broker: Broker, receiver: Receiver, tmp_path: Path, full: str, caplog: pytest.LogCaptureFixture
) -> None:
    absent = Broker(tmp_path / "absent")
    with mqtt(absent.url, tmp_path / "spool", full=full, max_bytes=65536, close_timeout_s=0.1) as sink:
        for number in range(1000):
            sink.publish(numbered(1, number))
        counts = sink.counts
        assert counts.dropped + counts.pending == 1000
        assert counts.accepted == (1000 if full == "oldest" else counts.pending)
        assert caplog.text.count("dropped so far") == 1
    with mqtt(broker.url, tmp_path / "spool"):
        pass
    wait_until(lambda: len(receiver.seqs) == counts.pending)
    kept = range(1000 - counts.pending, 1000) if full == "oldest" else range(counts.pending)
    assert receiver.seqs == list(kept)


def test_waiting_for_room_drops_nothing(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", full="wait", max_bytes=65536, delay_s=30) as sink:
        for first in range(0, 5000, 500):
            sink.publish(numbered(500, first))
    wait_until(lambda: len(receiver.seqs) >= 5000)
    assert receiver.seqs == list(range(5000))
    assert (sink.counts.dropped, sink.counts.delivered) == (0, 5000)


def test_waiting_for_room_ends_when_nothing_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionsig.publishers.mqtt.FULL_TIMEOUT_S", 0.2)
    absent = Broker(tmp_path / "absent")
    with mqtt(absent.url, tmp_path / "spool", full="wait", max_bytes=65536, close_timeout_s=0.1) as sink:
        with pytest.raises(SinkError, match=r"nothing was delivered for 0\.2 s: .*connection refused"):
            sink.publish(numbered(2000))
        assert 0 < sink.counts.accepted == sink.counts.pending < 2000


def test_strict_reaches_the_disk_before_publish_returns(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", strict=True) as sink:
        sink.publish(numbered(3))
        assert not any(segment.fresh for segment in sink._spool._segments.values())


def test_two_publishers_on_one_spool(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool"), pytest.raises(SinkError, match="another publisher"):
        mqtt(broker.url, tmp_path / "spool")


def test_a_dead_thread_is_not_hidden(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    sink = mqtt(broker.url, tmp_path / "spool")
    sink._sender._outbox = None  # type: ignore[assignment]
    sink._sender.wake()
    wait_until(lambda: not sink._sender.alive)
    with pytest.raises(SinkError, match="the sending thread ended"):
        sink.publish(numbered(1))
    sink.close()
    assert sink.counts.accepted == 0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


def tls_broker(folder: Path, certificates: Path) -> Broker:
    listener = (
        f"cafile {certificates}/ca.pem\ncertfile {certificates}/server.pem\nkeyfile {certificates}/server.key\n"
        "require_certificate true\n"
    )
    return Broker(folder, listener=listener)


def test_tls_with_a_client_certificate(tmp_path: Path, certificates: Path) -> None:
    files = {"ca": f"{certificates}/ca.pem", "cert": f"{certificates}/client.pem", "key": f"{certificates}/client.key"}
    with tls_broker(tmp_path / "broker", certificates) as broker:
        with mqtt(f"mqtts://localhost:{broker.port}", tmp_path / "spool", **files) as sink:
            for number in range(300):
                sink.publish(numbered(10, 10 * number))
        assert (sink.counts.delivered, sink.counts.pending) == (3000, 0)


@pytest.mark.parametrize(
    ("ca", "cert", "host", "reason"),
    [
        ("other-ca.pem", True, "localhost", "certificate was refused"),
        ("ca.pem", True, "127.0.0.2", "certificate was refused"),
        ("ca.pem", False, "localhost", "client certificate"),
    ],
)
def test_tls_that_does_not_fit(tmp_path: Path, certificates: Path, ca: str, cert: bool, host: str, reason: str) -> None:
    options: dict[str, Any] = {"ca": f"{certificates}/{ca}", "close_timeout_s": 0.2}
    if cert:
        options |= {"cert": f"{certificates}/client.pem", "key": f"{certificates}/client.key"}
    with tls_broker(tmp_path / "broker", certificates) as broker:
        if host == "127.0.0.2":
            broker.stop()
            broker.config.write_text(broker.config.read_text().replace("127.0.0.1", "127.0.0.2"))
            broker.start("127.0.0.2")
        with mqtt(f"mqtts://{host}:{broker.port}", tmp_path / "spool", **options) as sink:
            sink.publish(numbered(3))
            wait_until(lambda: sink.last_error is not None and reason in sink.last_error)
        assert sink.counts.pending == 3


def test_a_sink_closed_on_a_hung_thread_leaves_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_TIMEOUT_S", 0.8)
    monkeypatch.setattr(sending, "GOODBYE_S", 0.05)
    descriptors = len(os.listdir("/proc/self/fd"))
    # It takes connections and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = mqtt(f"mqtts://127.0.0.1:{server.getsockname()[1]}", tmp_path / "spool", close_timeout_s=0.05)
        sink.publish(numbered(1))
        client, _ = server.accept()
        sink.close()
        assert sink._sender.alive
        wait_until(lambda: not sink._sender.alive)
        client.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_password_is_needed_and_never_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, certificates: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "me", "p@ss word"], check=True, capture_output=True)
    with Broker(tmp_path / "broker", settings=f"allow_anonymous false\npassword_file {passwords}\n") as broker:
        right = f"mqtt://me:p%40ss%20word@127.0.0.1:{broker.port}"
        with mqtt(right, tmp_path / "spool") as sink:
            sink.publish(numbered(2))
        assert sink.counts.delivered == 2
        with mqtt(broker.url, tmp_path / "spool", username="me", password="p@ss word") as sink:
            sink.publish(numbered(2))
        assert sink.counts.delivered == 2
        for wrong in (right.replace("word", "what"), broker.url):
            with mqtt(wrong, tmp_path / "spool", close_timeout_s=0.3) as sink:
                sink.publish(numbered(1))
                wait_until(lambda: sink.last_error is not None and "uthori" in sink.last_error)
    assert "word" not in caplog.text.replace("password", "").replace("passwords", "")
    assert "p@ss" not in caplog.text + repr(sink.broker)


def test_something_that_is_no_broker(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = mqtt(f"mqtt://127.0.0.1:{server.getsockname()[1]}", tmp_path / "spool", close_timeout_s=0.2)
        client, _ = server.accept()
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(200))
        wait_until(lambda: "mqtt://127.0.0.1" in str(sink.last_error))
        sink.close()
        client.close()


def test_default_spools_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = parse_broker("mqtt://host")
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/elsewhere")
    assert default_spool(broker, "wrist") == tmp_path / "spool" / "host-1883-wrist"
    odd = [default_spool(broker, device).name for device in ("a/b", "a:b", "..", "ü" * 128)]
    assert len(set(odd)) == 4
    assert all(name.isascii() and "/" not in name and len(name) < 120 for name in odd)
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert default_spool(broker, "wrist") == Path("/x/motionsig/spool/host-1883-wrist")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_spool(broker, "w") == Path("/home/me/.local/state/motionsig/spool/host-1883-w")


@pytest.mark.parametrize("device", ["a+b", "a#", "a\0", "a/b", "\ud800"])
def test_devices_that_cannot_be_a_topic(device: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device"):
        open_sink("mqtt://host", device=device, stream_id=1, spool=str(tmp_path))
