"""Lessons that tests make up: rests and motions, on a grid of 50 Hz."""

import numpy as np

RATE_HZ = 50.0


def lesson(*parts, noise=1.0, seed=0):
    """Return samples of a lesson: seconds of rest as numbers, motions as (seconds, angular rate in rad/s)."""
    rng = np.random.default_rng(seed)
    pieces = []
    for part in parts:
        seconds, rate = part if isinstance(part, tuple) else (part, 0.0)
        count = round(seconds * RATE_HZ)
        piece = rng.normal(0, 1, (count, 6)) * noise * np.repeat([0.1, 0.005], 3)
        piece[:, 3] += rate * np.sin(2 * np.pi * 2 * np.arange(count) / RATE_HZ + 1)
        piece[:, 0] += rate * np.cos(2 * np.pi * 2 * np.arange(count) / RATE_HZ)
        pieces.append(piece + np.array([0, 0, 9.81, 0, 0, 0]))
    return np.concatenate(pieces).astype(np.float32)
