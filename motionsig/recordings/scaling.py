"""In which units the columns of a stream are, and with which sign: by words and numbers, else as questions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.facts import Fact, Question
from motionsig.plausibility.bounds import check_plausible
from motionsig.plausibility.shapes import alternating
from motionsig.recordings.names import sensor_of, unit_of
from motionsig.recordings.phone import App
from motionsig.recordings.quantities import acc_scale, gyr_scale, rate_question, usual_gyr
from motionsig.recordings.streams import Piece, Sensor
from motionsig.recordings.times import UNKNOWN_RATE

_LEAST_HZ = 6.0
_LEAST_FULL, _MOSTLY = 0.1, 0.95
"""Of the first rows: where samples stand in so many of them, the others are another sensor's."""
_CUSTOMS = {"ros": ("m/s^2", "rad/s"), "ios": ("", "rad/s")}
"""Units that the definition of a message or of a system's data gives, where names say no other."""
_SCALES = {"acc": ("ascale", "g"), "gyr": ("gscale", "rad/s")}
"""Of Gyroflow's logs, whose first lines give the scale of the counts."""
_UNIT = re.compile(r"unit|einheit|scale|sensitivity|resolution", re.IGNORECASE)
_UNIT_LENGTH, _UNIT_SHARE = 0.01, 0.9
_TURNED_ROUND = {"ios": "of iOS", "lpms": "of LP-Research's sensors"}
"""Whose acceleration has the opposite sign of every chip's: an axis that points up reads -1 g."""


class Scaled(NamedTuple):
    """factors: (6,) to SI, with the sign. facts: how they are known. questions: all that is open, of the clock, too."""

    factors: tuple[float, ...]
    facts: tuple[Fact, ...]
    questions: tuple[Question, ...]


def scaled(
    head: NDArray[np.float64],
    rate_hz: float,
    sensors: tuple[Sensor, Sensor, Sensor | None],
    questions: Sequence[Question],
    where: str,
    app: App | None,
    told: Mapping[str, Any],
) -> Scaled:
    """Return what turns a stream's head (n, 6) into SI units with the sign of chips, how it is known, what is asked.

    questions: those of its clock, which come back with the guess that turns give. Raises RecordingError for what cannot
    be samples of one body-worn sensor.
    """
    acc, gyr, gravity = sensors
    asked = list(questions)
    if rate_hz < _LEAST_HZ and not questions and told.get("check_units", True):
        raise RecordingError(
            f"{where}: expected at least {_LEAST_HZ:g} samples a second, as slower ones do not show how a body moves, "
            f"got {rate_hz:.3g} (check_units=False takes it as it is)"
        )
    count = alternating(head[:, :3]) if told.get("check_units", True) else 1
    if count > 1 and alternating(head[:, 3:]) == count:
        raise RecordingError(
            f"{where}: expected rows of one sensor, got rows of {count} in turn: each row goes on from the one {count} "
            "rows before; by= names the column that tells them apart (check_units=False takes them as they are)"
        )
    full = np.isfinite(head).all(axis=1)
    if _LEAST_FULL < full.mean() < _MOSTLY:
        head = head[full]  # between rows that hold no samples no window would be whole
    acc_unit, gyr_unit = app.units if app else _CUSTOMS.get(acc.triad.convention or gyr.triad.convention, ("", ""))
    linear = acc.triad.convention == "linear"
    acc_written = acc.triad.unit or (gravity.triad.unit if gravity else "") or _unit_beside(acc)
    alone = _length_of_gravity(gravity) if gravity and not acc_written else None
    called_acc = in_words(acc, gravity)
    resting = partial(acc_scale, head[:, :3], linear=linear, gravity=alone, custom=acc_unit)
    scale = resting(rate_hz, acc_written, told, where, called_acc)
    with np.errstate(over="ignore"):  # a damaged number may be near the largest there is
        whole = head[:, :3] * scale.si
    sign, said, doubt = _sign(acc, app, told)
    usual = "rad/s" if doubt else usual_gyr(scale.si, head[:, 3:])  # whose sign is asked is iOS's, in rad/s
    written = gyr.triad.unit or _unit_beside(gyr) or gyr_unit
    at = next((at for at, it in enumerate(asked) if (it.option, it.guess) == ("rate_hz", UNKNOWN_RATE)), None)
    turns = partial(
        gyr_scale, whole, head[:, 3:], written=written, told=told, where=where, called=in_words(gyr), usual=usual
    )
    turning = turns(rate_hz=rate_hz if at is None else math.nan)
    if at is not None:
        asked[at], seen_hz = rate_question(asked[at], whole, head[:, 3:], turning)
        # At the rate of the guess, so that no question of the unit is left for later.
        again = resting(float(asked[at].guess), acc_written, told, where, called_acc)
        scale = scale if scale.questions else again
        # Without a rate turns show no unit and contradict none; at the rate that a unit gives they agree with it.
        if turning.questions and math.isnan(seen_hz):
            turning = turns(rate_hz=rate_hz)
    factors = (*(scale.si * sign,) * 3, *(turning.si,) * 3)
    open_ = (*asked, *scale.questions, *turning.questions, *doubt)
    known = (*scale.facts, *turning.facts, *said)
    if not open_ and told.get("check_units", True):
        with np.errstate(over="ignore"):
            si = head * factors
        check_plausible(si, rate_hz, where, error=RecordingError, judged=True)
    return Scaled(factors, known, open_)


def _sign(acc: Sensor, app: App | None, told: Mapping[str, Any]) -> tuple[int, tuple[Fact, ...], tuple[Question, ...]]:
    """Return what turns the acceleration to the sign of chips and Android, how it is known, and what is left open."""
    if told.get("acc_sign"):
        return told["acc_sign"], (Fact("sign", f"acceleration times {told['acc_sign']:+d}", "told"),), ()
    if app and app.sign:
        return app.sign, (Fact("sign", app.sign_words, "written"),), ()
    convention = acc.triad.convention
    if convention in _TURNED_ROUND:
        words = f"{_TURNED_ROUND[convention]}, by the names of the columns: acceleration is turned round"
        return -1, (Fact("sign", words, "written"),), ()
    if convention == "ios?":
        hints = [name for name in acc.piece.table.names if "since1970" in name.lower().replace("_", "")]
        said = f"{hints[0]!r} is a name" if hints else "The names are those"
        words = (
            f"Which sign has the acceleration, {in_words(acc)}? {said} of an app of iOS: -1 where it has iOS's sign (a "
            "phone on its back reads -1 g along z), 1 where an axis that points up reads +1 g."
        )
        return -1, (), (Question("acc_sign", "-1", words),)
    if not convention and _gravity_in_g(acc.piece):
        words = (
            f"Which sign has the acceleration, {in_words(acc)}? Gravity beside it has the length 1, as Core Motion of "
            "iOS gives it: -1 for data of iOS (a device on its back reads -1 g along z), 1 where an axis that points "
            "up reads +1 g."
        )
        return -1, (), (Question("acc_sign", "-1", words),)
    words = "acceleration as chips and Android have it: an axis that points up reads +9.81 m/s²"
    return 1, (Fact("sign", words, "assumed"),), ()


def _gravity_in_g(piece: Piece) -> bool:
    """Tell whether columns of gravity stand beside, of the length 1; Android's have 9.81."""
    axes = {it.axis: at for at, it in enumerate(piece.columns) if it.kind == "gravity" and it.sure}
    if set(axes) != {"x", "y", "z"}:
        return False
    lengths = np.linalg.norm(np.stack([numbers_of(piece.table.head[at]) for at in axes.values()], axis=1), axis=1)
    known = lengths[np.isfinite(lengths)]
    return len(known) > 1 and bool((np.abs(known - 1) < _UNIT_LENGTH).mean() > _UNIT_SHARE)


def _unit_beside(sensor: Sensor) -> str:
    """Return the unit that a line above the table, or a value beside it, gives; "" where none does."""
    kind: Literal["acc", "gyr"] = "gyr" if sensor.triad.kind == "gyr" else "acc"
    for fact in sensor.piece.table.facts:
        name = fact.what.removeprefix("setting ")
        if name == fact.what:
            continue
        if name == _SCALES[kind][0] and re.fullmatch(r"[\d.]+(e-?\d+)?", fact.value, re.IGNORECASE):
            return f"{float(fact.value):.12f} {_SCALES[kind][1]}"
        if _UNIT.search(name) and sensor_of(name)[0] == kind and (unit := unit_of(fact.value, kind)):
            return unit.text
    return ""


def _length_of_gravity(gravity: Sensor) -> float | None:
    """Return the length of gravity, in the log's numbers, where it has columns of its own and a length that stays."""
    table = gravity.piece.table
    values = np.stack([numbers_of(table.head[column]) for column in gravity.triad.columns], axis=1)
    length = np.linalg.norm(values[np.isfinite(values).all(axis=1)], axis=1)
    return float(np.median(length)) if len(length) and np.ptp(length) < 0.02 * np.median(length) else None


def numbers_of(head: NDArray[Any]) -> NDArray[np.float64]:
    return head.astype(np.float64) if head.dtype.kind in "iuf" else np.full(len(head), np.nan)


def in_words(sensor: Sensor, gravity: Sensor | None = None) -> str:
    names = ", ".join(sensor.piece.table.called(column) for column in sensor.triad.columns)
    if len({id(it.piece.table) for it in (sensor, gravity) if it}) > 1 or not sensor.piece.table.names:
        names += f" of {PurePosixPath(sensor.piece.table.name).name}"
    return names if gravity is None else f"{names} with gravity from {in_words(gravity)}"
