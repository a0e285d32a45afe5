"""Times that stand in several columns: seconds and their parts, a split calendar, GPS weeks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.recordings.times.readings import (
    GPS_ZERO_S,
    Candidate,
    Reading,
    Values,
    leap_ns,
    made,
    of_number,
)
from motionsig.recordings.times.texts import DAY_NS, NoClockError, civil_days
from motionsig.recordings.times.units import unit_ns
from motionsig.recordings.times.zones import Zone

_PARTS = ((1_000, 1_000_000), (1_000_000, 1_000), (NS_PER_S, 1))  # so many in a second, ns
_UNIX_FROM_S = 946_684_800


def composites(candidates: Sequence[Candidate], coarse: Sequence[Reading], zone: Zone) -> list[Reading]:
    """Return the readings of several columns together; coarse: readings of one column in whole seconds."""
    numbers = [it for it in candidates if it.head.dtype.kind in "iuf" and len(it.head)]
    said: dict[str, list[Candidate]] = {}
    for it in numbers:
        said.setdefault(it.said, []).append(it)
    found = [_halves(secs, part) for secs in said.get("secs", []) for part in said.get("nsecs", [])]
    found += [_weeks(week, tow) for week in said.get("week", [])[:1] for tow in said.get("tow", [])[:1]]
    found.append(_calendar({word: them[0] for word, them in said.items()}, zone))
    parts = [it for it in numbers if it.said in ("", "nsecs", "time", "counter", "elapsed")]
    found += [_finer(reading, part) for reading in coarse for part in parts if part.column not in reading.columns]
    return [it for it in found if it and it.pace]


def _part_ns(candidate: Candidate) -> int | None:
    """Return the nanoseconds per unit of the parts of a second, None where the numbers are no such parts."""
    written = unit_ns(candidate.unit) if candidate.unit else None
    head = candidate.head[np.isfinite(candidate.head)] if candidate.head.dtype.kind == "f" else candidate.head
    if not len(head) or head.min() < 0:
        return None
    fits = [ns for limit, ns in _PARTS if head.max() < limit and written in (None, ns)]
    return fits[0] if fits else None


def _halves(secs: Candidate, part: Candidate) -> Reading | None:
    unit = _part_ns(part)
    if unit is None or secs.column == part.column:
        return None
    first, second = of_number(secs.column, Fraction(NS_PER_S)), of_number(part.column, Fraction(unit))
    dated = 3 if float(np.nanmin(secs.head)) >= _UNIX_FROM_S else 0
    return made((secs, part), _sum(first, second), "seconds and their parts", dated)


def _sum(
    first: Callable[[Values], NDArray[np.int64]], second: Callable[[Values], NDArray[np.int64]]
) -> Callable[[Values], NDArray[np.int64]]:
    return lambda values: first(values) + second(values)


def _finer(reading: Reading, part: Candidate) -> Reading | None:
    """Return a clock of whole seconds with the parts of a second from another column, where the two fit together."""
    unit = _part_ns(part)
    if unit is None or len(part.head) < 8 or part.head.max() * unit < NS_PER_S // 2:
        return None
    found = made(
        (*reading.candidates, part),
        _sum(reading.convert, of_number(part.column, Fraction(unit))),
        f"{reading.name} with parts of a second",
        reading.dated,
        moduli=reading.moduli,
        how="shown",
        zoned=reading.zoned,
        first_dates=reading.first_dates,
    )
    fits = found and found.pace and found.pace.back == 0 and found.pace.even >= 0.7 and found.pace.how == "single"
    return found if fits else None


def _weeks(week: Candidate, tow: Candidate) -> Reading | None:
    unit = unit_ns(tow.unit) if tow.unit else None
    if unit is None:
        unit = Fraction(1_000_000 if float(np.nanmax(tow.head)) > 604_800 else NS_PER_S)
    weeks = of_number(week.column, Fraction(7 * DAY_NS))
    zero_ns = GPS_ZERO_S * NS_PER_S - leap_ns(GPS_ZERO_S + float(np.nanmin(week.head)) * 604_800)
    seconds = _sum(of_number(tow.column, unit), lambda values: np.full(len(values[tow.column]), zero_ns))
    return made((week, tow), _sum(weeks, seconds), "GPS week and time of week", 3)


def _calendar(said: Mapping[str, Candidate], zone: Zone) -> Reading | None:
    if not {"hour", "minute", "second"} <= said.keys():
        return None
    dated = {"year", "month", "day"} <= said.keys()
    words = ["hour", "minute", "second", *(("year", "month", "day") if dated else ())]
    part = said.get("nsecs")
    unit = _part_ns(part) if part else None
    at = {word: said[word].column for word in words}

    def convert(values: Values) -> NDArray[np.int64]:
        hours, minutes, seconds = (values[at[word]].astype(np.float64) for word in ("hour", "minute", "second"))
        good = (hours >= 0) & (hours < 24) & (minutes >= 0) & (minutes < 60) & (seconds >= 0) & (seconds < 61)
        days = np.zeros(len(hours), np.int64)
        if dated:
            year, month, day = (np.nan_to_num(values[at[word]]).astype(np.int64) for word in ("year", "month", "day"))
            year = np.where(year < 100, year + 2000, year)
            good &= (year >= 1970) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
            days = civil_days(year, month, day)
        if not good.all():
            row = int(np.argmin(good))
            raise NoClockError(row, f"{hours[row]:g}:{minutes[row]:g}:{seconds[row]:g}")
        whole = np.floor(seconds)
        total = days * DAY_NS + (hours.astype(np.int64) * 3600 + minutes.astype(np.int64) * 60) * NS_PER_S
        total += whole.astype(np.int64) * NS_PER_S + np.rint((seconds - whole) * NS_PER_S).astype(np.int64)
        if part and unit:
            total += np.rint(values[part.column].astype(np.float64) * unit).astype(np.int64)
        return zone.to_utc(total)

    used = tuple(said[word] for word in words) + ((part,) if part and unit else ())
    utc = all(said[word].zone == "utc" for word in words if said[word].zone)
    named = any(said[word].zone == "utc" for word in words)
    rank = (2 if utc and named else 1) if dated else 0
    moduli = () if dated else (DAY_NS,)
    return made(used, convert, "a calendar in columns", rank, moduli=moduli, how="shown", zoned=rank == 2)
