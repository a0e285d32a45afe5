"""Chips whose FIFO goes wrong in ways that only one check of the reader notices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.simulated.lsm6dso import Lsm6dso
from motionsig.sensors.simulated.models.icm42600 import Icm42688P
from motionsig.sensors.simulated.models.invensense import Format
from motionsig.sensors.simulated.models.mpu6000 import Mpu6500

_EVERY = 97


class AccelerometerFirst(Lsm6dso):
    """An LSM6DSO that gives the two words of an instant in the other order."""

    def read_stream(self, register: int, size: int) -> bytes | None:
        stream = super().read_stream(register, size)
        if stream is None or size % 14:
            return stream
        return np.frombuffer(stream, np.uint8).reshape(-1, 2, 7)[:, ::-1].tobytes()


class TornPairs(Lsm6dso):
    """An LSM6DSO whose FIFO always begins with the second word of an instant."""

    def read(self, register: int, size: int) -> bytes:
        if self.words.level and self.words.level % 14 == 0:
            self.words.pop(7)
        return super().read(register, size)


class ShiftedRecords(Mpu6500):
    """An MPU6500 of whose records one in 97 is shifted by a word: only its temperature shows it."""

    def encode(self, serials: NDArray[np.int64], layout: Format) -> NDArray[np.uint8]:
        out = super().encode(serials, layout)
        shifted = serials % _EVERY == _EVERY - 1
        out[shifted] = np.roll(out[shifted], 2, axis=1)
        return out


class RepeatedPackets(Icm42688P):
    """An ICM42688-P that gives one packet in 97 again in place of the next one: only its time shows it."""

    def encode(self, serials: NDArray[np.int64], layout: Format) -> NDArray[np.uint8]:
        # From the sample before on, which has to be there for a packet that is read first.
        out = super().encode(np.concatenate([serials[:1] - 1, serials]), layout)
        repeated = np.flatnonzero(serials % _EVERY == _EVERY - 1)
        out[repeated + 1] = out[repeated]
        return out[1:]
