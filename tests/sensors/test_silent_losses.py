"""What the reader does about a sample that a chip lost without a report."""

from __future__ import annotations

import random

import numpy as np
import pytest
from chips.trial import bench, trial

from motionsig.sensors import open_sensor
from motionsig.sensors.simulated import Faults, Oscillator, SimulatedBus, VirtualClock, simulated_chip, walking

RECORD = 14  # bytes of a gyroscope's and an accelerometer's word in an LSM6DSO's FIFO
MS = 1_000_000


def test_a_sample_lost_without_a_report_is_a_gap() -> None:
    clock = VirtualClock()
    chip = simulated_chip("lsm6dso", clock=clock)
    bus = SimulatedBus([chip], clock=clock)
    lost_ns: list[int] = []

    def lose() -> None:
        if not lost_ns and chip.words.level >= RECORD:
            chip.words.pop(RECORD)
            lost_ns.append(clock.monotonic_ns())

    with open_sensor("lsm6dso", bus=bus, clock=clock, calibration="none") as sensor:
        begun_ns = clock.monotonic_ns() + 5000 * MS
        bus.inject(Faults(events=tuple((begun_ns + ms * MS, lose) for ms in range(0, 500, 7))))
        blocks = []
        for block in sensor:
            blocks.append(block)
            if clock.monotonic_ns() > begun_ns + 4000 * MS:
                break
        assert lost_ns
        assert (sensor.counts.discards, sensor.counts.gaps, sensor.counts.overflows) == (1, 1, 0)
        assert sensor.counts.lost >= 1
        after = next(number for number, block in enumerate(blocks) if block.gap)
        # From there on the samples have their true times again.
        time_ns = np.concatenate([block.time_ns for block in blocks[after:]]) - sensor.unix_offset_ns
        data = np.concatenate([block.data for block in blocks[after:]])
        assert len(time_ns) > 200
        assert np.abs(data - walking(np.arange(len(data)), time_ns)).max() < 0.15


@pytest.mark.parametrize("rate_hz", [50, 100, 200])
@pytest.mark.parametrize("name", ["mpu6050", "lsm6dso", "bmi160", "lis3dh"])
def test_a_sample_that_another_program_takes_out_is_reported_where_it_was(name: str, rate_hz: float) -> None:
    it = bench(name, rate_hz=rate_hz, oscillator=Oscillator(skew=0.02))
    trial(it, 2)
    chip, read, other, taken, next_ns = it.reader.fifo.chip, it.bus.read, random.Random(f"{name}2"), 0, 0

    def shared(address: int, register: int, size: int) -> bytes:
        """Read, as another program does now and then, just before we do (I2C_SLAVE_FORCE asks for no lock)."""
        nonlocal taken, next_ns
        if it.clock.monotonic_ns() > next_ns:
            next_ns, taken = it.clock.monotonic_ns() + round(other.uniform(300, 1500)) * MS, taken + 1
            read(address, chip.fifo_register & 0xFF, chip.record.itemsize)
        return read(address, register, size)

    it.bus.read = shared  # type: ignore[method-assign]
    account = trial(it, 40)
    # Until the times of a new segment are known well, no reading can tell.
    assert taken >= 40 and account.gaps >= taken - 3
    assert account.wrong == 0 and account.unreported <= 1
    assert "another program may read this chip" in str(it.reader.trouble)
