"""The tables of a store, and whether an SQLite file is one.

Version 2 binds an encoder to the device that described it, and has checksums; an older motionsig would store rows
without them, so it has to refuse the file. A store of version 1 (of motionsig 0.1 and before) is read as it is, and
upgraded in one transaction when it is next opened for writing. That transaction does not read the signatures: those
that were there have no checksum and no span until their block is written again (`spans`).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionsig.errors import SinkError

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x6D536967  # marks an SQLite file as ours: "mSig"
VERSION = 2
BLOCK_BITS = 8  # of a sequence number: a block is 256 of them, see `spans`
_MOST_VERSIONS = 1000  # a higher number is no version but damage

_FIRST = (
    """CREATE TABLE encoders (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    quantization TEXT NOT NULL,
    motion_dim INTEGER NOT NULL,
    length_ns INTEGER NOT NULL,
    hop_ns INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    UNIQUE (device, fingerprint, hop_ns)
)""",
    """CREATE TABLE signatures (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    encoder INTEGER NOT NULL REFERENCES encoders (id),
    start_ns INTEGER NOT NULL,
    quality INTEGER NOT NULL,
    codes BLOB NOT NULL,
    crc INTEGER,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

# Of version 1; the columns of checksums come with `_upgrade`.
_SINCE_0_1 = (
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

# From version 1 to 2. `progress` says up to which signature those of version 1 have their spans; it is empty when all
# have. The triggers see what anybody writes and deletes, with whatever tool: spans, numbers of rows and the ledger
# stay true.
_SINCE_1 = (
    """CREATE TABLE spans (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    block INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, block)
) WITHOUT ROWID""",
    "CREATE INDEX events_ended ON events (end_ns)",
    "CREATE TABLE progress (device TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL)",
    "CREATE TABLE numbers (of TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID",
    "ALTER TABLE recordings ADD COLUMN crc INTEGER",
    "ALTER TABLE events ADD COLUMN crc INTEGER",
    "DROP TRIGGER IF EXISTS signature_deleted",
    f"""CREATE TRIGGER signature_deleted AFTER DELETE ON signatures BEGIN
    UPDATE spans SET rows = rows - 1
        WHERE device = old.device AND epoch = old.epoch AND block = old.seq >> {BLOCK_BITS};
    DELETE FROM labels WHERE device = old.device AND epoch = old.epoch AND seq = old.seq;
    DELETE FROM replayed WHERE device = old.device AND epoch = old.epoch;
END""",
    *(
        statement
        for table in ("recordings", "events")
        for statement in (
            f"INSERT INTO numbers SELECT '{table}', count(*) FROM {table}",
            f"""CREATE TRIGGER {table}_inserted AFTER INSERT ON {table} BEGIN
    UPDATE numbers SET rows = rows + 1 WHERE of = '{table}';
END""",
            f"""CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN
    UPDATE numbers SET rows = rows - 1 WHERE of = '{table}';
END""",
        )
    ),
)

_ENCODERS_OF_VERSION_1 = (
    f"{_FIRST[0].replace('TABLE encoders', 'TABLE bound_encoders')}",
    "INSERT INTO bound_encoders SELECT id, '', fingerprint, quantization, motion_dim, length_ns, hop_ns, 0 "
    "FROM encoders",
    "DROP TABLE encoders",
    "ALTER TABLE bound_encoders RENAME TO encoders",
    "ALTER TABLE signatures ADD COLUMN crc INTEGER",
    "INSERT INTO progress SELECT '', -1, -1 WHERE EXISTS (SELECT 1 FROM signatures)",
)
"""What version 1 stored says nothing of who described the encoder: device is '', and such a row serves all devices."""

CHECKED = {
    "encoders": ("id", "device", "fingerprint", "quantization", "motion_dim", "length_ns", "hop_ns"),
    "recordings": ("device", "epoch", "name", "start_ns"),
    "events": ("device", "epoch", "head", "seq", "phase", "start_ns", "end_ns", "score", "fingerprint"),
}
"""The columns that a row's checksum is of, by table; those of signatures and spans are in `spans`."""


_COLUMNS = {
    "encoders": (*CHECKED["encoders"], "crc"),
    "signatures": ("device", "epoch", "seq", "encoder", "start_ns", "quality", "codes", "crc"),
    "spans": ("device", "epoch", "block", "first_ns", "last_ns", "rows", "crc"),
    "labels": ("device", "epoch", "seq", "label"),
    "texts": ("id", "text"),
    "recordings": (*CHECKED["recordings"], "crc"),
    "events": (*CHECKED["events"], "crc"),
    "numbers": ("of", "rows"),
    "progress": ("device", "epoch", "seq"),
}


class DamagedStoreError(SinkError):
    """The file is a store of ours, and damaged."""


def checksum(values: Sequence[Any]) -> int:
    """Return the checksum of a row of `CHECKED`."""
    return zlib.crc32(json.dumps([it.hex() if isinstance(it, bytes) else it for it in values]).encode())


def damaged(path: str | Path, what: str) -> DamagedStoreError:
    return DamagedStoreError(f"store:{path}: {what}")


def is_nearly_ours(application: int) -> bool:
    """Return whether an SQLite file's application id is ours, or has been: at most one of its bytes differs."""
    return sum((application ^ APPLICATION_ID) >> shift & 0xFF == 0 for shift in (0, 8, 16, 24)) >= 3


@contextmanager
def reporting(path: Path, action: str) -> Iterator[None]:
    """Turn whatever SQLite raises inside into a SinkError that names the store and the action.

    It is a DamagedStoreError where the content is at fault, and neither the disk, nor rights, nor another process.
    """
    import sqlite3

    try:
        yield
    # sqlite3 decodes SQLite's messages, which quote a damaged schema.
    except (sqlite3.Error, UnicodeDecodeError) as error:
        text = f"store:{path}: {action}: {error}"
        raise (DamagedStoreError if _is_damage(error) else SinkError)(text) from error


def _is_damage(error: Exception) -> bool:
    import sqlite3

    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error).startswith("Could not decode")
    # Every statement is one that a whole store understands, so an unknown table or column is a damaged schema.
    unknown = code == sqlite3.SQLITE_ERROR and str(error).startswith(("no such ", "table ", "near "))
    return unknown or code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def check_ours(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a store, 0 for an empty database; raise SinkError for any other one."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID and is_nearly_ours(application):
        raise damaged(path, f"expected the application id {APPLICATION_ID}, got {application}")
    if application != APPLICATION_ID:
        raise SinkError(f"store:{path}: expected a motionsig store, got an SQLite database of something else")
    if not 1 <= version < _MOST_VERSIONS or (version <= VERSION and has_table(connection, "spans") != (version > 1)):
        raise damaged(path, f"expected a store of version 1 or {VERSION}, got version {version} with other tables")
    if version > VERSION:
        raise SinkError(
            f"store:{path}: expected a store of version {VERSION}, got version {version}; "
            "a newer motionsig wrote it, so read it with that one"
        )
    if version == VERSION:
        for table, columns in _COLUMNS.items():
            # SQLite says it if the text of the schema is damaged; inserting names no column.
            connection.execute(f"SELECT {', '.join(columns)} FROM {table} LIMIT 0")
    return version


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether a store has this table; each later version of motionsig adds some."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0])


def complete(connection: sqlite3.Connection, path: Path) -> None:
    """Make what is missing of a store, in one transaction."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have created it while this one waited for the lock.
        version = check_ours(connection, path)
        if version == VERSION:
            return
        upgrade = _ENCODERS_OF_VERSION_1 if version else ()
        for statement in (*(() if version else _FIRST), *_SINCE_0_1, *_SINCE_1, *upgrade):
            connection.execute(statement)
        connection.create_function("checksum", -1, lambda *values: checksum(values))
        for table, columns in CHECKED.items():
            connection.execute(f"UPDATE {table} SET crc = checksum({', '.join(columns)})")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def labels_between(
    connection: sqlite3.Connection, device: str, stream_id: int, first: int, last: int
) -> dict[int, str]:
    """Return the labels of the signatures numbered `first` to `last`, by number; those that have one."""
    rows = connection.execute(
        "SELECT seq, text FROM labels JOIN texts ON label = id WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ?",
        (device, stream_id, first, last),
    )
    return dict(rows.fetchall())
