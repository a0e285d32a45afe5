"""A chip's FIFO: set up, its level, read, emptied. Timing and second tries are the reader's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.sensors.bus import NO_ADDRESS, Bus, BusError
from motionsig.sensors.chips import CLOCK_TOLERANCE, Chip, Setting
from motionsig.sensors.clock import Clock
from motionsig.sensors.registers import Registers, allowed_s, neighbours, spans

MOST_LOAD = 0.8
"""Share of the bus that one sensor may take: the rest is for retries, other chips, and a clock that runs fast."""
POLL_S = 0.1
"""At most between two readings of the level: the latency of samples."""
CHECK_NS = 100_000_000
"""At most between two readings of the registers (PX4's drivers read one of them back as often)."""
_LOOKS = 4
"""At a level that is no whole number of records, before a byte counts as lost: to write one takes the chip some us."""


class Discard(SensorError):
    """What was read cannot be trusted."""


class Overflow(Discard):
    """The FIFO was full: samples were lost, which ones the chip does not say."""


class Slip(Discard):
    """The FIFO got fewer or more samples than the time that has passed allows."""


class ChipFifo:
    """The FIFO of `chip` at `address`, as set by `setting`. `left`: records to leave in it when it is read."""

    def __init__(self, bus: Bus, chip: Chip, address: int, setting: Setting, clock: Clock) -> None:
        self.chip = chip
        self.setting = setting
        self.registers = Registers(bus, chip, address, clock)
        self._bus = bus
        self._record_bytes = chip.record.itemsize
        # An empty FIFO does not tell that a byte went missing while it was read: what is left in it does. Not where a
        # read takes whole records out.
        self.left = int(chip.level.unit < chip.record.itemsize)
        # Of the last record, which the next one must continue.
        self._temperature: int | None = None
        self._stamp: int | None = None
        self._unsettled = chip.unsettled
        self._expected = neighbours(setting.expected)

    def configure(self) -> None:
        """Reset the chip and start it from nothing; raise RegisterError where it does not do as told, or BusError.

        The whole has a deadline, however slow each transaction is.
        """
        steps = (*self.chip.reset, *self.setting.setup, *self.setting.start)
        with self.registers.within(allowed_s(steps), "to be set up"):
            self._configure()

    def _configure(self) -> None:
        self.registers.forget_bank()
        self.registers.identify()
        self.registers.run(self.chip.reset)
        self.registers.forget_bank()
        kept = {
            register: (value, 0xFF)
            for first, size in spans(self.chip.kept)
            for register, value in enumerate(self.registers.read(first, size), first)
        }
        expected = kept | dict(self.setting.expected)
        # One register between two of those is read with them, whatever it holds: one transaction less.
        between = {register + 1 for register in kept if register + 2 in kept} - expected.keys()
        self._expected = neighbours(expected | dict.fromkeys(between, (0, 0)))
        self.registers.run(self.setting.setup)
        self.registers.run(self.setting.start)
        self._temperature = self._stamp = None
        self._unsettled = self.chip.unsettled

    def verify(self) -> None:
        """Raise RegisterError unless every register still reads as it was written."""
        self.registers.verify(self._expected)

    def level(self) -> int:
        """Return how many records wait; raise Overflow where one may not have fitted, or Discard.

        Whatever was read before was read whole: the next byte out begins a record, and what waits is whole records.
        """
        for _ in range(_LOOKS):
            size, raw = self._size()
            records, rest = divmod(size, self._record_bytes)
            if not rest:
                return records
            # The chip may be in the middle of writing a record.
        raise Discard(
            f"expected whole records of {self._record_bytes} bytes in the FIFO, got {size} bytes: {raw.hex()}"
        )

    def _size(self) -> tuple[int, bytes]:
        """Return how many bytes wait, and what the chip said."""
        level, chip = self.chip.level, self.chip
        raw = self.registers.read(level.register, level.size)
        first, length = level.count
        size = (int.from_bytes(raw[first : first + length], level.order) & level.mask) * level.unit
        for at, mask in level.full:
            if raw[at] & mask:
                raise Overflow(f"{size} of {chip.fifo_bytes} bytes in the FIFO, which says that it is full")
        if size + self._record_bytes > chip.fifo_bytes:
            raise Overflow(f"{size} of {chip.fifo_bytes} bytes in the FIFO")
        for at, mask in level.broken:
            if raw[at] & mask:
                raise Discard(f"the FIFO's next byte does not begin a record: {raw.hex()}")
        return size, raw

    def level_s(self) -> float:
        """Return the time on the wire of reading the level."""
        return self._bus.transaction_s(self.chip.level.size)

    def read(self, records: int) -> NDArray[np.int16]:
        """Return what `parse` makes of so many records that are taken now."""
        return self.parse(self.take(records))

    def take(self, records: int) -> bytes:
        """Return the bytes of so many records; raise Discard where only some have moved, BusError where none has."""
        raw = b""
        for size in self._reads(records):
            try:
                raw += self.registers.read(self.chip.fifo_register, size)
            except BusError as error:
                if raw:
                    raise Discard(f"only {len(raw)} bytes of {records} records: {error}") from error
                raise
        return raw

    def parse(self, raw: bytes) -> NDArray[np.int16]:
        """Return (n, 6) counts of the next records, fewer while they are unsettled; 0 where there is no gyroscope.

        Raises Discard where they cannot be what the chip measured.
        """
        chip = self.chip
        rows = np.frombuffer(raw, chip.record)
        if chip.other_order and any(rows[name][0] & mask != value for name, mask, value in chip.marks):
            rows = np.frombuffer(raw, chip.other_order)
        self._examine(rows)
        out = np.zeros((len(rows), 6), np.int16)
        out[:, :3] = rows["acc"]
        if chip.gyro_ranges:
            out[:, 3:] = rows["gyr"]
        if chip.invalid is not None and (out == chip.invalid).any():
            raise Discard(f"the code {chip.invalid}, which stands for no measurement")
        settled = out[self._unsettled :]
        self._unsettled -= len(out) - len(settled)
        return settled

    def read_s(self, records: int) -> float:
        """Return the time on the wire of reading so many."""
        return sum(self._bus.transaction_s(size) for size in self._reads(records))

    def _reads(self, records: int) -> list[int]:
        """Return the bytes of each transaction that so many records take."""
        size = self.chip.record.itemsize
        return [size] * records if self.chip.one_by_one else [size * records]

    def flush(self) -> None:
        """Empty the FIFO; what comes out next begins a record."""
        self.registers.run(self.setting.flush)
        self._temperature = self._stamp = None
        self._unsettled = self.chip.unsettled

    def _examine(self, rows: NDArray[np.void]) -> None:
        chip = self.chip
        for name, mask, value in chip.marks:
            wrong = np.flatnonzero((rows[name] & mask) != value)
            if len(wrong):
                raise Discard(f"record {wrong[0]}: {name} 0x{rows[name][wrong[0]]:02x}, expected 0x{value:02x}")
        if chip.slot is not None:
            one, other, mask = chip.slot
            if ((rows[one] ^ rows[other]) & mask).any():
                raise Discard(f"{one} and {other} are not of one instant")
        if chip.temperature_jump is not None:
            seen = rows["temp"].astype(np.int64)
            first = int(seen[0]) if self._temperature is None else self._temperature
            jump = max(abs(int(seen[0]) - first), int(np.abs(seen[1:] - seen[:-1]).max(initial=0)))
            if jump > chip.temperature_jump:
                raise Discard(f"the temperature jumped by {jump} counts, expected at most {chip.temperature_jump}")
            self._temperature = int(seen[-1])
        if chip.stamp_s is not None:
            stamps = rows["stamp"].astype(np.int64)
            ticks = np.diff(stamps, prepend=stamps[:0] if self._stamp is None else self._stamp) % (1 << 16)
            periods = np.rint(ticks * (chip.stamp_s * self.setting.rate_hz))
            if (periods != 1).any():
                raise Discard(f"the chip's own time moved by {periods.max():g} periods between two samples")
            self._stamp = int(stamps[-1])


def drain_s(chip: Chip, rate_hz: float) -> float:
    """Return how often to read: before the FIFO is half full, so that a reader may come late by as much again."""
    return min(POLL_S, chip.capacity / rate_hz / 2)


def bus_load(chip: Chip, setting: Setting, bus: Bus) -> float:
    """Return the share of the bus's time that reading takes, at the fastest the chip's clock may run."""
    rate_hz = setting.rate_hz * (1 + CLOCK_TOLERANCE)
    drains = 1 / drain_s(chip, setting.rate_hz)
    levels = drains * bus.transaction_s(chip.level.size)
    reads = rate_hz if chip.one_by_one else drains
    data = reads * bus.transaction_s(round(rate_hz / reads * chip.record.itemsize))
    check_s = sum(bus.transaction_s(size) for _, size in spans((*setting.expected, *chip.kept)))
    return levels + data + check_s * NS_PER_S / CHECK_NS


def require_bus(chip: Chip, setting: Setting, bus: Bus) -> None:
    """Raise InputError, with the arithmetic, where the bus cannot carry what is asked."""
    load = bus_load(chip, setting, bus)
    if load <= MOST_LOAD:
        return
    fits = [rate for rate in chip.rates if bus_load(chip, replace(setting, rate_hz=rate), bus) <= MOST_LOAD]
    per_second = 1 / drain_s(chip, setting.rate_hz)
    bits, faster = 9, "a faster bus (on a Raspberry Pi dtparam=i2c_arm_baudrate=400000)"
    if NO_ADDRESS in chip.addresses:
        bits, faster = 8, "a faster clock (bus_clock_hz)"
    raise InputError(
        f"{chip.name} at {setting.rate_hz:g} Hz on {bus.name}: expected at most {MOST_LOAD:.0%} of the bus's time, got "
        f"{load:.0%}: {setting.rate_hz:g} x {chip.record.itemsize} bytes of {bits} bits, {per_second:.0f} drains and "
        f"{NS_PER_S / CHECK_NS:.0f} checks a second are {load * bus.clock_hz:,.0f} of {bus.clock_hz:,} bits; "
        f"{f'rate_hz={max(fits):g} fits' if fits else 'no rate fits'}, or {faster}"
    )
