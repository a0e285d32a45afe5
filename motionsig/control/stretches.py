"""Which windows a stretch of time stands for, where somebody points at it: "this", or "not this"."""

from __future__ import annotations

import numpy as np

from motionsig.blocks import SignatureBatch
from motionsig.conventions import NS_PER_S
from motionsig.lesson import STEP_S

MOST = 64
"""Windows of one stretch."""


def windows_of(made: SignatureBatch, from_ns: int, to_ns: int) -> SignatureBatch:
    """Return the windows whose middle is in the stretch, or else the one that overlaps it most; MOST at most.

    What is at rest is among them: it says that nothing moved.
    """
    middles = made.start_ns + made.spec.length_ns // 2
    chosen = np.flatnonzero((middles >= from_ns) & (middles <= to_ns))
    if not len(chosen) and len(made):
        away = np.abs(middles - (from_ns + to_ns) // 2)
        nearest = int(away.argmin())
        if away[nearest] < (made.spec.length_ns + to_ns - from_ns) // 2:
            chosen = np.array([nearest])
    return made[chosen[:: max(1, -(-len(chosen) // MOST))]]


def about_the_middle(made: SignatureBatch, from_ns: int, to_ns: int, most: int) -> SignatureBatch:
    """Return at most so many windows about the middle of a stretch, some time from each to the next, as in a lesson."""
    away = np.abs(made.start_ns + made.spec.length_ns // 2 - (from_ns + to_ns) // 2)
    chosen = list[int]()
    for row in np.argsort(away, kind="stable").tolist():
        apart = np.abs(made.start_ns[chosen] - made.start_ns[row])
        if len(chosen) < most and bool((apart >= 0.9 * STEP_S * NS_PER_S).all()):
            chosen.append(row)
    return made[sorted(chosen)]
