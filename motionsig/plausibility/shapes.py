"""Columns that are no angular rate, whatever their names say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY

_LENGTHS = (1.0, STANDARD_GRAVITY, 1000.0)
"""Of a gravity vector: in g or as a direction, in m/s², in mg."""
_NEAR = 0.02
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


def _finite(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    finite: NDArray[np.float64] = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
    return finite


def _steady(length: NDArray[np.float64]) -> bool:
    return len(length) > 1 and float(length.std()) < _STEADY * float(length.mean())
