"""Chips without hardware: register-level models of those in `motionsig.sensors.CHIPS`, behind the same `Bus`.

On the system's clock a simulated chip is a sensor to try things with: `open_sensor("simulated:lsm6dso")`. On a
VirtualClock hours pass in seconds, and every fault can be had at a chosen moment: that is how motionsig's own reader is
tested.
"""

from __future__ import annotations

import importlib
from pkgutil import iter_modules

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.errors import InputError
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.bus import Faults, SimulatedBus
from motionsig.sensors.simulated.chip import Signal, SimulatedChip
from motionsig.sensors.simulated.clock import Oscillator, VirtualClock

__all__ = [
    "Faults",
    "Oscillator",
    "Signal",
    "SimulatedBus",
    "SimulatedChip",
    "VirtualClock",
    "simulated_chip",
    "walking",
]


def walking(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n, 6) m/s² and rad/s of somebody who walks at about two steps a second, the device upright at the waist.

    No two steps are quite the same, and there is noise as of a cheap sensor.
    """
    t = times_ns % (3600 * NS_PER_S) / NS_PER_S
    step = 4 * np.pi * t + 0.6 * np.sin(0.9 * t) + 0.3 * np.sin(2.3 * t)
    force = 1 + 0.2 * np.sin(1.3 * t) + 0.1 * np.sin(3.1 * t + 1)
    acc = [1.5 * np.sin(step + 1), 3 * np.sin(step) + np.sin(2 * step), 0.8 * np.sin(step / 2)]
    gyr = [0.3 * np.sin(step / 2), 0.6 * np.sin(step / 2 + 0.5), 0.2 * np.sin(step)]
    motion = force[:, None] * np.stack(acc + gyr, axis=1)
    motion[:, 1] += STANDARD_GRAVITY
    # The fractional part of a fast-growing multiple: even over -1 to 1, and the same whenever it is asked for.
    noise = (serials[:, None] * 0.754877666 + np.arange(1, 7) * (serials[:, None] % 1009) * 0.569840291) % 1 * 2 - 1
    return np.asarray(motion + noise * [0.05, 0.05, 0.05, 0.003, 0.003, 0.003])


def simulated_chip(
    name: str, *, clock: Clock, signal: Signal = walking, oscillator: Oscillator | None = None
) -> SimulatedChip:
    """Return a model of the chip of that name, just powered up; raise InputError where there is none."""
    models: dict[str, type[SimulatedChip]] = {}
    for module in iter_modules(__path__):
        models |= getattr(importlib.import_module(f"{__name__}.{module.name}"), "MODELS", {})
    if name not in models:
        raise InputError(f"simulated chip: expected one of {', '.join(sorted(models))}, got {name!r}")
    return models[name](clock, signal, oscillator=oscillator)
