"""Scores of signatures: many heads at once, and the same on every machine.

Scores are computed from integers: products of int8 weights and codes add up to less than 2^24, which a float32 holds
exactly in whatever order a library of linear algebra adds them. What follows is done number by number in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.heads.card import HIGHEST, LOWEST, NOVELTY, PROTOTYPES, HeadCard, Weights
from motionsig.heads.prototypes import prototypes
from motionsig.quality import is_at_rest

NEVER = -math.inf
"""The score of what cannot be what a head looks for."""


class Rows(NamedTuple):
    """Weights as they are multiplied: columns (d, m) of whole numbers, scale and offset (m,)."""

    columns: NDArray[np.float32]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]


def rows_of(weights: Sequence[Weights]) -> Rows:
    """Return the rows of all of these, one after the other."""
    rows = np.concatenate([one.rows for one in weights])
    scale, offset = np.concatenate([one.scale for one in weights]), np.concatenate([one.offset for one in weights])
    return Rows(np.ascontiguousarray(rows.T, np.float32), scale, offset)


def weigh(codes: NDArray[np.float32], rows: Rows) -> NDArray[np.float64]:
    """Return (n, m) scores by each row. codes: (n, d) whole numbers, less their zero points."""
    # A product of one row takes another way through the library, and gives the same integers.
    dots = (codes @ rows.columns).astype(np.float64)
    length = np.sqrt(np.einsum("nd,nd->n", codes, codes).astype(np.float64))
    return np.asarray(dots / np.maximum(length, 1.0)[:, None] * rows.scale + rows.offset)


class _Part(NamedTuple):
    """The rows of all heads that look at the same codes.

    heads: which column of the scores each head has. begins: the first row of each head, and then of the
    counter-examples of each of `warned`, columns among `heads`.
    """

    codes: slice
    rows: Rows
    heads: list[int]
    begins: list[int]
    warned: list[int]


class Scoring:
    """Scores of signatures by many heads of one encoder at once."""

    def __init__(self, cards: Sequence[HeadCard]) -> None:
        self._count = len(cards)
        weighed = [(at, card) for at, card in enumerate(cards) if len(card.weights.rows)]
        self._parts = []
        for codes in dict.fromkeys(card.codes for _, card in weighed):
            chosen = [(at, card) for at, card in weighed if card.codes == codes]
            # A head does not take what is nearer to a counter-example than to its own rows.
            warned = [
                row for row, (_, card) in enumerate(chosen) if card.kind == PROTOTYPES and len(card.taught.against)
            ]
            weights = [card.weights for _, card in chosen]
            weights += [prototypes(chosen[row][1].taught.against[:, slice(*codes)]) for row in warned]
            begins = np.cumsum([0, *(len(one.rows) for one in weights[:-1])]).tolist()
            self._parts.append(_Part(slice(*codes), rows_of(weights), [at for at, _ in chosen], begins, warned))
        # By the column of the scores: those that rest decides alone, those where it decides, those that are 1 less.
        self._resting = [(at, card.at_rest == HIGHEST) for at, card in enumerate(cards) if not len(card.weights.rows)]
        self._lowest = [at for at, card in weighed if card.at_rest == LOWEST]
        self._highest = [(at, card.timing.on) for at, card in weighed if card.at_rest == HIGHEST]
        self._novel = [at for at, card in weighed if card.kind == NOVELTY]
        self._rest_is_never = len(self._lowest) == len(weighed)

    def __call__(self, signatures: SignatureBatch) -> NDArray[np.float64]:
        """Return (k, heads) scores; NEVER where a signature cannot be what a head looks for.

        It cannot where a sensor is at rest, or where a counter-example is nearer.
        """
        scores = np.zeros((len(signatures), self._count))
        at_rest = is_at_rest(signatures.quality)
        if self._rest_is_never and at_rest.any():
            # Most of a day a sensor lies still, and of that nothing need be computed.
            moving = np.flatnonzero(~at_rest)
            scores[moving] = self._weighed(signatures.codes[moving], signatures.spec)
        else:
            scores = self._weighed(signatures.codes, signatures.spec)
        if self._novel:
            scores[:, self._novel] = 1.0 - scores[:, self._novel]
        if self._resting or self._lowest or self._highest:
            for at, is_high in self._resting:
                scores[:, at] = at_rest == is_high
            if self._lowest and at_rest.any():
                scores[np.ix_(np.flatnonzero(at_rest), np.array(self._lowest))] = NEVER
            for at, on in self._highest:
                np.maximum(scores[:, at], on, out=scores[:, at], where=at_rest)
        return scores

    def _weighed(self, signed: NDArray[np.int8], spec: SignatureSpec) -> NDArray[np.float64]:
        """Return (k, heads) scores by the rows of heads; 0 of those without."""
        codes = signed.astype(np.float32)
        first = 0
        for group in spec.quantization.groups:
            if group.zero_point:
                codes[:, first : first + group.size] -= group.zero_point
            first += group.size
        scores = np.zeros((len(codes), self._count))
        for part in self._parts:
            values = weigh(codes[:, part.codes], part.rows)
            if len(part.begins) < values.shape[1]:
                values = np.maximum.reduceat(values, part.begins, axis=1)
            own = values[:, : len(part.heads)]
            for column, row in enumerate(part.warned, len(part.heads)):
                own[values[:, column] > own[:, row], row] = NEVER
            scores[:, part.heads] = own
        return scores
