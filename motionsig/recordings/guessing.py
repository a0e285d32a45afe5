"""Which columns are acceleration and angular rate, where no name says so: as far as gravity and turns show it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.plausibility import Evidence, acc_scales, gyr_scales, is_constant, is_gravity
from motionsig.recordings.names import Triad
from motionsig.recordings.tables import Table

_USUAL_HZ = 50.0
_CELLS, _ROWS = 1 << 19, (2048, 16_384)
"""Of a wide table fewer rows are looked at, so that none takes long."""
_PAIRS = 24
"""Of so many pairs of an acceleration and an angular rate the turns are looked at, neighbours first."""


class Guess(NamedTuple):
    """Columns of acceleration and angular rate, and why; never sure, so that they are always asked about."""

    acc: Triad
    gyr: Triad
    words: str


def guess_columns(table: Table, clock: Collection[int], rate_hz: float | None) -> Guess | None:
    """Return the three neighbours that have gravity, and the three that turn with them; None where none have.

    Where no numbers show it, and six columns are all there are, they are taken in the order in which people write them.
    """
    rate = rate_hz or _USUAL_HZ
    numbers = {at: values for at, values in _numbers(table, clock).items() if not is_constant(values)}
    triples = [(at, at + 1, at + 2) for at in numbers if at + 1 in numbers and at + 2 in numbers]
    values = {triple: np.stack([numbers[at] for at in triple], axis=1) for triple in triples}
    seen = {triple: acc_scales(each, rate) for triple, each in values.items()}
    turning = [triple for triple in triples if not is_gravity(values[triple])]
    pairs = [
        (gyr[0] - acc[0] not in (3, -3), gyr[0] < acc[0], acc, gyr)
        for acc in triples
        if seen[acc].verdict == "decided"
        for gyr in turning
        # What has gravity in the very same unit is another accelerometer.
        if not set(gyr) & set(acc) and not (seen[gyr].verdict == "decided" and seen[gyr].unit == seen[acc].unit)
    ]
    found = []
    for far, before, acc, gyr in sorted(pairs)[:_PAIRS]:
        turns = gyr_scales(values[acc] * seen[acc].si, values[gyr], rate)
        if turns.verdict != "impossible":
            found.append((turns.verdict != "decided", far, before, acc, gyr, turns))
    if not found:
        return _six_columns(table, tuple(numbers), seen)
    found.sort(key=lambda each: each[:5])
    *_, acc, gyr, turns = found[0]
    words = f"{_called(table, acc)} have gravity ({seen[acc].words}), "
    words += f"{_called(table, gyr)} would be angular rate ({turns.words})"
    return Guess(Triad("acc", acc), Triad("gyr", gyr), words)


def _six_columns(table: Table, columns: tuple[int, ...], seen: Mapping[tuple[int, ...], Evidence]) -> Guess | None:
    halves = columns[:3], columns[3:]
    if len(columns) != 6 or not all(half in seen for half in halves):
        return None
    can = [half for half in halves if seen[half].verdict != "impossible"]
    if not can:
        return None
    acc = can[0]
    gyr = halves[1] if acc == halves[0] else halves[0]
    words = (
        f"Six columns change, and no unit of acceleration fits them for sure ({seen[acc].words}); mostly acceleration "
        f"stands before angular rate, so that {_called(table, acc)} would be acceleration, {_called(table, gyr)} not"
    )
    return Guess(Triad("acc", _three(acc)), Triad("gyr", _three(gyr)), words)


def _three(columns: tuple[int, ...]) -> tuple[int, int, int]:
    first, second, third = columns
    return first, second, third


def _called(table: Table, columns: Collection[int]) -> str:
    return ", ".join(map(table.called, columns))


def _numbers(table: Table, clock: Collection[int]) -> dict[int, NDArray[np.float64]]:
    """Return the columns of numbers, as many rows of them as show a unit."""
    columns = [at for at, head in enumerate(table.head) if at not in clock and head.dtype.kind in "iuf"]
    most = min(max(_CELLS // max(1, len(columns)), _ROWS[0]), _ROWS[1])
    parts: list[list[NDArray[np.float64]]] = []
    count = 0
    try:
        for rows in table.read(dict.fromkeys(columns, "number")):
            parts.append([rows.columns[at] for at in columns])
            count += len(parts[-1][0])
            if count >= most:
                break
    except RecordingError:
        # A column that nobody needs may hold texts further down.
        return {at: table.head[at].astype(np.float64) for at in columns}
    return dict(zip(columns, map(np.concatenate, zip(*parts, strict=True)), strict=True)) if parts else {}
