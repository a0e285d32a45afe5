"""From FIFO levels and poll times to a time for each sample, the chip's true rate, and samples that went missing.

Samples are numbered from the last flush. A level reading that began at `before_ns` and ended at `after_ns` and found
`count` samples taken so far proves two things: sample count - 1 was taken by after_ns, and sample count was not yet
taken at before_ns. These are proofs, not noisy measurements: a reading that stalled gives a wide pair of bounds, so
nothing has to be weighted or thrown out. The stamps are on the middle one of the lines that violate no bound
(`motionsig.feasible_lines`).

A reading tells most just when the next sample is expected: it halves the uncertainty of the phase, whatever it finds.
`next_poll_ns` names that instant; so a reader learns to a fraction of a millisecond when a chip samples that does so
every 80 ms, and one whose polls would always meet the same phase does not stay blind to it.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError
from motionsig.feasible_lines import TOLERANCE_NS, FeasibleLines, Fit

RATES_HZ = (1.0, 10_000.0)
"""Slower or faster is no motion sensor's FIFO."""
SPREAD = 0.10
"""How far a chip's rate may be from its nominal one: 5 % are seen in the field, and this leaves as much again."""
KNOWN_SPREAD = 0.002
"""How far a rate known from before a flush may be off: the oscillator ran on, its temperature may have changed."""
SETTLED_NS = 500_000
"""A reader that keeps the samples of a new segment until `uncertainty_ns` is below this stamps the first well, too."""
FIT_NS = 100_000_000
"""A fit is used for so long; right after the start for a sixteenth of the segment's age."""
SURE_ERROR = 100e-6
"""A rate known this well tells how many samples were lost in seconds; that of a new segment could not."""
LOOK_NS, LISTEN_NS = 600_000, 350_000
"""If the time of an edge (a sample's arrival) is uncertain by more than the first, beyond a reading's own duration,
readings follow each other with the second as a pause until it has come."""
AIMS = (0.0, 0.3, 0.0, 0.7)
"""Once an edge is known, readings come before it by these parts of a period, in turn. A level read just at an edge may
be one sample short or over by chance, so it does not show that a sample was lost. In between it does, by more than half
a period: at 0.3 for a sample that was lost, at 0.7 for one that was made up."""
STALLED_NS = 5_000_000
"""A reading (0.45 ms at 100 kHz) that begins late by this or takes so long is a stall, and says nothing of the next."""
_SLOW = 4
"""Readings that take this many times what the bus takes are slow for another reason."""
SLEW_NS = NS_PER_S
"""Time in which a correction of the line reaches the stamps to 63 %."""
REFERENCE_NS = 2 * NS_PER_S
"""A slip is judged against fits as old as this, or half the segment's age: new ones may have adapted to it."""


class TimeBase:
    """Pure state machine for one chip: level readings in, sample times out, all in ns of one monotonic clock.

    The reader calls `observe` after each level reading, begins the next at `next_poll_ns`, and calls `stamp` for the
    samples it has read; then `doubt_ns` is how far these times may be off either way. `shortest_ns` is the time of the
    shortest reading. After a flush, or once `slipped` is true, it
    calls `restart`; from there samples count from 0 again, and `missed` tells how many were lost. `slipped`: readings
    contradict the past by half a period or more, or the rate known from before the flush, so a sample was lost or made
    up without a report, or it is another chip. `complete`: the last reading excludes that one sample was lost, or
    readings cannot tell, as they take too long or the times are not known well enough; a slip may show later that one
    was. `telling_ns` names the instant for a reading that tells.
    """

    slipped: bool
    complete: bool
    shortest_ns: int
    doubt_ns: float

    def __init__(self, rate_hz: float, *, known_rate_hz: float | None = None, wire_ns: int | None = None) -> None:
        """Raise InputError for a rate that no FIFO has.

        known_rate_hz: this very chip's true rate, from earlier. wire_ns: what a level reading takes on the bus itself:
        the level is latched within it, and wherever else a reading's time goes may differ from reading to reading.
        """
        for name, value in (("rate_hz", rate_hz), ("known_rate_hz", known_rate_hz)):
            if value is not None and not RATES_HZ[0] <= value <= RATES_HZ[1]:
                raise InputError(f"{name}: expected {RATES_HZ[0]:g} to {RATES_HZ[1]:g} samples per second, got {value}")
        self._wide_ns = _limits_ns(NS_PER_S / rate_hz, SPREAD)
        self._wire_ns = wire_ns
        self.shortest_ns = STALLED_NS  # of all readings
        self._latched_ns = self._latch_ns()
        self._asked_ns = 0  # when the next reading was to begin
        self._lateness_ns = 0.0  # by how much readings begin later than asked, of late
        self._last_ns: int | None = None  # time of the last sample stamped, in this segment or before
        self.doubt_ns = 0.0
        self._last_doubt_ns = 0.0  # of the last sample stamped alone
        self._period_ns = NS_PER_S / (known_rate_hz or rate_hz)
        # The best-known period, and how far it may be off, as a part of it.
        self._sure_ns, self._sure_error = self._period_ns, KNOWN_SPREAD / 2 if known_rate_hz else SPREAD
        self._begin(self._known_ns())

    def _begin(self, limits_ns: tuple[float, float]) -> None:
        self._limits_ns = limits_ns
        self._lines = FeasibleLines(0)  # until the first reading
        self._begun_ns = 0  # the first reading
        self._count: int | None = None
        self._before_ns = self._after_ns = 0
        self._fit: Fit | None = None
        self._fit_count: int | None = None
        # The last fit to readings none of which may hide a loss: one that does bends the lines that follow it.
        self._judge: Fit | None = None
        self._unsure: tuple[tuple[Fit, int, int], float] | None = None  # what `uncertainty_ns` was asked last
        self._references: deque[Fit] = deque()
        self._aimed = 0
        self._last_index: int | None = None
        self.slipped = False
        self.complete = True

    def restart(self) -> None:
        """Begin a new segment, whose samples count from 0. The last stamp is kept, and the rate of the last stamps."""
        self._period_ns = self._sure_ns
        # A rate that contradicts the known one may be another chip's, or a loss that nobody saw falsified it.
        self._begin(self._wide_ns if self.slipped else self._known_ns())

    def _known_ns(self) -> tuple[float, float]:
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
        """Take a level reading: `count` samples since the segment began; raises InputError for times that run back."""
        if not self._before_ns <= before_ns <= after_ns:
            raise InputError(f"observe: expected times in order, got {self._before_ns}, {before_ns}, {after_ns} ns")
        if after_ns - before_ns < self.shortest_ns:
            self.shortest_ns = after_ns - before_ns
            self._latched_ns = self._latch_ns()
        if self._count is None:
            self._begun_ns = before_ns
            self._lines = FeasibleLines(before_ns)
        elif count < self._count or self._contradicts(count, before_ns, after_ns):
            self._slip()
        self._before_ns, self._after_ns = before_ns, after_ns
        excluded, telling = self._excludes_more(count)
        self.complete = excluded or not telling
        if self.slipped:
            return
        self._count = count
        if 0 <= before_ns - self._asked_ns <= STALLED_NS:
            self._lateness_ns += (before_ns - self._asked_ns - self._lateness_ns) / 16
        self._lines.note(count, before_ns, after_ns, self._period_ns)
        self._fit_if_due()
        if excluded or not self._tells(self._judge, 0):
            self._judge = self._fit

    def _latch_ns(self) -> int:
        """Return the time about whose middle every reading latches the level."""
        if self._wire_ns is None:
            return self.shortest_ns
        # Readings that take so much longer tell nothing of the bus's clock, which may be faster than stated.
        slow = self.shortest_ns > _SLOW * self._wire_ns
        return min(self.shortest_ns, self._wire_ns // _SLOW if slow else self._wire_ns)

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
        return off + self._latched_ns > self._period_ns / 2

    def _excludes_more(self, count: int) -> tuple[bool, bool]:
        """Tell whether no more than `count` samples can have been taken by now, and whether such a reading can tell."""
        judge, took_ns = self._judge, self._after_ns - self._before_ns
        excluded = judge is not None and judge.time_ns + judge.span_ns(count)[0] > self._after_ns
        return excluded, self._tells(judge, took_ns)

    def _tells(self, judge: Fit | None, took_ns: int) -> bool:
        """Tell whether at least half of all readings that take so long exclude a loss, wherever in a period."""
        if judge is None:
            return False
        earliest, latest = judge.span_ns(self._count or 0)
        return latest - earliest + took_ns <= self._period_ns / 2

    def _slip(self) -> None:
        self.slipped = True
        if self._references:
            self._fit = self._references[0]
            self._period_ns = self._fit.bands[1].period_ns

    def _fit_if_due(self) -> None:
        if not self._count:
            return
        age_ns = self._after_ns - self._fit.made_ns if self._fit else FIT_NS
        early = self._count != self._fit_count and age_ns >= (self._after_ns - self._begun_ns) // 16
        if not early and age_ns < FIT_NS:
            return
        fit = self._lines.fit(self._latched_ns, self._limits_ns, forget=self._limits_ns == self._wide_ns)
        if not fit:
            self._slip()
            return
        least, middle, most = fit.bands
        if self._limits_ns[0] < least.period_ns and most.period_ns < self._limits_ns[1]:
            # The readings know it better by now.
            self._limits_ns = self._wide_ns
        self._period_ns = middle.period_ns
        self._fit, self._fit_count = fit, self._count
        self._references.append(fit)

    def _span_ns(self, fit: Fit, index: int) -> tuple[float, float]:
        """Return `Fit.span_ns` less what no reading can tell: the level is latched about the middle of a reading."""
        earliest, latest = fit.span_ns(index)
        return earliest + self._latched_ns / 2, latest - self._latched_ns / 2

    def _strays_ns(self, fit: Fit, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (6, n) how far the outermost lines are from the middle one, less what no reading can tell."""
        ahead = (indices - fit.origin).astype(np.float64)
        periods = np.repeat([band.period_ns for band in fit.bands], 2)
        within = self._latched_ns / 2
        edges = np.array([edge for band in fit.bands for edge in (band.upper_ns - within, band.lower_ns + within)])
        lines: NDArray[np.float64] = edges[:, None] + periods[:, None] * ahead + fit.drift_ns / 2 * ahead * ahead
        return lines - fit.middle_ns(indices)

    def uncertainty_ns(self, first: int, n: int = 1) -> float:
        """Return how far the times of n samples of this segment may be off either way; infinite before any is known."""
        if self._fit is None:
            return np.inf
        asked = self._fit, first, n
        if self._unsure is not None and self._unsure[0] == asked:
            return self._unsure[1]
        # The uncertainty is a convex function of the index: it is greatest at an end.
        spans = [self._span_ns(self._fit, index) for index in (first, first + n - 1)]
        unsure_ns = max(0.0, *(latest - earliest for earliest, latest in spans)) / 2 + self._fit.more_ns
        self._unsure = asked, unsure_ns
        return unsure_ns

    def taken_by(self, time_ns: int) -> tuple[int, int, float]:
        """Return how many samples were taken by then, at least and at most, and how far their times may be off in ns.

        (0, 0, infinite) where none is known.
        """
        fit = self._fit
        if fit is None:
            return 0, 0, np.inf
        _, middle, _ = fit.bands
        index = fit.origin + (time_ns - fit.time_ns - (middle.upper_ns + middle.lower_ns) / 2) / middle.period_ns
        unsure_ns = self.uncertainty_ns(int(index))
        unsure = 1 + unsure_ns / middle.period_ns
        return max(0, math.floor(index + 1 - unsure)), math.ceil(index + 1 + unsure), unsure_ns

    def next_poll_ns(self, at_most_ns: int) -> int:
        """Return when to begin the next level reading, where it tells most; `at_most_ns` at the latest.

        That is at the latest edge that is certain enough, or else from the earliest time of the next one on.
        """
        soon_ns = self._after_ns + max(0, LISTEN_NS - int(self._lateness_ns))
        self._asked_ns = min(at_most_ns, max(soon_ns, self._best_ns(at_most_ns)))
        return self._asked_ns

    def telling_ns(self, now_ns: int, after: float) -> int:
        """Return when to begin a level reading, from `now_ns` on, that tells whether a sample was lost.

        That is off an edge, and after it by this part of a period at least: `now_ns` itself where no reading can tell.
        """
        judge, took_ns, period_ns = self._judge, self._after_ns - self._before_ns, self._period_ns
        if judge is None or not self._tells(judge, took_ns):
            return now_ns
        earliest, latest = judge.span_ns(self._count or 0)
        since_ns = (now_ns - judge.time_ns - latest) % period_ns
        if since_ns > period_ns - (latest - earliest + took_ns):
            since_ns -= period_ns
        return now_ns + max(0, math.ceil(after * period_ns - since_ns))

    def _best_ns(self, at_most_ns: int) -> int:
        fit = self._fit
        if self._count is None or fit is None:
            return 0 if self._count is not None and self._period_ns > LOOK_NS else at_most_ns
        # A reading requested for an instant latches the level so much later.
        origin_ns = fit.time_ns - self._latched_ns / 2 - self._lateness_ns
        earliest, latest = self._span_ns(fit, self._count)
        earliest = max(earliest, self._before_ns + self._latched_ns / 2 - fit.time_ns)
        # By how much a reading itself takes longer than that, no further reading would be more exact.
        spare = LOOK_NS + 2 * self.shortest_ns - self._latched_ns - (latest - earliest)
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
        """Return how many samples were lost between the last one stamped, in any segment, and sample `first`."""
        if self._last_ns is None or self._fit is None:
            return 0
        since_ns = self._fit.time_ns - self._last_ns + float(self._fit.middle_ns(np.array(first)))
        period_ns = self._sure_ns if self._sure_error < self.rate_error else self._period_ns
        return max(0, round(since_ns / period_ns) - 1)

    def stamp(self, first: int, n: int, now_ns: int) -> NDArray[np.int64]:
        """Return the times (n,) of samples first to first + n - 1, which have been read by `now_ns`.

        Strictly increasing, also from call to call and across `restart`; none later than now_ns. Raises InputError for
        samples that no reading has shown, which none does once `slipped`, and for samples not after those stamped.
        """
        fit, last_index, last_ns = self._fit, self._last_index, self._last_ns
        least = 0 if last_index is None else last_index + 1
        if fit is None or self._count is None or n < 1 or not least <= first <= self._count - n:
            raise InputError(f"stamp: expected samples from {least} to below {self._count}, got {n} from {first}")
        if last_ns is not None and now_ns < last_ns + n:
            raise InputError(f"stamp: expected a time after {last_ns} ns, the last sample's, got {now_ns} ns")
        times = fit.middle_ns(np.arange(first, first + n))
        # How far the first and the last time may be off; in between it is between these.
        strays = self._strays_ns(fit, np.array([first, first + n - 1]))
        doubts = np.abs(strays).max(axis=0) + fit.more_ns
        if last_ns is not None:
            behind = last_ns - fit.time_ns
            if last_index is not None:
                # The stamps go on from where they were and approach a better line slowly.
                anchor = fit.middle_ns(np.array(last_index))
                kept = np.exp((anchor - times) / SLEW_NS)
                times += (behind - anchor) * kept
                kept = kept[[0, -1]]
                moved = np.abs(strays - kept * self._strays_ns(fit, np.array([last_index]))).max(axis=0)
                doubts = moved + kept * self._last_doubt_ns + (1 - kept) * fit.more_ns
            elif times[0] <= behind:
                doubts += behind + self._period_ns / 2 - times[0]
                times += behind + self._period_ns / 2 - times[0]
        limit = now_ns - fit.time_ns
        if times[-1] > limit:
            # What has been read was not taken later.
            if last_ns is None:
                times -= times[-1] - limit
            else:
                times = behind + (times - behind) * ((limit - behind) / (times[-1] - behind))
        self.doubt_ns, self._last_doubt_ns = float(doubts.max()) + TOLERANCE_NS, float(doubts[-1])
        # Rounding down keeps both promises.
        stamps: NDArray[np.int64] = fit.time_ns + np.floor(times).astype(np.int64)
        self._last_index, self._last_ns = first + n - 1, int(stamps[-1])
        # Whoever stamps has checked the chip; later readings may be those of a dead FIFO.
        error, apart = self.rate_error, abs(self._period_ns / self._sure_ns - 1)
        if error <= max(SURE_ERROR, self._sure_error) or apart > error + self._sure_error:
            self._sure_ns, self._sure_error = self._period_ns, error
        return stamps


def _limits_ns(period_ns: float, spread: float) -> tuple[float, float]:
    return period_ns / (1 + spread), period_ns / (1 - spread)
