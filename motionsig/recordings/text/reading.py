"""A text's rows as arrays, a chunk of lines at a time, and what the log itself shows between them.

A chunk is read at once (fast.py). Where that refuses, its halves are read, down to a few lines, which are read cell by
cell: to accept what is harmless, and to name line and column of what is not. An empty line, the header again and what
a logger says when it starts are breaks. So is a single row that lost a cell or was damaged on a serial line: it is
left out. Nothing is repaired by guessing.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from motionsig.errors import RecordingError
from motionsig.escaping import own_logger
from motionsig.recordings.members import Member
from motionsig.recordings.tables import Kind, Rows
from motionsig.recordings.text.cells import column, is_damaged, is_missing, is_number, value
from motionsig.recordings.text.decoding import as_utf8, valid_utf8
from motionsig.recordings.text.dialects import FEW_TORN, TORN_PART, Dialect, is_comment
from motionsig.recordings.text.fast import Columns, columns_of
from motionsig.recordings.text.headers import is_header
from motionsig.recordings.text.plain import Lines, lines_in, plain, without_comments

log = own_logger(__name__)

_CHUNK = 1 << 20
_LONGEST_LINE = 1 << 16
_FEW = 48  # lines that are read cell by cell
_RESTARTS = 200  # lines that are no rows; more of them must be few among the rows
_AFTER = 1024  # bytes after a piece, which tell whether its last line was cut short by a restart
_BEFORE = 1 << 17  # bytes before a last line without an end, whose decimals it is compared with
_MARKS = 16  # of comments in a line, tried in a row
_LETTER = re.compile(r"[^\W\d_]")


def read(
    member: Member, dialect: Dialect, names: tuple[str, ...], again: frozenset[str], kinds: Mapping[int, Kind]
) -> Iterator[Rows]:
    """Yield all rows of the columns wanted. names: for messages. again: lines of the header, which may come again.

    A last line cut short by a crash is dropped, and so are rows of another width or with characters that no number has,
    up to one in a hundred; the log warns of them. Raises RecordingError with file, line and column for anything else
    that is not of its kind.
    """
    reading = _Reading(member.where, dialect, names, again, kinds)
    line, before, last = dialect.skip + 1, b"", b""
    per_row = dialect.labelled.lines if dialect.labelled else 1
    for piece, after in _with_next(_whole_lines(member, dialect)):
        if piece.endswith(dialect.newline):
            yield from reading.rows(piece, line, after[:_AFTER])
            before = piece
            line += _count(piece, dialect.newline) * per_row
        else:
            last = piece
    if last:
        yield from reading.last_line(last, line, before)
    reading.report()


def _whole_lines(member: Member, dialect: Dialect) -> Iterator[bytes]:
    """Yield the lines from the first row on, about a MiB of them at a time; a last one without an end by itself."""
    line, skip, rest, end = 1, dialect.skip, b"", dialect.newline
    blocks = dialect.labelled if dialect.labelled and dialect.labelled.lines > 1 else None
    begins = blocks.begins.encode() if blocks else b""
    with member.open() as file:
        for data in as_utf8(file, dialect.encoding, _CHUNK):
            lines = rest + data
            cut = lines.rfind(end) + 1
            if begins:
                cut = lines.rfind(end, 0, max(0, lines.rfind(begins))) + 1
            lines, rest = lines[:cut], lines[cut:]
            if len(rest) > _LONGEST_LINE and b"\0" * 64 not in rest:
                line += lines.count(end)
                got = "got a longer one"
                raise RecordingError(
                    f"{member.where}:{line}: expected a line of at most {_LONGEST_LINE} characters, {got}"
                )
            line += _count(lines, end)
            while skip and lines:
                lines = lines[lines.find(end) + 1 :]
                skip -= 1
            if lines:
                lines = valid_utf8(lines, dialect.encoding)
                yield blocks.joined(lines) if blocks else lines
    if rest and not skip:
        rest = valid_utf8(rest, dialect.encoding)
        if blocks:
            ended = rest.endswith(end)
            rest = blocks.joined(rest).removesuffix(b"" if ended else b"\n")
        yield rest


def _count(lines: bytes, end: bytes) -> int:
    """Return how many lines end in `lines`; bytes.count takes several times as long where there are many."""
    return int(np.count_nonzero(np.frombuffer(lines, np.uint8) == end[0]))


def _with_next(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    yield from itertools.pairwise(itertools.chain(pieces, (b"",)))


class _Reading:
    """One pass over a text."""

    def __init__(
        self, where: str, dialect: Dialect, names: tuple[str, ...], again: frozenset[str], kinds: Mapping[int, Kind]
    ) -> None:
        self._where, self._dialect, self._names, self._kinds = where, dialect, names, kinds
        self._again = again
        self._per_row = dialect.labelled.lines if dialect.labelled else 1
        self._again_bytes = [line.encode() for line in again if len(line) > 3]
        self._no_cells = b"\n" + dialect.delimiter.encode() * (dialect.width - 1)
        self._odd = np.zeros(256, bool)  # what a line begins with that may be no row
        self._odd[list(b"#/%\n" + dialect.delimiter.encode())] = True
        self._letters = np.zeros(256, bool)  # what no number and no lost value begins with
        if not dialect.text_first and dialect.labelled is None:
            self._letters[list(range(65, 91)) + list(range(97, 123))] = True
            self._letters[list(b"nNiIoO")] = False
        self._odd |= self._letters
        self._begun = self._broken = False
        self._restarts: list[int] = []
        self._torn: list[str] = []

    def rows(self, piece: bytes, line: int, after: bytes) -> Iterator[Rows]:
        """Yield the rows of whole lines, the first of which is number `line`; after: what follows them."""
        if (found := self._at_once(piece, line)) is not None:
            yield from self._out(*found, line)
            return
        end = self._dialect.newline
        count = _count(piece, end)
        cut = piece.find(end, len(piece) // 2) + 1
        if count <= _FEW or not 0 < cut < len(piece):
            yield from self._out(*self._closely(piece, line, after), line)
            return
        yield from self.rows(piece[:cut], line, piece[cut : cut + _AFTER])
        yield from self.rows(piece[cut:], line + piece.count(end, 0, cut) * self._per_row, after)

    def last_line(self, last: bytes, line: int, before: bytes) -> Iterator[Rows]:
        """Yield the row of a last line without a newline, unless it seems cut short.

        That is: fewer cells, a cell that is no number, or a last cell with fewer decimals than any before it.
        """
        try:
            columns, breaks = self._closely(last, line, b"", last=True)
        except RecordingError as error:
            log.warning("the last line was cut short and is dropped: %s", error)
            return
        index = self._dialect.width - 1
        lines = before[-_BEFORE:].decode(errors="replace").split(self._dialect.newline.decode())[1:-1]
        details = [self._detail(it) for it in lines if it.strip() and not is_comment(it)]
        if self._kinds.get(index) in ("number", "whole") and details and self._detail(last.decode()) < min(details):
            log.warning("%s:%d: the last line seems cut short and is dropped", self._where, line)
            return
        yield from self._out(columns, breaks, line)

    def report(self) -> None:
        """Say in the log what was no row."""
        if self._restarts:
            lines = ", ".join(map(str, self._restarts[:5])) + ", ..." * (len(self._restarts) > 5)
            log.warning("%s: lines that are no rows are taken for restarts of the logger: %s", self._where, lines)
        if self._torn:
            lines = "1 line that is no row" if len(self._torn) == 1 else f"{len(self._torn)} lines that are no rows"
            log.warning("%s: left out %s, first in line %s", self._where, lines, self._torn[0])

    def _out(self, columns: Columns, breaks: Sequence[int], line: int) -> Iterator[Rows]:
        """Yield rows with a break that is due before the first of them; keep one that is after the last of them."""
        count = len(next(iter(columns.values()))) if columns else 0
        due = self._broken or 0 in breaks
        self._broken = count in breaks if count else due
        if count:
            inside = [row for row in sorted(set(breaks)) if 0 < row < count]
            yield Rows(columns, (0, *inside) if due and self._begun else tuple(inside), line)
            self._begun = True

    def _at_once(self, piece: bytes, line: int) -> tuple[Columns, Sequence[int]] | None:
        """Return the columns of whole lines and where breaks are; None where they need a closer look."""
        if b"\0" in piece or (text := plain(piece, self._dialect)) is None:
            return None
        for again in self._again_bytes:
            if again in text and not self._dialect.blank_rows:
                # An empty line in its place, which is a break, too.
                text = text.removeprefix(again) if text.startswith(again + b"\n") else text
                text = text.replace(b"\n" + again + b"\n", b"\n\n")
            if again in text:
                return None
        lines = lines_in(text)
        breaks: Sequence[int] = ()
        if self._odd[lines.firsts].any():
            text, lines = without_comments(text, lines)
            if self._letters[lines.firsts].any() and (text := self._without_sayings(text, lines, line)) is None:
                return None
            if self._no_cells in text or text.startswith(self._no_cells[1:]):
                text = b"\n" + text
                for _ in range(2):  # two in a row share a newline
                    text = text.replace(self._no_cells + b"\n", b"\n\n")
                text = text[1:]
            lines = lines_in(text)
            if not self._dialect.blank_rows:
                breaks = lines.before_rows()
            if not text.strip():
                return {}, breaks[:1]
        torn: list[tuple[int, str]] = []
        columns = columns_of(text, self._dialect, self._kinds)
        if columns is None and len(lines.ends) == _count(piece, self._dialect.newline):
            if (found := self._without_torn(text, lines)) is None:
                return None
            text, torn = found
            lines = lines_in(text)
            breaks = lines.before_rows()
            columns = columns_of(text, self._dialect, self._kinds) if lines.rows else None
        # A quote that is not closed can make one cell of many lines; each row is a line.
        if columns is None or any(len(it) != lines.rows for it in columns.values()):
            return None
        for number, wrong in torn:
            self._tear(line + number, wrong)
        return columns, breaks

    def _without_torn(self, text: bytes, lines: Lines) -> tuple[bytes, list[tuple[int, str]]] | None:
        """Return text with an empty line for each row of another width, and these; None where a closer look is due."""
        if self._dialect.labelled is not None or self._dialect.blank_rows or b'"' in text or b"#" in text:
            return None
        marks = np.flatnonzero(np.frombuffer(text, np.uint8) == ord(self._dialect.delimiter))
        cells = np.diff(np.searchsorted(marks, lines.ends), prepend=0) + 1
        other = np.flatnonzero((cells != self._dialect.width) & (lines.firsts != ord("\n"))).tolist()
        parts, torn, at = [], [], 0
        for number in other:
            start, end = int(lines.ends[number - 1]) + 1 if number else 0, int(lines.ends[number])
            said = text[start:end].decode()
            row = self._row(said)
            restarts = number + 1 == len(lines.ends) or lines.firsts[number + 1] == ord("\n")
            if not isinstance(row, _NoRow) or not row.torn or restarts or self._says(said, row):
                return None
            parts.append(text[at:start])
            at = end
            torn.append((number, row.wrong))
        return (b"".join([*parts, text[at:]]), torn) if torn else None

    def _without_sayings(self, text: bytes, lines: Lines, line: int) -> bytes | None:
        """Return text with an empty line for each that a logger says; None where that is not all that is odd."""
        if self._dialect.blank_rows:
            return None
        parts, at = [], 0
        for number in np.flatnonzero(self._letters[lines.firsts]).tolist():
            start, end = int(lines.ends[number - 1]) + 1 if number else 0, int(lines.ends[number])
            said = text[start:end].decode()
            row = self._row(said)
            if not isinstance(row, _NoRow) or not self._says(said, row):
                return None
            parts.append(text[at:start])
            at = end
            self._restarted(line + number)
        return b"".join([*parts, text[at:]])

    def _restarted(self, line: int) -> None:
        """Remember a line that is no row; raise RecordingError where there are more of them than restarts can be."""
        self._restarts.append(line)
        if len(self._restarts) > _RESTARTS and len(self._restarts) * 10 > line:
            got = f"{len(self._restarts)} of {line} lines are none"
            raise RecordingError(f"{self._where}:{line}: expected rows of {self._dialect.width} cells, got: {got}")

    def _tear(self, line: int, wrong: str) -> None:
        """Remember a row that was damaged on its way; raise RecordingError where there are too many of them."""
        self._torn.append(f"{line}: {wrong}")
        if len(self._torn) > FEW_TORN + line // TORN_PART:
            raise RecordingError(
                f"{self._where}:{line}: {wrong}; {len(self._torn) - 1} lines before it are no rows either"
            )

    def _closely(self, piece: bytes, line: int, after: bytes, *, last: bool = False) -> tuple[Columns, Sequence[int]]:
        """Return the same for a few lines, cell by cell; raise RecordingError for a line that is damaged.

        last: the line has no end, and any damage raises.
        """
        end = self._dialect.newline.decode()
        lines = piece.decode(errors="replace").removesuffix(end).split(end)
        follows = [*lines[1:], *after.decode(errors="replace").split(end)]
        rows: list[tuple[object, ...]] = []
        breaks: list[int] = []
        for at, text in enumerate(lines):
            if is_comment(text):
                continue
            row = self._row(text)
            if not isinstance(row, _NoRow):
                rows.append(row)
            elif row.blank:
                if text.strip() or not self._dialect.blank_rows:
                    breaks.append(len(rows))
            elif self._says(text, row) or self._begins(next(filter(str.strip, follows[at:]), "")):
                self._restarted(line + at * self._per_row)
                breaks.append(len(rows))
            elif row.torn and not last:
                self._tear(line + at * self._per_row, row.wrong)
                breaks.append(len(rows))
            else:
                raise RecordingError(f"{self._where}:{line + at * self._per_row}: {row.wrong}")
        columns: Columns = {}
        if rows:
            each = zip(self._kinds.items(), zip(*rows, strict=True), strict=True)
            columns = {number: column(values, kind) for (number, kind), values in each}
        return columns, breaks

    def _row(self, text: str) -> tuple[object, ...] | _NoRow:
        """Return the wanted values of a line, or why it is no row."""
        if not text.strip() or text.strip() in self._again:
            return _NoRow("", 0, True)
        first: _NoRow | None = None
        for whole in _without_comment(text):
            cells = self._dialect.cells(whole)
            if len(cells) == self._dialect.width:
                if all(map(is_missing, cells)):
                    return _NoRow("", len(cells), True)
                try:
                    return tuple([self._value(cells[it], it, kind) for it, kind in self._kinds.items()])
                except ValueError as error:
                    if is_header(cells, self._names):
                        return _NoRow("", len(cells), True)
                    if len(cells) > 2 and sum(map(is_missing, cells)) == len(cells) - 1:
                        return _NoRow("", len(cells), True)  # a remark that a spreadsheet made a row of
                    if len({cell.strip() for cell in cells} & set(self._names)) >= max(3, len(cells) - 2):
                        got = f"got its columns in another order: {', '.join(map(str.strip, cells))[:120]}"
                        return _NoRow(
                            f"expected the header as above, {got}; split the log before this line", len(cells)
                        )
                    torn = any(is_damaged(cells[it]) for it, kind in self._kinds.items() if kind != "text")
                    first = first or _NoRow(str(error), len(cells), torn=torn)
            else:
                wrong = f"expected {self._dialect.width} cells, got {len(cells)}"
                # A cell too many at the end may be a label with a delimiter in it, which only its owner can mend.
                spoken = len(cells) > self._dialect.width and self._kinds.get(self._dialect.width - 1) == "text"
                first = first or _NoRow(wrong, len(cells), torn=not spoken)
        assert first is not None
        return first

    def _value(self, cell: str, number: int, kind: Kind) -> object:
        try:
            return value(cell, kind, comma=self._dialect.decimal_comma)
        except ValueError as error:
            name = repr(self._names[number]) if self._names else f"column {number}"
            raise ValueError(f"expected {error} in {name}, got {cell.strip()[:60]!r}") from None

    def _says(self, text: str, row: _NoRow) -> bool:
        """Tell whether a line that is no row is what a logger says when it starts, or was hit by a power cut."""
        if "\0" in text or any(text.rstrip().endswith(line) for line in self._again):
            return True
        if row.cells == self._dialect.width or not _LETTER.search(text):
            return False
        if self._dialect.labelled is not None:
            return not text.strip().startswith(self._dialect.labelled.begins)
        if not self._dialect.text_first and _LETTER.match(text.lstrip()):
            return True
        return not any(map(is_number, self._dialect.cells(text)))

    def _begins(self, text: str) -> bool:
        """Tell whether a line is what begins a log: then the damaged one before it was cut short by a restart."""
        if not text.strip():
            return False
        row = self._row(text)
        return isinstance(row, _NoRow) and (row.blank or self._says(text, row))

    def _detail(self, line: str) -> tuple[bool, int]:
        cells = self._dialect.cells(line)
        cell = cells[-1].strip() if cells else ""
        return "e" in cell.lower(), len(cell.replace(",", ".").partition(".")[2])


@dataclass(frozen=True)
class _NoRow:
    """Why a line is no row, and how many cells it has.

    blank: it is only empty, or the header. torn: it lost or got cells, or characters that no number has.
    """

    wrong: str
    cells: int
    blank: bool = False
    torn: bool = False


def _without_comment(row: str) -> Iterator[str]:
    """Yield the row, and then what is left of it where the last "#" begins a comment, or the one before, and so on."""
    yield row
    for mark in reversed(list(itertools.islice(re.finditer("#+", row), _MARKS))):
        if row.count('"', 0, mark.start()) % 2 == 0:
            yield row[: mark.start()]
