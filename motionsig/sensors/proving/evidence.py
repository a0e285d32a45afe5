"""What is gathered from a chip, as its bytes came: nothing here depends on how the table reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.self_test import AxisResult


@dataclass(frozen=True)
class Step:
    """What the person is asked to do. up: the axis of the chip that then points up, None where it does not matter.

    turns: the sensor is turned about the vertical and comes to rest in the same pose. within_s: how long that may take.
    """

    name: str
    text: str
    up: tuple[int, int, int] | None
    within_s: float
    turns: bool = False


@dataclass(frozen=True, eq=False)
class Looks:
    """Readings of the FIFO's level. time_ns: (k,) the middle of each. raw: (k, size) bytes. taken: (k,) read before."""

    time_ns: NDArray[np.int64]
    raw: NDArray[np.uint8]
    taken: NDArray[np.int64]


def _no_looks() -> Looks:
    return Looks(np.empty(0, np.int64), np.empty((0, 0), np.uint8), np.empty(0, np.int64))


@dataclass(frozen=True)
class Stretch:
    """What a step left in the stream: rows begin to end, the last of them, from `rest` on, at rest.

    seen: what was asked for happened in time.
    """

    step: Step
    begin: int
    rest: int
    end: int
    seen: bool


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one chip did. Rows are records as they came out of the FIFO, (n, bytes of a record) uint8.

    identity: register to the values it read as. transaction_s: (n,) how long reads of one byte took. registers: what
    did not read back as written, a line each. fill: the level while nobody read, up to the full FIFO and beyond.
    drops: readings of the level around a read of so many bytes, when the time before and after is given by `Looks`.
    rates: Hz to the level while samples were taken at that rate. accel, gyro: g and deg/s to rows at rest in that
    range. setting: rate, g and deg/s of the stream. stream: its level; rows: its records; stretches: its parts.
    self_test: the axes' results, or why there are none. wires: what is wrong with those of SPI; then no more was asked.
    """

    chip: str
    where: str
    bus_clock_hz: int
    identity: Mapping[int, tuple[int, ...]]
    transaction_s: NDArray[np.float64]
    retries: int
    wires: str | None = None
    registers: tuple[str, ...] = ()
    fill: Looks = field(default_factory=_no_looks)
    drops: tuple[tuple[int, Looks], ...] = ()
    rates: Mapping[float, Looks] = field(default_factory=dict)
    accel: Mapping[float, NDArray[np.uint8]] = field(default_factory=dict)
    gyro: Mapping[float, NDArray[np.uint8]] = field(default_factory=dict)
    setting: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stream: Looks = field(default_factory=_no_looks)
    rows: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0), np.uint8))
    stretches: tuple[Stretch, ...] = ()
    self_test: tuple[AxisResult, ...] | str = ()


@dataclass(frozen=True)
class Finding:
    """One thing that was examined.

    kind: what, one of a few words. state: "proved"; "wrong" where the chip contradicts its table; "open" where it was
    not seen. words: the evidence in a line. numbers: the same for programs.
    """

    kind: str
    state: str
    words: str
    numbers: Mapping[str, object]
