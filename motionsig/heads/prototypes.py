"""Scores by likeness to a few examples, learned in a few milliseconds and without iterations.

A prototype is an example as others do not look: its unit vector less the mean of other life, times the inverse of how
other life spreads (an exemplar's linear discriminant: Hariharan, Malik & Ramanan 2012, "Discriminative decorrelation
for clustering and classification"). It is scaled so that the example itself scores 1, and the mean of other life 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.heads.card import Weights

SHRINK = 1.0
"""How much of the mean variance is added to each direction's before the inverse: other life is never all of life."""


def unit(codes: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return codes (n, d) as vectors of length 1, as heads score them; a vector of zeros stays one."""
    values = codes.astype(np.float64)
    length = np.sqrt((values**2).sum(axis=1))
    return np.asarray(values / np.maximum(length, 1.0)[:, None])


def prototypes(examples: NDArray[np.int8], others: NDArray[np.int8]) -> Weights:
    """Return one row for each of the examples (m, d). others: (n, d) codes of other life, many more than d."""
    life = unit(others)
    mean = life.mean(axis=0)
    spread = np.cov(life, rowvar=False, bias=True)
    spread += SHRINK * np.trace(spread) / len(spread) * np.eye(len(spread))
    away = unit(examples) - mean
    rows = np.linalg.solve(spread, away.T).T
    # The example itself scores 1; one that is the mean of other life could not be told from it.
    rows /= np.maximum(np.einsum("md,md->m", rows, away), 1e-9)[:, None]
    return rounded(rows, -rows @ mean)


def rounded(rows: NDArray[np.float64], offset: NDArray[np.float64]) -> Weights:
    """Return rows (m, d) for unit vectors, and what is added to each score, as int8 weights."""
    scale = np.maximum(np.abs(rows).max(axis=1), 1e-12) / 127
    return Weights(np.rint(rows / scale[:, None]).astype(np.int8), scale, offset)
