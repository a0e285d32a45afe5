"""SHTP over a UART: what CEVA's sensor hubs (BNO08x, FSP200) speak. Pure: bytes in, cargoes out, and back.

A transfer stands between two bytes 0x7E; inside, 0x7D and 0x7E are sent as 0x7D and the byte with one bit changed. Its
first byte says whether it is about the buffer (0) or SHTP (1). SHTP's header is a length with itself, whose highest bit
marks the rest of a cargo that came in pieces; a channel; and a number that counts the transfers of the channel (data
sheet 1000-3927, 1.4.2; ceva-dsp/sh2 shtp.c; ceva-dsp/sh2-demo-nucleo app/uart_hal.c).

There is no checksum. A byte that is lost, added, or becomes one of the two above makes the length wrong; what else is
damaged shows only if protocol, channel, number or length change.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_FLAG, _ESCAPE, _CHANGED = 0x7E, 0x7D, 0x20
_BUFFER, _SHTP = 0, 1
COMMAND, EXECUTABLE, CONTROL, INPUT = range(4)
_CHANNELS = 6
_HEADER = 4
_REST = 0x8000
_MOST_BYTES = 4096
"""A transfer that is longer has lost its end: no cargo that is read has a tenth of it."""
ASK_ROOM = bytes((_FLAG, _BUFFER, _FLAG))
"""Asks how many bytes the hub can take."""


class Cargo(NamedTuple):
    """channel: None for the hub's room in bytes, two of them. start: of its first byte, since the beginning."""

    channel: int | None
    payload: bytes
    start: int


def transfer(channel: int, number: int, payload: bytes) -> bytes:
    """Return a cargo as it goes over the line."""
    body = struct.pack("<BHBB", _SHTP, len(payload) + _HEADER, channel, number & 0xFF) + payload
    body = body.replace(bytes((_ESCAPE,)), bytes((_ESCAPE, _ESCAPE ^ _CHANGED)))
    body = body.replace(bytes((_FLAG,)), bytes((_ESCAPE, _FLAG ^ _CHANGED)))
    return bytes((_FLAG,)) + body + bytes((_FLAG,))


class Cargoes:
    """Pure state machine: bytes in, whole cargoes out; any cutting gives the same.

    discards: transfers left out because they were damaged, or pieces whose rest did not come. position: bytes so far.
    """

    def __init__(self) -> None:
        self.discards = self.position = 0
        self._kept = b""
        self._began = False  # at the first 0x7E
        self._numbers: dict[int, int] = {}  # the last of each channel
        self._piece: tuple[int, bytes, int, int] | None = None  # channel, payload, start, bytes still to come

    def push(self, data: bytes) -> list[Cargo]:
        at = self.position - len(self._kept)
        self.position += len(data)
        *bodies, self._kept = (self._kept + data).split(bytes((_FLAG,)))
        cargoes = []
        for body in bodies:
            # Between the end of a transfer and the beginning of the next one there is nothing.
            if body and self._began:
                cargo = self._cargo(body, at - 1)
                cargoes += [cargo] if cargo else []
            self._began = True
            at += len(body) + 1
        if len(self._kept) > _MOST_BYTES:
            self.discards += self._began
            self._kept, self._began = b"", False
        return cargoes

    def _cargo(self, escaped: bytes, start: int) -> Cargo | None:
        """Return what a transfer holds; None where it is damaged, or a piece that others follow."""
        body = _plain(escaped)
        if body is not None and len(body) == 3 and body[0] == _BUFFER:
            return Cargo(None, body[1:], start)
        if body is None or len(body) <= 1 + _HEADER or body[0] != _SHTP:
            self.discards += 1
            return None
        length, channel, number = struct.unpack_from("<HBB", body, 1)
        rest, length = bool(length & _REST), length & ~_REST
        payload, missing = body[1 + _HEADER :], length - (len(body) - 1)
        if channel >= _CHANNELS or missing < 0 or length > _MOST_BYTES:
            self.discards += 1
            return None
        follows = number == (self._numbers.get(channel, number - 1) + 1) & 0xFF
        self._numbers[channel] = number
        if self._piece is not None and (not rest or not follows or channel != self._piece[0]):
            self.discards += 1  # the end of the piece before did not come
            self._piece = None
        if rest:
            if self._piece is None or length - _HEADER != self._piece[3]:
                self.discards += 1
                self._piece = None
                return None
            payload, start = self._piece[1] + payload, self._piece[2]
        self._piece = (channel, payload, start, missing) if missing else None
        return None if missing else Cargo(channel, payload, start)


def _plain(escaped: bytes) -> bytes | None:
    """Return a transfer's bytes as they were meant; None where the last one is missing."""
    first, *parts = escaped.split(bytes((_ESCAPE,)))
    if not all(parts):
        return None
    return first + b"".join(bytes((part[0] ^ _CHANGED,)) + part[1:] for part in parts)
