"""A trial: the first windows of an installed model, in which its errors and its time are counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TRIAL_WINDOWS = 500
"""Ten minutes with the shipped model's hop."""

_MOST_LATE = 3
"""Windows of a trial that may take longer than half the time until the next one; with more, the model is too slow."""

_MOST_FAULTS = 3
"""Times in a trial that an Edge TPU may fail by itself; with more, the model is the cause."""


@dataclass
class Trial:
    """left: windows until the model is kept. deadline_s: for each of them."""

    folder: Path
    left: int
    deadline_s: float
    late: int = 0
    faults: int = 0

    def count_windows(self, windows: int, took_s: float) -> str | None:
        """Count windows that were encoded; return why the model is rejected, None while it is not."""
        self.left -= windows
        self.late += took_s > self.deadline_s * windows
        if self.late > _MOST_LATE:
            return f"{self.late} times a window took longer than {self.deadline_s:.2f} s"
        return None

    def count_fault(self, device: str) -> bool:
        """Count an error of the model; return whether it may be that of the device instead."""
        self.faults += 1
        return device.startswith("edgetpu") and self.faults <= _MOST_FAULTS
