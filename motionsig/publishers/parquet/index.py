"""What a dataset remembers of its files: which numbers each stream has on which day, and the keys of its events.

It can be made again from the files, which are the truth. `open_index` does so where it is missing or damaged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from motionsig.escaping import own_logger
from motionsig.events import Event
from motionsig.publishers.clocks import LEAST_NS
from motionsig.publishers.local import Wanted
from motionsig.publishers.parquet.encoders import read_encoders
from motionsig.publishers.parquet.files import events_of, pyarrow
from motionsig.publishers.parquet.layout import DAY_NS, Layout, days_of, files_of, number_of
from motionsig.publishers.parquet.pieces import Groups, pieces, rows_of

logger = own_logger(__name__)

_APPLICATION_ID = 0x6D536978  # "mSix"

_TABLES = (
    "CREATE TABLE done (number INTEGER NOT NULL)",
    """CREATE TABLE ranges (
    device TEXT NOT NULL,
    stream_id INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    day INTEGER NOT NULL,
    PRIMARY KEY (device, stream_id, last)
) WITHOUT ROWID""",
    """CREATE TABLE bound (
    device TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    encoder INTEGER NOT NULL,
    PRIMARY KEY (device, fingerprint)
) WITHOUT ROWID""",
    """CREATE TABLE events (
    device TEXT NOT NULL,
    stream_id INTEGER NOT NULL,
    head TEXT NOT NULL,
    seq INTEGER NOT NULL,
    phase TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    score REAL NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (device, stream_id, head, seq, phase)
) WITHOUT ROWID""",
    f"PRAGMA application_id = {_APPLICATION_ID}",
)


class Range(NamedTuple):
    """Numbers first to last of a stream, all of which are in files of one day."""

    first: int
    last: int
    day: int


class Rolled(NamedTuple):
    """What the files hold that were made of one tail. runs: (device, stream_id, range); bound: see `Index.bound`."""

    runs: Iterable[tuple[str, int, Range]]
    bound: Iterable[tuple[str, str, int]]
    events: Iterable[Event]


class Index:
    """An open index, for one writer."""

    def __init__(self, path: Path) -> None:
        """Raise sqlite3.Error for a file that cannot be used."""
        self._connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        self._bound: dict[tuple[str, str], int] = {}
        try:
            application = self._connection.execute("PRAGMA application_id").fetchone()[0]
            if application not in (0, _APPLICATION_ID):
                raise sqlite3.DatabaseError(f"{path} is not an index of motionsig")
            self._connection.execute("PRAGMA synchronous = FULL")
            if not application:
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    for statement in _TABLES:
                        self._connection.execute(statement)
                    self._connection.execute("INSERT INTO done VALUES (-1)")
            self._connection.execute("SELECT count(*) FROM done, ranges, bound, events LIMIT 1")
        except BaseException:
            self._connection.close()
            raise

    @property
    def done(self) -> int:
        """The number of the last tail of which all is in files; -1 before the first."""
        return int(self._connection.execute("SELECT number FROM done").fetchone()[0])

    def known(self, device: str, stream_id: int, first: int, last: int) -> list[Range]:
        """Return what is in files of the numbers first to last, in order; the ranges may reach further."""
        cursor = self._connection.execute(
            "SELECT first, last, day FROM ranges WHERE device = ? AND stream_id = ? AND last >= ? ORDER BY last",
            (device, stream_id, first),
        )
        found = []
        for row in cursor:
            if row[0] > last:
                break
            found.append(Range(*row))
        return found

    def bound(self, device: str, fingerprint: bytes) -> int | None:
        """Return the encoder that stands for this fingerprint where a device's signatures are in files."""
        key = device, fingerprint.hex()
        if key not in self._bound:
            query = "SELECT encoder FROM bound WHERE device = ? AND fingerprint = ?"
            row = self._connection.execute(query, key).fetchone()
            if row is None:
                return None
            if len(self._bound) >= 65_536:
                self._bound.clear()
            self._bound[key] = int(row[0])
        return self._bound[key]

    def event(self, event: Event) -> tuple[Any, ...] | None:
        """Return what is in files under an event's key: start_ns, end_ns, score and fingerprint."""
        row = self._connection.execute(
            "SELECT start_ns, end_ns, score, fingerprint FROM events "
            "WHERE device = ? AND stream_id = ? AND head = ? AND seq = ? AND phase = ?",
            event.key,
        ).fetchone()
        return None if row is None else tuple(row)

    def note(self, number: int, rolled: Rolled) -> None:
        """Note that all of a tail is in files, in one transaction that is on the disk when this returns."""
        connection = self._connection
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for device, stream_id, run in rolled.runs:
                self._assign(device, stream_id, run)
            connection.executemany("INSERT OR IGNORE INTO bound VALUES (?, ?, ?)", rolled.bound)
            connection.executemany(
                "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((*it.key, it.start_ns, it.end_ns, float(it.score), it.fingerprint) for it in rolled.events),
            )
            connection.execute("UPDATE done SET number = ?", (number,))

    def _assign(self, device: str, stream_id: int, run: Range) -> None:
        """Note that these numbers are on that day and on no other; neighbours of the same day become one range."""
        first, last, day = run
        after: list[Range] = []
        for old in self.known(device, stream_id, max(0, first - 1), min(last + 1, (1 << 63) - 1)):
            self._connection.execute(
                "DELETE FROM ranges WHERE device = ? AND stream_id = ? AND last = ?", (device, stream_id, old.last)
            )
            if old.day == day:
                first, last = min(first, old.first), max(last, old.last)
                continue
            if old.first < run.first:
                after.append(Range(old.first, run.first - 1 if old.last >= run.first else old.last, old.day))
            if old.last > run.last:
                after.append(Range(max(old.first, run.last + 1), old.last, old.day))
        after.append(Range(first, last, day))
        self._connection.executemany(
            "INSERT INTO ranges VALUES (?, ?, ?, ?, ?)", ((device, stream_id, *it) for it in after)
        )

    def forget_before(self, day: int) -> None:
        """Forget the signatures and events of the days before this one, but for those before 2020."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM ranges WHERE day >= ? AND day < ?", (LEAST_NS // DAY_NS, day))
            self._connection.execute(
                "DELETE FROM events WHERE start_ns >= ? AND start_ns < ?", (LEAST_NS, day * DAY_NS)
            )

    def close(self) -> None:
        self._connection.close()


def open_index(layout: Layout) -> Index:
    """Return the index of a dataset; it is made from the files where it is missing, or damaged and thus put aside."""
    made_before, mode = layout.index_file.exists(), layout.root.stat().st_mode & 0o666
    layout.index_file.touch(mode)
    try:
        index = Index(layout.index_file)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        logger.warning("parquet:%s: %s; it is made again from the files", layout.root, error)
        layout.index_file.replace(layout.index_file.with_name("index.damaged"))
        layout.index_file.with_name("index.db-journal").unlink(missing_ok=True)
        layout.index_file.touch(mode)
        made_before, index = False, Index(layout.index_file)
    if not made_before:
        try:
            _make(index, layout)
        except BaseException:
            index.close()
            layout.index_file.unlink()
            raise
    return index


def _make(index: Index, layout: Layout) -> None:
    """Note all that is in files, except for those of a tail that is still there."""
    waiting = layout.tails()[:1]
    number = waiting[0] - 1 if waiting else -1
    encoders = read_encoders(layout.encoders)
    for day, folder in days_of(layout.signatures).items():
        files = [path for path in files_of(folder) if number_of(path) not in waiting]
        groups, anything = Groups(), Wanted(None, None, None, None)
        runs: list[tuple[str, int, Range]] = []
        bound: set[tuple[str, str, int]] = set()
        for stream, found in pieces(files, anything).items():
            for part in rows_of(groups, stream, found, encoders, anything, 65_536):
                runs += runs_of(*stream, part.seq, day)
                spec = part.signatures.spec
                numbers = [at for at, made in enumerate(encoders) if made.spec == spec]
                bound.add((stream[0], spec.fingerprint.hex(), numbers[0]))
        number = max([number, *(number_of(path) for path in files)])
        index.note(number, Rolled(runs, bound, []))
    _, pq = pyarrow()
    for folder in days_of(layout.events).values():
        files = [path for path in files_of(folder) if number_of(path) not in waiting]
        number = max([number, *(number_of(path) for path in files)])
        index.note(number, Rolled([], [], [it for path in files for it in events_of(pq.read_table(path))]))


def runs_of(device: str, stream_id: int, seq: Any, day: int) -> Sequence[tuple[str, int, Range]]:
    """Return the ranges of consecutive numbers in seq (k,), which rises."""
    import numpy as np

    cuts = np.flatnonzero(np.diff(seq) != 1) + 1
    firsts, lasts = seq[[0, *cuts]], seq[[*(cuts - 1), len(seq) - 1]]
    pairs = zip(firsts.tolist(), lasts.tolist(), strict=True)
    return [(device, stream_id, Range(first, last, day)) for first, last in pairs]
