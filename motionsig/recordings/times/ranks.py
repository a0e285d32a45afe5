"""Which of several readings of a table's times is the best, and what it is called."""

from __future__ import annotations

import datetime as dt

import numpy as np

from motionsig.conventions import NS_PER_S
from motionsig.recordings.times.readings import Reading

POSSIBLE_HZ = (0.5, 50_000.0)
_BACK, _BACKS = 0.01, 2  # so many steps may run back, where a log began anew
_QUARTER_NS = 900 * NS_PER_S
ZONE_NS = 14 * 3600 * NS_PER_S
"""Local time is at most this far from UTC."""


def within(reading: Reading, limits: tuple[float, float]) -> bool:
    return reading.pace is not None and limits[0] * 0.999 <= reading.pace.rate_hz <= limits[1] * 1.001


def possible(reading: Reading) -> bool:
    return within(reading, POSSIBLE_HZ)


def runs_back(reading: Reading) -> bool:
    steps = len(reading.head_ns) - 1
    return reading.pace is not None and reading.pace.back * steps > max(_BACKS, _BACK * steps)


def best_date(usable: list[Reading]) -> Reading | None:
    """Return the reading that tells the date best."""
    found = [it for it in usable if it.dated]
    return max(found, key=lambda it: (it.dated >= 2, rank(it)[:2], it.dated, rank(it)), default=None)


def rank(reading: Reading) -> tuple[object, ...]:
    assert reading.pace is not None
    candidate = reading.candidates[0]
    steady = {"single": 2, "packets": 1, "bursts": 1, "coarse": 1, "unsteady": 0}[reading.pace.how]
    named = candidate.said not in ("", "counter")
    return (
        named,
        clean(reading),
        steady,
        reading.dated,
        reading.how != "assumed",
        {"device": 2, "": 1, "host": 0}[candidate.owner],
        round(reading.pace.even, 1),
        -round(jitter(reading), 2),
        -candidate.column,
    )


def clean(reading: Reading) -> bool:
    return reading.pace is not None and reading.pace.how == "single" and reading.pace.even >= 0.8


def jitter(reading: Reading) -> float:
    """Return the spread of the steps near the period, as a part of it."""
    if reading.pace is None:
        return 1.0
    period = NS_PER_S / reading.pace.rate_hz
    steps = np.diff(reading.head_ns)
    near = steps[(steps > 0.25 * period) & (steps < 1.75 * period)]
    return float(near.std() / period) if len(near) > 2 else 1.0


def apart(best: Reading, dated: Reading) -> int:
    """Return what makes the times of `best` those of `dated`."""
    size = min(len(best.head_ns), len(dated.head_ns))
    apart = dated.head_ns[:size] - best.head_ns[:size]
    how = dated.pace.how if dated.pace else "single"
    # A stamp of arrival is too late, a coarse one too early.
    found = int(apart.min() if how in ("packets", "bursts") else apart.max() if how == "coarse" else np.median(apart))
    if best.dated and abs(found) < ZONE_NS:
        whole = round(found / _QUARTER_NS) * _QUARTER_NS
        if abs(found - whole) <= 2 * NS_PER_S:
            return whole
    return found


def names(reading: Reading) -> str:
    return " and ".join(repr(it.name) if it.name else f"column {it.column}" for it in reading.candidates)


def iso(time_ns: int) -> str:
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=time_ns // 1000)
    return moment.isoformat(timespec="milliseconds") + "Z"
