"""Which streams a log has: the rows of one device among several, sensors side by side, tables beside each other.

A piece is a table, or those of its rows that belong together. A piece with acceleration and angular rate is a stream
for each sensor in it; pieces of one sensor each (`Accelerometer.csv`, `acc_exp01.txt`, the rows of "gyro" in a long
table) are one stream where their folder is the same, and what is left of their names without the sensor's word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import InputError, RecordingError
from motionsig.facts import Fact
from motionsig.plausibility.shapes import tells_apart
from motionsig.recordings.feeds import Wanted, distinct, value_text
from motionsig.recordings.names import Column, Part, Triad, read_names, sensor_of, sensors_in, told_part
from motionsig.recordings.tables import Kind, Table

_MOST_VALUES = 1000
"""A column that holds more texts than this counts or measures something; it tells no streams apart."""


_NO_GRAVITY = (
    "gravity (linear acceleration has gravity removed: record the raw, total accelerometer, or gravity with it)"
)
_MOST_NEW = 8
"""In the head of a table every row may be of another device; if more than every 8th has a new value, it is a count."""
_SESSION = re.compile(r"trial|session|run|rep|set|segment|chunk|seq|block|file|rec|take|fold|exp|group|series|versuch")
"""In the name of a column whose values may follow each other in one recording; devices and persons never do."""
_WORDS = {"acc": "an accelerometer", "gyr": "a gyroscope", "user": "acceleration without gravity", "gravity": "gravity"}


_SHOWN_ROWS = 4096
_MOST_SENSORS = 32
"""In the first rows, of a column that is no stream's by its name."""


class Place(NamedTuple):
    """What tells a piece from others: its folder and file without sensors' words, the values of columns, its sensor."""

    file: tuple[str, ...]
    values: tuple[str, ...] = ()
    part: str = ""


@dataclass(frozen=True)
class Piece:
    """A table, or those of its rows that hold the texts in `wanted`. `columns`: what its names say.

    `joints`: columns at whose changes samples were lost, though the clock goes on: one trial after another.
    """

    table: Table
    columns: tuple[Column, ...]
    wanted: Wanted
    place: Place
    joints: tuple[int, ...] = ()


Scans = dict[tuple[str | int, ...], tuple[list[tuple[str, ...]], bool]]
"""What scans of a log's tables found, so that one that is opened for each of its streams is scanned once."""


class Sensor(NamedTuple):
    """One quantity of a stream, and where it is."""

    piece: Piece
    triad: Triad


@dataclass(frozen=True)
class Group:
    """What belongs to one stream.

    * `acc`, `gyr`: ways to each, the likeliest first; where pieces hold one sensor each, `gravity` is what to add.
    * `piece`: the only one, where no name says what its columns hold; then acc and gyr are ().
    """

    place: Place
    piece: Piece
    acc: tuple[Sensor, ...] = ()
    gyr: tuple[Sensor, ...] = ()
    gravity: Sensor | None = None
    lacks: str = ""
    facts: tuple[Fact, ...] = ()


def find_groups(tables: Sequence[Table], told: Mapping[str, Any], scans: Scans) -> list[Group]:
    """Return what belongs together, a Group for each stream; told: the options `columns` and `by`.

    scans: what was found before in the very same tables, and keeps what is found now.
    """
    pieces = [piece for table in tables for piece in _pieces(table, told.get("by"), scans)]
    groups: list[Group] = []
    halves: dict[Place, dict[str, Sensor]] = {}
    unnamed: list[Group] = []
    # The option may name the time alone; then names say where the sensors are.
    channels = {key: it for key, it in (told.get("columns") or {}).items() if key != "time"}
    named = {id(table) for table in tables if channels and _has(table, told["columns"])}
    for piece in pieces:
        parts: Sequence[Part]
        if channels and (id(piece.table) in named or not named):
            parts = (told_part(piece.table.names, piece.columns, told["columns"]),)
        else:
            parts = sensors_in(piece.columns)
        whole = [part for part in parts if part.acc and part.gyr]
        for part in whole:
            ways = [tuple(Sensor(piece, triad) for triad in triads) for triads in (part.acc, part.gyr)]
            groups.append(Group(piece.place._replace(part=part.name), piece, ways[0], ways[1]))
        if whole:
            continue
        alone = _alone(piece)
        for kind, triad in alone.items():
            there = halves.setdefault(piece.place, {})
            there[kind] = _plainer(there[kind], Sensor(piece, triad)) if kind in there else Sensor(piece, triad)
        if not alone:
            unnamed.append(Group(piece.place, piece, lacks="names that say which columns hold acceleration"))
    groups += _joined(halves)
    complete = [group for group in groups if not group.lacks]
    if len(complete) > 1:
        complete = [group for group in complete if not _is_empty(group)] or complete
    # Halves that nothing joins: the first says what is missing.
    return complete or groups[:1] or unnamed


def _has(table: Table, columns: Mapping[str, Any]) -> bool:
    """Tell whether a table has all the columns that the caller names."""
    named = [each for it in columns.values() for each in (it if isinstance(it, list | tuple) else (it,))]
    return all(each in table.names if isinstance(each, str) else each is None or each < table.width for each in named)


def _is_empty(group: Group) -> bool:
    """Tell whether no row of the log has a number of this sensor, as where a watch was not worn beside the phone."""
    sensor = group.acc[0]
    columns = sensor.triad.columns
    if any(_has_number(sensor.piece.table.head[column]) for column in columns):
        return False
    rows = sensor.piece.table.read(dict.fromkeys(columns, "number"))
    try:
        return not any(np.isfinite(part.columns[column]).any() for part in rows for column in columns)
    except RecordingError:
        return False


def _has_number(head: NDArray[Any]) -> bool:
    return head.dtype.kind in "iu" or (head.dtype.kind == "f" and bool(np.isfinite(head).any()))


def _alone(piece: Piece) -> dict[str, Triad]:
    """Return the triads of a piece that has not both an acceleration with gravity and an angular rate."""
    axes: dict[str, dict[str, int]] = {}
    for index, column in enumerate(piece.columns):
        if column.kind in _WORDS and column.axis:
            axes.setdefault(column.kind, {}).setdefault(column.axis, index)
    found = {}
    for kind, at in axes.items():
        if {"x", "y", "z"} <= set(at):
            first = piece.columns[at["x"]]
            numbers = (at["x"], at["y"], at["z"])
            found[kind] = Triad(kind, numbers, first.unit, convention=first.convention)  # type: ignore[arg-type]
    return found


def _joined(halves: Mapping[Place, dict[str, Sensor]]) -> list[Group]:
    """Return the streams of pieces that hold one sensor each."""
    by_place = {place: dict(sensors) for place, sensors in halves.items()}
    lacking = [place for place, sensors in by_place.items() if not _is_whole(sensors)]
    acc = [place for place in lacking if "gyr" not in by_place[place]]
    gyr = [place for place in lacking if set(by_place[place]) == {"gyr"}]
    if len(acc) == len(gyr) == 1 and len(by_place) == 2 and _letters(acc[0]) == _letters(gyr[0]):
        # The only two: their names differ in a number, such as the sensor's rate.
        by_place[acc[0]] |= by_place.pop(gyr[0])
    groups = []
    for place, sensors in by_place.items():
        first = sensors.get("acc") or sensors.get("user") or next(iter(sensors.values()))
        if not _is_whole(sensors):
            lacks = [_WORDS[kind] for kind in ("acc", "gyr") if kind not in sensors]
            if "user" in sensors and "acc" not in sensors:
                lacks[0] = _NO_GRAVITY
            groups.append(Group(place, first.piece, lacks=" and ".join(lacks)))
            continue
        gravity = None if "acc" in sensors else sensors["gravity"]
        groups.append(Group(place, first.piece, (first,), (sensors["gyr"],), gravity))
    return groups


def _letters(place: Place) -> list[str]:
    return re.findall(r"[^\W\d_]+", " ".join((*place.file, *place.values)))


def _is_whole(sensors: Mapping[str, object]) -> bool:
    return "gyr" in sensors and ("acc" in sensors or {"user", "gravity"} <= set(sensors))


def _plainer(one: Sensor, other: Sensor) -> Sensor:
    """Return which of two tables of one sensor is meant: Gyroscope, beside GyroscopeUncalibrated."""
    names = [PurePosixPath(it.piece.table.name).stem for it in (one, other)]
    short, long = sorted(names, key=len)
    if short == long or not long.startswith(short):
        both = f"{one.piece.table.name} and {other.piece.table.name}"
        raise RecordingError(f"{other.piece.table.where}: expected one table of {_WORDS[one.triad.kind]}, got {both}")
    return one if names[0] == short else other


def holds_one_sensor(table: Table) -> bool:
    """Tell whether a table has one of what a sample needs, and another table the rest."""
    found = _pieces(table, "", {})[0]
    alone = _alone(found)
    return bool(alone) and not _is_whole(dict.fromkeys(alone)) and "time" in {it.kind for it in found.columns}


def stream_names(groups: Sequence[Group]) -> list[str]:
    """Return a name for each, of what tells it from the others; "" for a single one."""
    places = [(*group.place.file, *group.place.values, group.place.part) for group in groups]
    width = max(map(len, places), default=0)
    # The sensor's place is the last word, however deep the folders are.
    rows = [(*place[:-1], *("",) * (width - len(place)), place[-1]) for place in places]
    differ = [index for index in range(width) if len({row[index] for row in rows}) > 1]
    names = ["/".join(row[index] for index in differ if row[index]) for row in rows]
    if len(names) == 1:
        return [""]
    counts = Counter(names)
    numbers: Counter[str] = Counter()
    found = []
    for name in names:
        numbers[name] += 1
        found.append(name if name and counts[name] == 1 else f"{name or 'stream'}_{numbers[name]}")
    return found


def _pieces(table: Table, by: str | None, scans: Scans) -> list[Piece]:
    path = PurePosixPath(table.name)
    parents = [part for part in path.parent.parts if part not in ("/", "..")]
    stem, file = path.stem, []
    for each in (*parents, path.stem):
        holds, rest = sensor_of(each)
        stem = each if holds else stem
        file.append(rest)
    read = read_names(table.names, table.units, stem) if table.names else _bare(table, stem)
    splits = _splitting(table, read, by)
    if not splits:
        return [Piece(table, read, {}, Place(tuple(file)))]
    pieces = []
    runs = [] if by else [at for at in splits if _SESSION.search(table.names[at].lower())]
    clocks = [at for at, it in enumerate(read) if it.kind == "time" and table.head[at].dtype.kind in "iuf"]
    if runs and _scanned(scans, table, runs, clocks)[1]:
        splits = [at for at in splits if at not in runs]
        if not splits:
            return [Piece(table, read, {}, Place(tuple(file)), tuple(runs))]
    else:
        runs = []
    for texts in _scanned(scans, table, splits, ())[0]:
        of_rows = read
        for text in texts:
            if sensor_of(text)[0] and not any(column.kind in _WORDS for column in read):
                # This column says what a row holds.
                of_rows = read_names(table.names, table.units, text)
        values = [sensor_of(text)[1] for text in texts]
        wanted = {column: frozenset({text}) for column, text in zip(splits, texts, strict=True)}
        pieces.append(Piece(table, of_rows, wanted, Place(tuple(file), tuple(values)), tuple(runs)))
    return pieces


def _are_few(head: NDArray[Any]) -> bool:
    """Tell whether values come again and again, as those of a column that tells devices apart do."""
    return len(np.unique(head)) <= max(_MOST_NEW, len(head) // _MOST_NEW)


def _bare(table: Table, stem: str) -> tuple[Column, ...]:
    """Return the columns of a headless table called after a sensor: x, y, z with a time before or behind them."""
    kind = sensor_of(stem)[0]
    if kind not in _WORDS or table.width not in (3, 4, 5):
        return ()
    axes = [Column(kind, axis) for axis in "xyz"]  # type: ignore[arg-type]
    if table.width == 3:
        return tuple(axes)
    if table.width == 4 and not _rises(table.head[0]) and _rises(table.head[3]):
        return (*axes, Column("time", clock="time"))
    return (Column("time", clock="time"), *axes, Column("other"))[: table.width]


def _rises(head: NDArray[Any]) -> bool:
    return head.dtype.kind in "iuf" and len(head) > 1 and bool((np.diff(head) >= 0).all() and head[-1] > head[0])


def _splitting(table: Table, columns: Sequence[Column], by: str | None) -> list[int]:
    """Return the columns whose values tell streams apart."""
    if by is None:
        named = [index for index, column in enumerate(columns) if column.kind == "stream"]
        return [index for index in named if _are_few(table.head[index])] or _shown(table, columns)
    found = []
    for name in filter(None, (each.strip() for each in by.split(","))):
        if name in table.names:
            found.append(table.names.index(name))
        elif name.isdigit() and int(name) < table.width:
            found.append(int(name))
        else:
            heading = ", ".join(map(repr, table.names[:24]))
            raise InputError(f"{table.where}: expected a column {name!r} that tells streams apart, got {heading}")
    return found


def _shown(table: Table, columns: Sequence[Column]) -> list[int]:
    """Return the column of an unknown name whose values, by the numbers beside them, are sensors that take turns."""
    measured = [at for at, it in enumerate(columns) if it.kind in _WORDS and table.head[at].dtype.kind in "iuf"]
    if len(measured) < len("xyz"):
        return []
    rows = np.stack([table.head[at][:_SHOWN_ROWS].astype(np.float64) for at in measured], axis=1)
    rows[(rows == rows[:, :1]).all(axis=1)] = np.nan  # marks for no reading are no other sensor
    for at, column in enumerate(columns):
        if column.kind == "other" and table.head[at].dtype.kind in "iuUS":
            values, which = np.unique(table.head[at][:_SHOWN_ROWS], return_inverse=True)
            if 2 <= len(values) <= _MOST_SENSORS and tells_apart(which.reshape(-1), rows):
                return [at]
    return []


def _scanned(
    scans: Scans, table: Table, columns: Sequence[int], clocks: Sequence[int]
) -> tuple[list[tuple[str, ...]], bool]:
    """Return what `scan` does, once for each table."""
    key: tuple[str | int, ...] = (table.name, table.where, *columns, "", *clocks)
    if key not in scans:
        scans[key] = scan(table, columns, clocks)
    return scans[key]


def scan(table: Table, columns: Sequence[int], clocks: Sequence[int] = ()) -> tuple[list[tuple[str, ...]], bool]:
    """Return the texts that columns hold together, in the order of their first rows; reads the whole table.

    And whether they follow each other on one clock: none comes again, and one of the numbers in `clocks` never falls.
    """
    found: dict[tuple[str, ...], None] = {}
    kinds: dict[int, Kind] = dict.fromkeys(columns, "text")
    kinds.update(dict.fromkeys(clocks, "number"))
    last: tuple[str, ...] | None = None
    blocks, rising = True, set(clocks)
    before = dict.fromkeys(clocks, -np.inf)
    for rows in table.read(kinds):
        here, which = _texts_of([rows.columns[column] for column in columns])
        if not here:
            continue
        # Where there are more runs than texts, one comes again within these rows.
        again = int(np.count_nonzero(which[1:] != which[:-1])) >= len(here)
        blocks = blocks and not again and not any(it in found for it in here[here[0] == last :])
        found.update(dict.fromkeys(here))
        last = here[which[-1]]
        for clock in tuple(rising):
            times = rows.columns[clock]
            if not (np.diff(times, prepend=before[clock]) >= 0).all():
                rising.discard(clock)
            before[clock] = float(times[-1])
        if len(found) > _MOST_VALUES and not (blocks and rising):
            named = " and ".join(table.called(column) for column in columns)
            raise RecordingError(
                f"{table.where}: expected {named} to tell streams apart, got more than {_MOST_VALUES} values; "
                "by= names another column, by='' none"
            )
    return list(found), blocks and bool(rising)


def _texts_of(columns: Sequence[NDArray[Any]]) -> tuple[list[tuple[str, ...]], NDArray[np.intp]]:
    """Return the texts that columns (n,) hold together, in the order of their first rows, and which each row has."""
    joint = np.zeros(len(columns[0]), np.intp)
    for column in columns:
        found, which = distinct(column)
        joint = distinct(joint * len(found) + which)[1]
    firsts = np.unique(joint, return_index=True)[1]
    texts = list(zip(*(map(value_text, column[firsts].tolist()) for column in columns), strict=True))
    place = {each: at for at, each in enumerate(dict.fromkeys(texts))}
    return list(place), np.array([place[each] for each in texts], np.intp)[joint]
