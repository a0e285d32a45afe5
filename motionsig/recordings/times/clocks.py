"""The clock of a table: which column gives the spacing of the rows, which the date, and what is not known.

Every column is read in all ways that its name and numbers allow, and the readings are held against each other. A unit
that is written is never overruled. One that is not is taken where another clock, a date or the only possible rate shows
it; else it is asked. The exact clock wins over the pretty one: Unix time over local text, a sensor's own ticks over the
times of arrival, which then give the date alone.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, RecordingError
from motionsig.facts import Fact, How, Question
from motionsig.recordings.tables import Kind, Rows
from motionsig.recordings.times.composites import composites
from motionsig.recordings.times.notes import Start, written_rate, written_start
from motionsig.recordings.times.paces import Pace, pace
from motionsig.recordings.times.packets import Spread
from motionsig.recordings.times.plain import check_rate, numbered
from motionsig.recordings.times.readings import (
    Candidate,
    Reading,
    of_count,
    of_epochs,
    of_stamps,
    of_texts,
)
from motionsig.recordings.times.texts import DAY_NS, NoClockError
from motionsig.recordings.times.units import unit_ns, unit_text
from motionsig.recordings.times.unwrapping import Unwrapper
from motionsig.recordings.times.zones import Zone

UNKNOWN_RATE = "50"
"""The answer that is offered for `rate_hz` where nothing of a table tells it."""
POSSIBLE_HZ = (0.5, 50_000.0)
_USUAL_HZ = (10.0, 1_700.0)
_RARE_HZ = (0.9, 9_000.0)
_SLOW_HZ = 0.002  # of numbers that have the digits of a date
_UNITS = tuple(Fraction(ns) for ns in (NS_PER_S, 10**6, 10**3, 1))
_TICKS = (*_UNITS, Fraction(100), Fraction(10**5), Fraction(10**4), Fraction(NS_PER_S, 32768), Fraction(60 * NS_PER_S))
_NAMED_TICKS = {"sampletimefine": (Fraction(10**3), Fraction(10**5))}  # Xsens' DOT and MTw
_AGREE = 0.03
_SAME_RATE = 0.05
_REPEATS = 0.8  # so many of the rows that share a time also share all samples: no packets
_BACK, _BACKS = 0.01, 2  # so many steps may run back, where a log began anew
_NEAR_ZERO_NS = 60 * NS_PER_S
_QUARTER_NS = 900 * NS_PER_S
_ZONE_NS = 14 * 3600 * NS_PER_S


@dataclass(frozen=True)
class Clock:
    """How the rows of one table get their times.

    * `columns`: what it reads, and as what; empty where the rows are only numbered.
    * `rate_hz`: of samples. `facts`: what was understood of the times, and how it is known.
    """

    columns: Mapping[int, Kind]
    rate_hz: float
    facts: tuple[Fact, ...]
    reading: Reading | None = field(default=None, repr=False)
    shift_ns: int = 0
    spread: Pace | None = field(default=None, repr=False)

    def timed(self, rows: Iterator[Rows], where: str) -> Iterator[tuple[NDArray[np.int64], Rows]]:
        """Yield the same rows with the times (n,) of each; where packets are spread, cut in other places.

        Raises RecordingError with line (or row) and text for what is no time.
        """
        if self.reading is None:
            yield from self._numbered(rows)
            return
        stamps = self._stamps(rows, self.reading, where)
        if self.spread is None:
            yield from stamps
        else:
            yield from _spread(stamps, Spread(self.spread, self.rate_hz))

    def _numbered(self, rows: Iterator[Rows]) -> Iterator[tuple[NDArray[np.int64], Rows]]:
        done = 0
        for part in rows:
            count = _count(part)
            yield numbered(done, count, self.rate_hz, self.shift_ns), part
            done += count

    def _stamps(self, rows: Iterator[Rows], reading: Reading, where: str) -> Iterator[tuple[NDArray[np.int64], Rows]]:
        unwrapper = Unwrapper(reading.moduli)
        for part in rows:
            values = {column: part.columns[column] for column in reading.columns}
            try:
                for cells in values.values():
                    if cells.dtype.kind == "f" and not np.isfinite(cells).all():
                        raise NoClockError(int(np.argmin(np.isfinite(cells))), str(cells[~np.isfinite(cells)][0]))
                times = reading.convert(values)
            except NoClockError as error:
                names = " and ".join(repr(it.name) for it in reading.candidates)
                raise RecordingError(
                    f"{where}:{part.first + error.row}: expected a time in {names}, got {error.text!r}"
                ) from None
            yield unwrapper.push(times) + self.shift_ns, part


def _count(rows: Rows) -> int:
    return len(next(iter(rows.columns.values()))) if rows.columns else 0


def _spread(
    stamped: Iterator[tuple[NDArray[np.int64], Rows]], spread: Spread
) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    waiting: list[Rows] = []
    for stamps, rows in stamped:
        waiting.append(rows)
        yield from _given(spread.push(stamps, rows.breaks), waiting)
    yield from _given(spread.finish(), waiting)


def _given(times: NDArray[np.int64], waiting: list[Rows]) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    """Yield the first rows that wait, as many as have times, and take them away."""
    while len(times):
        rows, size = waiting[0], _count(waiting[0])
        if size <= len(times):
            waiting.pop(0)
            if size:
                yield times[:size], rows
            times = times[size:]
            continue
        cut = len(times)
        yield times, _part(rows, 0, cut)
        waiting[0] = _part(rows, cut, size)
        return


def _part(rows: Rows, start: int, stop: int) -> Rows:
    columns = {column: values[start:stop] for column, values in rows.columns.items()}
    return Rows(columns, tuple(it - start for it in rows.breaks if start <= it < stop), rows.first + start)


class Found(NamedTuple):
    """What was found of a clock.

    * `clock`: as guessed where there are questions, which must be answered first.
    * `refusal`: why these rows cannot have times at all; "" else.
    """

    clock: Clock | None
    questions: tuple[Question, ...] = ()
    refusal: str = ""


class _Doubt(NamedTuple):
    """A column of numbers whose unit is not known: its readings, the likeliest first, and why it is asked."""

    candidate: Candidate
    readings: tuple[Reading, ...]
    why: str


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
) -> Found:
    """Return the clock of a table, or the questions that it leaves open.

    candidates: all columns that may be times. named: the table has a header. told: the columns that the caller says
    are the time, () for none. time_unit, rate_hz, start_ns, zone: as the caller says, None where they do not. log_hz:
    the rate that the log's format says. notes: names and values of the lines above the table. repeats: (m,) for each of
    the first rows, whether all its samples are those of the row before. Raises InputError for an option that is none.
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
        candidates = [it._replace(said="time" if _rises(it) or _is_text(it) else "") for it in candidates]
    candidates = [it for it in candidates if len(it.head)]
    said = written_rate(notes)
    log_hz = log_hz or (said[1] if said else None)
    if unit is None and "tscale" in notes and (scale := unit_ns(f"{notes['tscale']} s")):
        unit = scale  # of Gyroflow's logs
    readings, doubts = _readings(candidates, area, unit, start_ns)
    if repeats is not None:
        readings = [_without_repeats(it, repeats) for it in readings]
    readings, doubts = _checked(readings, doubts, log_hz)
    chosen = _Choice(readings, doubts, candidates, start_ns, area, rate_hz, log_hz, written_start(notes))
    return chosen.found()


def _without_repeats(reading: Reading, repeats: NDArray[np.bool_]) -> Reading:
    """Return `reading` with the pace of those rows that are not the row before, written once more."""
    again = np.diff(reading.head_ns, prepend=reading.head_ns[:1] - 1) == 0
    if len(repeats) != len(again) or not again.any() or repeats[again].mean() < _REPEATS:
        return reading
    return replace(reading, pace=pace(reading.head_ns[~again]))


def _rises(candidate: Candidate) -> bool:
    head = candidate.head
    if head.dtype.kind not in "iuf" or len(head) < 3:
        return False
    steps = np.diff(head.astype(np.float64))
    return bool((steps >= 0).mean() > 0.98 and (steps > 0).any())


def _readings(
    candidates: Sequence[Candidate], zone: Zone, unit: Fraction | None, start_ns: int | None
) -> tuple[list[Reading], list[_Doubt]]:
    readings: list[Reading] = []
    doubts: list[_Doubt] = []
    texts = [it for it in candidates if _is_text(it)]
    for it in texts:
        readings += of_texts(it, None, zone, start_ns)
    dates = [it for it in texts if not any(it in reading.candidates for reading in readings)]
    alone = [reading.candidates[0] for reading in readings if not reading.dated]
    readings += [two for date in dates for it in alone for two in of_texts(it, date, zone, start_ns)]
    for it in candidates:
        if it.head.dtype.kind == "M":
            readings += [found for found in [of_stamps(it)] if found]
        elif it.head.dtype.kind in "iuf":
            more, doubt = _of_numbers(it, unit, zone)
            readings += more
            doubts += [doubt] if doubt else []
    coarse = [it for it in readings if len(it.head_ns) and not (it.head_ns % NS_PER_S).any()]
    coarse += [it for it in map(_whole_seconds, candidates) if it]
    readings += composites(candidates, coarse, zone)
    return [it for it in readings if it.pace], doubts


def _whole_seconds(candidate: Candidate) -> Reading | None:
    """Return the reading of numbers that stand still or go up by one as seconds."""
    if candidate.head.dtype.kind not in "iu" or len(candidate.head) < 8 or candidate.said == "counter":
        return None
    steps = np.diff(candidate.head)
    counts = ((steps == 0) | (steps == 1)).all() and (steps == 1).any() and (steps == 0).mean() > 0.5
    return of_count(candidate, Fraction(NS_PER_S), "shown") if counts else None


def _is_text(candidate: Candidate) -> bool:
    head = candidate.head
    if head.dtype.kind in "SU":
        return True
    # 20230501, 20230501235950 and 20230501235950123: a calendar's digits.
    if head.dtype.kind not in "iu":
        return False
    low, high = int(head.min()), int(head.max())
    digits = len(str(low))
    dates = digits in (8, 14, 17) and len(str(high)) == digits and 1990 <= low // 10 ** (digits - 4) < 2060
    return dates and (digits > 8 or candidate.said in ("date", "time", "datetime"))


def _of_numbers(candidate: Candidate, told: Fraction | None, zone: Zone) -> tuple[list[Reading], _Doubt | None]:
    """Return the sure readings of a column of numbers, or the doubt about its unit."""
    steps = np.diff(candidate.head.astype(np.float64))
    if not (steps > 0).any() or (steps < 0).mean() > 0.5 or candidate.said in ("step", "week", "nsecs"):
        return [], None
    if _is_text(candidate):
        return [], None
    written = told or (unit_ns(candidate.unit) if candidate.unit else None)
    how: How = "told" if told else "written"
    plain = re.sub(r"[^a-z]", "", candidate.name.lower())
    if not written and (units := _NAMED_TICKS.get(plain)):
        found = [it for it in (of_count(candidate, unit, "shown") for unit in units) if it and _within(it, _USUAL_HZ)]
        if len(found) == 1:
            return found, None
    if written:
        dated = [replace(it, how=how) for it in of_epochs(candidate, written, zone)]
        counted = [] if dated else [it for it in [of_count(candidate, written, how)] if it]
        sure = [it for it in (*dated, *counted) if _possible(it)]
        if sure or told:
            return [*dated, *counted], None
        others = [it for it in of_epochs(candidate, None, zone) if _possible(it)] or _guesses(candidate)
        was = (dated or counted)[0].pace if dated or counted else None
        rate = f"{was.rate_hz:.3g}" if was else "no steady number of"
        why = f"the name says {candidate.unit}, which would be {rate} rows a second"
        return [], _Doubt(candidate, tuple(others), why)
    if candidate.said in ("year", "month", "day", "hour", "minute", "second"):
        return [], None
    epochs = of_epochs(candidate, None, zone)
    if sure := [it for it in epochs if _possible(it)]:
        return sure, None
    if slow := [it for it in epochs if it.pace and _SLOW_HZ <= it.pace.rate_hz < POSSIBLE_HZ[0]]:
        return slow, None
    if not candidate.said or candidate.said == "counter":
        return [], _Doubt(candidate, tuple(_guesses(candidate)), "nothing says that it is a time")
    return [], _Doubt(candidate, tuple(_guesses(candidate)), "nothing says in which unit it counts")


def _guesses(candidate: Candidate) -> list[Reading]:
    """Return the readings of a count in each of the usual units, the likeliest first."""
    found = [it for it in (of_count(candidate, unit, "assumed") for unit in _UNITS) if it and it.pace]
    usual = [it for it in found if _within(it, _USUAL_HZ)]
    return usual + [it for it in found if it not in usual and _within(it, _RARE_HZ)]


def _within(reading: Reading, limits: tuple[float, float]) -> bool:
    return reading.pace is not None and limits[0] * 0.999 <= reading.pace.rate_hz <= limits[1] * 1.001


def _possible(reading: Reading) -> bool:
    return _within(reading, POSSIBLE_HZ)


def _runs_back(reading: Reading) -> bool:
    steps = len(reading.head_ns) - 1
    return reading.pace is not None and reading.pace.back * steps > max(_BACKS, _BACK * steps)


def _checked(readings: list[Reading], doubts: list[_Doubt], log_hz: float | None) -> tuple[list[Reading], list[_Doubt]]:
    """Return the readings and those of doubtful columns that agree with one of them, and the doubts that are left.

    log_hz: the rate that the log says, which shows a unit as well.
    """
    left = []
    sure = [it for it in readings if _possible(it) and not _runs_back(it)]
    for doubt in doubts:
        found = None
        for known in sure if doubt.candidate.said else ():
            for unit in _TICKS if doubt.candidate.said != "counter" else ():
                reading = of_count(doubt.candidate, unit, "shown")
                if reading and reading.pace and not _runs_back(reading) and _same_span(reading, known):
                    found = found or reading
        if log_hz and not found and doubt.candidate.said not in ("", "counter"):
            for unit in _TICKS:
                reading = of_count(doubt.candidate, unit, "shown")
                if reading and reading.pace and abs(reading.pace.rate_hz / log_hz - 1) < _SAME_RATE:
                    found = found or reading
        if found:
            readings = [*readings, found]
        else:
            left.append(doubt)
    return readings, left


def _same_span(one: Reading, other: Reading) -> bool:
    if len(one.head_ns) != len(other.head_ns):
        return False
    mine, theirs = (int(it.head_ns[-1] - it.head_ns[0]) for it in (one, other))
    # Where the other stamps packets, the first and the last may be off by one.
    slack = 2 * other.pace.interval_ns if other.pace else 0.0
    return theirs > 4 * slack and abs(mine - theirs) <= _AGREE * theirs + slack


class _Choice:
    """The readings of all columns, and what is made of them."""

    def __init__(
        self,
        readings: list[Reading],
        doubts: list[_Doubt],
        candidates: Sequence[Candidate],
        start_ns: int | None,
        zone: Zone,
        rate_hz: float | None,
        log_hz: float | None,
        note: Start | None,
    ) -> None:
        self.readings, self.doubts, self.candidates = readings, doubts, candidates
        self.start_ns, self.zone, self.rate_hz, self.log_hz, self.note = start_ns, zone, rate_hz, log_hz, note

    def found(self) -> Found:
        usable = [it for it in self.readings if _possible(it) and not _runs_back(it)]
        if self.rate_hz is not None:
            best = self._spacing(usable) if usable else None
            spread = best is not None and best.pace is not None and best.pace.how in ("packets", "bursts", "coarse")
            if best and best.pace and spread and abs(best.pace.rate_hz / self.rate_hz - 1) < 0.15:
                return self._made(best, usable, ())
            return Found(self._by_number(self.rate_hz, "told", usable))
        if usable:
            return self._made(self._spacing(usable), usable, ())
        return self._asked()

    def _spacing(self, usable: list[Reading]) -> Reading:
        """Return the reading that gives the spacing of the rows best."""
        best = max(usable, key=_rank)
        own = [it for it in usable if it.candidates[0].owner != "host" and not it.dated and _clean(it)]
        rough = best.dated and (not _clean(best) or _jitter(best) > 0.1)
        finer = [it for it in own if _jitter(it) < _jitter(best) / 3 or not _clean(best)] if rough else []
        return max(finer, key=_rank) if finer else best

    def _made(self, best: Reading, usable: list[Reading], questions: tuple[Question, ...]) -> Found:
        assert best.pace is not None
        dated = _best_date(usable)
        shift, facts = self._start(best, dated)
        questions += self._date_question(best, dated) + self._conflicts(best, usable)
        rate = self.rate_hz or best.pace.rate_hz
        spread = best.pace if best.pace.how in ("packets", "bursts", "coarse") else None
        facts = (_clock_fact(best), *facts, *_pace_facts(best.pace, rate, "told" if self.rate_hz else "shown"))
        if best.pace.how == "unsteady" and self.rate_hz is None and (best.pace.packet > 1 or best.pace.even < 0.2):
            words = (
                f"How many samples a second? The times in {_names(best)} are of packets that are not steady; "
                f"{best.pace.rate_hz:.4g} is their mean."
            )
            questions += (Question("rate_hz", f"{best.pace.rate_hz:.4g}", words),)
        return Found(Clock(best.columns, rate, facts, best, shift, spread), questions)

    def _start(self, best: Reading, dated: Reading | None) -> tuple[int, tuple[Fact, ...]]:
        """Return what to add to the times of `best`, and what is known of the start."""
        first = int(best.head_ns[0])
        if self.start_ns is not None:
            return self.start_ns - first, (Fact("start", _iso(self.start_ns), "told"),)
        if dated is None and self.note and (shift := self._noted(best, self.note)) is not None:
            zone = () if self.note.zoned else self._zone_of_text(())
            said = Fact("date", f"from the log's own {self.note.name!r}", "written")
            return shift, (Fact("start", _iso(first + shift), "written"), *zone, said)
        if dated is None:
            value = "the date is not known: times count from 1970"
            return 0, (Fact("start", value, "assumed"),)
        shift = 0
        if dated is not best:
            shift = _apart(best, dated)
        zone = self._zone(dated)
        facts: tuple[Fact, ...] = (Fact("start", _iso(first + shift), "written"), *zone)
        if dated is not best:
            facts = (*facts, Fact("date", f"from {_names(dated)}", "shown"))
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

    def _date_question(self, best: Reading, dated: Reading | None) -> tuple[Question, ...]:
        if dated is None or len(dated.first_dates) < 2 or self.start_ns is not None:
            return ()
        starts = sorted(dated.first_dates, key=lambda it: it != int(dated.head_ns[0]))
        each = " or ".join(f"{_iso(it)} (start_ns={it})" for it in starts)
        text = str(dated.candidates[0].head[0])
        return (Question("start_ns", str(starts[0]), f"Is {text!r} in {_names(dated)} {each}?"),)

    def _conflicts(self, best: Reading, usable: list[Reading]) -> tuple[Question, ...]:
        """Return the question which of two clocks is right, where both are clean and tell different rates."""
        assert best.pace is not None
        for other in usable:
            named = other.candidates[0].said not in ("", "counter") and other.how in ("written", "told")
            if other.pace is None or not named or not _clean(other) or not _clean(best):
                continue
            if other.dated and best.dated and abs(int(other.head_ns[0] - best.head_ns[0])) < _ZONE_NS:
                continue
            if abs(other.pace.rate_hz / best.pace.rate_hz - 1) > _SAME_RATE:
                guess = json.dumps({"time": best.candidates[0].name or best.candidates[0].column})
                words = (
                    f"Which column is the time? {_names(best)} tells {best.pace.rate_hz:.4g} rows a second, "
                    f"{_names(other)} {other.pace.rate_hz:.4g}."
                )
                return (Question("columns", guess, words),)
        return ()

    def _by_number(self, rate: float, how: How, usable: list[Reading]) -> Clock:
        """Return the clock of rows that are numbered at `rate` Hz."""
        dated = _best_date(usable) or max(usable, key=_rank, default=None)
        facts: tuple[Fact, ...]
        if dated is not None:
            start, facts = self._start(dated, dated if dated.dated else None)
            start += int(dated.head_ns[0])
        else:
            start = self.start_ns or 0
            if self.start_ns is not None:
                facts = (Fact("start", _iso(start), "told"),)
            elif self.note and self.note.time_ns is not None:
                start = self.note.unix_ns(self.zone)
                zone = () if self.note.zoned else self._zone_of_text(())
                facts = (Fact("start", f"{_iso(start)}, from the log's own {self.note.name!r}", "written"), *zone)
            else:
                facts = (Fact("start", "the date is not known: times count from 1970", "assumed"),)
        clock = Fact("clock", "rows numbered at the rate", how)
        return Clock({}, rate, (clock, *facts, Fact("rate", f"{rate:g} Hz", how)), None, start)

    def _asked(self) -> Found:
        """Return what is to be asked where no reading is sure."""
        if unsorted := [it for it in self.readings if _possible(it) and _runs_back(it)]:
            worst = min(unsorted, key=lambda it: it.pace.back if it.pace else 1.0)
            part = worst.pace.back if worst.pace else 0.0
            return Found(
                None,
                (),
                f"expected rows in the order of their times, got {part:.0%} of the steps in "
                f"{_names(worst)} that run back",
            )
        slow = [it for it in self.readings if it.pace and it.pace.rate_hz < POSSIBLE_HZ[0] and it.candidates[0].said]
        if slow and slow[0].pace:
            return Found(
                None,
                (),
                f"expected at least {POSSIBLE_HZ[0]:g} samples a second, got "
                f"{slow[0].pace.rate_hz:.3g} by {slow[0].name} in {_names(slow[0])}",
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
        for doubt in (it for it in self.doubts if it not in named and it.readings and _rises(it.candidate)):
            if doubt.candidate.said == "counter" or not self._only(doubt):
                continue
            best = doubt.readings[0]
            guess = json.dumps({"time": doubt.candidate.name or doubt.candidate.column})
            words = (
                f"Which column is the time? {_names(best)} rises like a clock of {best.pace.rate_hz:.4g} Hz "
                f"in {unit_text(best.unit)}."
                if best.pace
                else ""
            )
            return self._made(best, [best], (Question("columns", guess, words),))
        return Found(self._numbered_guess(), (self._rate_question(),))

    def _only(self, doubt: _Doubt) -> bool:
        """Tell whether just one unit gives a rate that a motion sensor has."""
        best = doubt.readings[0]
        if len(doubt.readings) != 1 or doubt.candidate.unit or not _within(best, _USUAL_HZ) or best.pace is None:
            return False
        if doubt.candidate.said == "ticks":
            return False
        # 100 ns or a 32,768th of a second are as likely as an unlikely rate in us.
        return best.unit != 1000 or 10.1 < best.pace.rate_hz < 1500

    def _rate_question(self) -> Question:
        odd = [it for it in self.candidates if it.said not in ("", "counter", "step", "date")]
        if odd:
            shown = ", ".join(repr(str(it)) for it in odd[0].head[:2].tolist())
            words = f"How many samples a second? {odd[0].name!r} has no times that motionsig understands: {shown}, ..."
        else:
            words = "How many samples a second? There is no column of times."
        return Question("rate_hz", UNKNOWN_RATE, words)

    def _numbered_guess(self) -> Clock:
        return self._by_number(float(UNKNOWN_RATE), "assumed", [])


def _whole(doubt: _Doubt) -> bool:
    return bool(doubt.readings) and _within(doubt.readings[0], _USUAL_HZ)


def _unit_question(doubt: _Doubt, best: Reading) -> Question:
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


def _best_date(usable: list[Reading]) -> Reading | None:
    """Return the reading that tells the date best."""
    found = [it for it in usable if it.dated]
    return max(found, key=lambda it: (it.dated >= 2, _rank(it)[:2], it.dated, _rank(it)), default=None)


def _rank(reading: Reading) -> tuple[object, ...]:
    assert reading.pace is not None
    candidate = reading.candidates[0]
    steady = {"single": 2, "packets": 1, "bursts": 1, "coarse": 1, "unsteady": 0}[reading.pace.how]
    named = candidate.said not in ("", "counter")
    return (
        named,
        _clean(reading),
        steady,
        reading.dated,
        reading.how != "assumed",
        {"device": 2, "": 1, "host": 0}[candidate.owner],
        round(reading.pace.even, 1),
        -round(_jitter(reading), 2),
        -candidate.column,
    )


def _clean(reading: Reading) -> bool:
    return reading.pace is not None and reading.pace.how == "single" and reading.pace.even >= 0.8


def _jitter(reading: Reading) -> float:
    """Return the spread of the steps near the period, as a part of it."""
    if reading.pace is None:
        return 1.0
    period = NS_PER_S / reading.pace.rate_hz
    steps = np.diff(reading.head_ns)
    near = steps[(steps > 0.25 * period) & (steps < 1.75 * period)]
    return float(near.std() / period) if len(near) > 2 else 1.0


def _apart(best: Reading, dated: Reading) -> int:
    """Return what makes the times of `best` those of `dated`."""
    size = min(len(best.head_ns), len(dated.head_ns))
    apart = dated.head_ns[:size] - best.head_ns[:size]
    how = dated.pace.how if dated.pace else "single"
    # A stamp of arrival is too late, a coarse one too early.
    found = int(apart.min() if how in ("packets", "bursts") else apart.max() if how == "coarse" else np.median(apart))
    if best.dated and abs(found) < _ZONE_NS:
        whole = round(found / _QUARTER_NS) * _QUARTER_NS
        if abs(found - whole) <= 2 * NS_PER_S:
            return whole
    return found


def _names(reading: Reading) -> str:
    return " and ".join(repr(it.name) if it.name else f"column {it.column}" for it in reading.candidates)


def _clock_fact(reading: Reading) -> Fact:
    name = reading.name
    if name == "a count":
        name = f"a count of {unit_text(reading.unit)}"
    return Fact("clock", f"{name} in {_names(reading)}", reading.how)


def _pace_facts(found: Pace, rate: float, how: How) -> tuple[Fact, ...]:
    facts = [Fact("rate", f"{rate:.6g} Hz", how)]
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


def _iso(time_ns: int) -> str:
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=time_ns // 1000)
    return moment.isoformat(timespec="milliseconds") + "Z"
