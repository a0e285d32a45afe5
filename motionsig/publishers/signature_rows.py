"""A message's signatures as rows of a store: what is new is inserted, the rest compared; within a transaction.

A device is bound by what it says first of an encoder (its scales, which codes are motion, its length): what it says
otherwise later is a conflict. No other device is bound by that, so none can spoil another's signatures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.publishers import clock_rows, ledger
from motionsig.publishers.schema import checksum, labels_between
from motionsig.publishers.spans import ROW, Row, block_of, note_rows, row_checksums
from motionsig.publishers.stores import Added

if TYPE_CHECKING:
    import sqlite3

_MOST_ENCODERS = 1 << 16
_MOST_SPECS = 256
_IN_STREAM = "device = ? AND epoch = ? AND seq BETWEEN ? AND ?"

_RowsOf = tuple[str, int, Sequence[Row], Mapping[int, str]]
"""Device, stream id, rows, and labels by number."""


class EncoderRows:
    """The rows of encoders that a connection knows: each binds one device, those of version 1 none."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, bytes], tuple[SignatureSpec, int]] = {}
        self._specs: dict[SignatureSpec, SignatureSpec] = {}
        self._version: int | None = None

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Forget what is known if another process has written: it may have deleted encoders. Within a transaction."""
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._known.clear()
            self._version = version

    def row(self, connection: sqlite3.Connection, device: str, signatures: SignatureBatch) -> int | None:
        """Return the encoder's row, None where this device has described it differently."""
        spec = signatures.spec
        key = (device, signatures.hop_ns, spec.fingerprint)
        if (known := self._known.get(key)) is not None and known[0] == spec:
            return known[1]
        described = json.dumps([list(group) for group in spec.quantization.groups]), spec.motion_dim, spec.length_ns
        columns = "quantization, motion_dim, length_ns FROM encoders"
        # One row will do: all of a device and a fingerprint are alike.
        own = f"SELECT {columns} WHERE device = ? AND fingerprint = ? LIMIT 1"
        if connection.execute(own, (device, spec.fingerprint)).fetchone() not in (None, described):
            return None
        same = f"SELECT id, {columns} WHERE device IN (?, '') AND fingerprint = ? AND hop_ns = ? ORDER BY device DESC"
        for number, *other in connection.execute(same, (device, spec.fingerprint, signatures.hop_ns)).fetchall():
            if tuple(other) == described:
                self._remember(key, spec, int(number))
                return int(number)
        quantization, *lengths = described
        number = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM encoders").fetchone()[0]
        row = number, device, spec.fingerprint, quantization, *lengths, signatures.hop_ns
        # Not remembered yet: the transaction may still be rolled back.
        connection.execute("INSERT INTO encoders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, checksum(row)))
        return int(number)

    def _remember(self, key: tuple[str, int, bytes], spec: SignatureSpec, number: int) -> None:
        """Bounded in both: a stranger's description has up to 256 groups, and each of its devices may have another."""
        if len(self._known) >= _MOST_ENCODERS or len(self._specs) >= _MOST_SPECS:
            self._known.clear()
            self._specs.clear()
        self._known[key] = self._specs.setdefault(spec, spec), number


def insert_messages(
    connection: sqlite3.Connection, messages: Sequence[wire.Message], encoders: EncoderRows
) -> list[Added]:
    """Store what is not there yet; return what became of each message. None may be empty.

    Nearly always all is new, and is inserted at once; else every message is compared with what is there.
    """
    import sqlite3

    encoders.refresh(connection)
    numbers = [encoders.row(connection, message.device, message.signatures) for message in messages]
    plain = all(message.recording is None and message.signatures.labels is None for message in messages)
    # What a message says of its clock holds for those before it, too, and these have to be there by then.
    plain = plain and all(message.clock is None for message in messages)
    new: list[_RowsOf] = [
        (message.device, message.stream_id, list(_rows(message, number)), {})
        for message, number in zip(messages, numbers, strict=True)
        if plain and number is not None
    ]
    added = list[Added]()
    if len(new) == len(messages):
        connection.execute("SAVEPOINT all_new")
        try:
            _insert_rows(connection, new)
            added = [Added(stored=len(message.signatures)) for message in messages]
        except sqlite3.IntegrityError:
            connection.execute("ROLLBACK TO all_new")
        connection.execute("RELEASE all_new")
    return added or [
        _insert_message(connection, message, number) for message, number in zip(messages, numbers, strict=True)
    ]


def _insert_message(connection: sqlite3.Connection, message: wire.Message, encoder: int | None) -> Added:
    clock_rows.follow_clock(connection, message)
    if encoder is None:
        return Added(conflicts=len(message.signatures))
    stream, last = (message.device, message.stream_id), message.seq + len(message.signatures) - 1
    arriving = list(_rows(message, encoder))
    there = connection.execute(
        f"SELECT {', '.join(ROW)} FROM signatures WHERE {_IN_STREAM}", (*stream, message.seq, last)
    )
    stored: dict[int, Row] = {row[0]: row for row in there}
    again = [(stored[row[0]], row) for row in arriving if row[0] in stored]
    conflicts = {row[0] for there_is, row in again if not clock_rows.agrees(there_is, row)}
    agreeing = [pair for pair in again if pair[1][0] not in conflicts]
    stored |= {row[0]: row for row in clock_rows.replace_times(connection, *stream, agreeing)}
    labels = dict[int, str]()
    if message.recording is not None or message.signatures.labels is not None:
        labels = _note_source(connection, message, conflicts, stored)
    _insert_rows(connection, [(*stream, [row for row in arriving if row[0] not in stored], labels)])
    return Added(len(arriving) - len(stored), len(stored) - len(conflicts), len(conflicts))


def _insert_rows(connection: sqlite3.Connection, rows_of: Sequence[_RowsOf]) -> None:
    """Insert new rows of streams, with their checksums."""
    inserted = list[tuple[Any, ...]]()
    starts: dict[tuple[str, int, int], list[int]] = {}
    for device, stream_id, rows, labels in rows_of:
        sums = row_checksums(device, stream_id, rows, labels)
        inserted += [(device, stream_id, *row, crc) for row, crc in zip(rows, sums, strict=True)]
        for seq, _, start_ns, _, _ in rows:
            starts.setdefault((device, stream_id, block_of(seq)), []).append(start_ns)
    connection.executemany("INSERT INTO signatures VALUES (?, ?, ?, ?, ?, ?, ?, ?)", inserted)
    note_rows(connection, starts)


def _rows(message: wire.Message, encoder: int) -> Iterator[Row]:
    signatures = message.signatures
    codes, dim = signatures.codes.tobytes(), signatures.codes.shape[1]
    columns = zip(signatures.start_ns.tolist(), signatures.quality.tolist(), strict=True)
    for row, (start_ns, quality) in enumerate(columns):
        yield message.seq + row, encoder, start_ns, quality, codes[row * dim : (row + 1) * dim]


def _note_source(
    connection: sqlite3.Connection, message: wire.Message, conflicts: set[int], stored: dict[int, Row]
) -> dict[int, str]:
    """Store the recording's name, unless there are conflicts, and the labels of what is none; the newest win.

    Return the labels by number. A message of a recording without labels says that there are none, a live sensor's says
    nothing of them. Where a label changes, nothing counts as replayed into this stream any more: the replay may have
    brought another.
    """
    stream = message.device, message.stream_id
    if message.recording is not None and not conflicts:
        row = *stream, *message.recording
        connection.execute(
            "INSERT INTO recordings VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name, "
            "start_ns = excluded.start_ns, crc = excluded.crc "
            "WHERE (name, start_ns) != (excluded.name, excluded.start_ns)",
            (*row, checksum(row)),
        )
    given = message.signatures.labels
    texts = [""] * len(message.signatures) if given is None else given.tolist()
    labels = dict(enumerate(texts, message.seq))
    before = labels_between(connection, *stream, message.seq, message.seq + len(labels) - 1)
    changed = {seq: text for seq, text in labels.items() if seq not in conflicts and text != before.get(seq, "")}
    if not changed:
        return labels
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
    relabelled = [stored[seq] for seq in changed if seq in stored]
    sums = row_checksums(*stream, relabelled, changed)
    connection.executemany(
        "UPDATE signatures SET crc = ? WHERE device = ? AND epoch = ? AND seq = ? AND crc IS NOT NULL",
        ((crc, *stream, row[0]) for crc, row in zip(sums, relabelled, strict=True)),
    )
    return labels
