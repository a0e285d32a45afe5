"""LSM9DS1, accelerometer and gyroscope: 32 slots in which the two lie together. DocID025715 Rev 3."""

from __future__ import annotations

from math import radians

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.chip import Fifo, Nack, Signal
from motionsig.sensors.simulated.clock import Oscillator
from motionsig.sensors.simulated.measuring import MeasuringChip, Settings

_GYRO_HZ = (0.0, 14.9, 59.5, 119.0, 238.0, 476.0, 952.0, 0.0)
"""By ODR_G (CTRL_REG1_G)."""

_ACCEL_HZ = (0.0, 10.0, 50.0, 119.0, 238.0, 476.0, 952.0, 0.0)
"""By ODR_XL (CTRL_REG6_XL); it counts only while the gyroscope is off."""

_ACCEL_MG = (0.061, 0.732, 0.122, 0.244)
"""mg per count by FS_XL: 2, 16, 4, 8 g (sensor characteristics)."""

_GYRO_MDPS = (8.75, 17.5, 0.0, 70.0)
"""mdps per count by FS_G: 245, 500, -, 2000 deg/s (sensor characteristics)."""

_SLOTS = 32
_ID, _CTRL1_G, _CTRL4, _CTRL5_XL, _CTRL6_XL, _CTRL8, _CTRL9, _CTRL10 = (0x0F, 0x10, 0x1E, 0x1F, 0x20, 0x22, 0x23, 0x24)
_FIFO_CTRL, _FIFO_SRC, _GYRO_OUT, _ACCEL_OUT = 0x2E, 0x2F, 0x18, 0x28


# Register address map.
_DEFAULTS = {**dict.fromkeys(range(0x04, 0x38), 0), _ID: 0x68, _CTRL4: 0x38, _CTRL5_XL: 0x38, _CTRL8: 0x04}

_WRITABLE = {
    **dict.fromkeys((*range(0x04, 0x0D), *range(0x30, 0x38)), 0xFF),
    0x0D: 0xBF,
    _CTRL1_G: 0xFB,
    0x11: 0x0F,
    0x12: 0xCF,
    0x13: 0x3F,
    _CTRL4: 0x3B,
    _CTRL5_XL: 0xF8,
    _CTRL6_XL: 0xFF,
    0x21: 0xE5,
    _CTRL8: 0x7E,
    _CTRL9: 0x5F,
    _CTRL10: 0x05,
    _FIFO_CTRL: 0xFF,
}


class Lsm9ds1(MeasuringChip):
    address = 0x6B
    boot_s = 0.02  # ST's lsm9ds1_self_test.c, BOOT_TIME
    gyro_start_s = 0.08  # unconfirmed

    deciding = (_CTRL1_G, _CTRL4, _CTRL5_XL, _CTRL6_XL, _CTRL9, _CTRL10, _FIFO_CTRL)
    defaults = _DEFAULTS
    writable = _WRITABLE

    def __init__(self, clock: Clock, signal: Signal, *, oscillator: Oscillator | None = None) -> None:
        self._busy = 0
        self._busy_until_ns = 0
        self._seen = 0
        super().__init__(clock, signal, oscillator=oscillator)

    def make_fifo(self) -> Fifo:
        return Fifo(_SLOTS * 12, 12, "oldest-record")

    def booted(self) -> None:
        self._busy = 0

    # Rates and ranges.

    def _gyro_on(self) -> bool:
        return _GYRO_HZ[self.registers[_CTRL1_G] >> 5] > 0

    def sampling_hz(self) -> float | None:
        gyro_hz = _GYRO_HZ[self.registers[_CTRL1_G] >> 5]
        return gyro_hz or _ACCEL_HZ[self.registers[_CTRL6_XL] >> 5] or None

    def settings(self) -> Settings:
        registers = self.registers
        gyro_on = self._gyro_on()
        # Operating modes: the accelerometer runs at the gyroscope's rate, whatever ODR_XL, unless that is power-down.
        accel_on = registers[_CTRL6_XL] >> 5 != 0
        accel = _ACCEL_MG[registers[_CTRL6_XL] >> 3 & 3] * 1e-3 * STANDARD_GRAVITY
        mdps = _GYRO_MDPS[registers[_CTRL1_G] >> 3 & 3]
        scale = np.repeat([accel, radians(mdps * 1e-3) or np.inf], 3)
        asleep = bool(registers[_CTRL9] & 0x40)
        switches = registers[_CTRL5_XL] >> 3 & 7 | registers[_CTRL4] & 0x38
        on = np.array([switches >> axis & 1 for axis in range(6)], bool)
        on &= np.repeat([accel_on, gyro_on and not asleep], 3)
        # 70 to 1500 mg; 200 to 800 deg/s at 2000 deg/s (ST's lsm9ds1_self_test.c).
        test = registers[_CTRL10]
        added = [0.4 * STANDARD_GRAVITY * (test & 1), radians(0.2 * mdps / 0.035) * (test >> 2 & 1)]
        return Settings(np.where(on, scale, np.inf), np.repeat(added, 3), 32767, (accel_on, gyro_on))

    def starting_s(self) -> tuple[float, float]:
        return 2 / (self.sampling_hz() or 1.0), self.gyro_start_s

    # FIFO.

    def fifo_on(self) -> bool:
        return bool(self.registers[_CTRL9] & 0x02) and self.registers[_FIFO_CTRL] >> 5 in (1, 3, 6)

    def decided(self) -> None:
        size = 12 if self._gyro_on() else 6
        mode = "newest" if self.registers[_FIFO_CTRL] >> 5 == 1 else "oldest-record"
        if (size, mode) != (self.fifo.record_size, self.fifo.full):
            self.fifo = Fifo(_SLOTS * size, size, mode)
        if not self.fifo_on():
            self.fifo.clear()
            self.spoiled = -1
        elif self.spoiled < 0:
            self.spoiled = self.taken  # section 3.5: the first sample in a new mode is to be discarded

    def records(self, serials: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, 12) bytes of these samples: gyroscope, accelerometer; (n, 6) while the gyroscope is off."""
        counts = self.counts(serials).astype("<i2")
        self.spoil(serials, counts)
        if self.fifo.record_size == 12:
            counts = np.concatenate([counts[:, 3:], counts[:, :3]], axis=1)
        else:
            counts = np.ascontiguousarray(counts[:, :3])
        return counts.view(np.uint8)

    def read_stream(self, register: int, size: int) -> bytes | None:
        """Walk 18h-1Dh, 28h-2Dh and round again, or 28h-2Dh alone while the gyroscope is off (section 3.3)."""
        if register not in (_GYRO_OUT, _ACCEL_OUT) or (register == _GYRO_OUT and not self._gyro_on()):
            return None
        self._seen = self.taken
        fifo = self.fifo
        slot = fifo.record_size
        begin = 6 if register == _ACCEL_OUT and slot == 12 else 0
        if not self.fifo_on() or not fifo.level:
            latest = self.records(np.array([self.taken - 1], np.int64)).tobytes() if self.taken else bytes(slot)
            return (latest * (size // slot + 2))[begin : begin + size]
        slots, _ = fifo.serials(min(begin + size, fifo.level))
        data = self.records(slots).tobytes()
        fifo.pop((begin + size) // slot * slot)
        fifo.overran = False
        whole = -(-(begin + size) // slot)
        return (data + data[-slot:] * (whole - len(slots)))[begin : begin + size]

    # Registers.

    def catch_up(self, at_ns: int | None = None) -> None:
        super().catch_up(at_ns)
        if at_ns is None and self.registers[_CTRL9] & 0x04 and not self.on_spi:  # I2C_DISABLE
            raise Nack

    def write_register(self, register: int, value: int) -> None:
        now_ns = self.clock.monotonic_ns()
        if self._busy and now_ns < self._busy_until_ns:
            return
        if register == _CTRL8 and value & 0x01:  # SW_RESET
            self.restart(now_ns, 0.0)
            self._busy, self._busy_until_ns = 0x01, now_ns + 50_000
            return
        if register == _CTRL8 and value & 0x80:  # BOOT
            self._busy, self._busy_until_ns = (0x80, now_ns + round(self.boot_s * NS_PER_S))
        bits = self.writable.get(register, 0)
        self.registers[register] = self.registers.get(register, 0) & ~bits | value & bits

    def read(self, register: int, size: int) -> bytes:
        if self.registers[_CTRL8] & 0x04:  # IF_ADD_INC
            return super().read(register, size)
        return b"".join(super(Lsm9ds1, self).read(register, 1) for _ in range(size))

    def read_register(self, register: int) -> int:
        if register == _FIFO_SRC:
            slots, mark = (self.fifo.level // self.fifo.record_size, self.registers[_FIFO_CTRL] & 31)
            return (0 < mark <= slots) << 7 | self.fifo.overran << 6 | slots
        if register == _CTRL8:
            return self.registers[register] | (self._busy if self.clock.monotonic_ns() < self._busy_until_ns else 0)
        if register in (0x17, 0x27):
            on = self.settings().on
            return (on[0] * 1 | on[1] * 2 | 4) if self.taken > self._seen else 0
        if register in (0x15, 0x16):
            return int((self.temperature_c - 25) * 16) >> 8 * (register - 0x15) & 0xFF  # 16 counts a degree
        for out, first in ((_GYRO_OUT, 3), (_ACCEL_OUT, 0)):
            if out <= register < out + 6:
                at, high = divmod(register - out, 2)
                return int(self.latest()[first + at]) >> 8 * high & 0xFF
        return self.registers.get(register, 0)
