"""What no sensor reports, and what an honest one may."""

from __future__ import annotations

import numpy as np
import pytest
from made_motion import motion

from motionsig.plausibility.judge import Judge

RATE_HZ = 50.0
MOVING = np.concatenate(motion(80), axis=1)
REST = np.concatenate(motion(80, turns=0, pushes=0, seed=2), axis=1)


def stretches(data: np.ndarray, *, check_units: bool = True) -> list[tuple[int, int, str, str]]:
    judge = Judge(RATE_HZ, check_units=check_units)
    values = data.astype(np.float32)
    first = judge.push(np.arange(len(data)) * 20_000_000, values)
    last = judge.finish()
    assert last.settled == len(data) and last.wrong is None, last.wrong
    return [tuple(each) for each in (*first.lost, *last.lost)]


def frozen(data: np.ndarray, start: int, stop: int, axes: list[int] | slice = slice(None)) -> np.ndarray:
    held = data.copy()
    held[start:stop, axes] = held[start, axes]
    return held


@pytest.mark.parametrize("check_units", [True, False])
def test_motion_and_rest_are_alive(check_units: bool) -> None:
    for data in (MOVING, REST, np.concatenate([REST, MOVING, REST])):
        assert stretches(data, check_units=check_units) == []


def test_zeros_are_lost_to_the_row() -> None:
    data = MOVING.copy()
    data[700:725] = data[1000] = 0
    data[1500, :3] = 0
    assert stretches(data) == [(700, 725, "zero", "all axes"), (1000, 1001, "zero", "all axes")]


def test_all_axes_that_stand_still_in_motion_are_lost() -> None:
    assert stretches(frozen(MOVING, 900, 960)) == [(900, 960, "frozen", "all axes")]


def test_a_few_repeats_are_none() -> None:
    assert stretches(frozen(MOVING, 900, 905)) == []


@pytest.mark.parametrize(
    ("axes", "what"), [([0, 1, 2], "the accelerometer"), ([3, 4, 5], "the gyroscope"), ([4], "gyr_y")]
)
def test_one_sensor_or_axis_that_stands_still_while_the_other_moves_is_lost(axes: list[int], what: str) -> None:
    assert stretches(frozen(MOVING, 2000, 2200, axes)) == [(2000, 2200, "frozen", what)]


def test_a_sensor_with_noise_that_stands_still_at_rest_is_dead() -> None:
    assert stretches(frozen(REST, 2500, 3500)) == [(2500, 3500, "frozen", "all axes")]


def test_a_coarse_sensor_at_rest_may_stand_still_for_long() -> None:
    coarse = np.concatenate([MOVING[:1000], REST, MOVING[:1000]])
    coarse[:, :3] = (coarse[:, :3] / 0.3).round() * 0.3
    coarse[:, 3:] = coarse[:, 3:].round(1)
    coarse[1000:5000] = (0.3, 0.6, 9.9, 0, 0, 0)
    coarse[1000:5000:400, 1] += 0.3
    assert stretches(coarse) == []


def test_a_sensor_that_is_read_more_often_than_it_measures_repeats_itself() -> None:
    slow = np.repeat(MOVING[::25], 25, axis=0)
    assert stretches(slow[:4000]) == []


def test_a_clipped_sensor_is_alive() -> None:
    clipped = MOVING.copy()
    clipped[:, 0] = clipped[:, 0].clip(-3, 3)
    assert stretches(clipped) == []


def test_a_gyroscope_that_begins_late_is_lost_until_then() -> None:
    late = MOVING.copy()
    late[:3000, 3:] = 0
    assert stretches(late) == [(0, 3000, "frozen", "the gyroscope")]


def test_a_free_fall_that_turns_is_no_zero() -> None:
    falls = MOVING.copy()
    falls[700:702, :3] = 0
    assert stretches(falls) == []


def test_an_axis_that_stays_at_zero_while_hardly_anything_turns_is_a_dead_band() -> None:
    data = np.concatenate([MOVING, REST[:400], MOVING[:400]])
    still = slice(len(MOVING), len(MOVING) + 400)
    data[still, 5] = 0
    data[len(MOVING) + 200, :3] += 3.0  # a knock
    assert stretches(data) == []
    data[still, 5] = 0.013
    assert [each[3] for each in stretches(data)] == ["gyr_z"]
