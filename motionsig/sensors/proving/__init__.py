"""Proving a chip's table on real silicon: gather what the chip does while a person turns it, and hold it against the table.

`gather` asks the chip and the person; `examine` is pure and finds contradictions; `prove` does both. The table stays the
authority: nothing is repaired, each contradiction is named with its numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from motionsig.sensors.bus import Bus
from motionsig.sensors.chips import Chip
from motionsig.sensors.clock import Clock
from motionsig.sensors.proving.evidence import Evidence, Finding, Step
from motionsig.sensors.proving.examining import examine
from motionsig.sensors.proving.gathering import STEPS, gather

__all__ = ["STEPS", "Evidence", "Finding", "Proof", "Step", "examine", "gather", "prove"]

_ESSENTIAL = ("bus", "identity", "registers", "level", "FIFO size", "rate", "clock", "order", "scale of acc", "axes")


@dataclass(frozen=True)
class Proof:
    """What was found of a chip's table."""

    chip: Chip
    evidence: Evidence
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        return tuple(it for it in self.findings if it.state == "wrong")

    @property
    def proved(self) -> bool:
        """Tell whether all that is essential was seen, and nothing contradicts the table."""
        seen = {it.kind for it in self.findings if it.state == "proved"}
        return not self.wrong and seen.issuperset(_ESSENTIAL)


def prove(
    bus: Bus,
    chip: Chip,
    address: int,
    *,
    clock: Clock,
    guide: Callable[[Step], None],
    show: Callable[[str], None] = lambda _: None,
) -> Proof:
    """Examine the chip at `address` while a person does what `guide` is called with; return what was found.

    guide: called with each of STEPS as it begins; it returns at once. show: called with what is going on.
    Raises BusError where the bus fails. The chip is left as after power-up.
    """
    evidence = gather(bus, chip, address, clock=clock, guide=guide, show=show)
    return Proof(chip, evidence, tuple(examine(chip, evidence)))
