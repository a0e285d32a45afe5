"""Which windows are at rest, and which have their energy where no signature shows it."""

import numpy as np
import pytest

from motionsig.quality import ABOVE_NOISE, ABOVE_SHARE, NOISE, Quality, counted, flags_of

LENGTH, RATE_HZ = 128, 50
CHIPS = {"good": (0.01, 0.001), "MPU-6050": (0.04, 0.002), "10 bits": (0.1, 0.005)}
"""Root mean square noise of an axis, m/s² and rad/s."""

pytestmark = pytest.mark.filterwarnings("error")


def windows_of(samples):
    return samples[: len(samples) // LENGTH * LENGTH].reshape(-1, LENGTH, 6).astype(np.float32)


def at(angle, time_s):
    """Return (n, 6) of a device that is tilted by `angle` (n,) about its y axis."""
    nothing = 0 * time_s
    gravity = 9.80665 * np.stack([np.sin(angle), nothing, np.cos(angle)], axis=1)
    return np.c_[gravity, nothing, np.gradient(angle, time_s), nothing]


def noise(chip, count, seed=0):
    acc, gyr = CHIPS[chip]
    return np.random.default_rng(seed).normal(size=(count, 6)) * np.r_[[acc] * 3, [gyr] * 3]


TIME_S = np.arange(300 * LENGTH) / RATE_HZ


@pytest.mark.parametrize("chip", CHIPS)
def test_a_sensor_that_lies_still_is_at_rest(chip):
    for angle_deg in (0, 30, 130):
        still = at(np.full(len(TIME_S), np.deg2rad(angle_deg)), TIME_S) + noise(chip, len(TIME_S))
        assert (flags_of(windows_of(still)) == Quality.AT_REST).all()


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("degrees", "hz"), [(2, 0.4), (1, 0.25), (0.5, 0.25)])
def test_a_sway_and_a_breath_are_no_rest(chip, degrees, hz):
    """A breath on a good chip spreads less than a bad chip's noise, but it goes on from one sample to the next."""
    moved = at(np.deg2rad(degrees) * np.sin(2 * np.pi * hz * TIME_S), TIME_S) + noise(chip, len(TIME_S))
    assert not flags_of(windows_of(moved)).any()


@pytest.mark.parametrize("rate_rads", [0.1, 5])
def test_a_constant_turn_about_the_vertical_is_taken_for_rest_and_about_another_axis_is_not(rate_rads):
    still = at(0 * TIME_S, TIME_S) + noise("good", len(TIME_S))
    assert (flags_of(windows_of(still + np.array([0, 0, 0, 0, 0, rate_rads]))) == Quality.AT_REST).all()
    assert not flags_of(windows_of(at(rate_rads * TIME_S, TIME_S) + noise("good", len(TIME_S)))).any()


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("rate_hz", [20, 26])
def test_noise_of_a_slower_sensor_is_noise_on_the_grid_too(chip, rate_hz):
    slow_s = np.arange(len(TIME_S) * rate_hz // RATE_HZ) / rate_hz
    slow = noise(chip, len(slow_s))
    # As the Resampler does: the spectrum ends at half the sensor's rate.
    spectrum = np.zeros((len(TIME_S) // 2 + 1, 6), complex)
    spectrum[: len(slow_s) // 2 + 1] = np.fft.rfft(slow, axis=0) * len(TIME_S) / len(slow_s)
    flags = flags_of(windows_of(np.fft.irfft(spectrum, len(TIME_S), axis=0)))
    assert (flags == Quality.AT_REST).mean() > 0.9


@pytest.mark.parametrize("sensor", [0, 1])
@pytest.mark.parametrize(("factor", "flag"), [(0.95, Quality.AT_REST), (1.05, Quality.CLEAR)])
def test_each_sensor_has_its_noise(sensor, factor, flag):
    """Spread over the axes in any way: a turned device is as much at rest."""
    for axes in ([0], [1, 2], [0, 1, 2]):
        samples = np.zeros((LENGTH, 6))
        samples[:, [3 * sensor + axis for axis in axes]] = NOISE[sensor] / np.sqrt(len(axes))
        samples[::2] *= -1
        assert flags_of(windows_of(samples * factor + 5)).tolist() == [flag]


@pytest.mark.parametrize("sensor", [0, 1])
@pytest.mark.parametrize(
    ("share", "noises", "flag"),
    [
        (ABOVE_SHARE + 0.02, 3, Quality.ABOVE_GRID),
        (ABOVE_SHARE - 0.02, 3, Quality.CLEAR),
        (0.999, 1.02, Quality.ABOVE_GRID),
        (0.8, 0.98, Quality.CLEAR),
        (0.999, 0.98, Quality.AT_REST),  # a noisy chip at rest has nearly all of its noise above the grid
        (0.999, -3, Quality.AT_REST),  # an estimate below nothing is nothing
    ],
)
def test_energy_above_the_grid_counts_where_it_is_most_and_more_than_noise(sensor, share, noises, flag):
    above = np.zeros((1, 2), np.float32)
    above[0, sensor] = np.sign(noises) * (noises * ABOVE_NOISE[sensor]) ** 2
    samples = np.zeros((LENGTH, 6))
    samples[:, 3 * sensor] = np.sqrt(abs(above[0, sensor]) * (1 / share - 1))
    samples[::2] *= -1
    assert flags_of(windows_of(samples), above[:, None].repeat(LENGTH, axis=1)).tolist() == [flag]


def test_what_shakes_above_the_grid_is_no_rest_even_where_that_is_not_the_most():
    lost = np.tile(1.01 * ABOVE_NOISE**2, (1, LENGTH, 1))
    assert flags_of(np.zeros((1, LENGTH, 6), np.float32), lost).tolist() == [Quality.ABOVE_GRID]
    assert flags_of(np.zeros((1, LENGTH, 6), np.float32)).tolist() == [Quality.AT_REST]


def test_each_window_is_judged_alone_to_the_last_bit():
    random = np.random.default_rng(3)
    # Around both thresholds, where the order of a sum would show; and numbers that no sensor gives.
    scale = random.uniform(0.9, 1.1, (1000, 1, 1)) * np.r_[[NOISE[0]] * 3, [NOISE[1]] * 3] / np.sqrt(3)
    windows = (random.normal(size=(1000, LENGTH, 6)) * scale + [0, 0, 9.8, 0, 0, 0]).astype(np.float32)
    windows[::50] *= 1e30
    above = (random.uniform(0.8, 1.2, (1000, LENGTH, 2)) * ABOVE_NOISE**2).astype(np.float32)
    for lost in (None, above):
        whole = flags_of(windows, lost)
        alone = [flags_of(windows[i : i + 1], None if lost is None else lost[i : i + 1])[0] for i in range(1000)]
        assert whole.tolist() == alone and len(set(alone)) == (2 if lost is None else 3)
    assert not flags_of(windows)[::50].any()
    assert flags_of(windows[:0]).shape == (0,)


def test_windows_stay_as_they_are_however_they_lie_in_memory():
    windows = windows_of(noise("good", 4 * LENGTH)) + np.float32(9.8)
    turned = windows.transpose(0, 2, 1).copy().transpose(0, 2, 1)
    turned.flags.writeable = False
    assert (flags_of(turned) == Quality.AT_REST).all() and (turned == windows).all()


def test_flags_are_counted_each_by_itself():
    quality = np.array([0, 1, 5, 12, 4], np.uint8)
    assert counted(quality) == {
        Quality.BRIDGED: 2,
        Quality.EDGE_TPU: 0,
        Quality.AT_REST: 3,
        Quality.ABOVE_GRID: 1,
        Quality.UNSET_CLOCK: 0,
    }
