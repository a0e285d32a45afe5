"""How many samples a second, where no clock says so: the rate at which turning back by the angular rate keeps gravity.

Turned by omega * dt from sample to sample, the accelerations of a few seconds are those of one frame, in which gravity
stands still. A dt that is too long or too short leaves them more unlike their mean. So the rate is the one that leaves
least of their variance: of its logarithm, so that windows in which a body turns and is hardly pushed count most. How
much the windows differ among each other says how sure that is.

Only omega * dt is seen: half the rate is the same as twice the angular rate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.plausibility.evidence import sound
from motionsig.plausibility.rotation import Turns, turns_in_rows

_GRID = np.geomspace(8.0, 1200.0, 63)
"""Hz, in steps of 8 %; a parabola finds the place between them."""
_WINDOW_S = 3.0
_LIKE = 2.7
"""A window of so many times as long, or of that part, still shows the rate."""
_STEPS = 64
_WIDTHS = (1, 2, 4, 8, 16, 32)
_LEAST_WINDOWS = 4
_FLOOR = 0.6
"""m/s²: a variance of less is no better."""
_GAIN = 0.2
"""By which the logarithm of the variance must fall at the mean, against no turning: less is chance as well."""
_RESAMPLED = 100
_SYSTEMATIC = 0.12
"""What windows have in common: a body that turns is pushed as it turns, and sensors have errors of scale."""
_USUAL = (
    (10.0, 20.0, 25.0, 50.0, 100.0, 200.0, 400.0, 500.0, 1000.0),
    (15.0, 26.0, 30.0, 40.0, 52.0, 60.0, 80.0, 104.0, 119.0, 120.0, 125.0, 128.0, 208.0, 238.0, 240.0, 250.0, 256.0),
    (
        12.5,
        31.25,
        33.0,
        62.5,
        64.0,
        75.0,
        102.4,
        112.0,
        148.0,
        150.0,
        204.8,
        225.0,
        300.0,
        416.0,
        476.0,
        512.0,
        800.0,
        833.0,
    ),
)
"""Hz, the commonest first: each further row is `_RARER` times less likely."""
_RARER = 2.5


class SeenRate(NamedTuple):
    """A rate in Hz, and between which rates it is, about nine times of ten."""

    rate_hz: float
    low: float
    high: float

    @property
    def usual(self) -> float:
        """The likeliest of the rates that sensors are usually read with, else the rate in whole Hz."""
        spread = np.log(self.high / self.low) / 3.3
        rated = [
            (-0.5 * (np.log(rate / self.rate_hz) / spread) ** 2 - row * np.log(_RARER), rate)
            for row, rates in enumerate(_USUAL)
            for rate in rates
            if self.low <= rate <= self.high
        ]
        return float(max(rated)[1]) if rated else float(np.rint(self.rate_hz))


def rate_by_turns(acc: NDArray[np.floating], gyr: NDArray[np.floating]) -> SeenRate | None:
    """Return the rate of acc (n, 3) in m/s² and gyr (n, 3) in rad/s, NaN where rows are missing; None where unseen."""
    acc, gyr = sound(acc), sound(gyr)
    found: list[tuple[float, SeenRate]] = []
    for width in _WIDTHS:
        if len(acc) < _LEAST_WINDOWS * width * _STEPS:
            break
        pace = _by_windows(turns_in_rows(acc, gyr, width * _STEPS))
        if pace is not None:
            found.append((abs(np.log(width * _STEPS / pace.rate_hz / _WINDOW_S)), pace))
    off, pace = min(found, key=lambda each: each[0], default=(np.inf, None))
    return pace if off < np.log(_LIKE) else None


def _by_windows(seen: Turns) -> SeenRate | None:
    """Return the rate by windows whose dt is counted in rows."""
    if len(seen.acc) < _LEAST_WINDOWS:
        return None
    power = (seen.acc**2).sum(axis=2).mean(axis=1)
    kept = np.stack([seen.gravity(1 / rate) ** 2 for rate in _GRID], axis=1)
    gain = -np.log(np.maximum(power[:, None] - kept, 0) + _FLOOR**2)
    unturned = (seen.acc.mean(axis=1) ** 2).sum(axis=1)
    gain += np.log(power - unturned + _FLOOR**2)[:, None]
    curve = gain.mean(axis=0)
    best = int(curve.argmax())
    if not 0 < best < len(_GRID) - 1 or curve[best] < _GAIN:
        return None
    chosen = np.random.default_rng(0).integers(0, len(gain), (_RESAMPLED, len(gain)))
    rates = [_peak(gain[each].mean(axis=0)) for each in chosen]
    low, high = np.percentile(rates, (5, 95))
    rate = _peak(curve)
    return SeenRate(rate, float(min(low, rate) / (1 + _SYSTEMATIC)), float(max(high, rate) * (1 + _SYSTEMATIC)))


def _peak(curve: NDArray[np.float64]) -> float:
    at = int(curve.argmax())
    if not 0 < at < len(curve) - 1:
        return float(_GRID[at])
    before, here, after = curve[at - 1 : at + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(_GRID[at] * (_GRID[1] / _GRID[0]) ** shift)
