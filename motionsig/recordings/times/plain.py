"""Times in whatever unit a log has them, as int64 nanoseconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError

LARGEST_NS = 9e18  # int64 ends at 9.22e18, in the year 2262


def check_rate(rate_hz: float | None) -> None:
    """Raise InputError for a rate_hz option that is not a rate."""
    if rate_hz is not None and not 0.1 <= rate_hz <= 100_000:
        raise InputError(f"rate_hz: expected 0.1 to 100000, got {rate_hz}")


def numbered(first: int, count: int, rate_hz: float, start_ns: int) -> NDArray[np.int64]:
    """Return the times of rows number `first` onwards that were taken at `rate_hz` from `start_ns` on."""
    times: NDArray[np.int64] = np.rint(np.arange(first, first + count) * (NS_PER_S / rate_hz)).astype(np.int64)
    return times + start_ns
