"""Gathering the evidence: what the chip is asked, and what the person is. It trusts the table as little as it can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.sensors.bus import NO_ADDRESS, Bus
from motionsig.sensors.chips import Chip, Setting, settle
from motionsig.sensors.clock import Clock
from motionsig.sensors.fifo import MOST_LOAD, bus_load
from motionsig.sensors.owner import own
from motionsig.sensors.proving.evidence import Evidence, Looks
from motionsig.sensors.proving.guiding import FLAT, Guide, Show, guided, rest_of
from motionsig.sensors.proving.layout import Floats
from motionsig.sensors.proving.levels import LevelReading, read_level
from motionsig.sensors.proving.probe import Probe, Watch, poll_s
from motionsig.sensors.registers import Registers
from motionsig.sensors.self_test import AxisResult, self_test
from motionsig.sensors.spi import SpiBus, wires_fault

_IDENTITY_READS, _SPI_READS = 100, 400
"""Of each register that names the chip. On SPI nothing but these tells that a bit went missing, and a read is short."""
_MAIN_HZ, _MAIN_G, _MAIN_DPS = 100.0, 4.0, 1000.0
"""A hand turns at up to 300 deg/s; at 4 g twice the acceleration does not clip."""
_FILL_S, _BEYOND, _LOOKS = 1.5, 2.6, 200
"""How long a FIFO may take to fill, how much longer it is watched, and how often: it may be twice as large."""
_RATE_S, _RATE_RECORDS = 0.4, 25.0
_RANGE_S, _RANGE_TRIES = 0.5, 20
"""Of a range, at rest: while the person still moves the sensor, it is tried again."""


def gather(bus: Bus, chip: Chip, address: int, *, clock: Clock, guide: Guide, show: Show = lambda _: None) -> Evidence:
    """Return the evidence of the chip at `address`. guide: called with each step as it begins; show: what goes on.

    The chip is left as after power-up. Raises BusError where the bus fails, HeldError where
    somebody else reads the chip.
    """
    probe = Probe(Registers(bus, chip, address, clock), chip, clock, bus)
    with own(bus, address):
        guide(FLAT)
        show("the bus")
        begun = _begin(probe)
        if begun.wires is not None:
            return begun
        try:
            evidence = _gather(probe, begun, guide, show)
        finally:
            probe.registers.forget_bank()
            probe.run(chip.reset)
    show("the self-test")
    return replace(evidence, self_test=_self_test(bus, chip, address, clock))


def _begin(probe: Probe) -> Evidence:
    """Return what the chip says of itself, again and again, and how long that takes."""
    chip, bus, registers = probe.chip, probe.bus, probe.registers
    registers.forget_bank()
    # A chip that has spoken I2C until now takes the first reading to change over to SPI.
    registers.read(next(iter(chip.identity)))
    identity, transaction_s = _identity(probe, _IDENTITY_READS if NO_ADDRESS not in chip.addresses else _SPI_READS)
    wires = None
    if isinstance(bus, SpiBus) and any(identity[register] != (value,) for register, value in chip.identity.items()):
        wires = wires_fault(bus, lambda register: registers.read(register)[0])
    return Evidence(chip.name, registers.where, bus.clock_hz, identity, transaction_s, registers.retries, wires)


def _gather(probe: Probe, begun: Evidence, guide: Guide, show: Show) -> Evidence:
    chip, registers = probe.chip, probe.registers
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
    watch = Watch(probe, reading, reads=True)
    stretches = guided(watch, main, guide, show)
    retries += registers.retries
    probe.verify(main)
    return replace(
        begun,
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


def _identity(probe: Probe, reads: int) -> tuple[dict[int, tuple[int, ...]], Floats]:
    seen: dict[int, set[int]] = {register: set() for register in probe.chip.identity}
    took = []
    for register, values in seen.items():
        for _ in range(reads):
            before_ns = probe.clock.monotonic_ns()
            values.add(probe.registers.read(register)[0])
            took.append((probe.clock.monotonic_ns() - before_ns) / NS_PER_S)
    return {register: tuple(sorted(values)) for register, values in seen.items()}, np.array(took)


def _fill(probe: Probe) -> Looks:
    """Watch the FIFO fill, and go on being full."""
    chip = probe.chip
    fits = [rate for rate in chip.rates if chip.capacity / rate <= _FILL_S]
    rate = min(fits, default=max(chip.rates))
    probe.start(_setting(chip, rate, _MAIN_G, _MAIN_DPS))
    watch = Watch(probe)
    pause_s = _BEYOND * chip.capacity / rate / _LOOKS
    for _ in range(_LOOKS):
        watch.look()
        probe.clock.sleep(pause_s)
    return watch.looks()


def _drops(probe: Probe, setting: Setting) -> tuple[tuple[int, Looks], ...]:
    """Read a few records out of a FIFO that has more, several times."""
    chip = probe.chip
    records = max(2, min(10, chip.capacity // 5))
    probe.start(setting)
    found = []
    for _ in range(3):
        watch = Watch(probe)
        probe.run(setting.flush)
        for _ in range(6):
            probe.clock.sleep(2.6 * records / setting.rate_hz / 6)
            watch.look()
        probe.take(records)
        watch.look()
        found.append((records * chip.record.itemsize, watch.looks()))
    return tuple(found)


def _rate(probe: Probe, reading: LevelReading, rate_hz: float) -> Looks:
    """Count what comes at this rate; where the bus cannot carry it, only until the FIFO is full."""
    chip = probe.chip
    setting = _setting(chip, rate_hz, _MAIN_G, _MAIN_DPS)
    probe.start(setting)
    reads = bus_load(chip, setting, probe.bus) <= MOST_LOAD
    watch = Watch(probe, reading, reads=reads)
    holds_s = reading.most * reading.unit / chip.record.itemsize / setting.rate_hz
    lasts_s = max(_RATE_S, _RATE_RECORDS / setting.rate_hz)
    poll_s = min(0.05, max(holds_s, 0.01) / 6)
    if not reads:
        lasts_s, poll_s = min(lasts_s, holds_s), holds_s / 30
    end_ns = probe.clock.monotonic_ns() + round(lasts_s * NS_PER_S)
    while probe.clock.monotonic_ns() < end_ns or len(watch.times) < 8:
        probe.clock.sleep(poll_s)
        watch.look()
    return watch.looks()


def _range(probe: Probe, reading: LevelReading, setting: Setting) -> NDArray[np.uint8]:
    """Return rows of a fraction of a second at rest in this range."""
    probe.start(setting)
    # The first samples after a start may not be good yet.
    skip = round(0.1 * setting.rate_hz)
    watch, pause_s, since = Watch(probe, reading, reads=True), poll_s(reading, probe.chip, setting), skip
    for _ in range(_RANGE_TRIES):
        for _ in range(round(_RANGE_S / pause_s)):
            probe.clock.sleep(pause_s)
            watch.look()
        rows = watch.rows(since)
        if len(rows) < 8 or rest_of(watch, rows, setting).rests(rows):
            break
        since = watch.length()
    return rows


def _self_test(bus: Bus, chip: Chip, address: int, clock: Clock) -> tuple[AxisResult, ...] | str:
    if chip.self_test is None:
        return "the chip has none"
    try:
        return tuple(self_test(bus, chip, address, clock=clock))
    except (InputError, SensorError) as error:
        return str(error)
