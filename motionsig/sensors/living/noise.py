"""How much a sensor's own noise changes its numbers, learned from this very sensor while it lies still.

An axis whose noise is far below its step flips between two counts at most every second time, if the value happens to
lie between them; one that changes more often has noise at any value. So only the latter tells that a run of equal
values is longer than noise allows: the chance of such a run follows from how often the axis changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.living.cells import Cell

_NOISY = 0.6
_SURELY_NOISY = 0.7
"""The same of both other axes of a sensor, which speak for the third."""
_WORST = 0.7
"""Of the mean share of changes, at the value where noise changes least."""
_CERTAIN = 30.0
"""Nats: a chance of 1e-13, once in 10,000 years of cells."""
_KNOWN_ROWS, _REMEMBERED_ROWS = 48, 4000


class Noise:
    """How often each axis changes from sample to sample; cells in which an axis never does tell nothing of it."""

    def __init__(self, axes: int) -> None:
        self._changes = np.zeros(axes)
        self._rows = np.zeros(axes)
        self._any = np.zeros(2)  # rows in which any axis changes, and all rows

    def learn(self, seen: Cell) -> None:
        """Take a cell of a living sensor. A slow movement is no noise."""
        lives = (seen.changes > 0) & ~seen.drifts
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

    def forbids(self, rows: int, axes: slice) -> bool:
        """Tell whether so many equal values in a row of all these axes are longer than noise allows."""
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
        chances = -np.log1p(-_WORST * shares[axes])[noisy[axes]]
        # What is read again has not been measured again, whatever the number of axes.
        return rows * min(float(chances.sum()), -float(np.log1p(-_WORST * anew))) > _CERTAIN
