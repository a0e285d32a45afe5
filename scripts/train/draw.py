"""Which windows a batch is made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scripts.train.material import Lessons

SETS_EXPONENT = 0.5
"""A set of n windows is drawn in proportion to n to this power: 1 treats all windows alike, 0 all sets alike."""


class Draw:
    """Draws rows of the lessons; small sets are drawn more often than their size alone would give."""

    def __init__(self, lessons: Lessons) -> None:
        counts = np.bincount(lessons.set_index)
        chance = (counts**SETS_EXPONENT / counts)[lessons.set_index]
        self._below = np.cumsum(chance / chance.sum())

    def __call__(self, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return `count` rows."""
        return np.minimum(np.searchsorted(self._below, rng.random(count)), len(self._below) - 1)
