"""The trial of a chip's table: the reader runs on the chip's model, and every sample is accounted for.

The model feels a signal in which each sample carries its serial number, so what was delivered says by itself which
sample it is. Whoever adds a chip runs `trial` over it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import pi

import numpy as np
from numpy.typing import NDArray

from chips.dying import DEATHS, DyingBus
from chips.spi import WIRES, SimulatedSpi
from motionsig.blocks import SampleBlock
from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors import CHIPS, open_sensor
from motionsig.sensors.chips import Setting
from motionsig.sensors.reader import SensorReader
from motionsig.sensors.simulated import Faults, Oscillator, SimulatedBus, SimulatedChip, VirtualClock
from motionsig.sensors.simulated.bus import Event
from motionsig.sensors.simulated.models import MODELS
from motionsig.sensors.spi import SpiBus

_DIGITS = 200
"""Levels of acceleration that tell a serial number's digit: far apart for any chip's resolution."""

_FILL = 0.9
"""Part of the full scale that the signal fills."""

DEATH_S = 2.0
"""So long after its data died a chip's death is known, or said to be possible."""

_TURN = pi * (3 - 5**0.5)
"""Radians between the angular rates of neighbours: the golden angle, so that no near one looks the same."""


@dataclass(frozen=True)
class Coded:
    """The signal that carries serial numbers, for these full scales in g and deg/s (None: no gyroscope)."""

    accel_range_g: float
    gyro_range_dps: float | None

    def __call__(self, serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        digits = np.stack([serials // _DIGITS**place % _DIGITS for place in range(3)], axis=1)
        acc = (digits / (_DIGITS / 2) - 1) * _FILL * self.accel_range_g * STANDARD_GRAVITY
        return np.concatenate([acc, self._rates(serials)], axis=1)

    def _rates(self, serials: NDArray[np.int64]) -> NDArray[np.float64]:
        angle = serials[:, None] * _TURN + np.arange(3)
        return np.asarray(_FILL * np.radians(self.gyro_range_dps or 0) * np.sin(angle))

    def serials(self, data: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return which samples these are (n,), and which of them are not as they were felt (n,)."""
        acc = data[:, :3].astype(np.float64) / (_FILL * self.accel_range_g * STANDARD_GRAVITY)
        digits = (acc + 1) * (_DIGITS / 2)
        whole: NDArray[np.int64] = np.rint(digits).astype(np.int64)
        wrong = (np.abs(digits - whole) > 0.2).any(axis=1) | (whole < 0).any(axis=1) | (whole >= _DIGITS).any(axis=1)
        serials = np.asarray(whole @ _DIGITS ** np.arange(3), np.int64)
        if self.gyro_range_dps is None:
            wrong |= ~np.isnan(data[:, 3:]).all(axis=1)
        else:
            off = np.abs(data[:, 3:] - self._rates(serials)) / np.radians(self.gyro_range_dps)
            wrong |= ~(off < 0.002).all(axis=1)
        return serials, np.asarray(wrong, np.bool_)


@dataclass
class Account:
    """What became of every sample.

    delivered, wrong: samples, and those of them that are not what the chip felt, or come twice. dead: delivered within
    DEATH_S after their chip's data died, while nobody could know yet, or while `trouble` said the doubt; neither are
    wrong. lost: samples that the
    chip's clock had time for and nobody got; unreported: of those, the ones not between two blocks with a gap marked.
    gaps: reported; most_off: the most by which a gap's reported count differs from the true one. max_error_s,
    squares_s2: of time stamps against the truth; doubtful_error_s: the same of those that the reader calls doubtful.
    unstated_s: the longest time without samples for which `trouble` gave no reason.
    """

    delivered: int = 0
    wrong: int = 0
    dead: int = 0
    lost: int = 0
    unreported: int = 0
    gaps: int = 0
    most_off: int = 0
    max_error_s: float = 0.0
    squares_s2: float = 0.0
    doubtful_error_s: float = 0.0
    unstated_s: float = 0.0
    last: int | None = None
    reported: int = 0
    doubtful: int = 0
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    """(monotonic ns of delivery, monotonic ns at which its first sample was really taken) of each block after a gap."""

    @property
    def rms_error_s(self) -> float:
        return float((self.squares_s2 / max(self.delivered - self.doubtful, 1)) ** 0.5)


@dataclass(frozen=True)
class Bench:
    """A chip's model, the bus it is on and the reader that reads it, on one virtual clock."""

    clock: VirtualClock
    chip: SimulatedChip
    bus: SimulatedBus
    reader: SensorReader
    stream: Iterator[SampleBlock]
    signal: Coded

    @property
    def setting(self) -> Setting:
        return self.reader.fifo.setting

    def blocks(self, seconds: float) -> Iterator[SampleBlock]:
        """Yield what the reader gives until so much time has passed."""
        end_ns = self.clock.monotonic_ns() + round(seconds * NS_PER_S)
        for block in self.stream:
            yield block
            if self.clock.monotonic_ns() >= end_ns:
                return


def bench(
    name: str,
    *,
    rate_hz: float = 100.0,
    accel_range_g: float = 8.0,
    gyro_range_dps: float = 1000.0,
    oscillator: Oscillator | None = None,
    faults: Faults | None = None,
    clock_hz: int = 400_000,
    model: type[SimulatedChip] | None = None,
    spi: bool = False,
) -> Bench:
    """Return a reader on a model of the chip of that name, just opened. model: another than the one in `MODELS`.

    spi: the chip is on SPI, whose clock the reader chooses.
    """
    clock = VirtualClock()
    has_gyroscope = bool(CHIPS[name].gyro_ranges)
    signal = Coded(accel_range_g, gyro_range_dps if has_gyroscope else None)
    chip = (model or MODELS[name])(clock, signal, oscillator=oscillator)
    bus: SimulatedBus = DyingBus([chip], clock=clock, clock_hz=clock_hz, faults=faults)
    if isinstance(bus, DyingBus):
        bus.table = CHIPS[name]
    if spi:
        bus = SimulatedSpi(chip, WIRES[name], clock=clock, faults=faults)
    reader = open_sensor(
        name,
        bus=SpiBus(bus, CHIPS[name]) if isinstance(bus, SimulatedSpi) else bus,
        rate_hz=rate_hz,
        accel_range_g=accel_range_g,
        gyro_range_dps=gyro_range_dps,
        calibration="none",
        clock=clock,
    )
    assert isinstance(reader, SensorReader)
    return Bench(clock, chip, bus, reader, iter(reader), signal)


def trial(bench: Bench, seconds: float) -> Account:
    """Let the reader run for `seconds` of the model's time; return the account of all samples."""
    account, clock = Account(), bench.clock
    stated_ns, stated = clock.monotonic_ns(), False
    for block in bench.blocks(seconds):
        if not stated:
            account.unstated_s = max(account.unstated_s, (clock.monotonic_ns() - stated_ns) / NS_PER_S)
        if len(block):
            enter(account, bench, block)
        stated = bench.reader.trouble is not None
        if len(block) or stated:
            stated_ns = clock.monotonic_ns()
    return account


def enter(account: Account, bench: Bench, block: SampleBlock) -> None:
    """Enter a block into the account."""
    serials, wrong = bench.signal.serials(block.data)
    serials, dead, late = _mourn(bench, block, serials, wrong, account.last)
    wrong = (wrong & ~dead) | late
    account.dead += int(np.count_nonzero(dead & ~late))
    steps = np.diff(serials, prepend=serials[:1] - 1 if account.last is None else account.last)
    account.delivered += len(block)
    account.wrong += int(np.count_nonzero(wrong | (steps < 1)))
    if wrong.any():
        return
    times_ns = bench.chip.times_ns(serials)
    error_s = (block.time_ns - bench.reader.unix_offset_ns - times_ns) / NS_PER_S
    most_s, doubtful = float(np.abs(error_s).max()), bench.reader.counts.doubtful
    if doubtful > account.doubtful:
        account.doubtful_error_s = max(account.doubtful_error_s, most_s)
    else:
        account.max_error_s = max(account.max_error_s, most_s)
        account.squares_s2 += float((error_s**2).sum())
    account.doubtful = doubtful
    missing = np.maximum(steps, 1) - 1
    unreported = int(missing[block.gap :].sum())
    account.unreported += unreported
    account.lost += unreported
    if block.gap and account.last is not None:
        # A chip without power takes no samples: what its clock would have had time for counts, as in the reader.
        elapsed_s = bench.chip.oscillator.elapsed_s
        passed_s = elapsed_s(int(times_ns[0])) - elapsed_s(int(bench.chip.times_ns(np.array([account.last]))[0]))
        lost = round(passed_s * bench.chip.runs[-1].rate_hz) - 1
        account.gaps += 1
        account.lost += lost
        account.most_off = max(account.most_off, abs(bench.reader.counts.lost - account.reported - lost))
        account.reported = bench.reader.counts.lost
        account.arrivals.append((bench.clock.monotonic_ns(), int(times_ns[0])))
    account.last = int(serials[-1])


def _mourn(
    bench: Bench, block: SampleBlock, serials: NDArray[np.int64], wrong: NDArray[np.bool_], last: int | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which samples these really are, which of them are dead, and which of these somebody should have known."""
    time_ns = block.time_ns - bench.reader.unix_offset_ns
    dead, late = np.zeros((2, len(block)), np.bool_)
    if not isinstance(bench.bus, DyingBus):
        return serials, dead, late
    # What waited in the FIFO when they died is dead, too.
    waited_ns = round((bench.reader.fifo.chip.capacity / bench.setting.rate_hz + 0.1) * NS_PER_S)
    stated = bench.reader.trouble is not None
    run = bench.chip.runs[-1]
    # What waited at the next death may be dead by that, although it was taken during the one before.
    for begun_ns, over_ns in reversed(bench.bus.deaths[-9:]):
        during = (time_ns > begun_ns - waited_ns) & (time_ns < over_ns) & ~dead
        if not during.any():
            continue
        # The axes that still live may look like another sample's.
        passed_s = np.array([bench.chip.oscillator.elapsed_s(int(each)) for each in time_ns]) - run.began_s
        apart = np.abs(run.serial + np.rint(passed_s * run.rate_hz).astype(np.int64) - 1 - serials)
        follows = np.ones(len(block), np.bool_)
        if last is not None and not block.gap:
            follows = serials == last + 1 + np.arange(len(block))
        elif apart[0] <= 1:
            follows = serials == serials[0] + np.arange(len(block))
        these = during & (wrong | (apart > 2) | ~follows)
        dead |= these
        late |= these & (time_ns > begun_ns + DEATH_S * NS_PER_S) & (not stated)
        if these.all():
            first = int(run.serial + np.rint(passed_s[0] * run.rate_hz) - 1) if block.gap or last is None else last + 1
        else:
            good = int(np.flatnonzero(~these)[0])
            first = int(serials[good]) - good
        serials = np.where(these, first + np.arange(len(block)), serials)
        wrong = wrong & ~these
    return serials, dead, late


def mishaps(bench: Bench, *, seconds: float, every_s: float, seed: int = 0) -> Faults:
    """Return a day full of faults for `Bench.bus`, one every `every_s` or so.

    Power cuts, resets, flipped bits, a bus that is slow for a while, data that are dead for a while (but on SPI), and a
    byte or word that is lost within a reading.
    """
    chance = random.Random(seed)
    chip, expected = bench.chip, sorted(bench.setting.expected.items())
    table = bench.reader.fifo.chip
    lost = table.fifo_register & 0xFF, table.level.unit, table.record.itemsize
    events: list[Event] = []
    at_s = every_s
    while at_s < seconds:
        at_ns = bench.clock.monotonic_ns() + round(at_s * NS_PER_S)
        # Where a read takes whole records out, nothing in the FIFO tells of a lost byte.
        kind = chance.randrange(5 + bench.reader.fifo.left)
        if kind == 0:
            off_ns = round(chance.uniform(0.01, 2.0) * NS_PER_S)
            events.append((at_ns, partial(chip.power_off, at_ns)))
            events.append((at_ns + off_ns, partial(chip.power_on, at_ns + off_ns)))
        elif kind == 1:
            events.append((at_ns, partial(chip.restart, at_ns, chip.boot_s)))
        elif kind == 2:
            end_ns, slow_s = (
                at_ns + round(chance.uniform(0.5, 4.0) * NS_PER_S),
                chance.choice([(3e-3, 8e-3), (5e-3, 15e-3)]),
            )
            events.append((at_ns, partial(setattr, bench.bus, "slow_s", slow_s)))
            events.append((end_ns, partial(setattr, bench.bus, "slow_s", (0.0, 0.0))))
        elif kind == 3:
            # An acceleration that stands still may be wrong gravity, until 1 g is seen: the signal hardly shows it.
            deaths = DEATHS if table.gyro_ranges else tuple(each for each in DEATHS if each[1] is not None)
            end_ns, death = at_ns + round(chance.uniform(0.5, 8.0) * NS_PER_S), chance.choice(deaths)
            if isinstance(bench.bus, DyingBus):
                events.append((at_ns, partial(bench.bus.dies, death)))
                events.append((end_ns, partial(bench.bus.dies, None)))
        elif kind == 5:
            events.append((at_ns, partial(setattr, bench.bus, "loses", lost)))
        else:
            register, (_, mask) = chance.choice(expected)
            bit = chance.choice([bit for bit in range(8) if mask >> bit & 1])
            events.append((at_ns, partial(chip.flip, register, bit, at_ns)))
        at_s += chance.uniform(0.5, 1.5) * every_s
    return Faults(nack=0.05, stall=0.001, events=tuple(events), seed=seed)


def _power_cut(bench: Bench, at_ns: int) -> int:
    end_ns = at_ns + 5 * NS_PER_S
    off, on = partial(bench.chip.power_off, at_ns), partial(bench.chip.power_on, end_ns)
    bench.bus.inject(Faults(events=((at_ns, off), (end_ns, on))))
    return end_ns


def _reset(bench: Bench, at_ns: int) -> int:
    bench.bus.inject(Faults(events=((at_ns, partial(bench.chip.restart, at_ns, bench.chip.boot_s)),)))
    return at_ns


def _flip(bench: Bench, at_ns: int) -> int:
    bench.bus.inject(Faults(events=((at_ns, partial(bench.chip.flip, *range_bit(bench), at_ns)),)))
    return at_ns


def _stuck(bench: Bench, at_ns: int) -> int:
    end_ns = at_ns + 2 * NS_PER_S
    bench.bus.inject(Faults(events=((at_ns, partial(setattr, bench.bus, "stuck_until_ns", end_ns)),)))
    return end_ns


def _stall(bench: Bench, at_ns: int) -> int:
    bench.bus.inject(Faults(events=((at_ns, partial(bench.clock.sleep, 1.0)),)))
    return at_ns + NS_PER_S


FAULTS: dict[str, Callable[[Bench, int], int]] = {
    "power cut": _power_cut,
    "reset": _reset,
    "register": _flip,
    "stuck bus": _stuck,
    "stall": _stall,
}
"""Faults to try, by name: 5 s without power, a reset by itself, a bit of the range that flips, a bus that hangs for
2 s, a reader that is kept from reading for 1 s. Each is set to happen at a time and returns when it is over."""


def range_bit(bench: Bench) -> tuple[int, int]:
    """Return the register and a bit of it that select the accelerometer's full scale."""
    ranges = CHIPS[bench.reader.fifo.chip.name].accel_ranges.values()
    (register,) = {register for it in ranges for register in it.bits}
    varying = 0
    for it in ranges:
        varying |= it.bits[register]
    return register, varying.bit_length() - 1


def recovery_s(bench: Bench, fault: str) -> tuple[float, Account]:
    """Return how long after the end of a fault the first sample came, 0 where none was lost, and the account."""
    account = Account()
    for block in bench.blocks(5):
        enter(account, bench, block)
    end_ns = FAULTS[fault](bench, bench.clock.monotonic_ns() + NS_PER_S // 3)
    for block in bench.blocks(10):
        if len(block):
            enter(account, bench, block)
    return (account.arrivals[0][0] - end_ns) / NS_PER_S if account.arrivals else 0.0, account
