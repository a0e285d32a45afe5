"""All lines, time over sample index, that violate no bound of the recent past (set membership).

Method: J. O'Rourke 1981, "An on-line algorithm for fitting straight lines between data ranges". Where no line fits, the
clock's rate has changed by more than the bounds are wide: a slight drift, the same for all lines, is searched, and if
none helps the oldest bounds are forgotten. No reading takes less time than the shortest one seen, so the bounds of even
the true line are at least that far apart; demanding this makes drift show early.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S

DRIFT_PER_S = 40e-6
"""How much the rate may change in a second, as a part of it: a swing of 500 ppm in ten minutes reaches 5e-6, a chip
that warms up after power-on a few times that."""
LIKELY_DRIFT_PER_S = 7e-6
"""More is only believed where no smaller drift fits. All likely ones that fit tell how far a line may be off."""
WINDOW_NS = 30 * NS_PER_S
"""Longer, and a clock that wanders by 500 ppm in ten minutes is no parabola any more."""
TOLERANCE_NS = 50_000
"""By how much bounds may contradict each other: a level is latched at a slightly varying place within its reading."""
SEARCH_NS = NS_PER_S
"""A drift is used for so long: it changes slowly, and its search costs a dozen fits."""
BIN_NS = 100_000_000
"""The tightest pair of bounds stands for so long a time; right after the start for a 32nd of the segment's age."""
_PAIRS = 1024
"""Pairs of bounds kept; a full window has about 500."""
_UPPER_INDEX, _UPPER, _LOWER_INDEX, _LOWER = range(4)


class Band(NamedTuple):
    """Lines of one period: from `lower_ns` to `upper_ns` at the index they are measured at."""

    period_ns: float
    upper_ns: float
    lower_ns: float


Bands = tuple[Band, Band, Band]


class Fit(NamedTuple):
    """All lines that violate no bound, by their least, middle and greatest period; relative to (origin, time_ns).

    drift_ns: by how much the period grows with each sample, of all lines alike. more_ns: by how much lines of another
    drift that may be the true one go beyond these, at the last readings.
    """

    made_ns: int
    origin: int
    time_ns: int
    drift_ns: float
    more_ns: float
    bands: Bands

    def span_ns(self, index: int) -> tuple[float, float]:
        """Return the earliest and the latest time of a sample, relative to time_ns."""
        ahead = index - self.origin
        drifted = self.drift_ns / 2 * ahead * ahead
        return (
            min([band.lower_ns + band.period_ns * ahead for band in self.bands]) + drifted,
            max([band.upper_ns + band.period_ns * ahead for band in self.bands]) + drifted,
        )

    def middle_ns(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the times of samples on the middle line, relative to time_ns."""
        ahead = np.asarray(index - self.origin, np.float64)
        _, middle, _ = self.bands
        return (middle.upper_ns + middle.lower_ns) / 2 + (middle.period_ns + self.drift_ns / 2 * ahead) * ahead


class FeasibleLines:
    """Pure state machine: each reading's pair of bounds (see `motionsig.timebase`), and the lines between them."""

    def __init__(self, begun_ns: int) -> None:
        self._begun_ns = begun_ns
        self._bounds = np.empty((4, _PAIRS))
        self._start = self._stop = 0  # the pairs within the window
        self._index0, self._time0_ns = 0, begun_ns  # origin of the bounds
        self._bin_end_ns = 0
        self._count = self._before_ns = self._after_ns = 0  # the last reading
        self._period_ns = 0.0  # the best known by then
        self._drift_ns = self._more_ns = 0.0
        self._search_due_ns = begun_ns + SEARCH_NS

    def note(self, count: int, before_ns: int, after_ns: int, period_ns: float) -> None:
        """Keep the bounds of a reading: as a new pair, or in the last pair where they are tighter for this period."""
        self._count, self._before_ns, self._after_ns, self._period_ns = count, before_ns, after_ns, period_ns
        if self._stop == _PAIRS:
            self._move_to_front()
        bounds = self._bounds
        index = count - self._index0
        upper: float = after_ns - self._time0_ns if count > 0 else np.inf
        lower: float = before_ns - self._time0_ns
        if after_ns >= self._bin_end_ns:
            self._bin_end_ns = after_ns + min(BIN_NS, (after_ns - self._begun_ns) // 32)
            bounds[:, self._stop] = index - 1, upper, index, lower
            self._stop += 1
            return
        last = self._stop - 1
        if upper - period_ns * (index - 1) < bounds[_UPPER, last] - period_ns * bounds[_UPPER_INDEX, last]:
            bounds[_UPPER_INDEX, last], bounds[_UPPER, last] = index - 1, upper
        if lower - period_ns * index > bounds[_LOWER, last] - period_ns * bounds[_LOWER_INDEX, last]:
            bounds[_LOWER_INDEX, last], bounds[_LOWER, last] = index, lower

    def _move_to_front(self) -> None:
        """Drop the oldest bounds and move the origin along: int64 nanoseconds of years do not fit a float."""
        kept = self._bounds[:, max(self._start, _PAIRS // 2) : self._stop].copy()
        index, time_ns = int(kept[_LOWER_INDEX, 0]), int(kept[_LOWER, 0])
        kept[[_UPPER_INDEX, _LOWER_INDEX]] -= index
        kept[[_UPPER, _LOWER]] -= time_ns
        self._index0 += index
        self._time0_ns += time_ns
        self._start, self._stop = 0, kept.shape[1]
        self._bounds[:, : self._stop] = kept

    def fit(self, shortest_ns: int, limits_ns: tuple[float, float], *, forget: bool) -> Fit | None:
        """Return the lines that fit the longest part of the recent past that any lines fit; may change the drift.

        shortest_ns: of all readings. limits_ns: the least and the greatest period. Where no line fits, the oldest
        bounds are given up; without `forget`, the answer is None.
        """
        oldest_ns = self._after_ns - WINDOW_NS - self._time0_ns
        while self._start < self._stop - 1 and self._bounds[_LOWER, self._start] < oldest_ns:
            self._start += 1
        apart_ns = shortest_ns - TOLERANCE_NS
        bands = None if self._after_ns >= self._search_due_ns else self._bands(self._drift_ns, apart_ns, limits_ns)
        while not bands:
            bands = self._search_drift(apart_ns, limits_ns)
            if not bands:
                if not forget:
                    return None
                self._forget()
        origin = self._index0 + int(self._bounds[_LOWER_INDEX, self._stop - 1])
        return Fit(self._after_ns, origin, self._time0_ns, self._drift_ns, self._more_ns, bands)

    def _forget(self) -> None:
        pairs = self._stop - self._start
        if pairs > 1:
            self._start += max(1, pairs // 8)
        else:
            # The two bounds may stem from two readings; one reading does not contradict itself.
            self._bin_end_ns, self._stop = 0, self._start
            self.note(self._count, self._before_ns, self._after_ns, self._period_ns)

    def _search_drift(self, apart_ns: float, limits_ns: tuple[float, float]) -> Bands | None:
        """Take the middle of the drifts that fit and are likely, or else of those that fit; return its lines, if any.

        The middle is about zero where the window is too short to tell.
        """
        self._search_due_ns = self._after_ns + SEARCH_NS
        likely, limit = (part * self._period_ns**2 / NS_PER_S for part in (LIKELY_DRIFT_PER_S, DRIFT_PER_S))

        def lines(drift_ns: float) -> Bands | None:
            return self._bands(drift_ns, apart_ns, limits_ns)

        def last_that_fits(fitting: float, end: float) -> float:
            # Those that fit are an interval.
            if lines(end):
                return end
            for _ in range(5):
                tried = (fitting + end) / 2
                fitting, end = (tried, end) if lines(tried) else (fitting, tried)
            return fitting

        tried = [max(-likely, min(likely, self._drift_ns))]
        tried += [most * part / 4 for most in (likely, limit) for part in (0, -1, 1, -2, 2, -3, 3, -4, 4)]
        first = next(filter(lines, tried), None)
        if first is None:
            self._drift_ns = self._more_ns = 0.0
            return lines(0.0)
        most = likely if abs(first) <= likely else limit
        ends = last_that_fits(first, -most), last_that_fits(first, most)
        self._drift_ns = sum(ends) / 2
        bands = lines(self._drift_ns)
        if bands:
            low_ns, high_ns = _reach_ns(bands)
            others = [_reach_ns(other) for other in map(lines, ends) if other]
            self._more_ns = max(0.0, *(max(low_ns - low, high - high_ns) for low, high in others))
        return bands

    def _bands(self, drift_ns: float, apart_ns: float, limits_ns: tuple[float, float]) -> Bands | None:
        """Return the lines with this drift that violate no bound, measured at the last pair's index."""
        window = self._bounds[:, self._start : self._stop].copy()
        window[[_UPPER_INDEX, _LOWER_INDEX]] = index = window[[_UPPER_INDEX, _LOWER_INDEX]] - window[_LOWER_INDEX, -1]
        window[[_UPPER, _LOWER]] -= drift_ns / 2 * index * index
        shortest_ns, longest_ns = limits_ns
        least = _outermost(window, apart_ns, shortest_ns, longest_ns)
        most = _outermost(window, apart_ns, longest_ns, shortest_ns) if least else None
        if not least or not most:
            return None
        middle, _ = _band(window, (least.period_ns + most.period_ns) / 2)
        return least, middle, most


def _reach_ns(bands: Bands) -> tuple[float, float]:
    """Return the earliest and the latest that these lines are at the index that they are measured at."""
    return min(band.lower_ns for band in bands), max(band.upper_ns for band in bands)


def _band(window: NDArray[np.float64], period_ns: float) -> tuple[Band, float]:
    """Return the lines of this period between the bounds, and how fast their band's height grows with the period."""
    above = window[_UPPER] - period_ns * window[_UPPER_INDEX]
    below = window[_LOWER] - period_ns * window[_LOWER_INDEX]
    top, bottom = int(above.argmin()), int(below.argmax())
    growth = window[_LOWER_INDEX, bottom] - window[_UPPER_INDEX, top]
    return Band(period_ns, float(above[top]), float(below[bottom])), float(growth)


def _outermost(window: NDArray[np.float64], apart_ns: float, from_ns: float, to_ns: float) -> Band | None:
    """Return the first period from `from_ns` towards `to_ns` whose band is `apart_ns` high, or None."""
    # A band's height is a concave, piecewise linear function of the period: Newton's steps from outside never pass the
    # answer, and end on it.
    period_ns = from_ns
    while True:
        band, growth = _band(window, period_ns)
        missing_ns = apart_ns - (band.upper_ns - band.lower_ns)
        if missing_ns <= 1:
            return band
        if growth * (to_ns - from_ns) <= 0:
            return None
        period_ns += missing_ns / growth
        if abs(period_ns - from_ns) > abs(to_ns - from_ns):
            return None
