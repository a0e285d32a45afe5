"""Which unit an angular rate is in, by the step between its numbers: a chip's step is known, and in one unit it fits.

A chip counts in whole steps, so that its numbers are multiples of one, however they are scaled. The steps of MEMS
gyroscopes lie between 0.0038 and 0.14 deg/s; those in deg/s and those in rad/s do not overlap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_STEPS_DPS = (
    *(1 / per for per in (262.4, 131, 65.5, 32.8, 16.4)),
    *(full / 32768 for full in (125, 250, 500, 1000, 2000, 4000)),
    *(0.004375, 0.00875, 0.0175, 0.035, 0.07, 0.14),
    *(0.0625,),
)
"""InvenSense's scales by data sheet, the full ranges of Bosch and others, ST's sensitivities, Bosch's fused output."""
_UNITS = {"deg/s": 1.0, "rad/s": np.pi / 180, "mdps": 1000.0}
_LIKE = 0.008
"""How far a step may be off one of these."""
_ALIKE = 0.005
"""How far those of the axes may be apart."""
_LEVELS = 12
_FITS = 0.98
_LOOSE = 0.02
"""Of a step: what single precision and a text leave."""
_CHANCE = 0.5
"""Share of any numbers that would lie as near to multiples of a step: coarser texts show none."""
_ROUND = (1.0, 2.0, 5.0, 10.0)
"""Times a power of ten: the steps that rounding makes, not a chip."""
_DECIMALS = 9


class Step(NamedTuple):
    """A step of a chip: `size` in the log's numbers, which are in `unit`, and in deg/s."""

    size: float
    unit: str
    dps: float


def chip_step(gyr: NDArray[np.floating]) -> Step | None:
    """Return the step of a chip of which gyr (n, 3), finite, is multiples; None where it shows none that is known."""
    found = sorted(size for axis in range(3) if (size := _step(gyr[:, axis])))
    pairs = [(one + other) / 2 for one, other in zip(found, found[1:], strict=False) if other / one - 1 < _ALIKE]
    for size in pairs[:1]:
        for unit, each in _UNITS.items():
            dps = min(_STEPS_DPS, key=lambda step: abs(np.log(size / each / step)))
            if abs(size / each / dps - 1) < _LIKE:
                return Step(size, unit, dps)
    return None


def _step(values: NDArray[np.floating]) -> float | None:
    """Return of which step values (n,) are multiples, plus an offset; None where of none, or of one that rounding makes."""
    levels = np.unique(values.astype(np.float64))
    if len(levels) < _LEVELS:
        return None
    apart = np.diff(levels)
    # Single precision makes two of one level.
    real = apart > 1e-6 * np.abs(levels).max()
    levels, apart = levels[np.concatenate([[True], real])], apart[real]
    if len(levels) < _LEVELS:
        return None
    size = float(apart[apart < 1.5 * apart.min()].mean())
    # From the middle out, for what is off by a little adds up.
    order = np.argsort(np.abs(levels - np.median(levels)))
    centre, count = float(levels[order[0]]), _LEVELS // 2
    while count < 2 * len(levels):
        near = levels[order[:count]] - centre
        multiple = np.rint(near / size)
        if not multiple.any():
            return None
        slope, _ = np.polyfit(multiple, near, 1)
        size, count = float(slope), 2 * count
    text = _text_step(levels)
    if size <= 1.5 * text or any(abs(size / 10 ** np.floor(np.log10(size)) / each - 1) < 1e-3 for each in _ROUND):
        return None
    loose = 0.75 * text + _LOOSE * size
    offset = (levels - centre) - size * np.rint((levels - centre) / size)
    fits = np.abs(offset - np.median(offset)) <= loose
    return size if fits.mean() >= _FITS and 2 * loose / size < _CHANCE else None


def _text_step(levels: NDArray[np.float64]) -> float:
    """Return the power of ten of which all levels are multiples, 0 where of none."""
    for decimals in range(_DECIMALS):
        scaled = levels * 10.0**decimals
        if (np.abs(scaled - np.rint(scaled)) < 1e-6 * np.maximum(1, np.abs(scaled))).all():
            return 10.0**-decimals
    return 0.0
