"""What `prove` says of chips on SPI: right, with misreadings, and with faults of the wires."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from chips.planted import PLANTS, Plant, proof
from chips.spi import LOOSE, WIRES, SimulatedSpi

from motionsig.errors import SensorError
from motionsig.sensors import CHIPS, open_sensor
from motionsig.sensors.proving import report
from motionsig.sensors.simulated import VirtualClock, simulated_chip
from motionsig.sensors.spi import SpiBus

KINDS = ["mpu6050", "icm20602", "icm20948", "icm42688p", "lsm6dso", "lsm6dsv16x", "lsm9ds1", "bmi160", "lis3dh"]
"""One chip of each kind of wire; an ADXL345 has a test of its own."""
MISREAD = [
    "acc two bits fewer",
    "acc and gyr exchanged",
    "gyr bytes",
    "acc twice",
    "gyr half",
    "FIFO twice",
    "clock fast",
]
MISREAD += ["gyr z dead", "acc x sign", "one rate's code", "slips early", "level unit half"]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_chip_is_proved_on_spi(name: str) -> None:
    found = proof(CHIPS[name], spi=True)
    assert found.proved, found.verdict
    assert found.evidence.where == f"{name} on /dev/spidev0.0"
    assert {it.kind for it in found.findings if it.state == "proved"} >= {"bus", "identity", "registers", "self-test"}


def test_the_rates_that_only_spi_carries_are_proved() -> None:
    found = proof(CHIPS["adxl345"], spi=True)
    assert found.proved, found.verdict
    assert {1600, 3200} <= found.evidence.rates.keys()
    wrong = CHIPS["adxl345"].spi
    assert wrong is not None
    table = replace(CHIPS["adxl345"], spi=replace(wrong, rates={1600.0: {0x2C: 0x0E}, 3200.0: {0x2C: 0x0E}}))
    assert "rate" in {it.kind for it in proof(table, spi=True).wrong}


@pytest.mark.parametrize("what", MISREAD)
def test_what_is_planted_is_named_on_spi(what: str) -> None:
    names = [name for name in KINDS if PLANTS[what].fits(CHIPS[name])]
    found = proof(CHIPS[names[MISREAD.index(what) % len(names)]], PLANTS[what], spi=True)
    assert {it.kind for it in found.wrong} & set(PLANTS[what].kinds), found.verdict


@pytest.mark.parametrize("what", LOOSE)
def test_what_is_wrong_with_the_wires_is_named_and_nothing_else(what: str) -> None:
    loose, said = LOOSE[what]
    for name in ("lsm6dso", "icm20948"):
        found = proof(CHIPS[name], Plant((), loose=loose), spi=True)
        (wrong,) = found.wrong
        assert wrong.kind == "bus"
        assert re.search(said, wrong.words), wrong.words
        assert not found.proved
        facts = json.loads(report(found, software="", machine="", when=""))
        assert facts["verdict"] == f"NOT proved: bus: {wrong.words}"


@pytest.mark.parametrize("what", LOOSE)
def test_who_opens_a_chip_on_such_wires_is_told_the_same(what: str) -> None:
    loose, said = LOOSE[what]
    clock = VirtualClock()

    def still(serials: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
        return np.tile([0.0, 0.0, 9.8, 0.0, 0.0, 0.0], (len(serials), 1))

    model = simulated_chip("lsm6dso", clock=clock, signal=still)
    wires = SimulatedSpi(model, WIRES["lsm6dso"], clock=clock)
    if loose.above_hz:
        # Whoever only opens it reads too little to see one byte in fifty.
        loose = replace(loose, says=lambda answer, _: answer[:1] + b"\x36" * (len(answer) - 1))
    wires.loose = loose
    told = said.replace("it says steadily who it is", "lsm6dso or lsm6dsox or lsm6dso32")
    with pytest.raises(SensorError, match=told):
        open_sensor(bus=SpiBus(wires, CHIPS["lsm6dso"]), clock=clock, calibration="none")
