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
MAX_ROWS = wire.MAX_ROWS


@dataclass(frozen=True)
class Form:
    """How messages go to a broker: as the bytes that `encode` makes of one, to PREFIX/DEVICE/`topic`."""

    topic: str
    encode: Callable[[wire.Message], bytes]


def encode_json(message: wire.Message) -> bytes:
    """Return the message's JSON form in UTF-8."""
    return wire.to_json(message).encode("utf-8")


# Another topic than that of CBOR: the collector subscribes to that one, and would count what is not CBOR as junk.
FORMS: Mapping[str, Form] = {
    "cbor": Form("signatures", wire.encode),
    "json": Form("signatures/json", encode_json),
}


class Packed(NamedTuple):
    """A message and what `encode` made of it."""

    message: wire.Message
    data: bytes

    @property
    def rows(self) -> int:
        return len(self.message.signatures)


def check_max_message_bytes(max_message_bytes: int) -> None:
    """Raise InputError for a limit no message could keep, or no broker would take."""
    if not MIN_MAX_MESSAGE_BYTES <= max_message_bytes <= MAX_MAX_MESSAGE_BYTES:
        raise InputError(
            f"max_message_bytes: expected {MIN_MAX_MESSAGE_BYTES} to {MAX_MAX_MESSAGE_BYTES}, got {max_message_bytes}"
        )


def pack(
    message: wire.Message,
    *,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    encode: Callable[[wire.Message], bytes] = wire.encode,
) -> Iterator[Packed]:
    """Yield a message that may be of any length, or empty, in parts that `encode` makes `max_message_bytes` at most.

    A single signature that is larger than that travels alone all the same.
    """
    signatures, row, rows = message.signatures, 0, MAX_ROWS
    while row < len(signatures):
        rows = min(rows, MAX_ROWS, len(signatures) - row)
        part = replace(message, seq=message.seq + row, signatures=signatures[row : row + rows])
        data = encode(part)
        # The next guess comes from this message's bytes per signature, a little low because the head is in it.
        guess = max(1, max_message_bytes * rows // len(data))
        if len(data) > max_message_bytes and rows > 1:
            rows = min(guess, rows - 1)
            continue
        yield Packed(part, data)
        row += rows
        rows = max(rows, guess)
