"""A file of wire messages one behind the other: a CBOR sequence (RFC 8742) that any CBOR tool can read.

Each `publish` is one write(2) at the end, so kill -9 of the process loses nothing that was accepted. A write cut short
by a power cut leaves a torn message at the end; it is cut off on the next opening. A damaged message elsewhere is
skipped by looking for the next sound one, and said in the log.
"""

from __future__ import annotations

import bisect
import fcntl
import itertools
import logging
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch, concatenate
from motionsig.errors import SinkError, WireError
from motionsig.publishers.choosing import check_encoders
from motionsig.publishers.counts import SinkCounts
from motionsig.publishers.local import LocalSink
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES, check_max_message_bytes, pack

logger = logging.getLogger(__name__)

_WINDOW_BYTES = 16 * 1024


class _Found(NamedTuple):
    """A sound message at start:end of the file."""

    start: int
    end: int
    message: wire.Message


def _read_message(fd: int, at: int, size: int) -> tuple[wire.Message, int]:
    """Return the message at offset `at` and where it ends; raise WireError if there is no sound one."""
    window = min(_WINDOW_BYTES, size - at)
    while True:
        data = os.pread(fd, window, at)
        try:
            end = wire.item_end(data)
            return wire.decode(data[:end]), at + end
        except WireError:
            # Perhaps the window cut it short, not the end of the file.
            if window >= min(size - at, wire.MAX_MESSAGE_BYTES):
                raise
            window = min(window * 8, size - at, wire.MAX_MESSAGE_BYTES)


def _find_mark(fd: int, at: int, size: int) -> int:
    """Return the first offset from `at` on where a message may start, `size` if there is none."""
    while at < size:
        data = os.pread(fd, _WINDOW_BYTES, at)
        found = data.find(wire.MAGIC)
        if found >= 0:
            return at + found
        if at + len(data) >= size:
            break
        # The mark may lie across the edge of the window.
        at += len(data) - len(wire.MAGIC) + 1
    return size


def _sound(fd: int, at: int, size: int) -> Iterator[_Found]:
    """Yield every sound message from offset `at` on."""
    while at < size:
        try:
            message, end = _read_message(fd, at, size)
        except WireError:
            at = _find_mark(fd, at + 1, size)
            continue
        yield _Found(at, end, message)
        at = end


def _check_head(fd: int, path: str) -> None:
    """Raise SinkError if the file does not begin like one of ours."""
    head = os.pread(fd, len(wire.MAGIC), 0)
    if not wire.MAGIC.startswith(head):
        raise SinkError(f"file:{path}: expected motionsig messages, got a file that begins with {head.hex()}")


def _scan(fd: int, path: str) -> Iterator[_Found]:
    """Yield every sound message and log how much is damaged; raise SinkError for a file that is not ours."""
    _check_head(fd, path)
    damaged = size = os.fstat(fd).st_size
    for found in _sound(fd, 0, size):
        yield found
        damaged -= found.end - found.start
    if damaged:
        logger.warning("file:%s: %d damaged bytes skipped", path, damaged)


def _find_tail(fd: int, path: str) -> int:
    """Return the end of the last sound message, 0 if there is none; raise SinkError for a file that is not ours.

    Only the file's end is read, as far back as it takes: a file of years opens as quickly as a new one.
    """
    _check_head(fd, path)
    size = os.fstat(fd).st_size
    reach = _WINDOW_BYTES
    while True:
        start = max(0, size - reach)
        end = 0
        for found in _sound(fd, _find_mark(fd, start, size), size):
            end = found.end
        if end or not start:
            return end
        reach *= 8


class FileSink(LocalSink):
    """Signatures appended to a file."""

    def __init__(self, path: str, *, device: str, stream_id: int, max_message_bytes: int, compress: bool) -> None:
        super().__init__(f"file:{path}", device=device, stream_id=stream_id, max_message_bytes=max_message_bytes)
        self._path = path
        self._compress = compress
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SinkError(f"file:{path}: cannot be opened: {error}") from error
        try:
            self._claim()
        except OSError:
            os.close(self._fd)
            raise

    def _claim(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SinkError(f"file:{self._path}: another process is writing to this file") from error
        self._size = os.fstat(self._fd).st_size
        end = _find_tail(self._fd, self._path)
        if end == 0 and self._size > wire.MAX_MESSAGE_BYTES:
            raise SinkError(f"file:{self._path}: expected motionsig messages, got {self._size} bytes without one")
        if end < self._size:
            logger.warning("file:%s: a torn message of %d bytes at the end cut off", self._path, self._size - end)
            os.ftruncate(self._fd, end)
            self._size = end

    @property
    def counts(self) -> SinkCounts:
        return SinkCounts(accepted=self._accepted, delivered=self._accepted)

    def publish(self, signatures: SignatureBatch) -> None:
        """Append a batch in one write. Raises SinkError, and has then appended none of it."""
        if self._fd < 0:
            raise SinkError(f"file:{self._path}: this sink is closed")
        packed = pack(
            signatures,
            device=self._device,
            stream_id=self._stream_id,
            seq=self._seq,
            max_message_bytes=self._max_message_bytes,
            compress=self._compress,
        )
        data = b"".join(message.data for message in packed)
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise SinkError(f"file:{self._path}: {len(signatures)} signatures could not be written: {error}") from error
        if written < len(data):
            os.ftruncate(self._fd, self._size)
            raise SinkError(f"file:{self._path}: only {written} of {len(data)} bytes could be written")
        self._size += len(data)
        self.payload_bytes += len(data)
        self._seq += len(signatures)
        self._accepted += len(signatures)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def open_file(
    path: str,
    *,
    device: str,
    stream_id: int,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    compress: bool = False,
) -> FileSink:
    """Open or create the file at `path` and append to it.

    max_message_bytes: where a batch is cut into messages. compress: pack the codes where that makes them smaller.
    """
    check_max_message_bytes(max_message_bytes)
    return FileSink(path, device=device, stream_id=stream_id, max_message_bytes=max_message_bytes, compress=compress)


class _Piece(NamedTuple):
    """Rows `skip` to `skip + rows` of the message at start:end, kept in memory instead of the message itself."""

    device: str
    stream_id: int
    seq: int
    rows: int
    skip: int
    start: int
    end: int


def _not_covered(covered: list[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of begin:end that no range in `covered` (sorted, apart from each other) holds, and add them."""
    at = bisect.bisect_left(covered, (begin, begin))
    low = at - 1 if at and covered[at - 1][1] >= begin else at
    high = low
    new, reached = [], begin
    while high < len(covered) and covered[high][0] <= end:
        if covered[high][0] > reached:
            new.append((reached, covered[high][0]))
        reached = max(reached, covered[high][1])
        high += 1
    if reached < end:
        new.append((reached, end))
    if low < high:
        begin, end = min(begin, covered[low][0]), max(end, covered[high - 1][1])
    covered[low:high] = [(begin, end)]
    return new


def _pieces(fd: int, path: str, device: str | None, fingerprint: bytes | None) -> list[_Piece]:
    """Return what to read, sorted by (device, stream_id, seq), each signature once."""
    pieces: list[_Piece] = []
    covered: dict[tuple[str, int], list[tuple[int, int]]] = {}
    fingerprints = set()
    for start, end, message in _scan(fd, path):
        if device is not None and message.device != device:
            continue
        fingerprints.add(message.signatures.spec.fingerprint)
        if fingerprint is not None and message.signatures.spec.fingerprint != fingerprint:
            continue
        ranges = covered.setdefault((message.device, message.stream_id), [])
        for first, last in _not_covered(ranges, message.seq, message.seq + len(message.signatures)):
            pieces.append(
                _Piece(message.device, message.stream_id, first, last - first, first - message.seq, start, end)
            )
    check_encoders(f"file:{path}", fingerprints, device, fingerprint)
    return sorted(pieces)


def iter_file(
    path: str, *, device: str | None, fingerprint: bytes | None, rows: int
) -> Iterator[tuple[str, int, NDArray[np.int64], SignatureBatch]]:
    """Yield (device, stream_id, seq (k,), signatures (k,)) with k <= rows, ordered by those three, each one once.

    Of two signatures under the same key the one nearer the start of the file is kept. Raises InputError where nothing
    matches, or more than one encoder does; SinkError for a file that is not ours.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SinkError(f"file:{path}: cannot be read: {error}") from error
    try:
        for (name, stream_id), group in itertools.groupby(
            _pieces(fd, path, device, fingerprint), key=lambda piece: (piece.device, piece.stream_id)
        ):
            numbers: list[NDArray[np.int64]] = []
            batches: list[SignatureBatch] = []
            for piece in group:
                signatures = wire.decode(os.pread(fd, piece.end - piece.start, piece.start)).signatures
                for row in range(piece.skip, piece.skip + piece.rows, rows):
                    batch = signatures[row : min(row + rows, piece.skip + piece.rows)]
                    if batches and (
                        sum(map(len, batches)) + len(batch) > rows
                        or (batch.spec, batch.hop_ns) != (batches[0].spec, batches[0].hop_ns)
                    ):
                        yield name, stream_id, np.concatenate(numbers), concatenate(batches)
                        numbers, batches = [], []
                    numbers.append(np.arange(len(batch), dtype=np.int64) + (piece.seq + row - piece.skip))
                    batches.append(batch)
            yield name, stream_id, np.concatenate(numbers), concatenate(batches)
    finally:
        os.close(fd)
