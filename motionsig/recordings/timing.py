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
from motionsig.recordings.feeds import matching
from motionsig.recordings.names import Column
from motionsig.recordings.streams import Piece, Sensor
from motionsig.recordings.tables import Table
from motionsig.recordings.times import Candidate, Clock, find_clock

CLOCK_OPTIONS = ("time_unit", "rate_hz", "start_ns", "zone")
_NOTE = "setting "
_FEW_ROWS = 16
_LEAST_REPEATS, _MANY_REPEATS = 20, 0.05
_STEADY = 0.9


def clock_of(
    piece: Piece, sensors: Sequence[Sensor], taken: Collection[int], told: Mapping[str, Any]
) -> tuple[Clock, tuple[Question, ...]]:
    """Return the clock of a piece's rows, and what is left open of it: then it is as guessed.

    sensors: what is read of it. taken: columns that are no times. Raises RecordingError where there can be none.
    """
    table = piece.table
    keep: Any = slice(None)
    if piece.wanted:
        rows = np.ones(len(table.head[0]), bool)
        for column, texts in piece.wanted.items():
            rows &= matching(table.head[column], texts)
        # Rows of another stream show as well how times are written, where this one begins far behind.
        keep = rows if rows.sum() >= _FEW_ROWS else slice(None)
    if told.get("rate_hz") is None and (again := polled(piece, sensors)) is not None:
        fresh = ~again
        keep = fresh if isinstance(keep, slice) else keep & fresh
    candidates = []
    for at, head in enumerate(table.head):
        said = piece.columns[at] if at < len(piece.columns) else Column("other")
        if at not in taken and said.kind in ("time", "other", "axis"):
            name = table.names[at] if table.names else f"column {at}"
            candidates.append(Candidate(at, name, head[keep], said.clock, said.unit, said.owner, said.zone))
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
        repeats=_repeats(table, sensors, keep),
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


def _repeats(table: Table, sensors: Sequence[Sensor], keep: Any) -> NDArray[np.bool_] | None:
    """Tell which rows of the head have the very numbers of the row before."""
    columns = [column for it in sensors if it.piece.table is table for column in it.triad.columns]
    if not columns:
        return None
    same = np.ones(len(table.head[0][keep]), bool)
    same[:1] = False
    for column in columns:
        values = table.head[column][keep]
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
