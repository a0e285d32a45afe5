"""A damaged store is put aside: renamed to NAME.damaged-TIME, with its -wal and -shm, so that a new one can begin.

Only what is surely a store of ours: the header of its file says so, or worn flash has left zeros in place of a header.
Worn flash damages again and again: three such files are kept, the largest and the newest among them.
"""

from __future__ import annotations

import time
from pathlib import Path

from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.files import locked_folder
from motionsig.publishers.schema import is_nearly_ours

logger = own_logger(__name__)

MOST_ASIDE = 3
_HEADER_BYTES = 100  # https://www.sqlite.org/fileformat.html, 1.3; the application id is at 68
_WITH = ("", "-wal", "-shm")


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one that has its name later; None where there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def put_aside(path: Path, opened: tuple[int, int] | None, why: str) -> None:
    """Rename a damaged store, unless it is another file than `opened` now; raise SinkError if it is none of ours.

    The caller has closed it.
    """
    try:
        with locked_folder(path.resolve().parent, wait=True):
            if identity(path) != opened or opened is None:
                return  # another process has put it aside
            if not _is_ours(path):
                raise SinkError(
                    f"{why}; expected a motionsig store, got a file of something else, which stays as it is"
                )
            target = _free_name(path)
            for ending in reversed(_WITH):  # the database last: until then, it keeps the name that it is looked for
                part = path.with_name(path.name + ending)
                if part.exists():
                    part.rename(target.with_name(target.name + ending))
            _remove_small_ones(path, target)
    except OSError as error:
        if isinstance(error, SinkError):
            raise
        raise SinkError(f"{why}; expected to rename it, got: {error.strerror or error}") from error
    text = "%s; the damaged file is %s now, and a new store begins; `python -m motionsig.publishers.salvage %s NEW` "
    logger.error(text + "saves what is readable", why, target, target)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not any(header):
        return True
    return len(header) == _HEADER_BYTES and is_nearly_ours(int.from_bytes(header[68:72], "big"))


def _free_name(path: Path) -> Path:
    name = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next(path.with_name(each) for each in names if not path.with_name(each).exists())


def _remove_small_ones(path: Path, newest: Path) -> None:
    """Remove the smallest of those that were put aside before, until there are few enough."""
    others = [
        other
        for other in path.parent.iterdir()
        if other.name.startswith(f"{path.name}.damaged-") and other != newest and not other.name.endswith(_WITH[1:])
    ]
    others.sort(key=lambda other: other.stat().st_size, reverse=True)
    for other in others[MOST_ASIDE - 1 :]:
        for ending in _WITH:
            other.with_name(other.name + ending).unlink(missing_ok=True)
        logger.error("%s was removed: %d larger or newer damaged files are kept", other, MOST_ASIDE)
