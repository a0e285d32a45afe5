"""Single garbled samples: a number that contradicts both its neighbours, which agree with each other.

A knock takes longer: what was hit swings, so that the samples after it differ, too. So a sample is left out only if it
stands out from quiet neighbours, by many times what those differ among each other, in one axis alone or by very much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BEFORE, AFTER = 2, 2
"""Samples that a sample is compared with."""
_LEAST = np.array([2.0] * 3 + [1.0] * 3, np.float32)
"""m/s², rad/s by which a garbled sample stands out."""
_QUIET, _QUIETER = 0.1, 0.05
"""Of that: how far its neighbours are apart at most, if one axis stands out, as by a flipped bit; if several do."""
_ALONE = 0.1
_FAR = 5.0
"""By how many times as much several axes stand out: a single sample of a knock without a filter has less."""


def standing_out(data: Floats) -> NDArray[np.bool_]:
    """Return (n,) which of data (n, axes) are garbled: of the rows that have BEFORE before and AFTER after them."""
    found = np.zeros(len(data), np.bool_)
    if len(data) <= BEFORE + AFTER:
        return found
    steps = np.abs(data[1:] - data[:-1]) / _LEAST[: data.shape[1]]
    jumps = steps.max(axis=1)
    # Cheap first: nothing jumps in most blocks.
    sudden = 2 + np.flatnonzero((jumps[1:-2] > 1) & (jumps[2:-1] > 1) & (jumps[:-3] < _QUIET * jumps[1:-2]))
    for at in sudden.tolist():  # a few at most
        found[at] = _stands_out(data[at - BEFORE : at + AFTER + 1] / _LEAST[: data.shape[1]])
    return found


def _stands_out(five: Floats) -> bool:
    """Tell whether the middle one of five samples is garbled, in units of what it must stand out by."""
    around = np.abs(np.stack([five[1] - five[0], five[3] - five[1], five[4] - five[3]])).max()
    second, most = np.sort(np.abs(five[2] - (five[1] + five[3]) / 2))[-2:]
    if most < 1 or around >= _QUIET * most:
        return False
    alone = second < max(_ALONE * most, around)
    return bool(alone or (most > _FAR and around < _QUIETER * most))


def may_be_garbled(data: Floats) -> int:
    """Return how many of the last rows of data (n, axes) wait for what follows: 0, or up to AFTER from a jump on."""
    tail = data[-AFTER - 2 :]
    if len(tail) < 3:
        return 0
    jumps = (np.abs(tail[1:] - tail[:-1]) / _LEAST[: data.shape[1]]).max(axis=1)
    for waiting in range(min(AFTER, len(jumps) - 1), 0, -1):
        if jumps[-waiting] > 1 and jumps[-waiting - 1] < _QUIET * jumps[-waiting]:
            return waiting
    return 0
