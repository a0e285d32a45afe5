"""What every test may use: signals, and a folder for several users."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY

with contextlib.suppress(ImportError):  # hypothesis is not on every machine that runs these tests
    from hypothesis import HealthCheck, settings

    # On a machine under load any example may take long, and so may its making.
    settings.register_profile("under load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("under load")

Motion = Callable[..., NDArray[np.float32]]


def _motion(seconds_or_count: float, rate_hz: float, *, seed: int = 0, count: int | None = None) -> NDArray[np.float32]:
    """Return (n, 6) samples of a device that swings in gravity: band-limited, m/s² and rad/s."""
    random = np.random.default_rng(seed)
    n = round(seconds_or_count * rate_hz) if count is None else count
    time_s = np.arange(n) / rate_hz
    data = np.zeros((n, 6))
    for channel in range(6):
        for frequency in random.uniform(0.3, 6, 4):
            data[:, channel] += random.uniform(0.1, 1.5) * np.sin(2 * np.pi * (frequency * time_s + random.uniform()))
    data[:, 2] += STANDARD_GRAVITY
    return data.astype(np.float32)


@pytest.fixture(scope="session")
def motion() -> Motion:
    """The function that makes samples."""
    return _motion


@pytest.fixture
def everyones_path() -> Iterator[Path]:
    """A folder that every user may enter: one of pytest's is closed again to others whenever another pytest starts."""
    with tempfile.TemporaryDirectory(prefix="motionsig-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
