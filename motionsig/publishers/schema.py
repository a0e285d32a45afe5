"""The tables of a store, and whether an SQLite file is one.

The first two tables are those of version 0.1, and `user_version` has stayed 1: that version reads and writes a store of
today, whose other tables it does not see. A store of an older version gets what it lacks when it is next opened for
writing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from motionsig.errors import SinkError

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x6D536967  # marks an SQLite file as ours: "mSig"
VERSION = 1

_FIRST = (
    """CREATE TABLE encoders (
    id INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    quantization TEXT NOT NULL,
    motion_dim INTEGER NOT NULL,
    length_ns INTEGER NOT NULL,
    hop_ns INTEGER NOT NULL,
    UNIQUE (fingerprint, hop_ns)
)""",
    """CREATE TABLE signatures (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    encoder INTEGER NOT NULL REFERENCES encoders (id),
    start_ns INTEGER NOT NULL,
    quality INTEGER NOT NULL,
    codes BLOB NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)

# The trigger sees what anybody deletes, with whatever tool: the ledger then no longer says that it is there.
_ADDED = (
    """CREATE TABLE IF NOT EXISTS texts (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
)""",
    """CREATE TABLE IF NOT EXISTS recordings (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    name TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    PRIMARY KEY (device, epoch)
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS labels (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    label INTEGER NOT NULL REFERENCES texts (id),
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS replayed (
    how INTEGER NOT NULL REFERENCES texts (id),
    path TEXT NOT NULL,
    stamp TEXT NOT NULL,
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    signatures INTEGER NOT NULL,
    PRIMARY KEY (how, path)
) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS replayed_streams ON replayed (device, epoch)",
    """CREATE TRIGGER IF NOT EXISTS signature_deleted AFTER DELETE ON signatures BEGIN
    DELETE FROM labels WHERE device = old.device AND epoch = old.epoch AND seq = old.seq;
    DELETE FROM replayed WHERE device = old.device AND epoch = old.epoch;
END""",
    """CREATE TABLE IF NOT EXISTS events (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    head TEXT NOT NULL,
    seq INTEGER NOT NULL,
    phase TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    score REAL NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (device, epoch, head, seq, phase)
) WITHOUT ROWID""",
    # By which clock the times of a stream's signatures with UNSET_CLOCK were told, and those of events.
    """CREATE TABLE IF NOT EXISTS clocks (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    boot BLOB NOT NULL,
    offset_ns INTEGER NOT NULL,
    PRIMARY KEY (device, epoch)
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS event_clocks (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    head TEXT NOT NULL,
    seq INTEGER NOT NULL,
    phase TEXT NOT NULL,
    boot BLOB NOT NULL,
    offset_ns INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, head, seq, phase)
) WITHOUT ROWID""",
)
LAST_ADDED = "event_clocks"


@contextmanager
def reporting(path: Path, action: str) -> Iterator[None]:
    """Turn whatever SQLite raises inside into a SinkError that names the store and the action."""
    import sqlite3

    try:
        yield
    except sqlite3.Error as error:
        raise SinkError(f"store:{path}: {action}: {error}") from error


def check_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether the database is already a store, False for an empty one; raise SinkError for any other."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return False
    if application != APPLICATION_ID:
        raise SinkError(f"store:{path}: expected a motionsig store, got an SQLite database of something else")
    if version != VERSION:
        raise SinkError(
            f"store:{path}: expected a store of version {VERSION}, got version {version}; "
            "a newer motionsig wrote it, so read it with that one"
        )
    return True


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether a store has this table; each later version of motionsig adds some."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0])


def complete(connection: sqlite3.Connection, path: Path) -> None:
    """Make what is missing of a store, in one transaction."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have created it while this one waited for the lock.
        for statement in _ADDED if check_ours(connection, path) else _FIRST + _ADDED:
            connection.execute(statement)


def labels_between(
    connection: sqlite3.Connection, device: str, stream_id: int, first: int, last: int
) -> dict[int, str]:
    """Return the labels of the signatures numbered `first` to `last`, by number; those that have one."""
    rows = connection.execute(
        "SELECT seq, text FROM labels JOIN texts ON label = id WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ?",
        (device, stream_id, first, last),
    )
    return dict(rows.fetchall())
