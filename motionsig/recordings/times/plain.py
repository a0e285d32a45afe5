"""Times in whatever unit a log has them, as int64 nanoseconds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError
from motionsig.recordings.columns import TIME_UNITS

LARGEST_NS = 9e18  # int64 ends at 9.22e18, in the year 2262
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


def check_rate(rate_hz: float | None) -> None:
    """Raise InputError for a rate_hz option that is not a rate."""
    if rate_hz is not None and not 0.1 <= rate_hz <= 100_000:
        raise InputError(f"rate_hz: expected 0.1 to 100000, got {rate_hz}")


def numbered(first: int, count: int, rate_hz: float, start_ns: int) -> NDArray[np.int64]:
    """Return the times of rows number `first` onwards that were taken at `rate_hz` from `start_ns` on."""
    times: NDArray[np.int64] = np.rint(np.arange(first, first + count) * (NS_PER_S / rate_hz)).astype(np.int64)
    return times + start_ns


def likely_ns(times: NDArray[Any]) -> int:
    """Return the nanoseconds per unit of `times` (n,), 0 where it does not show.

    It is the one unit in which the rate lies between 5 and 2000 Hz, or else the one that makes the first a recent Unix
    time. Numbers that go up by one each are as likely row numbers as milliseconds: they show nothing.
    """
    if not len(times) or not np.isfinite(times).all():
        return 0
    steps = np.diff(times.astype(np.float64))
    period = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    units = sorted(set(TIME_UNITS.values()), reverse=True)
    by_rate = [ns for ns in units if NS_PER_S / 2000 <= period * ns <= NS_PER_S / 5 and (steps != 1).any()]
    by_date = [ns for ns in units if 4e17 < float(times[0]) * ns < 4e18]
    # Steps are the better sign (an uptime in µs has the digits of a Unix time), unless a coarse clock has hardly any.
    found = by_date + by_rate if (steps == 0).sum() * 100 > len(steps) else by_rate + by_date
    return found[0] if found else 0


def to_ns(times: NDArray[Any], per_unit: int) -> NDArray[np.int64]:
    """Return numbers of `per_unit` nanoseconds as nanoseconds; raise ValueError for a missing or too large one."""
    if not (np.abs(times.astype(np.float64)) < LARGEST_NS / per_unit).all():
        raise ValueError("expected a time, got NaN or a number beyond the year 2255")
    if times.dtype.kind in "iu":
        return np.asarray(times.astype(np.int64) * per_unit)
    return np.asarray(np.rint(times * per_unit).astype(np.int64))


def iso_ns(times: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return nanoseconds since 1970 of ISO 8601 date-times; one without a zone counts as UTC."""
    text = np.char.replace(np.char.strip(times), ",", ".")
    shift = np.zeros(len(text), "m8[ns]")
    while marked := [match[1] for match in map(_ZONE.search, text[:1].tolist() + text[-1:].tolist()) if match]:
        zone = marked[0]
        here = np.char.endswith(text, zone)
        if zone != "Z":
            minutes = int(zone[1:3]) * 60 + int(zone[-2:])
            shift[here] = np.timedelta64(-minutes if zone[0] == "+" else minutes, "m")
        text[here] = np.char.replace(text[here], zone, "")
    parsed = text.astype("M8[us]")
    if np.isnat(parsed).any() or (np.abs(parsed.astype(np.int64)) > LARGEST_NS / 1000).any():
        raise ValueError("no time")
    return (text.astype("M8[ns]") + shift).astype(np.int64)
