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
_CELLS, _ROWS = 1 << 19, (2048, 16_384)
"""Of a wide table fewer rows are looked at, so that none takes long."""
_MOST = 12
"""Of accelerations, and of pairs, that are looked at."""
_FAR = 12
"""Columns between an accelerometer and its gyroscope, at most."""
_COUNTS = ("1/131 deg/s", "1/32.8 deg/s", "1/16.4 deg/s")
_UNCLEAR = 0.03
"""A turning_gain that shows nothing."""


class _Pair(NamedTuple):
    """Columns that may be acceleration and angular rate; sorted, the likeliest come first."""

    seems: float
    astride: bool
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
    """Return the three neighbours that have gravity, and the three that turn with them; None where none have."""
    rate = rate_hz or _USUAL_HZ
    numbers = {at: values for at, values in _numbers(table, clock).items() if not is_constant(values)}
    triples = [(at, at + 1, at + 2) for at in numbers if at + 1 in numbers and at + 2 in numbers]
    values = {triple: np.stack([numbers[at] for at in triple], axis=1) for triple in triples}
    seen = {triple: acc_scales(each, rate) for triple, each in values.items()}
    accs = [triple for triple in triples if seen[triple].verdict != "impossible" and seen[triple].unit]
    begin, end = min(numbers, default=0), max(numbers, default=0) + 1
    pairs: list[_Pair] = []
    for acc in sorted(accs, key=lambda it: (seen[it].verdict != "decided", it))[:_MOST]:
        whole = values[acc] * seen[acc].si
        for gyr in triples:
            if set(gyr) & set(acc) or abs(gyr[0] - acc[0]) > _FAR or is_gravity(values[gyr]):
                continue
            gain = 0.0 if rate_hz is None else _gain(whole, values[gyr], rate_hz)
            # Sensors of three axes stand one after the other.
            astride = all((it[0] - edge) % 3 for it in (acc, gyr) for edge in (begin, end))
            steep, far = seen[acc].verdict != "decided", gyr[0] - acc[0] not in (3, -3)
            pairs.append(_Pair(-gain if abs(gain) > _UNCLEAR else 0.0, astride, steep, far, gyr < acc, acc, gyr))
    found = []
    for pair in sorted(pairs)[:_MOST]:
        turns = gyr_scales(values[pair.acc] * seen[pair.acc].si, values[pair.gyr], rate)
        if turns.verdict != "impossible":
            found.append((pair[:4], turns.verdict != "decided", pair.backwards, pair, turns))
    if not found:
        return _usual_order(numbers)
    *_, best, turns = min(found, key=lambda each: each[:3])
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
