"""What the kernel's time stamps tell: which samples are missing.

A full kernel fifo drops new samples and counts none of them (drivers/iio/buffer/kfifo_buf.c, iio_store_to_kfifo), nor
does a driver that resets its chip's FIFO: all that remains is a step between two stamps. A stamp can also just be late,
where a driver stamps on arrival: the samples after it are then back on the old grid, so a step counts as a loss only by
how far they, too, are behind it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.sensors.joining import Samples
from motionsig.timebase import TimeBase

_SUSPICIOUS_STEP = 1.5
"""Periods between two samples above which one may be missing between them."""
_RECENT = 64
"""Steps whose median is the period by which a step is judged: rates as stated may be off by a factor."""
_ENOUGH = 8
_FOLLOWING = 3
"""Samples after a large step that show whether it was a loss or a late stamp."""
_TAIL = 16
"""Samples before a step that show where the grid is."""
_FUTURE_NS = 10_000_000
"""No sample is from later than now, up to how well two clocks were compared."""
_ANCHOR_NS = 60 * NS_PER_S


def _behind_ns(before: NDArray[np.int64], after: NDArray[np.int64], period_ns: float) -> float:
    """Return how far the samples after a step lie behind the grid that those before it lie on."""
    # A stamp may be late, never early: the earliest of either side, by its grid, counts.
    after = after[: math.ceil((after[0] - before[-1]) / period_ns) + _FOLLOWING]
    late_ns = (before - before[-1]) - period_ns * np.arange(1 - len(before), 1)
    ahead_ns = (after - before[-1]) - period_ns * np.arange(1, len(after) + 1)
    return float(ahead_ns.min() - late_ns.min())


class Stamps:
    """The stamps of one device, drain by drain, on CLOCK_MONOTONIC; `discards` counts what cannot be a stamp."""

    def __init__(self, rate_hz: float) -> None:
        self.discards = 0
        self._nominal_ns = NS_PER_S / rate_hz
        self._mean_ns: float | None = None
        self._steps = np.empty(0)
        self._tail = np.empty(0, np.int64)
        self._last_ns: int | None = None
        self._anchor_ns = self._since_anchor = 0
        self._held: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None

    @property
    def rate_hz(self) -> float:
        """The rate that the stamps show; nominal before there are enough."""
        return NS_PER_S / (self._mean_ns or self._typical_ns())

    def _typical_ns(self) -> float:
        if len(self._steps) >= _ENOUGH:
            return float(np.median(self._steps))
        # Slower than stated must not look like losses from the first sample on.
        return max(self._nominal_ns, float(np.median(self._steps)) if len(self._steps) else 0.0)

    def take(self, times: NDArray[np.int64], values: NDArray[np.float32], now_ns: int) -> Samples:
        """Return what can be told by now: up to a few samples after a large step are kept back until the next call."""
        if self._held is not None:
            times, values = (np.concatenate([self._held[0], times]), np.concatenate([self._held[1], values]))
            self._held = None
        first = times.min(initial=now_ns) - 1 if self._last_ns is None else self._last_ns
        possible = np.where(times > now_ns + _FUTURE_NS, first, times)
        highest = np.maximum.accumulate(np.concatenate([[first], possible]))[:-1]
        good = possible > highest
        if not good.all():
            self.discards += int(np.count_nonzero(~good))
            times, values = times[good], values[good]
        if not len(times):
            return Samples(times, values, np.empty(0, np.int64))
        lost = np.zeros(len(times), np.int64)
        steps = np.diff(times, prepend=times[0] if self._last_ns is None else self._last_ns).astype(np.float64)
        self._steps = np.concatenate([self._steps, steps[steps > 0]])[-_RECENT:]
        typical_ns = self._typical_ns()
        noted, stop = 0, len(times)
        for row in np.flatnonzero(steps > _SUSPICIOUS_STEP * typical_ns).tolist():
            # So late more samples would be here if there were to be any.
            held_long = now_ns - int(times[row]) > 2 * _FOLLOWING * typical_ns + NS_PER_S
            if row + _FOLLOWING > len(times) and not held_long:
                self._held = times[row:], values[row:]
                stop = row
                break
            self._note(times[noted:row], lost[noted:row])
            period_ns = self._mean_ns or typical_ns
            lost[row] = max(0, round(_behind_ns(self._tail, times[row:], period_ns) / period_ns))
            noted = row
        self._note(times[noted:stop], lost[noted:stop])
        return Samples(times, values, lost).rows(slice(stop))

    def _note(self, times: NDArray[np.int64], lost: NDArray[np.int64]) -> None:
        """Keep the mean period since the last loss: over seconds, jitter no longer matters to it."""
        if not len(times):
            return
        # Only the first can have any missing before it.
        if self._last_ns is None or lost[0]:
            self._anchor_ns, self._since_anchor = int(times[0]), -1
            self._tail = self._tail[:0]
        self._since_anchor += len(times)
        self._last_ns = int(times[-1])
        self._tail = np.concatenate([self._tail, times])[-_TAIL:]
        if self._since_anchor >= _RECENT:
            self._mean_ns = (self._last_ns - self._anchor_ns) / self._since_anchor
            if self._last_ns - self._anchor_ns > _ANCHOR_NS:
                self._anchor_ns, self._since_anchor = self._last_ns, 0


class Unstamped:
    """Times for a device whose scans carry none: from how many there were at each drain."""

    discards = 0

    def __init__(self, rate_hz: float) -> None:
        self._line = TimeBase(rate_hz)
        self._taken = 0
        self._last_ns: int | None = None
        self._broken = False

    @property
    def rate_hz(self) -> float:
        """The device's rate against this machine's clock."""
        return self._line.rate_hz

    def begin(self) -> None:
        """Count from zero: the buffer has been started anew, or something was lost."""
        self._line.restart()
        self._taken = 0
        self._broken = True

    def take(self, values: NDArray[np.float32], before_ns: int, now_ns: int, *, full: bool) -> Samples:
        """Return `values` (n, k), which are all there were between before_ns and now_ns, with times."""
        count = len(values)
        period_ns = NS_PER_S / self._line.rate_hz
        lost = np.zeros(count, np.int64)
        if full and self._last_ns is not None:
            # These directly follow the ones before; the next ones show how many were dropped after these.
            times = self._last_ns + np.rint(period_ns * np.arange(1, count + 1)).astype(np.int64)
            self.begin()
        else:
            self._line.observe(self._taken + count, before_ns, now_ns)
            if self._line.slipped:
                self.begin()
                self._line.observe(count, before_ns, now_ns)
            times = self._line.stamp(self._taken, count, now_ns)
            self._taken += count
            if self._last_ns is not None:
                times = np.maximum(times, self._last_ns + 1 + np.arange(count))
                lost[0] = max(0, round((int(times[0]) - self._last_ns) / period_ns) - 1) if self._broken else 0
            self._broken = False
        self._last_ns = int(times[-1])
        return Samples(times, values, lost)
