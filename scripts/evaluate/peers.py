"""What a careful user would take instead of the encoder.

Every peer is used the way its users use it: on windows in SI units, through its own package, with that package's
defaults unless a comment says why not. What must see data first (the biases of MiniRocket's kernels, no labels) is
given windows to fit on: a peer is a function of those windows that returns the transform. The others ignore them.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pycatch22
from aeon.transformations.collection.convolution_based import MiniRocket
from numpy.typing import NDArray

from scripts.evaluate.transform import Peer, Transform
from scripts.train.handmade import gravity_statistics, plain_statistics

MINIROCKET_KERNELS = 1000
MINIROCKET_NUMBERS = MINIROCKET_KERNELS // 84 * 84
"""MiniRocket has 84 kernels and gives each as many biases as fit."""
MINIROCKET_SEED = 1
CHUNK = 512
"""Windows handed to MiniRocket at once: it takes several copies of what it is given."""


def minirocket(windows: NDArray[np.float32]) -> Transform:
    """Return MiniRocket with its biases drawn from `windows` (n, 128, 6); it gives (k, 924) float32."""
    rocket = MiniRocket(n_kernels=MINIROCKET_KERNELS, n_jobs=1, random_state=MINIROCKET_SEED)
    rocket.fit(_channels_first(windows))

    def transform(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        features = np.empty((len(windows), MINIROCKET_NUMBERS), np.float32)
        for begin in range(0, len(windows), CHUNK):
            rows = slice(begin, begin + CHUNK)
            features[rows] = rocket.transform(_channels_first(windows[rows]))
        return features

    return transform


def catch24(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (k, 144) float32 of windows (k, length, 6): catch22, mean and deviation of each axis in turn."""
    # What a constant axis leaves undefined is 0 here. pycatch22 gives the end of the feature's range (797, where
    # a moving axis gives 6 at most), and one stuck axis would dominate a linear probe.
    features = [
        [value for axis in window.T for value in pycatch22.catch22_all(axis, catch24=True, mask_nans=False)["values"]]
        for window in windows
    ]
    return np.nan_to_num(np.array(features, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _unfitted(transform: Transform, windows: NDArray[np.float32]) -> Transform:
    return transform


def _channels_first(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return windows (k, length, 6) as aeon's (k, 6, length)."""
    return np.ascontiguousarray(windows.transpose(0, 2, 1))


PEERS: dict[str, Peer] = {
    "plain_statistics_216": partial(_unfitted, plain_statistics),
    "gravity_statistics_162": partial(_unfitted, gravity_statistics),
    "minirocket_924": minirocket,
    "catch24_144": partial(_unfitted, catch24),
}
