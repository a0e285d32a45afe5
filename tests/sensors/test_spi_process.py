"""Real processes with the kernel's interface, /dev/spidev0.0: what `record` and `sensors` do there."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from chips.spi import WIRES, SimulatedSpi
from chips.trial import Coded
from real_time import undisturbed
from spi_machine import SpiMachine

from motionsig.recordings import open_recording
from motionsig.sensors import CHIPS
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.simulated import simulated_chip


def machine(folder: Path, name: str) -> tuple[SpiMachine, Coded]:
    clock = SystemClock()
    signal = Coded(8, 1000 if CHIPS[name].gyro_ranges else None)
    return SpiMachine(
        SimulatedSpi(simulated_chip(name, clock=clock, signal=signal), WIRES[name], clock=clock), folder
    ), signal


def end(machine: SpiMachine, *arguments: str) -> tuple[int, str, str]:
    process = machine.start("-m", "motionsig.cli", *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(("name", "bus"), [("adxl345", "spi0.0"), ("lsm6ds3", "/dev/spidev0.0")])
@undisturbed
def test_two_seconds_through_spidev_are_the_chips_own_samples(tmp_path: Path, name: str, bus: str) -> None:
    it, signal = machine(tmp_path, name)
    with it:
        record = ("record", "--sensor", name, "--bus", bus, "--rate-hz", "100", "--seconds", "2", "--out", "log.msig")
        code, _, err = end(it, *record)
    # That a busy machine makes times less exact is no fault of the wires.
    assert (
        code,
        [line for line in err.splitlines() if not ("times are exact to" in line or line.startswith("recording "))],
    ) == (0, [])
    assert it.mode == 0x43
    blocks = list(open_recording(tmp_path / "log.msig"))
    serials, wrong = signal.serials(np.concatenate([block.data for block in blocks]))
    assert not wrong.any()
    assert (np.diff(serials) == 1).all()
    assert len(serials) >= 2 * 100
    # Several entries in one message; on the other chip a message is one transfer.
    assert (max(it.transfers) > 1) == (name == "adxl345")


def test_a_bus_is_asked_when_it_is_named(tmp_path: Path) -> None:
    it, _ = machine(tmp_path, "mpu9250")
    with it:
        listed = end(it, "sensors", "--json")
        asked_before = it.bus.messages
        asked = end(it, "sensors", "--bus", "spi0.0")
    assert json.loads(listed[1])["spi"] == ["spi0.0"]
    # A chip that motionsig does not know may take a read for something else.
    assert asked_before == 0
    assert asked[0] == 0 and "mpu9250" in asked[1]
    assert 'open_sensor("mpu9250", bus="spi0.0")' in asked[1]


def test_a_program_that_sets_another_mode_meanwhile_is_told_and_spoils_no_sample(tmp_path: Path) -> None:
    it, signal = machine(tmp_path, "lsm6dso")
    with it:
        record = ("record", "--sensor", "lsm6dso", "--bus", "spi0.0", "--rate-hz", "104", "--out", "log.msig")
        process = it.start("-m", "motionsig.cli", *record, "--seconds", "5")
        log = tmp_path / "log.msig"
        while not log.exists() or log.stat().st_size < 1500:
            assert process.poll() is None
            time.sleep(0.01)
        while process.poll() is None:
            # Another clock mode, then the lowest bit first.
            it.mode = 0x41 if it.mode == 0x4B else 0x4B
            time.sleep(0.2)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "as another program has set it, and is 0x3 again: stop that program" in err, err
    data = np.concatenate([block.data for block in open_recording(log)])
    assert len(data) > 50 and not signal.serials(data)[1].any()


def test_a_chip_on_a_dead_line_is_proved_wrong_in_one_report(tmp_path: Path) -> None:
    it, _ = machine(tmp_path, "lsm6dso")
    it.bus.unplug()
    with it:
        taken = end(it, "sensors", "--prove", "--bus", "spi0.0", "--chip", "LSM6DSO", "--out", "it.json")
    assert taken[0] == 1
    assert "WRONG   bus: only ones, as where nothing is connected" in taken[1]
    assert json.loads((tmp_path / "it.json").read_text())["proved"] is False
