"""A lesson: samples in which somebody performs a motion, and the windows of each performance.

This is the one place where windows are cut by what is in the samples, and not by a hop: a few about the middle of each
performance, so that wherever a window lies later, it is like one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, WindowBatch
from motionsig.conventions import NS_PER_S
from motionsig.model_card import ModelCard
from motionsig.performances import EDGE_S, REST_S, Performance, find_performances
from motionsig.quality import Quality, flags_of
from motionsig.resampling import Resampler

WINDOWS = 3
"""Windows of one performance, STEP_S from one to the next."""
STEP_S = 0.32


class Performed(NamedTuple):
    """One performance. begin_s, end_s: since the first sample of the lesson. windows: None where it is no use.

    why: why it is none, "" for one that is.
    """

    begin_s: float
    end_s: float
    windows: WindowBatch | None
    why: str = ""


class Lesson:
    """Takes samples as they come and returns each performance once it is over and a rest has followed.

    It holds no clock and no file. seconds: how long the lesson is so far, from its first sample.
    """

    def __init__(self, card: ModelCard, rate_hz: float) -> None:
        """card: of the windows' model. Raises InputError for a rate that no signature can be made of."""
        self._card = card
        self._resampler = Resampler(rate_hz, grid_hz=card.rate_hz, max_gap_s=card.max_gap_s)
        self._data = np.empty((0, 6), np.float32)
        self._start_ns = 0  # of the samples since the last gap, which are `_data`
        self._first_ns: int | None = None
        self._told = 0  # the end of the last performance that was returned, a row of `_data`

    @property
    def seconds(self) -> float:
        return self._offset_s + len(self._data) / self._card.rate_hz

    @property
    def _offset_s(self) -> float:
        return (self._start_ns - (self._first_ns or self._start_ns)) / NS_PER_S

    def push(self, block: SampleBlock) -> list[Performed]:
        """Take the next samples; return the performances that are over."""
        return self._take(self._resampler.push(block))

    def flush(self) -> list[Performed]:
        """Return what is left at the end of the lesson."""
        return self._take(self._resampler.flush()) + self._look(ended=True)

    def stretch(self, begin_s: float, end_s: float) -> Performed:
        """Return what lies between two seconds as one performance, however it begins and ends."""
        rate_hz, count = self._card.rate_hz, len(self._data)
        begin, end = (min(max(0, round((it - self._offset_s) * rate_hz)), count) for it in (begin_s, end_s))
        return self._performed(Performance(begin, end, (begin + end) // 2, True))

    def _take(self, blocks: Iterable[SampleBlock]) -> list[Performed]:
        told = []
        for block in blocks:
            if block.gap or not len(self._data):
                told += self._look(ended=True)
                self._start_ns, self._data, self._told = int(block.time_ns[0]), block.data, 0
                self._first_ns = self._start_ns if self._first_ns is None else self._first_ns
            else:
                self._data = np.concatenate([self._data, block.data])
        return told + self._look()

    def _look(self, *, ended: bool = False) -> list[Performed]:
        """Return the performances that were not returned yet and that no later sample can change."""
        rest, after = REST_S * self._card.rate_hz, self._card.length // 2 + self._step * (WINDOWS // 2)
        count, told = len(self._data), list[Performed]()
        for one in find_performances(self._data, self._card.rate_hz):
            over = count - one.end >= rest and count - one.middle >= after and count >= self._card.length
            if one.begin >= self._told and (over or ended):
                self._told = one.end
                told.append(self._performed(one))
        return told

    @property
    def _step(self) -> int:
        return round(STEP_S * self._card.rate_hz)

    def _performed(self, one: Performance) -> Performed:
        length, rate_hz, count = self._card.length, self._card.rate_hz, len(self._data)
        when = one.begin / rate_hz + self._offset_s, one.end / rate_hz + self._offset_s
        if count < length:
            least_s = length / rate_hz
            return Performed(*when, None, f"expected {least_s:g} s of samples without a gap, got {count / rate_hz:.2f}")
        if not one.whole:
            where = "begins" if one.begin < EDGE_S * rate_hz else "ends"
            return Performed(*when, None, f"it is cut off where the lesson {where}: rest before and after it")
        around = self._step * (np.arange(WINDOWS) - WINDOWS // 2)
        begins = np.unique(np.clip(one.middle - length // 2 + around, 0, count - length))
        data = np.stack([self._data[begin : begin + length] for begin in begins.tolist()])
        flags = flags_of(data)
        if (flags & Quality.AT_REST).any():
            return Performed(*when, None, "it is too still: it moves no more than the sensor's own noise")
        start_ns = self._start_ns + begins.astype(np.int64) * round(NS_PER_S / rate_hz)
        return Performed(*when, WindowBatch(start_ns, data, flags, self._step * round(NS_PER_S / rate_hz)))


def samples_between(blocks: Iterable[SampleBlock], begin_s: float, end_s: float) -> Iterator[SampleBlock]:
    """Yield the samples between two seconds after the first one."""
    first_ns: int | None = None
    for block in blocks:
        if not len(block):
            continue
        first_ns = int(block.time_ns[0]) if first_ns is None else first_ns
        seconds: NDArray[np.float64] = (block.time_ns - first_ns) / NS_PER_S
        rows = slice(*np.searchsorted(seconds, [begin_s, end_s]).tolist())
        if rows.start < rows.stop:
            yield SampleBlock(block.time_ns[rows], block.data[rows], block.gap)
        if seconds[-1] >= end_s:
            return
