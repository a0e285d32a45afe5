"""What is known of each code before it is coded: its mean and its scale, from the rows and the groups before it.

All numbers are whole. Products run in float64, where BLAS is fast. Whole numbers below 2^53 are exact in it, in any
order of summation, so every machine gets the same. Means are in eighths of a step, logarithms in 1/32 of an octave.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from motionsig.packing.tables import MEAN_BITS, PHASED, PHASES, SCALE_BITS, SCALES, Tables, Weights

Rows = NDArray[np.int64]
"""(k, n): one row for each signature, in the order of coding."""

_STEEP = 4
"""Below a quarter of the direction's length its third component is as uncertain as its sign."""


@cache
def _logarithms() -> NDArray[np.int64]:
    # The whole part of 32 log2(v), in whole numbers alone: a library's log2 may round otherwise on another machine.
    return np.array([(value**32).bit_length() - 1 for value in range(3, 3 + 4200)])


def logarithm(eighths: Rows) -> Rows:
    """Return the logarithm of the size of differences in eighths of a step; 3/8 are added, so that 0 has one."""
    found: Rows = _logarithms()[np.abs(eighths)]
    return found


def by_group(tables: Tables, rows: Rows) -> Rows:
    """Return (k, g): the mean of each group, rounded down."""
    total: Rows = np.add.reduceat(rows, tables.begins, axis=1) // tables.sizes
    return total


def height(tables: Tables, codes: Rows) -> Rows:
    """Return (k,): the size of the direction's third component, from the first two."""
    rest = tables.length**2 - codes[:, 0] ** 2 - codes[:, 1] ** 2
    # Square roots are rounded correctly everywhere (IEEE 754), so their whole part is the same everywhere.
    size: Rows = np.sqrt(np.maximum(rest, 0).astype(np.float64)).astype(np.int64)
    return size


def extras(tables: Tables, codes: Rows, last: Rows, group: slice) -> Rows | None:
    """Return (k, 7) for the groups that a direction tells of, None for the others.

    codes, last: this row as far as it is known, and the row before it.
    """
    if not tables.length or group.start not in (2, 3):
        return None
    told = np.zeros((len(codes), 7), np.int64)
    if group.start == 2:
        size = height(tables, codes)
        steep = size * _STEEP >= tables.length
        told[:, 0] = np.where(steep, np.where(last[:, 2] < 0, -size, size), 0)
        told[:, 1] = np.where(steep, last[:, 2], 0)
        return told
    x, y, z = codes[:, 0], codes[:, 1], codes[:, 2]
    products = (2 * x * y, 2 * y * z, 2 * z * x, x * x - y * y, 3 * z * z - tables.length**2)
    told[:, 2:] = np.stack(products, axis=1) * tables.unit >> 12
    return told


def means_before(weights: Weights, last: Rows, last_but_one: Rows) -> NDArray[np.float64]:
    """Return (k, n): what the rows before add to each mean."""
    n = last.shape[1]
    both = np.concatenate([last, last_but_one], axis=1).astype(np.float64)
    total: NDArray[np.float64] = weights.before[0] + both @ weights.before[1 : 1 + 2 * n]
    return total


def means(tables: Tables, weights: Weights, before: NDArray[np.float64], codes: Rows, last: Rows, group: slice) -> Rows:
    """Return (k, size of the group): the means in eighths of a step; `codes` are known up to the group."""
    total = before[:, group] + codes[:, : group.start].astype(np.float64) @ weights.within[: group.start, group]
    told = extras(tables, codes, last, group)
    if told is not None:
        total = total + told.astype(np.float64) @ weights.extra[:, group]
    eighths = (total.astype(np.int64) + (1 << (MEAN_BITS - 4))) >> (MEAN_BITS - 3)
    mean: Rows = np.minimum(np.maximum(eighths, -128 * PHASES), 127 * PHASES)
    return mean


def scales_before(tables: Tables, weights: Weights, residuals: Rows, steps: Rows) -> NDArray[np.float64]:
    """Return (k, n): what the logarithms of the last row's residuals, and of its steps from the one before, add."""
    g = len(tables.ends)
    scale = weights.scale
    each = scale[0] + residuals * scale[1] + steps * scale[2]
    total: NDArray[np.float64] = (
        each
        + by_group(tables, residuals).astype(np.float64) @ scale[4 : 4 + g]
        + by_group(tables, steps).astype(np.float64) @ scale[4 + g : 4 + 2 * g]
    )
    return total


def scales(
    tables: Tables, weights: Weights, before: NDArray[np.float64], within: Rows, codes: Rows, number: int
) -> Rows:
    """Return (k, size of group `number`): which of SCALES each code has.

    within (k, number): the means of the logarithms of this row's residuals, of the groups that are known.
    """
    group, g = tables.groups[number], len(tables.ends)
    total = before[:, group] + within.astype(np.float64) @ weights.scale[4 + 2 * g : 4 + 2 * g + number, group]
    if tables.length and group.start == 2:
        total = total + logarithm(8 * height(tables, codes))[:, None] * weights.scale[3, group]
    quarters = ((total.astype(np.int64) >> SCALE_BITS) + 4) >> 3
    scale: Rows = np.minimum(np.maximum(quarters, 0), SCALES - 1)
    return scale


def table_numbers(scale: Rows, mean: Rows) -> Rows:
    """Return which table codes each residual."""
    found: Rows = _TABLE[scale * PHASES + (mean & (PHASES - 1))]
    return found


_TABLE = np.array([
    scale * PHASES + phase if scale < PHASED else scale + PHASED * (PHASES - 1)
    for scale in range(SCALES) for phase in range(PHASES)
])  # fmt: skip
