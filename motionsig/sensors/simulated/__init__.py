"""A chip without hardware: a register-level model on a bus that is as slow, and can fail, as a real one.

`open_sensor("simulated")` reads the model of an LSM6DSO on somebody who walks, on the system's clock,
"simulated:mpu6050" that of another chip; with "simulated:lesson" the LSM6DSO rests for three seconds and turns for one,
again and again, to try a lesson; with "simulated:turns" it also walks, to see a page move. A model of your own goes on
a SimulatedBus, which open_sensor takes like a real bus:

    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip("mpu6050", clock=clock)], clock=clock)
    sensor = open_sensor("mpu6050", bus=bus, clock=clock)

On a VirtualClock hours pass in seconds, and every fault happens at a chosen moment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.errors import InputError
from motionsig.hints import refused
from motionsig.sensors.chips import SIMULATED_CHIP, SIMULATED_LESSON, SIMULATED_TURNS
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.bus import Faults, SimulatedBus
from motionsig.sensors.simulated.chip import Signal, SimulatedChip
from motionsig.sensors.simulated.clock import Oscillator, VirtualClock
from motionsig.sensors.simulated.lsm6dso import Lsm6dso

__all__ = [
    "MOTIONS",
    "Faults",
    "Oscillator",
    "Signal",
    "SimulatedBus",
    "SimulatedChip",
    "VirtualClock",
    "performing",
    "simulated_chip",
    "taking_turns",
    "walking",
]


def walking(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n, 6) m/s² and rad/s, noisy, of somebody who walks 1.84 uneven steps a second, the device at the waist.

    Like a real gait it has overtones of the step, as feet strike the ground, and odd ones of both steps together.
    """
    t = times_ns % (3600 * NS_PER_S) / NS_PER_S
    step = 3.68 * np.pi * t + 0.6 * np.sin(0.9 * t) + 0.3 * np.sin(2.3 * t)
    force = 1 + 0.1 * np.sin(1.3 * t) + 0.05 * np.sin(3.1 * t + 1)

    def swing(*terms: tuple[float, float, float]) -> NDArray[np.float64]:
        """terms: amplitude, how many times in a step, and phase."""
        return np.asarray(sum(size * np.sin(times * step + phase) for size, times, phase in terms))

    motion = force[:, None] * np.stack(
        [
            swing((1.5, 1, 1), (0.6, 2, 2.1), (0.4, 3, 3.2), (0.2, 4, 4.3)),
            swing((3, 1, 0), (1, 2, 0.7), (0.5, 3, 1.4), (0.3, 4, 2.1)),
            swing((0.8, 0.5, 0), (0.5, 1.5, 0.8), (0.3, 2.5, 1.6)),
            swing((0.45, 0.5, 0), (0.45, 1.5, 1)),
            swing((0.9, 0.5, 0.5), (0.75, 1, 0), (0.6, 2, 0.3)),
            swing((0.3, 1, 0), (0.3, 2, 0), (0.3, 3, 0)),
        ],
        axis=1,
    )
    motion[:, 1] += STANDARD_GRAVITY
    return motion + _noise(serials)


def performing(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n, 6) m/s² and rad/s, noisy, of a device that rests for 3 s and is turned and turned back for 1 s."""
    t = times_ns % (4 * NS_PER_S) / NS_PER_S - 3
    turning = t >= 0
    angle = np.where(turning, 0.5 * (1 - np.cos(4 * np.pi * t)), 0)
    motion = np.zeros((len(t), 6))
    motion[:, 1], motion[:, 2] = STANDARD_GRAVITY * np.sin(angle), STANDARD_GRAVITY * np.cos(angle)
    motion[:, 3] = np.where(turning, 2 * np.pi * np.sin(4 * np.pi * t), 0)
    return motion + _noise(serials)


_WALK_S, _REST_S, _PERFORMANCES, _EDGE_S = 12, 4, 6, 0.5


def taking_turns(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n, 6) m/s² and rad/s, noisy, of a device that is carried for 12 s, rests for 4 s, and turns six times.

    Each time it rests for 2 s, is turned and turned back for 1 s as in `performing`, and rests for 1 s.
    """
    t = times_ns % ((_WALK_S + _REST_S + 4 * _PERFORMANCES) * NS_PER_S) / NS_PER_S
    # A step begins and ends gradually. Walking has gravity along y; here it is along z, as it is at rest.
    share = np.clip(np.minimum(t, _WALK_S - t) / _EDGE_S, 0, 1)[:, None]
    y, z = [1, 4], [2, 5]
    carried = walking(serials, times_ns)
    carried[:, y], carried[:, z] = -carried[:, z], carried[:, y]
    turned = performing(serials, np.rint((t - _WALK_S - _REST_S + 1) * NS_PER_S).astype(np.int64))
    still = performing(serials, np.zeros_like(times_ns))
    rested = np.where(t[:, None] < _WALK_S + _REST_S, still, turned)
    return np.where(t[:, None] < _WALK_S, share * carried + (1 - share) * rested, rested)


MOTIONS: dict[str, Signal] = {"": walking, SIMULATED_LESSON: performing, SIMULATED_TURNS: taking_turns}
"""What a simulated sensor is in, by what stands behind "simulated:"."""


def _noise(serials: NDArray[np.int64]) -> NDArray[np.float64]:
    # The fractional part of a fast-growing multiple: even over -1 to 1, and the same whenever it is asked for.
    noise = (serials[:, None] * 0.754877666 + np.arange(1, 7) * (serials[:, None] % 1009) * 0.569840291) % 1 * 2 - 1
    return np.asarray(noise * [0.05, 0.05, 0.05, 0.003, 0.003, 0.003])


def simulated_chip(
    name: str = SIMULATED_CHIP, *, clock: Clock, signal: Signal = walking, oscillator: Oscillator | None = None
) -> SimulatedChip:
    """Return the model of the chip of that name, just powered up; raise InputError where there is none."""
    if name == SIMULATED_CHIP:
        return Lsm6dso(clock, signal, oscillator=oscillator)
    from motionsig.sensors.simulated.models import MODELS

    if name not in MODELS:
        raise InputError(f"simulated chip: {refused(name, MODELS, what='a chip that has a model')}")
    return MODELS[name](clock, signal, oscillator=oscillator)
