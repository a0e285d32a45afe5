"""Chips that say the same of themselves are told apart by gravity."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from numpy.typing import NDArray

from motionsig.errors import SensorError
from motionsig.sensors import CHIPS, SensorReader, open_sensor
from motionsig.sensors.gravity import rivals
from motionsig.sensors.simulated import Signal, SimulatedBus, VirtualClock, simulated_chip, walking

G = 9.80665


def still(times: float = 1.0) -> Signal:
    """Return what a device at rest feels, with noise; times: of the acceleration."""

    def felt(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        noise = np.sin(serials[:, None] * np.arange(1, 7) * 7.1) * [0.08, 0.08, 0.08, 0.003, 0.003, 0.003]
        return (noise + np.array([2, -3, 9.1, 0.03, -0.02, 0.01])) * [times, times, times, 1, 1, 1]

    return felt


def opened(model: str, name: str, signal: Signal, **how: float) -> tuple[SensorReader, float]:
    """Return a sensor on that chip's model, opened by name, and the |acc| that it measures in its first second."""
    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip(model, clock=clock, signal=signal)], clock=clock)
    sensor = open_sensor(name, bus=bus, clock=clock, calibration="none", **how)
    assert isinstance(sensor, SensorReader)
    data = np.concatenate([block.data for block, _ in zip(iter(sensor), range(10), strict=False)])
    return sensor, float(np.linalg.norm(data[:, :3].mean(axis=0)))


@pytest.mark.parametrize("range_g", [2.0, 4.0, 8.0, 16.0])
@pytest.mark.parametrize(
    ("model", "name", "table"),
    [
        ("lsm6dso", "auto", "lsm6dso"),
        ("lsm6dso32", "auto", "lsm6dso32"),
        ("lsm6dsv16x", "auto", "lsm6dsv16x"),
        ("lsm6dsv32x", "auto", "lsm6dsv32x"),
        ("lsm6dso", "LSM6DSOX", "lsm6dsox"),
        ("lsm6dso32", "lsm6dso32", "lsm6dso32"),
    ],
)
def test_a_shared_identity_is_settled_at_rest(model: str, name: str, table: str, range_g: float) -> None:
    sensor, acc = opened(model, name, still(), accel_range_g=range_g)
    assert sensor.info.format == f"sensor:{table}"
    assert acc == pytest.approx(np.linalg.norm([2, -3, 9.1]), abs=0.05)
    assert sensor.fifo.setting.accel_range_g == max(range_g, min(CHIPS[table].accel_ranges))


@pytest.mark.parametrize(
    ("model", "name", "got", "right"),
    [
        ("lsm6dso32", "lsm6dso", "4.9", "lsm6dso32"),
        ("lsm6dso32", "lsm6dsox", "4.9", "lsm6dso32"),
        ("lsm6dso", "lsm6dso32", "19.6", "lsm6dso'"),
        ("lsm6dsv32x", "lsm6dsv16x", "4.9", "lsm6dsv32x"),
    ],
)
def test_a_name_that_gravity_contradicts_is_refused(model: str, name: str, got: str, right: str) -> None:
    with pytest.raises(SensorError, match=rf"{name} on .*expected 9.8 m/s² at rest, got {got}: .* open it as '{right}"):
        opened(model, name, still())


def test_an_adxl375_is_no_adxl345() -> None:
    assert opened("adxl345", "auto", still())[1] == pytest.approx(9.8, abs=0.2)
    for name in ("auto", "adxl345"):
        with pytest.raises(SensorError, match=r"got 0\.7.*it is an ADXL375, which says the same .* does not read"):
            opened("adxl345", name, still(0.0383 / 0.480))


def test_what_moves_is_opened_as_asked_and_a_guess_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for name, level in (("auto", "WARNING"), ("lsm6dso", "INFO")):
        caplog.clear()
        assert opened("lsm6dso", name, walking)[0].info.format == "sensor:lsm6dso"
        (said,) = [record for record in caplog.records if "gravity cannot tell" in record.message]
        assert said.levelname == level
        assert "lsm6dso32 says the same of itself, with another scale" in said.message


def test_a_bad_accelerometer_is_said_and_left_to_the_judges_of_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    assert opened("lsm6dso", "auto", still(0.7))[0].info.format == "sensor:lsm6dso"
    assert "expected gravity of 9.8 m/s² at rest, got 6." in caplog.text


def test_a_slow_turn_is_not_rest() -> None:
    def turning(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.tile([0.0, 0.0, G / 2, 0.0, 0.0, 0.6], (len(serials), 1))

    assert opened("lsm6dso", "lsm6dso", turning)[0].info.format == "sensor:lsm6dso"


def test_a_clone_without_gravity_is_refused() -> None:
    clock = VirtualClock()
    for times in (0.5, 2.0):
        chip = simulated_chip("mpu6500", clock=clock, signal=still(times))
        chip.registers[0x75] = 0x72
        chip.defaults = {**chip.defaults, 0x75: 0x72}
        bus = SimulatedBus([chip], clock=clock)
        with pytest.raises(SensorError, match=r"expected 9.8 m/s² at rest, got .*: it is no mpu6500"):
            open_sensor(chip="mpu6500", bus=bus, clock=clock)


def test_a_chip_alone_with_its_identity_is_opened_at_once() -> None:
    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip("mpu6050", clock=clock, signal=still(0.5))], clock=clock)
    began_ns = clock.monotonic_ns()
    open_sensor("mpu6050", bus=bus, clock=clock, calibration="none")
    assert rivals(CHIPS["mpu6050"]) == () and clock.monotonic_ns() - began_ns < 150e6


@pytest.mark.parametrize("name", ["lsm6dso", "lsm6dsv16x", "adxl345"])
def test_a_shared_identity_costs_one_setting_up_and_sixteen_samples(name: str) -> None:
    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip(name, clock=clock, signal=still())], clock=clock)
    resets = list[int]()
    restart = bus.chips[next(iter(bus.chips))].restart
    bus.chips[next(iter(bus.chips))].restart = lambda *a: (resets.append(1), restart(*a))  # type: ignore[method-assign]
    began_ns = clock.monotonic_ns()
    sensor = open_sensor(name, bus=bus, clock=clock, calibration="none", rate_hz=400)
    assert clock.monotonic_ns() - began_ns < 150e6
    assert len(resets) <= 1
    block = next(iter(sensor))
    assert len(block) and not block.gap and block.time_ns[0] > began_ns + sensor.unix_offset_ns


def test_rivals_have_ranges_under_the_same_bits() -> None:
    for chip in CHIPS.values():
        for other in rivals(chip):
            bits = [each.bits for each in other.accel_ranges.values()]
            assert all(each.bits in bits for each in chip.accel_ranges.values())
            assert other.rates == chip.rates
