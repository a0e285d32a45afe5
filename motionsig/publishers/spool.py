"""A bounded queue on disk that outlives the process that fills it, with a stage in RAM before it.

Frames (`frames`) are appended to segment files, each in one write(2), which survives kill -9 of the process. With a
stage they are first appended to a file of the same name on a tmpfs. What the receiver has acknowledged by then is
deleted there and never wears the flash; what is still waiting after `secure_s` is moved: written behind the segment's
part on the disk and forced down, then cut from the stage. So a segment is its disk part and what the stage holds behind
it. Without a stage the same happens in place, and moving is forcing down. Whoever owns the queue calls `sync` when
`due_in_s` says so: `append` waits for the disk only where the stage is full and nobody else forces down what is in it.

Deleting works on whole segments, so nothing is ever rewritten in place. How far the receiver got is kept for each
segment in memory only: after a restart all that is still there is sent again, and the receiver drops what it has.

Opening never fails for damage. A kill, a power cut or worn flash may leave a torn or altered frame anywhere; reading
goes on at the next sound one, and what was skipped is counted. A move that was cut short leaves frames in both places:
those of the stage are skipped. A new process starts a new segment instead of appending behind a tail it did not write.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from motionsig.errors import InputError, SinkError
from motionsig.publishers.frames import frame, scan
from motionsig.publishers.segments import (
    PAGE_BYTES,
    SEGMENT_BYTES,
    Segment,
    claim,
    is_ours,
    read_parts,
    sync_folder,
    write_all,
)

logger = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 16 * 1024 * 1024
MIN_MAX_BYTES = 64 * 1024
SEGMENTS_AT_LEAST = 16
"""A full spool drops one segment, so no more than this fraction of it at once."""

STAGE_BYTES_AT_LEAST = 1024 * 1024
"""The stage may grow to this, or to a sixteenth of the spool if that is more, while the disk takes nothing."""

SECURE_AFTER_S = 7.0
"""Age at which a record that nobody acknowledged is forced to disk; the rest of the promised ten is there to do it."""

BUSY_S = 0.1
"""How long `append` waits with a full stage for another thread's `sync`."""

FULL_POLICIES = ("oldest", "newest", "wait")

_SEGMENT_NAME = re.compile(r"(\d{12,18})\.segment")
_OUT_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def check_limits(max_bytes: int, full: str) -> None:
    """Raise InputError for a size that is too small and for what is no policy."""
    if full not in FULL_POLICIES:
        raise InputError(f"full: expected one of {', '.join(FULL_POLICIES)}, got {full!r}")
    if max_bytes < MIN_MAX_BYTES:
        raise InputError(f"max_bytes: expected at least {MIN_MAX_BYTES}, got {max_bytes}")


class Position(NamedTuple):
    """A place between two records; positions order as the records do. They mean nothing to another process."""

    segment: int
    offset: int


class Record(NamedTuple):
    """One payload of `rows` signatures, from `start` to `end` in the spool; again: it was sent before."""

    payload: bytes
    rows: int
    start: Position
    end: Position
    again: bool


class Spool:
    """The queue in `path`, owned by one process at a time; every method may be called from any thread.

    stage: a directory in RAM that survives the process; what lies there alone is bounded. With one, a disk that cannot
    be used is no error: the stage is all there is until it can.
    full: what happens when `max_bytes` are used up. "oldest" drops the oldest segment, "newest" drops what was to be
    appended, "wait" refuses it without dropping anything, for a caller that can wait.
    dropped: signatures given up so far. recovered: signatures found on opening. damaged_bytes: skipped on opening.
    Raises SinkError where neither directory can be used or another process has one open.
    """

    def __init__(
        self,
        path: Path,
        *,
        stage: Path | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        full: str = "oldest",
        secure_s: float = SECURE_AFTER_S,
    ) -> None:
        check_limits(max_bytes, full)
        self.path = path
        self.max_bytes = max_bytes
        self.dropped = 0
        self.recovered = 0
        self.damaged_bytes = 0
        self.full = full
        self._secure_s = secure_s
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // SEGMENTS_AT_LEAST)
        self._stage_bytes = max(STAGE_BYTES_AT_LEAST, max_bytes // 16)
        self._lock = threading.Lock()
        # One at a time forces things down; taken before `_lock`, never while holding it.
        self._disk_lock = threading.Lock()
        self._segments: dict[int, Segment] = {}
        self._active: int | None = None
        self._active_fd = -1
        self._next_number = 1
        self._failure: OSError | None = None
        self._retry_s = -math.inf
        self._stage_failed = False
        self._closed = False
        self._locks: dict[Path, int] = {}
        self._stage = self._open_stage(stage) if stage is not None else None
        self._open_disk()

    @property
    def folders(self) -> list[Path]:
        """The directories that are ours, the disk's first."""
        return [folder for folder in (self.path, self._stage) if folder in self._locks]

    def _open_stage(self, stage: Path) -> Path | None:
        try:
            self._locks[stage] = claim(stage)
            return stage
        except SinkError:
            raise
        except OSError as error:
            logger.warning("%s: %s; signatures go to disk at once", stage, error)
            return None

    def _open_disk(self) -> None:
        try:
            self._locks[self.path] = claim(self.path)
        except SinkError:
            self._let_go()
            raise
        except OSError as error:
            if self._stage is None:
                raise SinkError(
                    f"{self.path}: expected a directory to spool to: {error}; choose one with spool=PATH"
                ) from error
            self._note_failure(error)
        self._recover()

    def _recover(self) -> None:
        numbers, damaged_before = set(), self.damaged_bytes
        for folder in (self.path, self._stage):
            with contextlib.suppress(OSError):
                names = os.listdir(folder) if folder is not None else []
                numbers |= {int(match[1]) for match in map(_SEGMENT_NAME.fullmatch, names) if match}
        for number in sorted(numbers - self._segments.keys()):
            segment = self._new_segment(number)
            self.damaged_bytes += segment.restore()
            self.recovered += segment.unacknowledged
            if segment.size:
                self._segments[number] = segment
            self._next_number = max(self._next_number, number + 1)
        self._segments = dict(sorted(self._segments.items()))
        if self.damaged_bytes > damaged_before:
            logger.warning("%s: %d damaged bytes skipped", self.path, self.damaged_bytes - damaged_before)

    def _new_segment(self, number: int) -> Segment:
        name = f"{number:012d}.segment"
        return Segment(self.path / name, self._stage / name if self._stage is not None else None)

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

    def border(self, most_bytes: int) -> Position:
        """Return a border between segments that at most `most_bytes` of what is here lie behind."""
        with self._lock:
            border, behind = self._next_number, 0
            for number, segment in reversed(self._segments.items()):
                behind += segment.end - max(segment.base, segment.forgotten)
                if behind > most_bytes:
                    if number == self._active:
                        self._seal()
                    break
                border = number
            return Position(border, 0)

    @property
    def pending(self) -> int:
        """Signatures accepted, not dropped and not yet acknowledged."""
        with self._lock:
            return sum(segment.unacknowledged for segment in self._segments.values())

    @property
    def used_bytes(self) -> int:
        """Bytes in all segments together."""
        with self._lock:
            return sum(segment.size for segment in self._segments.values())

    @property
    def limit_bytes(self) -> int:
        """What `used_bytes` may become at present: `max_bytes`, and less while the disk refuses."""
        with self._lock:
            if self._failure is None:
                return self.max_bytes
            on_disk = sum(segment.mid - segment.base for segment in self._segments.values())
            return min(self.max_bytes, on_disk + (self._stage_bytes if self._stage is not None else 0))

    @property
    def failure(self) -> str | None:
        """Why the disk takes no signatures at present, None while it does."""
        failure = self._failure
        return None if failure is None else f"{self.path}: the disk takes no signatures: {failure.strerror or failure}"

    def _staged_bytes(self) -> int:
        return sum(segment.staged_bytes for segment in self._segments.values())

    def append(self, payload: bytes, count: int) -> bool:
        """Take a payload of `count` signatures; return whether it is now safe from the end of this process.

        False counts it as dropped, unless the spool was told to "wait". A write that fails is cut off again. Raises
        SinkError after `close`.
        """
        framed = frame(payload, count)
        with self._lock:
            if self._closed:
                raise SinkError(f"{self.path}: this spool is closed")
            most_bytes = self.max_bytes - max(len(framed), PAGE_BYTES)
            while sum(segment.room_bytes for segment in self._segments.values()) > most_bytes:
                if not self._make_room(f"{self.max_bytes} bytes are used up"):
                    return self._refuse(count)
        if self._stage is not None and not self._relieve_stage(len(framed)):
            return self._refuse(count)
        with self._lock:
            if self._closed:
                raise SinkError(f"{self.path}: this spool is closed")
            while True:
                try:
                    self._write(framed, count)
                    return True
                except OSError as error:
                    if error.errno not in _OUT_OF_ROOM:
                        self._note_failure(error)
                        return self._refuse(count)
                    if not self._make_room(str(error)):
                        return self._refuse(count)

    def _refuse(self, count: int) -> bool:
        if self.full != "wait":
            self.dropped += count
        return False

    def _relieve_stage(self, more_bytes: int) -> bool:
        """Return whether the stage has room, after moving what it holds or, where the disk refuses, dropping."""
        while True:
            with self._lock:
                if self._staged_bytes() + more_bytes <= self._stage_bytes:
                    return True
            if time.monotonic() >= self._retry_s and self._disk_lock.acquire(timeout=BUSY_S):
                try:
                    with contextlib.suppress(SinkError):
                        self._sync()
                finally:
                    self._disk_lock.release()
            with self._lock:
                if self._staged_bytes() + more_bytes <= self._stage_bytes:
                    return True
                # Only a full disk takes more once something else is deleted from it.
                full = self._failure is not None and self._failure.errno in _OUT_OF_ROOM
                if not self._make_room(str(self._failure or "the stage is full"), staged_only=not full):
                    return False

    def _make_room(self, reason: str, *, staged_only: bool = False) -> bool:
        """Delete a segment, the oldest of those where that loses nothing, or is the policy; return whether any was."""
        there = {number: one for number, one in self._segments.items() if not staged_only or one.mid == one.base}
        settled = [number for number, segment in there.items() if not segment.unacknowledged]
        victims = settled or (list(there) if self.full == "oldest" else [])
        if not victims:
            return False
        segment = self._segments[victims[0]]
        if segment.unacknowledged:
            logger.debug("%s: %s: %d signatures dropped", self.path, reason, segment.unacknowledged)
            self.dropped += segment.unacknowledged
        if segment.mid > segment.base:
            self._retry_s = -math.inf
        self._delete(victims[0])
        return True

    def _write(self, framed: bytes, count: int) -> None:
        if self._active is not None and self._segments[self._active].size >= self._segment_bytes:
            self._seal()
        try:
            segment = self._put(framed, on_disk=self._stage is None)
        except OSError as error:
            if self._stage is None:
                raise
            if not self._stage_failed:
                logger.warning("%s: %s; signatures go to disk at once", self._stage, error)
            self._stage_failed = True
            self._seal()
            segment = self._put(framed, on_disk=True)
        segment.end += len(framed)
        if segment.staged is None:
            segment.mid = segment.end
        segment.unacknowledged += count
        segment.fresh.append((segment.end, time.monotonic()))

    def _put(self, framed: bytes, *, on_disk: bool) -> Segment:
        """Write at the end of the active segment, or of a new one where there is none, and return it."""
        if self._active is None:
            segment = self._new_segment(self._next_number)
            if on_disk:
                segment.staged = None
            elif self._stage is not None:
                self._claim(self._stage)
            path = segment.staged or segment.path
            self._active_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._active = self._next_number
            self._segments[self._active] = segment
            self._next_number += 1
        segment = self._segments[self._active]
        try:
            write_all(self._active_fd, framed)
        except OSError:
            self._cut_back(segment)
            raise
        if segment.staged is not None:
            self._stage_failed = False
        return segment

    def _cut_back(self, segment: Segment) -> None:
        try:
            os.ftruncate(self._active_fd, segment.size if segment.staged is None else segment.staged_bytes)
        except OSError as error:
            # Leave the torn frame to the scan, and write no further behind it.
            logger.warning("%s: a torn frame stays: %s", segment.path, error)
            self._seal()

    def _seal(self) -> None:
        if self._active_fd >= 0:
            os.close(self._active_fd)
        segment = self._segments.get(self._active) if self._active is not None else None
        if segment is not None and segment.staged is not None and not segment.staged_bytes:
            with contextlib.suppress(OSError):
                segment.staged.unlink()
        self._active_fd = -1
        self._active = None

    def _delete(self, number: int) -> None:
        segment = self._segments.pop(number)
        if number == self._active:
            self._seal()
        segment.unlink()

    def _opened(self, number: int) -> int | None:
        return self._active_fd if number == self._active else None

    def read(self, position: Position, until: Position | None = None) -> list[Record]:
        """Return the records from `position` on, up to the end of one segment; empty at the end of the spool.

        until: a border, as `border` gives them, to stop at.
        """
        while (found := self._stored(position, until)) is not None:
            number, start, sent, data = found
            records = [
                Record(
                    payload, count, Position(number, start + begin), Position(number, start + end), start + end <= sent
                )
                for begin, end, count, payload in scan(data)
            ]
            if records:
                return records
            position = Position(number + 1, 0)
        return []

    def _stored(self, position: Position, until: Position | None) -> tuple[int, int, int, bytes] | None:
        """Return the next segment to read: its number, from where on, how far it was sent, and what it holds there."""
        try:
            with self._lock:
                found = self._readable(position, until)
                if found is None:
                    return None
                number, start, segment = found
                parts = segment.parts(start, self._opened(number))
                if number == self._active:
                    return number, start, segment.sent, read_parts(parts)
            # What is not appended to is not cut either, and an SD card may take seconds: `append` must not wait.
            return number, start, segment.sent, read_parts(parts)
        except OSError as error:
            if error.errno in _PASSING:
                logger.debug("%s: %s", segment.path, error)
                return None
            with self._lock:
                logger.warning("%s: %s; %d signatures are lost", segment.path, error, segment.unacknowledged)
                self.dropped += segment.unacknowledged
                segment.unacknowledged = 0
                segment.settled = segment.forgotten = segment.end
                segment.fresh.clear()
            return number, start, segment.sent, b""

    def _readable(self, position: Position, until: Position | None) -> tuple[int, int, Segment] | None:
        if self._closed:
            return None
        for number, segment in self._segments.items():
            if until is not None and number >= until.segment:
                return None
            start = max(segment.base, segment.forgotten, position.offset if number == position.segment else 0)
            if number >= position.segment and start < segment.end:
                return number, start, segment
        return None

    def holds(self, position: Position) -> bool:
        """Return whether the segment of a record is still here."""
        with self._lock:
            return position.segment in self._segments

    def note_sent(self, end: Position) -> None:
        """Note that the record that ends here has been sent: from now on it is sent again."""
        with self._lock:
            if end.segment in self._segments:
                segment = self._segments[end.segment]
                segment.sent = max(segment.sent, end.offset)

    def acknowledge(self, end: Position, count: int) -> bool:
        """Note that the receiver has the `count` signatures of the record that ends here; return whether that is new.

        The records of one segment are acknowledged in order. Dropping them from here on loses nothing.
        """
        with self._lock:
            segment = self._segments.get(end.segment)
            if segment is None or end.offset <= segment.settled:
                return False
            segment.settled = end.offset
            segment.unacknowledged -= count
            segment.secured(end.offset)
            return True

    def give_up(self, record: Record) -> bool:
        """Drop and count a record that can never be sent, forget it with those before; return whether that is new."""
        with self._lock:
            number, start = record.start
            segment = self._segments.get(number)
            if self._closed or segment is None or start in segment.hopeless:
                return False
            segment.hopeless[start] = record.end.offset
            segment.unacknowledged -= record.rows
            self.dropped += record.rows
            if segment.forget(segment.forgotten):
                self._release(number)
            return True

    def forget(self, first: Position, position: Position) -> None:
        """Delete what lies between the segment of `first` and `position`, as far as whole segments allow it."""
        with self._lock:
            if self._closed:
                # After `close` the files may be another process's.
                return
            for number in [number for number in self._segments if first.segment <= number <= position.segment]:
                segment = self._segments[number]
                if number == position.segment and not segment.forget(position.offset):
                    return
                self._release(number)

    def _release(self, number: int) -> None:
        segment = self._segments[number]
        # Passed over without ever being acknowledged: the disk altered them after they were written.
        self.dropped += segment.unacknowledged
        segment.unacknowledged = 0
        if number != self._active or not self._empty(segment):
            self._delete(number)

    def _empty(self, segment: Segment) -> bool:
        # Cutting the file is cheaper than deleting it and creating another for the next signature.
        if segment.staged is not None and segment.mid > segment.base:
            return False
        try:
            os.ftruncate(self._active_fd, 0)
        except OSError as error:
            logger.warning("%s: could not be emptied: %s", segment.path, error)
            return False
        segment.base = segment.mid = segment.staged_from = segment.end
        segment.hopeless.clear()
        segment.fresh.clear()
        return True

    def due_in_s(self, now_s: float) -> float:
        """Return how long until `sync` has to be called; at most `secure_s`, as more may come."""
        with self._lock:
            # With nothing to force down, a disk that refused is tried all the same.
            idle_s = now_s if self._failure is None else -math.inf
            oldest_s = min((one.fresh[0][1] for one in self._segments.values() if one.fresh), default=idle_s)
            return min(self._secure_s, max(0.0, oldest_s + self._secure_s - now_s, self._retry_s - now_s))

    def sync(self) -> None:
        """Make all that was appended and not acknowledged survive a power cut. Raises SinkError where the disk refuses.

        A failure is logged when it begins and when it ends.
        """
        with self._disk_lock:
            self._sync()

    def _sync(self) -> None:
        try:
            self._secure_all()
        except OSError as error:
            self._note_failure(error)
            raise SinkError(f"{self.path}: the spool could not be written to disk: {error}") from error
        if self._failure is not None:
            logger.warning("%s: the disk takes signatures again", self.path)
            self._failure, self._retry_s = None, -math.inf

    def _secure_all(self) -> None:
        ours, earlier = self._fresh(math.inf)
        if not ours and not earlier:
            if self._failure is not None:
                self._try_disk()
            return
        self._claim_disk()
        self._secure_names([*ours.values(), *earlier.values()])
        failed = self._secure_each(ours)
        for number, segment in earlier.items():
            if not failed:
                # Much may be left of an earlier process; what comes of age meanwhile does not wait for it.
                failed += self._secure_each(self._fresh(time.monotonic() - self._secure_s)[0])
            failed += self._secure_each({number: segment})
        if failed:
            raise failed[0]

    def _secure_each(self, segments: Mapping[int, Segment]) -> list[OSError]:
        failed = []
        for number, segment in segments.items():
            try:
                self._secure(number, segment)
            except OSError as error:
                failed.append(error)
        return failed

    def _fresh(self, until_s: float) -> tuple[dict[int, Segment], dict[int, Segment]]:
        """Return what a power cut would hurt: ours that have been waiting since `until_s`, and an earlier process's."""
        with self._lock:
            found = sorted((one.fresh[0][1], number) for number, one in self._segments.items() if one.fresh)
            ours = {number: self._segments[number] for taken_s, number in found if -math.inf < taken_s <= until_s}
            return ours, {number: self._segments[number] for taken_s, number in found if taken_s == -math.inf}

    def _secure_names(self, segments: list[Segment]) -> None:
        """Have the names of files that are there survive a power cut, all at once."""
        unnamed = [one for one in segments if one.mid > one.base and not one.named]
        if unnamed:
            sync_folder(self.path)
        for segment in unnamed:
            segment.named = True

    def _note_failure(self, error: OSError) -> None:
        if self._failure is None or self._failure.errno != error.errno:
            meanwhile = "; they wait in RAM" if self._stage is not None else ""
            logger.warning("%s: the disk takes no signatures%s: %s", self.path, meanwhile, error)
        self._failure, self._retry_s = error, time.monotonic() + self._secure_s

    def _claim(self, folder: Path) -> bool:
        """Make a folder ours, once more if somebody took it away; return False where it is ours already."""
        lock_fd = self._locks.get(folder)
        if lock_fd is not None:
            # Whoever takes it out of `_locks` closes it: `close` may be faster.
            if is_ours(folder, lock_fd) or self._locks.pop(folder, None) is None:
                return False
            os.close(lock_fd)
            logger.warning("%s: the directory is gone; it is made again", folder)
        self._locks[folder] = claim(folder)
        return True

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
        """Give segments that a disk brings along numbers that nobody has: what is sent has read past their own."""
        known = {one.path.name for one in self._segments.values() if one.mid > one.base}
        names = sorted(name for name in os.listdir(self.path) if _SEGMENT_NAME.fullmatch(name) and name not in known)
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

    def _secure(self, number: int, segment: Segment) -> None:
        """Bring a segment to the disk, outside the lock: an SD card may take seconds, and `append` must not wait."""
        with self._lock:
            if self._closed or self._segments.get(number) is not segment:
                return
            if segment.staged is not None and segment.forgotten > segment.mid:
                # Nothing on the disk is needed any more, nor what the stage begins with.
                with contextlib.suppress(FileNotFoundError):
                    segment.path.unlink()
                segment.base = segment.mid = segment.forgotten
                segment.named = False
            base, mid, end = segment.base, segment.mid, segment.end
            start = base if segment.rewrite else mid
            data = read_parts(segment.parts(start, self._opened(number)))
        staged = segment.staged is not None
        try:
            fd = os.open(segment.path, os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT if staged else 0), 0o600)
        except FileNotFoundError:
            if staged:
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
            if staged:
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
            moved_away = staged and (segment.base, segment.mid) != (base, mid)
            if self._segments.get(number) is not segment or moved_away:
                # Deleted or emptied in the meantime; what was written just now is nothing any more.
                with contextlib.suppress(FileNotFoundError):
                    segment.path.unlink()
                return
            segment.named, segment.rewrite = True, False
            segment.secured(end)
            if staged:
                segment.mid = end
                self._cut_stage(number, segment)

    def _cut_stage(self, number: int, segment: Segment) -> None:
        if segment.end > segment.mid or segment.staged is None:
            # The next move takes the rest; `staged_from` tells where it begins.
            return
        try:
            if number == self._active:
                os.ftruncate(self._active_fd, 0)
                if not os.fstat(self._active_fd).st_nlink:
                    # Somebody deleted it. Nothing is lost now, but would be with the next kill.
                    self._seal()
            else:
                segment.staged.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s: could not be emptied: %s", segment.staged, error)
            return
        segment.staged_from = segment.end

    def _let_go(self) -> None:
        while self._locks:
            os.close(self._locks.popitem()[1])

    def close(self) -> None:
        """Let go of the directories; what is in them waits for the next process."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._active is not None:
                drained = self._segments[self._active].size == 0
                if drained:
                    self._delete(self._active)
                else:
                    self._seal()
            self._let_go()
