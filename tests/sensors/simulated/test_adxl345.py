"""The model of the ADXL345."""

from __future__ import annotations

import numpy as np
import pytest
from boards import Board, adxl345, at_rest, counts

from motionsig.conventions import STANDARD_GRAVITY


def test_adxl345_gives_one_entry_a_read():
    bench = adxl345()
    first = bench.chip.taken
    bench.take(10)
    assert bench.byte(0x39) == 10
    found = np.frombuffer(b"".join(bench.read(0x32, 6) for _ in range(10)), "<i2").reshape(-1, 3)
    expected = counts(bench.felt(np.arange(first, first + 10)), STANDARD_GRAVITY / 256)
    np.testing.assert_array_equal(found, expected[:, :3])
    assert bench.byte(0x39) == 0


def test_adxl345_takes_the_entry_even_if_one_byte_is_read():
    bench = adxl345()
    bench.take(5)
    bench.read(0x32)
    assert bench.byte(0x39) == 4


def test_adxl345_holds_33_and_says_when_it_is_filled():
    bench = adxl345()
    first = bench.chip.taken
    bench.take(32)
    assert bench.byte(0x30) & 0x81 == 0x80
    bench.take(5)
    assert bench.byte(0x39) == 33
    assert bench.byte(0x30) & 0x01
    found = np.frombuffer(bench.read(0x32, 6), "<i2")
    expected = counts(bench.felt(np.array([first + 4])), STANDARD_GRAVITY / 256)
    np.testing.assert_array_equal(found, expected[0, :3])
    assert bench.byte(0x30) & 0x01 == 0
    bench.write(0x38, 0x00)
    assert bench.byte(0x39) == 0


@pytest.mark.parametrize(("data_format", "per_g"), [(0x00, 256), (0x01, 128), (0x02, 64), (0x03, 32), (0x0B, 256)])
def test_adxl345_resolutions(data_format, per_g):
    bench = Board("adxl345", at_rest)
    bench.write(0x31, data_format)
    bench.write(0x2D, 0x08)
    bench.wait(0.05)
    assert list(np.frombuffer(bench.read(0x32, 6), "<i2")) == [0, 0, per_g]


def test_adxl345_self_test_answers_within_the_data_sheet():
    bench = adxl345(signal=at_rest)
    bench.write(0x31, 0x8B)
    bench.write(0x38, 0x00)
    bench.wait(0.05)
    change = np.frombuffer(bench.read(0x32, 6), "<i2") - np.array([0, 0, 256])
    low, high = np.array([50, -540, 75]) * [1.77, 1.77, 1.47], np.array([540, -50, 875]) * [1.77, 1.77, 1.47]
    assert np.all((low < change) & (change < high))
