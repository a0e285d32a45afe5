"""Logs for the tests of `inspect` and `convert`: a device that moves, as a table of one sensor or of several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHANNELS = ("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")
UNITS = ("g",) * 3 + ("deg/s",) * 3
START_MS = 1_700_000_000_000


def moving(seed: int, count: int = 1500) -> NDArray[np.float64]:
    """Return (count, 6) in m/s² and rad/s, at 50 Hz: gravity turns as the angular rate says, with rests."""
    t = np.arange(count) / 50
    rng = np.random.default_rng(seed)
    speed = np.where((t // 5) % 2 == 0, 0.0, 2.0 * np.sin(2 * np.pi * t / 2.5))
    angle = np.cumsum(speed) / 50
    acc = 9.81 * np.stack([np.sin(angle), np.zeros(count), np.cos(angle)], 1)
    gyr = np.stack([np.zeros(count), -speed, np.zeros(count)], 1)
    return np.concatenate([acc + rng.normal(0, 0.02, acc.shape), gyr + rng.normal(0, 0.01, gyr.shape)], 1)


def table(path: Path, streams: dict[str, int], *, time: bool = True, lost: int = 0, count: int = 1500) -> Path:
    """Write a CSV in g and deg/s, with a column `device` where there are several streams.

    time: with a column of it. lost: rows left out after 500. count: rows of each stream.
    """
    scale = np.array([1 / 9.80665] * 3 + [180 / np.pi] * 3)
    names = [f"{name} [{unit}]" for name, unit in zip(CHANNELS, UNITS, strict=True)]
    lines = [",".join([*(["time_ms"] if time else []), *(["device"] if len(streams) > 1 else []), *names])]
    for name, seed in streams.items():
        for row, values in enumerate(moving(seed, count) * scale):
            if not 500 <= row < 500 + lost:
                cells = [*([str(START_MS + 20 * row)] if time else []), *([name] if len(streams) > 1 else [])]
                lines.append(",".join([*cells, *(f"{value:.6f}" for value in values)]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path
