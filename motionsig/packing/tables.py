"""The numbers that pack one encoder's codes: read from a file that `scripts/train/packing.py` made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.arrays import read_npz
from motionsig.errors import ModelError

FILE_NAME = "packing.npz"
"""In a model's folder."""
MOST_FILE_BYTES = 1 << 20
_MOST_UNPACKED = 16 << 20
_MOST_SETS = 16
NAME_BYTES = 4
KINDS = 3
"""Of rows: the first of a message, the second, and all others: none, one or two rows lie before them."""
MEAN_BITS, SCALE_BITS = 10, 12
"""Weights are whole numbers: so many bits of them are behind the binary point."""
PROBABILITY_BITS = 12
SYMBOLS = 64
"""Of a table: 0 says that the residual comes apart, symbol i stands for i - 32."""
PHASES = 8
"""Of a predicted mean between two whole numbers, where the scale is small."""
PHASED = 23
"""So many of the smallest scales have a table for each phase."""
SCALES = 40
MAX_LENGTH = 512
RAW_BITS = np.array([0] * PHASED + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 5)
"""Of each scale: how many low bits of a residual are sent as they are."""
TABLES = PHASED * PHASES + SCALES - PHASED


class Weights(NamedTuple):
    """For one kind of row; n codes in g groups. All int16, in the order of coding.

    before (1 + 2 n, n): of 1, the row before and the row before that. within (n, n): of codes of earlier groups.
    extra (7, n): of what the direction tells. scale (4 + 3 g, n).
    """

    before: NDArray[np.float64]
    within: NDArray[np.float64]
    extra: NDArray[np.float64]
    scale: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tables:
    """What packs the codes of the encoder with this fingerprint; n codes in g groups.

    name: 4 bytes that stand for the file. order (n,): which code is coded when. ends (g,): where each group ends.
    length: of the unit vector that the first three codes in this order are, in steps; 0 where they are none. unit: how
    many sixteenths of a step a product of two of them is, times 4096. weights: of each kind of row.
    frequency (TABLES, SYMBOLS): each table's sum is 4096.
    """

    name: bytes
    fingerprint: bytes
    order: NDArray[np.intp]
    ends: tuple[int, ...]
    length: int
    unit: int
    weights: tuple[Weights, ...]
    frequency: NDArray[np.int64]

    @cached_property
    def begins(self) -> NDArray[np.intp]:
        """(g,): where each group begins."""
        return np.array([0, *self.ends[:-1]])

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(g,): how many codes each group has."""
        return np.array(self.ends) - self.begins

    @cached_property
    def groups(self) -> list[slice]:
        """Which codes, in the order of coding, are predicted together."""
        return [slice(first, last) for first, last in zip(self.begins.tolist(), self.ends, strict=True)]

    @cached_property
    def cumulative(self) -> NDArray[np.int64]:
        """(TABLES, SYMBOLS): where each symbol's slots begin."""
        return np.cumsum(self.frequency, axis=1) - self.frequency

    @cached_property
    def symbol(self) -> NDArray[np.uint8]:
        """(TABLES, 4096): whose each slot is."""
        return np.stack([np.repeat(np.arange(SYMBOLS, dtype=np.uint8), row) for row in self.frequency.astype(np.intp)])

    @cached_property
    def plain(self) -> tuple[list[bytes], list[list[int]], list[list[int]]]:
        """Symbol, frequency and cumulative as Python's own numbers, which are faster one by one."""
        return [row.tobytes() for row in self.symbol], self.frequency.tolist(), self.cumulative.tolist()


def read_tables(data: bytes, where: str, only: bytes | None = None) -> dict[bytes, Tables]:
    """Return the tables in a file's bytes, by the fingerprint that they are for. Raises ModelError for other content.

    only: those for this fingerprint alone, if there are any: the others are not unpacked.

    The file is an .npz without pickle. `sets` (s, 8) uint8: the fingerprints; the other names begin with the set's
    number: 0_order, 0_ends, 0_direction (2,), 0_first (n,), 0_before, 0_within (2, n, n), 0_extra (2, 7, n),
    0_scale (KINDS, 4 + 3 g, n), 0_frequency.
    """
    name = hashlib.sha256(data).digest()[:NAME_BYTES]
    try:
        sets = read_npz(data, _MOST_UNPACKED, "sets")["sets"]
        if sets.dtype != np.uint8 or sets.ndim != 2 or len(sets) > _MOST_SETS:
            raise ValueError(f"at most {_MOST_SETS} fingerprints of uint8, got {sets.dtype} {sets.shape}")
        wanted = [(number, it.tobytes()) for number, it in enumerate(sets) if only in (None, it.tobytes())]
        found = [_tables(name, it, read_npz(data, _MOST_UNPACKED, f"{number}_"), number) for number, it in wanted]
    except (LookupError, ValueError, TypeError) as error:
        raise ModelError(f"{where}: expected tables for packing, got: {error}") from error
    return {tables.fingerprint: tables for tables in found}


def _tables(name: bytes, fingerprint: bytes, stored: Mapping[str, NDArray[np.int64]], number: int) -> Tables:
    part = {key: stored[f"{number}_{key}"] for key in (
        "order", "ends", "direction", "first", "before", "within", "extra", "scale", "frequency",
    )}  # fmt: skip
    order, ends, frequency = part["order"].astype(np.intp), tuple(part["ends"].tolist()), part["frequency"]
    n, shapes = len(order), {key: values.shape for key, values in part.items()}
    wanted = {
        "order": (n,), "ends": (len(ends),), "direction": (2,), "first": (n,), "before": (1 + 2 * n, n),
        "within": (2, n, n), "extra": (2, 7, n), "scale": (KINDS, 4 + 3 * len(ends), n), "frequency": (TABLES, SYMBOLS),
    }  # fmt: skip
    if shapes != wanted or sorted(order.tolist()) != list(range(n)) or not len(fingerprint) == 8:
        raise ValueError(f"arrays of shape {wanted}, got {shapes}")
    if sorted({0, *ends}) != [0, *ends] or ends[-1] != n or (frequency.sum(axis=1) != 1 << PROBABILITY_BITS).any():
        raise ValueError("groups of all codes and frequencies that add up to 4096")
    length, unit = part["direction"].tolist()
    if not 0 <= length <= MAX_LENGTH:
        raise ValueError(f"a direction of 0 to {MAX_LENGTH} steps, got {length}")
    before = part["before"].astype(np.float64)
    none = np.zeros_like(before)
    none[0] = part["first"]
    weights = tuple(
        Weights(*(values.astype(np.float64) for values in (
            before if kind else none, part["within"][min(kind, 1)], part["extra"][min(kind, 1)], part["scale"][kind],
        )))
        for kind in range(KINDS)
    )  # fmt: skip
    return Tables(name, fingerprint, order, ends, length, unit, weights, frequency.astype(np.int64))
