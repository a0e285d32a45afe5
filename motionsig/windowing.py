"""From a uniform stream to overlapping windows."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, WindowBatch
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError
from motionsig.quality import flags_of

_MOST = 1_000_000
"""Samples; five and a half hours at 50 Hz, so that no time computed from a hop can overflow."""


class Windower:
    """From samples on the grid to windows of `length` samples; each window starts `hop` samples after the one before.

    >>> windower = motionsig.Windower(length=128, hop=64)
    >>> times = np.arange(200) * 20_000_000  # 50 Hz
    >>> len(windower.push(motionsig.sample_block(times[:100], data[:100])))
    0
    >>> windower.push(motionsig.sample_block(times[100:], data[100:200])).data.shape
    (2, 128, 6)

    `grid_hz`: samples per second. The first window of a segment starts at its first sample; no window spans a gap.
    `samples`, `windows`: how many it took and returned so far. It holds no clock and no file: copy or pickle it to stop
    and resume.
    """

    def __init__(self, *, length: int, hop: int, grid_hz: float = 50.0) -> None:
        """Raise InputError for a length or a hop that is no integer from 1 to 1,000,000."""
        self.length, self.hop = _checked(length, hop)
        self.samples = 0
        self.windows = 0
        self._step_ns = round(NS_PER_S / grid_hz)
        self._forget()

    def _forget(self) -> None:
        self._time_ns = np.empty(0, np.int64)
        self._data = np.empty((0, len(CHANNELS)), np.float32)
        self._quality = np.empty(0, np.uint8)
        self._above = np.empty((0, 2), np.float32)
        self._skip = 0  # samples to pass over before the next window, where hop > length
        self._number = 0  # of the next window since the last gap

    @property
    def hop_ns(self) -> int:
        """The hop as a time."""
        return self.hop * self._step_ns

    def set_hop(self, hop: int) -> None:
        """Let windows start `hop` samples apart from the next one on that both hops have: no sample is lost.

        Raises InputError for a hop that is no multiple and no part of the former.
        """
        _, hop = _checked(self.length, hop)
        if hop % self.hop and self.hop % hop:
            raise InputError(f"windower: expected a multiple or a part of the hop of {self.hop} samples, got {hop}")
        first = self._number * self.hop  # of the next window, in samples since the last gap
        self._number = -(-first // hop)
        self._skip += self._number * hop - first
        self.hop = hop

    def __repr__(self) -> str:
        return (
            f"Windower(length={self.length}, hop={self.hop}: {self.samples} samples to {self.windows} windows so far)"
        )

    def push(self, block: SampleBlock) -> WindowBatch:
        """Take the next samples of the grid; return the windows that they complete, an empty batch if there is none."""
        self.samples += len(block)
        if block.gap:
            self._forget()
        time_ns = np.concatenate([self._time_ns, block.time_ns])[self._skip :]
        data = np.concatenate([self._data, block.data])[self._skip :]
        flags = np.zeros(len(block), np.uint8) if block.quality is None else block.quality
        flags = np.concatenate([self._quality, flags])[self._skip :]
        above = np.zeros((len(block), 2), np.float32) if block.above is None else block.above
        above = np.concatenate([self._above, above])[self._skip :]
        skip = max(0, self._skip - len(self._data) - len(block))

        count = max(0, (len(data) - self.length) // self.hop + 1)
        self.windows += count
        number, self._number = self._number, self._number + count
        used = count * self.hop
        self._skip = skip + max(0, used - len(data))
        self._time_ns, self._data = time_ns[used:], data[used:]
        self._quality, self._above = flags[used:], above[used:]
        if not count:
            none = np.empty((0, self.length, len(CHANNELS)), np.float32)
            return WindowBatch(time_ns[:0], none, flags[:0], self.hop_ns, number)
        windows = self._cut(data, used).transpose(0, 2, 1)
        quality = np.bitwise_or.reduce(self._cut(flags, used), axis=1)
        quality |= flags_of(windows, self._cut(above, used).transpose(0, 2, 1) if above.any() else None)
        return WindowBatch(time_ns[: used : self.hop], windows, quality, self.hop_ns, number)

    def _cut(self, array: NDArray[Any], used: int) -> NDArray[Any]:
        """Return a view of the windows that begin in the first `used` rows, time last."""
        return sliding_window_view(array, self.length, axis=0)[: used : self.hop]


def _checked(length: int, hop: int) -> tuple[int, int]:
    try:
        length, hop = operator.index(length), operator.index(hop)
    except TypeError as error:
        raise InputError(f"windower: expected integers as length and hop, got {length!r} and {hop!r}") from error
    if not 1 <= length <= _MOST or not 1 <= hop <= _MOST:
        raise InputError(f"windower: expected length and hop of 1 to {_MOST} samples, got {length} and {hop}")
    return length, hop


def check_heads_hop(heads_hop: int, *, hop: int, length: int) -> None:
    """Raise InputError where heads cannot judge at `heads_hop` the windows that are made for a sink at `hop`."""
    _, heads_hop = _checked(length, heads_hop)
    if heads_hop > length or hop % heads_hop:
        raise InputError(f"heads_hop: expected a part of the hop of {hop} samples, at most {length}, got {heads_hop}")
