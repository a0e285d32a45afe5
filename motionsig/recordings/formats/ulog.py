"""ULog of PX4: the sensors that it logged, each instance a Table. Needs pyulog, which holds those topics in memory.

Times are counted from the flight controller's start; where a satellite receiver told the time of day, they are Unix
times. Axes are PX4's: x forward, z down, and an axis that points up reads +9.81 at rest, as of every chip.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import redirect_stdout
from io import BufferedReader, FileIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.facts import Fact
from motionsig.hints import install_hint
from motionsig.recordings.formats.arrays import BATCH_ROWS, Part, intact, table
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table
from motionsig.recordings.times import onto

_MAGIC = b"ULog\x01\x12\x35"
_COMBINED, _IMU, _ACC, _GYR = "sensor_combined", "vehicle_imu", "sensor_accel", "sensor_gyro"
_SATELLITES = ("vehicle_gps_position", "sensor_gps")
_CHANNELS = ("acc_x [m/s^2]", "acc_y [m/s^2]", "acc_z [m/s^2]", "gyr_x [rad/s]", "gyr_y [rad/s]", "gyr_z [rad/s]")
_RECENT_US = 1_000_000_000_000_000
_MOST_READS = 4
_SLOWEST_HZ = 20.0
"""A slower topic is one that was logged now and then, for a look at it."""

Fields = Mapping[str, NDArray[Any]]


def tables(path: Path) -> tuple[Table, ...]:
    """Return a Table for each sensor. Raises RecordingError for damage, MissingExtraError without pyulog."""
    found = _read(path)
    unix_us = _unix_us(found)
    made = []
    for (name, instance), fields in sorted(found.items(), key=lambda it: (it[0][0] != _COMBINED, it[0])):
        with intact(f"{path}: {name}", "fields as PX4 logs them", KeyError, ValueError, TypeError, OverflowError):
            times_us, data = _samples(name, fields, found.get((_GYR, instance), {}))
            span_us = int(times_us[-1] - times_us[0]) if len(times_us) > 1 else 0
            if span_us > 0 and (len(times_us) - 1) * 1e6 >= _SLOWEST_HZ * span_us:
                made.append(_table(f"{name}/{instance}", f"{path}: {name}/{instance}", times_us, data, unix_us))
    if not made:
        listed = ", ".join(sorted({name for name, _ in found})) or "none of them"
        raise RecordingError(
            f"{path}: expected {_COMBINED}, {_IMU}, or {_ACC} and {_GYR}, at {_SLOWEST_HZ:g} Hz or more, got {listed}"
        )
    return tuple(made)


class _Bounded(BufferedReader):
    """A file that ends a reader which goes round in circles.

    pyulog 1.3 does on damaged definitions: it goes back from a message that is too short, for ever.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(FileIO(path))
        self._left = _MOST_READS * (path.stat().st_size + 1)

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self._left -= len(found) + 1
        if self._left < 0:
            raise ValueError("a part that leads back to where it began")
        return found


def _read(path: Path) -> dict[tuple[str, int], Fields]:
    try:
        from pyulog import core
    except ImportError as error:
        raise MissingExtraError(f"{path}: reading ULog needs pyulog ({error}): {install_hint('pyulog')}") from error
    # Its own exception came with 1.0.2.
    own = getattr(core, "ULogException", ValueError)
    common = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError)
    # It prints what it finds damaged.
    with intact(str(path), "ULog", own, struct.error, *common), redirect_stdout(StringIO()), _Bounded(path) as file:
        whole = core.ULog(file, [_COMBINED, _IMU, _ACC, _GYR, *_SATELLITES])
        return {(it.name, it.multi_id): it.data for it in whole.data_list}


def _unix_us(found: Mapping[tuple[str, int], Fields]) -> int | None:
    """Return what to add to times for Unix time, by the first fix of a satellite receiver; None without one."""
    for (name, _), fields in sorted(found.items()):
        if name in _SATELLITES and {"time_utc_usec", "timestamp"} <= fields.keys():
            known = np.flatnonzero(fields["time_utc_usec"].astype(np.int64) > _RECENT_US)
            if len(known):
                at = known[0]
                return int(fields["time_utc_usec"][at]) - int(fields["timestamp"][at])
    return None


def _samples(name: str, fields: Fields, gyroscope: Fields) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return times in µs since the start and samples (n, 6) of a topic; none of one that has none."""
    none = np.empty(0, np.int64), np.empty((0, 6))
    if name == _COMBINED:
        columns = _three(fields, "accelerometer_m_s2[{}]", "012") + _three(fields, "gyro_rad[{}]", "012")
    elif name == _IMU:
        # Changes of velocity and of angle over a time in µs each.
        acc = _three(fields, "delta_velocity[{}]", "012")
        gyr = _three(fields, "delta_angle[{}]", "012")
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = [it / (fields["delta_velocity_dt"] * 1e-6) for it in acc]
            columns += [it / (fields["delta_angle_dt"] * 1e-6) for it in gyr]
    elif name == _ACC and gyroscope:
        times, other = _times(fields), _times(gyroscope)
        first, second = (np.concatenate([[True], np.diff(it) > 0]) for it in (times, other))
        values = np.stack(_three(gyroscope, "{}", "xyz"), axis=1)[second]
        acc = np.stack(_three(fields, "{}", "xyz"), axis=1)[first]
        rising = bool((np.diff(times[first]) > 0).all() and (np.diff(other[second]) > 0).all())
        if not rising:
            return none
        on_one_clock = onto(times[first] * 1000, other[second] * 1000, values)
        return times[first], np.concatenate([acc, on_one_clock], axis=1)
    else:
        return none
    return _times(fields), np.stack(columns, axis=1)


def _three(fields: Fields, form: str, which: str) -> list[NDArray[np.float64]]:
    with np.errstate(invalid="ignore"):  # a damaged number may be a NaN that signals
        return [fields[form.format(each)].astype(np.float64) for each in which]


def _times(fields: Fields) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):  # a damaged definition makes them numbers of another type
        return (fields["timestamp_sample"] if "timestamp_sample" in fields else fields["timestamp"]).astype(np.int64)


def _table(name: str, where: str, times_us: NDArray[np.int64], data: NDArray[np.float64], unix_us: int | None) -> Table:
    def parts(wanted: Collection[int]) -> Iterator[Part]:
        for at in range(0, len(times_us), BATCH_ROWS):
            rows = slice(at, at + BATCH_ROWS)
            clock = times_us[rows] * 1000 if unix_us is None else (times_us[rows] + unix_us).astype("M8[us]")
            yield Part({it: data[rows, it - 1] if it else clock for it in wanted})

    said = "since the flight controller's start" if unix_us is None else "Unix time, by the satellite receiver's first"
    facts = (
        Fact("time stamps", f"the samples' own, {said}", "written"),
        Fact("units", "m/s² with gravity, rad/s: PX4's", "written"),
    )
    clock_name = "time [ns]" if unix_us is None else "time"
    return table(name, where, (clock_name, *_CHANNELS), parts, facts=facts, rows=len(times_us))


READER = table_reader("ulog", lambda path, head: 3 * head.startswith(_MAGIC), tables)
