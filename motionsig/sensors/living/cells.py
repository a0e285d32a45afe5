"""What is judged: the samples of a quarter of a second, in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CELL_S = 0.25
_LEAST_ROWS = 4
_SAME = np.array([5e-5] * 3 + [2e-6] * 3, np.float32)
"""m/s², rad/s below which two values are equal: less than any chip's step, more than the rounding of interpolation."""
_MOVES = np.array([1.0] * 3 + [0.3] * 3, np.float32)
"""m/s², rad/s between the least and the largest value of a cell in motion: no chip's noise at rest is so wide."""
_QUIET = np.array([0.3] * 3 + [0.1] * 3, np.float32)
"""m/s², rad/s: the most standard deviation at rest. An MPU-6050 has 0.09 and 0.002 (PS-MPU-6000A 3.4, 6.1, 6.2)."""
_DRIFTS = 0.5
"""Of the way it goes: how far it gets at least, if it drifts."""


def cell_rows(rate_hz: float) -> int:
    """Return how many samples are judged together."""
    return max(_LEAST_ROWS, round(CELL_S * rate_hz))


@dataclass(frozen=True, eq=False)
class Cell:
    """Some samples of three or six axes, each compared with the one before.

    changes: (axes,) rows that differ from the row before; any_changes: rows of which any axis does. least: (axes,) the
    least change. drifts: (axes,) whether it went from here to there rather than to and fro. low, high: (axes,) the
    least and the largest value. mean, last: (axes,). size: mean |acc| in m/s². moves: (axes,) whether it is in motion.
    quiet: it is at rest, as far as spread can tell.
    """

    rows: int
    changes: NDArray[np.int64]
    any_changes: int
    least: Floats
    drifts: NDArray[np.bool_]
    low: Floats
    high: Floats
    mean: Floats
    last: Floats
    size: float
    moves: NDArray[np.bool_]
    quiet: bool


def cell(data: Floats, before: Floats) -> Cell:
    """Return what is judged of data (n, axes), n >= 1, which follows the row `before` (axes,)."""
    axes = data.shape[1]
    steps = np.abs(np.diff(data, axis=0, prepend=before[None]))
    changed = steps > _SAME[:axes]
    changes = np.count_nonzero(changed, axis=0)
    last = data[-1]
    if not changes.any():
        none, least = np.zeros(axes, np.bool_), np.full(axes, np.inf, np.float32)
        size = float(np.linalg.norm(last[:3]))
        return Cell(len(data), changes, 0, least, none, last, last, last, last, size, none, quiet=True)
    low, high = data.min(axis=0), data.max(axis=0)
    size = float(np.sqrt(np.einsum("ij,ij->i", data[:, :3], data[:, :3])).mean())
    return Cell(
        rows=len(data),
        changes=changes,
        any_changes=int(np.count_nonzero(changed.any(axis=1))),
        least=np.where(changed, steps, np.inf).min(axis=0),
        drifts=np.abs(last - before) > _DRIFTS * steps.sum(axis=0),
        low=low,
        high=high,
        mean=data.mean(axis=0),
        last=last,
        size=size,
        moves=high - low > _MOVES[:axes],
        quiet=bool((data.std(axis=0) < _QUIET[:axes]).all()),
    )
