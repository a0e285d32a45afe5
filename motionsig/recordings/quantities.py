"""In which units the numbers of a stream are: as its owner, the log's words, or else the numbers themselves say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError, RecordingError
from motionsig.facts import Fact, Question
from motionsig.plausibility.acceleration import acc_scales
from motionsig.plausibility.evidence import Evidence, sound
from motionsig.plausibility.pace import SeenRate, rate_by_turns
from motionsig.plausibility.rotation import gyr_scales
from motionsig.plausibility.shapes import is_computed_gravity
from motionsig.plausibility.steps import chip_step
from motionsig.recordings.names import COUNTS, count_units, factor

_OTHERWISE = 1.3
"""A written unit that differs by more from what the numbers show is contradicted by them."""
_TOGETHER = {
    "m/s^2": ("rad/s",),
    "g": ("deg/s",),
    "mg": ("deg/s", "mdps"),
    "0.01 m/s^2": ("1/16 deg/s",),
    "1/16384 g": ("1/131 deg/s",),
    "1/8192 g": ("1/65.5 deg/s",),
    "1/4096 g": ("1/32.8 deg/s",),
    "1/2048 g": ("1/16.4 deg/s",),
}
"""The units of angular rate that go with one of acceleration, the likeliest first."""
_ARDUINO_DPS = 2000 / 32768
_SAME = 0.01
_SLOWEST, _FASTEST = 1e-3, 40.0
"""rad/s at the 99th percentile, of a body."""
_EXACT = 0.03
"""How far the gravity that a phone computes is off 1 g."""
_NAMES = {"acc": "acceleration", "gyr": "angular rate"}


class GravityError(RecordingError):
    """An acceleration without gravity, or gravity without the acceleration: another of the log's may be meant."""


@dataclass(frozen=True)
class Scale:
    """What one number of a quantity is in SI, how that is known, and what is left open."""

    si: float
    facts: tuple[Fact, ...] = ()
    questions: tuple[Question, ...] = ()


def acc_scale(
    acc: NDArray[np.float64],
    rate_hz: float,
    written: str,
    told: Mapping[str, Any],
    where: str,
    called: str,
    *,
    linear: bool = False,
    gravity: float | None = None,
    custom: str = "",
) -> Scale:
    """Return the scale of acc (n, 3), in the log's numbers. written: the unit in its names, "" for none.

    called: the columns, for messages. linear: they are called so, and only their numbers can show that gravity is in
    them. gravity: the length of what the log itself calls gravity, None where it does not; it decides the unit.
    custom: the unit that such logs have where they say none; the numbers win over it.
    Raises GravityError where gravity is not in them, or nothing else.
    """
    unit = told.get("acc_unit") or _of_chip(told)[0]
    check = told.get("check_units", True)
    seen = acc_scales(acc, rate_hz)
    if check and ((seen.verdict == "impossible" and not unit) or (linear and seen.verdict != "decided")):
        why = (
            "linear acceleration has gravity removed: record or export the raw accelerometer instead" if linear else ""
        )
        raise GravityError(
            f"{where}: expected acceleration with gravity, got {called}: {'; '.join(filter(None, (seen.words, why)))} "
            "(check_units=False takes it as it is)"
        )
    if check and is_computed_gravity(acc, rate_hz):
        raise GravityError(
            f"{where}: expected an accelerometer, got {called}: its length stays the same while it turns, which only "
            "gravity does that a phone computed: record or export the raw accelerometer instead (check_units=False "
            "takes it as it is)"
        )
    if gravity is not None:
        for name, one in (("g", 1.0), ("m/s^2", STANDARD_GRAVITY), ("mg", 1000.0)):
            if abs(gravity / one - 1) < _EXACT:
                words = f"the log's own gravity is {gravity:.4g}, and 1 g is {one:.5g} {name}"
                seen = Evidence("decided", name, STANDARD_GRAVITY / one, words)
    if custom and not written and not (seen.verdict == "decided" and _differs(seen, factor("acc", custom))):
        written = custom
    return _told("acc", unit) if unit else _decided("acc", written, seen, called, check=check)


def gyr_scale(
    acc: NDArray[np.float64],
    gyr: NDArray[np.float64],
    rate_hz: float,
    written: str,
    told: Mapping[str, Any],
    where: str,
    called: str,
    usual: str,
) -> Scale:
    """Return the scale of gyr (n, 3) beside acc (n, 3) in m/s². usual: the unit that goes with that of acc."""
    unit = told.get("gyr_unit") or _of_chip(told)[1]
    if unit:
        return _told("gyr", unit)
    expected = usual if written in ("", COUNTS) else written
    seen = gyr_scales(acc, gyr, rate_hz, {expected: factor("gyr", expected)} if expected else {})
    if told.get("check_units", True) and seen.verdict == "impossible":
        raise RecordingError(
            f"{where}: expected angular rate in {called}, beside that acceleration: {seen.words}; mend it in what "
            "writes the log (check_units=False takes it as it is)"
        )
    return _decided("gyr", written, seen, called, check=told.get("check_units", True))


def rate_question(
    asked: Question, acc: NDArray[np.float64], gyr: NDArray[np.float64], unit: Scale
) -> tuple[Question, float]:
    """Return the question for the rate with the guess that turns show, and that rate, NaN where they show none.

    acc (n, 3) in m/s², gyr (n, 3) in the log's numbers; unit: what is known of gyr, or guessed.
    """
    tried = [unit.si, *(() if not unit.questions else (factor("gyr", "rad/s"), factor("gyr", "deg/s")))]
    for si in tried:
        seen = rate_by_turns(acc, gyr * si)
        if seen is not None:
            return _with_rate(asked, seen, si, sure=not unit.questions), seen.usual
    words = f"{asked.words} Gravity does not turn enough in it to show a rate"
    step = chip_step(gyr[np.isfinite(gyr).all(axis=1)])
    if step is not None and math.isclose(step.dps, _ARDUINO_DPS):
        words = f"{words}; steps of {step.dps:.4g} deg/s are those of Arduino's libraries, which read at 119 or 104 Hz."
        return asked._replace(guess="119", words=words), math.nan
    return asked._replace(words=f"{words}, so that {asked.guess} is only an example."), math.nan


def _with_rate(asked: Question, seen: SeenRate, si: float, *, sure: bool) -> Question:
    shown = f"By the turns of gravity it is {seen.rate_hz:.3g} Hz, between {seen.low:.3g} and {seen.high:.3g}"
    unit = "" if sure else f", if 1 of the angular rate is {si:.4g} rad/s"
    nearest = f"; {seen.usual:g} is the likeliest of the usual rates there"
    return asked._replace(guess=f"{seen.usual:g}", words=f"{asked.words} {shown}{unit}{nearest}.")


def _of_chip(told: Mapping[str, Any]) -> tuple[str, str]:
    if not told.get("chip"):
        for option in ("acc_range_g", "gyr_range_dps"):
            if told.get(option):
                raise InputError(f"{option}: expected chip= beside it, as in chip='MPU6050', got none")
        return "", ""
    return count_units(told["chip"], told.get("acc_range_g"), told.get("gyr_range_dps"))


def _told(quantity: str, unit: str) -> Scale:
    return Scale(factor(quantity, unit), (Fact(_NAMES[quantity], f"in {unit}", "told"),))


def _decided(quantity: str, written: str, seen: Evidence, called: str, *, check: bool) -> Scale:
    name, option = _NAMES[quantity], f"{quantity}_unit"
    if written and written != COUNTS:
        si = factor(quantity, written)
        otherwise = check and bool(seen.unit) and _differs(seen, si)
        if otherwise and seen.verdict == "decided":
            words = f"The log says {written} of {called}, but {seen.words}. In which unit is the {name}?"
            return Scale(seen.si, (), (Question(option, seen.unit, words),))
        if otherwise and quantity == "gyr" and seen.verdict == "undecided":
            words = f"{called} in {written}, as written, which is in doubt: {seen.words}"
            return Scale(si, (Fact(name, words, "assumed"),))
        return Scale(si, (Fact(name, f"{called} in {written}", "written"),))
    if seen.verdict == "decided":
        return Scale(seen.si, (Fact(name, f"{called} in {seen.unit}: {seen.words}", "shown"),))
    guess = seen.unit or {"acc": "g", "gyr": "deg/s"}[quantity]
    counts = "; counts have a scale such as '1/16384 g', or a chip='MPU6050'" if written == COUNTS else ""
    words = f"In which unit is the {name}, {called}? The log does not say, and {seen.words}{counts}."
    return Scale(factor(quantity, guess), (), (Question(option, guess, words),))


def _differs(seen: Evidence, si: float) -> bool:
    return abs(math.log(seen.si / si)) > math.log(_OTHERWISE)


def usual_gyr(acc_si: float, gyr: NDArray[np.float64]) -> str:
    """Return the unit of angular rate that goes with acceleration of `acc_si` m/s² a number; "" where none does.

    Who writes m/s² writes rad/s, and who writes g writes deg/s; a chip's ranges go together; unless that would be no
    turn of a body.
    """
    gyr = sound(gyr)
    finite = np.linalg.norm(gyr[np.isfinite(gyr).all(axis=1)], axis=1)
    size = float(np.percentile(finite, 99)) if len(finite) else 0.0
    for acc_unit, units in _TOGETHER.items():
        if abs(acc_si / factor("acc", acc_unit) - 1) < _SAME:
            return next((unit for unit in units if _SLOWEST < size * factor("gyr", unit) < _FASTEST), "")
    return ""
