"""What each column of a table says that it holds, from its name, its neighbours' names and the file's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from motionsig.recordings.names import gravity, neighbours
from motionsig.recordings.names.clocks import clock_words
from motionsig.recordings.names.column import OTHER, UNKNOWN, Column, Kind
from motionsig.recordings.names.units import Unit, plain, unit_of
from motionsig.recordings.names.words import QUANTITIES, Said, listen

_LABELS = """
label labels activity activityid activitylabel activityname class classes target gt groundtruth annotation etiqueta
actividad klasse classe aktivitat gesture movement exercise action behavior behaviour
"""
# What a column with such a name tells apart; a word such as "id" may follow.
_STREAMS = """
sensor: sensor sensortype sensorname type kind msgtype messagetype topic stream sensorid
device: device node imu mac address serial position placement location bodypart bodylocation side limb source unit
device: module board tracker watch phone dispositivo gerat geraet appareil capteur 设备 id i instance
subject: subject subj sub user participant person people patient volunteer proband sujeto sujet
session: session trial run recording rec experiment exp sequence series file filename versuch repetition rep set segment
session: group fold chunk measurement dataset record take
"""
_TELLS = {
    word: tells for tells, _, words in (it.partition(":") for it in _STREAMS.split("\n")) for word in words.split()
}
_STREAM = re.compile(
    f"({'|'.join(sorted(_TELLS, key=len, reverse=True))})"
    "(id|ids|name|no|nr|number|num|mac|address|label|type|名称|code|key|uuid|serial|index|idx|)"
)
_LABEL_WORDS = frozenset(_LABELS.split())
_AXES = re.compile(r"[(\[] *[xyz] *[,;/ ] *[xyz] *[,;/ ] *[xyz] *[)\]]", re.IGNORECASE)
_FRAME = re.compile(r"free|earth|world|global")
_LONGEST = 200  # characters of a name that are looked at
_MOST = 2000  # columns whose names are looked at: more than any sensor's table has
_DOUBTFUL = frozenset({"rot", "roll", "pitch", "yaw"})


def read_names(names: Sequence[str], units: Sequence[str] = (), stem: str = "") -> tuple[Column, ...]:
    """Return what each of the columns `names` (w,) holds; units: (w,) of a row of units, or none; stem: of the file."""
    beyond = len(names) - _MOST
    names = _spelled([name[:_LONGEST] for name in names[:_MOST]])
    heard = [listen(name) for name in names]
    if units:
        row = [unit_of(unit[:_LONGEST].strip().strip("[]()")) for unit in units]
        heard = [said._replace(unit=said.unit or unit) for said, unit in zip(heard, row, strict=False)]
    columns = [_column(name, said, first=not at) for at, (name, said) in enumerate(zip(names, heard, strict=False))]
    neighbours.settle(columns, names, heard)
    kind, _ = sensor_of(stem) if stem else ("", "")
    if kind:
        unit = listen(stem[:_LONGEST]).unit
        neighbours.bare_axes(columns, kind, unit.text if unit and _fits(kind, unit) else "")
        if kind in ("user", "gravity"):
            # "X (m/s^2)" in a file called linear acceleration: the unit alone says no more than acceleration.
            for at, (column, said) in enumerate(zip(columns, heard, strict=False)):
                if column.kind == "acc" and not said.words & QUANTITIES and not said.letter:
                    columns[at] = replace(column, kind=kind)
    gravity.settle(columns, names, heard, stem)
    neighbours.tell_apart(columns, heard)
    return (*columns, *[UNKNOWN] * beyond)


def _spelled(names: list[str]) -> list[str]:
    """Return names with one each for three columns that the first names: "Accelerometer (z,x,y) [m/s2]", "1", "2"."""
    for at, name in enumerate(names[:-2]):
        axes = names_axes(name)
        if axes and not any(any(map(str.isalpha, other)) for other in names[at + 1 : at + 3]):
            before, after = _AXES.split(name, maxsplit=1)
            names[at : at + 3] = [f"{before} {axis} {after}" for axis in axes]
    return names


def names_axes(name: str) -> str:
    """Return the axes that a name of three columns lists, "zxy" of "Accelerometer (z,x,y)"; "" where it lists none."""
    match = _AXES.search(name)
    axes = "".join(re.findall("[xyz]", match[0].lower())) if match else ""
    return axes if sorted(axes) == ["x", "y", "z"] else ""


def sensor_of(stem: str) -> tuple[Kind | Literal[""], str]:
    """Return the quantity that a file's name says ("acc", "user", "gravity", "gyr", "mag"; "" for none), and the rest.

    "acc_exp01_user01" gives ("acc", "exp01_user01"), "X_GYRO" ("gyr", "X"); so does the value of a column that says
    in each row which sensor it is of.
    """
    said = listen(stem[:_LONGEST])
    found = _quantity(said)
    several = "gyr" in said.words and said.words & {"acc", "whole", "user"}
    if found is None or several or found[0] not in ("acc", "user", "gravity", "gyr", "mag"):
        return "", stem
    pieces = [piece for piece in re.split(r"([^\w]+|_+)", stem) if not listen(piece).words & QUANTITIES]
    if said.unit and len(pieces) > 1 and unit_of(pieces[-1], said.unit.quantity):
        del pieces[-1]  # accel_g
    return found[0], re.sub(r"^[\W_]+|[\W_]+$", "", re.sub(r"([\W_])[\W_]+", r"\1", "".join(pieces)))


def _column(name: str, said: Said, *, first: bool) -> Column:
    word = plain("".join(said.tokens))
    if word in _LABEL_WORDS and not said.unit:
        return Column("label")
    found = _quantity(said)
    time = clock_words(name, said, first=first)
    if time and not (found and said.axis and "time" not in word):
        where = {"clock": time.clock, "owner": time.owner, "zone": time.zone}
        return Column("time", unit=time.unit, part=time.part, sure=bool(word), **where)
    if found is None and not said.axis and (match := _STREAM.fullmatch(word)):
        return Column("stream", tells=_TELLS[match[1]])
    if "other" in said.words or said.letter == "other" or ("speed" in said.words and (found or ("",))[0] != "gyr"):
        return OTHER
    part, variant = "_".join(said.rest), "_".join(said.noise)
    unit, text = said.unit, said.unit.text if said.unit else ""
    if found is not None:
        quantity, convention = found
        if unit and not _fits(quantity, unit):
            return OTHER
        if quantity == "orientation" and unit and unit.quantity == "gyr":
            quantity = "gyr"
        sure = bool(said.words - _DOUBTFUL) or bool(unit and unit.quantity == "gyr")
        return Column(quantity, said.axis, text, part, sure, convention, variant)
    if said.axis and unit and (unit.quantity == "acc" or unit.quantity == "gyr"):
        # The unit is of one quantity only. A letter that says another (gx in g) leaves a doubt.
        return Column(unit.quantity, said.axis, text, part, said.letter in ("", unit.quantity), variant=variant)
    if said.letter and not said.behind:
        if unit and not _fits(said.letter, unit):
            return OTHER
        variant = variant or next((f"({token})" for token in said.tokens if token in "agwr"), "")
        return Column(said.letter, said.axis, text, part, sure=False, variant=variant)
    if said.axis and unit and unit.quantity == "time":
        return Column("time", unit=text, clock="time")  # X[s] of Delsys
    if unit and unit.quantity == "other":
        return OTHER
    return Column("axis", said.axis, text, part, sure=False, variant=variant) if said.axis else UNKNOWN


def _quantity(said: Said) -> tuple[Kind, str] | None:
    """Return the quantity that whole words say, and the convention; None where they say none."""
    words = said.words
    if "whole" in words or ("total" in words and (said.axis or words & {"user", "gravity", "acc", "body"})):
        return "acc", ""
    if words & {"gyr", "rollrate", "pitchrate", "yawrate"}:
        return "gyr", ""
    if words & {"orientation", "roll", "pitch", "yaw"} and "other" not in words:
        return "orientation", ""
    if words & {"world", "user"}:
        text = "".join(said.tokens)
        return "user", "earth" if "world" in words or _FRAME.search(text) else "linear" if "lin" in text else ""
    if "gravity" in words:
        return "gravity", ""
    if "body" in words:
        return "acc", "body"
    if "acc" in words:
        return "acc", ""
    if "mag" in words:
        return "mag", ""
    return ("gyr", "") if "rot" in words else None


def _fits(quantity: str, unit: Unit) -> bool:
    if quantity in ("acc", "user", "gravity"):
        return unit.quantity in ("acc", "counts")
    if quantity == "gyr":
        return unit.quantity in ("gyr", "counts")
    if quantity == "orientation":
        return unit.quantity in ("other", "gyr")
    return unit.quantity != "time"
