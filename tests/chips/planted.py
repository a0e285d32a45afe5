"""Misreadings to plant, in a chip's table or in the bytes out of its FIFO, and the names they are to be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from chips.spi import WIRES, Loose, SimulatedSpi
from motionsig.sensors.bus import NO_ADDRESS
from motionsig.sensors.chips import Chip, Range
from motionsig.sensors.proving import Proof, prove
from motionsig.sensors.simulated import Oscillator, SimulatedBus, SimulatedChip, VirtualClock, simulated_chip
from motionsig.sensors.simulated.hand import Hand
from motionsig.sensors.spi import SpiBus, over_spi

Words = NDArray[np.int16]
Change = Callable[[Words], Words]


@dataclass(frozen=True)
class Plant:
    """A misreading. kinds: one of these findings names it. table: the table that holds it, None where a chip cannot.

    acc, gyr: what becomes of (n, 3) counts in the FIFO. slips: after so many records they begin one axis late;
    slips_at: from that move of the hand on. loose: wires of SPI.
    """

    kinds: tuple[str, ...]
    table: Callable[[Chip], Chip | None] = lambda chip: chip
    acc: Change | None = None
    gyr: Change | None = None
    slips: int = 0
    slips_at: int = 0
    oscillator: Oscillator = field(default_factory=lambda: Oscillator(skew=0.02))
    loose: Loose = field(default_factory=Loose)

    def fits(self, chip: Chip) -> bool:
        return self.table(chip) is not None and (self.gyr is None or bool(chip.gyro_ranges))


@dataclass
class _Altered:
    """The records of one chip's FIFO with a misreading in them."""

    chip: Chip
    plant: Plant
    hand: Hand
    _seen: int = 0

    def alter(self, register: int, data: bytes) -> bytes:
        """Return what was read from a register, altered if it is the FIFO."""
        record, plant = self.chip.record, self.plant
        if register != self.chip.fifo_register or len(data) % record.itemsize:
            return data
        rows = np.frombuffer(data, record).copy()
        for name, change in (("acc", plant.acc), ("gyr", plant.gyr)):
            if change is not None:
                rows[name] = change(rows[name].astype(np.int16))
        self._seen += len(rows)
        late = rows.tobytes()
        if 0 < plant.slips < self._seen or 0 < plant.slips_at <= len(self.hand.moves):
            late = late[2:] + late[:2]
        return late


class AlteringBus(SimulatedBus):
    """A bus on which the records of one chip's FIFO are altered."""

    def __init__(self, model: SimulatedChip, chip: Chip, plant: Plant, hand: Hand) -> None:
        super().__init__([model], clock=hand.clock)
        self._altered = _Altered(chip, plant, hand)

    def read(self, address: int, register: int, size: int) -> bytes:
        return self._altered.alter(register, super().read(address, register, size))


class AlteringSpi(SpiBus):
    """The same on SPI."""

    def __init__(self, model: SimulatedChip, chip: Chip, plant: Plant, hand: Hand) -> None:
        wires = SimulatedSpi(model, WIRES[chip.name], clock=hand.clock)
        wires.loose = plant.loose
        super().__init__(wires, chip)
        self._altered = _Altered(chip, plant, hand)

    def read(self, address: int, register: int, size: int) -> bytes:
        return self._altered.alter(register, super().read(address, register, size))


def _scaled(ranges: Mapping[float, Range], factor: float, only: float | None = None) -> dict[float, Range]:
    return {
        key: replace(it, scale=it.scale * factor) if only is None or key == only else it for key, it in ranges.items()
    }


def _record(chip: Chip, **formats: Callable[[str], str]) -> np.dtype[np.void]:
    """Return the record with other formats of fields; a format is <i2 or >i2."""
    assert chip.record.names and chip.record.fields
    parts: list[tuple[str, object, tuple[int, ...]]] = []
    for name in chip.record.names:
        kind = chip.record.fields[name][0]
        base = kind.base.str
        parts.append((name, formats[name](base) if name in formats else base, kind.shape))
    return np.dtype(parts)


def _turned(code: str) -> str:
    return ("<" if code[0] == ">" else ">") + code[1:]


def _exchanged(chip: Chip) -> Chip | None:
    if not chip.gyro_ranges:
        return None
    other = {"acc": "gyr", "gyr": "acc"}

    def dtype(record: np.dtype[np.void]) -> np.dtype[np.void]:
        assert record.names and record.fields
        return np.dtype([(other.get(name, name), record.fields[name][0]) for name in record.names])

    return replace(chip, record=dtype(chip.record), other_order=None)


def _level_order(chip: Chip) -> Chip | None:
    if chip.level.count[1] < 2:
        return None
    return replace(chip, level=replace(chip.level, order="little" if chip.level.order == "big" else "big"))


def _one_rate(chip: Chip) -> Chip:
    rates = dict(chip.rates)
    first, second = sorted(rates)[-2:]
    return replace(chip, rates={**rates, first: rates[second]})


def _all_rates(factor: float) -> Callable[[Chip], Chip]:
    return lambda chip: replace(chip, rates={hz * factor: bits for hz, bits in chip.rates.items()})


def _fifo(factor: float) -> Callable[[Chip], Chip]:
    return lambda chip: replace(chip, fifo_bytes=int(chip.fifo_bytes * factor))


def _narrow(chip: Chip) -> Chip:
    """Leave out the highest bit that a full FIFO sets."""
    full = chip.fifo_bytes // chip.level.unit
    return replace(chip, level=replace(chip.level, mask=(1 << (full - 1).bit_length() - 1) - 1))


def _unit(factor: float) -> Callable[[Chip], Chip | None]:
    def table(chip: Chip) -> Chip | None:
        unit = chip.level.unit * factor
        return replace(chip, level=replace(chip.level, unit=int(unit))) if unit >= 1 else None

    return table


def _constant(axis: int, value: int) -> Change:
    def change(words: Words) -> Words:
        words[:, axis] = value
        return words

    return change


def _negated(axis: int) -> Change:
    def change(words: Words) -> Words:
        words[:, axis] = np.clip(-words[:, axis].astype(np.int32), -32768, 32767)
        return words

    return change


def _accel(factor: float, at: int | None = None) -> Callable[[Chip], Chip]:
    """Return what scales an accelerometer's ranges, or only the one at this place."""

    def table(chip: Chip) -> Chip:
        only = None if at is None else sorted(chip.accel_ranges)[at]
        return replace(chip, accel_ranges=_scaled(chip.accel_ranges, factor, only))

    return table


def _gyro(factor: float, at: int | None = None) -> Callable[[Chip], Chip | None]:
    """Return what scales a gyroscope's ranges, or only the one at this place."""

    def table(chip: Chip) -> Chip | None:
        if not chip.gyro_ranges:
            return None
        only = None if at is None else sorted(chip.gyro_ranges)[at]
        return replace(chip, gyro_ranges=_scaled(chip.gyro_ranges, factor, only))

    return table


def _fewer(bits: int) -> Change:
    """Return what clears so many of the bits that are used."""

    def change(words: Words) -> Words:
        used = int(np.bitwise_or.reduce(words.astype(np.int64) & 0xFFFF, axis=None)) or 1
        return words & np.int16(-((used & -used) << bits))

    return change


PLANTS: dict[str, Plant] = {
    "acc two bits fewer": Plant(("width",), acc=_fewer(2)),
    "acc four bits to the right": Plant(("width",), acc=lambda words: words >> 4),
    "gyr four bits fewer": Plant(("width",), gyr=_fewer(4)),
    "table says four bits more": Plant(("width",), lambda chip: replace(chip, step=chip.step * 16)),
    "acc and gyr exchanged": Plant(("order",), _exchanged),
    "acc y x z": Plant(("axes",), acc=lambda words: words[:, [1, 0, 2]]),
    "acc z x y": Plant(("axes",), acc=lambda words: words[:, [2, 0, 1]]),
    "gyr x z y": Plant(("axes",), gyr=lambda words: words[:, [0, 2, 1]]),
    "gyr y z x": Plant(("axes",), gyr=lambda words: words[:, [1, 2, 0]]),
    "acc bytes": Plant(
        ("byte order",), lambda chip: replace(chip, record=_record(chip, acc=_turned), other_order=None)
    ),
    "gyr bytes": Plant(
        ("byte order",),
        lambda chip: replace(chip, record=_record(chip, gyr=_turned), other_order=None) if chip.gyro_ranges else None,
    ),
    "level bytes": Plant(("byte order of the level", "level"), _level_order),
    "acc twice": Plant(("scale of acc",), _accel(2.0)),
    "acc half": Plant(("scale of acc",), _accel(0.5)),
    "acc first range": Plant(("scale of acc",), _accel(2.0, 0)),
    "acc last range": Plant(("scale of acc",), _accel(2.0, -1)),
    "gyr twice": Plant(("scale of gyr",), _gyro(2.0)),
    "gyr half": Plant(("scale of gyr",), _gyro(0.5)),
    "gyr first range": Plant(("ranges of gyr", "scale of gyr"), _gyro(2.0, 0)),
    "gyr last range": Plant(("ranges of gyr", "scale of gyr"), _gyro(2.0, -1)),
    "FIFO half": Plant(("FIFO size",), _fifo(0.5)),
    "FIFO twice": Plant(("FIFO size",), _fifo(2.0)),
    "level a bit short": Plant(("level",), _narrow),
    "level unit twice": Plant(("level",), _unit(2)),
    "level unit half": Plant(("level",), _unit(0.5)),
    "acc y dead": Plant(("dead axis",), acc=_constant(1, 0)),
    "acc x stuck": Plant(("dead axis",), acc=_constant(0, 12345)),
    "gyr z dead": Plant(("dead axis",), gyr=_constant(2, 0)),
    "clock fast": Plant(("clock",), oscillator=Oscillator(skew=0.12)),
    "clock slow": Plant(("clock",), oscillator=Oscillator(skew=-0.12)),
    "acc x sign": Plant(("sign",), acc=_negated(0)),
    "acc z sign": Plant(("sign",), acc=_negated(2)),
    "gyr x sign": Plant(("sign",), gyr=_negated(0)),
    "gyr y sign": Plant(("sign",), gyr=_negated(1)),
    "gyr z sign": Plant(("sign",), gyr=_negated(2)),
    "one rate's code": Plant(("rate",), _one_rate),
    "rates twice": Plant(("rate",), _all_rates(2.0)),
    "rates half": Plant(("rate",), _all_rates(0.5)),
    "slips early": Plant(("order", "axes", "layout", "marks"), slips=200),
    "slips at y": Plant(("order", "axes", "layout", "marks"), slips_at=1),
    "slips at x": Plant(("order", "axes", "layout", "marks"), slips_at=2),
    "slips at flat": Plant(("order", "axes", "layout", "marks"), slips_at=3),
}


def proof(
    chip: Chip, plant: Plant | None = None, *, seed: int = 0, hand: dict[str, object] | None = None, spi: bool = False
) -> Proof:
    """Return what `prove` says of a chip with this misreading, on its model and a hand that does as asked."""
    plant = plant or Plant(())
    clock = VirtualClock()
    person = Hand(clock, seed, **(hand or {}))  # type: ignore[arg-type]
    model = simulated_chip(chip.name, clock=clock, signal=person.signal, oscillator=plant.oscillator)
    table = plant.table(chip)
    assert table is not None
    if spi:
        spi_bus = AlteringSpi(model, chip, plant, person)
        return prove(spi_bus, over_spi(table), NO_ADDRESS, clock=clock, guide=person.guide)
    bus = AlteringBus(model, chip, plant, person)
    return prove(bus, table, model.address, clock=clock, guide=person.guide)
