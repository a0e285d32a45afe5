"""InvenSense's chips on a bus, and running as their data sheets say."""

from __future__ import annotations

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.simulated import SimulatedBus, VirtualClock
from motionsig.sensors.simulated.models import MODELS

MPU = ["icm20602", "icm20608", "icm20689", "mpu6050", "mpu6500", "mpu6886", "mpu9250", "mpu9255"]
ICM426 = ["icm42605", "icm42688p"]
NAMES = [*MPU, "icm20948", *ICM426]
WHO_AM_I = {
    "mpu6050": (0x75, 0x68),
    "mpu6500": (0x75, 0x70),
    "mpu9250": (0x75, 0x71),
    "mpu9255": (0x75, 0x73),
    "icm20602": (0x75, 0x12),
    "icm20608": (0x75, 0xAF),
    "mpu6886": (0x75, 0x19),
    "icm20689": (0x75, 0x98),
    "icm20948": (0x00, 0xEA),
    "icm42605": (0x75, 0x42),
    "icm42688p": (0x75, 0x47),
}
MPU_START = ((0x6B, 0x01), (0x1A, 0x01), (0x19, 0x00), (0x23, 0xF8), (0x6A, 0x04), (0x6A, 0x40))
"""Clock from the gyroscope, filtered 1 kHz, everything into the FIFO, FIFO emptied and on."""
RUNNING = {
    **dict.fromkeys(MPU, MPU_START),
    "icm20948": (
        *((0x06, 0x01), (0x7F, 0x20), (0x00, 0), (0x11, 0), (0x01, 0x01), (0x14, 0x01), (0x7F, 0x00)),
        *((0x67, 0x1F), (0x68, 0x1F), (0x68, 0x00), (0x03, 0x40)),
    ),
    **dict.fromkeys(ICM426, ((0x16, 0x40), (0x5F, 0x4F), (0x4E, 0x0F))),
}
FIFO = {**dict.fromkeys(MPU, (0x72, 0x74, 14)), "icm20948": (0x70, 0x72, 14), **dict.fromkeys(ICM426, (0x2E, 0x30, 16))}
CAPACITY = {"mpu6050": 1024, "icm20602": 1008, "mpu6886": 1024, **dict.fromkeys(ICM426, 2048)}
START_UP = {"mpu6050": 0.03, **dict.fromkeys(ICM426, 0.03)}


def counting(serials, times_ns):
    """Feel the serial number: m/s² up to the smallest full scale and rad/s, different on each axis."""
    return np.stack([(serials * (axis + 1) % 1000) / 1000 for axis in range(6)], axis=1)


def still(serials, times_ns):
    return np.tile((0.0, 0.0, STANDARD_GRAVITY, 0.0, 0.0, 0.0), (len(serials), 1))


class Board:
    """A chip on a bus."""

    def __init__(self, name, signal=still, oscillator=None):
        self.clock = VirtualClock()
        self.chip = MODELS[name](self.clock, signal, oscillator=oscillator)
        self.bus = SimulatedBus([self.chip], clock=self.clock)
        self.count, self.data, self.record = FIFO[name]
        self.name = name

    def put(self, *pairs):
        for register, value in pairs:
            self.bus.write(self.chip.address, bytes((register, value)))
            self.clock.sleep(0.0003)

    def get(self, register, size=1):
        return self.bus.read(self.chip.address, register, size)

    def start(self, *more):
        self.put(*RUNNING[self.name], *more)
        self.clock.sleep(0.1)
        self.drain()
        return self

    def level(self):
        return int.from_bytes(self.get(self.count, 2), "big")

    def drain(self):
        level = self.level()
        return self.get(self.data, level) if level else b""

    def words(self):
        """Drain; return (n, 6) counts of a FIFO of whole records of the 14-byte families or packets of 16."""
        data = np.frombuffer(self.drain(), np.uint8)
        rows = data[: len(data) // self.record * self.record].reshape(-1, self.record)
        if self.record == 16:
            return rows[:, 1:13].copy().view(">i2").astype(int)
        words = rows.copy().view(">i2").astype(int)
        return words[:, :6] if self.name == "icm20948" else words[:, [0, 1, 2, 4, 5, 6]]
