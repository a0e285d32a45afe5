"""One bad bus hides no other, and an adapter that has no word for "nobody" hides no chip."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import motionsig.sensors
from motionsig.conventions import NS_PER_S
from motionsig.errors import SensorError
from motionsig.sensors import open_sensor, scan
from motionsig.sensors.bus import BusError
from motionsig.sensors.simulated import Faults, SimulatedBus, VirtualClock, simulated_chip


class Failing(SimulatedBus):
    """A bus at which only what answers is told from a bus that failed: each failure takes `failing_s`.

    refusing: addresses whose absence it does report. broken: addresses that fail although a chip is there.
    """

    def __init__(
        self,
        *names: str,
        clock: VirtualClock,
        failing_s: float = 0.0,
        refusing: tuple[int, ...] = (),
        broken: tuple[int, ...] = (),
        name: str = "/dev/i2c-0",
    ) -> None:
        super().__init__([simulated_chip(each, clock=clock) for each in names], clock=clock, name=name)
        self.failing_s, self.refusing, self.broken = failing_s, refusing, broken
        self.asked: list[int] = []
        self.closed = False

    def read(self, address: int, register: int, size: int) -> bytes:
        self.asked.append(address)
        if address in self.broken or (address not in self.chips and address not in self.refusing):
            self.clock.sleep(self.failing_s)
            raise BusError(f"{self.name} address 0x{address:02x}: expected a transaction, got: late (110)", nack=False)
        return super().read(address, register, size)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def machine(monkeypatch: pytest.MonkeyPatch, *buses: SimulatedBus | SensorError) -> None:
    """Let this machine have these buses; an error is raised where its bus is opened."""

    def opened(number: int, *, clock_hz: int | None = None) -> SimulatedBus:
        bus = buses[number]
        if isinstance(bus, SensorError):
            raise bus
        return bus

    monkeypatch.setattr(motionsig.sensors, "list_iio", lambda: [])
    monkeypatch.setattr(motionsig.sensors, "bus_numbers", lambda: list(range(len(buses))))
    monkeypatch.setattr(motionsig.sensors, "I2cBus", opened)


@pytest.mark.parametrize("name", ["auto", "mpu6050"])
def test_a_dead_bus_is_given_up_after_5_s_told_and_closed_and_hides_no_other(clock, monkeypatch, caplog, name):
    dead = Failing(clock=clock, failing_s=1)
    machine(monkeypatch, dead, Failing("mpu6050", clock=clock, refusing=tuple(range(128)), name="/dev/i2c-1"))
    began_ns = clock.monotonic_ns()
    with open_sensor(name, clock=clock, calibration="none") as sensor:
        assert sensor.device_id == "mpu6050-i2c-1-68"
    assert clock.monotonic_ns() - began_ns < 6e9
    # Different ones, each once: to wait again for the same one would tell nothing.
    assert len(dead.asked) == len(set(dead.asked)) == 5
    assert dead.closed
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("skipped: /dev/i2c-0 address 0x18: expected a transaction, got: late (110); ")
    assert "5 of 5 addresses failed so, and after 5 s of that no more were asked; check power, pull-ups" in warning


def test_an_adapter_that_reports_nobody_as_a_time_out_hides_no_chip(clock, monkeypatch, caplog):
    for name, failing_s in (("mpu6050", 0.05), ("lis3dh", 0), ("adxl345", 1)):
        machine(monkeypatch, Failing(name, clock=clock, failing_s=failing_s))
        for asked in ("auto", name):
            with open_sensor(asked, clock=clock, calibration="none") as sensor:
                assert sensor.device_id.startswith(name)
    assert "failed so" not in caplog.text


def test_the_last_address_is_asked_on_an_adapter_that_takes_its_time(clock):
    bus = Failing("lsm6dso", clock=clock, failing_s=0.5)
    bus.chips[0x6B] = bus.chips.pop(0x6A)
    assert [found.address for found in scan(bus, clock=clock)] == [0x6B]


def test_where_every_address_fails_both_readings_are_told(clock, monkeypatch):
    bus = Failing(clock=clock)
    with pytest.raises(
        BusError, match=r"\(110\); (\d+) of \1 addresses failed so; check .*or nothing is connected: some"
    ):
        scan(bus, clock=clock)
    machine(monkeypatch, bus)
    with pytest.raises(SensorError, match=r"'auto': expected it to answer on any I2C bus, got /dev/i2c-0 address 0x18"):
        open_sensor(clock=clock)


def test_one_address_that_fails_where_others_refuse_is_told_and_hides_no_chip(clock, caplog):
    bus = Failing("lis3dh", "mpu6050", clock=clock, refusing=tuple(range(128)), broken=(0x68,))
    assert [found.address for found in scan(bus, clock=clock)] == [0x18]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "0x68: expected a transaction, got: late (110)" in record.getMessage()


def test_a_glitch_is_asked_again(clock):
    bus = Failing("mpu6050", clock=clock, refusing=tuple(range(128)))
    read, failures = bus.read, [2]

    def glitching(address: int, register: int, size: int) -> bytes:
        if address == 0x68 and failures[0]:
            failures[0] -= 1
            raise BusError("arbitration lost", nack=False)
        return read(address, register, size)

    bus.read = glitching  # type: ignore[method-assign]
    assert [found.address for found in scan(bus, clock=clock)] == [0x68]


def test_a_bus_that_may_not_be_opened_hides_no_other_and_is_told_where_nothing_is_found(clock, monkeypatch):
    refused = SensorError("/dev/i2c-0: expected to open it, got: Permission denied; see `motionsig doctor`")
    there = Failing("mpu6050", clock=clock, refusing=tuple(range(128)), name="/dev/i2c-1")
    machine(monkeypatch, refused, there)
    open_sensor("auto", clock=clock, calibration="none").close()
    with pytest.raises(SensorError, match=r"'bmi160': expected .*got /dev/i2c-0: .*Permission denied; .*; mpu6050 on"):
        open_sensor("bmi160", clock=clock)
    with pytest.raises(SensorError, match=r"^/dev/i2c-0: expected to open it, got: Permission denied"):
        open_sensor("mpu6050", bus=0, clock=clock)


def test_an_adapter_that_reports_every_refusal_as_a_failure_gives_no_wrong_sample(clock):
    """Whether a byte has moved is then unknown, so nothing is read twice: what was read is discarded, and counted."""

    class Bridge(SimulatedBus):
        def _error(self, address: int, number: int, *, nack: bool) -> BusError:
            return super()._error(address, number, nack=False)

    def counting(serials, times_ns):
        out = np.zeros((len(serials), 6))
        out[:, 2], out[:, 3] = 9.80665, serials % 1000 / 1000
        return out

    chip = simulated_chip("lsm6dso", clock=clock, signal=counting)
    bus = Bridge([chip], clock=clock, faults=Faults(nack=0.02))
    samples = []
    with open_sensor("lsm6dso", bus=bus, clock=clock, calibration="none", address=0x6A) as sensor:
        end_ns = clock.monotonic_ns() + 60 * NS_PER_S
        for block in sensor:
            samples.append(block.data)
            if clock.monotonic_ns() > end_ns:
                break
        counts = sensor.counts
    data = np.concatenate(samples)
    assert np.abs(data[:, :3] - [0, 0, 9.80665]).max() < 0.01
    assert counts.discards + counts.recoveries > 10 and counts.lost > 0
    assert counts.samples + counts.lost == pytest.approx(60 * sensor.rate_hz, rel=0.01)
