"""Motion that obeys physics: a body turns and is pushed about, and its sensors report it."""

from __future__ import annotations

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY

GRAVITY = np.array([0, 0, STANDARD_GRAVITY])


def motion(
    seconds: float, rate_hz: float = 50.0, *, turns: float = 1.0, pushes: float = 1.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return acc (n, 3) in m/s² and gyr (n, 3) in rad/s of a body that turns by about `turns` rad/s.

    pushes: m/s², the amplitude of its acceleration; with turns=0 and pushes=0 it is at rest. Both have noise.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate_hz)) / rate_hz

    def waves(least: float, most: float) -> np.ndarray:
        rates, phases = rng.uniform(least, most, (3, 4)), rng.uniform(0, 2 * np.pi, (3, 4))
        return np.sin(2 * np.pi * rates * time[:, None, None] + phases).sum(axis=2) / 2

    gyr, pushed = turns * waves(0.1, 0.6), pushes * waves(0.8, 2.5)
    up = np.empty((len(time), 3))
    attitude = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    attitude *= np.linalg.det(attitude)
    for index, (rate, push) in enumerate(zip(gyr, pushed, strict=True)):
        up[index] = attitude.T @ (push + GRAVITY)
        angle = np.linalg.norm(rate) / rate_hz
        x, y, z = rate / max(float(np.linalg.norm(rate)), 1e-12)
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        attitude = attitude @ (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
    return up + rng.normal(0, 0.03, up.shape), gyr + rng.normal(0, 0.005, gyr.shape) + (0.01, -0.02, 0.01)
