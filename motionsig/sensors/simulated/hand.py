"""A hand that does what `prove` asks: a signal that rests, is put on faces and is turned, as a cheap chip feels it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.clock import Clock
from motionsig.sensors.proving import Step

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Move:
    """From `begin_ns` on for `seconds`, `up` (in the sensor's axes) turns about `axis` by `angle` radians."""

    begin_ns: int
    seconds: float
    up: Floats
    axis: Floats
    angle: float
    end_up: Floats


@dataclass
class Hand:
    """`Hand.signal` is what the chip feels; `Hand.guide` is called by `prove` and moves the sensor.

    offset_g, scale, bias_dps: the chip's errors. late_s: until the person reacts. takes_s: for a move. refuses: names
    of steps that the person does not do.
    """

    clock: Clock
    seed: int = 0
    offset_g: float = 0.06
    scale: float = 0.03
    bias_dps: float = 5.0
    late_s: float = 0.8
    takes_s: float = 1.3
    refuses: tuple[str, ...] = ()
    moves: list[_Move] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        direction = random.normal(size=3)
        self._acc_offset = random.uniform(-1, 1, 3) * self.offset_g * STANDARD_GRAVITY
        self._gyr_bias = np.radians(self.bias_dps) * direction / np.linalg.norm(direction)
        self._gain = 1 + random.uniform(-1, 1, 6) * self.scale
        self._up: Floats = np.array([0.0, 0.0, 1.0])

    def guide(self, step: Step) -> None:
        if step.name in self.refuses:
            return
        begin_ns = self.clock.monotonic_ns() + round(self.late_s * NS_PER_S)
        if step.turns:
            # About the vertical, counter-clockwise from above.
            self.moves.append(_Move(begin_ns, self.takes_s, self._up, self._up, np.pi / 2, self._up))
        elif step.up is not None and not np.allclose(step.up, self._up):
            up = np.array(step.up, np.float64)
            axis = np.cross(self._up, up)
            # Seen from the sensor, what is up turns from the old to the new; the sensor turns the other way.
            angle = float(np.arccos(np.clip(self._up @ up, -1, 1)))
            axis = -axis / np.linalg.norm(axis)
            self.moves.append(_Move(begin_ns, self.takes_s, self._up, axis, angle, up))
            self._up = up

    def signal(self, serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> Floats:
        """Return (n, 6) m/s² and rad/s at these times."""
        acc = np.tile(self.moves[0].up if self.moves else self._up, (len(times_ns), 1))
        gyr = np.zeros((len(times_ns), 3))
        for move in self.moves:
            part = (times_ns - move.begin_ns) / (move.seconds * NS_PER_S)
            acc[part >= 1] = move.end_up
            rows = (part > 0) & (part < 1)
            if rows.any():
                angle = move.angle * (1 - np.cos(np.pi * part[rows])) / 2
                speed = move.angle * np.pi / 2 * np.sin(np.pi * part[rows]) / move.seconds
                gyr[rows] = speed[:, None] * move.axis
                acc[rows] = _rotated(move.up, -move.axis, angle)
                acc[rows] += 0.05 * np.sin(9 * np.pi * part[rows])[:, None] * np.roll(move.end_up, 1)
        felt = np.concatenate([acc * STANDARD_GRAVITY, gyr], axis=1) * self._gain
        felt[:, :3] += self._acc_offset
        felt[:, 3:] += self._gyr_bias
        return felt + _noise(serials) * [0.06, 0.06, 0.06, 0.004, 0.004, 0.004]


def _rotated(vector: Floats, axis: Floats, angle: Floats) -> Floats:
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned = vector * cos + np.cross(axis, vector) * sin + axis * (axis @ vector) * (1 - cos)
    return np.asarray(turned, np.float64)


def _noise(serials: NDArray[np.int64]) -> Floats:
    """Return (n, 6), about normal, the same whenever it is asked for."""
    cells = (serials[:, None] * 6 + np.arange(6)).astype(np.uint64)
    total = np.zeros(cells.shape)
    for factor in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93):
        mixed = cells * np.uint64(factor)
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        total += (mixed >> np.uint64(40)).astype(np.float64) / (1 << 24) - 0.5
    return np.asarray(total * 2, np.float64)
