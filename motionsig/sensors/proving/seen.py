"""What the examination of one chip knows: its table, the evidence, and how the level is read."""

from __future__ import annotations

from dataclasses import dataclass

from motionsig.sensors.chips import Chip
from motionsig.sensors.proving.evidence import Evidence, Finding
from motionsig.sensors.proving.levels import LevelReading


@dataclass(frozen=True)
class Seen:
    """What the analysis has found so far. acc, gyr: (n, 3) counts of the stream."""

    chip: Chip
    evidence: Evidence
    reading: LevelReading
    rate_hz: float

    def rests(self) -> list[slice]:
        """Return the rows at rest in each pose that was asked for, once."""
        poses = {
            it.step.up: slice(it.rest, it.end) for it in reversed(self.evidence.stretches) if it.seen and it.step.up
        }
        return list(reversed(poses.values()))


def finding(kind: str, good: bool | None, words: str, **numbers: object) -> Finding:
    return Finding(kind, {True: "proved", False: "wrong", None: "open"}[good], words, numbers)
