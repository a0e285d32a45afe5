"""The chip as it is asked for evidence: registers that are noted where they do not obey, and a FIFO that is watched."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.bus import Bus
from motionsig.sensors.chips import Chip, Setting
from motionsig.sensors.chips import Step as Action
from motionsig.sensors.clock import Clock
from motionsig.sensors.proving.evidence import Looks
from motionsig.sensors.proving.levels import LevelReading
from motionsig.sensors.registers import RegisterError, Registers

_MOST_POLL_S = 0.05


@dataclass
class Probe:
    """The chip and what was noted of its registers."""

    registers: Registers
    chip: Chip
    clock: Clock
    bus: Bus
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
class Watch:
    """A FIFO that is watched, and read if `reads`."""

    probe: Probe
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
        looks = make_looks([at_ns], [raw], [len(self.data)])
        if self.reads and self.reading is not None:
            count = int(self.reading.counts(looks)[0])
            self.data += self.probe.take(int(count * self.reading.unit) // self.probe.chip.record.itemsize)
        return looks

    def looks(self) -> Looks:
        return make_looks(self.times, self.raws, self.taken)

    def length(self) -> int:
        """Return how many records were read."""
        return len(self.data) // self.probe.chip.record.itemsize

    def rows(self, since: int = 0, until: int | None = None) -> NDArray[np.uint8]:
        """Return (n, bytes of a record), the records from `since` to `until`."""
        size = self.probe.chip.record.itemsize
        part = self.data[max(0, since) * size : None if until is None else until * size]
        return np.frombuffer(bytes(part), np.uint8).reshape(-1, size)


def make_looks(times: list[int], raws: list[bytes], taken: list[int]) -> Looks:
    raw = np.frombuffer(b"".join(raws), np.uint8).reshape(len(raws), -1)
    return Looks(np.array(times, np.int64), raw, np.array(taken, np.int64))


def poll_s(reading: LevelReading | None, chip: Chip, setting: Setting) -> float:
    """Return how often to look, so that the FIFO never gets half full."""
    if reading is None:
        return _MOST_POLL_S
    holds = reading.most * reading.unit / chip.record.itemsize
    return min(_MOST_POLL_S, max(holds, 6.0) / setting.rate_hz / 6)
