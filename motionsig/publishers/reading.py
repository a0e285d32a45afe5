"""Reading a store back, without changing it: one snapshot, a few thousand rows at a time.

What is read is compared with spans and checksums (`stream_reading`); the spans of a stream's blocks lead to what begins
within a time. Each stream is found by a seek, so that one device costs its own rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from motionsig.blocks import SignatureSpec
from motionsig.errors import InputError
from motionsig.events import Event
from motionsig.publishers.local import Stored, Wanted, WantedEvents, check_encoders
from motionsig.publishers.schema import CHECKED, damaged, has_table
from motionsig.publishers.snapshot import Snapshot, check_number, check_row, snapshot
from motionsig.publishers.stream_reading import Encoder, Encoders, Stream, read_stream, runs
from motionsig.quantization import Group, Quantization


def iter_store(path: str, wanted: Wanted, *, rows: int) -> Iterator[Stored]:
    """Yield what is wanted with at most `rows` signatures at a time, ordered by (device, stream_id, seq).

    Raises InputError where nothing matches, more than one encoder does, or devices describe one encoder differently;
    SinkError for a file that is not a store, and for one that is damaged.
    """
    with snapshot(path) as store:
        if store.described:
            check_number(store, "recordings")
        streams = _streams(store, wanted)
        encoders = _encoders(store, wanted)
        if wanted.fingerprint is None and len(_fingerprints(encoders)) > 1:
            used = _used(store, encoders, wanted, streams)
            check_encoders(f"store:{path}", _fingerprints(used), wanted)
            wanted = wanted._replace(fingerprint=_fingerprints(used).pop())
        chosen = {row: it for row, it in encoders.items() if wanted.fingerprint in (None, it.spec.fingerprint)}
        if len({it.spec for it in chosen.values()}) > 1:
            _check_agreement(path, _used(store, chosen, wanted, streams))
        of_device: dict[str, Encoders] = {}
        for row, it in encoders.items():
            of_device.setdefault(it.device, {})[row] = it
        found = False
        for stream in streams:
            own = of_device.get("", {}) | of_device.get(stream[0], {})
            for part in read_stream(store, stream, own, wanted, rows):
                found = True
                yield part
        if not found:
            used = _used(store, encoders, wanted, streams)
            check_encoders(f"store:{path}", _fingerprints(used), wanted)


def _fingerprints(encoders: Encoders) -> set[bytes]:
    return {it.spec.fingerprint for it in encoders.values()}


def _check_agreement(path: str, used: Encoders) -> None:
    """Raise InputError where devices say different things of one encoder: their vectors have different scales."""
    specs: dict[SignatureSpec, set[str]] = {}
    for device, _, spec in used.values():
        specs.setdefault(spec, set()).add(device or "what version 0.1 stored")
    if len(specs) > 1:
        told = [", ".join(sorted(devices)[:6]) + (", ..." if len(devices) > 6 else "") for devices in specs.values()]
        raise InputError(
            f"store:{path}: devices describe encoder {next(iter(specs)).fingerprint.hex()} differently, so that their "
            f"vectors do not compare; choose with device=: {' / '.join(told)}"
        )


def iter_store_events(path: str, wanted: WantedEvents) -> Iterator[Event]:
    """Yield the events that are wanted, ordered by start_ns, then key; raise SinkError for a file that is no store."""
    with snapshot(path) as store:
        if not has_table(store.connection, "events"):
            return
        check_number(store, "events")
        condition, values = _condition(
            {
                "device =": wanted.device,
                "epoch =": wanted.stream_id,
                "head =": wanted.head,
                "start_ns >=": wanted.since_ns,
                "start_ns <": wanted.until_ns,
            }
        )
        crc = "crc" if store.version > 1 else "NULL"
        for *row, of_row in store.connection.execute(
            f"SELECT {', '.join(CHECKED['events'])}, {crc} FROM events "
            f"WHERE {condition} ORDER BY start_ns, device, epoch, head, seq, phase",
            values,
        ):
            check_row(store, "events", row, of_row)
            device, stream_id, head, seq, phase, start_ns, end_ns, score, fingerprint = row
            yield Event(device, stream_id, seq, head, fingerprint, phase, start_ns, end_ns, score)


def _condition(terms: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return an SQL condition and its values; a term without a value is left out."""
    chosen = {term: value for term, value in terms.items() if value is not None}
    return " AND ".join(f"{term} ?" for term in chosen) or "TRUE", list(chosen.values())


def _streams(store: Snapshot, wanted: Wanted) -> Sequence[Stream]:
    """Return the streams that may hold what is wanted, in order."""
    connection, where = store.connection, f"store:{store.path}"
    if wanted.recording is None:
        found = set(_streams_in(store, "signatures", wanted))
        if store.version > 1:
            # Both, as a damaged tree may not lead to all that it has.
            found |= set(_streams_in(store, "spans", wanted))
        return sorted(found, key=lambda stream: (_order(stream[0]), stream[1]))
    named, names = [], []
    if store.described:
        condition, values = _condition(
            {"device =": wanted.device, "epoch =": wanted.stream_id, "name =": wanted.recording}
        )
        query = f"SELECT device, epoch FROM recordings WHERE {condition} ORDER BY device, epoch"
        named = connection.execute(query, values).fetchall()
        names = connection.execute("SELECT DISTINCT name FROM recordings ORDER BY name LIMIT 6").fetchall()
    if not named:
        raise InputError(f"{where}: {wanted.missing([name for (name,) in names])}")
    return named


def _streams_in(store: Snapshot, table: str, wanted: Wanted) -> Iterator[Stream]:
    """Yield the streams of a table, each found by a seek from the one before: DISTINCT would read the whole table."""
    devices = (
        _steps(store, f"SELECT min(device) FROM {table} WHERE device > ?", "")
        if wanted.device is None
        else [wanted.device]
    )
    for device in devices:
        if wanted.stream_id is not None:
            yield device, wanted.stream_id
            continue
        query = f"SELECT min(epoch) FROM {table} WHERE device = ? AND epoch > ?"
        yield from ((device, number) for number in _steps(store, query, device, -1))


def _steps(store: Snapshot, query: str, *values: Any) -> Iterator[Any]:
    """Yield what the query finds, each time with what it found before as its last value, until it finds nothing."""
    *fixed, last = values
    while (found := store.connection.execute(query, (*fixed, last)).fetchone()[0]) is not None:
        # Else a damaged tree could lead in circles.
        if type(found) is not type(last) or _order(found) <= _order(last):
            raise damaged(store.path, f"expected a device or stream after {last!r}, got {found!r}")
        last = found
        yield last


def _order(value: str | int) -> tuple[bytes, int]:
    """Return what compares as SQLite compares two texts or two integers."""
    return (value.encode(), 0) if isinstance(value, str) else (b"", value)


def _encoders(store: Snapshot, wanted: Wanted) -> Encoders:
    """Return the encoders that what is wanted may have."""
    encoders = {}
    device, crc = ("device", "crc") if store.version > 1 else ("''", "NULL")
    query = f"SELECT id, {device}, fingerprint, quantization, motion_dim, length_ns, hop_ns, {crc} FROM encoders"
    values: list[str] = []
    if wanted.device is not None:
        query, values = f"{query} WHERE {device} IN (?, '')", [wanted.device]
    specs: dict[Any, SignatureSpec] = {}
    for *row, of_row in store.connection.execute(query, values):
        check_row(store, "encoders", row, of_row)
        number, owner, *described, hop_ns = row
        if (spec := specs.get(tuple(described))) is None:
            fingerprint, groups, motion_dim, length_ns = described
            try:
                quantization = Quantization(tuple(Group(*group) for group in json.loads(groups)))
                spec = SignatureSpec(bytes(fingerprint), quantization, int(motion_dim), int(length_ns))
            except (TypeError, ValueError) as error:
                raise damaged(store.path, f"expected encoder {number}, got {error}") from error
            specs[tuple(described)] = spec
        encoders[number] = Encoder(owner, hop_ns, spec)
    return encoders


def _used(store: Snapshot, encoders: Encoders, wanted: Wanted, streams: Sequence[Stream]) -> Encoders:
    """Return the encoders of what is wanted, whichever of them is; this reads all of it."""
    numbers = set[int]()
    terms = {"start_ns >=": wanted.since_ns, "start_ns <": wanted.until_ns}
    for device, stream_id in streams:
        for first, last, _ in runs(store, (device, stream_id), wanted):
            condition, values = _condition(
                {"device =": device, "epoch =": stream_id, "seq >=": first, "seq <=": last, **terms}
            )
            query = f"SELECT DISTINCT encoder FROM signatures WHERE {condition}"
            numbers.update(number for (number,) in store.connection.execute(query, values))
    return {number: encoders[number] for number in numbers & encoders.keys()}


def store_newest_ns(path: str) -> int | None:
    """Return when the newest signature of a store begins; None where the store does not say it quickly, or has none.

    Raises SinkError for a file that is no store.
    """
    with snapshot(path) as store:
        newest = None if store.version == 1 else store.connection.execute("SELECT max(last_ns) FROM spans").fetchone()
    return newest and newest[0]


def store_encoders(path: str) -> set[bytes]:
    """Return the fingerprints of the encoders in a store; raise SinkError for a file that is no store."""
    with snapshot(path) as store:
        return _fingerprints(_encoders(store, Wanted(None, None, None, None)))
