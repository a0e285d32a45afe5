"""The client id of a receiver: the broker keeps what arrives while the receiver of that name is away.

It must outlive the process and the container, whose host name changes: a new name is a new session, and the broker
keeps the queue of the old one for ever. And two receivers must not share it: the broker ends the connection of one when
the other connects. So it is kept in a file beside the store, one file for each receiver that runs at the same time on
this store, and a receiver locks its file while it runs. A name is for one broker and prefix only: the others' queues
are not its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from motionsig.errors import SinkError
from motionsig.files import sync_folder, write_all
from motionsig.publishers.stores import FILE_SCHEMES
from motionsig.state import state_path

_STORED = re.compile(r"[0-9a-f]{16}")


@contextmanager
def session_id(scheme: str, location: str, source: str) -> Iterator[str]:
    """Give the client id of a receiver from `source` (broker and subscription) into a store, and keep it locked.

    Raises SinkError where it cannot be kept.
    """
    if scheme in FILE_SCHEMES:
        base = Path(f"{location.rstrip('/')}.receiver-{digest(source)}")
    else:
        base = state_path("receivers", digest(f"{location}\n{source}"))
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        lock, kept = next(each for each in map(_claim, _slots(base)) if each is not None)
    except OSError as error:
        raise SinkError(
            f"{base}: expected to keep the receiver's client id there, got: {error.strerror}; or give client_id="
        ) from error
    try:
        yield f"motionsig-collect-{kept}"
    finally:
        os.close(lock)


def digest(text: str) -> str:
    """Return a short name for a location that is no file name, or no business of who lists the folder."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _slots(base: Path) -> Iterator[Path]:
    yield base
    for number in itertools.count(2):
        yield base.with_name(f"{base.name}-{number}")


def _claim(path: Path) -> tuple[int, str] | None:
    """Return the descriptor that locks a file, and the id in it; None where another process has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        kept = os.pread(fd, 64, 0).decode("ascii", "replace")
        if not _STORED.fullmatch(kept):
            kept = secrets.token_hex(8)
            os.ftruncate(fd, 0)
            write_all(fd, kept.encode("ascii"), 0)
            # On the disk before it is used: after a power cut another name would leave the session behind.
            os.fsync(fd)
            sync_folder(path.parent)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd, kept
