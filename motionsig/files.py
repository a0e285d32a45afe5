"""Small files that must survive: replaced whole, read with a limit, locked by one process.

On a device that nobody visits, power goes at any moment, a disk fills up, and a path may lead to a pipe, a device or
gigabytes. So whatever is replaced is on the disk before it gets its name, whatever is read has a limit, and a lock
names the process that holds it. Everything here raises OSError alone; its `strerror` says what was found, and callers
add what they expected.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

_PART_BYTES = 1 << 20


def read_file(path: str | Path, most_bytes: int, *, follow_links: bool = True) -> tuple[bytes, os.stat_result]:
    """Return the content and status of a regular file of at most `most_bytes`.

    Raises OSError for what cannot be read, is no regular file, is larger or has no end, and without `follow_links` for
    a symbolic link.
    """
    # Without O_NONBLOCK, opening a pipe that nobody writes to would never return.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        fd = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow_links:
            raise OSError(errno.ELOOP, "a symbolic link", str(path)) from error
        raise
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "a folder, pipe or device", str(path))
    with open(fd, "rb", buffering=0) as file:
        content = _read(file, most_bytes + 1, str(path))
    # The size that is stated is not asked before: files of the kernel state 0, or more than they have.
    if len(content) > most_bytes:
        size = max(len(content), status.st_size)
        raise OSError(errno.EFBIG, f"{size:,} bytes, more than {most_bytes:,}", str(path))
    return content, status


def _read(file: io.FileIO, most_bytes: int, path: str) -> bytes:
    parts, left = list[bytes](), most_bytes
    while left:
        part = file.read(min(left, _PART_BYTES))
        if part is None:  # /proc/kmsg and its like are regular files that wait for what comes
            raise OSError(errno.EAGAIN, "a file that has no end", path)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def write_file(path: Path, content: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Create a file and have its content on the disk; its name is only there for sure after `sync_folder`.

    owner: user and group that it is to belong to, for root.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with contextlib.suppress(PermissionError):  # a FAT disk has no modes
            os.fchmod(fd, mode)
        if owner is not None:
            # By its descriptor: whoever owns the folder may have put a link in the place of its name meanwhile.
            os.fchown(fd, *owner)
        write_all(fd, content)
        os.fsync(fd)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def replace_file(path: Path, content: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Put a file in the place of what was there; a kill or a power cut leaves one of the two, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_file(new, content, mode=mode, owner=owner)
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Have the names in a folder survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes, offset: int | None = None) -> None:
    """Write all at the end, or at `offset`; raise OSError with the reason where a disk is full after a part of it."""
    written = 0
    while written < len(data):
        rest = data[written:]
        # After a short write the next one says why; one that writes nothing and says nothing is a full disk, too.
        more = os.write(fd, rest) if offset is None else os.pwrite(fd, rest, offset + written)
        if not more:
            raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")
        written += more


@contextlib.contextmanager
def locked_folder(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold a folder's lock; without `wait`, raise BlockingIOError where another process holds it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(fd)


def lock_file(path: Path) -> int:
    """Return the descriptor that holds the lock of a file of its own, until it is closed.

    Raises BlockingIOError, whose `strerror` names the process, where another one holds it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(fd, 32).decode("ascii", "replace") or "unknown"
        os.close(fd)
        raise BlockingIOError(errno.EWOULDBLOCK, f"held by process {holder}", str(path)) from error
    # The number is for that message alone: a disk too full to hold it is no reason to stop.
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.write(fd, str(os.getpid()).encode("ascii"))
    return fd
