"""Long work says where it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

Say = Callable[[str], None]
"""Takes a line that tells how far the work is."""


class Clock:
    """Prints each step of the work with the seconds since the start."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Print on `stream`, None for standard output."""
        self._begun = time.monotonic()
        self._stream = stream or sys.stdout

    def say(self, text: str) -> None:
        """Print `text` with the time."""
        print(f"[{time.monotonic() - self._begun:5.0f} s] {text}", file=self._stream, flush=True)
