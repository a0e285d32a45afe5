"""A bus on which what a chip measures is dead for a while, although its FIFO goes on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.chips import Chip
from motionsig.sensors.simulated import SimulatedBus

Death = tuple[str, int | None]
"""Which axes: "all", "acc", "gyr" or "acc_x" and so on; the counts they stand at, None for their last."""
DEATHS: tuple[Death, ...] = (("all", None), ("all", 0), ("all", -1), ("acc", 0), ("gyr", None), ("gyr_x", None))


class DyingBus(SimulatedBus):
    """`death`: what is dead in the records of a chip with this table, None for nothing.

    deaths: when each began and when it was over, monotonic ns.
    """

    table: Chip
    death: Death | None = None
    kept: NDArray[np.void] | None = None
    deaths: tuple[tuple[int, int], ...] = ()

    def dies(self, death: Death | None) -> None:
        """Let these axes stand still from now on; None: all live again."""
        now_ns = self.clock.monotonic_ns()
        if self.death is not None:
            self.deaths = (*self.deaths[:-1], (self.deaths[-1][0], now_ns))
        if death is not None:
            self.deaths = (*self.deaths, (now_ns, 1 << 62))
        self.death, self.kept = death, None

    def read(self, address: int, register: int, size: int) -> bytes:
        data, chip = super().read(address, register, size), self.table
        if self.death is None or register != chip.fifo_register & 0xFF or size % chip.record.itemsize:
            return data
        records = np.frombuffer(data, chip.record).copy()
        self.kept = records[:1].copy() if self.kept is None else self.kept
        what, value = self.death
        for field in {"acc", "gyr"} & set(chip.record.names or ()):
            for axis in range(3):
                if what in ("all", field, f"{field}_{'xyz'[axis]}"):
                    records[field][:, axis] = self.kept[field][0, axis] if value is None else value
        return records.tobytes()
