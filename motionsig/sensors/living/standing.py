"""Numbers that stand still: frozen, all zero, all ones, one axis or one sensor dead.

A living sensor may repeat itself: a coarse one at rest whose noise is below its step, one that is read more often than
it measures. What cannot be honest is, in the order of certainty:

* acceleration that is exactly constant and not gravity's (all zeros, all ones), or a constant fast rotation;
* a run of equal values that is longer than this very sensor's noise allows (`noise`), where its steps are fine enough
  for any chip's noise to show;
* one sensor or one axis that stands still while the others move, although it changed often in motion before. This
  proves nothing of a sensor whose values have all stood still and changed again: it has no noise to speak of, nor of
  an axis at the end of its range, which motion may exceed: then a doubt is said;
* all values at once, out of motion or against the noise learned, in a sensor of coarse steps. As it may be a device
  that was put down, this is a suspicion: the chip is started again once. If its values stand still after that, too,
  they are delivered, and the doubt is said until they change. Rests like one that ended by itself are then known.

A sensor that has never changed and lies as if at rest may be dead or not: after ten seconds the doubt is said, if its
steps are so fine that any chip's noise would show. Values of a model without noise, such as 0, 0, 1 g, look coarse.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS, STANDARD_GRAVITY
from motionsig.sensors.living.cells import Cell, Floats
from motionsig.sensors.living.gravity import in_range, wrong_gravity
from motionsig.sensors.living.noise import Noise, Steps

_STANDS_S, _AXIS_S, _DOUBT_S = 1.25, 1.5, 10.0
"""How long all axes or a sensor, one axis stand still before that is looked into; before a doubt is said."""
_MOST_LOST = 2
"""Times as many samples as came, with those that were lost between them, are taken to have stood still."""
_TURNS = 1.0
"""rad/s: more is no error at rest."""
_OFTEN = 0.3
"""Share of samples that change in motion, of an axis that then cannot stand still for long while the others move."""
_LEARNED_S, _GOES_ON_S = 1.5, 0.5
_REST_G, _REST_GYR = (0.985, 1.015), 0.02
"""|acc| in g and rad/s of a rest that needs no proof: beside these, those that were seen before."""
_LIKE_G, _LIKE_GYR = 0.02, 0.02
"""How near to rests seen before a rest is like them."""
_ALONG = 0.9
"""Cosine of the angle between an axis and gravity: 26 degrees."""
_CLIPS = 0.98
"""Of the full scale: from here on a value may be at the end of its range."""
_LARGE = np.array([15.0] * 3 + [4.0] * 3, np.float32)
"""m/s², rad/s: where the full scale is not known, an extreme value that is so large may be at the end of its range."""
_STARTING = 2
"""Cells after a start in which numbers settle."""
_STOPPED = "no value has changed since all stopped at once: it lies still, or is dead; turn it"
_QUIET_GYR = "the angular rate has not changed for long, although any has noise"
_ALL, _ACC, _GYR = slice(0, 6), slice(0, 3), slice(3, 6)


class Standing:
    """Pure state machine over cells of `axes` axes, 3 or 6; `fault` and `doubt`: what stands still, or None.

    suspected: all stopped at once; one start shows whether it lives. step, most: (axes,) m/s² and rad/s per count, and
    of the full scale, if known.
    """

    def __init__(
        self,
        rate_hz: float,
        cell_s: float,
        axes: int,
        step: NDArray[np.floating] | None,
        most: NDArray[np.floating] | None,
    ) -> None:
        self.fault: str | None = None
        self.doubt: str | None = None
        self.suspected = False
        self._cell_s, self._axes, self._step, self._most = cell_s, axes, step, most
        self._steps = Steps(rate_hz, axes)
        self._stands, self._axis, self._long = (ceil(each / cell_s) for each in (_STANDS_S, _AXIS_S, _DOUBT_S))
        self._rest, self._motion = Noise(axes), Noise(axes)
        self._moved = 0  # cells in motion, learned from
        self._low, self._high = np.zeros((2, axes), np.float32)  # of motion
        self._constant = np.zeros(axes, np.int64)  # cells in a row without a change
        self._constant_s = np.zeros(axes)  # the time from their beginning to their end
        self._active = np.zeros(axes, np.int64)  # cells in a row in motion
        self._axis_doubt: str | None = None
        self._off = 0  # cells in a row of rest without gravity
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
            self.fault, self.doubt, self.suspected = None, _STOPPED, False
        self._constant[:] = self._active[:] = 0
        self._constant_s[:] = 0
        self._accepted = self._sudden = self._moves = self._moved_before = False
        self._since_start = 0

    def push(self, seen: Cell, span_s: float) -> None:
        """Take the next cell; span_s: from the last sample before it to its last one."""
        still = seen.changes == 0
        if self._since_start is not None:
            self._since_start += 1
        if self._constant.min() and not still.all():
            self._end()
        elif still.all() and not self._constant.min():
            self._sudden = self._moves
        self._constant = np.where(still, self._constant + 1, 0)
        self._constant_s = np.where(still, self._constant_s + span_s, 0.0)
        self._active = np.where(seen.moves, self._active + 1, 0)
        self._steps.learn(seen)
        at_rest_g = float(np.linalg.norm(seen.mean[:3])) / STANDARD_GRAVITY
        self._off = self._off + 1 if seen.quiet and not in_range(at_rest_g) else 0
        self._axis_doubt = None
        found = self._judge(seen)
        if found is not None:
            self.fault, self._dead = found
        elif self.fault is not None and self._lives(still):
            self.fault, self.suspected, self._since_start = None, False, None
        if not still.all():
            self.doubt = self._axis_doubt
            moved = bool(seen.moves.any()) and 2 * seen.any_changes > seen.rows
            settled = self._since_start is None or self._since_start > _STARTING
            # It may have stopped just after this cell began.
            at_first = 2 * seen.any_changes < seen.rows and self._moved_before
            self._moves, self._moved_before = settled and (moved or at_first), settled and moved
            if self.fault is None:
                self._learn(seen)

    def _learn(self, seen: Cell) -> None:
        if seen.moves.any():
            self._motion.learn(seen, np.ones(self._axes, np.bool_))
            self._moved += 1
            self._low, self._high = np.minimum(self._low, seen.low), np.maximum(self._high, seen.high)
        elif seen.quiet:
            self._rest.learn(seen, ~seen.drifts)  # a slow movement is no noise

    def _end(self) -> None:
        """Follow a change by itself after all axes stood still: this sensor can do so and live."""
        if self._accepted:
            size_g, turning = self._like
            low, high, most = self._rests
            self._rests = min(low, size_g - _LIKE_G), max(high, size_g + _LIKE_G), max(most, turning + _LIKE_GYR)
            self._ends_itself = True
        self._accepted = self._proven = False

    def _lives(self, still: NDArray[np.bool_]) -> bool:
        """Tell whether what was dead changes, or is as a living one may be for long enough after a new start."""
        group = still[self._dead]
        changes = bool(np.count_nonzero(group) <= len(group) // 2 and not group.all())
        return changes or (self._since_start is not None and self._since_start > self._axis)

    def _stood(self) -> NDArray[np.int64]:
        """Return (axes,) for how many cells each axis has stood still; where samples were lost, time counts, too."""
        by_time = np.rint(self._constant_s / self._cell_s).astype(np.int64)
        return np.maximum(self._constant, np.minimum(by_time, _MOST_LOST * self._constant))

    def _judge(self, seen: Cell) -> tuple[str, slice] | None:
        """Return what is dead and its axes, or None; set the doubt."""
        last, rows, stood = seen.last, self._constant * seen.rows, self._stood()
        size_g = float(np.linalg.norm(last[:3])) / STANDARD_GRAVITY
        acc = int(stood[:3].min())
        if acc >= self._stands and not in_range(size_g):
            return f"the acceleration stands still at {_numbers(last[:3])} m/s²: {wrong_gravity(size_g)}", _ACC
        if stood.min() >= self._stands:
            turning = float(np.abs(last[3:]).max(initial=0.0))
            if turning > _TURNS or self._forbids(int(rows.min()), self._fine(_ALL)):
                return f"frozen: all values stand still at {_numbers(last)}", _ALL
            return self._judge_rest(seen, size_g, turning)
        gyr = int(stood[3:].min(initial=0 if self._axes == 3 else stood.max()))
        for name, axes, cells, others in (("acceleration", _ACC, acc, _GYR), ("angular rate", _GYR, gyr, _ACC)):
            if cells >= self._stands and (
                self._forbids(int(rows[axes].min()), self._fine(axes)) or self._left_behind(axes, others, last)
            ):
                return f"the {name} stands still at {_numbers(last[axes])} while the other sensor lives", axes
        for axis in np.flatnonzero(stood >= self._axis).tolist():
            own = slice(axis, axis + 1)
            if axis < 3 and self._off >= self._axis:
                return f"{CHANNELS[axis]} stands still at {last[axis]:.4g}: {wrong_gravity(size_g)}", own
            if self._forbids(int(rows[axis]), self._fine(own)) or self._axis_left_behind(axis):
                stands = f"{CHANNELS[axis]} stands still at {last[axis]:.4g}"
                if not self._may_clip(axis, float(last[axis])):
                    return f"{stands} while the others live", own
                # There it has no noise, either.
                self._axis_doubt = f"{stands}, the end of its range: it measures more, or is dead; use a larger range"
        # Of two devices joined in time only the accelerometer's steps are known.
        step = None if self._step is None or len(self._step) <= 3 else float(self._step[3])
        if gyr and step is not None and self._steps.impossible(int(rows[_GYR].min()), 3, step):
            # Some devices report no slow turns, so it is no proof; and what has no noise at all is a model.
            lives = self._rest.shares()[:3].max() > _OFTEN
            if lives and not self._ends_itself:
                self._axis_doubt = _QUIET_GYR
        return None

    def _judge_rest(self, seen: Cell, size_g: float, turning: float) -> tuple[str, slice] | None:
        """Judge values that stand still and may be those of a sensor at rest."""
        last, (low, high, most) = seen.last, self._rests
        like = low <= size_g <= high and turning <= most
        everywhere = np.ones(self._axes, np.bool_)
        shaken = self._forbids(int(self._constant.min()) * seen.rows, everywhere)
        if not self._accepted and not self._proven and (shaken or (self._sudden and not like)):
            self.suspected = True
            return f"all values stand still at {_numbers(last)} at once", _ALL
        self._accepted, self._like = True, (size_g, turning)
        if self._proven or (self._sudden and not self._ends_itself):
            self.doubt = _STOPPED
        elif not self._ends_itself and self._constant.min() >= self._long and self._is_fine(last):
            self.doubt = f"no value has changed for {_DOUBT_S:g} s, although such a sensor has noise; turn it"
        return None

    def _is_fine(self, last: Floats) -> bool:
        """Tell whether the noise of any accelerometer shows in steps as fine as this one's seem to be."""
        if self._step is None:
            return False
        counts = np.rint(last[:3] / self._step[:3]).astype(np.int64)
        return 0 < int(np.gcd.reduce(counts)) * float(self._step[0]) <= self._steps.quietest

    def _fine(self, axes: slice) -> NDArray[np.bool_]:
        """Return (axes,) which of these axes have steps so fine that their noise shows."""
        which = np.zeros(self._axes, np.bool_)
        which[axes] = self._steps.fine()[axes]
        return which

    def _forbids(self, rows: int, which: NDArray[np.bool_]) -> bool:
        """Tell whether so many equal values of `which` axes (axes,) are longer than noise allows, if there is any."""
        return not self._ends_itself and self._rest.forbids(rows, which)

    def _left_behind(self, axes: slice, others: slice, last: Floats) -> bool:
        """Tell whether axes that often changed in motion stand still while the other sensor goes on."""
        goes_on = self._active[others] * self._cell_s >= _GOES_ON_S
        if axes == _ACC:
            # To turn about the direction of gravity changes no acceleration.
            goes_on &= np.abs(last[:3]) < _ALONG * np.linalg.norm(last[:3])
        return bool(goes_on.any() and self._often()[axes].all())

    def _axis_left_behind(self, axis: int) -> bool:
        others = np.delete(np.arange(axis // 3 * 3, axis // 3 * 3 + 3), axis % 3)
        goes_on = int(self._active[others].max()) * self._cell_s >= 2 * _GOES_ON_S
        return goes_on and bool(self._often()[axis])

    def _may_clip(self, axis: int, value: float) -> bool:
        """Tell whether an axis that stands still may be at the end of its range."""
        if self._most is not None:
            return abs(value) >= _CLIPS * float(self._most[axis])
        return abs(value) > _LARGE[axis] and not self._low[axis] < value < self._high[axis]

    def _often(self) -> NDArray[np.bool_]:
        """Return (axes,) whether an axis has often changed in motion, if that proves anything."""
        if self._ends_itself or self._moved * self._cell_s < _LEARNED_S:
            return np.zeros(self._axes, np.bool_)
        return np.asarray(self._motion.shares() > _OFTEN * self._motion.repeats())


def _numbers(values: NDArray[np.floating]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
