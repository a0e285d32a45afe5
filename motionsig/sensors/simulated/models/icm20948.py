"""Models of InvenSense's ICM20948, without its magnetometer, and ICM20649.

Sources: DS-000189 rev 1.3, its register map in sec. 7 to 11; PX4's InvenSense_ICM20948_registers.hpp for the FIFO. For
the ICM20649: PX4's InvenSense_ICM20649_registers.hpp and Adafruit's Adafruit_ICM20649.cpp.
"""

from __future__ import annotations

import numpy as np

from motionsig.sensors.simulated.models.invensense import (
    FULL_SCALE,
    Format,
    FormatFifo,
    InvenSenseChip,
    per_unit,
    trimmed,
)

_WHO_AM_I, _USER_CTRL, _LP_CONFIG, _PWR_MGMT_1, _PWR_MGMT_2 = (0x00, 0x03, 0x05, 0x06, 0x07)
(_INT_ENABLE_1, _INT_ENABLE_2, _INT_STATUS, _INT_STATUS_1, _INT_STATUS_2, _INT_STATUS_3) = (
    0x11,
    0x12,
    0x19,
    0x1A,
    0x1B,
    0x1C,
)
_DATA, _FIFO_EN_2, _FIFO_RST, _FIFO_MODE = 0x2D, 0x67, 0x68, 0x69
_FIFO_COUNTH, _FIFO_COUNTL, _FIFO_R_W, _REG_BANK_SEL = 0x70, 0x71, 0x72, 0x7F
_GYRO_SMPLRT_DIV, _GYRO_CONFIG_1, _GYRO_CONFIG_2 = 0x200, 0x201, 0x202
_ACCEL_SMPLRT_DIV_1, _ACCEL_SMPLRT_DIV_2, _ACCEL_CONFIG, _ACCEL_CONFIG_2 = (0x210, 0x211, 0x214, 0x215)

_CODES = (110, 104, 113, 150, 145, 155)


_ICM20948_DEFAULTS = {
    _WHO_AM_I: 0xEA,
    _LP_CONFIG: 0x40,
    _PWR_MGMT_1: 0x41,
    **dict(zip((0x10E, 0x10F, 0x110, 0x102, 0x103, 0x104), _CODES, strict=True)),
    _GYRO_CONFIG_1: 0x01,
    _ACCEL_CONFIG: 0x01,
}
_ICM20948_WRITABLE = {
    _USER_CTRL: 0xF0,
    _LP_CONFIG: 0x70,
    _PWR_MGMT_1: 0x6F,
    _PWR_MGMT_2: 0x3F,
    0x0F: 0xFE,
    0x10: 0x8F,
    _INT_ENABLE_1: 0x01,
    _INT_ENABLE_2: 0x1F,
    0x13: 0x1F,
    0x66: 0x0F,
    _FIFO_EN_2: 0x1F,
    _FIFO_RST: 0x1F,
    _FIFO_MODE: 0x1F,
    0x76: 0x01,
    _REG_BANK_SEL: 0x30,
    **dict.fromkeys((0x102, 0x103, 0x104, 0x10E, 0x10F, 0x110), 0xFF),
    **dict.fromkeys((0x114, 0x115, 0x117, 0x118, 0x11A, 0x11B, 0x128), 0xFF),
    _GYRO_SMPLRT_DIV: 0xFF,
    _GYRO_CONFIG_1: 0x3F,
    _GYRO_CONFIG_2: 0x3F,
    **dict.fromkeys(range(0x203, 0x209), 0xFF),
    0x209: 0x01,
    _ACCEL_SMPLRT_DIV_1: 0x0F,
    _ACCEL_SMPLRT_DIV_2: 0xFF,
    0x212: 0x03,
    0x213: 0xFF,
    _ACCEL_CONFIG: 0x3F,
    _ACCEL_CONFIG_2: 0x1F,
    0x252: 0xFF,
    0x253: 0x07,
    0x254: 0xFF,
    **dict.fromkeys(range(0x300, 0x318), 0xFF),
}
_ICM20948_MOMENTARY = {_USER_CTRL: 0x0E, _PWR_MGMT_1: 0x80, _FIFO_RST: 0x00}


class Icm20948(InvenSenseChip):
    """ICM20948. counts_per_g, counts_per_dps: by ACCEL_FS_SEL and GYRO_FS_SEL."""

    counts_per_g = (16384, 8192, 4096, 2048)
    counts_per_dps = (131.0, 65.5, 32.8, 16.4)
    boot_s = 0.011  # typical; 0.1 at most. DS-000189 sec. 3.4
    start_up_s = (0.02, 0.035)  # sec. 3.2 and 3.1
    bank_select = (_REG_BANK_SEL, 4, 3)
    fifo_register = _FIFO_R_W
    words = (0, 1, 2, 3, 4, 5, 6)
    temperature = (333.87, 21.0)  # sec. 3.5
    self_test = trimmed(_CODES, FULL_SCALE)
    defaults = _ICM20948_DEFAULTS
    writable = _ICM20948_WRITABLE
    momentary = _ICM20948_MOMENTARY
    volatile = frozenset(
        {*range(_INT_STATUS, _INT_STATUS_3 + 1), *range(_DATA, _DATA + 14), _FIFO_COUNTH, _FIFO_COUNTL, _FIFO_R_W}
    )

    def make_fifo(self) -> FormatFifo:
        return FormatFifo(512)

    def _resample(self, at_ns: int | None = None) -> None:
        super()._resample(at_ns)
        # FIFO_MODE: stream, or a snapshot that stops when it is full.
        self.fifo.full = "newest" if self.registers.get(_FIFO_MODE, 0) & 0x1F else "oldest"

    def _odr_hz(self) -> tuple[float, float]:
        """Return the rates of accelerometer and gyroscope: sec. 10.1, 10.11 and 10.12, past the filter undivided."""
        accel_div = (self.registers.get(_ACCEL_SMPLRT_DIV_1, 0) & 0x0F) << 8 | self.registers.get(
            _ACCEL_SMPLRT_DIV_2, 0
        )
        gyro_div = self.registers.get(_GYRO_SMPLRT_DIV, 0)
        return (
            1125.0 / (1 + accel_div) if self.registers[_ACCEL_CONFIG] & 1 else 4500.0,
            1125.0 / (1 + gyro_div) if self.registers[_GYRO_CONFIG_1] & 1 else 9000.0,
        )

    def sampling_hz(self) -> float | None:
        accel, gyro = self.sensors_on()
        if not (accel or gyro) or self.registers[_PWR_MGMT_1] & 0x07 == 7:  # CLKSEL 7 stops the clock
            return None
        # With both on the gyroscope leads; the data sheet says nothing of two rates in one FIFO.
        return self._odr_hz()[gyro]

    def sensors_on(self) -> tuple[bool, bool]:
        awake, off = (not self.registers[_PWR_MGMT_1] & 0x40, self.registers.get(_PWR_MGMT_2, 0))
        return awake and off & 0x38 != 0x38, awake and off & 0x07 != 0x07

    def temperature_on(self) -> bool:
        return not self.registers[_PWR_MGMT_1] & 0x08

    def self_testing(self) -> tuple[bool, ...]:
        accel, gyro = (self.registers.get(_ACCEL_CONFIG_2, 0), self.registers.get(_GYRO_CONFIG_2, 0))
        return (*(bool(accel & bit) for bit in (0x10, 0x08, 0x04)), *(bool(gyro & bit) for bit in (0x20, 0x10, 0x08)))

    def fifo_on(self) -> bool:
        # FIFO_RST holds the FIFO empty until it is taken back.
        return self.fifo_readable() and not self.registers.get(_FIFO_RST, 0) & 0x1F

    def fifo_readable(self) -> bool:
        return bool(self.registers.get(_USER_CTRL, 0) & 0x40)

    def i2c_off(self) -> bool:
        return bool(self.registers.get(_USER_CTRL, 0) & 0x10)

    def layout(self) -> Format:
        enabled = self.registers.get(_FIFO_EN_2, 0)
        bits = (0x10, 0x10, 0x10, 0x02, 0x04, 0x08, 0x01)
        words = tuple(word for word in self.words if enabled & bits[word])
        accel, gyro = (self.registers[_ACCEL_CONFIG] >> 1 & 3, self.registers[_GYRO_CONFIG_1] >> 1 & 3)
        off = self.registers.get(_PWR_MGMT_2, 0)
        axes = np.array([not off >> bit & 1 for bit in (5, 4, 3, 2, 1, 0)]) & np.repeat(self.sensors_on(), 3)
        accel_hz, _ = self._odr_hz()
        return Format(
            size=2 * len(words),
            words=words,
            per_unit=per_unit(self.counts_per_g[accel], self.counts_per_dps[gyro]) * axes,
            hold=(max(1, round((self._rate_hz or 0) / accel_hz)), 1),
        )

    def compute(self, register: int) -> int:
        if register == _FIFO_COUNTH:
            self.count = self.fifo.level
            return self.count >> 8
        if register == _FIFO_COUNTL:
            return self.count & 0xFF
        if register == _INT_STATUS_1:
            return int(self.take_news()) & self.registers.get(_INT_ENABLE_1, 0)
        if register == _INT_STATUS_2:
            return (0x1F if self.take_overflow() else 0) & self.registers.get(_INT_ENABLE_2, 0)
        if register in (_INT_STATUS, _INT_STATUS_3):
            return 0
        return self.output()[register - _DATA]

    def obey(self, register: int, value: int) -> None:
        if register == _PWR_MGMT_1 and value & 0x80:
            self.restart(self.clock.monotonic_ns(), self.boot_s)
        elif register == _FIFO_RST and value & 0x1F:
            self.empty_fifo()


_ICM20649_DEFAULTS = {**_ICM20948_DEFAULTS, _WHO_AM_I: 0xE1}


class Icm20649(Icm20948):
    """ICM20649: 4, 8, 16 and 30 g, 500 to 4000 deg/s."""

    counts_per_g = (8192, 4096, 2048, 1024)
    counts_per_dps = (65.5, 32.8, 16.4, 8.2)
    defaults = _ICM20649_DEFAULTS
