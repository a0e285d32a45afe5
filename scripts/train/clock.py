"""Long work says where it is."""

from __future__ import annotations

import time


class Clock:
    """Prints each step of the work with the seconds since the start."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """Print `text` with the time."""
        print(f"[{time.monotonic() - self._begun:5.0f} s] {text}", flush=True)
