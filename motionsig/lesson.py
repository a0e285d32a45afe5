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
from motionsig.plausibility.bounds import require_gyroscope
from motionsig.quality import Quality, flags_of
from motionsig.resampling import Resampler

WINDOWS = 3
"""Windows of one performance, STEP_S from one to the next."""
STEP_S = 0.32
LOOK_S = 60.0
"""Performances are looked for in so much of what came last; so long a lesson may go on without a rest."""

_EVERY = 8  # samples; so often it is looked, wherever the blocks end, so that their sizes change nothing


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

    It holds no clock and no file. How the samples are cut into blocks does not matter. A long lesson takes no more time
    for a sample than a short one.
    """

    def __init__(self, card: ModelCard, rate_hz: float) -> None:
        """card: of the windows' model. Raises InputError for a rate that no signature can be made of."""
        self._card = card
        self._rate_hz = rate_hz
        self._turns, self._still = False, 0  # whether an angular rate was seen, and how many samples came without one
        self._resampler = Resampler(rate_hz, grid_hz=card.rate_hz, max_gap_s=card.max_gap_s)
        self._rows = np.empty((1024, 6), np.float32)
        self._count = 0  # of rows that are filled: the samples since the last gap
        self._looked = 0  # how many of them were there when performances were looked for
        self._start_ns = 0
        self._before_s = 0.0  # of the lesson, until then
        self._told = 0  # the end of the last performance that was returned, a row

    @property
    def seconds(self) -> float:
        """How long the lesson is so far; a gap counts, unless the clock was set back in it."""
        return self._before_s + self._count / self._card.rate_hz

    def push(self, block: SampleBlock) -> list[Performed]:
        """Take the next samples; return the performances that are over. Raises InputError without a gyroscope."""
        if not self._turns and len(block):
            self._turns = bool(np.isfinite(block.data[:, 3:]).any())
            self._still += int(np.isfinite(block.data[:, :3]).all(axis=1).sum())
            require_gyroscope(self._turns or self._still < self._rate_hz)
        return self._take(self._resampler.push(block))

    def flush(self) -> list[Performed]:
        """Return what is left at the end of the lesson."""
        return self._take(self._resampler.flush()) + self._look(self._count, ended=True)

    def stretch(self, begin_s: float, end_s: float) -> Performed:
        """Return what lies between two seconds as one performance, however it begins and ends."""
        rate_hz, count = self._card.rate_hz, self._count
        begin, end = (min(max(0, round((it - self._before_s) * rate_hz)), count) for it in (begin_s, end_s))
        if begin == end:
            return Performed(begin_s, end_s, None, "expected samples, got a gap")
        return self._performed(Performance(begin, end, (begin + end) // 2, True), count)

    def _take(self, blocks: Iterable[SampleBlock]) -> list[Performed]:
        told = list[Performed]()
        for block in blocks:
            start_ns = int(block.time_ns[0])
            if block.gap or not self._count:
                told += self._look(self._count, ended=True)
                missing_ns = start_ns - self._start_ns - round(self._count / self._card.rate_hz * NS_PER_S)
                self._before_s = self.seconds + (max(missing_ns, 0) / NS_PER_S if self._count else 0)
                self._start_ns, self._count, self._looked, self._told = start_ns, 0, 0, 0
            while len(self._rows) < self._count + len(block):
                self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            self._rows[self._count : self._count + len(block)] = block.data
            self._count += len(block)
            for count in range(self._looked + _EVERY, self._count + 1, _EVERY):
                told += self._look(count)
                self._looked = count
        return told

    def _look(self, count: int, *, ended: bool = False) -> list[Performed]:
        """Return the performances that were not returned yet and that no sample after the first `count` can change."""
        rate_hz, length = self._card.rate_hz, self._card.length
        rest, after = REST_S * rate_hz, length // 2 + self._step * (WINDOWS // 2)
        first = max(0, count - round(LOOK_S * rate_hz))
        told = list[Performed]()
        for found in find_performances(self._rows[first:count], rate_hz):
            one = found._replace(begin=found.begin + first, end=found.end + first, middle=found.middle + first)
            over = count - one.end >= rest and count - one.middle >= after and count >= length
            if not (over or ended):
                continue
            if one.begin >= self._told:
                told.append(self._performed(one, count))
            elif one.end - self._told >= rest:
                # With what moved since, the rest after the one that was returned is none.
                when = self._told / rate_hz + self._before_s, one.end / rate_hz + self._before_s
                told.append(Performed(*when, None, "it follows too soon: rest for a second before it"))
            self._told = max(self._told, one.end)
        return told

    @property
    def _step(self) -> int:
        return round(STEP_S * self._card.rate_hz)

    def _performed(self, one: Performance, count: int) -> Performed:
        length, rate_hz = self._card.length, self._card.rate_hz
        when = one.begin / rate_hz + self._before_s, one.end / rate_hz + self._before_s
        if count < length:
            least_s = length / rate_hz
            return Performed(*when, None, f"expected {least_s:g} s of samples without a gap, got {count / rate_hz:.2f}")
        if not one.whole:
            if one.end - one.begin > LOOK_S / 2 * rate_hz:
                return Performed(*when, None, f"it goes on for {when[1] - when[0]:.0f} s: rest before and after it")
            where = "begins" if one.begin < EDGE_S * rate_hz else "ends"
            return Performed(*when, None, f"it is cut off where the lesson {where}: rest before and after it")
        around = self._step * (np.arange(WINDOWS) - WINDOWS // 2)
        begins = np.unique(np.clip(one.middle - length // 2 + around, 0, count - length))
        data = np.stack([self._rows[begin : begin + length] for begin in begins.tolist()])
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
