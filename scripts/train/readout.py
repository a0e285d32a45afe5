"""The linear layer that reads the codes out of the trunk's pooled activations, in closed form.

A direction is worth keeping for how much of the training windows' variance it holds, and for how far it tells
activities of one set apart. It is worth less for how much windows of one activity differ along it, and for how much it
moves when another sensor sees the same window. The codes are the leading solutions of that quotient (Fisher 1936, with
the whole variance beside the classes'). They come in the order of what they carry: a consumer may keep the first ones.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scripts.train import network, variations
from scripts.train.draw import Draw
from scripts.train.material import Lessons, quantised

SAMPLE = 24_000
"""Windows whose activations decide the readout."""
SEEN = 6_000
"""Of these, windows that are seen through other sensors."""
CLASSES_SHARE = 0.1
"""How much the classes count beside the variance."""
SENSORS = 1.0
"""How much what sensors change counts, in units of the whole variance."""
RIDGE = 0.4
"""Share of the denominator that is the same in all directions: none is kept for being quiet alone."""
ENOUGH = 50
"""Labelled windows of a set below which it says nothing of its classes."""

Matrix = NDArray[np.float64]


def compute(model: tf.keras.Model, lessons: Lessons, draw: Draw, rng: np.random.Generator) -> None:
    """Set the readout of `model` from windows drawn from the lessons."""
    trunk = network.trunk_of(model)
    rows = draw(SAMPLE, rng)
    pooled = _pooled(trunk, lessons.windows[rows])
    moved = variations.other_people(lessons.windows[rows[:SEEN]], rng)
    plain = _pooled(trunk, moved)
    mean, spread = pooled.mean(axis=0), pooled.std(axis=0) + 1e-3
    seen = np.concatenate([_pooled(trunk, variations.other_sensors(moved, rng)) - plain for _ in range(2)]) / spread
    standard = (pooled - mean) / spread
    within, between = _classes(standard, lessons.label[rows], lessons.set_index[rows])
    total = standard.T @ standard / len(standard)
    weights = _leading(
        CLASSES_SHARE * _share(between) + (1 - CLASSES_SHARE) * _share(total),
        CLASSES_SHARE * _share(within)
        + SENSORS * (seen.T @ seen / len(seen)) / np.trace(total)
        + RIDGE * np.eye(len(total)) / len(total),
    )
    weights /= (standard @ weights).std(axis=0)
    network.set_readout(model, weights / spread[:, None], mean)


def _pooled(trunk: tf.keras.Model, windows: NDArray[np.float32]) -> Matrix:
    return np.asarray(network.values_of(trunk, quantised(windows)), np.float64)


def _classes(standard: Matrix, label: NDArray[np.int32], set_index: NDArray[np.int32]) -> tuple[Matrix, Matrix]:
    """Return the scatter within and between classes, (256, 256) each, as means over the sets.

    What sets differ in counts for neither: each is taken about its own mean.
    """
    size = standard.shape[1]
    within, between, whole = np.zeros((size, size)), np.zeros((size, size)), 0.0
    for one in np.unique(set_index):
        rows = (set_index == one) & (label >= 0)
        _, number, count = np.unique(label[rows], return_inverse=True, return_counts=True)
        if rows.sum() < ENOUGH or len(count) < 2:
            continue
        means = np.zeros((len(count), size))
        np.add.at(means, number, standard[rows])
        means /= count[:, None]
        apart, middle = standard[rows] - means[number], means - means.mean(axis=0)
        weight = float(np.sqrt(rows.sum()))
        within += weight * (apart.T @ apart) / len(apart)
        between += weight * (middle.T @ middle) / len(middle)
        whole += weight
    return within / whole, between / whole


def _share(scatter: Matrix) -> Matrix:
    return np.asarray(scatter / np.trace(scatter))


def _leading(numerator: Matrix, denominator: Matrix) -> Matrix:
    """Return the directions (256, 48) of the largest quotients, largest first."""
    variance, axes = np.linalg.eigh(denominator)
    white = axes / np.sqrt(variance)
    _, turned = np.linalg.eigh(white.T @ numerator @ white)
    leading: Matrix = white @ turned[:, ::-1][:, : network.MOTION_DIM]
    return leading
