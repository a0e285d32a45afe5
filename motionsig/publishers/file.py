"""A file of wire messages one behind the other: a CBOR sequence (RFC 8742) that any CBOR tool can read.

Each `publish` is one write(2) at the end, so kill -9 loses nothing that was accepted. What a power cut leaves of a
message at the end is cut off on the next opening; a damaged message elsewhere is skipped and said in the log.
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
from motionsig.publishers.local import LocalSink, check_encoders
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES

logger = logging.getLogger(__name__)

_WINDOW_BYTES = 16 * 1024


def _sound(fd: int, at: int, size: int) -> Iterator[tuple[int, int, wire.Message]]:
    """Yield (start, end, message) of every sound message from offset `at` on."""
    window = _WINDOW_BYTES
    while at < size and (data := os.pread(fd, min(window, size - at), at)):
        try:
            end = wire.item_end(data)
            message = wire.decode(data[:end])
        except WireError:
            if data.startswith(wire.MAGIC) and window < min(size - at, wire.MAX_MESSAGE_BYTES):
                # Perhaps the window cut it short, not the end of the file.
                window = min(window * 8, wire.MAX_MESSAGE_BYTES)
                continue
            found = data.find(wire.MAGIC, 1)
            # The next mark may lie across the edge of the window.
            at += found if found > 0 else max(1, len(data) - len(wire.MAGIC) + 1)
        else:
            yield at, at + end, message
            at += end
        window = _WINDOW_BYTES


def _check_head(fd: int, path: str) -> None:
    """Raise SinkError if the file does not begin like one of ours."""
    head = os.pread(fd, len(wire.MAGIC), 0)
    if not wire.MAGIC.startswith(head):
        raise SinkError(f"file:{path}: expected motionsig messages, got a file that begins with {head.hex()}")


def _scan(fd: int, path: str) -> Iterator[tuple[int, int, wire.Message]]:
    """Yield what `_sound` does and log how much is damaged; raise SinkError for a file that is not ours."""
    _check_head(fd, path)
    damaged = size = os.fstat(fd).st_size
    for start, end, message in _sound(fd, 0, size):
        yield start, end, message
        damaged -= end - start
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
        end = max((end for _, end, _ in _sound(fd, start, size)), default=0)
        if end or not start:
            return end
        reach *= 8


class FileSink(LocalSink):
    """Signatures appended to a file, which is created where it does not exist.

    max_message_bytes: where a batch is cut into messages. compress: pack the codes where that makes them smaller.
    """

    def __init__(
        self,
        path: str,
        *,
        device: str,
        stream_id: int,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        compress: bool = False,
    ) -> None:
        super().__init__(
            f"file:{path}", device=device, stream_id=stream_id, max_message_bytes=max_message_bytes, compress=compress
        )
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SinkError(f"{self._where}: cannot be opened: {error}") from error
        try:
            self._claim(path)
        except OSError:
            os.close(self._fd)
            raise

    def _claim(self, path: str) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SinkError(f"{self._where}: another process is writing to this file") from error
        size, self._size = os.fstat(self._fd).st_size, _find_tail(self._fd, path)
        if self._size == 0 and size > wire.MAX_MESSAGE_BYTES:
            raise SinkError(f"{self._where}: expected motionsig messages, got {size} bytes without one")
        if self._size < size:
            logger.warning("%s: a torn message of %d bytes at the end cut off", self._where, size - self._size)
            os.ftruncate(self._fd, self._size)

    def _put(self, message: wire.Message, data: bytes) -> None:
        if self._fd < 0:
            raise SinkError(f"{self._where}: this sink is closed")
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise SinkError(
                f"{self._where}: {len(message.signatures)} signatures could not be written: {error}"
            ) from error
        if written < len(data):
            os.ftruncate(self._fd, self._size)
            raise SinkError(f"{self._where}: only {written} of {len(data)} bytes could be written")
        self._size += len(data)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


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
    low = bisect.bisect_left(covered, (begin, begin))
    low -= bool(low and covered[low - 1][1] >= begin)
    high = bisect.bisect_right(covered, end, key=lambda one: one[0])
    firsts, lasts = [first for first, _ in covered[low:high]], [last for _, last in covered[low:high]]
    covered[low:high] = [(min([begin, *firsts]), max([end, *lasts]))]
    return [gap for gap in zip([begin, *lasts], [*firsts, end], strict=True) if gap[0] < gap[1]]


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
            rows, skip = last - first, first - message.seq
            pieces.append(_Piece(message.device, message.stream_id, first, rows, skip, start, end))
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
        pieces = _pieces(fd, path, device, fingerprint)
        for (name, stream_id), group in itertools.groupby(pieces, key=lambda piece: piece[:2]):
            numbers: list[NDArray[np.int64]] = []
            batches: list[SignatureBatch] = []
            for piece in group:
                signatures = wire.decode(os.pread(fd, piece.end - piece.start, piece.start)).signatures
                for row in range(piece.skip, piece.skip + piece.rows, rows):
                    batch = signatures[row : min(row + rows, piece.skip + piece.rows)]
                    full = sum(map(len, batches)) + len(batch) > rows
                    if batches and (full or (batch.spec, batch.hop_ns) != (batches[0].spec, batches[0].hop_ns)):
                        yield name, stream_id, np.concatenate(numbers), concatenate(batches)
                        numbers, batches = [], []
                    numbers.append(np.arange(len(batch), dtype=np.int64) + (piece.seq + row - piece.skip))
                    batches.append(batch)
            yield name, stream_id, np.concatenate(numbers), concatenate(batches)
    finally:
        os.close(fd)
