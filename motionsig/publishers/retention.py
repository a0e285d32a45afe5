"""How long a store keeps its signatures: so many days, or as long as its files are no larger than so many bytes.

Whole blocks of signatures (`spans`) are deleted, the oldest first, a few thousand in a transaction, and with each block
its labels, its events and what the ledger says of its stream. With the last block of a stream or of a device goes what
is stored of that: else strangers with a million names would fill the file for good. A run is short and goes on after
the next message, so nothing waits for it. New rows take the free pages; what is free beyond the limit goes back to the
file system.

By days, the time of a signature decides, and times before 2020, of clocks that were not set, are no times: only a limit
of bytes deletes those, first of all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError
from motionsig.escaping import own_logger
from motionsig.publishers.clocks import LEAST_NS
from motionsig.publishers.spans import block_of, cover, numbers_of

if TYPE_CHECKING:
    import sqlite3

logger = own_logger(__name__)

LEAST_BYTES = 1 << 20
_MOST_DAYS = 36_500
RUN_S = 0.25
_CHECK_S = 60.0
_ROWS = 4096
_MOST_LOG_BYTES = 16 << 20
_SHARED_MEMORY_BYTES = 64 << 10  # of the -shm
_LOG_EVERY_S = 3600.0
_ROW_BYTES = 100
_FEW_TEXTS = 4096
_LEAST_MARGIN = 32  # pages
_VACUUMED = 1024  # pages in one transaction


@dataclass(frozen=True)
class Limits:
    """keep_days: from a signature's time on. keep_bytes: of the database and its write-ahead log together.

    0: no limit.
    """

    keep_days: float = 0.0
    keep_bytes: int = 0

    def __post_init__(self) -> None:
        if self.keep_days and not 0 < self.keep_days < _MOST_DAYS:
            raise InputError(f"keep_days: expected up to {_MOST_DAYS}, or 0 for no limit, got {self.keep_days!r}")
        if self.keep_bytes and not LEAST_BYTES <= self.keep_bytes < 1 << 63:
            raise InputError(f"keep_bytes: expected at least {LEAST_BYTES}, or 0 for no limit, got {self.keep_bytes!r}")

    @property
    def log_bytes(self) -> int:
        """The part of keep_bytes that is for the write-ahead log."""
        return min(_MOST_LOG_BYTES, (self.keep_bytes or 8 * _MOST_LOG_BYTES) // 8)


class Retention:
    """Keeps an open store within its limits; `prepare` it once, then `run` it after every transaction."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._check_s = self._log_s = float("-inf")
        self._unfinished = True
        self._said_size = False
        self._signatures = self._events = self._texts = 0
        self._unbound = False

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Bound the write-ahead log, and begin."""
        connection.execute("PRAGMA secure_delete = FAST")  # as Debian's SQLite writes zeros over all that is deleted
        connection.execute(f"PRAGMA journal_size_limit = {self._limits.log_bytes}")
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA wal_autocheckpoint = {max(8, self._limits.log_bytes // 2 // page_bytes)}")
        self.run(connection)

    def run(self, connection: sqlite3.Connection, arrived_ns: int | None = None) -> bool:
        """Delete what is beyond the limits, for RUN_S at most; return whether encoders were deleted, too.

        arrived_ns: when what was just stored begins.
        """
        keep_days, keep_bytes = self._limits.keep_days, self._limits.keep_bytes
        if not keep_days and not keep_bytes:
            return False
        end_s = time.monotonic() + RUN_S
        if self._unfinished and not _cover_old(connection, end_s):
            return False
        self._unbound = False
        if keep_days:
            before_ns = time.time_ns() - round(keep_days * 86400 * NS_PER_S)
            due = time.monotonic() >= self._check_s + _CHECK_S
            if due or self._unfinished or (arrived_ns is not None and arrived_ns < before_ns):
                self._check_s = time.monotonic()
                self._unfinished = not self._keep_days(connection, before_ns, end_s)
        if keep_bytes:
            self._unfinished = not self._keep_bytes(connection, keep_bytes, end_s) or (
                self._unfinished and bool(keep_days)
            )
        self._say()
        return self._unbound

    def _keep_days(self, connection: sqlite3.Connection, before_ns: int, end_s: float) -> bool:
        while self._delete_oldest(connection, _ROWS, LEAST_NS, before_ns - 1):
            if time.monotonic() >= end_s:
                return False
        return True

    def _keep_bytes(self, connection: sqlite3.Connection, keep_bytes: int, end_s: float) -> bool:
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        most = (keep_bytes - self._limits.log_bytes - _SHARED_MEMORY_BYTES) // page_bytes
        enough = most - max(_LEAST_MARGIN, most // 64)
        while (beyond := _pages(connection) - _pages(connection, "freelist") - enough) > 0:
            rows = min(_ROWS, beyond * page_bytes // _ROW_BYTES)
            if not self._delete_oldest(connection, rows, -(1 << 63), (1 << 63) - 1):
                break
            if time.monotonic() >= end_s:
                return False
        while (pages := _pages(connection)) > most and _pages(connection, "freelist"):
            connection.execute(f"PRAGMA incremental_vacuum({min(pages - most, _VACUUMED)})").fetchall()
            if _pages(connection) == pages:  # it was not made for that: by version 1
                if not self._said_size:
                    text = "store:%s: the file stays larger than keep_bytes, its free pages are used; VACUUM shrinks it"
                    logger.warning(text, self._path)
                self._said_size = True
                break
            if time.monotonic() >= end_s:
                return False
        return True

    def _delete_oldest(self, connection: sqlite3.Connection, rows: int, from_ns: int, until_ns: int) -> int:
        """Delete what ended from `from_ns` until `until_ns`, both included, the oldest first, and no more than needed.

        At most `rows` events that ended before all blocks; without any, blocks until `rows` signatures are deleted.
        Return how many events or blocks.
        """
        query = (
            "SELECT last_ns, device, epoch, block, rows FROM spans WHERE last_ns BETWEEN ? AND ? "
            "ORDER BY last_ns LIMIT ?"
        )
        oldest = connection.execute(query, (from_ns, until_ns, rows + 1)).fetchall()
        if events := self._delete_events(connection, rows, from_ns, oldest[0][0] - 1 if oldest else until_ns):
            return events
        if not oldest:
            return 0
        deleted = 0
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for _, device, stream_id, block, in_block in oldest:
                if deleted and deleted + in_block > rows:
                    break
                numbers = device, stream_id, *numbers_of(block)
                where = "WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ?"
                deleted += connection.execute(f"DELETE FROM signatures {where}", numbers).rowcount
                self._events += connection.execute(f"DELETE FROM events {where}", numbers).rowcount
                connection.execute(f"DELETE FROM event_clocks {where}", numbers)
                key = device, stream_id, block
                connection.execute("DELETE FROM spans WHERE device = ? AND epoch = ? AND block = ?", key)
                self._forget_stream(connection, device, stream_id)
            self._forget_texts(connection)
        self._signatures += deleted
        return len(oldest)

    def _forget_stream(self, connection: sqlite3.Connection, device: str, stream_id: int) -> None:
        """Delete what is stored of a stream without signatures, and of a device without any."""
        stream = "FROM signatures WHERE device = ? AND epoch = ?"
        if connection.execute(f"SELECT EXISTS (SELECT 1 {stream})", (device, stream_id)).fetchone()[0]:
            return
        for table in ("recordings", "clocks"):
            connection.execute(f"DELETE FROM {table} WHERE device = ? AND epoch = ?", (device, stream_id))
        if not connection.execute("SELECT EXISTS (SELECT 1 FROM signatures WHERE device = ?)", (device,)).fetchone()[0]:
            self._unbound |= connection.execute("DELETE FROM encoders WHERE device = ?", (device,)).rowcount > 0

    def _forget_texts(self, connection: sqlite3.Connection) -> None:
        """Delete texts that are no label any more, each time when there may be twice as many as there were."""
        count = "SELECT count(*) FROM texts"
        if connection.execute("SELECT coalesce(max(id), 0) FROM texts").fetchone()[0] <= 2 * self._texts + _FEW_TEXTS:
            return
        connection.execute(
            "DELETE FROM texts WHERE id NOT IN (SELECT label FROM labels) AND id NOT IN (SELECT how FROM replayed)"
        )
        self._texts = connection.execute(count).fetchone()[0]

    def _delete_events(self, connection: sqlite3.Connection, rows: int, from_ns: int, until_ns: int) -> int:
        """Delete at most `rows` of the oldest events; return how many."""
        key = "device, epoch, head, seq, phase"
        some = f"SELECT {key} FROM events WHERE end_ns BETWEEN ? AND ? ORDER BY end_ns LIMIT ?"
        oldest = connection.execute(some, (from_ns, until_ns, rows)).fetchall()
        if not oldest:
            return 0
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in ("events", "event_clocks"):
                connection.executemany(
                    f"DELETE FROM {table} WHERE device = ? AND epoch = ? AND head = ? AND seq = ? AND phase = ?", oldest
                )
        self._events += len(oldest)
        return len(oldest)

    def _say(self) -> None:
        if (self._signatures or self._events) and time.monotonic() >= self._log_s + _LOG_EVERY_S:
            limits = ", ".join(f"{name} = {value}" for name, value in vars(self._limits).items() if value)
            text = "store:%s: %d signatures and %d events, the oldest, were deleted (%s)"
            logger.info(text, self._path, self._signatures, self._events, limits)
            self._signatures = self._events = 0
            self._log_s = time.monotonic()


def _pages(connection: sqlite3.Connection, which: str = "page") -> int:
    return int(connection.execute(f"PRAGMA {which}_count").fetchone()[0])


def _cover_old(connection: sqlite3.Connection, end_s: float) -> bool:
    """Give their spans to signatures of version 1, which have none yet; return whether all have them."""
    while (at := connection.execute("SELECT device, epoch, seq FROM progress").fetchone()) is not None:
        if time.monotonic() >= end_s:
            return False
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            following = (
                "SELECT device, epoch, seq FROM signatures WHERE (device, epoch, seq) > (?, ?, ?) "
                "ORDER BY device, epoch, seq LIMIT 1"
            )
            if (found := connection.execute(following, at).fetchone()) is None:
                connection.execute("DELETE FROM progress")
                continue
            device, stream_id, seq = found
            cover(connection, device, stream_id, block_of(seq))
            connection.execute(
                "UPDATE progress SET device = ?, epoch = ?, seq = ?", (device, stream_id, numbers_of(block_of(seq))[1])
            )
    return True
