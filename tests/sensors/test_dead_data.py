"""Chips whose FIFO goes on while their data are dead, read by the reader."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pytest
from chips.dying import DyingBus
from chips.trial import bench, trial
from numpy.typing import NDArray

from motionsig.sensors import CHIPS, SensorReader, open_sensor
from motionsig.sensors.simulated import Faults, VirtualClock, simulated_chip, walking

DEATHS = (("all", None), ("all", 0), ("all", -1), ("acc", 0), ("gyr", None), ("acc_y", None))


def resting(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """A sensor that lies still, with the noise of a usual chip."""
    noise = np.sin(serials[:, None] * np.array([7.1, 5.3, 3.7, 9.9, 4.3, 8.7]) + serials[:, None] ** 2 % 7)
    rest = np.array([0.6, -3.1, 9.3, 0.03, -0.02, 0.01])
    return np.asarray(rest + noise * [0.03, 0.03, 0.03, 0.003, 0.003, 0.003])


def opened(name: str, signal: object = walking, rate_hz: float = 100.0) -> tuple[SensorReader, DyingBus, VirtualClock]:
    clock = VirtualClock()
    bus = DyingBus([simulated_chip(name, clock=clock, signal=signal)], clock=clock)  # type: ignore[arg-type]
    bus.table = CHIPS[name]
    sensor = open_sensor(name, bus=bus, clock=clock, calibration="none", rate_hz=rate_hz)
    assert isinstance(sensor, SensorReader)
    return sensor, bus, clock


def read(sensor: SensorReader, clock: VirtualClock, seconds: float) -> tuple[int, bool]:
    """Return how many samples came in so much time, and whether the first of them follows a gap."""
    end_ns, count, gap = clock.monotonic_ns() + round(seconds * 1e9), 0, False
    for block in sensor:
        gap = block.gap if not count else gap
        count += len(block)
        if clock.monotonic_ns() >= end_ns:
            break
    return count, gap


@pytest.mark.parametrize("name", CHIPS)
def test_dead_data_are_said_left_out_and_recovered_from(name: str, caplog: pytest.LogCaptureFixture) -> None:
    at = list(CHIPS).index(name)
    deaths = [each for each in DEATHS if each[0] != "gyr" or CHIPS[name].gyro_ranges]
    for death in (deaths[at % len(deaths)], deaths[(at + 3) % len(deaths)]):
        caplog.clear()
        sensor, bus, clock = opened(name)
        lively, _ = read(sensor, clock, 6)
        assert lively > 5.5 * sensor.rate_hz
        assert (sensor.trouble, sensor.counts.recoveries) == (None, 0)
        bus.dies(death)
        delivered, _ = read(sensor, clock, 2.1)
        # All axes that stop at once may be a device that was put down: then the doubt is said.
        assert sensor.trouble is not None and ("still" in sensor.trouble or "changed" in sensor.trouble)
        assert sensor.counts.recoveries >= 1
        assert delivered <= 2.1 * sensor.rate_hz
        later, _ = read(sensor, clock, 3)
        assert later == 0 or "changed" in sensor.trouble
        assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) <= 3
        bus.dies(None)
        before = sensor.counts.lost
        again, _ = read(sensor, clock, 5)
        assert again > 2 * sensor.rate_hz
        assert sensor.trouble is None
        if not later:
            assert sensor.counts.lost - before >= sensor.counts.dead > 0
        sensor.close()


def test_what_is_frozen_at_rest_is_known_by_its_noise() -> None:
    sensor, bus, clock = opened("mpu6050", resting)
    read(sensor, clock, 6)
    bus.dies(("all", None))
    read(sensor, clock, 2.1)
    assert sensor.trouble is not None and "frozen" in sensor.trouble
    assert read(sensor, clock, 120)[0] == 0
    assert "started again" in sensor.trouble
    # After pauses that grow: 1, 2, 4, ... 60 s.
    assert 5 <= sensor.counts.recoveries <= 10
    bus.dies(None)
    samples, gap = read(sensor, clock, 3)
    assert gap and samples > 100
    assert sensor.trouble is None


@pytest.mark.parametrize("name", ["lis3dh", "lsm6dso", "mpu6050"])
@pytest.mark.parametrize("rate_hz", [100.0, 400.0])
def test_a_sensor_at_rest_without_any_noise_is_not_dead(name: str, rate_hz: float) -> None:
    flat = np.array([0, 0, 9.80665, 0, 0, 0])
    sensor, _, clock = opened(name, lambda serials, times: np.tile(flat, (len(serials), 1)), rate_hz)
    samples, _ = read(sensor, clock, 30)
    assert samples > 29.5 * sensor.rate_hz
    assert (sensor.trouble, sensor.counts.dead, sensor.counts.recoveries) == (None, 0, 0)


def test_half_of_gravity_is_said_and_nothing_passes() -> None:
    sensor, _, clock = opened("mpu6050", lambda serials, times: resting(serials, times) * [0.5, 0.5, 0.5, 1, 1, 1])
    assert read(sensor, clock, 2.1)[0] <= 2.1 * sensor.rate_hz
    assert sensor.trouble is not None and "gravity is 4.9" in sensor.trouble and "2 times the range" in sensor.trouble
    assert read(sensor, clock, 30)[0] == 0


def test_a_fault_whose_figures_change_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    def drifting(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        share = 0.3 + serials[:, None] * 2e-5
        return resting(serials, times_ns) * np.where(np.arange(6) < 3, share, 1.0)

    sensor, _, clock = opened("mpu6050", drifting)
    said = set()
    for _ in range(100):
        read(sensor, clock, 1)
        said.add(str(sensor.trouble))
    assert len(said) > 50, "trouble is always as it is now"
    lines = [message for message in caplog.messages if "gravity is" in message]
    assert len(lines) == len(set(lines)) == 2
    assert "samples left out" not in caplog.text


def test_a_garbled_record_is_left_out_with_a_gap() -> None:
    sensor, bus, clock = opened("bmi160", resting)
    whole = bus.read

    def garbling(address: int, register: int, size: int) -> bytes:
        data = bytearray(whole(address, register, size))
        if register == CHIPS["bmi160"].fifo_register and size >= 78 and clock.monotonic_ns() // 10**9 % 5 == 0:
            data[8] ^= 0x80
        return bytes(data)

    bus.read = garbling  # type: ignore[method-assign]
    blocks = []
    for block in sensor:
        blocks.append(block)
        if sensor.counts.samples > 2000:
            break
    assert sensor.counts.garbled > 20
    assert sensor.counts.garbled == sensor.counts.gaps == sensor.counts.lost
    assert sum(block.gap for block in blocks) == sensor.counts.gaps
    assert max(np.abs(np.linalg.norm(block.data[:, :3], axis=1) - 9.82).max() for block in blocks if len(block)) < 0.5
    assert (sensor.trouble, sensor.counts.discards) == (None, 0)


@pytest.mark.parametrize("name", ["mpu6050", "bmi160", "lsm6dso"])
def test_an_axis_that_freezes_at_nine_tenths_of_its_range_is_not_clipped(name: str) -> None:
    it = bench(name, rate_hz=200)
    trial(it, 5)
    assert isinstance(it.bus, DyingBus)
    it.bus.dies(("gyr_x", round(0.897 * np.radians(1000) / it.setting.scale[3])))
    account = trial(it, 4)
    assert account.wrong == 0 and account.dead > 0
    assert "gyr_x stands still" in (it.reader.trouble or "") and it.reader.counts.dead


@pytest.mark.parametrize("value", [32767, -32768])
def test_an_axis_at_the_end_of_its_range_passes_with_a_doubt(value: int) -> None:
    it = bench("mpu6050", rate_hz=200)
    trial(it, 5)
    assert isinstance(it.bus, DyingBus)
    it.bus.dies(("gyr_x", value))
    account = trial(it, 4)
    assert "end of its range" in (it.reader.trouble or "") and (account.wrong, it.reader.counts.dead) == (0, 0)
    it.bus.dies(None)
    trial(it, 2)
    assert it.reader.trouble is None


@pytest.mark.parametrize(("name", "rate_hz"), [("bmi160", 800), ("icm20602", 1000)])
def test_deaths_that_follow_each_other_are_told_apart(name: str, rate_hz: float) -> None:
    """The trial of the bench takes for dead what is, and by the right death: so it misses no sample."""
    it = bench(name, rate_hz=rate_hz)
    assert isinstance(it.bus, DyingBus)
    at_s, events = 3.0, []
    for pause_s in np.arange(0.003, 0.08, 0.007):
        steps = ((at_s, ("gyr", None)), (at_s + 4, None), (at_s + 4 + pause_s, ("all", None)), (at_s + 5, None))
        begun_ns = it.clock.monotonic_ns()
        events += [(begun_ns + round(step_s * 1e9), partial(it.bus.dies, death)) for step_s, death in steps]
        at_s += 9 + pause_s
    it.bus.inject(Faults(events=tuple(events)))
    account = trial(it, at_s)
    assert account.dead > 1000 and (account.wrong, account.unreported) == (0, 0) and account.most_off < 2
