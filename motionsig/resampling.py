"""From the sensor's clock and rate to the model's uniform grid.

A stretch of samples without a gap is a segment. Its grid starts at its first sample and has floor(duration * rate)
points, where the duration counts one period for every sample, the last one included. So the number of windows follows
from the duration alone, at any rate, and the filter takes no samples away at either end.

The method: the time stamps give each grid point a fractional place between two samples; around that place a
Kaiser-windowed sinc is applied to the samples as if they were evenly spaced (J. O. Smith & P. Gossett 1984, "A
flexible sampling-rate conversion method"). It removes the frequencies that the grid would alias, and needs 0.18 s of
samples after the grid point, at every rate. Where the source is no faster than the grid, the filter only interpolates,
and a grid point at a sample's time is that sample. `filter_bank` has the taps.

Every output is computed from its own inputs by the same operations in the same order, so any cutting of the input
into blocks gives the same bytes. That is why the samples are held channel by channel: each output is then one sum over
contiguous samples, whose order follows from the number of taps alone. The order in a matrix product depends on the
shape of the block.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError
from motionsig.filter_bank import HALF_WIDTH_S, filter_bank
from motionsig.quality import Quality

# Like the front end, these constants decide every signature. Whoever changes one raises frontend.VERSION, so that the
# fingerprints differ, and writes the measured change into the changelog under "Signal changes".

SNAP = 1e-3
"""A grid point closer to a sample than this part of a period is that sample: far below any sensor's jitter."""

LOSS_PERIODS = 1.75
"""A sample was lost between two that are further apart than this many periods. Without a loss, only jitter of a third
of a period reaches it; with a loss the distance is at least 1.9 periods, even where the clock is 5 % fast."""

RATES_HZ = (10, 8000)
"""Below, most of a signature would be interpolated; above, the number cannot be a motion sensor's rate."""

_CHUNK = 1 << 17
"""Samples gathered at a time, half a megabyte: more would leave the processor's cache."""

_BEFORE_AND_AFTER = np.array([[-1], [0]])

_Emitted = tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32] | None]


@dataclass
class ResamplerCounts:
    """Samples pushed; of those, not finite and so lost; losses bridged; gaps, each of which ended a segment."""

    samples: int = 0
    not_finite: int = 0
    bridged: int = 0
    gaps: int = 0


@dataclass
class _Segment:
    """The part of the current segment that outputs may still need, and how far the outputs have come.

    time_ns: (n,). data: (channels, n). quality: (n,), or None where all are clear.
    """

    time_ns: NDArray[np.int64]
    data: NDArray[np.float32]
    quality: NDArray[np.uint8] | None
    start_ns: int
    length: int = 0  # samples so far, bridged ones included
    emitted: int = 0  # grid points so far
    padded: bool = False  # the reflection before the first sample is in place


class Resampler:
    """From SampleBlocks at the nominal `rate_hz` to SampleBlocks on a uniform grid of `grid_hz` samples per second.

    >>> resampler = motionsig.Resampler(100, grid_hz=50)
    >>> grid = resampler.push(motionsig.sample_block(np.arange(1000) * 10_000_000, data)) + resampler.flush()
    >>> sum(len(block) for block in grid), resampler.counts.gaps
    (500, 0)

    A loss of at most `max_gap_s` seconds is bridged by a straight line and flagged; a longer one, or a step back in
    time, ends the segment. Samples that are not finite count as lost. `counts`: samples, not_finite, bridged and gaps
    so far. A grid point comes out with the first sample that is 0.18 s later, and never before `wait_ns` later, however
    fast the sensor's clock. It holds no clock and no file: copy or pickle it to stop and resume.
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
        self.wait_ns = 0 if self._interpolates else round(0.9 * HALF_WIDTH_S * NS_PER_S - self._period_ns)
        self._bank = filter_bank(self._rate_hz, grid_hz, interpolate=self._interpolates)
        self._segment: _Segment | None = None
        self._loss_reported = False  # by the source, and not yet attached to a sample
        self._gap_before = False  # a segment has ended and the next has not put out its first block
        self.counts = ResamplerCounts()

    def __repr__(self) -> str:
        return f"Resampler({self._rate_hz:g} Hz to {self._grid_hz:g} Hz: {self.counts})"

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle holds: nothing that the two share, and not the taps, which rates determine."""
        state = self.__dict__ | {"counts": copy.copy(self.counts), "_segment": copy.copy(self._segment)}
        del state["_bank"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bank = filter_bank(self._rate_hz, self._grid_hz, interpolate=self._interpolates)

    def push(self, block: SampleBlock) -> list[SampleBlock]:
        """Take the next samples; return the blocks that no later sample can change, at most one per segment."""
        self.counts.samples += len(block)
        self._loss_reported |= block.gap
        time_ns, data, quality = block.time_ns, block.data, block.quality
        finite = np.isfinite(data)
        if len(data) and not finite.item(finite.argmin()):
            whole = np.logical_and.reduce(finite, axis=1)
            self.counts.not_finite += int(np.count_nonzero(~whole))
            time_ns, data = time_ns[whole], data[whole]
            quality = None if quality is None else quality[whole]
        if not len(time_ns):
            return []
        segment = self._segment
        before_ns = segment.time_ns if segment else time_ns[:1] - round(self._period_ns)
        joined_ns = np.concatenate([before_ns, time_ns])
        steps = joined_ns[len(before_ns) :] - joined_ns[len(before_ns) - 1 : -1]
        if segment and not self._loss_reported:
            # The way of nearly all blocks. Small ones take their time in calls of numpy, not in samples: so there are
            # few calls here and in _filtered, and argmin, as min takes six times as long.
            least, most = steps.item(steps.argmin()), steps.item(steps.argmax())
            if least > 0 and most <= self._loss_ns:
                on_grid = least == most == self._step_ns and self._is_on_the_grid(segment)
                _keep(segment, joined_ns, data, quality)
                if not on_grid:
                    return self._emit()
                segment.emitted += len(time_ns)
                _drop(segment, len(joined_ns) - 1 - self._bank.behind)
                return [SampleBlock(time_ns, data, False, _flags(quality, len(time_ns)))]
        breaks = np.flatnonzero((steps > self._break_ns) | (steps <= 0))
        quality = _flags(quality, len(time_ns))
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

    def _is_on_the_grid(self, segment: _Segment) -> bool:
        """Tell whether all samples so far are grid points; where the next are, too, nothing needs to be worked out."""
        last_ns = segment.start_ns + (segment.emitted - 1) * self._step_ns
        return self._interpolates and segment.padded and int(segment.time_ns[-1]) == last_ns

    def _append(self, time_ns: NDArray[np.int64], data: NDArray[np.float32], quality: NDArray[np.uint8]) -> None:
        if self._segment is None:
            self._segment = _Segment(time_ns[:0], data[:0].T, None, start_ns=int(time_ns[0]))
            joined_time, joined_data = time_ns, data
        else:
            joined_time = np.concatenate([self._segment.time_ns[-1:], time_ns])
            joined_data = np.concatenate([self._segment.data[:, -1:].T, data])
        segment = self._segment
        steps = np.diff(joined_time)
        if len(steps) and steps.max() > self._loss_ns:
            time_ns, data, quality = self._bridge(joined_time, joined_data, quality)
        joined_time = np.concatenate([segment.time_ns, time_ns])
        _keep(segment, joined_time, data, quality if quality.any() else None)

    def _bridge(
        self, time_ns: NDArray[np.int64], data: NDArray[np.float32], quality: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]:
        """Fill each loss with evenly spaced samples on a straight line.

        `quality` is that of the new samples, the last len(quality) of `time_ns`; so are the arrays returned.
        """
        steps = np.diff(time_ns)
        parts = np.where(steps > self._loss_ns, np.rint(steps / self._period_ns), 1).astype(np.intp)
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
        segment, bank = self._segment, self._bank
        assert segment is not None
        start_ns, step_ns = segment.start_ns, self._step_ns
        period_ns, points = self._period_ns, 0
        if final:
            # One period per sample: the segment lasts until where its next sample would have been.
            spanned = int(segment.time_ns[-1]) - start_ns
            period_ns = spanned / (segment.length - 1) if segment.length > 1 else self._period_ns
            points = int((spanned + period_ns) / step_ns + SNAP)
        if not segment.padded and (final or len(segment.time_ns) > bank.behind):
            _reflect(segment, bank.behind, 0, self._period_ns)
            segment.padded = True
        if final:
            _reflect(segment, 0, bank.ahead + 2, period_ns)
        elif self._interpolates:
            points = (segment.time_ns.item(-1) + self._snap_ns - start_ns) // step_ns + 1
        elif segment.padded:
            points = (segment.time_ns.item(-bank.ahead) - 1 - start_ns) // step_ns + 1
        if points <= segment.emitted:
            return []
        begin_ns, end_ns = start_ns + segment.emitted * step_ns, start_ns + points * step_ns
        grid_ns = np.arange(begin_ns, end_ns, step_ns, dtype=np.int64)
        right, data, above = (self._interpolated if self._interpolates else self._filtered)(segment, grid_ns)
        count = len(right)
        if not count:
            return []
        grid_ns = grid_ns[:count]
        block = SampleBlock(grid_ns, data, self._gap_before, self._quality(segment, grid_ns), above=above)
        self._gap_before = False
        segment.emitted += count
        if segment.padded:
            _drop(segment, right.item(-1) - bank.behind)
        return [block]

    def _filtered(self, segment: _Segment, grid_ns: NDArray[np.int64]) -> _Emitted:
        """Return what is settled: the first sample (k,) after each grid point, its data (k, 6) and `above` (k, 2)."""
        right = segment.time_ns.searchsorted(grid_ns, "right")
        row, first = self._place(segment, grid_ns, right)
        most = len(segment.time_ns) - self._bank.taps.shape[1]
        if first.item(-1) > most:
            count = int(first.searchsorted(most, "right"))
            right, row, first = right[:count], row[:count], first[:count]
        return right, *self._apply(segment, row, first)

    def _interpolated(self, segment: _Segment, grid_ns: NDArray[np.int64]) -> _Emitted:
        """Return the same where the source is no faster than the grid: a grid point at a sample is that sample."""
        held = len(segment.time_ns)
        right = segment.time_ns.searchsorted(grid_ns + self._snap_ns, "right")
        between = np.flatnonzero(grid_ns - segment.time_ns[right - 1] > self._snap_ns)
        known = between[right[between] < held] if segment.padded else between[:0]
        row, first = self._place(segment, grid_ns[known], right[known])
        settled = int(np.count_nonzero(first + self._bank.taps.shape[1] <= held))
        if settled < len(between):
            right, between = right[: between[settled]], between[:settled]
        data = np.ascontiguousarray(segment.data[:, right - 1].T)
        if settled:
            data[between], _ = self._apply(segment, row[:settled], first[:settled])
        return right, data, None

    def _place(
        self, segment: _Segment, grid_ns: NDArray[np.int64], right: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the row of taps for each grid point, and the sample of its first tap."""
        before_ns, after_ns = segment.time_ns.take(right + _BEFORE_AND_AFTER)
        place = (grid_ns - before_ns) / (after_ns - before_ns)
        row = np.rint(place * self._bank.places).astype(np.intp)
        return row, self._bank.first.take(row) + right

    def _apply(
        self, segment: _Segment, row: NDArray[np.intp], first: NDArray[np.intp]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return data (k, 6) and `above` (k, 2): each row of taps applied to the samples from `first`."""
        taps, samples = self._bank.taps, np.ascontiguousarray(segment.data)
        (channels, count), width = samples.shape, taps.shape[1]
        # [first] is (channels, width). sliding_window_view takes longer than all the rest for a few samples.
        windows = np.ndarray((count - width + 1, channels, width), np.float32, samples, 0, (4, 4 * count, 4))
        most = _CHUNK // (channels * width)
        parts = [slice(begin, begin + most) for begin in range(0, max(len(row), 1), most)]
        made = [self._sums(row[part], windows[first[part]]) for part in parts]
        if len(made) == 1:
            return made[0]
        data, above = zip(*made, strict=True)
        return np.concatenate(data), np.concatenate(above)

    def _sums(
        self, row: NDArray[np.intp], around: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return data (k, 6) and `above` (k, 2) of the samples (k, 6, width) around each grid point.

        `above` is empty where there is no low-pass.
        """
        bank = self._bank
        data = np.einsum("kt,kct->kc", bank.taps.take(row, 0), around)
        if self._interpolates:
            return data, data[:0, :2]
        # As doubles, for gravity's square is large.
        squares = np.concatenate([around[:, :, bank.cell], data[:, :, None]], axis=2, dtype=np.float64)
        np.square(squares, out=squares)
        squares = squares.reshape(len(row), 2, 3, squares.shape[2])
        return data, np.einsum("ksat,kt->ks", squares, bank.shares.take(row, 0)).astype(np.float32)

    def _quality(self, segment: _Segment, grid_ns: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (k,): what is flagged at a grid point's samples or between it and the grid point before."""
        if segment.quality is None:
            return _flags(None, len(grid_ns))
        points_ns = np.concatenate([grid_ns[:1] - self._step_ns, grid_ns])
        left = segment.time_ns.searchsorted(points_ns + self._snap_ns, "right") - 1
        snapped = points_ns - segment.time_ns[left] <= self._snap_ns
        right = np.where(snapped, left, np.minimum(left + 1, len(segment.time_ns) - 1))[1:]
        first = np.minimum(left[:-1] + 1, left[1:])
        spans = np.stack([first, right + 1], axis=1).ravel()
        flags: NDArray[np.uint8] = np.bitwise_or.reduceat(np.append(segment.quality, np.uint8(0)), spans)[::2]
        return flags


def _keep(
    segment: _Segment, joined_ns: NDArray[np.int64], data: NDArray[np.float32], quality: NDArray[np.uint8] | None
) -> None:
    """Append samples (n, 6); `joined_ns` are the times of those held and of these."""
    if quality is not None or segment.quality is not None:
        held = _flags(segment.quality, len(segment.time_ns))
        segment.quality = np.concatenate([held, _flags(quality, len(data))])
    segment.time_ns = joined_ns
    segment.data = np.concatenate([segment.data, data.T], axis=1, dtype=np.float32)
    segment.length += len(data)


def _flags(quality: NDArray[np.uint8] | None, count: int) -> NDArray[np.uint8]:
    return np.zeros(count, np.uint8) if quality is None else quality


def _drop(segment: _Segment, count: int) -> None:
    """Forget the first `count` samples, if that is a number above 0."""
    first = max(0, count)
    segment.time_ns, segment.data = segment.time_ns[first:], segment.data[:, first:]
    if segment.quality is not None:
        segment.quality = segment.quality[first:] if segment.quality[first:].any() else None


def _reflect(segment: _Segment, before: int, after: int, period_ns: float) -> None:
    """Extend the segment past its ends by point reflection, which keeps value and slope."""
    data = np.pad(segment.data, ((0, 0), (before, after)), mode="reflect", reflect_type="odd")
    head = segment.time_ns[0] - np.rint(np.arange(before, 0, -1) * period_ns).astype(np.int64)
    tail = segment.time_ns[-1] + np.rint(np.arange(1, after + 1) * period_ns).astype(np.int64)
    segment.time_ns = np.concatenate([head, segment.time_ns, tail])
    segment.data = np.asarray(data, np.float32)
    if segment.quality is not None:
        segment.quality = np.pad(segment.quality, (before, after))
