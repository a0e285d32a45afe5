"""What brings records to the disk: those that nobody acknowledged in time are fsynced there, or moved there first.

What is acknowledged before `fsync_after_s` is deleted in the write-ahead buffer and never wears the flash. The rest is
moved: written behind the segment's part on the disk and fsynced, then cut from the buffer; without a buffer it is only
fsynced. Whoever owns the queue calls `sync` when `due_in_s` says so.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.files import sync_folder, write_all
from motionsig.publishers.log import SEGMENT_NAME, Log
from motionsig.publishers.segments import Segment, read_parts

logger = own_logger(__name__)

FSYNC_AFTER_S = 13.0  # age of a record that nobody acknowledged; the rest of the promised 16 is there to fsync it


class DurableLog(Log):
    """A log that survives a power cut, apart from the records of the last `fsync_after_s`."""

    def __init__(self, path: Path, *, buffer: Path | None, segment_bytes: int, fsync_after_s: float) -> None:
        super().__init__(path, buffer=buffer, segment_bytes=segment_bytes)
        self._fsync_after_s = fsync_after_s
        # One at a time fsyncs; taken before `_lock`, never while holding it.
        self._disk_lock = threading.Lock()
        self._failure: OSError | None = None
        self._retry_s = -math.inf

    @property
    def failure(self) -> str | None:
        """Why the disk takes no signatures at present, None while it does."""
        failure = self._failure
        return None if failure is None else f"{self.path}: the disk takes no signatures: {failure.strerror or failure}"

    def due_in_s(self, now_s: float) -> float:
        """Return how long until `sync` has to be called; at most `fsync_after_s`, as more may come."""
        with self._lock:
            # Even with nothing to fsync, a disk that refused is tried again.
            idle_s = now_s if self._failure is None else -math.inf
            oldest_s = min((one.fresh[0][1] for one in self._segments.values() if one.fresh), default=idle_s)
            return min(self._fsync_after_s, max(0.0, oldest_s + self._fsync_after_s - now_s, self._retry_s - now_s))

    def sync(self, patience_s: float = -1) -> None:
        """Make all that was appended and not acknowledged survive a power cut. Raises SinkError where the disk refuses.

        A failure is logged when it begins and when it ends. patience_s: how long to wait for another thread that does
        the same, -1 for as long as it takes.
        """
        if not self._disk_lock.acquire(timeout=patience_s):
            return
        try:
            self._fsync_all()
            if self._failure is not None:
                logger.warning("%s: the disk takes signatures again", self.path)
                self._failure, self._retry_s = None, -math.inf
        except OSError as error:
            self._note_failure(error)
            raise SinkError(f"{self.path}: the spool could not be written to disk: {error}") from error
        finally:
            self._disk_lock.release()

    def _fsync_all(self) -> None:
        ours, earlier = self._fresh(math.inf)
        if not ours and not earlier:
            if self._failure is not None:
                self._try_disk()
            return
        self._claim_disk()
        # The names of all files that are there at once.
        unnamed = [one for one in (*ours.values(), *earlier.values()) if one.mid > one.base and not one.named]
        if unnamed:
            sync_folder(self.path)
        for segment in unnamed:
            segment.named = True
        failed = self._fsync_each(ours)
        for number, segment in earlier.items():
            if not failed:
                # An earlier process may have left much; our own records that become old meanwhile do not wait.
                failed += self._fsync_each(self._fresh(time.monotonic() - self._fsync_after_s)[0])
            failed += self._fsync_each({number: segment})
        if failed:
            raise failed[0]

    def _fresh(self, until_s: float) -> tuple[dict[int, Segment], dict[int, Segment]]:
        """Return what a power cut would cost: ours that have been waiting since `until_s`, and an earlier process's."""
        with self._lock:
            found = sorted((one.fresh[0][1], number) for number, one in self._segments.items() if one.fresh)
            ours = {number: self._segments[number] for taken_s, number in found if -math.inf < taken_s <= until_s}
            return ours, {number: self._segments[number] for taken_s, number in found if taken_s == -math.inf}

    def _fsync_each(self, segments: Mapping[int, Segment]) -> list[OSError]:
        failed = []
        for number, segment in segments.items():
            try:
                self._fsync_segment(number, segment)
            except OSError as error:
                failed.append(error)
        return failed

    def _fsync_segment(self, number: int, segment: Segment) -> None:
        """Bring a segment to the disk, outside the lock: an SD card may take seconds, and `append` must not wait."""
        with self._lock:
            if self._closed or self._segments.get(number) is not segment:
                return
            if segment.buffered is not None and segment.forgotten > segment.mid:
                # Nothing on the disk is needed any more, nor what the buffer begins with.
                with contextlib.suppress(FileNotFoundError):
                    segment.path.unlink()
                segment.base = segment.mid = segment.forgotten
                segment.named = False
            base, mid, end = segment.base, segment.mid, segment.end
            start = base if segment.rewrite else mid
            data = read_parts(segment.parts(start, self._opened(number)))
        buffered = segment.buffered is not None
        try:
            fd = os.open(segment.path, os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT if buffered else 0), 0o600)
        except FileNotFoundError:
            if buffered:
                raise
            # Delivered or dropped in the meantime, or somebody deleted it: nothing more goes there.
            with self._lock:
                segment.fresh.clear()
                if number == self._active:
                    self._seal()
            return
        try:
            if data:
                write_all(fd, data, start - base)
            os.fsync(fd)
        except OSError:
            if buffered:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, mid - base)
            else:
                with self._lock:
                    segment.rewrite = True
                    # What is appended or cut while it is written again would end up in the wrong place.
                    if number == self._active:
                        self._seal()
            raise
        finally:
            os.close(fd)
        if not segment.named:
            sync_folder(self.path)
        with self._lock:
            moved_away = buffered and (segment.base, segment.mid) != (base, mid)
            if self._segments.get(number) is not segment or moved_away:
                # Deleted or emptied in the meantime; what was written just now is obsolete.
                with contextlib.suppress(FileNotFoundError):
                    segment.path.unlink()
                return
            segment.named, segment.rewrite = True, False
            segment.fsynced(end)
            if buffered:
                segment.mid = end
                self._cut_buffer(number, segment)

    def _cut_buffer(self, number: int, segment: Segment) -> None:
        if segment.end > segment.mid or segment.buffered is None:
            # The next move takes the rest; `buffer_from` tells where it begins.
            return
        try:
            if number == self._active:
                os.ftruncate(self._active_fd, 0)
                if not os.fstat(self._active_fd).st_nlink:
                    # Somebody deleted it. Nothing is lost now, but would be with the next kill.
                    self._seal()
            else:
                segment.buffered.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s: could not be emptied: %s", segment.buffered, error)
            return
        segment.buffer_from = segment.end

    def _note_failure(self, error: OSError) -> None:
        if self._failure is None or self._failure.errno != error.errno:
            meanwhile = "; they wait in RAM" if self._buffer is not None else ""
            logger.warning("%s: the disk takes no signatures%s: %s", self.path, meanwhile, error)
        self._failure, self._retry_s = error, time.monotonic() + self._fsync_after_s

    def _claim_disk(self) -> None:
        if self._closed or not self._claim(self.path):
            return
        try:
            with self._lock:
                self._seal()
                self._put_behind()
                self._recover()
        except OSError:
            os.close(self._locks.pop(self.path))
            raise

    def _put_behind(self) -> None:
        """Give new numbers to the segments of a disk that came late: the sender has read past their own numbers."""
        known = {one.path.name for one in self._segments.values() if one.mid > one.base}
        names = sorted(name for name in os.listdir(self.path) if SEGMENT_NAME.fullmatch(name) and name not in known)
        self._next_number = max([self._next_number, *(int(name[:-8]) + 1 for name in names)])
        for name in names:
            os.rename(self.path / name, self._new_segment(self._next_number).path)
            self._next_number += 1

    def _try_disk(self) -> None:
        self._claim_disk()
        path = self.path / "trial"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, bytes(4096))
            os.fsync(fd)
        finally:
            os.close(fd)
            path.unlink()
