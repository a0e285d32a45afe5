"""Models of InvenSense's chips with the registers of the MPU-6000, and what all of InvenSense's chips have in common.

Sources: RM-MPU-6000A-00 rev 4.2 and PS-MPU-6000A-00 rev 3.4 (MPU6050), RM-MPU-6500A-00 rev 2.1, RM-MPU-9250A-00 rev
1.6, DS-000176 (ICM20602), DS-000143 (ICM20689); reset values and FIFO sizes as PX4's drivers check them
(src/drivers/imu/invensense), start-up times of accelerometers as in drivers/iio/imu/inv_mpu6050/inv_mpu_iio.h.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.chip import Fifo, Nack, Signal, SimulatedChip, _Run
from motionsig.sensors.simulated.clock import Oscillator

_AHEAD = 4096
"""Samples whose times are worked out at once: what a read of a few costs is mostly calls, not arithmetic."""

_AXES = np.arange(6)
_NO_RUN = _Run(0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Format:
    """How the samples taken now look; what happens to the registers before they are read does not change them.

    run: what times they have. size: bytes of a record; words: its 16-bit words, of accelerometer 0 to 2, gyroscope 3 to
    5, temperature 6. per_unit: (6,) counts per SI unit, 0 for an axis that is off. least: lowest count. ready_ns:
    garbage before, of accelerometer and gyroscope. hold: every how many samples each of them has a new value. before,
    added: (6,) counts that the self-test adds, up to added_ns (6,) and from then on. kind: what else a family needs.
    """

    run: _Run = _NO_RUN
    size: int = 0
    words: tuple[int, ...] = ()
    per_unit: NDArray[np.float64] | float = 0.0
    least: int = -32768
    ready_ns: tuple[int, int] = (0, 0)
    hold: tuple[int, int] = (1, 1)
    before: NDArray[np.float64] | None = None
    added: NDArray[np.float64] | None = None
    added_ns: NDArray[np.int64] | None = None
    kind: tuple[int, ...] = ()


class FormatFifo(Fifo):
    """A FIFO in which each record keeps the format and the size that it was written with."""

    def __init__(self, capacity: int, full: str = "oldest") -> None:
        self.format = Format()
        super().__init__(capacity, 0, full)

    def clear(self) -> None:
        super().clear()
        self.pieces: deque[tuple[int, int, Format]] = deque()  # first serial number, how many, of what format
        self.lost = 0

    def push(self, serial: int, count: int) -> None:
        size = self.format.size
        if not size:
            return
        if self.full == "newest":
            room = max(0, self.capacity - self.level) // size
            self.lost += max(0, count - room)
            self.overran |= count > room
            count = min(count, room)
            if not count:
                return
        if self.pieces and self.pieces[-1][2] is self.format and sum(self.pieces[-1][:2]) == serial:
            first, before, _ = self.pieces.pop()
            self.pieces.append((first, before + count, self.format))
        else:
            self.pieces.append((serial, count, self.format))
        self.level += count * size
        self.squeeze()

    def squeeze(self) -> None:
        """Let go of what does not fit."""
        excess = self.level - self.capacity
        if excess > 0:
            self.overran = True
            before = self.records
            self._drop(excess if self.full == "oldest" else self.whole(excess, up=True))
            self.lost += before - self.records

    def whole(self, size: int, *, up: bool = False) -> int:
        """Return how many of the next `size` bytes make whole records, or how many more would."""
        total = -self._skip
        for _, count, layout in self.pieces:
            left = size - total
            records = -(-left // layout.size) if up else left // layout.size
            total += min(count, records) * layout.size
            if records <= count:
                break
        return max(0, total)

    def peek(self, size: int) -> list[tuple[int, int, Format]]:
        """Return the records that the next `size` bytes are of: first serial number, how many, of what format."""
        out = []
        size += self._skip
        for first, count, layout in self.pieces:
            if size <= 0:
                break
            count = min(count, -(-size // layout.size))
            out.append((first, count, layout))
            size -= count * layout.size
        return out

    @property
    def records(self) -> int:
        return sum(count for _, count, _ in self.pieces)

    @property
    def skip(self) -> int:
        """Bytes of the first record that are gone already."""
        return self._skip

    def _drop(self, size: int) -> None:
        self.level -= size
        size += self._skip
        while size and self.pieces:
            first, count, layout = self.pieces.popleft()
            gone = min(size // layout.size, count)
            size -= gone * layout.size
            if gone < count:
                self.pieces.appendleft((first + gone, count - gone, layout))
                break
        self._skip = size


class InvenSenseChip(SimulatedChip):
    """What InvenSense's chips share: banks, bits that clear themselves, start-up, self-test, a FIFO at one address.

    Registers are bank << 8 | register. writable: which bits of which can be written; momentary: bits that act and are
    gone; volatile: registers that are computed when read. empty: what an empty FIFO reads as, None for its last byte
    once more. start_up_s: of accelerometer and gyroscope. words: the order of the data registers, as in Format.words.
    temperature: counts per K, and the °C at which it reads 0. self_test: (6,) SI units that it adds; self_test_s: how
    long after it is asked for, of accelerometer and gyroscope.
    """

    fifo: FormatFifo
    address = 0x68
    writable: dict[int, int]
    momentary: dict[int, int]
    volatile: frozenset[int]
    fifo_register: int
    bank_select: tuple[int, int, int] | None = None
    """Register, shift and mask of the bank's number."""
    empty: int | None = 0xFF
    start_up_s: tuple[float, float]
    words: tuple[int, ...]
    temperature: tuple[float, float]
    self_test: NDArray[np.float64]
    self_test_s = (0.02, 0.02)

    def __init__(self, clock: Clock, signal: Signal, *, oscillator: Oscillator | None = None) -> None:
        self._times: tuple[_Run, int, NDArray[np.int64]] = (_NO_RUN, 0, np.empty(0, np.int64))
        self._last_byte = b"\0"
        super().__init__(clock, signal, oscillator=oscillator)

    # What a family says of itself.

    def sensors_on(self) -> tuple[bool, bool]:
        """Tell whether accelerometer and gyroscope run."""
        raise NotImplementedError

    def self_testing(self) -> tuple[bool, ...]:
        """Tell which of the six axes are tested."""
        raise NotImplementedError

    def layout(self) -> Format:
        """Return the format that the registers ask for, without times and self-test."""
        raise NotImplementedError

    def temperature_on(self) -> bool:
        """Tell whether the temperature is measured."""
        raise NotImplementedError

    def compute(self, register: int) -> int:
        """Return a byte of a volatile register."""
        raise NotImplementedError

    def obey(self, register: int, value: int) -> None:
        """Do what the momentary bits of a register ask for."""

    def fifo_readable(self) -> bool:
        """Tell whether the FIFO gives its data."""
        return True

    def i2c_off(self) -> bool:
        """Tell whether the chip has been told to listen to SPI only; only a power cycle ends that."""
        return False

    # What follows from that.

    def booted(self) -> None:
        self.first = self.taken
        self.seen = self.taken
        self.count = 0
        self.overflowed = False
        self._on = (False, False)
        self._ready_ns = (0, 0)
        self._testing = self._tested = np.zeros(6, np.bool_)
        self._test_ns = np.zeros(6, np.int64)
        self._output: tuple[int, Format, bytes] | None = None

    @property
    def bank(self) -> int:
        if self.bank_select is None:
            return 0
        register, shift, mask = self.bank_select
        return self.registers.get(register, 0) >> shift & mask

    def number(self, register: int) -> int:
        """Return the register's number with the bank that is selected now."""
        if self.bank_select is not None and register == self.bank_select[0]:
            return register
        return self.bank << 8 | register

    def write(self, data: bytes) -> None:
        self.catch_up()
        if self._silent:
            raise Nack
        register = data[0]
        for value in data[1:]:
            if self.clock.monotonic_ns() < self.deaf_until_ns:
                break  # it has just been told to reset
            self.write_register(register, value)
            register += self.number(register) != self.fifo_register
        self._resample()

    def write_register(self, register: int, value: int) -> None:
        number = self.number(register)
        mask = self.writable.get(number, 0)
        self.registers[number] = self.registers.get(number, 0) & ~mask | value & mask
        if number in self.momentary:
            self.obey(number, value)

    def flip(self, register: int, bit: int, at_ns: int | None = None) -> None:
        super().flip(register, bit, at_ns)
        if self.powered and self.momentary.get(register, 0) >> bit & 1:
            value = self.registers[register]
            self.registers[register] = value & ~self.momentary[register]
            self.obey(register, value)
            self._resample()

    def read(self, register: int, size: int) -> bytes:
        # Not the base's: reading changes no setting, so there is nothing to work out anew afterwards.
        self.catch_up()
        if self._silent:
            raise Nack
        plain = self.fifo_register - self.number(register)
        if not 0 <= plain < size:
            plain = size
        data = bytes([self.read_register(at) for at in range(register, register + plain)])
        return data + self.pop_fifo(size - plain) if plain < size else data

    def read_register(self, register: int) -> int:
        number = self.number(register)
        return self.compute(number) if number in self.volatile else self.registers.get(number, 0)

    def pop_fifo(self, size: int) -> bytes:
        fifo = self.fifo
        there = min(size, fifo.level) if self.fifo_readable() else 0
        data = b"".join(
            self.encode(np.arange(first, first + count), layout).tobytes() for first, count, layout in fifo.peek(there)
        )[fifo.skip : fifo.skip + there]
        fifo.pop(self.consumed(there))
        self._last_byte = data[-1:] or self._last_byte
        return data.ljust(size, self._last_byte if self.empty is None else bytes([self.empty]))

    def consumed(self, size: int) -> int:
        """Return how many of the `size` bytes that were read are gone from the FIFO."""
        return size

    def empty_fifo(self) -> None:
        """Forget the FIFO's contents, but not that it has overflowed: that stays until the status is read."""
        self.overflowed |= self.fifo.overran
        self.fifo.clear()

    def take_overflow(self) -> bool:
        """Tell whether the FIFO has overflowed since this was last asked."""
        overflowed = self.overflowed or self.fifo.overran
        self.overflowed = self.fifo.overran = False
        return overflowed

    def take_news(self) -> bool:
        """Tell whether there is a sample since this was last asked."""
        news = self.taken > self.seen
        self.seen = self.taken
        return news

    def records(self, serials: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.encode(serials, self.fifo.format)

    def output(self) -> bytes:
        """Return the data registers: the last sample."""
        layout = self.fifo.format
        if self._output is None or self._output[:2] != (self.taken, layout):
            self._output = (self.taken, layout, self.encode_output(np.array([self.taken - 1]), layout))
        return self._output[2]

    def encode(self, serials: NDArray[np.int64], layout: Format) -> NDArray[np.uint8]:
        """Return (n, layout.size) bytes of these samples."""
        words = np.empty((len(serials), 7), ">i2")
        words[:, :6] = self.counts(serials, layout)
        sensitivity, zero_c = self.temperature
        words[:, 6] = round((self.temperature_c - zero_c) * sensitivity) if self.temperature_on() else 0
        return np.ascontiguousarray(words[:, layout.words]).view(np.uint8)

    def encode_output(self, serials: NDArray[np.int64], layout: Format) -> bytes:
        """Return the data registers with this sample in them; before the first there is nothing in them."""
        if self.taken == self.first:
            return bytes(14)
        return self.encode(serials, replace(layout, size=14, words=self.words)).tobytes()

    def counts(self, serials: NDArray[np.int64], layout: Format, most: int = 32767) -> NDArray[np.float64]:
        """Return (n, 6) whole counts of what the chip feels, garbage where a sensor has not started up yet."""
        times_ns = self._sampled_ns(serials, layout.run)
        feel = self.signal(serials, times_ns)
        if layout.hold != (1, 1):
            feel = np.array(feel)
            for sensor, hold in enumerate(layout.hold):
                held = serials - (serials - layout.run.serial) % hold
                columns = slice(3 * sensor, 3 * sensor + 3)
                feel[:, columns] = self.signal(held, self._run_times_ns(layout.run, held))[:, columns]
        out: NDArray[np.float64] = feel * layout.per_unit
        if layout.added is not None and layout.before is not None and layout.added_ns is not None:
            out += np.where(times_ns[:, None] < layout.added_ns, layout.before, layout.added)
        np.rint(out, out=out)
        np.maximum(out, layout.least, out=out)
        np.minimum(out, most, out=out)
        if times_ns[0] < max(layout.ready_ns):
            noise = ((serials[:, None] * 40503 + _AXES * 9973) * 48271 >> 5 & 0xFFFF) - 32768
            unready = times_ns[:, None] < np.repeat(layout.ready_ns, 3)
            out = np.where(unready & (np.asarray(layout.per_unit) != 0), noise, out)
        return out

    def _sampled_ns(self, serials: NDArray[np.int64], run: _Run) -> NDArray[np.int64]:
        """Return the times of consecutive samples of a run."""
        first, end = int(serials[0]), int(serials[-1]) + 1
        known, start, times_ns = self._times
        if known is not run or first < start or end > start + len(times_ns):
            start = first
            times_ns = self._run_times_ns(run, np.arange(first, max(end, first + _AHEAD)))
            self._times = run, start, times_ns
        return times_ns[first - start : end - start]

    def _resample(self, at_ns: int | None = None) -> None:
        super()._resample(at_ns)
        now_ns = max(self.deaf_until_ns, self.clock.monotonic_ns() if at_ns is None else at_ns)
        self._silent = self.i2c_off()
        on = self.sensors_on()
        self._ready_ns = (
            self._ready_ns[0] if self._on[0] else now_ns + round(self.start_up_s[0] * NS_PER_S),
            self._ready_ns[1] if self._on[1] else now_ns + round(self.start_up_s[1] * NS_PER_S),
        )
        self._on = on
        testing = np.array(self.self_testing())
        changed = testing != self._testing
        if changed.any():
            settled_ns = now_ns + np.rint(np.repeat(self.self_test_s, 3) * NS_PER_S).astype(np.int64)
            self._tested = np.where(changed, self._testing, self._tested)
            self._test_ns = np.where(changed, settled_ns, self._test_ns)
            self._testing = testing
        if self._rate_hz is not None:
            self.fifo.format = self._dated(self.layout())

    def _dated(self, layout: Format) -> Format:
        """Return the format with everything that depends on when."""
        dated = replace(layout, run=self.runs[-1], ready_ns=self._ready_ns)
        if not (self._testing | self._tested).any():
            return dated
        whole = np.asarray(layout.per_unit) * self.self_test
        return replace(dated, before=whole * self._tested, added=whole * self._testing, added_ns=self._test_ns)


def per_unit(counts_per_g: float, counts_per_dps: float) -> NDArray[np.float64]:
    """Return (6,) counts per m/s² and per rad/s."""
    return np.repeat((counts_per_g / STANDARD_GRAVITY, np.degrees(counts_per_dps)), 3)


def trimmed(codes: tuple[int, ...], full_scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (6,) SI units of self-test that the factory's codes stand for: 2620 counts, 1 % more for each code.

    full_scale: (6,) counts per SI unit at 2 g and 250 deg/s. AN-MPU-9250A-03 sec. 3.1; for the ICM426xx TDK's
    Icm426xxSelfTest.c, INV_ST_OTP_EQUATION.
    """
    return 2620 * 1.01 ** (np.array(codes) - 1) / full_scale


FULL_SCALE = per_unit(16384, 131)
"""(6,) counts per SI unit at 2 g and 250 deg/s, of all of InvenSense's chips."""

_SMPLRT_DIV, _CONFIG, _GYRO_CONFIG, _ACCEL_CONFIG, _ACCEL_CONFIG_2, _LP_ODR = (0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E)
_FIFO_EN, _INT_PIN_CFG, _INT_ENABLE, _INT_STATUS, _DATA = 0x23, 0x37, 0x38, 0x3A, 0x3B
_SIGNAL_PATH_RESET, _USER_CTRL, _PWR_MGMT_1, _PWR_MGMT_2 = 0x68, 0x6A, 0x6B, 0x6C
_FIFO_COUNTH, _FIFO_COUNTL, _FIFO_R_W, _WHO_AM_I = 0x72, 0x73, 0x74, 0x75

_WORDS = (0, 1, 2, 6, 3, 4, 5)
"""The order of the data registers, and so of the FIFO: accelerometer, temperature, gyroscope."""


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
        )

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


MODELS = {
    "mpu6050": Mpu6050,
    "mpu6500": Mpu6500,
    "mpu9250": Mpu9250,
    "mpu9255": Mpu9255,
    "icm20602": Icm20602,
    "icm20689": Icm20689,
}
