"""Which unit an acceleration is in, and whether gravity is in it."""

from __future__ import annotations

import numpy as np
import pytest
from made_motion import motion

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.plausibility.acceleration import acc_scales

RATE_HZ = 50.0
MOVING, _ = motion(60)
AT_REST, _ = motion(60, turns=0, pushes=0)
UNITS = {"m/s^2": STANDARD_GRAVITY, "g": 1.0, "mg": 1000.0}


def poses(one: float, *, count: int = 6) -> np.ndarray:
    """Return acc of a sensor that rests on up to six of its sides for 4 s each; 1 g is `one`."""
    sides = np.concatenate([np.eye(3), -np.eye(3)])[:count] * one
    noise = np.random.default_rng(3).normal(0, 0.002 * one, (count * 200, 3))
    return np.repeat(sides, 200, axis=0) + noise


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("acc", [MOVING, AT_REST], ids=["moving", "at rest"])
def test_usual_units_are_decided_at_rest_and_in_motion(acc: np.ndarray, unit: str) -> None:
    evidence = acc_scales(acc / STANDARD_GRAVITY * UNITS[unit], RATE_HZ)
    assert (evidence.verdict, evidence.unit) == ("decided", unit)
    assert evidence.si == pytest.approx(STANDARD_GRAVITY / UNITS[unit])
    assert f"gravity is {UNITS[unit]:.5g} in {unit}" in evidence.words


@pytest.mark.parametrize("counts", [256, 2048, 4096, 8192, 16384])
def test_counts_at_rest_are_decided_and_in_motion_a_guess(counts: int) -> None:
    for acc, verdict in ((AT_REST, "decided"), (MOVING, "undecided")):
        evidence = acc_scales(np.rint(acc / STANDARD_GRAVITY * counts), RATE_HZ)
        assert (evidence.verdict, evidence.unit) == (verdict, f"1/{counts} g")
        assert evidence.si == pytest.approx(STANDARD_GRAVITY / counts)


def test_any_scale_is_decided_by_many_orientations_and_asked_about_with_few() -> None:
    evidence = acc_scales(poses(733.0), RATE_HZ)
    assert evidence.verdict == "decided" and evidence.si == pytest.approx(STANDARD_GRAVITY / 733, rel=1e-3)
    few = acc_scales(poses(733.0, count=2), RATE_HZ)
    assert few.verdict == "undecided" and few.si == pytest.approx(STANDARD_GRAVITY / 733, rel=1e-3)


def test_whole_numbers_near_1000_may_be_two_units() -> None:
    evidence = acc_scales(np.rint(AT_REST / STANDARD_GRAVITY * 1024), RATE_HZ)
    assert (evidence.verdict, evidence.unit) == ("undecided", "1/1024 g")
    assert evidence.si == pytest.approx(STANDARD_GRAVITY / 1024)
    assert acc_scales(np.rint(AT_REST / STANDARD_GRAVITY * 1000), RATE_HZ).unit == "mg"


@pytest.mark.parametrize("scale", [1.0, 1 / STANDARD_GRAVITY])
def test_an_acceleration_without_gravity_is_said_so(scale: float) -> None:
    pushed = motion(60, turns=0, pushes=3)[0]
    evidence = acc_scales((pushed - pushed.mean(axis=0)) * scale, RATE_HZ)
    assert evidence.verdict == "impossible" and "gravity seems removed" in evidence.words


def test_a_slow_arm_without_gravity_is_not_taken_for_g() -> None:
    time = np.arange(3000) / RATE_HZ
    slow = np.stack([np.sin(0.9 * time), np.cos(0.7 * time), np.sin(1.1 * time + 1)], axis=1)
    assert acc_scales(slow, RATE_HZ).verdict != "decided"


def test_nothing_and_what_never_changes_show_no_unit() -> None:
    assert acc_scales(np.full((100, 3), np.nan), RATE_HZ).verdict == "undecided"
    assert acc_scales(np.zeros((0, 3)), RATE_HZ).verdict == "undecided"
    assert "never changes" in acc_scales(np.tile([0, 0, 9.81], (500, 1)), RATE_HZ).words


def test_a_row_missing_in_each_window_and_zeros_before_the_start_do_not_change_the_answer() -> None:
    holed = AT_REST.copy()
    holed[::20] = np.nan
    assert acc_scales(holed, RATE_HZ).unit == "m/s^2"
    for late in (AT_REST, MOVING):
        assert acc_scales(np.concatenate([np.zeros((len(late), 3)), late]), RATE_HZ).unit == "m/s^2"


def test_missing_rows_do_not_change_the_answer() -> None:
    holed = AT_REST.copy()
    holed[::700] = np.nan
    holed[350::700] = 1e300
    assert acc_scales(holed, RATE_HZ).unit == "m/s^2"
