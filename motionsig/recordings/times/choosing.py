"""The clock of a table: which column gives the spacing of the rows, which the date, and what must be asked.

The exact clock wins over the pretty one: Unix time over local text, a sensor's own ticks over the times of arrival,
which then give the date alone. Where only one unit gives a rate that motion sensors have, it is assumed; else asked.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError
from motionsig.facts import Fact, How, Question
from motionsig.recordings.times.clock import Clock
from motionsig.recordings.times.meanings import (
    SAME_RATE,
    USUAL_HZ,
    Doubt,
    checked,
    is_text,
    meanings,
    rises,
    without_repeats,
)
from motionsig.recordings.times.notes import Start, named_rate, written_rate, written_start
from motionsig.recordings.times.order import PLACES, order
from motionsig.recordings.times.paces import Pace, pace
from motionsig.recordings.times.plain import check_rate
from motionsig.recordings.times.ranks import (
    POSSIBLE_HZ,
    ZONE_NS,
    apart,
    best_date,
    clean,
    iso,
    jitter,
    names,
    possible,
    rank,
    runs_back,
    within,
)
from motionsig.recordings.times.readings import Candidate, Reading
from motionsig.recordings.times.texts import DAY_NS
from motionsig.recordings.times.units import unit_ns, unit_text
from motionsig.recordings.times.zones import Zone

UNKNOWN_RATE = "50"
"""The answer that is offered for `rate_hz` where nothing of a table tells it."""
_NEAR_ZERO_NS = 60 * NS_PER_S


class Found(NamedTuple):
    """What was found of a clock.

    * `clock`: as guessed where there are questions, which must be answered first.
    * `refusal`: why these rows cannot have times at all; "" else.
    """

    clock: Clock | None
    questions: tuple[Question, ...] = ()
    refusal: str = ""


def find_clock(
    candidates: Sequence[Candidate],
    *,
    named: bool = True,
    told: Sequence[int] | None = None,
    time_unit: str | None = None,
    rate_hz: float | None = None,
    start_ns: int | None = None,
    zone: str | None = None,
    log_hz: float | None = None,
    notes: Mapping[str, str] = MappingProxyType({}),
    repeats: NDArray[np.bool_] | None = None,
    coarse: Collection[int] = (),
) -> Found:
    """Return the clock of a table, or the questions that it leaves open.

    candidates: all columns that may be times. named: the table has a header. told: the columns that the caller says
    are the time, () for none. time_unit, rate_hz, start_ns, zone: as the caller says, None where they do not. log_hz:
    the rate that the log's format says. notes: names and values of the lines above the table, and of "file name".
    repeats: (m,) for each of the first rows, whether all its samples are those of the row before.
    coarse: columns that are not to give the spacing where others can, as they stand still further down.
    Raises InputError for an option that is none.
    """
    check_rate(rate_hz)
    unit = None
    if time_unit is not None and (unit := unit_ns(time_unit)) is None:
        raise InputError(f"time_unit: expected a unit such as 's', 'ms', 'us', 'ns' or '1/32768 s', got {time_unit!r}")
    area = Zone(zone)
    if told is not None:
        candidates = [it._replace(said=it.said or "time") for it in candidates if it.column in told]
    elif not named:
        # Without names only the numbers can say it.
        candidates = [it._replace(said="time" if rises(it) or is_text(it) else "") for it in candidates]
    candidates = [it for it in candidates if len(it.head)]
    said = written_rate(notes)
    log_hz = log_hz or (said[1] if said else None)
    if unit is None and "tscale" in notes and (scale := unit_ns(f"{notes['tscale']} s")):
        unit = scale  # of Gyroflow's logs
    readings, doubts = meanings(candidates, area, unit, start_ns)
    if repeats is not None:
        readings = [without_repeats(it, repeats) for it in readings]
        doubts = [it._replace(readings=tuple(without_repeats(one, repeats) for one in it.readings)) for it in doubts]
    readings, doubts = checked(readings, doubts, log_hz)
    chosen = _Choice(
        readings, doubts, candidates, start_ns, area, rate_hz, log_hz, written_start(notes), named_rate(notes)
    )
    chosen.coarse = frozenset(coarse)
    return chosen.found()


class _Choice:
    """The readings of all columns, and what is made of them."""

    def __init__(
        self,
        readings: list[Reading],
        doubts: list[Doubt],
        candidates: Sequence[Candidate],
        start_ns: int | None,
        zone: Zone,
        rate_hz: float | None,
        log_hz: float | None,
        note: Start | None,
        hint_hz: float | None,
    ) -> None:
        self.readings, self.doubts, self.candidates = readings, doubts, candidates
        self.start_ns, self.zone, self.rate_hz, self.log_hz, self.note = start_ns, zone, rate_hz, log_hz, note
        self.hint_hz = hint_hz
        self.coarse: frozenset[int] = frozenset()

    def found(self) -> Found:
        usable = [it for it in self.readings if possible(it) and not runs_back(it)]
        if self.rate_hz is not None:
            best = self._spacing(usable) if usable else None
            spread = best is not None and best.pace is not None and best.pace.how in ("packets", "bursts", "coarse")
            if best and best.pace and spread and abs(best.pace.rate_hz / self.rate_hz - 1) < 0.15:
                return self._made(best, usable, ())
            dated = best_date(usable)
            asked = self._date_question(dated)
            return Found(self._by_number(self.rate_hz, "told", usable), asked)
        if usable:
            return self._made(self._spacing(usable), usable, ())
        return self._asked()

    def _spacing(self, usable: list[Reading]) -> Reading:
        """Return the reading that gives the spacing of the rows best."""
        usable = [it for it in usable if not self.coarse & set(it.columns)] or usable
        best = max(usable, key=rank)
        own = [it for it in usable if it.candidates[0].owner != "host" and not it.dated and clean(it)]
        rough = best.dated and (not clean(best) or jitter(best) > 0.1)
        finer = [it for it in own if jitter(it) < jitter(best) / 3 or not clean(best)] if rough else []
        return max(finer, key=rank) if finer else best

    def _made(self, best: Reading, usable: list[Reading], questions: tuple[Question, ...]) -> Found:
        assert best.pace is not None
        dated = best_date(usable)
        shift, facts = self._start(best, dated)
        questions += self._date_question(dated) + self._conflicts(best, usable)
        rate = self.rate_hz or best.pace.rate_hz
        spread = best.pace if best.pace.how in ("packets", "bursts", "coarse") else None
        facts = (_clock_fact(best), *facts, *_pace_facts(best.pace, rate, "told" if self.rate_hz else "shown"))
        # Times of single rows are as they are written, however unsteady: numbering the rows would only bend them.
        if best.pace.how == "unsteady" and self.rate_hz is None and best.pace.packet > 1:
            words = (
                f"How many samples a second? The times in {names(best)} are of packets that are not steady; "
                f"{best.pace.rate_hz:.4g} is their mean."
            )
            questions += (Question("rate_hz", f"{best.pace.rate_hz:.4g}", words),)
        return Found(Clock(best.columns, rate, facts, best, shift, spread), questions)

    def _start(self, best: Reading, dated: Reading | None) -> tuple[int, tuple[Fact, ...]]:
        """Return what to add to the times of `best`, and what is known of the start."""
        first = int(best.head_ns[0])
        if self.start_ns is not None:
            return self.start_ns - first, (Fact("start", iso(self.start_ns), "told"),)
        if dated is None and self.note and (shift := self._noted(best, self.note)) is not None:
            zone = () if self.note.zoned else self._zone_of_text(())
            said = Fact("date", f"from the log's own {self.note.name!r}", "written")
            return shift, (Fact("start", iso(first + shift), "written"), *zone, said)
        if dated is None:
            value = "the date is not known: times count from 1970"
            return 0, (Fact("start", value, "assumed"),)
        shift = 0
        if dated is not best:
            shift = apart(best, dated)
        zone = self._zone(dated)
        facts: tuple[Fact, ...] = (Fact("start", iso(first + shift), "written"), *zone)
        if dated is not best:
            facts = (*facts, Fact("date", f"from {names(dated)}", "shown"))
        return shift, facts

    def _noted(self, best: Reading, note: Start) -> int | None:
        """Return what to add to the times of `best`, which have no date, by what the log says of its start."""
        first = int(best.head_ns[0])
        if best.name == "time of day":
            # The first row may be after midnight, the start before it.
            late = DAY_NS if note.time_ns is not None and first < note.time_ns - DAY_NS // 2 else 0
            return note._replace(time_ns=None).unix_ns(self.zone, first) + late - first
        if note.time_ns is None:
            return None
        if note.of_week:
            return note.date_ns if 0 <= first <= 7 * DAY_NS else None
        # Times that begin near zero count from the start, others (since a boot) do not.
        return note.unix_ns(self.zone) - (0 if abs(first) < _NEAR_ZERO_NS else first)

    def _zone(self, dated: Reading) -> tuple[Fact, ...]:
        return () if dated.dated >= 2 else self._zone_of_text(dated.candidates)

    def _zone_of_text(self, candidates: Sequence[Candidate]) -> tuple[Fact, ...]:
        if self.zone.name is not None:
            return (Fact("zone", self.zone.name, "told"),)
        if any(it.zone == "utc" for it in candidates):
            return (Fact("zone", "UTC", "written"),)
        return (Fact("zone", "UTC, as the text says none; zone='Europe/Berlin' (say) settles it", "assumed"),)

    def _date_question(self, dated: Reading | None) -> tuple[Question, ...]:
        if dated is None or len(dated.first_dates) < 2 or self.start_ns is not None:
            return ()
        starts = sorted(dated.first_dates, key=lambda it: it != int(dated.head_ns[0]))
        each = " or ".join(f"{iso(it)} (start_ns={it})" for it in starts)
        text = str(dated.candidates[0].head[0])
        return (Question("start_ns", str(starts[0]), f"Is {text!r} in {names(dated)} {each}?"),)

    def _conflicts(self, best: Reading, usable: list[Reading]) -> tuple[Question, ...]:
        """Return the question which of two clocks is right, where both are clean and tell different rates."""
        assert best.pace is not None
        for other in usable:
            named = other.candidates[0].said not in ("", "counter") and other.how in ("written", "told")
            if other.pace is None or not named or not clean(other) or not clean(best):
                continue
            if other.dated and best.dated and abs(int(other.head_ns[0] - best.head_ns[0])) < ZONE_NS:
                continue
            if abs(other.pace.rate_hz / best.pace.rate_hz - 1) > SAME_RATE:
                guess = json.dumps({"time": best.candidates[0].name or best.candidates[0].column})
                words = (
                    f"Which column is the time? {names(best)} tells {best.pace.rate_hz:.4g} rows a second, "
                    f"{names(other)} {other.pace.rate_hz:.4g}."
                )
                return (Question("columns", guess, words),)
        return ()

    def _by_number(self, rate: float, how: How, usable: list[Reading]) -> Clock:
        """Return the clock of rows that are numbered at `rate` Hz."""
        dated = best_date(usable) or max(usable, key=rank, default=None)
        facts: tuple[Fact, ...]
        if dated is not None:
            start, facts = self._start(dated, dated if dated.dated else None)
            start += int(dated.head_ns[0])
        else:
            start = self.start_ns or 0
            if self.start_ns is not None:
                facts = (Fact("start", iso(start), "told"),)
            elif self.note and self.note.time_ns is not None:
                start = self.note.unix_ns(self.zone)
                zone = () if self.note.zoned else self._zone_of_text(())
                facts = (Fact("start", f"{iso(start)}, from the log's own {self.note.name!r}", "written"), *zone)
            else:
                facts = (Fact("start", "the date is not known: times count from 1970", "assumed"),)
        clock = Fact("clock", "rows numbered at the rate", how)
        return Clock({}, rate, (clock, *facts, Fact("rate", f"{rate:g} Hz", how)), None, start)

    def _asked(self) -> Found:
        """Return what is to be asked where no reading is sure."""
        if unsorted := [it for it in self.readings if possible(it) and runs_back(it)]:
            if late := [one for it in unsorted if (one := _in_order(it)) is not None]:
                return self._sorted(late)
            worst = min(unsorted, key=lambda it: it.pace.back if it.pace else 1.0)
            part = worst.pace.back if worst.pace else 0.0
            return Found(
                None,
                (),
                f"expected rows in the order of their times, got {part:.0%} of the steps in "
                f"{names(worst)} that run back",
            )
        slow = [it for it in self.readings if it.pace and it.pace.rate_hz < POSSIBLE_HZ[0] and it.candidates[0].said]
        if slow and slow[0].pace:
            return Found(
                None,
                (),
                f"expected at least {POSSIBLE_HZ[0]:g} samples a second, got "
                f"{slow[0].pace.rate_hz:.3g} by {slow[0].name} in {names(slow[0])}",
            )
        if self.log_hz:
            return Found(self._by_number(self.log_hz, "written", []))
        named = [it for it in self.doubts if it.candidate.said not in ("", "counter")]
        for doubt in sorted(named, key=lambda it: (not it.readings, not _whole(it))):
            if not doubt.readings:
                continue
            best = doubt.readings[0]
            if self._only(doubt):
                return self._made(best, [best], ())
            return self._made(best, [best], (_unit_question(doubt, best),))
        for doubt in (it for it in self.doubts if it not in named and it.readings and rises(it.candidate)):
            if doubt.candidate.said == "counter" or not self._only(doubt):
                continue
            best = doubt.readings[0]
            guess = json.dumps({"time": doubt.candidate.name or doubt.candidate.column})
            words = (
                f"Which column is the time? {names(best)} rises like a clock of {best.pace.rate_hz:.4g} Hz "
                f"in {unit_text(best.unit)}."
                if best.pace
                else ""
            )
            return self._made(best, [best], (Question("columns", guess, words),))
        return Found(self._numbered_guess(), (self._rate_question(),))

    def _sorted(self, late: list[Reading]) -> Found:
        """Return the clock of rows some of which came late; `late`: as their times are in order."""
        found = self._made(max(late, key=rank), late, ())
        if found.clock is None:
            return found
        words = f"some come late, and are put in the order of their times, by up to {PLACES} places"
        facts = (*found.clock.facts, Fact("order of rows", words, "shown"))
        return found._replace(clock=replace(found.clock, facts=facts, reorder=True))

    def _only(self, doubt: Doubt) -> bool:
        """Tell whether just one unit gives a rate that a motion sensor has."""
        best = doubt.readings[0]
        if len(doubt.readings) != 1 or doubt.candidate.unit or not within(best, USUAL_HZ) or best.pace is None:
            return False
        if doubt.candidate.said == "ticks":
            return False
        # 100 ns or a 32,768th of a second are as likely as an unlikely rate in us.
        return best.unit != 1000 or 10.1 < best.pace.rate_hz < 1500

    def _rate_question(self) -> Question:
        odd = [it for it in self.candidates if it.said not in ("", "counter", "step", "date")]
        if odd:
            shown = ", ".join(repr(str(it)) for it in odd[0].head[:2].tolist())
            if len(odd[0].head) > 1 and (odd[0].head == odd[0].head[0]).all():
                shown = f"all rows have {shown.split(',')[0]}"
            words = f"How many samples a second? {odd[0].name!r} has no times that motionsig understands: {shown}, ..."
        else:
            words = "How many samples a second? There is no column of times."
        return Question("rate_hz", self._rate_by_steps(), words)

    def _rate_by_steps(self) -> str:
        """Return the rate that a column of time differences shows, or else a usual one."""
        for it in self.candidates:
            if it.said == "step" and it.head.dtype.kind in "iuf":
                step = float(np.nanmedian(it.head))
                units = [unit_ns(it.unit)] if it.unit else [Fraction(ns) for ns in (NS_PER_S, 10**6, 10**3, 1)]
                rates = [NS_PER_S / float(unit) / step for unit in units if unit and step > 0]
                if likely := [rate for rate in rates if USUAL_HZ[0] <= rate <= USUAL_HZ[1]]:
                    return f"{likely[0]:.4g}"
        return f"{self.hint_hz:g}" if self.hint_hz else UNKNOWN_RATE

    def _numbered_guess(self) -> Clock:
        return self._by_number(float(UNKNOWN_RATE), "assumed", [])


def _in_order(reading: Reading) -> Reading | None:
    """Return a reading with its times in order; None where that does not make an even clock of it."""
    if (found := order(reading.head_ns)) is None:
        return None
    head = reading.head_ns[found]
    ordered = replace(reading, head_ns=head, pace=pace(head))
    return ordered if possible(ordered) and clean(ordered) else None


def _whole(doubt: Doubt) -> bool:
    return bool(doubt.readings) and within(doubt.readings[0], USUAL_HZ)


def _unit_question(doubt: Doubt, best: Reading) -> Question:
    assert best.pace is not None
    if (np.diff(doubt.candidate.head) == 1).all():
        words = (
            f"How many samples a second? {doubt.candidate.name!r} goes up by one: it numbers the rows, or it counts "
            f"{unit_text(best.unit)} (then pass time_unit={unit_text(best.unit)!r} instead)."
        )
        return Question("rate_hz", UNKNOWN_RATE, words)
    others = [it for it in doubt.readings if it.pace and it.unit != best.unit]
    each = "".join(f", {unit_text(it.unit)} {it.pace.rate_hz:.4g} Hz" for it in others if it.pace)
    words = (
        f"In which unit does {doubt.candidate.name!r} count? {doubt.why[0].upper()}{doubt.why[1:]}; "
        f"{unit_text(best.unit)} would be {best.pace.rate_hz:.4g} Hz{each}."
    )
    return Question("time_unit", unit_text(best.unit), words)


def _clock_fact(reading: Reading) -> Fact:
    name = reading.name
    if name == "a count":
        name = f"a count of {unit_text(reading.unit)}"
    return Fact("clock", f"{name} in {names(reading)}", reading.how)


def _pace_facts(found: Pace, rate: float, how: How) -> tuple[Fact, ...]:
    unsteady = found.how == "unsteady" and how != "told"
    facts = [
        Fact(
            "rate",
            f"{rate:.6g} Hz, the mean, as the times are not steady" if unsteady else f"{rate:.6g} Hz",
            "assumed" if unsteady else how,
        )
    ]
    size = f"{found.packet:.3g}"
    if found.how == "packets":
        facts.append(Fact("packets", f"of {size} samples, one stamp each: spread at the rate", "shown"))
    elif found.how == "bursts":
        facts.append(Fact("packets", f"of {size} samples, stamped on arrival: spread at the rate", "shown"))
    elif found.how == "coarse":
        step = f"{found.interval_ns / 1e6:.4g} ms"
        facts.append(
            Fact("packets", f"{size} samples to each step of {step} of the clock: spread at the rate", "shown")
        )
    return tuple(facts)
