"""From windows to the twelve channels that the network sees, and to the posture codes, which it does not see.

The channels express each window about its own gravity direction (its mean acceleration): the component along gravity,
the length across it, and the magnitude, for acceleration and angular rate alike. In the plane across gravity nothing
marks a heading, so the window's own movement marks it: four channels use the direction of the angular rate at each
moment, and the axis about which the device swings most over the whole window. A device turned by any rotation gives the
same twelve channels, so the network does not have to learn this. There is one exception: without any swing (a
gyroscope that reads exactly zero) the last four channels turn with the device.

Posture is what only the sensor's own axes tell: where gravity points, about which axis the device turns on average, and
how the movement is spread over the axes.

Features are companded by a logarithm: linear below a knee, and above it equal ratios are equal steps. So one int8 scale
holds a resting hand and a fall, as the mu-law holds a whisper and a shout in eight bits (ITU-T G.711).

All of it is computed in float64, although its results are float32: the order of sums and the last bit of a logarithm
depend on the processor, and in float32 that moved an input of the network by a step in one of some 500 windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY

NAME = "gravity-log"
VERSION = 3
POSTURE_DIM = 16
FEATURE_CHANNELS = 12

CHUNK = 32
"""Windows computed at a time. With fewer, numpy's calls cost more than the sums; with more, arrays leave the cache, and
glibc's malloc maps them anew each time, with their page faults."""

_IS_ACCELERATION = np.repeat([True, False, True, False], (3, 3, 4, 2))
"""Which channels are accelerations; the others are angular rates."""

_TURNING = 0.05
"""rad/s of angular rate below which its direction means less and less."""

_STILL = np.array([0.05] * 3 + [0.02] * 3)
"""m/s² and rad/s below which spread is the sensor's noise: the floor under the logarithms."""

_CONTRASTS = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
"""Two orthogonal contrasts of three numbers, both orthogonal to their mean."""


@dataclass(frozen=True)
class FrontEnd:
    """How the channels are companded: linear below the knees, logarithmic above, 1 at full scale.

    acc_knee, acc_full: m/s². gyr_knee, gyr_full: rad/s.
    """

    acc_knee: float
    gyr_knee: float
    acc_full: float
    gyr_full: float

    def compand(self, channels: NDArray[np.float64]) -> None:
        """Turn channels (k, 12, length) in m/s² and rad/s into features, in place."""
        size = np.abs(channels)
        size *= self._of_channel(1 / self.acc_knee, 1 / self.gyr_knee)
        # The logarithm of 1 + x: numpy computes it no slower than log1p, and on every machine by vector instructions.
        size += 1
        np.log(size, out=size)
        size *= self._of_channel(
            1 / np.log1p(self.acc_full / self.acc_knee), 1 / np.log1p(self.gyr_full / self.gyr_knee)
        )
        np.copysign(size, channels, out=channels)

    def expand(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the channels (k, 12, length) in m/s² and rad/s that `features` (k, 12, length) stand for."""
        knee = self._of_channel(self.acc_knee, self.gyr_knee)
        full = self._of_channel(np.log1p(self.acc_full / self.acc_knee), np.log1p(self.gyr_full / self.gyr_knee))
        return np.asarray(np.copysign(np.expm1(np.abs(features) * full) * knee, features), np.float32)

    def _of_channel(self, acc: float, gyr: float) -> NDArray[np.float64]:
        """Return (12, 1): which of two numbers goes with each channel."""
        return np.where(_IS_ACCELERATION, acc, gyr)[:, None]

    def apply(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return features (k, length, 12) and posture (k, 16) for windows (k, length, 6) in SI units.

        Features are within -1 and 1, up to full scale.

        Each row depends on its own window alone, to the last bit.
        """
        count, length, _ = windows.shape
        # Channel first, so that every sum runs over contiguous samples: its order then cannot depend on the batch.
        features = np.empty((count, FEATURE_CHANNELS, length), np.float32)
        channels = np.empty((min(count, CHUNK), FEATURE_CHANNELS, length))
        posture = np.empty((count, POSTURE_DIM), np.float32)
        for first in range(0, count, CHUNK):
            rows = slice(first, min(first + CHUNK, count))
            samples = np.ascontiguousarray(windows[rows].transpose(0, 2, 1), np.float64)
            mean = np.einsum("kct->kc", samples) / length
            strength = np.sqrt(np.square(mean[:, :3]).sum(axis=1))
            up = mean[:, :3] / np.maximum(strength, 1e-6)[:, None]
            used = channels[: len(samples)]
            _channels(samples, up, strength, used)
            self.compand(used)
            features[rows] = used
            _posture(samples - mean[:, :, None], mean, up, strength, posture[rows])
        return features.transpose(0, 2, 1), posture


def _channels(
    samples: NDArray[np.float64],
    up: NDArray[np.float64],
    strength: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write the channels (k, 12, length) in m/s² and rad/s.

    For each sensor the component along `up`, the length across it, the magnitude (channels 0-5). Of the vectors
    across `up`: the acceleration along the angular rate and perpendicular to it (6, 7); acceleration (8, 9) and
    angular rate (10, 11) along the swing axis and perpendicular to it.
    """
    # Both sensors at once, (k, 2, 3, length), and in place where it can be: this is on the path of every sample.
    vectors = samples.reshape(len(samples), 2, 3, -1)
    components = _frame(up)[:, None] @ vectors
    along, one, two = components[:, :, 0], components[:, :, 1], components[:, :, 2]
    each = out[:, :6].reshape(vectors.shape)
    rest = np.zeros((len(samples), 2, 1))
    rest[:, 0, 0] = strength
    np.subtract(along, rest, out=each[:, :, 0])
    squared = np.square(one)
    squared += np.square(two)
    np.sqrt(squared, out=each[:, :, 1])
    squared += np.square(along)
    np.subtract(np.sqrt(squared), rest, out=each[:, :, 2])
    turning = each[:, 1, 1] + _TURNING
    np.divide(one[:, 0] * one[:, 1] + two[:, 0] * two[:, 1], turning, out=out[:, 6])
    np.divide(one[:, 0] * two[:, 1] - two[:, 0] * one[:, 1], turning, out=out[:, 7])
    cosine, sine = _swing_axis(one[:, 1], two[:, 1])
    heading = out[:, 8:].reshape(len(samples), 2, 2, -1)
    np.add(cosine * one, sine * two, out=heading[:, :, 0])
    np.subtract(cosine * two, sine * one, out=heading[:, :, 1])


def _frame(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (k, 3, 3): `up` and two unit vectors across it, right-handed.

    Duff et al. 2017, "Building an orthonormal basis, revisited": accurate for every direction.
    """
    x, y, z = up.T
    sign = np.copysign(1.0, z)
    a = -1 / (sign + z)
    b = x * y * a
    frame = np.empty((len(up), 3, 3))
    frame[:, 0] = up
    frame[:, 1, 0], frame[:, 1, 1], frame[:, 1, 2] = 1 + sign * x * x * a, sign * b, -sign * x
    frame[:, 2, 0], frame[:, 2, 1], frame[:, 2, 2] = b, sign + y * y * a, -y
    return frame


def _swing_axis(one: NDArray[np.float64], two: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cosine and sine (k, 1, 1) of the axis in the plane about which the angular rate (k, length) varies most.

    The third moment chooses between its two ends: the rate has its longer peaks towards the one returned.
    """
    length = one.shape[1]
    one = one - (np.einsum("kt->k", one) / length)[:, None]
    two = two - (np.einsum("kt->k", two) / length)[:, None]
    both, first, second = (np.einsum("kt,kt->k", a, b) for a, b in ((one, two), (one, one), (two, two)))
    angle = 0.5 * np.arctan2(2 * both, first - second)
    cosine, sine = np.cos(angle), np.sin(angle)
    rate = cosine[:, None] * one + sine[:, None] * two
    end = np.copysign(1.0, np.einsum("kt,kt->k", rate * rate, rate))
    return (cosine * end)[:, None, None], (sine * end)[:, None, None]


def _posture(
    spread: NDArray[np.float64],
    mean: NDArray[np.float64],
    up: NDArray[np.float64],
    strength: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Write (k, 16).

    Gravity's direction (0-2) and its products (3-7), mean angular rate (8-10), contrasts of the axes' log spreads, two
    a sensor (11-14), gravity's strength (15). The products are the five real spherical harmonics of degree 2: with them
    a linear head can single out a region of directions, and a distance grows as it should between far ones. `spread`
    (k, 6, length): the samples less their `mean` (k, 6). The factors bring each to a spread of about 1, so that none
    drowns another in a distance.
    """
    length = spread.shape[2]
    x, y, z = up.T
    out[:, 0:3] = 3 * up
    products = np.stack([2 * x * y, 2 * y * z, 2 * z * x, x * x - y * y, (3 * z * z - 1) / np.sqrt(3)], axis=1)
    out[:, 3:8] = 1.94 * products
    out[:, 8:11] = 4 * mean[:, 3:] / (1 + np.abs(mean[:, 3:]))
    deviation = np.log(np.sqrt(np.einsum("kct,kct->kc", spread, spread) / length) + _STILL)
    # One product a sensor and a loop-free sum: a matrix product's order may depend on the batch, einsum's does not.
    out[:, 11:15] = 2 * np.einsum("ksc,dc->ksd", deviation.reshape(-1, 2, 3), _CONTRASTS).reshape(-1, 4)
    out[:, 15] = 10 * (strength / STANDARD_GRAVITY - 1)
