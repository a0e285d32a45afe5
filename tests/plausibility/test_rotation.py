"""Which unit an angular rate is in, and whether its axes are those of the accelerometer."""

from __future__ import annotations

import numpy as np
import pytest
from made_motion import motion

from motionsig.plausibility.rotation import gyr_scales, turns

RATE_HZ = 50.0
ACC, GYR = motion(120)
_NOISE = np.random.default_rng(5).normal(0, 1, (6000, 6))
REST_ACC, REST_GYR = (0, 0, 9.81) + 0.02 * _NOISE[:, :3], (0.02, -0.01, 0) + 0.003 * _NOISE[:, 3:]


@pytest.mark.parametrize(("unit", "of_rad"), [("rad/s", 1.0), ("deg/s", 180 / np.pi), ("mdps", 180_000 / np.pi)])
@pytest.mark.parametrize("swings", [1.0, 6.0])
def test_turns_show_the_unit(unit: str, of_rad: float, swings: float) -> None:
    acc, gyr = (ACC, GYR) if swings == 1 else motion(120, turns=swings, pushes=3, seed=4)
    evidence = gyr_scales(acc, gyr * of_rad, RATE_HZ)
    assert (evidence.verdict, evidence.unit) == ("decided", unit), evidence.words
    assert evidence.si == pytest.approx(1 / of_rad)


def test_the_sign_of_the_acceleration_changes_nothing() -> None:
    assert gyr_scales(-ACC, GYR, RATE_HZ).unit == gyr_scales(ACC, GYR, RATE_HZ).unit == "rad/s"


def test_offset_and_noise_at_rest_show_degrees_and_leave_radians_open() -> None:
    degrees = gyr_scales(REST_ACC, np.degrees(REST_GYR), RATE_HZ)
    assert (degrees.verdict, degrees.unit) == ("decided", "deg/s"), degrees.words
    radians = gyr_scales(REST_ACC, REST_GYR, RATE_HZ)
    assert (radians.verdict, radians.unit) == ("undecided", "rad/s")
    assert "deg/s or rad/s" in radians.words


@pytest.mark.parametrize("per", [131, 65.5, 32.8, 16.4])
def test_counts_are_never_taken_for_another_range(per: float) -> None:
    counts = np.rint(np.degrees(GYR) * per)
    evidence = gyr_scales(ACC, counts, RATE_HZ)
    # Ranges are a factor of 2 apart: the guess is the true one or its neighbour, and never taken without asking.
    assert evidence.verdict == "undecided" and "counts" in evidence.words
    assert 0.4 < evidence.si / (np.pi / 180 / per) < 2.5


def test_axes_that_are_exchanged_are_named() -> None:
    wrong = np.stack([GYR[:, 1], -GYR[:, 0], GYR[:, 2]], axis=1)
    evidence = gyr_scales(ACC, wrong, RATE_HZ)
    assert evidence.verdict == "impossible"
    assert "(-gyr_y, gyr_x, gyr_z) would fit as x, y, z" in evidence.words


@pytest.mark.parametrize(("seconds", "swings"), [(36, 1.0), (120, 1.0), (60, 3.0)])
def test_a_gyroscope_turned_the_wrong_way_is_not_taken_for_one_that_hardly_turns(seconds: int, swings: float) -> None:
    acc, gyr = motion(seconds, turns=swings)
    evidence = gyr_scales(acc, -gyr, RATE_HZ, {"rad/s": 1.0})
    assert (evidence.verdict, evidence.unit) == ("impossible", "rad/s"), evidence.words
    assert "(-gyr_x, -gyr_y, -gyr_z) would fit as x, y, z" in evidence.words
    degrees = gyr_scales(acc, np.degrees(gyr), RATE_HZ, {"rad/s": 1.0})
    assert (degrees.verdict, degrees.unit) == ("decided", "deg/s"), degrees.words


def test_a_gyroscope_that_is_not_there_and_numbers_of_no_unit() -> None:
    assert "never changes" in gyr_scales(ACC, np.zeros_like(GYR), RATE_HZ).words
    assert gyr_scales(ACC, GYR * 1e9, RATE_HZ).verdict == "impossible"
    assert gyr_scales(ACC, GYR * 1e-9, RATE_HZ).verdict == "undecided"
    assert gyr_scales(ACC, np.full_like(GYR, np.nan), RATE_HZ).verdict == "undecided"
    assert "at 2 Hz" in gyr_scales(ACC[::25], GYR[::25], 2).words


def test_windows_with_missing_rows_are_not_asked() -> None:
    holed = GYR.copy()
    holed[100] = np.nan
    assert len(turns(ACC, holed, RATE_HZ).acc) == len(turns(ACC, GYR, RATE_HZ).acc) - 1


def test_what_pushes_a_drone_turns_with_it_and_does_not_decide() -> None:
    # |acc| along one axis of the body, whichever way it turns.
    thrust = np.tile([0.0, 0.0, 9.81], (len(GYR), 1)) + np.random.default_rng(0).normal(0, 0.1, GYR.shape)
    assert (
        gyr_scales(thrust, 0.3 * GYR, RATE_HZ).unit == "rad/s"
        or gyr_scales(thrust, 0.3 * GYR, RATE_HZ).verdict != "decided"
    )


@pytest.mark.parametrize("damage", [1e300, np.inf, np.nan])
def test_damaged_numbers_do_not_hide_the_unit(damage: float) -> None:
    gyr, acc = GYR.copy(), ACC.copy()
    gyr[70, 1] = acc[900, 2] = damage
    evidence = gyr_scales(acc, gyr, RATE_HZ)
    assert (evidence.verdict, evidence.unit) == ("decided", "rad/s")
    for nothing in (np.full_like(GYR, damage), GYR[:0]):
        assert gyr_scales(ACC[: len(nothing)], nothing, RATE_HZ).verdict == "undecided"
    assert gyr_scales(np.full_like(ACC, damage), GYR, RATE_HZ).verdict == "undecided"
