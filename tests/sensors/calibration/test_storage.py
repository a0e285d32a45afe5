"""A calibration stored, damaged, and chosen."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_poses import BIAS, SKEW, random_rotation

from motionsig.errors import InputError, SensorError
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import (
    FORMAT,
    calibration_path,
    choose_calibration,
    load_calibration,
    save_calibration,
)


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
    with pytest.raises(SensorError, match=rf"{path}: expected the calibration of chip, got: a folder, pipe or device"):
        load_calibration("chip")
    with pytest.raises(SensorError, match=rf"{path}: expected to store the calibration of chip, got: Is a directory"):
        save_calibration("chip", FULL)
    assert [it.name for it in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("point", ["fsync", "replace"])
def test_a_kill_before_it_is_in_place_leaves_the_old_one(state, point):
    save_calibration("chip", FULL)
    script = (
        "import os, signal\n"
        "from motionsig.sensors.calibration.model import Calibration\n"
        "from motionsig.sensors.calibration.storage import save_calibration\n"
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
