"""LSM6DS3 and LSM6DS3TR-C: a FIFO of 16-bit words without tags, whose order only the pattern index tells.

LSM6DS3: DocID026899 with AN4650; LSM6DS3TR-C: DocID030071 with AN5130. "Section" is of the data sheets.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm, radians

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.chip import Fifo, Nack, Signal, SimulatedChip
from motionsig.sensors.simulated.clock import Oscillator
from motionsig.sensors.simulated.measuring import MeasuringChip, Settings

RATES_HZ = (0.0, 12.5, 26.0, 52.0, 104.0, 208.0, 416.0, 833.0, 1666.0, 3333.0, 6667.0)
"""By ODR code (CTRL1_XL, CTRL2_G; of the FIFO too)."""

ACCEL_MG = (0.061, 0.488, 0.122, 0.244)
"""mg per count by FS_XL: 2, 16, 4, 8 g (mechanical characteristics, LA_So)."""

GYRO_MDPS = (8.75, 17.5, 35.0, 70.0)
"""mdps per count by FS_G: 250 (245), 500, 1000, 2000 deg/s (mechanical characteristics, G_So)."""

DECIMATION = (0, 1, 2, 3, 4, 8, 16, 32)
"""By DEC_FIFO code (FIFO_CTRL3); 0: not in the FIFO."""

_ID, _CTRL1_XL, _CTRL2_G, _CTRL3_C, _CTRL4_C, _CTRL5_C = (0x0F, 0x10, 0x11, 0x12, 0x13, 0x14)
_SW_RESET, _IF_INC, _BOOT = 0x01, 0x04, 0x80
_RESET_S = 50e-6  # AN4650 and AN5192, "Power modes": SW_RESET takes 50 us


@dataclass(frozen=True)
class Pattern:
    """Which words the samples of a cycle leave in the FIFO: sample within the cycle and kind of each, in order."""

    cycle: int
    samples: NDArray[np.int64]
    kinds: NDArray[np.int64]

    def words(self, samples: int) -> int:
        """Return how many words the first `samples` samples leave."""
        whole, rest = divmod(samples, self.cycle)
        return whole * len(self.kinds) + (int(np.searchsorted(self.samples, rest)) if rest else 0)


def pattern(*sets: tuple[tuple[int, ...], int]) -> Pattern:
    """Return the pattern of (kinds, every how many samples; 0: never), in the order of one sample."""
    used = [(kinds, every) for kinds, every in sets if every]
    cycle = lcm(*(every for _, every in used))
    words = [(at, kind) for at in range(cycle) for kinds, every in used if at % every == 0 for kind in kinds]
    columns = np.array(words, np.int64).reshape(-1, 2).T
    return Pattern(cycle, columns[0], columns[1])


@dataclass(frozen=True)
class _Stretch:
    """Words of one pattern without a break: number of the first word, and of the sample it is of."""

    word: int
    serial: int
    pattern: Pattern


class WordFifo(Fifo):
    """A ring of words that samples leave by a pattern; words, not samples, are overwritten. Words are numbered."""

    def __init__(self, words: int, word_size: int) -> None:
        self.pattern = pattern()
        super().__init__(words * word_size, word_size)

    def clear(self) -> None:
        self._stretches: list[_Stretch] = []
        self._next_serial = -1
        self._end = 0
        self._skip = 0
        self.level = 0
        self.overran = False

    def follow(self, pattern: Pattern) -> None:
        """Take samples by another pattern from now on."""
        self.pattern = pattern
        self._next_serial = -1

    def push(self, serial: int, count: int) -> None:
        if not len(self.pattern.kinds):
            return
        if serial != self._next_serial:
            self._stretches.append(_Stretch(self._end, serial, self.pattern))
            del self._stretches[:-64]
        first = self._stretches[-1].serial
        words = self.pattern.words(serial + count - first) - self.pattern.words(serial - first)
        self._next_serial = serial + count
        size = self.record_size
        if self.full == "newest" and words > (room := (self.capacity - self.level) // size):
            words = room
            self.overran = True
            self._next_serial = -1
        self._end += words
        self.level += words * size
        if self.level > self.capacity:
            self.level = self.capacity
            self.overran = True
            self._skip = 0

    def serials(self, size: int) -> tuple[NDArray[np.int64], int]:
        """Return the numbers of the words that the next `size` bytes are of, and how far into the first."""
        last = -(-(self._skip + size) // self.record_size)
        first = self.first
        return np.arange(first, min(first + last, self._end), dtype=np.int64), self._skip

    @property
    def first(self) -> int:
        """The number of the oldest word."""
        return self._end - -(-self.level // self.record_size)

    def pop(self, size: int) -> None:
        size = min(size, self.level)
        if size:
            self.overran = False
            self.level -= size
            self._skip = (self._skip + size) % self.record_size

    def locate(self, words: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the sample and the kind of each of these words, which are in order."""
        stretch = self._stretches[-1]
        if words[0] >= stretch.word:
            return _locate(stretch, words)
        starts = np.array([stretch.word for stretch in self._stretches])
        which = np.maximum(np.searchsorted(starts, words, side="right") - 1, 0)
        serials, kinds = np.empty_like(words), np.empty_like(words)
        for at in np.unique(which):
            rows = which == at
            serials[rows], kinds[rows] = _locate(self._stretches[at], words[rows])
        return serials, kinds

    def index(self) -> int:
        """Return which word of the pattern is the next to be read; 0 in an empty FIFO."""
        if not self.level:
            return 0
        first = self.first
        stretch = next(stretch for stretch in reversed(self._stretches) if stretch.word <= first)
        return (first - stretch.word) % len(stretch.pattern.kinds)


def _locate(stretch: _Stretch, words: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    cycles, at = np.divmod(words - stretch.word, len(stretch.pattern.kinds))
    serials = stretch.serial + cycles * stretch.pattern.cycle + stretch.pattern.samples[at]
    return serials, stretch.pattern.kinds[at]


class Lsm6(MeasuringChip):
    """What the LSM6 chips share. `bank_bits`: of FUNC_CFG_ACCESS (01h), those that put other registers those."""

    address = 0x6A
    bank_bits = 0x80
    gyro_start_s = 0.08  # unconfirmed
    boot_s = 0.015
    words: WordFifo

    def __init__(self, clock: Clock, signal: Signal, *, oscillator: Oscillator | None = None) -> None:
        self._busy = 0
        self._busy_until_ns = 0
        self._seen = 0
        super().__init__(clock, signal, oscillator=oscillator)

    def booted(self) -> None:
        self._busy = 0

    # Rates and ranges.

    def accel_hz(self) -> float:
        return _rate_hz(self.registers[_CTRL1_XL] >> 4)

    def gyro_hz(self) -> float:
        return 0.0 if self.registers[_CTRL4_C] & 0x40 else _rate_hz(self.registers[_CTRL2_G] >> 4)  # SLEEP_G

    def sampling_hz(self) -> float | None:
        return max(self.accel_hz(), self.gyro_hz()) or None

    def accel_mg(self) -> float:
        return ACCEL_MG[self.registers[_CTRL1_XL] >> 2 & 3]

    def gyro_mdps(self) -> float:
        control = self.registers[_CTRL2_G]
        return 4.375 if control & 2 else GYRO_MDPS[control >> 2 & 3]

    def settings(self) -> Settings:
        on = self.accel_hz() > 0, self.gyro_hz() > 0
        scale = np.repeat(
            [
                self.accel_mg() * 1e-3 * STANDARD_GRAVITY if on[0] else np.inf,
                radians(self.gyro_mdps() * 1e-3) if on[1] else np.inf,
            ],
            3,
        )
        # Self-test output change: 90 (LSM6DSO 50, LSM6DSR 40) to 1700 mg; 20 to 80 deg/s at 250 deg/s,
        # 150 to 700 at 2000: so a fifth of the full scale, which is 1/0.035 counts of GYRO_MDPS.
        test = self.registers[_CTRL5_C]
        accel = {1: 0.4, 2: -0.4}.get(test & 3, 0.0) * STANDARD_GRAVITY
        gyro = {1: 0.2, 3: -0.2}.get(test >> 2 & 3, 0.0) * radians(self.gyro_mdps() / 0.035)
        return Settings(scale, np.repeat([accel, gyro], 3), 32767, on)

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
            self._busy, self._busy_until_ns = (_SW_RESET, now_ns + round(_RESET_S * NS_PER_S))
            return
        if register == _CTRL3_C and value & _BOOT:
            self._busy, self._busy_until_ns = (_BOOT, now_ns + round(self.boot_s * NS_PER_S))
        bits = self.writable.get(register, 0)
        if bits:
            self.registers[register] = self.registers.get(register, 0) & ~bits | value & bits
            self.written(register)

    def written(self, register: int) -> None:
        """Follow a write that was taken."""

    def catch_up(self, at_ns: int | None = None) -> None:
        super().catch_up(at_ns)
        if at_ns is None and self.registers[_CTRL4_C] & 0x04:  # I2C_disable
            raise Nack

    def read(self, register: int, size: int) -> bytes:
        if self.registers[_CTRL3_C] & _IF_INC:
            return super().read(register, size)
        return b"".join(super(Lsm6, self).read(register, 1) for _ in range(size))

    def read_register(self, register: int) -> int:
        if register != 0x01 and self.registers[0x01] & self.bank_bits:
            return 0
        if register == _CTRL3_C:
            busy = self._busy if self.clock.monotonic_ns() < self._busy_until_ns else 0
            return self.registers[register] | busy
        if register == 0x1E:  # STATUS_REG: TDA, GDA, XLDA
            on = self.settings().on
            return (on[0] * 1 | on[1] * 2 | 4) if self.taken > self._seen else 0
        if 0x22 <= register <= 0x2D:
            self._seen = self.taken
            at, high = divmod(register - 0x22, 2)
            return int(self.latest()[(at + 3) % 6]) >> 8 * high & 0xFF
        return self.registers.get(register, 0)


def _rate_hz(code: int) -> float:
    return RATES_HZ[code] if code < len(RATES_HZ) else 0.0


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
        fifo_hz = _rate_hz(registers[0x0A] >> 3 & 15)
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
            return self.pop_fifo(size)
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


MODELS: dict[str, type[SimulatedChip]] = {"lsm6ds3": Lsm6ds3, "lsm6ds3trc": Lsm6ds3trc}
