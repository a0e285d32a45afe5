"""One segment of the spool: its part on the disk, the part behind that in the write-ahead buffer, and their records."""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
import os
import stat
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from motionsig.escaping import own_logger
from motionsig.publishers.frames import EVENT_MARK, HEADER_BYTES, MAX_PAYLOAD_BYTES, OLDER_MARK, scan
from motionsig.publishers.refused import Refused

logger = own_logger(__name__)

SEGMENT_BYTES = 256 * 1024
PAGE_BYTES = 4096
_LARGEST_BYTES = SEGMENT_BYTES + HEADER_BYTES + MAX_PAYLOAD_BYTES


class Part(NamedTuple):
    """Bytes of an open file, zeros where it ends before; fd: -1 where it is gone."""

    fd: int
    offset: int
    size: int


@dataclass(slots=True)
class Segment:
    """Offsets: base <= mid <= end; on the disk lies base to mid, in the buffer mid to end.

    sent, settled, forgotten: how far its records were sent, acknowledged, and need not be sent again. fresh: end and
    time of each record that a power cut would cost. hopeless: start and end of each record that can never be sent.
    refused: what the receiver refused and others have passed. cleared: what lies before it and was not refused need not
    be sent again. events: where the records start that hold an event, in order; those that need not be sent again may
    be among them.
    """

    path: Path
    buffered: Path | None
    # Offsets go on counting when a drained file is cut to nothing, so that positions never run backwards.
    base: int = 0
    mid: int = 0
    end: int = 0
    # Offset of the first byte in the buffer's file: before `mid` while what was moved is not cut off yet.
    buffer_from: int = 0
    sent: int = 0
    settled: int = 0
    forgotten: int = 0
    cleared: int = 0
    unacknowledged: int = 0
    refused: Refused = field(default_factory=Refused)
    hopeless: dict[int, int] = field(default_factory=dict)
    fresh: deque[tuple[int, float]] = field(default_factory=deque)
    events: list[int] = field(default_factory=list)
    # Whether its name in the directory survives a power cut, too.
    named: bool = False
    # Linux reports a failed write only once (fsync(2)), so what it lost has to be written again.
    rewrite: bool = False

    @property
    def size(self) -> int:
        """Bytes in either place."""
        return self.end - self.base

    @property
    def buffer_bytes(self) -> int:
        """Bytes in the buffer, with those that were moved and not cut off yet."""
        return self.end - self.buffer_from if self.buffered is not None else 0

    def taken(self, taken_s: float) -> None:
        """Note that the record that ends here may be brought to the disk as if it had come then.

        What lies before it goes with it, and does not wait longer.
        """
        for at in range(len(self.fresh) - 1, -1, -1):
            if self.fresh[at][1] <= taken_s:
                break
            self.fresh[at] = self.fresh[at][0], taken_s
        self.fresh.append((self.end, taken_s))

    def fsynced(self, offset: int) -> None:
        """Note that no power cut can cost what lies before `offset`."""
        while self.fresh and self.fresh[0][0] <= offset:
            self.fresh.popleft()

    def acknowledge(self, end: int, count: int) -> bool:
        """Note that the `count` signatures of the record that ends here arrived; return whether that is new."""
        refused = self.refused.holds(end)
        # One that was refused, arrived and was forgotten is refused no more.
        if not (self.refused.arrive(end) if refused else end > max(self.settled, self.cleared)):
            return False
        self.unacknowledged -= count
        if refused:
            return True
        self.settled = end
        # What was refused before it is not delivered, so the segment goes to the disk with it.
        if not self.refused:
            self.fsynced(end)
        return True

    def refuse(self, start: int, end: int) -> None:
        """Note that the receiver refused a record."""
        self.refused.add(start, end, arrived=end <= self.settled)

    def to_be_sent(self, end: int, *, refused: bool) -> bool:
        """Return whether a record that ends here is one of the refused, or else one that was not sent for good."""
        return self.refused.waits(end) if refused else end > self.cleared and not self.refused.holds(end)

    def forget(self, offset: int) -> bool:
        """Forget what lies before `offset`, and what directly follows if it can never be sent; return whether all."""
        self.cleared = self.refused.settle(max(self.base, self.cleared, offset))
        self.forgotten = max(self.base, self.forgotten, min(self.cleared, self.refused.first))
        while self.forgotten in self.hopeless:
            self.forgotten = self.hopeless[self.forgotten]
        return self.forgotten >= self.end

    def parts(self, start: int, opened: int | None) -> list[Part]:
        """Open what it holds from `start` on; opened: the descriptor of the file it is appended to, if it is."""
        # What is open is read by its descriptor: somebody who tidies up may delete its name.
        # Where one part is gone, the other one can still be sent.
        both = start < self.mid < self.end
        parts: list[Part] = []
        try:
            if start < self.mid:
                fd = _open_part(self.path, opened if self.buffered is None else None, gone_is_empty=both)
                parts.append(Part(fd, start - self.base, self.mid - start))
            if self.buffered is not None and self.mid < self.end:
                begin = max(start, self.mid)
                fd = _open_part(self.buffered, opened, gone_is_empty=both)
                parts.append(Part(fd, begin - self.buffer_from, self.end - begin))
        except OSError:
            _close(parts)
            raise
        return parts

    def restore(self) -> int:
        """Find out what an earlier process left of it; return how many bytes are damaged. Empty if nothing is sound."""
        on_disk, unread = _read_left(self.path)
        buffered, buffer_unread = _read_left(self.buffered) if self.buffered is not None else (b"", 0)
        found, waiting = list(scan(on_disk)), list(scan(buffered))
        damaged = unread + buffer_unread + _between(buffered, waiting)
        # A move that was cut short has written the buffer's first frames to the disk, the last of them in part.
        moved = {on_disk[start:end] for start, end, *_ in found} if waiting else set()
        # Where the disk part was begun anew, the buffer's frames before its first one were delivered long ago.
        head = on_disk[: found[0][1]] if found else b""
        skip = next((row for row, one in enumerate(waiting) if buffered[one[0] : one[1]] == head), 0)
        twice = list(itertools.takewhile(lambda one: buffered[one[0] : one[1]] in moved, waiting[skip:]))
        waiting = waiting[skip + len(twice) :]
        done = twice[-1][1] if twice else 0
        self.mid = found[-1][1] if found else 0
        self.buffer_from = self.mid - done
        self.end = self.buffer_from + waiting[-1][1] if waiting else self.mid
        torn = len(on_disk) - self.mid
        damaged += _between(on_disk, found) - torn
        if not waiting or not buffered[done:].startswith(on_disk[self.mid :]):
            damaged += torn
        self.unacknowledged = sum(count for *_, count, _ in found + waiting)
        both = ((0, found), (self.buffer_from, waiting))
        self.events = [
            offset + start for offset, frames in both for start, *_, payload in frames if payload[:1] == EVENT_MARK
        ]
        self.sent = self.end
        if self.size:
            self.fresh.append((self.end, -math.inf))
        elif not unread and not buffer_unread and not on_disk.startswith(OLDER_MARK):
            self.unlink()
        return damaged

    def unlink(self) -> None:
        for path in (self.path, self.buffered):
            try:
                if path is not None:
                    path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s: could not be deleted and will be sent again after a restart: %s", path, error)


def _between(data: bytes, frames: list[tuple[int, int, int, bytes]]) -> int:
    return len(data) - sum(end - start for start, end, *_ in frames)


def read_parts(parts: list[Part]) -> bytes:
    """Return what the parts hold, and close them."""
    try:
        return b"".join(
            _pread(part.fd, part.size, part.offset).ljust(part.size, b"\0") if part.fd >= 0 else bytes(part.size)
            for part in parts
        )
    finally:
        _close(parts)


def _open_part(path: Path, opened: int | None, *, gone_is_empty: bool) -> int:
    if opened is not None:
        return os.dup(opened)
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if gone_is_empty:
            return -1
        raise


def _close(parts: list[Part]) -> None:
    for part in parts:
        if part.fd >= 0:
            os.close(part.fd)


def _pread(fd: int, size: int, offset: int) -> bytes:
    """Return what can be read, zeros for the rest: worn flash fails by the page."""
    try:
        return os.pread(fd, size, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        logger.warning("%s: %s; its pages are read one by one", os.readlink(f"/proc/self/fd/{fd}"), error)
    data = bytearray(size)
    for at in range(0, size, PAGE_BYTES):
        with contextlib.suppress(OSError):
            page = os.pread(fd, min(PAGE_BYTES, size - at), offset + at)
            data[at : at + len(page)] = page
    return bytes(data)


def _read_left(path: Path) -> tuple[bytes, int]:
    """Return what a file holds and how many bytes of it could not be, or need not be read."""
    try:
        # Something else may have the name, for example a FIFO that nobody writes to.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return b"", 0
    except OSError as error:
        logger.warning("%s: %s", path, error)
        return b"", 1
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            logger.warning("%s: expected a file, got something else", path)
            return b"", max(1, found.st_size)
        data = _pread(fd, min(found.st_size, _LARGEST_BYTES), 0)
        return data, max(0, found.st_size - len(data))
    except OSError as error:
        logger.warning("%s: %s", path, error)
        return b"", max(1, found.st_size)
    finally:
        os.close(fd)
