"""A log of tables opened: what it holds is understood from its head, asked where it is open, and read as samples.

Whatever format the tables stood in, the way is one: which streams (streams.py), for each the columns that names say,
the clock (times), the units and the sign (scaling.py), from the first minute of its rows. All that is left open is
asked at once.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.blocks import Source, SourceInfo
from motionsig.conventions import CHANNELS
from motionsig.errors import InputError, RecordingError
from motionsig.facts import Fact, Question
from motionsig.hints import did_you_mean
from motionsig.plausibility.shapes import is_gravity
from motionsig.recordings.feeds import Feed, Sum, read_stream, value_text
from motionsig.recordings.guessing import guess_columns
from motionsig.recordings.labels import LabelColumn, find_label
from motionsig.recordings.members import called, content_id, members, single
from motionsig.recordings.names import factor
from motionsig.recordings.phone import App, app_of
from motionsig.recordings.quantities import GravityError
from motionsig.recordings.samples import CoarseError, Reader, RecordedSource, head_of
from motionsig.recordings.scaling import in_words, numbers_of, scaled
from motionsig.recordings.streams import Group, Piece, Scans, Sensor, find_groups, stream_names
from motionsig.recordings.tables import Table
from motionsig.recordings.times import Clock, check_rate
from motionsig.recordings.timing import CLOCK_OPTIONS, clock_of, polled
from motionsig.recordings.understanding import Stream, UndecidedError, Understanding, undecided

TablesOf = Callable[[Path], Sequence[Table]]
"""Returns the tables of a log, looked at but not yet read; raises RecordingError."""

_LOOKED_AT = 8
"""Of so many streams of one table the heads are read; the others have the same columns."""
_NESTED = re.compile(r"\((?:list|large_list|struct|map|binary|fixed_size\w*)\b.*\)")
"""What a table of typed columns has in place of what is no text and no number."""
_STATISTIC = re.compile(
    r"(?:^|[\W_])(?:mean|avg|std|stdev|min|max|var|median|rms|mad|iqr|skew\w*|kurt\w*|energy|entropy|sma)(?:[\W_\d]|$)",
    re.IGNORECASE,
)
"""In the names of columns that hold features of windows."""
_MEASURED = ("acc", "user", "gravity", "gyr")
_MARKS = frozenset({"0", "1", "true", "false", "True", "False"})


def table_reader(name: str, recognises: Callable[[Path, bytes], int], tables_of: TablesOf) -> Reader:
    """Return the Reader of a format whose logs are tables."""
    return Reader(name, recognises, partial(open_tables, name, tables_of), partial(inspect_tables, name, tables_of))


@dataclass(frozen=True)
class Plan:
    """How one stream is read. `error`: why it cannot be."""

    stream: Stream
    feeds: tuple[Feed, ...] = ()
    factors: tuple[float, ...] = ()
    device: str | None = None
    error: RecordingError | None = None


def open_tables(
    name: str,
    tables_of: TablesOf,
    path: Path,
    *,
    columns: Mapping[str, Any] | None = None,
    by: str | None = None,
    stream: str | None = None,
    acc_unit: str | None = None,
    gyr_unit: str | None = None,
    time_unit: str | None = None,
    rate_hz: float | None = None,
    start_ns: int | None = None,
    zone: str | None = None,
    acc_sign: int | None = None,
    chip: str | None = None,
    acc_range_g: float | None = None,
    gyr_range_dps: float | None = None,
    label: str | None = None,
    check_units: bool = True,
) -> Source:
    """Return the log at `path` as a Source.

    columns: names (or numbers from 0) for "time", "acc_x" .. "gyr_z" where the header does not say; a list of two is
    added up; {"time": None} ignores a time column. by: the columns that tell streams apart, with commas; "" for none.
    stream: which of several streams. acc_unit, gyr_unit, time_unit: win over the header; with a factor where need be,
    as in "1/16384 g". rate_hz: the rows are evenly spaced at this rate; a time column then gives the first row's time
    only. start_ns: Unix time of the first row where the log has no date. zone: of times without one, as in
    "Europe/Berlin". acc_sign: -1 for raw iOS data, whose sign is opposite to every chip's. chip, acc_range_g,
    gyr_range_dps: what recorded raw counts. label: the column that says what was done, by default one called label,
    labels, activity or class; "none" reads no labels. check_units: refuse data without gravity or in impossible units.
    Raises UndecidedError for what is left open, RecordingError with file and, in a text, line.
    """
    told: dict[str, Any] = dict(locals())
    for other in ("name", "tables_of", "path"):
        del told[other]
    understanding, plans = _understood(name, tables_of, path, told)
    chosen = _chosen(plans, stream, called(path))
    if chosen is None or chosen.stream.questions:
        asked = understanding if chosen is None else replace(understanding, streams=(chosen.stream,))
        raise undecided(asked, {key: value for key, value in told.items() if value not in (None, True)})
    if chosen.error is not None:
        raise chosen.error
    return _opened(path, understanding, chosen, told)


def inspect_tables(name: str, tables_of: TablesOf, path: Path, **told: Any) -> Understanding:
    """Return what the log at `path` holds; options are those of open_tables."""
    understanding, plans = _understood(name, tables_of, path, told)
    if told.get("stream") is not None:
        chosen = _chosen(plans, told["stream"], called(path))
        understanding = replace(understanding, streams=(chosen.stream,) if chosen else ())
    if len(plans) == 1 and plans[0].error is not None:
        raise plans[0].error
    return understanding


def _chosen(plans: Sequence[Plan], stream: str | None, where: str) -> Plan | None:
    """Return the stream that is meant; None where that is open."""
    if stream is None or (stream == "" and len(plans) == 1):
        return plans[0] if len(plans) == 1 else None
    for plan in plans:
        if plan.stream.name == stream:
            return plan
    names = [plan.stream.name for plan in plans]
    shown = ", ".join(map(repr, names[:24])) + (", ..." if len(plans) > 24 else "")
    near = did_you_mean(stream or "", names)
    raise InputError(f"{where}: expected stream= to name a stream of it, got {stream!r}{near or ';'} there are {shown}")


def _understood(
    name: str, tables_of: TablesOf, path: Path, told: Mapping[str, Any]
) -> tuple[Understanding, list[Plan]]:
    check_rate(told.get("rate_hz"))
    if told.get("acc_sign") not in (None, 1, -1):
        raise InputError(f"acc_sign: expected 1 or -1, got {told['acc_sign']}")
    tables = tables_of(path)
    app = app_of(path, tables)
    groups = find_groups(tables, told, _scans(*_stamp(path)) if path.is_file() else {})
    if not groups:
        raise RecordingError(f"{called(path)}: expected tables with rows of numbers, got none")
    names = stream_names(groups)
    plans: list[Plan] = []
    seen: dict[tuple[int, str], int] = {}
    for group, stream in zip(groups, names, strict=True):
        if told.get("stream") not in (None, stream):
            plans.append(Plan(Stream(stream, ())))
            continue
        like = (id(group.piece.table), group.place.part)
        seen[like] = seen.get(like, 0) + 1
        if seen[like] > _LOOKED_AT:
            first = next(
                plan for plan, it in zip(plans, groups, strict=False) if (id(it.piece.table), it.place.part) == like
            )
            plans.append(replace(first, stream=replace(first.stream, name=stream, rate_hz=None)))
            continue
        try:
            plans.append(_plan(group, stream, called(path), app, told))
        except RecordingError as error:
            if isinstance(error, UndecidedError):
                raise
            plans.append(Plan(Stream(stream, (Fact("refused", str(error), "shown"),)), error=error))
    facts = tuple(dict.fromkeys(fact for table in tables for fact in table.facts))
    streams = tuple(plan.stream for plan in plans)
    return Understanding(called(path), app.name if app else name, streams, (*(app.facts if app else ()), *facts)), plans


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=64)
def _scans(*_: int) -> Scans:
    """Return what was found before in a file that has this stamp, to be added to."""
    return {}


def _plan(group: Group, stream: str, where: str, app: App | None, told: Mapping[str, Any]) -> Plan:
    """Return how one stream is read; raise RecordingError for one that cannot be."""
    if group.lacks:
        return _unnamed(group, stream, where, app, told)
    refused: RecordingError | None = None
    for acc in group.acc:
        try:
            return _planned(acc, _gyroscope(group), group, stream, where, app, told)
        except GravityError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def _planned(
    acc: Sensor, gyr: Sensor, group: Group, stream: str, where: str, app: App | None, told: Mapping[str, Any]
) -> Plan:
    """Return how one stream is read with this acceleration; raise GravityError where it has no gravity."""
    gravity = group.gravity or (None if acc.triad.gravity is None else Sensor(acc.piece, acc.triad.gravity))
    sensors = [acc, gyr, *([gravity] if gravity else [])]
    for sensor in sensors:
        _check_one_unit(sensor)
    label = _label(acc.piece.table, _taken(sensors, acc.piece), told)
    again = None if told.get("rate_hz") else polled(acc.piece, sensors)
    coarse: frozenset[int] = frozenset()
    while True:
        clocks: dict[int, tuple[Clock, tuple[Question, ...]]] = {}
        for sensor in sensors:
            taken = _taken(sensors, sensor.piece) | {-1 if label is None else label.number}
            clocks.setdefault(id(sensor.piece), clock_of(sensor.piece, sensors, taken, told, coarse))
        by_piece = {key: clock for key, (clock, _) in clocks.items()}
        feeds = _feeds(acc, gyr, gravity, by_piece, label, app, changed=again is not None)
        questions = [question for _, asked in clocks.values() for question in asked]
        facts = [*group.facts, *(fact for clock, _ in clocks.values() for fact in clock.facts)]
        facts += [
            Fact("filter", f"{in_words(sensor)} are filtered: fast movement is missing", "written")
            for sensor in sensors
            if any(sensor.piece.columns[at].filtered for at in sensor.triad.columns if at < len(sensor.piece.columns))
        ]
        if again is not None:
            words = f"{again.mean():.0%} have the numbers of the row before, as read twice: they are no samples"
            facts.append(Fact("repeated rows", words, "shown"))
        clock = clocks[id(acc.piece)][0]
        try:
            _, head = head_of(read_stream(feeds, (1.0,) * 6, where), where)
            units = scaled(head, clock.rate_hz, (acc, gyr, gravity), questions, where, app, told)
            rate_hz = None if units.questions else clock.rate_hz
            known = Stream(stream, (*facts, *units.facts), units.questions, rate_hz)
            return Plan(known, feeds, units.factors, app.device if app else None)
        except CoarseError:
            # Another column may tell the times where this one stands still.
            if len(clocks) > 1 or set(clock.columns) <= coarse:
                raise
            coarse |= set(clock.columns)


def _gyroscope(group: Group) -> Sensor:
    """Return the likeliest of the candidates for angular rate whose numbers can be one."""
    doubts = []
    for gyr in group.gyr:
        if gyr.triad.sure:
            return gyr
        numbers = np.stack([numbers_of(gyr.piece.table.head[column]) for column in gyr.triad.columns], axis=1)
        if not is_gravity(numbers):
            return gyr
        doubts.append(in_words(gyr))
    raise RecordingError(
        f"{group.piece.table.where}: expected angular rate, got gravity in {' and '.join(doubts)}: its length is "
        "constant; columns={'gyr_x': ...} names others"
    )


def _label(table: Table, taken: set[int], told: Mapping[str, Any]) -> LabelColumn | None:
    label = find_label(table.names, told.get("label"), taken, table.where)
    if label is None or not len(head := table.head[label.number]) or not _NESTED.fullmatch(str(head[0])):
        return label
    if label.chosen:
        called = table.called(label.number)
        raise RecordingError(f"{table.where}: expected text or numbers in column {called}, got {str(head[0])[1:-1]}")
    return None


def _check_one_unit(sensor: Sensor) -> None:
    units = sorted(
        {sensor.piece.columns[column].unit for column in sensor.triad.columns if sensor.piece.columns} - {""}
    )
    if len(units) > 1:
        raise RecordingError(
            f"{sensor.piece.table.where}: expected one unit for {in_words(sensor)}, got {' and '.join(units)}; "
            "columns={'acc_x': ...} names others"
        )


def _taken(sensors: Sequence[Sensor], piece: Piece) -> set[int]:
    """Return the columns of a piece that hold what is measured."""
    own = {column for it in sensors if it.piece is piece for column in it.triad.columns}
    named = {at for at, it in enumerate(piece.columns) if it.kind in _MEASURED}
    return own | named | set(piece.wanted) | set(piece.joints)


def _feeds(
    acc: Sensor,
    gyr: Sensor,
    gravity: Sensor | None,
    clocks: Mapping[int, Clock],
    label: LabelColumn | None,
    app: App | None,
    *,
    changed: bool,
) -> tuple[Feed, ...]:
    def sums(sensor: Sensor, beside: Sensor | None = None) -> tuple[Sum, ...]:
        if beside is None:
            return tuple(((column, 1.0),) for column in sensor.triad.columns)
        weight = 1.0
        if sensor.triad.unit != beside.triad.unit and sensor.triad.unit and beside.triad.unit:
            weight = factor("acc", beside.triad.unit) / factor("acc", sensor.triad.unit)
        pairs = zip(sensor.triad.columns, beside.triad.columns, strict=True)
        return tuple(((one, 1.0), (other, weight)) for one, other in pairs)

    shift = app.shift if app else None
    own = gravity if gravity and gravity.piece is acc.piece else None
    first = Feed(
        acc.piece.table,
        acc.piece.wanted,
        clocks[id(acc.piece)],
        sums(acc, own),
        "acc",
        label,
        _gap(acc.piece),
        acc.piece.joints,
        shift,
    )
    if gyr.piece is acc.piece:
        return (replace(first, channels=first.channels + sums(gyr), holds="both", changed=changed),)
    feeds = [first]
    if gravity and own is None:
        feeds.append(
            Feed(
                gravity.piece.table, gravity.piece.wanted, clocks[id(gravity.piece)], sums(gravity), "acc", shift=shift
            )
        )
    feeds.append(Feed(gyr.piece.table, gyr.piece.wanted, clocks[id(gyr.piece)], sums(gyr), "gyr", shift=shift))
    return tuple(feeds)


def _gap(piece: Piece) -> int | None:
    """Return the column of the mark of a gap, as `motionsig convert` writes it."""
    for at, name in enumerate(piece.table.names):
        if name.strip().lower() == "gap" and set(map(value_text, piece.table.head[at].tolist())) <= _MARKS:
            return at
    return None


def _opened(path: Path, understanding: Understanding, plan: Plan, told: Mapping[str, Any]) -> Source:
    feeds, factors = plan.feeds, plan.factors
    used = {feed.table.name for feed in feeds}
    inside = (
        members(path)
        if path.is_dir()
        else members(path.parent)
        if len(feeds) > 1 and not zipfile.is_zipfile(path)
        else ()
    )
    parts = tuple(it for it in inside if any(name == it.name or name.startswith(f"{it.name}/") for name in used))
    parts = parts or (inside if path.is_dir() else (single(path),))
    meaning = [(feed.wanted, feed.channels, sorted(feed.clock.columns.items())) for feed in feeds]
    clock = {key: told.get(key) for key in CLOCK_OPTIONS}
    stream_id = content_id(parts, meaning, factors, clock)
    assert plan.stream.rate_hz is not None
    info = SourceInfo(
        Path(called(path)).name,
        understanding.format,
        stream_id,
        feeds[0].table.rows if not feeds[0].wanted else None,
        device=plan.device,
        facts=(*understanding.facts, *plan.stream.facts),
    )
    label = feeds[0].label
    return RecordedSource(
        lambda: read_stream(feeds, factors, called(path)),
        called(path),
        info,
        plan.stream.rate_hz,
        check_units=told.get("check_units", True),
        label_chosen=label is not None and label.chosen,
    )


def _unnamed(group: Group, stream: str, where: str, app: App | None, told: Mapping[str, Any]) -> Plan:
    """Return the plan of a stream whose columns no name tells: by the numbers, asked about where they leave a doubt."""
    table = group.piece.table
    if any(column.kind in _MEASURED for column in group.piece.columns):
        heading = ", ".join(map(repr, table.names[:24])) + (", ..." if len(table.names) > 24 else "")
        there = {f"{'acc' if it.kind == 'user' else it.kind}_{it.axis}" for it in group.piece.columns}
        missing = [channel for channel in CHANNELS if channel not in there] or CHANNELS
        raise RecordingError(
            f"{table.where}: expected columns for {', '.join(missing)}, got {heading or 'no header'}; "
            f"what is missing is {group.lacks}; columns={{'acc_x': 'its name here'}} maps other names"
        )
    if sum(map(bool, map(_STATISTIC.search, table.names))) * 2 > len(table.names):
        raise RecordingError(
            f"{table.where}: expected samples, got statistics of them: {', '.join(map(repr, table.names[:3]))}, ...; "
            "take the recording that they were made of"
        )
    clock, asked = clock_of(group.piece, (), _taken((), group.piece), told)
    unknown = any(question.option in ("rate_hz", "time_unit") for question in asked)
    guess = guess_columns(table, clock.columns, None if unknown else clock.rate_hz)
    if guess is None:
        raise RecordingError(
            f"{table.where}: expected columns for acc_x, acc_y, acc_z, gyr_x, gyr_y, gyr_z, got {table.width} columns "
            f"{', '.join(map(repr, table.names[:24])) or 'without a header'}, of which no three have "
            "gravity and three beside them can be angular rate; "
            "columns={'time': 0, 'acc_x': 1, ...} names them"
        )
    sensors = [(Sensor(group.piece, triad),) for triad in (guess.acc, guess.gyr)]
    plan = _plan(replace(group, acc=sensors[0], gyr=sensors[1], lacks=""), stream, where, app, told)
    names = [f"{kind}_{axis}" for kind in ("acc", "gyr") for axis in "xyz"]
    numbers = (*guess.acc.columns, *guess.gyr.columns)
    answer = json.dumps({name: table.names[at] if table.names else at for name, at in zip(names, numbers, strict=True)})
    question = Question("columns", answer, f"Which columns are acceleration and angular rate? {guess.words}.")
    return replace(plan, stream=replace(plan.stream, questions=(question, *plan.stream.questions), rate_hz=None))
