"""From windows to what the neural encoder sees, and to the posture it does not.

Motion features express each window about its own gravity direction (the mean acceleration): along it, across it, and
the magnitude, for acceleration and angular rate alike. A device turned by any rotation gives the same six channels, so
the network never has to learn it. Posture is what only the raw axes tell: where gravity points in the sensor's frame,
how the movement spreads over the axes.

Features are companded by x / (knee + |x|): one int8 scale then holds a resting hand and a fall, and nothing clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY

NAME = "gravity-softsign"
VERSION = 1
POSTURE_DIM = 16
FEATURE_CHANNELS = 6

CHUNK = 32
"""Windows worked on at a time. Their arrays stay in the cache, and below the 128 KiB from which glibc's malloc gets
each one anew from the kernel, page faults and all: 64 took twice as long per window."""

_STILL = np.array([0.05] * 3 + [0.02] * 3, np.float32)
"""m/s² and rad/s below which spread is the sensor's noise: the floor under the logarithms and correlations."""


@dataclass(frozen=True)
class FrontEnd:
    """acc_knee (m/s²) and gyr_knee (rad/s) are where companding turns from linear to saturating."""

    acc_knee: float
    gyr_knee: float

    def apply(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return features (k, length, 6) in (-1, 1) and posture (k, 16) for windows (k, length, 6) in SI units.

        Each row depends on its own window alone, to the last bit.
        """
        count, length, _ = windows.shape
        # Channel first, so that every sum runs over contiguous samples: its order then cannot depend on the batch.
        features = np.empty((count, FEATURE_CHANNELS, length), np.float32)
        posture = np.empty((count, POSTURE_DIM), np.float32)
        for first in range(0, count, CHUNK):
            rows = slice(first, min(first + CHUNK, count))
            samples = np.ascontiguousarray(windows[rows].transpose(0, 2, 1))
            mean = np.einsum("kct->kc", samples) / np.float32(length)
            strength = np.sqrt(np.square(mean[:, :3]).sum(axis=1))
            up = mean[:, :3] / np.maximum(strength, 1e-6)[:, None]
            self._features(samples, up, strength, features[rows])
            _posture(samples - mean[:, :, None], up, strength, posture[rows])
        return features.transpose(0, 2, 1), posture

    def _features(
        self,
        samples: NDArray[np.float32],
        up: NDArray[np.float32],
        strength: NDArray[np.float32],
        out: NDArray[np.float32],
    ) -> None:
        """Write (k, 6, length): for each sensor the component along `up`, the length of that across, the magnitude."""
        # Both sensors at once, (k, 2, 3, length), and in place where it can be: this is on the path of every sample.
        vectors = samples.reshape(len(samples), 2, 3, -1)
        out = out.reshape(vectors.shape)
        rest = np.zeros((len(samples), 2, 1), np.float32)
        rest[:, 0, 0] = strength
        along = up[:, None, None] @ vectors
        # The component across is formed before it is squared: a difference of squares would drown it in rounding.
        across = along * up[:, None, :, None]
        np.subtract(vectors, across, out=across)
        np.square(across, out=across)
        squared = across[:, :, 0] + across[:, :, 1]
        squared += across[:, :, 2]
        along = along[:, :, 0]
        np.subtract(along, rest, out=out[:, :, 0])
        np.sqrt(squared, out=out[:, :, 1])
        squared += np.square(along)
        np.subtract(np.sqrt(squared), rest, out=out[:, :, 2])
        divisor = np.abs(out)
        divisor += np.array([self.acc_knee, self.gyr_knee], np.float32)[:, None, None]
        out /= divisor


def _posture(
    spread: NDArray[np.float32], up: NDArray[np.float32], strength: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Write (k, 16): gravity's direction 3, log spread per axis 6, correlations of axes 6, gravity's strength 1.

    `spread` (k, 6, length): the samples less their means. The factors bring each to a spread of about 1, so
    that none drowns another in a distance.
    """
    count, _, length = spread.shape
    deviation = np.sqrt(np.einsum("kct,kct->kc", spread, spread) / np.float32(length)) + _STILL
    out[:, 0:3] = 3 * up
    out[:, 3:9] = np.log(deviation) + np.float32(0.7)
    axes, width = spread.reshape(count, 2, 3, length), deviation.reshape(count, 2, 3)
    for pair, (one, other) in enumerate(((0, 1), (0, 2), (1, 2))):
        covariance = np.einsum("kst,kst->ks", axes[:, :, one], axes[:, :, other]) / np.float32(length)
        out[:, 9 + pair : 15 : 3] = 2 * covariance / (width[:, :, one] * width[:, :, other])
    out[:, 15] = 10 * (strength / np.float32(STANDARD_GRAVITY) - 1)
