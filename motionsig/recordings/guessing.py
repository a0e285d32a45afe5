"""Which columns are acceleration and angular rate, where no name says so: as far as gravity and turns show it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.plausibility import acc_scales, gyr_scales, is_constant, is_gravity, turning_gain
from motionsig.recordings.names import Triad, factor
from motionsig.recordings.tables import Table

_USUAL_HZ = 50.0
_ROWS = 16_384
_MOST = 24
"""Of pairs of columns whose turns are looked at: the likeliest by where they stand."""
_COUNTS = ("1/131 deg/s", "1/32.8 deg/s", "1/16.4 deg/s")
_UNCLEAR = 0.03
"""Of turning_gain: so little shows nothing."""


class _Pair(NamedTuple):
    """Columns that may be acceleration and angular rate; sorted, the likeliest come first."""

    astride: bool
    steep: bool
    far: bool
    doubt: int
    backwards: bool
    acc: tuple[int, int, int]
    gyr: tuple[int, int, int]


class Guess(NamedTuple):
    """Columns of acceleration and angular rate, and why; never sure, so that they are always asked about."""

    acc: Triad
    gyr: Triad
    words: str


def guess_columns(table: Table, clock: Collection[int], rate_hz: float | None) -> Guess | None:
    """Return the three neighbours that have gravity, and the three that turn with them; None where none have."""
    rate = rate_hz or _USUAL_HZ
    numbers = {at: values for at, values in _numbers(table, clock).items() if not is_constant(values)}
    triples = [(at, at + 1, at + 2) for at in numbers if at + 1 in numbers and at + 2 in numbers]
    values = {triple: np.stack([numbers[at] for at in triple], axis=1) for triple in triples}
    seen = {triple: acc_scales(each, rate) for triple, each in values.items()}
    accs = [triple for triple in triples if seen[triple].verdict != "impossible" and seen[triple].unit]
    begin, end = min(numbers, default=0), max(numbers, default=0) + 1
    pairs = []
    for acc in accs:
        for gyr in triples:
            if not set(gyr) & set(acc) and not is_gravity(values[gyr]):
                # Sensors of three axes stand one after the other.
                astride = all((it[0] - edge) % 3 for it in (acc, gyr) for edge in (begin, end))
                far = gyr[0] - acc[0] not in (3, -3)
                pairs.append(_Pair(astride, seen[acc].verdict != "decided", far, 0, gyr < acc, acc, gyr))
    found: list[_Pair] = []
    for pair in sorted(pairs)[:_MOST]:
        turns = gyr_scales(values[pair.acc] * seen[pair.acc].si, values[pair.gyr], rate)
        if turns.verdict != "impossible":
            found.append(pair._replace(doubt=pair.steep + (turns.verdict != "decided")))
    if not found:
        return _usual_order(numbers)
    found.sort()
    best = found[0]
    if rate_hz is not None:
        # What turns together is seen where it turns enough; everything else is custom.
        gains = {each: _gain(values[each.acc] * seen[each.acc].si, values[each.gyr], rate_hz) for each in found}
        best = max(gains, key=lambda each: gains[each] if abs(gains[each]) > _UNCLEAR else 0.0)
    turns = gyr_scales(values[best.acc] * seen[best.acc].si, values[best.gyr], rate)
    called = [", ".join(map(table.called, triple)) for triple in (best.acc, best.gyr)]
    words = f"{called[0]} have gravity ({seen[best.acc].words}), {called[1]} would be angular rate ({turns.words})"
    return Guess(Triad("acc", best.acc), Triad("gyr", best.gyr), words)


def _usual_order(numbers: Collection[int]) -> Guess | None:
    """Return the guess for six columns of numbers that show nothing: acceleration first, as most loggers write it."""
    first, *_ = at = sorted(numbers) or [0]
    if at != list(range(first, first + 6)):
        return None
    words = "there are six columns of numbers, and most loggers write acceleration first"
    return Guess(Triad("acc", (at[0], at[1], at[2])), Triad("gyr", (at[3], at[4], at[5])), words)


def _gain(acc: NDArray[np.float64], gyr: NDArray[np.float64], rate_hz: float) -> float:
    """Return the turning_gain of gyr (n, 3) in the unit in which it is largest; 0 where nothing is seen."""
    units = ("rad/s", "deg/s", *(_COUNTS if (gyr == np.rint(gyr)).all() else ()))
    gains = [turning_gain(acc, gyr * factor("gyr", unit), rate_hz) for unit in units]
    return float(max((gain for gain in gains if np.isfinite(gain)), default=0.0))


def _numbers(table: Table, clock: Collection[int]) -> dict[int, NDArray[np.float64]]:
    """Return the columns of numbers, as many rows of them as show a unit."""
    columns = [at for at, head in enumerate(table.head) if at not in clock and head.dtype.kind in "iuf"]
    parts: list[list[NDArray[np.float64]]] = []
    count = 0
    try:
        for rows in table.read(dict.fromkeys(columns, "number")):
            parts.append([rows.columns[at] for at in columns])
            count += len(parts[-1][0])
            if count >= _ROWS:
                break
    except RecordingError:
        # A column that nobody needs may hold texts further down.
        return {at: table.head[at].astype(np.float64) for at in columns}
    return dict(zip(columns, map(np.concatenate, zip(*parts, strict=True)), strict=True)) if parts else {}
