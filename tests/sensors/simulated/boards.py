"""Chips of ST, Bosch and Analog Devices on a bus, and running as their data sheets say."""

from __future__ import annotations

from math import radians

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.simulated import Oscillator, SimulatedBus, VirtualClock
from motionsig.sensors.simulated.models import MODELS

IDENTITY = {
    "lsm6ds3": (0x0F, 0x69),
    "lsm6ds3trc": (0x0F, 0x6A),
    "lsm6dso": (0x0F, 0x6C),
    "lsm6dsox": (0x0F, 0x6C),
    "lsm6dsr": (0x0F, 0x6B),
    "lsm6dsv16x": (0x0F, 0x70),
    "lsm6dsv32x": (0x0F, 0x70),
    "lsm9ds1": (0x0F, 0x68),
    "bmi160": (0x00, 0xD1),
    "adxl345": (0x00, 0xE5),
    "lis3dh": (0x0F, 0x33),
}


def moving(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return six values that differ from sample to sample, within 1 g and 100 deg/s."""
    phase = serials[:, None] * np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) + np.arange(6)
    return np.sin(phase) * np.repeat([STANDARD_GRAVITY, radians(100)], 3)


def at_rest(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.tile([0.0, 0.0, STANDARD_GRAVITY, 0.0, 0.0, 0.0], (len(serials), 1))


class Board:
    """One chip on a bus at 400 kHz."""

    def __init__(self, name: str, signal=moving, skew: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.chip = MODELS[name](self.clock, signal, oscillator=Oscillator(skew))
        self.bus = SimulatedBus([self.chip], clock=self.clock)

    def write(self, *data: int) -> None:
        self.bus.write(self.chip.address, bytes(data))

    def read(self, register: int, size: int = 1) -> bytes:
        return self.bus.read(self.chip.address, register, size)

    def take(self, samples: int) -> None:
        """Wait until so many more samples have been taken, the last one just now."""
        wanted = self.chip.taken + samples
        while self.chip.taken < wanted:
            self.clock.sleep(50e-6)
            self.chip.catch_up()

    def byte(self, register: int) -> int:
        return self.read(register)[0]

    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def felt(self, serials: NDArray[np.int64]) -> NDArray[np.float64]:
        serials = np.asarray(serials, np.int64)
        return self.chip.signal(serials, self.chip.times_ns(serials))


def counts(felt: NDArray[np.float64], accel: float, gyro: float = 1.0) -> NDArray[np.int16]:
    """Return counts of m/s² and rad/s at so much a count."""
    return np.rint(felt / np.repeat([accel, gyro], 3)).astype(np.int16)


def gyro_first(found: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return (n, 6) counts with the gyroscope's after the accelerometer's where they came before."""
    return np.concatenate([found[:, 3:], found[:, :3]], axis=1)


MG = 1e-3 * STANDARD_GRAVITY
MDPS = radians(1e-3)


def lsm6ds3(name: str = "lsm6ds3", **options) -> Board:
    """Run it at 104 Hz, 4 g, 500 deg/s, both sensors in the FIFO."""
    bench = Board(name, **options)
    bench.write(0x12, 0x44)
    bench.write(0x10, 0x48)
    bench.write(0x11, 0x44)
    bench.wait(0.1)
    bench.write(0x08, 0x09)
    bench.write(0x0A, 0x26)
    return bench


def lsm6dso(name: str = "lsm6dso", code: int = 4, **options) -> Board:
    """Run it at 104 Hz (or another code), 8 g, 1000 deg/s, both sensors in the FIFO."""
    bench = Board(name, **options)
    bench.write(0x12, 0x44)
    bench.write(0x10, code << 4 | 0x0C)
    bench.write(0x11, code << 4 | 0x08)
    bench.wait(0.1)
    bench.write(0x09, code << 4 | code)
    bench.write(0x0A, 0x06)
    return bench


def lsm9ds1(**options) -> Board:
    """Run it at 238 Hz, 4 g, 500 deg/s, FIFO in continuous mode."""
    bench = Board("lsm9ds1", **options)
    bench.write(0x10, 0x88)
    bench.write(0x20, 0x90)
    bench.wait(0.1)
    bench.write(0x23, 0x02)
    bench.write(0x2E, 0xC0)
    return bench


def bmi160(accel: int = 0x28, gyro: int = 0x28, fifo: int = 0xD0, **options) -> Board:
    """Run it at 100 Hz, 4 g, 1000 deg/s, both sensors in the FIFO with headers."""
    bench = Board("bmi160", **options)
    bench.write(0x7E, 0x11)
    bench.wait(0.005)
    bench.write(0x7E, 0x15)
    bench.wait(0.09)
    assert bench.byte(0x03) == 0x14
    for register, value in ((0x40, accel), (0x41, 0x05), (0x42, gyro), (0x43, 0x01), (0x47, fifo)):
        bench.write(register, value)
    bench.write(0x7E, 0xB0)
    return bench


def adxl345(**options) -> Board:
    """Run it at 100 Hz, 16 g in full resolution, FIFO in stream mode."""
    bench = Board("adxl345", **options)
    bench.write(0x31, 0x0B)
    bench.write(0x2D, 0x08)
    bench.wait(0.02)
    bench.read(0x32, 6)  # or what was overrun before still stands in INT_SOURCE
    bench.write(0x38, 0x80)
    return bench


def lis3dh(**options) -> Board:
    """Run it at 100 Hz, 4 g, high resolution, FIFO in stream mode."""
    bench = Board("lis3dh", **options)
    bench.write(0x20, 0x57)
    bench.write(0x23, 0x98)
    bench.wait(0.1)
    bench.write(0x24, 0x40)
    bench.write(0x2E, 0x80)
    return bench
