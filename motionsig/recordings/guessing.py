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
_MOST = 12
"""Of accelerations, and of pairs, that are looked at."""
_FAR = 12
"""Columns between an accelerometer and its gyroscope, at most."""
_COUNTS = ("1/131 deg/s", "1/32.8 deg/s", "1/16.4 deg/s")
_UNCLEAR = 0.03
_CLEAR = 0.1
"""Of turning_gain: what shows nothing; and what shows, alone or against other columns, that these turn together."""


class Guess(NamedTuple):
    """Columns of acceleration and angular rate; sure: no others fit as well. words: why."""

    acc: Triad
    gyr: Triad
    sure: bool
    words: str


def guess_columns(table: Table, clock: Collection[int], rate_hz: float | None) -> Guess | None:
    """Return the three neighbours that have gravity, and the three that turn with them; None where none have."""
    rate = rate_hz or _USUAL_HZ
    numbers = {at: values for at, values in _numbers(table, clock).items() if not is_constant(values)}
    triples = [(at, at + 1, at + 2) for at in numbers if at + 1 in numbers and at + 2 in numbers]
    values = {triple: np.stack([numbers[at] for at in triple], axis=1) for triple in triples}
    seen = {triple: acc_scales(each, rate) for triple, each in values.items()}
    accs = [triple for triple in triples if seen[triple].verdict == "decided"]
    pairs = []
    for acc in accs[:_MOST]:
        whole = values[acc] * seen[acc].si
        for gyr in triples:
            if set(gyr) & set(acc) or abs(gyr[0] - acc[0]) > _FAR or is_gravity(values[gyr]):
                continue
            gain = 0.0 if rate_hz is None else _gain(whole, values[gyr], rate_hz)
            near = gyr[0] - acc[0] in (3, -3)
            pairs.append((-gain if abs(gain) > _UNCLEAR else 0.0, not near, gyr[0] < acc[0], acc, gyr))
    found = []
    for seems, far, before, acc, gyr in sorted(pairs)[:_MOST]:
        turns = gyr_scales(values[acc] * seen[acc].si, values[gyr], rate)
        if turns.verdict != "impossible":
            found.append((seems, far, turns.verdict != "decided", before, acc, gyr, turns))
    if not found:
        return None
    found.sort(key=lambda each: each[:6])
    seems, far, doubt, _, acc, gyr, turns = found[0]
    others = min((each[0] for each in pairs if each[3:] != (acc, gyr)), default=0.0)
    sure = rate_hz is not None and not doubt and not far and -seems > _CLEAR and others - seems > _CLEAR
    called = [", ".join(map(table.called, triple)) for triple in (acc, gyr)]
    words = f"{called[0]} have gravity ({seen[acc].words}), {called[1]} would be angular rate ({turns.words})"
    return Guess(Triad("acc", acc), Triad("gyr", gyr), sure, words)


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
