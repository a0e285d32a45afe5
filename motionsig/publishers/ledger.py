"""The ledger of a store: which logs were replayed into it completely, and how.

`how` stands for everything that decides what a log becomes (model, hop, options, device name, version) and `stamp` for
the state of the log's file; both are texts of the caller's making. An entry goes when a signature of its stream is
deleted from the store (`schema`), and when the log is replayed into the same stream in another way, which may have
brought other labels: so what an entry says of the store is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def replayed(connection: sqlite3.Connection, how: str) -> dict[str, tuple[str, int]]:
    """Return (stamp, number of signatures) by path for what was replayed completely in this way."""
    rows = connection.execute(
        "SELECT path, stamp, signatures FROM replayed WHERE how = (SELECT id FROM texts WHERE text = ?)", (how,)
    )
    return {path: (stamp, signatures) for path, stamp, signatures in rows}


def note(
    connection: sqlite3.Connection, path: str, how: str, stamp: str, device: str, stream_id: int, signatures: int
) -> None:
    """Note that all signatures of the log at `path` are stored; replaces the entries of this path and how or stream."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "DELETE FROM replayed WHERE device = ? AND epoch = ? AND path = ?", (device, stream_id, path)
        )
        connection.execute("INSERT OR IGNORE INTO texts (text) VALUES (?)", (how,))
        connection.execute(
            "INSERT OR REPLACE INTO replayed SELECT id, ?, ?, ?, ?, ? FROM texts WHERE text = ?",
            (path, stamp, device, stream_id, signatures, how),
        )
