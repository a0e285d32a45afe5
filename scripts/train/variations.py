"""What training changes in a window before the network sees it, so that the signature survives it by construction.

Other people would have made the motion faster or slower, stronger or weaker. Other sensors would have delivered it with
less bandwidth, more noise, fewer bits, another zero, or samples missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from scripts.train.data import GRID_HZ, LENGTH
from scripts.train.sensors import GYRO_RANGE_OF_G

WARP = 0.15
"""Half the windows are played faster or slower by up to this share."""
GAIN = 0.2
"""Spread of the logarithm of a factor on acceleration and one on angular rate: people differ in vigour."""

SLOW_HZ = (9.0, 11.5, 17.0)
"""What is left of the bandwidth behind sensors of 20, 25 and 40 Hz."""
SLOW_SHARE = 0.07
"""The share of the windows that each of these gets."""
QUIET_NOISE = ((0.003, 0.06), (0.0003, 0.004))
LOUD_NOISE = ((0.1, 0.4), (0.005, 0.04))
"""m/s² and rad/s rms, from and to: from the chips people buy, and from a loose mount or a shaken board."""
LOUD_SHARE = 0.1
BIAS = (0.15, 0.01)
"""m/s² and rad/s: spread of a sensor's zero."""
LOSSY_SHARE, LOST = 0.2, 0.06
"""The share of windows with losses, and of their samples that are lost, each bridged by a straight line."""


def other_people(windows: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return windows (k, length, 6) varied in pace and strength, as other people would have moved.

    Angular rate grows with the pace, acceleration less gravity with its square.
    """
    count, length, _ = windows.shape
    pace = np.where(rng.random(count) < 0.5, 1 + WARP * rng.uniform(-1, 1, count), 1.0)
    spare = np.maximum(0, length - 1 - (length - 1) * pace)[:, None]
    place = np.arange(length) * pace[:, None] + spare * rng.random((count, 1))
    # A window that is played too fast runs out of samples before its end; from there it is played backwards.
    place = np.where(place > length - 1, 2 * (length - 1) - place, place)
    before = np.minimum(place.astype(np.intp), length - 2)
    share = (place - before)[:, :, None].astype(np.float32)
    rows = np.arange(count)[:, None]
    played = windows[rows, before] * (1 - share) + windows[rows, before + 1] * share
    gain = np.exp(GAIN * rng.standard_normal((count, 2)))
    rest = played.mean(axis=1, keepdims=True) * np.array([1, 1, 1, 0, 0, 0], np.float32)
    return np.asarray(rest + (played - rest) * _per_axis(gain[:, 0] * pace**2, gain[:, 1] * pace), np.float32)


def other_sensors(windows: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return windows (k, length, 6) on the model's grid, each as a sensor of its own would have delivered it."""
    count, length, _ = windows.shape
    seen = windows.copy()
    slow = rng.random(count)
    for number, cutoff_hz in enumerate(SLOW_HZ):
        rows = (slow >= number * SLOW_SHARE) & (slow < (number + 1) * SLOW_SHARE)
        seen[rows] = _slowed(seen[rows], cutoff_hz)
    loud = rng.random(count) < LOUD_SHARE
    noise = [
        np.where(loud, _log_uniform(much, count, rng), _log_uniform(little, count, rng))
        for little, much in zip(QUIET_NOISE, LOUD_NOISE, strict=True)
    ]
    seen += rng.standard_normal(seen.shape, dtype=np.float32) * _per_axis(*noise)
    seen += rng.standard_normal((count, 1, 6), dtype=np.float32) * _per_axis(*np.array(BIAS)[:, None])
    range_g = rng.choice(tuple(GYRO_RANGE_OF_G), count)
    bits = rng.choice((12, 14, 16, 16), count)
    full = _per_axis(range_g * STANDARD_GRAVITY, np.array([GYRO_RANGE_OF_G[int(one)] for one in range_g]))
    step = full / np.float32(2) ** (bits[:, None, None] - 1).astype(np.float32)
    seen = np.clip(np.rint(seen / step) * step, -full, full - step)
    lossy: NDArray[np.bool_] = rng.random((count, 1)) < LOSSY_SHARE
    lost = lossy & (rng.random((count, length)) < LOST)
    lost[:, [0, -1]] = False
    between = (np.roll(seen, 1, axis=1) + np.roll(seen, -1, axis=1)) / 2
    return np.asarray(np.where(lost[:, :, None], between, seen), np.float32)


def at_rest(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return windows (count, LENGTH, 6) of a device that lies still, turned any way, behind a perfect sensor."""
    up = rng.standard_normal((count, 1, 3))
    up *= STANDARD_GRAVITY / np.linalg.norm(up, axis=2, keepdims=True)
    windows = np.zeros((count, LENGTH, 6), np.float32)
    windows[:, :, :3] = up
    return windows


def quiet_sensors(windows: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the windows (k, length, 6) with the noise of chips that people buy; how much is drawn for each window."""
    noise = [_log_uniform(little, len(windows), rng) for little in QUIET_NOISE]
    return windows + rng.standard_normal(windows.shape, dtype=np.float32) * _per_axis(*noise)


def _slowed(windows: NDArray[np.float32], cutoff_hz: float) -> NDArray[np.float32]:
    """Return the windows (k, length, 6) without what lies above `cutoff_hz`, mirrored at their ends."""
    both = np.concatenate([windows, windows[:, ::-1]], axis=1)
    frequency = np.fft.rfftfreq(both.shape[1], 1 / GRID_HZ)
    kept = 1 / (1 + np.exp((frequency - cutoff_hz) / (0.06 * cutoff_hz)))
    whole = np.fft.irfft(np.fft.rfft(both, axis=1) * kept[:, None], both.shape[1], axis=1)
    return np.asarray(whole[:, : windows.shape[1]], np.float32)


def _per_axis(acc: NDArray[np.float64], gyr: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (k, 1, 6) of a number per window for the accelerometer and one for the gyroscope."""
    return np.repeat(np.stack([acc, gyr], axis=1), 3, axis=1).astype(np.float32)[:, None]


def _log_uniform(bounds: tuple[float, float], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    low, high = bounds
    return low * (high / low) ** rng.random(count)
