"""Single garbled samples: a number that contradicts both its neighbours, which agree with each other.

A knock takes longer: what was hit swings, so that the samples after it differ, too. So a sample is left out only if it
stands out from quiet neighbours, by many times what those differ among each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BEFORE, AFTER = 2, 2
"""Samples that a sample is compared with."""
_LEAST = np.array([2.0] * 3 + [1.0] * 3, np.float32)
"""m/s², rad/s by which a garbled sample stands out."""
_TIMES = 10.0
"""As many times as far as its neighbours are apart."""
_MOST = 1 / _TIMES


def standing_out(data: Floats) -> NDArray[np.bool_]:
    """Return (n,) which of data (n, axes) are garbled: of the rows that have BEFORE before and AFTER after them."""
    found = np.zeros(len(data), np.bool_)
    if len(data) <= BEFORE + AFTER:
        return found
    steps = np.abs(data[1:] - data[:-1]) / _LEAST[: data.shape[1]]
    jumps = steps.max(axis=1)
    # Cheap first: nothing jumps in most blocks.
    sudden = 1 + np.flatnonzero((jumps[1:-2] > 1) & (jumps[2:-1] > 1) & (jumps[:-3] < _MOST * jumps[1:-2]))
    for at in (sudden + 1).tolist():  # a few at most
        across = float((np.abs(data[at + 1] - data[at - 1]) / _LEAST[: data.shape[1]]).max())
        least = min(float(jumps[at - 1]), float(jumps[at]))
        found[at] = max(float(jumps[at - 2]), across, float(jumps[at + 1])) < _MOST * least
    return found


def may_be_garbled(data: Floats) -> int:
    """Return how many of the last rows of data (n, axes) wait for what follows: 0, or up to AFTER from a jump on."""
    tail = data[-AFTER - 2 :]
    if len(tail) < 3:
        return 0
    jumps = (np.abs(tail[1:] - tail[:-1]) / _LEAST[: data.shape[1]]).max(axis=1)
    for waiting in range(min(AFTER, len(jumps) - 1), 0, -1):
        if jumps[-waiting] > 1 and jumps[-waiting - 1] < _MOST * jumps[-waiting]:
            return waiting
    return 0
