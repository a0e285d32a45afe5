"""Single garbled samples, and knocks, which are none."""

import numpy as np
import pytest
from made_samples import FINE, RATE_HZ, judged, resting, walking

from motionsig.sensors.living import Living


def flipped(data: np.ndarray, at: int, axis: int, bit: int) -> np.ndarray:
    """Return data in which one bit of one sample is another."""
    counts = np.rint(data / FINE).astype(np.int16)
    counts[at, axis] ^= np.int16(np.uint16(1 << bit).astype(np.int16)) if bit == 15 else np.int16(1 << bit)
    return (counts * FINE).astype(np.float32)


@pytest.mark.parametrize("bit", [10, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("cut", [1, 7, 60])
def test_a_bit_that_flips_at_rest_leaves_its_sample_out(bit: int, cut: int) -> None:
    # 0.54 rad/s, the tenth bit of the gyroscope, may be motion.
    for axis in range(6 if bit > 10 else 3):
        living = Living(RATE_HZ, FINE)
        passed = judged(living, flipped(resting(0.6), 33, axis, bit), cut=cut)
        assert living.garbled == 1
        assert np.array_equal(passed.time_ns, np.delete(np.arange(60), 33)[: len(passed.time_ns)])
        assert (np.flatnonzero(passed.gap).tolist(), passed.lost[33]) == ([33], 1)


@pytest.mark.parametrize("bit", [14, 15])
def test_a_top_bit_that_flips_in_motion_leaves_its_sample_out(bit: int) -> None:
    found = 0
    for at in range(100, 200, 5):
        living = Living(RATE_HZ, FINE)
        judged(living, flipped(walking(2.5, seed=at), at, at % 3, bit))
        found += living.garbled
    assert found >= 18


def test_nonsense_leaves_its_sample_out() -> None:
    data = resting(4)
    data[203, :3] = np.array([1649, 26, 10240]) * FINE[:3]
    living = Living(RATE_HZ, FINE)
    assert 203 not in judged(living, data).time_ns


@pytest.mark.parametrize("cut", [1, 3, 10])
def test_a_knock_passes(cut: int) -> None:
    """What is hit swings: 50 ms at 60 Hz."""
    chance = np.random.default_rng(1)
    for _ in range(10):
        data = resting(2.5)
        t = np.arange(30) / RATE_HZ
        swing = np.exp(-t / 0.02) * np.cos(2 * np.pi * 30 * t + chance.uniform(0, 6))
        data[200:230] += (swing[:, None] * chance.normal(size=6) * [30, 30, 30, 3, 3, 3]).astype(np.float32)
        living = Living(RATE_HZ, FINE)
        judged(living, data, cut=cut)
        assert living.garbled == 0


def test_an_unfiltered_knock_of_one_sample_passes() -> None:
    """As a wheeled robot's accelerometer without a filter recorded it, on several axes at once."""
    data = resting(4)
    data[200, :3] += np.float32([5.8, 0.1, -3.2])
    living = Living(RATE_HZ, FINE)
    judged(living, data)
    assert living.garbled == 0


def test_a_step_passes_at_once_and_random_samples_too() -> None:
    data = resting(4)
    data[200:] += np.float32([20, 0, 0, 2, 0, 0])
    living = Living(RATE_HZ, FINE)
    assert len(judged(living, data).data) == 400
    noise = np.random.default_rng(0).uniform(-70, 70, (2000, 6)).astype(np.float32)
    living = Living(RATE_HZ, FINE)
    assert len(judged(living, noise).data) >= 1998
    assert living.garbled == 0
