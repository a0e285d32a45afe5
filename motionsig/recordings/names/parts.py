"""The sensors of a table: which three columns are an acceleration or an angular rate, and which two belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from motionsig.conventions import CHANNELS
from motionsig.errors import InputError
from motionsig.recordings.names.column import FILTERED, Column
from motionsig.recordings.names.units import Measured, unit_of

Told = Mapping[str, str | int | Sequence[str | int] | None]
"""The option `columns`: for "time" and the channels a column's name or number, None for no such column, or a list of
columns of acceleration that are added."""

NO_GRAVITY = "gravity (linear acceleration is without it, and no column has gravity or the whole acceleration)"

# Words that say how one sensor's numbers were treated, and so no place of another sensor.
_TREATED = """
motion raw rawdata cal calib calibrated calibration uncal uncalibrated corrected corr compensated comp filtered filt
filter smooth smoothed lpf lp lowpass lowpassed kalman adc scaled unscaled fused dmp est ln wr wide low high range
hg lg si phys physical 3d data value values measurement output
"""
_VARIANTS = frozenset(_TREATED.split())
_RAW = frozenset({"raw", "rawdata", "uncal", "uncalibrated", "unscaled", "adc"})
_LIKE_ACC = ("acc", "user", "gravity")


@dataclass(frozen=True)
class Triad:
    """Three columns of one quantity of one sensor.

    * `kind`: "acc", "user" (needs `gravity`), "gravity", "gyr", or "axis" where the names say only x, y and z.
    * `columns`: their numbers, x, y, z. `unit`: as `factor` takes it, "counts", or "" where nothing says it.
    * `sure`: words or units say the kind; without it the numbers must. `convention`: as in Column.
    * `gravity`: what must be added to a "user" part for the whole acceleration.
    """

    kind: Literal["acc", "user", "gravity", "gyr", "axis"]
    columns: tuple[int, int, int]
    unit: str = ""
    part: str = ""
    sure: bool = True
    convention: str = ""
    gravity: Triad | None = None


@dataclass(frozen=True)
class Part:
    """One sensor of a table, as far as names tell.

    * `name`: "" where the table has no other. `acc`: ways to its acceleration, the likeliest first: with gravity, or
      "user" with its gravity. `gyr`: candidates for its angular rate, the likeliest first.
    * `alone`: accelerations without gravity where no column of gravity is beside them: not enough. One that is called
      linear, of the convention "linear", is in `acc`, too: the numbers may show that it is with gravity.
    * `bare`: three columns x, y, z of which no name says more.
    """

    name: str
    acc: tuple[Triad, ...] = ()
    gyr: tuple[Triad, ...] = ()
    alone: tuple[Triad, ...] = ()
    bare: tuple[Triad, ...] = field(default=())

    @property
    def lacks(self) -> str:
        """What a sample needs and no column may hold, in words; "" where there are candidates for all six."""
        acc = "" if self.acc else NO_GRAVITY if self.alone else "an accelerometer"
        return " and ".join(filter(None, (acc, "" if self.gyr else "a gyroscope")))


def sensors_in(columns: Sequence[Column]) -> tuple[Part, ...]:
    """Return the sensors that a table with these columns has; () where it has no three axes of anything.

    Sensors with an accelerometer and a gyroscope stand alone where there are any; else all that there is, such as the
    accelerometer of a table that holds no other.
    """
    triads = _triads(columns)
    places: dict[str, list[Triad]] = {}
    for triad in triads:
        if triad.kind != "axis":
            places.setdefault(_place(triad.part), []).append(triad)
    _join(places)
    bare = tuple(triad for triad in triads if triad.kind == "axis")
    parts = [_part(place, found) for place, found in places.items()]
    if bare:
        parts = _with_bare(parts, bare)
    whole = [part for part in parts if part.acc and part.gyr] or parts
    if len(whole) == 1:
        whole = [Part("", whole[0].acc, whole[0].gyr, whole[0].alone, whole[0].bare)]
    return tuple(whole)


def told_part(names: Sequence[str], columns: Sequence[Column], told: Told) -> Part:
    """Return the one sensor that the option `columns` names; channels that it leaves out are as the names say.

    A list of two columns for acc_x, acc_y and acc_z is their sum: the part without gravity, and gravity. Raises
    InputError for what is no column, or no channel.
    """
    chosen = {channel: _numbers(channel, told[channel], names) for channel in told if channel != "time"}
    for channel in chosen:
        if channel not in CHANNELS:
            raise InputError(f"columns: expected the keys time, {', '.join(CHANNELS)}, got {channel!r}")
    taken = {number for numbers in chosen.values() for number in numbers}
    left = [Column("other") if at in taken else column for at, column in enumerate(columns)]
    others = sensors_in(left)
    acc, gyr = (others[0].acc, others[0].gyr) if others else ((), ())
    both: tuple[Literal["acc", "gyr"], ...] = ("acc", "gyr")
    for quantity in both:
        axes = [chosen.get(f"{quantity}_{axis}", ()) for axis in "xyz"]
        if not any(axes):
            continue
        kinds = _LIKE_ACC if quantity == "acc" else ("gyr",)
        filled = [
            it or tuple(at for at, column in enumerate(left) if column.kind in kinds[:1] and column.axis == axis)[:1]
            for it, axis in zip(axes, "xyz", strict=True)
        ]
        if not all(filled):
            missing = [f"{quantity}_{axis}" for axis, it in zip("xyz", filled, strict=True) if not it]
            raise InputError(f"columns: expected {', '.join(missing)}, too, got {', '.join(map(repr, told))}")
        if len({len(it) for it in filled}) != 1 or len(filled[0]) > (2 if quantity == "acc" else 1):
            raise InputError(
                f"columns: expected one column for each of {quantity}_x to {quantity}_z, or two of each acceleration"
            )
        whole = [_told_triad(quantity, names, columns, tuple(it[k] for it in filled)) for k in range(len(filled[0]))]
        if len(whole) == 2:
            if whole[0].kind == "gravity":
                whole.reverse()
            user = whole[0]
            whole = [Triad("user", user.columns, user.unit, "", True, user.convention or whole[1].convention, whole[1])]
        if quantity == "acc":
            acc = (whole[0],)
        else:
            gyr = (whole[0],)
    return Part("", acc, gyr)


def _numbers(channel: str, wanted: object, names: Sequence[str]) -> tuple[int, ...]:
    if wanted is None:
        return ()
    found = []
    for each in wanted if isinstance(wanted, list | tuple) else (wanted,):
        number = each if isinstance(each, int) else next((at for at, name in enumerate(names) if name == each), -1)
        if not 0 <= number < max(len(names), number + 1 if isinstance(each, int) and not names else 0):
            heading = ", ".join(repr(name) for name in names[:24]) + (", ..." if len(names) > 24 else "")
            raise InputError(f"columns: expected a column for {channel}, got {each!r}, where the table has {heading}")
        found.append(number)
    return tuple(found)


def _told_triad(
    quantity: Literal["acc", "gyr"], names: Sequence[str], columns: Sequence[Column], at: tuple[int, ...]
) -> Triad:
    said = [columns[number] if number < len(columns) else Column("other") for number in at]
    units = {
        _own_unit(quantity, column, names[number] if names else "") for column, number in zip(said, at, strict=True)
    }
    convention = said[0].convention if said[0].kind in _LIKE_ACC else ""
    kind = said[0].kind if quantity == "acc" and said[0].kind in ("user", "gravity") else quantity
    return Triad(kind, (at[0], at[1], at[2]), units.pop() if len(units) == 1 else "", "", True, convention)


def _own_unit(quantity: Measured, column: Column, name: str) -> str:
    unit = unit_of(column.unit, quantity, "counts") if column.unit else None
    if unit is None and (start := max(name.rfind("["), name.rfind("("))) >= 0:
        unit = unit_of(name[start:].strip("[()] "), quantity, "counts")
    return unit.text if unit else ""


def _triads(columns: Sequence[Column]) -> list[Triad]:
    """Return all triads, in the order of their first columns."""
    groups: dict[tuple[str, str], dict[str, int]] = {}
    for at, column in enumerate(columns):
        if (
            column.kind in (*_LIKE_ACC, "gyr", "axis")
            and column.axis in ("x", "y", "z")
            and column.convention != "earth"
        ):
            groups.setdefault((column.kind, column.part), {}).setdefault(column.axis, at)
    found = []
    for (kind, part), axes in groups.items():
        if len(axes) == 3:
            members = [columns[axes[axis]] for axis in "xyz"]
            units = {column.unit for column in members}
            numbers = (axes["x"], axes["y"], axes["z"])
            unit = units.pop() if len(units) == 1 else ""
            sure = all(column.sure for column in members)
            found.append(Triad(kind, numbers, unit, part, sure, members[0].convention))  # type: ignore[arg-type]
    return sorted(found, key=lambda triad: min(triad.columns))


def _place(part: str) -> str:
    return "_".join(word for word in part.split("_") if word not in _VARIANTS and not word.startswith("("))


def _join(places: dict[str, list[Triad]]) -> None:
    """Bring together in place what belongs to one sensor though its names differ: hand_16 and hand; the only two."""

    def halves(kinds: Sequence[str]) -> list[str]:
        return [place for place, found in places.items() if {triad.kind for triad in found} <= set(kinds)]

    for place in halves(_LIKE_ACC):
        words = set(place.split("_")) - {""}
        homes = [
            other
            for other, found in places.items()
            if other != place and any(triad.kind == "gyr" for triad in found) and set(other.split("_")) - {""} <= words
        ]
        extra = words - set(max(homes, key=len).split("_")) if homes else set()
        # A number behind acc that gyr does not have is its range: acc_16, acc_6. Any other word is a place of its own.
        if homes and all(word.removesuffix("g").isdigit() for word in extra):
            places[max(homes, key=len)] += places.pop(place)
    accs, gyrs = halves(_LIKE_ACC), halves(("gyr",))
    if len(accs) == len(gyrs) == 1 and len(places) == 2:
        first, second = accs[0], gyrs[0]
        places[first if len(first) <= len(second) else second] = places.pop(first) + places.pop(second)


def _part(place: str, found: Sequence[Triad]) -> Part:
    def order(triad: Triad) -> tuple[bool, bool, bool, bool, bool, int]:
        words = triad.part.split("_")
        return (
            triad.unit in ("", "counts")
            and any(it.unit not in ("", "counts") for it in found if it.kind == triad.kind),
            not triad.sure,
            not FILTERED.isdisjoint(words),
            not _RAW.isdisjoint(words),
            words[-1] == "(g)",
            -max((int(word) for word in words if word.isdigit()), default=0),
        )

    def of(kind: str) -> list[Triad]:
        return sorted((triad for triad in found if triad.kind == kind), key=order)

    gravity = of("gravity")
    sums, alone = [], []
    for user in of("user"):
        near = [it for it in gravity if it.part == user.part] or gravity
        if near:
            convention = user.convention or near[0].convention
            sums.append(Triad("user", user.columns, user.unit, user.part, user.sure, convention, near[0]))
        else:
            alone.append(user)
    total, rates = of("acc"), of("gyr")
    # gx beside rx may be gravity, and then ax may be without it.
    doubtful = [rate for rate in rates if rate.part.split("_")[-1] == "(g)" and not rate.sure]
    if total and doubtful and len(rates) > 1:
        it, g = total[0], doubtful[0]
        gravities = Triad("gravity", g.columns, g.unit, g.part, False, g.convention)
        sums.append(Triad("user", it.columns, it.unit, it.part, False, it.convention, gravities))
    if gravity and total and not of("user"):
        # "acceleration" beside "gravity": with it, or without, as on a watch. The numbers tell.
        first = total[0]
        sums.append(Triad("user", first.columns, first.unit, first.part, False, first.convention, gravity[0]))
        total = [replace(triad, sure=False) for triad in total]
    alone += [triad for triad in total if triad.convention == "linear"]
    return Part(place, (*total, *sums), tuple(rates), tuple(alone))


def _with_bare(parts: list[Part], bare: tuple[Triad, ...]) -> list[Part]:
    """Give a lone x, y, z to the sensor that lacks one; else it is a part of its own."""
    if len(parts) == 1 and len(bare) == 1 and bool(parts[0].acc) != bool(parts[0].gyr):
        whole = parts[0]
        kind: Literal["acc", "gyr"] = "gyr" if whole.acc else "acc"
        only = (Triad(kind, bare[0].columns, bare[0].unit, bare[0].part, False),)
        return [Part(whole.name, whole.acc or only, whole.gyr or only, whole.alone)]
    if not parts:
        return [Part("", bare=bare)]
    return parts
