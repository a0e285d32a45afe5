"""A FIFO of words that samples leave in it by a pattern, as ST's LSM6 chips have it."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.simulated.chip import Fifo, by_stretch


@dataclass(frozen=True)
class Pattern:
    """Which words the samples of a cycle leave in the FIFO: sample within the cycle and kind of each, in order."""

    cycle: int
    samples: NDArray[np.int64]
    kinds: NDArray[np.int64]

    def words(self, samples: int) -> int:
        """Return how many words the first `samples` samples leave."""
        whole, rest = divmod(samples, self.cycle)
        return whole * len(self.kinds) + (int(np.searchsorted(self.samples, rest)) if rest else 0)


def pattern(*sets: tuple[tuple[int, ...], int]) -> Pattern:
    """Return the pattern of (kinds, every how many samples; 0: never), in the order of one sample."""
    used = [(kinds, every) for kinds, every in sets if every]
    cycle = lcm(*(every for _, every in used))
    words = [(at, kind) for at in range(cycle) for kinds, every in used if at % every == 0 for kind in kinds]
    columns = np.array(words, np.int64).reshape(-1, 2).T
    return Pattern(cycle, columns[0], columns[1])


@dataclass(frozen=True)
class _Stretch:
    """Words of one pattern without a break: number of the first word, and of the sample it is of."""

    word: int
    serial: int
    pattern: Pattern


class WordFifo(Fifo):
    """A ring of words that samples leave by a pattern; words, not samples, are overwritten. Words are numbered."""

    def __init__(self, words: int, word_size: int) -> None:
        self.pattern = pattern()
        super().__init__(words * word_size, word_size)

    def clear(self) -> None:
        self._stretches: list[_Stretch] = []
        self._next_serial = -1
        self._end = 0
        self._skip = 0
        self.level = 0
        self.overran = False

    def follow(self, pattern: Pattern) -> None:
        """Take samples by another pattern from now on."""
        self.pattern = pattern
        self._next_serial = -1

    def push(self, serial: int, count: int) -> None:
        if not len(self.pattern.kinds):
            return
        if serial != self._next_serial:
            self._stretches.append(_Stretch(self._end, serial, self.pattern))
            del self._stretches[:-64]
        first = self._stretches[-1].serial
        words = self.pattern.words(serial + count - first) - self.pattern.words(serial - first)
        self._next_serial = serial + count
        size = self.record_size
        if self.full == "newest" and words > (free := (self.capacity - self.level) // size):
            words, self.overran, self._next_serial = free, True, -1
        self._end += words
        self.level += words * size
        if self.level > self.capacity:
            self.level, self.overran, self._skip = self.capacity, True, 0

    def serials(self, size: int) -> tuple[NDArray[np.int64], int]:
        """Return the numbers of the words that the next `size` bytes are of, and how far into the first."""
        last = self.first - (-(self._skip + size) // self.record_size)
        return np.arange(self.first, min(last, self._end), dtype=np.int64), self._skip

    @property
    def first(self) -> int:
        """The number of the oldest word."""
        return self._end - -(-self.level // self.record_size)

    def pop(self, size: int) -> None:
        size = min(size, self.level)
        if size:
            self.overran = False
            self.level -= size
            self._skip = (self._skip + size) % self.record_size

    def locate(self, words: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the sample and the kind of each of these words, which are in order."""
        serials, kinds = np.empty_like(words), np.empty_like(words)
        for at, rows in by_stretch([stretch.word for stretch in self._stretches], words):
            stretch = self._stretches[at]
            cycles, word = np.divmod(words[rows] - stretch.word, len(stretch.pattern.kinds))
            serials[rows] = stretch.serial + cycles * stretch.pattern.cycle + stretch.pattern.samples[word]
            kinds[rows] = stretch.pattern.kinds[word]
        return serials, kinds

    def index(self) -> int:
        """Return which word of the pattern is the next to be read; 0 in an empty FIFO."""
        if not self.level:
            return 0
        first = self.first
        stretch = next(stretch for stretch in reversed(self._stretches) if stretch.word <= first)
        return (first - stretch.word) % len(stretch.pattern.kinds)
