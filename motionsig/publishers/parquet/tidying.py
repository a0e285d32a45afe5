"""Days that are too old are deleted, and a day's small files become one; both while nobody reads."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from motionsig.escaping import own_logger
from motionsig.files import sync_folder
from motionsig.publishers.clocks import LEAST_NS
from motionsig.publishers.parquet.files import pyarrow, replacing, write_tables
from motionsig.publishers.parquet.index import Index
from motionsig.publishers.parquet.layout import DAY_NS, Layout, days_of, files_of, number_of, reading
from motionsig.publishers.parquet.pieces import KEYS

logger = own_logger(__name__)

MERGED_FROM = 8
"""So many small files of a day become one."""

_EVENT_KEYS = ("start_ns", "device", "stream_id", "head", "seq", "phase")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def remove_remains(layout: Layout) -> None:
    """Delete what a killed process has left unfinished, or not yet deleted."""
    for path in (*layout.own.glob("new-*"), *layout.own.glob("old-*")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def tidy(layout: Layout, index: Index, *, most_rows: int, keep_days: float | None) -> None:
    """Delete days that ended more than `keep_days` days ago, and merge files of fewer than `most_rows` rows.

    Does nothing while somebody reads.
    """
    with reading(layout, alone=True) as alone:
        if not alone:
            return
        if keep_days is not None:
            _forget(layout, index, int((time.time_ns() - keep_days * DAY_NS) // DAY_NS))
        for folder, keys in ((layout.signatures, KEYS), (layout.events, _EVENT_KEYS)):
            for day in days_of(folder).values():
                if len(files_of(day)) >= MERGED_FROM:
                    _merge(layout, day, keys, most_rows)


def _forget(layout: Layout, index: Index, first_day: int) -> None:
    """Delete the days before this one, but for those before 2020: a clock that was not set tells no age."""
    old = [(day, path) for folder in (layout.signatures, layout.events) for day, path in days_of(folder).items()]
    for day, path in old:
        if LEAST_NS // DAY_NS <= day < first_day:
            gone = layout.own / f"old-{path.parent.name}-{path.name}"
            # In one step, so that nobody sees half of a day.
            path.replace(gone)
            sync_folder(path.parent)
            shutil.rmtree(gone)
            logger.info("parquet:%s: %s/%s is too old, and deleted", layout.root, path.parent.name, path.name)
    if any(day < first_day for day, _ in old):
        index.forget_before(first_day)


def _merge(layout: Layout, day: Path, keys: Sequence[str], most_rows: int) -> None:
    """Put one file in the place of a day's smallest files, if enough of them have at most `most_rows` rows together.

    The day's folder is exchanged as a whole, so other engines see either all of the small files or the merged one.
    """
    pa, pq = pyarrow()
    rows = {path: pq.read_metadata(path).num_rows for path in files_of(day)}
    small: list[Path] = []
    for path in sorted(rows, key=lambda path: rows[path]):
        if sum(rows[each] for each in small) + rows[path] > most_rows:
            break
        small.append(path)
    if len(small) < MERGED_FROM:
        return
    new = layout.own / f"new-{day.parent.name}-{day.name}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=day.stat().st_mode & 0o777)
    for path in rows.keys() - set(small):
        os.link(path, new / path.name)
    table = pa.concat_tables([pq.read_table(path, partitioning=None, use_threads=False) for path in small])
    with replacing(new / max(small, key=number_of).name, layout.own) as file:
        write_tables(file, [table.sort_by([(key, "ascending") for key in keys])])
    if _exchange(new, day):
        sync_folder(day.parent)
        sync_folder(layout.own)
    shutil.rmtree(new)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; return False where the file system or the C library cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    number = ctypes.get_errno()
    if done and number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(number, os.strerror(number), str(other))
    return not done
