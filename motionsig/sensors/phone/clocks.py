"""The phone's clock on this machine's: from when a batch was sent, by the one, and when it came, by the other.

A batch comes late, never early, so the line below all of them is the phone's clock plus the smallest delay that the
network has. All times are late by that delay, which nothing shows. Both clocks are quartz, so the line is steep by
one within a few parts in ten thousand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.sensors.serial.line import Line

_TICKS_HZ = 1e6
_DRIFT = 3e-4
"""How far the phone's clock may be off ours: quartz is within 1e-4."""
_STEPS = 256
"""Of so many steps the rate is the mean."""


class PhoneClock:
    """Pure: batches in, times in ns of our monotonic clock out; they increase strictly over all runs."""

    def __init__(self) -> None:
        self._line = Line(_TICKS_HZ, spread=_DRIFT)
        self._origin_ms = 0.0

    def begin(self, sent_ms: float, arrival_ns: int) -> None:
        """Follow the begin of a run: the phone's clock has nothing to do with what it was before."""
        self._origin_ms = sent_ms
        self._line.begin(arrival_ns)

    def note(self, sent_ms: float, arrival_ns: int) -> None:
        """Take when a batch was sent and when it came."""
        self._line.note(self._ticks(np.array([sent_ms])), np.array([arrival_ns]))

    def stamp(self, times_ms: NDArray[np.float64], arrival_ns: int) -> NDArray[np.int64]:
        """Return the times of samples (n,) that came in a batch then: none was taken later."""
        return self._line.stamp(self._ticks(times_ms), np.full(len(times_ms), arrival_ns))

    @property
    def late_ns(self) -> float:
        """About how much the times may be off, as far as arrivals show it."""
        return self._line.late_ns

    def _ticks(self, times_ms: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.rint((times_ms - self._origin_ms) * (_TICKS_HZ / 1e3)).astype(np.int64)


class Pace:
    """Pure: times of samples in, how many are missing before each one, and the true rate."""

    def __init__(self, rate_hz: float) -> None:
        self._steps = np.full(1, NS_PER_S / rate_hz)
        self._last_ns: int | None = None

    @property
    def rate_hz(self) -> float:
        """The rate of late, over steps in which nothing is missing."""
        return float(NS_PER_S / self._steps.mean())

    def lost(self, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many samples are missing (n,) by time before samples (n,)."""
        steps = np.diff(time_ns, prepend=time_ns[0] if self._last_ns is None else self._last_ns)
        self._last_ns = int(time_ns[-1])
        period_ns = NS_PER_S / self.rate_hz
        # A browser's timer is late by up to half a period now and then, and early the next time.
        lost = np.where(steps > 1.75 * period_ns, np.maximum(np.rint(steps / period_ns).astype(np.int64) - 1, 1), 0)
        good = steps[(lost == 0) & (steps > 0.5 * period_ns)]
        self._steps = np.concatenate([self._steps, good])[-_STEPS:]
        return lost


def rate_of(times_ms: NDArray[np.float64]) -> float:
    """Return the rate in Hz of samples (n,), n > 1: of the steps near the median one."""
    steps = np.diff(times_ms)
    near = steps[np.abs(steps - np.median(steps)) <= np.median(steps) / 2]
    return float(1e3 / near.mean())
