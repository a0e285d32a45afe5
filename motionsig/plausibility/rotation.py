"""Which unit an angular rate is in: gravity, seen from a body that turns, says how far it turned.

Over three seconds the mean of the acceleration is gravity, for a body's speed is bounded, once every sample is turned
by the angular rate into the frame of the first one. With the right unit its length is 9.81 m/s²; with one that is 57
times too large the samples are turned at random and cancel; with one too small they are not turned back, and cancel in
part where the body turned far. So windows vote between two units, each for the one that comes closer to 9.81. Slow
turns, fast swings and sport alike can be judged, and a sensor at rest too, whose offset in deg/s is a turn in rad/s.

The sign of acceleration cannot be seen by this: with the sign of all three axes changed every length is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.plausibility.evidence import Evidence, are_whole, sound
from motionsig.plausibility.steps import Step, chip_step

_STEPS = 64
"""In a window: a power of two, for they are joined in pairs."""
_WINDOW_S = 3.0
_REST_S = 12.0
"""The same at rest, where nothing but the offset of the gyroscope is to be seen."""
_REST_SPREAD = 0.02
"""Of 1 g, within a window at rest."""
_LEAST_RATE_HZ = 8.0
"""Below it a body turns too far from one sample to the next."""
_OFF_GRAVITY = 4.0
"""m/s²: a window whose mean |acc| is further from 9.81 is not judged: hits, thrust, a range too small."""
_TOLD_APART = 0.3
"""m/s² between the lengths that two units give: a window in which they differ less does not vote."""
_CANCELS = 2.5
"""m/s² by which the larger unit must be too short to lose a vote: what pushes a drone turns with it, so that the mean
is 9.81 without turning back, and arms and legs gain or lose 1 m/s² within a window."""
_WINDOWS = 64
_LEAST_VOTES = 6
_LEAST_UNANIMOUS = 4
_AGREED = 0.8
"""Of the votes, for a decision."""
_AXES_VOTES = 12
_MOSTLY = 0.9
_AXES_AGREED = 0.9
_FLOOR = 0.6
"""m/s²: a variance of less is no better."""
_AXES_WORDS = "its axes are not those of the accelerometer:"
_SAME_UNIT = 0.01
_MISSES_MORE = 0.3
"""m/s² by which the likely unit may be worse than another of counts, which is a factor of 2 off."""
_FASTEST = 40.0
"""rad/s at the 99th percentile: see bounds."""
_SLOWEST = 3e-4
"""rad/s at the 99th percentile: what is left of the noise of a good gyroscope at rest, its offset taken away."""
_SLOWEST_MOVING = 0.03
"""The same where the accelerometer moves, for mdps and counts: below it the numbers are deg/s rather."""
_MOVES = 0.05
"""Of |acc|: its spread within a window at the median, of what moves."""
_DEG = np.pi / 180
_UNITS = {"rad/s": 1.0, "deg/s": _DEG, "mdps": _DEG / 1000}
_COUNTS = {
    **{f"1/{per} deg/s": _DEG / float(per) for per in ("131", "65.5", "32.8", "16.4")},
    **{f"{each} mdps": float(each) * _DEG / 1000 for each in ("4.375", "8.75", "17.5", "35", "70")},
}
"""Per count: of InvenSense's and Bosch's ranges of 250 to 2000 deg/s, and of ST's of 125 to 2000."""


class Turns(NamedTuple):
    """Windows of a log for the vote: acc (w, 64, 3) in m/s², gyr (w, 64, 3) in the log's unit, dt in s for a step."""

    acc: NDArray[np.float64]
    gyr: NDArray[np.float64]
    dt: float

    def gravity(self, factor: float, axes: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
        """Return |mean acc| (w,) after turning it back by factor * gyr, its axes exchanged by axes (3, 3)."""
        gyr = self.gyr if axes is None else self.gyr @ axes.T
        return _turned_back(self.acc, gyr * (factor * self.dt))

    def gain(self, factor: float) -> NDArray[np.float64]:
        """Return by how much the logarithm of the variance of acc (w,) falls when it is turned back by factor * gyr."""
        power = (self.acc**2).sum(axis=2).mean(axis=1)
        unturned = (self.acc.mean(axis=1) ** 2).sum(axis=1)
        left = np.maximum(power - self.gravity(factor) ** 2, 0)
        won: NDArray[np.float64] = np.log((power - unturned + _FLOOR**2) / (left + _FLOOR**2))
        return won


def turning_gain(acc: NDArray[np.floating], gyr: NDArray[np.floating], rate_hz: float) -> float:
    """Return by how much gyr (n, 3) in rad/s, turned back by it, makes acc (n, 3) in m/s² more alike; NaN if unseen.

    It is the mean fall of the logarithm of the variance within 3 s: above 0 for the gyroscope beside an accelerometer
    that turns, below for anything else.
    """
    seen = turns(sound(acc), sound(gyr), rate_hz)
    return float(np.mean(seen.gain(1.0))) if len(seen.acc) else np.nan


def window_rows(rate_hz: float, seconds: float = _WINDOW_S) -> int:
    """Return of how many rows a window of Turns is made."""
    return _STEPS * max(1, round(seconds * rate_hz / _STEPS))


def turns(
    acc: NDArray[np.floating], gyr: NDArray[np.floating], rate_hz: float, *, at_rest: bool = False, rows: int = 0
) -> Turns:
    """Return the windows of acc (n, 3) in m/s² and gyr (n, 3) in which most is turned.

    at_rest: windows in which nothing moves, and longer ones, in which an offset turns far. rows: of a window, a
    multiple of 64, instead of 3 s.
    """
    rows = rows or window_rows(rate_hz, _REST_S if at_rest else _WINDOW_S)
    width = rows // _STEPS
    count = len(acc) // rows
    both = np.concatenate([acc[: count * rows], gyr[: count * rows]], axis=1, dtype=np.float64)
    size = np.linalg.norm(both[:, :3], axis=1).reshape(count, rows).mean(axis=1)
    steps = both.reshape(count, _STEPS, width, 6).mean(axis=2)
    fit = np.isfinite(steps).all(axis=(1, 2)) & (np.abs(size - STANDARD_GRAVITY) < _OFF_GRAVITY)
    if at_rest:
        fit &= np.sqrt(steps[..., :3].var(axis=1).sum(axis=1)) < _REST_SPREAD * STANDARD_GRAVITY
    usable = np.flatnonzero(fit)
    turned = np.linalg.norm(steps[usable, :, 3:], axis=2).sum(axis=1)
    chosen = np.sort(usable[np.argsort(-turned, kind="stable")[:_WINDOWS]])
    return Turns(steps[chosen, :, :3], steps[chosen, :, 3:], width / rate_hz)


def turns_in_rows(acc: NDArray[np.floating], gyr: NDArray[np.floating], rows: int) -> Turns:
    """Return the windows of `rows` rows, a multiple of 64, in which most is turned, where no clock is known.

    Their dt is counted in rows.
    """
    return turns(acc, gyr, 1.0, rows=rows)


def votes(smaller: NDArray[np.float64], larger: NDArray[np.float64]) -> tuple[int, int]:
    """Return how many windows vote for the smaller unit and for the larger, of `Turns.gravity` of both, (w,) each."""
    apart = np.abs(smaller - larger) > _TOLD_APART
    nearer = np.abs(larger - STANDARD_GRAVITY) < np.abs(smaller - STANDARD_GRAVITY)
    return int((smaller - larger > _CANCELS).sum()), int((apart & nearer).sum())


def gyr_scales(
    acc: NDArray[np.floating], gyr: NDArray[np.floating], rate_hz: float, likely: Mapping[str, float] | None = None
) -> Evidence:
    """Return which unit gyr (n, 3) is in, as acc (n, 3) in m/s² shows it; NaN where rows are missing.

    rate_hz: NaN where it is not known. likely: a unit, and what 1 of it is in rad/s, which is the guess where the
    numbers leave it possible.
    """
    likely = likely or {}
    acc, gyr = sound(acc), sound(gyr)
    finite = gyr[np.isfinite(gyr).all(axis=1)]
    there = np.flatnonzero(np.isfinite(np.concatenate([acc, gyr], axis=1)).all(axis=1) & (gyr != 0).any(axis=1))
    if _MOSTLY * len(acc) < len(there) < len(acc):
        # Rows that are missing now and then would leave no window whole, and bend no turn much.
        acc, gyr = acc[there], gyr[there]
    if len(finite) < 2:
        return Evidence("undecided", "", np.nan, "there are too few samples")
    if not (finite != finite[0]).any():
        return Evidence("impossible", "", np.nan, "it never changes: there is no gyroscope behind these columns")
    size = float(np.percentile(np.linalg.norm(finite, axis=1), 99))
    units = {**_UNITS, **(_COUNTS if are_whole(finite) else {})}
    alike = {name for name, si in units.items() if any(abs(si / each - 1) < _SAME_UNIT for each in likely.values())}
    units = {**{name: si for name, si in units.items() if name not in alike}, **likely}
    least = dict.fromkeys(units, _SLOWEST_MOVING if np.isfinite(rate_hz) and _moves(acc, rate_hz) else 10 * _SLOWEST)
    least |= {"rad/s": _SLOWEST, "deg/s": _SLOWEST}
    units = {name: si for name, si in units.items() if least[name] < size * si < _FASTEST}
    if not units and size < _FASTEST:
        return Evidence("undecided", "", np.nan, f"sizes of {size:.3g} are smaller than the noise of any gyroscope")
    if not units:
        return Evidence("impossible", "", np.nan, f"sizes of {size:.3g} fit no unit of angular rate")
    guess = _guess(units, size, likely)
    step = chip_step(finite)
    stepped = "" if step is None else next((name for name, si in units.items() if _fits(step.unit, si)), "")
    if step is not None and stepped and not np.isfinite(rate_hz):
        return Evidence("decided", stepped, units[stepped], _step_words(step))
    if not np.isfinite(rate_hz):
        return Evidence("undecided", guess, units[guess], "without a rate turns cannot be followed")
    if rate_hz < _LEAST_RATE_HZ:
        return Evidence("undecided", guess, units[guess], f"at {rate_hz:.3g} Hz turns cannot be followed")
    seen, resting = turns(acc, gyr, rate_hz), turns(acc, gyr, rate_hz, at_rest=True)
    gravity = {name: np.concatenate([seen.gravity(si), resting.gravity(si)]) for name, si in units.items()}
    won: dict[tuple[str, str], tuple[int, int]] = {}
    names = sorted(units, key=lambda name: units[name])
    for smaller, larger in combinations(names, 2):
        below, above = votes(gravity[smaller], gravity[larger])
        won[smaller, larger], won[larger, smaller] = (below, above), (above, below)
    left = [name for name in names if not any(agreed(*won[other, name]) for other in names if other != name)]
    for name in likely:
        # Turned the wrong way, the likely unit is no better than one in which next to nothing turns.
        if name not in units or left == [name]:
            continue
        si = units[name]
        reverse = np.concatenate([seen.gravity(-si), resting.gravity(-si)])
        if name not in left and all(_wins(reverse, si, gravity[it], units[it]) for it in (*left, name)):
            return Evidence("impossible", name, si, f"{_AXES_WORDS} (-gyr_x, -gyr_y, -gyr_z) would fit as x, y, z")
        if found := _axes(seen, name, si, [seen.gravity(units[it]) for it in left]):
            return found
    if not left:
        return Evidence("undecided", guess, units[guess], "turns and gravity fit no unit well")
    if step is not None and stepped in left:
        return _axes(seen, stepped, units[stepped]) or Evidence("decided", stepped, units[stepped], _step_words(step))
    guess = _guess({name: units[name] for name in left}, size, likely)
    refuted = _listed([name for name in names if name not in left])
    if any(name in _COUNTS for name in left):
        # Ranges are a factor of 2 apart, which turns do not tell for sure.
        miss = {name: float(np.mean(np.abs(gravity[name] - STANDARD_GRAVITY))) for name in left if len(gravity[name])}
        if guess not in likely or miss.get(guess, 0) > min(miss.values(), default=0) + _MISSES_MORE:
            best = min((name for name in _COUNTS if name in miss), key=lambda name: round(miss[name], 1), default=guess)
            guess = best
        words = f"whole numbers may be a chip's counts, {guess} perhaps, of which turns do not tell the range"
        return Evidence("undecided", guess, units[guess], words)
    if len(left) > 1:
        known = f", not in {refuted}" if refuted else ""
        return Evidence("undecided", guess, units[guess], f"how gravity moves leaves {_listed(left)} possible{known}")
    if other := _axes(seen, guess, units[guess]):
        return other
    against = [won[guess, name] for name in names if name != guess]
    wins, lost = min(against, default=(0, 0))
    words = f"so it turns as gravity does, in {wins} of {wins + lost} windows; in {refuted} it does not"
    return Evidence(
        "decided", guess, units[guess], words if against else f"values of {size:.3g} can be in no other unit"
    )


def _wins(ours: NDArray[np.float64], si: float, theirs: NDArray[np.float64], other_si: float) -> bool:
    """Return whether windows, of `Turns.gravity`, vote for ours in a unit of si rad/s, not for theirs of other_si."""
    if si < other_si:
        return agreed(*votes(ours, theirs))
    lost, won = votes(theirs, ours)
    return agreed(won, lost)


def _moves(acc: NDArray[np.floating], rate_hz: float) -> bool:
    rows = max(2, round(_WINDOW_S * rate_hz))
    count = len(acc) // rows
    windows = acc[: count * rows].reshape(count, rows, 3)
    windows = windows[np.isfinite(windows).all(axis=(1, 2))]
    if not len(windows):
        return False
    spread = np.sqrt(windows.var(axis=1).sum(axis=1))
    size = np.linalg.norm(windows, axis=2).mean(axis=1)
    return float(np.median(spread / np.maximum(size, sys.float_info.min))) > _MOVES


def _fits(unit: str, si: float) -> bool:
    return abs(_UNITS[unit] / si - 1) < _SAME_UNIT


def _step_words(step: Step) -> str:
    return f"its numbers are multiples of {step.size:.4g}, and {step.dps:.4g} deg/s is the step of a chip"


def _guess(units: Mapping[str, float], size: float, likely: Mapping[str, float]) -> str:
    """Return the likeliest unit by size alone: people, and what they carry, turn at a few rad/s at their fastest."""
    if known := [name for name in likely if name in units]:
        return known[0]
    return min(units, key=lambda name: (abs(np.log(size * units[name] / 3.0)), name))


def agreed(won: int, lost: int) -> bool:
    """Return whether so many votes for, and against, decide."""
    return won >= (_LEAST_VOTES if lost else _LEAST_UNANIMOUS) and won >= _AGREED * (won + lost)


def _listed(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{names[0]}, ... or {names[-1]}"
    return "".join(names) if len(names) < 2 else f"{', '.join(names[:-1])} or {names[-1]}"


def _axes(seen: Turns, name: str, si: float, rivals: Sequence[NDArray[np.float64]] = ()) -> Evidence | None:
    """Return evidence where the axes of the gyroscope are clearly others than those of the accelerometer.

    rivals: `Turns.gravity` in other units, which others must beat as well.
    """
    if len(seen.acc) < _AXES_VOTES:
        return None
    ours = seen.gravity(si)
    if (np.abs(ours - STANDARD_GRAVITY) > _TOLD_APART / 2).sum() < _AXES_AGREED * _AXES_VOTES:
        return None  # no others can be nearer by what tells them apart
    orders = [(signs, order) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
    best: list[tuple[float, str, NDArray[np.float64]]] = []
    for signs, order in orders:
        axes = np.zeros((3, 3))
        axes[range(3), order] = signs
        there = seen.gravity(si, axes)
        miss = float(np.median(np.abs(there - STANDARD_GRAVITY)))
        called = ", ".join(f"{'-' * (sign < 0)}gyr_{'xyz'[axis]}" for sign, axis in zip(signs, order, strict=True))
        best.append((miss, called, there))
    best.sort(key=lambda each: each[:2])
    (_, called, there), (_, _, second) = best[:2]
    for other in (ours, second, *rivals):
        apart = np.abs(there - other) > _TOLD_APART
        nearer = np.abs(there - STANDARD_GRAVITY) < np.abs(other - STANDARD_GRAVITY)
        if apart.sum() < _AXES_VOTES or (apart & nearer).sum() < _AXES_AGREED * apart.sum():
            return None
    return Evidence("impossible", name, si, f"{_AXES_WORDS} ({called}) would fit as x, y, z")


def _turned_back(acc: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return |mean| (w,) of acc (w, 64, 3), each turned into the frame of the first by the angles (w, 64, 3)."""
    angle = np.concatenate([(angle[:, 1:] + angle[:, :-1]) / 2, np.zeros_like(angle[:, :1])], axis=1)
    turn, total = _matrices(angle), acc[..., None]
    # Neighbours are joined in pairs: after a turn and a turn comes their product, and the second sum is turned once.
    while turn.shape[1] > 1:
        first, second = turn[:, ::2], turn[:, 1::2]
        total = total[:, ::2] + first @ total[:, 1::2]
        turn = first @ second
    length: NDArray[np.float64] = np.linalg.norm(total[:, 0, :, 0], axis=1) / acc.shape[1]
    return length


def _matrices(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotations (w, n, 3, 3) by rotation vectors (w, n, 3): Rodrigues' formula."""
    size = np.linalg.norm(angle, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(np.sinc(size / np.pi) * angle, -1, 0)
    half = np.sinc(size / (2 * np.pi)) * angle / np.sqrt(2)
    made: NDArray[np.float64] = half[..., :, None] * half[..., None, :]
    diagonal = np.cos(size)
    for axis in range(3):
        made[..., axis, axis] += diagonal[..., 0]
    made[..., 0, 1] -= z
    made[..., 1, 0] += z
    made[..., 0, 2] += y
    made[..., 2, 0] -= y
    made[..., 1, 2] -= x
    made[..., 2, 1] += x
    return made
