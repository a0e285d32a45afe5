"""Records in segments, in the order in which they were written: where each is, and how far it got.

Frames (`frames`) are appended to segment files, each in one write(2), which survives kill -9;
what a full disk cuts short is cut off. With a write-ahead buffer
they are first appended to a file of the same name on a tmpfs, so a segment is its part on the disk and, behind that,
what the buffer holds. Only whole segments are deleted, so nothing is rewritten in place. How far the receiver got is in
memory only: after a restart all that is still there is sent again, and the receiver drops what it has.

Opening never fails for damage, which a kill, a power cut or worn flash may leave anywhere: reading goes on at the next
sound frame, and what was skipped is counted. Of frames that a move cut short left in both places, the buffer's are
skipped. A new process starts a new segment instead of appending behind a tail it did not write.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple

from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.files import lock_file, write_all
from motionsig.publishers.frames import EVENT_MARK, HEADER_BYTES, scan
from motionsig.publishers.refused import Refused
from motionsig.publishers.segments import Segment, read_parts

logger = own_logger(__name__)

SEGMENT_NAME = re.compile(r"(\d{12,18})\.segment")
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class Position(NamedTuple):
    """A place between two records; positions order as the records do. They mean nothing to another process."""

    segment: int
    offset: int


class Record(NamedTuple):
    """One payload, of `rows` signatures or one event, from `start` to `end` in the spool; again: it was sent before."""

    payload: bytes
    rows: int
    start: Position
    end: Position
    again: bool

    @property
    def is_event(self) -> bool:
        return self.payload.startswith(EVENT_MARK)


class Log:
    """The records in `path` and in a buffer before it; every method may be called from any thread.

    dropped: signatures given up so far. recovered: signatures found on opening. damaged_bytes: skipped on opening.
    """

    def __init__(self, path: Path, *, buffer: Path | None, segment_bytes: int) -> None:
        self.path = path
        self.dropped = 0
        self.recovered = 0
        self.damaged_bytes = 0
        self._buffer = buffer
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._segments: dict[int, Segment] = {}
        self._active: int | None = None
        self._active_fd = -1
        self._next_number = 1
        self._buffer_failed = False
        self._closed = False
        self._locks: dict[Path, int] = {}

    @property
    def folders(self) -> list[Path]:
        """The directories that are ours, the disk's first."""
        return [folder for folder in (self.path, self._buffer) if folder in self._locks]

    def _claim(self, folder: Path) -> bool:
        """Make a folder ours, once more if somebody took it away; return False where it is ours already.

        Raises SinkError where another process has it, OSError where it cannot be made or written to.
        """
        lock_fd = self._locks.get(folder)
        if lock_fd is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(folder / "lock"), os.fstat(lock_fd)):
                    return False
            # Whoever takes it out of `_locks` closes it: `close` may be faster.
            if self._locks.pop(folder, None) is None:
                return False
            os.close(lock_fd)
            logger.warning("%s: the directory is gone; it is made again", folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._locks[folder] = lock_file(folder / "lock")
        except BlockingIOError as error:
            raise SinkError(
                f"{folder}: another publisher ({str(error.strerror).removeprefix('held by ')}) has this spool open; "
                "stop it or choose another with spool=PATH and buffer=PATH"
            ) from error
        return True

    def _recover(self) -> None:
        numbers, damaged_before = set(), self.damaged_bytes
        for folder in (self.path, self._buffer):
            with contextlib.suppress(OSError):
                names = os.listdir(folder) if folder is not None else []
                numbers |= {int(match[1]) for match in map(SEGMENT_NAME.fullmatch, names) if match}
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
        return Segment(self.path / name, self._buffer / name if self._buffer is not None else None)

    @property
    def first(self) -> Position:
        """Where the oldest record still here starts."""
        with self._lock:
            there = (Position(number, segment.base) for number, segment in self._segments.items())
            return next(there, Position(self._next_number, 0))

    @property
    def end(self) -> Position:
        """Where the next record starts at the earliest."""
        with self._lock:
            if self._active is not None:
                return Position(self._active, self._segments[self._active].end)
            return Position(self._next_number, 0)

    def backlog_end(self, most_bytes: int) -> Position:
        """Return a position between two segments; at most `most_bytes` of what is here lie behind it."""
        with self._lock:
            end, behind = self._next_number, 0
            for number, segment in reversed(self._segments.items()):
                behind += segment.end - max(segment.base, segment.forgotten)
                if behind > most_bytes:
                    if number == self._active:
                        self._seal()
                    break
                end = number
            return Position(end, 0)

    @property
    def pending(self) -> int:
        """Signatures accepted, not dropped and not yet acknowledged."""
        with self._lock:
            return sum(segment.unacknowledged for segment in self._segments.values())

    @property
    def used_bytes(self) -> int:
        with self._lock:
            return sum(segment.size for segment in self._segments.values())

    def _write(self, framed: bytes, count: int, may_wait_s: float = 0.0) -> None:
        if self._active is not None and self._segments[self._active].size >= self._segment_bytes:
            self._seal()
        try:
            segment = self._put(framed, on_disk=self._buffer is None)
        except OSError as error:
            if self._buffer is None:
                raise
            if not self._buffer_failed:
                logger.warning("%s: %s; signatures go to disk at once", self._buffer, error)
            self._buffer_failed = True
            self._seal()
            segment = self._put(framed, on_disk=True)
        if framed.startswith(EVENT_MARK, HEADER_BYTES):
            segment.events.append(segment.end)
        segment.end += len(framed)
        if segment.buffered is None:
            segment.mid = segment.end
        segment.unacknowledged += count
        segment.taken(time.monotonic() + may_wait_s)

    def _put(self, framed: bytes, *, on_disk: bool) -> Segment:
        """Write at the end of the active segment, or of a new one where there is none, and return it."""
        if self._active is None:
            segment = self._new_segment(self._next_number)
            if on_disk:
                segment.buffered = None
            elif self._buffer is not None:
                self._claim(self._buffer)
            path = segment.buffered or segment.path
            self._active_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._active = self._next_number
            self._segments[self._active] = segment
            self._next_number += 1
        segment = self._segments[self._active]
        try:
            write_all(self._active_fd, framed)
        except OSError:
            try:
                os.ftruncate(self._active_fd, segment.size if segment.buffered is None else segment.buffer_bytes)
            except OSError as error:
                # The next start skips the torn frame; nothing is written behind it.
                logger.warning("%s: a torn frame stays: %s", segment.path, error)
                self._seal()
            raise
        if segment.buffered is not None:
            self._buffer_failed = False
        return segment

    def _seal(self) -> None:
        if self._active_fd >= 0:
            os.close(self._active_fd)
        segment = self._segments.get(-1 if self._active is None else self._active)
        if segment is not None and segment.buffered is not None and not segment.buffer_bytes:
            with contextlib.suppress(OSError):
                segment.buffered.unlink()
        self._active_fd = -1
        self._active = None

    def _delete(self, number: int) -> None:
        segment = self._segments.pop(number)
        if number == self._active:
            self._seal()
        segment.unlink()

    def _opened(self, number: int) -> int | None:
        return self._active_fd if number == self._active else None

    def read(self, position: Position, until: Position | None = None, *, refused: bool = False) -> list[Record]:
        """Return the records from `position` on, up to the end of one segment; empty at the end of the spool.

        until: a position between two segments to stop at. refused: those that were refused, instead of all others.
        """
        while (found := self._stored(position, until, refused=refused)) is not None:
            number, start, sent, data = found
            frames = [(start + begin, start + end, count, payload) for begin, end, count, payload in scan(data)]
            with self._lock:
                segment = self._segments.get(number)
                # One that was deleted meanwhile may be sent all the same: whoever counts it asks whether it is here.
                wanted = [segment is None or segment.to_be_sent(end, refused=refused) for _, end, *_ in frames]
            records = [
                Record(payload, count, Position(number, begin), Position(number, end), end <= sent)
                for (begin, end, count, payload), one in zip(frames, wanted, strict=True)
                if one
            ]
            if records:
                return records
            position = Position(number + 1, 0)
        return []

    def _stored(
        self, position: Position, until: Position | None, *, refused: bool
    ) -> tuple[int, int, int, bytes] | None:
        """Return the next segment to read: its number, from where on, how far it was sent, and what it holds there."""
        try:
            with self._lock:
                found = self._readable(position, until, refused=refused)
                if found is None:
                    return None
                number, start, segment = found
                parts = segment.parts(start, self._opened(number))
                if number == self._active:
                    return number, start, segment.sent, read_parts(parts)
            # What is not appended to is not cut either. An SD card may take seconds, and `append` must not wait for it.
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
                segment.refused = Refused()
                segment.fresh.clear()
            return number, start, segment.sent, b""

    def _readable(
        self, position: Position, until: Position | None, *, refused: bool
    ) -> tuple[int, int, Segment] | None:
        if self._closed:
            return None
        for number, segment in self._segments.items():
            if until is not None and number >= until.segment:
                return None
            start = max(segment.base, segment.forgotten, position.offset if number == position.segment else 0)
            if number >= position.segment and start < segment.end and (segment.refused or not refused):
                return number, start, segment
        return None

    def next_event(self, position: Position) -> Position | None:
        """Return where the first event from `position` on starts, None where there is none that is to be sent."""
        with self._lock:
            for number, segment in self._segments.items():
                if number >= position.segment and segment.events:
                    least = max(segment.forgotten, position.offset if number == position.segment else 0)
                    at = bisect_left(segment.events, least)
                    if at < len(segment.events):
                        return Position(number, segment.events[at])
        return None

    def holds(self, position: Position) -> bool:
        """Return whether the segment of a record is still here."""
        with self._lock:
            return position.segment in self._segments

    def note_sent(self, end: Position) -> None:
        """Note that the record that ends here has been sent: from now on it is sent again."""
        with self._lock:
            if (segment := self._segments.get(end.segment)) is not None:
                segment.sent = max(segment.sent, end.offset)

    def acknowledge(self, end: Position, count: int) -> bool:
        """Note that the receiver has the `count` signatures of the record that ends here; return whether that is new.

        The records of one segment are acknowledged in order, except those that were refused before. Dropping them from
        here on loses nothing.
        """
        with self._lock:
            segment = self._segments.get(end.segment)
            return segment is not None and segment.acknowledge(end.offset, count)

    def refuse(self, start: Position, end: Position) -> None:
        """Note that the receiver refused a record: it is kept in its place while others pass it."""
        with self._lock:
            if (segment := self._segments.get(start.segment)) is not None:
                segment.refuse(start.offset, end.offset)

    def is_refused(self, end: Position) -> bool:
        """Return whether the record that ends here was refused."""
        with self._lock:
            segment = self._segments.get(end.segment)
            return segment is not None and segment.refused.holds(end.offset)

    @property
    def refused(self) -> bool:
        """Whether anything was refused that has not arrived since."""
        with self._lock:
            return any(one.refused.left for one in self._segments.values())

    def forget_refused(self, start: Position, end: Position) -> None:
        """Forget a record that was refused at first and has arrived."""
        with self._lock:
            segment = self._segments.get(start.segment)
            if self._closed or segment is None:
                return
            segment.refused.finish(start.offset, end.offset)
            if segment.forget(segment.cleared):
                self._release(start.segment)

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
            if segment.forget(segment.cleared):
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
                if segment.forget(position.offset if number == position.segment else segment.end):
                    self._release(number)

    def _release(self, number: int) -> None:
        segment = self._segments[number]
        # Skipped and never acknowledged: the disk altered them after they were written.
        self.dropped += segment.unacknowledged
        segment.unacknowledged = 0
        if number != self._active or not self._empty(segment):
            self._delete(number)

    def _empty(self, segment: Segment) -> bool:
        # Cutting the file is cheaper than deleting it and creating another for the next signature.
        if segment.buffered is not None and segment.mid > segment.base:
            return False
        try:
            os.ftruncate(self._active_fd, 0)
        except OSError as error:
            logger.warning("%s: could not be emptied: %s", segment.path, error)
            return False
        segment.base = segment.mid = segment.buffer_from = segment.end
        segment.hopeless.clear()
        segment.fresh.clear()
        segment.events.clear()
        segment.refused = Refused()
        return True

    def close(self) -> None:
        """Let go of the directories; what is in them waits for the next process."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._active is not None and not self._segments[self._active].size:
                self._delete(self._active)
            self._seal()
            while self._locks:
                os.close(self._locks.popitem()[1])
