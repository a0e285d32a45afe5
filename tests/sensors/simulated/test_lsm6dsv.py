"""The models of LSM6DSV16X and LSM6DSV32X: where they are not an LSM6DSO."""

from __future__ import annotations

import numpy as np
import pytest
from boards import MDPS, MG, Board, at_rest, counts, gyro_first


def running(name: str = "lsm6dsv16x", *, full_scale: int = 1, **options) -> Board:
    """Run it at 120 Hz, 1000 deg/s, both sensors in the FIFO."""
    bench = Board(name, **options)
    for register, value in ((0x17, full_scale), (0x15, 3), (0x10, 6), (0x11, 6), (0x09, 0x66)):
        bench.write(register, value)
    bench.wait(0.1)
    bench.write(0x0A, 0x06)
    return bench


def level(bench: Board) -> tuple[int, int]:
    status = int.from_bytes(bench.read(0x1B, 2), "little")
    return status & 0x1FF, status >> 8 & 0x78


@pytest.mark.parametrize(
    ("name", "full_scale", "milli_g"),
    [("lsm6dsv16x", 1, 0.122), ("lsm6dsv16x", 3, 0.488), ("lsm6dsv32x", 1, 0.244), ("lsm6dsv32x", 3, 0.976)],
)
def test_lsm6dsv_gives_tagged_words_without_parity(name: str, full_scale: int, milli_g: float) -> None:
    bench = running(name, full_scale=full_scale)
    first = bench.chip.taken
    bench.take(8)
    assert level(bench) == (16, 0)
    assert bench.read(0x3A, 2) == bytes(2)
    data = np.frombuffer(bench.read(0x78, 7 * 16), np.uint8).reshape(-1, 2, 7)
    tags = data[:, :, 0]
    np.testing.assert_array_equal(tags >> 3, np.tile([1, 2], (8, 1)))
    np.testing.assert_array_equal(np.diff((tags >> 1 & 3).astype(int), axis=0) % 4, 1)
    assert not (tags & 1).any()
    found = np.ascontiguousarray(data[:, :, 1:]).view("<i2").reshape(-1, 6)
    np.testing.assert_array_equal(
        gyro_first(found), counts(bench.felt(np.arange(first, first + 8)), milli_g * MG, 35 * MDPS)
    )


def test_lsm6dsv_holds_256_words_and_latches_that_it_overran() -> None:
    bench = running()
    bench.take(127)
    assert level(bench) == (254, 0x20)
    bench.take(3)
    assert level(bench) == (256, 0x68)
    bench.read(0x78, 14)
    assert level(bench)[1] & 0x48 == 0x08
    assert level(bench)[1] & 0x48 == 0


@pytest.mark.parametrize(("code", "push_g"), [(1, 0.4), (2, -0.4)])
def test_lsm6dsv_self_test_is_in_ctrl10(code: int, push_g: float) -> None:
    bench = running(signal=at_rest)
    bench.wait(0.1)
    before = np.frombuffer(bench.read(0x28, 6), "<i2").astype(int)
    bench.write(0x19, code)
    bench.wait(0.1)
    after = np.frombuffer(bench.read(0x28, 6), "<i2").astype(int)
    np.testing.assert_allclose((after - before) * 0.122e-3, push_g, atol=1e-3)


def test_lsm6dsv_hears_nothing_on_i2c_once_it_is_switched_off() -> None:
    bench = running()
    bench.write(0x03, 0x01)
    with pytest.raises(Exception, match="simulated failure"):
        bench.read(0x0F)
