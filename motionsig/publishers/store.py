"""A local SQLite database of signatures and events: a sink of its own, and what the collector fills.

(device, stream_id, seq) is the primary key, so a signature that arrives twice is stored once. (The column of the stream
id is called epoch, as in the stores of version 0.1.) Other content under a key that is taken is a conflict: what is
there is kept, the other counted and logged. (Whether an Edge TPU ran the network is no content: a replay may do without
one; and a time that may be wrong gives way to another, see `clock_rows`.) So it is with events, whose key has two more
parts. Encoders are rows of their own: a signature costs little more than its codes, and encoders are not mixed up. What
a message says of its recording and of labels is no content either: it is kept beside the signatures, the newest wins. A
conflict brings no label, and a message with one in it no name: it is of another recording than what is stored.

Every `publish` is one transaction in a write-ahead log, which survives kill -9; with durable=True, which whoever
promises storage to others needs, it is also fsynced and survives a power cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.closing import Closing
from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.events import Event
from motionsig.publishers import clock_rows, ledger
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES
from motionsig.publishers.schema import LAST_ADDED, check_ours, complete, has_table, labels_between, reporting
from motionsig.publishers.store_sink import SinkOfStore
from motionsig.publishers.stores import Added

if TYPE_CHECKING:
    import sqlite3

logger = own_logger(__name__)


_EVENT = ("device", "epoch", "head", "seq", "phase", "start_ns", "end_ns", "score", "fingerprint")
_INSERT_EVENT = (
    f"INSERT INTO events ({', '.join(_EVENT)}) VALUES ({', '.join('?' * len(_EVENT))}) ON CONFLICT DO NOTHING"
)
_SAME_EVENT = f"SELECT 1 FROM events WHERE {' AND '.join(f'{column} = ?' for column in _EVENT)}"


class Store(Closing):
    """An open store; not for use by two threads at the same time. Raises SinkError for whatever SQLite refuses."""

    def __init__(self, path: str | Path, *, durable: bool = False, busy_timeout_s: float = 10.0) -> None:
        import sqlite3

        self.path = path = Path(path)
        self._encoders: dict[tuple[SignatureSpec, int], int] = {}
        with reporting(path, "cannot be opened"):
            # isolation_level=None: transactions begin where this file says so.
            connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            with reporting(path, "cannot be used as a store"):
                ours = check_ours(connection, path)
                connection.execute("PRAGMA journal_mode = WAL")
                if not (ours and has_table(connection, LAST_ADDED)):
                    complete(connection, path)
                connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        except BaseException:
            connection.close()
            raise
        self._connection: sqlite3.Connection | None = connection
        self._durable = durable

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
        """Store the signatures and events that are not there yet, in one transaction; all, or none and a SinkError."""
        rows = sum(len(message.signatures) for message in messages)
        what = " and ".join([f"{rows} signatures"] * bool(messages) + [f"{len(events)} events"] * bool(events))
        with self.open_connection(f"{what or 'nothing'} could not be stored") as connection:
            if not rows and not events:
                return Added()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                added = [self._insert(connection, message) for message in messages if len(message.signatures)]
                of_events = self._insert_events(connection, events)
        for message, one in zip((message for message in messages if len(message.signatures)), added, strict=True):
            if one.conflicts:
                text = (
                    "store:%s: %d signatures of %s, stream %d, from seq %d differ from what is stored under their key"
                )
                logger.warning(text, self.path, one.conflicts, message.device, message.stream_id, message.seq)
        return Added(*map(sum, zip(*added, of_events, strict=True)))

    def _insert_events(self, connection: sqlite3.Connection, events: Sequence[Event]) -> Added:
        stored, conflicts = 0, list[Event]()
        for event in events:
            row = *event.key, event.start_ns, event.end_ns, float(event.score), event.fingerprint
            if connection.execute(_INSERT_EVENT, row).rowcount:
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
            logger.warning(text, self.path, len(conflicts), first.head, first.device, first.stream_id)
        return Added(duplicates=len(events) - stored - len(conflicts), conflicts=len(conflicts), events=stored)

    def _insert(self, connection: sqlite3.Connection, message: wire.Message) -> Added:
        signatures = message.signatures
        count = len(signatures)
        encoder = self._encoder(connection, signatures)
        if encoder is None:
            return Added(0, 0, count)
        clock_rows.follow_clock(connection, message)
        columns = zip(signatures.start_ns.tolist(), signatures.quality.tolist(), signatures.codes, strict=True)
        arriving = [(encoder, start_ns, quality, codes.tobytes()) for start_ns, quality, codes in columns]
        stored = {
            seq: (row[0], row[1], row[2], row[3])
            for seq, *row in connection.execute(
                "SELECT seq, encoder, start_ns, quality, codes FROM signatures "
                "WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ?",
                (message.device, message.stream_id, message.seq, message.seq + count - 1),
            )
        }
        conflicts = {seq for seq, row in stored.items() if not clock_rows.agrees(row, arriving[seq - message.seq])}
        agreeing = {seq: row for seq, row in stored.items() if seq not in conflicts}
        clock_rows.replace_times(connection, message, agreeing, arriving)
        self._note_source(connection, message, conflicts)
        numbered = ((message.device, message.stream_id, seq, *row) for seq, row in enumerate(arriving, message.seq))
        new = (row for row in numbered if row[2] not in stored)
        connection.executemany("INSERT INTO signatures VALUES (?, ?, ?, ?, ?, ?, ?)", new)
        return Added(count - len(stored), len(stored) - len(conflicts), len(conflicts))

    def _note_source(self, connection: sqlite3.Connection, message: wire.Message, conflicts: set[int]) -> None:
        """Store the recording's name, unless there are conflicts, and the labels of what is none; the newest win.

        A message of a recording without labels says that there are none, a live sensor's says nothing of them. Where a
        label changes, nothing counts as replayed into this stream any more: the replay may have brought another.
        """
        stream = message.device, message.stream_id
        if message.recording is not None and not conflicts:
            connection.execute(
                "INSERT INTO recordings VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name, "
                "start_ns = excluded.start_ns WHERE (name, start_ns) != (excluded.name, excluded.start_ns)",
                (*stream, *message.recording),
            )
        given = message.signatures.labels
        if message.recording is None and given is None:
            return
        texts = [""] * len(message.signatures) if given is None else given.tolist()
        labels = dict(enumerate(texts, message.seq))
        stored = labels_between(connection, *stream, message.seq, message.seq + len(labels) - 1)
        changed = {seq: text for seq, text in labels.items() if seq not in conflicts and text != stored.get(seq, "")}
        if changed:
            ledger.forget(connection, *stream)
        connection.executemany("INSERT OR IGNORE INTO texts (text) VALUES (?)", {(text,) for text in changed.values()})
        connection.executemany(
            "INSERT OR REPLACE INTO labels SELECT ?, ?, ?, id FROM texts WHERE text = ?",
            ((*stream, seq, text) for seq, text in changed.items() if text),
        )
        connection.executemany(
            "DELETE FROM labels WHERE device = ? AND epoch = ? AND seq = ?",
            ((*stream, seq) for seq, text in changed.items() if not text),
        )

    def _encoder(self, connection: sqlite3.Connection, signatures: SignatureBatch) -> int | None:
        """Return the encoder's row, None where another one with the same fingerprint is described differently."""
        spec = signatures.spec
        key = (spec, signatures.hop_ns)
        if key in self._encoders:
            return self._encoders[key]
        quantization = json.dumps([list(group) for group in spec.quantization.groups])
        others = connection.execute(
            "SELECT id, hop_ns, quantization, motion_dim, length_ns FROM encoders WHERE fingerprint = ?",
            (spec.fingerprint,),
        ).fetchall()
        if any(other[2:] != (quantization, spec.motion_dim, spec.length_ns) for other in others):
            return None
        for number, hop_ns, *_ in others:
            if hop_ns == signatures.hop_ns:
                self._encoders[key] = int(number)
                return int(number)
        insert = (
            "INSERT INTO encoders (fingerprint, quantization, motion_dim, length_ns, hop_ns) VALUES (?, ?, ?, ?, ?)"
        )
        row = (spec.fingerprint, quantization, spec.motion_dim, spec.length_ns, signatures.hop_ns)
        # Not remembered yet: the transaction may still be rolled back.
        return connection.execute(insert, row).lastrowid

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

    durable: every publish survives a power cut. busy_timeout_s: how long to wait for another writer.
    max_message_bytes: only for counting `payload_bytes`.
    """

    def __init__(
        self,
        path: str,
        *,
        device: str,
        stream_id: int,
        durable: bool = False,
        busy_timeout_s: float = 10.0,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        super().__init__(
            f"store:{path}",
            partial(Store, path, durable=durable, busy_timeout_s=busy_timeout_s),
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
