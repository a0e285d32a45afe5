"""The time of each numbered sample of a device, from when it arrived at this machine.

A sample arrives late, never early: after its time on the wire, which is known, a USB adapter keeps it for up to 16 ms
and a busy machine for longer. So the samples lie on the line through (number, arrival) below which no arrival is, and
which is the nearest to all of them: an edge of the lower convex hull (the usual estimate of a clock's skew over a
network: Moon, Skelly, Towsley, INFOCOM 1999). What remains unknown is the least time that the adapter takes: by so much
all times are late. If that grows and stays so, the line follows within a minute.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S

_BIN_NS, _BINS = 250_000_000, 240
"""Of each quarter of a second in the last minute, the earliest arrival is kept."""
_UNSURE_NS = 5 * NS_PER_S
"""In a line shorter than this, the known period counts as far as the jitter of arrivals allows it."""
SPREAD = 0.10
"""How far the rate may be from the nominal one."""
_SLEW_NS = NS_PER_S
"""Time in which a correction of the line reaches the times to 63 %."""
_LATELY = 8
"""Quarters of a second in which some arrival should lie on the line."""


class Line:
    """Pure: arrivals (number, ns of a monotonic clock) in, times out. last_ns: the last time given out, or None.

    Numbers count from 0 after each `begin`; the period is kept. spread: how far the rate may be from `rate_hz`.
    """

    def __init__(self, rate_hz: float, *, spread: float = SPREAD) -> None:
        self._nominal_ns = self.period_ns = NS_PER_S / rate_hz
        self._spread = spread
        self.last_ns: int | None = None
        self.begin(0)

    def begin(self, origin_ns: int) -> None:
        """Forget where the samples lie; origin_ns: a time near to number 0."""
        self._origin_ns = origin_ns
        self._phase_ns = 0.0
        self._bins: dict[int, tuple[int, int]] = {}  # number and arrival of the earliest in each
        self._scatter_ns = 0.0  # while that matters
        self._last_index: int | None = None

    def forget_rate(self) -> None:
        self.period_ns = self._nominal_ns

    @property
    def drawn(self) -> bool:
        """Whether any arrival has been noted since `begin`."""
        return bool(self._bins)

    @property
    def rate_hz(self) -> float:
        """The rate that the arrivals show; nominal before there are enough."""
        return NS_PER_S / self.period_ns

    @property
    def late_ns(self) -> float:
        """About how much times may be off.

        All arrivals of the last two seconds lie so far behind the line; or, at first, the earliest scatter so much.
        """
        if not self._bins:
            return 0.0
        lately = np.array([self._bins[key] for key in sorted(self._bins)[-_LATELY:]])
        return max(self._scatter_ns, float(self.behind_ns(lately[:, 0], lately[:, 1]).min()))

    def behind_ns(self, index: NDArray[np.int64], latest_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how far samples (n,) lie behind the line."""
        return np.asarray(latest_ns - self._origin_ns - self._at(index), np.float64)

    def lost_before(self, index: int) -> int:
        """Return how many samples, by time, are missing between the last one and the first after `begin`."""
        if self._last_index is not None or self.last_ns is None:
            return 0
        first_ns = self._origin_ns + float(self._at(np.array([index]))[0])
        return max(0, round((first_ns - self.last_ns) / self.period_ns) - 1)

    def stamp(self, index: NDArray[np.int64], latest_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return times that increase strictly, also from call to call, and approach a better line slowly."""
        times = self._at(index)
        if self._last_index is not None and self.last_ns is not None:
            last = float(self._at(np.array([self._last_index]))[0])
            times += (self.last_ns - self._origin_ns - last) * np.exp((last - times) / _SLEW_NS)
        stamps = np.minimum(self._origin_ns + np.floor(times).astype(np.int64), latest_ns)
        if self.last_ns is not None:
            stamps = np.maximum(stamps, self.last_ns + 1 + np.arange(len(stamps)))
        self._last_index, self.last_ns = int(index[-1]), int(stamps[-1])
        return np.asarray(stamps)

    def note(self, index: NDArray[np.int64], latest_ns: NDArray[np.int64]) -> None:
        """Keep the earliest of each quarter of a second, and draw the line below all of them."""
        behind = latest_ns - self._origin_ns - np.rint(index * self._nominal_ns)
        cells = (index * self._nominal_ns // _BIN_NS).astype(np.int64)
        for cell in np.unique(cells).tolist():
            rows = np.flatnonzero(cells == cell)
            at = rows[behind[rows].argmin()]
            new, old = (int(index[at]), int(latest_ns[at])), self._bins.get(cell)
            if old is None or new[1] - old[1] < (new[0] - old[0]) * self._nominal_ns:
                self._bins[cell] = new
        for cell in sorted(self._bins)[:-_BINS]:
            del self._bins[cell]
        self._fit()

    def lower(self, behind_ns: NDArray[np.float64]) -> None:
        """Move the line so that none of the samples (n,) is before it: nothing arrives before it was taken."""
        self._phase_ns += min(0.0, float(behind_ns.min()))

    def _at(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(self._phase_ns + index * self.period_ns, np.float64)

    def _fit(self) -> None:
        points = np.array([self._bins[key] for key in sorted(self._bins)], np.float64)
        index, times = points[:, 0], points[:, 1] - self._origin_ns
        period_ns, self._scatter_ns = self.period_ns, 0.0
        if len(index) > 1:
            least_ns, most_ns = self._nominal_ns / (1 + self._spread), self._nominal_ns / (1 - self._spread)
            period_ns = _edge(index, times, least_ns, most_ns)
            rest = times - period_ns * index
            span = index[-1] - index[0]
            if span * self._nominal_ns < _UNSURE_NS:
                self._scatter_ns = float(np.ptp(rest))
                allowed, off = self._scatter_ns / span, period_ns - self.period_ns
                period_ns = self.period_ns + np.sign(off) * max(0.0, abs(off) - allowed)
        self.period_ns = float(period_ns)
        self._phase_ns = float((times - period_ns * index).min())


def _edge(x: NDArray[np.float64], y: NDArray[np.float64], least: float, most: float) -> float:
    """Return the slope of the lower convex hull's edge below the mean of x (n,), which increases; n >= 2.

    Of the edges whose slopes are from `least` to `most`, and of the points between them: others are below many late
    arrivals in a row. Where there is none, the limit.
    """
    hull: list[int] = []
    # Point by point, because each decides which of those before it stay; there are at most 240.
    for at in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (x[at] - x[a]) < (y[at] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(at)
    slopes = np.diff(y[hull]) / np.diff(x[hull])  # which increase
    first, stop = int(np.searchsorted(slopes, least)), int(np.searchsorted(slopes, most, side="right"))
    if first == stop:
        return float(min(max(slopes[0], least), most))
    possible = x[hull[first] : hull[stop] + 1]
    below = int(np.searchsorted(x[hull], possible.mean())) - 1
    return float(slopes[min(max(below, first), stop - 1)])
