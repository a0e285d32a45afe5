"""What each column of a table says that it holds, from its name, its neighbours' names and the file's name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from motionsig.recordings.names import gravity
from motionsig.recordings.names.clocks import clock_words
from motionsig.recordings.names.column import Column
from motionsig.recordings.names.units import Unit, plain, unit_of
from motionsig.recordings.names.words import QUANTITIES, Said, listen

OTHER = Column("other")
_LABELS = frozenset(
    ["label", "labels", "activity", "activityid", "activitylabel", "activityname", "class", "classes", "target", "gt", "groundtruth", "annotation", "etiqueta", "actividad", "klasse", "classe", "aktivitat", "tag", "gesture", "movement", "exercise", "action", "behavior", "behaviour"]
)
_STREAM = re.compile(
    "(the)?(device|sensor|node|imu|subject|subj|sub|user|participant|person|people|patient|session|trial|run|instance|"
    "recording|rec|experiment|exp|sequence|series|mac|address|serial|position|placement|location|bodypart|bodylocation|"
    "side|limb|file|filename|topic|stream|source|unit|module|board|tracker|watch|phone|volunteer|proband|versuch|"
    "dispositivo|sujeto|gerat|geraet|appareil|capteur|sujet|设备|repetition|rep|set|segment|group|fold|type|kind|chunk|"
    "measurement|dataset|record)?(id|ids|name|no|nr|number|num|mac|address|label|type|名称|code|key|uuid|serial|index|idx|)"
)
_PER_AXIS = frozenset({"acc", "user", "gravity", "gyr", "mag", "orientation", "axis"})
_FRAME = re.compile(r"free|earth|world|global")


def read_names(names: Sequence[str], units: Sequence[str] = (), stem: str = "") -> tuple[Column, ...]:
    """Return what each of the columns `names` (w,) holds; units: (w,) of a row of units, or none; stem: of the file."""
    heard = [listen(name) for name in names]
    if units:
        row = [unit_of(unit.strip().strip("[]()")) for unit in units]
        heard = [said._replace(unit=said.unit or unit) for said, unit in zip(heard, row, strict=False)]
    columns = [_column(name, said) for name, said in zip(names, heard, strict=True)]
    _said_once(columns, names)
    _left_and_right(columns, heard)
    _numbered_axes(columns, heard)
    _orientations(columns)
    _letters_behind(columns, heard)
    _ardupilot(columns, names)
    _letters_pqr(columns, names)
    _by_stem(columns, stem)
    _apart(columns, heard)
    _one_unit(columns)
    gravity.settle(columns, names, heard, stem)
    return tuple(columns)


def sensor_of(stem: str) -> tuple[str, str]:
    """Return the quantity that a file's name says ("acc", "user", "gravity", "gyr", "mag"; "" for none), and the rest.

    "acc_exp01_user01" gives ("acc", "exp01_user01"), "X_GYRO" ("gyr", "X").
    """
    pieces = [piece for piece in re.split(r"([^\w]+|_+)", stem) if piece]
    said = listen(stem)
    kind = _kind_of_words(said) if said.words else None
    several = "gyr" in said.words and said.words & {"acc", "whole", "user"}
    if kind is None or several or kind[0] not in ("acc", "user", "gravity", "gyr", "mag"):
        return "", stem
    rest = "".join(piece for piece in pieces if not listen(piece).words & QUANTITIES)
    return kind[0], re.sub(r"^[\W_]+|[\W_]+$", "", re.sub(r"([\W_])[\W_]+", r"\1", rest))


def _column(name: str, said: Said) -> Column:
    word = plain("".join(said.tokens))
    if word in _LABELS and not said.unit:
        return Column("label")
    kind = _kind_of_words(said)
    if (time := clock_words(name, said)) and not (kind and said.axis and "time" not in word):
        return Column(
            "time", "", time.unit, time.part, clock=time.clock, owner=time.owner, zone=time.zone,
            sure=time.clock != "counter" or bool(word),
        )  # fmt: skip
    if kind is None and not said.axis and word and _STREAM.fullmatch(word):
        return Column("stream")
    if "other" in said.words or said.letter == "other":
        return OTHER
    rest, unit = list(said.rest), said.unit
    text = unit.text if unit else ""
    if kind is not None:
        quantity, convention = kind
        if unit and not _fits(quantity, unit):
            return OTHER
        if quantity == "orientation" and unit and unit.quantity == "gyr":
            quantity = "gyr"
        sure = bool(said.words - {"rot", "roll", "pitch", "yaw"}) or bool(unit and unit.quantity == "gyr")
        return Column(
            quantity,
            said.axis,
            text,
            "_".join(rest),
            sure=sure,
            convention=convention,
            variant="_".join(said.noise),  # type: ignore[arg-type]
        )
    part, variant = "_".join(rest), "_".join(said.noise)
    if said.axis and unit and unit.quantity in ("acc", "gyr"):
        # The unit is of one quantity only. A letter that says another (gx in g) leaves a doubt.
        letter = said.letter[:3]
        return Column(unit.quantity, said.axis, text, part, sure=letter in ("", unit.quantity), variant=variant)  # type: ignore[arg-type]
    if said.letter and not said.letter.endswith("?"):
        letter = said.letter.removesuffix("r")
        quantity = letter if letter in ("acc", "gyr", "mag", "orientation") else "gyr" if letter == "gy" else letter
        if unit and not _fits(quantity, unit):
            return OTHER
        variant = variant or next((token for token in said.tokens if token in "agwr"), "")
        return Column(quantity, said.axis, text, part, sure=False, variant=variant)  # type: ignore[arg-type]
    if said.axis and not (unit and unit.quantity in ("time", "other")):
        return Column("axis", said.axis, text, part, sure=False, variant=variant)
    return OTHER


def _kind_of_words(said: Said) -> tuple[str, str] | None:
    """Return the quantity that whole words say, and the convention; None where they say none."""
    words = said.words
    if "whole" in words or ("total" in words and (said.axis or words & {"user", "gravity", "acc", "body"})):
        return "acc", ""
    if words & {"gyr", "rollrate", "pitchrate", "yawrate"}:
        return "gyr", ""
    if words & {"orientation", "roll", "pitch", "yaw"} and "other" not in words:
        return "orientation", ""
    if "world" in words:
        return "user", "earth"
    if "user" in words:
        return "user", "earth" if _FRAME.search("".join(said.tokens)) else ""
    if "gravity" in words:
        return "gravity", ""
    if "body" in words:
        return "acc", "body"
    for quantity in ("acc", "mag"):
        if quantity in words:
            return quantity, ""
    return ("gyr", "") if "rot" in words else None


def _fits(quantity: str, unit: Unit) -> bool:
    if quantity in ("acc", "user", "gravity"):
        return unit.quantity in ("acc", "counts")
    if quantity == "gyr":
        return unit.quantity in ("gyr", "counts")
    if quantity == "orientation":
        return unit.quantity in ("other", "gyr")
    return unit.quantity != "time"


def _said_once(columns: list[Column], names: Sequence[str]) -> None:
    """A sensor that stands before its three axes only once: "Acc (g) X", "Y", "Z"."""
    for at in range(len(columns) - 2):
        first, second, third = columns[at : at + 3]
        if first.kind in ("acc", "user", "gravity", "gyr", "mag") and (first.axis or "x") == "x":
            bare = [it for it in (second, third) if it.kind == "axis" and not it.part]
            if [it.axis for it in bare] == ["y", "z"]:
                columns[at] = first if first.axis else replace(first, axis="x")
                for offset, it in ((1, second), (2, third)):
                    columns[at + offset] = replace(first, axis=it.axis, unit=it.unit or first.unit)
            elif (not first.axis and names[at + 1 : at + 3] == ["", ""]) or tuple(names[at + 1 : at + 3]) == ("", ""):
                if not first.axis:
                    columns[at] = replace(first, axis="x")
                for offset, axis in ((1, "y"), (2, "z")):
                    columns[at + offset] = replace(first, axis=axis)


def _left_and_right(columns: list[Column], heard: Sequence[Said]) -> None:
    """l_acc is the left one where there is an r_acc, else linear acceleration."""
    sides = {side for said in heard for side in ("l", "r") if side in said.rest and (said.words or said.letter)}
    if sides == {"l"}:
        for at, column in enumerate(columns):
            if column.kind == "acc" and column.part == "l":
                columns[at] = replace(column, kind="user", part="", sure=False)


def _numbered_axes(columns: list[Column], heard: Sequence[Said]) -> None:
    """Axes by number: gyro_rad[0] to [2], acc_1 to acc_3, q0 to q3."""
    groups: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for at, (column, said) in enumerate(zip(columns, heard, strict=True)):
        if column.kind in _PER_AXIS and not column.axis and said.index is not None:
            number = str(said.index)
            words = column.part.split("_")
            part = "_".join(words[:-1] if words[-1] == number else words)
            groups.setdefault((column.kind, part, column.variant), []).append((said.index, at))
    for (kind, part, _), members in groups.items():
        numbers = [number for number, _ in sorted(members)]
        axes = {(0, 1, 2): "xyz", (1, 2, 3): "xyz", (0, 1, 2, 3): "wxyz", (1, 2, 3, 4): "wxyz"}.get(tuple(numbers), "")
        if axes and (len(axes) == 3 or kind == "orientation"):
            for axis, (_, at) in zip(axes, sorted(members), strict=True):
                columns[at] = replace(columns[at], axis=axis, part=part)


def _orientations(columns: list[Column]) -> None:
    """Four of a kind with a w are a quaternion: rot_w beside rot_x; w, x, y, z."""

    def key(column: Column) -> tuple[str, str]:
        return (column.kind, column.part)

    doubtful = {at: column for at, column in enumerate(columns) if column.kind in ("axis", "gyr") and not column.sure}
    fours = {key(column) for column in doubtful.values() if column.axis == "w"}
    for at, column in doubtful.items():
        if key(column) in fours:
            columns[at] = replace(column, kind="orientation", sure=True)


def _letters_behind(columns: list[Column], heard: Sequence[Said]) -> None:
    """x_a and x_g: the accelerometer's and the gyroscope's where both are; x_g alone is as likely x in g."""
    behind = {at: said.letter[:3] for at, said in enumerate(heard) if said.letter.endswith("?")}
    if {"acc", "gyr"} <= set(behind.values()):
        for at, quantity in behind.items():
            if columns[at].kind == "axis":
                columns[at] = replace(columns[at], kind=quantity)  # type: ignore[arg-type]
    elif "gyr" in behind.values() and any(column.kind == "gyr" and column.sure for column in columns):
        for at, quantity in behind.items():
            if columns[at].kind == "axis" and quantity == "gyr":
                columns[at] = replace(columns[at], kind="acc", unit="g")


def _letters_pqr(columns: list[Column], names: Sequence[str]) -> None:
    """p, q, r are the rates of flight mechanics where nothing else is a gyroscope's."""
    word = [plain(name) for name in names]
    if not any(column.kind == "gyr" for column in columns) and all(word.count(letter) == 1 for letter in "pqr"):
        for letter, axis in zip("pqr", "xyz", strict=True):
            at = word.index(letter)
            columns[at] = Column("gyr", axis, columns[at].unit, sure=False)


def _ardupilot(columns: list[Column], names: Sequence[str]) -> None:
    """Beside TimeUS, I is the instance of the sensor; a T beside another time is a temperature."""
    times = [at for at, column in enumerate(columns) if column.kind == "time" and column.clock != "counter"]
    for at, name in enumerate(names):
        if name == "I" and "TimeUS" in names:
            columns[at] = Column("stream")
        if name == "T" and len(times) > 1:
            columns[at] = OTHER


def _by_stem(columns: list[Column], stem: str) -> None:
    """Bare axes of a file that is called after its sensor are that sensor's."""
    kind, _ = sensor_of(stem) if stem else ("", "")
    said = {column.kind for column in columns if column.kind in ("acc", "user", "gravity", "gyr")}
    if kind and not said:
        for at, column in enumerate(columns):
            if column.kind == "axis" and column.axis != "w":
                columns[at] = replace(column, kind=kind, sure=True)  # type: ignore[arg-type]


def _apart(columns: list[Column], heard: Sequence[Said]) -> None:
    """Give two columns of the same kind, axis and part what tells them apart: how they were treated, or their place."""

    def key(column: Column) -> tuple[str, str, str]:
        return column.kind, column.axis, column.part

    counts = Counter(key(column) for column in columns if column.kind in _PER_AXIS and column.axis)
    for at, column in enumerate(columns):
        if counts.get(key(column), 0) > 1 and column.variant:
            columns[at] = replace(column, part="_".join(filter(None, (column.part, column.variant))))
    seen: Counter[tuple[str, str, str]] = Counter()
    for at, column in enumerate(columns):
        if column.kind in _PER_AXIS and column.axis:
            seen[key(column)] += 1
            if (number := seen[key(column)]) > 1:
                columns[at] = replace(column, part="_".join(filter(None, (column.part, str(number)))))


def _one_unit(columns: list[Column]) -> None:
    """A unit that only one of three axes has is the unit of all three."""
    units: dict[tuple[str, str], set[str]] = {}
    for column in columns:
        if column.kind in ("acc", "user", "gravity", "gyr") and column.axis:
            units.setdefault((column.kind, column.part), set()).add(column.unit)
    for at, column in enumerate(columns):
        found = units.get((column.kind, column.part), set()) - {""}
        if not column.unit and column.axis and len(found) == 1:
            columns[at] = replace(column, unit=next(iter(found)))
