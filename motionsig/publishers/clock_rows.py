"""What a store does with times of a clock that was not known to be right: they give way to better ones.

The first better time is the signature itself, sent again with its time put right. For what was acknowledged before, and
is not sent again, the first message after the clock was set says the right offset of that boot. Therefore the store
notes by which offset the times of a stream were told, as long as any of its signatures has the flag UNSET_CLOCK.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from motionsig import wire
from motionsig.events import Event
from motionsig.publishers.clocks import shiftable_ns, step_ns
from motionsig.publishers.schema import CHECKED, checksum, labels_between
from motionsig.publishers.spans import ROW, Row, block_of, cover, row_checksums
from motionsig.quality import NO_CONTENT, Quality

if TYPE_CHECKING:
    import sqlite3

_UNSET = int(Quality.UNSET_CLOCK)
_NO_CONTENT = int(NO_CONTENT)
_EVENT_KEY = "device = ? AND epoch = ? AND head = ? AND seq = ? AND phase = ?"

_AT_ONCE = 4096


def agrees(stored: Row, arriving: Row) -> bool:
    """Return whether two signatures of one key are the same, apart from a time that may be wrong."""
    (_, encoder, start_ns, quality, codes), (_, other, other_ns, flags, others) = stored, arriving
    same = (encoder, codes, quality & ~_NO_CONTENT) == (other, others, flags & ~_NO_CONTENT)
    return same and (start_ns == other_ns or bool((quality | flags) & _UNSET))


def replace_times(
    connection: sqlite3.Connection, device: str, stream_id: int, pairs: Sequence[tuple[Row, Row]]
) -> list[Row]:
    """Give signatures whose time may be wrong the time that arrived, and return them as they are now.

    pairs: stored and arriving, which agree.
    """
    better = [arriving for stored, arriving in pairs if stored[3] & _UNSET and stored[2:4] != arriving[2:4]]
    _rewrite(connection, device, stream_id, better)
    return better


def _rewrite(connection: sqlite3.Connection, device: str, stream_id: int, rows: Sequence[Row]) -> None:
    """Store other times and flags of signatures, in order of their numbers, with checksums and spans."""
    if not rows:
        return
    labels = labels_between(connection, device, stream_id, rows[0][0], rows[-1][0])
    sums = row_checksums(device, stream_id, rows, labels)
    connection.executemany(
        "UPDATE signatures SET start_ns = ?, quality = ?, crc = ? WHERE device = ? AND epoch = ? AND seq = ?",
        ((row[2], row[3], crc, device, stream_id, row[0]) for row, crc in zip(rows, sums, strict=True)),
    )
    for block in sorted({block_of(row[0]) for row in rows}):
        cover(connection, device, stream_id, block)


def follow_clock(connection: sqlite3.Connection, message: wire.Message) -> None:
    """Put right what is stored by what a message says of its clock; call it before its signatures are compared."""
    clock = message.clock
    if clock is None:
        return
    if clock.is_set:
        noted = "SELECT epoch, offset_ns FROM clocks WHERE device = ? AND boot = ?"
        for stream_id, offset_ns in connection.execute(noted, (message.device, clock.boot)).fetchall():
            _shift(connection, message.device, stream_id, step_ns(offset_ns, clock.offset_ns), ~_UNSET)
        connection.execute("DELETE FROM clocks WHERE device = ? AND boot = ?", (message.device, clock.boot))
        _follow_with_events(connection, message.device, clock)
        return
    stream = message.device, message.stream_id
    noted = "SELECT offset_ns FROM clocks WHERE device = ? AND epoch = ? AND boot = ?"
    for (offset_ns,) in connection.execute(noted, (*stream, clock.boot)).fetchall():
        if step := step_ns(offset_ns, clock.offset_ns):
            _shift(connection, *stream, step, -1)
    connection.execute("INSERT OR REPLACE INTO clocks VALUES (?, ?, ?, ?)", (*stream, clock.boot, clock.offset_ns))


def _shift(connection: sqlite3.Connection, device: str, stream_id: int, step: int, kept: int) -> None:
    if (within := shiftable_ns(step)) is None:
        return
    query = (
        f"SELECT {', '.join(ROW)} FROM signatures "
        "WHERE device = ? AND epoch = ? AND seq > ? AND quality & ? ORDER BY seq LIMIT ?"
    )
    last = -1
    while rows := connection.execute(query, (device, stream_id, last, _UNSET, _AT_ONCE)).fetchall():
        last = rows[-1][0]
        shifted = [
            (seq, encoder, start_ns + step, quality & kept, codes)
            for seq, encoder, start_ns, quality, codes in rows
            if within[0] <= start_ns <= within[1]
        ]
        _rewrite(connection, device, stream_id, shifted)


def _follow_with_events(connection: sqlite3.Connection, device: str, clock: wire.Clock) -> None:
    noted = "SELECT epoch, head, seq, phase, offset_ns FROM event_clocks WHERE device = ? AND boot = ?"
    for *key, offset_ns in connection.execute(noted, (device, clock.boot)).fetchall():
        step = step_ns(offset_ns, clock.offset_ns)
        within = shiftable_ns(step)
        times = f"SELECT start_ns, end_ns FROM events WHERE {_EVENT_KEY}"
        for start_ns, end_ns in connection.execute(times, (device, *key)).fetchall():
            if within and all(within[0] <= time_ns <= within[1] for time_ns in (start_ns, end_ns)):
                _retime_event(connection, (device, *key), start_ns + step, end_ns + step)
    connection.execute("DELETE FROM event_clocks WHERE device = ? AND boot = ?", (device, clock.boot))


def note_event(connection: sqlite3.Connection, event: Event) -> None:
    """Note of a stored event by which clock its times were told, or that they are right."""
    if event.clock is not None:
        row = *event.key, event.clock.boot, event.clock.offset_ns
        connection.execute("INSERT OR REPLACE INTO event_clocks VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    else:
        connection.execute(f"DELETE FROM event_clocks WHERE {_EVENT_KEY}", event.key)


def settle_event(connection: sqlite3.Connection, event: Event) -> bool:
    """Return whether an event is the stored one with another time; if that one may be wrong, it gets this one's."""
    same = f"SELECT 1 FROM events WHERE {_EVENT_KEY} AND score = ? AND fingerprint = ?"
    if connection.execute(same, (*event.key, float(event.score), event.fingerprint)).fetchone() is None:
        return False
    if connection.execute(f"SELECT 1 FROM event_clocks WHERE {_EVENT_KEY}", event.key).fetchone() is None:
        return event.clock is not None
    _retime_event(connection, event.key, event.start_ns, event.end_ns)
    note_event(connection, event)
    return True


def _retime_event(connection: sqlite3.Connection, key: Sequence[object], start_ns: int, end_ns: int) -> None:
    times = f"UPDATE events SET start_ns = ?, end_ns = ? WHERE {_EVENT_KEY}"
    connection.execute(times, (start_ns, end_ns, *key))
    columns = f"SELECT {', '.join(CHECKED['events'])} FROM events WHERE {_EVENT_KEY}"
    (row,) = connection.execute(columns, key).fetchall()
    connection.execute(f"UPDATE events SET crc = ? WHERE {_EVENT_KEY}", (checksum(row), *key))
