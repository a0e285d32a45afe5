"""ULog of PX4: an extra. Written by hand after the format's description."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA, TIME_S, motion, ulog_message
from reading import six, whole

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.recordings.formats.ulog import READER, tables

pytest.importorskip("pyulog")
START_US = 20_000_000
FORMATS = (
    "sensor_accel:uint64_t timestamp;uint64_t timestamp_sample;float x;float y;float z;",
    "sensor_gyro:uint64_t timestamp;uint64_t timestamp_sample;float x;float y;float z;",
    "vehicle_imu:uint64_t timestamp;float[3] delta_angle;float[3] delta_velocity;uint32_t delta_angle_dt;"
    "uint32_t delta_velocity_dt;",
    "vehicle_gps_position:uint64_t timestamp;uint64_t time_utc_usec;",
)


def write(folder: Path, topics: list[tuple[str, int, list[bytes]]]) -> Path:
    log = b"ULog\x01\x12\x35\x01" + struct.pack("<Q", START_US) + ulog_message("B", bytes(40))
    log += b"".join(ulog_message("F", it.encode()) for it in (*FORMATS, made_logs.ULOG_FORMAT))
    for number, (name, instance, _) in enumerate(topics):
        log += ulog_message("A", struct.pack("<BH", instance, number) + name.encode())
    for number, (_, _, rows) in enumerate(topics):
        log += b"".join(ulog_message("D", struct.pack("<H", number) + row) for row in rows)
    path = folder / "log.ulg"
    path.write_bytes(log)
    return path


def at_us(index: int, step: int = 10_000) -> int:
    return START_US + index * step


def test_the_combined_sensor_is_a_table(tmp_path: Path) -> None:
    path = made_logs.ulog(tmp_path)
    assert READER.recognises(path, path.read_bytes()[:64]) == 3
    (table,) = tables(path)
    columns, _ = whole(table)
    np.testing.assert_allclose(six(columns), DATA, atol=1e-6)
    np.testing.assert_array_equal(columns["time [ns]"], START_US * 1000 + np.arange(COUNT) * 10_000_000)
    assert table.name == "sensor_combined/0"


def test_a_satellite_receiver_tells_the_time_of_day(tmp_path: Path) -> None:
    unix_us = 1_718_030_736_000_000
    rows = [struct.pack("<Q3fIi3f", at_us(i), *row[3:], 1, 0, *row[:3]) for i, row in enumerate(DATA.tolist())]
    fixes = [struct.pack("<QQ", START_US - 5, 0), struct.pack("<QQ", START_US + 100, unix_us)]
    (table,) = tables(write(tmp_path, [("sensor_combined", 0, rows), ("vehicle_gps_position", 0, fixes)]))
    assert table.head[0][0] == np.datetime64(unix_us - 100, "us")
    assert "satellite" in next(fact.value for fact in table.facts if fact.what == "time stamps")


def test_instances_are_tables_and_slow_ones_are_passed_over(tmp_path: Path) -> None:
    imu = [
        struct.pack("<Q6fII", at_us(i), *(0.005 * it for it in (*row[3:], *row[:3])), 5000, 5000)
        for i, row in enumerate(DATA.tolist())
    ]
    (first, second) = tables(write(tmp_path, [("vehicle_imu", 0, imu), ("vehicle_imu", 1, imu)]))
    assert (first.name, second.name) == ("vehicle_imu/0", "vehicle_imu/1")
    np.testing.assert_allclose(six(whole(second)[0]), DATA, atol=1e-5)
    slow = [struct.pack("<Q6fII", at_us(i, 1_000_000), *[1.0] * 6, 5000, 5000) for i in range(5)]
    with pytest.raises(RecordingError, match="at 20 Hz or more, got vehicle_imu"):
        tables(write(tmp_path, [("vehicle_imu", 0, slow)]))


def test_accelerometer_and_gyroscope_of_one_instance_are_brought_onto_one_clock(tmp_path: Path) -> None:
    later = motion(TIME_S + 0.003)
    acc = [struct.pack("<QQ3f", 0, at_us(i), *row[:3]) for i, row in enumerate(DATA.tolist())]
    gyr = [struct.pack("<QQ3f", 0, at_us(i) + 3000, *row[3:]) for i, row in enumerate(later.tolist())]
    (table,) = tables(write(tmp_path, [("sensor_accel", 2, acc), ("sensor_gyro", 2, gyr)]))
    assert table.name == "sensor_accel/2"
    np.testing.assert_allclose(six(whole(table)[0])[1:], DATA[1:], atol=2e-4)


def test_a_log_without_motion_and_one_that_is_cut_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"expected sensor_combined, vehicle_imu, .*got none of them"):
        tables(write(tmp_path, []))
    path = made_logs.ulog(tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RecordingError, match=r"log\.ulg: expected"):
        tables(path)


def test_a_damaged_definition_ends(tmp_path: Path) -> None:
    path = made_logs.ulog(tmp_path)
    definitions = path.read_bytes()[:16] + ulog_message("F", made_logs.ULOG_FORMAT.encode())
    # A message of an unknown kind, cut short: pyulog goes back by its whole length, and meets it again.
    path.write_bytes(definitions + bytes(4000) + struct.pack("<HB", 9, 0) + b"ab")
    with pytest.raises(RecordingError, match=r"log\.ulg: expected intact ULog, got: a part that leads back"):
        tables(path)


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyulog", None)
    with pytest.raises(MissingExtraError, match=r"reading ULog needs pyulog .*-m pip install 'pyulog>="):
        tables(made_logs.ulog(tmp_path))
