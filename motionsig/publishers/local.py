"""Sinks on this machine: what `publish` took has arrived when it returns; and reading back what they stored."""

from __future__ import annotations

import operator
import time
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch
from motionsig.closing import Closing
from motionsig.errors import InputError
from motionsig.events import Event
from motionsig.publishers.counts import SinkCounts
from motionsig.publishers.messages import check_max_message_bytes, pack


class NoneStoredError(InputError):
    """Nothing that is stored is what is wanted."""


class Stored(NamedTuple):
    """Signatures as they are read back: seq (k,) int64 numbers them; recording is None for a live sensor's."""

    device: str
    stream_id: int
    seq: NDArray[np.int64]
    signatures: SignatureBatch
    recording: wire.Recording | None


class Wanted(NamedTuple):
    """Which signatures to read; None where any will do."""

    device: str | None
    fingerprint: bytes | None
    stream_id: int | None
    recording: str | None
    since_ns: int | None = None
    until_ns: int | None = None

    def within(self, start_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these starts (k,) are from since_ns on and before until_ns."""
        chosen = np.ones(len(start_ns), bool)
        if self.since_ns is not None:
            chosen &= start_ns >= self.since_ns
        if self.until_ns is not None:
            chosen &= start_ns < self.until_ns
        return chosen

    def missing(self, known: Sequence[str]) -> str:
        """Return what to say where there are none; known: what there is in place of it, of which six are named."""
        text = f" of encoder {self.fingerprint.hex()}" if self.fingerprint is not None else ""
        text += f" of recording {self.recording!r}" if self.recording is not None else ""
        text += f" of stream {self.stream_id}" if self.stream_id is not None else ""
        text += f" of device {self.device!r}" if self.device is not None else ""
        text += f" from {self.since_ns} ns on" if self.since_ns is not None else ""
        text += f" before {self.until_ns} ns" if self.until_ns is not None else ""
        got = ", ".join(known[:6]) + (", ..." if len(known) > 6 else "") if known else "none"
        return f"expected signatures{text}, got {got}"


def int64(**numbers: int | None) -> dict[str, int | None]:
    """Return the numbers, some None, as Python's own; raise InputError for what no 64 bits can hold."""
    for name, number in numbers.items():
        if number is not None:
            if not hasattr(number, "__index__") or not -(1 << 63) <= number < 1 << 63:
                raise InputError(f"{name}: expected an integer of 64 bits, got {number!r}")
            numbers[name] = operator.index(number)
    return numbers


class WantedEvents(NamedTuple):
    """Which events to read, by where they come from and when they begin; None where any will do."""

    device: str | None
    stream_id: int | None
    head: str | None
    since_ns: int | None
    until_ns: int | None

    def chooses(self, event: Event) -> bool:
        return (
            self.device in (None, event.device)
            and self.stream_id in (None, event.stream_id)
            and self.head in (None, event.head)
            and (self.since_ns is None or event.start_ns >= self.since_ns)
            and (self.until_ns is None or event.start_ns < self.until_ns)
        )


class LocalSink(Closing):
    """Numbers signatures from 0 in a stream, until `begin` says otherwise. payload_bytes: of their wire messages."""

    last_error = None
    """`publish` raises what goes wrong."""

    def __init__(
        self, where: str, *, device: str, stream_id: int, max_message_bytes: int, compress: str = "no"
    ) -> None:
        check_max_message_bytes(max_message_bytes)
        self.payload_bytes = 0
        self._where = where
        self._device = device
        self._stream_id = stream_id
        self._max_message_bytes = max_message_bytes
        self._encode = partial(wire.encode, compress=compress)
        self._seq = 0
        self._recording: wire.Recording | None = None
        self._accepted = 0

    def __repr__(self) -> str:
        where = self._where if len(self._where) <= 60 else f"...{self._where[-57:]}"
        text = f"<{type(self).__name__} {where}, stream {self._stream_id}, {self._accepted} taken of {self._device!r}>"
        return text if len(text) <= 200 else f"{text[:196]}...>"

    @property
    def counts(self) -> SinkCounts:
        return SinkCounts(accepted=self._accepted, delivered=self._accepted)

    @property
    def heartbeat_s(self) -> float:
        """Now: there is no thread that could hang."""
        return time.monotonic()

    def begin(self, stream_id: int, seq: int, recording: wire.Recording | None = None) -> None:
        """Number what is published from here on from `seq` within `stream_id`; it comes from that recording."""
        wire.check_origin(self._device, stream_id, seq)
        wire.check_recording(recording)
        self._stream_id, self._seq, self._recording = stream_id, seq, recording

    def publish(self, signatures: SignatureBatch) -> None:
        """Store a batch in one go. Raises SinkError, and has then stored none of it."""
        message = wire.Message(self._device, self._stream_id, self._seq, signatures, self._recording)
        packed = pack(message, max_message_bytes=self._max_message_bytes, encode=self._encode)
        data = b"".join(part.data for part in packed)
        self._put(message, data)
        self.payload_bytes += len(data)
        self._seq += len(signatures)
        self._accepted += len(signatures)

    @abstractmethod
    def publish_events(self, events: Sequence[Event]) -> None:
        """Store events in one go. Raises SinkError, and has then stored none of them."""

    @abstractmethod
    def _put(self, message: wire.Message, data: bytes) -> None:
        """Store all signatures of a message, or raise SinkError. data: the wire messages that hold them."""


def check_encoders(where: str, found: set[bytes], wanted: Wanted) -> None:
    """Raise InputError where what is wanted is not among the fingerprints found, or none was chosen of several.

    Vectors of different encoders do not compare.
    """
    known = sorted(one.hex() for one in found)
    if not found or (wanted.fingerprint is not None and wanted.fingerprint not in found):
        raise NoneStoredError(f"{where}: {wanted.missing(known)}")
    if wanted.fingerprint is None and len(found) > 1:
        raise InputError(
            f"{where}: vectors of different encoders do not compare; choose one with fingerprint=: {', '.join(known)}"
        )
