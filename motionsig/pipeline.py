"""The only loop: source, resampler, windower, encoder, sink.

A live run, a replay and `extract` differ in the source they read and the sink they fill, in nothing else.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.blocks import Quality, SampleBlock, SignatureBatch, concatenate, sample_block
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.encoders import Encoder, open_encoder
from motionsig.errors import InputError
from motionsig.model_card import ModelCard
from motionsig.resampling import Resampler
from motionsig.windowing import Windower

_BLOCK = 4096

_PATIENCE_S = 10.0
"""So much acceleration without any angular rate, and no gyroscope is there."""


@dataclass(frozen=True)
class Summary:
    """What one run saw and made.

    samples: pushed by the source; not_finite: of those, lost because not a number. bridged: short losses filled in.
    gaps: losses that ended a segment. windows, signatures: encoded and handed to the sink. covered_s: sensor time on
    the grid. elapsed_s: how long the run took. model, device: what encoded, at the end. on_edgetpu: how many of the
    signatures an Edge TPU made.
    """

    samples: int
    not_finite: int
    bridged: int
    gaps: int
    windows: int
    signatures: int
    covered_s: float
    elapsed_s: float
    model: str
    device: str
    on_edgetpu: int


class Stream(Protocol):
    """The two things `run` asks of a source."""

    @property
    def rate_hz(self) -> float: ...

    def __iter__(self) -> Iterator[SampleBlock]: ...


class Publisher(Protocol):
    """The one thing `run` asks of a sink."""

    def publish(self, signatures: SignatureBatch) -> None: ...


def run(source: Stream, encoder: Encoder, sink: Publisher, *, hop: int | None = None) -> Summary:
    """Drive `source` to its end: every window encoded, every signature published.

    `hop` in grid samples overrides the model's. Source, encoder and sink are opened and closed by the caller; what they
    raise passes through, and what was published before stays published. Raises InputError for a source without a
    gyroscope: every model needs one.
    """
    card = encoder.card
    resampler = Resampler(source.rate_hz, grid_hz=card.rate_hz, max_gap_s=card.max_gap_s)
    windower = _windower(card, hop)
    began = time.monotonic()
    grid_samples = windows = signatures = on_edgetpu = 0
    for block in _grid(source, resampler):
        grid_samples += len(block)
        batch = windower.push(block)
        if len(batch):
            made = encoder.encode(batch)
            sink.publish(made)
            windows += len(batch)
            signatures += len(made)
            on_edgetpu += int(np.count_nonzero(made.quality & Quality.EDGE_TPU))
    counts = resampler.counts
    return Summary(
        samples=counts.samples,
        not_finite=counts.not_finite,
        bridged=counts.bridged,
        gaps=counts.gaps,
        windows=windows,
        signatures=signatures,
        covered_s=grid_samples / card.rate_hz,
        elapsed_s=time.monotonic() - began,
        model=card.name,
        device=encoder.device,
        on_edgetpu=on_edgetpu,
    )


def _windower(card: ModelCard, hop: int | None) -> Windower:
    return Windower(length=card.length, hop=card.hop if hop is None else hop, grid_hz=card.rate_hz)


def _grid(source: Stream, resampler: Resampler) -> Iterator[SampleBlock]:
    turns, still = False, 0  # whether an angular rate was seen, and how many samples came without one
    for block in source:
        if not turns:
            turns = bool(np.isfinite(block.data[:, 3:]).any())
            still += int(np.isfinite(block.data[:, :3]).all(axis=1).sum())
            _require_gyroscope(turns or still < _PATIENCE_S * source.rate_hz)
        # However much a source delivers at once, memory holds the windows of a few thousand samples.
        for first in range(0, max(len(block), 1), _BLOCK):
            part = slice(first, first + _BLOCK)
            yield from resampler.push(SampleBlock(block.time_ns[part], block.data[part], block.gap and not first))
    _require_gyroscope(turns or not still)
    yield from resampler.flush()


def _require_gyroscope(there: bool) -> None:
    if not there:
        raise InputError(
            "samples: expected acceleration and angular rate, got NaN for every angular rate; a signature needs a "
            "sensor that has a gyroscope, too"
        )


def signature_stream_id(source_stream_id: int, card: ModelCard, hop: int) -> int:
    """Return the stream id under which signatures of a stream of samples are published, 0 to 2^63 - 1.

    The same samples through the same encoder at the same hop give the same id: replayed twice they are stored once, and
    a replay of what a device recorded repeats what it published. Another model or hop never collides.
    """
    digest = hashlib.sha256(f"{source_stream_id} {hop} ".encode() + card.fingerprint).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, eq=False)
class _Array:
    """One continuous array as a stream; the time of sample i is computed from i."""

    data: NDArray[np.float32]
    rate_hz: float
    start_ns: int

    def __iter__(self) -> Iterator[SampleBlock]:
        for first in range(0, len(self.data), _BLOCK):
            rows = self.data[first : first + _BLOCK]
            offset_ns = np.rint(np.arange(first, first + len(rows)) * (NS_PER_S / self.rate_hz)).astype(np.int64)
            yield sample_block(self.start_ns + offset_ns, rows)


class _Collected:
    """The Sink of `extract`: keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[SignatureBatch] = []

    def publish(self, signatures: SignatureBatch) -> None:
        self.batches.append(signatures)


def extract(
    data: ArrayLike,
    *,
    rate_hz: float,
    start_ns: int = 0,
    model: str | Path | None = None,
    device: str = "cpu",
    hop: int | None = None,
) -> SignatureBatch:
    """Return the signatures of one continuous recording `data` (n, 6): acc in m/s², gyr in rad/s, sensor frame.

    Exactly what `run` makes of it. Samples that are not finite are losses. Less than one window gives an empty batch.
    Raises InputError for another shape, a rate outside 10 to 8,000 Hz or a hop below 1.
    """
    samples = np.asarray(data, np.float32)
    if samples.ndim != 2 or samples.shape[1] != len(CHANNELS):
        raise InputError(f"data: expected (n, 6) with columns {', '.join(CHANNELS)}, got {samples.shape}")
    with open_encoder(model, device) as encoder:
        sink = _Collected()
        # One empty batch first, so that too little data is an empty result and not a special case.
        sink.publish(encoder.encode(_windower(encoder.card, hop).push(SampleBlock(np.empty(0, np.int64), samples[:0]))))
        run(_Array(samples, rate_hz, start_ns), encoder, sink, hop=hop)
    return concatenate(sink.batches)
