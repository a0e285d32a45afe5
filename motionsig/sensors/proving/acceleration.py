"""What gravity says of the accelerometer: its scale in every range, and which axis is up."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.proving.evidence import Evidence, Finding
from motionsig.sensors.proving.layout import Floats, Place
from motionsig.sensors.proving.seen import Seen, finding
from motionsig.sensors.proving.turning import called, rounded

_GRAVITY = 0.2
"""By how much |acc| may be off at rest: 60 mg an axis and 3 % of scale."""
_RANGE = 0.06
"""By how much |acc| may differ between ranges, whose errors are nearly the same."""


def power_of_two(factor: float, within: float) -> int:
    """Return k where the factor is about 2**k, 0 where it is not or is about 1."""
    power = round(log2(factor))
    return power if abs(log2(factor) - power) < within else 0


def accel_scale(seen: Seen, place: Place, acc: Floats, rests: Sequence[slice]) -> list[Finding]:
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
        power = power_of_two(1 / usual, 0.25)
        kind = "width" if abs(power) > 1 else "scale of acc"
        shift = f": {abs(power)} bits {'fewer' if power > 0 else 'more'} than the table says" if abs(power) > 1 else ""
        return [finding(kind, False, f"at rest |acc| is {usual:.3f} g instead of 1 in all ranges{shift}", **numbers)]
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
    return [finding("scale of acc", not off, words, **numbers)]


def asked_axes(acc: Floats, evidence: Evidence) -> Floats | None:
    """Return how the table's axes have to be exchanged so that what was asked for is up; None if no exchange does."""
    matrix = np.zeros((3, 3))
    for it in evidence.stretches:
        if it.seen and it.step.up:
            mean = acc[it.rest : it.end].mean(axis=0)
            matrix += np.outer(it.step.up, mean / np.linalg.norm(mean))
    return rounded(matrix.T)


def faces(absolute: Floats | None) -> Finding:
    if absolute is None:
        return finding("axes", None, "it was not turned as asked, so nothing is known of its axes")
    way = absolute.T
    if np.array_equal(way, np.eye(3)):
        return finding("axes", True, "each axis that was asked to point up shows +1 g")
    kind = "sign" if np.array_equal(np.abs(way), np.eye(3)) else "axes"
    words = (
        f"the axes that were asked to point up are ({called(way, 'acc')}) by the table, or it was not turned as asked"
    )
    return finding(kind, False, words)
