"""The ledger of a store: which logs were replayed into it completely, and how.

`how` stands for everything that decides what a log becomes (model, hop, options, device name, version) and `stamp` for
the state of the log's file; both are texts of the caller's making. What an entry says of the store stays true: it goes
when a signature of its stream is deleted (a trigger of `schema`), when a label in its stream changes (`forget`), and
when the log is replayed into the same stream in another way. So of two copies of one log with different labels one is
replayed each time. The name is not part of this: a stream has the name under which it was replayed last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3


def replayed(connection: sqlite3.Connection, how: str) -> dict[str, tuple[str, int]]:
    """Return (stamp, number of signatures) by path for what was replayed completely in this way."""
    rows = connection.execute(
        "SELECT path, stamp, signatures FROM replayed WHERE how = (SELECT id FROM texts WHERE text = ?)", (how,)
    )
    return {path: (stamp, signatures) for path, stamp, signatures in rows}


class Noted(NamedTuple):
    """What became of a note. complete: it was made, as all of the signatures are there.

    before: device and stream id of what this path was before, in the same way, where that was another stream.
    """

    complete: bool
    before: tuple[str, int] | None


def forget(connection: sqlite3.Connection, device: str, stream_id: int) -> None:
    """Delete the entries of a stream, within the caller's transaction."""
    connection.execute("DELETE FROM replayed WHERE device = ? AND epoch = ?", (device, stream_id))


def note(
    connection: sqlite3.Connection, path: str, how: str, stamp: str, device: str, stream_id: int, signatures: int
) -> Noted:
    """Note that the signatures of the log at `path` are stored, numbered from 0; replace entries of how or stream."""
    stream = device, stream_id
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        count = "SELECT count(*) FROM signatures WHERE device = ? AND epoch = ? AND seq < ?"
        # Somebody may have deleted some while the rest was made, when there was no entry yet that could go with them.
        if connection.execute(count, (*stream, signatures)).fetchone()[0] < signatures:
            return Noted(False, None)
        before = connection.execute(
            "SELECT device, epoch FROM replayed WHERE path = ? AND how = (SELECT id FROM texts WHERE text = ?)",
            (path, how),
        ).fetchone()
        connection.execute("DELETE FROM replayed WHERE device = ? AND epoch = ? AND path = ?", (*stream, path))
        connection.execute("INSERT OR IGNORE INTO texts (text) VALUES (?)", (how,))
        connection.execute(
            "INSERT OR REPLACE INTO replayed SELECT id, ?, ?, ?, ?, ? FROM texts WHERE text = ?",
            (path, stamp, *stream, signatures, how),
        )
    return Noted(True, before if before != stream else None)
