"""Phone apps that write one table per sensor: Sensor Logger, phyphox, and bare logs of Android's sensor events.

A recording is a folder or a zip of such tables, or any one of them beside its neighbours. What a table holds is told by
its columns where they name a sensor, else by its file name ("Gyroscope.csv": time, z, y, x). Each sensor has its own
clock, all with the same origin: the accelerometer's times are kept, the gyroscope is interpolated onto them.

Traps: Sensor Logger's "Accelerometer" lacks gravity: "TotalAcceleration" is taken, or the sum with "Gravity". On iOS it
reports the opposite sign of every chip (its COORDINATES.md), unless "Standardise Units & Frames" was on; Metadata.csv
tells, else acc_sign=-1 does. phyphox counts its time from the start of the experiment; meta/time.csv says when that
was, and when it paused; on iOS it turns the sign itself (kG = -9.81 in its ExperimentSensorInput.swift).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import Source, SourceInfo
from motionsig.conventions import NS_PER_S
from motionsig.errors import RecordingError
from motionsig.escaping import own_logger
from motionsig.recordings import columns as spelling
from motionsig.recordings.clocks import onto
from motionsig.recordings.labels import refuse_choice
from motionsig.recordings.members import Member, content_id, members, single
from motionsig.recordings.old_text import Plan, Table, read, sniff, sniff_bare, time_kind
from motionsig.recordings.samples import Reader, Samples, recorded

log = own_logger(__name__)

_SENSOR_LOGGER, _PHYPHOX, _ANDROID = "sensor logger", "phyphox", "android"
_NAMES = {"acc": "accelerometer", "gyr": "gyroscope", "linear": "linear acceleration", "gravity": "gravity"}


class Sensor(NamedTuple):
    """A table of one sensor: the app that wrote it, what it holds ("acc", "gyr", "linear", "gravity"), where."""

    app: str
    holds: str
    table: Table
    time: int
    time_unit: str
    channels: tuple[int, ...]
    unit: str


def _recognises(path: Path, head: bytes) -> int:
    if head and not head.startswith(b"PK"):
        return 2 if spelling.sensor(path.stem) and _sensor(single(path), head) else 0
    return 2 if any(_sensor(member, member.head()) for member in members(path)) else 0


def open_phone(
    path: Path,
    *,
    acc_unit: str | None = None,
    gyr_unit: str | None = None,
    acc_sign: int | None = None,
    label: str | None = None,
    check_units: bool = True,
) -> Source:
    """Return the folder or zip at `path`, or the tables beside the file `path`, as a Source.

    acc_unit, gyr_unit: win over the header; m/s^2 and rad/s where it says nothing. acc_sign: -1 turns iOS's
    acceleration into everybody else's; None asks Sensor Logger's Metadata.csv. label: only "none", as tables of single
    sensors have no labels. check_units: as for CSV. Raises RecordingError.
    """
    refuse_choice(label, str(path), "tables of single sensors have none")
    spelling.check_sign(acc_sign)
    inside = members(path)
    there = inside or members(path.parent)
    sensors: dict[str, Sensor] = {}
    for member in there:
        # Beside a single file only what is called after a sensor belongs to it; the rest may be other recordings.
        if (inside or spelling.sensor(PurePosixPath(member.name).stem)) and (found := _sensor(member, member.head())):
            if other := sensors.get(found.holds):
                both = f"{other.table.member.name} and {member.name}"
                raise RecordingError(f"{path}: expected one table of the {_NAMES[found.holds]}, got {both}")
            sensors[found.holds] = found
    acc = sensors.get("acc") or sensors.get("linear")
    total = "acc" in sensors or "gravity" in sensors
    if acc is None or "gyr" not in sensors or not total:
        got = ", ".join(f"{_NAMES[it.holds]} ({it.table.member.name})" for it in sensors.values())
        if "linear" in sensors and not total:
            got += "; linear acceleration has gravity removed: record the raw (total) accelerometer, or gravity with it"
        raise RecordingError(f"{path}: expected tables of an accelerometer and a gyroscope, got {got}")
    about = next(iter(_rows(there, "metadata", "platform", "device name", "recording time")), {})
    sign = acc_sign or _sign(acc, about, path)
    starts = _starts(there) if acc.app == _PHYPHOX else None
    time_ns, values = _series(acc, acc_unit, starts)
    if acc.holds == "linear":
        values = values + onto(time_ns, *_series(sensors["gravity"], acc_unit, starts))
    gyr_ns, rates = _series(sensors["gyr"], gyr_unit, starts)
    shared = (time_ns >= gyr_ns[0]) & (time_ns <= gyr_ns[-1])
    if shared.sum() < 2:
        raise RecordingError(
            f"{path}: expected clocks with the same origin, got the accelerometer from {time_ns[0]} to {time_ns[-1]} "
            f"ns and the gyroscope from {gyr_ns[0]} to {gyr_ns[-1]} ns"
        )
    time_ns = time_ns[shared]
    samples = Samples(time_ns, np.concatenate([values[shared] * sign, onto(time_ns, gyr_ns, rates)], axis=1))
    used = (single(path),) if inside and path.is_file() else tuple(it.table.member for it in sensors.values())
    stream_id = content_id(used, acc_unit, gyr_unit, sign)
    info = SourceInfo(path.name, acc.app, stream_id, len(time_ns), device=about.get("device id") or None)
    return recorded(lambda: iter([samples]), str(path), info, check_units=check_units)


def _sensor(member: Member, head: bytes) -> Sensor | None:
    """Return what the table `member` holds, or None where it is no table of one sensor."""
    path = PurePosixPath(member.name)
    if "meta" in path.parts:
        return None
    by_name = spelling.sensor(path.stem)
    if not (table := sniff(member, head, lambda names: len(_axes(spelling.find(names))), least=3)):
        if by_name and (table := sniff_bare(member, head)):
            return Sensor(_ANDROID, by_name, table, 0, "", (1, 2, 3), "")
        return None
    found = spelling.find(table.names)
    axes = _axes(found)
    said = {role[:-2] for role in axes if len(role) > 1}
    holds = by_name if not said else said.pop() if len(said) == 1 else None
    if not holds or len(axes) != 3 or "time" not in found or not table.cells:
        return None
    app = _PHYPHOX
    if any(name.strip().lower() == "seconds_elapsed" for name in table.names):
        app = _SENSOR_LOGGER
        if path.stem.lower() == "accelerometer":
            holds = "linear"
    (time, unit), columns = found["time"][0], [axes[role] for role in sorted(axes)]
    return Sensor(app, holds, table, time, unit, tuple(index for index, _ in columns), columns[0][1])


def _axes(found: dict[str, list[tuple[int, str]]]) -> dict[str, tuple[int, str]]:
    return {role: columns[0] for role, columns in found.items() if role[-1] in "xyz" and len(columns) == 1}


def _series(
    sensor: Sensor, unit: str | None, starts: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return one sensor's times (n,), strictly increasing, and values (n, 3) in SI units."""
    where = sensor.table.member.where
    plan = Plan(sensor.channels, sensor.time, time_kind(sensor.table, sensor.time, sensor.time_unit))
    parts = list(read(sensor.table, plan))
    if not parts:
        raise RecordingError(f"{where}: expected samples, got none")
    time_ns = np.concatenate([part.time_ns for part in parts])
    values = np.concatenate([part.data for part in parts])
    if starts is not None:
        latest = np.clip(np.searchsorted(starts[:, 0], time_ns, side="right") - 1, 0, None)
        time_ns = time_ns + starts[latest, 1]
    steps = np.diff(time_ns, prepend=time_ns[0] - 1)
    if (steps < 0).any():
        row = int(np.flatnonzero(steps < 0)[0])
        raise RecordingError(f"{where}: expected times that increase, got {time_ns[row]} after {time_ns[row - 1]} ns")
    if (repeated := int((steps == 0).sum())) > 1 + len(steps) // 100:
        got = f"{repeated} of {len(steps)} repeated"
        raise RecordingError(f"{where}: expected a time of its own for each sample, got {got}")
    time_ns, values = time_ns[steps > 0], values[steps > 0]
    quantity, si = ("gyr", "rad/s") if sensor.holds == "gyr" else ("acc", "m/s^2")
    return time_ns, values * spelling.factor(quantity, unit or sensor.unit or si)


def _rows(there: Sequence[Member], stem: str, *columns: str) -> list[dict[str, str]]:
    """Return the rows of a small table called `stem` with at least two of `columns`, empty where there is none."""

    def score(names: Sequence[str]) -> int:
        return sum(column in names for column in columns)

    for member in there:
        if PurePosixPath(member.name).stem.lower() == stem and (table := sniff(member, member.head(), score, least=2)):
            return [dict(zip(table.names, row, strict=False)) for row in table.cells]
    return []


def _sign(acc: Sensor, about: dict[str, str], path: Path) -> int:
    if acc.app != _SENSOR_LOGGER:
        return 1
    if not (platform := about.get("platform", "").lower()):
        log.warning("%s: no Metadata.csv that says the platform; if this is an iPhone's, pass acc_sign=-1", path)
    return -1 if platform == "ios" and about.get("standardisation", "").lower() != "true" else 1


def _starts(there: Sequence[Member]) -> NDArray[np.int64] | None:
    """Return (k, 2): when phyphox (re)started, in experiment time, and what to add to it for Unix time from then on."""
    rows = _rows(there, "time", "event", "experiment time", "system time")
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


READER = Reader("phone", _recognises, open_phone)
