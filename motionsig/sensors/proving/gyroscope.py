"""What gravity says of the gyroscope: its axes, their signs, and its scale."""

from __future__ import annotations

import numpy as np

from motionsig.sensors.proving.acceleration import power_of_two
from motionsig.sensors.proving.evidence import Finding
from motionsig.sensors.proving.layout import Floats, Place, dead_axes
from motionsig.sensors.proving.seen import Seen, finding
from motionsig.sensors.proving.turning import FINER, SCALES, called, cut, misfits, signed_axes

_GYRO = 0.15
_FOLLOWED = 0.25
"""Radians by which gravity may be missed that an angular rate turns: offsets of 60 mg are 6 degrees."""
_QUIET_BIAS = 5.0
"""How many times its error an offset of the gyroscope must be, for its ranges to be compared by it."""
_BIAS = 0.25


def gyroscope(seen: Seen, place: Place, acc: Floats, gyr: Floats, absolute: Floats | None) -> list[Finding]:
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
            moves.append((acc[rows], rates))
    numbers: dict[str, object] = {"peaks": [round(float(it), 3) for it in peaks]}
    if len(moves) < 3:
        return [*findings, finding("scale of gyr", None, "too few moves between poses were seen", **numbers)]
    dead = dead_axes(peaks) if peaks.max() > 0.05 else [0, 1, 2]
    if dead:
        names = ", ".join(f"gyr_{'xyz'[axis]}" for axis in dead)
        return [*findings, finding("dead axis", False, f"{names} does not move while it is turned", **numbers)]
    pieces = [cut(*_active(*move), seen.rate_hz) for move in moves]
    ways = signed_axes()
    misfit = misfits(pieces, ways, SCALES)
    by_way = misfit.min(axis=1)
    here = next(at for at, way in enumerate(ways) if np.array_equal(way, np.eye(3)))
    best = int(by_way.argmin())
    way = here if by_way[here] < _FOLLOWED else best
    near = float(SCALES[misfit[way].argmin()]) * FINER
    factor = float(near[misfits(pieces, ways[[way]], near).argmin()])
    numbers |= {"misfit": float(by_way[here]), "factor": factor}
    if turned is not None:
        numbers["quarter_turn_deg"] = [round(float(it), 1) for it in np.degrees(turned)]
    if by_way[best] > _FOLLOWED:
        words = f"the gyroscope does not turn as gravity does, in any axes or scale: {by_way[best]:.2f} rad off"
        return [*findings, finding("axes", False, words, **numbers)]
    if by_way[here] > _FOLLOWED and by_way[best] < by_way[here] / 2:
        findings.append(_axes(ways[best], absolute, numbers))
    elif absolute is None or not np.array_equal(absolute.T, np.eye(3)):
        asked = "nothing that was asked for" if absolute is None else f"({called(absolute.T, 'acc')})"
        words = f"gyr and acc agree in axes and signs; but {asked} pointed up: was it turned as asked?"
        findings.append(finding("axes", None, words, **numbers))
    else:
        findings.append(finding("axes", True, "gyr and acc agree in axes and signs, and with what was up", **numbers))
    good = abs(np.log(factor)) < _GYRO
    power = power_of_two(factor, 0.3)
    kind = "width" if abs(power) > 1 else "scale of gyr"
    words = f"turned from face to face, gyr shows {1 / factor:.2f} times what gravity shows"
    return [*findings, finding(kind, good, words, **numbers)]


def _active(acc: Floats, rates: Floats) -> tuple[Floats, Floats]:
    """Return the part of a move in which it turns, and a little before and after."""
    speed = np.linalg.norm(rates, axis=1)
    quick = np.flatnonzero(speed > 0.1 * np.percentile(speed, 99))
    rows = slice(max(0, quick[0] - 15), quick[-1] + 15)
    return acc[rows], rates[rows]


def _axes(way: Floats, absolute: Floats | None, numbers: dict[str, object]) -> Finding:
    """Return what is wrong with the axes, if gyr has to be exchanged by `way` to turn as acc does."""
    acc_alone = [it for it in (way.T, -way.T) if np.allclose(np.linalg.det(it) * it.T, way)]
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
    return finding(kind, False, words, **numbers)


def _gyro_ranges(seen: Seen, place: Place) -> list[Finding]:
    """Compare the ranges by the gyroscope's offset at rest, which is the same in all where it is large enough."""
    chip, evidence = seen.chip, seen.evidence
    counts = {dps: place.values(rows) for dps, rows in evidence.gyro.items() if len(rows) > 8}
    if len(counts) < 3:
        return []
    scales = {dps: chip.gyro_ranges[dps].scale for dps in counts}
    bias = {dps: values.mean(axis=0) * scales[dps] for dps, values in counts.items()}
    # Of a mean, by its noise; and half a count, where noise is too small to show what lies between two.
    errors = {
        dps: scales[dps] * (values.std(axis=0).max() / len(values) ** 0.5 + 0.5) for dps, values in counts.items()
    }
    usual = np.median(list(bias.values()), axis=0)
    size = float(np.linalg.norm(usual))
    parts = {dps: float(bias[dps] @ usual) / size**2 for dps in counts if size > _QUIET_BIAS * errors[dps]}
    off = {dps: part for dps, part in parts.items() if abs(part - 1) > _BIAS + _QUIET_BIAS * errors[dps] / size}
    compared = len(parts)
    listed = ", ".join(f"{part:.2f} times that in the range of {dps:g} deg/s" for dps, part in off.items())
    words = f"at rest gyr shows {np.degrees(size):.2f} deg/s; {listed or f'{compared} ranges agree'}"
    good = not off if compared > 2 else None
    return [
        finding("ranges of gyr", good, words, dps={f"{dps:g}": np.degrees(it).tolist() for dps, it in bias.items()})
    ]
