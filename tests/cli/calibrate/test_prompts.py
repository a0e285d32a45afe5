"""The poses that a person is asked for, and the calibration that they give."""

import numpy as np
import pytest
from turned import BIAS, CORNERS, EDGES, FACES, GYRO_BIAS, SCALE, SKEW, Turned

from motionsig.cli.calibrate.prompts import gather, plan
from motionsig.cli.calibrate.result import fit
from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.errors import SensorError
from motionsig.sensors import open_sensor
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.rest import Rest, find_rests
from motionsig.sensors.calibration.storage import save_calibration
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


def test_the_person_is_told_what_is_still_to_come(capsys):
    order = [FACES[0], FACES[0], CORNERS[0], *FACES[1:], CORNERS[0], CORNERS[1]]
    rests = gather(Turned(order), plan("all", skew=False), timeout_s=60)
    assert len(rests) == 8
    how, *said = capsys.readouterr().err.splitlines()
    assert how == "each pose is found once it was still for 2 s; 60 s without a new one end this, as ^C does"
    assert said[0] == "lay it on another face, in any order; still to come: x up, y up, z up, x down, y down, z down"
    assert said[1].startswith("pose 1: x up, |acc| 9.9") and said[2].endswith("y up, z up, x down, y down, z down")
    assert said[3].startswith("x up again: that one is there already")
    assert said[-3:-1] == [
        "lean it on a corner, with these axes well off level: x down, y down, z down",
        "leaning again: that one is there already; " + said[-3],
    ]
    assert said[-1].startswith("pose 8: leaning")
    result = fit("all", rests, Calibration(), gravity=STANDARD_GRAVITY)
    assert result.failure is None and np.allclose(result.calibration.accel_bias, BIAS, atol=0.02)


def test_it_asks_for_more_leaning_poses_where_skew_is_wanted(capsys):
    rests = gather(Turned(FACES + CORNERS + EDGES, matrix=SKEW), plan("all", skew=True), timeout_s=60)
    assert len(rests) == 12
    assert "lean it in another way, on an edge; 1 more" in capsys.readouterr().err
    result = fit("all", rests, Calibration(), gravity=STANDARD_GRAVITY)
    assert result.failure is None and np.allclose(result.calibration.accel_matrix, SKEW, atol=0.003)
    assert any("skew xy xz yz" in line for line in result.lines)


def test_a_pose_that_moves_is_waited_for(capsys):
    turned = Turned([(0, 0, 1)], seconds=6)
    turned.data[:250, 3] += np.sin(np.arange(250) / 10).astype(np.float32)
    (found,) = gather(turned, plan("gyro", skew=False), timeout_s=60)
    assert np.allclose(found.mean[3:], GYRO_BIAS, atol=0.001)


def test_the_second_pose_of_a_mount_must_be_another_one(capsys):
    rests = gather(Turned([(0, 0, 1), (0.1, 0, 1), (1, 0, 1)]), plan("mount", skew=False), timeout_s=60)
    assert len(rests) == 2 and "tilt its front up" in capsys.readouterr().err
    result = fit("mount", rests, Calibration(), gravity=STANDARD_GRAVITY)
    assert np.linalg.det(result.calibration.mount) == pytest.approx(1)


def test_nobody_there_ends_it():
    with pytest.raises(SensorError, match=r"expected a new pose within 5 s, got none; lay it on another face"):
        gather(Turned([FACES[0]], seconds=30), plan("all", skew=False), timeout_s=5)
    with pytest.raises(SensorError, match="got the end of the samples"):
        gather(Turned(FACES[:3]), plan("all", skew=False), timeout_s=60)


def test_what_moves_is_shown_on_a_terminal_only(monkeypatch, capsys):
    turned = Turned([(0, 0, 1), (1, 0, 0)])
    for terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda answer=terminal: answer)
        with pytest.raises(SensorError):
            gather(turned, plan("all", skew=False), timeout_s=60)
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
        bus = SimulatedBus([simulated_chip("mpu6050", clock=clock, signal=turned)], clock=clock)
        return open_sensor("mpu6050", bus=bus, clock=clock, **options)

    with opened(calibration="none") as source:
        rests = gather(source, plan("all", skew=False), timeout_s=60)
        result = fit("all", rests, Calibration(), gravity=STANDARD_GRAVITY)
        save_calibration(source.info.device, result.calibration)
    assert result.failure is None and len(rests) == 8
    assert np.allclose(result.calibration.accel_bias, BIAS, atol=0.01)
    with opened() as source:
        for step in find_rests(source, source.rate_hz):
            if isinstance(step, Rest):
                break
    assert np.linalg.norm(step.mean[:3]) == pytest.approx(STANDARD_GRAVITY, abs=0.01)
    assert np.abs(step.mean[3:]).max() < 0.002
