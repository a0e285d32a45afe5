"""What training changes in a window: other people and other sensors, none of which may change what was done."""

import numpy as np
import pytest

from motionsig.conventions import STANDARD_GRAVITY
from scripts.train.targets import COMPONENTS, statistics, whitening
from scripts.train.variations import GAIN, QUIET_NOISE, WARP, at_rest, other_people, other_sensors, quiet_sensors

SECONDS = np.arange(128) / 50


@pytest.fixture
def swings():
    """400 windows of one swing at 2 Hz, lying flat: along x 3 m/s², about y 1 rad/s."""
    windows = np.zeros((400, 128, 6), np.float32)
    windows[:, :, 2] = STANDARD_GRAVITY
    windows[:, :, 0] = 3 * np.sin(4 * np.pi * SECONDS)
    windows[:, :, 4] = np.cos(4 * np.pi * SECONDS)
    return windows


def test_other_people_move_faster_or_stronger_under_the_same_gravity(swings):
    varied = other_people(swings, np.random.default_rng(0))
    np.testing.assert_allclose(varied[:, :, 2], STANDARD_GRAVITY, rtol=1e-5)
    strength = varied[:, :, 0].std(axis=1) / swings[:, :, 0].std(axis=1)
    assert 0.7 * GAIN < np.log(strength).std() < 1.5 * GAIN
    crossings = (np.diff(np.signbit(varied[:, :, 4]), axis=1) != 0).sum(axis=1)
    assert crossings.min() >= 10 * (1 - WARP) - 1 and crossings.max() <= 10 * (1 + WARP) + 2
    assert len(np.unique(crossings)) > 2


def test_other_sensors_are_slower_coarser_noisier_and_lose_samples(swings):
    still = np.zeros_like(swings)
    still[:, :, 2] = STANDARD_GRAVITY
    seen = other_sensors(still, np.random.default_rng(0))
    noise = seen.std(axis=1)
    assert np.quantile(noise[:, 0], 0.1) < 0.03 and np.quantile(noise[:, 0], 0.95) > 0.1
    assert np.quantile(noise[:, 3], 0.1) < 0.003 and np.quantile(noise[:, 3], 0.95) > 0.006
    fast = still.copy()
    fast[:, :, 0] = np.sin(2 * np.pi * 20 * SECONDS)
    left = other_sensors(fast, np.random.default_rng(0))[:, :, 0].std(axis=1)
    assert 0.15 < (left < 0.5).mean() < 0.3, "of three sensors in fourteen little is left at 20 Hz"


def test_another_sensor_ends_at_its_range():
    fall = np.zeros((400, 128, 6), np.float32)
    fall[:, 60:64, 1] = 200.0
    most = other_sensors(fall, np.random.default_rng(0)).max(axis=(1, 2))
    for range_g in (2, 4, 8, 16):
        assert (np.abs(most - range_g * STANDARD_GRAVITY) < 0.2).sum() > 20


def test_at_rest_gravity_points_anywhere_and_only_a_chips_noise_is_left():
    rng = np.random.default_rng(0)
    resting = at_rest(2000, rng)
    gravity = resting.mean(axis=1)
    np.testing.assert_allclose(np.linalg.norm(gravity[:, :3], axis=1), STANDARD_GRAVITY, rtol=1e-5)
    assert np.abs(gravity[:, :3].mean(axis=0)).max() < 0.5 and not resting[:, :, 3:].any()
    noise = quiet_sensors(resting, rng) - resting
    for sensor, (low, high) in zip((noise[:, :, :3], noise[:, :, 3:]), QUIET_NOISE, strict=True):
        spread = sensor.std(axis=(1, 2))
        assert 0.8 * low < spread.min() < 1.2 * low and 0.8 * high < spread.max() < 1.2 * high
        assert np.median(spread) == pytest.approx(np.sqrt(low * high), rel=0.2), "as many above as below, in ratios"


def test_one_generator_gives_one_result(swings):
    for vary in (other_people, other_sensors, quiet_sensors):
        one, same = (vary(swings, np.random.default_rng(5)) for _ in range(2))
        assert one.tobytes() == same.tobytes()


def test_statistics_do_not_tell_a_quiet_chip_from_a_good_one():
    """White noise of .01 and of .04 m/s² are nearly the same rest; a swing of 1 m/s² is another thing."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 128, 12)) * np.repeat([1, 0.05, 1, 0.05], (3, 3, 4, 2))
    good, poor = (statistics((size * noise).astype(np.float32)).mean(axis=0) for size in (0.01, 0.04))
    moved = 0.01 * noise
    moved[:, :, 0] += np.sin(4 * np.pi * SECONDS)
    swing = statistics(moved.astype(np.float32)).mean(axis=0)
    bands = slice(11, 21)  # of the first channel
    assert np.abs(poor - good)[bands].max() < 1 < 5 < (swing - good)[bands].max()


def test_whitened_statistics_are_even_and_no_outlier_decides(swings):
    rng = np.random.default_rng(0)
    plain = statistics(rng.normal(size=(3000, 128, 12)).astype(np.float32).cumsum(axis=1))
    even = whitening(plain)(plain)
    assert even.shape == (3000, COMPONENTS)
    np.testing.assert_allclose(even.T @ even / len(even), np.eye(COMPONENTS), atol=0.02)
    plain[0] *= 1e6
    assert np.isfinite(whitening(plain)(plain)).all()
