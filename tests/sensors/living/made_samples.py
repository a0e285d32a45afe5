"""Samples as a sensor's, made for the tests of what lives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.living import Living, Rows

RATE_HZ = 100.0
FINE = np.array([0.00239] * 3 + [0.000532] * 3)
"""m/s² and rad/s per count of 16 bits at 8 g and 1000 deg/s."""
COARSE = np.array([0.153] * 3 + [0.0012] * 3)
"""Of ten bits at 8 g, and of a gyroscope at 2000 deg/s."""
NOISE = np.array([0.02] * 3 + [0.002] * 3)
"""m/s², rad/s: standard deviation of a usual chip's at 100 Hz."""
REST = np.array([0.6, -3.1, 9.3, 0.03, -0.02, 0.01])


def rounded(felt: NDArray[np.floating], step: NDArray[np.floating] = FINE) -> NDArray[np.float32]:
    return (np.rint(felt / step) * step).astype(np.float32)


def resting(
    seconds: float, step: NDArray[np.floating] = FINE, noise: float = 1.0, seed: int = 0, rate_hz: float = RATE_HZ
) -> NDArray[np.float32]:
    """Return what a sensor at rest reports; noise: times the usual."""
    shape = (round(seconds * rate_hz), 6)
    return rounded(REST + noise * NOISE * np.random.default_rng(seed).normal(size=shape), step)


def walking(
    seconds: float, step: NDArray[np.floating] = FINE, noise: float = 1.0, seed: int = 0, rate_hz: float = RATE_HZ
) -> NDArray[np.float32]:
    """Return what a sensor on a walking person reports: every axis moves."""
    chance = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz))[:, None] / rate_hz
    swing = sum(np.sin(2 * np.pi * 1.8 * times * t + chance.uniform(0, 6, 6)) / times for times in (0.5, 1.0, 2.0, 3.0))
    felt = REST + swing * [1.5, 2.5, 1.2, 0.5, 0.8, 0.4] + noise * NOISE * chance.normal(size=(len(t), 6))
    return rounded(felt, step)


def rows(data: NDArray[np.float32], first: int = 0, gap: bool = False) -> Rows:
    """Return samples numbered by their times."""
    gaps, lost = np.zeros(len(data), np.bool_), np.zeros(len(data), np.int64)
    gaps[:1] = gap
    return Rows(np.arange(first, first + len(data)), data, gaps, lost)


def judged(living: Living, data: NDArray[np.float32], first: int = 0, cut: int = 20) -> Rows:
    """Return what passes of data pushed `cut` samples at a time."""
    passed = living.push(rows(data[:0]))
    for at in range(0, len(data), cut):
        passed = passed.then(living.push(rows(data[at : at + cut], first + at)))
    return passed


def seconds_until_said(living: Living, data: NDArray[np.float32], rate_hz: float = RATE_HZ) -> float | None:
    """Return after how many seconds of data a fault is known, None if none is."""
    cut = max(1, round(rate_hz / 20))
    for at in range(0, len(data), cut):
        living.push(rows(data[at : at + cut]))
        if living.fault is not None:
            return (at + cut) / rate_hz
    return None
