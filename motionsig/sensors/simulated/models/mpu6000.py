"""Models of InvenSense's chips with the registers of the MPU-6000.

Sources: RM-MPU-6000A-00 rev 4.2 and PS-MPU-6000A-00 rev 3.4 (MPU6050), RM-MPU-6500A-00 rev 2.1, RM-MPU-9250A-00 rev
1.6, DS-000176 (ICM20602), DS-000143 (ICM20689), DS-000193 rev 1.1 (MPU6886), of the others the kernel's hw_info
(drivers/iio/imu/inv_mpu6050/inv_mpu_core.c) and what is named there; reset values and FIFO sizes as PX4's drivers check
them (src/drivers/imu/invensense), start-up times of accelerometers as in drivers/iio/imu/inv_mpu6050/inv_mpu_iio.h.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.simulated.models.invensense import (
    FULL_SCALE,
    Format,
    FormatFifo,
    InvenSenseChip,
    per_unit,
    trimmed,
)

_SMPLRT_DIV, _CONFIG, _GYRO_CONFIG, _ACCEL_CONFIG, _ACCEL_CONFIG_2, _LP_ODR = (0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E)
_FIFO_EN, _INT_PIN_CFG, _INT_ENABLE, _INT_STATUS, _DATA = 0x23, 0x37, 0x38, 0x3A, 0x3B
_SIGNAL_PATH_RESET, _USER_CTRL, _PWR_MGMT_1, _PWR_MGMT_2 = 0x68, 0x6A, 0x6B, 0x6C
_FIFO_COUNTH, _FIFO_COUNTL, _FIFO_R_W, _WHO_AM_I = 0x72, 0x73, 0x74, 0x75

_WORDS = (0, 1, 2, 6, 3, 4, 5)
"""The order of the data registers, and so of the FIFO: accelerometer, temperature, gyroscope."""

_Y_OFFSET_TRIM, _TRIMMED, _OFFSET = 0x11, 0xC9, 2.7
"""In no data sheet: with another value the acceleration in y is off by so many m/s² (ArduPilot's MPUREG_ICM_UNDOC1)."""


_MPU_MOMENTARY = {_USER_CTRL: 0x0F, _PWR_MGMT_1: 0x80, _SIGNAL_PATH_RESET: 0x07}
_MPU_WRITABLE = {
    **dict.fromkeys((*range(0x00, 0x03), *range(0x0D, 0x10), *range(0x13, 0x1A)), 0xFF),
    _CONFIG: 0x7F,
    _GYRO_CONFIG: 0xFB,
    _ACCEL_CONFIG: 0xF8,
    _ACCEL_CONFIG_2: 0x0F,
    _LP_ODR: 0x0F,
    0x1F: 0xFF,
    **dict.fromkeys(range(_FIFO_EN, 0x35), 0xFF),
    _INT_PIN_CFG: 0xFE,
    _INT_ENABLE: 0x59,
    **dict.fromkeys(range(0x63, 0x68), 0xFF),
    0x69: 0xC0,
    _USER_CTRL: 0xF0,
    _PWR_MGMT_1: 0x7F,
    _PWR_MGMT_2: 0x3F,
    **dict.fromkeys((0x77, 0x78, 0x7A, 0x7B, 0x7D, 0x7E), 0xFF),
}


class _Mpu(InvenSenseChip):
    """The MPU-6000's registers, as the chips that came after the MPU6050 have them.

    fifo_bytes: by FIFO_SIZE, the top bits of ACCEL_CONFIG_2. standby: bits of PWR_MGMT_1 with which no gyroscope runs.
    """

    boot_s = 0.011  # typical; 0.1 at most. PS-MPU-6500A sec. 3.3, DS-000143 sec. 3.3
    start_up_s = (0.02, 0.035)  # gyroscope from sleep: PS-MPU-6500A sec. 3.1; accelerometer: the kernel
    fifo_register = _FIFO_R_W
    words = _WORDS
    fifo_bytes: tuple[int, ...] = (512,)
    temperature = (333.87, 21.0)
    standby = 0x30
    self_test = trimmed((110, 104, 113, 150, 145, 155), FULL_SCALE)
    volatile = frozenset({_INT_STATUS, *range(_DATA, _DATA + 14), _FIFO_COUNTH, _FIFO_COUNTL, _FIFO_R_W})
    momentary = _MPU_MOMENTARY
    writable = _MPU_WRITABLE

    def make_fifo(self) -> FormatFifo:
        return FormatFifo(self.fifo_bytes[0])

    def _resample(self, at_ns: int | None = None) -> None:
        super()._resample(at_ns)
        self.fifo.capacity = self.fifo_bytes[self.registers.get(_ACCEL_CONFIG_2, 0) >> 6 & len(self.fifo_bytes) - 1]
        # CONFIG bit 6, FIFO_MODE: a full FIFO takes no more.
        self.fifo.full = "newest" if self.registers.get(_CONFIG, 0) & 0x40 else "oldest"
        self.fifo.squeeze()

    def sampling_hz(self) -> float | None:
        power = self.registers[_PWR_MGMT_1]
        if not any(self.sensors_on()) or power & 0x07 == 7:  # CLKSEL 7 stops the clock
            return None
        return self.cycle_hz() if power & 0x20 else self.rate_hz()

    def rate_hz(self) -> float:
        """Return the sample rate: RM-MPU-6500A sec. 4.4 to 4.6, the divider divides only the filtered 1 kHz."""
        if self.registers.get(_GYRO_CONFIG, 0) & 0x03:
            return 32000.0
        if self.registers.get(_CONFIG, 0) & 0x07 in (0, 7):
            return 8000.0
        return 1000.0 / (1 + self.registers.get(_SMPLRT_DIV, 0))

    def cycle_hz(self) -> float:
        """Return how often the accelerometer alone wakes: RM-MPU-6500A sec. 4.9, 0.24 Hz doubled up to 500 Hz."""
        return 500.0 / 2.0 ** max(0, 11 - (self.registers.get(_LP_ODR, 0) & 0x0F))

    def sensors_on(self) -> tuple[bool, bool]:
        power, off = self.registers[_PWR_MGMT_1], self.registers.get(_PWR_MGMT_2, 0)
        awake = not power & 0x40
        return (awake and off & 0x38 != 0x38, awake and not power & self.standby and off & 0x07 != 0x07)

    def self_testing(self) -> tuple[bool, ...]:
        accel, gyro = (self.registers.get(_ACCEL_CONFIG, 0), self.registers.get(_GYRO_CONFIG, 0))
        return tuple(bool(value & bit) for value in (accel, gyro) for bit in (0x80, 0x40, 0x20))

    def fifo_on(self) -> bool:
        return bool(self.registers.get(_USER_CTRL, 0) & 0x40)

    fifo_readable = fifo_on

    def i2c_off(self) -> bool:
        return bool(self.registers.get(_USER_CTRL, 0) & 0x10)

    def fifo_words(self) -> tuple[int, ...]:
        """Return what FIFO_EN lets into the FIFO, in the order of the registers."""
        enabled = self.registers.get(_FIFO_EN, 0)
        bits = {0: 0x08, 1: 0x08, 2: 0x08, 6: 0x80, 3: 0x40, 4: 0x20, 5: 0x10}
        return tuple(word for word in _WORDS if enabled & bits[word])

    def layout(self) -> Format:
        accel = self.registers.get(_ACCEL_CONFIG, 0) >> 3 & 3
        gyro = self.registers.get(_GYRO_CONFIG, 0) >> 3 & 3
        off = self.registers.get(_PWR_MGMT_2, 0)
        axes = np.array([not off >> bit & 1 for bit in (5, 4, 3, 2, 1, 0)]) & np.repeat(self.sensors_on(), 3)
        words = self.fifo_words()
        return Format(
            size=2 * len(words),
            words=words,
            per_unit=per_unit(16384 >> accel, (131.0, 65.5, 32.8, 16.4)[gyro]) * axes,
            # The accelerometer has a new value at 1 kHz at most: RM-MPU-6000A sec. 4.2, note.
            hold=(max(1, round((self._rate_hz or 0) / 1000)), 1),
            kind=(int(self.registers.get(_Y_OFFSET_TRIM, _TRIMMED) != _TRIMMED),),
        )

    def counts(self, serials: NDArray[np.int64], layout: Format, most: int = 32767) -> NDArray[np.float64]:
        out = super().counts(serials, layout, most)
        if any(layout.kind):
            out[:, 1] += np.rint(_OFFSET * np.asarray(layout.per_unit)[1])
        return out

    def temperature_on(self) -> bool:
        return not self.registers[_PWR_MGMT_1] & 0x08

    def compute(self, register: int) -> int:
        if register == _FIFO_COUNTH:
            self.count = self.fifo.level
            return self.count >> 8
        if register == _FIFO_COUNTL:  # as it was when the high byte was read: RM-MPU-6000A sec. 4.30
            return self.count & 0xFF
        if register == _INT_STATUS:
            # Sec. 4.16: the bits say that an interrupt was generated, so only where INT_ENABLE asks for it.
            status = (0x10 if self.take_overflow() else 0) | (0x01 if self.take_news() else 0)
            return status & self.registers.get(_INT_ENABLE, 0)
        return self.output()[register - _DATA]

    def obey(self, register: int, value: int) -> None:
        if register == _PWR_MGMT_1 and value & 0x80:
            self.restart(self.clock.monotonic_ns(), self.boot_s)
        elif register == _USER_CTRL and value & 0x04 and self.fifo_resets(value):
            self.empty_fifo()

    def fifo_resets(self, user_ctrl: int) -> bool:
        """Tell whether FIFO_RESET does anything when written so."""
        return True


_ACCEL_TRIM, _GYRO_TRIM = (16, 14, 18), (10, 12, 9)

_MPU6050_DEFAULTS = {
    0x0D: _ACCEL_TRIM[0] >> 2 << 5 | _GYRO_TRIM[0],
    0x0E: _ACCEL_TRIM[1] >> 2 << 5 | _GYRO_TRIM[1],
    0x0F: _ACCEL_TRIM[2] >> 2 << 5 | _GYRO_TRIM[2],
    0x10: (_ACCEL_TRIM[0] & 3) << 4 | (_ACCEL_TRIM[1] & 3) << 2 | _ACCEL_TRIM[2] & 3,
    _PWR_MGMT_1: 0x40,
    _WHO_AM_I: 0x68,
}
_MPU6050_MOMENTARY = {_USER_CTRL: 0x07, _PWR_MGMT_1: 0x80, _SIGNAL_PATH_RESET: 0x07}
_MPU6050_WRITABLE = {
    **dict.fromkeys((*range(0x06, 0x0C), *range(0x0D, 0x11), _SMPLRT_DIV), 0xFF),
    _CONFIG: 0x3F,
    _GYRO_CONFIG: 0xF8,
    _ACCEL_CONFIG: 0xF8,
    **dict.fromkeys((*range(0x1F, 0x35), *range(0x63, 0x67)), 0xFF),
    _INT_PIN_CFG: 0xFE,
    _INT_ENABLE: 0x59,
    0x67: 0x9F,
    0x69: 0x30,
    _USER_CTRL: 0x70,
    _PWR_MGMT_1: 0x6F,
    _PWR_MGMT_2: 0xFF,
}


class Mpu6050(_Mpu):
    """MPU6050, MPU6000: no FIFO_MODE, the divider always divides, its own way of self-test."""

    boot_s = 0.02  # typical; 0.1 at most. PS-MPU-6000A sec. 6.3
    start_up_s = (0.02, 0.03)  # PS-MPU-6000A sec. 6.1
    fifo_bytes = (1024,)
    temperature = (340.0, 36.53)  # RM-MPU-6000A sec. 4.18
    standby = 0x20
    empty = None
    # RM-MPU-6000A sec. 4.1: g and deg/s, the gyroscope's y the other way round.
    self_test = np.concatenate(
        [
            0.34 * (0.92 / 0.34) ** ((np.array(_ACCEL_TRIM) - 1) / 30) * STANDARD_GRAVITY,
            np.radians(np.array((25.0, -25.0, 25.0)) * 1.046 ** (np.array(_GYRO_TRIM) - 1)),
        ]
    )
    defaults = _MPU6050_DEFAULTS
    momentary = _MPU6050_MOMENTARY
    writable = _MPU6050_WRITABLE

    def rate_hz(self) -> float:
        """Return the sample rate: RM-MPU-6000A sec. 4.2."""
        base_hz = 8000.0 if self.registers.get(_CONFIG, 0) & 0x07 in (0, 7) else 1000.0
        return base_hz / (1 + self.registers.get(_SMPLRT_DIV, 0))

    def cycle_hz(self) -> float:
        """Return how often the accelerometer alone wakes: RM-MPU-6000A sec. 4.29."""
        return (1.25, 5.0, 20.0, 40.0)[self.registers.get(_PWR_MGMT_2, 0) >> 6]

    def i2c_off(self) -> bool:
        return False  # it has no SPI to change to

    def fifo_resets(self, user_ctrl: int) -> bool:
        """Tell whether FIFO_RESET does anything: only while FIFO_EN is 0, RM-MPU-6000A sec. 4.27."""
        return not user_ctrl & 0x40


_MPU6500_DEFAULTS = {
    **dict(zip((0x0D, 0x0E, 0x0F, 0x00, 0x01, 0x02), (110, 104, 113, 150, 145, 155), strict=True)),
    _PWR_MGMT_1: 0x01,
    _WHO_AM_I: 0x70,
}


class Mpu6500(_Mpu):
    """MPU6500. After a reset it is awake: RM-MPU-6500A sec. 3; the kernel trusts neither (inv_mpu_core.c)."""

    empty = None
    defaults = _MPU6500_DEFAULTS


_MPU9250_DEFAULTS = {**_MPU6500_DEFAULTS, _WHO_AM_I: 0x71}


class Mpu9250(Mpu6500):
    """MPU9250: an MPU6500 with a magnetometer behind it."""

    defaults = _MPU9250_DEFAULTS


_MPU9255_DEFAULTS = {**_MPU6500_DEFAULTS, _WHO_AM_I: 0x73}


class Mpu9255(Mpu6500):
    """MPU9255: an MPU9250 that gives another name."""

    defaults = _MPU9255_DEFAULTS


_ICM20602_DEFAULTS = {
    **dict(zip((0x0D, 0x0E, 0x0F, 0x50, 0x51, 0x52), (110, 104, 113, 150, 145, 155), strict=True)),
    _Y_OFFSET_TRIM: _TRIMMED,
    _CONFIG: 0x80,
    _PWR_MGMT_1: 0x41,
    _WHO_AM_I: 0x12,
}
_ICM20602_WRITABLE = {
    **_MPU_WRITABLE,
    **dict.fromkeys((0x04, 0x05, 0x07, 0x08, 0x0A, 0x0B, *range(0x50, 0x53), 0x20, 0x21, 0x22), 0xFF),
    _CONFIG: 0xFF,
    _ACCEL_CONFIG_2: 0x3F,
    _LP_ODR: 0xFF,
    _FIFO_EN: 0x18,
    0x36: 0xFF,
    _INT_ENABLE: 0xFD,
    0x60: 0x03,
    0x61: 0xFF,
    0x69: 0xC2,
    _USER_CTRL: 0x40,
    0x70: 0x40,
}
_ICM20602_MOMENTARY = {_USER_CTRL: 0x05, _PWR_MGMT_1: 0x80, _SIGNAL_PATH_RESET: 0x03}


class Icm20602(_Mpu):
    """ICM20602: two bits of FIFO_EN, each with the temperature; 1008 bytes; SPI only by a register of its own."""

    boot_s = 0.002  # DS-000176 sec. 3.3
    fifo_bytes = (1008,)
    temperature = (326.8, 25.0)
    standby = 0x30
    defaults = _ICM20602_DEFAULTS
    writable = _ICM20602_WRITABLE
    momentary = _ICM20602_MOMENTARY

    def fifo_words(self) -> tuple[int, ...]:
        enabled = self.registers.get(_FIFO_EN, 0)
        accel, gyro = enabled & 0x08, enabled & 0x10
        return tuple(word for word in _WORDS if (gyro if 3 <= word < 6 else accel if word < 3 else accel or gyro))

    def i2c_off(self) -> bool:
        return bool(self.registers.get(0x70, 0) & 0x40)


_ICM20689_DEFAULTS = {
    **dict(zip((0x0D, 0x0E, 0x0F, 0x00, 0x01, 0x02), (110, 104, 113, 150, 145, 155), strict=True)),
    _PWR_MGMT_1: 0x40,
    _WHO_AM_I: 0x98,
}
_ICM20689_WRITABLE = {**_MPU_WRITABLE, _ACCEL_CONFIG_2: 0xFF, _LP_ODR: 0xFF, 0x36: 0xFF, _INT_ENABLE: 0xFD}


class Icm20689(_Mpu):
    """ICM20689: a FIFO of 512 bytes to 4 KB."""

    fifo_bytes = (512, 1024, 2048, 4096)
    temperature = (326.8, 25.0)
    defaults = _ICM20689_DEFAULTS
    writable = _ICM20689_WRITABLE


_MPU6515_DEFAULTS = {**_MPU6500_DEFAULTS, _WHO_AM_I: 0x74}


class Mpu6515(Mpu6500):
    """MPU6515: in the kernel an MPU6500 that gives another name."""

    defaults = _MPU6515_DEFAULTS


_MPU6880_DEFAULTS = {**_MPU6500_DEFAULTS, _WHO_AM_I: 0x78}


class Mpu6880(Mpu6500):
    """MPU6880: an MPU6500 with a FIFO of 4096 bytes, as the kernel says, whatever FIFO_SIZE."""

    fifo_bytes = (4096,)
    defaults = _MPU6880_DEFAULTS


_ICM20608_DEFAULTS = {
    **dict(zip((0x0D, 0x0E, 0x0F, 0x00, 0x01, 0x02), (110, 104, 113, 150, 145, 155), strict=True)),
    _Y_OFFSET_TRIM: _TRIMMED,
    _PWR_MGMT_1: 0x40,  # RM-000030 page 5, in PX4's ICM20608G.cpp
    _WHO_AM_I: 0xAF,
}
_ICM20608_WRITABLE = {**_MPU_WRITABLE, _Y_OFFSET_TRIM: 0xFF, 0x36: 0xFF, _INT_ENABLE: 0xFD}


class Icm20608(_Mpu):
    """ICM20608-G: 512 bytes; after a reset it sleeps."""

    temperature = (326.8, 25.0)
    defaults = _ICM20608_DEFAULTS
    writable = _ICM20608_WRITABLE


_ICM20608D_DEFAULTS = {**_ICM20608_DEFAULTS, _WHO_AM_I: 0xAE}


class Icm20608D(Icm20608):
    """ICM20608-D: with a motion processor, which nobody switches on."""

    defaults = _ICM20608D_DEFAULTS


_IAM20680_DEFAULTS = {**_ICM20689_DEFAULTS, _WHO_AM_I: 0xA9}


class Iam20680(_Mpu):
    """IAM20680: by InvenSense's own Iam20680Defs.h and Iam20680SelfTest.c."""

    temperature = (326.8, 25.0)
    defaults = _IAM20680_DEFAULTS
    writable = _ICM20608_WRITABLE


_ICM20600_DEFAULTS = {**_ICM20602_DEFAULTS, _WHO_AM_I: 0x11}


class Icm20600(Icm20602):
    """ICM20600: in the kernel an ICM20602 that gives another name; Seeed's ICM20600.h has the same registers."""

    defaults = _ICM20600_DEFAULTS


_MPU6886_DEFAULTS = {**_ICM20602_DEFAULTS, _WHO_AM_I: 0x19}


class Mpu6886(Icm20602):
    """MPU6886: DS-000193: 1 kB of FIFO, two bits of FIFO_EN."""

    fifo_bytes = (1024,)
    defaults = _MPU6886_DEFAULTS
