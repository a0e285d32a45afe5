"""Times for samples that a device sends by itself and does not stamp: from their order and their arrivals.

A sample arrives late, never early: after its time on the wire, which is known, a USB adapter keeps it for up to 16 ms
and a busy machine for longer. So the samples lie on the line through (number, arrival) below which no arrival is, and
which is the nearest to all of them: an edge of the lower convex hull (the usual estimate of a clock's skew over a
network: Moon, Skelly, Towsley, INFOCOM 1999). What remains unknown is the least time that the adapter takes.

A lost sample makes all later ones arrive a period later. A late arrival does not: some of those after it are on the
line again. So samples wait until it is seen whether those that follow are on the line.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.sensors.living import Rows

HOLD_NS = 300_000_000
"""Samples wait so long for those that follow."""
_LEARN_NS, _LEARN_AT_MOST_NS = NS_PER_S, 3 * NS_PER_S
"""The first samples wait for a run so long in which nothing was damaged; or for so long, if there is none."""
_LEAST = 8
"""Samples in such a run at least."""
_STEP = 1.5
"""Periods from one arrival to the next with which something may be missing."""
_PAUSE_NS = 2 * NS_PER_S
"""After a pause as long as this, the device may have begun anew: where the samples lie is learned again."""
_BIN_NS, _BINS = 250_000_000, 240
"""Of each quarter of a second in the last minute, the earliest arrival is kept."""
_UNSURE_NS = 5 * NS_PER_S
"""In a line shorter than this, the known period counts as far as the jitter of arrivals allows it."""
SPREAD = 0.10
"""How far the rate may be from the nominal one."""
_SLEW_NS = NS_PER_S
"""Time in which a correction of the line reaches the times to 63 %."""
_NEAR_NS = 40_000_000
"""Arrivals may show a loss so much too early; it is then moved to where bytes were damaged, if they were."""
_EARLY = 0.25
"""Part of a period by which a sample may be before the line: it is not known better."""
_LATELY = 8
"""Quarters of a second in which some arrival should lie on the line."""


class Arrivals:
    """Pure state machine for one device: arrivals in, samples with times out, all in ns of one monotonic clock.

    slips: how often samples came faster than the line allows, so that it had to be learned again.
    """

    def __init__(self, rate_hz: float) -> None:
        self.slips = 0
        self._nominal_ns = self._period_ns = NS_PER_S / rate_hz
        self._waiting = _no_rows()
        self._latest = np.empty(0, np.int64)
        self._last_ns: int | None = None  # time of the last sample given out
        self._begin()

    def _begin(self) -> None:
        self._known = False  # the line
        self._origin_ns = 0
        self._phase_ns = 0.0
        self._next = 0  # number of the sample that follows those given out
        self._bins: dict[int, tuple[int, int]] = {}  # number and arrival of the earliest in each
        self._last_index: int | None = None

    @property
    def rate_hz(self) -> float:
        """The rate that the arrivals show; nominal before there are enough."""
        return NS_PER_S / self._period_ns

    @property
    def late_ns(self) -> float:
        """How far the arrivals of the last two seconds all lie behind the line: about so much the times may be off."""
        if not self._bins:
            return 0.0
        lately = np.array([self._bins[key] for key in sorted(self._bins)[-_LATELY:]])
        return float((lately[:, 1] - self._origin_ns - self._line(lately[:, 0])).min())

    def interrupt(self) -> Rows:
        """Return what waits: the device stops, and what comes then is not on the line of what came before."""
        rows = self._give(len(self._latest), followed=False)
        self._begin()
        return rows

    def push(self, latest_ns: NDArray[np.int64], data: NDArray[np.float32], damaged: NDArray[np.bool_]) -> list[Rows]:
        """Take samples (n, 6) in order, none of them taken later than latest_ns (n,); damaged: bytes before it were.

        Return what has to be given out before, where a long pause ends.
        """
        if not len(latest_ns):
            return []
        before, out = self._latest[-1] if len(self._latest) else self._last_ns, []
        if before is not None and latest_ns[0] - before > _PAUSE_NS:
            out.append(self.interrupt())
        rows = Rows(latest_ns, data.astype(np.float32, copy=False), damaged, np.zeros(len(data), np.int64))
        self._waiting, self._latest = self._waiting.then(rows), np.concatenate([self._latest, latest_ns])
        return out

    def pop(self, now_ns: int) -> Rows:
        """Return the samples whose times can be told by now; gap and lost say what is missing before each."""
        if not self._known:
            first, stop = self._whole()
            whole_ns = int(self._latest[stop - 1] - self._latest[first]) if stop - first >= _LEAST else 0
            late = len(self._latest) >= _LEAST and now_ns - int(self._latest[0]) > _LEARN_AT_MOST_NS
            if whole_ns < _LEARN_NS and not late:
                return _no_rows()
            self._learn()
        return self._give(int(np.searchsorted(self._latest, now_ns - HOLD_NS, side="right")))

    def _whole(self) -> tuple[int, int]:
        """Return the first and the end of the longest run of those that wait in which nothing seems to be missing."""
        damaged, steps = self._waiting.gap[1:], np.diff(self._latest)
        # Behind an adapter that keeps samples for longer than their period, steps show nothing.
        run = _longest(damaged | (steps > _STEP * self._period_ns))
        return run if run[1] - run[0] >= _LEAST else _longest(damaged)

    def _learn(self) -> None:
        """Draw the first line, through the longest whole run of what waits, and leave out what came before it."""
        first, stop = self._whole()
        # A line through losses is one of a lower rate.
        self._waiting, self._latest = self._waiting.rows(slice(first, None)), self._latest[first:]
        self._known, self._origin_ns = True, int(self._latest[0])
        self._note(np.arange(stop - first), self._latest[: stop - first])
        self._fit()
        # Nothing arrives before it was taken.
        behind = self._latest - self._origin_ns - self._line(np.arange(len(self._latest)))
        self._phase_ns += min(0.0, float(behind.min()))

    def _give(self, count: int, *, followed: bool = True) -> Rows:
        """Return the first `count` of those that wait; followed: by others that show what is missing."""
        if not count:
            return _no_rows()
        if not self._known:
            self._learn()
            count = min(count, len(self._latest))
        index = self._next + np.arange(len(self._latest))
        behind = self._latest - self._origin_ns - self._line(index)
        # The earliest of a sample and of all after it shows how many are missing before it.
        surely = np.minimum.accumulate(behind[::-1])[::-1] / self._period_ns
        if surely[0] < -0.5:
            self.slips += 1
            self._begin()
            self._period_ns = self._nominal_ns
            return self._give(count, followed=followed)
        missing = np.maximum(np.floor(surely + _EARLY).astype(np.int64), 0)
        if not followed:
            # Whether the last ones were late or others are missing, the time after the pause tells.
            alone = int(np.searchsorted(self._latest, self._latest[-1] - HOLD_NS))
            missing[alone:] = missing[alone]
        near = int(np.ceil(_NEAR_NS / self._period_ns))
        missing = self._placed(missing, near)
        index = (index + missing)[:count]
        lost = np.diff(missing[:count], prepend=0)
        data, latest = self._waiting.data[:count], self._latest[:count]
        self._waiting = self._waiting.rows(slice(count, None))
        self._latest = self._latest[count:]
        if self._last_index is None and self._last_ns is not None:
            # After a pause, time tells.
            first_ns = self._origin_ns + float(self._line(index[:1])[0])
            lost[0] += max(0, round((first_ns - self._last_ns) / self._period_ns) - 1)
        first = self._last_ns is None
        times = self._stamp(index, latest)
        self._next = int(index[-1]) + 1
        # The samples just after a loss may belong before it.
        sure = np.convolve(lost > 0, np.ones(near), "full")[:count] < 0.5
        if sure.any():
            self._note(index[sure], latest[sure])
            self._fit()
        if first:
            lost[0] = 0
        return Rows(times, data, lost > 0, lost)

    def _placed(self, missing: NDArray[np.int64], near: int) -> NDArray[np.int64]:
        """Move losses to the place just after, at most `near` samples, where bytes were damaged."""
        for at in np.flatnonzero(np.diff(missing, prepend=0)).tolist():
            damaged = np.flatnonzero(self._waiting.gap[at : at + near + 1])
            if len(damaged):
                missing[at : at + damaged[0]] = missing[at - 1] if at else 0
        return missing

    def _line(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(self._phase_ns + index * self._period_ns, np.float64)

    def _stamp(self, index: NDArray[np.int64], latest: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return times that increase strictly, also from call to call, and approach a better line slowly."""
        times = self._line(index)
        if self._last_index is not None and self._last_ns is not None:
            last = float(self._line(np.array([self._last_index]))[0])
            times += (self._last_ns - self._origin_ns - last) * np.exp((last - times) / _SLEW_NS)
        stamps = np.minimum(self._origin_ns + np.floor(times).astype(np.int64), latest)
        if self._last_ns is not None:
            stamps = np.maximum(stamps, self._last_ns + 1 + np.arange(len(stamps)))
        self._last_index, self._last_ns = int(index[-1]), int(stamps[-1])
        return np.asarray(stamps)

    def _note(self, index: NDArray[np.int64], latest: NDArray[np.int64]) -> None:
        """Keep the earliest of each quarter of a second."""
        behind = latest - self._origin_ns - np.rint(index * self._nominal_ns)
        cells = (index * self._nominal_ns // _BIN_NS).astype(np.int64)
        for cell in np.unique(cells).tolist():
            rows = np.flatnonzero(cells == cell)
            at = rows[behind[rows].argmin()]
            new, old = (int(index[at]), int(latest[at])), self._bins.get(cell)
            if old is None or new[1] - old[1] < (new[0] - old[0]) * self._nominal_ns:
                self._bins[cell] = new
        for cell in sorted(self._bins)[:-_BINS]:
            del self._bins[cell]

    def _fit(self) -> None:
        """Draw the line below all arrivals that is the nearest to them."""
        points = np.array([self._bins[key] for key in sorted(self._bins)], np.float64)
        index, times = points[:, 0], points[:, 1] - self._origin_ns
        period_ns = self._period_ns
        if len(index) > 1:
            period_ns = _edge(index, times)
            rest = times - period_ns * index
            span = index[-1] - index[0]
            if span * self._nominal_ns < _UNSURE_NS:
                allowed, off = float(np.ptp(rest)) / span, period_ns - self._period_ns
                period_ns = self._period_ns + np.sign(off) * max(0.0, abs(off) - allowed)
        period_ns = min(max(period_ns, self._nominal_ns / (1 + SPREAD)), self._nominal_ns / (1 - SPREAD))
        self._period_ns = float(period_ns)
        self._phase_ns = float((times - period_ns * index).min())


def _longest(breaks: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first and the end of the longest run of n + 1 rows that no break (n,) is in."""
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(breaks) + 1]
    return max(pairwise(edges), key=lambda run: run[1] - run[0])


def _edge(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the slope of the lower convex hull's edge below the mean of x (n,), which increases; n >= 2."""
    hull: list[int] = []
    # Point by point, because each decides which of those before it stay; there are at most 240.
    for at in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (x[at] - x[a]) < (y[at] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(at)
    right = min(max(1, int(np.searchsorted(x[hull], x.mean()))), len(hull) - 1)
    a, b = hull[right - 1], hull[right]
    return float((y[b] - y[a]) / (x[b] - x[a]))


def _no_rows() -> Rows:
    none = np.empty((0, len(CHANNELS)), np.float32)
    return Rows(np.empty(0, np.int64), none, np.empty(0, np.bool_), np.empty(0, np.int64))
