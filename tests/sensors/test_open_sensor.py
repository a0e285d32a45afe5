"""Finding a sensor by name, by looking, or not at all."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

import motionsig
from motionsig.errors import InputError, SensorError
from motionsig.sensors import CHIPS, Calibration, SensorReader, open_sensor, scan
from motionsig.sensors.bus import BusError
from motionsig.sensors.chips import settle
from motionsig.sensors.fifo import ChipFifo
from motionsig.sensors.simulated import Faults, SimulatedBus, VirtualClock, simulated_chip


def bus_with(*names: str, faults: Faults | None = None) -> tuple[SimulatedBus, VirtualClock]:
    clock = VirtualClock()
    return SimulatedBus([simulated_chip(name, clock=clock) for name in names], clock=clock, faults=faults), clock


@pytest.mark.parametrize("name", CHIPS)
def test_every_chip_is_found_and_named(name: str) -> None:
    bus, clock = bus_with(name)
    (found,) = scan(bus)
    assert CHIPS[name] in found.chips
    assert {chip.identity == CHIPS[name].identity for chip in found.chips} == {True}
    sensor = open_sensor("auto", bus=bus, clock=clock, calibration="none")
    assert sensor.info.format == f"sensor:{found.chips[0].name}"


def test_two_chips_on_one_bus() -> None:
    bus, clock = bus_with("lis3dh", "mpu6050")
    assert [(it.address, [chip.name for chip in it.chips]) for it in scan(bus)] == [
        (0x18, ["lis3dh"]),
        (0x68, ["mpu6050"]),
    ]
    assert open_sensor("mpu6050", bus=bus, clock=clock, calibration="none").info.format == "sensor:mpu6050"


def test_scanning_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, _ = bus_with(*{chip.addresses[0]: name for name, chip in CHIPS.items()}.values())
    monkeypatch.setattr(bus, "write", None)
    assert len(scan(bus)) == len(bus.chips)


def test_one_refusal_does_not_hide_a_chip() -> None:
    for seed in range(20):
        bus, _ = bus_with("mpu6050", faults=Faults(nack=0.05, seed=seed))
        assert scan(bus)


def test_a_register_that_is_refused_twice_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, _ = bus_with("mpu6050")
    read, asked = bus.read, Counter[tuple[int, int]]()

    def refusing(address: int, register: int, size: int) -> bytes:
        asked[address, register] += 1
        if asked[address, register] < 3:
            raise BusError("nobody acknowledged", nack=True)
        return read(address, register, size)

    monkeypatch.setattr(bus, "read", refusing)
    assert [chip.name for found in scan(bus) for chip in found.chips] == ["mpu6050"]


def test_rate_and_ranges_are_the_next_ones_up() -> None:
    bus, clock = bus_with("mpu6050")
    sensor = open_sensor("mpu6050", bus=bus, clock=clock, rate_hz=400, accel_range_g=9, gyro_range_dps=1001)
    assert isinstance(sensor, SensorReader)
    setting = sensor.fifo.setting
    assert (setting.rate_hz, setting.accel_range_g, setting.gyro_range_dps) == (500, 16, 2000)


def test_what_is_there_instead_is_said() -> None:
    bus, clock = bus_with("mpu6500")
    expected = r"'mpu6050': expected it to answer on simulated, got mpu6500 .* at 0x68; see `motionsig sensors`$"
    with pytest.raises(SensorError, match=expected):
        open_sensor("mpu6050", bus=bus, clock=clock)
    with pytest.raises(SensorError, match="at 0x69, got nothing there; check wiring"):
        open_sensor("mpu6500", bus=bus, clock=clock, address=0x69)
    with pytest.raises(InputError, match=r"expected the name of a sensor, got 'bno055'"):
        open_sensor("bno055")
    with pytest.raises(InputError, match=r"expected the name of a sensor, got 'simulated:mpu65000'"):
        open_sensor("simulated:mpu65000")


@pytest.mark.parametrize("name", ["simulated:MPU-6050", "Simulated:gy521", "simulated:mpu9150"])
def test_the_model_of_a_chip_has_all_names_that_the_chip_has(name: str) -> None:
    with open_sensor(name, clock=VirtualClock()) as sensor:
        assert sensor.device_id == "mpu6050-simulated-68"


def test_a_lesson_is_one_in_any_case() -> None:
    with open_sensor("simulated:Lesson", clock=VirtualClock()) as sensor:
        blocks = (block.data for block in sensor if len(block))
        # It rests for three seconds; somebody who walks does not.
        assert next(blocks)[:, 2].std() < 0.1


def test_a_chip_left_in_another_bank_is_found_by_name() -> None:
    bus, clock = bus_with("icm20948")
    bus.write(0x68, bytes((0x7F, 0x20)))
    assert open_sensor("icm20948", bus=bus, clock=clock, calibration="none").rate_hz == 112.5


def test_without_a_bus_it_says_what_to_do() -> None:
    with pytest.raises(SensorError, match=r"/dev/i2c-.*see `motionsig doctor`"):
        open_sensor("mpu6050", bus=250)


def test_a_bus_that_hangs_is_not_an_empty_one() -> None:
    bus, clock = bus_with("mpu6050")
    bus.stuck_until_ns = clock.monotonic_ns() + 10**9
    with pytest.raises(SensorError, match=r"address 0x18: simulated failure \(110\)"):
        open_sensor("auto", bus=bus, clock=clock)


def test_a_failed_start_closes_the_bus_that_was_opened_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bus, clock = bus_with("mpu6050")
    closed = []
    monkeypatch.setattr(bus, "close", lambda: closed.append(bus))
    bus.chips[0x68].write_register = lambda register, value: None  # type: ignore[method-assign]
    with pytest.raises(SensorError), ExitStack() as resources:
        resources.callback(bus.close)
        fifo = ChipFifo(
            bus,
            CHIPS["mpu6050"],
            0x68,
            settle(CHIPS["mpu6050"], rate_hz=100, accel_range_g=8, gyro_range_dps=1000),
            clock,
        )
        SensorReader(fifo, clock=clock, calibration=Calibration(), device_id="it", resources=resources.pop_all())
    assert closed == [bus]


def test_a_number_may_be_text_as_after_an_option() -> None:
    text: Any = "208"
    with open_sensor("simulated", rate_hz=text, clock=VirtualClock()) as sensor:
        assert sensor.rate_hz == 208


def test_options_that_mean_nothing_are_refused() -> None:
    for name in ("simulated", "iio:bmi160"):
        with pytest.raises(InputError, match=r"expected no bus, no address, no chip and .*, got bus=1$"):
            open_sensor(name, bus=1)
        with pytest.raises(InputError, match=r"which are for I2C and SPI, got address=104, bus_clock_hz=400000$"):
            open_sensor(name, address=0x68, bus_clock_hz=400_000)
    with pytest.raises(InputError, match="bus_clock_hz: expected a number above 0, got -1"):
        open_sensor("mpu6050", bus=1, bus_clock_hz=-1)


def test_the_simulated_lesson_rests_and_turns_by_turns():
    clock = VirtualClock()
    time_ns, data = [], []
    with open_sensor("simulated:lesson", clock=clock) as sensor:
        assert sensor.device_id == "lsm6dso-simulated-6a"
        for block in sensor:
            time_ns, data = [*time_ns, *block.time_ns], [*data, *block.data]
            if len(data) > 8 * sensor.rate_hz:
                break
    data = np.array(data)
    turning = np.abs(data[:, 3]) > 1
    assert 0.15 < turning.mean() < 0.3 and np.abs(data[~turning, 3]).max() < 1.01
    assert np.linalg.norm(data[:, :3], axis=1) == pytest.approx(9.81, abs=0.3)
    edges = np.flatnonzero(np.diff(turning.astype(int)) > 0)
    rests = np.diff(np.array(time_ns)[edges]) / 1e9
    assert rests.max() == pytest.approx(3, abs=0.3)


def test_simulated_turns_can_be_taught_and_makes_the_shipped_heads_speak():
    blocks = []
    with open_sensor("simulated:turns", clock=VirtualClock()) as sensor:
        for block in sensor:
            blocks.append(block)
            if sum(map(len, blocks)) > 80 * sensor.rate_hz:
                break
    time_ns = np.concatenate([block.time_ns for block in blocks])
    data = np.concatenate([block.data for block in blocks])
    turning = np.abs(data[:, 3]) > 2.5
    begins = np.flatnonzero(np.diff(turning.astype(int)) > 0)
    # Two rounds of six; each turns there and back, and again.
    assert len(begins) == 2 * 6 * 4
    still = np.abs(np.linalg.norm(data[:, :3], axis=1) - 9.81) < 0.2
    assert 0.4 < still.mean() < 0.8
    events = list(
        motionsig.watch(motionsig.extract(data, rate_hz=sensor.rate_hz, start_ns=int(time_ns[0])), ["walking", "still"])
    )
    assert {(event.head, event.phase) for event in events} == {
        (head, phase) for head in ("walking", "still") for phase in ("began", "ended")
    }
