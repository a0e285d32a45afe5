"""JSON as tables: lines of objects, an array of them, a document of columns; a column for each value in an object.

Objects are read one after the other and forgotten, so that a long log takes no more memory than a short one. Only a
document that is one object as a whole is read at once.
"""

from __future__ import annotations

import codecs
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.escaping import own_logger
from motionsig.facts import Fact
from motionsig.recordings.members import Member
from motionsig.recordings.tables import Kind, Rows, Table
from motionsig.recordings.text.cells import column, typed, value
from motionsig.recordings.text.decoding import as_utf8
from motionsig.recordings.text.documents import (
    DAMAGE,
    DEEPEST,
    MOST_CELLS,
    NESTED,
    SENSOR,
    SENSORS,
    Cell,
    Found,
    best,
    settings,
    whole,
)

log = own_logger(__name__)

_CHUNK = 1 << 18
_LARGEST_OBJECT = 1 << 16
_BATCH = 8192
_HEAD = 1000
_MOST_WITHOUT = 10_000  # objects without a value, before the first that has one
_RESTARTS = 200  # lines that are no objects; more of them must be few among the others
_BETWEEN = re.compile(r"[\s,\x1e]*")
_ARRAY = re.compile(r"\[\s*(?:[\[{\]]|$)")  # of objects; one of numbers is a row itself

Record = dict[str, Cell]


class _Entry(NamedTuple):
    """A row: the line it is in, whether a break is before it, its values by name."""

    line: int
    broken: bool
    record: Record


Entries = Callable[[], Iterator[_Entry]]


def json_tables(member: Member, encoding: str, text: str) -> tuple[Table, ...]:
    """Return the tables of a text that is JSON: one, or one for each sensor whose rows it mixes."""
    start = text.lstrip()
    facts = [Fact("cells", "values of JSON objects", "shown")]
    if start.startswith("{") and not _is_stream(start):
        document = whole(member, encoding)
        found = best(document)
        if found is None:
            return ()
        facts += [
            Fact(f"setting {name}", str(cell), "written") for name, cell in itertools.islice(settings(document), 100)
        ]
        if found.columns is not None:
            return (_table_of_columns(member, found.columns, facts),)
        entries: Entries = partial(_of_document, found)
    else:
        entries = partial(_entries, member, encoding)
    head = [entry.record for entry in itertools.islice(entries(), _HEAD)]
    if not head or len({name for record in head for name in record}) > MOST_CELLS:
        return ()
    heads = _heads(entries) if SENSOR in head[0] else {"": head}
    return tuple(
        _table(member, name, chosen, [record for record in heads.get(name, head) if chosen(record)], entries, facts)
        for name, chosen in _sensors(list(itertools.chain(*heads.values())))
    )


def _heads(entries: Entries) -> dict[str, list[Record]]:
    """Return the first rows of each sensor of a log that says in each row which one it is, wherever they are in it."""
    heads: dict[str, list[Record]] = {}
    for entry in entries():
        rows = heads.setdefault(str(entry.record.get(SENSOR)), [])
        if len(rows) < _HEAD and len(heads) <= SENSORS:
            rows.append(entry.record)
    return heads


def _is_stream(start: str) -> bool:
    """Tell whether a text that begins with an object goes on with others."""
    try:
        first, end = json.JSONDecoder().raw_decode(start)
    except DAMAGE:
        return False
    after = start[end:].lstrip(" \t\r\n,\x1e")
    return after.startswith("{") or (not after and best(first) is None)


def _entries(member: Member, encoding: str) -> Iterator[_Entry]:
    return _rows_of(_objects(member, encoding))


def _rows_of(objects: Iterable[tuple[int, bool, Any]]) -> Iterator[_Entry]:
    """Yield the rows of objects, each with its line and whether a break is before it; none after many without any."""
    begun = False
    for count, (line, broken, found) in enumerate(objects):
        for at, record in enumerate(_flat(found)):
            begun = True
            yield _Entry(line, broken and not at, record)
        if not begun and count >= _MOST_WITHOUT:
            return


def _objects(member: Member, encoding: str) -> Iterator[tuple[int, bool, Any]]:
    """Yield the objects of a text, with the line of each and whether something else stood before it."""
    decoder, text, at, line, broken, started = json.JSONDecoder(), "", 0, 1, False, False
    restarts = 0
    with member.open() as file:
        to_text = codecs.getincrementaldecoder("latin-1" if encoding == "latin-1" else "utf-8")(errors="replace")
        for piece in itertools.chain(as_utf8(file, encoding, _CHUNK), (b"",)):
            text, at, last = text[at:] + to_text.decode(piece, final=not piece), 0, not piece
            fresh = True
            while True:
                end = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
                if not started and _ARRAY.match(text, end):
                    end += 1
                    started = True
                line, at = line + text.count("\n", at, end), end
                if at == len(text):
                    break
                if text[at] == "]":
                    return
                started = True
                cut, fresh = _many(text, at) if fresh else 0, False
                if cut and (many := _all_at_once(text[at:cut])) is not None:
                    for found in many:
                        yield line, broken, found
                        broken = False
                        line += text.startswith("\n", cut - 1)
                    at = cut
                    continue
                try:
                    found, end = decoder.raw_decode(text, at)
                except DAMAGE as error:
                    if len(text) - at <= _LARGEST_OBJECT and not last:
                        break  # the rest of it comes with the next piece
                    newline = text.find("\n", at)
                    if last and (newline < 0 or not text[newline:].strip()):
                        log.warning("%s:%d: the last object was cut short and is dropped", member.where, line)
                        return
                    if newline >= 0 and text[at] not in "{[":
                        # What a logger says when it starts.
                        if (restarts := restarts + 1) > _RESTARTS and restarts * 10 > line:
                            got = f"{restarts} of {line} lines are none"
                            raise RecordingError(f"{member.where}:{line}: expected JSON objects, got: {got}") from None
                        line, at, broken = line + 1, newline + 1, True
                        continue
                    got = text[at : at + 60]
                    raise RecordingError(
                        f"{member.where}:{line}: expected a JSON object, got {got!r}: {error}"
                    ) from None
                if not isinstance(found, dict | list):
                    raise RecordingError(f"{member.where}:{line}: expected a JSON object, got {str(found)[:60]!r}")
                yield line, broken, found
                line, at, broken = line + text.count("\n", at, end), end, False


def _many(text: str, at: int) -> int:
    """Return where the last of many objects may end, one on each line or one after a comma; 0 where there are few."""
    if len(text) - at < _LARGEST_OBJECT:
        return 0
    return text.rfind("\n", at) + 1 or text.rfind("},", at) + 1


def _all_at_once(text: str) -> list[Any] | None:
    """Return objects that stand on a line each, or have commas between them; None where they do not."""
    try:
        lines = text.split("\n") if text.endswith("\n") else [text]
        found = json.loads(f"[{','.join(lines[:-1] or lines)}]")
    except DAMAGE:
        return None
    fits = all(isinstance(it, dict | list) for it in found) and (len(lines) == 1 or len(found) == len(lines) - 1)
    return found if fits else None


def _of_document(found: Found) -> Iterator[_Entry]:
    return _rows_of((at + 1, False, row) for at, row in enumerate(found.rows()))


def _flat(found: Any) -> list[Record]:
    """Return an object as rows of values by name: one, or as many as the lists of objects in it are long."""
    if type(found) is dict and NESTED.isdisjoint(map(type, found.values())):
        return [found] if found else []
    record: Record = {}
    packets: dict[str, list[Any]] = {}
    _walk(found, "", record, packets, 0)
    lengths = {len(it) for it in packets.values()}
    if not packets:
        return [record] if record else []
    if len(lengths) > 1:
        return []
    rows = []
    for at in range(lengths.pop()):
        row = dict(record)
        for name, it in packets.items():
            _walk(it[at], name, row, {}, 0)
        if len(row) > len(record):
            rows.append(row)
    return rows


def _walk(found: Any, name: str, record: Record, packets: dict[str, list[Any]], depth: int) -> None:
    if len(record) > MOST_CELLS:
        return
    if isinstance(found, dict):
        if depth < DEEPEST:
            for key, it in found.items():
                _walk(it, f"{name}.{key}" if name else str(key), record, packets, depth + 1)
    elif isinstance(found, list):
        if found and all(isinstance(it, dict | list) for it in found):
            packets[name] = found
        elif len(found) <= SENSORS:
            keys = "xyz" if len(found) == 3 else map(str, range(len(found)))
            for key, it in zip(keys, found, strict=True):
                if not isinstance(it, dict | list):
                    record[f"{name}.{key}" if name else key] = it
    elif name:
        record[name] = found


def _sensors(records: Sequence[Record]) -> list[tuple[str, Callable[[Record], bool]]]:
    """Return the sensors whose rows are mixed: the name of each, and what tells its rows from the others'."""
    keys = Counter(tuple(record) for record in records)
    shapes = [shape for shape, count in keys.items() if count * 50 >= len(records)]
    tellers = set.intersection(*(set(shape) for shape in shapes)) if shapes else set()
    if SENSOR in tellers and 1 < len(shown := {str(record.get(SENSOR)) for record in records}) <= SENSORS:
        return [(name, partial(_says, SENSOR, name)) for name in sorted(shown)]
    if len(shapes) > 1:
        for teller in sorted(tellers):
            shown = {str(record[teller]) for record in records if isinstance(record.get(teller), str)}
            of_shape = {(tuple(record), record.get(teller)) for record in records if tuple(record) in shapes}
            if 1 < len(shown) <= SENSORS and len({it for _, it in of_shape}) == len(of_shape):
                return [(name, partial(_says, teller, name)) for name in sorted(shown)]
        own = [[key for key in shape if key not in tellers] for shape in shapes]
        if all(own) and all(not set(a) & set(b) for a, b in itertools.combinations(own, 2)):
            return [(keys[0].partition(".")[0], partial(_has, keys[0])) for keys in own]
    return [("", lambda _: True)]


def _says(key: str, text: str, record: Record) -> bool:
    return record.get(key) == text


def _has(key: str, record: Record) -> bool:
    return key in record


def _table(
    member: Member,
    sensor: str,
    chosen: Callable[[Record], bool],
    head: Sequence[Record],
    entries: Entries,
    facts: Sequence[Fact],
) -> Table:
    names = tuple(dict.fromkeys(name for record in head for name in record))

    def read(kinds: Mapping[int, Kind]) -> Iterator[Rows]:
        rows: list[_Entry] = []
        begun = broken = False
        for entry in entries():
            broken |= entry.broken
            if chosen(entry.record):
                rows.append(entry if entry.broken == (broken and begun) else entry._replace(broken=broken and begun))
                begun, broken = True, False
                if len(rows) == _BATCH:
                    yield _rows(member, names, rows, kinds)
                    rows = []
        if rows:
            yield _rows(member, names, rows, kinds)

    return Table(
        name=f"{member.name}/{sensor}" if sensor else member.name,
        where=member.where,
        names=names,
        units=(),
        head=tuple(_head([record.get(name) for record in head]) for name in names),
        read=read,
        facts=tuple(facts),
    )


def _table_of_columns(member: Member, columns: Mapping[str, list[Cell]], facts: Sequence[Fact]) -> Table:
    names = tuple(columns)

    def read(kinds: Mapping[int, Kind]) -> Iterator[Rows]:
        for at in range(0, len(columns[names[0]]), _BATCH):
            found = {}
            for number, kind in kinds.items():
                cells = columns[names[number]][at : at + _BATCH]
                try:
                    found[number] = _array(cells, kind)
                except (ValueError, OverflowError):
                    rows = [_Entry(at + row + 1, False, {names[number]: cell}) for row, cell in enumerate(cells)]
                    found[number] = _closely(member, names[number], rows, kind)
            yield Rows(found, (), at + 1)

    return Table(
        name=member.name,
        where=member.where,
        names=names,
        units=(),
        head=tuple(_head(cells[:_HEAD]) for cells in columns.values()),
        read=read,
        facts=tuple(facts),
    )


def _rows(member: Member, names: Sequence[str], rows: Sequence[_Entry], kinds: Mapping[int, Kind]) -> Rows:
    columns = {}
    for number, kind in kinds.items():
        cells = [entry.record.get(names[number]) for entry in rows]
        try:
            columns[number] = _array(cells, kind)
        except (ValueError, OverflowError):
            columns[number] = _closely(member, names[number], rows, kind)
    return Rows(columns, tuple(at for at, entry in enumerate(rows) if entry.broken), rows[0].line)


def _array(cells: Sequence[Cell], kind: Kind) -> NDArray[Any]:
    types = set(map(type, cells))
    if kind == "whole" and types == {int}:
        return np.array(cells, np.int64)
    if kind == "number" and types <= {int, float, type(None)}:
        found = np.array(cells, np.float64)
        if np.isinf(found).any():
            raise ValueError("a number")
        return found
    return column([_value(cell, kind) for cell in cells], kind)


def _value(cell: Cell, kind: Kind) -> object:
    if isinstance(cell, float) and kind == "number" and not math.isinf(cell):
        return cell
    text = "" if cell is None else cell if isinstance(cell, str) else json.dumps(cell)
    return value(text, kind, comma=False)


def _closely(member: Member, name: str, rows: Sequence[_Entry], kind: Kind) -> NDArray[Any]:
    values = []
    for entry in rows:
        try:
            values.append(_value(entry.record.get(name), kind))
        except ValueError as error:
            got = str(entry.record.get(name))[:60]
            raise RecordingError(f"{member.where}:{entry.line}: expected {error} in {name!r}, got {got!r}") from None
    return column(values, kind)


def _head(cells: Sequence[Cell]) -> NDArray[Any]:
    if set(map(type, cells)) <= {int, float, type(None)}:
        for kind in ("whole", "number"):
            try:
                return _array(cells, kind)
            except (ValueError, OverflowError):
                continue
    return typed(["" if cell is None else str(cell) for cell in cells], comma=False)
