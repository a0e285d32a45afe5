"""Gravity: a sensor that lies still measures 1 g, whichever way it lies."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.living.cells import Cell

PLAUSIBLE_G = (0.65, 1.4)
"""|acc| at rest. The worst that data sheets allow is an ADXL345's z: 10 % and 0.25 g off (Rev. E, table 1)."""
_RIGHT_G = (0.75, 1.3)
"""Mean |acc|, at rest or in motion, of a sensor that shows gravity again."""
_FALLS_G = 0.2
"""Less than this may be free fall, or coasting."""
_STILL_S, _FALL_S, _RIGHT_S = 1.5, 12.0, 1.0
_STEADY = 0.5
"""m/s² between the means of cells at rest."""
_TURNS = 1.0
"""rad/s: more than the error at rest of any gyroscope (an LSM9DS1's is 0.52, DocID025715 table 3): it turns."""
_FACTORS = (0.125, 0.25, 0.5, 2.0, 4.0, 8.0)
_NEAR = 0.15


def scale_error(gravity_g: float) -> float | None:
    """Return the power of two that gravity at rest, in g, is off by; None if none."""
    near = min(_FACTORS, key=lambda factor: abs(log(max(gravity_g, 1e-9) / factor)))
    return near if abs(gravity_g / near - 1) < _NEAR else None


def wrong_gravity(gravity_g: float) -> str:
    """Return what is wrong with gravity at rest, in g, and the likely cause."""
    factor = scale_error(gravity_g)
    cause = "the accelerometer may be dead"
    if factor is not None:
        cause = f"it may be a chip of {1 / factor:g} times the range, such as an LSM6DSO32 for an LSM6DSO"
    got, expected = gravity_g * STANDARD_GRAVITY, STANDARD_GRAVITY
    return f"gravity is {got:.2f} m/s² at rest, expected {expected:.2f}: {cause}"


def in_range(gravity_g: float) -> bool:
    """Tell whether |acc| at rest can be gravity's, in g."""
    return PLAUSIBLE_G[0] <= gravity_g <= PLAUSIBLE_G[1]


class Gravity:
    """Pure state machine over cells; `fault`: what is wrong with gravity since it was last seen at rest, or None."""

    def __init__(self, cell_s: float) -> None:
        self.fault: str | None = None
        self._still, self._fall, self._right = (round(each / cell_s) for each in (_STILL_S, _FALL_S, _RIGHT_S))
        self._wrong = self._good = 0
        self._first: NDArray[np.float32] | None = None

    def push(self, seen: Cell) -> None:
        """Take the next cell."""
        size_g = seen.size / STANDARD_GRAVITY
        self._good = self._good + 1 if _RIGHT_G[0] <= size_g <= _RIGHT_G[1] else 0
        if self._good >= self._right:
            self.fault = None
        acc, gyr = seen.mean[:3], seen.mean[3:]
        still = seen.quiet and not (len(gyr) and float(np.abs(gyr).max()) > _TURNS) and not in_range(size_g)
        if not still or (self._first is not None and float(np.abs(acc - self._first).max()) > _STEADY):
            self._wrong, self._first = 0, None
        if not still:
            return
        self._first = acc if self._first is None else self._first
        self._wrong += 1
        mean_g = float(np.linalg.norm(acc)) / STANDARD_GRAVITY
        if self._wrong >= (self._fall if mean_g < _FALLS_G else self._still):
            self.fault = wrong_gravity(mean_g)
