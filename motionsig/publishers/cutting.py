"""Limits on what paho keeps of a packet, and on what it reads of it.

MQTT 3.1.1 cannot tell a broker how large a packet may be, and paho reads whatever comes into memory: one message of
250 MB ends a receiver, and the broker sends it again to the next one. So the rest of such a packet is read and thrown
away. What is left is too large to be a message of ours, is counted as junk and acknowledged, and does not come again.

MQTT 5 lets anybody put properties into a message, and a broker passes them on. paho (1.6 and 2) reads n of them in a
time that grows with the square of n: a megabyte of them would take minutes. Nothing here reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_AT_ONCE = 1 << 16  # recv reserves as much as it is asked for


def cut_packets(client: Client, most_bytes: int) -> None:
    """Have paho (1.6 and 2) keep `most_bytes` of a packet, and a byte of every 64 KiB of the rest."""
    receive = client._sock_recv

    def receive_some(size: int) -> bytes:
        data = receive(min(size, _AT_ONCE))
        packet = client._in_packet
        if data and packet["have_remaining"] and len(packet["packet"]) >= most_bytes:
            # paho counts the bytes that it is given.
            packet["to_process"] -= len(data) - 1
            return data[-1:]
        return data

    client._sock_recv = receive_some  # type: ignore[method-assign,assignment]


def drop_properties(client: Client) -> None:
    """Have paho (1.6 and 2) take every message of MQTT 5 for one without properties."""
    handle = client._handle_publish

    def handle_bare() -> int:
        packet = client._in_packet
        packet["packet"] = _bare(packet["command"], packet["packet"])
        return handle()

    client._handle_publish = handle_bare  # type: ignore[method-assign,assignment]


def _bare(command: int, packet: bytearray) -> bytearray:
    """Return a PUBLISH (MQTT 5, 3.3) without its properties: command is its first byte, packet what follows the length.

    A packet that ends before its properties do loses all that is behind its topic.
    """
    at = (
        2 + int.from_bytes(packet[:2], "big") + 2 * bool(command & 6)
    )  # behind the topic, and with QoS 1 and 2 a number
    size, behind = 0, at
    for digit, byte in enumerate(packet[at : at + 4]):
        size |= (byte & 127) << 7 * digit
        behind += 1
        if byte < 128:
            break
    return packet[:at] + b"\0" + packet[behind + size :]
