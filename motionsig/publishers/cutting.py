"""A limit on what paho keeps of a packet.

MQTT 3.1.1 cannot tell a broker how large a packet may be, and paho reads whatever comes into memory: one message of
250 MB ends a receiver, and the broker sends it again to the next one. So the rest of such a packet is read and thrown
away. What is left is too large to be a message of ours, is counted as junk and acknowledged, and does not come again.
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
