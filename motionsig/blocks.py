"""What flows through the pipeline: samples, windows, signatures; and the Source they come from.

The arrays are checked where they enter (`sample_block`), not at every hand-over: inside the pipeline each stage trusts
the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.closing import Closing
from motionsig.conventions import CHANNELS
from motionsig.errors import InputError
from motionsig.quantization import Quantization


class Quality(IntFlag):
    """What a consumer should know about how a signature came to be."""

    CLEAR = 0
    BRIDGED = 1
    """Lost samples, few enough for the model's card, were filled in by a straight line."""
    EDGE_TPU = 2
    """An Edge TPU ran the network; without this flag a CPU did. Their codes may differ in the last bits."""


@dataclass(frozen=True, eq=False)
class SampleBlock:
    """Consecutive samples as delivered.

    time_ns: (n,) int64, Unix nanoseconds, strictly increasing.
    data: (n, 6) float32, m/s² and rad/s, sensor frame, channels as in `conventions.CHANNELS`.
    gap: samples were lost just before the first one.
    quality: (n,) uint8 of `Quality`, or None where all are clear; the Resampler sets it, a source leaves it None.
    """

    time_ns: NDArray[np.int64]
    data: NDArray[np.float32]
    gap: bool = False
    quality: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.time_ns)


def sample_block(time_ns: ArrayLike, data: ArrayLike, *, gap: bool = False) -> SampleBlock:
    """Return a SampleBlock of arrays that come from outside, checked.

    Raises InputError for another shape than (n,) and (n, 6), or times that do not increase. NaN is let through: the
    Resampler counts such samples as lost.
    """
    times = np.asarray(time_ns)
    values = np.asarray(data, dtype=np.float32)
    if times.ndim != 1 or values.shape != (len(times), len(CHANNELS)):
        raise InputError(
            f"samples: expected time_ns (n,) and data (n, {len(CHANNELS)}) with columns {', '.join(CHANNELS)}, "
            f"got {times.shape} and {values.shape}"
        )
    if times.dtype.kind not in "iu":
        raise InputError(f"time_ns: expected integer nanoseconds, got {times.dtype}")
    times = times.astype(np.int64, copy=False)
    backwards = np.flatnonzero(times[1:] <= times[:-1])
    if len(backwards):
        row = int(backwards[0]) + 1
        raise InputError(
            f"time_ns: expected strictly increasing times, got {times[row]} after {times[row - 1]} at sample {row}"
        )
    return SampleBlock(times, values, gap)


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """k complete windows on the model's grid.

    start_ns: (k,) int64, time of each window's first sample. data: (k, length, 6) float32, often a view.
    quality: (k,) uint8, the `Quality` of all samples in the window together.
    """

    start_ns: NDArray[np.int64]
    data: NDArray[np.float32]
    quality: NDArray[np.uint8]
    hop_ns: int

    def __len__(self) -> int:
        return len(self.start_ns)


@dataclass(frozen=True)
class SignatureSpec:
    """What must agree before two signatures may be compared, and what is needed to read one.

    fingerprint: 8 bytes that stand for the model, its front end, its card's version and its quantization.
    motion_dim: the first so many codes are motion, the rest are posture. length_ns: time one signature covers.
    """

    fingerprint: bytes
    quantization: Quantization
    motion_dim: int
    length_ns: int


@dataclass(frozen=True, eq=False)
class SignatureBatch:
    """What leaves the device.

    start_ns: (k,) int64. codes: (k, dim) int8. quality: (k,) uint8 of `Quality`. hop_ns: the stride between windows
    where nothing was lost.
    """

    start_ns: NDArray[np.int64]
    codes: NDArray[np.int8]
    quality: NDArray[np.uint8]
    hop_ns: int
    spec: SignatureSpec

    def __len__(self) -> int:
        return len(self.start_ns)

    def __repr__(self) -> str:
        first = f", from {self.start_ns[0]} ns" if len(self) else ""
        return f"SignatureBatch({len(self)} x {self.codes.shape[1]}{first}, encoder {self.spec.fingerprint.hex()})"

    def __getitem__(self, rows: slice) -> SignatureBatch:
        return replace(self, start_ns=self.start_ns[rows], codes=self.codes[rows], quality=self.quality[rows])

    @property
    def values(self) -> NDArray[np.float32]:
        """(k, dim) float32: the codes in the encoder's own unit."""
        return self.spec.quantization.dequantize(self.codes)

    @property
    def motion(self) -> NDArray[np.int8]:
        """(k, motion_dim) int8: what the body did, whichever way the device was turned."""
        return self.codes[:, : self.spec.motion_dim]

    @property
    def posture(self) -> NDArray[np.int8]:
        """(k, dim - motion_dim) int8: how the device was worn and held."""
        return self.codes[:, self.spec.motion_dim :]


def concatenate(batches: Sequence[SignatureBatch]) -> SignatureBatch:
    """Return one batch of all rows in order.

    Raises InputError for an empty sequence and for batches of different encoders or hops: their vectors do not compare.
    """
    if not batches:
        raise InputError("concatenate: expected at least one SignatureBatch, got none")
    first = batches[0]
    for batch in batches[1:]:
        if batch.spec != first.spec or batch.hop_ns != first.hop_ns:
            raise InputError(
                f"concatenate: expected signatures of encoder {first.spec.fingerprint.hex()} every {first.hop_ns} ns, "
                f"got some of {batch.spec.fingerprint.hex()} every {batch.hop_ns} ns; vectors of different encoders or "
                "hops must not be mixed"
            )
    return replace(
        first,
        start_ns=np.concatenate([batch.start_ns for batch in batches]),
        codes=np.concatenate([batch.codes for batch in batches]),
        quality=np.concatenate([batch.quality for batch in batches]),
    )


@dataclass(frozen=True)
class SourceInfo:
    """What a source knows of itself before the first sample.

    name: for people (a file name, a sensor). format: which reader or driver. stream_id: identifies this stream of
    samples, so that the same recording replayed twice is stored once. samples: about how many will come, where known.
    scale: (6,) SI units per int16 count where every sample is a whole number of counts. device: who recorded it, where
    known.
    """

    name: str
    format: str
    stream_id: int
    samples: int | None = None
    scale: tuple[float, ...] | None = None
    device: str | None = None


class Source(Closing, Protocol):
    """An iterable of SampleBlock, opened and closed as a context manager; `rate_hz` is the nominal rate."""

    @property
    def rate_hz(self) -> float: ...

    @property
    def info(self) -> SourceInfo: ...

    def __iter__(self) -> Iterator[SampleBlock]: ...
