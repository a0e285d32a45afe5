"""The model of the BMI160."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest
from boards import Board, at_rest, bmi160, counts, gyro_first

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.bus import BusError


def length(bench: Board) -> int:
    return int.from_bytes(bench.read(0x22, 2), "little")


def test_bmi160_gives_frames_with_headers():
    bench = bmi160()
    first = bench.chip.taken
    bench.take(10)
    assert length(bench) == 130
    data = np.frombuffer(bench.read(0x24, 130), np.uint8).reshape(-1, 13)
    assert set(data[:, 0]) == {0x8C}
    found = np.ascontiguousarray(data[:, 1:]).view("<i2")
    expected = counts(bench.felt(np.arange(first, first + 10)), STANDARD_GRAVITY / 8192, radians(1) / 32.8)
    np.testing.assert_array_equal(gyro_first(found), expected)
    assert length(bench) == 0
    assert bench.read(0x24, 5) == b"\x80" * 5


def test_bmi160_repeats_a_frame_that_was_cut_short():
    bench = bmi160()
    bench.take(3)
    begin = bench.read(0x24, 20)
    assert length(bench) == 26
    assert bench.read(0x24, 13)[:7] == begin[13:]


def test_bmi160_reading_on_past_the_end_gives_the_sensor_time_once():
    bench = bmi160(fifo=0xD2)
    bench.take(2)
    data = bench.read(0x24, 26 + 8)
    assert data[26] == 0x44
    assert data[30:] == b"\x80" * 4
    bench.wait(1.0)
    later = bench.read(0x18, 3)
    ticks = int.from_bytes(later, "little") - int.from_bytes(data[27:30], "little") & 0xFFFFFF
    assert ticks * 39.0625e-6 == pytest.approx(1.0, abs=0.01)


def test_bmi160_overflow_puts_a_skip_frame_first():
    bench = bmi160()
    first = bench.chip.taken
    bench.take(78)
    assert length(bench) == 78 * 13
    bench.take(5)
    assert length(bench) == 78 * 13 + 2
    data = bench.read(0x24, 15)
    assert data[:3] == b"\x40\x05\x8c"
    found = np.frombuffer(data[3:], "<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.array([first + 5])), STANDARD_GRAVITY / 8192, radians(1) / 32.8)
    np.testing.assert_array_equal(gyro_first(found), expected)
    assert length(bench) == 77 * 13
    bench.wait(5)
    assert bench.read(0x24, 3) == b"\x40\xff\x8c"
    bench.write(0x7E, 0xB0)
    assert length(bench) == 0


def test_bmi160_marks_a_change_of_configuration():
    bench = bmi160()
    bench.take(1)
    bench.write(0x41, 0x08)
    bench.take(1)
    data = bench.read(0x24, 28)
    assert (data[0], data[13:15], data[15]) == (0x8C, b"\x48\x02", 0x8C)


def test_bmi160_of_two_rates_has_frames_of_two_sizes():
    bench = bmi160(gyro=0x27)
    bench.take(4)
    data = bench.read(0x24, length(bench))
    headers, at = [], 0
    while at < len(data):
        headers.append(data[at])
        at += 1 + 6 * (data[at] & 0x0C).bit_count()
    assert sorted(headers) == [0x84, 0x84, 0x8C, 0x8C]


def test_bmi160_without_headers_has_the_bare_data():
    bench = bmi160(fifo=0xC0)
    bench.take(2)
    assert length(bench) == 24


def test_bmi160_drops_a_command_that_comes_too_early():
    bench = Board("bmi160")
    bench.wait(0.001)
    bench.write(0x7E, 0x11)
    bench.wait(0.001)
    bench.write(0x7E, 0x15)
    bench.wait(0.1)
    assert bench.byte(0x03) == 0x10
    assert bench.byte(0x02) == 0x40
    assert bench.byte(0x02) == 0


def test_bmi160_asleep_loses_writes_that_follow_too_soon():
    bench = Board("bmi160")
    bench.write(0x40, 0x2A)
    bench.write(0x42, 0x2A)
    assert bench.read(0x40, 3)[::2] == b"\x2a\x28"
    bench.wait(0.0005)
    bench.write(0x42, 0x2A)
    assert bench.byte(0x42) == 0x2A


def test_bmi160_gyroscope_is_of_no_use_before_it_has_started():
    bench = Board("bmi160", at_rest)
    bench.write(0x7E, 0x15)
    bench.wait(0.04)
    assert bench.byte(0x03) == 0
    bench.wait(0.03)
    assert bench.byte(0x03) == 0x04
    assert np.abs(np.frombuffer(bench.read(0x0C, 6), "<i2")).max() > 1000
    bench.wait(0.03)
    assert bench.read(0x0C, 6) == bytes(6)


def test_bmi160_soft_reset_puts_it_to_sleep():
    bench = bmi160()
    bench.write(0x7E, 0xB6)
    with pytest.raises(BusError):
        bench.read(0x00)
    bench.wait(0.001)
    assert bench.read(0x40, 4) == b"\x28\x03\x28\x00"
    assert bench.byte(0x03) == 0


def test_bmi160_self_tests():
    bench = bmi160(accel=0x2C, signal=at_rest)
    bench.write(0x41, 0x08)
    bench.write(0x6D, 0x0D)
    bench.wait(0.06)
    positive = np.frombuffer(bench.read(0x12, 6), "<i2").astype(int)
    bench.write(0x6D, 0x09)
    bench.wait(0.06)
    negative = np.frombuffer(bench.read(0x12, 6), "<i2")
    assert np.all(positive - negative > 8192)
    bench.write(0x6D, 0x10)
    assert bench.byte(0x1B) & 0x02
