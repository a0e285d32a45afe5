"""A chip's own self-test: it pushes its proof masses electrically, and what comes out must have moved as expected."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.sensors.bus import Bus
from motionsig.sensors.chips import Chip, settle
from motionsig.sensors.clock import Clock
from motionsig.sensors.fifo import ChipFifo
from motionsig.sensors.owner import own

_SAMPLES = 50
"""Averaged before and after: the noise of a mean is far below the least change that is expected."""
_SLACK_S = 0.5
"""What a reading that has begun may take longer."""
_STILL = 0.3
"""Part of the least change that the outputs may wander while nothing is asked: a hand that holds the sensor."""


@dataclass(frozen=True)
class AxisResult:
    """One axis: how far it moved, the least and the most it should have, in m/s², rad/s or parts of the factory's."""

    channel: str
    change: float
    least: float
    most: float

    @property
    def passed(self) -> bool | None:
        """None where the factory left nothing to compare with, as on many a clone."""
        return None if isnan(self.change) else self.least <= abs(self.change) <= self.most


def self_test(bus: Bus, chip: Chip, address: int, *, clock: Clock) -> list[AxisResult]:
    """Run the self-test of the chip at `address`, which must lie still; return what each axis did.

    The chip is left as after power-up. Raises InputError where it has no self-test, SensorError where it moves, and
    HeldError, which is one, where somebody else reads it.
    """
    with own(bus, address):
        return _self_test(bus, chip, address, clock)


def _self_test(bus: Bus, chip: Chip, address: int, clock: Clock) -> list[AxisResult]:
    test = chip.self_test
    if test is None:
        raise InputError(
            f"{chip.name}: expected a chip whose self-test is known, its limits are in no source that we could read"
        )
    setting = settle(
        chip, rate_hz=test.rate_hz, accel_range_g=test.accel_range_g, gyro_range_dps=test.gyro_range_dps or 0.001
    )
    fifo = ChipFifo(bus, chip, address, setting, clock)
    fifo.configure()
    try:
        fifo.registers.run(test.before)
        clock.sleep(test.settle_s if test.before else 0)
        before, again = _mean(fifo, clock), _mean(fifo, clock)
        fifo.registers.run(test.on)
        clock.sleep(test.settle_s)
        during = _mean(fifo, clock)
        fifo.registers.run(test.off)
    finally:
        fifo.registers.run(chip.reset)
    change, wander = during - again, again - before
    if test.trim is not None:
        factory = test.trim(b"".join(fifo.registers.read(register) for register in test.trim_registers))
        change, wander = change / factory, wander / factory
    results = []
    for axis, channel in enumerate(CHANNELS):
        limits = test.accel if axis < 3 else test.gyro
        if limits is None:
            continue
        if abs(wander[axis]) > _STILL * limits[0]:
            raise SensorError(
                f"{fifo.registers.where}: expected it to lie still during the self-test, but {channel} moved by "
                f"{wander[axis]:.3g} before it began"
            )
        results.append(AxisResult(channel, float(change[axis]), *limits))
    return results


def _mean(fifo: ChipFifo, clock: Clock) -> NDArray[np.float64]:
    """Return the mean (6,) of samples that are taken from now on, in m/s² and rad/s."""
    fifo.flush()
    return np.asarray(samples(fifo, clock, _SAMPLES).mean(axis=0) * fifo.setting.scale, np.float64)


def samples(fifo: ChipFifo, clock: Clock, least: int) -> NDArray[np.int16]:
    """Return (n, 6) counts of at least so many samples; raise SensorError where they do not come in time."""
    parts: list[NDArray[np.int16]] = []
    late_s = 4 * least / fifo.setting.rate_hz
    deadline_ns = clock.monotonic_ns() + round(late_s * NS_PER_S)
    with fifo.registers.within(late_s + _SLACK_S, f"{least} samples"):
        while sum(map(len, parts)) < least:
            clock.sleep(min(0.02, fifo.chip.capacity / fifo.setting.rate_hz / 2))
            records = fifo.level()
            if records:
                parts.append(fifo.read(records))
            if clock.monotonic_ns() > deadline_ns:
                raise SensorError(
                    f"{fifo.registers.where}: expected samples at {fifo.setting.rate_hz:g} Hz, got too few"
                )
    return np.concatenate(parts)
