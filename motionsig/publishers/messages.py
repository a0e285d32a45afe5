"""Cutting signatures into wire messages that a broker will take, and the forms in which they go to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from motionsig import wire
from motionsig.errors import InputError

DEFAULT_MAX_MESSAGE_BYTES = 4000  # cloud brokers meter by 5 kB, so this leaves space for the topic and the protocol
MIN_MAX_MESSAGE_BYTES = 128
MAX_MAX_MESSAGE_BYTES = 256 * 1024
MAX_ROWS = 4096  # signatures in one message, however well they compress: a receiver has to hold them all


@dataclass(frozen=True)
class Form:
    """How messages go to a broker: as the bytes that `encode` makes of one, to PREFIX/DEVICE/`topic`."""

    topic: str
    encode: Callable[..., bytes]


def encode_json(message: wire.Message) -> bytes:
    """Return the message's JSON form in UTF-8."""
    return wire.to_json(message).encode("utf-8")


# Another topic than that of CBOR: the collector subscribes to that one, and would count what is not CBOR as junk.
FORMS: Mapping[str, Form] = {
    "cbor": Form("signatures", wire.encode),
    "json": Form("signatures/json", encode_json),
}


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


def pack(
    message: wire.Message, *, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES, compress: bool = False
) -> Iterator[Packed]:
    """Yield a message that may be of any length, or empty, in parts of at most `max_message_bytes`.

    A single signature that is larger than that travels alone all the same.
    """
    signatures, row = message.signatures, 0
    rows = max(1, max_message_bytes // max(1, signatures.codes.shape[1]))
    while row < len(signatures):
        rows = min(rows, MAX_ROWS, len(signatures) - row)
        part = replace(message, seq=message.seq + row, signatures=signatures[row : row + rows])
        data = wire.encode(part, compress=compress)
        # The next guess comes from this message's bytes per signature, a little low because the head is in it.
        guess = max(1, max_message_bytes * rows // len(data))
        if len(data) > max_message_bytes and rows > 1:
            rows = min(guess, rows - 1)
            continue
        yield Packed(data, part.seq, rows)
        row += rows
        rows = max(rows, guess)
