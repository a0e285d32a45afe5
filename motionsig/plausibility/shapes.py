"""Columns that are no angular rate, whatever their names say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.plausibility.evidence import sound

_LENGTHS = (1.0, STANDARD_GRAVITY, 1000.0)
"""Of a gravity vector: in g or as a direction, in m/s², in mg."""
_NEAR = 0.02
_LEAST_ALTERNATING = 64
_MOST_IN_TURN = 8
_OWN = 0.5
_TAKES_TURNS = 0.05
_STEADY = 0.005
"""Of the standard deviation of a length by its mean: what rounding to a few digits leaves of a constant one."""


def is_gravity(xyz: NDArray[np.floating]) -> bool:
    """Return whether xyz (n, 3) is a direction of gravity: its length is constant, 1 or 9.81 or 1000.

    No angular rate keeps its length to 0.5 %, except for that of a turntable, and of columns that never change.
    """
    length = np.linalg.norm(_finite(xyz), axis=1)
    return _steady(length) and any(abs(float(length.mean()) / each - 1) < _NEAR for each in _LENGTHS)


def is_quaternion(wxyz: NDArray[np.floating]) -> bool:
    """Return whether wxyz (n, 4), in any order, has length 1 throughout."""
    length = np.linalg.norm(_finite(wxyz), axis=1)
    return _steady(length) and abs(float(length.mean()) - 1) < _NEAR


def is_constant(values: NDArray[np.floating]) -> bool:
    """Return whether values (n,) or (n, k) never change; also for NaN alone, and for nothing."""
    finite = values[np.isfinite(values)] if values.ndim == 1 else _finite(values)
    return not len(finite) or bool((finite == finite[0]).all())


def alternating(values: NDArray[np.floating]) -> int:
    """Return of how many sensors in turn the rows (n, k) are; 1 where they are of one.

    The next row of one sensor is nearer than the next row of another: noise and movement alike grow with time.
    """
    rows = _finite(values)
    if len(rows) < _LEAST_ALTERNATING:
        return 1
    rows = rows / np.maximum(np.median(np.abs(rows - np.median(rows, axis=0)), axis=0), 1e-9)
    apart = [float(np.median(np.abs(rows[lag:] - rows[:-lag]).sum(axis=1))) for lag in range(1, 2 * _MOST_IN_TURN + 1)]
    for lag in range(2, _MOST_IN_TURN + 1):
        others = [apart[it - 1] for it in range(1, 2 * lag) if it != lag]
        if max(apart[lag - 1], apart[2 * lag - 1]) < _OWN * min(others):
            return lag
    return 1


def tells_apart(which: NDArray[np.integer], values: NDArray[np.floating]) -> bool:
    """Return whether rows (n, k) with the same number in `which` (n,) are of one sensor, and others of others.

    They must take turns, and each row must be nearer to the last one with its number than to the row before.
    """
    if len(which) < _LEAST_ALTERNATING or (which[1:] != which[:-1]).mean() < _TAKES_TURNS:
        return False
    rows = sound(values)
    order = np.argsort(which, kind="stable")
    own = np.abs(np.diff(rows[order], axis=0)).sum(axis=1)[np.diff(which[order]) == 0]
    following = np.abs(np.diff(rows, axis=0)).sum(axis=1)[which[1:] != which[:-1]]
    own, following = own[np.isfinite(own)], following[np.isfinite(following)]
    return bool(len(own) and len(following) and np.median(own) < _OWN * np.median(following))


def _finite(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    rows = sound(rows)
    return rows[np.isfinite(rows).all(axis=1)]


def _steady(length: NDArray[np.float64]) -> bool:
    return len(length) > 1 and float(length.std()) < _STEADY * float(length.mean())
