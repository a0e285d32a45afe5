"""A record in a spool file: mark, count of signatures, length of the payload, its CRC-32, that of these; payload."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

MAX_PAYLOAD_BYTES = 1024 * 1024
EVENT_MARK = b"{"  # what the payload of an event begins with: JSON; that of signatures begins with wire.MAGIC
OLDER_MARK = b"\xf7mS\x01"  # what a file of an earlier format begins with: not ours to read, nor to delete

_MARK = b"\xf7mS\x02"
_FIELDS = struct.Struct("<4sIII")
_CHECK = struct.Struct("<I")
# A mark with a length behind it that can be, so that a file full of marks costs no more than any other.
_BEGINNING = re.compile(re.escape(_MARK) + rb".{6}[\x00-\x10]\x00", re.DOTALL)
HEADER_BYTES = _FIELDS.size + _CHECK.size


def frame(payload: bytes, count: int) -> bytes:
    """Return `payload` as it lies in a file."""
    return header(len(payload), count, zlib.crc32(payload)) + payload


def header(length: int, count: int, check: int) -> bytes:
    """Return what lies before a payload of `length` bytes whose CRC-32 is `check`."""
    fields = _FIELDS.pack(_MARK, count, length, check)
    return fields + _CHECK.pack(zlib.crc32(fields))


def scan(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield (start, end, count, payload) of every sound frame in `data`, skipping whatever else is there.

    The time is linear in the size of `data`: a header proves itself before its payload is looked at, and headers made
    to lie in each other's payloads find patience for four times the data, no more.
    """
    patience = 4 * len(data)
    at = 0
    while found := _BEGINNING.search(data, at):
        start, begin = found.start(), found.start() + HEADER_BYTES
        if begin > len(data):
            return
        at = start + 1
        if zlib.crc32(data[start : begin - _CHECK.size]) != _CHECK.unpack_from(data, begin - _CHECK.size)[0]:
            continue
        _, count, length, check = _FIELDS.unpack_from(data, start)
        end = begin + length
        if length > min(MAX_PAYLOAD_BYTES, patience) or end > len(data):
            continue
        payload = data[begin:end]
        if zlib.crc32(payload) == check:
            yield start, end, count, payload
            at = end
        else:
            patience -= length
