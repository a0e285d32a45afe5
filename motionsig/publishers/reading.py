"""Reading a store back, without changing it: one snapshot, a few thousand rows at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError, SinkError
from motionsig.events import Event
from motionsig.publishers.local import Stored, Wanted, WantedEvents, check_encoders
from motionsig.publishers.schema import check_ours, has_table, labels_between, reporting
from motionsig.quantization import Group, Quantization

if TYPE_CHECKING:
    import sqlite3

_Stream = tuple[str, int]
"""Device and stream id."""

_Encoders = dict[int, tuple[int, SignatureSpec]]
"""(hop_ns, spec) by row of the table of encoders: one row per hop."""


def iter_store(path: str, wanted: Wanted, *, rows: int) -> Iterator[Stored]:
    """Yield what is wanted with at most `rows` signatures at a time, ordered by (device, stream_id, seq).

    Raises InputError where nothing matches, or more than one encoder does; SinkError for a file that is not a store.
    """
    with _snapshot(path) as connection:
        described = has_table(connection, "recordings")
        streams = _streams(connection, f"store:{path}", wanted, described)
        encoders = _encoders(connection)
        if wanted.fingerprint is None and len({spec.fingerprint for _, spec in encoders.values()}) > 1:
            check_encoders(f"store:{path}", _used(connection, encoders, wanted, streams), wanted)
        chosen = {row: it for row, it in encoders.items() if wanted.fingerprint in (None, it[1].fingerprint)}
        found = False
        for stream in streams:
            for part in _read(connection, stream, chosen, wanted, rows, described):
                found = True
                yield part
        if not found:
            check_encoders(f"store:{path}", _used(connection, encoders, wanted, streams), wanted)


def iter_store_events(path: str, wanted: WantedEvents) -> Iterator[Event]:
    """Yield the events that are wanted, ordered by start_ns, then key; raise SinkError for a file that is no store."""
    with _snapshot(path) as connection:
        if not has_table(connection, "events"):
            return
        condition, values = _condition(
            {
                "device =": wanted.device,
                "epoch =": wanted.stream_id,
                "head =": wanted.head,
                "start_ns >=": wanted.since_ns,
                "start_ns <": wanted.until_ns,
            }
        )
        yield from itertools.starmap(
            Event,
            connection.execute(
                "SELECT device, epoch, seq, head, fingerprint, phase, start_ns, end_ns, score FROM events "
                f"WHERE {condition} ORDER BY start_ns, device, epoch, head, seq, phase",
                values,
            ),
        )


@contextmanager
def _snapshot(path: str) -> Iterator[sqlite3.Connection]:
    """Give a connection to the store as it is now; raise SinkError for a file that is not one, or cannot be read."""
    import sqlite3

    file = Path(path)
    if not file.exists():
        raise SinkError(f"store:{path}: no such file")
    with reporting(file, "cannot be read"):
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        with closing(connection):
            if not check_ours(connection, file):
                raise SinkError(f"store:{path}: expected a motionsig store, got an empty database")
            # One transaction, so that all queries see the same.
            connection.execute("BEGIN")
            yield connection


def _condition(terms: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return an SQL condition and its values; a term without a value is left out."""
    chosen = {term: value for term, value in terms.items() if value is not None}
    return " AND ".join(f"{term} ?" for term in chosen) or "TRUE", list(chosen.values())


def _streams(connection: sqlite3.Connection, where: str, wanted: Wanted, described: bool) -> Sequence[_Stream]:
    """Return the streams that may hold what is wanted, in order.

    Each is found by a seek from the one before: SELECT DISTINCT would read the whole store.
    """
    if wanted.recording is None:
        devices = (
            _steps(connection, "SELECT min(device) FROM signatures WHERE device > ?", "")
            if wanted.device is None
            else [wanted.device]
        )
        if wanted.stream_id is not None:
            return [(device, wanted.stream_id) for device in devices]
        query = "SELECT min(epoch) FROM signatures WHERE device = ? AND epoch > ?"
        return [(device, number) for device in devices for number in _steps(connection, query, device, -1)]
    found, names = [], []
    if described:
        condition, values = _condition(
            {"device =": wanted.device, "epoch =": wanted.stream_id, "name =": wanted.recording}
        )
        query = f"SELECT device, epoch FROM recordings WHERE {condition} ORDER BY device, epoch"
        found = connection.execute(query, values).fetchall()
        names = connection.execute("SELECT DISTINCT name FROM recordings ORDER BY name LIMIT 6").fetchall()
    if not found:
        raise InputError(f"{where}: {wanted.missing([name for (name,) in names])}")
    return found


def _steps(connection: sqlite3.Connection, query: str, *values: Any) -> Iterator[Any]:
    """Yield what the query finds, each time with what it found before as its last value, until it finds nothing."""
    *fixed, last = values
    while (last := connection.execute(query, (*fixed, last)).fetchone()[0]) is not None:
        yield last


def _encoders(connection: sqlite3.Connection) -> _Encoders:
    encoders = {}
    query = "SELECT id, fingerprint, quantization, motion_dim, length_ns, hop_ns FROM encoders"
    for number, fingerprint, groups, motion_dim, length_ns, hop_ns in connection.execute(query):
        quantization = Quantization(tuple(Group(*group) for group in json.loads(groups)))
        encoders[int(number)] = int(hop_ns), SignatureSpec(bytes(fingerprint), quantization, motion_dim, length_ns)
    return encoders


def _of_stream(stream: _Stream, wanted: Wanted) -> tuple[str, list[Any]]:
    """Return the SQL condition for the signatures of a stream that begin when they should, and its values."""
    device, stream_id = stream
    terms = {"start_ns >=": wanted.since_ns, "start_ns <": wanted.until_ns}
    return _condition({"device =": device, "epoch =": stream_id, **terms})


def _used(
    connection: sqlite3.Connection, encoders: _Encoders, wanted: Wanted, streams: Sequence[_Stream]
) -> set[bytes]:
    """Return the fingerprints of what is wanted, whichever of them is; this reads all of it."""
    numbers = set[int]()
    for stream in streams:
        condition, values = _of_stream(stream, wanted)
        query = f"SELECT DISTINCT encoder FROM signatures WHERE {condition}"
        numbers.update(number for (number,) in connection.execute(query, values))
    return {encoders[number][1].fingerprint for number in numbers & encoders.keys()}


def _read(
    connection: sqlite3.Connection, stream: _Stream, encoders: _Encoders, wanted: Wanted, rows: int, described: bool
) -> Iterator[Stored]:
    condition, values = _of_stream(stream, wanted)
    # The encoder only where there are several, one for each hop: a column takes a tenth of the time.
    names = ["seq", "start_ns", "quality", "codes", *(["encoder"] if len(encoders) > 1 else [])]
    cursor = connection.execute(
        f"SELECT {', '.join(names)} FROM signatures "
        f"WHERE {condition} AND encoder IN ({', '.join(map(str, encoders))}) ORDER BY seq",
        values,
    )
    recording = _recording(connection, stream) if described else None
    # Flat, as Python's garbage collector looks again and again at thousands of tuples that are there at once.
    while flat := list(itertools.chain.from_iterable(itertools.islice(cursor, rows))):
        seq, start_ns, quality, codes, *encoder = (flat[column :: len(names)] for column in range(len(names)))
        changes = (np.flatnonzero(np.diff(encoder[0])) + 1).tolist() if encoder else []
        for first, last in itertools.pairwise([0, *changes, len(seq)]):
            hop_ns, spec = encoders[encoder[0][first] if encoder else next(iter(encoders))]
            part = slice(first, last)
            labels = _labels(connection, stream, seq[part]) if described else None
            matrix = np.frombuffer(b"".join(codes[part]), np.int8).reshape(-1, spec.quantization.dim)
            times, flags = np.array(start_ns[part], np.int64), np.array(quality[part], np.uint8)
            batch = SignatureBatch(times, matrix, flags, hop_ns, spec, labels)
            yield Stored(*stream, np.array(seq[part], np.int64), batch, recording)


def _recording(connection: sqlite3.Connection, stream: _Stream) -> wire.Recording | None:
    query = "SELECT name, start_ns FROM recordings WHERE device = ? AND epoch = ?"
    row = connection.execute(query, stream).fetchone()
    return row and wire.Recording(*row)


def _labels(connection: sqlite3.Connection, stream: _Stream, seq: Sequence[int]) -> NDArray[np.str_] | None:
    texts = labels_between(connection, *stream, seq[0], seq[-1])
    labels = [texts.get(number, "") for number in seq] if texts else []
    return np.array(labels, np.str_) if any(labels) else None
