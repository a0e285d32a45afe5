"""How a text writes its table: what separates the cells, where the rows begin, how numbers look.

Rows are recognised by what they are: lines of equal width with numbers in them, one after the other. All above the
first of them is what the logger said before: its header, and a preamble.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from motionsig.recordings.text.cells import is_comma_number, is_damaged, is_missing, is_number, split
from motionsig.recordings.text.labelled import Labelled, find_labelled

DELIMITERS = ("\t", ";", "|", ",", " ")
"""In this order where several would give as many numbers; " " is any run of white space."""

COMMENTS = ("#", "//", "%")

FEW_TORN, TORN_PART = 3, 100
"""Rows that may be damaged: so many, and one more in so many lines."""

_LOOKED_AT = 2000
_ROWS = 4000
_ABOVE = 4  # lines above the rows that can be their header
_CHARS_OF_A_LINE = 1 << 14
_WIDEST = 1024
_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Dialect:
    """How the rows of a text are written.

    * `delimiter`: one of DELIMITERS. `decimal_comma`: numbers are written 0,5.
    * `line_end`: what closes each row besides the newline, or "". `newline`: the last character of a line.
    * `skip`: lines before the first row. `width`: cells of a row.
    * `blank_rows`: empty lines between all rows, which mean nothing.
    * `labelled`: how names stand before the values in each row; None where rows have only values.
    * `text_first`: the first cell of a row is no number.
    """

    encoding: str
    delimiter: str
    decimal_comma: bool
    line_end: str
    newline: bytes
    skip: int
    width: int
    blank_rows: bool = False
    labelled: Labelled | None = None
    text_first: bool = False

    def cells(self, line: str) -> list[str]:
        """Return the cells of a row; a list of another length for what is no row."""
        if self.labelled is not None:
            return self.labelled.cells(line)
        line = line.strip("\r\n")
        if self.delimiter != "\t":
            line = line.rstrip()
        if self.line_end:
            line = line.rstrip(" ").removesuffix(self.line_end)
        return split(line, self.delimiter)


class Found(NamedTuple):
    """A dialect, the lines above its rows, and the first rows as cells."""

    dialect: Dialect
    above: list[str]
    rows: list[list[str]]


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, however they end."""
    return _NEWLINE.split(text)


def is_comment(line: str) -> bool:
    """Tell whether a line is a remark."""
    return line.lstrip().startswith(COMMENTS)


def find_dialect(encoding: str, text: str, *, whole: bool) -> Found | None:
    """Return how the table in the first part of a text is written, None where there are no rows of numbers.

    whole: the text does not go on after this part, so that its last line is not cut off.
    """
    lines = lines_of(text)
    if len(lines) > 2 and (not whole or lines[-1].strip()):
        del lines[-1]  # cut off, by our looking at a part of it or by a crash
    tried = [rows for delimiter in DELIMITERS if (rows := _rows(lines, delimiter))]
    found = max(tried, key=lambda rows: (rows.numbers, -rows.texts), default=None)
    newline = b"\n" if "\n" in text else b"\r"
    if labelled := find_labelled(lines, rows_found=found.rows if found else 0):
        start, how = labelled.start, labelled.how
        blank = how.lines == 1 and _blank_rows(lines[start:])
        dialect = Dialect(encoding, ",", False, "", newline, start, len(how.names), blank, how)
        return Found(dialect, lines[:start], labelled.rows)
    if found is None or (found.rows == 1 and found.texts > found.numbers):
        return None  # a single row of texts with some numbers among them is what an app says about itself
    body = [line for line in lines[found.start :] if line.strip() and not is_comment(line)]
    line_end = _line_end(lines[: found.start], body, found)
    dialect = Dialect(encoding, found.delimiter, False, line_end, newline, found.start, found.width)
    cells = [dialect.cells(line) for line in body[:_ROWS]]
    dialect = Dialect(
        encoding,
        found.delimiter,
        any(is_comma_number(cell) for row in cells for cell in row),
        line_end,
        newline,
        found.start,
        Counter(len(row) for row in cells).most_common(1)[0][0],
        _blank_rows(lines[found.start :]),
        text_first=not is_number(cells[0][0]),
    )
    table = [row for row in cells if len(row) == dialect.width and not _remark(row)]
    whole_rows = [row for row in table if not any(map(is_damaged, row))]
    few = len(table) - len(whole_rows) <= FEW_TORN + len(table) // TORN_PART  # more are no damage
    return Found(dialect, lines[: found.start], whole_rows if few and whole_rows else table)


def _remark(row: Sequence[str]) -> bool:
    """Tell whether a row is what a spreadsheet makes of a remark: one text, and else empty cells."""
    said = [cell for cell in row if not is_missing(cell)]
    return len(row) > 2 and (not said or (len(said) == 1 and not is_number(said[0]) and not is_comma_number(said[0])))


class _Rows(NamedTuple):
    delimiter: str
    width: int
    start: int
    rows: int
    numbers: int
    texts: int


def _rows(lines: Sequence[str], delimiter: str) -> _Rows | None:
    """Return where rows of numbers are if `delimiter` separates cells: of the width that has most numbers."""
    if delimiter != " " and not any(delimiter in line for line in lines[:_LOOKED_AT]):
        return None
    widths: list[tuple[int, int]] = []  # of each line that can be a row: line, width
    numbers: Counter[int] = Counter()
    texts: Counter[int] = Counter()
    for index, line in enumerate(lines[:_LOOKED_AT]):
        if not line.strip() or len(line) > _CHARS_OF_A_LINE or is_comment(line):
            continue
        cells = split(
            line.strip() if delimiter == " " else line.rstrip(" \r;" if delimiter != ";" else " \r"), delimiter
        )
        if not 1 < len(cells) <= _WIDEST:
            continue
        others = [cell for cell in cells if not (is_number(cell) or is_comma_number(cell))]
        good = len(cells) - len(others)
        lost = sum(map(is_missing, others))
        if good >= 2 and (good >= 3 or good + lost == len(cells)):
            widths.append((index, len(cells)))
            numbers[len(cells)] += good
            texts[len(cells)] += len(cells) - good - lost
    if not numbers:
        return None
    width = numbers.most_common(1)[0][0]
    good_lines = [index for index, other in widths if other == width]
    starts = [at for at, (index, other) in enumerate(widths) if other == width]
    # The first that another row follows: a line of the preamble may have as many cells by chance.
    first = next((at for at in starts if at + 1 < len(widths) and widths[at + 1][1] == width), starts[0])
    return _Rows(delimiter, width, widths[first][0], len(good_lines), numbers[width], texts[width])


def _line_end(above: Sequence[str], body: Sequence[str], found: _Rows) -> str:
    """Return what closes every row besides the newline."""
    whole = [line.rstrip(" \r") for line in body[:-1]] or [line.rstrip(" \r") for line in body]
    rows = [line for line in whole if any(char.isdigit() for char in line)]
    headings = [split(line.rstrip(" \r"), found.delimiter) for line in above[-_ABOVE:]]
    for mark in (";", found.delimiter):
        if mark == found.delimiter and any(len(cells) == found.width and cells[-1].strip() for cells in headings):
            continue  # the last column has a name, and only happens to be empty
        if mark != " " and rows and sum(line.endswith(mark) for line in rows) > 0.98 * len(rows):
            return mark
    return ""


def _blank_rows(lines: Sequence[str]) -> bool:
    """Tell whether empty lines stand between all rows."""
    blank = sum(not line.strip() for line in lines[:-1])
    return blank * 3 > len(lines) > 3
