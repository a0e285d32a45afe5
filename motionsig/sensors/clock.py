"""The clock of the sensors: samples are stamped by monotonic time, so setting the wall clock changes no window."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time and a way to let it pass."""

    def monotonic_ns(self) -> int: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """CLOCK_MONOTONIC of the machine."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def unix_offset_ns(clock: Clock) -> int:
    """Return how far Unix time is ahead of the clock's, from the quickest of five readings of both."""
    readings = []
    for _ in range(5):
        before_ns = clock.monotonic_ns()
        unix_ns = time.time_ns()
        after_ns = clock.monotonic_ns()
        readings.append((after_ns - before_ns, unix_ns - (before_ns + after_ns) // 2))
    return min(readings)[1]
