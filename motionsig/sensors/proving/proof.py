"""A chip's table held against the chip: the findings, and the verdict in one line."""

from __future__ import annotations

from dataclasses import dataclass

from motionsig.sensors.chips import Chip
from motionsig.sensors.proving.evidence import Evidence, Finding

_ESSENTIAL = ("bus", "identity", "registers", "level", "FIFO size", "rate", "clock", "order", "scale of acc", "axes")
_OF_GYR = "scale of gyr"


@dataclass(frozen=True)
class Proof:
    """What was found of a chip's table. rehearsal: on a model, which proves no board, whatever was found."""

    chip: Chip
    evidence: Evidence
    findings: tuple[Finding, ...]
    rehearsal: bool = False

    @property
    def wrong(self) -> tuple[Finding, ...]:
        return tuple(it for it in self.findings if it.state == "wrong")

    @property
    def missing(self) -> tuple[str, ...]:
        """The kinds that have to be proved and were not seen."""
        needed = (*_ESSENTIAL, *((_OF_GYR,) if self.chip.gyro_ranges else ()))
        return tuple(kind for kind in needed if all(it.kind != kind or it.state == "open" for it in self.findings))

    @property
    def holds(self) -> bool:
        """Tell whether all that is needed was seen, and nothing contradicts the table."""
        return not self.wrong and not self.missing

    @property
    def proved(self) -> bool:
        """Tell whether a board was seen on which the table holds."""
        return self.holds and not self.rehearsal

    @property
    def verdict(self) -> str:
        """One line in plain words."""
        if not self.rehearsal:
            return self._verdict()
        return f"REHEARSAL, no board was seen, so nothing is proved: {self._verdict().removeprefix('proved: ')}"

    def _verdict(self) -> str:
        if self.wrong:
            return f"NOT proved: {'; '.join(f'{it.kind}: {it.words}' for it in self.wrong)}"
        if self.missing:
            reasons = [it.words for it in self.findings if it.state == "open" and it.kind in (*self.missing, "layout")]
            return f"not proved yet, for want of {', '.join(self.missing)}: {'; '.join(reasons) or 'it was not seen'}"
        unseen = [it.kind for it in self.findings if it.state == "open"]
        but = f"; not seen: {', '.join(unseen)}" if unseen else ""
        return f"proved: this chip does what the table of {self.chip.name} says{but}"
