"""What another sensor would have delivered of the same motion: slower, coarser, clipped, noisier, with losses.

Evaluation puts one such sensor at a time in front of recordings that the probe knows undamaged. What training does to
each window is in `variations`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import sample_block
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.resampling import Resampler

GYRO_RANGE_OF_G = {2: 4.36, 4: 8.73, 8: 17.5, 16: 34.9}
"""Full scale of the gyroscope in rad/s (250 to 2,000 degrees/s) that goes with each of the accelerometer in g."""

MAX_GAP_S = 0.05
"""The longest loss that may be bridged: 50 ms are tolerable, 100 ms are not."""


@dataclass(frozen=True)
class Sensor:
    """rate_hz: None for the recording's own. range_g, bits: full scale and resolution; noise: m/s² and rad/s rms.

    loss: share of the samples that never arrive, each by itself.
    """

    rate_hz: float | None = None
    range_g: int | None = None
    bits: int = 16
    noise: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0


def as_recorded(rng: np.random.Generator) -> Sensor:
    """Return the sensor that changes nothing."""
    return Sensor()


DrawSensor = Callable[[np.random.Generator], Sensor]


def delivered(
    time_ns: NDArray[np.int64], samples: NDArray[np.float32], rate_hz: float, sensor: Sensor, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
    """Return time_ns (m,), samples (m, 6) and the rate in Hz of what `sensor` makes of the samples (n, 6)."""
    if sensor.rate_hz is not None and len(samples):
        resampler = Resampler(rate_hz, grid_hz=sensor.rate_hz, max_gap_s=MAX_GAP_S)
        blocks = [*resampler.push(sample_block(time_ns, samples)), *resampler.flush()]
        if not blocks:
            return time_ns[:0], samples[:0], sensor.rate_hz
        time_ns, samples = (np.concatenate([getattr(block, part) for block in blocks]) for part in ("time_ns", "data"))
        rate_hz = sensor.rate_hz
    samples = samples + rng.normal(size=samples.shape).astype(np.float32) * np.repeat(sensor.noise, 3).astype(
        np.float32
    )
    if sensor.range_g is not None:
        full = np.repeat([sensor.range_g * STANDARD_GRAVITY, GYRO_RANGE_OF_G[sensor.range_g]], 3)
        step = full / 2 ** (sensor.bits - 1)
        samples = (
            np.clip(np.rint(samples / step), -(2 ** (sensor.bits - 1)), 2 ** (sensor.bits - 1) - 1) * step
        ).astype(np.float32)
    if sensor.loss:
        arrived = rng.random(len(samples)) >= sensor.loss
        time_ns, samples = time_ns[arrived], samples[arrived]
    return time_ns, samples, rate_hz
