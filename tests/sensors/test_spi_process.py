"""Real processes with the kernel's interface, /dev/spidev0.0: what `record` and `sensors` do there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from chips.spi import WIRES, SimulatedSpi
from chips.trial import Coded
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
def test_two_seconds_through_spidev_are_the_chips_own_samples(tmp_path: Path, name: str, bus: str) -> None:
    it, signal = machine(tmp_path, name)
    with it:
        record = ("record", "--sensor", name, "--bus", bus, "--rate-hz", "100", "--seconds", "2", "--out", "log.msig")
        code, _, err = end(it, *record)
    assert (code, err) == (0, "")
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
