"""What a contestant is: it turns windows into vectors."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Windows (k, 128, 6) in m/s² and rad/s to features (k, d); each row depends on its own window alone."""

Peer = Callable[[NDArray[np.float32]], Transform]
"""Windows to fit on (n, 128, 6) to the fitted transform."""

Teach = Callable[[tuple[str, ...], int, int], Transform]
"""Names of the sets that are left out, seed and batches, to the encoder that was taught on all the others."""


def microseconds_per_window(transform: Transform, windows: NDArray[np.float32], *, batch: int = 1) -> float:
    """Return the median time of one window on one thread, over calls with `batch` windows each.

    One window at a time is a device's way, a large batch a research script's. Raises ValueError if `windows` are fewer
    than one batch.
    """
    batches = [windows[begin : begin + batch] for begin in range(0, len(windows) - batch + 1, batch)]
    if not batches:
        raise ValueError(f"expected at least one batch of {batch} windows, got {len(windows)}")
    taken = []
    with threadpool_limits(1):
        transform(batches[0])  # not timed: numba compiles here
        for part in batches:
            begun = time.perf_counter()
            transform(part)
            taken.append(time.perf_counter() - begun)
    return float(np.median(taken) * 1e6 / batch)
