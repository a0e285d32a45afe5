"""A local SQLite database of signatures and events: a sink of its own, and what the collector fills.

(device, stream_id, seq) is the primary key, so a signature that arrives twice is stored once. (The column of the stream
id is called epoch, as in the stores of version 0.1.) Other content under a key that is taken is a conflict: what is
there is kept, the other counted and logged. (Whether an Edge TPU ran the network is no content: a replay may do without
one; and a time that may be wrong gives way to another, see `clock_rows`.) So it is with events, whose key has two more
parts. Encoders are rows of their own: a signature costs little more than its codes, and encoders are not mixed up. What
a message says of its recording and of labels is no content either: it is kept beside the signatures, the newest wins. A
conflict brings no label, and a message with one in it no name: it is of another recording than what is stored.

Every `publish` is one transaction in a write-ahead log, which survives kill -9; with durable=True, which whoever
promises storage to others needs, it is also fsynced and survives a power cut. A damaged file is put aside and a new one
begun, here, where signatures arrive that somebody has to keep; who only reads gets an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from motionsig import wire
from motionsig.closing import Closing
from motionsig.endings import require_ending
from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.events import Event
from motionsig.publishers import clock_rows, ledger
from motionsig.publishers.aside import identity, put_aside
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES
from motionsig.publishers.retention import Limits, Retention
from motionsig.publishers.schema import CHECKED, VERSION, DamagedStoreError, check_ours, checksum, complete, reporting
from motionsig.publishers.signature_rows import EncoderRows, insert_messages
from motionsig.publishers.spans import span_checksum
from motionsig.publishers.sparing import Sparing
from motionsig.publishers.store_sink import SinkOfStore
from motionsig.publishers.stores import Added

if TYPE_CHECKING:
    import sqlite3

logger = own_logger(__name__)

_EVENT = CHECKED["events"]
_INSERT_EVENT = (
    f"INSERT INTO events ({', '.join(_EVENT)}, crc) VALUES ({', '.join('?' * len(_EVENT))}, ?) ON CONFLICT DO NOTHING"
)
_SAME_EVENT = f"SELECT 1 FROM events WHERE {' AND '.join(f'{column} = ?' for column in _EVENT)}"


class Store(Closing):
    """An open store; not for use by two threads at the same time. Raises SinkError for whatever SQLite refuses.

    durable, busy_timeout_s, keep_days, keep_bytes: as for `StoreSink`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        durable: bool = False,
        busy_timeout_s: float = 10.0,
        keep_days: float = 0.0,
        keep_bytes: int = 0,
    ) -> None:
        self.path = Path(path)
        self._durable, self._busy_timeout_s = durable, busy_timeout_s
        self._limits = Limits(keep_days, keep_bytes)
        self._sparing = Sparing(logger)
        self._connection: sqlite3.Connection | None = None
        try:
            self._open()
        except DamagedStoreError as error:
            self._replace(error)

    def _open(self) -> None:
        """Open the file as it is now, or a new one that its owner alone may read; raise SinkError."""
        import sqlite3

        if not self.path.exists():
            instead = "name it such as mine.db; motionsig export makes tables of it"
            require_ending(self.path, (".db", ".sqlite", ".sqlite3"), where="store: ", instead=instead)
        with suppress(OSError):  # SQLite says what it is; its -wal and -shm get the mode of the database
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._encoders = EncoderRows()
        self._retention = Retention(self.path, self._limits)
        self._identity = identity(self.path)
        with reporting(self.path, "cannot be opened"):
            # isolation_level=None: transactions begin where this file says so.
            connection = sqlite3.connect(
                self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
        try:
            with reporting(self.path, "cannot be used as a store"):
                version = check_ours(connection, self.path)
                if not version:
                    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("PRAGMA journal_mode = WAL")
                if version < VERSION:
                    complete(connection, self.path)
                connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
                # A receiver writes to the newest page of each of many streams.
                connection.execute(f"PRAGMA cache_size = -{16384 if self._durable else 2048}")
                connection.create_function("span_checksum", 5, span_checksum, deterministic=True)
                self._retention.prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _replace(self, damage: SinkError) -> None:
        """Put a damaged file aside and begin a new one; a file that has its name meanwhile is opened."""
        self._let_go()
        put_aside(self.path, self._identity, str(damage))
        self._open()

    def __repr__(self) -> str:
        path = str(self.path) if len(str(self.path)) <= 120 else f"...{str(self.path)[-117:]}"
        state = "closed" if self._connection is None else "durable" if self._durable else "open"
        return f"<Store {path}, {state}>"

    @contextmanager
    def open_connection(self, action: str) -> Iterator[sqlite3.Connection]:
        """Give the connection to what does `action`; raise SinkError for a closed store, or what SQLite refuses."""
        if self._connection is None:
            raise SinkError(f"store:{self.path}: this store is closed")
        with reporting(self.path, action):
            yield self._connection

    def add(self, message: wire.Message) -> Added:
        """Store the signatures of a message that are not there yet; all of them, or none and a SinkError."""
        return self.add_all([message])

    def add_all(self, messages: Sequence[wire.Message], events: Sequence[Event] = ()) -> Added:
        """Store the signatures and events that are not there yet, in one transaction; all, or none and a SinkError.

        A damaged file is put aside first, and so is one that was moved away or removed while it was open.
        """
        if self._connection is not None and identity(self.path) != self._identity:
            logger.warning("store:%s: the file was moved or removed; a new one begins", self.path)
            self._let_go()
            self._open()
        try:
            return self._add_all(messages, events)
        except DamagedStoreError as error:
            self._replace(error)
        return self._add_all(messages, events)

    def _add_all(self, messages: Sequence[wire.Message], events: Sequence[Event]) -> Added:
        messages = [message for message in messages if len(message.signatures)]
        rows = sum(len(message.signatures) for message in messages)
        what = " and ".join([f"{rows} signatures"] * bool(messages) + [f"{len(events)} events"] * bool(events))
        with self.open_connection(f"{what or 'nothing'} could not be stored") as connection:
            if not rows and not events:
                return Added()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                # Before the messages: what these say of a clock puts the events right, too.
                of_events = self._insert_events(connection, events)
                added = insert_messages(connection, messages, self._encoders)
        for message, one in zip(messages, added, strict=True):
            if one.conflicts:
                text = (
                    "store:%s: %d signatures of %s, stream %d, from seq %d differ from what is stored under their key"
                )
                self._sparing.warn(text, self.path, one.conflicts, message.device, message.stream_id, message.seq)
        arrived_ns = min((int(message.signatures.start_ns[0]) for message in messages), default=None)
        try:
            with self.open_connection("the oldest signatures could not be deleted") as connection:
                if self._retention.run(connection, arrived_ns):
                    self._encoders = EncoderRows()
        except DamagedStoreError:
            raise
        except SinkError as error:  # another process writes, or the disk is full: what arrived is stored
            logger.warning("%s", error)
        return Added(*map(sum, zip(*added, of_events, strict=True)))

    def _insert_events(self, connection: sqlite3.Connection, events: Sequence[Event]) -> Added:
        stored, conflicts = 0, list[Event]()
        for event in events:
            row = *event.key, event.start_ns, event.end_ns, float(event.score), event.fingerprint
            if connection.execute(_INSERT_EVENT, (*row, checksum(row))).rowcount:
                stored += 1
                if event.clock is not None:
                    clock_rows.note_event(connection, event)
            elif connection.execute(_SAME_EVENT, row).fetchone() is not None:
                if event.clock is None:
                    clock_rows.note_event(connection, event)
            elif not clock_rows.settle_event(connection, event):
                conflicts.append(event)
        if conflicts:
            text = "store:%s: %d events differ from what is stored under the same key, the first: %s of %s, stream %d"
            first = conflicts[0]
            self._sparing.warn(text, self.path, len(conflicts), first.head, first.device, first.stream_id)
        return Added(duplicates=len(events) - stored - len(conflicts), conflicts=len(conflicts), events=stored)

    def _let_go(self) -> None:
        """Close the connection to a file that is of no use any more."""
        import sqlite3

        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error, UnicodeDecodeError):
                connection.close()

    def newest_numbers(self, device: str, stream_id: int, first: int, last: int, most: int) -> list[int]:
        """Return the newest `most` numbers that are stored from `first` to `last`, both included, newest first."""
        with self.open_connection("which signatures are there could not be read") as connection:
            rows = connection.execute(
                "SELECT seq FROM signatures WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ? "
                "ORDER BY seq DESC LIMIT ?",
                (device, stream_id, first, last, most),
            )
            return [seq for (seq,) in rows]

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with reporting(self.path, "could not be closed"):
                connection.close()


class StoreSink(SinkOfStore[Store]):
    """Signatures and events into a local store, which is created where it does not exist.

    durable: every publish survives a power cut. busy_timeout_s: how long to wait for another writer. keep_days,
    keep_bytes: how long signatures and events are kept, after their time, and until the files have that size; for ever
    with 0. max_message_bytes: only for counting `payload_bytes`.
    """

    def __init__(
        self,
        path: str,
        *,
        device: str,
        stream_id: int,
        durable: bool = False,
        busy_timeout_s: float = 10.0,
        keep_days: float = 0.0,
        keep_bytes: int = 0,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        super().__init__(
            f"store:{path}",
            partial(
                Store,
                path,
                durable=durable,
                busy_timeout_s=busy_timeout_s,
                keep_days=keep_days,
                keep_bytes=keep_bytes,
            ),
            device=device,
            stream_id=stream_id,
            max_message_bytes=max_message_bytes,
        )

    def replayed(self, how: str) -> dict[str, tuple[str, int]]:
        """Return (stamp, number of signatures) by path for the logs that were replayed completely as `how` says."""
        with self._store.open_connection("what was replayed could not be read") as connection:
            return ledger.replayed(connection, how)

    def note_replayed(self, path: str, how: str, stamp: str, stream_id: int, signatures: int) -> None:
        """Note that all signatures of the log at `path` are stored; replaces entries of this path and how or stream.

        Where signatures were deleted meanwhile, nothing is noted and the next replay makes them again.
        """
        with self._store.open_connection(f"the replay of {path} could not be noted") as connection:
            noted = ledger.note(connection, path, how, stamp, self._device, stream_id, signatures)
        if noted.before:
            # Kept: another recording under the name of an old one must not cost the old one.
            text = "%s: %s has changed; what it was stays in the store: device %s, stream %d, beside stream %d"
            logger.warning(text, self._where, path, *noted.before, stream_id)
        if not noted.complete:
            text = "%s: expected %d signatures of %s, got fewer: some were deleted meanwhile; replay it again"
            logger.warning(text, self._where, signatures, path)
