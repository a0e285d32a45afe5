"""What the evidence says of the FIFO: its level, its size, the size of a record, and the rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.chips import CLOCK_TOLERANCE
from motionsig.sensors.proving.evidence import Finding
from motionsig.sensors.proving.layout import record_size
from motionsig.sensors.proving.seen import Seen, finding

_CODE = 0.12
"""By how much a rate may differ from the others', seen as parts of what they should be."""
_CLOCK_ERROR = 0.005
_OTHER_CODE = 0.3
"""A clock that is off by more is no clock that is off, but another rate."""
_SIZE = 0.22
"""By how much the FIFO's size may be off: the last records may not fit, and one may lie beside it."""


def level(seen: Seen) -> list[Finding]:
    table, reading, chip = seen.chip.level, seen.reading, seen.chip
    if reading.fits > 0.15 or reading.most < 2:
        words = f"the level does not grow with time; its bytes while the FIFO filled: {_hex(seen.evidence.fill.raw)}"
        return [finding("level", False, words, misfit=reading.fits)]
    wrong = []
    if reading.order != table.order:
        wrong.append(f"its high byte comes {'first' if reading.order == 'big' else 'last'}")
    if reading.mask != table.mask:
        wrong.append(f"it has the bits 0x{reading.mask:x}, the table says 0x{table.mask:x}")
    if reading.unit != table.unit:
        wrong.append(f"one count is {reading.unit:g} bytes, the table says {table.unit}")
    kind = "level" if reading.order == table.order else "byte order of the level"
    words = "; ".join(wrong) or f"it grows with time and falls by one for {table.unit} bytes read"
    numbers = {"order": reading.order, "mask": reading.mask, "unit": reading.unit, "most": reading.most}
    found = [finding(kind, not wrong, f"the FIFO's level: {words}", **numbers)]
    held = reading.most * reading.unit
    good = abs(np.log(held / chip.fifo_bytes)) < _SIZE or abs(held - chip.fifo_bytes) < 2 * chip.record.itemsize
    counts = reading.counts(seen.evidence.fill)
    grows = bool(counts[-1] == reading.most and counts[-1] > counts[-len(counts) // 8])
    words = f"the most it held is {held:g} bytes{' and more' * grows}, the table says {chip.fifo_bytes}"
    return [*found, finding("FIFO size", bool(good), words, held=held, table=chip.fifo_bytes)]


def size_of_records(seen: Seen) -> Finding | None:
    rows = seen.evidence.rows
    first = seen.evidence.stretches[0]
    size = record_size(rows[first.rest : first.end])
    if size == rows.shape[1]:
        return None
    words = f"records repeat themselves after {size} bytes, the table says {rows.shape[1]}"
    return finding("record size", False, words, got=size, table=rows.shape[1])


def rates(seen: Seen, measured: dict[float, tuple[float, float]]) -> list[Finding]:
    known = {hz: (got / hz, error) for hz, (got, error) in measured.items() if np.isfinite(got)}
    if not known:
        return [finding("rate", False, "no samples came at any rate")]
    parts = {hz: part for hz, (part, _) in known.items()}
    usual = float(np.median(list(parts.values())))
    precise = seen.rate_hz / seen.evidence.setting[0]
    if np.isfinite(precise) and abs(np.log(precise / usual)) < _CODE:
        usual = precise
    off = {hz: part for hz, (part, error) in known.items() if abs(np.log(part / usual)) > _CODE + 2 * error}
    numbers = {"of_nominal": {f"{hz:g}": part for hz, part in parts.items()}, "clock": usual}
    if abs(np.log(usual)) > _OTHER_CODE:
        words = f"every rate is {usual:.3g} times what the table says, by this machine's clock"
        return [finding("rate", False, words, **numbers)]
    listed = ", ".join(f"{hz:g} Hz gives {hz * part:.4g}" for hz, part in sorted(off.items()))
    words = f"rates that are not what their codes say: {listed}" if off else f"all {len(known)} rates are as selected"
    found = [finding("rate", not off, words, **numbers)]
    missing = [hz for hz in measured if hz not in known]
    if missing:
        found.append(finding("rate", False, f"no samples came at {', '.join(f'{hz:g}' for hz in missing)} Hz"))
    good = abs(usual - 1) < CLOCK_TOLERANCE + _CLOCK_ERROR
    words = f"its clock is {100 * (usual - 1):+.2f} % off this machine's, expected at most {100 * CLOCK_TOLERANCE:g} %"
    return [*found, finding("clock", good, words, off=usual - 1)]


def _hex(raw: NDArray[np.uint8]) -> str:
    return " ".join(bytes(raw[at]).hex() for at in np.linspace(0, len(raw) - 1, 6).astype(int))
