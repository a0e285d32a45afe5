"""What there is to know about a chip, as data: a family's file is a table of `Chip`, the reader knows none by name.

Each figure names where it comes from. Registers are 8 bits wide; with banks the number is bank << 8 | register.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import radians
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError

CLOCK_TOLERANCE = 0.05
"""How far a chip's clock may be off: the most that the data sheets leave open."""
SIMULATED_CHIP = "lsm6dso"
"""The chip that "simulated" opens a model of."""
SIMULATED_LESSON, SIMULATED_TURNS = "lesson", "turns"
"""Behind "simulated:", the same chip at rest and in motion by turns; the second also walks."""
PARTS = ("identity", "rates", "ranges", "start", "fifo", "record", "self-test")
"""Parts of a table, as in `Chip.origins`."""


@dataclass(frozen=True)
class Set:
    """Write `value`; what is read back must agree in the bits of `mask` (0: the register cannot be read back)."""

    register: int
    value: int
    mask: int = 0xFF


@dataclass(frozen=True)
class Wait:
    """Wait for so long."""

    seconds: float


@dataclass(frozen=True)
class Until:
    """Read `register` until its bits of `mask` are `value`; later than `within_s` is a failure."""

    register: int
    mask: int
    value: int
    within_s: float


Step = Set | Wait | Until
Bits = Mapping[int, int]
"""Register to bits: OR-ed into what `Chip.setup`, `Chip.start` and `Chip.flush` write there last."""


@dataclass(frozen=True)
class Range:
    """A full scale: the bits that select it, and m/s² or rad/s per count."""

    bits: Bits
    scale: float


def accel_ranges(register: int, table: Mapping[float, tuple[int, float]]) -> dict[float, Range]:
    """Return an accelerometer's ranges; table: g to the bits in `register` and the data sheet's counts per g."""
    return {g: Range({register: bits}, STANDARD_GRAVITY / counts) for g, (bits, counts) in table.items()}


def gyro_ranges(register: int, table: Mapping[float, tuple[int, float]]) -> dict[float, Range]:
    """Return a gyroscope's ranges; table: deg/s to the bits in `register` and the data sheet's counts per deg/s."""
    return {dps: Range({register: bits}, radians(1) / counts) for dps, (bits, counts) in table.items()}


def clear(*registers: int) -> tuple[Set, ...]:
    """Return the steps that write 0 to each register, in this order."""
    return tuple(Set(register, 0x00) for register in registers)


@dataclass(frozen=True)
class Level:
    """How the chip says what its FIFO holds: `size` bytes from `register` on.

    count: first byte and number of bytes of the level in them; order: their byte order; mask: the level's bits; unit:
    bytes of FIFO that one of it stands for. full: (byte, mask) of flags that say samples were lost. broken: (byte,
    mask) of bits that are 0 wherever the next byte out of the FIFO begins a record.
    """

    register: int
    size: int
    count: tuple[int, int]
    order: Literal["big", "little"]
    mask: int
    unit: int
    full: tuple[tuple[int, int], ...] = ()
    broken: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class SelfTest:
    """The chip's own: what it adds to its outputs when asked, at the given rate and ranges.

    before: what the outputs are compared with, if not the chip at rest. on, off: asks for it, ends it; settle_s: how
    long the outputs then need. accel, gyro: least and most change of each axis, in m/s² and rad/s; None where the chip
    has no such test. With `trim`, the change is divided by what trim(the bytes of trim_registers) says the factory
    saw, (6,) in m/s² and rad/s, and accel and gyro are ratios.
    """

    rate_hz: float
    accel_range_g: float
    gyro_range_dps: float | None
    on: tuple[Step, ...]
    off: tuple[Step, ...]
    settle_s: float
    accel: tuple[float, float] | None
    gyro: tuple[float, float] | None
    trim_registers: tuple[int, ...] = ()
    trim: Callable[[bytes], NDArray[np.float64]] | None = None
    before: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Spi:
    """What differs on SPI, where every chip here takes clock mode 3 and bit 7 of the first byte means a read.

    clock_hz: the fastest that every register takes. burst: the bit of the first byte that lets a transaction of several
    bytes count on. dummy: bytes that a read gives before the first of its answer. first: steps after each reset.
    always: bits in every write of a register, whatever it reads back as: they switch I2C off. rates: those that I2C
    cannot carry, as in `Chip.rates`. pause_s: between two records that are read one by one.
    """

    clock_hz: int
    burst: int = 0
    dummy: int = 0
    first: tuple[Step, ...] = ()
    always: Bits = field(default_factory=dict)
    rates: Mapping[float, Bits] = field(default_factory=dict)
    pause_s: float = 0.0


@dataclass(frozen=True)
class Chip:
    """One chip.

    name: as in `open_sensor`. source: its data sheet. addresses: on I2C, the usual one first. identity: registers and
    what they read as. rates: Hz to bits; accel_ranges: g to Range; gyro_ranges: deg/s to Range, empty without a
    gyroscope.

    reset: to the state after power-up. setup: everything but the FIFO; ends when the outputs are good. start: the FIFO
    from empty. flush: empties it while it runs; the next byte out then begins a record.

    level, fifo_register, fifo_bytes: how to read the FIFO; one_by_one: a read gives one record and no more. record: one
    sample in the FIFO, a structured dtype with the fields "acc" (3,) and "gyr" (3,), and if the chip has them "temp",
    "stamp" and marks; other_order: the same where the chip gives its parts the other way round. unsettled: records
    after an empty FIFO that are not yet measurements.

    marks: (field, mask, value) that hold in every record. slot: two fields and the bits in which they agree where both
    are of one instant. invalid: the code that stands for no measurement.
    step: counts from one acceleration in the FIFO to the next larger one; above 1 where only the upper bits are used.
    temperature_jump: counts that "temp" cannot move in one sample. stamp_s: seconds of one tick of "stamp", the chip's
    own time. kept: registers with values of the factory's that must stay as they are after a reset.

    bank: the register that selects a bank, and how far the bank's number is shifted in it. notes: what a user should
    know. spi: what differs on SPI; None where the chip has none, or nobody has looked.

    alike: further names of parts and boards that this table reads: other packages of the chip, parts with the same
    registers, modules. clones: values other than that of `identity` (whose first register it is) with which parts were
    seen that this table may read, and what they are; such a part is only opened with chip=. twins: parts that no table
    reads and that say the same of themselves, with their m/s² per count in terms of this one's: gravity tells.
    origins: for each of PARTS that was compared with a source that can be read, "data sheet: ..." or "driver: ...",
    with the place; a part that is not there was written from memory ("start": registers and bits of reset, setup and
    start; waits are from memory where nothing beside them names a source). boards: reports of real boards on which
    `motionsig sensors --prove` found the table right, each a link or a name.
    """

    name: str
    title: str
    source: str
    addresses: tuple[int, ...]
    identity: Bits
    rates: Mapping[float, Bits]
    accel_ranges: Mapping[float, Range]
    gyro_ranges: Mapping[float, Range]
    reset: tuple[Step, ...]
    setup: tuple[Step, ...]
    start: tuple[Step, ...]
    flush: tuple[Step, ...]
    level: Level
    fifo_register: int
    fifo_bytes: int
    record: np.dtype[np.void]
    bank: tuple[int, int] | None = None
    one_by_one: bool = False
    kept: tuple[int, ...] = ()
    unsettled: int = 0
    other_order: np.dtype[np.void] | None = None
    marks: tuple[tuple[str, int, int], ...] = ()
    slot: tuple[str, str, int] | None = None
    invalid: int | None = None
    step: int = 1
    temperature_jump: int | None = None
    stamp_s: float | None = None
    self_test: SelfTest | None = None
    spi: Spi | None = None
    notes: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    clones: Mapping[int, str] = field(default_factory=dict)
    twins: Mapping[str, float] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    boards: tuple[str, ...] = ()

    @property
    def capacity(self) -> int:
        """Whole records that the FIFO holds."""
        return self.fifo_bytes // self.record.itemsize


def unnamed(chip: Chip) -> Chip:
    """Return the chip's table for another part to be made of: without what people call, or have seen of, this one."""
    return replace(chip, alike=(), clones={}, twins={}, boards=())


@dataclass(frozen=True)
class Setting:
    """A chip's table with the chosen bits in place.

    expected: register to (value, mask) once it runs. scale: (6,) SI units per count, NaN where there is no gyroscope.
    """

    rate_hz: float
    accel_range_g: float
    gyro_range_dps: float | None
    setup: tuple[Step, ...]
    start: tuple[Step, ...]
    flush: tuple[Step, ...]
    expected: Mapping[int, tuple[int, int]]
    scale: NDArray[np.float32]

    @property
    def full_scale(self) -> NDArray[np.float64]:
        """(6,) m/s² and rad/s, NaN where there is no gyroscope."""
        gyro_dps = np.nan if self.gyro_range_dps is None else self.gyro_range_dps
        return np.repeat([self.accel_range_g * STANDARD_GRAVITY, radians(gyro_dps)], 3)


def settle(chip: Chip, *, rate_hz: float, accel_range_g: float, gyro_range_dps: float) -> Setting:
    """Return the setting for the lowest rate and the smallest ranges that hold what is asked; raise InputError if none.

    Rates that differ by less than 1 % count as the same.
    """
    rate = _least(chip, "rate_hz", "Hz", chip.rates, rate_hz, slack=1.01)
    accel = _least(chip, "accel_range_g", "g", chip.accel_ranges, accel_range_g)
    gyro = _least(chip, "gyro_range_dps", "deg/s", chip.gyro_ranges, gyro_range_dps) if chip.gyro_ranges else None
    chosen = [chip.rates[rate], chip.accel_ranges[accel].bits]
    chosen += [] if gyro is None else [chip.gyro_ranges[gyro].bits]
    setup, start, flush = (_with(steps, chosen) for steps in (chip.setup, chip.start, chip.flush))
    written = {step.register: (step.value, step.mask) for step in (*setup, *start) if isinstance(step, Set)}
    scales = (chip.accel_ranges[accel].scale, np.nan if gyro is None else chip.gyro_ranges[gyro].scale)
    return Setting(
        rate_hz=rate,
        accel_range_g=accel,
        gyro_range_dps=gyro,
        setup=setup,
        start=start,
        flush=flush,
        expected={register: (value, mask) for register, (value, mask) in written.items() if mask},
        scale=np.repeat(np.array(scales, np.float32), 3),
    )


def _least(chip: Chip, name: str, unit: str, has: Mapping[float, object], wanted: float, slack: float = 1.0) -> float:
    enough = [value for value in has if value * slack >= wanted]
    if not enough or not wanted > 0:
        choices = ", ".join(f"{value:g}" for value in sorted(has))
        raise InputError(
            f"{name}: expected above 0 and at most {max(has):g} {unit}, one of {choices} for {chip.name}, got "
            f"{wanted:g}"
        )
    return min(enough)


def _with(steps: tuple[Step, ...], chosen: list[Bits]) -> tuple[Step, ...]:
    """Return the steps with the chosen bits OR-ed into the last write of each register."""
    last = {step.register: at for at, step in enumerate(steps) if isinstance(step, Set)}
    changed = list(steps)
    for register, value in (pair for bits in chosen for pair in bits.items()):
        step = changed[last[register]] if register in last else None
        if isinstance(step, Set):
            changed[last[register]] = Set(register, step.value | value, step.mask)
    return tuple(changed)
