"""The models of LSM6DS3 and LSM6DS3TR-C, and what all models of LSM6 chips share."""

from __future__ import annotations

import numpy as np
import pytest
from boards import IDENTITY, MDPS, MG, Board, at_rest, counts, gyro_first, lsm6ds3

from motionsig.sensors.bus import BusError

LSM6DS3 = ("lsm6ds3", "lsm6ds3trc")
LSM6 = (*LSM6DS3, "lsm6dso", "lsm6dsox", "lsm6dsr")


def words(bench: Board) -> tuple[int, int, int]:
    """Return words, flags and pattern index."""
    status = int.from_bytes(bench.read(0x3A, 4), "little")
    bits = 12 if bench.byte(0x0F) == 0x69 else 11
    return status & (1 << bits) - 1, status >> 8 & 0xF0, status >> 16 & 0x3FF


@pytest.mark.parametrize("name", LSM6DS3)
def test_lsm6ds3_gives_words_without_tags_gyroscope_first(name):
    bench = lsm6ds3(name)
    first = bench.chip.taken
    bench.take(10)
    level, flags, index = words(bench)
    assert (level, flags, index) == (60, 0, 0)
    assert words(bench)[2] == 0
    found = np.frombuffer(bench.read(0x3E, 2 * level), "<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.arange(first, first + 10)), 0.122 * MG, 17.5 * MDPS)
    np.testing.assert_array_equal(gyro_first(found)[1:], expected[1:])
    assert np.abs(gyro_first(found)[0] - expected[0]).max() > 1000  # section 5.5: to be discarded
    assert words(bench)[:2] == (0, 0x10)


def test_lsm6ds3_pattern_index_follows_every_word():
    bench = lsm6ds3()
    bench.wait(0.1)
    for index in (1, 2, 3, 4, 5, 0, 1):
        bench.read(0x3E, 2)
        assert words(bench)[2] == index
    bench.write(0x0A, 0x20)
    bench.write(0x0A, 0x26)
    bench.wait(0.05)
    assert words(bench)[2] == 0


@pytest.mark.parametrize(("name", "capacity"), [("lsm6ds3", 4096), ("lsm6ds3trc", 2048)])
def test_lsm6ds3_overwrites_words_not_records(name, capacity):
    bench = lsm6ds3(name)
    first = bench.chip.taken
    bench.take(capacity // 6)
    level, flags, index = words(bench)
    assert (level, flags, index) == (capacity // 6 * 6, 0x20, 0)
    bench.take(5)
    level, flags, index = words(bench)
    assert (level, flags) == (0, 0x60)  # 4096 does not fit the 12 bits
    lost = capacity // 6 * 6 + 30 - capacity
    assert index == lost % 6
    found = np.frombuffer(bench.read(0x3E, 12), "<i2")
    expected = counts(bench.felt(np.arange(first, first + 20)), 0.122 * MG, 17.5 * MDPS)
    stream = np.concatenate([expected[:, 3:], expected[:, :3]], axis=1).ravel()
    np.testing.assert_array_equal(found, stream[lost : lost + 6])
    assert words(bench)[1] & 0x40 == 0


def test_lsm6ds3_decimation_changes_the_pattern():
    bench = lsm6ds3()
    bench.write(0x0A, 0x20)
    bench.write(0x08, 0x0A)  # accelerometer every second time
    bench.write(0x0A, 0x26)
    bench.take(4)
    assert words(bench)[0] == 4 * 3 + 2 * 3


def test_lsm6ds3_fifo_of_a_lower_rate_takes_every_second_sample():
    bench = lsm6ds3()
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 3 << 3 | 6)
    bench.take(20)
    assert words(bench)[0] == 60


def test_lsm6ds3_without_the_fifo_rate_stores_nothing():
    bench = lsm6ds3()
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 0x06)
    bench.wait(0.2)
    assert words(bench)[0] == 0


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_reset_clears_itself_and_everything_else(name):
    bench = Board(name)
    bench.write(0x10, 0x48)
    bench.write(0x12, 0x45)
    assert bench.byte(0x12) in (0x04, 0x05)
    bench.wait(0.001)
    assert bench.byte(0x12) == 0x04
    assert bench.byte(0x10) == 0


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_boot_takes_longer_and_keeps_the_settings(name):
    bench = Board(name)
    bench.write(0x10, 0x48)
    bench.write(0x12, 0x84)
    assert bench.byte(0x12) & 0x80
    bench.write(0x11, 0x40)
    bench.wait(0.02)
    assert bench.byte(0x12) == 0x04
    assert bench.read(0x10, 2) == b"\x48\x00"


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_without_auto_increment_repeats_the_register(name):
    bench = Board(name)
    bench.write(0x12, 0x00)
    assert bench.read(0x0F, 3) == bytes([IDENTITY[name][1]] * 3)


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_other_bank_hides_the_registers(name):
    bench = Board(name)
    bench.write(0x01, 0x80)
    assert bench.byte(0x0F) == 0
    bench.write(0x01, 0x00)
    assert bench.byte(0x0F) == IDENTITY[name][1]


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_leaves_the_bus_when_i2c_is_disabled(name):
    bench = Board(name)
    bench.write(0x13, 0x04)
    with pytest.raises(BusError):
        bench.read(0x0F)


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_gyroscope_is_of_no_use_before_it_has_started(name):
    bench = Board(name, at_rest)
    bench.write(0x10, 0x40)
    bench.write(0x11, 0x40)
    bench.wait(0.05)
    early = np.frombuffer(bench.read(0x22, 12), "<i2")
    bench.wait(0.1)
    late = np.frombuffer(bench.read(0x22, 12), "<i2")
    assert np.abs(early[:3]).max() > 1000
    np.testing.assert_array_equal(late, [0, 0, 0, 0, 0, round(1000 / 0.061)])
    np.testing.assert_array_equal(early[3:], late[3:])


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_self_test_answers_within_the_data_sheet(name):
    bench = Board(name, at_rest)
    bench.write(0x10, 0x38)  # 4 g
    bench.write(0x11, 0x4C)  # 2000 deg/s
    bench.wait(0.2)
    before = np.frombuffer(bench.read(0x22, 12), "<i2").astype(int)
    bench.write(0x14, 0x05)
    bench.wait(0.2)
    change = np.frombuffer(bench.read(0x22, 12), "<i2") - before
    assert np.all((change[:3] * 70 > 150e3) & (change[:3] * 70 < 700e3))
    assert np.all((change[3:] * 0.122 > 90) & (change[3:] * 0.122 < 1700))
