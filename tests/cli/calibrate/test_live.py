"""`motionsig calibrate` on a chip behind a bus, in a process of its own."""

import re
import subprocess

import numpy as np
import pytest
from i2c_machine import I2cMachine

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import load_calibration, save_calibration
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.simulated import SimulatedBus, simulated_chip

DEVICE = "lsm6dso-i2c-1-6a"
RATE = np.array([0.02, -0.03, 0.01])


def lying(serials, times_ns):
    return np.tile([0, 0, STANDARD_GRAVITY, *RATE], (len(serials), 1))


def calibrate(folder, *options) -> subprocess.CompletedProcess[str]:
    clock = SystemClock()
    bus = SimulatedBus([simulated_chip("lsm6dso", clock=clock, signal=lying)], clock=clock)
    with I2cMachine(bus, folder) as machine:
        process = machine.start("-m", "motionsig.cli", "calibrate", "--sensor", "lsm6dso", "--bus", "1", *options)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))


def test_one_pose_is_measured_without_the_calibration_that_is_stored(tmp_path):
    save_calibration(DEVICE, Calibration(gyro_bias=RATE, accel_bias=np.array([0.1, 0, 0]), poses=8))
    ended = calibrate(tmp_path, "--gyro")
    assert ended.returncode == 0, ended.stderr
    assert f"{DEVICE}.json" in ended.stdout
    stored = load_calibration(DEVICE)
    np.testing.assert_allclose(stored.gyro_bias, RATE, atol=0.001)
    assert stored.accel_bias[0] == 0.1 and stored.poses == 8 and stored.when_s


def test_without_a_new_pose_it_gives_up_when_it_was_told_to(tmp_path):
    ended = calibrate(tmp_path, "--accel", "--timeout", "5")
    assert ended.returncode == 1
    assert re.search(r"pose 1: z up.*\n(.*\n)*.*expected a new pose within 5 s, got none; lay it on", ended.stderr)
    assert load_calibration(DEVICE) is None
