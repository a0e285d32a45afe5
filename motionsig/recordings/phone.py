"""What phone apps write about a recording beside its tables, and what only their documentation says of them.

Sensor Logger and phyphox write m/s² and rad/s. On iOS Sensor Logger reports the opposite sign of every chip (its
COORDINATES.md), unless "Standardise Units & Frames" was on; Metadata.csv tells, else acc_sign=-1 does. phyphox counts
its time from the start of the experiment; meta/time.csv says when that was, and when it paused; on iOS it turns the
sign itself (kG = -9.81 in its ExperimentSensorInput.swift). Bare tables called Accelerometer and Gyroscope are
Android's sensor events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import RecordingError
from motionsig.escaping import own_logger
from motionsig.facts import Fact
from motionsig.recordings.members import Member, members
from motionsig.recordings.names import sensor_of
from motionsig.recordings.tables import Table
from motionsig.recordings.text import records

log = own_logger(__name__)

_NOT_SAID = "no Metadata.csv that says the platform; if this is an iPhone's, pass acc_sign=-1"


@dataclass(frozen=True)
class App:
    """The app that wrote a log.

    * `units`: of acceleration and of angular rate, where the tables do not say them; "" where it has no custom.
    * `sign`: what turns acceleration to that of chips, 0 where nothing tells; `sign_words`: why.
    * `shift`: makes Unix times of the tables' times.
    """

    name: str
    units: tuple[str, str] = ("", "")
    sign: int = 0
    sign_words: str = ""
    facts: tuple[Fact, ...] = ()
    device: str | None = None
    shift: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None


def app_of(path: Path, tables: Sequence[Table]) -> App | None:
    """Return the app that wrote the tables of the log at `path`; None where it is none that has customs of its own."""
    if any("seconds_elapsed" in table.names for table in tables):
        return _sensor_logger(path)
    if any(not table.names and sensor_of(PurePosixPath(table.name).stem)[0] for table in tables):
        said = Fact("units", "m/s² and rad/s, as Android's sensor events have them", "assumed")
        return App("android", ("m/s^2", "rad/s"), facts=(said,))
    if len(tables) > 1 and (starts := _starts(_beside(path))) is not None:
        return App("phyphox", ("m/s^2", "rad/s"), shift=lambda time_ns: _shifted(time_ns, starts))
    return None


def _beside(path: Path) -> tuple[Member, ...]:
    return members(path) or members(path.parent)


def _sensor_logger(path: Path) -> App:
    about: Mapping[str, str] = next(iter(_rows(_beside(path), "metadata")), {})
    platform, units = about.get("platform", "").lower(), ("m/s^2", "rad/s")
    device = about.get("device id") or None
    if not platform:
        log.warning("%s: %s", path, _NOT_SAID)
        return App("sensor logger", units, facts=(Fact("platform", _NOT_SAID, "assumed"),), device=device)
    standard = about.get("standardisation", "").lower() == "true"
    if platform == "ios" and not standard:
        return App("sensor logger", units, -1, "of iOS, by Metadata.csv: acceleration is turned round", device=device)
    return App("sensor logger", units, 1, f"of {platform}{', standardised' * standard}, by Metadata.csv", device=device)


def _rows(there: Sequence[Member], stem: str) -> list[dict[str, str]]:
    """Return the rows of the small table called `stem`, empty where there is none."""
    for member in there:
        if PurePosixPath(member.name).stem.lower() == stem and (rows := records(member)):
            return rows
    return []


def _starts(there: Sequence[Member]) -> NDArray[np.int64] | None:
    """Return (k, 2): when phyphox (re)started, in experiment time, and what to add to it for Unix time from then on."""
    rows = [row for row in _rows(there, "time") if "experiment time" in row]
    try:
        starts = [
            [round(float(row[name].replace(",", ".")) * NS_PER_S) for name in ("experiment time", "system time")]
            for row in rows
            if row.get("event") == "START"
        ]
        found = np.array([[start, unix - start] for start, unix in sorted(starts)], np.int64)
    except (KeyError, ValueError, OverflowError) as error:
        raise RecordingError(f"meta/time.csv: expected phyphox's start times, got: {error}") from error
    return found if len(found) else None


def _shifted(time_ns: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    latest = np.clip(np.searchsorted(starts[:, 0], time_ns, side="right") - 1, 0, None)
    shifted: NDArray[np.int64] = time_ns + starts[latest, 1]
    return shifted
