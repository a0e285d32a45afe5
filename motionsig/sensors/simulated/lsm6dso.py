"""LSM6DSO and LSM6DSOX: a FIFO of words of 7 bytes, each with a tag that says what it holds.

LSM6DSO: DocID DS12140 with AN5192; LSM6DSOX: DS12814 with AN5272. `Lsm6`, what all LSM6 chips share, is also of
LSM6DS3: DocID026899 with AN4650, and LSM6DS3TR-C: DocID030071 with AN5130.
"""

from __future__ import annotations

from math import radians

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.simulated.chip import Fifo, Nack
from motionsig.sensors.simulated.measuring import MeasuringChip, Settings
from motionsig.sensors.simulated.words import WordFifo, pattern

RATES_HZ = (0.0, 12.5, 26.0, 52.0, 104.0, 208.0, 416.0, 833.0, 1666.0, 3333.0, 6667.0)
"""By ODR code (CTRL1_XL, CTRL2_G; of the FIFO too)."""
ACCEL_MG = (0.061, 0.488, 0.122, 0.244)
"""mg per count by FS_XL: 2, 16, 4, 8 g (mechanical characteristics, LA_So)."""
GYRO_MDPS = (8.75, 17.5, 35.0, 70.0)
"""mdps per count by FS_G: 250 (245), 500, 1000, 2000 deg/s (mechanical characteristics, G_So)."""
_ID, _CTRL1_XL, _CTRL2_G, _CTRL3_C, _CTRL4_C, _CTRL5_C = (0x0F, 0x10, 0x11, 0x12, 0x13, 0x14)
_SW_RESET, _IF_INC, _BOOT = 0x01, 0x04, 0x80
_RESET_S = 50e-6  # AN4650 and AN5192, "Power modes": SW_RESET takes 50 us
_WORDS, _WORD = 512, 7  # 3 kbyte and a tag for each 6 bytes
_GYRO, _ACCEL, _TEMPERATURE, _TIMESTAMP = 1, 2, 3, 4
_BYPASS, _STOP_WHEN_FULL = 0, 1
_RUNNING = (1, 3, 6)  # FIFO, continuous-to-FIFO before its trigger, continuous

_TIMESTAMP_EVERY = (0, 1, 8, 32)  # DEC_TS_BATCH (FIFO_CTRL4)
_PARITY = np.array([bin(byte).count("1") & 1 for byte in range(256)], np.uint8)


class Lsm6(MeasuringChip):
    """What the LSM6 chips share. `bank_bits`: of FUNC_CFG_ACCESS (01h), those that put other registers those."""

    address = 0x6A
    bank_bits = 0x80
    gyro_start_s = 0.08  # unconfirmed
    boot_s = 0.015
    words: WordFifo
    _busy = _busy_until_ns = _seen = 0

    def booted(self) -> None:
        self._busy = 0

    # Rates and ranges.

    def accel_hz(self) -> float:
        return odr_hz(self.registers[_CTRL1_XL] >> 4)

    def gyro_hz(self) -> float:
        return 0.0 if self.registers[_CTRL4_C] & 0x40 else odr_hz(self.registers[_CTRL2_G] >> 4)  # SLEEP_G

    def sampling_hz(self) -> float | None:
        return max(self.accel_hz(), self.gyro_hz()) or None

    def accel_mg(self) -> float:
        return ACCEL_MG[self.registers[_CTRL1_XL] >> 2 & 3]

    def gyro_mdps(self) -> float:
        control = self.registers[_CTRL2_G]
        return 4.375 if control & 2 else GYRO_MDPS[control >> 2 & 3]

    def settings(self) -> Settings:
        on = self.accel_hz() > 0, self.gyro_hz() > 0
        scale = np.where(on, (self.accel_mg() * 1e-3 * STANDARD_GRAVITY, radians(self.gyro_mdps() * 1e-3)), np.inf)
        # Self-test output change: 90 (LSM6DSO 50, LSM6DSR 40) to 1700 mg; 20 to 80 deg/s at 250 deg/s,
        # 150 to 700 at 2000: so a fifth of the full scale, which is 1/0.035 counts of GYRO_MDPS.
        accel_sign, gyro_sign = self.pushed()
        accel = accel_sign * 0.4 * STANDARD_GRAVITY
        gyro = gyro_sign * 0.2 * radians(self.gyro_mdps() / 0.035)
        return Settings(np.repeat(scale, 3), np.repeat([accel, gyro], 3), 32767, on)

    def pushed(self) -> tuple[int, int]:
        """Return which way the self-test pushes accelerometer and gyroscope: 1, -1, or 0 for neither."""
        test = self.registers[_CTRL5_C]
        return {1: 1, 2: -1}.get(test & 3, 0), {1: 1, 3: -1}.get(test >> 2 & 3, 0)

    def starting_s(self) -> tuple[float, float]:
        return 2 / (self.accel_hz() or 1.0), self.gyro_start_s

    # Registers.

    def write_register(self, register: int, value: int) -> None:
        now_ns = self.clock.monotonic_ns()
        if now_ns < self._busy_until_ns and self._busy:
            return
        if register != 0x01 and self.registers[0x01] & self.bank_bits:
            return
        if register == _CTRL3_C and value & _SW_RESET:
            self.restart(now_ns, 0.0)
            self._busy, self._busy_until_ns = _SW_RESET, now_ns + round(_RESET_S * NS_PER_S)
            return
        if register == _CTRL3_C and value & _BOOT:
            self._busy, self._busy_until_ns = _BOOT, now_ns + round(self.boot_s * NS_PER_S)
        if bits := self.writable.get(register, 0):
            self.registers[register] = self.registers.get(register, 0) & ~bits | value & bits
            self.written(register)

    def written(self, register: int) -> None:
        """Follow a write that was taken."""

    def i2c_off(self) -> bool:
        return bool(self.registers[_CTRL4_C] & 0x04)  # I2C_disable

    def catch_up(self, at_ns: int | None = None) -> None:
        super().catch_up(at_ns)
        if at_ns is None and self.i2c_off() and not self.on_spi:
            raise Nack

    def read(self, register: int, size: int) -> bytes:
        if self.registers[_CTRL3_C] & _IF_INC:
            return super().read(register, size)
        return b"".join(super(Lsm6, self).read(register, 1) for _ in range(size))

    def read_register(self, register: int) -> int:
        if register != 0x01 and self.registers[0x01] & self.bank_bits:
            return 0
        if register == _CTRL3_C:
            return self.registers[register] | (self._busy if self.clock.monotonic_ns() < self._busy_until_ns else 0)
        if register == 0x1E:  # STATUS_REG: TDA, GDA, XLDA
            on = self.settings().on
            return (on[0] * 1 | on[1] * 2 | 4) if self.taken > self._seen else 0
        if 0x22 <= register <= 0x2D:
            self._seen = self.taken
            at, high = divmod(register - 0x22, 2)
            return int(self.latest()[(at + 3) % 6]) >> 8 * high & 0xFF
        return self.registers.get(register, 0)


def odr_hz(code: int) -> float:
    """Return the rate of an ODR code, 0 for one that there is not."""
    return RATES_HZ[code] if code < len(RATES_HZ) else 0.0


DEFAULTS = {**dict.fromkeys(range(0x01, 0x80), 0), 0x02: 0x3F, _ID: 0x6C, _CTRL3_C: 0x04, 0x18: 0xE0}

WRITABLE = {
    **dict.fromkeys((0x01, 0x02), 0xC0),
    # FIFO_CTRL1 to INT2_CTRL, then CTRL1_XL to CTRL10_C.
    **dict(enumerate((0xFF, 0xD7, 0xFF, 0xF7, 0xE7, 0xFF, 0xFF, 0x7F), 0x07)),
    **dict(enumerate((0xFE, 0xFE, 0x7C, 0x6E, 0xFF, 0xFF, 0xF7, 0xFF, 0xFE, 0x20), 0x10)),
    **dict.fromkeys(range(0x56, 0x60), 0xFF),
    0x63: 0x00,
    **dict.fromkeys(range(0x73, 0x76), 0xFF),
}


class Lsm6dso(Lsm6):
    """depth: words of the FIFO. status_register: FIFO_STATUS1. temperature_hz: by ODR_T_BATCH. parity: of the tags."""

    depth = _WORDS
    status_register = 0x3A
    temperature_hz = (0.0, 1.6, 12.5, 52.0)
    parity = True
    bank_bits = 0xC0
    boot_s = 0.01  # AN5192, "Startup sequence"
    gyro_start_s = 0.07  # turn-on time, from memory of DS12140: unconfirmed
    celsius_counts = 256.0

    deciding = (0x09, 0x0A, _CTRL1_XL, _CTRL2_G, _CTRL4_C, _CTRL5_C, 0x17, 0x19)
    defaults = DEFAULTS
    writable = WRITABLE

    def make_fifo(self) -> Fifo:
        self._overran = False  # FIFO_OVR_LATCHED
        self.words = WordFifo(self.depth, _WORD)
        return self.words

    def accel_mg(self) -> float:
        no_16_g = self.registers[0x17] & 0x02 and self.registers[_CTRL1_XL] >> 2 & 3 == 1  # XL_FS_MODE
        return ACCEL_MG[0] if no_16_g else super().accel_mg()

    def fifo_on(self) -> bool:
        return self.registers[0x0A] & 7 in _RUNNING

    def batched_hz(self) -> tuple[float, float]:
        """Return the rates that FIFO_CTRL3 asks for, of gyroscope and accelerometer."""
        codes = self.registers[0x09]
        return _batch_hz(codes >> 4, 6.5), _batch_hz(codes & 15, 1.6)

    def stamping(self) -> bool:
        return bool(self.registers[0x19] & 0x20)  # TIMESTAMP_EN

    def decided(self) -> None:
        registers, rate_hz = self.registers, self.sampling_hz()
        gyro_hz, accel_hz = self.batched_hz()
        rates = {
            _GYRO: min(gyro_hz, self.gyro_hz()),
            _ACCEL: min(accel_hz, self.accel_hz()),
            _TEMPERATURE: self.temperature_hz[registers[0x0A] >> 4 & 3],
        }
        every = {kind: max(1, round(rate_hz / hz)) if rate_hz and hz else 0 for kind, hz in rates.items()}
        fastest = min((every[kind] for kind in (_GYRO, _ACCEL) if every[kind]), default=0)
        stamped = fastest * _TIMESTAMP_EVERY[registers[0x0A] >> 6] if self.stamping() else 0
        wanted = pattern(*(((kind,), count) for kind, count in every.items()), ((_TIMESTAMP,), stamped))
        old = self.words.pattern
        if wanted.cycle != old.cycle or not np.array_equal(wanted.kinds, old.kinds):
            self.words.follow(wanted)
        self._slot = fastest or 1
        self.words.full = "newest" if registers[0x0A] & 7 == _STOP_WHEN_FULL else "oldest"
        if not self.fifo_on():
            self.words.clear()

    def records(self, serials: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, 7) bytes of the words of these numbers: the tag, then x, y, z."""
        samples, kinds = self.words.locate(serials)
        first = int(samples[0])
        counts = self.counts(np.arange(first, int(samples[-1]) + 1, dtype=np.int64)).reshape(-1, 2, 3)
        out = np.empty((len(serials), _WORD), np.uint8)
        tags = (kinds << 3 | (samples // self._slot & 3) << 1).astype(np.uint8)
        out[:, 0] = tags | _PARITY[tags] if self.parity else tags  # with it, the number of ones is even
        motion = counts[samples - first, (kinds == _GYRO).astype(np.intp)]
        others = kinds > _ACCEL
        if others.any():
            warm = kinds == _TEMPERATURE
            motion[warm] = 0
            motion[warm, 0] = self._temperature()
            ticks = (self.times_ns(samples[kinds == _TIMESTAMP]) // 25_000).astype("<u4")
            motion[kinds == _TIMESTAMP] = np.pad(ticks.view("<i2").reshape(-1, 2), ((0, 0), (0, 1)))
        out[:, 1:] = motion.astype("<i2").view(np.uint8).reshape(-1, 6)
        return out

    def read_stream(self, register: int, size: int) -> bytes | None:
        """After FIFO_DATA_OUT_Z_H (7Eh) the address goes back to the tag (78h); only then is the word gone."""
        if not 0x78 <= register <= 0x7E or self.registers[0x01] & self.bank_bits:
            return None
        begin = register - 0x78
        fifo = self.words
        words, _ = fifo.serials(min(begin + size, fifo.level))
        data = self.records(words).tobytes()[begin : begin + size] if len(words) else b""
        fifo.pop((begin + size) // _WORD * _WORD)
        return data.ljust(size, b"\0")

    def read_register(self, register: int) -> int:
        if self.registers[0x01] & self.bank_bits:
            return super().read_register(register)
        fifo = self.words
        if register == self.status_register:
            return fifo.level // _WORD & 0xFF
        if register == self.status_register + 1:
            # FIFO_WTM_IA, FIFO_OVR_IA, FIFO_FULL_IA (at the next sample), FIFO_OVR_LATCHED (reset by this), level.
            words, mark = (fifo.level // _WORD, self.registers[0x07] | (self.registers[0x08] & 1) << 8)
            full = words + len(fifo.pattern.kinds) >= self.depth
            latched, self._overran = self._overran or fifo.overran, False
            return (0 < mark <= words) << 7 | fifo.overran << 6 | full << 5 | latched << 3 | words >> 8
        if register in (0x20, 0x21):
            return self._temperature() >> 8 * (register - 0x20) & 0xFF
        if 0x40 <= register <= 0x43 and self.stamping():
            ticks = round(self.oscillator.elapsed_s(self.clock.monotonic_ns()) * NS_PER_S) // 25_000
            return ticks >> 8 * (register - 0x40) & 0xFF
        return super().read_register(register)

    def catch_up(self, at_ns: int | None = None) -> None:
        super().catch_up(at_ns)
        self._overran |= self.words.overran

    def booted(self) -> None:
        super().booted()
        self._overran = False

    def _temperature(self) -> int:
        return int((self.temperature_c - 25) * self.celsius_counts)


def _batch_hz(code: int, lowest_hz: float) -> float:
    """Return the rate of a BDR code (FIFO_CTRL3)."""
    return lowest_hz if code == 11 else odr_hz(code)
