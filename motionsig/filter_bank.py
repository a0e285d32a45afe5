"""The resampler's filter: a Kaiser-windowed sinc, tabulated for every place of a grid point between two samples.

Its span is the same in seconds at every source rate, so a signature comes equally soon from all of them; a source that
is slower than the grid has fewer samples in it, and its highest frequencies suffer: at 20 Hz the SNR is 46 dB up to
5 Hz, 33 dB at 6 Hz and 21 dB at 7 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Like the front end, these constants decide every signature. Whoever changes one raises frontend.VERSION, so that the
# fingerprints differ, and writes the measured change into the changelog under "Signal changes".

HALF_WIDTH_S = 0.18
"""Seconds of samples on either side of a grid point; so long the grid point waits."""

KAISER_BETA = 5.3
"""About 57 dB of stop-band attenuation (Kaiser 1974: beta = 0.1102 (A - 8.7)). More would widen the transition."""

CUTOFF = 0.46
"""Cut-off of the low-pass in units of the grid's rate. With a grid of 50 Hz, tones come through with an SNR of 62 dB or
more up to 15 Hz, 56 dB at 18 and 24 dB at 20; those of 28 Hz and more, which fold back to 22 Hz and less, by -59 dB."""

PLACES = 2048
"""Places per period of the grid that have taps of their own. The nearest is taken: an error of -69 dB at 20 Hz."""


@dataclass(frozen=True, eq=False)
class FilterBank:
    """Taps for every place of a grid point between two samples.

    taps: (rows, width) float32; row r serves a grid point r / places of the way from one sample to the next.
    first: (rows,), where a row's first tap is, counted in samples from the one after the grid point; all below 0.
    behind: the most samples before a grid point that have a tap.
    ahead: the fewest samples after it that have one; a row has at most one more.
    places: (), a float: an array, as numpy multiplies by one in half the time of a number.
    cell: the columns of the samples that are less than a period of the grid away from a grid point.
    shares: (rows, columns of the cell + 1), the weight of each in a mean around the grid point; the last one is -1.
    """

    taps: NDArray[np.float32]
    first: NDArray[np.intp]
    behind: int
    ahead: int
    places: NDArray[np.float64]
    cell: slice
    shares: NDArray[np.float64]


@lru_cache(maxsize=8)
def filter_bank(rate_hz: float, grid_hz: float, *, interpolate: bool) -> FilterBank:
    """Return the taps for a source at `rate_hz`; with `interpolate` without a low-pass."""
    # In cycles per source sample. At 0.5 the sinc is zero at every sample but its own: pure interpolation.
    cutoff = 0.5 if interpolate else min(0.5, CUTOFF * grid_hz / rate_hz)
    reach = HALF_WIDTH_S * rate_hz
    places = int(np.ceil(PLACES * grid_hz / rate_hz))
    place = np.arange(places + 1)[:, None] / places
    width = int(np.ceil(2 * reach - 1e-9))
    first = np.ceil(place + reach - 1e-9).astype(np.intp) - width
    distance = first + np.arange(width) - place
    inside = np.clip(1 - (distance / reach) ** 2, 0, None)
    taps = np.sinc(2 * cutoff * distance) * np.i0(KAISER_BETA * np.sqrt(inside)) * (inside > 0)
    # Constant input gives constant output at every place: gravity is the largest thing in the signal.
    taps /= taps.sum(axis=1, keepdims=True)
    # Every sample has the same weight in all grid points together.
    shares = np.clip(1 - np.abs(distance) / max(1, rate_hz / grid_hz), 0, None)
    within = np.flatnonzero(shares.any(axis=0))
    cell = slice(int(within[0]), int(within[-1]) + 1)
    shares = shares[:, cell] / shares[:, cell].sum(axis=1, keepdims=True)
    behind = 1 - int(first[0, 0])
    return FilterBank(
        taps=np.asarray(taps, np.float32),
        first=first[:, 0] - 1,
        behind=behind,
        ahead=width - behind,
        places=np.array(places, np.float64),
        cell=cell,
        shares=np.pad(shares, ((0, 0), (0, 1)), constant_values=-1),
    )
