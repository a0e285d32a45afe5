"""`motionsig sensors`: what it lists, and what the chips' own tests say."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from i2c_machine import I2cMachine

from motionsig.cli import main
from motionsig.cli.sensors import _iio_lines, _tested
from motionsig.conventions import CHANNELS
from motionsig.errors import SensorError
from motionsig.sensors import CHIPS, IioSensor
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.owner import own
from motionsig.sensors.simulated import SimulatedBus
from motionsig.sensors.simulated.lsm6dso import Lsm6dso
from motionsig.sensors.simulated.measuring import Settings


class Stuck(Lsm6dso):
    """An LSM6DSO whose proof masses do not move when its self-test pushes them."""

    def settings(self) -> Settings:
        return replace(super().settings(), added=0.0)


@pytest.mark.parametrize(("model", "code", "said"), [(Lsm6dso, 0, "passed"), (Stuck, 1, "FAILED")])
def test_a_chip_that_fails_its_own_test_is_a_failure(
    tmp_path: Path, model: type[Lsm6dso], code: int, said: str
) -> None:
    clock = SystemClock()
    chip = model(clock, lambda serials, times_ns: np.tile([0, 0, 9.8, 0, 0, 0], (len(serials), 1)))
    with I2cMachine(SimulatedBus([chip], clock=clock), tmp_path) as machine:
        process = machine.start("-m", "motionsig.cli", "sensors", "--bus", "1", "--self-test")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")
    results = [line for line in out.splitlines() if "self-test" in line]
    assert len(results) == len(CHANNELS)
    assert all(f": {said}, " in line for line in results)


def test_a_chip_that_somebody_reads_is_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    bus = SimulatedBus([Lsm6dso(clock, lambda serials, times_ns: np.zeros((len(serials), 6)))], clock=clock)
    monkeypatch.setattr(bus, "write", None)
    with own(bus, 0x6A), pytest.raises(SensorError, match="process"):
        _tested(bus, CHIPS["lsm6dso"], 0x6A)


def test_sensors_lists_the_chips_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sensors", "--chips", "--json"]) == 0
    chips = {chip["name"]: chip for chip in json.loads(capsys.readouterr().out)}
    assert chips.keys() == CHIPS.keys()
    assert chips["lis3dh"]["gyro_ranges_dps"] == []
    assert chips["mpu6886"]["origins"]["self-test"] == "memory"
    assert chips["lsm6dso"]["origins"]["ranges"].startswith("driver: ST lsm6dso-pid")
    assert main(["sensors", "--chips"]) == 0
    said = capsys.readouterr().out
    assert "lsm6dsox    ST LSM6DSOX: 52 to 1666 Hz, 2 to 16 g" in said
    assert "also mpu6000, mpu9150, gy-521, " in said and "; memory: self-test; seen on 0 boards\n" in said
    assert "bmi270      no table: the kernel reads it, with bmi270 (since Linux 6.13; it loads" in said
    assert "qmi8658     no table: its FIFO drops the samples that come while it is read, and no driver" in said
    assert said.endswith("please send a report: motionsig sensors --prove\n")


def test_an_unknown_part_is_printed_with_what_it_is_near(tmp_path: Path) -> None:
    clock = SystemClock()
    chip = Lsm6dso(clock, lambda serials, times_ns: np.zeros((len(serials), 6)))
    chip.registers[0x0F] = 0x6D
    with I2cMachine(SimulatedBus([chip], clock=clock), tmp_path) as machine:
        process = machine.start("-m", "motionsig.cli", "sensors", "--bus", "1")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert '0x6a  an unknown part that says 0x6d at register 0x0f, as LSM6DST does (chip="lsm6dso" reads it as' in out


def test_sensors_without_any_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sensors", "--json", "--bus", "77"]) == 1
    (bus,) = json.loads(capsys.readouterr().out)["buses"]
    assert "expected to open it" in bus["error"]


def test_a_sensor_of_the_kernels_is_listed_with_what_it_can_do() -> None:
    sensor = IioSensor(
        "bmi160", "bmi160_i2c", ("iio:device0",), CHANNELS, (25, 1600), (2, 16), (), True, True, True, "t"
    )
    assert _iio_lines([asdict(sensor)]) == [
        "iio  bmi160 (bmi160_i2c): 25 to 1600 Hz, 2 to 16 g, buffer",
        '        open_sensor("iio:bmi160")',
    ]
