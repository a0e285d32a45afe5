"""The clock of one stream's rows: which columns are asked for it, and what the caller says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS
from motionsig.errors import InputError, RecordingError
from motionsig.facts import Question
from motionsig.recordings.feeds import chosen_rows, matching
from motionsig.recordings.names import Column
from motionsig.recordings.streams import Piece, Sensor
from motionsig.recordings.tables import Kind, Table
from motionsig.recordings.times import Candidate, Clock, find_clock

CLOCK_OPTIONS = ("time_unit", "rate_hz", "start_ns", "zone")
_NOTE = "setting "
_FEW_ROWS = 16
_LEAST_REPEATS, _MANY_REPEATS = 20, 0.05
_STEADY = 0.9
_HEAD_ROWS = 1000
_LARGE = 10**9


def clock_of(
    piece: Piece,
    sensors: Sequence[Sensor],
    taken: Collection[int],
    told: Mapping[str, Any],
    coarse: Collection[int] = (),
) -> tuple[Clock, tuple[Question, ...]]:
    """Return the clock of a piece's rows, and what is left open of it: then it is as guessed.

    sensors: what is read of it. taken: columns that are no times. coarse: those that stand still further
    down, and give the date at most. Raises RecordingError where there can be none.
    """
    table = piece.table
    first = _own_head(piece)
    if told.get("rate_hz") is None and (again := polled(piece, sensors)) is not None:
        first = tuple(head[~again] for head in first)
    first = _with_samples(first, table, sensors)
    candidates = []
    for at, head in enumerate(first):
        said = piece.columns[at] if at < len(piece.columns) else Column("other")
        if at not in taken and said.kind in ("time", "other", "axis"):
            name = table.names[at] if table.names else f"column {at}"
            candidates.append(Candidate(at, name, head, said.clock, said.unit, said.owner, said.zone))
    columns = told.get("columns") or {}
    named = None if "time" not in columns else _time_columns(table, columns["time"])
    options: dict[str, Any] = {name: told.get(name) for name in CLOCK_OPTIONS}
    notes = {fact.what.removeprefix(_NOTE): fact.value for fact in table.facts if fact.what.startswith(_NOTE)}
    notes.setdefault("file name", PurePosixPath(table.name).name)
    look = partial(
        find_clock,
        candidates,
        named=bool(table.names),
        told=named,
        log_hz=table.rate_hz,
        notes=notes,
        repeats=_repeats(table, sensors, first),
        coarse=coarse,
    )
    # Damaged numbers overflow in some of the units that are tried; such a reading is none.
    with np.errstate(over="ignore", invalid="ignore"):
        found = look(**options)
    if found.clock is None and found.questions:
        # As guessed, so that what else is open can be asked in the same breath.
        guesses = {question.option: question.guess for question in found.questions}
        options |= {name: _option(name, guesses[name]) for name in CLOCK_OPTIONS if name in guesses}
        found = found._replace(clock=look(**options).clock)
    if found.refusal or found.clock is None:
        raise RecordingError(f"{table.where}: {found.refusal or 'expected times of its rows, got none'}")
    return found.clock, found.questions


def _own_head(piece: Piece) -> Sequence[NDArray[Any]]:
    """Return the first rows of a piece, column by column: a table's head, or the rows of it that belong to the piece.

    Another stream may have another rate and another start, so that its rows tell nothing of this one.
    """
    table = piece.table
    if not piece.wanted:
        return table.head
    rows = np.ones(len(table.head[0]), bool)
    for column, texts in piece.wanted.items():
        rows &= matching(table.head[column], texts)
    if rows.sum() >= min(_HEAD_ROWS, len(rows)) // 2:
        return [head[rows] for head in table.head]
    # It begins far behind, or has few of the rows.
    kinds = {at: _kind(head) for at, head in enumerate(table.head)}
    parts: list[list[NDArray[Any]]] = []
    count = 0
    try:
        for chosen in chosen_rows(table.read(kinds), piece.wanted):
            parts.append([chosen.columns[at] for at in range(table.width)])
            count += len(parts[-1][0])
            if count >= _HEAD_ROWS:
                break
    except RecordingError:
        # A column that nobody needs may hold other things further down.
        parts = []
    if count < _FEW_ROWS:
        return [head[rows] for head in table.head] if rows.sum() >= _FEW_ROWS else table.head
    return [values[:_HEAD_ROWS] for values in map(np.concatenate, zip(*parts, strict=True))]


def _kind(head: NDArray[Any]) -> Kind:
    if head.dtype.kind not in "iuf":
        return "text"
    # A time needs all its digits; any other whole number may have a fraction further on.
    large = head.dtype.kind in "iu" and len(head) > 0 and int(np.abs(head).max()) > _LARGE
    return "whole" if large else "number"


def _with_samples(first: Sequence[NDArray[Any]], table: Table, sensors: Sequence[Sensor]) -> Sequence[NDArray[Any]]:
    """Return those of the first rows that hold samples, where others hold none: a camera's or a barometer's.

    A row of six times the same number holds none. All of them where hardly any does.
    """
    columns = [column for it in sensors if it.piece.table is table for column in it.triad.columns]
    if len(columns) < len(CHANNELS) or any(first[column].dtype.kind not in "iuf" for column in columns):
        return first
    values = np.stack([first[column].astype(np.float64) for column in columns])
    full = np.isfinite(values).all(axis=0) & ((values != values[0]).any(axis=0) | (values[0] == 0))
    return first if full.all() or full.sum() < _FEW_ROWS else [head[full] for head in first]


def _repeats(table: Table, sensors: Sequence[Sensor], first: Sequence[NDArray[Any]]) -> NDArray[np.bool_] | None:
    """Tell which rows of the head have the very numbers of the row before."""
    columns = [column for it in sensors if it.piece.table is table for column in it.triad.columns]
    if not columns:
        return None
    same = np.ones(len(first[0]), bool)
    same[:1] = False
    for column in columns:
        values = first[column]
        same[1:] &= values[1:] == values[:-1]
    return same


def polled(piece: Piece, sensors: Sequence[Sensor]) -> NDArray[np.bool_] | None:
    """Return which rows of the head repeat the one before, where the log was read more often than its sensor measured.

    None where it was not. A sensor that changes nearly all of its six numbers from one row to the next does not come to
    the very same six again by chance, again and again.
    """
    table = piece.table
    columns = [column for it in sensors if it.piece is piece for column in it.triad.columns]
    if piece.wanted or len(columns) < len(CHANNELS) or any(table.head[it].dtype.kind not in "iuf" for it in columns):
        return None
    values = np.stack([table.head[it].astype(np.float64) for it in columns], axis=1)
    changed = values[1:] != values[:-1]
    again = np.concatenate([[False], ~changed.any(axis=1)])
    fresh = changed[changed.any(axis=1)]
    if again.sum() < _LEAST_REPEATS or again.mean() < _MANY_REPEATS or not len(fresh):
        return None
    times = np.diff(np.flatnonzero(~again))  # rows for each sample
    steady = (times <= 2 * np.ceil(times.mean())).mean()
    noisy = (fresh.sum(axis=1) >= len(columns) - 1).mean()
    return again if steady > _STEADY and noisy > _STEADY else None


def _option(name: str, guess: str) -> Any:
    return float(guess) if name == "rate_hz" else int(guess) if name == "start_ns" else guess


def _time_columns(table: Table, wanted: Any) -> tuple[int, ...]:
    named = wanted if isinstance(wanted, list | tuple) else () if wanted is None else (wanted,)
    found = []
    for each in named:
        at = each if isinstance(each, int) else table.names.index(each) if each in table.names else -1
        if not 0 <= at < table.width:
            raise InputError(f"columns: expected a column for time, got {each!r}, where the table has {table.names}")
        found.append(at)
    return tuple(found)
