"""What a column's neighbours say of it: a sensor named once for its axes, sides, numbers as axes, a quaternion's w."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from motionsig.recordings.names.column import OTHER, PER_AXIS, Column, Kind
from motionsig.recordings.names.units import plain
from motionsig.recordings.names.words import Said

_ORDER = re.compile(r"\(\s*([xyz])\s*,\s*([xyz])\s*,\s*([xyz])\s*\)", re.IGNORECASE)
_WITH_UNITS = PER_AXIS - {"orientation", "axis"}
_NAMED_BY_NUMBER = {(0, 1, 2): "xyz", (1, 2, 3): "xyz", (0, 1, 2, 3): "wxyz", (1, 2, 3, 4): "wxyz"}


def settle(columns: list[Column], names: Sequence[str], heard: Sequence[Said]) -> None:
    """Change in place which kind and axis the columns say where their neighbours tell more."""
    _said_once(columns, names, heard)
    _axes_in_brackets(columns, names)
    _left_and_right(columns, heard)
    _numbered_axes(columns, heard)
    _quaternions(columns)
    _turns(columns, heard)
    _letters_behind(columns, heard)
    _halves_of_a_time(columns, names)
    _ardupilot(columns, names)
    _letters_pqr(columns, names)


def tell_apart(columns: list[Column], heard: Sequence[Said]) -> None:
    """Give in place columns of the same kind and axis different parts, three axes one unit, and times their parts."""
    _apart(columns)
    _one_unit(columns)
    _times_of_parts(columns, heard)


def bare_axes(columns: list[Column], kind: Kind, unit: str) -> None:
    """Make bare axes those of `kind` in `unit`, as the file's name says, where no name says a quantity."""
    if not any(column.kind in ("acc", "user", "gravity", "gyr") for column in columns):
        for at, column in enumerate(columns):
            if column.kind == "axis" and column.axis != "w":
                columns[at] = replace(column, kind=kind, unit=column.unit or unit, sure=True)


def _said_once(columns: list[Column], names: Sequence[str], heard: Sequence[Said]) -> None:
    """Take a sensor that stands before its axes only once: "Acc (g) X", "Y", "Z"; "angular_velocity", "x", "y", "z"."""
    for at, first in enumerate(columns):
        if first.kind not in PER_AXIS - {"axis"}:
            continue
        number = heard[at].number
        if at and number is not None and heard[at - 1].number == number - 1:
            continue  # rot2 behind rot1 is an axis itself, and x, y, z behind it are others'
        after = [it.axis if it.kind == "axis" and not it.part else "" for it in columns[at + 1 : at + 5]]
        if not first.axis and after[:3] == ["x", "y", "z"]:
            # A column for the whole, empty or without a number, and then its axes: as rosbags are exported.
            count = 4 if first.kind == "orientation" and after[3:] == ["w"] else 3
            for offset in range(1, count + 1):
                columns[at + offset] = replace(first, axis=after[offset - 1])
            columns[at] = OTHER
        elif first.axis in ("", "x") and after[:2] == ["y", "z"]:
            columns[at] = replace(first, axis="x")
            for offset, axis in ((1, "y"), (2, "z")):
                columns[at + offset] = replace(first, axis=axis, unit=columns[at + offset].unit or first.unit)
        elif not first.axis and list(names[at + 1 : at + 3]) == ["", ""]:
            for offset, axis in enumerate("xyz"):
                columns[at + offset] = replace(first, axis=axis)


def _axes_in_brackets(columns: list[Column], names: Sequence[str]) -> None:
    """Take the order of three axes that the first of three columns says: "Accelerometer (z,x,y) [m/s2]", "1", "2"."""
    for at, name in enumerate(names[:-2]):
        axes = [axis.lower() for axis in match.groups()] if (match := _ORDER.search(name)) else []
        follow = [plain(each) for each in names[at + 1 : at + 3]]
        if sorted(axes) == ["x", "y", "z"] and follow in (["1", "2"], ["2", "3"], ["", ""]):
            for offset, axis in enumerate(axes):
                columns[at + offset] = replace(columns[at], axis=axis, part="")


def _left_and_right(columns: list[Column], heard: Sequence[Said]) -> None:
    """Take l_acc for the left one where there is an r_acc, else for linear acceleration."""
    sides = {side for said in heard for side in ("l", "r") if side in said.rest and (said.words or said.letter)}
    if sides == {"l"}:
        for at, column in enumerate(columns):
            if column.kind == "acc" and column.part == "l":
                columns[at] = replace(column, kind="user", part="", sure=False, convention="linear")


def _numbered_axes(columns: list[Column], heard: Sequence[Said]) -> None:
    """Take numbers for axes: gyro_rad[0] to [2], acc_1 to acc_3, q0 to q3."""
    groups: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for at, (column, said) in enumerate(zip(columns, heard, strict=True)):
        if column.kind in PER_AXIS and not column.axis and said.number is not None:
            words = column.part.split("_")
            part = "_".join(words[:-1] if words[-1].isdigit() else words)
            groups.setdefault((column.kind, part, column.variant), []).append((said.number, at))
    for (kind, part, _), members in groups.items():
        axes = _NAMED_BY_NUMBER.get(tuple(number for number, _ in sorted(members)), "")
        if len(axes) == 3 or kind == "orientation":
            for axis, (_, at) in zip(axes, sorted(members), strict=bool(axes)):
                columns[at] = replace(columns[at], axis=axis, part=part)


def _quaternions(columns: list[Column]) -> None:
    """Take four with a w for an orientation: rot_w beside rot_x, rot_y, rot_z; w, x, y, z."""
    doubtful = [(at, it) for at, it in enumerate(columns) if it.kind in ("axis", "gyr") and not it.sure]
    fours = {(column.kind, column.part) for _, column in doubtful if column.axis == "w"}
    for at, column in doubtful:
        if (column.kind, column.part) in fours:
            columns[at] = replace(column, kind="orientation", sure=True)


def _turns(columns: list[Column], heard: Sequence[Said]) -> None:
    """Take roll, pitch, yaw for x, y, z of a gyroscope in this order only: others mean other axes by them."""
    named = [at for at, said in enumerate(heard) if columns[at].kind == "gyr" and said.words & {"roll", "pitch", "yaw"}]
    parts = {columns[at].part for at in named}
    for part in parts:
        own = [at for at in named if columns[at].part == part]
        if [columns[at].axis for at in own] != ["x", "y", "z"]:
            for at in own:
                columns[at] = replace(columns[at], axis="")


def _letters_behind(columns: list[Column], heard: Sequence[Said]) -> None:
    """Take x_a and x_g for both sensors where both are there; x_g beside a gyroscope is x in g."""
    behind = {at: said.letter for at, said in enumerate(heard) if said.behind and columns[at].kind == "axis"}
    letters = set(behind.values())
    for at, letter in behind.items():
        if {"acc", "gyr"} <= letters and letter in ("acc", "gyr"):
            columns[at] = replace(columns[at], kind="acc" if letter == "acc" else "gyr")
        elif letter == "gyr" and "acc" not in letters and any(it.kind == "gyr" and it.sure for it in columns):
            columns[at] = replace(columns[at], kind="acc", unit="g")


def _halves_of_a_time(columns: list[Column], names: Sequence[str]) -> None:
    """Take sec beside nsec or usec for the two halves of one time."""
    words = [plain(name) for name in names]
    rest = [at for at, it in enumerate(columns) if it.clock == "nsecs" or words[at] in ("usec", "usecs", "nanos")]
    whole = [at for at, it in enumerate(columns) if it.clock == "secs" or words[at] in ("sec", "secs", "seconds")]
    if len(rest) == len(whole) == 1:
        columns[whole[0]] = replace(columns[whole[0]], clock="secs")
        columns[rest[0]] = replace(columns[rest[0]], clock="nsecs")


def _ardupilot(columns: list[Column], names: Sequence[str]) -> None:
    """Beside TimeUS, I is the instance of the sensor; a T beside another time is a temperature."""
    times = sum(column.kind == "time" and column.clock != "counter" for column in columns)
    for at, name in enumerate(names):
        if name == "I" and "TimeUS" in names:
            columns[at] = Column("stream", tells="device")
        if name == "T" and times > 1:
            columns[at] = OTHER


def _letters_pqr(columns: list[Column], names: Sequence[str]) -> None:
    """Take p, q, r for the rates of flight mechanics where nothing else is a gyroscope's."""
    words = [plain(name) for name in names]
    if not any(column.kind == "gyr" for column in columns) and all(words.count(letter) == 1 for letter in "pqr"):
        for letter, axis in zip("pqr", "xyz", strict=True):
            columns[words.index(letter)] = Column("gyr", axis, sure=False)


def _apart(columns: list[Column]) -> None:
    """Tell columns of the same kind, axis and part apart by how they were treated, or else by their number."""

    def key(column: Column) -> tuple[str, str, str]:
        return column.kind, column.axis, column.part

    counts = Counter(key(column) for column in columns if column.kind in PER_AXIS and column.axis)
    seen: Counter[tuple[str, str, str]] = Counter()
    for at, column in enumerate(columns):
        if counts[key(column)] > 1 and column.variant:
            columns[at] = column = _further(column, column.variant)
        if column.kind in PER_AXIS and column.axis:
            seen[key(column)] += 1
            if (number := seen[key(column)]) > 1:
                columns[at] = _further(column, str(number))


def _further(column: Column, word: str) -> Column:
    return replace(column, part="_".join(filter(None, (column.part, word))))


def _one_unit(columns: list[Column]) -> None:
    """Give the unit that only some of three axes have to all three."""
    units: dict[tuple[str, str], set[str]] = {}
    for column in columns:
        if column.kind in _WITH_UNITS and column.axis:
            units.setdefault((column.kind, column.part), set()).add(column.unit)
    for at, column in enumerate(columns):
        found = units.get((column.kind, column.part), set()) - {""}
        if not column.unit and column.axis and len(found) == 1:
            columns[at] = replace(column, unit=next(iter(found)))


def _times_of_parts(columns: list[Column], heard: Sequence[Said]) -> None:
    """Give a time that is one sensor's of several that sensor's part: WatchTimestamp beside WatchAccX."""
    parts = {column.part for column in columns if column.kind in ("acc", "user", "gyr") and column.part}
    for at, (column, said) in enumerate(zip(columns, heard, strict=True)):
        if column.kind == "time" and not column.part:
            own = [part for part in parts if set(part.split("_")) <= set(said.tokens)]
            if own:
                columns[at] = replace(column, part=max(own, key=len))
