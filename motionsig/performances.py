"""Where somebody performed a motion: from samples on the grid to the moments between two rests.

Whoever teaches a motion performs it a few times with a rest before and after. What a rest is depends on the sensor and
on where it is worn, so it is told from the lesson itself: as much as moves in the quietest fifth of it. Motion is what
is several times that, by acceleration or by angular rate; pauses within a motion, as between two knocks, are shorter
than the rests between two performances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.quality import NOISE

REST_S = 0.6
"""A rest between two performances lasts at least so long; a pause within one is shorter."""
SHORTEST_S = 0.1
"""What moves for less is a bump."""
EDGE_S = 0.2
"""What moves less than that after the first sample, or before the last one, may have been cut off."""

_SMOOTH_S = 0.16  # over so much time, how much moves is averaged
_GRAVITY_S = 0.24  # gravity is what acceleration is on average over this time; a longer one blurs where a motion ends
_QUIET_SHARE = 0.2
_TIMES_QUIET = 4.0
_LEAST = 3.0  # times a sensor's own noise
_MOST_OF_PEAK = 0.3  # in a lesson with hardly any rest, the quietest fifth is motion
_OVER_OF_PEAK = 0.05  # a motion is over with so little of the strongest one: averaging blurs that over the rest


class Performance(NamedTuple):
    """One performance: its first sample, the one after its last, and the one in the middle of what moves.

    whole: it begins and ends with a rest.
    """

    begin: int
    end: int
    middle: int
    whole: bool


def intensity(data: NDArray[np.float32], rate_hz: float) -> NDArray[np.float64]:
    """Return (n,) how much moves around each of n samples: root mean square, in units of a sensor's own noise.

    data: (n, 6) in m/s² and rad/s, uniform, without a gap.
    """
    samples = data.astype(np.float64)
    samples[:, :3] -= _averaged(samples[:, :3], round(_GRAVITY_S * rate_hz))
    squares = (samples**2).reshape(len(data), 2, 3).sum(axis=2) / NOISE.astype(np.float64) ** 2
    return np.asarray(np.sqrt(_averaged(squares, round(_SMOOTH_S * rate_hz)).sum(axis=1)))


def find_performances(data: NDArray[np.float32], rate_hz: float) -> list[Performance]:
    """Return the performances in n samples, in order; none for none.

    data: (n, 6) in m/s² and rad/s, uniform, without a gap. While a lesson goes on, the last one may do so, too, until
    REST_S have passed without motion.
    """
    if not len(data):
        return []
    moves = intensity(data, rate_hz)
    quiet, peak = np.quantile(moves, [_QUIET_SHARE, 0.99]).tolist()
    level = max(_LEAST, min(_TIMES_QUIET * quiet, _MOST_OF_PEAK * peak))
    level = max(level, _OVER_OF_PEAK * peak)
    over = max(level / 2, _OVER_OF_PEAK * peak)
    edge = EDGE_S * rate_hz
    found = []
    # From above the level until it stays well below it.
    for begin, end in _runs(moves > over, round(REST_S * rate_hz)):
        peaks = np.flatnonzero(moves[begin:end] > level)
        if len(peaks) and peaks[-1] + 1 - peaks[0] >= SHORTEST_S * rate_hz:
            energy = moves[begin:end] ** 2
            middle = begin + round(float(energy @ np.arange(len(energy)) / energy.sum()))
            found.append(Performance(begin, end, middle, begin >= edge and len(data) - end >= edge))
    return found


def _runs(moving: NDArray[np.bool_], rest: int) -> list[tuple[int, int]]:
    """Return the runs in which samples move, where less than `rest` without motion does not end one."""
    edges = np.flatnonzero(np.diff(moving, prepend=False, append=False)).reshape(-1, 2).tolist()
    runs: list[tuple[int, int]] = []
    for begin, end in edges:
        if runs and begin - runs[-1][1] < rest:
            runs[-1] = runs[-1][0], end
        else:
            runs.append((begin, end))
    return runs


def _averaged(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the moving average over `count` rows around each of values (n, c); over fewer at both ends."""
    half = max(1, count) // 2
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    rows = np.arange(len(values))
    low, high = np.maximum(rows - half, 0), np.minimum(rows + half + 1, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low)[:, None])
