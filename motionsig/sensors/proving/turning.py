"""Whether the angular rate turns gravity as gravity turns: axes, signs and scale of a gyroscope, without a protractor.

Seen from the sensor, gravity turns by dg/dt = -w x g. So each move from one pose to another is followed from the first
direction of gravity on, with every way to exchange the axes of w and every scale, and compared with the acceleration.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PARTS = 64
"""Into which a move is cut: a turn by 90 degrees in a second or two is then followed in steps of a degree or two."""
SCALES: Floats = 2.0 ** np.linspace(-3.0, 3.0, 37)
"""Factors of the angular rate that are tried, 12 % apart."""
FINER: Floats = 2.0 ** np.linspace(-0.2, 0.2, 41)
"""Around the best of them."""


def signed_axes() -> Floats:
    """Return (48, 3, 3) every way to exchange three axes and turn their signs, the identity first."""
    ways = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            way = np.zeros((3, 3))
            way[range(3), order] = signs
            ways.append(way)
    return np.array(ways)


def cut(acc: Floats, gyr: Floats, rate_hz: float) -> tuple[Floats, Floats]:
    """Return a move of (n, 3) as (_PARTS, 3) directions of gravity and the turn in rad from each to the next."""
    edges = np.unique(np.linspace(0, len(acc), _PARTS + 1).astype(int))
    at = edges[:-1]
    sizes = np.diff(edges)[:, None]
    means = np.add.reduceat(acc, at, axis=0) / sizes
    directions = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    rates = np.add.reduceat(gyr, at, axis=0) / sizes
    middle = (rates[1:] + rates[:-1]) / 2
    apart_s = (sizes[1:] + sizes[:-1]) / 2 / rate_hz
    return directions, middle * apart_s


def misfits(moves: Sequence[tuple[Floats, Floats]], ways: Floats, scales: Floats) -> Floats:
    """Return (ways, scales) the root mean square by which followed gravity misses the seen one, in radians or so."""
    total, count = np.zeros((len(ways), len(scales))), 0
    for directions, turns in moves:
        g = np.broadcast_to(directions[0], (*total.shape, 3)).copy()
        for seen, turn in zip(directions[1:], turns, strict=True):
            angle = -(ways @ turn)[:, None, :] * scales[None, :, None]
            size = np.linalg.norm(angle, axis=-1, keepdims=True)
            axis = angle / np.maximum(size, 1e-12)
            along = axis * (axis * g).sum(axis=-1, keepdims=True)
            g = g * np.cos(size) + np.cross(axis, g) * np.sin(size) + along * (1 - np.cos(size))
            total += ((g - seen) ** 2).sum(axis=-1)
        count += len(turns)
    return np.asarray(np.sqrt(total / max(count, 1)))


def rounded(matrix: Floats) -> Floats | None:
    """Return the signed exchange of axes that a matrix (3, 3) is near, None if there is none."""
    way = np.zeros((3, 3))
    for column in range(3):
        row = int(np.abs(matrix[:, column]).argmax())
        way[row, column] = np.sign(matrix[row, column])
    return way if np.array_equal(way @ way.T, np.eye(3)) else None


def called(way: Floats, name: str) -> str:
    """Return a signed exchange in words: what stands where x, y and z should."""
    parts = []
    for row in way:
        axis = int(np.abs(row).argmax())
        parts.append(f"{'-' if row[axis] < 0 else ''}{name}_{'xyz'[axis]}")
    return ", ".join(parts)
