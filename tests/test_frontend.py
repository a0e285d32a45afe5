import numpy as np
import pytest

from motionsig.frontend import POSTURE_DIM, FrontEnd

FRONT_END = FrontEnd(acc_knee=3.0, gyr_knee=1.0)


def windows(motion, count):
    return motion(0, 50, count=count * 128).reshape(count, 128, 6)


def rotations(count):
    """Return (count, 3, 3) random rotations: Q of a normal matrix, determinant made 1."""
    q, r = np.linalg.qr(np.random.default_rng(1).normal(size=(count, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return q * np.linalg.det(q)[:, None, None]


def turned(data, rotation):
    return np.concatenate([data[..., :3] @ rotation.T, data[..., 3:] @ rotation.T], axis=-1).astype(np.float32)


def test_features_do_not_change_when_the_device_is_turned(motion):
    data = windows(motion, 20)
    features, _ = FRONT_END.apply(data)
    for rotation in rotations(10):
        assert np.abs(FRONT_END.apply(turned(data, rotation))[0] - features).max() < 1e-4


def test_posture_tells_which_way_is_up(motion):
    data = windows(motion, 1)
    upside_down = turned(data, np.diag([1.0, -1.0, -1.0]))
    assert FRONT_END.apply(data)[1][0, 2] > 2.5
    assert FRONT_END.apply(upside_down)[1][0, 2] < -2.5


def test_a_device_at_rest_has_no_motion():
    data = np.zeros((1, 128, 6), np.float32)
    data[:, :, 1] = -9.81
    features, posture = FRONT_END.apply(data)
    assert np.abs(features).max() < 1e-5
    assert posture[0, :3].tolist() == [0, -3, 0]


def test_nothing_clips_and_nothing_breaks():
    data = np.zeros((3, 128, 6), np.float32)
    data[0] = 1e4 * np.random.default_rng(0).normal(size=(128, 6))  # a violent knock
    data[1] = 0  # free fall: no direction of gravity
    data[2, :, 0] = 1e-20
    features, posture = FRONT_END.apply(data)
    assert np.isfinite(features).all() and np.isfinite(posture).all() and np.abs(features).max() < 1


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_a_row_depends_on_its_own_window_to_the_last_bit(motion, count):
    data = windows(motion, count)
    features, posture = FRONT_END.apply(data)
    assert features.shape == data.shape and posture.shape == (count, POSTURE_DIM)
    for row in range(0, count, 13):
        alone = FRONT_END.apply(data[row : row + 1])
        assert np.ascontiguousarray(alone[0][0]).tobytes() == np.ascontiguousarray(features[row]).tobytes()
        assert alone[1][0].tobytes() == posture[row].tobytes()
