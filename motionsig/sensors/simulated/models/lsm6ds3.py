"""LSM6DS3 and LSM6DS3TR-C: a FIFO of 16-bit words without tags, whose order is known by the pattern index alone.

LSM6DS3: DocID026899 with AN4650; LSM6DS3TR-C: DocID030071 with AN5130. "Section" is of the data sheets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.simulated.chip import Fifo
from motionsig.sensors.simulated.lsm6dso import Lsm6, odr_hz
from motionsig.sensors.simulated.measuring import Settings
from motionsig.sensors.simulated.words import WordFifo, pattern

DECIMATION = (0, 1, 2, 3, 4, 8, 16, 32)
"""By DEC_FIFO code (FIFO_CTRL3); 0: not in the FIFO."""

_ID, _CTRL1_XL, _CTRL2_G, _CTRL3_C, _CTRL4_C, _CTRL5_C = (0x0F, 0x10, 0x11, 0x12, 0x13, 0x14)

# Register mapping: what is not 0 after a reset.
_DEFAULTS = {**dict.fromkeys(range(0x01, 0x64), 0), _ID: 0x69, _CTRL3_C: 0x04, 0x18: 0x38, 0x19: 0x38}

_WRITABLE = {
    0x01: 0x80,
    0x04: 0xFF,
    0x06: 0xFF,
    0x07: 0xCF,
    0x08: 0x3F,
    0x09: 0x7F,
    0x0A: 0x7F,
    0x0B: 0x3F,
    0x0D: 0xFF,
    0x0E: 0xFF,
    _CTRL1_XL: 0xFF,
    _CTRL2_G: 0xFE,
    _CTRL3_C: 0x7E,
    _CTRL4_C: 0xFD,
    _CTRL5_C: 0xEF,
    0x15: 0xF0,
    0x16: 0xFC,
    0x17: 0xF5,
    0x18: 0x3C,
    0x19: 0x3F,
    0x1A: 0xDF,
    **dict.fromkeys(range(0x58, 0x60), 0xFF),
}


class Lsm6ds3(Lsm6):
    """The FIFO by words of 2 bytes. `level_bits`: of the level; a full FIFO's level reads as what is left of it."""

    level_bits = 12
    celsius_counts = 16.0
    axes_switch = True

    deciding = (0x08, 0x09, 0x0A, 0x10, 0x11, 0x13, 0x14, 0x18, 0x19)
    defaults = _DEFAULTS
    writable = _WRITABLE

    def make_fifo(self) -> Fifo:
        self.words = WordFifo(1 << self.level_bits, 2)
        return self.words

    def settings(self) -> Settings:
        settings = super().settings()
        if not self.axes_switch:
            return settings
        switches = self.registers[0x18] >> 3 & 7 | self.registers[0x19] & 0x38  # Xen_XL the lowest, Zen_G the highest
        enabled = np.array([switches >> axis & 1 for axis in range(6)], bool)
        return Settings(np.where(enabled, settings.scale, np.inf), settings.added, settings.most, settings.on)

    def fifo_on(self) -> bool:
        return self.registers[0x0A] & 7 in (1, 3, 6)

    def decided(self) -> None:
        registers, rate_hz = self.registers, self.sampling_hz()
        fifo_hz = odr_hz(registers[0x0A] >> 3 & 15)
        every = max(1, round(rate_hz / fifo_hz)) if rate_hz and fifo_hz else 0
        sets = ((3, 4, 5), registers[0x08] >> 3 & 7), ((0, 1, 2), registers[0x08] & 7)
        others = registers[0x09] & 7, registers[0x09] >> 3 & 7
        wanted = pattern(
            *((axes, every * DECIMATION[code]) for axes, code in sets),
            *(((6, 6, 6), every * DECIMATION[code]) for code in others),
        )
        old = self.words.pattern
        if wanted.cycle != old.cycle or not np.array_equal(wanted.kinds, old.kinds):
            self.words.follow(wanted)
        self.words.full = "newest" if registers[0x0A] & 7 == 1 else "oldest"
        if not self.fifo_on():
            self.words.clear()
            self.spoiled = -1
        elif self.spoiled < 0:
            self.spoiled = self.taken  # section 5.5: the first sample in a new mode is to be discarded

    def records(self, serials: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, 2) bytes of the words of these numbers."""
        samples, kinds = self.words.locate(serials)
        hold = self._hold()
        if hold != (1, 1):
            # A sensor slower than the other shows the value it took last.
            samples = samples - samples % np.where(kinds < 3, *hold)
        first = int(samples.min())
        taken = np.arange(first, int(samples.max()) + 1, dtype=np.int64)
        counts = self.counts(taken)
        self.spoil(taken, counts)
        words = np.where(kinds < 6, counts[samples - first, np.minimum(kinds, 5)], 0).astype("<i2")
        return words.view(np.uint8).reshape(-1, 2)

    def _hold(self) -> tuple[int, int]:
        rate_hz = self.sampling_hz() or 1.0
        accel, gyro = (max(1, round(rate_hz / (hz or rate_hz))) for hz in (self.accel_hz(), self.gyro_hz()))
        return accel, gyro

    def read_stream(self, register: int, size: int) -> bytes | None:
        # AN4650, "Retrieving data from the FIFO": a longer read of FIFO_DATA_OUT goes on with the next word.
        if register == 0x3E and not self.registers[0x01] & self.bank_bits:
            there = min(size, self.words.level)
            words, skip = self.words.serials(there)
            data = self.records(words).tobytes()[skip : skip + there] if len(words) else b""
            self.words.pop(size)
            return data.ljust(size, b"\0")
        return None

    def read_register(self, register: int) -> int:
        fifo = self.words
        if 0x3A <= register <= 0x3D and not self.registers[0x01] & self.bank_bits:
            words = fifo.level // 2
            if register == 0x3A:
                return words & 0xFF
            if register == 0x3B:
                # WTM, OVER_RUN, FIFO_FULL (the next sample will not fit), FIFO_EMPTY, the level's upper bits.
                mark = self.registers[0x06] | (self.registers[0x07] << 8 & (1 << self.level_bits) - 1)
                full = words + len(fifo.pattern.kinds) > fifo.capacity // 2
                flags = (0 < mark <= words) << 7 | fifo.overran << 6 | full << 5 | (not words) << 4
                return flags | words >> 8 & (1 << self.level_bits - 8) - 1
            return fifo.index() >> 8 * (register - 0x3C) & 0xFF
        if register in (0x20, 0x21):
            return int((self.temperature_c - 25) * self.celsius_counts) >> 8 * (register - 0x20) & 0xFF
        return super().read_register(register)


_TRC_DEFAULTS = {**_DEFAULTS, _ID: 0x6A, 0x18: 0xE0, 0x19: 0x00}

_TRC_WRITABLE = {
    **_WRITABLE,
    0x01: 0xA0,
    0x07: 0xCF,
    0x09: 0xFF,
    0x0B: 0x80,
    _CTRL4_C: 0xFE,
    _CTRL5_C: 0xFF,
    0x15: 0xFB,
    0x16: 0xF4,
    0x17: 0xFD,
    0x18: 0xFC,
    0x19: 0xB7,
}


class Lsm6ds3trc(Lsm6ds3):
    level_bits = 11
    celsius_counts = 256.0
    axes_switch = False
    defaults = _TRC_DEFAULTS
    writable = _TRC_WRITABLE
