"""The models of the chips with the registers of the MPU-6000."""

from __future__ import annotations

import numpy as np
import pytest
from invensense_boards import CAPACITY, MPU, Board, counting

from motionsig.conventions import STANDARD_GRAVITY


@pytest.mark.parametrize("name", [*MPU, "icm20948"])
def test_sleeps_after_power_up_or_not_as_its_sheet_says(name):
    board = Board(name)
    awake = name in ("mpu6500", "mpu9250", "mpu9255")
    taken = board.chip.taken
    board.clock.sleep(0.1)
    board.get(0x19)
    assert (board.chip.taken > taken) == awake


@pytest.mark.parametrize("name", [*MPU, "icm20948"])
def test_overflow_is_reported_once_where_the_interrupt_is_enabled(name):
    status, enable, bit = (0x1B, 0x12, 0x1F) if name == "icm20948" else (0x3A, 0x38, 0x10)
    board = Board(name).start()
    board.clock.sleep(5.0)
    assert board.get(status)[0] & bit == 0
    board.put((enable, bit))
    board.drain()
    board.clock.sleep(5.0)
    assert board.get(status)[0] & bit == bit
    board.drain()
    board.get(status)
    assert board.get(status)[0] & bit == 0


@pytest.mark.parametrize("name", ["mpu6500", "icm20602", "icm20689"])
def test_fifo_mode_stops_at_whole_records(name):
    board = Board(name, counting).start((0x1A, 0x41))
    board.put((0x6A, 0x44))
    first = board.chip.taken
    board.clock.sleep(1.0)
    capacity = CAPACITY.get(name, 512)
    assert board.level() == capacity // 14 * 14
    words = board.words()
    felt = counting(np.arange(first, first + len(words)), None)[:, 0] * 16384 / STANDARD_GRAVITY
    assert any(np.array_equal(words[:, 0], np.rint(felt + ahead * 16.384 / STANDARD_GRAVITY)) for ahead in (0, 1))


@pytest.mark.parametrize("name", [*MPU, "icm20948"])
def test_low_byte_of_the_count_is_of_when_the_high_byte_was_read(name):
    board = Board(name).start()
    board.clock.sleep(0.005)
    high, low = board.get(board.count, 2)
    board.clock.sleep(0.01)
    assert board.get(board.count + 1) == bytes([low])
    assert board.level() > (high << 8 | low)


@pytest.mark.parametrize("name", MPU)
def test_fifo_is_neither_written_nor_read_while_disabled(name):
    board = Board(name).start()
    board.clock.sleep(0.01)
    board.put((0x6A, 0x00))
    level = board.level()
    assert level
    board.get(board.data, 14)
    board.clock.sleep(0.1)
    assert board.level() == level


def test_mpu6050_resets_its_fifo_only_while_disabled():
    board = Board("mpu6050").start()
    board.clock.sleep(0.01)
    board.put((0x6A, 0x44))
    assert board.level() > 100
    assert board.get(0x6A) == b"\x40"
    board.put((0x6A, 0x04), (0x6A, 0x40))
    assert board.level() <= 14


@pytest.mark.parametrize(
    ("name", "enabled", "size"),
    [
        ("mpu6050", 0xF8, 14),
        ("mpu6050", 0x78, 12),
        ("mpu6050", 0x08, 6),
        ("mpu6500", 0xA8, 10),
        ("icm20602", 0x18, 14),
        ("mpu6886", 0x18, 14),
        ("icm20602", 0x08, 8),
        ("icm20602", 0x10, 8),
        ("icm20689", 0x78, 12),
    ],
)
def test_enabled_sensors_make_the_record(name, enabled, size):
    board = Board(name).start((0x23, enabled))
    assert board.chip.fifo.format.size == size
    board.clock.sleep(0.01)
    board.put((0x6A, 0x00))
    assert board.level() % size == 0


def test_records_of_two_sizes_lie_in_one_fifo():
    board = Board("mpu6050").start()
    board.put((0x6A, 0x00), (0x6A, 0x04), (0x6A, 0x40))
    board.clock.sleep(0.01)
    board.chip.flip(0x23, 7)  # no more temperature
    board.clock.sleep(0.005)
    board.put((0x6A, 0x00))
    sizes = [(count, layout.size) for _, count, layout in board.chip.fifo.pieces]
    assert {size for _, size in sizes} == {14, 12}
    assert board.level() == sum(count * size for count, size in sizes)


@pytest.mark.parametrize(
    ("name", "config", "divider", "rate_hz"),
    [
        ("mpu6050", 0x00, 7, 1000),
        ("mpu6050", 0x01, 4, 200),
        ("mpu6050", 0x07, 0, 8000),
        ("mpu6500", 0x00, 7, 8000),
        ("mpu9250", 0x02, 9, 100),
        ("icm20602", 0x07, 3, 8000),
        ("icm20689", 0x06, 19, 50),
    ],
)
def test_filter_and_divider_make_the_rate(name, config, divider, rate_hz):
    board = Board(name).start((0x1A, config), (0x19, divider))
    assert board.chip.runs[-1].rate_hz == rate_hz


def test_accelerometer_has_a_new_value_at_1_khz_at_most():
    board = Board("mpu6050", counting).start((0x1A, 0x00))
    board.put((0x6A, 0x04), (0x6A, 0x40))
    board.clock.sleep(0.005)
    words = board.words()
    assert len(np.unique(words[:, 3])) == len(words) > 16
    assert len(np.unique(words[:, 0])) <= len(words) // 8 + 2


@pytest.mark.parametrize(
    ("code", "accel", "gyro"), [(0, 16384, 131), (1, 8192, 65.5), (2, 4096, 32.8), (3, 2048, 16.4)]
)
@pytest.mark.parametrize("name", [*MPU, "icm20948"])
def test_ranges_of_the_mpu(name, code, accel, gyro):
    board = Board(name, lambda serials, times_ns: np.ones((len(serials), 6)))
    if name == "icm20948":
        board.start((0x7F, 0x20), (0x14, 1 | code << 1), (0x01, 1 | code << 1), (0x7F, 0))
    else:
        board.start((0x1C, code << 3), (0x1B, code << 3))
    board.drain()
    board.clock.sleep(0.01)
    words = board.words()[-1]
    assert words[0] == round(accel / STANDARD_GRAVITY)
    assert words[3] == min(32767, round(np.degrees(gyro)))


def test_icm20689_fifo_grows_by_register():
    board = Board("icm20689").start((0x1D, 0xC0))
    board.clock.sleep(2.0)
    assert board.level() == 4096


def test_a_flipped_reset_bit_resets():
    board = Board("mpu6050").start()
    board.chip.flip(0x6B, 7)
    board.clock.sleep(0.02)
    assert board.get(0x6B) == b"\x40"
