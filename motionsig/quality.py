"""What is flagged of a signature: how it came to be, and what it cannot show.

Two flags are told from a window's samples, for each sensor by the mean square about the window's mean, summed over the
three axes, so that a turned device gets the same flags. Where a device is at rest its signature shows the chip's noise
and what is left of the filters; where it mostly vibrates faster than the grid can carry, the signature looks like rest.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

NOISE = np.array([0.2, 0.01], np.float32)
"""m/s² and rad/s, root mean square of three axes together: the most that a sensor's own noise spreads a window. That
is 0.115 and 0.0058 for one axis. Data sheets: an MPU-6050 has 400 µg/√Hz and 0.005 °/s/√Hz, which is 0.02 and 0.0004
below 25 Hz, an L3GD20 0.03 °/s/√Hz or 0.0026; steps of 10 bits over 8 g are 0.15 m/s² and add 0.044."""

SLOW_SHARE = 0.2
"""So much of NOISE, squared, may go on for LAG samples. White noise does not go on, and stays below this by five times
its scatter. A breath does: a chest that tilts by 0.5 degrees either way in 4 s turns at 0.01 rad/s."""

LAG = 5
"""Samples, 0.1 s: also the noise of a sensor of 20 samples a second, put on the grid, has changed by then."""

ABOVE_NOISE = np.array([0.5, 0.025], np.float32)
"""As NOISE, above the grid's band: that part of a sensor's band may be many times as wide. An ADXL345 at 3,200 samples
a second has 0.29 m/s² there, an L3GD20 at 760 0.018 rad/s."""

ABOVE_SHARE = 0.75
"""Of a sensor's energy in a window: with more of it above the grid's band, the signature shows the lesser part."""

_QUIET, _SLOW, _LOST = NOISE**2, SLOW_SHARE * NOISE**2, ABOVE_NOISE**2

ABOVE_GRID_ADVICE = (
    "have most of their energy above half the model's rate (motion64: 25 Hz), and their signatures do not show it: "
    "damp the sensor's mount, or measure such vibration by other means"
)
"""What people are told of ABOVE_GRID, after the number of windows."""

_CHUNK = 8192
"""Samples computed at a time; their arrays stay in the cache, as `frontend.CHUNK` explains."""


class Quality(IntFlag):
    """Flags that say how a signature came to be, and what it cannot show.

    >>> data[250] = np.nan  # a lost sample
    >>> data[500:] = [0, 0, 9.81, 0, 0, 0]  # put down
    >>> signatures = motionsig.extract(data, rate_hz=100)
    >>> [bool(flags & motionsig.Quality.BRIDGED) for flags in signatures.quality]
    [True, True, False, False, False, False]
    >>> [bool(flags & motionsig.Quality.AT_REST) for flags in signatures.quality]
    [False, False, False, False, True, True]
    """

    CLEAR = 0
    BRIDGED = 1
    """Lost samples were filled in by a straight line: a loss that the model's card allows (`max_gap_s`)."""
    EDGE_TPU = 2
    """An Edge TPU ran the network; without this flag a CPU did. Their codes may differ in the last bits."""
    AT_REST = 4
    """Nothing moved: the samples spread no more than a sensor's noise, which is what the motion codes show.

    A turn about the vertical at a constant rate is taken for rest, too: a gyroscope's offset looks the same.
    """
    ABOVE_GRID = 8
    """Most of a sensor's energy is above half the grid's rate, 25 Hz for motion64: the signature does not show it."""
    UNSET_CLOCK = 16
    """The time may be wrong: neither a time server nor a clock with a battery had set the clock that gave it."""


NO_CONTENT = Quality.EDGE_TPU | Quality.UNSET_CLOCK
"""Flags in which the same signature may differ when it comes again: stores compare the others."""


def flags_of(windows: NDArray[np.float32], above: NDArray[np.float32] | None = None) -> NDArray[np.uint8]:
    """Return (k,) the AT_REST and ABOVE_GRID of windows (k, length, 6) in SI units; each depends on its own row alone.

    above: (k, length, 2) what the low-pass took away, as in a SampleBlock; None where nothing is known of it.
    """
    count, length, _ = windows.shape
    flags = np.zeros(count, np.uint8)
    at_once = max(1, _CHUNK // length)
    for first in range(0, count, at_once):
        rows = slice(first, first + at_once)
        spread = _channel_first(windows[rows])
        spread -= _mean(spread)[:, :, None]
        each = spread.reshape(-1, 2, 3 * length)
        within = np.einsum("kst,kst->ks", each, each) / np.float32(length)
        resting = (within <= _QUIET).all(axis=1)
        if above is not None:
            lost = _mean(_channel_first(above[rows]))
            unseen = ((lost > _LOST) & (lost > ABOVE_SHARE * (lost + within))).any(axis=1)
            flags[rows][unseen] = Quality.ABOVE_GRID
            resting &= (lost <= _LOST).all(axis=1)
        # What goes on is no more than what there is, so that good chips need no look at it.
        doubtful = resting & (within > _SLOW).any(axis=1)
        if doubtful.any():
            each_axis = np.einsum("kct,kct->kc", spread[:, :, LAG:], spread[:, :, :-LAG]) / np.float32(length)
            slow = each_axis.reshape(-1, 2, 3).sum(axis=2)
            resting &= ~doubtful | (slow <= _SLOW).all(axis=1)
        flags[rows][resting] = Quality.AT_REST
    return flags


def _channel_first(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a copy of windows, time last: a sum over contiguous samples has an order that no batch can change."""
    return np.array(windows.transpose(0, 2, 1), order="C")


def _mean(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    means: NDArray[np.float32] = np.einsum("kct->kc", windows) / np.float32(windows.shape[2])
    return means


def is_at_rest(quality: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (k,) which of `quality` (k,) have AT_REST."""
    return np.asarray((quality & np.uint8(Quality.AT_REST)) != 0)


def counted(quality: NDArray[np.uint8]) -> dict[Quality, int]:
    """Return how many of `quality` (k,) have each flag."""
    return {flag: int(np.count_nonzero(quality & flag.value)) for flag in Quality}
