"""`motionsig calibrate` on logs: what is stored, said and drawn."""

import argparse

import numpy as np
import pytest
from turned import BIAS, CORNERS, FACES, GYRO_BIAS, RATE_HZ, SCALE, SKEW, Turned

from motionsig.blocks import SampleBlock
from motionsig.cli import calibrate
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError
from motionsig.recordings.native import Recorder
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import calibration_path, load_calibration, save_calibration


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


def run(*arguments):
    parser = argparse.ArgumentParser()
    calibrate.add_to(parser.add_subparsers())
    options = parser.parse_args(["calibrate", *map(str, arguments)])
    return options.command(options)


def test_one_log_of_all_poses_is_a_calibration(tmp_path, capsys):
    log = Turned(FACES + CORNERS).record(tmp_path / "poses.msig")
    assert run("--log", log, "--device", "chip-1-68") == 0
    out, err = capsys.readouterr()
    assert "good (at most 0.1)" in out and str(calibration_path("chip-1-68")) in out
    assert "x up, y up, z up, x down, y down, z down, leaning, leaning" in err
    stored = load_calibration("chip-1-68")
    assert np.allclose(stored.accel_bias, BIAS, atol=0.01) and np.allclose(stored.accel_matrix, SCALE, atol=0.001)
    assert np.allclose(stored.gyro_bias, GYRO_BIAS, atol=0.0005)
    assert stored.poses == 8 and stored.residual_after < 0.02 < 0.3 < stored.residual_before and stored.when_s > 1e9


def test_gravity_is_what_it_is_told_to_be(tmp_path):
    log = Turned(FACES + CORNERS).record(tmp_path / "poses.msig")
    assert run("--log", log, "--device", "chip", "--accel", "--gravity", 1.002 * STANDARD_GRAVITY) == 0
    assert np.allclose(np.diag(load_calibration("chip").accel_matrix), 1.002 * np.diag(SCALE), atol=0.0005)


def test_a_log_for_each_pose_does_as_well(tmp_path, capsys):
    logs = [Turned([pose], seed=seed).record(tmp_path / f"{seed}.msig") for seed, pose in enumerate(FACES + CORNERS)]
    assert run("--log", *logs, "--accel") == 0
    out = capsys.readouterr().out
    assert "not stored           --device says" in out and "gyroscope" not in out
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("turned", "message"),
    [
        (Turned(FACES[:5] + CORNERS), "expected one on each of six faces, got 7 and none with z down"),
        (Turned(FACES), "six poses decide six unknowns exactly"),
        (Turned(FACES + CORNERS, wrong=2), "expected a residual of at most 0.1 m/s²"),
        (Turned(FACES + CORNERS, matrix=SKEW), "or the axes are skewed"),
    ],
)
def test_a_bad_one_fails_and_stores_nothing(tmp_path, capsys, turned, message):
    save_calibration("chip", Calibration(poses=99))
    assert run("--log", turned.record(tmp_path / "log.msig"), "--device", "chip") == 1
    err = capsys.readouterr().err
    assert message in err and err.rstrip().endswith("nothing was stored")
    assert load_calibration("chip").poses == 99


def test_a_log_without_a_rest_says_what_moved(tmp_path, motion):
    path = tmp_path / "walk.msig"
    with Recorder(path, rate_hz=RATE_HZ, stream_id=1) as recorder:
        recorder.write(SampleBlock(np.arange(1000) * 10**7, motion(10, RATE_HZ)))
    with pytest.raises(ValueError, match=r"walk.msig: expected a rest of 2 s, got none; at its end: rest: expected "):
        run("--log", path)


def test_parts_are_added_to_what_is_stored(tmp_path, capsys):
    run("--log", Turned(FACES + CORNERS).record(tmp_path / "poses.msig"), "--device", "chip")
    first = load_calibration("chip")
    assert run("--log", Turned([(0, 0, 1), (-1, 0, 1)]).record(tmp_path / "m"), "--device", "chip", "--mount") == 0
    out = capsys.readouterr().out
    assert "front tilted up by   45.0 degrees" in out
    mounted = load_calibration("chip")
    # Raising the front brings the sensor's -x up: it points forward.
    assert np.allclose(mounted.mount, [[-1, 0, 0], [0, -1, 0], [0, 0, 1]], atol=0.003)
    assert mounted.accel_bias.tolist() == first.accel_bias.tolist() and mounted.poses == 8
    assert run("--log", Turned([(1, 2, 3)]).record(tmp_path / "g"), "--device", "chip", "--gyro") == 0
    after = load_calibration("chip")
    assert after.mount.tolist() == mounted.mount.tolist() and np.allclose(after.gyro_bias, GYRO_BIAS, atol=0.001)


def test_a_damaged_calibration_does_not_stop_a_new_one(tmp_path, capsys):
    save_calibration("chip", Calibration()).write_text("{")
    assert run("--log", Turned([(0, 0, 1)]).record(tmp_path / "g"), "--device", "chip", "--gyro") == 0
    assert "beginning anew" in capsys.readouterr().err
    assert load_calibration("chip").gyro_bias.any()


def test_a_sensor_without_gyroscope_calibrates_its_accelerometer(tmp_path, capsys):
    log = Turned(FACES + CORNERS, gyroscope=False).record(tmp_path / "poses.msig")
    picture = tmp_path / "p.png"
    assert run("--log", log, "--device", "chip", "--plot", picture) == 0
    assert "gyroscope" not in capsys.readouterr().out and not load_calibration("chip").gyro_bias.any()
    assert picture.stat().st_size > 20_000
    assert run("--log", log, "--gyro") == 1
    assert "the sensor has no gyroscope" in capsys.readouterr().err


@pytest.mark.parametrize("what", [[], ["--gyro"], ["--mount"]])
def test_the_picture_is_a_picture(tmp_path, capsys, what):
    poses = [(0, 0, 1), (1, 0, 1)] if what == ["--mount"] else FACES + CORNERS
    picture = tmp_path / "p.png"
    assert run("--log", Turned(poses).record(tmp_path / "log"), "--plot", picture, *what) == 0
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
    assert "p.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot", "out.doc"], "expected a file name ending in"),
        (["--plot", "no/such/folder/p.png"], "--plot: expected a file that can be written, got 'no/such/folder/p.png'"),
        (["--gravity", "0"], "--gravity: expected a number above 0"),
        (["--timeout", "-1"], "--timeout: expected a number above 0"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_read(arguments, message):
    with pytest.raises(InputError, match=message):
        run("--log", "not-there", *arguments)
