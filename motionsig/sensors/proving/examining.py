"""The verdict: what the evidence says of each part of a chip's table. Pure: no clock, no bus."""

from __future__ import annotations

import numpy as np

from motionsig.sensors.chips import Chip
from motionsig.sensors.proving.content import content
from motionsig.sensors.proving.evidence import Evidence, Finding
from motionsig.sensors.proving.fifo_facts import level, rates, size_of_records
from motionsig.sensors.proving.levels import rate_hz, read_level
from motionsig.sensors.proving.seen import Seen, finding


def examine(chip: Chip, evidence: Evidence) -> list[Finding]:
    """Return what the evidence says of the table, in the order of the parts."""
    if evidence.wires is not None:
        # Of what comes over such wires nothing can be said.
        return [_bus(evidence)]
    reading = read_level(chip.level, evidence.fill, evidence.drops)
    size = chip.record.itemsize
    measured = {hz: rate_hz(looks, reading, size) for hz, looks in evidence.rates.items()}
    main_hz, _ = rate_hz(evidence.stream, reading, size)
    seen = Seen(chip, evidence, reading, main_hz)
    findings = [_bus(evidence), _identity(seen), _registers(seen), *level(seen)]
    if not evidence.stretches:
        return [
            *findings,
            *rates(seen, measured),
            finding("layout", None, "no samples came, or not as many as expected"),
        ]
    longer = size_of_records(seen)
    if longer:
        return [*findings, longer]
    findings += rates(seen, measured)
    findings += content(seen)
    return [*findings, _self_test(seen, judged=not any(it.state == "wrong" for it in findings))]


def _bus(evidence: Evidence) -> Finding:
    took = evidence.transaction_s * 1e3
    steady = evidence.wires is None and all(len(values) == 1 for values in evidence.identity.values())
    middle, late, most = (float(value) for value in (*np.percentile(took, (50, 99)), took.max()))
    words = (
        f"{len(took)} reads of the identity {'agree' if steady else 'differ'}, {evidence.retries} transactions "
        f"repeated; a read of a byte takes {middle:.2f} ms, at most {most:.2f} ms"
    )
    numbers = {"reads": len(took), "retries": evidence.retries, "ms": (middle, late, most)}
    return finding("bus", steady, evidence.wires or words, **numbers)


def _identity(seen: Seen) -> Finding:
    expected, got = seen.chip.identity, seen.evidence.identity
    good = all(value in got.get(register, ()) for register, value in expected.items())
    said = ", ".join(f"0x{register:02x}: {'/'.join(f'0x{it:02x}' for it in got[register])}" for register in got)
    table = ", ".join(f"0x{register:02x}: 0x{value:02x}" for register, value in expected.items())
    return finding("identity", good, f"it says {said}{'' if good else f'; the table says {table}'}", got=said)


def _registers(seen: Seen) -> Finding:
    notes = seen.evidence.registers
    words = notes[0] if notes else "each register read back as written, in every rate and range"
    return finding("registers", not notes, words, notes=list(notes))


def _self_test(seen: Seen, *, judged: bool) -> Finding:
    results = seen.evidence.self_test
    if not judged:
        return finding("self-test", None, "not judged by a table that is wrong elsewhere")
    if isinstance(results, str):
        return finding("self-test", None, results)
    failed = [it for it in results if it.passed is False]
    unknown = [it for it in results if it.passed is None]
    numbers = {it.channel: [it.change, it.least, it.most] for it in results}
    if not failed:
        words = "passed" if not unknown else f"{len(unknown)} axes have no value of the factory's to compare with"
        return finding("self-test", None if len(unknown) == len(results) else True, words, **numbers)
    listed = ", ".join(
        f"{it.channel} moved by {it.change:.3g}, expected {it.least:.3g} to {it.most:.3g}" for it in failed
    )
    if len(failed) == len(results):
        return finding("self-test", None, f"no axis passed, as on clones without one: {listed}", **numbers)
    return finding("self-test", False, listed, **numbers)
