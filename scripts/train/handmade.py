"""Hand-made statistics of a window, with which the network is compared.

27 numbers a signal: time domain, spectrum in ten bands, autocorrelation. Over the raw axes and two magnitudes they are
the 216 plain statistics that a careful user would take instead of a network; over six signals about gravity, those of a
very careful user.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scripts.train.data import GRID_HZ

LAGS = (5, 10, 20, 40)
BAND_EDGES_HZ = (0.3, 1.0, 1.6, 2.3, 3.1, 4.5, 6.0, 8.0, 11.0, 15.0, 25.1)
POWER_FLOOR = 1e-3


def plain_statistics(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (k, 216) float32 of windows (k, length, 6): the six axes and the two magnitudes."""
    return _of_signals([*np.moveaxis(windows, 2, 0), *_magnitudes(windows)])


def gravity_statistics(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (k, 162) float32 of windows (k, length, 6), the same whichever way the device is turned.

    Gravity's strength is taken off, as the front end does: what is left of it differs from axis to axis by the
    accelerometer's own errors, so it tells how a device is turned.
    """
    acc, gyr = windows[:, :, :3], windows[:, :, 3:]
    mean = acc.mean(axis=1, keepdims=True)
    strength = np.linalg.norm(mean, axis=2)
    up = mean / np.maximum(strength[:, :, None], 1e-6)
    signals = []
    for vector, rest in ((acc, strength), (gyr, np.zeros_like(strength))):
        along = (vector * up).sum(axis=2)
        across = np.linalg.norm(vector - along[:, :, None] * up, axis=2)
        signals += [along - rest, across, np.linalg.norm(vector, axis=2) - rest]
    return _of_signals(signals)


def _magnitudes(windows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [np.linalg.norm(windows[:, :, part], axis=2) for part in (slice(0, 3), slice(3, 6))]


def _of_signals(signals: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([_of_signal(np.asarray(signal, np.float32)) for signal in signals], axis=1)


def _of_signal(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (k, 27) of one signal (k, length)."""
    mean = signal.mean(axis=1, keepdims=True)
    centred = signal - mean
    deviation = centred.std(axis=1)
    step = np.diff(signal, axis=1)
    # Below the sensor's noise a ratio to the deviation means nothing; the floor takes it to zero smoothly.
    variance = deviation**2 + 1e-4
    columns = [
        mean[:, 0],
        deviation,
        *np.quantile(signal, (0, 0.1, 0.25, 0.75, 0.9, 1), axis=1),
        np.abs(centred).mean(axis=1),
        np.sqrt((step**2).mean(axis=1)),
        (centred[:, 1:] * centred[:, :-1] < 0).mean(axis=1),
    ]
    power = np.abs(np.fft.rfft(centred * np.hanning(signal.shape[1]), axis=1)[:, 1:]) ** 2
    frequency = np.fft.rfftfreq(signal.shape[1], 1 / GRID_HZ)[1:]
    for low, high in pairwise(BAND_EDGES_HZ):
        columns.append(np.log(power[:, (frequency >= low) & (frequency < high)].sum(axis=1) + POWER_FLOOR))
    share = power / (power.sum(axis=1, keepdims=True) + POWER_FLOOR)
    columns += [(share * frequency).sum(axis=1), -(share * np.log(share + 1e-9)).sum(axis=1)]
    columns += [(centred[:, lag:] * centred[:, :-lag]).mean(axis=1) / variance for lag in LAGS]
    return np.asarray(np.stack(columns, axis=1), np.float32)
