"""The model of the LIS3DH."""

from __future__ import annotations

import numpy as np
import pytest
from boards import MG, Board, at_rest, counts, lis3dh


def test_lis3dh_rolls_over_the_output_registers():
    bench = lis3dh()
    first = bench.chip.taken
    bench.take(10)
    assert bench.byte(0x2F) & 0x7F == 10
    found = np.frombuffer(bench.read(0x28 | 0x80, 60), "<i2").reshape(-1, 3)
    expected = counts(bench.felt(np.arange(first, first + 10)), 2 * MG)
    np.testing.assert_array_equal(found, expected[:, :3] * 16 & ~0x3F)
    assert bench.byte(0x2F) == 0x20


def test_lis3dh_without_the_auto_increment_bit_repeats_the_register():
    bench = lis3dh()
    assert bench.read(0x0F, 3) == b"\x33" * 3
    assert bench.read(0x8F, 1) == b"\x33"
    assert bench.read(0xA0, 5) == bytes([0x57, 0x00, 0x00, 0x98, 0x40])
    bench.write(0xA0, 0x47, 0x00)
    assert bench.byte(0x20) == 0x47


def test_lis3dh_full_fifo_reads_31_and_overrun():
    bench = lis3dh()
    first = bench.chip.taken
    bench.take(31)
    assert bench.byte(0x2F) & 0x7F == 31
    bench.take(5)
    assert bench.byte(0x2F) & 0x7F == 0x40 | 31
    found = np.frombuffer(bench.read(0xA8, 6), "<i2")
    expected = counts(bench.felt(np.array([first + 4])), 2 * MG)
    np.testing.assert_array_equal(found, expected[0, :3] * 16 & ~0x3F)
    assert bench.byte(0x2F) & 0x7F == 31
    bench.write(0x2E, 0x00)
    assert bench.byte(0x2F) & 0x7F == 0


@pytest.mark.parametrize(("control", "low_power", "bits", "mg"), [(0x08, 0, 12, 1), (0, 0, 10, 4), (0, 8, 8, 16)])
def test_lis3dh_resolutions(control, low_power, bits, mg):
    bench = Board("lis3dh", at_rest)
    bench.write(0x20, 0x57 | low_power)
    bench.write(0x23, control)
    bench.wait(0.1)
    z = np.frombuffer(bench.read(0xA8, 6), "<i2")[2]
    assert z == round(1000 / mg) << 16 - bits


def test_lis3dh_is_of_no_use_for_seven_samples_in_high_resolution():
    bench = Board("lis3dh", at_rest)
    bench.write(0x23, 0x88)
    bench.write(0x20, 0x57)
    bench.wait(0.045)
    assert np.abs(np.frombuffer(bench.read(0xA8, 4), "<i2")).max() > 1000
    bench.wait(0.05)
    assert bench.read(0xA8, 4) == bytes(4)


def test_lis3dh_boot_clears_itself_and_keeps_the_settings():
    bench = lis3dh()
    bench.write(0x24, 0xC0)
    assert bench.byte(0x24) == 0xC0
    bench.wait(0.01)
    assert bench.read(0xA0, 5) == bytes([0x57, 0x00, 0x00, 0x98, 0x40])


def test_lis3dh_self_test_answers_within_the_data_sheet():
    bench = Board("lis3dh", at_rest)
    bench.write(0x20, 0x57)
    bench.write(0x23, 0x02)
    bench.wait(0.1)
    change = (np.frombuffer(bench.read(0xA8, 6), "<i2") >> 6) - np.array([0, 0, 250])
    assert np.all((change > 17) & (change < 360))
