"""The model that is shipped, an LSM6DSO, and those of LSM6DSOX and LSM6DSR."""

from __future__ import annotations

import numpy as np
import pytest
from boards import MDPS, MG, Board, counts, gyro_first, lsm6dso
from hypothesis import given, settings
from hypothesis import strategies as st


def tagged(bench: Board) -> tuple[int, int]:
    status = int.from_bytes(bench.read(0x3A, 2), "little")
    return status & 0x3FF, status >> 8 & 0xF8


@pytest.mark.parametrize("name", ["lsm6dso", "lsm6dsox", "lsm6dsr"])
def test_lsm6dso_gives_tagged_words(name):
    bench = lsm6dso(name)
    first = bench.chip.taken
    bench.take(10)
    level, flags = tagged(bench)
    assert (level, flags) == (20, 0)
    data = np.frombuffer(bench.read(0x78, 7 * level), np.uint8).reshape(-1, 2, 7)
    tags = data[:, :, 0]
    np.testing.assert_array_equal(tags >> 3, np.tile([1, 2], (10, 1)))
    np.testing.assert_array_equal(np.diff((tags >> 1 & 3).astype(int), axis=0) % 4, 1)
    assert all(int(tag).bit_count() % 2 == 0 for tag in tags.ravel())
    found = np.ascontiguousarray(data[:, :, 1:]).view("<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.arange(first, first + 10)), 0.244 * MG, 35 * MDPS)
    np.testing.assert_array_equal(gyro_first(found), expected)
    assert tagged(bench) == (0, 0)
    assert bench.read(0x78, 7) == bytes(7)


def test_lsm6dso_keeps_a_word_whose_last_byte_was_not_read():
    bench = lsm6dso()
    bench.wait(0.05)
    level, _ = tagged(bench)
    begin = bench.read(0x78, 6)
    assert tagged(bench)[0] == level
    word = bench.read(0x78, 7)
    assert word[:6] == begin
    assert tagged(bench)[0] == level - 1
    assert bench.byte(0x78) >> 3 == 2


def test_lsm6dso_overruns_by_words_and_latches_it():
    bench = lsm6dso()
    first = bench.chip.taken
    bench.take(255)
    assert tagged(bench) == (510, 0x20)
    bench.take(1)
    assert tagged(bench) == (512, 0x20)
    bench.take(3)
    assert tagged(bench) == (512, 0x68)
    found = np.frombuffer(bench.read(0x78, 14)[1:7], "<i2")
    expected = counts(bench.felt(np.array([first + 3])), 0.244 * MG, 35 * MDPS)
    np.testing.assert_array_equal(found, expected[0, 3:])
    assert tagged(bench)[1] & 0x48 == 0x08
    assert tagged(bench)[1] & 0x48 == 0
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 0x06)
    assert tagged(bench) == (0, 0)


def test_lsm6dso_of_two_rates_mixes_the_words():
    bench = lsm6dso()
    bench.write(0x09, 0x43)  # accelerometer at 52 Hz
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 0x06)
    bench.take(4)
    data = bench.read(0x78, 7 * tagged(bench)[0])
    assert [tag >> 3 for tag in data[::7]] == [1, 2, 1, 1, 2, 1]


def test_lsm6dso_puts_temperature_and_time_in_the_fifo_if_asked():
    bench = lsm6dso()
    bench.chip.temperature_c = 26.0
    bench.write(0x19, 0x20)
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 0x76)
    bench.take(2)
    data = np.frombuffer(bench.read(0x78, 7 * tagged(bench)[0]), np.uint8).reshape(-1, 7)
    np.testing.assert_array_equal(data[:, 0] >> 3, [1, 2, 3, 4, 1, 2, 4])
    assert int.from_bytes(data[2, 1:3].tobytes(), "little") == 256
    first, second = (int.from_bytes(data[row, 1:5].tobytes(), "little") for row in (3, 6))
    assert second - first == pytest.approx(1 / 104 / 25e-6, abs=1)


def test_lsm6dsr_has_4000_degrees_per_second():
    bench = Board("lsm6dsr")
    bench.write(0x10, 0x40)
    bench.write(0x11, 0x41)
    bench.wait(0.2)
    found = np.frombuffer(bench.read(0x22, 6), "<i2")
    expected = counts(bench.felt(np.array([bench.chip.taken - 1])), 1.0, 140 * MDPS)
    np.testing.assert_array_equal(found, expected[0, 3:])


def test_samples_keep_the_range_they_were_taken_with():
    bench = lsm6dso()
    first = bench.chip.taken
    bench.take(5)
    bench.chip.flip(0x10, 3)  # 8 g becomes 16 g
    bench.take(5)
    data = np.frombuffer(bench.read(0x78, 7 * tagged(bench)[0]), np.uint8).reshape(-1, 2, 7)
    found = np.ascontiguousarray(data[:, 1, 1:]).view("<i2")
    felt = bench.felt(np.arange(first, first + 10))
    np.testing.assert_array_equal(found[:5], counts(felt[:5], 0.244 * MG)[:, :3])
    np.testing.assert_array_equal(found[5:], counts(felt[5:], 0.488 * MG)[:, :3])


@given(
    steps=st.lists(st.tuples(st.floats(0.0001, 1.5), st.integers(0, 90)), min_size=1, max_size=30),
    skew=st.sampled_from([-0.05, 0.0, 0.03]),
)
@settings(max_examples=40, deadline=None)
def test_lsm6dso_loses_nothing_but_what_it_overwrites(steps, skew):
    bench = lsm6dso(code=7, skew=skew)
    first = bench.chip.taken
    taken, lost = 0, 0
    for wait_s, records in steps:
        bench.wait(wait_s)
        level, flags = tagged(bench)
        samples = bench.chip.taken - first
        lost = 2 * samples - taken - level
        assert level <= 512
        assert lost >= 0
        assert bool(flags & 0x48) or lost == 0 or taken > 0
        size = min(2 * records, level)
        if size:
            data = np.frombuffer(bench.read(0x78, 7 * size), np.uint8).reshape(-1, 7)
            # More may have been overwritten while the register was addressed.
            at = 2 * (bench.chip.taken - first) - bench.chip.fifo.level // 7 - size
            serials = first + np.arange(at, at + size) // 2
            expected = counts(bench.felt(serials), 0.244 * MG, 35 * MDPS)
            kinds = np.arange(at, at + size) % 2  # gyroscope, accelerometer
            shown = np.where(kinds[:, None] == 0, expected[:, 3:], expected[:, :3])
            np.testing.assert_array_equal(np.ascontiguousarray(data[:, 1:]).view("<i2"), shown)
            taken = at + size
