"""Gathering the evidence: what the chip is asked, and what the person is. It trusts the table as little as it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.errors import InputError, SensorError
from motionsig.sensors.bus import Bus
from motionsig.sensors.chips import Chip, Setting, settle
from motionsig.sensors.chips import Step as Action
from motionsig.sensors.clock import Clock
from motionsig.sensors.fifo import MOST_LOAD, bus_load
from motionsig.sensors.owner import own
from motionsig.sensors.proving.evidence import Evidence, Looks, Step, Stretch
from motionsig.sensors.proving.layout import place_of, smoother
from motionsig.sensors.proving.levels import LevelReading, read_level
from motionsig.sensors.registers import RegisterError, Registers
from motionsig.sensors.self_test import AxisResult, self_test

FLAT = Step("flat", "lay it flat on a table, the chip's printed side up (z up), and leave it alone", (0, 0, 1), 30.0)
STEPS = (
    FLAT,
    Step(
        "y up", "stand it on its edge, so that the arrow y printed on the board points up, and let go", (0, 1, 0), 20.0
    ),
    Step("x up", "stand it so that the arrow x printed on the board points up, and let go", (1, 0, 0), 20.0),
    Step("flat again", "lay it flat again, as at the beginning, and let go", (0, 0, 1), 20.0),
    Step("turn", "leave it flat, and turn it by a quarter, counter-clockwise seen from above", None, 15.0, turns=True),
)

_IDENTITY_READS = 100
_MAIN_HZ, _MAIN_G, _MAIN_DPS = 100.0, 4.0, 1000.0
"""A hand turns at up to 300 deg/s; at 4 g twice the acceleration does not clip."""
_FILL_S, _BEYOND, _LOOKS = 1.5, 2.6, 200
"""How long a FIFO may take to fill, how much longer it is watched, and how often: it may be twice as large."""
_RATE_S, _RATE_RECORDS = 0.4, 25.0
_RANGE_S = 0.4
_REST_S = 4.0
"""At the beginning, and as much of it before, at least, in which a person leaves the sensor alone."""
_CELL_S, _CELLS = 0.25, 5
_TREMBLE, _OTHER_POSE, _TURNS = 0.02, 0.3, 0.06
"""Parts of 1 g, or of as many counts of the gyroscope: what still is rest, what is another pose, and what is a turn."""
_MOST_POLL_S = 0.05

Show = Callable[[str], None]


@dataclass
class _Probe:
    """The chip and what was noted of its registers."""

    registers: Registers
    chip: Chip
    clock: Clock
    clock_hz: int
    notes: dict[str, None] = field(default_factory=dict)

    def start(self, setting: Setting) -> None:
        """Start the chip from nothing; note what does not read back, and go on."""
        self.registers.forget_bank()
        self.run(self.chip.reset)
        self.registers.forget_bank()
        self.run(setting.setup)
        self.run(setting.start)

    def run(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            try:
                self.registers.run((action,))
            except RegisterError as error:
                self.notes[str(error)] = None

    def verify(self, setting: Setting) -> None:
        try:
            self.registers.verify(setting.expected)
        except RegisterError as error:
            self.notes[str(error)] = None

    def look(self) -> tuple[int, bytes]:
        """Return when, and the bytes of the level."""
        before_ns = self.clock.monotonic_ns()
        raw = self.registers.read(self.chip.level.register, self.chip.level.size)
        return (before_ns + self.clock.monotonic_ns()) // 2, raw

    def take(self, records: int) -> bytes:
        size = self.chip.record.itemsize
        if self.chip.one_by_one:
            return b"".join(self.registers.read(self.chip.fifo_register, size) for _ in range(records))
        return self.registers.read(self.chip.fifo_register, size * records) if records else b""


@dataclass
class _Watch:
    """A FIFO that is watched, and read if `reads`."""

    probe: _Probe
    reading: LevelReading | None = None
    reads: bool = False
    times: list[int] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)

    def look(self) -> Looks:
        """Look once; take the whole records there are, if it reads; return this look."""
        at_ns, raw = self.probe.look()
        self.times.append(at_ns)
        self.raws.append(raw)
        self.taken.append(len(self.data))
        looks = _looks([at_ns], [raw], [len(self.data)])
        if self.reads and self.reading is not None:
            count = int(self.reading.counts(looks)[0])
            self.data += self.probe.take(int(count * self.reading.unit) // self.probe.chip.record.itemsize)
        return looks

    def looks(self) -> Looks:
        return _looks(self.times, self.raws, self.taken)

    def rows(self, since: int = 0) -> NDArray[np.uint8]:
        """Return (n, bytes of a record) since the record `since`."""
        size = self.probe.chip.record.itemsize
        return np.frombuffer(bytes(self.data[since * size :]), np.uint8).reshape(-1, size)


def gather(
    bus: Bus, chip: Chip, address: int, *, clock: Clock, guide: Callable[[Step], None], show: Show = lambda _: None
) -> Evidence:
    """Return the evidence of the chip at `address`. guide: called with each step as it begins; show: what goes on.

    The chip is left as after power-up. Raises BusError where the bus fails, HeldError where
    somebody else reads the chip.
    """
    probe = _Probe(Registers(bus, chip, address, clock), chip, clock, bus.clock_hz)
    with own(bus, address):
        try:
            evidence = _gather(probe, guide, show)
        finally:
            probe.registers.forget_bank()
            probe.run(chip.reset)
    show("the self-test")
    return replace(evidence, self_test=_self_test(bus, chip, address, clock))


def _gather(probe: _Probe, guide: Callable[[Step], None], show: Show) -> Evidence:
    chip, registers = probe.chip, probe.registers
    guide(FLAT)
    show("the bus")
    registers.forget_bank()
    identity, transaction_s = _identity(probe)
    retries = registers.retries
    main = _setting(chip, _MAIN_HZ, _MAIN_G, _MAIN_DPS)
    show("the size of the FIFO")
    fill = _fill(probe)
    drops = _drops(probe, main)
    reading = read_level(chip.level, fill, drops)
    rates: dict[float, Looks] = {}
    for rate in sorted(chip.rates):
        show(f"the rate of {rate:g} Hz")
        rates[rate] = _rate(probe, reading, rate)
    accel: dict[float, NDArray[np.uint8]] = {}
    gyro: dict[float, NDArray[np.uint8]] = {}
    every_g, every_dps = sorted(chip.accel_ranges), sorted(chip.gyro_ranges)
    for at in range(max(len(every_g), len(every_dps))):
        g, dps = (every[min(at, len(every) - 1)] if every else _MAIN_DPS for every in (every_g, every_dps))
        show(f"the range of {g:g} g{f' and {dps:g} deg/s' if every_dps else ''}")
        rows = _range(probe, reading, _setting(chip, _MAIN_HZ, g, dps))
        accel.setdefault(g, rows)
        if every_dps:
            gyro.setdefault(dps, rows)
    probe.start(main)
    # A chip that has just been reset does not answer; that is no error of the bus.
    retries -= registers.retries
    watch = _Watch(probe, reading, reads=True)
    stretches = _guided(watch, main, guide, show)
    retries += registers.retries
    probe.verify(main)
    return Evidence(
        chip=chip.name,
        where=registers.where,
        bus_clock_hz=probe.clock_hz,
        identity=identity,
        transaction_s=transaction_s,
        retries=retries,
        registers=tuple(probe.notes),
        fill=fill,
        drops=drops,
        rates=rates,
        accel=accel,
        gyro=gyro,
        setting=(main.rate_hz, main.accel_range_g, main.gyro_range_dps or 0.0),
        stream=watch.looks(),
        rows=watch.rows(),
        stretches=tuple(stretches),
        self_test=(),
    )


def _setting(chip: Chip, rate_hz: float, accel_range_g: float, gyro_range_dps: float) -> Setting:
    """Return the setting, of at least so much or the most there is."""
    most_dps = max(chip.gyro_ranges, default=gyro_range_dps)
    return settle(
        chip,
        rate_hz=min(rate_hz, max(chip.rates)),
        accel_range_g=min(accel_range_g, max(chip.accel_ranges)),
        gyro_range_dps=min(gyro_range_dps, most_dps),
    )


def _looks(times: list[int], raws: list[bytes], taken: list[int]) -> Looks:
    raw = np.frombuffer(b"".join(raws), np.uint8).reshape(len(raws), -1)
    return Looks(np.array(times, np.int64), raw, np.array(taken, np.int64))


def _identity(probe: _Probe) -> tuple[dict[int, tuple[int, ...]], NDArray[np.float64]]:
    seen: dict[int, set[int]] = {register: set() for register in probe.chip.identity}
    took = []
    for register, values in seen.items():
        for _ in range(_IDENTITY_READS):
            before_ns = probe.clock.monotonic_ns()
            values.add(probe.registers.read(register)[0])
            took.append((probe.clock.monotonic_ns() - before_ns) / NS_PER_S)
    return {register: tuple(sorted(values)) for register, values in seen.items()}, np.array(took)


def _fill(probe: _Probe) -> Looks:
    """Watch the FIFO fill, and go on being full."""
    chip = probe.chip
    fits = [rate for rate in chip.rates if chip.capacity / rate <= _FILL_S]
    rate = min(fits, default=max(chip.rates))
    probe.start(_setting(chip, rate, _MAIN_G, _MAIN_DPS))
    watch = _Watch(probe)
    pause_s = _BEYOND * chip.capacity / rate / _LOOKS
    for _ in range(_LOOKS):
        watch.look()
        probe.clock.sleep(pause_s)
    return watch.looks()


def _drops(probe: _Probe, setting: Setting) -> tuple[tuple[int, Looks], ...]:
    """Read a few records out of a FIFO that has more, several times."""
    chip = probe.chip
    records = max(2, min(10, chip.capacity // 5))
    probe.start(setting)
    found = []
    for _ in range(3):
        watch = _Watch(probe)
        probe.run(setting.flush)
        for _ in range(6):
            probe.clock.sleep(2.6 * records / setting.rate_hz / 6)
            watch.look()
        probe.take(records)
        watch.look()
        found.append((records * chip.record.itemsize, watch.looks()))
    return tuple(found)


def _rate(probe: _Probe, reading: LevelReading, rate_hz: float) -> Looks:
    """Count what comes at this rate; where the bus cannot carry it, only until the FIFO is full."""
    chip = probe.chip
    setting = _setting(chip, rate_hz, _MAIN_G, _MAIN_DPS)
    probe.start(setting)
    reads = bus_load(chip, setting, probe.clock_hz) <= MOST_LOAD
    watch = _Watch(probe, reading, reads=reads)
    holds_s = reading.most * reading.unit / chip.record.itemsize / setting.rate_hz
    lasts_s = max(_RATE_S, _RATE_RECORDS / setting.rate_hz)
    poll_s = min(_MOST_POLL_S, max(holds_s, 0.01) / 6)
    if not reads:
        lasts_s, poll_s = min(lasts_s, holds_s), holds_s / 30
    end_ns = probe.clock.monotonic_ns() + round(lasts_s * NS_PER_S)
    while probe.clock.monotonic_ns() < end_ns or len(watch.times) < 8:
        probe.clock.sleep(poll_s)
        watch.look()
    return watch.looks()


def _range(probe: _Probe, reading: LevelReading, setting: Setting) -> NDArray[np.uint8]:
    """Return rows of a fraction of a second in this range."""
    probe.start(setting)
    watch = _Watch(probe, reading, reads=True)
    poll_s = _poll_s(reading, probe.chip, setting)
    # The first samples after a start may not be good yet.
    skip = round(0.1 * setting.rate_hz)
    for _ in range(round((_RANGE_S + 0.1) / poll_s)):
        probe.clock.sleep(poll_s)
        watch.look()
    return watch.rows(skip)


def _poll_s(reading: LevelReading, chip: Chip, setting: Setting) -> float:
    holds = reading.most * reading.unit / chip.record.itemsize
    return min(_MOST_POLL_S, max(holds, 6.0) / setting.rate_hz / 6)


def _guided(watch: _Watch, setting: Setting, guide: Callable[[Step], None], show: Show) -> list[Stretch]:
    chip, clock = watch.probe.chip, watch.probe.clock
    poll_s = _poll_s(watch.reading, chip, setting) if watch.reading else _MOST_POLL_S
    cell = max(2, round(_CELL_S * setting.rate_hz))
    size = chip.record.itemsize
    skip = round(0.1 * setting.rate_hz)

    def wait(done: Callable[[], bool], within_s: float) -> bool:
        end_ns = clock.monotonic_ns() + round(within_s * NS_PER_S)
        while clock.monotonic_ns() < end_ns:
            clock.sleep(poll_s)
            watch.look()
            if done():
                return True
        return False

    def length() -> int:
        return len(watch.data) // size

    show("how it rests")
    wait(lambda: False, _REST_S)
    if length() < skip + _CELLS * cell:
        return []
    first = watch.rows(skip)
    fields = [field for field in ("acc", "gyr") if field in (chip.record.names or ())]
    places = [smoother(first, place_of(chip.record, field)) for field in fields]

    def words(since: int, until: int | None = None) -> NDArray[np.float64]:
        rows = watch.rows(since)[: None if until is None else until - since]
        return np.concatenate([place.values(rows) for place in places], axis=1)

    def cells(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[: len(values) // cell * cell].reshape(-1, cell, values.shape[1]).mean(axis=1)

    noise = cells(words(skip))
    # A word that never changes is none that gravity moves.
    one_g = min(float(np.abs(np.median(noise, axis=0)).max()), 2 * STANDARD_GRAVITY / float(setting.scale[0]))
    spread = np.median(np.abs(noise - np.median(noise, axis=0)), axis=0)
    still = 12 * spread + _TREMBLE * one_g + 3

    def rests() -> bool:
        """Tell whether the last cells are of one pose."""
        at = length() - _CELLS * cell
        return at >= 0 and bool((np.ptp(cells(words(at)), axis=0) <= still).all())

    begin = 0
    seen = wait(rests, FLAT.within_s)
    stretches = [Stretch(FLAT, begin, max(skip, length() - round(_REST_S * setting.rate_hz)), length(), seen)]
    for step in STEPS[1:]:
        if step.turns and not chip.gyro_ranges:
            continue
        guide(step)
        begin = length()
        pose = np.median(cells(words(stretches[-1].rest, stretches[-1].end)), axis=0)
        far = np.maximum((_TURNS if step.turns else _OTHER_POSE) * one_g, 2 * still)
        moved = False

        def done(step: Step = step, pose: NDArray[np.float64] = pose, far: NDArray[np.float64] = far) -> bool:
            nonlocal moved
            at = max(begin, length() - _CELLS * cell)
            if length() - at < cell:
                return False
            moved = moved or bool((np.abs(cells(words(at)) - pose) > far).any())
            if length() - begin < _CELLS * cell or not moved or not rests():
                return False
            now = np.median(cells(words(length() - _CELLS * cell)), axis=0)
            return step.turns or bool((np.abs(now - pose) > far).any())

        seen = wait(done, step.within_s)
        show(f"{step.name}: {'seen' if seen else f'not seen in {step.within_s:g} s'}")
        stretches.append(Stretch(step, begin, max(begin, length() - (_CELLS - 1) * cell), length(), seen))
    return stretches


def _self_test(bus: Bus, chip: Chip, address: int, clock: Clock) -> tuple[AxisResult, ...] | str:
    if chip.self_test is None:
        return "the chip has none"
    try:
        return tuple(self_test(bus, chip, address, clock=clock))
    except (InputError, SensorError) as error:
        return str(error)
