"""From the sensor's clock and rate to the model's uniform grid.

A stretch of samples without a gap is a segment. Its grid starts at its first sample and has floor(duration * rate)
points, where the duration counts one period for every sample, the last one included. So the number of windows follows
from the duration alone, at any rate, and the filter takes no samples away at either end.

The method: the time stamps give each grid point a fractional place between two samples; around that place a
Kaiser-windowed sinc is applied to the samples as if they were evenly spaced (J. O. Smith & P. Gossett 1984, "A
flexible sampling-rate conversion method"). Its cut-off removes the frequencies that the grid would alias. Where the
source is no faster than the grid, the filter only interpolates, and a grid point at a sample's time is that sample.

Every output is computed from its own inputs by the same operations in the same order, so any cutting of the input
into blocks gives the same bytes. That is why the taps are summed by a loop and not by a matrix product, whose order of
summation depends on the shape of the block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import Quality, SampleBlock
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError

# Like the front end, these constants decide every signature. Whoever changes one raises frontend.VERSION, so that the
# fingerprints differ, and writes the measured change into the changelog under "Signal changes".

HALF_WIDTH = 16
"""Zero crossings of the sinc on either side: 32 taps where no low-pass is needed."""

KAISER_BETA = 6.76
"""About 70 dB of stop-band attenuation (Kaiser 1974: beta = 0.1102 (A - 8.7))."""

CUTOFF = 0.46
"""Cut-off of the low-pass in units of the grid's rate, so that the transition ends just past half of it."""

PHASES = 256
"""Tabulated places between two samples; linear interpolation between them leaves an error of -94 dB."""

SNAP = 1e-3
"""A grid point closer to a sample than this part of a period is that sample: far below any sensor's jitter."""

LOSS_PERIODS = 1.75
"""A sample was lost between two that are further apart than this many periods. Without a loss, only jitter of a third
of a period reaches it; with a loss the distance is at least 1.9 periods, even where the clock is 5 % fast."""

RATES_HZ = (10, 8000)
"""Below, most of a signature would be interpolated; above, the number cannot be a motion sensor's rate."""

_MARGIN = 4
"""Samples kept beyond the filter's reach, for the reflection at the end of a segment, however the input was cut."""


@dataclass
class ResamplerCounts:
    """Samples pushed; of those, not finite and so lost; losses bridged; gaps, each of which ended a segment."""

    samples: int = 0
    not_finite: int = 0
    bridged: int = 0
    gaps: int = 0


@dataclass
class _Segment:
    """The part of the current segment that outputs may still need, and how far the outputs have come."""

    time_ns: NDArray[np.int64]
    data: NDArray[np.float32]
    quality: NDArray[np.uint8]
    start_ns: int
    length: int = 0  # samples so far, bridged ones included
    emitted: int = 0  # grid points so far
    padded: bool = False  # the reflection before the first sample is in place


def _filter_bank(rate_hz: float, grid_hz: float, interpolate: bool) -> NDArray[np.float32]:
    """Return the taps (PHASES + 1, 2 * reach) for a source at `rate_hz`; row p serves the place p / PHASES."""
    # In cycles per source sample. At 0.5 the sinc is zero at every sample but its own: pure interpolation.
    cutoff = 0.5 if interpolate else min(0.5, CUTOFF * grid_hz / rate_hz)
    reach = int(np.ceil(HALF_WIDTH * 0.5 / cutoff))
    place = np.arange(PHASES + 1)[:, None] / PHASES
    distance = np.arange(1 - reach, reach + 1)[None, :] - place
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None)))
    taps = np.sinc(2 * cutoff * distance) * window
    # Constant input gives constant output at every place: gravity is the largest thing in the signal.
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), np.float32)


class Resampler:
    """From SampleBlocks at the nominal `rate_hz` to SampleBlocks on a uniform grid of `grid_hz` samples per second.

    >>> resampler = motionsig.Resampler(100, grid_hz=50)
    >>> grid = resampler.push(motionsig.sample_block(np.arange(1000) * 10_000_000, data)) + resampler.flush()
    >>> sum(len(block) for block in grid), resampler.counts.gaps
    (500, 0)

    A loss of at most `max_gap_s` seconds is bridged by a straight line and flagged; a longer one, or a step back in
    time, ends the segment. Samples that are not finite count as lost. `counts`: samples, not_finite, bridged and gaps
    so far. It holds no clock and no file: copy or pickle it to stop and resume.
    """

    def __init__(self, rate_hz: float, *, grid_hz: float = 50.0, max_gap_s: float = 0.05) -> None:
        """Raise InputError for a `rate_hz` outside 10 to 8,000, which no motion sensor has."""
        try:
            known = RATES_HZ[0] <= rate_hz <= RATES_HZ[1]
        except TypeError:
            known = False
        if not known:
            raise InputError(
                f"rate_hz: expected {RATES_HZ[0]} to {RATES_HZ[1]} samples per second, got {rate_hz!r}; "
                "a signature covers 2.56 s at 50 Hz"
            )
        self._rate_hz, self._grid_hz = float(rate_hz), grid_hz
        self._period_ns = NS_PER_S / self._rate_hz
        self._step_ns = round(NS_PER_S / grid_hz)
        self._loss_ns = round(LOSS_PERIODS * self._period_ns)
        self._break_ns = max(self._loss_ns, round(self._period_ns + max_gap_s * NS_PER_S))
        self._snap_ns = round(SNAP * self._period_ns)
        self._interpolates = rate_hz <= grid_hz * 1.001
        self._taps = _filter_bank(rate_hz, grid_hz, self._interpolates)
        self._reach = self._taps.shape[1] // 2
        self._segment: _Segment | None = None
        self._loss_reported = False  # by the source, and not yet attached to a sample
        self._gap_before = False  # a segment has ended and the next has not put out its first block
        self.counts = ResamplerCounts()

    def __repr__(self) -> str:
        return f"Resampler({self._rate_hz:g} Hz to {self._grid_hz:g} Hz: {self.counts})"

    def push(self, block: SampleBlock) -> list[SampleBlock]:
        """Take the next samples; return the blocks that no later sample can change, at most one per segment."""
        self.counts.samples += len(block)
        self._loss_reported |= block.gap
        time_ns, data = block.time_ns, block.data
        quality = np.zeros(len(block), np.uint8) if block.quality is None else block.quality
        if not np.isfinite(data).all():
            finite = np.isfinite(data).all(axis=1)
            self.counts.not_finite += int(np.count_nonzero(~finite))
            time_ns, data, quality = time_ns[finite], data[finite], quality[finite]
        if not len(time_ns):
            return []
        segment = self._segment
        before = segment.time_ns[-1] if segment else time_ns[0] - round(self._period_ns)
        steps = np.diff(time_ns, prepend=before)
        if segment and self._goes_on_along_the_grid(segment, steps):
            self._keep(segment, time_ns, data, quality)
            segment.emitted += len(time_ns)
            _drop(segment, len(segment.time_ns) - self._reach - _MARGIN)
            return [SampleBlock(time_ns, data, False, quality)]
        breaks = np.flatnonzero((steps > self._break_ns) | (steps <= 0))
        if self._loss_reported:
            self._loss_reported = False
            if segment and not (len(breaks) and breaks[0] == 0):
                quality = quality.copy()
                quality[0] |= Quality.BRIDGED
        out = []
        for first, last in zip((0, *breaks), (*breaks, len(time_ns)), strict=True):
            if first < last:
                self._append(time_ns[first:last], data[first:last], quality[first:last])
                out += self._emit()
            if last < len(time_ns):
                out += self.flush()
                self.counts.gaps += 1
        return out

    def flush(self) -> list[SampleBlock]:
        """End the segment; return the blocks that are left of it. The next sample starts a new segment."""
        if self._segment is None:
            return []
        out = self._emit(final=True)
        self._segment = None
        self._gap_before = True
        return out

    def _goes_on_along_the_grid(self, segment: _Segment, steps: NDArray[np.int64]) -> bool:
        """Tell whether these samples and all before them are grid points: then nothing needs to be worked out."""
        if not (self._interpolates and segment.padded and not self._loss_reported):
            return False
        last_ns = segment.start_ns + (segment.emitted - 1) * self._step_ns
        return bool(segment.time_ns[-1] == last_ns and (steps == self._step_ns).all())

    def _append(self, time_ns: NDArray[np.int64], data: NDArray[np.float32], quality: NDArray[np.uint8]) -> None:
        if self._segment is None:
            self._segment = _Segment(time_ns[:0], data[:0], quality[:0], start_ns=int(time_ns[0]))
            joined_time, joined_data = time_ns, data
        else:
            joined_time = np.concatenate([self._segment.time_ns[-1:], time_ns])
            joined_data = np.concatenate([self._segment.data[-1:], data])
        segment = self._segment
        steps = np.diff(joined_time)
        if len(steps) and steps.max() > self._loss_ns:
            time_ns, data, quality = self._bridge(joined_time, joined_data, quality)
        self._keep(segment, time_ns, data, quality)

    def _keep(
        self, segment: _Segment, time_ns: NDArray[np.int64], data: NDArray[np.float32], quality: NDArray[np.uint8]
    ) -> None:
        segment.time_ns = np.concatenate([segment.time_ns, time_ns])
        segment.data = np.concatenate([segment.data, data])
        segment.quality = np.concatenate([segment.quality, quality])
        segment.length += len(time_ns)

    def _bridge(
        self, time_ns: NDArray[np.int64], data: NDArray[np.float32], quality: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]:
        """Fill each loss with evenly spaced samples on a straight line.

        `quality` is that of the new samples, the last len(quality) of `time_ns`; so are the arrays returned.
        """
        steps = np.diff(time_ns)
        parts = np.where(steps > self._loss_ns, np.rint(steps / self._period_ns), 1).astype(np.int64)
        self.counts.bridged += int(np.count_nonzero(parts > 1))
        left = np.repeat(np.arange(len(steps)), parts)
        part = np.arange(len(left)) - np.repeat(np.cumsum(parts) - parts, parts) + 1
        filled = part < parts[left]
        share = (part / parts[left]).astype(np.float32)[:, None]
        new_time = time_ns[left] + steps[left] * part // parts[left]
        new_data = np.where(filled[:, None], data[left] + (data[left + 1] - data[left]) * share, data[left + 1])
        new_quality = np.where(filled, np.uint8(Quality.BRIDGED), quality[left + len(quality) - len(steps)])
        if len(quality) == len(time_ns):  # the segment starts here: its first sample has no step before it
            return (
                np.concatenate([time_ns[:1], new_time]),
                np.concatenate([data[:1], new_data]),
                np.concatenate([quality[:1], new_quality]),
            )
        return new_time, new_data, new_quality

    def _emit(self, *, final: bool = False) -> list[SampleBlock]:
        """Return the grid points that are settled; at the end of a segment all that are left."""
        segment, reach = self._segment, self._reach
        assert segment is not None
        if final:
            # One period per sample: the segment lasts until where its next sample would have been.
            spanned = int(segment.time_ns[-1]) - segment.start_ns
            period_ns = spanned / (segment.length - 1) if segment.length > 1 else self._period_ns
            points = int((spanned + period_ns) / self._step_ns + SNAP)
        else:
            points = (int(segment.time_ns[-1]) + self._snap_ns - segment.start_ns) // self._step_ns + 1
        if not segment.padded and (final or len(segment.time_ns) > reach):
            _reflect(segment, reach, 0, self._period_ns)
            segment.padded = True
        known = len(segment.time_ns)
        if final:
            _reflect(segment, 0, reach + 2, period_ns)

        grid_ns = segment.start_ns + np.arange(segment.emitted, points, dtype=np.int64) * self._step_ns
        left = np.searchsorted(segment.time_ns, grid_ns + self._snap_ns, side="right") - 1
        snapped = grid_ns - segment.time_ns[left] <= self._snap_ns
        if not final:
            settled = left + reach < known if segment.padded else np.zeros(len(left), bool)
            if self._interpolates:
                settled |= snapped
            count = len(settled) if settled.all() else int(np.argmin(settled))
            grid_ns, left, snapped = grid_ns[:count], left[:count], snapped[:count]
        out = []
        if len(grid_ns):
            right = np.where(snapped, left, np.minimum(left + 1, len(segment.time_ns) - 1))
            quality = self._quality(segment, grid_ns, left, right)
            data = self._interpolate(segment, grid_ns, left, right, snapped)
            out = [SampleBlock(grid_ns, data, self._gap_before, quality)]
            self._gap_before = False
            segment.emitted += len(grid_ns)
        if segment.padded:
            upcoming_ns = segment.start_ns + segment.emitted * self._step_ns
            upcoming = int(np.searchsorted(segment.time_ns, upcoming_ns, side="right")) - 1
            _drop(segment, min(upcoming - 1, known - _MARGIN) - reach)
        return out

    def _quality(
        self, segment: _Segment, grid_ns: NDArray[np.int64], left: NDArray[np.intp], right: NDArray[np.intp]
    ) -> NDArray[np.uint8]:
        """Return (len(left),): what is flagged at a grid point's samples or between it and the grid point before."""
        if not segment.quality.any():
            return np.zeros(len(left), np.uint8)
        before = np.searchsorted(segment.time_ns, grid_ns[:1] - self._step_ns + self._snap_ns, side="right") - 1
        first = np.minimum(np.concatenate([before, left[:-1]]) + 1, left)
        spans = np.stack([first, right + 1], axis=1).ravel()
        flags: NDArray[np.uint8] = np.bitwise_or.reduceat(np.append(segment.quality, np.uint8(0)), spans)[::2]
        return flags

    def _interpolate(
        self,
        segment: _Segment,
        grid_ns: NDArray[np.int64],
        left: NDArray[np.intp],
        right: NDArray[np.intp],
        snapped: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """Return (len(left), 6): the filter applied around each grid point."""
        out = segment.data[left]
        rows = np.flatnonzero(~snapped) if self._interpolates else np.arange(len(left))
        if not len(rows):
            return out
        left, right, snapped, grid_ns = left[rows], right[rows], snapped[rows], grid_ns[rows]
        width = np.where(snapped, 1, segment.time_ns[right] - segment.time_ns[left])
        place = np.where(snapped, 0.0, (grid_ns - segment.time_ns[left]) / width * PHASES)
        phase = np.minimum(place.astype(np.intp), PHASES - 1)
        between = (place - phase).astype(np.float32)[:, None]
        taps = self._taps[phase]
        taps += (self._taps[phase + 1] - taps) * between
        total = np.zeros((len(rows), len(CHANNELS)), np.float32)
        first = left - (self._reach - 1)
        for tap in range(2 * self._reach):
            total += taps[:, tap, None] * segment.data[first + tap]
        out[rows] = total
        return out


def _drop(segment: _Segment, count: int) -> None:
    """Forget the first `count` samples, if that is a number above 0."""
    first = max(0, count)
    segment.time_ns, segment.data = segment.time_ns[first:], segment.data[first:]
    segment.quality = segment.quality[first:]


def _reflect(segment: _Segment, before: int, after: int, period_ns: float) -> None:
    """Extend the segment past its ends by point reflection, which keeps value and slope."""
    data = np.pad(segment.data, ((before, after), (0, 0)), mode="reflect", reflect_type="odd")
    head = segment.time_ns[0] - np.rint(np.arange(before, 0, -1) * period_ns).astype(np.int64)
    tail = segment.time_ns[-1] + np.rint(np.arange(1, after + 1) * period_ns).astype(np.int64)
    segment.time_ns = np.concatenate([head, segment.time_ns, tail])
    segment.data = np.asarray(data, np.float32)
    segment.quality = np.pad(segment.quality, (before, after))
