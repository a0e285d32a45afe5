"""What an SPI chip's wires do to what it says, where it does not say steadily who it is.

Nobody acknowledges on SPI, so a loose or a slow wire shows only in what is read: one level for ever where nobody drives
the data line, one value for every register where no register's number arrives, bits that come late, or another value
each time. At a slower clock a chip on long wires is understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

SLOWER_HZ = (1_000_000, 250_000, 50_000)
"""Clocks to try, the fastest first. Every chip here takes the first."""
LOOSE = "use shorter wires or a lower bus_clock_hz, and see that each wire has contact, the ground, too"
"""What to do about bits that do not come as they were sent."""
_READS = 64
"""At each clock, of each register that names the chip."""
_SHOWN = 6

Read = Callable[[int], int]
"""A register to what it reads as."""


class Device(Protocol):
    """What `ask` needs of a device."""

    def exchange(self, frames: Sequence[bytes], *, clock_hz: int, pause_s: float) -> bytes: ...


def steady(read: Read, identity: Mapping[int, int], reads: int = _READS) -> bool:
    """Tell whether the registers read as they should, so many times each."""
    return all(read(register) == value for _ in range(reads) for register, value in identity.items())


def ask(device: Device, registers: Iterable[int]) -> dict[int, int]:
    """Return what the registers read as, of any chip, in the bank that is selected."""
    asked = sorted({register & 0x7F for register in registers})
    got = device.exchange([bytes((0x80 | register, 0)) for register in asked], clock_hz=SLOWER_HZ[0], pause_s=0)
    return dict(zip(asked, got[1::2], strict=True))


def fault(once: Mapping[int, int], again: Mapping[int, int], known: Iterable[Mapping[int, int]]) -> str | None:
    """Return what is wrong with the wires, and what to do; None where the values may be a chip's.

    once, again: what many registers read as, twice. known: identities that may be meant.
    """
    values = {*once.values(), *again.values()}
    if values <= {0x00} or values <= {0xFF}:
        level = "zeros" if 0x00 in values else "ones"
        return (
            f"only {level}, as where nothing is connected or no read arrives: check power, the select line (CS), "
            "MOSI (SDI at the chip) and MISO (SDO at the chip)"
        )
    if len(values) == 1 and len(once) > 1:
        return (
            f"0x{values.pop():02x} in every register, as where no register's number arrives: check MOSI (SDI at the "
            "chip) and the clock (SCLK)"
        )
    if once != again:
        both = (f"0x{register:02x}: 0x{value:02x}, 0x{again[register]:02x}" for register, value in once.items())
        moved = [words for words, register in zip(both, once, strict=True) if once[register] != again[register]]
        return f"other values each time ({'; '.join(moved[:_SHOWN])}): {LOOSE}"
    for identity in known:
        got = [once.get(register & 0x7F, 0) for register in identity]
        for shifted, late in ((_later, "late"), (_earlier, "early")):
            if all(shifted(value, seen) for value, seen in zip(identity.values(), got, strict=True)):
                said, meant = (", ".join(f"0x{it:02x}" for it in them) for them in (got, identity.values()))
                return f"{said} where a chip says {meant}: each bit comes one bit {late}: {LOOSE}"
    return None


def _later(value: int, seen: int) -> bool:
    return seen & 0x7F == value >> 1


def _earlier(value: int, seen: int) -> bool:
    return seen & 0xFE == value << 1 & 0xFF
