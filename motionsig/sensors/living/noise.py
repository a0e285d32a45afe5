"""How much a sensor's own noise changes its numbers, learned from this very sensor while it lies still.

An axis whose noise is far below its step flips between two counts at most every second time, if the value happens to
lie between them; one that changes more often has noise at any value, or something shakes it. If its steps are finer
than the noise of the quietest chip, it is noise: then the chance of a run of equal values follows from how often the
axis changes.
"""

from __future__ import annotations

from math import erfc, log1p, radians

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.living.cells import Cell

_NOISY = 0.6
_SURELY_NOISY = 0.7
"""The same of both other axes of a sensor, which speak for the third."""
_WORST = 0.8
"""Of the mean share of changes, at the value where noise changes least."""
_CERTAIN = 23.0
"""Nats: a chance of 1e-10."""
_KNOWN_ROWS, _REMEMBERED_ROWS = 24, 4000
_MOST_ANEW = 0.98
_QUIETEST = np.array([60e-6 * STANDARD_GRAVITY, radians(2.5e-3)])
"""m/s² and rad/s per root Hz: less than of any chip here (ICM-42688-P: 70e-6 g, 2.8e-3 deg/s, DS-000347 3.1)."""
_SHOWS = 0.4
"""Of a step: the standard deviation of noise that changes numbers all the time."""


class Steps:
    """How fine the numbers of accelerometer and gyroscope are: by the least change that was seen."""

    def __init__(self, rate_hz: float, axes: int) -> None:
        # A filter may leave half of what the rate allows.
        self._noise = _QUIETEST[: axes // 3] * (rate_hz / 4) ** 0.5
        self.quietest = float(self._noise[0]) if axes else 0.0
        """m/s²: standard deviation of the quietest accelerometer's noise."""
        self._least = np.full(axes // 3, np.inf)

    def learn(self, seen: Cell) -> None:
        """Take a cell."""
        self._least = np.minimum(self._least, seen.least.reshape(-1, 3).min(axis=1))

    def impossible(self, rows: int, axis: int, step: float) -> bool:
        """Tell whether even the quietest chip's noise changes one of three axes within so many rows, at any value."""
        kind = axis // 3
        grain = min(step, float(self._least[kind]))
        # At a value in the middle of a step noise has to reach half a step.
        chance = erfc(grain / 2 / float(self._noise[kind]) / 2**0.5)
        return -rows * 3 * log1p(-min(chance, 0.9)) > _CERTAIN

    def fine(self) -> NDArray[np.bool_]:
        """Return (axes,) whether even the quietest chip's noise shows in each axis."""
        return np.repeat(self._noise > _SHOWS * self._least, 3)


class Noise:
    """How often each axis changes from sample to sample; cells in which an axis never does tell nothing of it."""

    def __init__(self, axes: int) -> None:
        self._changes = np.zeros(axes)
        self._rows = np.zeros(axes)
        self._any = np.zeros(2)  # rows in which any axis changes, and all rows

    def learn(self, seen: Cell, which: NDArray[np.bool_]) -> None:
        """Take a cell of a living sensor, of `which` axes (axes,)."""
        lives = (seen.changes > 0) & which
        self._changes += np.where(lives, seen.changes, 0)
        self._rows += np.where(lives, seen.rows, 0)
        self._any += (seen.any_changes, seen.rows)
        if self._any[1] > _REMEMBERED_ROWS:
            self._changes, self._rows, self._any = self._changes / 2, self._rows / 2, self._any / 2

    def shares(self) -> NDArray[np.float64]:
        """Return (axes,) the share of samples that differ from the one before; 0 where too few are known."""
        return np.where(self._rows >= _KNOWN_ROWS, self._changes / np.maximum(self._rows, 1), 0.0)

    def repeats(self) -> float:
        """Return the share of samples in which any axis differs: less than 1 where a sensor is read too often."""
        return float(self._any[0] / max(1.0, self._any[1]))

    def forbids(self, rows: int, which: NDArray[np.bool_]) -> bool:
        """Tell whether so many equal values in a row of `which` axes (axes,) are longer than noise allows."""
        anew, shares = self.repeats(), self.shares()
        if not anew:
            return False
        noisy = shares > _NOISY * anew
        for first in range(0, len(shares), 3):
            kind = shares[first : first + 3]
            for axis in range(3):
                others = np.delete(kind, axis)
                if not noisy[first + axis] and kind[axis] == 0 and (others > _SURELY_NOISY * anew).all():
                    noisy[first + axis], shares[first + axis] = True, others.min()
        chances = -np.log1p(-_WORST * shares[noisy & which])
        # What is read again has not been measured again, whatever the number of axes.
        return rows * min(float(chances.sum()), -float(np.log1p(-min(anew, _MOST_ANEW)))) > _CERTAIN
