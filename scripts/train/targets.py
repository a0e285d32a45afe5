"""What the network must be able to tell of a window beside its label: statistics of its channels.

Labels alone forget whatever no label needs. The statistics are the leading principal components of 27 numbers a
channel: time domain, spectrum in ten bands, autocorrelation. Sizes are logarithms with a floor at what sensors make of
rest, so that a chip's own noise is no motion to be remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scripts.train.data import GRID_HZ
from scripts.train.handmade import BAND_EDGES_HZ, LAGS

CHANNELS = 8
"""The front end's first channels. The others depend on the end of the swing axis, which is exchanged at random."""
FLOOR = np.repeat([0.03, 0.002, 0.03], (3, 3, 2))
"""m/s² or rad/s of each channel: the noise of a cheap sensor at rest."""
QUANTILES = (0, 13, 32, 95, 114, 127)
"""Ranks among a window's 128 sorted samples."""
COMPONENTS = 96
CLIP = 6.0
"""Standard deviations beyond which a statistic counts no more: one window must not decide a component."""


def statistics(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (k, 216) of the front end's channels (k, length, 12) in m/s² and rad/s."""
    return np.concatenate([_of_channel(channels[:, :, number], FLOOR[number]) for number in range(CHANNELS)], axis=1)


@dataclass(frozen=True, eq=False)
class Whitening:
    """From statistics (k, s) to COMPONENTS uncorrelated numbers of unit variance over the windows it was made of."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    centre: NDArray[np.float32]
    axes: NDArray[np.float32]

    def __call__(self, plain: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (k, COMPONENTS)."""
        standard = np.clip((plain - self.mean) / self.spread, -CLIP, CLIP)
        return np.asarray((standard - self.centre) @ self.axes, np.float32)


def whitening(plain: NDArray[np.float32]) -> Whitening:
    """Return the whitening that is right for statistics (n, s): their leading principal components."""
    mean, spread = plain.mean(axis=0), np.maximum(plain.std(axis=0), 1e-6)
    standard = np.clip((plain - mean) / spread, -CLIP, CLIP).astype(np.float64)
    centre = standard.mean(axis=0)
    standard -= centre
    variance, axes = np.linalg.eigh(standard.T @ standard / len(standard))
    kept = np.argsort(variance)[::-1][:COMPONENTS]
    scaled = axes[:, kept] / np.sqrt(variance[kept])
    return Whitening(mean, spread, centre.astype(np.float32), scaled.astype(np.float32))


def _of_channel(signal: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Return (k, 27) of one channel (k, length)."""
    mean = signal.mean(axis=1)
    centred = signal - mean[:, None]
    deviation = centred.std(axis=1)
    ordered = np.sort(signal, axis=1)
    step = np.diff(signal, axis=1)
    crossings = (centred[:, 1:] * centred[:, :-1] < 0).mean(axis=1)
    columns = [
        _log_size(mean, floor),
        np.log(deviation + floor),
        *(_log_size(ordered[:, rank], floor) for rank in QUANTILES),
        np.log(np.abs(centred).mean(axis=1) + floor),
        np.log(np.sqrt((step**2).mean(axis=1)) + floor),
        # At rest the noise alone decides how often a signal crosses its mean.
        crossings * deviation / (deviation + floor),
    ]
    power = np.abs(np.fft.rfft(centred * np.hanning(signal.shape[1]).astype(np.float32), axis=1)[:, 1:]) ** 2
    frequency = np.fft.rfftfreq(signal.shape[1], 1 / GRID_HZ)[1:]
    noise = floor**2 * 0.375 * signal.shape[1]  # what white noise of that size has in one bin behind the window
    for low, high in pairwise(BAND_EDGES_HZ):
        band = (frequency >= low) & (frequency < high)
        columns.append(np.log(power[:, band].sum(axis=1) + noise * band.sum()))
    share = power / (power.sum(axis=1, keepdims=True) + noise * power.shape[1])
    columns += [(share * frequency).sum(axis=1), -(share * np.log(share + 1e-9)).sum(axis=1)]
    variance = deviation**2 + floor**2
    columns += [(centred[:, lag:] * centred[:, :-lag]).mean(axis=1) / variance for lag in LAGS]
    return np.asarray(np.stack(columns, axis=1), np.float32)


def _log_size(values: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """Linear below three times the floor, logarithmic above, with the sign kept."""
    return np.asarray(np.copysign(np.log1p(np.abs(values) / (3 * floor)), values), np.float32)
