"""Tables in which rows of several sensors are mixed, and a column says whose row it is: a table for each sensor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.facts import Fact
from motionsig.recordings.names import read_names
from motionsig.recordings.tables import Kind, Rows, Table

_ACC = re.compile(r"(?<!lin)(?<!linear )(?<!linear_)(?:acc|beschl|acel)", re.IGNORECASE)
_GYR = re.compile(r"gyr|giro|angular|rotation.?rate|drehrate", re.IGNORECASE)
_SENSOR = re.compile(
    rf"{_ACC.pattern}|{_GYR.pattern}|linear|grav|mag|orient|rotation|baro|light|proxi|temp", re.IGNORECASE
)
_MOST = 64
_HEAD = 1000
_UNIX = 10**9
_HALVES = {"acc": ("acc", "user", "gravity"), "gyr": ("gyr",)}
_FEW = 20


def by_sensor(table: Table) -> tuple[Table, ...]:
    """Return a table for each sensor whose rows `table` mixes; the table alone where it mixes none.

    Each is called after the table and what the column says, as in "events.csv/GYROSCOPE". Where the column's first
    rows are all of one sensor, it is read through.
    """
    for column, head in enumerate(table.head):
        if head.dtype.kind != "U" or not len(head):
            continue
        first = set(head.tolist())
        if len(first) > _MOST or not all(map(_SENSOR.search, first)):
            continue
        said = first if _mixed(first) else _all_texts(table, column)
        if said and _mixed(said):
            heads = _heads(table, column, said)
            return tuple(_only(table, column, text, heads[text]) for text in sorted(said))
    return (table,)


def _mixed(said: set[str]) -> bool:
    return any(map(_ACC.search, said)) and any(map(_GYR.search, said))


def _all_texts(table: Table, column: int) -> set[str]:
    said: set[str] = set()
    for rows in table.read({column: "text"}):
        said.update(np.unique(rows.columns[column]).tolist())
        if len(said) > _MOST:
            return set()
    return said


def _heads(table: Table, column: int, said: set[str]) -> dict[str, tuple[NDArray[np.generic], ...]]:
    """Return the first rows of each sensor."""
    kinds: dict[int, Kind] = {}
    for number, head in enumerate(table.head):
        # A time needs all its digits; any other whole number may have a fraction further on.
        large = head.dtype.kind == "i" and len(head) and int(np.abs(head).max()) > _UNIX
        kinds[number] = "whole" if large else "text" if head.dtype.kind in "UM" else "number"
    parts: dict[str, list[tuple[NDArray[np.generic], ...]]] = {text: [] for text in said}
    counts = dict.fromkeys(said, 0)
    for rows in table.read(kinds):
        for text in said:
            mine = np.flatnonzero(rows.columns[column] == text)[: _HEAD - counts[text]]
            counts[text] += len(mine)
            parts[text].append(tuple(rows.columns[number][mine] for number in range(table.width)))
        if min(counts.values()) == _HEAD:
            break
    return {text: tuple(map(np.concatenate, zip(*found, strict=True))) for text, found in parts.items()}


def _only(table: Table, column: int, text: str, head: tuple[NDArray[np.generic], ...]) -> Table:
    said = table.names[column] if table.names else f"column {column}"
    return replace(
        table,
        name=f"{table.name}/{text.replace('.', ' ').replace('/', ' ')}",
        where=f"{table.where} ({text})",
        head=head,
        read=partial(_rows, table, {column: "text"}, lambda rows: rows.columns[column] == text),
        facts=(*table.facts, Fact("sensor", f"rows with {text!r} in {said!r}", "written")),
    )


def by_filling(table: Table) -> tuple[Table, ...]:
    """Return a table for each sensor where no row has both: tables merged by their times."""
    columns = read_names(table.names, table.units)
    own = {kind: [at for at, it in enumerate(columns) if it.kind in which] for kind, which in _HALVES.items()}
    if not all(own.values()) or any(table.head[at].dtype.kind != "f" for each in own.values() for at in each):
        return (table,)
    filled = {kind: _filled(table.head, each) for kind, each in own.items()}
    if any(each.sum() < _FEW for each in filled.values()) or (filled["acc"] & filled["gyr"]).any():
        return (table,)
    others = {"acc": set(own["gyr"]), "gyr": set(own["acc"])}
    return tuple(_filling(table, kind, own[kind], others[kind], rows) for kind, rows in filled.items())


def _filling(table: Table, kind: str, own: list[int], others: set[int], mine: NDArray[np.bool_]) -> Table:
    return replace(
        table,
        name=f"{table.name}/{kind}",
        where=f"{table.where} ({kind})",
        names=tuple("" if at in others else name for at, name in enumerate(table.names)),
        head=tuple(head[mine] for head in table.head),
        read=partial(_rows, table, dict.fromkeys(own, "number"), lambda rows: _filled(rows.columns, own)),
        facts=(*table.facts, Fact("sensor", f"rows with numbers of {kind}", "shown")),
    )


def _filled(columns: Any, wanted: Sequence[int]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite([columns[at] for at in wanted]).all(axis=0))


def _rows(
    table: Table, also: Mapping[int, Kind], keep: Callable[[Rows], NDArray[np.bool_]], kinds: Mapping[int, Kind]
) -> Iterator[Rows]:
    """Yield the rows that `keep` marks, which needs the columns in `also`."""
    for rows in table.read({**kinds, **also}):
        mine = keep(rows)
        before = np.concatenate([[0], np.cumsum(mine)])
        if before[-1]:
            columns = {it: rows.columns[it][mine] for it in kinds if kinds[it] == also.get(it, kinds[it])}
            breaks = sorted({int(before[at]) for at in rows.breaks if before[at] < before[-1]})
            yield Rows(columns, tuple(breaks), rows.first)
