import numpy as np
import pytest

from motionsig.frontend import FEATURE_CHANNELS, POSTURE_DIM, FrontEnd

FRONT_END = FrontEnd(acc_knee=3.0, gyr_knee=1.0, acc_full=160.0, gyr_full=35.0)


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


def test_features_tell_how_the_two_sensors_move_together():
    """A swing about a level axis: what of the acceleration goes with that axis, and what goes square to it."""
    seconds = np.arange(128) / 50
    data = np.zeros((3, 128, 6), np.float32)
    data[:, :, 2] = 9.81
    data[:, :, 3] = np.sin(4 * np.pi * seconds)
    data[0, :, 0] = data[0, :, 3]  # along the axis
    data[1, :, 1] = data[1, :, 3]  # a quarter turn ahead of it
    data[2, :, 1] = -data[2, :, 3]
    features, _ = FRONT_END.apply(data)
    same, square = features[:, :, 6], features[:, :, 7]
    assert same[0].max() > 0.05 and np.abs(same[1:]).max() < 1e-5
    assert np.abs(square[0]).max() < 1e-5
    np.testing.assert_allclose(square[1], -square[2], atol=1e-6)
    assert np.ptp(square[1]) > 0.05


def test_features_follow_the_axis_the_device_swings_about():
    """The longer peaks of the rate point along the axis, whichever way it lies in the horizontal plane."""
    seconds = np.arange(128) / 50
    swing = np.maximum(np.sin(4 * np.pi * seconds), -0.3).astype(np.float32)
    for heading in np.radians([0, 35, 120, 200, 300]):
        axis, square = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
        data = np.zeros((1, 128, 6), np.float32)
        data[:, :, 2] = 9.81
        data[0, :, 3:5] = swing[:, None] * axis
        data[0, :, 0:2] = (swing - swing.mean())[:, None] * square
        features, _ = FRONT_END.apply(data)
        acc_along, acc_square, gyr_along, gyr_square = features[0, :, 8:].T
        expected = np.copysign(np.log1p(np.abs(swing)) / np.log1p(35), swing)
        np.testing.assert_allclose(gyr_along, expected, atol=1e-4)
        assert np.abs(gyr_square).max() < 1e-4 and np.abs(acc_along).max() < 1e-4
        assert np.corrcoef(acc_square, swing)[0, 1] > 0.95


def test_posture_tells_about_which_axis_the_device_turns_and_along_which_it_moves(motion):
    data = np.zeros((1, 128, 6), np.float32)
    data[:, :, 2] = 9.81
    data[:, :, 4] = 1.0
    data[:, ::2, 0] = 5.0
    _, posture = FRONT_END.apply(data)
    assert posture[0, 8:11].tolist() == [0, 2, 0]
    spread = posture[0, 11:15]
    assert spread[0] > 3 and spread[1] > 1, "the x axis moves, then no other"
    np.testing.assert_allclose(spread[2:], 0, atol=1e-5)


def test_directions_far_apart_are_further_apart_than_near_ones():
    tilt = np.radians([0, 20, 90, 180])
    data = np.zeros((4, 128, 6), np.float32)
    data[:, :, 0], data[:, :, 2] = 9.81 * np.sin(tilt)[:, None], 9.81 * np.cos(tilt)[:, None]
    _, posture = FRONT_END.apply(data)
    distance = np.linalg.norm(posture[:, :8] - posture[0, :8], axis=1)
    assert (np.diff(distance) > 0).all()


def test_without_any_angular_rate_the_first_eight_still_do_not_change(motion):
    """No swing, no swing axis: the last four then name one that turns with the device."""
    data = windows(motion, 20)
    data[:, :, 3:] = 0
    features, _ = FRONT_END.apply(data)
    for rotation in rotations(10):
        again, _ = FRONT_END.apply(turned(data, rotation))
        assert np.abs(again - features)[:, :, :8].max() < 1e-4
        channels = FRONT_END.expand(again.transpose(0, 2, 1))
        length = np.linalg.norm(channels[:, 8:10], axis=1)
        np.testing.assert_allclose(length, channels[:, 1], rtol=1e-3, atol=1e-3)


def test_equal_ratios_are_equal_steps_and_full_scale_is_one():
    acc = np.array([0.0, 0.03, 0.06, 20, 40, 80, 160], np.float32)
    channels = np.zeros((1, FEATURE_CHANNELS, len(acc)), np.float32)
    channels[0, 0], channels[0, 3] = acc, -acc / 160 * 35
    features = channels.copy()
    FRONT_END.compand(features)
    small, large = features[0, 0, :3], features[0, 0, 3:]
    assert np.ptp(np.diff(small)) < 1e-4, "linear below the knee"
    assert np.ptp(np.diff(large)) < 0.03 and np.diff(large).min() > 0.15, "as far from 20 to 40 as from 40 to 80"
    np.testing.assert_allclose([features[0, 0, -1], features[0, 3, -1]], [1, -1], rtol=1e-6)
    np.testing.assert_allclose(FRONT_END.expand(features), channels, rtol=1e-4, atol=1e-4)


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


def test_nothing_within_full_scale_clips_and_nothing_breaks():
    data = np.zeros((4, 128, 6), np.float32)
    data[3] = 150 * np.sin(np.arange(128))[:, None] * np.array([1, 0, 0, 0.2, 0, 0])  # all that a range of 16 g holds
    data[0] = 1e4 * np.random.default_rng(0).normal(size=(128, 6))  # a violent knock
    data[1] = 0  # free fall: no direction of gravity
    data[2, :, 0] = 1e-20
    features, posture = FRONT_END.apply(data)
    assert np.isfinite(features).all() and np.isfinite(posture).all() and np.abs(features[1:]).max() < 1


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_a_row_depends_on_its_own_window_to_the_last_bit(motion, count):
    data = windows(motion, count)
    features, posture = FRONT_END.apply(data)
    assert features.shape == (count, 128, FEATURE_CHANNELS) and posture.shape == (count, POSTURE_DIM)
    for row in range(0, count, 13):
        alone = FRONT_END.apply(data[row : row + 1])
        assert np.ascontiguousarray(alone[0][0]).tobytes() == np.ascontiguousarray(features[row]).tobytes()
        assert alone[1][0].tobytes() == posture[row].tobytes()
