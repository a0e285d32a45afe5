"""Times for samples that a device numbers from 0 to 255: from their numbers and their arrivals.

Nothing protects a number on the line. So a sample is taken once the next one has come, and only if its number lies
between those around it and fits the time since the one before. Its arrival is not protected either: one that is earlier
than all the others by far does not move the line.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.sensors.joining import Samples
from motionsig.sensors.serial.line import Line

_NUMBERS = 256
_LEARN_NS = NS_PER_S
"""The first samples wait until they span so much: a line through fewer is worth little."""
_EARLY_NS, _EARLY_PART, _EARLY_PERIODS = 100_000_000, 0.2, 2
"""How much sooner than its number says a sample may come: if the one before was late, by the rate, by its phase."""
_PAUSE_PERIODS = _NUMBERS // 2
"""After a pause so long numbers may have begun again: where the samples lie is learned anew, and time tells."""
_CONTRARY = 3
"""Samples in a row whose numbers contradict those before them, with which the device has begun anew."""
_ALONE_NS = 1_000_000
"""An arrival that is earlier than all others by more than this may be damaged."""
_AXES = 3


class Numbered:
    """Pure state machine for one kind of sample: numbers, arrivals and values in, samples with times out.

    discards: samples left out because their numbers were damaged.
    """

    def __init__(self, rate_hz: float) -> None:
        self.discards = 0
        self.line = Line(rate_hz)
        self._out = _no_samples()  # from before a pause
        self.begin()

    def begin(self) -> None:
        """Forget the samples that have not been given out: the device begins anew."""
        self._known = False
        self._last: tuple[int, int, int] | None = None  # index, number and arrival of the last that was taken
        self._before = 0  # index of the last that was given out
        self._contrary = 0
        self._waits: tuple[int, int, Sequence[int]] | None = None
        self._taken: list[tuple[int, int, Sequence[int]]] = []  # index, arrival, values

    def push(self, number: int, latest_ns: int, values: Sequence[int]) -> None:
        """Take the next sample: its number, when it was taken at the latest, and three values."""
        if self._waits is not None:
            self._settle(*self._waits, following=number)
        self._waits = number, latest_ns, values

    def _settle(self, number: int, latest_ns: int, values: Sequence[int], *, following: int) -> None:
        """Take the sample that waited, unless its number is damaged."""
        index = 0
        if self._last is not None:
            last, before, last_ns = self._last
            by_time = (latest_ns - last_ns) / self.line.period_ns
            step = (number - before) % _NUMBERS
            early = _EARLY_NS / self.line.period_ns + _EARLY_PART * by_time + _EARLY_PERIODS
            between = step == 1 or 0 < (following - number) % _NUMBERS < _NUMBERS // 2
            if by_time > _PAUSE_PERIODS or self._contrary + 1 >= _CONTRARY:
                self._out, waits = self._out.then(self._give()), self._waits
                self.begin()
                self._waits = waits
            elif step == 0 or step > by_time + early or not between:
                self.discards += 1
                self._contrary += 1
                return
            else:
                index = last + step
        self._contrary = 0
        self._last = index, number, latest_ns
        self._taken.append((index, latest_ns, values))

    def pop(self) -> Samples:
        """Return the samples whose times can be told by now, and how many are missing before each."""
        out, self._out = self._out.then(self._give()), _no_samples()
        return out

    def _give(self) -> Samples:
        if not self._taken or (not self._known and self._taken[-1][1] - self._taken[0][1] < _LEARN_NS):
            return _no_samples()
        numbers, arrivals, values = zip(*self._taken, strict=True)
        index, latest = np.array(numbers, np.int64), np.array(arrivals, np.int64)
        if not self._known:
            self._known, self._before = True, int(index[0]) - 1
            self.line.begin(int(latest[0]))
        sure = self._sure(self.line.behind_ns(index, latest))
        if sure.any():
            self.line.note(index[sure], latest[sure])
        lost = np.diff(index, prepend=self._before) - 1
        lost[0] += self.line.lost_before(int(index[0]))
        # The arrival of a single sample may be damaged, and no bound.
        times = self.line.stamp(index, np.full(len(index), np.iinfo(np.int64).max))
        self._before, self._taken = int(index[-1]), []
        return Samples(times, np.array(values, np.float32), lost)

    def _sure(self, behind_ns: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (n,) which arrivals are not damaged, as far as the others show it."""
        sure, lowest = np.ones(len(behind_ns), np.bool_), np.sort(behind_ns)[:2]
        alone = len(lowest) < 2 or lowest[0] < lowest[1] - _ALONE_NS
        if alone and (not self.line.drawn or lowest[0] < -_ALONE_NS):
            sure[behind_ns.argmin()] = False
        return sure


def _no_samples() -> Samples:
    return Samples(np.empty(0, np.int64), np.empty((0, _AXES), np.float32), np.empty(0, np.int64))
