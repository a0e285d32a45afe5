"""From examples to a head: recordings and live sensors in, `motionsig.heads.teaching` does the rest.

A lesson is a stretch of samples in which somebody performs a motion. The performances in it are found by themselves
(`performances`), and each becomes the signatures of a few windows around its middle. This is the one place where
samples are cut by what is in them, and not by a hop.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from motionsig.blocks import SampleBlock, SignatureBatch
from motionsig.heads.teaching import Codes
from motionsig.model_card import ModelCard
from motionsig.resampling import Resampler

HOP = 8
"""Samples of the grid from one window to the next where heads judge live: .16 s."""
WINDOWS = 3
"""Windows of one performance, about its middle, SPACING samples apart."""
SPACING = 16

Example = str | os.PathLike[str] | SignatureBatch
"""A recording, or part of one as PATH@START-END in seconds; or the signatures of one performance."""


class Refused(NamedTuple):
    """A performance that no head is taught with: when it began in the lesson, seconds, and why."""

    second: float
    why: str


class Found(NamedTuple):
    """One performance of a lesson: its begin and end in the lesson, seconds, and its windows' codes (k, dim)."""

    begin_s: float
    end_s: float
    codes: Codes


@dataclass
class Lesson:
    """What is in a lesson: performances, and what looked like one and is not used. seconds: how long it was."""

    found: list[Found] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    seconds: float = 0.0


class Stretch:
    """Samples on the model's grid as they come, between two gaps: what `Lessons` looks for performances in."""

    def __init__(self, card: ModelCard, rate_hz: float) -> None:
        self._resampler = Resampler(rate_hz, grid_hz=card.rate_hz, max_gap_s=card.max_gap_s)
        self.runs: list[list[SampleBlock]] = []

    def push(self, block: SampleBlock) -> None:
        """Take the next samples of a source."""
        self._take(self._resampler.push(block))

    def flush(self) -> None:
        """Take what the resampler still holds, at the end of the source."""
        self._take(self._resampler.flush())

    def _take(self, blocks: Iterable[SampleBlock]) -> None:
        for block in blocks:
            if block.gap or not self.runs:
                self.runs.append([])
            self.runs[-1].append(block)
