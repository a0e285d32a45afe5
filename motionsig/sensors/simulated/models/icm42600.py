"""Models of InvenSense's ICM42605, ICM42688-P and ICM42686-P.

Sources: DS-000292 rev 1.5 and DS-000347 rev 1.2 (packets: sec. 6; use notes: sec. 12; registers: sec. 14 to 18); TDK's
Icm426xxSelfTest.c for the self-test; drivers/iio/imu/inv_icm42600/inv_icm42600.h for start-up times and the full scales
of the ICM42686-P.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.sensors.simulated.chip import Run
from motionsig.sensors.simulated.models.invensense import (
    FULL_SCALE,
    Format,
    FormatFifo,
    InvenSenseChip,
    per_unit,
    trimmed,
)

_DEVICE_CONFIG, _FIFO_CONFIG, _DATA, _INT_STATUS, _FIFO_COUNTH, _FIFO_COUNTL = (0x11, 0x16, 0x1D, 0x2D, 0x2E, 0x2F)
_FIFO_DATA, _SIGNAL_PATH_RESET, _INTF_CONFIG0, _INTF_CONFIG1, _PWR_MGMT0 = (0x30, 0x4B, 0x4C, 0x4D, 0x4E)
(_GYRO_CONFIG0, _ACCEL_CONFIG0, _TMST_CONFIG, _FIFO_CONFIG1, _FIFO_CONFIG2, _FIFO_CONFIG3) = (
    0x4F,
    0x50,
    0x54,
    0x5F,
    0x60,
    0x61,
)
_FIFO_LOST_PKT0, _FIFO_LOST_PKT1, _SELF_TEST_CONFIG, _WHO_AM_I, _REG_BANK_SEL = (0x6C, 0x6D, 0x70, 0x75, 0x76)

_CODES = (110, 104, 113, 150, 145, 155)
_INVALID = -32768

_ODR_HZ = dict(enumerate((32000.0, 16000.0, 8000.0, 4000.0, 2000.0, 1000.0, 200.0, 100.0, 50.0, 25.0, 12.5), start=1))
_ODR_HZ |= {12: 6.25, 13: 3.125, 14: 1.5625, 15: 500.0}
_GYRO_COUNTS = (16.4, 32.8, 65.5, 131.0, 262.0, 524.3, 1048.6, 2097.2)  # per deg/s, DS-000347 sec. 3.1
_LOW_POWER_ODR = frozenset(range(7, 16))
_LOW_NOISE_ODR = frozenset({*range(1, 12), 15})

_HIGH_MOST = 2**18 - 1
"""Greatest count of the gyroscope's 19 bits; the accelerometer has 18."""


@cache
def _packet(high: bool, sensors: int, little: bool) -> np.dtype[np.void]:
    """Return a packet of the FIFO: 1 and 2 with one sensor, 3 with both, 4 with extended resolution (sec. 6.1)."""
    order = "<" if little else ">"
    if high:
        tail = [("temp", order + "i2"), ("stamp", order + "u2"), ("low", "u1", (3,))]
        return np.dtype([("header", "u1"), ("words", order + "i2", (6,)), *tail])
    fields = [("header", "u1"), ("words", order + "i2", (3 * sensors,)), ("temp", "i1")]
    return np.dtype([*fields, ("stamp", order + "u2")] if sensors == 2 else fields)


_ICM42688P_DEFAULTS = {
    0x13: 0x05,
    _INTF_CONFIG0: 0x30,
    _INTF_CONFIG1: 0x91,
    _GYRO_CONFIG0: 0x06,
    _ACCEL_CONFIG0: 0x06,
    0x51: 0x16,
    0x52: 0x11,
    0x53: 0x0D,
    _TMST_CONFIG: 0x23,
    0x56: 0x82,
    0x62: 0x10,
    0x64: 0x10,
    0x65: 0x10,
    _WHO_AM_I: 0x47,
    0x103: 0x80,
    0x10B: 0xA0,
    0x10C: 0x0D,
    0x10D: 0xAA,
    0x10E: 0x80,
    **dict(zip((0x15F, 0x160, 0x161), _CODES[3:], strict=True)),
    0x17A: 0x83,
    0x17C: 0x5F,
    0x203: 0x30,
    0x204: 0x40,
    0x205: 0x62,
    **dict(zip((0x23B, 0x23C, 0x23D), _CODES[:3], strict=True)),
}
_ICM42688P_WRITABLE = {
    _DEVICE_CONFIG: 0x10,
    0x13: 0x3F,
    0x14: 0x3F,
    _FIFO_CONFIG: 0xC0,
    _SIGNAL_PATH_RESET: 0x60,
    _INTF_CONFIG0: 0xF3,
    _INTF_CONFIG1: 0xFF,  # 7 and 6 are in no data sheet: adaptive full scale (AP_InertialSensor_Invensensev3.cpp)
    _PWR_MGMT0: 0x3F,
    _GYRO_CONFIG0: 0xEF,
    _ACCEL_CONFIG0: 0xEF,
    0x51: 0xEF,
    0x52: 0xFF,
    0x53: 0x1E,
    _TMST_CONFIG: 0x1F,
    0x56: 0xFF,
    0x57: 0x0F,
    _FIFO_CONFIG1: 0x7F,
    _FIFO_CONFIG2: 0xFF,
    _FIFO_CONFIG3: 0x0F,
    0x62: 0x73,
    0x63: 0x3F,
    0x64: 0x70,
    0x65: 0x7F,
    **dict.fromkeys((0x66, 0x68, 0x69), 0xFF),
    _SELF_TEST_CONFIG: 0x7F,
    _REG_BANK_SEL: 0x07,
    **dict.fromkeys((0x103, *range(0x109, 0x114), *range(0x17A, 0x17D)), 0xFF),
    **dict.fromkeys(range(0x203, 0x206), 0xFF),
    **dict.fromkeys((*range(0x409, 0x40F), *range(0x440, 0x450), *range(0x477, 0x480)), 0xFF),
}
_ICM42688P_MOMENTARY = {_DEVICE_CONFIG: 0x01, _SIGNAL_PATH_RESET: 0x0E}


class Icm42688P(InvenSenseChip):
    """ICM42688-P. stamp_scale: microseconds of a tick of the time stamp's counter.

    counts_per_g, counts_per_dps: by ACCEL_FS_SEL and GYRO_FS_SEL; a code that there is not counts as the last.
    """

    boot_s = 0.001  # DS-000347 sec. 3.3; the same after a soft reset, sec. 14.1
    start_up_s = (0.01, 0.03)  # sec. 3.2 and 3.1
    bank_select = (_REG_BANK_SEL, 0, 7)
    fifo_register = _FIFO_DATA
    self_test = trimmed(_CODES, FULL_SCALE)
    self_test_s = (0.02, 0.1)
    temperature = (132.48, 25.0)  # sec. 4.13; in the FIFO's eight bits 2.07
    stamp_scale = 32 / 30  # sec. 12.7
    counts_per_g: tuple[int, ...] = (2048, 4096, 8192, 16384)
    counts_per_dps = _GYRO_COUNTS
    fastest_odr = 1
    high_resolution = 0x10
    """The bit of FIFO_CONFIG1 that asks for packets of 20 bytes."""
    defaults = _ICM42688P_DEFAULTS
    writable = _ICM42688P_WRITABLE
    momentary = _ICM42688P_MOMENTARY
    volatile = frozenset(
        {
            *range(_DATA, _DATA + 14),
            _INT_STATUS,
            _FIFO_COUNTH,
            _FIFO_COUNTL,
            _FIFO_DATA,
            _FIFO_LOST_PKT0,
            _FIFO_LOST_PKT1,
        }
    )

    def make_fifo(self) -> FormatFifo:
        return FormatFifo(2048, "oldest-record")

    def booted(self) -> None:
        super().booted()
        self._locked_until_ns = 0
        self._reset_done = True
        self._latched = -1
        self._odr_run: Run | None = None
        self._odr_before: tuple[float, float] = (0.0, 0.0)
        self._odr_changed = 0

    def write_register(self, register: int, value: int) -> None:
        now_ns = self.clock.monotonic_ns()
        # Sec. 14.36: no register writes for 200 us after a sensor is turned on; what is written is lost.
        if now_ns < self._locked_until_ns:
            return
        before = self._modes()
        super().write_register(register, value)
        if any(new and not old for new, old in zip(self._modes(), before, strict=True)):
            self._locked_until_ns = now_ns + NS_PER_S // 5000

    def _modes(self) -> tuple[int, int]:
        """Return the power modes of accelerometer and gyroscope, 0 for off."""
        power = self.registers.get(_PWR_MGMT0, 0)
        return (0, 0, 2, 3)[power & 3], power >> 2 & 3

    def _odr_hz(self) -> tuple[float, float]:
        """Return the rates of accelerometer and gyroscope, 0 for one that gives no samples: sec. 14.37 and 14.38."""
        rates = []
        for mode, register in zip(self._modes(), (_ACCEL_CONFIG0, _GYRO_CONFIG0), strict=True):
            code = self.registers[register] & 0x0F
            can = {2: _LOW_POWER_ODR, 3: _LOW_NOISE_ODR}.get(mode, frozenset())
            if register == _GYRO_CONFIG0 and mode != 3:
                can = frozenset()
            rates.append(_ODR_HZ[code] if code in can and code >= self.fastest_odr else 0.0)
        return rates[0], rates[1]

    def sampling_hz(self) -> float | None:
        return max(self._odr_hz()) or None if self.registers[_INTF_CONFIG1] & 3 != 3 else None

    def sensors_on(self) -> tuple[bool, bool]:
        accel, gyro = self._modes()
        return bool(accel), gyro == 3

    def temperature_on(self) -> bool:
        return not self.registers.get(_PWR_MGMT0, 0) & 0x20

    def self_testing(self) -> tuple[bool, ...]:
        asked = self.registers.get(_SELF_TEST_CONFIG, 0)
        accel = asked if asked & 0x40 else 0
        return (*(bool(accel & bit) for bit in (0x08, 0x10, 0x20)), *(bool(asked & bit) for bit in (0x01, 0x02, 0x04)))

    def fifo_on(self) -> bool:
        return bool(self.registers.get(_FIFO_CONFIG, 0) & 0xC0)

    def i2c_off(self) -> bool:
        return self.registers[_INTF_CONFIG0] & 0x03 == 0x03

    def _resample(self, at_ns: int | None = None) -> None:
        super()._resample(at_ns)
        # FIFO_MODE 1 streams, 2 and 3 stop when it is full.
        self.fifo.full = "newest" if self.registers.get(_FIFO_CONFIG, 0) & 0x80 else "oldest-record"

    def _dated(self, layout: Format) -> Format:
        rates = self._odr_hz()
        if self._odr_run is not self.runs[-1]:
            # Header bits 1 and 0: this sensor's rate is another than in the packet before.
            self._odr_changed = (rates[0] != self._odr_before[0]) << 1 | (rates[1] != self._odr_before[1])
            self._odr_run, self._odr_before = self.runs[-1], rates
        dated = super()._dated(layout)
        return replace(dated, kind=(*dated.kind, self._odr_changed))

    def _scale(self) -> NDArray[np.float64]:
        accel, gyro = (self.registers[at] >> 5 for at in (_ACCEL_CONFIG0, _GYRO_CONFIG0))
        return per_unit(self.counts_per_g[min(accel, len(self.counts_per_g) - 1)], self.counts_per_dps[gyro])

    def layout(self) -> Format:
        packet, interface, stamp = (self.registers.get(at, 0) for at in (_FIFO_CONFIG1, _INTF_CONFIG0, _TMST_CONFIG))
        accel, gyro = packet & 0x01, packet >> 1 & 0x01
        high = bool(packet & self.high_resolution) and (accel or gyro)
        # Not FIFO_TMST_FSYNC_EN, which is about FSYNC: PX4 has packets with a time stamp and leaves that bit 0.
        stamped = bool(stamp & 0x01) and (high or bool(accel and gyro))
        rates = self._odr_hz()
        fastest = max(rates)
        # With packets of 20 bytes the full scales are fixed: sec. 6.1.
        scale = per_unit(8192, 131) if high else self._scale()
        holds = bool(interface & 0x80)
        return Format(
            size=_packet(bool(high), accel + gyro, not interface & 0x10).itemsize if accel or gyro else 0,
            words=(0, 1, 2) * accel + (3, 4, 5) * gyro,
            per_unit=scale * np.repeat([rate > 0 for rate in rates], 3),
            least=-_HIGH_MOST if high else -32768 if holds else -32766,  # sec. 12.8
            hold=(round(fastest / (rates[0] or fastest)), round(fastest / (rates[1] or fastest)))
            if fastest
            else (1, 1),
            kind=(accel << 6 | gyro << 5 | high << 4 | stamped << 3, interface, packet, stamp),
        )

    def encode(self, serials: NDArray[np.int64], layout: Format) -> NDArray[np.uint8]:
        header, interface, packet, stamp, odr_changed = layout.kind
        high = bool(header & 0x10)
        out = np.zeros(len(serials), _packet(high, len(layout.words) // 3, not interface & 0x10))
        out["header"] = header
        if odr_changed and serials[0] == layout.run.serial:
            out["header"][0] |= (odr_changed & 2 if header & 0x40 else 0) | (odr_changed & 1 if header & 0x20 else 0)
        if high:
            counts = self._valid_counts(serials, layout, _HIGH_MOST)
            counts[:, :3] = np.clip(counts[:, :3], -(2**17) + 8, 2**17 - 1)
            bits = counts.astype(np.int64) * (4, 4, 4, 2, 2, 2)
            out["words"] = bits >> 4
            out["low"] = (bits[:, :3] & 0x0F) << 4 | bits[:, 3:] & 0x0F
        else:
            counts = self._valid_counts(serials, layout, 32767)
            out["words"] = counts if len(layout.words) == 6 else counts[:, layout.words]
        if packet & 0x04 and self.temperature_on():
            out["temp"] = round((self.temperature_c - 25.0) * (132.48 if high else 2.07))
        if header & 0x08:
            ticks = self._ticks(serials, layout.run, stamp)
            out["stamp"] = (ticks - self._ticks(serials - 1, layout.run, stamp) if stamp & 0x04 else ticks) & 0xFFFF
        return out.view(np.uint8).reshape(len(serials), -1)

    def _ticks(self, serials: NDArray[np.int64], run: Run, stamp: int) -> NDArray[np.int64]:
        """Return the time stamp's counter at these samples, of 1 or 16 us as TMST_RES says."""
        tick_s = self.stamp_scale * (16e-6 if stamp & 0x08 else 1e-6)
        return np.floor((run.began_s + (serials - run.serial + 1) / run.rate_hz) / tick_s).astype(np.int64)

    def _valid_counts(self, serials: NDArray[np.int64], layout: Format, most: int) -> NDArray[np.float64]:
        """Return (n, 6) counts; where a sensor has nothing new, the code for that if it is asked for: sec. 12.8."""
        counts = self.counts(serials, layout, most)
        if not layout.kind[1] & 0x80 and (layout.hold != (1, 1) or not np.all(layout.per_unit)):
            code = _INVALID if most == 32767 else _INVALID * 8
            for sensor, hold in enumerate(layout.hold):
                columns = slice(3 * sensor, 3 * sensor + 3)
                off = not np.any(np.asarray(layout.per_unit)[columns])
                counts[(serials - layout.run.serial) % hold != 0 if not off else slice(None), columns] = code
        return counts

    def encode_output(self, serials: NDArray[np.int64], layout: Format) -> bytes:
        little, holds = (not self.registers[_INTF_CONFIG0] & 0x10, bool(self.registers[_INTF_CONFIG0] & 0x80))
        words = np.full(7, 0 if holds else _INVALID, "<i2" if little else ">i2")
        if self.taken > self.first:
            words[0] = round((self.temperature_c - 25.0) * 132.48)
            scale = self._scale()
            on = np.repeat([rate > 0 for rate in self._odr_hz()], 3)
            # The data registers hold the last sample there was; they know no invalid code between two.
            plain = replace(layout, per_unit=scale * on, least=-32766)
            words[1:] = np.where(on, self.counts(serials, plain)[0], words[1:])
        return words.tobytes()

    def compute(self, register: int) -> int:
        if register in (_FIFO_COUNTH, _FIFO_COUNTL):
            return self._count_byte(register)
        if register == _INT_STATUS:
            return self._status()
        if register in (_FIFO_LOST_PKT0, _FIFO_LOST_PKT1):
            return self.fifo.lost >> (8 if register == _FIFO_LOST_PKT1 else 0) & 0xFF
        return self.output()[register - _DATA]

    def _count_byte(self, register: int) -> int:
        interface = self.registers[_INTF_CONFIG0]
        if register == _FIFO_COUNTH or self._latched != self.clock.monotonic_ns():
            # Sec. 14.24 has the low byte latch both. In a burst the high byte comes first and the two agree.
            self._latched = self.clock.monotonic_ns()
            size = self.fifo.format.size
            self.count = self.fifo.level // size if interface & 0x40 and size else self.fifo.level
        high = (register == _FIFO_COUNTH) == bool(interface & 0x20)
        return self.count >> 8 if high else self.count & 0xFF

    def _status(self) -> int:
        """Return INT_STATUS and clear it: reset done, data ready, threshold reached, full (sec. 14.23)."""
        mark = (self.registers.get(_FIFO_CONFIG3, 0) & 0x0F) << 8 | self.registers.get(_FIFO_CONFIG2, 0)
        size = self.fifo.format.size
        level = self.fifo.level // size if self.registers[_INTF_CONFIG0] & 0x40 and size else self.fifo.level
        full = self.take_overflow() or self.fifo.level + size > self.fifo.capacity
        status = self._reset_done << 4 | self.take_news() << 3 | (0 < mark <= level) << 2 | full << 1
        self._reset_done = False
        return status

    def consumed(self, size: int) -> int:
        # FIFO_RESUME_PARTIAL_RD: without it a packet that was not read to its end comes again from its beginning.
        return size if self.registers.get(_FIFO_CONFIG1, 0) & 0x40 else self.fifo.whole(size)

    def obey(self, register: int, value: int) -> None:
        if register == _DEVICE_CONFIG and value & 0x01:
            self.restart(self.clock.monotonic_ns(), self.boot_s)
        elif register == _SIGNAL_PATH_RESET:
            if value & 0x02:
                self.empty_fifo()
            if value & 0x08:
                self._rate_hz = None  # the sample clock starts anew


_ICM42605_DEFAULTS = {**_ICM42688P_DEFAULTS, _WHO_AM_I: 0x42}
_ICM42605_WRITABLE = {**_ICM42688P_WRITABLE, _FIFO_CONFIG1: 0x6F}


class Icm42605(Icm42688P):
    """ICM42605: 8 kHz at most, no packets of extended resolution."""

    fastest_odr = 3
    high_resolution = 0x00
    defaults = _ICM42605_DEFAULTS
    writable = _ICM42605_WRITABLE


_ICM42686P_DEFAULTS = {**_ICM42688P_DEFAULTS, _WHO_AM_I: 0x44}


class Icm42686P(Icm42688P):
    """ICM42686-P: 32 to 2 g and 4000 to 31.25 deg/s."""

    counts_per_g = (1024, 2048, 4096, 8192, 16384)
    counts_per_dps = (8.2, *_GYRO_COUNTS[:-1])
    defaults = _ICM42686P_DEFAULTS
