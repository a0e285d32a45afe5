"""What sending the raw samples would cost, compressed as well as they can be: signatures are compared with that.

Two lossless schemes, each over batches of the delay that the signatures have: linear prediction with Rice codes, axis
by axis (as FLAC does it; Robinson 1994, "SHORTEN"), and differences, byte-shuffled, under LZMA. Which one is smaller
depends on the recording; zstd at level 19 lay above LZMA.

Compressing takes longer than making the signatures. So after the first samples only every n-th batch is compressed, and
the size of the others is estimated by how much their samples change from one to the next. On seven recorded sets of 2
to 8 hours the error was 1.1 % (root mean square over the possible first batches) and 2.8 % at most.
"""

from __future__ import annotations

import lzma

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock
from motionsig.conventions import STANDARD_GRAVITY

PREDICTION = "linear prediction + Rice codes"
SHUFFLE = "differences + shuffle + LZMA"

EXACT_SAMPLES = 16384  # the first so many samples are all compressed: 5 minutes at 50 Hz
ONE_IN = 32  # after those, one batch in so many is compressed

_ACC_RANGES = np.array([16, 32, 64, 128]) * STANDARD_GRAVITY
_GYR_RANGES = np.radians([2000, 4000, 8000])
_LPC_ORDERS = (4, 8)
_PARTITIONS = (1, 4, 16, 64)
_RICE_PARAMETERS = 17
# For a batch of up to 1 MiB the size is that of preset 6, whose dictionary of 8 MiB would cost half of the time.
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}]


class RawSize:
    """Counts what the samples pushed would take as raw int16, losslessly compressed in batches of `batch_s` seconds.

    `scale` is SI units per count (6,) where known; else that of a sensor set to 16 g and 2000 deg/s, or to more where a
    batch needs it: a finer scale would make the rival pay for noise that no sensor resolves.
    """

    compressed_samples = 0
    """So many of the samples have been compressed; the size of the others is estimated from them."""

    def __init__(self, rate_hz: float, *, batch_s: float, scale: tuple[float, ...] | None = None) -> None:
        self._batch = max(1, round(rate_hz * batch_s))
        self._scale = None if scale is None else np.array(scale)
        self._waiting: list[NDArray[np.float32]] = []
        self._count = 0
        self._exact = {PREDICTION: 0, SHUFFLE: 0}
        self._sampled = dict(self._exact)
        self._later_batches = 0
        self._later_change = self._sampled_change = 0.0

    def push(self, block: SampleBlock) -> None:
        """Take samples; those that are not finite were never measured and cost nothing."""
        finite = np.isfinite(block.data)
        data = block.data if finite.all() else block.data[finite.all(axis=1)]
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
        share = self._later_change / self._sampled_change if self._sampled_change else 0.0
        return {scheme: size + round(share * self._sampled[scheme]) for scheme, size in self._exact.items()}

    def _add(self, data: NDArray[np.float32]) -> None:
        scale = _usual_scale(data) if self._scale is None else self._scale
        totals = self._exact
        if self.compressed_samples >= EXACT_SAMPLES:
            # About the bits of Rice codes of first differences; one in eight of those will do.
            steps = np.abs(data[1::8] - data[:-1:8]).sum(axis=0) * 8 / len(data) / scale
            change = len(data) * float((2 + np.log2(1 + steps)).sum())
            self._later_change += change
            self._later_batches += 1
            if self._later_batches % ONE_IN != 1:
                return
            self._sampled_change += change
            totals = self._sampled
        self.compressed_samples += len(data)
        counts = np.clip(np.rint(data / scale), -32768, 32767).astype(np.int16).T
        totals[PREDICTION] += -(-_predicted_bits(counts.astype(np.int64)) // 8)
        differences = np.diff(counts, axis=1, prepend=np.int16(0))
        shuffled = differences.reshape(-1).view(np.uint8).reshape(-1, 2).T.tobytes()
        totals[SHUFFLE] += len(lzma.compress(shuffled, lzma.FORMAT_RAW, filters=_LZMA))


def _usual_scale(data: NDArray[np.float32]) -> NDArray[np.float64]:
    peaks = np.abs(data).max(axis=0)
    acc = _ACC_RANGES[min(np.searchsorted(_ACC_RANGES, peaks[:3].max()), len(_ACC_RANGES) - 1)]
    gyr = _GYR_RANGES[min(np.searchsorted(_GYR_RANGES, peaks[3:].max()), len(_GYR_RANGES) - 1)]
    return np.repeat([acc / 32768, gyr / 32768], 3)


def _predicted_bits(counts: NDArray[np.int64]) -> int:
    """Return the bits of axes (6, n), each: a byte of header, warm-up samples, coefficients, Rice-coded residuals."""
    residual, bits = counts, []
    for order in range(4):
        residual = np.diff(residual) if order else residual
        bits.append(8 + 16 * order + _rice_bits(residual))
    for order in _LPC_ORDERS:
        if counts.shape[1] < 8 * order:
            continue
        past = np.lib.stride_tricks.sliding_window_view(counts[:, :-1].astype(float), order, axis=1)
        now = counts[:, order:, None]
        # Least squares by the normal equations: axes at rest leave them singular.
        inverse = np.linalg.pinv(past.swapaxes(1, 2) @ past, rcond=1e-12, hermitian=True)
        taps = np.rint(inverse @ (past.swapaxes(1, 2) @ now) * 1024) / 1024
        predicted = np.rint(past @ taps).astype(np.int64)
        bits.append(8 + (16 + 13) * order + _rice_bits((now - predicted)[:, :, 0]))
    return int(np.min(bits, axis=0).sum())


def _rice_bits(residual: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bits along the last axis under the best of a few partitions; each part has its own Rice parameter."""
    count = residual.shape[-1]
    folded = np.where(residual >= 0, 2 * residual, -2 * residual - 1).clip(max=2**31 - 1).astype(np.int32)
    # As np.array_split cuts. Sums between all cuts of all partitions serve each of them.
    cuts = [np.arange(n + 1) * (count // n) + np.minimum(np.arange(n + 1), count % n) for n in _PARTITIONS]
    edges = np.unique(np.concatenate(cuts))
    quotients = np.zeros((_RICE_PARAMETERS, *folded.shape[:-1], len(edges)), np.int64)
    for parameter in range(_RICE_PARAMETERS):
        sums = np.add.reduceat(folded >> parameter, edges[:-1], axis=-1, dtype=np.int64)
        quotients[parameter, ..., 1:] = np.cumsum(sums, axis=-1)
    bits = []
    for cut in cuts:
        unary = np.diff(quotients[..., np.searchsorted(edges, cut)], axis=-1)
        binary = np.multiply.outer(np.arange(1, _RICE_PARAMETERS + 1), np.diff(cut))
        binary = binary.reshape(_RICE_PARAMETERS, *[1] * (folded.ndim - 1), -1)
        bits.append((5 + (unary + binary).min(axis=0)).sum(axis=-1))
    best: NDArray[np.int64] = np.min(bits, axis=0)
    return best
