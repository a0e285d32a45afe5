"""What a column of numbers or texts can mean as a time: every reading that its first rows allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.facts import How
from motionsig.recordings.tables import Kind
from motionsig.recordings.times.paces import Pace, pace
from motionsig.recordings.times.texts import DAY_NS, ORDERS, NoClockError, Parsed, parse
from motionsig.recordings.times.unwrapping import Unwrapper
from motionsig.recordings.times.zones import Zone

Values = Mapping[int, NDArray[Any]]


class Candidate(NamedTuple):
    """A column that may be a time, as its name and its first rows show it.

    * `column`: its number. `name`: as found. `head`: (m,) int64, float64, str or datetime64.
    * `said`: what the name says: "time", "unix", "datetime", "date", "clock", "year" .. "second", "elapsed", "secs",
      "nsecs", "week", "tow", "counter", "ticks", "step"; "" where it says nothing of time.
    * `unit`: as the name or the row of units says. `owner`: "device", "host". `zone`: "utc", "local". All "" else.
    """

    column: int
    name: str
    head: NDArray[Any]
    said: str = ""
    unit: str = ""
    owner: str = ""
    zone: str = ""


class Epoch(NamedTuple):
    """A way to count time: its unit, the number that is 1970, which numbers are of this century, whether in UTC."""

    name: str
    unit: Fraction
    origin: int
    first: float
    last: float
    utc: bool = True


_FROM_S, _TO_S = 946_684_800, 2_840_140_800  # 2000 to 2060
_LARGEST_NS = 9e18  # int64 ends at 9.22e18, in the year 2262
_SOLE_FROM_S = 1_199_145_600  # 2008: smaller numbers are as likely no date


def _epoch(name: str, unit_ns: int, zero_s: int, first_s: int = _FROM_S) -> Epoch:
    per = NS_PER_S / unit_ns
    origin = -zero_s * NS_PER_S // unit_ns
    return Epoch(name, Fraction(unit_ns), origin, (first_s - zero_s) * per, (_TO_S - zero_s) * per, unit_ns != DAY_NS)


EPOCHS = (
    _epoch("Unix time in s", NS_PER_S, 0),
    _epoch("Unix time in ms", 10**6, 0),
    _epoch("Unix time in us", 10**3, 0),
    _epoch("Unix time in ns", 1, 0),
    _epoch("Windows file time", 100, -11_644_473_600),
    _epoch(".NET ticks", 100, -62_135_596_800),
    _epoch("days since 1900", DAY_NS, -25_569 * 86_400, _SOLE_FROM_S),
    _epoch("days since year 0", DAY_NS, -719_529 * 86_400),
    _epoch("seconds since 1904", NS_PER_S, -2_082_844_800),
)
APPLE = _epoch("seconds since 2001", NS_PER_S, 978_307_200, _SOLE_FROM_S)
GPS_ZERO_S = 315_964_800
_LEAP_S = ((2017, 18), (2015, 17), (2012, 16), (2009, 15), (2006, 14), (1999, 13))  # GPS is ahead of UTC


@dataclass(frozen=True, eq=False)
class Reading:
    """One meaning of one or several columns.

    * `columns`: that it reads, and how. `convert`: of their values to ns (n,); raises NoClockError.
    * `name`: in words. `dated`: 3 Unix time and its like, 2 a text with its zone, 1 a text without, 0 no date.
    * `unit`: ns, 0 for a text. `moduli`: at which it may begin anew, ns.
    * `head_ns`: (m,) of the first rows, unwrapped. `pace`: None where they do not rise.
    * `how`: the unit is known. `first_dates`: where a text's date can be read in two ways, the first row's, ns.
    """

    candidates: tuple[Candidate, ...]
    columns: Mapping[int, Kind]
    convert: Callable[[Values], NDArray[np.int64]] = field(repr=False)
    name: str
    dated: int
    head_ns: NDArray[np.int64] = field(repr=False)
    pace: Pace | None
    unit: Fraction = Fraction(0)
    moduli: tuple[int, ...] = ()
    how: How = "written"
    zoned: bool = True
    first_dates: tuple[int, ...] = ()


def kind_of(head: NDArray[Any]) -> Kind:
    """Return how to read a column whose first rows are `head`."""
    if head.dtype.kind in "SU":
        return "text"
    # float64 also takes a fraction that comes later; it is exact to 16 digits.
    exact = head.dtype.kind in "iuM" and (head.dtype.kind == "M" or (len(head) and np.abs(head).max() >= 2**53))
    return "whole" if exact else "number"


def made(
    candidates: tuple[Candidate, ...],
    convert: Callable[[Values], NDArray[np.int64]],
    name: str,
    dated: int,
    **more: Any,
) -> Reading | None:
    """Return a reading with what its first rows show; None where they cannot be read so."""
    heads = {it.column: it.head for it in candidates}
    least = min(map(len, heads.values()))
    whole = np.ones(least, bool)
    for head in heads.values():
        if head.dtype.kind == "f":
            whole &= np.isfinite(head[:least])
    try:
        head_ns = convert({column: head[:least][whole] for column, head in heads.items()})
    except (NoClockError, OverflowError):
        return None
    moduli = more.get("moduli", ())
    head_ns = Unwrapper(moduli).push(head_ns) if len(head_ns) else head_ns
    kinds = {it.column: kind_of(it.head) for it in candidates}
    return Reading(candidates, kinds, convert, name, dated, head_ns, pace(head_ns), **more)


def of_number(
    column: int, unit: Fraction, origin: int = 0, zone: Zone | None = None
) -> Callable[[Values], NDArray[np.int64]]:
    """Return what makes ns of numbers of `unit` ns, of which `origin` is 1970; zone: the numbers are of local time."""

    def convert(values: Values) -> NDArray[np.int64]:
        numbers = values[column]
        with np.errstate(over="ignore"):  # a damaged number may be 1e300
            good = np.abs(numbers.astype(np.float64) - origin) * float(unit) < _LARGEST_NS
        if not good.all():
            raise _bad(numbers, good)
        if numbers.dtype.kind in "iu":
            whole, rest = numbers.astype(np.int64) - origin, None
        else:
            # The whole part apart, so that no digit of the fraction is lost where the number is large.
            floor = np.floor(numbers)
            whole, rest = floor.astype(np.int64) - origin, (numbers - floor) * float(unit)
        times: NDArray[np.int64]
        times = whole * int(unit) if unit.denominator == 1 else np.rint(whole * float(unit)).astype(np.int64)
        if rest is not None and rest.any():
            times = times + np.rint(rest).astype(np.int64)
        return times if zone is None else zone.to_utc(times)

    return convert


def _bad(numbers: NDArray[Any], good: NDArray[np.bool_]) -> NoClockError:
    row = int(np.argmin(good))
    return NoClockError(row, str(numbers[row]))


def of_epochs(candidate: Candidate, unit: Fraction | None, zone: Zone) -> list[Reading]:
    """Return the readings of a number as a date, in `unit` where it is known."""
    head = candidate.head[np.isfinite(candidate.head)] if candidate.head.dtype.kind == "f" else candidate.head
    if not len(head):
        return []
    low, high = float(head.min()), float(head.max())
    fits = [it for it in EPOCHS if it.first <= low and high <= it.last and unit in (None, it.unit)]
    if not fits and APPLE.first <= low and high <= APPLE.last and unit in (None, APPLE.unit) and head.dtype.kind == "f":
        fits = [APPLE]
    found = []
    for epoch in fits:
        how: How = "written" if unit else "shown"
        convert = of_number(candidate.column, epoch.unit, epoch.origin, None if epoch.utc else zone)
        dated = 3 if epoch.utc else 1
        found.append(made((candidate,), convert, epoch.name, dated, unit=epoch.unit, how=how, zoned=epoch.utc))
    return [it for it in found if it]


def of_count(candidate: Candidate, unit: Fraction, how: How) -> Reading | None:
    """Return the reading of a number as a count of `unit` ns from some start."""
    whole = candidate.head.dtype.kind in "iu"
    moduli = tuple(int(unit * 2**bits) for bits in (16, 24, 30, 32) if unit * 2**bits < 2**62) if whole else ()
    if whole and _within_a_second(candidate.head, unit):
        moduli = (NS_PER_S, *moduli)
    convert = of_number(candidate.column, unit)
    return made((candidate,), convert, "a count", 0, unit=unit, how=how, moduli=moduli)


def _within_a_second(head: NDArray[Any], unit: Fraction) -> bool:
    """Tell whether a count begins anew at each second, as the rest of one does."""
    second = Fraction(NS_PER_S) / unit
    return (
        second.denominator == 1
        and bool(head.min() >= 0)
        and bool(0.9 * second < head.max() < second)
        and bool((np.diff(head) < 0).any())
    )


def of_stamps(candidate: Candidate) -> Reading | None:
    """Return the reading of a table's own times."""
    column = candidate.column

    def convert(values: Values) -> NDArray[np.int64]:
        times = values[column].astype("M8[ns]")
        if np.isnat(times).any():
            row = int(np.argmax(np.isnat(times)))
            raise NoClockError(row, "no time")
        return np.asarray(times.astype(np.int64))

    return made((candidate,), convert, "the table's own times", 3, zoned=True)


def of_texts(clock: Candidate | None, date: Candidate | None, zone: Zone, start_ns: int | None) -> list[Reading]:
    """Return the reading of texts: date and time of day in one column, in two, or a time of day alone."""
    used = tuple(it for it in (date, clock) if it)
    readings = []
    american = False
    first_dates: list[int] = []
    for order in ORDERS:
        try:
            looks = [_head(it, order) for it in used]
        except NoClockError:
            continue
        days = next((look.days for look in looks if look.days is not None), None)
        times = next((look.ns for look in looks if look.ns is not None), None)
        if times is None or (date and (days is None or looks[0].ns is not None or looks[1].days is not None)):
            continue
        if any(not it.date and not it.time for look in looks for it in look.layouts):
            continue
        zoned = all(it.zoned for it in looks[-1].layouts)
        convert = _of_texts(tuple(it.column for it in used), order, zone)
        name = "date and time of day" if days is not None else "time of day"
        # Local time goes back an hour where summer time ends.
        moduli: tuple[int, ...] = () if zoned else (3600 * NS_PER_S,) if days is not None else (DAY_NS,)
        if not zoned and not any(it.half for look in looks for it in look.layouts):
            # Twelve hours may have been written without AM or PM.
            moduli = (DAY_NS // 2, *moduli)
        spans = [it for look in looks for it in look.layouts]
        # Whoever counts twelve hours most often writes the month first; so do SparkFun's loggers ("rtcDate").
        american = any(it.half for it in spans) or any("rtc" in it.name.lower() for it in used)
        if days is None and all("H" not in it.spans for it in spans):
            name, moduli = "minutes and seconds", (3600 * NS_PER_S,)
        dated = 0 if days is None else 2 if zoned else 1
        if reading := made(used, convert, name, dated, moduli=moduli, how="shown", zoned=zoned):
            readings.append(reading)
        if not any("c" in it.spans for it in spans) or all(it.dotted for it in spans if "c" in it.spans):
            break
    if len(readings) > 1:
        readings = _likely(readings[1:2] + readings[:1] + readings[2:] if american else readings, start_ns)
        first_dates = sorted({int(it.head_ns[0]) for it in readings})
    if not readings:
        return []
    best = readings[0]
    return [best] if len(first_dates) < 2 else [replace(best, first_dates=tuple(first_dates))]


def _likely(readings: list[Reading], start_ns: int | None) -> list[Reading]:
    """Return the readings of an ambiguous date that can be, the likeliest first; without those that read the same."""
    if start_ns is not None and (told := [it for it in readings if abs(int(it.head_ns[0]) - start_ns) < DAY_NS]):
        return told[:1]
    recent = [it for it in readings if len(it.head_ns) and _FROM_S <= it.head_ns[0] // NS_PER_S <= _TO_S] or readings

    def odd(reading: Reading) -> int:
        steps = np.diff(reading.head_ns)
        return int(((steps < 0) | (steps > 20 * DAY_NS)).sum())

    least = min(map(odd, recent))
    return [it for it in recent if odd(it) == least]


def _head(candidate: Candidate, order: str) -> Parsed:
    return parse(_as_text(candidate.head), order)


def _as_text(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype.kind in "SU" else np.char.mod("%d", values)


def _of_texts(columns: tuple[int, ...], order: str, zone: Zone) -> Callable[[Values], NDArray[np.int64]]:
    def convert(values: Values) -> NDArray[np.int64]:
        total: NDArray[np.int64] | None = None
        zoned = False
        for column in columns:
            parsed = parse(_as_text(values[column]), order)
            part = np.zeros(len(values[column]), np.int64) if parsed.ns is None else parsed.ns
            if parsed.days is not None:
                part = part + parsed.days * DAY_NS
            if (parsed.east != 0).any():
                part = part - parsed.east * (60 * NS_PER_S)
            zoned = zoned or any(it.zoned for it in parsed.layouts)
            total = part if total is None else total + part
        assert total is not None
        return total if zoned else zone.to_utc(total)

    return convert


def leap_ns(unix_s: float) -> int:
    """Return by how much GPS time is ahead of UTC at a Unix time."""
    year = 1970 + unix_s / 31_556_952
    return next((leap for first, leap in _LEAP_S if year >= first), 0) * NS_PER_S
