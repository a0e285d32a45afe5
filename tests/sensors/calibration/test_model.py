"""A calibration applied to samples, and the mounting in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_poses import BIAS, SKEW, random_rotation

from motionsig.errors import InputError
from motionsig.sensors.calibration.model import Calibration, parse_mount
from motionsig.sensors.calibration.poses import angle_deg


def test_a_mount_as_the_kernel_writes_it():
    expected = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    for text in ("0, 1, 0; -1, 0, 0; 0, 0, 1\n", "0,1,0;-1,0,0;0,0,1", "0 1 0; -1 0 0; 0 0 1", expected):
        assert parse_mount(text).tolist() == expected
    assert parse_mount(None).tolist() == np.eye(3).tolist()
    # Strings of three digits, as device trees have them, become a rotation that keeps lengths.
    rounded = parse_mount("1, 0, 0; 0, 0.866, 0.5; 0, -0.5, 0.866")
    assert np.abs(rounded @ rounded.T - np.eye(3)).max() < 1e-15 and angle_deg(rounded[1], [0, 0.866, 0.5]) < 0.01


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_any_rotation_is_a_mount_and_no_reflection_is(seed):
    rotation = random_rotation(seed)
    text = "; ".join(", ".join(f"{value:.6f}" for value in row) for row in rotation)
    assert np.allclose(parse_mount(text), rotation, atol=1e-5)
    with pytest.raises(InputError, match="got the reflection"):
        parse_mount(-rotation)
    with pytest.raises(InputError, match="expected a rotation, its rows"):
        parse_mount(rotation * 1.01)


@pytest.mark.parametrize("mount", ["", "1", "1, 0, 0; 0, 1, 0", "a, b, c; 0, 1, 0; 0, 0, 1", "1, 0; 0, 1, 0; 0, 0, 1"])
def test_a_mount_that_is_no_matrix_is_refused(mount):
    with pytest.raises(InputError, match="mount: expected 3 x 3"):
        parse_mount(mount)
    with pytest.raises(InputError, match="mount: expected 3 x 3 finite"):
        parse_mount([[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_nothing_to_do_returns_the_data_itself(motion):
    data = motion(1, 100)
    assert Calibration().apply(data) is data and Calibration().permutes_axes


@given(seed=st.integers(0, 10**6), cut=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_what_is_applied_undoes_the_errors_however_it_is_cut(seed, cut):
    random = np.random.default_rng(seed)
    truth = random.normal(0, 5, (50, 6))
    mount, gyro_bias = random_rotation(seed), random.uniform(-0.1, 0.1, 3)
    acc = truth[:, :3] @ mount @ np.linalg.inv(SKEW).T + BIAS
    data = np.hstack([acc, truth[:, 3:] @ mount + gyro_bias]).astype(np.float32)
    calibration = Calibration(gyro_bias=gyro_bias, accel_bias=BIAS, accel_matrix=SKEW, mount=mount)
    whole = calibration.apply(data)
    assert whole.dtype == np.float32 and np.allclose(whole, truth, atol=1e-4)
    parts = np.concatenate([calibration.apply(data[:cut]), calibration.apply(data[cut:])])
    assert parts.tobytes() == whole.tobytes() and not calibration.permutes_axes


def test_a_missing_gyroscope_stays_missing(motion):
    data = motion(1, 100)
    data[:, 3:] = np.nan
    out = Calibration(accel_bias=BIAS, mount=random_rotation(1)).apply(data)
    assert np.isnan(out[:, 3:]).all() and np.isfinite(out[:, :3]).all()


def test_swapped_axes_keep_their_bits(motion):
    data = motion(1, 100)
    calibration = Calibration(mount=parse_mount("0, 1, 0; -1, 0, 0; 0, 0, 1"))
    expected = data[:, [1, 0, 2, 4, 3, 5]] * np.float32([1, -1, 1, 1, -1, 1])
    assert calibration.apply(data).tobytes() == expected.tobytes() and calibration.permutes_axes
    assert not Calibration(mount=random_rotation(0)).permutes_axes
