"""How a chip's level is to be read: it grows with time, falls with what is read, and ends at a full FIFO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.sensors.chips import Level
from motionsig.sensors.proving.evidence import Looks

_FITS = 0.15
"""Part of the largest count by which a level may fall or jump although nobody reads."""
_NEAR = 0.2
"""How far a measured unit may be off the table's: a few records are read, and samples come meanwhile."""
_FULL = 0.95
_RISES = 8
"""A level grows little by little; the flags beside it jump."""


@dataclass(frozen=True)
class LevelReading:
    """How to read the level.

    unit: bytes that one count stands for. most: the largest count seen. fits: part by which it falls or jumps although
    nobody reads.
    """

    first: int
    length: int
    order: Literal["big", "little"]
    mask: int
    unit: float
    most: int
    fits: float

    def counts(self, looks: Looks) -> NDArray[np.int64]:
        """Return (k,) counts."""
        return _counts(looks, self.first, self.length, self.order, self.mask)


def read_level(level: Level, fill: Looks, drops: Sequence[tuple[int, Looks]]) -> LevelReading:
    """Return the table's way of reading the level if the level behaves; else the way in which it does."""
    first, length = level.count
    table = (level.order, level.mask)
    others: list[tuple[Literal["big", "little"], int]] = [
        (order, (1 << bits) - 1)
        for order in (("little", "big") if length > 1 else (level.order,))
        for bits in range(4, 8 * length + 1)
    ]
    best, misfit = table, np.inf
    # Some levels go back to 0 where the FIFO is full, and stay there: only where no other reading does without.
    for wrapping in (False, True):
        misfits = {way: _misfit(_counts(fill, first, length, *way), wrapping=wrapping) for way in (table, *others)}
        fitting = [way for way in others if misfits[way] < _FITS]
        if misfits[table] < _FITS or fitting:
            # A few bits of a level that are far up grow, too, but not so far.
            best = max(fitting, key=lambda way: (_counts(fill, first, length, *way).max(), -way[1]), default=table)
            best = table if misfits[table] < _FITS else best
            misfit = misfits[best]
            break
    counts = _counts(fill, first, length, *best)
    reading = LevelReading(first, length, *best, float(level.unit), int(counts.max(initial=0)), misfit)
    units = [unit for size, looks in drops if (unit := _unit(size, looks, reading))]
    if units and abs(np.log(np.median(units) / level.unit)) > _NEAR:
        measured = float(np.median(units))
        reading = LevelReading(first, length, *best, max(1.0, float(round(measured))), reading.most, misfit)
    return reading


def rate_hz(looks: Looks, reading: LevelReading, record_size: int) -> tuple[float, float]:
    """Return the samples per second that the level and what was read show, and how far off that may be, as a part."""
    counts = reading.counts(looks)
    good = counts < _FULL * reading.most
    # Up to the first look at a full FIFO: from then on samples are lost.
    good &= np.cumsum(~good) == 0
    if good.sum() < 4:
        return np.nan, np.inf
    t = (looks.time_ns[good] - looks.time_ns[0]) / NS_PER_S
    records = (counts[good] * reading.unit + looks.taken[good]) / record_size
    if not records[-1] > records[0]:
        return np.nan, np.inf
    slope = float(np.polyfit(t, records, 1)[0])
    return slope, 1.0 / (records[-1] - records[0])


def _counts(looks: Looks, first: int, length: int, order: Literal["big", "little"], mask: int) -> NDArray[np.int64]:
    part = looks.raw[:, first : first + length].astype(np.int64)
    weights = 256 ** np.arange(length, dtype=np.int64)
    return np.asarray((part @ (weights[::-1] if order == "big" else weights)) & mask, np.int64)


def _misfit(counts: NDArray[np.int64], *, wrapping: bool) -> float:
    """Return the part of the largest count by which it falls, or rises far more than usual, while nobody reads.

    wrapping: it may be 0 from a full FIFO on.
    """
    most = int(counts.max(initial=0))
    if wrapping and most and counts[-1] == 0:
        counts = counts[: np.flatnonzero(counts)[-1] + 1]
    if len(counts) < 8 or most < 2:
        return np.inf
    steps = np.diff(counts)
    rises = steps[steps > 0]
    if len(rises) < _RISES:
        return np.inf
    usual = 8 * float(np.median(rises)) + 2
    wild = -steps[steps < 0].sum() + (steps[steps > usual] - usual).sum()
    return float(wild) / most


def _unit(size: int, looks: Looks, reading: LevelReading) -> float | None:
    """Return bytes per count from a read of `size` bytes before the last look; the ones before show the growth."""
    counts = reading.counts(looks)
    t = (looks.time_ns - looks.time_ns[0]) / NS_PER_S
    slope, start = np.polyfit(t[:-1], counts[:-1], 1)
    fell = start + slope * t[-1] - counts[-1]
    return size / float(fell) if fell > 0.5 else None
