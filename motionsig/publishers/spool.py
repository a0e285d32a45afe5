"""A bounded queue on disk that outlives the process that fills it.

A directory of append-only segment files holds frames: mark, count of signatures, length, CRC-32, payload. `append`
hands each frame to the kernel in one write(2), which survives kill -9 of the process; only a power cut needs `sync`,
and whoever owns the queue decides when that wear on the flash is worth it, because most frames are delivered and
deleted before the kernel would have written them back. Deleting works on whole segments, so nothing is ever rewritten
in place.

Opening never fails for damage. A kill, a power cut or worn flash may leave a torn or altered frame anywhere; reading
goes on at the next frame whose CRC holds, and what was skipped is counted. A new process starts a new segment instead
of appending behind a tail it did not write. How far the receiver got is not kept: after a restart all that is still
there is sent again, and the receiver drops what it has already.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from motionsig.errors import InputError, SinkError

logger = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 16 * 1024 * 1024
MIN_MAX_BYTES = 64 * 1024
MAX_PAYLOAD_BYTES = 1024 * 1024
SEGMENT_BYTES = 256 * 1024
SEGMENTS_AT_LEAST = 16
"""A full spool drops one segment, so no more than this fraction of it at once."""

FULL_POLICIES = ("oldest", "newest", "wait")

_MARK = b"\xf7mS\x01"
_HEADER = struct.Struct("<4sIII")
_SEGMENT_NAME = re.compile(r"(\d{12})\.segment")
_OUT_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Position(NamedTuple):
    """A place between two records; positions order as the records do. They mean nothing to another process."""

    segment: int
    offset: int


class Record(NamedTuple):
    """One payload of `rows` signatures, from `start` to `end` in the spool."""

    payload: bytes
    rows: int
    start: Position
    end: Position


@dataclass(slots=True)
class _Segment:
    path: Path
    # Offsets go on counting when a drained file is cut to nothing, so that positions never run backwards.
    base: int = 0
    end: int = 0
    unacknowledged: int = 0
    unsynced: bool = False

    @property
    def size(self) -> int:
        return self.end - self.base


def frame(payload: bytes, count: int) -> bytes:
    """Return `payload` as it lies in a segment."""
    check = zlib.crc32(payload, zlib.crc32(struct.pack("<II", count, len(payload))))
    return _HEADER.pack(_MARK, count, len(payload), check) + payload


def scan(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield (start, end, count, payload) of every sound frame in `data`, skipping whatever else is there."""
    at = data.find(_MARK)
    while 0 <= at <= len(data) - _HEADER.size:
        _, count, length, check = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + length
        if length <= MAX_PAYLOAD_BYTES and end <= len(data):
            payload = data[at + _HEADER.size : end]
            if zlib.crc32(payload, zlib.crc32(struct.pack("<II", count, length))) == check:
                yield at, end, count, payload
                at = data.find(_MARK, end)
                continue
        at = data.find(_MARK, at + 1)


class Spool:
    """The queue in `path`, owned by one process at a time; every method may be called from any thread.

    full: what happens when `max_bytes` are used up. "oldest" drops the oldest segment, "newest" drops what was to be
    appended, "wait" refuses it without dropping anything, for a caller that can wait.
    dropped: signatures given up so far. recovered: signatures found on opening. damaged_bytes: skipped on opening.
    Raises SinkError where the directory cannot be used or another process has it open.
    """

    def __init__(self, path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, full: str = "oldest") -> None:
        if full not in FULL_POLICIES:
            raise InputError(f"full: expected one of {', '.join(FULL_POLICIES)}, got {full!r}")
        if max_bytes < MIN_MAX_BYTES:
            raise InputError(f"max_bytes: expected at least {MIN_MAX_BYTES}, got {max_bytes}")
        self.path = path
        self.dropped = 0
        self.recovered = 0
        self.damaged_bytes = 0
        self._full = full
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // SEGMENTS_AT_LEAST)
        self._lock = threading.Lock()
        self._segments: dict[int, _Segment] = {}
        self._active: int | None = None
        self._active_fd = -1
        self._next_number = 1
        self._lock_fd = self._claim()
        try:
            self._recover()
        except OSError as error:
            os.close(self._lock_fd)
            raise SinkError(f"{path}: the spool cannot be read: {error}") from error

    def _claim(self) -> int:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SinkError(
                f"{self.path}: expected a directory to spool to: {error}; choose one with spool=PATH"
            ) from error
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(lock_fd, 32).decode("ascii", "replace") or "unknown"
            os.close(lock_fd)
            raise SinkError(
                f"{self.path}: another publisher (process {holder}) has this spool open; "
                "stop it or choose another with spool=PATH"
            ) from error
        # The number is for the message above only, so a disk too full to hold it is no reason to stop.
        try:
            os.ftruncate(lock_fd, 0)
            os.write(lock_fd, str(os.getpid()).encode("ascii"))
        except OSError as error:
            logger.warning("%s: the process number was not noted: %s", self.path, error)
        return lock_fd

    def _recover(self) -> None:
        for name in sorted(os.listdir(self.path)):
            match = _SEGMENT_NAME.fullmatch(name)
            if match is None:
                continue
            segment = _Segment(self.path / name)
            data = segment.path.read_bytes()
            sound_bytes = 0
            for start, end, count, _ in scan(data):
                sound_bytes += end - start
                segment.unacknowledged += count
            self.damaged_bytes += len(data) - sound_bytes
            self._next_number = int(match[1]) + 1
            if not sound_bytes:
                segment.path.unlink()
                continue
            segment.end = len(data)
            segment.unsynced = True
            self.recovered += segment.unacknowledged
            self._segments[int(match[1])] = segment
        if self.damaged_bytes:
            logger.warning("%s: %d damaged bytes skipped", self.path, self.damaged_bytes)

    @property
    def first(self) -> Position:
        """Where the oldest record still here starts."""
        with self._lock:
            for number, segment in self._segments.items():
                return Position(number, segment.base)
            return Position(self._next_number, 0)

    @property
    def end(self) -> Position:
        """Where the next record will not start before."""
        with self._lock:
            if self._active is not None:
                return Position(self._active, self._segments[self._active].end)
            return Position(self._next_number, 0)

    @property
    def pending(self) -> int:
        """Signatures accepted, not dropped and not yet acknowledged."""
        with self._lock:
            return sum(segment.unacknowledged for segment in self._segments.values())

    @property
    def used_bytes(self) -> int:
        """Bytes in all segments together."""
        with self._lock:
            return self._used_bytes()

    def _used_bytes(self) -> int:
        return sum(segment.size for segment in self._segments.values())

    def append(self, payload: bytes, count: int) -> bool:
        """Take a payload of `count` signatures; return whether it is now safe from the end of this process.

        False counts it as dropped, unless the spool was told to "wait". A write that fails counts as a full spool, and
        what it left behind is cut off again. Raises SinkError after `close`.
        """
        framed = frame(payload, count)
        with self._lock:
            if self._lock_fd < 0:
                raise SinkError(f"{self.path}: this spool is closed")
            while self._used_bytes() + len(framed) > self._max_bytes:
                if not self._make_room(f"{self._max_bytes} bytes are used up"):
                    return self._refuse(count)
            while True:
                try:
                    self._write(framed, count)
                    return True
                except OSError as error:
                    if error.errno not in _OUT_OF_ROOM:
                        logger.warning("%s: %s; the newest signatures are dropped", self.path, error)
                        self.dropped += count
                        return False
                    if not self._make_room(str(error)):
                        return self._refuse(count)

    def _refuse(self, count: int) -> bool:
        if self._full != "wait":
            self.dropped += count
        return False

    def _make_room(self, reason: str) -> bool:
        """Delete the oldest segment where that loses nothing or is the policy; return whether there was one."""
        for number, segment in self._segments.items():
            if segment.unacknowledged and self._full != "oldest":
                return False
            if segment.unacknowledged:
                logger.debug("%s: %s: %d signatures dropped", self.path, reason, segment.unacknowledged)
                self.dropped += segment.unacknowledged
            self._delete(number)
            return True
        return False

    def _write(self, framed: bytes, count: int) -> None:
        if self._active is not None and self._segments[self._active].size >= self._segment_bytes:
            self._seal()
        if self._active is None:
            path = self.path / f"{self._next_number:012d}.segment"
            self._active_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._active = self._next_number
            self._segments[self._active] = _Segment(path)
            self._next_number += 1
        segment = self._segments[self._active]
        try:
            written = os.write(self._active_fd, framed)
            if written < len(framed):
                raise OSError(errno.ENOSPC, f"only {written} of {len(framed)} bytes could be written")
        except OSError:
            self._cut_back(segment)
            raise
        segment.end += len(framed)
        segment.unacknowledged += count
        segment.unsynced = True

    def _cut_back(self, segment: _Segment) -> None:
        try:
            os.ftruncate(self._active_fd, segment.size)
        except OSError as error:
            # Leave the torn frame to the scan, and write no further behind it.
            logger.warning("%s: a torn frame stays: %s", segment.path, error)
            self._seal()

    def _seal(self) -> None:
        os.close(self._active_fd)
        self._active_fd = -1
        self._active = None

    def _delete(self, number: int) -> None:
        segment = self._segments.pop(number)
        if number == self._active:
            self._seal()
        try:
            segment.path.unlink()
        except OSError as error:
            logger.warning("%s: could not be deleted and will be sent again after a restart: %s", segment.path, error)

    def read(self, position: Position) -> list[Record]:
        """Return the records from `position` on, up to the end of one segment; empty at the end of the spool."""
        with self._lock:
            if self._lock_fd < 0:
                return []
            for number, segment in self._segments.items():
                start = max(segment.base, position.offset) if number == position.segment else segment.base
                if number < position.segment or start >= segment.end:
                    continue
                try:
                    fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
                    try:
                        data = os.pread(fd, segment.end - start, start - segment.base)
                    finally:
                        os.close(fd)
                except OSError as error:
                    logger.warning("%s: %s; %d signatures are lost", segment.path, error, segment.unacknowledged)
                    self.dropped += segment.unacknowledged
                    segment.unacknowledged = 0
                    continue
                records = [
                    Record(payload, count, Position(number, start + begin), Position(number, start + end))
                    for begin, end, count, payload in scan(data)
                ]
                if records:
                    return records
        return []

    def acknowledge(self, segment: int, count: int) -> None:
        """Note that `count` more signatures of a segment have reached the receiver: dropping them loses nothing."""
        with self._lock:
            if segment in self._segments:
                self._segments[segment].unacknowledged -= count

    def give_up(self, segment: int, count: int) -> None:
        """Count `count` signatures of a segment as dropped: they can never be sent."""
        with self._lock:
            if segment in self._segments:
                self._segments[segment].unacknowledged -= count
            self.dropped += count

    def forget(self, position: Position) -> None:
        """Delete what lies before `position`, as far as whole segments or a drained spool allow it."""
        with self._lock:
            if self._lock_fd < 0:
                # After `close` the files may be another process's.
                return
            for number in list(self._segments):
                segment = self._segments[number]
                if number > position.segment or (number == position.segment and position.offset < segment.end):
                    return
                # Passed over without ever being acknowledged: the disk altered them after they were written.
                self.dropped += segment.unacknowledged
                segment.unacknowledged = 0
                if number != self._active or not self._empty(segment):
                    self._delete(number)

    def _empty(self, segment: _Segment) -> bool:
        # Cutting the file is cheaper than deleting it and creating another for the next signature.
        try:
            os.ftruncate(self._active_fd, 0)
        except OSError as error:
            logger.warning("%s: could not be emptied: %s", segment.path, error)
            return False
        segment.base = segment.end
        return True

    def sync(self) -> None:
        """Make all that was appended survive a power cut. Raises SinkError where the disk refuses."""
        with self._lock:
            segments = [segment for segment in self._segments.values() if segment.unsynced and segment.size]
            for segment in segments:
                segment.unsynced = False
        if not segments:
            return
        # Outside the lock: an SD card may take seconds, and `append` should not wait for it.
        for path in [*(segment.path for segment in segments), self.path]:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            except FileNotFoundError:
                # Delivered or dropped in the meantime.
                continue
            except OSError as error:
                raise SinkError(f"{path}: the spool could not be written to disk: {error}") from error

    def close(self) -> None:
        """Let go of the directory; what is in it waits for the next process."""
        with self._lock:
            if self._lock_fd < 0:
                return
            if self._active is not None:
                drained = self._segments[self._active].size == 0
                if drained:
                    self._delete(self._active)
                else:
                    self._seal()
            os.close(self._lock_fd)
            self._lock_fd = -1
