"""A store as it is at one moment, for reading; and the checks of what is read of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from motionsig.errors import SinkError
from motionsig.publishers.schema import DamagedStoreError, check_ours, checksum, damaged, has_table, reporting

if TYPE_CHECKING:
    import sqlite3


class Snapshot(NamedTuple):
    """A store that is being read.

    version: 1 has neither spans nor checksums. described, labelled: it has names of recordings, and any label.
    """

    connection: sqlite3.Connection
    path: str
    version: int
    described: bool
    labelled: bool


@contextmanager
def snapshot(path: str) -> Iterator[Snapshot]:
    """Give the store as it is now; raise SinkError for a file that is not one, is damaged, or cannot be read."""
    import sqlite3

    file = Path(path)
    if not file.exists():
        raise SinkError(f"store:{path}: no such file")
    try:
        with reporting(file, "cannot be read"):
            connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            with closing(connection):
                version = check_ours(connection, file)
                if not version:
                    raise SinkError(f"store:{path}: expected a motionsig store, got an empty database")
                # One transaction, so that all queries see the same.
                connection.execute("BEGIN")
                described = has_table(connection, "recordings")
                labelled = described and connection.execute("SELECT 1 FROM labels LIMIT 1").fetchone() is not None
                yield Snapshot(connection, path, version, described, labelled)
    except DamagedStoreError as error:
        hint = f"`python -m motionsig.publishers.salvage {path} NEW` saves what is readable to a new store"
        raise DamagedStoreError(f"{error}; the file is damaged: {hint}") from error


def check_number(store: Snapshot, table: str) -> None:
    """Raise SinkError where rows of a table are missing: a damaged tree may have fewer without any error of SQLite."""
    if store.version > 1:
        expected = store.connection.execute("SELECT rows FROM numbers WHERE of = ?", (table,)).fetchone()
        got = store.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        if expected != got:
            raise damaged(store.path, f"expected {expected and expected[0]} rows of {table}, got {got[0]}")


def check_row(store: Snapshot, table: str, row: Sequence[Any], crc: int | None) -> None:
    if store.version > 1 and crc != checksum(row):
        raise damaged(store.path, f"expected a row of {table} with its checksum, got another: {tuple(row[:5])}")
