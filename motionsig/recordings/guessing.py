"""Which columns are acceleration and angular rate, where no name says so: as far as gravity and turns show it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.plausibility.acceleration import acc_scales
from motionsig.plausibility.evidence import Evidence
from motionsig.plausibility.rotation import gyr_scales, turning_gain
from motionsig.plausibility.shapes import is_constant, is_gravity
from motionsig.recordings.names import Triad, factor
from motionsig.recordings.tables import Table

_USUAL_HZ = 50.0
_CELLS, _ROWS = 1 << 19, (2048, 16_384)
"""Of a wide table fewer rows are looked at, so that none takes long."""
_MOST = 12
"""Of accelerations, and of pairs, that are looked at."""
_FAR = 12
"""Columns between an accelerometer and its gyroscope, at most."""
_COUNTS = ("1/131 deg/s", "1/32.8 deg/s", "1/16.4 deg/s")
_ALIKE = 0.1
"""By which the lengths of two accelerometers differ at most; both have gravity."""
_UNCLEAR = 0.03
"""A turning_gain that shows nothing."""


class _Pair(NamedTuple):
    """Columns that may be acceleration and angular rate; sorted, the likeliest come first."""

    seems: float
    astride: int
    steep: bool
    far: bool
    backwards: bool
    acc: tuple[int, int, int]
    gyr: tuple[int, int, int]


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
    values = {triple: _without_marks(np.stack([numbers[at] for at in triple], axis=1)) for triple in triples}
    seen = {triple: acc_scales(each[np.isfinite(each).all(axis=1)], rate) for triple, each in values.items()}
    accs = [triple for triple in triples if seen[triple].verdict != "impossible" and seen[triple].unit]
    begin, end = min(numbers, default=0), max(numbers, default=0) + 1
    same = _accelerometers(accs, seen, values)
    others = {at for triple in same for at in triple} if len(same) > 1 else set()
    accs = [triple for triple in accs if triple in same or not others & set(triple)]
    pairs: list[_Pair] = []
    for acc in sorted(accs, key=lambda it: (seen[it].verdict != "decided", it))[:_MOST]:
        whole = values[acc] * seen[acc].si
        for gyr in triples:
            if set(gyr) & set(acc) or abs(gyr[0] - acc[0]) > _FAR or others & set(gyr) or is_gravity(values[gyr]):
                continue
            gain = 0.0 if rate_hz is None else _gain(*_both(whole, values[gyr]), rate_hz)
            # Sensors of three axes stand one after the other, behind the time; what else there is comes after them.
            fits = [not any((it[0] - edge) % 3 for it in (acc, gyr)) for edge in (begin, end)]
            astride = 0 if fits[0] else 1 if fits[1] else 2
            steep, far = seen[acc].verdict != "decided", gyr[0] - acc[0] not in (3, -3)
            pairs.append(_Pair(-gain if abs(gain) > _UNCLEAR else 0.0, astride, steep, far, gyr < acc, acc, gyr))
    found = []
    for pair in sorted(pairs)[:_MOST]:
        turns = gyr_scales(*_both(values[pair.acc] * seen[pair.acc].si, values[pair.gyr]), rate)
        if turns.verdict != "impossible":
            found.append((pair[:4], turns.verdict != "decided", pair.backwards, pair, turns))
    if not found:
        return _six_columns(table, tuple(numbers), seen)
    *_, best, turns = min(found, key=lambda each: each[:3])
    words = f"{_called(table, best.acc)} have gravity ({seen[best.acc].words}), "
    words += f"{_called(table, best.gyr)} would be angular rate ({turns.words})"
    return Guess(Triad("acc", best.acc), Triad("gyr", best.gyr), words)


def _accelerometers(
    accs: Sequence[tuple[int, int, int]],
    seen: Mapping[tuple[int, int, int], Evidence],
    values: Mapping[tuple[int, int, int], NDArray[np.float64]],
) -> list[tuple[int, int, int]]:
    """Return the first of accs whose unit is sure, and those side by side with it that have gravity in the same unit.

    They are accelerometers, and none of their columns is an angular rate.
    """
    first = next((triple for triple in accs if seen[triple].verdict == "decided"), None)
    if first is None:
        return []
    same = [it for it in accs if (it[0] - first[0]) % 3 == 0 and seen[it].unit == seen[first].unit]
    size = {it: float(np.nanmedian(np.linalg.norm(values[it], axis=1))) for it in same}
    return [it for it in same if abs(size[it] / size[first] - 1) < _ALIKE]


def _without_marks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (n, 3) with NaN in rows of three equal numbers, as the 1000 that some write for no reading."""
    alike = (values[:, 0] == values[:, 1]) & (values[:, 1] == values[:, 2])
    return np.where(alike[:, None], np.nan, values) if alike.any() else values


def _both(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows that both have."""
    rows = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    return one[rows], other[rows]


def _gain(acc: NDArray[np.float64], gyr: NDArray[np.float64], rate_hz: float) -> float:
    """Return the turning_gain of gyr (n, 3) in the unit in which it is largest; 0 where nothing is seen."""
    units = ("rad/s", "deg/s", *(_COUNTS if (gyr == np.rint(gyr)).all() else ()))
    gains = [turning_gain(acc, gyr * factor("gyr", unit), rate_hz) for unit in units]
    return float(max((gain for gain in gains if np.isfinite(gain)), default=0.0))


def _six_columns(table: Table, columns: tuple[int, ...], seen: Mapping[Any, Evidence]) -> Guess | None:
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
