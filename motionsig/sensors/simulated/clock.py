"""Virtual time, and the oscillator of a chip, which is not quite as fast as its data sheet says."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.conventions import NS_PER_S


class VirtualClock:
    """Time that passes only while somebody sleeps: hours in seconds, and the same in every run."""

    def __init__(self, start_ns: int = 1_000 * NS_PER_S) -> None:
        self._now_ns = start_ns

    def monotonic_ns(self) -> int:
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        self._now_ns += max(0, round(seconds * NS_PER_S))


@dataclass(frozen=True)
class Oscillator:
    """A chip's clock: off by `skew`, and on top of that swinging by +-`drift` with a period of `drift_s`."""

    skew: float = 0.0
    drift: float = 0.0
    drift_s: float = 600.0

    def elapsed_s(self, time_ns: int) -> float:
        """Return what the chip's clock shows at a monotonic time, in its own seconds."""
        t = time_ns / NS_PER_S
        rad_s = 2 * pi / self.drift_s
        return (1 + self.skew) * t + self.drift / rad_s * (1 - cos(rad_s * t))

    def time_ns(self, elapsed_s: ArrayLike) -> NDArray[np.int64]:
        """Return the monotonic times at which the chip's clock shows `elapsed_s`: the inverse, to a nanosecond."""
        shown = np.asarray(elapsed_s, np.float64)
        t = shown / (1 + self.skew)
        if self.drift:
            rad_s = 2 * pi / self.drift_s
            for _ in range(4):  # Newton; the slope is within a few per cent of one
                error = (1 + self.skew) * t + self.drift / rad_s * (1 - np.cos(rad_s * t)) - shown
                t = t - error / (1 + self.skew + self.drift * np.sin(rad_s * t))
        return np.asarray(np.rint(t * NS_PER_S), np.int64)
