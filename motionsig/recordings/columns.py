"""What a column's name says: which quantity and axis it holds, and in which unit.

The tables have all spellings as `_plain` makes them. A name is a sensor and an axis in either order with an optional
unit, as in `acc_x[mg]`, `Gyroscope X (deg/s)`, `gyr_x_rad_s`, `ax`; one that could mean two things is not guessed at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from motionsig.conventions import CHANNELS, STANDARD_GRAVITY
from motionsig.errors import InputError, RecordingError

ACC_UNITS = {
    **dict.fromkeys(("ms2", "ms2s", "mss", "mps2", "msec2", "meterpersecondsquared", "si"), 1.0),
    **dict.fromkeys(("g", "gs", "gn", "g0"), STANDARD_GRAVITY),
    **dict.fromkeys(("mg", "millig", "mgs"), STANDARD_GRAVITY / 1000),
    **dict.fromkeys(("ug", "microg"), STANDARD_GRAVITY / 1e6),
}
GYR_UNITS = {
    **dict.fromkeys(("rads", "radsec", "radps", "rads1", "radianss", "radpersec", "si"), 1.0),
    **dict.fromkeys(("degs", "degsec", "degps", "degs1", "degreess", "degpersec", "dps"), math.pi / 180),
    **dict.fromkeys(("mdps", "mdegs"), math.pi / 180_000),
    **dict.fromkeys(("mrads", "mradsec"), 1e-3),
}
TIME_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1_000_000_000),
    **dict.fromkeys(("ms", "msec", "milli", "millis", "millisecond", "milliseconds"), 1_000_000),
    **dict.fromkeys(("us", "usec", "micro", "micros", "microsecond", "microseconds"), 1_000),
    **dict.fromkeys(("ns", "nsec", "nano", "nanos", "nanosecond", "nanoseconds"), 1),
}
UNITS: dict[str, Mapping[str, float]] = {"acc": ACC_UNITS, "gyr": GYR_UNITS, "time": TIME_UNITS}

SENSORS = {
    **dict.fromkeys(("a", "acc", "accel", "accelero", "accelerometer", "acceleration", "totalacceleration"), "acc"),
    "xl": "acc",
    **dict.fromkeys(("g", "gyr", "gyro", "gyroscope", "w", "omega", "rotationrate", "angularvelocity"), "gyr"),
    **dict.fromkeys(("angularrate", "angvel", "rot", "rotrate"), "gyr"),
    **dict.fromkeys(("linearacceleration", "linearaccelerometer", "linearacc", "linacc", "lacc"), "linear"),
    **dict.fromkeys(("useracceleration", "useracc", "accelerationwithoutg", "linear"), "linear"),
    **dict.fromkeys(("gravity", "grav", "gravityvector"), "gravity"),
}
TIMES = {
    # In this order of preference where a file has several; the value is the unit that the word itself says.
    **dict.fromkeys(("timestamp", "unixtimestamp", "unixtime", "time", "datetime", "t", "ts", "utc", "epoch"), ""),
    **dict.fromkeys(("sampletime", "sensortime", "hosttime", "elapsed", "elapsedtime", "relativetime"), ""),
    **dict.fromkeys(("secondselapsed", "seconds"), "s"),
    **dict.fromkeys(("milliseconds", "millis"), "ms"),
    **dict.fromkeys(("microseconds", "micros"), "us"),
    **dict.fromkeys(("nanoseconds", "nanos"), "ns"),
}


def _either(words: Mapping[str, object]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_UNIT = _either({**ACC_UNITS, **GYR_UNITS})
_AXIS_LAST = re.compile(f"(?:imu|raw|sensor)?(?P<sensor>{_either(SENSORS)})(?P<axis>[xyz])(?P<unit>{_UNIT})?")
# One letter is too little after the axis: "x_g" is as likely x in g as the gyroscope's x.
_WORDS = {word: sensor for word, sensor in SENSORS.items() if len(word) > 1}
_AXIS_FIRST = re.compile(f"(?P<axis>[xyz])(?P<sensor>{_either(_WORDS)})(?P<unit>{_UNIT})?")
_TIME = re.compile(f"(?P<word>{_either(TIMES)})(?:unix|utc|utcunix)?(?P<unit>{_either(TIME_UNITS)})?")
_BRACKETS = re.compile(r"[\[(]([^\])]*)[\])]?")
_SYMBOLS = str.maketrans({"²": "2", "°": "deg", "µ": "u", "μ": "u"})


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.strip().lower().translate(_SYMBOLS))


Columns = Mapping[str, str | int | None]


class Column(NamedTuple):
    """What one column holds: "time", a channel such as "acc_x", or a bare axis; its unit in plain form or ""."""

    role: str
    unit: str


def column(name: str) -> Column | None:
    """Return what the column called `name` holds, or None where the name does not say so."""
    unit = ""
    for bracket in _BRACKETS.findall(name):
        plain = _plain(bracket)
        if is_unit(plain):
            unit = plain
            name = name.replace(bracket, "", 1)
    plain = _plain(name)
    if plain in ("x", "y", "z"):
        return Column(plain, unit)
    if match := _TIME.fullmatch(plain):
        unit = unit or match["unit"] or TIMES[match["word"]]
        return Column("time", unit) if not unit or unit in TIME_UNITS else None
    if match := _AXIS_LAST.fullmatch(plain) or _AXIS_FIRST.fullmatch(plain):
        sensor = SENSORS[match["sensor"]]
        unit = unit or match["unit"] or ""
        # "gx (g)" is an accelerometer's g, not a gyroscope: a unit of the other quantity makes the name say nothing.
        if unit and unit not in UNITS.get(sensor, ACC_UNITS):
            return None
        return Column(f"{sensor}_{match['axis']}", unit)
    return None


def check_sign(acc_sign: int | None) -> None:
    """Raise InputError for an acc_sign option that is not a sign."""
    if acc_sign not in (None, 1, -1):
        raise InputError(f"acc_sign: expected 1 or -1, got {acc_sign}")


def is_unit(text: str) -> bool:
    """Tell whether `text` is the name of a unit, as in a row of units below the header."""
    return any(_plain(text) in units for units in UNITS.values())


def sensor(name: str) -> str | None:
    """Return the sensor that a file or array called `name` holds: "acc", "gyr", "linear", "gravity" or None."""
    return SENSORS.get(_plain(name))


def factor(quantity: str, unit: str) -> float:
    """Return SI units (nanoseconds for "time") per `unit` of "acc", "gyr" or "time"; raise InputError for another."""
    try:
        return UNITS[quantity][_plain(unit)]
    except KeyError:
        known = {"acc": "'m/s^2', 'g' or 'mg'", "gyr": "'rad/s', 'deg/s' or 'mdps'", "time": "'s', 'ms', 'us' or 'ns'"}
        raise InputError(f"{quantity}_unit: expected {known[quantity]}, got {unit!r}") from None


@dataclass(frozen=True)
class Layout:
    """Where the samples are.

    time: its column. time_unit: "" where nothing says it. channels: columns of the six. factors: to SI, of each.
    """

    time: int | None
    time_unit: str
    channels: tuple[int, ...]
    factors: tuple[float, ...]


def find(names: Sequence[str], columns: Columns | None = None) -> dict[str, list[tuple[int, str]]]:
    """Return for each role the columns that can hold it and their units; `columns` settles roles by name or index."""
    found: dict[str, list[tuple[int, str]]] = {}
    order = list(TIMES)
    settled = dict(columns or {})
    for index, name in enumerate(names):
        if (known := column(name)) and known.role not in settled:
            found.setdefault(known.role, []).append((index, known.unit))
    for role, wanted in settled.items():
        if role != "time" and role not in CHANNELS:
            raise InputError(f"columns: expected the keys time, {', '.join(CHANNELS)}, got {role!r}")
        if wanted is None:
            continue
        index = wanted if isinstance(wanted, int) else next((i for i, name in enumerate(names) if name == wanted), -1)
        if 0 <= index < len(names):
            bracket = _BRACKETS.findall(names[index])
            unit = _plain(bracket[-1]) if bracket else ""
            found[role] = [(index, unit if unit in UNITS[role[:3] if role != "time" else role] else "")]
    if len(times := found.get("time", [])) > 1:
        word = {index: _TIME.fullmatch(_plain(_BRACKETS.sub("", names[index]))) for index, _ in times}
        found["time"] = sorted(times, key=lambda it: order.index(match["word"]) if (match := word[it[0]]) else 0)
    return found


def find_layout(
    names: Sequence[str],
    where: str,
    *,
    columns: Columns | None,
    acc_unit: str | None,
    gyr_unit: str | None,
    time_unit: str | None,
    acc_sign: int,
) -> Layout:
    """Return where the six channels and the time are in a table with the columns `names`; options win over them.

    Raises RecordingError for a channel that is missing or doubtful, and for a unit that nothing gives.
    """
    check_sign(acc_sign)
    found = find(names, columns)
    heading = ", ".join(repr(name) for name in names[:24]) + (", ..." if len(names) > 24 else "")
    if missing := [channel for channel in CHANNELS if channel not in found]:
        hint = "columns={'" + missing[0] + "': 'its name here'} maps other names"
        if "acc_x" in missing and "linear_x" in found:
            hint = "linear acceleration has gravity removed: record or export the raw accelerometer instead"
        raise RecordingError(f"{where}: expected columns for {', '.join(missing)}, got {heading}; {hint}")
    indices, factors = [], []
    for channel in CHANNELS:
        if len(found[channel]) > 1:
            several = " and ".join(repr(names[index]) for index, _ in found[channel])
            hint = f"columns={{'{channel}': ...}} settles it"
            raise RecordingError(f"{where}: expected one column for {channel}, got {several}; {hint}")
        index, unit = found[channel][0]
        quantity = channel[:3]
        unit = {"acc": acc_unit, "gyr": gyr_unit}[quantity] or unit
        if not unit:
            example = {"acc": "acc_unit='g' or 'm/s^2'", "gyr": "gyr_unit='deg/s' or 'rad/s'"}[quantity]
            raise RecordingError(
                f"{where}: expected a unit for column {names[index]!r}, got none; "
                f"pass {example}, whichever holds, or write it in the header as in acc_x[g]"
            )
        indices.append(index)
        factors.append(factor(quantity, unit) * (acc_sign if quantity == "acc" else 1))
    time, unit = found.get("time", [(None, "")])[0]
    if time_unit is not None:
        factor("time", time_unit)
    return Layout(time, _plain(time_unit or unit), tuple(indices), tuple(factors))
