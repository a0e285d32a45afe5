"""A bounded queue on disk that outlives the process that fills it, with a write-ahead buffer in RAM before it."""

from __future__ import annotations

import contextlib
import errno
import math
import time
from pathlib import Path

from motionsig.errors import InputError, SinkError
from motionsig.escaping import own_logger
from motionsig.publishers.durable import FSYNC_AFTER_S, DurableLog
from motionsig.publishers.frames import frame
from motionsig.publishers.segments import PAGE_BYTES, SEGMENT_BYTES

logger = own_logger(__name__)

DEFAULT_MAX_BYTES = 16 * 1024 * 1024
MIN_MAX_BYTES = 64 * 1024
SEGMENTS_AT_LEAST = 16  # a full spool drops one segment, so no more than this fraction of it at once
BUFFER_BYTES_AT_LEAST = 1024 * 1024  # the buffer's limit is this, or a sixteenth of the spool if that is more
BUSY_S = 0.1  # how long `append` waits with a full buffer for another thread's `sync`
FULL_POLICIES = ("oldest", "newest", "wait")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_limits(max_bytes: int, full: str) -> None:
    """Raise InputError for a size that is too small and for what is no policy."""
    if full not in FULL_POLICIES:
        raise InputError(f"full: expected one of {', '.join(FULL_POLICIES)}, got {full!r}")
    if max_bytes < MIN_MAX_BYTES:
        raise InputError(f"max_bytes: expected at least {MIN_MAX_BYTES}, got {max_bytes}")


class Spool(DurableLog):
    """The queue in `path`, owned by one process at a time.

    buffer: a directory in RAM that survives the process; what lies there alone is bounded. With one, a disk that cannot
    be used is no error: the buffer is all there is until it can. full: what happens when `max_bytes` are used up:
    "oldest" drops the oldest segment, "newest" what was to be appended, "wait" refuses that without dropping anything.
    Raises SinkError where neither directory can be used or another process has one open.
    """

    def __init__(
        self,
        path: Path,
        *,
        buffer: Path | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        full: str = "oldest",
        fsync_after_s: float = FSYNC_AFTER_S,
    ) -> None:
        check_limits(max_bytes, full)
        segment_bytes = min(SEGMENT_BYTES, max_bytes // SEGMENTS_AT_LEAST)
        super().__init__(path, buffer=buffer, segment_bytes=segment_bytes, fsync_after_s=fsync_after_s)
        self.max_bytes = max_bytes
        self.full = full
        self._buffer_limit = max(BUFFER_BYTES_AT_LEAST, max_bytes // 16)
        try:
            self._open_folders()
        except SinkError:
            self.close()
            raise

    def _open_folders(self) -> None:
        try:
            if self._buffer is not None:
                self._claim(self._buffer)
        except SinkError:
            raise
        except OSError as error:
            logger.warning("%s: %s; signatures go to disk at once", self._buffer, error)
            self._buffer = None
        try:
            self._claim(self.path)
        except SinkError:
            raise
        except OSError as error:
            if self._buffer is None:
                raise SinkError(
                    f"{self.path}: expected a directory to spool to: {error}; choose one with spool=PATH"
                ) from error
            self._note_failure(error)
        self._recover()

    @property
    def limit_bytes(self) -> int:
        """What `used_bytes` may become at present: `max_bytes`, and less while the disk refuses."""
        with self._lock:
            if self._failure is None:
                return self.max_bytes
            on_disk = sum(segment.mid - segment.base for segment in self._segments.values())
            return min(self.max_bytes, on_disk + (self._buffer_limit if self._buffer is not None else 0))

    def _buffer_takes(self, more_bytes: int) -> bool:
        return sum(segment.buffer_bytes for segment in self._segments.values()) + more_bytes <= self._buffer_limit

    def append(self, payload: bytes, count: int, *, may_wait_s: float = 0.0) -> bool:
        """Take a payload of `count` signatures; return whether it is now safe from the end of this process.

        may_wait_s: it may be brought to the disk so much later than others, unless one comes behind it that may not.
        False counts it as dropped, unless the spool was told to "wait". A write that fails is cut off again. Waits for
        the disk only where the buffer is full and no other thread calls `sync`. Raises SinkError after `close`.
        """
        framed = frame(payload, count)
        most_bytes = self.max_bytes - max(len(framed), PAGE_BYTES)
        with self._lock:
            self._check_open()
            fits = True
            # A file takes at least a page.
            while fits and sum(max(one.size, PAGE_BYTES) for one in self._segments.values() if one.size) > most_bytes:
                fits = self._drop_one(f"{self.max_bytes} bytes are used up")
        if fits and self._buffer is not None:
            fits = self._relieve_buffer(len(framed))
        with self._lock:
            self._check_open()
            while fits:
                try:
                    self._write(framed, count, may_wait_s)
                    return True
                except OSError as error:
                    if error.errno not in _DISK_FULL:
                        self._note_failure(error)
                        break
                    fits = self._drop_one(str(error))
            if self.full != "wait":
                self.dropped += count
            return False

    def _check_open(self) -> None:
        if self._closed:
            raise SinkError(f"{self.path}: this spool is closed")

    def _relieve_buffer(self, more_bytes: int) -> bool:
        """Return whether the buffer has space, after moving what it holds or, where the disk refuses, dropping."""
        while True:
            with self._lock:
                if self._buffer_takes(more_bytes):
                    return True
            if time.monotonic() >= self._retry_s:
                with contextlib.suppress(SinkError):
                    self.sync(BUSY_S)
            with self._lock:
                if self._buffer_takes(more_bytes):
                    return True
                # Only a full disk takes more once something else is deleted from it.
                full = self._failure is not None and self._failure.errno in _DISK_FULL
                if not self._drop_one(str(self._failure or "the buffer is full"), buffer_only=not full):
                    return False

    def _drop_one(self, reason: str, *, buffer_only: bool = False) -> bool:
        """Delete the oldest segment of which all arrived, else by policy the oldest; return whether there was one."""
        there = {number: one for number, one in self._segments.items() if not buffer_only or one.mid == one.base}
        settled = [number for number, segment in there.items() if not segment.unacknowledged]
        candidates = settled or (list(there) if self.full == "oldest" else [])
        if not candidates:
            return False
        segment = self._segments[candidates[0]]
        if segment.unacknowledged:
            logger.debug("%s: %s: %d signatures dropped", self.path, reason, segment.unacknowledged)
            self.dropped += segment.unacknowledged
        if segment.mid > segment.base:
            self._retry_s = -math.inf
        self._delete(candidates[0])
        return True
