"""What a sensor of known errors reads at rest."""

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY

FACE_POSES = np.vstack([np.eye(3), -np.eye(3)])
CORNERS = np.array([[1.0, 1, 1], [-1, -1, -1]])
EDGES = np.array([[1.0, 1, 0], [-1, 1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, -1, 1]])
BIAS, SCALE = np.array([0.4, -0.3, 0.7]), np.diag([1.02, 0.97, 1.01])
SKEW = SCALE + 0.02 * np.array([[0, 1, 0.8], [1, 0, 0.7], [0.8, 0.7, 0]])


def measured(directions, bias=BIAS, matrix=SCALE, noise=0.0, seed=0):
    """What a sensor whose calibration is (bias, matrix) reads at rest."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    random = np.random.default_rng(seed)
    return unit * STANDARD_GRAVITY @ np.linalg.inv(matrix).T + bias + random.normal(0, noise, unit.shape)


def random_rotation(seed):
    matrix, upper = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix *= np.sign(np.diag(upper))
    return matrix * np.sign(np.linalg.det(matrix))
