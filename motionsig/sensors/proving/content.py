"""What the evidence says of a record: where gravity and the angular rate are in it, how wide, and its other parts."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.chips import Chip
from motionsig.sensors.proving.acceleration import accel_scale, asked_axes, faces
from motionsig.sensors.proving.evidence import Finding
from motionsig.sensors.proving.gyroscope import gyroscope
from motionsig.sensors.proving.layout import (
    Floats,
    Place,
    dead_axes,
    find_gravity,
    is_gravity,
    place_of,
    roughness,
    smoother,
    step_of,
    swapped,
)
from motionsig.sensors.proving.seen import Seen, finding


def content(seen: Seen) -> list[Finding]:
    chip, evidence = seen.chip, seen.evidence
    record, marks = _record(chip, evidence.rows)
    findings = [marks] if marks else []
    broken = _frozen(seen, record) or _jump(seen, record)
    if broken:
        return [*findings, broken]
    rests = seen.rests()
    if len(rests) < 3:
        missing = ", ".join(it.step.name for it in evidence.stretches if not it.seen)
        return [*findings, finding("layout", None, f"not seen in time: {missing}; so nothing is known of its axes")]
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
            return [*findings, finding("dead axis", False, f"{names} does not move, whatever points up", axes=dead)]
        means = np.array([values[rest].mean(axis=0) for rest in rests]).round().tolist()
        words = f"no three words of a record do what gravity does; acc of the table in the poses: {means}"
        return [*findings, *_width(chip, "acc", values), finding("layout", False, words)]
    findings += _order(acc_place, gyr_place, found)
    if found.offset == acc_place.offset:
        findings.append(_byte_order(acc_place, found, "acc"))
    acc = found.values(evidence.rows)
    findings += _width(chip, "acc", acc)
    findings += accel_scale(seen, found, acc, rests)
    absolute = asked_axes(acc, evidence)
    if gyr_place is None:
        return [*findings, faces(absolute), *_parts(seen, record)]
    if found.offset not in (acc_place.offset, gyr_place.offset):
        return findings
    there = gyr_place if found.offset == acc_place.offset else Place(acc_place.offset, gyr_place.order)
    gyr_found = smoother(evidence.rows, there)
    findings.append(_byte_order(there, gyr_found, "gyr"))
    gyr = gyr_found.values(evidence.rows)
    findings += _width(chip, "gyr", gyr)
    findings += gyroscope(seen, gyr_found, acc, gyr, absolute)
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
    return best, finding("marks", right[best] > 0.99, words, right=right[best])


def _frozen(seen: Seen, record: np.dtype[np.void]) -> Finding | None:
    """Return a finding where a sensor never says another thing: beside a gyroscope none is too coarse for noise."""
    fields = ("acc", "gyr") if seen.chip.gyro_ranges else ()
    frozen = [name for name in fields if not np.ptp(place_of(record, name).values(seen.evidence.rows), axis=0).any()]
    if not frozen:
        return None
    words = f"{' and '.join(frozen)} never changed in {len(seen.evidence.rows)} records, not in the last bit"
    return finding("dead axis", False, words, frozen=frozen)


def _jump(seen: Seen, record: np.dtype[np.void]) -> Finding | None:
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
            return finding("order", False, words, records=(at + 2) * block, places=shift)
    return None


def _slip(seen: Seen, record: np.dtype[np.void], steady: bool) -> Finding | None:
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
                return finding("order", False, words.format(f"pose {since + 1}", moved), moved=moved)
    flat = [slice(it.rest, it.end) for it in evidence.stretches if it.seen and it.step.up == (0, 0, 1)]
    if len(flat) == 2:
        was = mean(flat[0], 0)
        near = 8 * noise(flat[0]) + 0.02 * float(np.linalg.norm(was))
        if np.abs(mean(flat[1], 0) - was).max() < 0.3 * np.linalg.norm(was):
            return None
        for moved in range(2, size, 2):
            if np.abs(mean(flat[1], -moved) - was).max() < near:
                return finding("order", False, words.format(evidence.stretches[3].step.name, moved), moved=moved)
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
    return finding("byte order", good, words)


def _order(acc: Place, gyr: Place | None, found: Place) -> list[Finding]:
    if found.offset == acc.offset:
        return [finding("order", True, f"gravity is in the words from byte {found.offset} on, as the table says")]
    if gyr and found.offset == gyr.offset:
        words = "the FIFO's order is the other way round: gravity is where the table has gyr"
    else:
        words = f"gravity is in the words from byte {found.offset} on, the table says {acc.offset}"
    return [finding("order", False, words, got=found.offset, table=acc.offset)]


def _width(chip: Chip, name: str, values: Floats) -> list[Finding]:
    steps = [step for step in step_of(values) if step]
    if not steps:
        return []
    expected = chip.step if name == "acc" else 1
    got = max(steps)
    good = got == expected
    words = f"{name} changes in steps of {got} count{'s' * (got > 1)}"
    if not good:
        more = "fewer" if got > expected else "more"
        words += f", the table says {expected}: {abs(log2(got / expected)):.3g} bits {more}"
    return [finding("width", good, words, step=got, table=expected, most=float(np.abs(values).max()))]


def _parts(seen: Seen, record: np.dtype[np.void]) -> list[Finding]:
    """Examine what else a record has: the temperature and the chip's own time."""
    chip, rows = seen.chip, seen.evidence.rows
    first = seen.evidence.stretches[0]
    read = np.frombuffer(rows[first.rest : first.end].tobytes(), record)
    found = []
    if chip.temperature_jump is not None:
        jump = int(np.abs(np.diff(read["temp"].astype(np.int64))).max(initial=0))
        words = f"the temperature in a record moves by at most {jump} counts, expected {chip.temperature_jump}"
        found.append(finding("temperature", jump <= chip.temperature_jump, words, jump=jump))
    if chip.stamp_s is not None:
        tick = chip.stamp_s * seen.evidence.setting[0]
        stamps = {"as the table says": read["stamp"], "the other way": read["stamp"].byteswap()}
        periods = {
            way: tick * float(np.median(np.remainder(np.diff(stamp.astype(np.int64)), 1 << 16)))
            for way, stamp in stamps.items()
        }
        good = abs(periods["as the table says"] - 1) < 0.08
        turned = not good and abs(periods["the other way"] - 1) < 0.08
        words = f"the chip's own time moves by {periods['as the table says']:.3f} periods from sample to sample"
        words += "; in the other byte order it fits" if turned else ""
        found.append(finding("byte order of the stamp" if turned else "stamp", good, words, periods=periods))
    return found
