"""A driver of the kernel that takes a chip while a process reads it."""

from __future__ import annotations

import time
from pathlib import Path

from chips.trial import Coded
from i2c_machine import I2cMachine

from motionsig.sensors.clock import SystemClock
from motionsig.sensors.simulated import SimulatedBus, simulated_chip


def test_a_chip_that_a_driver_takes_meanwhile_is_left_to_it_and_the_driver_is_named(tmp_path: Path) -> None:
    clock = SystemClock()
    chip = simulated_chip("mpu6500", clock=clock, signal=Coded(8, 1000))
    bus = SimulatedBus([chip], clock=clock)
    writes: list[bytes] = []
    write = bus.write

    def noted(address: int, data: bytes) -> None:
        writes.append(data)
        write(address, data)

    bus.write = noted  # type: ignore[method-assign]
    with I2cMachine(bus, tmp_path) as machine:
        record = ("record", "--sensor", "mpu6500", "--bus", "1", "--seconds", "30", "--out", "log.msig")
        process = machine.start("-m", "motionsig.cli", *record)
        log = tmp_path / "log.msig"
        while not log.exists() or log.stat().st_size < 2000:
            assert process.poll() is None
            time.sleep(0.02)
        machine.hold(0x68, "inv-mpu6050-i2c")
        with machine.lock:
            # As it begins, a driver resets its chip.
            chip.restart(clock.monotonic_ns(), 0.01)
            before = len(writes)
        assert process.stderr is not None
        said = "expected a chip that no driver of the kernel holds, got one held by inv-mpu6050-i2c: open it as iio"
        # The last line comes when the process ends, at the latest after the 30 s.
        assert any(said in line for line in process.stderr)
    # Only what it had begun to write before it saw the reset.
    assert len(writes) - before <= 5
