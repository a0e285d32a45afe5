"""A log judged to its end: gravity wherever it rests, the unit of turns, what no sensor reports; in pieces of any size.

Samples are put together to chunks of a fixed number of rows, so that any cutting gives the same answers. Rows are
settled once it is known that they can be right: what is suspicious is held back until it has ended, or has lasted
longer than can be honest.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.facts import Fact
from motionsig.plausibility.alive import Alive, Stretch
from motionsig.plausibility.rotation import Turns, agreed, turns, votes, window_rows

_CHUNK = 16_384
_WINDOW_S = 2.0
_REST_SPREAD = 0.1
_STILL_SPREAD = 0.04
_STILL_GYR = 0.1
"""Bounds of windows at rest, of the spread of acc by |mean acc|, and of gyr in rad/s."""
_TURNING = 0.3
"""rad/s, as the last, from which a window counts as one in motion."""
_AT_REST_G = (0.7, 1.3)
_MOVING_G = (0.5, 2.5)
_TUMBLES = 0.7
"""rad/s, root mean square over a window."""
_OFF_S = 30.0
"""Longer without 1 g in any window: no fall, no rocket, no curve lasts so long."""
_LARGEST_ACC = 100 * STANDARD_GRAVITY
_LARGEST_GYR = 100.0
_FASTEST = 40.0
"""rad/s, root mean square over a window: a hand reaches it for an instant."""
_FAST_WINDOWS = 5
_DAMAGED_S = 0.05
_DAMAGED = 0.01
"""Damage is shorter, and less of the rows so far."""
_DEG = np.pi / 180
_LEAST_TURN = 0.005
"""rad/s, root mean square over a window, below which nothing is to be seen of turns."""
_TURN_WINDOWS = (16, 4)
"""Of the first chunks and of each later one, those that turn most, are asked for the unit."""
_FIRST_CHUNKS = 4
_ENOUGH_VOTES = 64
_UNIT_VOTES = 8

_REPEATED = 0.01
"""Of the rows: more that repeat the one before are worth a word."""
_OFF_SAID = 5
"""Windows."""
_LIKE = 0.2
_LOOKS = {
    STANDARD_GRAVITY: "these are m/s² in a column of g",
    1 / STANDARD_GRAVITY: "these are g in a column of m/s²",
    1000.0: "these are mg in a column of g",
    0.001: "these are g in a column of mg",
}

Subject = Literal["acc", "gyr", "both"]


class Wrong(NamedTuple):
    """Why nothing is right from a row on, counted from the first one pushed; which sensor's unit is in doubt."""

    row: int
    subject: Subject
    words: str


class Judged(NamedTuple):
    """What a push made known: all rows before `settled` are judged; `lost`: those of them to be left out, rising."""

    settled: int
    lost: tuple[Stretch, ...]
    wrong: Wrong | None = None


class Judge:
    """Judges samples in m/s² and rad/s, in order, of one log.

    check_units: whether gravity, sizes and turns are judged, which only m/s² and rad/s can stand; what stands still is
    found without it, too.
    """

    def __init__(self, rate_hz: float, *, check_units: bool = True) -> None:
        self._rate_hz = rate_hz
        self._check = check_units
        self._window = max(2, round(_WINDOW_S * rate_hz))
        self._chunk = self._window * max(1, _CHUNK // self._window)
        self._alive = Alive(rate_hz, si=check_units)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        self._rows = self._count = 0
        self._settled = 0
        self._lost: list[Stretch] = []
        self._wrong: Wrong | None = None
        # Where the run of windows that are not near 1 g began, how many they are, and what they were at first.
        self._off: tuple[int, float] | None = None
        self._off_windows = 0
        self._longest_off = 0
        self._still = 0
        self._still_sum = 0.0
        self._fast = self._spoiled = self._not_finite = 0
        self._moved = 0
        self._gyr_range: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._for_deg = [0, 0]
        self._for_rad = [0, 0]
        self._left_out: dict[str, tuple[int, int]] = {}
        self._left_out_to = 0
        self._chunks = 0

    def push(self, time_ns: NDArray[np.int64], data: NDArray[np.float32]) -> Judged:
        """Take rows (n,), (n, 6), and return what is known now."""
        if len(data) and self._wrong is None:
            self._waiting.append((time_ns, data))
            self._count += len(data)
            if self._count >= self._chunk:
                times, values = self._joined()
                for start in range(0, len(values), self._chunk):
                    part = slice(start, start + self._chunk)
                    if start + self._chunk > len(values):
                        self._waiting = [(times[part], values[part])]
                        break
                    self._take(times[part], values[part], last=False)
                self._count = sum(len(times) for times, _ in self._waiting)
        return self._judged()

    def finish(self) -> Judged:
        """Judge what still waits; the log has ended."""
        if self._wrong is None:
            self._take(*self._joined(), last=True)
        return self._judged()

    def _joined(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return np.empty(0, np.int64), np.empty((0, 6), np.float32)
        return np.concatenate([times for times, _ in waiting]), np.concatenate([data for _, data in waiting])

    def _judged(self) -> Judged:
        settled = self._settled if self._wrong is None else self._wrong.row
        done: list[Stretch] = []
        waiting: list[Stretch] = []
        for each in sorted(self._lost, key=lambda each: each.start):
            if each.start >= settled:
                waiting.append(each)
            elif done and each.start <= done[-1].stop:
                # Two groups of axes stood still at the same time.
                done[-1] = done[-1]._replace(stop=max(each.stop, done[-1].stop))
            else:
                done.append(each)
        self._lost = waiting
        for each in done:
            rows, stretches = self._left_out.get(each.kind, (0, 0))
            goes_on = each.start == self._left_out_to
            self._left_out[each.kind] = (rows + each.stop - each.start, stretches + (not goes_on))
            self._left_out_to = each.stop
        return Judged(settled, tuple(done), self._wrong)

    def _take(self, time_ns: NDArray[np.int64], data: NDArray[np.float32], *, last: bool) -> None:
        """Judge a chunk of rows; last: nothing follows."""
        first, self._rows = self._rows, self._rows + len(data)
        self._chunks += 1
        columns = everything = np.ascontiguousarray(data.T)
        kept: NDArray[np.int64] | None = None
        # A sum is finite where all numbers are, but for huge ones; only then is it worth looking at each.
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(columns.sum(dtype=np.float64))
        if not np.isfinite(total):
            finite = np.isfinite(columns).all(axis=0)
            self._not_finite += len(data) - int(finite.sum())
            kept = np.flatnonzero(finite)
        if self._check and columns.size:
            columns, kept = self._without_damage(columns, kept, first)
        elif kept is not None:
            columns = np.ascontiguousarray(columns[:, kept])
        count = columns.shape[1]
        rows = self._window if count >= self._window else max(1, count)
        windows = columns[:, : count // rows * rows].reshape(6, -1, rows)
        # Numbers that nobody checked may be huge.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = windows.mean(axis=2, dtype=np.float32)
            centred = windows - mean[:, :, None]
            variance = np.einsum("awr,awr->aw", centred, centred) / np.float32(rows)
            size = np.sqrt((mean[:3] ** 2).sum(axis=0))
            spread = np.sqrt(variance[:3].sum(axis=0)) / np.maximum(size, np.float32(1e-9))
            gyr = np.sqrt((mean[3:] ** 2 + variance[3:]).sum(axis=0))
        starts = np.arange(len(size)) * rows
        # The rows of the log that windows begin with.
        at = first + (starts if kept is None else kept[starts])
        varied = np.sqrt(variance[3:].sum(axis=0))
        still = (spread < _STILL_SPREAD) & (varied < _STILL_GYR)
        moving = (spread > _REST_SPREAD) | (varied > _TURNING)
        self._settled = self._rows
        if self._check and count:
            # A body that tumbles has a mean of 0 within seconds; the size of its acceleration stays.
            tumbles = gyr > _TUMBLES
            least = np.where(tumbles, np.sqrt(size**2 + variance[:3].sum(axis=0)), size)
            self._gravity(least, size, spread, at, last=last)
            self._sizes(gyr, at)
            self._presence(windows[3:], spread, at)
            self._units(columns, gyr, starts, at, time_ns if kept is None else time_ns[kept])
            near = still & (np.abs(size - STANDARD_GRAVITY) < (1 - _AT_REST_G[0]) * STANDARD_GRAVITY)
            self._still += int(near.sum())
            self._still_sum += float(size[near].sum(dtype=np.float64))
        if len(data):
            # Where rows were left out, the windows are not those of all rows.
            nothing = np.empty(0, np.bool_)
            known = (moving, still) if kept is None else (nothing, nothing)
            found, settled = self._alive.push(everything, *known, last=last)
            self._lost += found
            self._settled = min(self._settled, settled)

    def _without_damage(
        self, columns: NDArray[np.float32], kept: NDArray[np.int64] | None, first: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Return the columns without NaN and what no sensor reports, and the numbers of their rows."""
        if kept is not None:
            columns = np.ascontiguousarray(columns[:, kept])
        high, low = columns.max(axis=1, initial=0), columns.min(axis=1, initial=0)
        if max(high[:3].max(), -low[:3].min()) <= _LARGEST_ACC and max(high[3:].max(), -low[3:].min()) <= _LARGEST_GYR:
            return columns, kept
        fine = (np.abs(columns[:3]) <= _LARGEST_ACC).all(axis=0) & (np.abs(columns[3:]) <= _LARGEST_GYR).all(axis=0)
        bad = np.flatnonzero(~fine)
        at = bad if kept is None else kept[bad]
        self._spoiled += len(at)
        self._lost += [Stretch(first + int(row), first + int(row) + 1, "impossible") for row in at]
        # What is damaged stands alone; what lasts, or comes again and again, is another unit.
        begins = np.flatnonzero(np.diff(at, prepend=-2) > 1)
        lasts = np.diff(begins, append=len(at))
        if lasts.max() > max(2, _DAMAGED_S * self._rate_hz) or self._spoiled > max(8, _DAMAGED * self._rows):
            row = int(begins[int(lasts.argmax())])
            values = columns[:, bad[row]]
            acc = float(np.abs(values[:3]).max()) > _LARGEST_ACC
            listed = ", ".join(f"{value:.4g}" for value in (values[:3] if acc else values[3:]))
            words = f"it has what no sensor reports, {listed} {'m/s²' if acc else 'rad/s'} for one"
            self._end(
                first + int(at[row]), "acc" if acc else "gyr", words if acc else f"{words}; this looks like deg/s"
            )
        rows = np.flatnonzero(fine)
        return np.ascontiguousarray(columns[:, rows]), rows if kept is None else kept[rows]

    def _gravity(
        self,
        least: NDArray[np.float32],
        size: NDArray[np.float32],
        spread: NDArray[np.float32],
        at: NDArray[np.int64],
        *,
        last: bool,
    ) -> None:
        """Find windows that are not near 1 g for longer than can be."""
        rests = spread < _REST_SPREAD
        low = np.where(rests, _AT_REST_G[0], _MOVING_G[0]) * STANDARD_GRAVITY
        high = np.where(rests, _AT_REST_G[1], _MOVING_G[1]) * STANDARD_GRAVITY
        off = (least < low) | (size > high)
        limit = round(_OFF_S / _WINDOW_S)
        if not off.any():
            self._off, self._off_windows = None, 0
            return
        for index in range(len(off)):
            if not off[index]:
                self._off, self._off_windows = None, 0
                continue
            self._off = self._off or (int(at[index]), float(size[index]))
            self._off_windows += 1
            self._longest_off = max(self._longest_off, self._off_windows)
            if self._off_windows >= limit and self._wrong is None:
                found = float(np.median(size[max(0, index + 1 - limit) : index + 1]))
                self._end(self._off[0], "acc", _off_words(found))
        if self._off and not last:
            self._settled = min(self._settled, self._off[0])

    def _sizes(self, gyr: NDArray[np.float32], at: NDArray[np.int64]) -> None:
        fast = np.flatnonzero(gyr > _FASTEST)
        self._fast += len(fast)
        if self._fast >= _FAST_WINDOWS and len(fast):
            words = f"the angular rate is {gyr[fast[0]]:.0f} rad/s for seconds; this looks like deg/s"
            self._end(int(at[fast[0]]), "gyr", words)

    def _presence(self, gyr: NDArray[np.float32], spread: NDArray[np.float32], at: NDArray[np.int64]) -> None:
        """Find a gyroscope that never changed while the accelerometer moved."""
        if self._gyr_range is None or (self._gyr_range[0] == self._gyr_range[1]).all():
            low, high = gyr.min(axis=(1, 2)), gyr.max(axis=(1, 2))
            if self._gyr_range is not None:
                low, high = np.minimum(low, self._gyr_range[0]), np.maximum(high, self._gyr_range[1])
            self._gyr_range = (low, high)
            if (low == high).all():
                self._moved += int((spread > 2 * _REST_SPREAD).sum())
                if self._moved >= _FAST_WINDOWS:
                    self._end(
                        0,
                        "gyr",
                        f"the angular rate is {low[0]:g}, {low[1]:g}, {low[2]:g} throughout, while "
                        "the acceleration moves: there is no gyroscope behind these columns",
                    )

    def _units(
        self,
        columns: NDArray[np.float32],
        gyr: NDArray[np.float32],
        starts: NDArray[np.int64],
        at: NDArray[np.int64],
        time_ns: NDArray[np.int64],
    ) -> None:
        """Ask the windows that turn most whether gyr is in rad/s."""
        rows = window_rows(self._rate_hz)
        if self._for_deg[1] + self._for_rad[1] > _ENOUGH_VOTES and self._chunks % 8:
            return
        fits = np.flatnonzero((gyr > _LEAST_TURN) & (starts + rows <= columns.shape[1]))
        chosen: list[tuple[int, NDArray[np.float32]]] = []
        for index in fits[np.argsort(-gyr[fits], kind="stable")].tolist():
            part = slice(int(starts[index]), int(starts[index]) + rows)
            took = (int(time_ns[part][-1]) - int(time_ns[part][0])) / NS_PER_S * self._rate_hz / max(1, rows - 1)
            if abs(took - 1) < 0.2 and not any(abs(index - other) * self._window < rows for other, _ in chosen):
                chosen.append((index, columns[:, part].T))
            if len(chosen) == _TURN_WINDOWS[self._chunks > _FIRST_CHUNKS]:
                break
        if not chosen:
            return
        both = np.concatenate([part for _, part in chosen])
        seen: Turns = turns(both[:, :3], both[:, 3:], self._rate_hz)
        if not len(seen.acc):
            return
        as_it_is = seen.gravity(1.0)
        for_deg, against_deg = votes(seen.gravity(_DEG), as_it_is)
        against_rad, for_rad = votes(as_it_is, seen.gravity(1 / _DEG))
        for tally, (won, lost) in ((self._for_deg, (for_deg, against_deg)), (self._for_rad, (for_rad, against_rad))):
            tally[0] += won
            tally[1] += lost
        row = int(at[chosen[0][0]])
        for tally, looks in ((self._for_deg, "deg/s"), (self._for_rad, "rad/s, converted once too often")):
            if tally[0] >= _UNIT_VOTES and agreed(*tally):
                words = (
                    f"gravity does not turn as the angular rate says, in {tally[0]} windows; this looks like {looks}"
                )
                self._end(row, "gyr", words)

    def _end(self, row: int, subject: Subject, words: str) -> None:
        if self._wrong is None:
            self._wrong = Wrong(max(row, 0), subject, words)

    def findings(self) -> tuple[Fact, ...]:
        """Return what is known of the log so far: what was seen of gravity, of turns, and what was left out."""
        facts = []
        if self._still:
            mean = self._still_sum / self._still
            facts.append(
                Fact(
                    "gravity",
                    f"at rest {mean:.2f} m/s², in {self._still} window{'s' * (self._still > 1)} of 2 s",
                    "shown",
                )
            )
        if (won := self._for_deg[1]) and agreed(won, self._for_deg[0]):
            facts.append(
                Fact("turns", f"agree with how gravity moves, in {won} window{'s' * (won > 1)} of 3 s", "shown")
            )
        for kind, (rows, stretches) in self._left_out.items():
            seconds = rows / self._rate_hz
            facts.append(
                Fact(
                    "left out",
                    f"{seconds:.4g} s ({rows} rows) {kind} in {stretches} stretch{'es' * (stretches > 1)}",
                    "shown",
                )
            )
        if self._not_finite:
            facts.append(Fact("no numbers", f"{self._not_finite} of {self._rows} rows", "shown"))
        repeated = self._alive.repeated - sum(rows for rows, _ in self._left_out.values())
        if repeated > _REPEATED * self._rows:
            facts.append(Fact("repeated", f"{repeated} of {self._rows} rows are equal to the row before", "shown"))
        if self._longest_off >= _OFF_SAID:
            seconds = self._longest_off * _WINDOW_S
            facts.append(Fact("gravity", f"for {seconds:.0f} s nothing near 1 g: a fall, a curve or thrust", "shown"))
        return tuple(facts)


def _off_words(found: float) -> str:
    """Return what |acc| in m/s² that is not 1 g looks like."""
    words = f"|acc| is {found:.3g} m/s² for more than {_OFF_S:.0f} s, and not near {STANDARD_GRAVITY:.2f} in any window"
    for factor, looks in _LOOKS.items():
        if abs(found / (STANDARD_GRAVITY * factor) - 1) < _LIKE:
            return f"{words}; the unit seems to change: {looks}"
    return f"{words}; gravity seems removed" if found < _MOVING_G[0] * STANDARD_GRAVITY else words
