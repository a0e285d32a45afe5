"""Which MQTT a broker speaks and what it takes: told by a scripted broker, as no real one here is so narrow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from broker import Broker
from made import numbered, wait_until
from receiving import Receiver, happened, mqtt
from scripted import Publish, Scripted, acknowledgement, connack
from tunnel import Tunnel

from motionsig import wire
from motionsig.errors import InputError
from motionsig.publishers import sending

OLD = b"\x20\x02\0\0"  # a CONNACK of MQTT 3.1.1: accepted


@pytest.mark.parametrize(
    "answer",
    [b"\x20\x02\0\x01", b"\x20\x03\0\x84\0", None, OLD, b""],
    ids=["3.1.1 says so", "5 says so", "closes", "answers as 3.1.1 does", "waits"],
)
def test_a_broker_without_mqtt_5_gets_3_1_1_and_is_remembered(
    tmp_path: Path, answer: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is silent twice is waited for twice; a machine under load may be silent, too.
    monkeypatch.setattr(sending, "CONNECT_TIMEOUT_S", 3.0 if answer == b"" else 60.0)
    with Scripted(connack=lambda version: answer if version == 5 else OLD) as broker:
        with mqtt(broker.url, tmp_path / "spool", delay_s=0) as sink:
            sink.publish(numbered(3))
            wait_until(lambda: sink.counts.pending == 0)
            assert (broker.versions, sink.last_error) == ([5, 4], None)
            for _ in range(3):
                broker._clients[-1].shutdown(2)
                known = len(broker.versions)
                wait_until(lambda: len(broker.versions) > known and broker.versions[-1] == 4)  # noqa: B023
                # Only a connection that the broker has accepted says that it speaks 3.1.1.
                wait_until(lambda: sink.last_error is None)
        certain = answer is not None and len(answer) and answer[3] in (1, 0x84)
        assert broker.versions == ([5, 4, 4, 4, 4] if certain else [5, 4, 5, 4, 4, 4])


def test_a_network_that_takes_long_to_connect_leaves_the_broker_its_time(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with TLS over a slow radio: each of both attempts took longer than all of the time for the answer."""
    monkeypatch.setattr(sending, "CONNECT_TIMEOUT_S", 3.0)
    with (
        Tunnel("http", delay_s=3.5) as tunnel,
        mqtt(broker.url, tmp_path / "spool", proxy=f"http://127.0.0.1:{tunnel.port}", client_id="slow") as sink,
    ):
        sink.publish(numbered(1))
        wait_until(lambda: sink.counts.pending == 0)
    assert "as slow (p5" in broker.log


def test_the_protocol_can_be_chosen(tmp_path: Path, broker: Broker, receiver: Receiver) -> None:
    for number, (protocol, logged) in enumerate([("3.1.1", "p2"), ("5", "p5"), ("auto", "p5")]):
        name = f"chosen-{number}"
        with mqtt(broker.url, tmp_path / name, protocol=protocol, client_id=name) as sink:
            sink.publish(numbered(1))
        assert sink.counts.delivered == 1
        assert any(f"as {name} ({logged}" in line for line in broker.log.splitlines())
    wait_until(lambda: receiver.seqs == [0, 0, 0])
    with pytest.raises(InputError, match=r"protocol: expected one of auto, 5, 3\.1\.1, got '4'"):
        mqtt(broker.url, tmp_path / "other", protocol="4")
    with Scripted(connack=lambda version: None) as closing:
        with mqtt(closing.url, tmp_path / "other", protocol="5", close_timeout_s=0.1) as sink:
            wait_until(lambda: "does it want mqtts://" in str(sink.last_error))
        assert set(closing.versions) == {5}


def test_no_more_is_on_its_way_than_the_broker_takes_and_the_topic_travels_once(tmp_path: Path) -> None:
    """Receive Maximum 1, Topic Alias Maximum 5."""
    held: list[Publish] = []
    with Scripted(
        connack=lambda version: connack(b"\x21\0\1\x22\0\5"), puback=lambda message: (held.append(message), b"")[1]
    ) as broker:
        with mqtt(broker.url, tmp_path / "spool", max_message_bytes=128, availability=True) as sink:
            for number in range(5):
                sink.publish(numbered(1, number))
            for count in range(1, 7):
                wait_until(lambda: len(held) == count)  # noqa: B023
                broker._clients[-1].sendall(acknowledgement(held[-1]))
            wait_until(lambda: sink.counts.pending == 0)
            broker.puback = acknowledgement
        first, *others = [message for message in held if not message.retain][:5]
        assert (first.topic, first.alias) == ("motionsig/wrist-7/signatures", 1)
        assert {(message.topic, message.alias) for message in others} == {("", 1)}
        assert [wire.decode(message.payload).seq for message in (first, *others)] == list(range(5))


def test_waiting_for_the_only_message_that_may_be_on_its_way_takes_no_time_of_the_processor(tmp_path: Path) -> None:
    """Receive Maximum 1; the event is on its way, and signatures are due."""
    held: list[Publish] = []
    with (
        Scripted(
            connack=lambda version: connack(b"\x21\0\1"), puback=lambda message: (held.append(message), b"")[1]
        ) as broker,
        mqtt(broker.url, tmp_path / "spool", delay_s=0.3) as sink,
    ):
        wait_until(lambda: sink.last_error is None)
        sink.publish(numbered(1))
        time.sleep(0.1)
        sink.publish_events([happened(0)])
        wait_until(lambda: len(held) == 1)
        time.sleep(0.3)
        before_s = time.process_time()
        time.sleep(0.6)
        assert time.process_time() - before_s < 0.05
        broker.puback = acknowledgement
        broker._clients[-1].sendall(acknowledgement(held[0]))
        wait_until(lambda: sink.counts.pending == 0)


def test_a_broker_that_takes_only_qos_0_is_no_broker_for_us(tmp_path: Path) -> None:
    with Scripted(connack=lambda version: connack(b"\x24\0")) as broker:
        with mqtt(broker.url, tmp_path / "spool", delay_s=0, close_timeout_s=0.1) as sink:
            sink.publish(numbered(1))
            wait_until(lambda: "expected a broker that acknowledges messages (QoS 1)" in str(sink.last_error))
        assert (sink.counts.delivered, sink.counts.pending, broker.received) == (0, 1, [])


def test_a_broker_that_keeps_nothing_is_asked_to_keep_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It refuses a will that is to be kept, too."""

    def answer(version: int) -> bytes:
        return connack(code=0x9A) if broker.wills[-1][1] else connack(b"\x25\0")

    with Scripted(connack=answer) as broker:
        with mqtt(broker.url, tmp_path / "spool", availability=True) as sink:
            sink.publish(numbered(1))
            wait_until(lambda: sink.counts.pending == 0)
        assert broker.wills == [(True, True), (True, False)]
        assert {message.retain for message in broker.received} == {False}
    assert "the broker keeps no messages (retain)" in caplog.text


@pytest.mark.parametrize("version", [4, 5])
def test_smaller_messages_are_tried_where_the_broker_closes_at_each_large_one(
    tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(message: Publish) -> bytes | None:
        return acknowledgement(message) if len(message.payload) <= 900 else None

    with Scripted(
        connack=lambda asked: None if asked > version else connack() if asked == 5 else OLD, puback=answer
    ) as broker:
        with mqtt(broker.url, tmp_path / "spool") as sink:
            sink.publish(numbered(100))
            wait_until(lambda: sink.counts.pending == 0)
            refused = sum(len(message.payload) > 900 for message in broker.received)
            sink.publish(numbered(100, 100))
            wait_until(lambda: sink.counts.pending == 0)
        assert sink.counts.delivered == 200
        assert refused == sum(len(message.payload) > 900 for message in broker.received), "it is remembered"
    assert "motionsig/wrist-7/signatures; does the broker's access list allow that" in caplog.text
    assert "messages now have at most" in caplog.text


def test_a_disconnect_is_said_by_its_reason(tmp_path: Path) -> None:
    with Scripted(connack=lambda version: connack(), puback=lambda message: b"\xe0\x06\x97\x04\x1f\0\1\n") as broker:
        with mqtt(broker.url, tmp_path / "spool", close_timeout_s=0.2) as sink:
            sink.publish(numbered(2))
            wait_until(lambda: "the broker ended the connection: quota exceeded" in str(sink.last_error))
            assert "to motionsig/wrist-7/signatures" in str(sink.last_error)
            assert "\n" not in str(sink.last_error)
        assert (sink.counts.delivered, sink.counts.pending) == (0, 2)


def test_a_session_that_is_taken_over_is_said(tmp_path: Path) -> None:
    """Mosquitto 2.0 only closes the connection."""
    with (
        Scripted(connack=lambda version: connack(), puback=lambda message: b"\xe0\x01\x8e") as broker,
        mqtt(broker.url, tmp_path / "spool", client_id="twin", close_timeout_s=0.2) as sink,
    ):
        sink.publish(numbered(2))
        wait_until(lambda: "session taken over; is another program using the client ID 'twin'" in str(sink.last_error))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_two_with_one_client_id_are_named_as_the_cause(tmp_path: Path, broker: Broker, protocol: str) -> None:
    with (
        mqtt(broker.url, tmp_path / "one", client_id="twin", protocol=protocol) as one,
        mqtt(broker.url, tmp_path / "two", client_id="twin", protocol=protocol) as two,
    ):
        said = set[str]()

        def named() -> bool:
            said.update(str(sink.last_error) for sink in (one, two))
            return any("is another program using the client ID 'twin'" in text for text in said)

        wait_until(named)
