"""Times for samples that a device sends by itself and does not stamp: from their order and their arrivals.

Where samples lie once they are numbered, `line` tells. A lost sample makes all later ones arrive a period later. A late
arrival does not: some of those after it are on the line again. So samples wait until it is seen whether those that
follow are on the line.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.sensors.living import Rows
from motionsig.sensors.serial.line import Line

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
_NEAR_NS = 40_000_000
"""Arrivals may show a loss so much too early; it is then moved to where bytes were damaged, if they were."""
_EARLY = 0.25
"""Part of a period by which a sample may be before the line: it is not known better."""


class Arrivals:
    """Pure state machine for one device: arrivals in, samples with times out, all in ns of one monotonic clock.

    slips: how often samples came faster than the line allows, so that it had to be learned again.
    """

    def __init__(self, rate_hz: float) -> None:
        self.slips = 0
        self.line = Line(rate_hz)
        self._waiting = _no_rows()
        self._latest = np.empty(0, np.int64)
        self._begin()

    def _begin(self) -> None:
        self._known = False  # the line
        self._next = 0  # number of the sample that follows those given out

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
        before, out = self._latest[-1] if len(self._latest) else self.line.last_ns, []
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
        run = _longest(damaged | (steps > _STEP * self.line.period_ns))
        return run if run[1] - run[0] >= _LEAST else _longest(damaged)

    def _learn(self) -> None:
        """Draw the first line, through the longest whole run of what waits, and leave out what came before it."""
        first, stop = self._whole()
        # A line through losses is one of a lower rate.
        self._waiting, self._latest = self._waiting.rows(slice(first, None)), self._latest[first:]
        self._known = True
        self.line.begin(int(self._latest[0]))
        self.line.note(np.arange(stop - first), self._latest[: stop - first])
        self.line.lower(self.line.behind_ns(np.arange(len(self._latest)), self._latest))

    def _give(self, count: int, *, followed: bool = True) -> Rows:
        """Return the first `count` of those that wait; followed: by others that show what is missing."""
        if not count:
            return _no_rows()
        if not self._known:
            self._learn()
            count = min(count, len(self._latest))
        index = self._next + np.arange(len(self._latest))
        behind = self.line.behind_ns(index, self._latest)
        # The earliest of a sample and of all after it shows how many are missing before it.
        surely = np.minimum.accumulate(behind[::-1])[::-1] / self.line.period_ns
        if surely[0] < -0.5:
            self.slips += 1
            self._begin()
            self.line.forget_rate()
            return self._give(count, followed=followed)
        missing = np.maximum(np.floor(surely + _EARLY).astype(np.int64), 0)
        if not followed:
            # Whether the last ones were late or others are missing, the time after the pause tells.
            alone = int(np.searchsorted(self._latest, self._latest[-1] - HOLD_NS))
            missing[alone:] = missing[alone]
        near = int(np.ceil(_NEAR_NS / self.line.period_ns))
        missing = self._placed(missing, near)
        index = (index + missing)[:count]
        lost = np.diff(missing[:count], prepend=0)
        data, latest = self._waiting.data[:count], self._latest[:count]
        self._waiting = self._waiting.rows(slice(count, None))
        self._latest = self._latest[count:]
        lost[0] += self.line.lost_before(int(index[0]))  # after a pause, time tells
        first = self.line.last_ns is None
        times = self.line.stamp(index, latest)
        self._next = int(index[-1]) + 1
        # The samples just after a loss may belong before it.
        sure = np.convolve(lost > 0, np.ones(near), "full")[:count] < 0.5
        if sure.any():
            self.line.note(index[sure], latest[sure])
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


def _longest(breaks: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first and the end of the longest run of n + 1 rows that no break (n,) is in."""
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(breaks) + 1]
    return max(pairwise(edges), key=lambda run: run[1] - run[0])


def _no_rows() -> Rows:
    none = np.empty((0, len(CHANNELS)), np.float32)
    return Rows(np.empty(0, np.int64), none, np.empty(0, np.bool_), np.empty(0, np.int64))
