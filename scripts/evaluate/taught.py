"""Networks that the evaluation makes itself, in TensorFlow: an untaught one, and those taught without some sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scripts.evaluate.transform import Teach, Transform
from scripts.train import network
from scripts.train.clock import Say
from scripts.train.course import Course
from scripts.train.material import FRONT_END, INPUT, POSTURE, lessons_of, read_material

SEED = 1
"""Of how the sets are read, and of the random weights; each taught network has its own."""


def untaught(windows: NDArray[np.float32]) -> Transform:
    """Return the same network with random weights, its batch norms set on `windows`."""
    network.seed(SEED)
    model = network.build()
    rows = np.random.default_rng(SEED).integers(len(windows), size=network.SETTLING * network.BATCH)
    network.settle(model, INPUT.quantize(FRONT_END.apply(windows)[0])[rows])
    return _of_model(model)


def teacher(folder: Path, say: Say) -> Teach:
    """Return what trains a network on the sets in `folder` without some of them; all sets are read now, once."""
    material, _ = read_material(folder, [], SEED, say)

    def teach(left_out: tuple[str, ...], seed: int, steps: int) -> Transform:
        network.seed(seed)
        model = network.build()
        lessons = lessons_of([part for part in material if part.name not in left_out])
        Course(model, lessons, steps=steps, rng=np.random.default_rng(seed)).run()
        return _of_model(model)

    return teach


def _of_model(model: tf.keras.Model) -> Transform:
    """Return the vectors of a network in training, with codes rounded like the int8 network's."""

    def transform(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        features, posture = FRONT_END.apply(windows)
        motion = network.values_of(model, INPUT.quantize(features))
        rounded = np.clip(np.rint(motion / network.OUTPUT_SCALE), -128, 127) * np.float32(network.OUTPUT_SCALE)
        return np.concatenate([rounded, POSTURE.dequantize(POSTURE.quantize(posture))], axis=1)

    return transform
