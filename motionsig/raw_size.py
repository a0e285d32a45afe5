"""What sending the raw samples would cost: the honest rival of a signature.

Two lossless schemes, each over batches of the delay that the signatures have: linear prediction with Rice codes, axis
by axis (as FLAC does it; Robinson 1994, "SHORTEN"), and differences, byte-shuffled, under LZMA. On seven recorded sets
the first was the smaller one every time, by 4 to 12 % of the raw size; zstd at level 19 lay above LZMA.
"""

from __future__ import annotations

import lzma

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock
from motionsig.conventions import CHANNELS, STANDARD_GRAVITY

PREDICTION = "linear prediction + Rice codes"
SHUFFLE = "differences + shuffle + LZMA"

_ACC_RANGES = np.array([16, 32, 64, 128]) * STANDARD_GRAVITY
_GYR_RANGES = np.radians([2000, 4000, 8000])
_LPC_ORDERS = (4, 8)
_PARTITIONS = (1, 4, 16, 64)
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6}]


class RawSize:
    """Counts what the samples pushed would take as raw int16, losslessly compressed in batches of `batch_s` seconds.

    `scale` is SI units per count (6,) where known; else that of a sensor set to 16 g and 2000 deg/s, or to more where a
    batch needs it: a finer scale would make the rival pay for noise that no sensor resolves.
    """

    def __init__(self, rate_hz: float, *, batch_s: float, scale: tuple[float, ...] | None = None) -> None:
        self._batch = max(1, round(rate_hz * batch_s))
        self._scale = None if scale is None else np.array(scale)
        self._waiting: list[NDArray[np.float32]] = []
        self._count = 0
        self._totals = {PREDICTION: 0, SHUFFLE: 0}

    def push(self, block: SampleBlock) -> None:
        """Take samples; those that are not finite were never measured and cost nothing."""
        data = block.data[np.isfinite(block.data).all(axis=1)]
        self._waiting.append(data)
        self._count += len(data)
        if self._count < self._batch:
            return
        data = np.concatenate(self._waiting)
        whole = len(data) - len(data) % self._batch
        for first in range(0, whole, self._batch):
            self._add(data[first : first + self._batch])
        self._waiting, self._count = [data[whole:]], len(data) - whole

    def sizes(self) -> dict[str, int]:
        """Return the bytes under each scheme, the last incomplete batch included."""
        if self._count:
            self._add(np.concatenate(self._waiting))
            self._waiting, self._count = [], 0
        return dict(self._totals)

    def _add(self, data: NDArray[np.float32]) -> None:
        scale = _usual_scale(data) if self._scale is None else self._scale
        counts = np.clip(np.rint(data / scale), -32768, 32767).astype(np.int64)
        bits = sum(_predicted_bits(counts[:, axis]) for axis in range(len(CHANNELS)))
        self._totals[PREDICTION] += -(-bits // 8)
        differences = np.diff(counts.astype(np.int16), axis=0, prepend=np.zeros((1, len(CHANNELS)), np.int16))
        shuffled = np.ascontiguousarray(differences.T).view(np.uint8).reshape(-1, 2).T.tobytes()
        self._totals[SHUFFLE] += len(lzma.compress(shuffled, lzma.FORMAT_RAW, filters=_LZMA))


def _usual_scale(data: NDArray[np.float32]) -> NDArray[np.float64]:
    peaks = np.abs(data).max(axis=0)
    acc = _ACC_RANGES[min(np.searchsorted(_ACC_RANGES, peaks[:3].max()), len(_ACC_RANGES) - 1)]
    gyr = _GYR_RANGES[min(np.searchsorted(_GYR_RANGES, peaks[3:].max()), len(_GYR_RANGES) - 1)]
    return np.repeat([acc / 32768, gyr / 32768], 3)


def _predicted_bits(counts: NDArray[np.int64]) -> int:
    """Return the bits one axis takes: one byte of header, warm-up samples, coefficients, Rice-coded residuals."""
    residual, best = counts, 1 << 62
    for order in range(4):
        residual = np.diff(residual) if order else residual
        best = min(best, 8 + 16 * order + _rice_bits(residual))
    for order in _LPC_ORDERS:
        if len(counts) < 8 * order:
            continue
        past = np.lib.stride_tricks.sliding_window_view(counts[:-1], order)
        taps = np.linalg.lstsq(past.astype(float), counts[order:].astype(float), rcond=None)[0]
        predicted = np.rint(past @ (np.rint(taps * 1024) / 1024)).astype(np.int64)
        best = min(best, 8 + (16 + 13) * order + _rice_bits(counts[order:] - predicted))
    return best


def _rice_bits(residual: NDArray[np.int64]) -> int:
    """Return the bits under the best of a few partitions, each with its own Rice parameter."""
    folded = np.where(residual >= 0, 2 * residual, -2 * residual - 1)
    return min(sum(5 + _rice_part(part) for part in np.array_split(folded, n)) for n in _PARTITIONS)


def _rice_part(folded: NDArray[np.int64]) -> int:
    parameters = np.arange(17)
    quotients = (folded[:, None] >> parameters).sum(axis=0)
    return int((quotients + len(folded) * (1 + parameters)).min())
