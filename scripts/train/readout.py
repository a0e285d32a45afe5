"""The linear layer that reads the codes out of the trunk's pooled activations: what it is computed from.

Two kinds of change mean nothing and are counted against a direction: another sensor in front of the same motion, and
the noise of another chip at rest, where noise is all there is.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scripts.train import discriminant, network, variations
from scripts.train.draw import Draw
from scripts.train.material import Lessons, quantised

SAMPLE = 24_000
"""Windows whose activations decide the readout."""
SEEN = 6_000
"""Of these, windows that are seen through other sensors."""
RESTING = 2_000
"""Windows of a device at rest, each with the noise of two chips."""


def compute(model: tf.keras.Model, lessons: Lessons, draw: Draw, rng: np.random.Generator) -> None:
    """Set the readout of `model` from windows drawn from the lessons."""
    trunk = network.trunk_of(model)

    def pooled(windows: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(network.values_of(trunk, quantised(windows)), np.float64)

    rows = draw(SAMPLE, rng)
    moved = variations.other_people(lessons.windows[rows[:SEEN]], rng)
    plain = pooled(moved)
    seen = np.concatenate([pooled(variations.other_sensors(moved, rng)) - plain for _ in range(2)])
    resting = variations.at_rest(RESTING, rng)
    one, other = (pooled(variations.quiet_sensors(resting, rng)) for _ in range(2))
    weights, mean = discriminant.directions(
        pooled(lessons.windows[rows]),
        lessons.label[rows],
        lessons.set_index[rows],
        changes=(seen, one - other),
        codes=network.MOTION_DIM,
    )
    network.set_readout(model, weights, mean)
