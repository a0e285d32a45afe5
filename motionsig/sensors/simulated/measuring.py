"""What a chip's output registers hold: the motion in counts, under the settings in force when it was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.sensors.simulated.chip import SimulatedChip, by_stretch

REMEMBERED = 64
"""Changes of settings that a sample still in the FIFO can have been taken under, at most."""


@dataclass(frozen=True)
class Settings:
    """How motion becomes counts.

    scale: (6,) or (3,) m/s² and rad/s per count, infinite for an axis that is off. added: what the self-test adds, in
    the same units. most: the largest count; the least is -most - 1. on: accelerometer, gyroscope.
    """

    scale: NDArray[np.float64]
    added: NDArray[np.float64] | float
    most: int
    on: tuple[bool, bool]


@dataclass(frozen=True)
class _Since:
    serial: int
    settings: Settings
    good_ns: tuple[int, int]

    def counts(
        self, serials: NDArray[np.int64], times_ns: NDArray[np.int64], felt: NDArray[np.float64]
    ) -> NDArray[np.int16]:
        settings = self.settings
        axes, most = len(settings.scale), settings.most
        out = np.clip(np.rint((felt[:, :axes] + settings.added) / settings.scale), -most - 1, most).astype(np.int16)
        if len(times_ns) and times_ns[0] < max(self.good_ns):
            noise = _noise(serials, axes, most)
            for good_ns, first in zip(self.good_ns, (0, 3), strict=True):
                early = times_ns < good_ns
                out[early, first : first + 3] = noise[early, first : first + 3]
        return out


class MeasuringChip(SimulatedChip):
    """A chip whose samples follow from its registers. `deciding`: those that rate and settings depend on.

    writable: the bits of each register that can be written; no other bit can flip.
    """

    deciding: tuple[int, ...]
    writable: Mapping[int, int]
    spoiled = -1
    _since: tuple[_Since, ...] = ()
    _decided: tuple[int, ...] | None = None
    _latest = (-1, np.zeros(6, np.int16))

    # What a model defines.

    def settings(self) -> Settings:
        """Return what the registers ask for."""
        raise NotImplementedError

    def starting_s(self) -> tuple[float, float]:
        """Return how long accelerometer and gyroscope give nothing of use after they are switched on."""
        raise NotImplementedError

    def decided(self) -> None:
        """Follow a change of the deciding registers, whatever changed them."""

    # Its samples.

    def counts(self, serials: NDArray[np.int64]) -> NDArray[np.int16]:
        """Return (n, axes) counts of these samples, which are in order."""
        times_ns = self.times_ns(serials)
        felt = self.signal(serials, times_ns)
        out = np.empty((len(serials), len(self._since[-1].settings.scale)), np.int16)
        for at, rows in by_stretch([since.serial for since in self._since], serials):
            out[rows] = self._since[at].counts(serials[rows], times_ns[rows], felt[rows])
        return out

    def spoil(self, serials: NDArray[np.int64], counts: NDArray[np.int16]) -> None:
        """Make the first sample after the FIFO was switched on worthless, where the data sheet says it is."""
        if len(serials) and serials[0] <= self.spoiled <= serials[-1]:
            rows = serials == self.spoiled
            counts[rows] = _noise(serials[rows], counts.shape[1], 32767)

    def latest(self) -> NDArray[np.int16]:
        """Return the counts of the last sample taken."""
        if self._latest[0] != self.taken and self.taken:
            self._latest = self.taken, self.counts(np.array([self.taken - 1], np.int64))[0]
        return self._latest[1]

    def flip(self, register: int, bit: int, at_ns: int | None = None) -> None:
        if self.writable.get(register, 0) >> bit & 1:
            super().flip(register, bit, at_ns)

    def restart(self, at_ns: int, seconds: float) -> None:
        self._decided = None
        super().restart(at_ns, seconds)

    def _resample(self, at_ns: int | None = None) -> None:
        registers = self.registers
        decided = tuple([registers[register] for register in self.deciding])
        if decided == self._decided:
            return
        self._decided = decided
        self.decided()
        super()._resample(at_ns)
        now_ns = self.clock.monotonic_ns() if at_ns is None else at_ns
        settings = self.settings()
        before = self._since[-1] if self._since else None
        was_on, good_ns = (before.settings.on, before.good_ns) if before else ((False, False), (0, 0))
        accel_ns, gyro_ns = (
            now_ns + round(start_s * NS_PER_S) if on and not was else good
            for on, was, good, start_s in zip(settings.on, was_on, good_ns, self.starting_s(), strict=True)
        )
        kept = self._since[:-1] if before and before.serial == self.taken else self._since
        self._since = (*kept, _Since(self.taken, settings, (accel_ns, gyro_ns)))[-REMEMBERED:]


def _noise(serials: NDArray[np.int64], axes: int, most: int) -> NDArray[np.int16]:
    """Return (n, axes) counts that have nothing to do with the motion, the same at every reading."""
    cells = (serials[:, None] * 6 + np.arange(axes)).astype(np.uint64)
    mixed = np.right_shift(cells * np.uint64(0x9E3779B97F4A7C15), np.uint64(40))
    return np.asarray((mixed % np.uint64(2 * most + 1)).astype(np.int64) - most, np.int16)
