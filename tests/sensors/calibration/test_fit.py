"""Bias, scale, skew and mounting from poses, and which poses prove them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_poses import BIAS, CORNERS, EDGES, FACE_POSES, SCALE, SKEW, measured, random_rotation

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError
from motionsig.sensors.calibration.fit import GOOD_RESIDUAL, fit_accelerometer, fit_gyro_bias, fit_mount
from motionsig.sensors.calibration.poses import FACES, missing_faces, untested_faces


def test_the_bias_of_a_gyroscope():
    assert fit_gyro_bias([0.1, -0.2, 0.05]).tolist() == [0.1, -0.2, 0.05]
    assert fit_gyro_bias([[0.1, 0, 0], [0.11, 0, 0], [0.102, 0, 0]])[0] == 0.102


@pytest.mark.parametrize(
    ("poses", "message"),
    [
        ([[np.nan] * 3], "has no gyroscope"),
        (np.empty((0, 3)), "has no gyroscope"),
        ([[0.1, 0, 0], [0.2, 0, 0], [0.1, 0, 0]], "turned slowly"),
        ([[1.0, 0, 0]], "range or unit"),
    ],
)
def test_what_is_no_bias_is_refused(poses, message):
    with pytest.raises(InputError, match=message):
        fit_gyro_bias(poses)


@given(
    seed=st.integers(0, 10**6),
    bias=st.tuples(*[st.floats(-1.5, 1.5)] * 3),
    scale=st.tuples(*[st.floats(0.92, 1.08)] * 3),
    noise=st.floats(0, 0.01),
)
@settings(max_examples=60, deadline=None)
def test_bias_and_scale_come_back_to_the_noise(seed, bias, scale, noise):
    poses = measured(np.vstack([FACE_POSES, CORNERS]), np.array(bias), np.diag(scale), noise, seed)
    fit = fit_accelerometer(poses)
    assert np.abs(fit.bias - bias).max() <= 4 * noise + 1e-6
    assert np.abs(np.diag(fit.matrix) - scale).max() <= 4 * noise / STANDARD_GRAVITY + 1e-6
    assert np.abs(fit.matrix - np.diag(np.diag(fit.matrix))).max() == 0
    assert fit.residual_after <= 8 * noise + 1e-6 and fit.untested == ()
    if np.abs(fit.error_before[6:]).max() > 0.05:
        assert fit.failure is None


@given(seed=st.integers(0, 10**6), tilt=st.floats(0, 0.25))
@settings(max_examples=30, deadline=None)
def test_nothing_has_to_be_level_and_the_order_does_not_matter(seed, tilt):
    random = np.random.default_rng(seed)
    directions = np.vstack([FACE_POSES, CORNERS])
    directions = directions + random.uniform(-tilt, tilt, directions.shape)
    poses = measured(directions, BIAS / 2)
    fit = fit_accelerometer(poses[random.permutation(8)])
    assert np.allclose(fit.bias, BIAS / 2, atol=1e-6) and np.allclose(fit.matrix, SCALE, atol=1e-6)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_skew_is_found_where_six_poses_lean(seed):
    fit = fit_accelerometer(measured(np.vstack([FACE_POSES, EDGES]), BIAS, SKEW, 0.003, seed))
    assert np.abs(fit.matrix - SKEW).max() < 0.002 and np.abs(fit.bias - BIAS).max() < 0.015
    assert fit.residual_after < 0.04 and fit.failure is None


def test_skew_shows_in_the_residual_where_two_poses_lean():
    fit = fit_accelerometer(measured(np.vstack([FACE_POSES, CORNERS]), BIAS, SKEW))
    assert fit.residual_after > 0.25
    assert "the axes are skewed" in fit.failure


@pytest.mark.parametrize("face", range(6))
@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_a_wrong_face_shows_in_the_residual(face, factor):
    poses = measured(np.vstack([FACE_POSES, CORNERS]))
    poses[face] *= factor
    assert fit_accelerometer(poses).failure is not None


def test_the_residual_is_the_error_of_a_fit_without_the_pose():
    poses = measured(np.vstack([FACE_POSES, CORNERS]), noise=0.02, seed=3)
    fit = fit_accelerometer(poses)
    for left_out in (6, 7):
        other = fit_accelerometer(np.delete(poses, left_out, axis=0))
        unseen = np.linalg.norm(other.matrix @ (poses[left_out] - other.bias)) - STANDARD_GRAVITY
        assert fit.error_after[left_out] == pytest.approx(unseen, rel=0.02, abs=1e-4)


def test_six_poses_alone_prove_nothing_and_five_name_what_is_missing():
    fit = fit_accelerometer(measured(FACE_POSES))
    assert np.isnan(fit.residual_after) and fit.untested == FACES and np.allclose(fit.bias, BIAS)
    assert "nothing is left that could show an error" in fit.failure
    for face, name in enumerate(FACES):
        poses = measured(np.vstack([np.delete(FACE_POSES, face, axis=0), CORNERS]))
        with pytest.raises(InputError, match=f"one on each of six faces, got 7 and none with {name}"):
            fit_accelerometer(poses)
    with pytest.raises(InputError, match="got 0 and none with x up, y up, z up, x down, y down, z down"):
        fit_accelerometer(np.empty((0, 3)))


def test_a_doubled_pose_takes_no_other_ones_place():
    doubled = np.vstack([FACE_POSES[:5], FACE_POSES[:1]])
    assert missing_faces(measured(doubled)) == ("z down",)
    with pytest.raises(InputError, match="none with z down"):
        fit_accelerometer(measured(doubled))
    # With all faces it is one more equation, and proves nothing either.
    fit = fit_accelerometer(measured(np.vstack([FACE_POSES, FACE_POSES[:1]])))
    assert np.allclose(fit.bias, BIAS) and np.isnan(fit.residual_after) and fit.failure


def test_one_leaning_pose_proves_the_faces_it_leans_to():
    assert untested_faces(measured(np.vstack([FACE_POSES, CORNERS[:1]]))) == ("x down", "y down", "z down")
    assert untested_faces(measured(FACE_POSES)) == FACES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda poses: poses / STANDARD_GRAVITY,
            "pose 1: expected .* another unit, another range, or gravity was removed",
        ),
        (lambda poses: poses * 0.8, "no chip is so far off"),
        (lambda poses: poses + np.array([4.5, 0, 0]), "no chip is so far off"),
        (lambda poses: np.where(np.arange(8)[:, None] == 3, np.nan, poses), "pose 4: expected"),
    ],
)
def test_what_cannot_be_gravity_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        fit_accelerometer(change(measured(np.vstack([FACE_POSES, CORNERS]), BIAS / 4, np.eye(3))))


def test_a_calibration_that_makes_it_worse_is_not_good():
    poses = measured(np.vstack([FACE_POSES, CORNERS]), np.zeros(3), np.eye(3))
    poses[0] *= 1.02
    fit = fit_accelerometer(poses)
    assert GOOD_RESIDUAL / 3 < fit.residual_after < GOOD_RESIDUAL and "than before (0.000 m/s²)" in fit.failure


@given(seed=st.integers(0, 10**6), tilt=st.floats(25, 90))
@settings(max_examples=40, deadline=None)
def test_the_mount_turns_the_sensor_into_the_device(seed, tilt):
    mount = random_rotation(seed)
    angle = np.radians(tilt)
    level, nose_up = np.array([[0, 0, 1], [np.sin(angle), 0, np.cos(angle)]]) * STANDARD_GRAVITY @ mount
    found = fit_mount(level, nose_up)
    assert np.allclose(found, mount, atol=1e-9)
    assert np.allclose(found @ found.T, np.eye(3)) and np.linalg.det(found) == pytest.approx(1)


@pytest.mark.parametrize("tilt", [0, 5, 19, 161, 180])
def test_two_poses_too_near_tell_no_direction(tilt):
    angle = np.radians(tilt)
    with pytest.raises(InputError, match=rf"tilted by 20 to 160 degrees from the first, got {tilt}\.0"):
        fit_mount([0, 0, 9.8], [9.8 * np.sin(angle), 0, 9.8 * np.cos(angle)])
