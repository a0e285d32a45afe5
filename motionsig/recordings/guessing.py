"""Which columns are acceleration and angular rate, where no name says so: as far as gravity and turns show it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.plausibility import acc_scales, gyr_scales, is_constant, is_gravity
from motionsig.recordings.names import Triad
from motionsig.recordings.tables import Table

_USUAL_HZ = 50.0
_ROWS = 16_384


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
    found: list[_Pair] = []
    for acc in accs:
        whole = values[acc] * seen[acc].si
        for gyr in triples:
            if set(gyr) & set(acc) or is_gravity(values[gyr]):
                continue
            turns = gyr_scales(whole, values[gyr], rate)
            if turns.verdict != "impossible":
                doubt = (seen[acc].verdict != "decided") + (turns.verdict != "decided")
                far = gyr[0] - acc[0] not in (3, -3)
                # Sensors of three axes stand one after the other.
                astride = all((it[0] - edge) % 3 for it in (acc, gyr) for edge in (begin, end))
                found.append(_Pair(astride, seen[acc].verdict != "decided", far, doubt, gyr < acc, acc, gyr))
    if not found:
        return _usual_order(numbers)
    found.sort()
    best = found[0]
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
