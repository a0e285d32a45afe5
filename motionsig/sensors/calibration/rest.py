"""Finding the stretches in which a device is at rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.blocks import SampleBlock
from motionsig.conventions import CHANNELS
from motionsig.errors import InputError
from motionsig.sensors.calibration.model import Floats

CELL_S, REST_S = 0.25, 2.0
"""Rest is judged over so long, in cells of CELL_S. A cell's mean is good to 0.01 m/s² for the noisiest chip listed."""
_LEAST_CELLS = 4
_MOST_ODD = 0.25
"""Part of the cells that a knock on the table may spoil; they are left out."""
_STEADY = np.array([0.1] * 3 + [0.03] * 3)
"""m/s², rad/s: how far the mean of a cell may be from that of the rest. 0.1 m/s² is a rotation by 0.6 degrees."""
_QUIET = np.array([0.3] * 3 + [0.05] * 3)
"""m/s², rad/s: the most spread within a cell. An MPU-6050 has 0.09 and 0.002 at 500 Hz (PS-MPU-6000A 3.4, 6.1, 6.2)."""


@dataclass(frozen=True, eq=False)
class Rest:
    """A device at rest. mean: (6,) float64, m/s² and rad/s. data: (n, 6), the samples it is the mean of."""

    mean: Floats
    data: NDArray[np.float32]


class SilentError(InputError):
    """No samples come."""


def rest(data: ArrayLike, rate_hz: float) -> Rest:
    """Return what was measured at rest in (n, 6), less a knock in up to a quarter of it; NaN channels stay NaN.

    Raises InputError that says what moved and by how much, or that the stretch is shorter than a second.
    """
    given = np.asarray(data, np.float32).reshape(-1, len(CHANNELS))
    used = np.flatnonzero(~np.isnan(given).all(axis=0))
    finite = np.flatnonzero(np.isfinite(given[:, used]).all(axis=1))
    if not {0, 1, 2} <= set(used.tolist()):
        finite = finite[:0]
    rows = _cell_rows(rate_hz)
    count = len(finite) // rows
    if count < _LEAST_CELLS:
        raise InputError(
            f"rest: expected {_LEAST_CELLS * rows} samples of acceleration or more, got {len(finite)} that are finite"
        )
    members = finite[: count * rows].reshape(count, rows)
    cells = given[members][:, :, used].astype(np.float64)
    means = cells.mean(axis=1)
    moved = np.abs(means - np.median(means, axis=0))
    parts = np.concatenate([moved / _STEADY[used], cells.std(axis=1) / _QUIET[used]], axis=1)
    worst = parts.max(axis=1)
    odd = worst > 1
    if odd.sum() > _MOST_ODD * count:
        # The least odd cell that is one too many: the message is about the motion, and not about a single knock.
        cell = np.argsort(worst)[count - 1 - int(_MOST_ODD * count)]
        kind, column = divmod(int(parts[cell].argmax()), len(used))
        channel = used[column]
        limit = (_STEADY, _QUIET)[kind][channel]
        raise InputError(
            f"rest: expected {CHANNELS[channel]} {('steady', 'quiet')[kind]} within {limit:g} "
            f"{'m/s²' if channel < 3 else 'rad/s'}, got {parts[cell].max() * limit:.2g}: it moved in "
            f"{odd.sum() * CELL_S:g} of {count * CELL_S:g} s"
        )
    mean = np.full(len(CHANNELS), np.nan)
    mean[used] = means[~odd].mean(axis=0)
    return Rest(mean, given[members[~odd].ravel()])


def _cell_rows(rate_hz: float) -> int:
    return max(round(rate_hz * CELL_S), 2)


def find_rests(blocks: Iterable[SampleBlock], rate_hz: float) -> Iterator[Rest | InputError | None]:
    """Yield, every CELL_S, what the last REST_S were: a Rest, None while it goes on, or the InputError of `rest`."""
    rows = _cell_rows(rate_hz)
    length = round(REST_S / CELL_S) * rows
    waiting = np.empty((0, len(CHANNELS)), np.float32)
    resting = False
    for block in blocks:
        if not len(block):
            resting = False
            yield SilentError("rest: expected samples, got none: the sensor is silent")
        # A gap needs no check: two poses differ as much with a gap between them.
        waiting = np.concatenate([waiting, block.data])
        while len(waiting) >= length:
            data, waiting = waiting[:length], waiting[rows:]
            try:
                found: Rest | InputError = rest(data, rate_hz)
            except InputError as error:
                found = error
            yield None if resting and isinstance(found, Rest) else found
            resting = isinstance(found, Rest)
