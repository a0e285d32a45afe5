"""Samples of an accelerometer and of a gyroscope that sample at times of their own, joined by time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S

_AHEAD = 6
"""Samples of the gyroscope that are waited for, on either side of a time."""


class Samples(NamedTuple):
    """Times (n,) on CLOCK_MONOTONIC, values (n, k), and how many samples are missing just before each (n,)."""

    time_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    lost: NDArray[np.int64]

    def rows(self, which: slice) -> Samples:
        return Samples(self.time_ns[which], self.values[which], self.lost[which])

    def then(self, more: Samples) -> Samples:
        time_ns, lost = (np.concatenate(parts) for parts in ((self.time_ns, more.time_ns), (self.lost, more.lost)))
        return Samples(time_ns, np.concatenate([self.values, more.values]), lost)


def interpolate(
    time_ns: NDArray[np.int64], other_ns: NDArray[np.int64], values: NDArray[np.float32], lost: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return `values` (m, 3) of `other_ns` (m,) at `time_ns` (n,): (n, 3), NaN outside and where samples are `lost`."""
    before = np.clip(np.searchsorted(other_ns, time_ns, side="right") - 1, 0, len(other_ns) - 2)
    steps = np.diff(other_ns)
    part = ((time_ns - other_ns[before]) / steps[before])[:, None]
    result = (1 - part) * values[before] + part * values[before + 1]
    exact = (part == 0) | (part == 1)
    inside = (part >= 0) & (part <= 1) & (lost[before + 1] == 0)[:, None]
    return np.where(exact | inside, result, np.nan).astype(np.float32)


class Joiner:
    """Accelerometer samples that wait for the gyroscope's around them."""

    def __init__(self) -> None:
        self._acc = self._gyro = Samples(np.empty(0, np.int64), np.empty((0, 3), np.float32), np.empty(0, np.int64))
        self._begun = False
        self._missing = 0

    def push(self, acc: Samples) -> None:
        self._acc = self._acc.then(acc)

    def push_other(self, gyro: Samples) -> None:
        self._gyro = self._gyro.then(gyro)

    @property
    def waiting_s(self) -> float:
        """For how long samples of the accelerometer have waited."""
        time_ns = self._acc.time_ns
        return float(time_ns[-1] - time_ns[0]) / NS_PER_S if len(time_ns) else 0.0

    def pop(self) -> Samples:
        """Return (n, 6) values of what both sides know."""
        ready, gyro_ns = 0, self._gyro.time_ns
        if len(gyro_ns) > 2 * _AHEAD:
            ready = int(np.searchsorted(self._acc.time_ns, gyro_ns[-_AHEAD], side="right"))
        time_ns, acc, missing = self._acc.rows(slice(ready))
        self._acc = self._acc.rows(slice(ready, None))
        if not ready:
            return Samples(time_ns, np.empty((0, 6), np.float32), missing)
        gyro = interpolate(time_ns, *self._gyro)
        self._gyro = self._gyro.rows(slice(max(0, int(np.searchsorted(gyro_ns, time_ns[-1])) - _AHEAD), None))
        good = np.isfinite(gyro[:, 0])
        # What the gyroscope missed is missing altogether: a sample is six numbers.
        gone = self._missing + np.cumsum(missing + ~good)
        until = gone[good]
        if not self._begun:
            gone, until = gone - until[:1].sum(), until - until[:1].sum()
            self._begun = bool(good.any())
        self._missing = int(gone[-1] - (until[-1] if len(until) else 0)) if self._begun else 0
        return Samples(time_ns[good], np.hstack([acc, gyro])[good], np.diff(until, prepend=0))
