"""What is no angular rate by its numbers alone."""

from __future__ import annotations

import numpy as np
import pytest
from made_motion import motion

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.plausibility import is_constant, is_gravity, is_quaternion

ACC, GYR = motion(20)
UP = ACC / np.linalg.norm(ACC, axis=1, keepdims=True)


@pytest.mark.parametrize("length", [1, STANDARD_GRAVITY, 1000])
def test_a_vector_of_constant_length_is_gravity_whatever_its_unit(length: float) -> None:
    assert is_gravity((UP * length).round(2))
    with_hole = (UP * length).astype(np.float32)
    with_hole[3] = np.nan
    assert is_gravity(with_hole)


def test_an_acceleration_an_angular_rate_and_a_vector_of_another_length_are_no_gravity() -> None:
    for other in (ACC, GYR, UP * 2, UP[:1], UP[:0]):
        assert not is_gravity(other)


def test_a_quaternion_has_length_1() -> None:
    four = np.column_stack([GYR, np.ones(len(GYR))])
    unit = four / np.linalg.norm(four, axis=1, keepdims=True)
    assert is_quaternion(unit.round(4)) and not is_quaternion(four) and not is_quaternion(9.81 * unit)


def test_constant_is_what_never_changes() -> None:
    assert is_constant(np.zeros((5, 3))) and is_constant(np.full(4, 7.0)) and is_constant(np.full((4, 3), np.nan))
    assert not is_constant(GYR) and not is_constant(np.array([1.0, np.nan, 2.0]))
