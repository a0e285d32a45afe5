"""What every simulated chip has: registers, a sample clock of its own, a FIFO, a supply that can be cut.

Nothing happens in the background. Whenever somebody talks to the chip it catches up with the time: samples that are due
go into the FIFO as serial numbers, and bytes are made of them when they are read: an hour costs only what is read.
A model is written from its chip's data sheet, never from the table the reader uses: the two must agree about the chip,
not about each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.clock import Oscillator

Signal = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]
"""(serial numbers (n,), monotonic times in ns (n,)) to (n, 6) m/s² and rad/s: the motion that the chip measures."""


class Nack(Exception):
    """The chip does not acknowledge: it is not there, or not awake yet."""


@dataclass(frozen=True)
class Run:
    """Samples at one rate since the sample clock last started: serial number and chip time of the first."""

    serial: int
    began_s: float
    rate_hz: float


def by_stretch(starts: Sequence[int], numbers: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.bool_] | slice]]:
    """Yield each stretch, by its place in `starts`, that some of `numbers` (n,), in order, are in, and their rows."""
    if len(numbers) and numbers[0] >= starts[-1]:
        yield len(starts) - 1, slice(None)
        return
    which = np.maximum(np.searchsorted(starts, numbers, side="right") - 1, 0)
    for at in np.unique(which).tolist():
        yield at, which == at


class Fifo:
    """Records as they lie in the chip, known by their serial numbers.

    When it is full, "oldest" lets the oldest bytes fall out, "oldest-record" whole records, and "newest" takes no more.
    """

    def __init__(self, capacity: int, record_size: int, full: str = "oldest") -> None:
        self.capacity = capacity
        self.record_size = record_size
        self.full = full
        self.clear()

    def clear(self) -> None:
        self._runs: deque[tuple[int, int]] = deque()  # first serial number, how many
        self._skip = 0  # bytes of the first record that are gone already
        self.level = 0
        self.overran = False

    def push(self, serial: int, count: int) -> None:
        size = self.record_size
        if self.full == "newest" and count > (free := (self.capacity - self.level) // size):
            self.overran, count = True, free
        if count <= 0:
            return
        first, before = self._runs.pop() if self._runs and sum(self._runs[-1]) == serial else (serial, 0)
        self._runs.append((first, before + count))
        self.level += count * size
        excess = self.level - self.capacity
        if excess > 0:
            self.overran = True
            self._drop(excess if self.full == "oldest" else -(-excess // size) * size)

    def serials(self, size: int) -> tuple[NDArray[np.int64], int]:
        """Return the serial numbers of the records that the next `size` bytes are of, and how far into the first."""
        wanted = -(-(self._skip + size) // self.record_size)
        parts = []
        for first, count in self._runs:
            parts.append(np.arange(first, first + min(count, wanted), dtype=np.int64))
            wanted -= len(parts[-1])
            if not wanted:
                break
        return np.concatenate(parts) if parts else np.empty(0, np.int64), self._skip

    def pop(self, size: int) -> None:
        self._drop(min(size, self.level))

    def _drop(self, size: int) -> None:
        self.level -= size
        size += self._skip
        while size and self._runs:
            first, count = self._runs.popleft()
            gone = min(size // self.record_size, count)
            size -= gone * self.record_size
            if gone < count:
                self._runs.appendleft((first + gone, count - gone))
                break
        self._skip = size


class SimulatedChip:
    """A chip on a bus. Subclasses are the models: `defaults`, `sampling`, `records`, and what their registers do.

    signal: the motion that it measures. oscillator: its clock. Serial numbers count the samples it has ever taken.
    """

    address: int
    defaults: dict[int, int]
    boot_s: float
    """From power-up until it answers."""
    on_spi = False
    """Whether it is talked to over SPI, where it answers though I2C is switched off."""

    def __init__(self, clock: Clock, signal: Signal, *, oscillator: Oscillator | None = None) -> None:
        self.clock = clock
        self.signal = signal
        self.oscillator = oscillator or Oscillator()
        self.runs: list[Run] = []
        self.taken = 0
        self.temperature_c = 25.0
        self.fifo = self.make_fifo()
        self.power_on(clock.monotonic_ns() - round(self.boot_s * NS_PER_S))

    # What a model defines.

    def make_fifo(self) -> Fifo:
        raise NotImplementedError

    def sampling_hz(self) -> float | None:
        """Return the nominal rate the registers ask for, None while nothing is sampled."""
        raise NotImplementedError

    def fifo_on(self) -> bool:
        """Tell whether samples go into the FIFO."""
        raise NotImplementedError

    def records(self, serials: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, record size) bytes of these samples as the FIFO holds them."""
        raise NotImplementedError

    def write_register(self, register: int, value: int) -> None:
        """Take a byte; overridden where a register does something."""
        self.registers[register] = value

    def read_register(self, register: int) -> int:
        """Return a byte; overridden where a register is computed or cleared by reading."""
        return self.registers.get(register, 0)

    def read_stream(self, register: int, size: int) -> bytes | None:
        """Return `size` bytes where reading `register` does not run on to the next one, as at a FIFO's; else None."""
        return None

    def booted(self) -> None:
        """Follow a power-up or a reset: `registers` hold the defaults again."""

    # What the bus calls.

    def write(self, data: bytes) -> None:
        self.catch_up()
        for offset, value in enumerate(data[1:]):
            self.write_register(data[0] + offset, value)
        self._resample()

    def read(self, register: int, size: int) -> bytes:
        self.catch_up()
        stream = self.read_stream(register, size)
        if stream is not None:
            return stream
        data = bytes(self.read_register(register + offset) for offset in range(size))
        self._resample()
        return data

    # Power, resets and glitches.

    def power_off(self, at_ns: int) -> None:
        self.catch_up(at_ns)
        self.powered = False

    def power_on(self, at_ns: int) -> None:
        self.powered = True
        self.restart(at_ns, self.boot_s)

    def restart(self, at_ns: int, seconds: float) -> None:
        """Lose all settings and do not answer for so long: a power-up, a brown-out, a reset by register."""
        self.registers = dict(self.defaults)
        self.deaf_until_ns = at_ns + round(seconds * NS_PER_S)
        self.fifo.clear()
        self._rate_hz: float | None = None
        self.booted()
        self._resample(at_ns)

    def flip(self, register: int, bit: int, at_ns: int | None = None) -> None:
        """Flip one bit that nobody has written, as a supply glitch does, now or at `at_ns`."""
        at_ns = self.clock.monotonic_ns() if at_ns is None else at_ns
        self.catch_up(at_ns)
        self.registers[register] = self.registers.get(register, 0) ^ (1 << bit)
        self._resample(at_ns)

    # Its samples.

    def times_ns(self, serials: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the monotonic times at which these samples were really taken."""
        out = np.empty(len(serials), np.int64)
        for at, rows in by_stretch([run.serial for run in self.runs], serials):
            out[rows] = self._run_times_ns(self.runs[at], serials[rows])
        return out

    def _run_times_ns(self, run: Run, serials: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.oscillator.time_ns(run.began_s + (serials - run.serial + 1) / run.rate_hz)

    def catch_up(self, at_ns: int | None = None) -> None:
        """Take the samples that are due; raise Nack if nobody is there to answer."""
        now_ns = self.clock.monotonic_ns() if at_ns is None else at_ns
        if at_ns is None and (not self.powered or now_ns < self.deaf_until_ns):
            raise Nack
        if self.powered and self._rate_hz is not None:
            run = self.runs[-1]
            due = run.serial + int((self.oscillator.elapsed_s(now_ns) - run.began_s) * run.rate_hz)
            if due > self.taken and self.fifo_on():
                self.fifo.push(self.taken, due - self.taken)
            self.taken = max(self.taken, due)

    def _resample(self, at_ns: int | None = None) -> None:
        """Start the sample clock anew if the registers ask for another rate."""
        rate_hz = self.sampling_hz()
        if rate_hz == self._rate_hz:
            return
        self._rate_hz = rate_hz
        if rate_hz is not None:
            now_ns = self.clock.monotonic_ns() if at_ns is None else at_ns
            self.runs.append(Run(self.taken, self.oscillator.elapsed_s(now_ns), rate_hz))
