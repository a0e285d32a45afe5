"""What InvenSense's chips have in common: banks, bits that clear themselves, start-up, self-test, a FIFO of formats."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.chip import Fifo, Nack, Run, Signal, SimulatedChip
from motionsig.sensors.simulated.clock import Oscillator

_AHEAD = 4096
"""Samples whose times are worked out at once: what a read of a few costs is mostly calls, not arithmetic."""

_AXES = np.arange(6)
_NO_RUN = Run(0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Format:
    """How the samples taken now look; what happens to the registers before they are read does not change them.

    run: what times they have. size: bytes of a record; words: its 16-bit words, of accelerometer 0 to 2, gyroscope 3 to
    5, temperature 6. per_unit: (6,) counts per SI unit, 0 for an axis that is off. least: lowest count. ready_ns:
    garbage before, of accelerometer and gyroscope. hold: every how many samples each of them has a new value. before,
    added: (6,) counts that the self-test adds, up to added_ns (6,) and from then on. kind: what else a family needs.
    """

    run: Run = _NO_RUN
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
            free = max(0, self.capacity - self.level) // size
            self.lost += max(0, count - free)
            self.overran |= count > free
            count = min(count, free)
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
        self._times: tuple[Run, int, NDArray[np.int64]] = (_NO_RUN, 0, np.empty(0, np.int64))
        self._last_byte = b"\0"
        super().__init__(clock, signal, oscillator=oscillator)

    # What a family defines.

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
        """Tell whether the chip listens to SPI only; only a power cycle ends that."""
        return False

    # What all have.

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
                break  # it has just been reset
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
            self.encode(np.arange(first, first + count, dtype=np.int64), layout).tobytes()
            for first, count, layout in fifo.peek(there)
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
            self._output = (self.taken, layout, self.encode_output(np.array([self.taken - 1], np.int64), layout))
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

    def _sampled_ns(self, serials: NDArray[np.int64], run: Run) -> NDArray[np.int64]:
        """Return the times of consecutive samples of a run."""
        first, end = int(serials[0]), int(serials[-1]) + 1
        known, start, times_ns = self._times
        if known is not run or first < start or end > start + len(times_ns):
            start = first
            times_ns = self._run_times_ns(run, np.arange(first, max(end, first + _AHEAD), dtype=np.int64))
            self._times = run, start, times_ns
        return times_ns[first - start : end - start]

    def _resample(self, at_ns: int | None = None) -> None:
        super()._resample(at_ns)
        now_ns = max(self.deaf_until_ns, self.clock.monotonic_ns() if at_ns is None else at_ns)
        self._silent = self.i2c_off() and not self.on_spi
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
TRIM_CODES = (110, 104, 113, 150, 145, 155)
"""What the factory left in every model: codes of accelerometer x, y, z and gyroscope x, y, z."""
