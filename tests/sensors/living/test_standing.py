"""What stands still: dead, or at rest."""

import numpy as np
import pytest
from made_samples import COARSE, FINE, NOISE, RATE_HZ, REST, judged, resting, rounded, rows, seconds_until_said, walking

from motionsig.sensors.living import Living

FULL = np.array([78.45] * 3 + [17.45] * 3)
DEATHS = {"all": slice(0, 6), "acc": slice(0, 3), "gyr": slice(3, 6), "acc_y": slice(1, 2), "gyr_z": slice(5, 6)}


def lived(*parts: np.ndarray, rate_hz: float = RATE_HZ, step: np.ndarray = FINE) -> Living:
    living = Living(rate_hz, step)
    for part in parts:
        judged(living, part)
    assert (living.fault, living.dead) == (None, 0)
    return living


def dying(data: np.ndarray, axes: slice, value: float | None) -> np.ndarray:
    data = data.copy()
    data[:, axes] = data[0, axes] if value is None else value
    return data


@pytest.mark.parametrize("value", [None, 0.0, -0.00239], ids=["frozen", "zero", "ones"])
@pytest.mark.parametrize("what", DEATHS)
@pytest.mark.parametrize("before", ["walking", "resting"])
@pytest.mark.parametrize("rate_hz", [50.0, 100.0, 400.0])
def test_death_is_known_within_two_seconds(before: str, what: str, value: float | None, rate_hz: float) -> None:
    make = walking if before == "walking" else resting
    living = lived(make(6, rate_hz=rate_hz), rate_hz=rate_hz)
    after_s = seconds_until_said(living, dying(make(4, seed=1, rate_hz=rate_hz), DEATHS[what], value), rate_hz)
    assert living.dead == 0
    if rate_hz < 100 and before == "resting" and what.startswith("gyr"):
        # The noise of a quiet gyroscope may be below its step.
        assert after_s is None
        return
    assert after_s is not None and after_s <= 2.0
    judged(living, dying(make(2, seed=1, rate_hz=rate_hz), DEATHS[what], value))
    assert living.dead > rate_hz


@pytest.mark.parametrize("rate_hz", [12.5, 200.0])
@pytest.mark.parametrize("signal", [[0, 0, 9.80665, 0, 0, 0], REST, [2.0, 0.1, 10.6, 0.4, -0.3, 0.2]])
def test_a_coarse_sensor_at_rest_repeats_itself(rate_hz: float, signal: list[float]) -> None:
    still = rounded(np.tile(signal, (round(20 * rate_hz), 1)), COARSE)
    living = lived(still, walking(10, COARSE, 0, rate_hz=rate_hz), rate_hz=rate_hz, step=COARSE)
    assert living.doubt is None
    judged(living, still)
    assert living.dead == 0


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("step", [FINE, COARSE], ids=["fine", "coarse"])
def test_rest_and_motion_by_turns_are_no_death(noise: float, step: np.ndarray) -> None:
    living = lived(resting(20, step, noise), step=step)
    for turn in range(4):
        judged(living, walking(8, step, noise, seed=turn))
        judged(living, resting(8, step, noise, seed=turn))
    assert (living.dead, living.garbled, living.fault) == (0, 0, None)


def test_a_sudden_stop_is_proven_by_one_start() -> None:
    """A coarse sensor that is put down, or a dead one: nothing else tells."""
    living = lived(walking(6, COARSE), step=COARSE)
    stopped = rounded(np.tile([2.0, 0.1, 10.3, 0.4, -0.3, 0.2], (300, 1)), COARSE)
    after_s = seconds_until_said(living, stopped)
    assert after_s is not None and after_s <= 2
    assert living.suspected
    living.restarted()
    dead = living.dead
    assert len(judged(living, stopped).data) == len(stopped)
    assert living.fault is None and living.doubt is not None and "turn it" in living.doubt
    judged(living, walking(2, COARSE, seed=1))
    assert living.doubt is None
    # It has shown that it can rest like that.
    judged(living, stopped)
    assert (living.fault, living.dead) == (None, dead)


def test_a_dead_sensor_that_stays_dead_never_passes() -> None:
    living = lived(resting(6))
    frozen = np.tile(resting(0.01, seed=1), (300, 1))
    assert seconds_until_said(living, frozen) is not None
    for _ in range(5):
        living.restarted()
        assert len(judged(living, frozen).data) == 0
    living.restarted()
    assert len(judged(living, resting(5, seed=3)).data) > 4 * RATE_HZ


def test_what_never_changed_and_should_have_noise_is_doubted() -> None:
    living = lived(rounded(np.tile(REST, (900, 1))))
    assert living.doubt is None
    judged(living, rounded(np.tile(REST, (300, 1))))
    assert living.doubt is not None and "10 s" in living.doubt
    judged(living, walking(1))
    assert living.doubt is None


def test_a_coarse_gyroscope_that_dies_at_rest_is_doubted_and_found_in_motion() -> None:
    step = np.where(np.arange(6) < 3, FINE, COARSE)
    living = lived(walking(6, step), resting(6, step), step=step)
    judged(living, dying(resting(5, step, seed=1), DEATHS["gyr"], 0.0))
    assert (living.fault, living.doubt) == (None, None)
    judged(living, dying(resting(40, step, seed=2), DEATHS["gyr"], 0.0))
    assert living.fault is None and living.doubt is not None and "angular rate" in living.doubt
    after_s = seconds_until_said(living, dying(walking(4, step, seed=1), DEATHS["gyr"], 0.0))
    assert after_s is not None and after_s <= 2


def test_a_knock_that_rings_without_noise_is_no_noise() -> None:
    """A model: its rests are constant, so that what rings after a knock is no noise of the sensor."""
    still = rounded(np.tile(REST, (500, 1)))
    ringing = REST + np.exp(-np.arange(600) / 300)[:, None] * np.sin(np.arange(600) * 2.0)[:, None] * 0.2
    living = lived(still, rounded(ringing))
    judged(living, still)
    assert (living.fault, living.dead) == (None, 0)


def test_a_slow_turn_is_no_noise() -> None:
    turn = np.linspace(0, 0.4, 3000)[:, None]
    slow = np.hstack([9.8 * np.sin(turn), 0.4 + 0 * turn, 9.8 * np.cos(turn), np.tile([0.03, 0.02, 0.01], (3000, 1))])
    living = lived(rounded(slow), rounded(np.tile(slow[-1], (500, 1))))
    assert living.doubt is None


def test_an_axis_that_never_lived_is_told_by_the_noise_of_the_others() -> None:
    living = Living(RATE_HZ, FINE)
    data = resting(8)
    data[:, 1] = data[0, 1]
    after_s = seconds_until_said(living, data)
    assert after_s is not None and living.fault is not None and "acc_y" in living.fault


def test_an_axis_of_coarse_steps_that_takes_gravity_with_it_is_known_at_rest() -> None:
    flat = np.array([0.6, -0.4, 9.8, 0.03, -0.02, 0.01]) - REST
    living = lived(rounded(resting(6) + flat, COARSE), step=COARSE)
    after_s = seconds_until_said(living, dying(rounded(resting(4, seed=1) + flat, COARSE), slice(2, 3), 0.0))
    assert after_s is not None and after_s <= 2
    assert living.fault is not None and "acc_z" in living.fault


@pytest.mark.parametrize("axis", [0, 2])
def test_clipping_is_no_death(axis: int) -> None:
    data = walking(20)
    data[:, axis] = np.clip(data[:, axis] * 20, -78.4, 78.4)
    data[800:1200, axis] = 78.4
    for most in (None, FULL):
        living = Living(RATE_HZ, FINE, most)
        judged(living, resting(8))
        judged(living, data[:1150])
        # It may be dead, too.
        assert living.doubt is not None and f"acc_{'xyz'[axis]} stands still at 78.4, the end of its" in living.doubt
        judged(living, np.concatenate([data[1150:], walking(2)]))
        assert (living.dead, living.fault) == (0, None) and not living.doubt


@pytest.mark.parametrize("most", [None, FULL], ids=["range unknown", "range known"])
@pytest.mark.parametrize("axis", [0, 5])
def test_an_axis_that_dies_near_its_largest_value_is_not_clipped(axis: int, most: np.ndarray | None) -> None:
    """The motion fills most of the range; what it froze at was exceeded before, or is not the end of the range."""
    data = walking(12)
    data[:, axis] *= 0.9 * FULL[axis] / np.abs(data[:, axis]).max()
    data = rounded(data)
    living = Living(RATE_HZ, FINE, most)
    judged(living, data[:800])
    largest = np.abs(data[:800, axis]).max()
    side = np.sign(data[np.abs(data[:800, axis]).argmax(), axis])
    frozen = dying(data[800:], slice(axis, axis + 1), 0.99 * largest * side)
    after_s = seconds_until_said(living, rounded(frozen))
    assert after_s is not None and after_s <= 2


def test_reading_more_often_than_a_sensor_measures_is_no_death() -> None:
    data = np.repeat(np.concatenate([resting(20, rate_hz=12.5), walking(20, rate_hz=12.5)]), 8, axis=0)
    living = lived(data, data)
    # Sixteen of these may be two measurements, 160 are none.
    judged(living, np.tile(data[100], (160, 1)))
    assert living.fault is None
    assert seconds_until_said(living, np.tile(data[100], (600, 1))) is not None


def test_turning_about_gravity_changes_no_acceleration() -> None:
    living = lived(walking(6, noise=0))
    spin = np.tile([0, 0, 9.80665, 0, 0, 0], (600, 1))
    spin[:, 5] = 3 * np.sin(np.arange(600) / 20)
    spin[:, 3:] += NOISE[3:] * np.random.default_rng(0).normal(size=(600, 3))
    judged(living, rounded(spin))
    assert living.fault is None


def test_of_two_devices_joined_only_the_accelerometers_steps_are_known() -> None:
    living = lived(walking(4, FINE), step=FINE[:3])
    still = walking(4, FINE)
    still[:, 3:] = 0.01
    judged(living, still)
    assert living.fault is not None and "angular rate" in living.fault


@pytest.mark.parametrize("what", DEATHS)
def test_death_is_known_within_two_seconds_although_samples_are_lost(what: str) -> None:
    """A third of the samples is missing, in runs, as after overflows."""
    living, rate_hz = Living(400.0, FINE), 400.0
    data = np.concatenate([walking(6, rate_hz=rate_hz), dying(walking(4, seed=1, rate_hz=rate_hz), DEATHS[what], None)])
    kept = np.arange(len(data)) % 90 < 60
    times_ns = np.rint(np.arange(len(data)) * 1e9 / rate_hz).astype(np.int64)
    for at in range(0, len(data), 90):
        these = np.arange(at, min(at + 90, len(data)))
        these = these[kept[these]]
        part = rows(data[these], gap=True)
        living.push(part._replace(time_ns=times_ns[these]))
        if living.fault is not None:
            break
    assert living.fault is not None and 6 < times_ns[these[-1]] / 1e9 <= 8
