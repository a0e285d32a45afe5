"""What the lines above a table say of its times: the rate, and when it began."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from motionsig.conventions import NS_PER_S
from motionsig.recordings.times.readings import GPS_ZERO_S, leap_ns
from motionsig.recordings.times.texts import DAY_NS, NoClockError, parse
from motionsig.recordings.times.units import unit_ns
from motionsig.recordings.times.zones import Zone

_RATE = re.compile(r"rate|freq|abtast|fr[ée]quence|frecuencia|\bodr\b|\bhz\b|(?:^|[._ ])f[sS]$", re.IGNORECASE)
_NO_RATE = re.compile(r"baud|heart|frame|audio|bit|gps|mag|puls", re.IGNORECASE)
_START = re.compile(
    r"start|begin|d[ée]but|inicio|date|datum|fecha|time|uhrzeit|zeit|heure|hora|recorded|epoch", re.IGNORECASE
)
_NO_START = re.compile(
    r"creat|erstell|export|modif|print|end\b|stop|finish|duration|dauer|download|zone|scale|readout|offset|update|format",
    re.IGNORECASE,
)
_FILE = "file name"
_INTERVAL = re.compile(r"delta_?[xt]|\bdt\b|interval|sampl\w* ?(?:period|time)|abtastzeit|schrittweite", re.IGNORECASE)
_SPAN = re.compile(r"\s*(\d+(?:[.,]\d+)?(?:e-?\d+)?)\s*([a-zµ]+)?\s*", re.IGNORECASE)
_RATE_WITHIN = re.compile(r"(?:rate|freq\w*|abtast\w*)\W{0,4}(\d+(?:[.,]\d+)?) ?(k?hz)", re.IGNORECASE)
_RATE_IN_NAME = re.compile(r"(?<![\d.])(\d+(?:[.,]\d+)?)[ _-]?(k?hz)(?![a-z])", re.IGNORECASE)
_NUMBER = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*(k?hz|samples/s|1/s)?\s*", re.IGNORECASE)
_FROM_S, _TO_S = 946_684_800, 2_840_140_800  # 2000 to 2060


_WEEK = re.compile(r"gps[ _-]?week|week[ _-]?(?:gps|number|no\b)", re.IGNORECASE)


class Start(NamedTuple):
    """When a log began, as it says itself.

    * `date_ns`: midnight of its day, local ns. `time_ns`: since then, None where only the day is known.
    * `name`: of the line. `zoned`: the text has its zone, and `date_ns` is UTC. `of_week`: it is a week of GPS, from
      whose begin the log's times count.
    """

    date_ns: int
    time_ns: int | None
    name: str
    zoned: bool = False
    of_week: bool = False

    def unix_ns(self, zone: Zone, time_ns: int = 0) -> int:
        """Return the Unix time of the start; time_ns: of the day, where it is not known."""
        local = self.date_ns + (time_ns if self.time_ns is None else self.time_ns)
        return local if self.zoned else int(zone.to_utc(np.array([local], np.int64))[0])


def written_rate(notes: Mapping[str, str]) -> tuple[str, float] | None:
    """Return the line that gives the rate of samples and the rate in Hz; None where there is not just one rate."""
    found = {}
    for name, text in notes.items():
        rate = 0.0
        if _RATE.search(name) and not _NO_RATE.search(name) and (match := _NUMBER.fullmatch(text)):
            rate = _hertz(match[1], match[2])
        elif _INTERVAL.search(name) and (match := _SPAN.fullmatch(text)):
            unit = unit_ns(match[2] or name.rpartition("_")[2].strip("[]() ")) or NS_PER_S
            step = float(match[1].replace(",", "."))
            rate = NS_PER_S / (step * float(unit)) if step else 0.0
        elif name != _FILE and not _NO_RATE.search(name) and (match := _RATE_WITHIN.search(text)):
            rate = _hertz(match[1], match[2])
        if 0.5 <= rate <= 50_000:
            found[rate] = name
    return next(((name, rate) for rate, name in found.items()), None) if len(found) == 1 else None


def named_rate(notes: Mapping[str, str]) -> float | None:
    """Return the rate that the file's name gives, as in walk_100Hz.csv; a good guess, no more."""
    match = _RATE_IN_NAME.search(notes.get(_FILE, ""))
    rate = _hertz(match[1], match[2]) if match else 0.0
    return rate if 0.5 <= rate <= 50_000 else None


def _hertz(number: str, unit: str | None) -> float:
    return float(number.replace(",", ".")) * (1000 if (unit or "").lower() == "khz" else 1)


def written_start(notes: Mapping[str, str]) -> Start | None:
    """Return when the log began; None where no line says it, or where day and month may be exchanged."""
    dates: list[Start] = []
    times: list[int] = []
    for name, text in notes.items():
        if _WEEK.search(name) and re.fullmatch(r"[12]\d{3}", text):
            begin = GPS_ZERO_S + int(text) * 7 * 86_400
            dates.append(Start(begin * NS_PER_S - leap_ns(begin), 0, name, True, True))
            continue
        if not _START.search(name) or _NO_START.search(name) or name == _FILE:
            continue
        if re.fullmatch(r"\d{10}(\.\d+)?|\d{13}", text):
            seconds = float(text) / (1000 if len(text) == 13 and "." not in text else 1)
            if _FROM_S <= seconds <= _TO_S:
                dates.append(Start(round(seconds * NS_PER_S), 0, name, True))
            continue
        if not (parsed := _parsed(text) or _parsed(text.partition(", ")[0])):
            continue
        days, of_day, east, zoned = parsed
        if days is not None:
            dates.append(Start(days * DAY_NS - east * 60 * NS_PER_S, of_day, name, zoned))
        elif of_day is not None:
            times.append(of_day)
    whole = [it for it in dates if it.time_ns is not None]
    if whole:
        return whole[0]
    if not dates:
        return None
    return dates[0]._replace(time_ns=times[0] if len(times) == 1 else None)


def _parsed(text: str) -> tuple[int | None, int | None, int, bool] | None:
    found = []
    for order in ("dmy", "mdy"):
        try:
            parsed = parse(np.array([text]), order)
        except NoClockError:
            continue
        days = None if parsed.days is None else int(parsed.days[0])
        of_day = None if parsed.ns is None else int(parsed.ns[0])
        found.append((days, of_day, int(parsed.east[0]), all(it.zoned for it in parsed.layouts)))
    return found[0] if found and all(it == found[0] for it in found) else None
