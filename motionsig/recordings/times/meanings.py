"""What all columns of a table can mean as times, held against each other.

A unit that is written is never overruled. One that is not is taken where another clock, a date or the rate that the log
says shows it; what is left is a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.facts import How
from motionsig.recordings.times.composites import composites
from motionsig.recordings.times.paces import pace
from motionsig.recordings.times.ranks import POSSIBLE_HZ, possible, runs_back, within
from motionsig.recordings.times.readings import (
    Candidate,
    Reading,
    Values,
    of_count,
    of_epochs,
    of_stamps,
    of_texts,
)
from motionsig.recordings.times.texts import NoClockError, parse
from motionsig.recordings.times.units import unit_ns
from motionsig.recordings.times.zones import Zone

USUAL_HZ = (10.0, 1_700.0)
_RARE_HZ = (0.9, 9_000.0)
_SLOW_HZ = 0.002  # of numbers that have the digits of a date
_UNITS = tuple(Fraction(ns) for ns in (NS_PER_S, 10**6, 10**3, 1))
_TICKS = (*_UNITS, Fraction(100), Fraction(10**5), Fraction(10**4), Fraction(NS_PER_S, 32768), Fraction(60 * NS_PER_S))
_NAMED_TICKS = {"sampletimefine": (Fraction(10**3), Fraction(10**5))}  # Xsens' DOT and MTw
# Thousands and decimals by two marks, by the decimal one.
_GROUPED = {".": re.compile(r"\d{1,3}(?:,\d{3})*\.\d*"), ",": re.compile(r"\d{1,3}(?:\.\d{3})*,\d*")}
_AGREE = 0.03
SAME_RATE = 0.05
_DAY_2025, _DAYS_NEAR = 20_089, 12_800  # 1990 to 2060
_REPEATS = 0.8  # so many of the rows that share a time also share all samples: no packets


class Doubt(NamedTuple):
    """A column of numbers whose unit is not known: its readings, the likeliest first, and why it is asked."""

    candidate: Candidate
    readings: tuple[Reading, ...]
    why: str


def meanings(
    candidates: Sequence[Candidate], zone: Zone, unit: Fraction | None, start_ns: int | None
) -> tuple[list[Reading], list[Doubt]]:
    readings: list[Reading] = []
    doubts: list[Doubt] = []
    texts = [it for it in candidates if is_text(it)]
    for it in texts:
        readings += of_texts(it, None, zone, start_ns)
    for it in texts:
        if not any(it.column in reading.columns for reading in readings) and (numbers := _grouped(it)):
            more, doubt = _of_numbers(numbers[0], unit, zone)
            readings += [_from_text(found, numbers[1]) for found in more]
            if doubt:
                doubts.append(doubt._replace(readings=tuple(_from_text(found, numbers[1]) for found in doubt.readings)))
    dates = [it for it in texts if not any(it.column in reading.columns for reading in readings)]
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


def _grouped(candidate: Candidate) -> tuple[Candidate, str] | None:
    """Return the numbers of texts such as "1.234,5", and their decimal mark; None where marks may be confused."""
    if candidate.head.dtype.kind not in "SU":
        return None
    texts = [str(it) for it in candidate.head.astype(np.str_).tolist()]
    for mark, form in _GROUPED.items():
        if all(map(form.fullmatch, texts)) and any(("," if mark == "." else ".") in text for text in texts):
            return candidate._replace(head=_ungrouped(candidate.head, mark)), mark
    return None


def _ungrouped(texts: NDArray[Any], mark: str) -> NDArray[np.float64]:
    plain = np.char.replace(texts.astype(np.str_), "," if mark == "." else ".", "")
    return np.asarray(np.char.replace(plain, mark, ".").astype(np.float64))


def _from_text(reading: Reading, mark: str) -> Reading:
    """Return `reading`, which is of numbers, for the texts that they stand in."""
    column = reading.candidates[0].column

    def convert(values: Values) -> NDArray[np.int64]:
        good = [_GROUPED[mark].fullmatch(str(it)) is not None for it in values[column].astype(np.str_).tolist()]
        if not all(good):
            raise NoClockError(good.index(False), str(values[column][good.index(False)]))
        return reading.convert({column: _ungrouped(values[column], mark)})

    return replace(reading, columns={column: "text"}, convert=convert)


def _whole_seconds(candidate: Candidate) -> Reading | None:
    """Return the reading of numbers that stand still or go up by one as seconds."""
    if candidate.head.dtype.kind not in "iu" or len(candidate.head) < 8 or candidate.said == "counter":
        return None
    steps = np.diff(candidate.head)
    counts = ((steps == 0) | (steps == 1)).all() and (steps == 1).any() and (steps == 0).mean() > 0.5
    return of_count(candidate, Fraction(NS_PER_S), "shown") if counts else None


def is_text(candidate: Candidate) -> bool:
    """Tell whether a column is of texts, or of numbers with the digits of a calendar, such as 20230501235950."""
    head = candidate.head
    if head.dtype.kind in "SU":
        return True
    if head.dtype.kind not in "iu" or not len(head) or candidate.unit:
        return False
    digits = len(str(int(head.min())))
    if digits not in (8, 14, 17) or (digits == 8 and candidate.said not in ("date", "time", "datetime")):
        return False
    try:
        parsed = parse(np.char.mod("%d", head))
    except NoClockError:
        return False
    return parsed.days is not None and bool((np.abs(parsed.days - _DAY_2025) < _DAYS_NEAR).all())


def _of_numbers(candidate: Candidate, told: Fraction | None, zone: Zone) -> tuple[list[Reading], Doubt | None]:
    """Return the sure readings of a column of numbers, or the doubt about its unit."""
    with np.errstate(invalid="ignore"):  # infinite numbers have no step
        steps = np.diff(candidate.head.astype(np.float64))
    if not (steps > 0).any() or (steps < 0).mean() > 0.5 or candidate.said in ("step", "week", "nsecs"):
        return [], None
    if is_text(candidate):
        return [], None
    written = told or (unit_ns(candidate.unit) if candidate.unit else None)
    how: How = "told" if told else "written"
    plain = re.sub(r"[^a-z]", "", candidate.name.lower())
    if not written and (units := _NAMED_TICKS.get(plain)):
        found = [it for it in (of_count(candidate, unit, "shown") for unit in units) if it and within(it, USUAL_HZ)]
        if len(found) == 1:
            return found, None
    if written:
        dated = [replace(it, how=how) for it in of_epochs(candidate, written, zone)]
        counted = [] if dated else [it for it in [of_count(candidate, written, how)] if it]
        sure = [it for it in (*dated, *counted) if possible(it)]
        if sure or told:
            return [*dated, *counted], None
        others = [it for it in of_epochs(candidate, None, zone) if possible(it)] or _guesses(candidate)
        was = (dated or counted)[0].pace if dated or counted else None
        rate = f"{was.rate_hz:.3g}" if was else "no steady number of"
        why = f"the name says {candidate.unit}, which would be {rate} rows a second"
        return [], Doubt(candidate, tuple(others), why)
    if candidate.said in ("year", "month", "day", "hour", "minute", "second"):
        return [], None
    epochs = of_epochs(candidate, None, zone)
    if sure := [it for it in epochs if possible(it)]:
        return sure, None
    if slow := [it for it in epochs if it.pace and _SLOW_HZ <= it.pace.rate_hz < POSSIBLE_HZ[0]]:
        return slow, None
    if not candidate.said or candidate.said == "counter":
        return [], Doubt(candidate, tuple(_guesses(candidate)), "nothing says that it is a time")
    return [], Doubt(candidate, tuple(_guesses(candidate)), "nothing says in which unit it counts")


def _guesses(candidate: Candidate) -> list[Reading]:
    """Return the readings of a count in each of the usual units, the likeliest first."""
    found = [it for it in (of_count(candidate, unit, "assumed") for unit in _UNITS) if it and it.pace]
    usual = [it for it in found if within(it, USUAL_HZ)]
    return usual + [it for it in found if it not in usual and within(it, _RARE_HZ)]


def without_repeats(reading: Reading, repeats: NDArray[np.bool_]) -> Reading:
    """Return `reading` with the pace of those rows that are not the row before, written once more."""
    again = np.diff(reading.head_ns, prepend=reading.head_ns[:1] - 1) == 0
    if len(repeats) != len(again) or not again.any() or repeats[again].mean() < _REPEATS:
        return reading
    return replace(reading, pace=pace(reading.head_ns[~again]))


def rises(candidate: Candidate) -> bool:
    head = candidate.head
    if head.dtype.kind not in "iuf" or len(head) < 3:
        return False
    steps = np.diff(head.astype(np.float64))
    return bool((steps >= 0).mean() > 0.98 and (steps > 0).any())


def checked(readings: list[Reading], doubts: list[Doubt], log_hz: float | None) -> tuple[list[Reading], list[Doubt]]:
    """Return the readings and those of doubtful columns that agree with one of them, and the doubts that are left.

    log_hz: the rate that the log says, which shows a unit as well.
    """
    left = []
    sure = [it for it in readings if possible(it) and not runs_back(it)]
    for doubt in doubts:
        found = None
        for known in sure if doubt.candidate.said else ():
            for unit in _TICKS if doubt.candidate.said != "counter" else ():
                reading = of_count(doubt.candidate, unit, "shown")
                if reading and reading.pace and not runs_back(reading) and _same_span(reading, known):
                    found = found or reading
        if log_hz and not found and doubt.candidate.said not in ("", "counter"):
            for unit in _TICKS:
                reading = of_count(doubt.candidate, unit, "shown")
                if reading and reading.pace and abs(reading.pace.rate_hz / log_hz - 1) < SAME_RATE:
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
