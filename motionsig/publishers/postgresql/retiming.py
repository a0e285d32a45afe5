"""Times of a clock that was not known to be right give way to better ones, as in `clock_rows` of the SQLite store.

A stream and an event have the boot and the offset of the clock that gave their times, while those may be wrong. Streams
change under the exclusive lock alone; so whoever holds the shared one knows by which offset flagged times were given.
A time that changes may take its row to another partition, in one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from motionsig import wire
from motionsig.publishers.clocks import put_right, shiftable_ns, step_ns
from motionsig.quality import NO_CONTENT, Quality

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

    Place = Callable[[Sequence[int], Sequence[int], Sequence[int]], None]
    """What makes room for rows of these streams, numbers and times."""

_UNSET = int(Quality.UNSET_CLOCK)
_NO_CONTENT = int(NO_CONTENT)
_DAY_NS = 86_400_000_000_000

KEYS = "s.stream = i.stream AND s.seq = i.seq AND s.start_ns BETWEEN %(first)s AND %(last)s"
_LIKE = f"s.encoder = i.encoder AND s.codes = i.codes AND s.quality & ~{_NO_CONTENT} = i.quality & ~{_NO_CONTENT}"
AGREES = f"({_LIKE} AND (s.start_ns = i.start_ns OR (s.quality | i.quality) & {_UNSET} != 0))"
"""s, which is stored, and i, which arrives, are the same signature, apart from a time that may be wrong."""

# Of several that arrive, the first right time is the best, else the last guess.
_BEST_FIRST = "{unset}, CASE WHEN {unset} THEN -i.place ELSE i.place END"
_BETTER = (
    "(SELECT * FROM (SELECT DISTINCT ON (i.stream, i.seq) i.stream, i.seq, i.start_ns, i.quality, "
    f"s.start_ns AS old_ns, s.quality AS old FROM pg_temp.incoming i JOIN motionsig.signatures s ON {KEYS} "
    f"WHERE {_LIKE} AND s.quality & {_UNSET} != 0 "
    f"ORDER BY i.stream, i.seq, {_BEST_FIRST.format(unset=f'i.quality & {_UNSET} != 0')}) AS best "
    "WHERE (start_ns, quality) != (old_ns, old))"
)
COUNT_BETTER = f"SELECT count(*) FROM {_BETTER} AS n"
REPLACE_TIMES = (
    f"UPDATE motionsig.signatures s SET start_ns = n.start_ns, quality = n.quality FROM {_BETTER} AS n "
    "WHERE s.stream = n.stream AND s.seq = n.seq AND s.start_ns = n.old_ns"
)
TAKE_STORED_TIMES = (
    "UPDATE pg_temp.incoming i SET start_ns = s.start_ns FROM motionsig.signatures s "
    f"WHERE {KEYS} AND {AGREES} AND NOT i.start_ns BETWEEN %(first)s AND %(last)s"
)
"""What arrives for another partition than that of the same stored signature goes there, and is found as a duplicate."""

_EVENT_KEY = ("device", "stream_id", "head", "seq", "phase")
_SAME_EVENT = " AND ".join(f"s.{name} = i.{name}" for name in (*_EVENT_KEY, "score", "fingerprint"))
_EVENT_TIMES = ("start_ns", "end_ns", "boot", "offset_ns")


def replace_event_times(rows: str) -> str:
    """Return the statement that gives stored events better times; rows: what arrives, as i with a `place`."""
    key = ", ".join(f"i.{name}" for name in _EVENT_KEY)
    best = (
        f"SELECT DISTINCT ON ({key}) i.* FROM {rows} JOIN motionsig.events s ON {_SAME_EVENT} "
        f"WHERE s.boot IS NOT NULL ORDER BY {key}, {_BEST_FIRST.format(unset='i.boot IS NOT NULL')}"
    )
    return (
        f"UPDATE motionsig.events s SET {', '.join(f'{name} = i.{name}' for name in _EVENT_TIMES)} FROM ({best}) AS i "
        f"WHERE {_SAME_EVENT} AND s.boot IS NOT NULL"
    )


def same_events(rows: str) -> str:
    """Return the query of (place, is its time better) of what agrees with what is stored; rows: what arrives, as i."""
    times = ", ".join(f"{{0}}.{name}" for name in _EVENT_TIMES)
    return (
        f"SELECT i.place, s.boot IS NOT NULL AND ({times.format('s')}) IS DISTINCT FROM ({times.format('i')}) "
        f"FROM {rows} JOIN motionsig.events s ON {_SAME_EVENT} AND (s.boot IS NOT NULL OR i.boot IS NOT NULL "
        "OR (s.start_ns, s.end_ns) = (i.start_ns, i.end_ns))"
    )


def by_last_guess(messages: Sequence[wire.Message]) -> list[wire.Message]:
    """Return messages with their times by the last clock of their stream, where those are not known to be right."""
    last = {(it.device, it.stream_id): it.clock for it in messages if it.clock is not None and not it.clock.is_set}
    moved = []
    for message in messages:
        clock, present = message.clock, last.get((message.device, message.stream_id))
        step = step_ns(clock.offset_ns, present.offset_ns) if clock is not None and present is not None else 0
        within, start_ns = shiftable_ns(step), message.signatures.start_ns
        fits = within is not None and within[0] <= start_ns.min() and start_ns.max() <= within[1]
        moved.append(put_right(message, present) if step and fits else message)
    return moved


def unset_clocks(
    connection: Connection, messages: Sequence[wire.Message], streams: Sequence[int]
) -> dict[int, tuple[wire.Clock, int]]:
    """Return by which clock the times of streams are given now, and by how much it was set since the tables noted it.

    streams: the number of each message's stream. Only streams of which the tables do not say so yet are returned.
    """
    clocks = {
        stream: message.clock
        for stream, message in zip(streams, messages, strict=True)
        if message.clock is not None and not message.clock.is_set
    }
    if not clocks:
        return {}
    query = "SELECT id, boot, offset_ns FROM motionsig.streams WHERE id = ANY(%s)"
    noted = {stream: (boot, offset_ns) for stream, boot, offset_ns in connection.execute(query, [list(clocks)])}
    found: dict[int, tuple[wire.Clock, int]] = {}
    for stream, clock in clocks.items():
        boot, offset_ns = noted.get(stream, (None, 0))
        step = step_ns(offset_ns, clock.offset_ns) if boot == clock.boot else 0
        if boot != clock.boot or step:
            found[stream] = clock, step
    return found


def note_clock(connection: Connection, stream: int, clock: wire.Clock, step: int, place: Place) -> None:
    """Note by which clock the times of a stream are given, and shift what is stored of it."""
    _shift(connection, stream, step, -1, place)
    query = "UPDATE motionsig.streams SET boot = %s, offset_ns = %s WHERE id = %s"
    connection.execute(query, [clock.boot, clock.offset_ns, stream])


def is_followed(connection: Connection, device: str, clock: wire.Clock) -> bool:
    """Return whether times are stored that this clock, which is set, puts right."""
    query = (
        "SELECT WHERE EXISTS (SELECT FROM motionsig.streams WHERE device = %(device)s AND boot = %(boot)s) "
        "OR EXISTS (SELECT FROM motionsig.events WHERE device = %(device)s AND boot = %(boot)s)"
    )
    return connection.execute(query, {"device": device, "boot": clock.boot}).fetchone() is not None


def follow_clock(connection: Connection, device: str, clock: wire.Clock, place: Place) -> None:
    """Put right the times of this boot of a device by a clock that is set."""
    of_boot = "WHERE device = %s AND boot = %s"
    query = f"SELECT id, offset_ns FROM motionsig.streams {of_boot} ORDER BY id"
    for stream, offset_ns in connection.execute(query.encode(), [device, clock.boot]).fetchall():
        _shift(connection, stream, step_ns(offset_ns, clock.offset_ns), ~_UNSET, place)
    query = f"UPDATE motionsig.streams SET boot = NULL, offset_ns = NULL {of_boot}"
    connection.execute(query.encode(), [device, clock.boot])
    query = f"SELECT DISTINCT offset_ns FROM motionsig.events {of_boot}"
    for (offset_ns,) in connection.execute(query.encode(), [device, clock.boot]).fetchall():
        step = step_ns(offset_ns, clock.offset_ns)
        if (within := shiftable_ns(step)) is not None:
            connection.execute(
                "UPDATE motionsig.events "
                "SET start_ns = start_ns + %(step)s::numeric, end_ns = end_ns + %(step)s::numeric, "
                "boot = NULL, offset_ns = NULL WHERE device = %(device)s AND boot = %(boot)s AND offset_ns = %(noted)s "
                "AND start_ns BETWEEN %(first)s AND %(last)s AND end_ns BETWEEN %(first)s AND %(last)s",
                {"step": step, "device": device, "boot": clock.boot, "noted": offset_ns}
                | dict(zip(("first", "last"), within, strict=True)),
            )


def _shift(connection: Connection, stream: int, step: int, kept: int, place: Place) -> None:
    """Shift the flagged times of a stream, and keep these bits of its flags."""
    within = shiftable_ns(step)
    if within is None or (step == 0 and kept == -1):
        return
    flagged = f"stream = %s AND quality & {_UNSET} != 0 AND start_ns BETWEEN %s AND %s"
    # Every partition begins and ends with a day, so a day's first and last time are in all that it gets.
    days = connection.execute(
        f"SELECT (seq >> 16) << 16, min(start_ns), max(start_ns) FROM motionsig.signatures WHERE {flagged} "
        f"GROUP BY 1, start_ns / {_DAY_NS}".encode(),
        [stream, *within],
    ).fetchall()
    if not days:
        return
    ends = [(seq, time_ns + step) for seq, *times in days for time_ns in times]
    place([stream] * len(ends), [seq for seq, _ in ends], [time_ns for _, time_ns in ends])
    connection.execute(
        "UPDATE motionsig.signatures SET start_ns = start_ns + %s::numeric, quality = quality & %s::smallint "
        f"WHERE {flagged}".encode(),
        [step, kept, stream, *within],
    )
