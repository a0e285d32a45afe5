"""One transaction: what is new of a batch of messages and events goes into the tables, the rest is compared.

Rows go by COPY into a temporary table, then by INSERT ... ON CONFLICT DO NOTHING into the partitions, in the order of
their keys, so that two writers of the same rows wait for each other and never in a circle. What was there already is
compared afterwards: the same is a duplicate, anything else a conflict, which is counted and not stored.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureSpec
from motionsig.events import Event
from motionsig.publishers.postgresql.retiming import (
    AGREES,
    COUNT_BETTER,
    KEYS,
    REPLACE_TIMES,
    TAKE_STORED_TIMES,
    by_last_guess,
    follow_clock,
    is_followed,
    note_clock,
    replace_event_times,
    same_events,
    unset_clocks,
)
from motionsig.publishers.postgresql.rows import Rows, copied, rows_of
from motionsig.publishers.postgresql.tables import BLOCK_BITS
from motionsig.publishers.stores import Added
from motionsig.quality import Quality
from motionsig.quantization import Group, Quantization

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]
    Cursor = psycopg.Cursor[tuple[Any, ...]]

_Stream = tuple[str, int]
_Encoder = tuple[str, bytes, int]
"""Device, fingerprint, hop in ns."""
_Place = tuple[int, int, int]
"""Stream, block, first start of the partition in Unix ns."""

_INCOMING = (
    "CREATE TEMPORARY TABLE incoming (place integer, stream bigint, seq bigint, encoder integer, start_ns bigint, "
    "quality smallint, codes {codes}, label text) ON COMMIT DELETE ROWS"
)
_INSERT = (
    "INSERT INTO motionsig.signatures SELECT DISTINCT ON (stream, seq) stream, seq, encoder, start_ns, quality, codes, "
    "nullif(label, '') FROM pg_temp.incoming ORDER BY stream, seq, place ON CONFLICT DO NOTHING"
)
_SAME = " AND ".join(
    f"s.{column} = i.{column}" for column in ("encoder", "start_ns", f"quality & ~{int(Quality.EDGE_TPU)}", "codes")
)
_DIFFERENT = (
    f"SELECT i.place, {AGREES} FROM pg_temp.incoming i JOIN motionsig.signatures s ON {KEYS} WHERE NOT ({_SAME})"
)
_ELSEWHERE = (
    f"DELETE FROM pg_temp.incoming i USING motionsig.signatures s WHERE {KEYS} "
    "AND NOT i.start_ns BETWEEN %(first)s AND %(last)s RETURNING i.place"
)
_NEW_LABELS = (
    "(SELECT DISTINCT ON (i.stream, i.seq) i.stream, i.seq, s.start_ns, s.label AS old, nullif(i.label, '') AS new "
    f"FROM pg_temp.incoming i JOIN motionsig.signatures s ON {KEYS} WHERE {AGREES} AND i.label IS NOT NULL "
    "ORDER BY i.stream, i.seq, i.place DESC)"
)
_COUNT_LABELS = f"SELECT count(*) FROM {_NEW_LABELS} AS n WHERE old IS DISTINCT FROM new"
_RELABEL = (
    f"UPDATE motionsig.signatures s SET label = i.new FROM {_NEW_LABELS} AS i WHERE s.stream = i.stream "
    "AND s.seq = i.seq AND s.start_ns = i.start_ns AND i.old IS DISTINCT FROM i.new"
)
_EVENT = {
    "device": "text",
    "stream_id": "bigint",
    "head": "text",
    "seq": "bigint",
    "phase": "text",
    "start_ns": "bigint",
    "end_ns": "bigint",
    "score": "float8",
    "fingerprint": "bytea",
    "boot": "bytea",
    "offset_ns": "bigint",
}
_EVENT_KEY = list(_EVENT)[:5]
_EVENT_ROWS = (
    f"unnest({', '.join(f'%({name})s::{kind}[]' for name, kind in _EVENT.items())}) "
    f"WITH ORDINALITY AS i ({', '.join(_EVENT)}, place)"
)
_INSERT_EVENTS = (
    f"INSERT INTO motionsig.events SELECT DISTINCT ON ({', '.join(_EVENT_KEY)}) {', '.join(_EVENT)} FROM {_EVENT_ROWS} "
    f"ORDER BY {', '.join(_EVENT_KEY)}, place ON CONFLICT DO NOTHING"
)
_REPLACE_EVENT_TIMES, _SAME_EVENTS = replace_event_times(_EVENT_ROWS), same_events(_EVENT_ROWS)


@dataclass
class Known:
    """What the database is known to hold, so that it need not be asked for each batch.

    partitions: (first, last start in Unix ns, both included) of each, in order. may_change: labels and names of
    recordings that are stored may be replaced by newer ones.
    """

    as_halfvec: bool
    may_change: bool
    streams: dict[_Stream, int] = field(default_factory=dict)
    encoders: dict[_Encoder, tuple[SignatureSpec, int]] = field(default_factory=dict)
    partitions: list[tuple[int, int]] = field(default_factory=list)


class Written(NamedTuple):
    """What a transaction will have done once it is committed. warnings: what to tell of it, as text and values."""

    added: Added
    warnings: list[tuple[Any, ...]]
    streams: dict[_Stream, int]
    encoders: dict[_Encoder, tuple[SignatureSpec, int]]
    partitions: list[tuple[int, int]]


class NewsError(Exception):
    """The batch needs more than rows of signatures and events: it has to be written under the exclusive lock."""


def prepare(connection: Connection, codes: str) -> None:
    """Make what a session needs to write; codes: the type of the column."""
    connection.execute(_INCOMING.format(codes=codes).encode())


def write(
    connection: Connection, known: Known, messages: Sequence[wire.Message], events: Sequence[Event], *, exclusive: bool
) -> Written:
    """Write a batch, within the caller's transaction; raise NewsError where that has to be exclusive and is not."""
    writing = _Writing(connection, known, exclusive)
    added = [writing.add_messages(messages)] if messages else []
    added += [writing.add_events(events)] if events else []
    writing.follow_clocks(messages)
    return Written(
        Added(*map(sum, zip(*added, strict=True))),
        writing.warnings,
        writing.streams,
        writing.encoders,
        writing.partitions,
    )


class _Writing:
    """The state of one transaction."""

    def __init__(self, connection: Connection, known: Known, exclusive: bool) -> None:
        self._connection, self._known, self._exclusive = connection, known, exclusive
        self.warnings: list[tuple[Any, ...]] = []
        self.streams: dict[_Stream, int] = {}
        self.encoders: dict[_Encoder, tuple[SignatureSpec, int]] = {}
        self.partitions = known.partitions

    def add_messages(self, messages: Sequence[wire.Message]) -> Added:
        conflicts = Counter[int]()  # by the index of the message
        storable = [index for index, message in enumerate(messages) if _storable(*_texts(message))]
        for index in set(range(len(messages))) - set(storable):
            message = messages[index]
            conflicts[index] = len(message.signatures)
            text = "%d signatures of %s, stream %d are not stored: expected texts without the character NUL, which "
            values = conflicts[index], repr(message.device), message.stream_id
            self.warnings.append((text + "PostgreSQL cannot hold", *values))
        messages = by_last_guess(messages)
        used, streams, encoders = [], self._find_streams([messages[index] for index in storable]), []
        for index, encoder in zip(storable, self._find_encoders([messages[index] for index in storable]), strict=True):
            if encoder is None:
                conflicts[index] = len(messages[index].signatures)
            else:
                used.append(index)
                encoders.append(encoder)
        self._note_clocks([messages[index] for index in storable])
        stored = duplicates = 0
        if used:
            kept = [messages[index] for index in used]
            rows = rows_of(kept, [streams[_stream(message)] for message in kept], encoders)
            stored, different = self._insert(rows)
            duplicates = len(rows) - stored - len(different)
            conflicts.update(used[number] for number in rows.message[different].tolist())
            self._note_recordings([messages[index] for index in used if not conflicts[index]], streams)
        for index in sorted(index for index in storable if conflicts[index]):
            message = messages[index]
            text = "%d signatures of %s, stream %d, from seq %d differ from what is stored under their key"
            self.warnings.append((text, conflicts[index], message.device, message.stream_id, message.seq))
        return Added(stored, duplicates, conflicts.total())

    def _find_streams(self, messages: Sequence[wire.Message]) -> dict[_Stream, int]:
        """Return the number of each stream; new ones get one."""
        wanted = dict.fromkeys(_stream(message) for message in messages)
        streams = {stream: number for stream in wanted if (number := self._known.streams.get(stream)) is not None}
        for query in (
            "SELECT device, stream_id, id FROM motionsig.streams JOIN {} USING (device, stream_id)",
            "INSERT INTO motionsig.streams (device, stream_id) SELECT * FROM {} RETURNING device, stream_id, id",
        ):
            if not (unknown := sorted(wanted.keys() - streams.keys())):
                break
            if query.startswith("INSERT"):
                self._must_be_exclusive()
            asked = "unnest(%s::text[], %s::bigint[]) AS i (device, stream_id)"
            given = [[device for device, _ in unknown], _array(number for _, number in unknown)]
            for device, stream_id, number in self._connection.execute(query.format(asked).encode(), given):
                streams[device, stream_id] = number
        self.streams = streams
        return streams

    def _find_encoders(self, messages: Sequence[wire.Message]) -> list[int | None]:
        """Return the number of each message's encoder, None where that device has described it differently before."""
        encoders = self._known.encoders
        unknown = [it for it in messages if (known := encoders.get(_encoder(it))) is None or known[0] != _spec(it)]
        if unknown:
            encoders = encoders | self._look_up_encoders(unknown)
        found = (encoders.get(_encoder(message)) for message in messages)
        return [
            known[1] if known is not None and known[0] == _spec(message) else None
            for known, message in zip(found, messages, strict=True)
        ]

    def _look_up_encoders(self, messages: Sequence[wire.Message]) -> dict[_Encoder, tuple[SignatureSpec, int]]:
        """Return what is stored of the encoders of these messages' devices; store what is not, and fits to the rest."""
        rows = self._connection.execute(
            "SELECT device, fingerprint, hop_ns, quantization, motion_dim, length_ns, id FROM motionsig.encoders "
            "WHERE device = ANY(%s)",
            [sorted({message.device for message in messages})],
        )
        specs: dict[tuple[str, bytes], SignatureSpec] = {}
        for device, fingerprint, hop_ns, groups, motion_dim, length_ns, number in rows:
            quantization = Quantization(tuple(Group(*group) for group in json.loads(groups)))
            spec = SignatureSpec(bytes(fingerprint), quantization, motion_dim, length_ns)
            specs[device, spec.fingerprint] = spec
            self.encoders[device, spec.fingerprint, hop_ns] = spec, number
        new: dict[_Encoder, SignatureSpec] = {}
        for message in messages:
            spec, key = _spec(message), _encoder(message)
            # Another description, be it under another hop, is not this encoder.
            if key not in self.encoders and specs.setdefault(key[:2], spec) == spec:
                new[key] = spec
        if new:
            self._must_be_exclusive()
            groups = [json.dumps([list(group) for group in spec.quantization.groups]) for spec in new.values()]
            rows = self._connection.execute(
                "INSERT INTO motionsig.encoders (device, fingerprint, hop_ns, quantization, motion_dim, length_ns) "
                "SELECT * FROM unnest(%s::text[], %s::bytea[], %s::bigint[], %s::text[], %s::int[], %s::bigint[]) "
                "RETURNING device, fingerprint, hop_ns, id",
                [
                    *map(list, zip(*new, strict=True)),
                    groups,
                    _array(spec.motion_dim for spec in new.values()),
                    _array(spec.length_ns for spec in new.values()),
                ],
            )
            for device, fingerprint, hop_ns, number in rows:
                self.encoders[device, fingerprint, hop_ns] = new[device, fingerprint, hop_ns], number
        return self.encoders

    def _insert(self, rows: Rows) -> tuple[int, list[int]]:
        """Return how many rows are new, and the indices of those that differ from what is stored."""
        self._find_partitions(rows.start_ns)
        elsewhere = [
            {"first": first, "last": last} for first, last in self._find_places(rows.stream, rows.seq, rows.start_ns)
        ]
        with (
            self._connection.cursor() as cursor,
            cursor.copy(b"COPY pg_temp.incoming FROM STDIN (FORMAT binary)") as copy,
        ):
            copy.write(copied(rows, as_halfvec=self._known.as_halfvec))
        for times in elsewhere:
            self._replace_times(times)
        different = []
        for times in elsewhere:
            self._connection.execute(TAKE_STORED_TIMES.encode(), times)
            different += [place for (place,) in self._connection.execute(_ELSEWHERE.encode(), times)]
        stored = self._connection.execute(_INSERT.encode()).rowcount
        if stored < len(rows) - len(different):
            partitions = [self.partitions[index] for index in np.unique(self._partition_of(rows.start_ns))]
            partitions += [(times["first"], times["last"]) for times in elsewhere]
            times = {"first": min(partitions)[0], "last": max(partitions)[1]}
            found = self._connection.execute(_DIFFERENT.encode(), times).fetchall()
            if any(agrees for _, agrees in found):
                self._replace_times(times)
                found = self._connection.execute(_DIFFERENT.encode(), times).fetchall()
            different += [place for place, agrees in found if not agrees]
            if rows.label is not None and self._known.may_change:
                self._connection.execute(_RELABEL.encode(), times)
            elif rows.label is not None:
                row = self._connection.execute(_COUNT_LABELS.encode(), times).fetchone()
                self._not_changed("the labels of %d signatures", row[0] if row else 0, row != (0,))
        return stored, different

    def _replace_times(self, times: dict[str, int]) -> None:
        """Give stored signatures of these times, which may be wrong, the better ones that arrived."""
        if self._known.may_change:
            self._connection.execute(REPLACE_TIMES.encode(), times)
        else:
            row = self._connection.execute(COUNT_BETTER.encode(), times).fetchone()
            self._not_changed("the times of %d signatures", row[0] if row else 0, row != (0,))

    def _find_partitions(self, start_ns: NDArray[np.int64]) -> None:
        """Have a partition for each time."""
        if self._exclusive or (self._partition_of(start_ns) < 0).any():
            self._load_partitions()
        while len(start_ns := start_ns[self._partition_of(start_ns) < 0]):
            self._must_be_exclusive()
            self._connection.execute("SELECT motionsig.make_partition(%s)", [int(start_ns[0])])
            self._load_partitions()

    def _load_partitions(self) -> None:
        rows = self._connection.execute("SELECT first_ns, last_ns FROM motionsig.partitions ORDER BY first_ns")
        self.partitions = [(first, last) for first, last in rows]

    def _partition_of(self, start_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of each row's partition (n,), -1 where it has none."""
        first, last = np.array([*self.partitions], np.int64).reshape(-1, 2).T
        index = np.searchsorted(first, start_ns, "right") - 1
        index[index >= 0] = np.where(start_ns[index >= 0] <= last[index[index >= 0]], index[index >= 0], -1)
        return index

    def _find_places(
        self, streams: NDArray[np.int64], numbers: NDArray[np.int64], start_ns: NDArray[np.int64]
    ) -> list[tuple[int, int]]:
        """Have a place for each row; return the partitions in which numbers of the same blocks may be, too.

        Where a block has several, only the newest may grow under the shared lock: what is in the others stays as it is
        while this looks into them.
        """
        first_ns = np.array(self.partitions, np.int64)[self._partition_of(start_ns), 0]
        columns = streams, numbers >> BLOCK_BITS, first_ns
        changes = np.ones(len(numbers), bool)
        changes[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
        wanted = set(zip(*(column[changes].tolist() for column in columns), strict=True))
        # As a rule every block is in the one place where it is wanted, and then this gives nothing.
        query = "SELECT i.stream, i.block {} WHERE p.first_ns IS DISTINCT FROM i.first_ns"
        odd = {(stream, block) for stream, block in self._ask_places(query, wanted)}
        if not odd:
            return []
        of_odd = {place for place in wanted if place[:2] in odd}
        found = self._ask_places("SELECT p.stream, p.block, p.first_ns {} WHERE p.stream IS NOT NULL", of_odd)
        # Others may have made partitions since, and dropped some.
        self._load_partitions()
        last_ns = dict(self.partitions)
        places = {place for place in found if place[2] in last_ns}
        if not {first for *_, first in of_odd} <= last_ns.keys():
            self._must_be_exclusive()
        if new := of_odd - places:
            self._must_be_exclusive()
            self._ask_places("INSERT INTO motionsig.places SELECT DISTINCT i.stream, i.block, i.first_ns {}", new)
        of_block: dict[tuple[int, int], set[int]] = {}
        for stream, block, first in places | of_odd:
            of_block.setdefault((stream, block), set()).add(first)
        if any(first < max(of_block[stream, block]) for stream, block, first in of_odd):
            self._must_be_exclusive()
        return [(first, last_ns[first]) for first in set().union(*(it for it in of_block.values() if len(it) > 1))]

    def _ask_places(self, query: str, places: Collection[_Place]) -> Cursor:
        """Run a query of i, these places, and p, what is stored of their blocks."""
        asked = (
            "FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS i (stream, block, first_ns) "
            "LEFT JOIN motionsig.places p ON p.stream = i.stream AND p.block = i.block"
        )
        return self._connection.execute(
            query.format(asked).encode(), [_array(column) for column in zip(*sorted(places), strict=True)]
        )

    def _note_recordings(self, messages: Sequence[wire.Message], streams: dict[_Stream, int]) -> None:
        """Store the name of each message's recording; the newest wins."""
        wanted = {streams[_stream(message)]: message.recording for message in messages if message.recording}
        if not wanted:
            return
        query = "SELECT stream, name, start_ns FROM motionsig.recordings WHERE stream = ANY(%s::bigint[])"
        stored = {stream: tuple(row) for stream, *row in self._connection.execute(query, [_array(sorted(wanted))])}
        for stream, recording in sorted(wanted.items()):
            if stream not in stored:
                self._connection.execute(
                    "INSERT INTO motionsig.recordings VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", [stream, *recording]
                )
            elif stored[stream] != recording and self._known.may_change:
                self._connection.execute(
                    "UPDATE motionsig.recordings SET name = %s, start_ns = %s WHERE stream = %s", [*recording, stream]
                )
            else:
                self._not_changed("the name of recording %s", repr(stored[stream][0]), stored[stream] != recording)

    def add_events(self, events: Sequence[Event]) -> Added:
        storable = [event for event in events if _storable(event.device, event.head, event.phase)]
        refused = [event for event in events if not _storable(event.device, event.head, event.phase)]
        if refused:
            text = "%d events are not stored, the first of %s: expected texts without the character NUL, which "
            self.warnings.append((text + "PostgreSQL cannot hold", len(refused), repr(refused[0].device)))
        columns: dict[str, Any] = {name: [getattr(event, name) for event in storable] for name in list(_EVENT)[:-2]}
        columns["boot"] = [event.clock and event.clock.boot for event in storable]
        columns["offset_ns"] = [event.clock and event.clock.offset_ns for event in storable]
        columns["score"] = [float(score) for score in columns["score"]]
        stored = self._connection.execute(_INSERT_EVENTS.encode(), columns).rowcount
        different: list[Event] = []
        if stored < len(storable):
            same: dict[int, bool] = dict(self._connection.execute(_SAME_EVENTS.encode(), columns).fetchall())
            if (better := sum(same.values())) and self._known.may_change:
                self._connection.execute(_REPLACE_EVENT_TIMES.encode(), columns)
                same = dict(self._connection.execute(_SAME_EVENTS.encode(), columns).fetchall())
            else:
                self._not_changed("the times of %d events", better, better > 0)
            different = [event for place, event in enumerate(storable, 1) if place not in same]
        if different:
            first = different[0]
            text = "%d events differ from what is stored under the same key, the first: %s of %s, stream %d"
            self.warnings.append((text, len(different), first.head, first.device, first.stream_id))
        return Added(
            duplicates=len(storable) - stored - len(different),
            conflicts=len(different) + len(refused),
            events=stored,
        )

    def _note_clocks(self, messages: Sequence[wire.Message]) -> None:
        """Note by which clocks the times of these messages, which may be wrong, were given."""
        if not self._known.may_change:
            return
        numbers = [self.streams[_stream(message)] for message in messages]
        for stream, (clock, step) in unset_clocks(self._connection, messages, numbers).items():
            self._must_be_exclusive()
            note_clock(self._connection, stream, clock, step, self._place)

    def follow_clocks(self, messages: Sequence[wire.Message]) -> None:
        """Put right what is stored by the clocks that are set; call it last, since a batch may have both."""
        for message in messages:
            clock = message.clock
            if clock is None or not clock.is_set or not self._known.may_change or not _storable(message.device):
                continue
            if is_followed(self._connection, message.device, clock):
                self._must_be_exclusive()
                follow_clock(self._connection, message.device, clock, self._place)

    def _place(self, streams: Sequence[int], numbers: Sequence[int], times_ns: Sequence[int]) -> None:
        start_ns = np.array(times_ns, np.int64)
        self._find_partitions(start_ns)
        self._find_places(np.array(streams, np.int64), np.array(numbers, np.int64), start_ns)

    def _must_be_exclusive(self) -> None:
        if not self._exclusive:
            raise NewsError

    def _not_changed(self, what: str, value: object, differs: bool) -> None:
        if differs:
            self.warnings.append(
                (f"{what} stay as they are: this role may only insert, a newer one needs UPDATE", value)
            )


def _stream(message: wire.Message) -> _Stream:
    return message.device, message.stream_id


def _encoder(message: wire.Message) -> _Encoder:
    return message.device, message.signatures.spec.fingerprint, message.signatures.hop_ns


def _spec(message: wire.Message) -> SignatureSpec:
    return message.signatures.spec


def _texts(message: wire.Message) -> list[str]:
    labels = message.signatures.labels
    names = [message.device] if message.recording is None else [message.device, message.recording.name]
    return names if labels is None else names + list(set(labels.tolist()))


def _storable(*texts: str) -> bool:
    """Return whether PostgreSQL can hold these: what is UTF-8, without NUL."""
    try:
        return b"\0" not in "".join(texts).encode()
    except UnicodeEncodeError:
        return False


def _array(numbers: Iterable[int]) -> str:
    """Return numbers as the text of an array: the driver would look at each for its type."""
    return f"{{{','.join(map(str, numbers))}}}"
