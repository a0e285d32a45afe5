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
    values = {triple: _without_marks(np.stack([numbers[at] for at in triple], axis=1)) for triple in triples}
    seen = {triple: acc_scales(each[np.isfinite(each).all(axis=1)], rate) for triple, each in values.items()}
    accs = [triple for triple in triples if seen[triple].verdict != "impossible" and seen[triple].unit]
    found = []
    for acc in accs:
        whole = values[acc] * seen[acc].si
        for gyr in triples:
            if set(gyr) & set(acc) or is_gravity(values[gyr]):
                continue
            both = np.isfinite(whole).all(axis=1) & np.isfinite(values[gyr]).all(axis=1)
            turns = gyr_scales(whole[both], values[gyr][both], rate)
            if turns.verdict != "impossible":
                # Sensors stand side by side from the first column on that is no time.
                apart = any((triple[0] - min(numbers)) % 3 for triple in (acc, gyr))
                far = gyr[0] - acc[0] not in (3, -3)
                doubts = (seen[acc].verdict != "decided") + (turns.verdict != "decided")
                found.append((apart, far, doubts, gyr[0] < acc[0], acc, gyr, turns))
    if not found:
        return None
    found.sort(key=lambda each: each[:6])
    *_, acc, gyr, turns = found[0]
    called = [", ".join(map(table.called, triple)) for triple in (acc, gyr)]
    words = f"{called[0]} have gravity ({seen[acc].words}), {called[1]} would be angular rate ({turns.words})"
    return Guess(Triad("acc", acc), Triad("gyr", gyr), words)


def _without_marks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (n, 3) with NaN in rows of three equal numbers, as the 1000 that some write for no reading."""
    alike = (values[:, 0] == values[:, 1]) & (values[:, 1] == values[:, 2])
    return np.where(alike[:, None], np.nan, values) if alike.any() else values


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
