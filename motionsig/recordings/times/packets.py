"""The times of samples that came in packets: a line through the packets, as a sensor's clock is steadier than arrivals.

Rows are numbered; a packet says when one of them was there, late by what its way took. Within some thousand rows the
line is fitted to all packets, and it goes on where the line before ended. A packet that is late pushes nobody: only
where all that follow are late, too, samples were lost, and the times go on after a gap. The same rows give the same
times, however they are cut into chunks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.recordings.times.paces import Pace

_AHEAD = 16  # packets that show whether one is late or samples were lost
_ROWS = 4096  # that one line is for, about
_LEAST = 64  # packets
_BEND = 0.02  # of the period, by which the line may turn


class Spread:
    """Pure state machine: stamps in, times out for those rows of which enough packets have been seen."""

    def __init__(self, pace: Pace, rate_hz: float) -> None:
        self._pace = pace
        self._period = NS_PER_S / rate_hz
        self._length = max(_LEAST, int(_ROWS / max(pace.packet, 1.0)))
        self._late = max(0.6 * pace.interval_ns, 1.5 * self._period)
        self._stamps = np.empty(0, np.int64)
        self._end: int | None = None  # of the line before: the time of the first row not yet given
        self._behind = 0.0  # how late its last packets were at least

    def push(self, stamps: NDArray[np.int64], breaks: tuple[int, ...] = ()) -> NDArray[np.int64]:
        """Take the stamps of further rows and return the times of the rows that are due, in order.

        breaks: rows of these before which the log was interrupted.
        """
        done: list[NDArray[np.int64]] = []
        cuts = sorted({*breaks, *(np.flatnonzero(np.diff(stamps) < 0) + 1).tolist()})
        if len(stamps) and len(self._stamps) and stamps[0] < self._stamps[-1]:
            cuts = sorted({0, *cuts})
        for start, stop in zip([0, *cuts], [*cuts, len(stamps)], strict=True):
            if start in cuts:
                done.append(self.finish())
            self._stamps = np.concatenate([self._stamps, stamps[start:stop]])
            done.extend(self._due())
        return np.concatenate(done) if done else np.empty(0, np.int64)

    def finish(self) -> NDArray[np.int64]:
        """Return the times of all rows that are left; what comes then is a new segment."""
        done = [*self._due(), self._line(len(self._stamps), self._starts())] if len(self._stamps) else []
        self._stamps = np.empty(0, np.int64)
        self._end = None
        return np.concatenate(done) if done else np.empty(0, np.int64)

    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.flatnonzero(np.diff(self._stamps) > self._pace.split_ns) + 1])

    def _due(self) -> list[NDArray[np.int64]]:
        done = []
        starts = self._starts()
        while len(starts) > self._length + _AHEAD + 1:
            rows = int(starts[self._length])
            seen = int(starts[self._length + _AHEAD])
            done.append(self._line(rows, starts[: self._length + _AHEAD], seen))
            self._stamps = self._stamps[rows:]
            starts = starts[self._length :] - rows
        return done

    def _line(self, rows: int, starts: NDArray[np.int64], seen: int | None = None) -> NDArray[np.int64]:
        """Return the times of the first `rows` rows; packets begin at `starts`, the last of them ends at `seen`."""
        # Of a packet that arrived its last row is the one that was just taken, of a coarse clock's step its first.
        at = starts if self._pace.how == "coarse" else np.append(starts[1:], seen or len(self._stamps)) - 1
        origin = int(self._stamps[0])
        if len(at) > 2 and at[-1] - at[-2] < 0.8 * self._pace.packet and seen is None:
            at = at[:-1]  # the log ends within a packet, whose last row has not come
        off = np.asarray((self._stamps[at] - origin) - at * self._period, np.float64)
        begun = None if self._end is None else float(self._end - origin)
        shifts = self._shifts(off, None if begun is None else begun + self._behind)
        start, slope = _fit(at, off - shifts, self._late)
        first = start if begun is None else begun
        most = _BEND * self._period
        slope = min(max(slope, -most), most)
        bend = min(max((start + slope * rows - first) / rows, -most), most)
        period = self._period + bend
        times = first + np.arange(rows) * period
        for jump in np.flatnonzero(np.diff(shifts, prepend=0.0)).tolist():
            if starts[jump] < rows:
                times[starts[jump] :] += shifts[jump] - (shifts[jump - 1] if jump else 0.0)
        used = min(int(np.searchsorted(starts, rows)), len(at))
        lost = float(shifts[used - 1])
        self._end = origin + round(first + rows * period + lost)
        late = (off - shifts)[:used] - (first + bend * at[:used])
        self._behind = float(late[-_AHEAD:].min())
        self._period += slope
        found: NDArray[np.int64] = origin + np.rint(times).astype(np.int64)
        return found

    def _shifts(self, off: NDArray[np.float64], before: float | None) -> NDArray[np.float64]:
        """Return for each packet how much time was lost since the line began, from how late all are from there on.

        before: how late, as in `off`, the packets before were at least; None at the start of a segment.
        """
        off, shifts = off.copy(), np.zeros(len(off))
        for _ in range(len(off)):
            padded = [np.full(_AHEAD, off[0] if before is None else before), off, np.full(_AHEAD, np.inf)]
            least = np.lib.stride_tricks.sliding_window_view(np.concatenate(padded), _AHEAD).min(axis=1)
            behind, ahead = least[: len(off)], least[_AHEAD : _AHEAD + len(off)]
            lost = np.flatnonzero(ahead - behind > self._late)
            if not len(lost):
                break
            at = int(lost[0])
            more = float(np.rint((ahead[at] - behind[at]) / self._period)) * self._period
            shifts[at:] += more
            off[at:] -= more
        return shifts


def _fit(at: NDArray[np.int64], off: NDArray[np.float64], late: float) -> tuple[float, float]:
    """Return the value at 0 and the slope of the line through `off` at `at`; what is far from it counts as near."""
    half = len(at) // 2
    if not half:
        return float(off[0]), 0.0
    slope = float(np.median(off[-half:]) - np.median(off[:half])) / float(np.mean(at[-half:]) - np.mean(at[:half]))
    if half < _AHEAD:
        slope = 0.0
    middle = float(np.median(off - slope * at))
    near = np.clip(off - slope * at - middle, -late, late)
    if half >= _AHEAD:
        away = at - at.mean()
        more = float((away * near).sum() / (away * away).sum())
        return middle + float(near.mean()) - more * float(at.mean()), slope + more
    return middle + float(near.mean()), 0.0
