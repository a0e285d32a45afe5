"""Properties of MQTT 5, which anybody may put into a message and which a broker passes on."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from broker import PERSISTENT, Broker
from made import assert_same, numbered
from receiving import begin_session

from motionsig import wire
from motionsig.collector import CollectCounts, collect
from motionsig.publishers import read_signatures
from motionsig.publishers.cutting import _bare

EMPTY = b"\x26" + bytes(4)  # a user property without name and value


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", settings=f"allow_anonymous true\n{PERSISTENT}") as running:
        yield running


def size(number: int) -> bytes:
    """Return a length as MQTT writes it: seven bits in a byte."""
    digits = []
    while True:
        number, digit = number >> 7, number & 127
        digits.append(digit | 128 * bool(number))
        if not number:
            return bytes(digits)


def text(content: bytes) -> bytes:
    return struct.pack("!H", len(content)) + content


def put_raw(broker: Broker, topic: str, properties: bytes, payload: bytes) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(broker.url).port or 0), timeout=60) as sock:
        hello = text(b"MQTT") + bytes([5, 2, 0, 60, 0]) + text(b"stranger")
        sock.sendall(b"\x10" + size(len(hello)) + hello)
        assert sock.recv(100)[0] == 0x20
        packet = text(topic.encode()) + b"\0\1" + size(len(properties)) + properties + payload
        sock.sendall(b"\x32" + size(len(packet)) + packet)
        assert sock.recv(100)[0] == 0x40


def test_a_megabyte_of_properties_costs_nothing_and_hides_nothing(broker: Broker, tmp_path: Path) -> None:
    """Paho takes a minute for them, and the broker would send them again to the next receiver."""
    store = f"store:{tmp_path / 's'}"
    begin_session(broker, store)
    message = wire.encode(wire.Message("a", 1, 0, numbered(5)))
    put_raw(broker, "motionsig/a/signatures", EMPTY * 200_000, message)
    put_raw(broker, "motionsig/a/signatures", EMPTY * 30, b"junk")
    put_raw(broker, "motionsig/a/signatures", b"", wire.encode(wire.Message("a", 1, 5, numbered(5, 5))))
    began_s = time.process_time()
    counts = collect(broker.url, store, count=10, timeout_s=60)
    assert counts == CollectCounts(messages=2, stored=10, junk=1)
    assert time.process_time() - began_s < 3
    assert_same(read_signatures(store), numbered(10))


def test_a_packet_without_its_properties() -> None:
    for command, number in ((0x30, b""), (0x32, b"\0\7")):
        topic = text(b"a/b") + number
        for properties in (b"", EMPTY, EMPTY * 100, EMPTY * 100_000):
            packet = bytearray(topic + size(len(properties)) + properties + b"content")
            assert _bare(command, packet) == topic + b"\0content"
        # One that ends early is refused by whoever reads it, and not here.
        for end in range(len(topic) + 2):
            assert len(_bare(command, bytearray(topic + b"\5")[:end])) <= len(topic) + 1
