"""Stretches that no sensor reports: all zero, or standing still while the body moves or while noise should be there.

An honest sensor may repeat itself: a coarse one at rest, one that is read more often than it measures, one that is
clipped. So what counts is how often each axis changes from sample to sample, learned from this very sensor, in motion
and at rest. Fed with chunks of any size; what it says depends on where they are cut, so that the caller cuts evenly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS, STANDARD_GRAVITY

Kind = Literal["zero", "frozen", "impossible"]
_EIGHT = np.uint64(0x0101010101010101)
"""Eight times True: that many equal pairs in a row."""
_LEAST_ROWS = 16
"""A shorter run is not looked for: eight aligned pairs lie in every run of this length."""
_LEAST_S = (0.3, 0.5, 2.0)
"""How long all six axes, those of one sensor, a single one stand still before that is looked into."""
_NOISY = 0.5
"""An axis that changes so often from sample to sample has noise of about a step."""
_USUAL = 6
"""How many times the usual length a run must have, where a sensor is read more often than it measures."""
_REST_G = 0.15
_REST_GYR = 0.3
"""|acc| within so many g of 1, |gyr| below so many rad/s: a value that a sensor at rest may have for long."""
_TURNS = 0.5
_SHAKES = 1.0
"""rad/s and m/s² by which one sensor changes while the other stands still."""
_LEARNED_ROWS = 200
_NAMES = ("all axes", "the accelerometer", "the gyroscope", *CHANNELS)


class Stretch(NamedTuple):
    """Rows start to stop, counted from the first one pushed, that no sensor reports; `what` stands still."""

    start: int
    stop: int
    kind: Kind
    what: str = ""


@dataclass
class _Learned:
    """How often each axis changes: changes (6,) of rows (6,)."""

    changes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(6, np.int64))
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(6, np.int64))

    def noisy(self) -> NDArray[np.bool_]:
        """Return (6,) whether an axis is known to change at almost every sample."""
        return (self.rows >= _LEARNED_ROWS) & (self.changes > _NOISY * self.rows)


@dataclass
class _Run:
    """The run of equal values that a group of axes is in, since which row.

    low, high: (6,) of all axes in those of its rows that are not decided on yet, which begin with `held`.
    """

    since: int = 0
    held: int = 0
    low: NDArray[np.float32] | None = None
    high: NDArray[np.float32] | None = None


class Alive:
    """Looks for what stands still in chunks of samples (6, n), finite, n >= 1, in m/s² and rad/s.

    si: the numbers are m/s² and rad/s, so that a value can be told from that of a sensor at rest.
    """

    def __init__(self, rate_hz: float, *, si: bool = True) -> None:
        self.rows = 0
        self.repeated = 0
        """Rows so far; of those, equal to the one before."""
        self._least = tuple(max(_LEAST_ROWS, round(each * rate_hz)) for each in _LEAST_S)
        self._second = round(rate_hz)
        self._si = si
        self._moving, self._resting = _Learned(), _Learned()
        self._last: NDArray[np.float32] | None = None
        self._runs = [_Run() for _ in _NAMES]

    def push(
        self, columns: NDArray[np.float32], moving: NDArray[np.bool_], resting: NDArray[np.bool_], *, last: bool
    ) -> tuple[list[Stretch], int]:
        """Return the stretches found, and how many rows since the first one are settled.

        moving, resting: (w,) of the chunk's first windows of equal length. last: nothing follows.
        """
        count = columns.shape[1]
        equal = np.zeros((6, -(-count // 8) * 8), np.bool_)
        np.equal(columns[:, 1:], columns[:, :-1], out=equal[:, 1:count])
        if self._last is not None:
            equal[:, 0] = columns[:, 0] == self._last
        first, self.rows = self.rows, self.rows + count
        self._last = columns[:, -1].copy()
        for group in (acc := equal[0] & equal[1] & equal[2], gyr := equal[3] & equal[4] & equal[5]):
            group[count:] = False
        both = acc & gyr
        self.repeated += int(np.count_nonzero(both))
        if len(moving):
            self._learn(equal, count // len(moving), moving, resting)
        found, settled = _zeros(columns, first), self.rows
        for group, same in enumerate((both, acc, gyr, *equal)):
            settled = min(settled, self._look(group, same, columns, first, found, last=last))
        return found, settled

    def _learn(
        self, equal: NDArray[np.bool_], length: int, moving: NDArray[np.bool_], resting: NDArray[np.bool_]
    ) -> None:
        # A quarter of the windows tells enough.
        windows = equal[:, : len(moving) * length].reshape(6, len(moving), length)[:, ::4]
        same = np.count_nonzero(windows, axis=2)
        # What stands still for a whole window says nothing of the axis' noise, while others go on.
        alive = ~(same > 0.9 * length).all(axis=0) & (same < length - 1)
        for learned, which in ((self._moving, moving[::4]), (self._resting, resting[::4])):
            learned.rows += length * (alive & which).sum(axis=1)
            learned.changes += np.where(alive & which, length - same, 0).sum(axis=1)

    def _look(
        self,
        group: int,
        same: NDArray[np.bool_],
        columns: NDArray[np.float32],
        first: int,
        found: list[Stretch],
        *,
        last: bool,
    ) -> int:
        """Judge the runs of one group of axes; return up to which row it is settled."""
        run, count = self._runs[group], len(columns[0])
        least = self._least[(0, 1, 1, 2, 2, 2, 2, 2, 2)[group]]
        if not (same.view(np.uint64) == _EIGHT).any() and first - run.since < _LEAST_ROWS:
            # No run is long; the last one began a few rows ago.
            tail = max(0, count - 2 * _LEAST_ROWS)
            changes = tail + np.flatnonzero(~same[tail:count])
        else:
            changes = np.flatnonzero(~same[:count])
            edges = np.concatenate([[run.since - first], changes, [count]])
            for index in np.flatnonzero(np.diff(edges) >= least).tolist():
                start, stop = int(edges[index]), int(edges[index + 1])
                low, high = columns[:, max(0, start) : stop].min(axis=1), columns[:, max(0, start) : stop].max(axis=1)
                held = first + start
                if start < 0:
                    # What is not decided yet of an earlier chunk is judged with what this one shows.
                    held = run.held
                    if run.low is not None and run.high is not None:
                        low, high = np.minimum(low, run.low), np.maximum(high, run.high)
                if stop == count and start >= 0 and not last:
                    self._runs[group] = _Run(first + start, first + start, low, high)
                    return first + start
                if self._dead(group, columns[:, stop - 1], low, high, stop - start):
                    found.append(Stretch(held, first + stop, "frozen", _NAMES[group]))
        since = first + int(changes[-1]) if len(changes) else run.since
        self._runs[group] = _Run(since, first + count)
        return first + count

    def _dead(
        self, group: int, value: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32], size: int
    ) -> bool:
        """Return whether a run of `size` rows cannot be honest; low, high (6,) of all axes within it."""
        shakes = float((high - low)[:3].max()) > _SHAKES
        turns = float((high - low)[3:].max()) > _TURNS
        noisy = self._moving.noisy()
        if group == 0:
            if not value.any() or size < _USUAL * self.rows / max(1, self.rows - self.repeated):
                return False
            if self._si and not _rests(value):
                return True
            return size >= self._second and int(self._resting.noisy().sum()) >= 3
        if group == 1:
            return turns and int(noisy[:3].sum()) >= 2
        if group == 2:
            return shakes and int(noisy[3:].sum()) >= 2
        if group >= 6 and not value[group - 3] and not turns:
            return False  # some sensors report slow turns as none: a knock at rest shakes, and the axis stays at 0
        return (shakes or turns) and bool(noisy[group - 3])


def _rests(value: NDArray[np.float32]) -> bool:
    """Return whether value (6,) may be that of a sensor at rest."""
    size = float(np.linalg.norm(value[:3])) / STANDARD_GRAVITY
    return abs(size - 1) < _REST_G and float(np.linalg.norm(value[3:])) < _REST_GYR


def _zeros(columns: NDArray[np.float32], first: int) -> list[Stretch]:
    """Return the rows whose six values are all 0."""
    if not (at := np.flatnonzero((columns[0] == 0) & (columns[1] == 0) & (columns[2] == 0))).size:
        return []
    if not (at := at[(columns[3:, at] == 0).all(axis=0)]).size:
        return []
    begins = np.flatnonzero(np.diff(at, prepend=-2) > 1)
    ends = [*begins[1:].tolist(), len(at)]
    return [
        Stretch(first + int(at[begin]), first + int(at[end - 1]) + 1, "zero", _NAMES[0])
        for begin, end in zip(begins.tolist(), ends, strict=True)
    ]
