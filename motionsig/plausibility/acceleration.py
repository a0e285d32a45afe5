"""Which unit an acceleration is in, and whether gravity is in it: what is at rest, or moves to and fro, shows 1 g."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.plausibility.evidence import Evidence, are_whole, sound

_WINDOW_S = 2.0
_REST_SPREAD = 0.04
"""Of |mean acc|: the standard deviation of all axes together within a window at rest."""
_STEADY = 0.75
"""|mean acc| by mean |acc| of the steadiest windows: gravity is the larger part of it."""
_GONE = 0.35
"""The same of an acceleration without gravity, whose mean over seconds is about 0 while it moves."""
_NEAR = 0.08
"""How far a sensor that nobody calibrated is off 1 g."""
_NEAR_MOVING = 0.3
_ALIKE = 0.1
"""Spread of |mean acc| over windows at rest, by its mean: each axis has its own error of scale and offset."""
_MUCH = 0.4
_SPREAD_MOVING = 0.5
"""Of |mean acc|, in the steadiest windows: the same."""
_UNEVEN = 0.15
"""Of the mean of |mean acc| over all windows: turned gravity keeps its size, a slow push does not. A slow arm without
gravity has about 1 m/s², which is not to be taken for 1 g."""
_UNITS = {"m/s^2": STANDARD_GRAVITY, "g": 1.0, "mg": 1000.0}
_COUNTS = {f"1/{per} g": float(per) for per in (256, 512, 2048, 4096, 8192, 16384)}
"""1/1024 g is left out, as mg lies beside it."""
_BOTH = (960.0, 1050.0)
"""Whole numbers that may be mg, 1/1024 g or 0.01 m/s²."""
_BETWEEN = 1012.0
_TURNED = 0.7
"""Of the sphere's radius: how far apart directions at rest must lie to be another orientation."""
_ORIENTATIONS = 4
_SAME = 0.03
"""Spread of |acc| over orientations, by its mean, of a scale."""


class Rests(NamedTuple):
    """Windows of acceleration: mean (w, 3), |mean| by mean |acc| (w,), and spread by |mean| (w,)."""

    mean: NDArray[np.float64]
    steady: NDArray[np.float64]
    spread: NDArray[np.float64]


def rests(acc: NDArray[np.floating], rate_hz: float) -> Rests:
    """Return the windows of acc (n, 3) that have no NaN, in the order of their spread."""
    rows = max(1, min(len(acc), round(_WINDOW_S * rate_hz)))
    count = len(acc) // rows
    windows = acc[: count * rows].reshape(count, rows, 3)
    windows = windows[np.isfinite(windows).all(axis=(1, 2))].astype(np.float64)
    mean = windows.mean(axis=1)
    size = np.linalg.norm(mean, axis=1)
    least = sys.float_info.min
    spread = np.sqrt(windows.var(axis=1).sum(axis=1)) / np.maximum(size, least)
    steady = size / np.maximum(np.linalg.norm(windows, axis=2).mean(axis=1), least)
    order = np.argsort(spread, kind="stable")
    return Rests(mean[order], steady[order], spread[order])


def acc_scales(acc: NDArray[np.floating], rate_hz: float) -> Evidence:
    """Return which unit acc (n, 3), as the log has it, is in; NaN where rows are missing.

    "impossible": gravity is not in it, as in a phone's linear acceleration, or it never changes.
    """
    acc = sound(acc)
    # What is missing now and then leaves most windows whole; a logger writes zeros until its sensor has started.
    finite = acc[np.isfinite(acc).all(axis=1)]
    finite = finite[finite.any(axis=1)] if finite.any() else finite
    seen = rests(finite, rate_hz)
    if not len(seen.mean):
        return Evidence("undecided", "", np.nan, "there are too few samples")
    if not (finite != finite[0]).any() and len(finite) > 1:
        return Evidence("impossible", "", np.nan, "it never changes: there is no accelerometer behind these columns")
    resting = seen.spread < _REST_SPREAD
    everywhere = np.linalg.norm(seen.mean, axis=1)
    size = everywhere[resting]
    # A steady push is no gravity: then what moves shows another size, and windows at rest differ.
    if len(size) and size.std() < _ALIKE * size.mean() and abs(np.log(np.median(everywhere) / size.mean())) < _MUCH:
        return _at_rest(float(np.median(size)), size, seen.mean[resting], whole=are_whole(finite))
    quiet = slice(max(1, len(seen.spread) // 4))
    share = float(np.median(seen.steady[quiet]))
    typical = float(np.median(np.linalg.norm(seen.mean[quiet], axis=1)))
    if share < _GONE:
        words = f"of {typical / share:.3g} on average only {typical:.3g} is steady: gravity seems removed"
        return Evidence("impossible", "", np.nan, words)
    units = {**_UNITS, **(_COUNTS if are_whole(finite) else {})}
    unit = min(units, key=lambda name: abs(np.log(typical / units[name])))
    near = abs(np.log(typical / units[unit])) < np.log(1 + _NEAR_MOVING)
    si = STANDARD_GRAVITY / units[unit]
    words = f"what is steady while it moves is {typical:.4g}, {_one_g(units[unit], unit)}"
    uneven = everywhere.std() > _UNEVEN * everywhere.mean() or float(np.median(seen.spread[quiet])) > _SPREAD_MOVING
    if unit in _COUNTS or share < _STEADY or not near or (uneven and unit != "m/s^2"):
        return Evidence("undecided", unit if near else "", si if near else np.nan, words)
    return Evidence("decided", unit, si, words)


def _one_g(one: float, unit: str) -> str:
    return f"and gravity is {one:.5g} in {unit}"


def _at_rest(gravity: float, size: NDArray[np.float64], mean: NDArray[np.float64], *, whole: bool) -> Evidence:
    words = f"at rest it is {gravity:.4g}"
    turned = _orientations(mean / size[:, None])
    scale = turned >= _ORIENTATIONS and float(size.std()) < _SAME * gravity
    for unit, one in _UNITS.items():
        if abs(gravity / one - 1) < _NEAR:
            if whole and _BOTH[0] < gravity < _BOTH[1]:
                words = f"{words}, which may be mg, 1/1024 g or 0.01 m/s^2"
                unit, one = ("mg", 1000.0) if gravity < _BETWEEN else ("1/1024 g", 1024.0)
                return Evidence("undecided", unit, STANDARD_GRAVITY / one, words)
            return Evidence("decided", unit, STANDARD_GRAVITY / one, f"{words}, {_one_g(one, unit)}")
    if whole:
        unit = min(_COUNTS, key=lambda name: abs(np.log(gravity / _COUNTS[name])))
        if abs(gravity / _COUNTS[unit] - 1) < _NEAR:
            # The counts of a chip are powers of two; one orientation tells them apart, for offsets are smaller.
            return Evidence(
                "decided",
                unit,
                STANDARD_GRAVITY / _COUNTS[unit],
                f"{words}, and gravity is {_COUNTS[unit]:.0f} in counts of {unit}",
            )
    if scale:
        unit = f"1/{gravity:.5g} g"
        return Evidence(
            "decided", unit, STANDARD_GRAVITY / gravity, f"{words} in {turned} orientations, so this is 1 g"
        )
    if gravity < 0.2 * STANDARD_GRAVITY and not whole:
        return Evidence("undecided", "", np.nan, f"{words}, which is 1 g in no usual unit: gravity may be removed")
    unit = f"1/{gravity:.5g} g"
    return Evidence(
        "undecided", unit, STANDARD_GRAVITY / gravity, f"{words} in too few orientations to be sure that it is 1 g"
    )


def _orientations(directions: NDArray[np.float64]) -> int:
    """Return how many of directions (w, 3) are far from each other."""
    found: list[NDArray[np.float64]] = []
    for each in directions:
        if all(np.linalg.norm(each - other) > _TURNED for other in found):
            found.append(each)
            if len(found) == _ORIENTATIONS:
                break
    return len(found)
