"""Scores by one direction that tells labelled signatures from others, in closed form.

It is Fisher's linear discriminant on unit vectors: the difference of the two means, times the inverse of how signatures
spread within the sides. It is scaled so that the mean of the positive side scores 1, and that of the others 0. On sets
left out it did as well as logistic regression and better than ridge regression, in a fifth of the time of the former;
several directions, one for each kind of positive signatures, did worse (scripts/train/heads.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.heads.card import Weights

SHRINK = 3.0
"""How much of the mean variance is added to each direction's before the inverse: other places and people differ."""


def linear(codes: NDArray[np.integer[Any]], positive: NDArray[np.bool_], weight: NDArray[np.float64]) -> Weights:
    """Return one row that scores what is positive above what is not.

    codes: (n, d), less their zero points. positive: (n,), some and not all. weight: (n,), what each counts on its side.
    """
    vectors = codes.astype(np.float64)
    vectors /= np.maximum(np.sqrt((vectors**2).sum(axis=1)), 1.0)[:, None]
    total = np.zeros((vectors.shape[1],) * 2)
    means = []
    for side in (~positive, positive):
        rows, share = vectors[side], weight[side] / weight[side].sum()
        means.append(share @ rows)
        total += (rows * share[:, None]).T @ rows - np.outer(means[-1], means[-1])
    spread = total / 2
    spread += SHRINK * np.trace(spread) / len(spread) * np.eye(len(spread))
    away = means[1] - means[0]
    row = np.linalg.solve(spread, away)
    # Sides of one mean cannot be told apart.
    row /= max(float(row @ away), 1e-9)
    scale = max(float(np.abs(row).max()), 1e-12) / 127
    # The offset is that of the whole numbers, so that others score 0 on average by them, too.
    whole = np.rint(row / scale).astype(np.int8)
    return Weights(whole[None], np.array([scale]), np.array([-scale * float(whole @ means[0])]))


def balanced(positive: NDArray[np.bool_], group: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (n,) weights by which, on either side, a group counts as the square root of its size.

    group: (n,) 0 and up. So what was recorded for long does not drown the rest, nor the rest what is common.
    """
    _, pair, count = np.unique(2 * group + positive, return_inverse=True, return_counts=True)
    return np.asarray(1 / np.sqrt(count[pair]), np.float64)
