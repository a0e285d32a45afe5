"""What the reader does about a sample that a chip lost without a report."""

from __future__ import annotations

import numpy as np

from motionsig.sensors import open_sensor
from motionsig.sensors.simulated import Faults, SimulatedBus, VirtualClock, simulated_chip, walking

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
