"""The clock of one stream's rows: which columns are asked for it, and what the caller says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def clock_of(
    piece: Piece,
    sensors: Sequence[Sensor],
    taken: Collection[int],
    told: Mapping[str, Any],
    coarse: Collection[int] = (),
) -> tuple[Clock, tuple[Question, ...]]:
    """Return the clock of a piece's rows, and what is left open of it: then it is as guessed.

    sensors: what is read of it. taken: columns that are no times. coarse: those that stand still
    further down, and give the date at most. Raises RecordingError where there can be none.
    """
    table = piece.table
    keep: Any = slice(None)
    if piece.wanted:
        rows = np.ones(len(table.head[0]), bool)
        for column, texts in piece.wanted.items():
            rows &= matching(table.head[column], texts)
        # Rows of another stream show as well how times are written, where this one begins far behind.
        keep = rows if rows.sum() >= _FEW_ROWS else slice(None)
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
    look = partial(
        find_clock,
        candidates,
        named=bool(table.names),
        told=named,
        log_hz=table.rate_hz,
        notes=notes,
        repeats=_repeats(table, sensors, keep),
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
