"""Numbers that stand still: frozen, all zero, all ones, one axis or one sensor dead.

A living sensor may repeat itself: a coarse one at rest whose noise is below its step, one that is read more often than
it measures. What cannot be honest is, in the order of certainty:

* acceleration that is exactly constant and not gravity's (all zeros, all ones), or a constant fast rotation;
* a run of equal values that is longer than this very sensor's noise allows (`noise`);
* one sensor or one axis that stands still while the others move as before;
* a stop from full motion within one sample, at values unlike those of the rests before. As it may still be a device
  that was put down, the chip is started again once. If its values are as constant after that, they are delivered, and
  the doubt is said.

A sensor that has never changed and lies as if at rest may be dead or not: after ten seconds the doubt is said, if its
steps are finer than the noise of any such chip.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS, STANDARD_GRAVITY
from motionsig.sensors.living.cells import Cell, Floats
from motionsig.sensors.living.gravity import in_range, wrong_gravity
from motionsig.sensors.living.noise import Noise

_STANDS_S, _AXIS_S, _DOUBT_S = 1.25, 1.5, 10.0
"""How long all axes or a sensor, one axis stand still before that is looked into; before a doubt is said."""
_TURNS = 1.0
"""rad/s: more is no error at rest."""
_ALWAYS = 0.9
"""Share of samples that change in motion, of an axis that then cannot stand still while the others move."""
_LEARNED_S, _GOES_ON_S = 1.5, 0.5
_REST_G, _REST_GYR = (0.985, 1.015), 0.02
"""|acc| in g and rad/s of a rest that needs no proof: beside these, those that were seen before."""
_LIKE_G, _LIKE_GYR = 0.02, 0.02
"""How near to rests seen before a rest is like them."""
_QUIETEST = 60e-6 * STANDARD_GRAVITY
"""m/s² per root Hz: less noise than that of any accelerometer read here (70e-6 g, ICM-42688-P, DS-000347 table 2)."""
_CLIPS = 0.98
_LARGE = np.array([15.0] * 3 + [4.0] * 3, np.float32)
"""m/s², rad/s: a constant value as large as the largest seen may be clipped."""
_STARTING = 2
"""Cells after a start in which numbers settle."""
_ALL, _ACC, _GYR = slice(0, 6), slice(0, 3), slice(3, 6)


class Standing:
    """Pure state machine over cells of `axes` axes, 3 or 6; `fault` and `doubt`: what stands still, or None.

    suspected: what stopped suddenly; one start shows whether it lives. step: (axes,) m/s² and rad/s per count, if known.
    """

    def __init__(self, rate_hz: float, cell_s: float, axes: int, step: NDArray[np.floating] | None) -> None:
        self.fault: str | None = None
        self.doubt: str | None = None
        self.suspected = False
        self._cell_s, self._axes, self._step = cell_s, axes, step
        self._noise = _QUIETEST * (rate_hz / 4) ** 0.5
        self._stands, self._axis, self._long = (ceil(each / cell_s) for each in (_STANDS_S, _AXIS_S, _DOUBT_S))
        self._rest, self._motion = Noise(axes), Noise(axes)
        self._moved = 0  # cells in motion, learned from
        self._largest = np.zeros(axes, np.float32)
        self._constant = np.zeros(axes, np.int64)  # cells in a row without a change
        self._active = np.zeros(axes, np.int64)  # cells in a row in motion
        self._dead = _ALL
        self._since_start: int | None = None  # cells since the chip was started again
        # The last cell in which anything changed: it was one in motion, or followed one.
        self._moves = self._moved_before = False
        # Of the run in which all axes stand still.
        self._sudden = self._accepted = self._proven = False
        self._like = 1.0, 0.0
        # What is known of rests in which nothing changes.
        self._rests = (*_REST_G, _REST_GYR)
        self._ends_itself = False

    def restarted(self) -> None:
        """Follow a new start of the chip."""
        self._proven = self.suspected
        if self.suspected:
            self.fault, self.suspected = None, False
        self._constant[:] = self._active[:] = 0
        self._accepted = self._sudden = self._moves = self._moved_before = False
        self._since_start = 0

    def push(self, seen: Cell) -> None:
        """Take the next cell."""
        still = seen.changes == 0
        if self._since_start is not None:
            self._since_start += 1
        if self._constant.min() and not still.all():
            self._end()
        elif still.all() and not self._constant.min():
            self._sudden = self._moves
        self._constant = np.where(still, self._constant + 1, 0)
        self._active = np.where(seen.moves, self._active + 1, 0)
        found = self._judge(seen)
        if found is not None:
            self.fault, self._dead = found
        elif self.fault is not None and self._lives(still):
            self.fault, self.suspected, self._since_start = None, False, None
        if not still.all():
            moved = bool(seen.moves.any())
            settled = self._since_start is None or self._since_start > _STARTING
            # It may have stopped just after this cell began.
            at_first = 2 * seen.any_changes < seen.rows and self._moved_before
            self._moves, self._moved_before = settled and (moved or at_first), settled and moved
            if self.fault is None:
                self._learn(seen)

    def _learn(self, seen: Cell) -> None:
        if seen.moves.any():
            self._motion.learn(seen)
            self._moved += 1
            self._largest = np.maximum(self._largest, np.abs(seen.last))
        elif seen.quiet:
            self._rest.learn(seen)

    def _end(self) -> None:
        """Follow a change by itself after all axes stood still: this sensor can do so and live."""
        if self._accepted:
            size_g, turning = self._like
            low, high, most = self._rests
            self._rests = min(low, size_g - _LIKE_G), max(high, size_g + _LIKE_G), max(most, turning + _LIKE_GYR)
            self._ends_itself = True
        self._accepted = self._proven = False
        self.doubt = None

    def _lives(self, still: NDArray[np.bool_]) -> bool:
        """Tell whether what was dead changes, or is as a living one may be for long enough after a new start."""
        group = still[self._dead]
        changes = bool(np.count_nonzero(group) <= len(group) // 2 and not group.all())
        return changes or (self._since_start is not None and self._since_start >= self._stands)

    def _judge(self, seen: Cell) -> tuple[str, slice] | None:
        """Return what is dead and its axes, or None; set the doubt."""
        last, rows = seen.last, self._constant * seen.rows
        size_g = float(np.linalg.norm(last[:3])) / STANDARD_GRAVITY
        acc = int(self._constant[:3].min())
        if acc >= self._stands and not in_range(size_g):
            return f"the acceleration stands still at {_numbers(last[:3])} m/s²: {wrong_gravity(size_g)}", _ACC
        if self._constant.min() >= self._stands:
            turning = float(np.abs(last[3:]).max(initial=0.0))
            if turning > _TURNS or self._rest.forbids(int(rows.min()), _ALL):
                return f"frozen: all values stand still at {_numbers(last)}", _ALL
            return self._judge_rest(last, size_g, turning)
        gyr = int(self._constant[3:].min(initial=0 if self._axes == 3 else self._constant.max()))
        for name, axes, cells, others in (("acceleration", _ACC, acc, _GYR), ("angular rate", _GYR, gyr, _ACC)):
            if cells >= self._stands and (
                self._rest.forbids(int(rows[axes].min()), axes) or self._left_behind(axes, others)
            ):
                return f"the {name} stands still at {_numbers(last[axes])} while the other sensor lives", axes
        for axis in np.flatnonzero(self._constant >= self._axis).tolist():
            own = slice(axis, axis + 1)
            if self._rest.forbids(int(rows[axis]), own) or self._axis_left_behind(axis, float(last[axis])):
                return f"{CHANNELS[axis]} stands still at {last[axis]:.4g} while the others live", own
        return None

    def _judge_rest(self, last: Floats, size_g: float, turning: float) -> tuple[str, slice] | None:
        """Judge values that stand still and may be those of a sensor at rest."""
        low, high, most = self._rests
        if self._sudden and not (low <= size_g <= high and turning <= most):
            self.suspected = True
            return f"all values stand still at {_numbers(last)} since a sudden stop", _ALL
        self._accepted, self._like = True, (size_g, turning)
        if self._proven:
            self.doubt = "no value has changed since a sudden stop and a new start: it lies still, or is dead; turn it"
        elif not self._ends_itself and self._constant.min() >= self._long and self._is_fine(last):
            self.doubt = f"no value has changed for {_DOUBT_S:g} s, although such a sensor has noise; turn it"
        return None

    def _is_fine(self, last: Floats) -> bool:
        """Tell whether the noise of any accelerometer shows in steps as fine as this one's seem to be."""
        if self._step is None:
            return False
        counts = np.rint(last[:3] / self._step[:3]).astype(np.int64)
        return 0 < int(np.gcd.reduce(counts)) * float(self._step[0]) <= self._noise

    def _left_behind(self, axes: slice, others: slice) -> bool:
        """Tell whether axes that always changed in motion stand still while the other sensor goes on."""
        goes_on = int(self._active[others].max(initial=0)) * self._cell_s >= _GOES_ON_S
        return goes_on and bool(self._always()[axes].all())

    def _axis_left_behind(self, axis: int, value: float) -> bool:
        others = np.delete(np.arange(axis // 3 * 3, axis // 3 * 3 + 3), axis % 3)
        clips = abs(value) > _LARGE[axis] and abs(value) >= _CLIPS * self._largest[axis]
        goes_on = int(self._active[others].max()) * self._cell_s >= 2 * _GOES_ON_S
        return goes_on and not clips and bool(self._always()[axis])

    def _always(self) -> NDArray[np.bool_]:
        if self._moved * self._cell_s < _LEARNED_S:
            return np.zeros(self._axes, np.bool_)
        return np.asarray(self._motion.shares() > _ALWAYS * self._motion.repeats())


def _numbers(values: NDArray[np.floating]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
