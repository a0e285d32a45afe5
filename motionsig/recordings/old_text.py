"""Delimited text into arrays: what csv.py and phone.py read with until they take Tables (text/); then it goes.

A chunk of lines at a time:

numpy's own reader takes a chunk at once. Only what it refuses is read again cell by cell, to accept what is harmless
(an empty cell is a lost value) and to name line and column of what is not. Nothing is repaired by guessing.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import MAX_LABEL_CHARS
from motionsig.errors import RecordingError
from motionsig.escaping import own_logger
from motionsig.recordings.columns import TIME_UNITS, is_unit
from motionsig.recordings.members import HEAD_BYTES, Member
from motionsig.recordings.samples import Samples
from motionsig.recordings.times import LARGEST_NS, iso_ns, likely_ns, to_ns

log = own_logger(__name__)

_CHUNK = 1 << 20
_LONGEST_LINE = 1 << 16
_LABEL = f"U{MAX_LABEL_CHARS + 1}"  # shows one that is too long
_PREAMBLE = 200  # lines of comments and settings that may stand before the header
_MARKS = 16  # of comments, tried in a row
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_COMMA = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*")
_ISO = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_COMMENT = re.compile(r"^#.*\n?", re.MULTILINE)
_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Table:
    """A text file's dialect.

    skip: lines before the first row. names: of the columns, empty without a header. line_end: what closes each line
    besides the newline. cells: the first rows, for a look.
    """

    member: Member
    encoding: str
    delimiter: str
    decimal_comma: bool
    line_end: str
    skip: int
    names: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @property
    def width(self) -> int:
        """Cells in every row."""
        return len(self.names) or len(self.cells[0])


_NOT_SHOWN = dict.fromkeys(map(ord, "\t\r\n\f\0"))


def decode(head: bytes) -> tuple[str, str] | None:
    """Return the encoding and text of a file's first bytes, or None where they are not text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", head[: len(head) & ~1].decode("utf-16", errors="ignore")
    # Zeros at the end are what a power cut leaves of a file's last page; anywhere else they mean binary.
    if b"\0" in head.rstrip(b"\0") or not head.strip(b"\0 \t\r\n"):
        return None
    whole = head[: head.rfind(b"\n") + 1 or None] if len(head) == HEAD_BYTES else head
    try:
        encoding, text = "utf-8-sig", whole.decode("utf-8-sig")
    except UnicodeDecodeError:
        encoding, text = "latin-1", whole.decode("latin-1")
    shown = text.translate(_NOT_SHOWN)
    # Nearly always all is printable, which is a hundred times quicker to know than how much is not.
    odd = 0 if shown.isprintable() else sum(not char.isprintable() for char in shown)
    return (encoding, text) if odd * 50 <= len(text) else None


def _split(line: str, delimiter: str) -> tuple[str, ...]:
    if '"' in line:
        with contextlib.suppress(csv.Error):
            return tuple(next(csv.reader([line], delimiter=delimiter), []))
    return tuple(line.split(delimiter))


def sniff(member: Member, head: bytes, score: Callable[[Sequence[str]], int], *, least: int) -> Table | None:
    """Return the table whose header is the line that `score` likes best, if it reaches `least`; None otherwise."""
    if not (decoded := decode(head)):
        return None
    encoding, text = decoded
    lines = _NEWLINE.split(text)
    best, at, delimiter = least - 1, -1, ","
    names: tuple[str, ...] = ()
    for index, line in enumerate(lines[:_PREAMBLE]):
        for mark in filter(line.__contains__, ",;\t"):
            named = tuple(name.strip() for name in _split(line, mark))
            if (found := score(named)) > best:
                best, names, at, delimiter = found, named, index, mark
    if best < least:
        return None
    below = _split(lines[at + 1], delimiter) if at + 1 < len(lines) else ()
    if len(below) == len(names) and sum(map(is_unit, below)) >= 3 and not any(map(_NUMBER.fullmatch, below)):
        names = tuple(f"{name} [{unit.strip()}]" for name, unit in zip(names, below, strict=True))
        at += 1
    return _table(member, encoding, lines, at + 1, delimiter, names)


def sniff_bare(member: Member, head: bytes) -> Table | None:
    """Return the table of a text without a header: at least four numbers on each of its first five lines."""
    if not (decoded := decode(head)):
        return None
    encoding, text = decoded
    for delimiter in ",;\t":
        table = _table(member, encoding, _NEWLINE.split(text), 0, delimiter, ())
        rows = table.cells[: min(5, max(1, len(table.cells) - 1))]
        if rows and all(len(row) == len(rows[0]) >= 4 and all(map(_NUMBER.fullmatch, row)) for row in rows):
            return table
    return None


def _table(member: Member, encoding: str, lines: list[str], skip: int, delimiter: str, names: tuple[str, ...]) -> Table:
    body = [line for line in lines[skip : skip + _PREAMBLE] if line.strip() and not line.startswith("#")]
    line_end = ""
    for mark in (";", delimiter):
        closed = len(body) > 1 and all(line.rstrip(" ").endswith(mark) for line in body[:-1])
        if closed and (mark != delimiter or len(_split(body[0], delimiter)) > len(names)):
            line_end = mark
            names = (*names[:-1], names[-1].removesuffix(mark)) if names else ()
    rows = [_split(line.rstrip(" ").removesuffix(line_end), delimiter) for line in body]
    if names and names[-1] == "" and rows and len(rows[0]) == len(names) - 1:
        names = names[:-1]
    comma = delimiter != "," and any(_COMMA.fullmatch(cell) for row in rows for cell in row)
    return Table(member, encoding, delimiter, comma, line_end, skip, names, tuple(rows))


class TimeKind(NamedTuple):
    """How a time column is read: numpy type, and nanoseconds per unit (0: ISO 8601)."""

    dtype: str
    ns: int


def time_kind(table: Table, column: int, unit: str) -> TimeKind:
    """Return how to read the time in `column`, by `unit` or the numbers' size; raise RecordingError for no times."""
    cells = [row[column].strip() for row in table.cells if column < len(row) and row[column].strip()]
    if cells and _ISO.match(cells[0]):
        return TimeKind("U40", 0)
    whole = bool(cells) and all(re.fullmatch(r"-?\d{16,18}|-?[0-8]\d{18}", cell) for cell in cells)
    # Sixteen digits are more than float64 holds; up to there it is exact and also takes a fraction.
    dtype = "i8" if whole else "f8"
    if unit:
        return TimeKind(dtype, TIME_UNITS[unit])
    try:
        numbers = cells[:-1] or cells
        times = np.array([float(cell.replace(",", ".") if table.decimal_comma else cell) for cell in numbers])
    except ValueError:
        times = np.empty(0)
    if ns := likely_ns(times):
        return TimeKind(dtype, ns)
    name = table.names[column] if table.names else f"column {column}"
    shown = f"{cells[0]!r}, {cells[1]!r}, ..." if len(cells) > 1 else "none"
    raise RecordingError(
        f"{table.member.where}:{table.skip + 1}: expected times in {name!r}, got {shown}; pass time_unit='s', 'ms', "
        "'us' or 'ns', or rate_hz=50 (say) to number the rows instead"
    )


_PLAIN = TimeKind("f8", 1)


def first_ns(table: Table, column: int, unit: str) -> int | None:
    """Return the time of the first row, or None where `column` does not give one."""
    try:
        kind = time_kind(table, column, unit)
        cell = _value(table, Plan((), column, kind), table.cells[0][column], column)
        times = np.array([cell], kind.dtype)
        return int((to_ns(times, kind.ns) if kind.ns else iso_ns(times))[0])
    except (ValueError, IndexError):
        return None


@dataclass(frozen=True)
class Plan:
    """Which columns to read: `channels` as numbers, in that order; `time` as `kind`, or None where there is no time.

    label: the column of the labels; it is no part of what a stream id is made of.
    """

    channels: tuple[int, ...]
    time: int | None = None
    kind: TimeKind = _PLAIN
    label: int | None = field(default=None, repr=False)

    def dtype(self, width: int) -> np.dtype[Any]:
        """Return one field per column; those that nobody wants keep a single character."""
        types: dict[int | None, str] = {self.time: self.kind.dtype, self.label: _LABEL}
        types.update(dict.fromkeys(self.channels, "f8"))
        return np.dtype([(f"c{index}", types.get(index, "U1")) for index in range(width)])


def read(table: Table, plan: Plan) -> Iterator[Samples]:
    """Yield the rows of `table` in the file's units; time_ns is empty where no time is wanted.

    A last line cut short by a crash is dropped, with a warning in the log. Raises RecordingError with file, line and
    column for anything else that is not a number.
    """
    dtype = plan.dtype(table.width)
    with table.member.open() as raw, io.TextIOWrapper(raw, table.encoding, errors="replace") as file:
        for _ in range(table.skip):
            file.readline(_LONGEST_LINE)
        line = table.skip + 1
        while text := file.read(_CHUNK):
            if not text.endswith("\n"):
                text += file.readline(_LONGEST_LINE)
                if not text.endswith("\n") and file.read(1):
                    at = f"{table.member.where}:{line + text.count(chr(10))}: expected a line of at most"
                    raise RecordingError(f"{at} {_LONGEST_LINE} characters, got a longer one")
            cut = text.rfind("\n") + 1
            body, last = text[:cut], text[cut:]
            if not body.isspace() and (rows := _by_numpy(table, plan, dtype, body, line)):
                yield rows
            line += text.count("\n")
            if last and (rows := _last_line(table, plan, dtype, body, last, line)):
                yield rows


def _by_numpy(table: Table, plan: Plan, dtype: np.dtype[Any], body: str, line: int) -> Samples | None:
    """Return the rows of whole lines; where one of them needs a closer look, cell by cell."""
    text = body.replace(table.line_end + "\n", "\n") if table.line_end else body
    if table.decimal_comma:
        # A dot beside decimal commas groups thousands; taken for a decimal point it would be a wrong number.
        if "." in text:
            return _by_cell(table, plan, dtype, body, line)
        text = text.replace(",", ".")
    quote = '"' if '"' in text else None
    tries: tuple[tuple[str, str | None], ...] = ((text, "#"),)
    if plan.label is not None and "#" in text:
        # A label may have the mark of a comment in it. In the last cell numpy would cut it off and find enough cells.
        tries = ((_COMMENT.sub("", text), None), *tries[: plan.label < table.width - 1])
    for rows, comments in tries:
        with contextlib.suppress(ValueError, OverflowError, Warning), warnings.catch_warnings():
            warnings.simplefilter("error")
            options: dict[str, Any] = {"delimiter": table.delimiter, "quotechar": quote, "comments": comments}
            array = np.loadtxt(io.StringIO(rows), dtype, ndmin=1, **options)
            if plan.label is not None and table.decimal_comma:
                name = f"c{plan.label}"
                array[name] = np.char.replace(array[name], ".", ",")  # no dot was there before
            return _samples(plan, array)
    return _by_cell(table, plan, dtype, body, line)


def _by_cell(table: Table, plan: Plan, dtype: np.dtype[Any], text: str, line: int) -> Samples | None:
    # A Python loop over cells, because only a chunk that numpy has refused comes here.
    rows = []
    for offset, row in enumerate(text.split("\n")):
        if row.startswith("#"):
            continue
        errors = []
        for whole in _without_comment(row):
            cells = _split(whole.rstrip(" ").removesuffix(table.line_end), table.delimiter)
            if not any(cell.strip() for cell in cells):
                break
            try:
                if len(cells) != table.width:
                    raise ValueError(f"expected {table.width} cells, got {len(cells)}")
                rows.append(tuple(_value(table, plan, cells[index], index) for index in range(table.width)))
                break
            except ValueError as error:
                errors.append(error)
        else:
            raise RecordingError(f"{table.member.where}:{line + offset}: {errors[0]}")
    return _samples(plan, np.array(rows, dtype)) if rows else None


def _without_comment(row: str) -> Iterator[str]:
    """Yield the row, and then what is left of it where the last "#" begins a comment, or the one before, and so on."""
    yield row
    for mark in reversed(list(itertools.islice(re.finditer("#+", row), _MARKS))):
        if row.count('"', 0, mark.start()) % 2 == 0:
            yield row[: mark.start()]


def _last_line(table: Table, plan: Plan, dtype: np.dtype[Any], body: str, last: str, line: int) -> Samples | None:
    """Return the row of a last line without a newline, or None where it seems cut short.

    That is: fewer cells, a cell that is no number, or a last cell with fewer decimals than any before it.
    """
    try:
        row = _by_cell(table, plan, dtype, last, line)
    except RecordingError as error:
        log.warning("the last line was cut short and is dropped: %s", error)
        return None
    index = table.width - 1
    before = [_detail(table, it) for it in body[-_CHUNK // 8 :].split("\n")[1:-1]]
    if (index == plan.time or index in plan.channels) and before and _detail(table, last) < min(before):
        log.warning("%s:%d: the last line seems cut short and is dropped", table.member.where, line)
        return None
    return row


def _detail(table: Table, line: str) -> tuple[bool, int]:
    cell = line.rstrip(" ").removesuffix(table.line_end).rpartition(table.delimiter)[2].strip(' "')
    return "e" in cell.lower(), len(cell.replace(",", ".").partition(".")[2])


def _value(table: Table, plan: Plan, cell: str, index: int) -> object:
    """Return one cell as its column's type; raise ValueError where it is not that."""
    kind = plan.kind if index == plan.time else _PLAIN
    if index == plan.label:
        return cell
    if index != plan.time and index not in plan.channels:
        return ""
    cell = cell.strip()
    name = repr(table.names[index]) if table.names else f"column {index}"
    if index == plan.time and kind.ns == 0:
        try:
            iso_ns(np.array([cell]))
        except ValueError:
            raise ValueError(f"expected a time such as 2025-06-01T12:00:00.25Z in {name}, got {cell!r}") from None
        return cell
    if index != plan.time and cell.lower() in _MISSING:
        return np.nan
    number = cell.replace(",", ".") if table.decimal_comma and "." not in cell else cell
    grouped = table.decimal_comma and "." in cell
    if grouped or not _NUMBER.fullmatch(number) or (kind.dtype == "i8" and not number.lstrip("-").isdigit()):
        raise ValueError(f"expected a {'whole ' if kind.dtype == 'i8' else ''}number in {name}, got {cell!r}")
    value: float = int(number) if kind.dtype == "i8" else float(number)
    if index == plan.time and abs(value * kind.ns) >= LARGEST_NS:
        raise ValueError(f"expected a time in {name}, got {cell!r}")
    return value


def _samples(plan: Plan, array: NDArray[Any]) -> Samples:
    times = np.empty(0, np.int64)
    if plan.time is not None:
        found = array[f"c{plan.time}"]
        times = to_ns(found, plan.kind.ns) if plan.kind.ns else iso_ns(found)
    data = np.stack([array[f"c{index}"] for index in plan.channels], axis=1)
    return Samples(times, data, None if plan.label is None else array[f"c{plan.label}"])
