"""What is no angular rate by its numbers alone."""

from __future__ import annotations

import numpy as np
import pytest
from made_motion import motion

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.plausibility.shapes import (
    alternating,
    is_computed_gravity,
    is_constant,
    is_gravity,
    is_quaternion,
    tells_apart,
)

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


def test_only_computed_gravity_keeps_its_length_while_it_turns() -> None:
    computed = (UP * STANDARD_GRAVITY).round(2)
    assert is_computed_gravity(computed, 50) and is_computed_gravity(-(UP * 0.98).round(4), 50)
    assert is_computed_gravity(np.insert(computed, 3, np.nan, axis=0), 50)
    slow, _ = motion(20, turns=0.5, pushes=0.1)
    still = np.tile(computed[:1], (500, 1)) + np.random.default_rng(2).normal(0, 1e-4, (500, 3))
    laid_down = np.concatenate([still, still[:, [1, 2, 0]]])
    for other in (ACC, slow, still, laid_down, computed[:40], computed[:0], np.zeros((500, 3))):
        assert not is_computed_gravity(other, 50)


def test_a_quaternion_has_length_1() -> None:
    four = np.column_stack([GYR, np.ones(len(GYR))])
    unit = four / np.linalg.norm(four, axis=1, keepdims=True)
    assert is_quaternion(unit.round(4)) and not is_quaternion(four) and not is_quaternion(9.81 * unit)


def test_constant_is_what_never_changes() -> None:
    assert is_constant(np.zeros((5, 3))) and is_constant(np.full(4, 7.0)) and is_constant(np.full((4, 3), np.nan))
    assert not is_constant(GYR) and not is_constant(np.array([1.0, np.nan, 2.0]))


def in_turn(*sensors: np.ndarray) -> np.ndarray:
    return np.stack(sensors, axis=1).reshape(-1, sensors[0].shape[1])


def test_rows_of_several_sensors_in_turn_are_told_from_those_of_one() -> None:
    bodies = [np.concatenate(motion(40, seed=seed), axis=1) for seed in range(3)]
    assert [alternating(body) for body in bodies] == [1, 1, 1]
    assert alternating(in_turn(*bodies[:2])) == 2
    assert alternating(in_turn(*bodies)) == 3
    assert alternating(np.repeat(bodies[0], 2, axis=0)) == 1
    assert alternating(bodies[0][:10]) == 1


def test_numbers_beside_sensors_in_turn_tell_them_apart() -> None:
    one, other = (np.concatenate(motion(40, seed=seed), axis=1) for seed in (0, 1))
    turns = np.arange(2 * len(one)) % 2
    assert tells_apart(turns, in_turn(one, other))
    assert not tells_apart(turns[: len(one)], one)  # a flag that toggles
    assert not tells_apart(np.arange(len(one)) // 500, one)  # what was done
