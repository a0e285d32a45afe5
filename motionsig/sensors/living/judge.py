"""A stream of samples, judged: what is dead or garbled is left out, and what follows is marked."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.sensors.living.cells import Floats, cell, cell_rows
from motionsig.sensors.living.gravity import Gravity
from motionsig.sensors.living.spikes import BEFORE, may_be_garbled, standing_out
from motionsig.sensors.living.standing import Standing


class Rows(NamedTuple):
    """Samples: times (n,), data (n, 6) in m/s² and rad/s, NaN where there is no gyroscope.

    gap: (n,) something is missing just before; lost: (n,) how many samples, as far as is known.
    """

    time_ns: NDArray[np.int64]
    data: Floats
    gap: NDArray[np.bool_]
    lost: NDArray[np.int64]

    def rows(self, which: slice) -> Rows:
        return Rows(self.time_ns[which], self.data[which], self.gap[which], self.lost[which])

    def then(self, more: Rows) -> Rows:
        if not len(self.data):
            return more
        time_ns, data = np.concatenate([self.time_ns, more.time_ns]), np.concatenate([self.data, more.data])
        return Rows(time_ns, data, np.concatenate([self.gap, more.gap]), np.concatenate([self.lost, more.lost]))


def no_rows() -> Rows:
    """Return no samples."""
    none = np.empty((0, len(CHANNELS)), np.float32)
    return Rows(np.empty(0, np.int64), none, np.empty(0, np.bool_), np.empty(0, np.int64))


class _Sieve:
    """Leaves rows out; the next row that passes knows how many are missing, in whatever call it comes."""

    def __init__(self) -> None:
        self._gaps = self._lost = 0

    def keep(self, rows: Rows, kept: NDArray[np.bool_]) -> Rows:
        """Return the rows (n,) that are `kept`."""
        if not len(kept) or (not self._gaps and kept.all()):
            return rows
        lost, gaps = self._lost + np.cumsum(rows.lost + ~kept), self._gaps + np.cumsum(rows.gap | ~kept)
        passed_lost, passed_gaps = lost[kept], gaps[kept]
        self._lost = int(lost[-1] - passed_lost[-1] if len(passed_lost) else lost[-1])
        self._gaps = int(gaps[-1] - passed_gaps[-1] if len(passed_gaps) else gaps[-1])
        gap = np.diff(passed_gaps, prepend=0) > 0
        return Rows(rows.time_ns[kept], rows.data[kept], gap, np.diff(passed_lost, prepend=0))

    def drop(self, count: int) -> None:
        """Leave out so many rows that will not come."""
        self._lost, self._gaps = self._lost + count, self._gaps + (count > 0)


class Living:
    """Judges samples as they come; any cutting into pushes gives the same.

    step, most: (6,) m/s² and rad/s per count, and of the full scale, if known. dead, garbled: samples left out so far.
    fault: what is dead, in words, or None; then nothing passes, and the chip has to be started again. doubt: why what
    passes may be dead. suspected: the fault is a suspicion that one start proves or refutes.
    """

    def __init__(
        self,
        rate_hz: float,
        step: NDArray[np.floating] | None = None,
        most: NDArray[np.floating] | None = None,
    ) -> None:
        self.dead = self.garbled = 0
        self._rate_hz, self._step, self._most = rate_hz, step, most
        self._size = cell_rows(rate_hz)
        self._axes = 0  # not known yet
        self._standing = Standing(rate_hz, self._size / rate_hz, 0, None, None)
        self._gravity = Gravity(self._size / rate_hz)
        self._whole, self._living = _Sieve(), _Sieve()
        self._shown: Floats = no_rows().data  # rows before those that are compared next
        self._held = no_rows()  # rows that may be garbled: what follows will show
        self._cell: list[Floats] = []
        self._in_cell = 0
        self._last: Floats | None = None  # the row before the cell
        self._last_ns: int | None = None  # its time

    @property
    def fault(self) -> str | None:
        return self._standing.fault or self._gravity.fault

    @property
    def doubt(self) -> str | None:
        return self._standing.doubt

    @property
    def suspected(self) -> bool:
        return self._standing.suspected

    def restarted(self) -> None:
        """Follow a new start of the chip."""
        self._standing.restarted()
        self.dead += len(self._held.data)
        self._whole.drop(len(self._held.data))
        self._shown, self._held = self._shown[:0], no_rows()
        self._cell, self._in_cell, self._last, self._last_ns = [], 0, None, None

    def push(self, new: Rows) -> Rows:
        """Return the samples that live, in order: those of `new`, and of before those that waited for it."""
        if not self._axes and len(new.data):
            self._axes = 3 if np.isnan(new.data[0, 3]) else len(CHANNELS)
            step, most = (None if each is None else each[: self._axes] for each in (self._step, self._most))
            self._standing = Standing(self._rate_hz, self._size / self._rate_hz, self._axes, step, most)
        breaks = [0, *(np.flatnonzero(new.gap[1:]) + 1).tolist(), len(new.data)]
        passed = no_rows()
        for start, stop in pairwise(breaks):
            part = new.rows(slice(start, stop))
            if len(part.data) and part.gap[0]:
                # What is far apart cannot be compared.
                passed = passed.then(self._pass(self._whole.keep(self._held, np.ones(len(self._held.data), np.bool_))))
                self._shown, self._held = self._shown[:0], no_rows()
            passed = passed.then(self._pass(self._compare(part)))
        return passed

    def _compare(self, new: Rows) -> Rows:
        """Leave out what is garbled, and hold what may be."""
        rows, shown = self._held.then(new), len(self._shown)
        data = np.concatenate([self._shown, rows.data])[:, : self._axes]
        decided = len(rows.data) - min(may_be_garbled(data), len(rows.data))
        garbled = standing_out(data)[shown : shown + decided]
        self.garbled += int(np.count_nonzero(garbled))
        whole = self._whole.keep(rows.rows(slice(decided)), ~garbled)
        self._held = rows.rows(slice(decided, None))
        self._shown = np.concatenate([self._shown, whole.data[-BEFORE:]])[-BEFORE:]
        return whole

    def _pass(self, rows: Rows) -> Rows:
        """Judge cell by cell; return the rows that came while nothing was known to be dead."""
        kept = np.ones(len(rows.data), np.bool_)
        at = 0
        while at < len(rows.data):
            part = rows.data[at : at + self._size - self._in_cell, : self._axes]
            if self.fault is not None:
                kept[at : at + len(part)] = False
                self.dead += len(part)
            at += len(part)
            self._cell.append(part)
            self._in_cell += len(part)
            if self._in_cell == self._size:
                self._judge(int(rows.time_ns[at - 1]))
        return self._living.keep(rows, kept)

    def _judge(self, time_ns: int) -> None:
        span_s = 0.0 if self._last_ns is None else (time_ns - self._last_ns) / NS_PER_S
        data = np.concatenate(self._cell)
        seen = cell(data, data[0] if self._last is None else self._last)
        self._cell, self._in_cell, self._last, self._last_ns = [], 0, data[-1], time_ns
        self._standing.push(seen, span_s)
        self._gravity.push(seen)
