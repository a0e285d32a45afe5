"""What a store does with times of a clock that was not known to be right: they give way to better ones.

The first better time is the signature itself, sent again with its time put right. For what was acknowledged before, and
is not sent again, the first message after the clock was set says the right offset of that boot. Therefore the store
notes by which offset the times of a stream were told, as long as any of its signatures has the flag UNSET_CLOCK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from motionsig import wire
from motionsig.events import Event
from motionsig.publishers.clocks import step_ns
from motionsig.quality import Quality

if TYPE_CHECKING:
    import sqlite3

_UNSET = int(Quality.UNSET_CLOCK)
_NO_CONTENT = int(Quality.EDGE_TPU | Quality.UNSET_CLOCK)
_EVENT_KEY = "device = ? AND epoch = ? AND head = ? AND seq = ? AND phase = ?"

Row = tuple[int, int, int, bytes]
"""encoder, start_ns, quality and codes of a signature."""


def agrees(stored: Row, arriving: Row) -> bool:
    """Return whether two signatures of one key are the same, apart from a time that may be wrong."""
    (encoder, start_ns, quality, codes), (other, other_ns, flags, others) = stored, arriving
    same = (encoder, codes, quality & ~_NO_CONTENT) == (other, others, flags & ~_NO_CONTENT)
    return same and (start_ns == other_ns or bool((quality | flags) & _UNSET))


def replace_times(
    connection: sqlite3.Connection, message: wire.Message, stored: dict[int, Row], arriving: list[Row]
) -> None:
    """Give stored signatures whose time may be wrong the time that arrived. stored: those that agree, by number."""
    better = (
        (start_ns, quality, message.device, message.stream_id, seq)
        for seq, row in stored.items()
        for _, start_ns, quality, _ in [arriving[seq - message.seq]]
        if row[2] & _UNSET and (start_ns, quality) != (row[1], row[2])
    )
    connection.executemany(
        "UPDATE signatures SET start_ns = ?, quality = ? WHERE device = ? AND epoch = ? AND seq = ?", better
    )


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
    connection.execute(
        "UPDATE signatures SET start_ns = start_ns + ?, quality = quality & ? "
        "WHERE device = ? AND epoch = ? AND quality & ?",
        (step, kept, device, stream_id, _UNSET),
    )


def _follow_with_events(connection: sqlite3.Connection, device: str, clock: wire.Clock) -> None:
    noted = "SELECT epoch, head, seq, phase, offset_ns FROM event_clocks WHERE device = ? AND boot = ?"
    for *key, offset_ns in connection.execute(noted, (device, clock.boot)).fetchall():
        step = step_ns(offset_ns, clock.offset_ns)
        shift = f"UPDATE events SET start_ns = start_ns + ?, end_ns = end_ns + ? WHERE {_EVENT_KEY}"
        connection.execute(shift, (step, step, device, *key))
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
    replace = f"UPDATE events SET start_ns = ?, end_ns = ? WHERE {_EVENT_KEY}"
    connection.execute(replace, (event.start_ns, event.end_ns, *event.key))
    note_event(connection, event)
    return True
