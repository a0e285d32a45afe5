"""A JSON document that is one object as a whole: where its rows are, and what it says beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from motionsig.errors import RecordingError
from motionsig.recordings.members import Member

_LARGEST_DOCUMENT = 32 << 20
_MOST_NESTED, _LEAST_BYTES = 10_000, 6
"""So many lists and objects may be smaller than so many bytes each; more would take long to tell to be nothing."""
DEEPEST, MOST_CELLS = 4, 512
"""Levels of objects in objects that count, and columns."""
SENSORS = 64
SENSOR = "sensor"
"""The key by which Sensor Logger's export and others say whose row it is, and how many there may be."""
NESTED = frozenset({dict, list})
DAMAGE = (ValueError, RecursionError)

Cell = str | int | float | bool | None


def whole(member: Member, encoding: str) -> Any:
    with member.open() as file:
        content = file.read(_LARGEST_DOCUMENT + 1)
    if len(content) > _LARGEST_DOCUMENT:
        raise RecordingError(
            f"{member.where}: expected one JSON document of at most {_LARGEST_DOCUMENT} bytes, got a longer one; "
            "export CSV, or JSON with an object for each line"
        )
    nested = content.count(b"[") + content.count(b"{")
    if nested > _MOST_NESTED and nested * _LEAST_BYTES > len(content):
        got = f"{nested} of them in {len(content)} bytes"
        raise RecordingError(f"{member.where}: expected lists and objects with numbers in them, got {got}")
    try:
        return json.loads(content.decode(encoding, errors="replace"))
    except DAMAGE as error:
        raise RecordingError(f"{member.where}: expected intact JSON, got: {error}") from None


class Found(NamedTuple):
    """What yields so many rows, each made when it is asked for; `columns`: the same, where they hold no lists."""

    size: int
    rows: Callable[[], Iterable[Any]]
    columns: Mapping[str, list[Any]] | None = None


def best(document: Any, depth: int = 0) -> Found | None:
    """Return the rows in a document: of the longest list of objects, or of lists of equal length side by side."""
    found: list[Found] = []
    if isinstance(document, list) and document and isinstance(document[0], dict | list):
        found.append(Found(len(document), partial(iter, document)))
    if isinstance(document, dict):
        names, data = document.get("columns"), document.get("data")
        if isinstance(names, list) and isinstance(data, list) and data and all(isinstance(it, list) for it in data):
            found.append(Found(len(data), partial(_side_by_side, tuple(map(str, names)), data)))
        columns = {name: list(it.values()) if isinstance(it, dict) else it for name, it in document.items()}
        lengths = Counter(len(it) for it in columns.values() if isinstance(it, list) and len(it) > 1)
        for length, count in lengths.items():
            if count >= 2:
                side = {name: it for name, it in columns.items() if isinstance(it, list) and len(it) == length}
                plain = SENSOR not in side and len(side) <= MOST_CELLS
                plain = plain and all(NESTED.isdisjoint(map(type, it)) for it in side.values())
                found.append(Found(length, partial(_in_columns, side), side if plain else None))
        if depth < DEEPEST:
            found += [inner for it in document.values() if (inner := best(it, depth + 1))]
    return max(found, key=lambda it: it.size, default=None)


def _side_by_side(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(names, row, strict=False)) for row in rows)


def _in_columns(columns: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    return _side_by_side(tuple(columns), zip(*columns.values(), strict=True))


def settings(document: Any) -> Iterator[tuple[str, Cell]]:
    """Yield what a document says beside its rows."""
    if isinstance(document, dict):
        for name, found in document.items():
            if not isinstance(found, dict | list):
                yield str(name), found
            elif isinstance(found, dict) and len(found) <= SENSORS:
                yield from ((f"{name}.{key}", it) for key, it in found.items() if not isinstance(it, dict | list))
