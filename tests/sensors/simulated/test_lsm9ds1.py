"""The model of the LSM9DS1."""

from __future__ import annotations

import numpy as np
from boards import MDPS, MG, Board, at_rest, counts, gyro_first, lsm9ds1


def test_lsm9ds1_walks_from_the_gyroscope_to_the_accelerometer_and_round():
    bench = lsm9ds1()
    first = bench.chip.taken
    bench.take(10)
    assert bench.byte(0x2F) == 10
    found = np.frombuffer(bench.read(0x18, 120), "<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.arange(first, first + 10)), 0.122 * MG, 17.5 * MDPS)
    np.testing.assert_array_equal(gyro_first(found)[1:], expected[1:])
    assert np.abs(gyro_first(found)[0] - expected[0]).max() > 1000  # section 3.5: to be discarded
    assert bench.byte(0x2F) <= 1


def test_lsm9ds1_overruns_by_slots():
    bench = lsm9ds1()
    first = bench.chip.taken
    bench.take(32)
    assert bench.byte(0x2F) == 32
    bench.take(3)
    assert bench.byte(0x2F) == 0x40 | 32
    found = np.frombuffer(bench.read(0x18, 12), "<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.array([first + 3])), 0.122 * MG, 17.5 * MDPS)
    np.testing.assert_array_equal(gyro_first(found), expected)
    assert bench.byte(0x2F) == 31
    bench.write(0x2E, 0x00)
    assert bench.byte(0x2F) == 0


def test_lsm9ds1_with_the_gyroscope_off_runs_the_accelerometer_alone():
    bench = Board("lsm9ds1")
    bench.write(0x20, 0x60)
    bench.wait(0.1)
    bench.write(0x23, 0x02)
    bench.write(0x2E, 0xC0)
    first = bench.chip.taken
    bench.take(5)
    found = np.frombuffer(bench.read(0x28, 30), "<i2").reshape(-1, 3)
    expected = counts(bench.felt(np.arange(first, first + 5)), 0.061 * MG)
    np.testing.assert_array_equal(found[1:], expected[1:, :3])


def test_lsm9ds1_needs_both_fifo_bits():
    bench = lsm9ds1()
    bench.write(0x23, 0x00)
    bench.wait(0.05)
    assert bench.byte(0x2F) == 0


def test_lsm9ds1_resets_starts_and_tests_itself():
    bench = Board("lsm9ds1", at_rest)
    bench.write(0x10, 0x98)
    bench.write(0x20, 0x80)
    bench.wait(0.03)
    assert np.abs(np.frombuffer(bench.read(0x18, 6), "<i2")).max() > 1000
    bench.wait(0.1)
    before = np.frombuffer(bench.read(0x18, 12), "<i2").astype(int)
    assert not before[:3].any()
    bench.write(0x24, 0x05)
    bench.wait(0.1)
    change = np.frombuffer(bench.read(0x18, 12), "<i2") - before
    assert np.all((change[:3] * 70 > 200e3) & (change[:3] * 70 < 800e3))
    assert np.all((change[3:] * 0.061 > 70) & (change[3:] * 0.061 < 1500))
    bench.write(0x22, 0x05)
    bench.wait(0.001)
    assert bench.byte(0x22) == 0x04
    assert bench.byte(0x10) == 0
