"""Where in a record the acceleration and the angular rate are, by what only they do.

An acceleration has the same size in every pose and another direction; an angular rate is the same in every pose, and
moves between them. In the wrong byte order noise jumps by 256 counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["<", ">"]
Floats = NDArray[np.float64]

_ORDERS: tuple[Order, ...] = ("<", ">")

_EVEN = 0.2
"""Spread of |acc| over the poses, by its mean: an uncalibrated sensor is off by 60 mg an axis and 3 % of scale."""
_APART = np.cos(np.radians(55))
_NOISE = 0.1
"""Of |acc|: the mean step from sample to sample at rest."""
_DEAD = 0.15
"""Part of what the liveliest axis does."""
_SMOOTHER = 3.0
"""How many times rougher the wrong byte order is."""


@dataclass(frozen=True)
class Place:
    """Three words side by side in a record: offset in bytes, byte order."""

    offset: int
    order: Order

    def values(self, rows: NDArray[np.uint8]) -> Floats:
        """Return (n, 3) counts; a place that runs over the end of its record goes on in the next one."""
        n, size = rows.shape
        flat = np.concatenate([rows.ravel(), rows[-1]])
        at = np.arange(n)[:, None] * size + self.offset + np.arange(6)
        return np.ascontiguousarray(flat[at]).view(f"{self.order}i2").astype(np.float64)


def place_of(record: np.dtype[np.void], field: str) -> Place:
    """Return where a record has "acc" or "gyr"."""
    assert record.fields is not None
    kind, offset = record.fields[field][:2]
    return Place(offset, ">" if kind.base.byteorder == ">" else "<")


def swapped(place: Place) -> Place:
    return Place(place.offset, "<" if place.order == ">" else ">")


def roughness(values: Floats) -> float:
    """Return the mean step from sample to sample."""
    return float(np.abs(np.diff(values, axis=0)).mean()) if len(values) > 1 else 0.0


def smoother(rows: NDArray[np.uint8], place: Place, *, coarse: bool = True) -> Place:
    """Return the place in the byte order in which it is clearly smoother, else as it is.

    coarse: low bytes that are always 0 are those of a coarse chip, whose steps are 256 times smaller the other way.
    """
    other = swapped(place)
    if coarse and not (place.values(rows).astype(np.int64) & 0xFF).any():
        return place
    clearly = roughness(place.values(rows)) > _SMOOTHER * roughness(other.values(rows))
    return other if clearly else place


def is_gravity(poses: Floats, noise: float) -> bool:
    """Tell whether the means (k, 3) of three or more poses are gravity's; noise: counts from sample to sample."""
    sizes = np.linalg.norm(poses, axis=1)
    mean = float(sizes.mean())
    if len(poses) < 3 or mean < 16 or noise > _NOISE * mean or sizes.std() > _EVEN * mean:
        return False
    directions = poses / sizes[:, None]
    cosines = directions @ directions.T
    return bool(np.abs(cosines[np.triu_indices(len(poses), 1)]).max() < _APART)


def find_gravity(rows: NDArray[np.uint8], rests: Sequence[slice], preferred: Sequence[Place]) -> Place | None:
    """Return the place whose words do what gravity does, of `preferred` the first, else the smoothest; None if none."""

    def noise(place: Place) -> float | None:
        """Return counts from sample to sample by |acc|, None where there is no gravity."""
        parts = [place.values(rows[rest]) for rest in rests]
        means, rough = np.array([part.mean(axis=0) for part in parts]), max(map(roughness, parts))
        return rough / float(np.linalg.norm(means[0])) if is_gravity(means, rough) else None

    for place in preferred:
        if noise(place) is not None:
            return place
    others = {Place(offset, order): noise(Place(offset, order)) for offset in range(rows.shape[1]) for order in _ORDERS}
    fitting = {place: part for place, part in others.items() if part is not None}
    return min(fitting, key=lambda place: fitting[place]) if fitting else None


def dead_axes(spans: Floats) -> list[int]:
    """Return the axes that do next to nothing, where others do much; spans: (3,) what each does."""
    most = float(spans.max())
    return [axis for axis in range(3) if spans[axis] <= _DEAD * most]


def step_of(values: Floats) -> list[int]:
    """Return (3,) the largest number of which all changes of an axis are multiples; 0 where nothing changes."""
    steps = np.abs(np.diff(values, axis=0)).astype(np.int64)
    return [int(np.gcd.reduce(steps[:, axis])) for axis in range(3)]


def record_size(rows: NDArray[np.uint8]) -> int:
    """Return after how many bytes rows at rest repeat themselves: as in the table unless another is clearly it."""
    flat, size = rows.ravel().astype(np.int16), rows.shape[1]
    scores = {}
    for lag in range(6, 33):
        step = np.abs(flat[lag:] - flat[:-lag])
        scores[lag] = float(np.minimum(step, 256 - step).mean()) + 0.5
    best = min(scores, key=lambda lag: scores[lag])
    least = min(lag for lag in scores if scores[lag] < 1.15 * scores[best])
    clearly = scores[size] > 2.0 * scores[least] if size in scores else False
    return least if clearly else size
