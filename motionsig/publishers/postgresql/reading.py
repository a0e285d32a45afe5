"""Reading a database back: one snapshot, a few thousand rows at a time, by a cursor of the server."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError, SinkError
from motionsig.events import Event
from motionsig.publishers.local import Stored, Wanted, WantedEvents, check_encoders
from motionsig.publishers.postgresql.address import connect, one_line, parse_address, require_psycopg
from motionsig.publishers.postgresql.tables import Layout, layout
from motionsig.quantization import Group, Quantization

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_HEAD = np.dtype([("stream", ">i8"), ("seq", ">i8"), ("start_ns", ">i8"), ("encoder", ">i4"), ("quality", ">i2")])
_PACKED = "int8send(s.stream) || int8send(s.seq) || int8send(s.start_ns) || int4send(s.encoder) || int2send(s.quality)"
_EVENT_ROWS = 4096
_EVENT = "device, stream_id, seq, head, fingerprint, phase, start_ns, end_ns, score"


class _Stream(NamedTuple):
    device: str
    stream_id: int
    recording: wire.Recording | None


_Encoders = dict[int, tuple[int, SignatureSpec]]
"""(hop_ns, spec) by row of the table of encoders: one row for each device, fingerprint and hop."""


def iter_postgresql(url: str, wanted: Wanted, *, rows: int) -> Iterator[Stored]:
    """Yield what is wanted with at most `rows` signatures at a time, ordered by (device, stream_id, seq).

    Raises InputError where nothing matches, or more than one encoder does; SinkError for a database without our tables.
    """
    with _snapshot(url) as (connection, shown, made):
        streams = _streams(connection, wanted, shown)
        encoders = _encoders(connection, wanted.device)
        if wanted.fingerprint is None and len({spec.fingerprint for _, spec in encoders.values()}) > 1:
            check_encoders(shown, _used(connection, encoders, wanted), wanted)
        chosen = {row: it for row, it in encoders.items() if wanted.fingerprint in (None, it[1].fingerprint)}
        found = False
        for part in _read(connection, made, streams, chosen, wanted, rows):
            found = True
            yield part
        if not found:
            check_encoders(shown, _used(connection, encoders, wanted), wanted)


def iter_postgresql_events(url: str, wanted: WantedEvents) -> Iterator[Event]:
    """Yield the events that are wanted, ordered by start_ns, then key; SinkError for a database without our tables."""
    with _snapshot(url) as (connection, _, _):
        condition, values = _condition(
            {
                "device =": wanted.device,
                "stream_id =": wanted.stream_id,
                "head =": wanted.head,
                "start_ns >=": wanted.since_ns,
                "start_ns <": wanted.until_ns,
            }
        )
        order = "start_ns, device, stream_id, head, seq, phase"
        query = f"SELECT {_EVENT} FROM motionsig.events WHERE {condition} ORDER BY {order}"
        for block in _fetched(connection, query, values, _EVENT_ROWS):
            yield from itertools.starmap(Event, block)


@contextmanager
def _snapshot(url: str) -> Iterator[tuple[Connection, str, Layout]]:
    """Give a connection that sees the database as it is now, how it is shown, and how its tables were made."""
    address = parse_address(url)
    psycopg = require_psycopg()
    with closing(connect(address)) as connection:
        try:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            made = layout(connection, address.shown)
            if made is None:
                raise SinkError(f"{address.shown}: expected a motionsig store, got a database without its tables")
            yield connection, address.shown, made
        except psycopg.Error as error:
            raise SinkError(f"{address.shown}: cannot be read: {one_line(error)}") from error


def _fetched(connection: Connection, query: str, values: Sequence[Any], rows: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a query, so many at a time."""
    with connection.cursor(name="rows", binary=True) as cursor:
        cursor.execute(query.encode(), values)
        while block := cursor.fetchmany(rows):
            yield block


def _condition(terms: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return an SQL condition and its values; a term without a value is left out."""
    chosen = {term: value for term, value in terms.items() if value is not None}
    return " AND ".join(f"{term} %s" for term in chosen) or "TRUE", list(chosen.values())


def _of_streams(wanted: Wanted) -> dict[str, Any]:
    return {"t.device =": wanted.device, "t.stream_id =": wanted.stream_id, "r.name =": wanted.recording}


def _of_times(wanted: Wanted) -> dict[str, Any]:
    return {"s.start_ns >=": wanted.since_ns, "s.start_ns <": wanted.until_ns}


def _streams(connection: Connection, wanted: Wanted, shown: str) -> dict[int, _Stream]:
    """Return the streams that may hold what is wanted, by their row, in order."""
    condition, values = _condition(_of_streams(wanted))
    query = (
        "SELECT t.id, t.device, t.stream_id, r.name, r.start_ns FROM motionsig.streams t "
        f"LEFT JOIN motionsig.recordings r ON r.stream = t.id WHERE {condition} ORDER BY t.device, t.stream_id"
    )
    found = {
        row: _Stream(device, stream_id, None if name is None else wire.Recording(name, start_ns))
        for row, device, stream_id, name, start_ns in connection.execute(query.encode(), values)
    }
    if wanted.recording is not None and not found:
        names = connection.execute("SELECT DISTINCT name FROM motionsig.recordings ORDER BY name LIMIT 7").fetchall()
        raise InputError(f"{shown}: {wanted.missing([name for (name,) in names])}")
    return found


def _encoders(connection: Connection, device: str | None) -> _Encoders:
    condition, values = _condition({"device =": device})
    query = "SELECT id, fingerprint, quantization, motion_dim, length_ns, hop_ns FROM motionsig.encoders WHERE "
    encoders, same = {}, dict[SignatureSpec, SignatureSpec]()
    for row, fingerprint, groups, motion_dim, length_ns, hop_ns in connection.execute(
        (query + condition).encode(), values
    ):
        quantization = Quantization(tuple(Group(*group) for group in json.loads(groups)))
        spec = SignatureSpec(bytes(fingerprint), quantization, motion_dim, length_ns)
        # One object for the encoder of a thousand devices.
        encoders[row] = hop_ns, same.setdefault(spec, spec)
    return encoders


def _used(connection: Connection, encoders: _Encoders, wanted: Wanted) -> set[bytes]:
    """Return the fingerprints of what is wanted, whichever of them is."""
    rows_of: dict[bytes, list[int]] = {}
    for row, (_, spec) in encoders.items():
        rows_of.setdefault(spec.fingerprint, []).append(row)
    condition, values = _condition(_of_streams(wanted) | _of_times(wanted))
    query = (
        "SELECT EXISTS (SELECT FROM motionsig.signatures s JOIN motionsig.streams t ON t.id = s.stream "
        f"LEFT JOIN motionsig.recordings r ON r.stream = t.id WHERE {condition} AND s.encoder = ANY(%s))"
    )
    return {
        fingerprint
        for fingerprint, rows in rows_of.items()
        if connection.execute(query.encode(), [*values, rows]).fetchone() == (True,)
    }


def _read(
    connection: Connection,
    made: Layout,
    streams: dict[int, _Stream],
    encoders: _Encoders,
    wanted: Wanted,
    rows: int,
) -> Iterator[Stored]:
    codes = f"{made.vectors}.halfvec_send(s.codes)" if made.vectors else "s.codes"
    select = f"SELECT {_PACKED}, {codes}, s.label FROM motionsig.signatures s"
    condition, values = _condition(
        _of_times(wanted) | ({} if wanted.fingerprint is None else {"s.encoder = ANY": list(encoders)})
    )
    condition = condition.replace("ANY %s", "ANY(%s)")
    if wanted.since_ns is None and wanted.until_ns is None:
        # Stream after stream, each by its key: nothing is sorted.
        queries = [(f"{select} WHERE s.stream = {stream} AND {condition} ORDER BY s.seq", values) for stream in streams]
    else:
        # All at once, by the times: what begins in an hour is a small part of each stream.
        of_streams, more = _condition(_of_streams(wanted))
        query = (
            f"{select} JOIN motionsig.streams t ON t.id = s.stream LEFT JOIN motionsig.recordings r ON r.stream = t.id "
            f"WHERE {condition} AND {of_streams} ORDER BY t.device, t.stream_id, s.seq"
        )
        queries = [(query, [*values, *more])]
    for query, given in queries:
        for block in _fetched(connection, query, given, rows):
            yield from _stored(block, streams, encoders, bool(made.vectors))


def _stored(
    block: Sequence[tuple[Any, ...]], streams: dict[int, _Stream], encoders: _Encoders, as_halfvec: bool
) -> Iterator[Stored]:
    """Yield the signatures of some rows: those that are of one stream and one encoder together."""
    heads, codes, labels = zip(*block, strict=True)
    table = np.frombuffer(b"".join(heads), _HEAD)
    changes = np.flatnonzero((np.diff(table["stream"]) != 0) | (np.diff(table["encoder"]) != 0)) + 1
    for first, last in itertools.pairwise([0, *changes.tolist(), len(table)]):
        part = table[first:last]
        hop_ns, spec = encoders[int(part["encoder"][0])]
        dim, joined = spec.quantization.dim, b"".join(codes[first:last])
        if as_halfvec:  # as halfvec_send writes it: the dimension, two unused bytes, the numbers
            kind = np.dtype([("head", ">i4"), ("codes", ">f2", (dim,))])
            matrix = np.frombuffer(joined, kind)["codes"].astype(np.int8)
        else:
            matrix = np.frombuffer(joined, np.int8).reshape(-1, dim)
        named = [label or "" for label in labels[first:last]]
        batch = SignatureBatch(
            part["start_ns"].astype(np.int64),
            matrix,
            part["quality"].astype(np.uint8),
            hop_ns,
            spec,
            np.array(named, np.str_) if any(named) else None,
        )
        stream = streams[int(part["stream"][0])]
        yield Stored(stream.device, stream.stream_id, part["seq"].astype(np.int64), batch, stream.recording)
