"""Where the parts of a dataset lie, and the lock of its readers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from motionsig.conventions import NS_PER_S
from motionsig.errors import SinkError

DAY_NS = 86_400 * NS_PER_S
_EPOCH = date(1970, 1, 1)


class Layout(NamedTuple):
    """The paths within one folder. Days are numbered from 1970-01-01, in UTC."""

    root: Path

    @property
    def signatures(self) -> Path:
        return self.root / "signatures"

    @property
    def events(self) -> Path:
        return self.root / "events"

    @property
    def encoders(self) -> Path:
        return self.root / "encoders" / "encoders.parquet"

    @property
    def own(self) -> Path:
        """What no engine but ours reads."""
        return self.root / "_motionsig"

    @property
    def index_file(self) -> Path:
        return self.own / "index.db"

    def tail(self, number: int) -> Path:
        return self.own / f"tail-{number:08}.db"

    def tails(self) -> list[int]:
        """Return the numbers of the tails that are there, in order."""
        return sorted(int(path.stem.removeprefix("tail-")) for path in self.own.glob("tail-*.db"))

    def check(self) -> None:
        """Raise SinkError where there is no dataset."""
        if not self.root.exists():
            raise SinkError(f"parquet:{self.root}: no such file or folder")
        if not self.root.is_dir() or not (self.signatures.is_dir() or self.events.is_dir() or self.own.is_dir()):
            raise SinkError(f"parquet:{self.root}: expected motionsig messages in a folder of Parquet files, got none")


def day_name(day: int) -> str:
    """Return the name of a day's folder."""
    return f"day={_EPOCH + timedelta(days=day)}"


def days_of(folder: Path) -> dict[int, Path]:
    """Return the folders of days below `folder`, in order."""
    found = {}
    for path in sorted(folder.glob("day=*")):
        found[(date.fromisoformat(path.name.removeprefix("day=")) - _EPOCH).days] = path
    return found


def files_of(folder: Path) -> list[Path]:
    """Return the files of one day, in the order of their numbers."""
    return sorted(folder.glob("*.parquet"))


def number_of(path: Path) -> int:
    """Return the number of the tail that a file was made of."""
    return int(path.stem)


@contextmanager
def reading(layout: Layout, *, alone: bool = False) -> Iterator[bool]:
    """Hold the lock of the readers, which many hold at a time; `alone`: give False where there are any.

    Files are merged or deleted only by who holds it alone. A dataset that was copied without our own folder is never
    changed, and needs no lock.
    """
    try:
        fd = os.open(layout.own, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX | fcntl.LOCK_NB) if alone else fcntl.LOCK_SH)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)
