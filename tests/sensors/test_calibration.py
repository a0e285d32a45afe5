import itertools
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.blocks import SampleBlock
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError, SensorError
from motionsig.sensors.calibration import (
    FACES,
    FORMAT,
    GOOD_RESIDUAL,
    Calibration,
    Rest,
    angle_deg,
    calibration_path,
    choose_calibration,
    face_of,
    find_rests,
    fit_accelerometer,
    fit_gyro_bias,
    fit_mount,
    load_calibration,
    missing_faces,
    parse_mount,
    rest,
    save_calibration,
    untested_faces,
)

FACE_POSES = np.vstack([np.eye(3), -np.eye(3)])
CORNERS = np.array([[1.0, 1, 1], [-1, -1, -1]])
EDGES = np.array([[1.0, 1, 0], [-1, 1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, -1, 1]])
BIAS, SCALE = np.array([0.4, -0.3, 0.7]), np.diag([1.02, 0.97, 1.01])
SKEW = SCALE + 0.02 * np.array([[0, 1, 0.8], [1, 0, 0.7], [0.8, 0.7, 0]])


def measured(directions, bias=BIAS, matrix=SCALE, noise=0.0, seed=0):
    """What a sensor whose calibration is (bias, matrix) reads at rest."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    random = np.random.default_rng(seed)
    return unit * STANDARD_GRAVITY @ np.linalg.inv(matrix).T + bias + random.normal(0, noise, unit.shape)


def still(seconds=2.0, rate_hz=100, mean=(0, 0, 9.8, 0.02, -0.01, 0), noise=0.05, seed=0):
    random = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    return (np.array(mean) + random.normal(0, 1, (count, 6)) * ([noise] * 3 + [noise / 25] * 3)).astype(np.float32)


def random_rotation(seed):
    matrix, upper = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix *= np.sign(np.diag(upper))
    return matrix * np.sign(np.linalg.det(matrix))


# Rest


@given(seed=st.integers(0, 10**6), rate_hz=st.sampled_from([25, 52, 100, 416, 1000]), noise=st.floats(0, 0.15))
@settings(max_examples=40, deadline=None)
def test_the_mean_at_rest_is_as_good_as_the_noise_allows(seed, rate_hz, noise):
    mean = np.array([1.0, -2, 9.5, 0.1, -0.2, 0.05])
    # The slower the sensor, the less of the noise is in its band.
    noise *= min(1, (rate_hz / 100) ** 0.5)
    data = still(3, rate_hz, mean, noise, seed)
    error = rest(data, rate_hz).mean - mean
    assert (np.abs(error) < 6 * np.array([noise] * 3 + [noise / 25] * 3) / np.sqrt(len(data)) + 1e-6).all()


def test_a_knock_in_the_middle_is_left_out():
    data = still()
    clean = rest(data, 100).mean
    data[90:110] += np.float32([30, -20, 40, 3, 2, 1])
    found = rest(data, 100)
    assert np.abs(found.mean - clean).max() < 0.02 and np.abs(found.data[:, 0]).max() < 1 and len(found.data) == 150


def test_what_moved_is_named_with_how_much():
    turned = still()
    turned[:, 4] += np.linspace(0, 0.4, 200, dtype=np.float32)
    with pytest.raises(InputError, match=r"expected gyr_y steady within 0.03 rad/s, got 0\.\d+: it moved in"):
        rest(turned, 100)
    shaken = still()
    shaken[:, 2] += np.float32(2) * np.sin(np.arange(200) * 0.8).astype(np.float32)
    with pytest.raises(InputError, match=r"expected acc_z quiet within 0.3 m/s², got 1\.\d+: it moved in 2 of 2 s"):
        rest(shaken, 100)


def test_two_poses_in_one_stretch_are_no_rest():
    for first in (75, 100, 125):
        data = still()
        data[first:, :3] = still(mean=(9.8, 0, 0, 0, 0, 0))[first:, :3]
        with pytest.raises(InputError, match="moved"):
            rest(data, 100)


def test_samples_that_are_missing_are_left_out_and_a_missing_gyroscope_stays_missing():
    data = still(mean=(0, 0, 9.8, 0.02, -0.01, 0))
    data[::7, 1] = np.nan
    assert np.abs(rest(data, 100).mean - (0, 0, 9.8, 0.02, -0.01, 0)).max() < 0.03
    data[:, 3:] = np.nan
    assert np.isnan(rest(data, 100).mean).tolist() == [False] * 3 + [True] * 3


def test_too_little_is_refused():
    for data in (still(0.5), np.empty((0, 6)), np.full((500, 6), np.nan)):
        with pytest.raises(InputError, match="expected 100 samples of acceleration or more, got"):
            rest(data, 100)


@given(cuts=st.lists(st.integers(0, 1800), max_size=12))
@settings(max_examples=20, deadline=None)
def test_rests_are_found_however_the_samples_are_cut(cuts):
    rng = np.random.default_rng(1)
    moving = rng.normal(0, 4, (300, 6)).astype(np.float32)
    data = np.concatenate([still(3), moving, still(4, mean=(9.8, 0, 0, 0, 0, 0)), moving, still(4), moving[:100]])
    time_ns = np.arange(len(data)) * 10**7
    edges = sorted({0, *cuts, len(data)})
    blocks = [SampleBlock(time_ns[a:b], data[a:b]) for a, b in itertools.pairwise(edges)]
    steps = list(find_rests(blocks, 100))
    found = [step for step in steps if isinstance(step, Rest)]
    assert [face_of(it.mean[:3]) for it in found] == ["z up", "x up", "z up"]
    assert len(steps) == (len(data) - 200) // 25 + 1 and sum(step is None for step in steps) > 10
    assert all(150 <= len(it.data) <= 200 and it.data.std(axis=0).max() < 0.1 for it in found)


def test_a_silent_sensor_ends_a_rest():
    block = SampleBlock(np.arange(300) * 10**7, still(3))
    empty = SampleBlock(np.empty(0, np.int64), np.empty((0, 6), np.float32))
    kinds = [type(step) for step in find_rests([block, empty, block], 100)]
    assert kinds.count(InputError) == 1 and kinds.count(Rest) == 2


# Gyroscope


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


# Accelerometer


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


# Mount


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


# Applied


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


# Stored


@pytest.fixture
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


FULL = Calibration(
    gyro_bias=np.array([0.01, -0.02, 1e-17]),
    accel_bias=BIAS,
    accel_matrix=SKEW,
    mount=random_rotation(5),
    residual_before=0.7123456789012345,
    residual_after=0.01,
    poses=8,
    when_s=1.7e9,
)


def test_what_is_stored_comes_back_to_the_bit(state):
    assert load_calibration("lsm6dsox-1-6a") is None
    path = save_calibration("lsm6dsox-1-6a", FULL)
    assert path == state / "calibrations" / "lsm6dsox-1-6a.json" and path.stat().st_mode & 0o777 == 0o644
    back = load_calibration("lsm6dsox-1-6a")
    for name in ("gyro_bias", "accel_bias", "accel_matrix", "mount"):
        assert getattr(back, name).tobytes() == getattr(FULL, name).tobytes(), name
    assert (back.residual_before, back.residual_after, back.poses, back.when_s) == (0.7123456789012345, 0.01, 8, 1.7e9)
    save_calibration("lsm6dsox-1-6a", Calibration())
    assert load_calibration("lsm6dsox-1-6a").residual_after is None
    assert [it.name for it in path.parent.iterdir()] == [path.name]


def test_where_it_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/elsewhere")
    assert calibration_path("a").parent == tmp_path / "calibrations"
    assert calibration_path("../../etc/passwd").parent == tmp_path / "calibrations"
    assert len({calibration_path(name) for name in ("a/b", "a_b", "a:b", "x" * 200, "x" * 201)}) == 5
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert calibration_path("a") == tmp_path / "xdg" / "motionsig" / "calibrations" / "a.json"


def _changed(**changes):
    def damage(text):
        return json.dumps({**json.loads(text), **changes}).encode()

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: b"", "got a damaged file"),
        (lambda text: text[: len(text) // 2], "got a damaged file"),
        (lambda text: b"\xff\x00" + text, "got a damaged file"),
        (lambda text: b"[" * 60_000, "got a damaged file"),
        (lambda text: b"\0" * len(text), "got a damaged file"),
        (lambda text: b"[]", "got something else"),
        (lambda text: b'{"a": 1}', "got something else"),
        (_changed(**{FORMAT: 2}), "expected version 1 of motionsig-calibration, got 2"),
        (_changed(device="bmi160-1-68"), "expected the calibration of chip, got that of 'bmi160-1-68'"),
        (_changed(accel_bias=[0.1, 0.2]), "accel_bias expected of shape"),
        (_changed(accel_bias=[0.1, "x", 0.3]), "damaged one"),
        (_changed(accel_bias=[0.1, None, 0.3]), "damaged one"),
        (_changed(accel_bias=[0.1, float("inf"), 0.3]), "accel_bias expected"),
        (_changed(gyro_bias=[9, 0, 0]), "gyro_bias expected"),
        (_changed(gyro_bias=[10**400, 0, 0]), "damaged one"),
        (_changed(accel_matrix=[[0, 1, 0], [1, 0, 0], [0, 0, 1]]), "near the identity"),
        (_changed(mount=[[0, 1, 0], [1, 0, 0], [0, 0, 1]]), "reflection"),
        (_changed(residual_after="good"), "damaged one"),
        (_changed(poses=None), "damaged one"),
        (lambda text: text.replace(b'"mount"', b'"mouth"'), "damaged one: 'mount'"),
    ],
)
def test_a_damaged_file_is_one_sentence_that_names_it(state, damage, message):
    path = save_calibration("chip", FULL)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SensorError, match=message) as caught:
        load_calibration("chip")
    assert str(path) in str(caught.value) and "motionsig calibrate" in str(caught.value)


@given(position=st.integers(0, 700), junk=st.binary(min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_random_damage_is_noticed_or_harmless(tmp_path_factory, position, junk):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(folder))
        path = save_calibration("chip", FULL)
        text = path.read_bytes()
        path.write_bytes(text[:position] + junk + text[position + len(junk) :])
        try:
            calibration = load_calibration("chip")
        except SensorError:
            return
    assert np.isfinite(calibration.apply(np.ones((3, 6), np.float32))).all()


def test_what_cannot_be_read_or_written_names_the_file(state):
    path = calibration_path("chip")
    path.mkdir(parents=True)
    with pytest.raises(SensorError, match=rf"{path}: expected the calibration of chip, got: Is a directory"):
        load_calibration("chip")
    with pytest.raises(SensorError, match=rf"{path}: expected to store the calibration of chip, got: Is a directory"):
        save_calibration("chip", FULL)
    assert [it.name for it in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("point", ["fsync", "replace"])
def test_a_kill_before_it_is_in_place_leaves_the_old_one(state, point):
    save_calibration("chip", FULL)
    script = (
        "import os, signal\n"
        "from motionsig.sensors.calibration import Calibration, save_calibration\n"
        f"os.{point} = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)\n"
        "save_calibration('chip', Calibration())\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"STATE_DIRECTORY": str(state)}, check=False
    )
    assert child.returncode == -signal.SIGKILL
    assert load_calibration("chip").poses == 8
    save_calibration("chip", Calibration())
    assert load_calibration("chip").poses == 0


def test_which_calibration_is_applied(state):
    assert choose_calibration(None, None, "chip").permutes_axes
    save_calibration("chip", FULL)
    assert choose_calibration(None, None, "chip").poses == 8
    assert choose_calibration("none", None, "chip").permutes_axes
    other = Calibration(poses=3)
    assert choose_calibration(other, None, "chip") is other
    mounted = choose_calibration(None, "0, 1, 0; -1, 0, 0; 0, 0, 1", "chip")
    assert mounted.accel_bias.tolist() == BIAS.tolist() and mounted.mount[0].tolist() == [0, 1, 0]
    with pytest.raises(InputError, match="expected a Calibration"):
        choose_calibration("file.json", None, "chip")
