import argparse

import numpy as np
import pytest
from chips import chip_model

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.cli import calibrate
from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.errors import InputError, SensorError
from motionsig.recordings.native import Recorder
from motionsig.sensors import open_sensor
from motionsig.sensors.calibration import (
    Calibration,
    Rest,
    calibration_path,
    find_rests,
    load_calibration,
    save_calibration,
)
from motionsig.sensors.simulated import SimulatedBus, VirtualClock

RATE_HZ = 100
FACES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0), (0, 0, -1)]
CORNERS = [(1, 1, 1), (-1, -1, -1)]
EDGES = [(1, -1, 0), (0, 1, -1), (1, 0, -1), (-1, 0.9, 0.2)]
BIAS, GYRO_BIAS = np.array([0.3, -0.2, 0.6]), np.array([0.02, -0.03, 0.01])
SCALE = np.diag([1.02, 0.98, 1.01])
SKEW = SCALE + 0.02 * np.array([[0, 1, 0.8], [1, 0, 0.7], [0.8, 0.7, 0]])


class Turned:
    """A sensor of known errors, turned from pose to pose: 3 s at rest in each, a second of motion between."""

    def __init__(self, poses, *, matrix=SCALE, gyroscope=True, seconds=3.0, wrong=None, seed=0):
        random = np.random.default_rng(seed)
        rows, between = round(seconds * RATE_HZ), RATE_HZ
        parts = []
        for index, pose in enumerate(poses):
            acc = np.array(pose) / np.linalg.norm(pose) * STANDARD_GRAVITY @ np.linalg.inv(matrix).T + BIAS
            if index == wrong:
                acc *= 1.05
            still = np.hstack([acc, GYRO_BIAS]) + random.normal(0, 1, (rows, 6)) * ([0.03] * 3 + [0.002] * 3)
            parts += [still, random.normal(0, 3, (between, 6))]
        self.data = np.concatenate(parts).astype(np.float32)
        if not gyroscope:
            self.data[:, 3:] = np.nan
        self.rate_hz = float(RATE_HZ)
        self.info = SourceInfo("turned", "made", 7, device="turned-1")

    def __iter__(self):
        for first in range(0, len(self.data), 13):
            data = self.data[first : first + 13]
            yield SampleBlock(10**18 + (np.arange(len(data)) + first) * (10**9 // RATE_HZ), data)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return None

    def record(self, path):
        with Recorder(path, rate_hz=RATE_HZ, stream_id=1) as recorder:
            for block in self:
                recorder.write(block)
        return path


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


def run(*arguments):
    parser = argparse.ArgumentParser()
    calibrate.add_to(parser.add_subparsers())
    options = parser.parse_args(["calibrate", *map(str, arguments)])
    return options.command(options)


def plan(what="all", skew=False):
    return calibrate._plan(what, skew)


# Logs


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
        (["--gravity", "0"], "--gravity: expected a number above 0"),
        (["--timeout", "-1"], "--timeout: expected a number above 0"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_read(arguments, message):
    with pytest.raises(InputError, match=message):
        run("--log", "not-there", *arguments)


# A live sensor


def test_the_person_is_told_what_is_still_to_come(capsys):
    order = [FACES[0], FACES[0], CORNERS[0], *FACES[1:], CORNERS[0], CORNERS[1]]
    rests = calibrate.gather(Turned(order), plan(), timeout_s=60)
    assert len(rests) == 8
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "lay it on another face, in any order; still to come: x up, y up, z up, x down, y down, z down"
    assert said[1].startswith("pose 1: x up, |acc| 9.9") and said[2].endswith("y up, z up, x down, y down, z down")
    assert said[3].startswith("x up again: that one is there already")
    assert said[-3:-1] == [
        "lean it on a corner, with these axes well off level: x down, y down, z down",
        "leaning again: that one is there already; " + said[-3],
    ]
    assert said[-1].startswith("pose 8: leaning")
    result = calibrate.fit("all", rests, Calibration(), gravity=STANDARD_GRAVITY)
    assert result.failure is None and np.allclose(result.calibration.accel_bias, BIAS, atol=0.02)


def test_it_asks_for_more_leaning_poses_where_skew_is_wanted(capsys):
    rests = calibrate.gather(Turned(FACES + CORNERS + EDGES, matrix=SKEW), plan(skew=True), timeout_s=60)
    assert len(rests) == 12
    assert "lean it in another way, on an edge; 1 more" in capsys.readouterr().err
    result = calibrate.fit("all", rests, Calibration(), gravity=STANDARD_GRAVITY)
    assert result.failure is None and np.allclose(result.calibration.accel_matrix, SKEW, atol=0.003)
    assert any("skew xy xz yz" in line for line in result.lines)


def test_a_pose_that_moves_is_waited_for(capsys):
    turned = Turned([(0, 0, 1)], seconds=6)
    turned.data[:250, 3] += np.sin(np.arange(250) / 10).astype(np.float32)
    (found,) = calibrate.gather(turned, plan("gyro"), timeout_s=60)
    assert np.allclose(found.mean[3:], GYRO_BIAS, atol=0.001)


def test_the_second_pose_of_a_mount_must_be_another_one(capsys):
    rests = calibrate.gather(Turned([(0, 0, 1), (0.1, 0, 1), (1, 0, 1)]), plan("mount"), timeout_s=60)
    assert len(rests) == 2 and "tilt its front up" in capsys.readouterr().err
    result = calibrate.fit("mount", rests, Calibration(), gravity=STANDARD_GRAVITY)
    assert np.linalg.det(result.calibration.mount) == pytest.approx(1)


def test_nobody_there_ends_it():
    with pytest.raises(SensorError, match=r"expected a new pose within 5 s, got none; lay it on another face"):
        calibrate.gather(Turned([FACES[0]], seconds=30), plan(), timeout_s=5)
    with pytest.raises(SensorError, match="got the end of the samples"):
        calibrate.gather(Turned(FACES[:3]), plan(), timeout_s=60)


def test_what_moves_is_shown_on_a_terminal_only(monkeypatch, capsys):
    turned = Turned([(0, 0, 1), (1, 0, 0)])
    for terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda answer=terminal: answer)
        with pytest.raises(SensorError):
            calibrate.gather(turned, plan(), timeout_s=60)
        err = capsys.readouterr().err
        assert ("waiting for 2 s at rest" in err) == terminal and ("\r\x1b[2K" in err) == terminal


def test_a_chip_is_calibrated_through_its_registers_and_read_right_afterwards():
    def turned(serials, times_ns):
        # Five seconds in each pose, one of them in motion.
        pose = (times_ns // (5 * NS_PER_S)) % len(poses)
        moving = (times_ns % (5 * NS_PER_S) < NS_PER_S)[:, None] * np.sin(times_ns / 3e7)[:, None]
        return np.hstack([poses[pose], np.broadcast_to(GYRO_BIAS, (len(pose), 3))]) + 2 * moving

    unit = np.array(FACES + CORNERS) / np.linalg.norm(FACES + CORNERS, axis=1, keepdims=True)
    poses = unit * STANDARD_GRAVITY @ np.linalg.inv(SCALE) + BIAS

    def opened(**options):
        clock = VirtualClock()
        bus = SimulatedBus([chip_model("mpu6050", clock=clock, signal=turned)], clock=clock)
        return open_sensor("mpu6050", bus=bus, clock=clock, **options)

    with opened(calibration="none") as source:
        rests = calibrate.gather(source, plan(), timeout_s=60)
        result = calibrate.fit("all", rests, Calibration(), gravity=STANDARD_GRAVITY)
        save_calibration(source.info.device, result.calibration)
    assert result.failure is None and len(rests) == 8
    assert np.allclose(result.calibration.accel_bias, BIAS, atol=0.01)
    with opened() as source:
        for step in find_rests(source, source.rate_hz):
            if isinstance(step, Rest):
                break
    assert np.linalg.norm(step.mean[:3]) == pytest.approx(STANDARD_GRAVITY, abs=0.01)
    assert np.abs(step.mean[3:]).max() < 0.002
