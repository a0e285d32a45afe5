"""Which directions of the pooled activations are worth a code, in closed form.

A direction is worth keeping for how much of the training windows' variance it holds, and for how far it tells
activities of one set apart. It is worth less for how much windows of one activity differ along it, and for how much it
moves under changes that mean nothing. The leading solutions of that quotient (Fisher 1936, with the whole variance
beside the classes') span what the codes tell.

A consumer may keep the first codes only. The first FIRST are therefore chosen within that span by a quotient of their
own, in which the variance counts more; the others tell the rest of the span. In each of the two parts the codes are in
the order of the first quotient. The larger its quotient, the larger the code, so it counts more in a cosine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLASSES = 0.25
"""How much the classes count beside the variance. Pairs that are hard to tell apart count more than others."""
FIRST = 16
"""How many codes make a vector of their own, for whoever keeps no more."""
FIRST_CLASSES = 0.1
"""How much the classes count where the first codes are chosen; all pairs of classes count alike there."""
OWN_SHARE = 0.5
"""How much of the variance is taken within sets, because a user has one set. The first codes are chosen by the whole
variance."""
CHANGES = 1.0
"""How much each kind of change that means nothing counts, in units of the whole variance."""
RIDGE, FIRST_RIDGE = 0.2, 0.4
"""Share of the denominator that is the same in all directions: none is kept for being quiet alone."""
PAIRS_RIDGE = 0.05
"""The same, where it is asked how far two classes are apart."""
ENOUGH = 50
"""Labelled windows of a set below which it says nothing of its classes."""
ENOUGH_OF_CLASS = 8
"""Windows of a class below which its mean is compared with no other."""
LARGEST = 1.5
"""Spread of a code at most, in units of the mean one before this limit: a code that saturates says nothing."""

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
    within, between, hard = _classes(standard, label, set_index)
    total = _scatter(standard)
    variance = OWN_SHARE * _share(_within_sets(standard, set_index)) + (1 - OWN_SHARE) * _share(total)
    changed = CHANGES * sum(_scatter(apart / spread) for apart in changes) / np.trace(total)
    alike = np.eye(len(total)) / len(total)
    worth = CLASSES * _share(hard) + (1 - CLASSES) * variance
    price = CLASSES * _share(within) + changed + RIDGE * alike
    span, _ = _leading(worth, price, np.eye(len(total)), codes)
    first, _ = _leading(
        FIRST_CLASSES * _share(between) + (1 - FIRST_CLASSES) * _share(total),
        FIRST_CLASSES * _share(within) + changed + FIRST_RIDGE * alike,
        span,
        min(FIRST, codes),
    )
    # The directions of the span that are at right angles to the first, where the price is the inner product.
    rest = span @ np.linalg.svd(first.T @ price @ span)[2][first.shape[1] :].T
    parts = [_leading(worth, price, part, part.shape[1]) for part in (first, rest)]
    weights, quotient = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
    carries = np.sqrt(quotient)
    carries = np.minimum(carries / carries.mean(), LARGEST)
    # Together they are as large as if each had a spread of one, which is what the posture codes have.
    weights *= carries / np.sqrt(np.square(carries).mean()) / (standard @ weights).std(axis=0)
    return weights / spread[:, None], mean


def _classes(standard: Matrix, label: NDArray[np.int32], set_index: NDArray[np.int32]) -> tuple[Matrix, Matrix, Matrix]:
    """Return the scatter within classes, between them, and between hard pairs of them, (p, p) each.

    Only classes of one set are compared. Each set counts by the root of its labelled windows. In the last, a pair of
    classes that is hard to tell apart counts more than one that is far apart (Loog, Duin & Haeb-Umbach 2001, weighted
    pairwise criteria).
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
    if not pairs:
        raise ValueError(
            f"expected a set with {ENOUGH} labelled windows and two classes of {ENOUGH_OF_CLASS}, got none among "
            f"{len(np.unique(set_index))} sets"
        )
    within /= whole
    variance, axes = np.linalg.eigh(within + PAIRS_RIDGE * np.trace(within) / size * np.eye(size))
    white = axes / np.sqrt(variance)
    between, hard = np.zeros((size, size)), np.zeros((size, size))
    for weight, apart in pairs:
        distance = np.linalg.norm(apart @ white, axis=1)
        confused = np.array([math.erf(far / math.sqrt(8)) for far in distance]) / (2 * distance**2)
        between += weight * _scatter(apart)
        hard += weight * _scatter(apart * np.sqrt(confused)[:, None])
    return within, between, hard


def _within_sets(standard: Matrix, set_index: NDArray[np.int32]) -> Matrix:
    """Return the scatter about each set's own mean, (p, p); each set counts by the root of its windows."""
    parts = [standard[set_index == one] for one in np.unique(set_index)]
    weights = np.sqrt([len(part) for part in parts])
    scatter = sum(weight * _scatter(part - part.mean(axis=0)) for part, weight in zip(parts, weights, strict=True))
    return np.asarray(scatter / weights.sum())


def _scatter(rows: Matrix) -> Matrix:
    return np.asarray(rows.T @ rows / len(rows))


def _share(scatter: Matrix) -> Matrix:
    return np.asarray(scatter / np.trace(scatter))


def _leading(numerator: Matrix, denominator: Matrix, span: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """Return the directions (p, count) of the largest quotients within `span` (p, s), largest first, and these."""
    variance, axes = np.linalg.eigh(span.T @ denominator @ span)
    white = span @ axes / np.sqrt(variance)
    quotient, turned = np.linalg.eigh(white.T @ numerator @ white)
    leading = slice(None, -count - 1, -1)
    return white @ turned[:, leading], quotient[leading]
