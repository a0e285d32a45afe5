"""How often a child process of the Edge TPU may be started."""

from __future__ import annotations

import math
import time
from collections import deque

from motionsig.encoders.edgetpu.worker import Limits


class Starts:
    """When a child may be started: so many in a time, and ever later after those that did not last."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._short, self._last = limits, 0, -math.inf
        self._times: deque[float] = deque()

    def add(self) -> None:
        """Count one that begins now."""
        self._last = time.monotonic()
        self._times.append(self._last)

    def ended(self) -> None:
        """Count the last one as one that did not last, unless it did."""
        lasted = time.monotonic() - self._last >= self._limits.settled_s
        self._short = 0 if lasted else self._short + 1

    def forgive(self) -> None:
        """Forget those that did not last: it is another device now, or the same one plugged in again."""
        self._short = 0

    @property
    def spent(self) -> bool:
        """Whether there were as many as are allowed."""
        return len(self._recent()) >= self._limits.starts

    def wait_s(self) -> float:
        """Return how long until the next one may begin."""
        now, limits, recent = time.monotonic(), self._limits, self._recent()
        if len(recent) >= limits.starts:
            return recent[0] + limits.per_s - now
        pause_s = min(limits.retry_s * 2.0 ** min(self._short - 1, 60), limits.per_s) if self._short else 0.0
        return max(0.0, self._last + pause_s - now)

    def _recent(self) -> deque[float]:
        while self._times and self._times[0] <= time.monotonic() - self._limits.per_s:
            self._times.popleft()
        return self._times
