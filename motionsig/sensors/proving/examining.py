"""The verdict: what the evidence says of each part of a chip's table. Pure; the table is the authority to contradict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import CLOCK_TOLERANCE, Chip
from motionsig.sensors.proving.evidence import Evidence, Finding
from motionsig.sensors.proving.layout import (
    Floats,
    Place,
    dead_axes,
    find_gravity,
    is_gravity,
    place_of,
    record_size,
    roughness,
    smoother,
    step_of,
    swapped,
)
from motionsig.sensors.proving.levels import LevelReading, rate_hz, read_level
from motionsig.sensors.proving.turning import SCALES, called, cut, misfits, rounded, signed_axes

_CODE = 0.12
"""By how much a rate may differ from the others', seen as parts of what they should be."""
_CLOCK_ERROR = 0.005
_OTHER_CODE = 0.3
"""A clock that is off by more is no clock that is off, but another rate."""
_SIZE = 0.22
"""By how much the FIFO's size may be off: the last records may not fit, and one may lie beside it."""
_GRAVITY = 0.2
"""By how much |acc| may be off at rest: 60 mg an axis and 3 % of scale."""
_RANGE = 0.06
"""By how much |acc| may differ between ranges, whose errors are nearly the same."""
_GYRO = 0.15
_FOLLOWED = 0.25
"""Radians by which gravity may be missed that an angular rate turns: offsets of 60 mg are 6 degrees."""
_QUIET_BIAS = 3.0
"""Counts of a gyroscope's offset from which on its ranges can be compared."""
_BIAS = 0.25


@dataclass(frozen=True)
class _Seen:
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


def examine(chip: Chip, evidence: Evidence) -> list[Finding]:
    """Return what the evidence says of the table, in the order of the parts."""
    reading = read_level(chip.level, evidence.fill, evidence.drops)
    size = chip.record.itemsize
    rates = {hz: rate_hz(looks, reading, size) for hz, looks in evidence.rates.items()}
    main_hz, _ = rate_hz(evidence.stream, reading, size)
    seen = _Seen(chip, evidence, reading, main_hz)
    findings = [_bus(seen), _identity(seen), _registers(seen), *_level(seen)]
    if not evidence.stretches:
        return [
            *findings,
            *_rates(seen, rates),
            _finding("layout", None, "no samples came, or not as many as expected"),
        ]
    longer = _record_size(seen)
    if longer:
        return [*findings, longer]
    findings += _rates(seen, rates)
    findings += _content(seen)
    return [*findings, _self_test(seen, judged=not any(it.state == "wrong" for it in findings))]


def _finding(kind: str, good: bool | None, words: str, **numbers: object) -> Finding:
    return Finding(kind, {True: "proved", False: "wrong", None: "open"}[good], words, numbers)


# The bus and the registers.


def _bus(seen: _Seen) -> Finding:
    took = seen.evidence.transaction_s * 1e3
    steady = all(len(values) == 1 for values in seen.evidence.identity.values())
    middle, late, most = (float(value) for value in (*np.percentile(took, (50, 99)), took.max()))
    words = (
        f"{len(took)} reads of the identity {'agree' if steady else 'differ'}, {seen.evidence.retries} transactions "
        f"repeated; a read of a byte takes {middle:.2f} ms, at most {most:.2f} ms"
    )
    return _finding("bus", steady, words, reads=len(took), retries=seen.evidence.retries, ms=(middle, late, most))


def _identity(seen: _Seen) -> Finding:
    expected, got = seen.chip.identity, seen.evidence.identity
    good = all(value in got.get(register, ()) for register, value in expected.items())
    said = ", ".join(f"0x{register:02x}: {'/'.join(f'0x{it:02x}' for it in got[register])}" for register in got)
    table = ", ".join(f"0x{register:02x}: 0x{value:02x}" for register, value in expected.items())
    return _finding("identity", good, f"it says {said}{'' if good else f'; the table says {table}'}", got=said)


def _registers(seen: _Seen) -> Finding:
    notes = seen.evidence.registers
    words = notes[0] if notes else "each register read back as written, in every rate and range"
    return _finding("registers", not notes, words, notes=list(notes))


# The FIFO.


def _level(seen: _Seen) -> list[Finding]:
    level, reading, chip = seen.chip.level, seen.reading, seen.chip
    if reading.fits > 0.15 or reading.most < 2:
        words = f"the level does not grow with time; its bytes while the FIFO filled: {_hex(seen.evidence.fill.raw)}"
        return [_finding("level", False, words, misfit=reading.fits)]
    wrong = []
    if reading.order != level.order:
        wrong.append(f"its high byte comes {'first' if reading.order == 'big' else 'last'}")
    if reading.mask != level.mask:
        wrong.append(f"it has the bits 0x{reading.mask:x}, the table says 0x{level.mask:x}")
    if reading.unit != level.unit:
        wrong.append(f"one count is {reading.unit:g} bytes, the table says {level.unit}")
    kind = "level" if reading.order == level.order else "byte order of the level"
    words = "; ".join(wrong) or f"it grows with time and falls by one for {level.unit} bytes read"
    numbers = {"order": reading.order, "mask": reading.mask, "unit": reading.unit, "most": reading.most}
    found = [_finding(kind, not wrong, f"the FIFO's level: {words}", **numbers)]
    held = reading.most * reading.unit
    good = abs(np.log(held / chip.fifo_bytes)) < _SIZE or abs(held - chip.fifo_bytes) < 2 * chip.record.itemsize
    words = f"the most it held is {held:g} bytes, the table says {chip.fifo_bytes}"
    return [*found, _finding("FIFO size", bool(good), words, held=held, table=chip.fifo_bytes)]


def _record_size(seen: _Seen) -> Finding | None:
    rows = seen.evidence.rows
    first = seen.evidence.stretches[0]
    size = record_size(rows[first.rest : first.end])
    if size == rows.shape[1]:
        return None
    words = f"records repeat themselves after {size} bytes, the table says {rows.shape[1]}"
    return _finding("record size", False, words, got=size, table=rows.shape[1])


def _rates(seen: _Seen, rates: dict[float, tuple[float, float]]) -> list[Finding]:
    known = {hz: (got / hz, error) for hz, (got, error) in rates.items() if np.isfinite(got)}
    if not known:
        return [_finding("rate", False, "no samples came at any rate")]
    parts = {hz: part for hz, (part, _) in known.items()}
    usual = float(np.median(list(parts.values())))
    precise = seen.rate_hz / seen.evidence.setting[0]
    if np.isfinite(precise) and abs(np.log(precise / usual)) < _CODE:
        usual = precise
    off = {hz: part for hz, (part, error) in known.items() if abs(np.log(part / usual)) > _CODE + 2 * error}
    numbers = {"of_nominal": {f"{hz:g}": part for hz, part in parts.items()}, "clock": usual}
    if abs(np.log(usual)) > _OTHER_CODE:
        words = f"every rate is {usual:.3g} times what the table says, by this machine's clock"
        return [_finding("rate", False, words, **numbers)]
    listed = ", ".join(f"{hz:g} Hz gives {hz * part:.4g}" for hz, part in sorted(off.items()))
    words = f"rates that are not what their codes say: {listed}" if off else f"all {len(known)} rates are as selected"
    found = [_finding("rate", not off, words, **numbers)]
    missing = [hz for hz in rates if hz not in known]
    if missing:
        found.append(_finding("rate", False, f"no samples came at {', '.join(f'{hz:g}' for hz in missing)} Hz"))
    good = abs(usual - 1) < CLOCK_TOLERANCE + _CLOCK_ERROR
    words = f"its clock is {100 * (usual - 1):+.2f} % off this machine's, expected at most {100 * CLOCK_TOLERANCE:g} %"
    return [*found, _finding("clock", good, words, off=usual - 1)]


# What the records hold.


def _content(seen: _Seen) -> list[Finding]:
    chip, evidence = seen.chip, seen.evidence
    record, marks = _record(chip, evidence.rows)
    findings = [marks] if marks else []
    jumped = _jump(seen, record)
    if jumped:
        return [*findings, jumped]
    rests = seen.rests()
    if len(rests) < 3:
        missing = ", ".join(it.step.name for it in evidence.stretches if not it.seen)
        return [*findings, _finding("layout", None, f"not seen in time: {missing}; so nothing is known of its axes")]
    acc_place = place_of(record, "acc")
    gyr_place = place_of(record, "gyr") if chip.gyro_ranges else None
    settled = smoother(evidence.rows, acc_place)
    preferred = [acc_place, swapped(acc_place), *((gyr_place, swapped(gyr_place)) if gyr_place else ())]
    found = find_gravity(evidence.rows, rests, preferred)
    if slipped := _slip(seen, record, found is not None):
        return [*findings, slipped]
    if found is None:
        values = settled.values(evidence.rows)
        findings.append(_byte_order(acc_place, settled, "acc"))
        dead = _dead_acc(values, rests)
        if dead:
            names = ", ".join(f"acc_{'xyz'[axis]}" for axis in dead)
            return [*findings, _finding("dead axis", False, f"{names} does not move, whatever points up", axes=dead)]
        means = np.array([values[rest].mean(axis=0) for rest in rests]).round().tolist()
        words = f"no three words of a record do what gravity does; acc of the table in the poses: {means}"
        return [*findings, *_width(chip, "acc", values), _finding("layout", False, words)]
    findings += _order(acc_place, gyr_place, found)
    if found.offset == acc_place.offset:
        findings.append(_byte_order(acc_place, found, "acc"))
    acc = found.values(evidence.rows)
    findings += _width(chip, "acc", acc)
    findings += _accel_scale(seen, found, acc, rests)
    absolute = _absolute(acc, evidence)
    if gyr_place is None:
        return [*findings, _faces(absolute), *_parts(seen, record)]
    if found.offset not in (acc_place.offset, gyr_place.offset):
        return findings
    there = gyr_place if found.offset == acc_place.offset else Place(acc_place.offset, gyr_place.order)
    gyr_found = smoother(evidence.rows, there)
    findings.append(_byte_order(there, gyr_found, "gyr"))
    gyr = gyr_found.values(evidence.rows)
    findings += _width(chip, "gyr", gyr)
    findings += _gyroscope(seen, gyr_found, acc, gyr, absolute)
    return [*findings, *_parts(seen, record)]


def _record(chip: Chip, rows: NDArray[np.uint8]) -> tuple[np.dtype[np.void], Finding | None]:
    """Return the order of parts that the marks show, and what is to be said of the marks."""
    if not chip.marks:
        return chip.record, None
    right = {}
    for record in filter(None, (chip.record, chip.other_order)):
        seen = np.frombuffer(rows.tobytes(), record)
        right[record] = float(np.mean([((seen[name] & mask) == value).mean() for name, mask, value in chip.marks]))
    best = max(right, key=lambda record: right[record])
    words = f"{right[best]:.1%} of the records bear the marks that the table names"
    return best, _finding("marks", right[best] > 0.99, words, right=right[best])


def _jump(seen: _Seen, record: np.dtype[np.void]) -> Finding | None:
    """Return a finding where the words of a record change their places while the sensor rests."""
    first = seen.evidence.stretches[0]
    rows = seen.evidence.rows[: first.end]
    fields = ["acc", "gyr"] if seen.chip.gyro_ranges else ["acc"]
    values = np.concatenate([smoother(rows, place_of(record, field)).values(rows) for field in fields], axis=1)
    block = 16
    means = np.median(values[len(values) % block :].reshape(-1, block, values.shape[1]), axis=1)[1:]
    if len(means) < 4:
        return None
    # A sensor that is laid down late moves, too; what counts is a step between two stretches at rest.
    least = 0.3 * float(np.abs(np.median(means, axis=0)).max())
    before, after = means[:-3], means[3:]
    steps = np.abs(after - before).max(axis=1)
    if not len(steps) or steps.max() < max(least, 50.0):
        return None
    at = int(steps.argmax())
    was, now = means[at], means[at + 3]
    for shift in range(1, values.shape[1]):
        if np.abs(np.roll(was, -shift) - now).max() < 0.1 * np.abs(was).max() + 20:
            words = f"after {(at + 2) * block} records at rest its words stand {shift} places off: the records slip"
            return _finding("order", False, words, records=(at + 2) * block, places=shift)
    return None


def _slip(seen: _Seen, record: np.dtype[np.void], steady: bool) -> Finding | None:
    """Return a finding where the words of a record stand elsewhere in later poses than in the first ones.

    steady: one place has gravity in all poses, so that only flat and flat again are compared.
    """
    evidence, size = seen.evidence, seen.chip.record.itemsize
    rests, place = seen.rests(), smoother(evidence.rows[: evidence.stretches[0].end], place_of(record, "acc"))

    def mean(rest: slice, moved: int) -> Floats:
        return np.asarray(Place((place.offset + moved) % size, place.order).values(evidence.rows[rest]).mean(axis=0))

    def noise(rest: slice) -> float:
        return roughness(place.values(evidence.rows[rest])) + 1

    words = "the records slip: from {} on gravity is {} bytes before the place that it had"
    for since in range(1, len(rests)) if not steady else ():
        for moved in range(2, size, 2):
            poses = [mean(rest, -moved if at >= since else 0) for at, rest in enumerate(rests)]
            if is_gravity(np.array(poses), noise(rests[0])):
                return _finding("order", False, words.format(f"pose {since + 1}", moved), moved=moved)
    flat = [slice(it.rest, it.end) for it in evidence.stretches if it.seen and it.step.up == (0, 0, 1)]
    if len(flat) == 2:
        was = mean(flat[0], 0)
        near = 8 * noise(flat[0]) + 0.02 * float(np.linalg.norm(was))
        if np.abs(mean(flat[1], 0) - was).max() < 0.3 * np.linalg.norm(was):
            return None
        for moved in range(2, size, 2):
            if np.abs(mean(flat[1], -moved) - was).max() < near:
                return _finding("order", False, words.format(evidence.stretches[3].step.name, moved), moved=moved)
    return None


def _dead_acc(acc: Floats, rests: Sequence[slice]) -> list[int]:
    means = np.array([acc[rest].mean(axis=0) for rest in rests])
    dead = dead_axes(np.ptp(means, axis=0))
    # Where no axis moves much more than noise, there is no gravity in these words at all.
    live = np.ptp(means, axis=0).max() > 100 * max(1.0, np.ptp(means, axis=0).min()) ** 0.5
    return dead if len(dead) < 3 and live and len(dead) > 0 and _others_are_gravity(means, dead) else []


def _others_are_gravity(means: Floats, dead: Sequence[int]) -> bool:
    """Tell whether what the living axes show is 1 g in the poses in which one of them is up."""
    living = np.delete(means, dead, axis=1)
    most = np.abs(living).max(axis=0)
    return bool(most.min() > 0.6 * most.max())


def _byte_order(table: Place, found: Place, name: str) -> Finding:
    good = table.order == found.order
    order = {"<": "low byte first", ">": "high byte first"}
    words = f"{name}: {order[found.order]}{'' if good else f', the table says {order[table.order]}'}"
    return _finding("byte order", good, words)


def _order(acc: Place, gyr: Place | None, found: Place) -> list[Finding]:
    if found.offset == acc.offset:
        return [_finding("order", True, f"gravity is in the words from byte {found.offset} on, as the table says")]
    if gyr and found.offset == gyr.offset:
        words = "the FIFO's order is the other way round: gravity is where the table has gyr"
    else:
        words = f"gravity is in the words from byte {found.offset} on, the table says {acc.offset}"
    return [_finding("order", False, words, got=found.offset, table=acc.offset)]


def _width(chip: Chip, name: str, values: Floats) -> list[Finding]:
    steps = [step for step in step_of(values) if step]
    if not steps:
        return []
    expected = chip.step if name == "acc" else 1
    got = max(steps)
    good = got == expected
    words = f"{name} changes in steps of {got} count{'s' * (got > 1)}" + (
        ""
        if good
        else f", the table says {expected}: {abs(log2(got / expected)):.3g} bits {'fewer' if got > expected else 'more'}"
    )
    return [_finding("width", good, words, step=got, table=expected, most=float(np.abs(values).max()))]


def _power_of_two(factor: float, within: float) -> int:
    """Return k where the factor is about 2**k, 0 where it is not or is about 1."""
    power = round(log2(factor))
    return power if abs(log2(factor) - power) < within else 0


def _accel_scale(seen: _Seen, place: Place, acc: Floats, rests: Sequence[slice]) -> list[Finding]:
    chip, evidence = seen.chip, seen.evidence
    main_g = evidence.setting[1]
    sizes = [float(np.linalg.norm(acc[rest].mean(axis=0))) for rest in rests]
    main = float(np.mean(sizes)) * chip.accel_ranges[main_g].scale / STANDARD_GRAVITY
    parts = {
        g: float(np.linalg.norm(place.values(rows).mean(axis=0))) * chip.accel_ranges[g].scale / STANDARD_GRAVITY
        for g, rows in evidence.accel.items()
        if len(rows) > 4
    }
    numbers = {"g": {f"{g:g}": part for g, part in parts.items()}, "poses_g": main}
    usual = float(np.median([main, *parts.values()]))
    if abs(np.log(usual)) > _GRAVITY:
        power = _power_of_two(1 / usual, 0.25)
        kind = "width" if abs(power) > 1 else "scale of acc"
        shift = f": {abs(power)} bits {'fewer' if power > 0 else 'more'} than the table says" if abs(power) > 1 else ""
        return [_finding(kind, False, f"at rest |acc| is {usual:.3f} g instead of 1 in all ranges{shift}", **numbers)]
    off = {g: part for g, part in parts.items() if abs(np.log(part / usual)) > _RANGE}
    if abs(np.log(main / usual)) > _GRAVITY:
        off[main_g] = main
    listed = ", ".join(f"{part:.3f} g in the range of {g:g} g" for g, part in off.items())
    words = (
        f"at rest |acc| is {listed}, and {usual:.3f} g in the others"
        if off
        else (
            f"at rest |acc| is {min(parts.values(), default=main):.3f} to {max(parts.values(), default=main):.3f} g "
            f"in {len(parts)} ranges, {main:.3f} g on average over the poses"
        )
    )
    return [_finding("scale of acc", not off, words, **numbers)]


def _absolute(acc: Floats, evidence: Evidence) -> Floats | None:
    """Return how the table's axes have to be exchanged so that what was asked for is up; None if no exchange does."""
    matrix = np.zeros((3, 3))
    for it in evidence.stretches:
        if it.seen and it.step.up:
            mean = acc[it.rest : it.end].mean(axis=0)
            matrix += np.outer(it.step.up, mean / np.linalg.norm(mean))
    return rounded(matrix.T)


def _faces(absolute: Floats | None) -> Finding:
    if absolute is None:
        return _finding("axes", None, "it was not turned as asked, so nothing is known of its axes")
    way = absolute.T
    if np.array_equal(way, np.eye(3)):
        return _finding("axes", True, "each axis that was asked to point up shows +1 g")
    kind = "sign" if np.array_equal(np.abs(way), np.eye(3)) else "axes"
    words = (
        f"the axes that were asked to point up are ({called(way, 'acc')}) by the table, or it was not turned as asked"
    )
    return _finding(kind, False, words)


def _gyroscope(seen: _Seen, place: Place, acc: Floats, gyr: Floats, absolute: Floats | None) -> list[Finding]:
    chip, evidence = seen.chip, seen.evidence
    scale = chip.gyro_ranges[evidence.setting[2]].scale
    findings, moves, peaks, turned = _gyro_ranges(seen, place), [], np.zeros(3), None
    for before, it in zip(evidence.stretches, evidence.stretches[1:], strict=False):
        if not (it.seen and before.seen):
            continue
        bias = (gyr[before.rest : before.end].mean(axis=0) + gyr[it.rest : it.end].mean(axis=0)) / 2
        rows = slice(max(before.rest, it.begin - 20), it.end)
        rates = (gyr[rows] - bias) * scale
        peaks = np.maximum(peaks, np.percentile(np.abs(rates), 99, axis=0))
        if it.step.turns:
            turned = rates.sum(axis=0) / seen.rate_hz
        else:
            moves.append(_active(acc[rows], rates))
    numbers: dict[str, object] = {"peaks": [round(float(it), 3) for it in peaks]}
    if len(moves) < 3:
        return [*findings, _finding("scale of gyr", None, "too few moves between poses were seen", **numbers)]
    dead = dead_axes(peaks) if peaks.max() > 0.05 else [0, 1, 2]
    if dead:
        names = ", ".join(f"gyr_{'xyz'[axis]}" for axis in dead)
        return [*findings, _finding("dead axis", False, f"{names} does not move while it is turned", **numbers)]
    pieces = [cut(acc_part, rates, seen.rate_hz) for acc_part, rates in moves]
    ways = signed_axes()
    misfit = misfits(pieces, ways, SCALES)
    by_way = misfit.min(axis=1)
    here = next(at for at, way in enumerate(ways) if np.array_equal(way, np.eye(3)))
    best = int(by_way.argmin())
    factor = float(SCALES[misfit[here if by_way[here] < _FOLLOWED else best].argmin()])
    numbers |= {"misfit": float(by_way[here]), "factor": factor}
    if turned is not None:
        numbers["quarter_turn_deg"] = [round(float(it), 1) for it in np.degrees(turned)]
    if by_way[best] > _FOLLOWED:
        words = f"the gyroscope does not turn as gravity does, in any axes or scale: {by_way[best]:.2f} rad off"
        return [*findings, _finding("axes", False, words, **numbers)]
    if by_way[here] > _FOLLOWED and by_way[best] < by_way[here] / 2:
        findings.append(_axes(ways[best], absolute, numbers))
    elif absolute is None or not np.array_equal(absolute.T, np.eye(3)):
        asked = "nothing that was asked for" if absolute is None else f"({called(absolute.T, 'acc')})"
        words = f"gyr and acc agree in axes and signs; but {asked} pointed up: was it turned as asked?"
        findings.append(_finding("axes", None, words, **numbers))
    else:
        findings.append(_finding("axes", True, "gyr and acc agree in axes and signs, and with what was up", **numbers))
    good = abs(np.log(factor)) < _GYRO
    power = _power_of_two(factor, 0.3)
    kind = "width" if abs(power) > 1 else "scale of gyr"
    words = f"turned from face to face, gyr shows {1 / factor:.2f} times what gravity shows"
    return [*findings, _finding(kind, good, words, **numbers)]


def _active(acc: Floats, rates: Floats) -> tuple[Floats, Floats]:
    """Return the part of a move in which it turns, and a little before and after."""
    speed = np.linalg.norm(rates, axis=1)
    quick = np.flatnonzero(speed > 0.1 * np.percentile(speed, 99))
    rows = slice(max(0, quick[0] - 15), quick[-1] + 15)
    return acc[rows], rates[rows]


def _axes(way: Floats, absolute: Floats | None, numbers: dict[str, object]) -> Finding:
    """Return what is wrong with the axes, if gyr has to be exchanged by `way` to turn as acc does."""
    sign = np.linalg.det(way)
    explained = [candidate for candidate in (way.T, -way.T) if np.linalg.det(candidate) * sign > 0 or True]
    acc_alone = [it for it in explained if np.allclose(np.linalg.det(it) * it.T, way)]
    faces = None if absolute is None else absolute.T

    def moved(exchange: Floats) -> int:
        return int((exchange != np.eye(3)).any(axis=1).sum())

    if (
        faces is not None
        and not np.array_equal(faces, np.eye(3))
        and any(np.array_equal(faces, it) for it in acc_alone)
    ):
        name, exchange = "acc", faces
    elif faces is not None and np.array_equal(faces, np.eye(3)):
        name, exchange = "gyr", way
    else:
        choices = [("gyr", way), *(("acc", it) for it in acc_alone)]
        name, exchange = min(choices, key=lambda choice: moved(choice[1]))
    kind = "sign" if np.array_equal(np.abs(exchange), np.eye(3)) else "axes"
    words = f"{name}: ({called(exchange, name)}) would fit as x, y, z: so {'gravity' if name == 'acc' else 'it'} turns"
    return _finding(kind, False, words, **numbers)


def _gyro_ranges(seen: _Seen, place: Place) -> list[Finding]:
    """Compare the ranges by the gyroscope's offset at rest, which is the same in all where it is large enough."""
    chip, evidence = seen.chip, seen.evidence
    counts = {dps: place.values(rows).mean(axis=0) for dps, rows in evidence.gyro.items() if len(rows) > 4}
    if len(counts) < 3:
        return []
    bias = {dps: mean * chip.gyro_ranges[dps].scale for dps, mean in counts.items()}
    usual = np.median(list(bias.values()), axis=0)
    size = float(np.linalg.norm(usual))
    off, compared = {}, 0
    for dps, each in bias.items():
        if size < _QUIET_BIAS * chip.gyro_ranges[dps].scale:
            continue
        compared += 1
        part = float(each @ usual) / size**2
        if abs(np.log(max(part, 1e-3))) > _BIAS:
            off[dps] = part
    listed = ", ".join(f"{part:.2f} times that in the range of {dps:g} deg/s" for dps, part in off.items())
    words = f"at rest gyr shows {np.degrees(size):.2f} deg/s; {listed or f'{compared} ranges agree'}"
    good = not off if compared > 2 else None
    return [
        _finding("ranges of gyr", good, words, dps={f"{dps:g}": np.degrees(it).tolist() for dps, it in bias.items()})
    ]


def _parts(seen: _Seen, record: np.dtype[np.void]) -> list[Finding]:
    """Examine what else a record has: the temperature and the chip's own time."""
    chip, rows = seen.chip, seen.evidence.rows
    first = seen.evidence.stretches[0]
    read = np.frombuffer(rows[first.rest : first.end].tobytes(), record)
    found = []
    if chip.temperature_jump is not None:
        jump = int(np.abs(np.diff(read["temp"].astype(np.int64))).max(initial=0))
        words = f"the temperature in a record moves by at most {jump} counts, expected {chip.temperature_jump}"
        found.append(_finding("temperature", jump <= chip.temperature_jump, words, jump=jump))
    if chip.stamp_s is not None:
        hz, ways = (
            seen.evidence.setting[0],
            {"as the table says": read["stamp"], "the other way": read["stamp"].byteswap()},
        )
        periods = {
            way: float(np.median(np.diff(stamp.astype(np.int64)) % (1 << 16))) * chip.stamp_s * hz
            for way, stamp in ways.items()
        }
        good = abs(periods["as the table says"] - 1) < 0.08
        turned = not good and abs(periods["the other way"] - 1) < 0.08
        words = f"the chip's own time moves by {periods['as the table says']:.3f} periods from sample to sample"
        words += "; in the other byte order it fits" if turned else ""
        found.append(_finding("byte order of the stamp" if turned else "stamp", good, words, periods=periods))
    return found


def _self_test(seen: _Seen, *, judged: bool) -> Finding:
    results = seen.evidence.self_test
    if not judged:
        return _finding("self-test", None, "not judged by a table that is wrong elsewhere")
    if isinstance(results, str):
        return _finding("self-test", None, results)
    failed = [it for it in results if it.passed is False]
    unknown = [it for it in results if it.passed is None]
    numbers = {it.channel: [it.change, it.least, it.most] for it in results}
    if not failed:
        words = "passed" if not unknown else f"{len(unknown)} axes have no value of the factory's to compare with"
        return _finding("self-test", None if len(unknown) == len(results) else True, words, **numbers)
    listed = ", ".join(
        f"{it.channel} moved by {it.change:.3g}, expected {it.least:.3g} to {it.most:.3g}" for it in failed
    )
    if len(failed) == len(results):
        return _finding("self-test", None, f"no axis passed, as on clones without one: {listed}", **numbers)
    return _finding("self-test", False, listed, **numbers)


def _hex(raw: NDArray[np.uint8]) -> str:
    return " ".join(bytes(raw[at]).hex() for at in np.linspace(0, len(raw) - 1, 6).astype(int))
