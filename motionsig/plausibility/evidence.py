"""What the numbers of a sensor show of their unit."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["decided", "undecided", "impossible"]
"""The numbers fit one unit and no other; they fit several, or show too little; they fit none: see the words."""


class Evidence(NamedTuple):
    """What the numbers of three columns show of their unit.

    * `unit`: as the options take it; the likeliest one where undecided; "" where nothing is likely.
    * `si`: what 1 of it is in m/s² or rad/s, NaN without a unit.
    * `words`: why, for a message: a clause without a full stop.
    """

    verdict: Verdict
    unit: str
    si: float
    words: str


_LARGEST = 1e9
"""Of the numbers of a log, in any unit; a larger one is damaged."""


def sound(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return values (n, k) with NaN for what cannot be a number of a sensor."""
    return np.where(np.abs(values) < _LARGEST, values, np.nan).astype(np.float64, copy=False)


def are_whole(values: NDArray[np.floating]) -> bool:
    """Return whether values (n, ...) are whole numbers that vary, as a chip's counts are."""
    return bool((values == np.rint(values)).all() and np.ptp(values) > 0)
