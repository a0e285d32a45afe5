"""From FIFO levels and poll times to a time for each sample, the chip's true rate, and samples that went missing.

Samples are numbered from the last flush. A level reading that began at `before_ns` and ended at `after_ns` and found
`count` samples taken so far proves two things: sample count - 1 was taken by after_ns, and sample count was not yet
taken at before_ns. These are proofs, not noisy measurements: a reading that stalled gives a wide pair of bounds, which
says little, so nothing has to be weighted or thrown out. The time base finds the lines, time over index, that violate
no bound of the recent past (set membership; J. O'Rourke 1981, "An on-line algorithm for fitting straight lines between
data ranges"), and takes the middle one. Where no line fits, the clock has drifted by more than the bounds are wide: a
slight bend, the same for all lines, is searched, and if none helps the oldest bounds are forgotten. No reading takes
less time than the shortest one seen, so that much room lies between the bounds of even the true line; asking for it
makes drift show early.

A reading tells most where its answer is least certain: just when the next sample is expected. Such a reading halves
the doubt about the phase, whichever way it turns out. `next_poll_ns` names that instant; so a reader that polls anyway
learns to a fraction of a millisecond when a chip samples that does so every 80 ms, and one whose polls would always
meet the same phase does not stay blind to it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError

RATES_HZ = (1.0, 10_000.0)
"""Slower or faster is no motion sensor's FIFO."""

SPREAD = 0.10
"""How far a chip's rate may be from its nominal one: 5 % are seen in the field, and this leaves as much again."""

KNOWN_SPREAD = 0.002
"""How far a rate may be off that was known before a flush: the oscillator ran on, its temperature may have changed."""

BEND_PER_S = 40e-6
"""How much the rate may change in a second, as a part of it: a swing of 500 ppm in ten minutes reaches 5e-6, a chip
that warms up after power-on a few times that."""

WINDOW_NS = 30 * NS_PER_S
"""Longer, and a clock that wanders by 500 ppm in ten minutes is no parabola any more."""

TOLERANCE_NS = 50_000
"""By how much bounds may contradict each other: a level is latched at a slightly varying place within its reading."""

SETTLED_NS = 500_000
"""A reader that keeps the samples of a new segment until `uncertainty_ns` is below this stamps even the first well."""

FIT_NS = 100_000_000
"""A fit is good for so long; right after the start for a sixteenth of the segment's age."""

BEND_NS = NS_PER_S
"""A bend is good for so long: it changes slowly, and its search costs a dozen fits."""

BIN_NS = 100_000_000
"""The tightest pair of bounds stands for so long a time; right after the start for a 32nd of the segment's age."""

SURE_ERROR = 100e-6
"""A rate known so well counts the samples of seconds without any, which a segment that has just begun could not."""

LOOK_NS = 600_000
"""An edge (the arrival of a sample) in doubt by more than this, beyond a reading's own duration, is listened for."""

LISTEN_NS = 350_000
"""Pause between two readings while listening."""

AIMS = (0.0, 0.3, 0.0, 0.7)
"""Parts of a period by which readings are early for an edge, in turn, once that is known. Just at an edge a level that
lacks a sample, or has one too many, is as likely as the right one, so a line that has gone astray may stay so; in
between it contradicts by more than half a period: at 0.3 where one is lost, at 0.7 where one is made up."""

STALLED_NS = 5_000_000
"""Oversleeping or a reading of this length is a stall, and says nothing about the next one. A level reading is five
bytes of nine clocks, 0.45 ms at 100 kHz."""

SLEW_NS = NS_PER_S
"""Time in which a correction of the line reaches the stamps to 63 %."""

REFERENCE_NS = 2 * NS_PER_S
"""A slip is judged against fits as old as this, or half the segment's age: new ones may have bent to it."""

_PAIRS = 1024
"""Pairs of bounds kept; a full window has about 500."""

_UPPER_INDEX, _UPPER, _LOWER_INDEX, _LOWER = range(4)


class _Band(NamedTuple):
    """Lines of one period: from `lower_ns` to `upper_ns` at the index they are measured at."""

    period_ns: float
    upper_ns: float
    lower_ns: float


class _Fit(NamedTuple):
    """All lines that violate no bound, by their least, middle and greatest period; relative to (origin, time_ns).

    bend_ns: by how much the period grows with each sample, of all lines alike.
    """

    made_ns: int
    origin: int
    time_ns: int
    bend_ns: float
    bands: tuple[_Band, _Band, _Band]

    def span_ns(self, index: int) -> tuple[float, float]:
        """Return the earliest and the latest time of a sample, relative to time_ns."""
        ahead = index - self.origin
        bent = self.bend_ns / 2 * ahead * ahead
        return (
            min([band.lower_ns + band.period_ns * ahead for band in self.bands]) + bent,
            max([band.upper_ns + band.period_ns * ahead for band in self.bands]) + bent,
        )

    def middle_ns(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the times of samples on the middle line, relative to time_ns."""
        ahead = np.asarray(index - self.origin, np.float64)
        _, middle, _ = self.bands
        return (middle.upper_ns + middle.lower_ns) / 2 + (middle.period_ns + self.bend_ns / 2 * ahead) * ahead


class TimeBase:
    """Pure state machine for one chip: level readings in, sample times out, all in ns of one monotonic clock.

    The reader calls `observe` after each level reading, begins the next at `next_poll_ns`, and calls `stamp` for the
    samples it has read. After a flush, or once `slipped` is true, it calls `restart`; from there samples count from 0
    again, and `missed` tells how many were lost. `slipped`: readings contradict the past by half a period or more, or
    the rate known from before the flush at all; so a sample was lost or made up without a report, or the chip is
    another. Nothing is learnt any more until `restart`.
    """

    slipped: bool

    def __init__(self, rate_hz: float, *, known_rate_hz: float | None = None) -> None:
        """Raise InputError for a rate that no FIFO has; `known_rate_hz` is this very chip's true rate, from earlier."""
        for name, value in (("rate_hz", rate_hz), ("known_rate_hz", known_rate_hz)):
            if value is not None and not RATES_HZ[0] <= value <= RATES_HZ[1]:
                raise InputError(f"{name}: expected {RATES_HZ[0]:g} to {RATES_HZ[1]:g} samples per second, got {value}")
        self._wide_ns = _limits_ns(NS_PER_S / rate_hz, SPREAD)
        self._shortest_ns = STALLED_NS  # of all readings
        self._asked_ns = 0  # when the next reading was to begin
        self._lateness_ns = 0.0  # by how much readings begin later than asked, of late
        self._last_ns: int | None = None  # time of the last sample stamped, in this segment or before
        self._period_ns = NS_PER_S / (known_rate_hz or rate_hz)
        # The best-known period, and how far it may be off, as a part of it.
        self._sure_ns, self._sure_error = self._period_ns, KNOWN_SPREAD / 2 if known_rate_hz else SPREAD
        self._begin(self._known_ns())

    def _begin(self, limits_ns: tuple[float, float]) -> None:
        self._limits_ns = limits_ns
        self._bounds = np.empty((4, _PAIRS))
        self._start = self._stop = 0  # the pairs within the window
        self._index0 = self._time0_ns = self._begun_ns = 0  # origin of the bounds, and the segment's first reading
        self._bin_end_ns = 0
        self._count: int | None = None
        self._before_ns = self._after_ns = 0
        self._fit: _Fit | None = None
        self._fit_count: int | None = None
        self._references: deque[_Fit] = deque()
        self._bend_ns = 0.0
        self._bend_due_ns = 0
        self._aimed = 0
        self._last_index: int | None = None
        self.slipped = False

    def restart(self) -> None:
        """Begin a new segment, whose samples count from 0. The last stamp is kept, and the rate of the last stamps."""
        self._period_ns = self._sure_ns
        # What contradicts the known rate may be another chip; and what was lost unseen may have bent the rate.
        self._begin(self._wide_ns if self.slipped else self._known_ns())

    def _known_ns(self) -> tuple[float, float]:
        """Return the least and the greatest period that the clock may have by now."""
        spread = max(KNOWN_SPREAD, 2 * self._sure_error)
        return _limits_ns(self._sure_ns, spread) if spread < SPREAD else self._wide_ns

    @property
    def rate_hz(self) -> float:
        """The chip's present rate; before the first samples the nominal or the known one."""
        return NS_PER_S / self._period_ns

    @property
    def rate_error(self) -> float:
        """How far `rate_hz` may be off either way, as a part of it."""
        least_ns, most_ns = (self._fit.bands[0][0], self._fit.bands[2][0]) if self._fit else self._limits_ns
        return max(most_ns - least_ns, 0.0) / 2 / self._period_ns

    def observe(self, count: int, before_ns: int, after_ns: int) -> None:
        """Take a level reading: `count` samples taken since the segment began, read between the two times.

        Raises InputError for times that run backwards.
        """
        if not self._before_ns <= before_ns <= after_ns:
            raise InputError(f"observe: expected times in order, got {self._before_ns}, {before_ns}, {after_ns} ns")
        self._shortest_ns = min(self._shortest_ns, after_ns - before_ns)
        if self._count is None:
            self._time0_ns = self._begun_ns = before_ns
            self._bend_due_ns = before_ns + BEND_NS
        elif count < self._count or self._contradicts(count, before_ns, after_ns):
            self._slip()
        self._before_ns, self._after_ns = before_ns, after_ns
        if self.slipped:
            return
        self._count = count
        if 0 <= before_ns - self._asked_ns <= STALLED_NS:
            self._lateness_ns += (before_ns - self._asked_ns - self._lateness_ns) / 16
        self._note(count, before_ns, after_ns)
        self._fit_if_due()

    def _contradicts(self, count: int, before_ns: int, after_ns: int) -> bool:
        references = self._references
        latest_ns = after_ns - min(REFERENCE_NS, (after_ns - self._begun_ns) // 2)
        while len(references) > 1 and references[1].made_ns <= latest_ns:
            references.popleft()
        if not references:
            return False
        _, latest = references[0].span_ns(count)
        earliest, _ = references[0].span_ns(count - 1)
        off = max(before_ns - references[0].time_ns - latest, earliest - (after_ns - references[0].time_ns))
        return off + self._shortest_ns > self._period_ns / 2

    def _slip(self) -> None:
        """Go back to what was known before, and learn no more."""
        self.slipped = True
        if self._references:
            self._fit = self._references[0]
            self._period_ns = self._fit.bands[1].period_ns

    def _note(self, count: int, before_ns: int, after_ns: int) -> None:
        """Keep the bounds of a reading: as a new pair, or in the last pair where they are tighter."""
        if self._stop == _PAIRS:
            self._move_to_front()
        bounds, period_ns = self._bounds, self._period_ns
        index = count - self._index0
        upper: float = after_ns - self._time0_ns if count > 0 else np.inf
        lower: float = before_ns - self._time0_ns
        if after_ns >= self._bin_end_ns:
            self._bin_end_ns = after_ns + min(BIN_NS, (after_ns - self._begun_ns) // 32)
            bounds[:, self._stop] = index - 1, upper, index, lower
            self._stop += 1
            return
        last = self._stop - 1
        if upper - period_ns * (index - 1) < bounds[_UPPER, last] - period_ns * bounds[_UPPER_INDEX, last]:
            bounds[_UPPER_INDEX, last], bounds[_UPPER, last] = index - 1, upper
        if lower - period_ns * index > bounds[_LOWER, last] - period_ns * bounds[_LOWER_INDEX, last]:
            bounds[_LOWER_INDEX, last], bounds[_LOWER, last] = index, lower

    def _move_to_front(self) -> None:
        """Make room for new bounds, and move their origin along: int64 nanoseconds of years do not fit a float."""
        kept = self._bounds[:, max(self._start, _PAIRS // 2) : self._stop].copy()
        index, time_ns = int(kept[_LOWER_INDEX, 0]), int(kept[_LOWER, 0])
        kept[[_UPPER_INDEX, _LOWER_INDEX]] -= index
        kept[[_UPPER, _LOWER]] -= time_ns
        self._index0 += index
        self._time0_ns += time_ns
        self._start, self._stop = 0, kept.shape[1]
        self._bounds[:, : self._stop] = kept

    def _fit_if_due(self) -> None:
        if not self._count:
            return
        age_ns = self._after_ns - self._fit.made_ns if self._fit else FIT_NS
        early = self._count != self._fit_count and age_ns >= (self._after_ns - self._begun_ns) // 16
        if not early and age_ns < FIT_NS:
            return
        bands = self._refit()
        if not bands:
            self._slip()
            return
        least, middle, most = bands
        if self._limits_ns[0] < least.period_ns and most.period_ns < self._limits_ns[1]:
            # The readings know it better by now.
            self._limits_ns = self._wide_ns
        self._period_ns = middle.period_ns
        origin = self._index0 + int(self._bounds[_LOWER_INDEX, self._stop - 1])
        self._fit = _Fit(self._after_ns, origin, self._time0_ns, self._bend_ns, bands)
        self._fit_count = self._count
        self._references.append(self._fit)

    def _refit(self) -> tuple[_Band, _Band, _Band] | None:
        """Return the bands that fit the longest part of the recent past that any lines fit; may change the bend.

        None if no lines of the period known from before the flush do.
        """
        oldest_ns = self._after_ns - WINDOW_NS - self._time0_ns
        while self._start < self._stop - 1 and self._bounds[_LOWER, self._start] < oldest_ns:
            self._start += 1
        bands = None if self._after_ns >= self._bend_due_ns else self._bands(self._bend_ns)
        while not bands:
            self._search_bend()
            bands = self._bands(self._bend_ns)
            if not bands and self._limits_ns != self._wide_ns:
                return None
            if not bands:
                self._forget()
        return bands

    def _forget(self) -> None:
        """Give up the oldest bounds."""
        pairs = self._stop - self._start
        if pairs > 1:
            self._start += max(1, pairs // 8)
        else:
            # The two bounds may stem from two readings; one reading does not contradict itself.
            self._bin_end_ns, self._stop = 0, self._start
            self._note(self._count or 0, self._before_ns, self._after_ns)

    def _search_bend(self) -> None:
        """Take the middle of the bends that fit, which is about zero where the window is too short to tell."""
        self._bend_due_ns = self._after_ns + BEND_NS
        limit = BEND_PER_S * self._period_ns**2 / NS_PER_S
        tried = [self._bend_ns, *(limit * part / 4 for part in range(-4, 5))]
        fitting = next((bend for bend in tried if self._bands(bend)), None)
        if fitting is None:
            self._bend_ns = 0.0
        else:
            self._bend_ns = (self._last_bend(fitting, -limit) + self._last_bend(fitting, limit)) / 2

    def _last_bend(self, fitting: float, end: float) -> float:
        """Return about the last bend from one that fits towards `end` that fits: those that do are an interval."""
        if self._bands(end):
            return end
        for _ in range(5):
            tried = (fitting + end) / 2
            if self._bands(tried):
                fitting = tried
            else:
                end = tried
        return fitting

    def _bands(self, bend_ns: float) -> tuple[_Band, _Band, _Band] | None:
        """Return the lines with this bend that violate no bound, measured at the last pair's index."""
        window = self._bounds[:, self._start : self._stop].copy()
        index = window[[_UPPER_INDEX, _LOWER_INDEX]] - window[_LOWER_INDEX, -1]
        window[[_UPPER_INDEX, _LOWER_INDEX]] = index
        window[[_UPPER, _LOWER]] -= bend_ns / 2 * index * index
        room_ns = self._shortest_ns - TOLERANCE_NS
        shortest_ns, longest_ns = self._limits_ns
        least = _outermost(window, room_ns, shortest_ns, longest_ns)
        most = _outermost(window, room_ns, longest_ns, shortest_ns) if least else None
        if not least or not most:
            return None
        middle, _ = _band(window, (least.period_ns + most.period_ns) / 2)
        return least, middle, most

    def _span_ns(self, fit: _Fit, index: int) -> tuple[float, float]:
        """Return the earliest and the latest time of a sample, relative to the fit's, less what no reading can tell.

        Every pair of bounds is a reading apart; the level is latched about the middle of it.
        """
        earliest, latest = fit.span_ns(index)
        return earliest + self._shortest_ns / 2, latest - self._shortest_ns / 2

    def uncertainty_ns(self, first: int, n: int = 1) -> float:
        """Return how far the times of n samples of this segment may be off either way; infinite before any is known."""
        if self._fit is None:
            return np.inf
        # The doubt is a convex function of the index: it is greatest at an end.
        spans = [self._span_ns(self._fit, index) for index in (first, first + n - 1)]
        return max(0.0, *(latest - earliest for earliest, latest in spans)) / 2

    def next_poll_ns(self, at_most_ns: int) -> int:
        """Return when to begin the next level reading, where it tells most; `at_most_ns` at the latest.

        That is the latest edge whose predicted time is in little doubt. If even the next is in more, readings follow
        each other from its earliest time on until it has come.
        """
        soon_ns = self._after_ns + max(0, LISTEN_NS - int(self._lateness_ns))
        self._asked_ns = min(at_most_ns, max(soon_ns, self._telling_ns(at_most_ns)))
        return self._asked_ns

    def _telling_ns(self, at_most_ns: int) -> int:
        fit = self._fit
        if self._count is None:
            return at_most_ns
        if fit is None:
            return at_most_ns if self._period_ns <= LOOK_NS else 0
        # A reading that is asked for now latches the level so much later.
        origin_ns = fit.time_ns - self._shortest_ns / 2 - self._lateness_ns
        earliest, latest = self._span_ns(fit, self._count)
        earliest = max(earliest, self._before_ns + self._shortest_ns / 2 - fit.time_ns)
        spare = LOOK_NS + self._shortest_ns - (latest - earliest)
        if spare < 0:
            return int(origin_ns + earliest)
        least, middle, most = fit.bands
        ahead = (at_most_ns - origin_ns - (earliest + latest) / 2) / middle.period_ns
        if most.period_ns > least.period_ns:
            ahead = min(ahead, spare / (most.period_ns - least.period_ns))
        if ahead >= 1:
            earliest, latest = self._span_ns(fit, self._count + int(ahead))
        early_ns = 0.0
        if latest - earliest < LOOK_NS / 2:
            self._aimed += 1
            early_ns = AIMS[self._aimed % len(AIMS)] * middle.period_ns
        return int(origin_ns + (earliest + latest) / 2 - early_ns)

    def missed(self, first: int) -> int:
        """Return how many samples were lost between the last one stamped, whenever that was, and sample `first`."""
        if self._last_ns is None or self._fit is None:
            return 0
        since_ns = self._fit.time_ns - self._last_ns + float(self._fit.middle_ns(np.array(first)))
        period_ns = self._sure_ns if self._sure_error < self.rate_error else self._period_ns
        return max(0, round(since_ns / period_ns) - 1)

    def stamp(self, first: int, n: int, now_ns: int) -> NDArray[np.int64]:
        """Return the times (n,) of samples first to first + n - 1, which have been read by `now_ns`.

        Strictly increasing, also from call to call and across `restart`; none later than now_ns. Raises InputError for
        samples that no reading has shown to be taken (none does once `slipped`), or that are not after those stamped.
        """
        fit, last_index, last_ns = self._fit, self._last_index, self._last_ns
        least = 0 if last_index is None else last_index + 1
        if fit is None or self._count is None or n < 1 or not least <= first <= self._count - n:
            raise InputError(f"stamp: expected samples from {least} to below {self._count}, got {n} from {first}")
        if last_ns is not None and now_ns < last_ns + n:
            raise InputError(f"stamp: expected a time after {last_ns} ns, the last sample's, got {now_ns} ns")
        times = fit.middle_ns(np.arange(first, first + n))
        if last_ns is not None:
            behind = last_ns - fit.time_ns
            if last_index is not None:
                # A better line is approached, not jumped to: the stamps go on from where they were.
                anchor = fit.middle_ns(np.array(last_index))
                times += (behind - anchor) * np.exp((anchor - times) / SLEW_NS)
            elif times[0] <= behind:
                times += behind + self._period_ns / 2 - times[0]
        limit = now_ns - fit.time_ns
        if times[-1] > limit:
            # What has been read was not taken later.
            if last_ns is None:
                times -= times[-1] - limit
            else:
                times = behind + (times - behind) * ((limit - behind) / (times[-1] - behind))
        # Rounding down keeps both promises.
        stamps: NDArray[np.int64] = fit.time_ns + np.floor(times).astype(np.int64)
        self._last_index, self._last_ns = first + n - 1, int(stamps[-1])
        self._remember()
        return stamps

    def _remember(self) -> None:
        """Keep the period: who stamps has made sure that the chip was in order; later readings may be a dead FIFO's."""
        error, apart = self.rate_error, abs(self._period_ns / self._sure_ns - 1)
        if error <= max(SURE_ERROR, self._sure_error) or apart > error + self._sure_error:
            self._sure_ns, self._sure_error = self._period_ns, error


def _limits_ns(period_ns: float, spread: float) -> tuple[float, float]:
    return period_ns / (1 + spread), period_ns / (1 - spread)


def _band(window: NDArray[np.float64], period_ns: float) -> tuple[_Band, float]:
    """Return the lines of this period between the bounds, and how fast the room between them grows with the period."""
    above = window[_UPPER] - period_ns * window[_UPPER_INDEX]
    below = window[_LOWER] - period_ns * window[_LOWER_INDEX]
    top, bottom = int(above.argmin()), int(below.argmax())
    growth = window[_LOWER_INDEX, bottom] - window[_UPPER_INDEX, top]
    return _Band(period_ns, float(above[top]), float(below[bottom])), float(growth)


def _outermost(window: NDArray[np.float64], room_ns: float, from_ns: float, to_ns: float) -> _Band | None:
    """Return the first period from `from_ns` towards `to_ns` whose band is `room_ns` high, or None.

    A band's height is a concave, piecewise linear function of the period, so Newton's steps from outside never pass the
    answer, and end on it.
    """
    period_ns = from_ns
    while True:
        band, growth = _band(window, period_ns)
        missing_ns = room_ns - (band.upper_ns - band.lower_ns)
        if missing_ns <= 1:
            return band
        if growth * (to_ns - from_ns) <= 0:
            return None
        period_ns += missing_ns / growth
        if abs(period_ns - from_ns) > abs(to_ns - from_ns):
            return None
