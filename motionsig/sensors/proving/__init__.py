"""Proving a chip's table on real silicon: what it does while a person turns it, held against the table.

`gather` asks the chip and the person; `examine` is pure and finds contradictions; `prove` does both. The table stays
the authority: nothing is repaired, each contradiction is named with its numbers.
"""

from __future__ import annotations

from collections.abc import Callable

from motionsig.sensors.bus import Bus
from motionsig.sensors.chips import Chip
from motionsig.sensors.clock import Clock
from motionsig.sensors.proving.evidence import Evidence, Finding, Step
from motionsig.sensors.proving.examining import examine
from motionsig.sensors.proving.gathering import gather
from motionsig.sensors.proving.guiding import STEPS
from motionsig.sensors.proving.proof import Proof
from motionsig.sensors.proving.report import report

__all__ = ["STEPS", "Evidence", "Finding", "Proof", "Step", "examine", "gather", "prove", "report"]


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
    Raises BusError where the bus fails, HeldError where somebody else reads the chip. It is left as after power-up.
    """
    evidence = gather(bus, chip, address, clock=clock, guide=guide, show=show)
    return Proof(chip, evidence, tuple(examine(chip, evidence)))
