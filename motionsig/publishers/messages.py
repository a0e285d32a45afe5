"""Cutting signatures into wire messages that a broker will take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from motionsig import wire
from motionsig.blocks import SignatureBatch
from motionsig.errors import InputError

DEFAULT_MAX_MESSAGE_BYTES = 4000
"""Cloud brokers meter by 5 kB, so this leaves space for the topic and the protocol."""

MIN_MAX_MESSAGE_BYTES = 128
MAX_MAX_MESSAGE_BYTES = 256 * 1024

MAX_ROWS = 4096
"""Signatures in one message at most, however well they compress: a receiver has to hold them all."""


class Packed(NamedTuple):
    """An encoded message, the sequence number of its first signature, and how many it holds."""

    data: bytes
    seq: int
    rows: int


def check_max_message_bytes(max_message_bytes: int) -> None:
    """Raise InputError for a limit no message could keep, or no broker would take."""
    if not MIN_MAX_MESSAGE_BYTES <= max_message_bytes <= MAX_MAX_MESSAGE_BYTES:
        raise InputError(
            f"max_message_bytes: expected {MIN_MAX_MESSAGE_BYTES} to {MAX_MAX_MESSAGE_BYTES}, got {max_message_bytes}"
        )


def check_begin(device: str, stream_id: int, seq: int) -> None:
    """Raise InputError where no message could carry these."""
    wire.check_origin(device, stream_id)
    if not 0 <= seq < 1 << 63:
        raise InputError(f"seq: expected an integer from 0 to 2^63 - 1, got {seq!r}")


def pack(
    signatures: SignatureBatch,
    *,
    device: str,
    stream_id: int,
    seq: int,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    compress: bool = False,
) -> Iterator[Packed]:
    """Yield messages of at most `max_message_bytes` with all signatures in order, the first numbered `seq`.

    A single signature that is larger than that travels alone all the same. An empty batch yields nothing.
    """
    row = 0
    rows = max(1, max_message_bytes // max(1, signatures.codes.shape[1]))
    while row < len(signatures):
        rows = min(rows, MAX_ROWS, len(signatures) - row)
        data = wire.encode(wire.Message(device, stream_id, seq + row, signatures[row : row + rows]), compress=compress)
        # The next guess comes from this message's bytes per signature, a little low because the head is in it.
        guess = max(1, max_message_bytes * rows // len(data))
        if len(data) > max_message_bytes and rows > 1:
            rows = min(guess, rows - 1)
            continue
        yield Packed(data, seq + row, rows)
        row += rows
        rows = max(rows, guess)
