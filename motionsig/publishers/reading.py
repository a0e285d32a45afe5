"""Reading a store back, without changing it: one snapshot, a few thousand rows at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError, SinkError
from motionsig.publishers.local import Stored, Wanted, check_encoders
from motionsig.publishers.schema import check_ours, is_complete, labels_between, reporting
from motionsig.quantization import Group, Quantization

if TYPE_CHECKING:
    import sqlite3

_Encoders = dict[int, tuple[int, SignatureSpec]]
"""(hop_ns, spec) by row of the table of encoders: one row per hop."""


def iter_store(path: str, wanted: Wanted, *, rows: int) -> Iterator[Stored]:
    """Yield what is wanted with at most `rows` signatures at a time, ordered by (device, stream_id, seq).

    Raises InputError where nothing matches, or more than one encoder does; SinkError for a file that is not a store.
    """
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
            described = is_complete(connection)
            choices = _choices(connection, f"store:{path}", wanted, described)
            encoders = _encoders(connection, f"store:{path}", wanted, choices)
            for choice in choices:
                yield from _read(connection, choice, encoders, rows, described)


def _choices(
    connection: sqlite3.Connection, where: str, wanted: Wanted, described: bool
) -> Sequence[dict[str, str | int]]:
    """Return which values of which columns choose what is wanted; each choice by itself is read in order."""
    columns = {"device": wanted.device, "epoch": wanted.stream_id}
    choice = {column: value for column, value in columns.items() if value is not None}
    if wanted.recording is None:
        return [choice]
    found, names = [], []
    if described:
        named = {**choice, "name": wanted.recording}
        query = f"SELECT device, epoch FROM recordings WHERE {_condition(named)} ORDER BY device, epoch"
        found = [{"device": device, "epoch": stream_id} for device, stream_id in connection.execute(query, named)]
        names = connection.execute("SELECT DISTINCT name FROM recordings ORDER BY name LIMIT 6").fetchall()
    if not found:
        raise InputError(f"{where}: {wanted.missing([name for (name,) in names])}")
    return found


def _condition(choice: dict[str, Any]) -> str:
    return " AND ".join(f"{column} = :{column}" for column in choice) or "TRUE"


def _encoders(
    connection: sqlite3.Connection, where: str, wanted: Wanted, choices: Sequence[dict[str, str | int]]
) -> _Encoders:
    """Return the one encoder that is wanted."""
    numbers = set[int]()
    for choice in choices:
        query = f"SELECT DISTINCT encoder FROM signatures WHERE {_condition(choice)}"
        numbers.update(number for (number,) in connection.execute(query, choice))
    rows = connection.execute(
        "SELECT id, fingerprint, quantization, motion_dim, length_ns, hop_ns FROM encoders "
        f"WHERE id IN ({', '.join(map(str, numbers))})"
    ).fetchall()
    check_encoders(where, {row[1] for row in rows}, wanted)
    encoders = {}
    for number, found, groups, motion_dim, length_ns, hop_ns in rows:
        if wanted.fingerprint in (None, found):
            quantization = Quantization(tuple(Group(*group) for group in json.loads(groups)))
            encoders[int(number)] = int(hop_ns), SignatureSpec(bytes(found), quantization, motion_dim, length_ns)
    return encoders


def _read(
    connection: sqlite3.Connection, choice: dict[str, str | int], encoders: _Encoders, rows: int, described: bool
) -> Iterator[Stored]:
    cursor = connection.execute(
        "SELECT device, epoch, encoder, seq, start_ns, quality, codes FROM signatures "
        f"WHERE {_condition(choice)} AND encoder IN ({', '.join(map(str, encoders))}) ORDER BY device, epoch, seq",
        choice,
    )
    while chunk := cursor.fetchmany(rows):
        for (device, stream_id, encoder), group in itertools.groupby(chunk, key=lambda row: row[:3]):
            *_, seq, start_ns, quality, codes = zip(*group, strict=True)
            hop_ns, spec = encoders[encoder]
            matrix = np.frombuffer(b"".join(codes), np.int8).reshape(len(seq), spec.quantization.dim)
            recording, labels = None, None
            if described:
                recording = _recording(connection, device, stream_id)
                labels = _labels(connection, device, stream_id, seq)
            flags = np.array(quality, np.uint8)
            batch = SignatureBatch(np.array(start_ns, np.int64), matrix, flags, hop_ns, spec, labels)
            yield Stored(device, stream_id, np.array(seq, np.int64), batch, recording)


def _recording(connection: sqlite3.Connection, device: str, stream_id: int) -> wire.Recording | None:
    query = "SELECT name, start_ns FROM recordings WHERE device = ? AND epoch = ?"
    row = connection.execute(query, (device, stream_id)).fetchone()
    return row and wire.Recording(*row)


def _labels(connection: sqlite3.Connection, device: str, stream_id: int, seq: Sequence[int]) -> NDArray[np.str_] | None:
    texts = labels_between(connection, device, stream_id, seq[0], seq[-1])
    return np.array([texts.get(number, "") for number in seq], np.str_) if texts else None
