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
_EARLY_NS, _EARLY_PERIODS = 5_000_000, 0.5
"""How much earlier than its number says a sample may come: so far the line may be off."""
_FIRST_NS, _FIRST_PART, _FIRST_PERIODS = 100_000_000, 0.2, 2
"""The same before there is a line: if the one before was late, by the rate, by its phase."""
_ON_LINE = 0.25
"""Periods from the line, within which a number is right whatever follows it."""
_PAUSE_PERIODS = _NUMBERS // 2
"""After a pause so long numbers may have begun again: where the samples lie is learned anew, and time tells."""
_CONTRARY = 5
"""Samples in a row whose numbers contradict those before them, with which the device has begun anew."""
_ALONE_NS, _ALONE_PERIODS, _AROUND = 300_000, 0.05, 20
"""An arrival that is earlier than all others of so many samples by more than this, or that by rate, may be damaged."""
_ALONE_FIRST_NS = 20_000_000
"""The same before there is a line: adapters scatter arrivals, and the rate is not known well."""
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
        self._around = np.empty((2, 0), np.int64)  # of the last, index and arrival

    def push(self, number: int, latest_ns: int, values: Sequence[int]) -> None:
        """Take the next sample: its number, when it was taken at the latest, and three values."""
        if self._waits is not None:
            self._settle(*self._waits, following=number)
        self._waits = number, latest_ns, values

    def _settle(self, number: int, latest_ns: int, values: Sequence[int], *, following: int) -> None:
        """Take the sample that waited, unless its number is damaged."""
        if self._last is not None:
            last_ns = self._last[2]
            if latest_ns - last_ns > _PAUSE_PERIODS * self.line.period_ns or self._contrary + 1 >= _CONTRARY:
                self._out, waits = self._out.then(self._give()), self._waits
                self.begin()
                self._waits = waits
        index = self._placed(number, latest_ns, following)
        if index is None:
            self.discards += 1
            self._contrary += 1
            return
        self._contrary = 0
        self._last = index, number, latest_ns
        self._taken.append((index, latest_ns, values))

    def _placed(self, number: int, latest_ns: int, following: int) -> int | None:
        """Return which sample it is, counted from the first; None where its number or its arrival is damaged."""
        between = 0 < (following - number) % _NUMBERS < _NUMBERS // 2
        if self._last is None:
            return 0 if (following - number) % _NUMBERS == 1 else None
        last, before, last_ns = self._last
        step, period_ns = (number - before) % _NUMBERS, self.line.period_ns
        if not self._known:
            by_time = (latest_ns - last_ns) / period_ns
            early = step > by_time * (1 + _FIRST_PART) + _FIRST_NS / period_ns + _FIRST_PERIODS
            on_line = False
        else:
            behind_ns = self.line.behind_ns(np.array([last + step]), np.array([latest_ns]))[0]
            early = behind_ns < -_EARLY_NS - _EARLY_PERIODS * period_ns
            on_line = abs(behind_ns) < _ON_LINE * period_ns
        return last + step if step and not early and (step == 1 or between or on_line) else None

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
        self._note(index, latest)
        lost = np.diff(index, prepend=self._before) - 1
        lost[0] += self.line.lost_before(int(index[0]))
        # The arrival of a single sample may be damaged, and no bound.
        times = self.line.stamp(index, np.full(len(index), np.iinfo(np.int64).max))
        self._before, self._taken = int(index[-1]), []
        return Samples(times, np.array(values, np.float32), lost)

    def _note(self, index: NDArray[np.int64], latest_ns: NDArray[np.int64]) -> None:
        """Draw the line, but not by arrivals that seem to be damaged."""
        around = np.hstack([self._around, np.stack([index, latest_ns])])
        self._around = around[:, -_AROUND:]
        behind = self.line.behind_ns(around[0], around[1])
        order = behind.argsort()
        most = max(_ALONE_NS, _ALONE_PERIODS * self.line.period_ns) if self.line.drawn else _ALONE_FIRST_NS
        alone = np.diff(behind[order], append=np.inf) > most
        if self.line.drawn:
            alone &= behind[order] < -most
        sure = order[np.cumsum(~alone) > 0]
        if len(sure):
            self.line.note(around[0][sure], around[1][sure])


def _no_samples() -> Samples:
    return Samples(np.empty(0, np.int64), np.empty((0, _AXES), np.float32), np.empty(0, np.int64))
