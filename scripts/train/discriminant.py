"""Which directions of the pooled activations are worth a code, in closed form.

A direction is worth keeping for how much of the training windows' variance it holds, and for how far it tells
activities of one set apart. It is worth less for how much windows of one activity differ along it, and for how much it
moves under changes that mean nothing. The codes are the leading solutions of that quotient (Fisher 1936, with the whole
variance beside the classes'). They come in the order of what they carry: a consumer may keep the first ones. In a
cosine, too, those that carry more count more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLASSES_SHARE = 0.25
"""How much the classes count beside the variance."""
OWN_SHARE = 0.5
"""How much of the variance is taken within sets: whoever uses the codes has one set, and sees none of the rest."""
CHANGES = 1.0
"""How much each kind of change that means nothing counts, in units of the whole variance."""
RIDGE = 0.2
"""Share of the denominator that is the same in all directions: none is kept for being quiet alone."""
PAIRS_RIDGE = 0.05
"""The same, where it is asked how far two classes are apart."""
ENOUGH = 50
"""Labelled windows of a set below which it says nothing of its classes."""
ENOUGH_OF_CLASS = 8
"""Windows of a class below which its mean is compared with no other."""
LARGEST = 1.5
"""Spread of a code at most, in units of the mean one: a code that saturates says nothing."""

Matrix = NDArray[np.float64]


def directions(
    pooled: Matrix, label: NDArray[np.int32], set_index: NDArray[np.int32], changes: Sequence[Matrix], codes: int
) -> tuple[Matrix, Matrix]:
    """Return weights (p, codes) and mean (p,): the codes are `(pooled - mean) @ weights`.

    pooled: activations (n, p) of n windows; label: (n,) their classes, -1 where there is none; set_index: (n,) the set
    each came from. changes: for each kind, the differences (k, p) between activations that should have been the same.
    """
    mean, spread = pooled.mean(axis=0), pooled.std(axis=0) + 1e-3
    standard = (pooled - mean) / spread
    within, between = _classes(standard, label, set_index)
    total = _scatter(standard)
    variance = OWN_SHARE * _share(_within_sets(standard, set_index)) + (1 - OWN_SHARE) * _share(total)
    changed = sum(_scatter(apart / spread) for apart in changes) / np.trace(total)
    weights, quotient = _leading(
        CLASSES_SHARE * _share(between) + (1 - CLASSES_SHARE) * variance,
        CLASSES_SHARE * _share(within) + CHANGES * changed + RIDGE * np.eye(len(total)) / len(total),
        codes,
    )
    carries = np.sqrt(quotient)
    carries = np.minimum(carries / carries.mean(), LARGEST)
    # Together they are as large as if each had a spread of one, which is what the posture codes have.
    weights *= carries / np.sqrt(np.square(carries).mean()) / (standard @ weights).std(axis=0)
    return weights / spread[:, None], mean


def _classes(standard: Matrix, label: NDArray[np.int32], set_index: NDArray[np.int32]) -> tuple[Matrix, Matrix]:
    """Return the scatter within and between classes, (p, p) each, as means over the sets.

    What sets differ in counts for neither: classes of one set are compared. Between them a pair that is hard to tell
    apart counts more than one that is far apart anyway (Loog, Duin & Haeb-Umbach 2001, weighted pairwise criteria).
    """
    size = standard.shape[1]
    within, pairs, whole = np.zeros((size, size)), [], 0.0
    for one in np.unique(set_index):
        rows = (set_index == one) & (label >= 0)
        _, number, count = np.unique(label[rows], return_inverse=True, return_counts=True)
        if rows.sum() < ENOUGH or len(count) < 2:
            continue
        means = np.zeros((len(count), size))
        np.add.at(means, number, standard[rows])
        means /= count[:, None]
        weight = float(np.sqrt(rows.sum()))
        within += weight * _scatter(standard[rows] - means[number])
        whole += weight
        known = means[count >= ENOUGH_OF_CLASS]
        first, second = np.triu_indices(len(known), 1)
        if len(first):
            pairs.append((weight, known[first] - known[second]))
    within /= whole
    variance, axes = np.linalg.eigh(within + PAIRS_RIDGE * np.trace(within) / size * np.eye(size))
    white = axes / np.sqrt(variance)
    between = np.zeros((size, size))
    for weight, apart in pairs:
        distance = np.linalg.norm(apart @ white, axis=1)
        hard = np.array([math.erf(far / math.sqrt(8)) for far in distance]) / (2 * distance**2)
        between += weight * _scatter(apart * np.sqrt(hard)[:, None])
    return within, between


def _within_sets(standard: Matrix, set_index: NDArray[np.int32]) -> Matrix:
    """Return the scatter about each set's own mean, (p, p), as a mean over the sets."""
    parts = [standard[set_index == one] for one in np.unique(set_index)]
    weights = np.sqrt([len(part) for part in parts])
    scatter = sum(weight * _scatter(part - part.mean(axis=0)) for part, weight in zip(parts, weights, strict=True))
    return np.asarray(scatter / weights.sum())


def _scatter(rows: Matrix) -> Matrix:
    return np.asarray(rows.T @ rows / len(rows))


def _share(scatter: Matrix) -> Matrix:
    return np.asarray(scatter / np.trace(scatter))


def _leading(numerator: Matrix, denominator: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """Return the directions (p, count) of the largest quotients, largest first, and the quotients (count,)."""
    variance, axes = np.linalg.eigh(denominator)
    white = axes / np.sqrt(variance)
    quotient, turned = np.linalg.eigh(white.T @ numerator @ white)
    leading = slice(None, -count - 1, -1)
    return white @ turned[:, leading], quotient[leading]
