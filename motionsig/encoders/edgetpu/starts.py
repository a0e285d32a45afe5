"""How often a child process of the Edge TPU may be started."""

from __future__ import annotations

import math
import time
from collections import deque

from motionsig.encoders.edgetpu.worker import Limits


class Starts:
    """When a child may be started: so often in a time, and after ever longer pauses where it did not last."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._short, self._last = limits, 0, -math.inf
        self._times: deque[float] = deque()

    def add(self) -> None:
        """Count a start that happens now."""
        self._last = time.monotonic()
        self._times.append(self._last)

    def ended(self) -> None:
        """Note that the child has ended; if it did not last, the next pause is longer."""
        lasted = time.monotonic() - self._last >= self._limits.settled_s
        self._short = 0 if lasted else self._short + 1

    def reset_pause(self) -> None:
        """Forget starts that did not last: it is another device now, or the same one plugged in again."""
        self._short = 0

    @property
    def spent(self) -> bool:
        """Whether there were as many starts as are allowed."""
        return len(self._recent()) >= self._limits.starts

    def wait_s(self) -> float:
        """Return how long to wait until the next start."""
        now, limits, recent = time.monotonic(), self._limits, self._recent()
        if len(recent) >= limits.starts:
            return recent[0] + limits.per_s - now
        pause_s = min(limits.retry_s * 2.0 ** min(self._short - 1, 60), limits.per_s) if self._short else 0.0
        return max(0.0, self._last + pause_s - now)

    def _recent(self) -> deque[float]:
        while self._times and self._times[0] <= time.monotonic() - self._limits.per_s:
            self._times.popleft()
        return self._times
