"""The JSON form at a real broker: what arrives, its size, and what an earlier run spooled for CBOR."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from broker import Broker
from made import assert_same, labelled, numbered, wait_until
from receiving import Receiver, from_json, mqtt

from motionsig import wire
from motionsig.publishers import open_sink
from motionsig.publishers.brokers import parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.spool import Spool

TOPIC = "motionsig/+/signatures/json"
RECORDING = wire.Recording("Küche, 3. Mai", 1_699_999_999_123_456_789)


def test_signatures_arrive_as_json_at_a_topic_of_their_own(broker: Broker, tmp_path: Path) -> None:
    with Receiver(broker.url, TOPIC, from_json) as receiver:
        with mqtt(broker.url, tmp_path / "spool", delay_s=30, format="json") as sink:
            for number in range(30):
                sink.publish(numbered(1, number))
            wait_until(lambda: len(receiver.messages) >= 2)
        wait_until(lambda: len(receiver.seqs) == 30)
    assert receiver.seqs == list(range(30))
    assert len(receiver.messages) == 3, "what is not full waits for the end"
    assert 3600 < max(receiver.sizes) <= 4000
    assert sink.payload_bytes == sum(receiver.sizes)
    assert (sink.counts.delivered, sink.counts.pending) == (30, 0)
    for message in receiver.messages:
        assert (message.device, message.stream_id) == ("wrist-7", 3)
        assert_same(message.signatures, numbered(len(message.signatures), message.seq))
    assert "'motionsig/wrist-7/signatures/json'" in broker.log
    assert "'motionsig/wrist-7/signatures'" not in broker.log, "nothing for the collector"


def test_one_alone_and_many_at_once_are_json_too(broker: Broker, tmp_path: Path) -> None:
    with Receiver(broker.url, TOPIC, from_json) as receiver:
        with mqtt(f"{broker.url}?format=json", tmp_path / "spool", delay_s=0) as sink:
            sink.publish(numbered(1))
            wait_until(lambda: receiver.seqs == [0])
            sink.publish(numbered(500, 1))
        wait_until(lambda: len(receiver.seqs) == 501)
    assert receiver.seqs == list(range(501))
    assert max(receiver.sizes) <= 4000
    assert sink.payload_bytes == sum(receiver.sizes)


def test_what_was_spooled_for_cbor_goes_as_json_that_the_broker_takes(tmp_path: Path) -> None:
    """A record of 4,000 bytes of CBOR is four times that as JSON: this broker would close the connection each time."""
    absent = Broker(tmp_path / "absent")
    with mqtt(absent.url, tmp_path / "spool", close_timeout_s=0.1) as sink:
        sink.publish(numbered(200))
    settings = "allow_anonymous true\nmax_packet_size 4100\n"
    with Broker(tmp_path / "broker", settings=settings) as broker, Receiver(broker.url, TOPIC, from_json) as receiver:
        with mqtt(broker.url, tmp_path / "spool", format="json", availability=True) as sink:
            assert sink.counts.recovered == 200
        wait_until(lambda: len(receiver.seqs) == 200)
        assert (sink.counts.delivered, sink.counts.pending, sink.counts.dropped) == (200, 0, 0)
        assert receiver.seqs == list(range(200)), "each once: no connection was lost"
        assert max(receiver.sizes) <= 4000
        assert b'"offline"' in retained(broker, "motionsig/wrist-7/availability")
    assert not list((tmp_path / "spool").glob("*.segment"))


def test_each_record_in_the_spool_is_one_message(tmp_path: Path) -> None:
    """Else a connection that ends early would have to bring many messages before any of them counts."""
    absent = Broker(tmp_path / "absent")
    rows = labelled(numbered(200), *(f"läuft {row}" for row in range(200)))
    with mqtt(absent.url, tmp_path / "spool", format="json", close_timeout_s=0.1) as sink:
        sink.begin(3, 0, RECORDING)
        sink.publish(rows)
        sink.publish(numbered(1))
        assert sink.counts.accepted == 201
    spool = Spool(tmp_path / "spool")
    messages = [wire.decode(record.payload) for record in spool.read(spool.first)]
    sizes = [len(wire.to_json(message).encode()) for message in messages]
    assert max(sizes) <= 4000 and min(sizes[:-2]) > 3500
    assert [message.seq + row for message in messages for row in range(len(message.signatures))] == list(range(201))
    for message in messages[:-1]:
        assert_same(message.signatures, rows[message.seq : message.seq + len(message.signatures)])
    spool.close()


def test_labels_and_the_recording_reach_a_reader_of_json(broker: Broker, tmp_path: Path) -> None:
    rows = labelled(numbered(30), *["geht"] * 10, *[""] * 5, *["läuft"] * 15)
    with Receiver(broker.url, TOPIC, from_json) as receiver:
        with mqtt(broker.url, tmp_path / "spool", format="json") as sink:
            sink.begin(3, 0, RECORDING)
            sink.publish(rows)
        wait_until(lambda: len(receiver.seqs) == 30)
    assert len(receiver.messages) > 1
    for message in receiver.messages:
        assert message.recording == RECORDING
        assert_same(message.signatures, rows[message.seq : message.seq + len(message.signatures)])


def retained(broker: Broker, topic: str) -> bytes:
    heard: list[bytes] = []
    connection = Connection(
        parse_broker(broker.url),
        client_id="late",
        clean_session=True,
        keepalive_s=5,
        on_message=lambda message: heard.append(bytes(message.payload)),
    )
    connection.open(5, lambda: False)
    connection.subscribe(topic, 5)
    while not heard:
        connection.loop(0.05)
    connection.close()
    return heard[0]


@pytest.mark.parametrize("device", ["wrist-7", "Küche 2"])
def test_home_assistant_s_templates_reach_every_part(broker: Broker, tmp_path: Path, device: str) -> None:
    payloads: list[bytes] = []

    def read(payload: bytes) -> wire.Message:
        payloads.append(payload)
        return from_json(payload)

    with Receiver(broker.url, TOPIC, read) as receiver:
        options = {"spool": str(tmp_path / "spool"), "format": "json"}
        with open_sink(broker.url, device=device, stream_id=2**62 + 1, **options) as sink:
            sink.publish(numbered(2))
        wait_until(lambda: len(receiver.seqs) == 2)
    value_json = json.loads(payloads[0])
    assert value_json["device"] == device and value_json["stream_id"] == 2**62 + 1
    assert value_json["signatures"][-1]["codes"] == numbered(1, 1).codes[0].tolist()
    # In a template `value_json.items` would be the method of a dict.
    for part in (value_json, value_json["signatures"][0], value_json["quantization"][0]):
        assert not [key for key in part if hasattr(dict, key) or not key.isidentifier()]
