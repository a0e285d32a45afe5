"""What stands above the rows: the names of the columns, their units, and what the logger said before."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from motionsig.facts import Fact, How
from motionsig.recordings.names import is_unit, names_axes
from motionsig.recordings.text.cells import is_missing, is_number, split
from motionsig.recordings.text.dialects import COMMENTS, DELIMITERS, Found

_SEARCHED = 400
_SETTINGS = 400
_LONGEST_SETTING = 200
_LETTERS = re.compile(r"[^\W\d_]")
_DIGITS = re.compile(r"\d{1,15}", re.ASCII)
_SETTING = re.compile(r'\s*"?([^",:;=\t]{1,60}?)"?\s*[,:;=\t]\s*(.+)')


class Heading(NamedTuple):
    """Names and units of the columns, () where there are none; the lines that they stand in; facts of the layout.

    first_row: how many of the rows are none, as they only number the columns.
    line: of the header in the file, from 1; 0 where there is none.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    lines: tuple[str, ...]
    facts: tuple[Fact, ...]
    first_row: int = 0
    line: int = 0


def find_heading(found: Found) -> Heading:
    """Return the names of the columns: the line of text just above the rows, as many cells wide."""
    above, width = found.above, found.dialect.width
    if (labelled := found.dialect.labelled) is not None:
        how: How = "assumed" if labelled.assumed else "written"
        said = Fact("header", "none: the names stand before the values in each row", how)
        return Heading(labelled.names, labelled.units, (), (said, *_settings(above)))
    at, names, units = _names(found)
    if at < 0:
        if _numbered(found.rows):
            said = Fact("header", f"line {len(above) + 1}, which only numbers the columns", "shown")
            return Heading(tuple(cell.strip() for cell in found.rows[0]), (), (), (said, *_settings(above)), 1)
        text = f"none: rows of {width} cells begin in line {len(above) + 1}"
        if last := next((line.strip() for line in reversed(above) if line.strip()), ""):
            text += f", below {last[:60]!r}"
        return Heading((), (), (), (Fact("header", text, "shown"), *_settings(above)))
    said = Fact("header", f"line {at + 1}" + (f", {at} lines before it" if at else ""), "shown")
    facts = (said, *_settings(above[:at]))
    if units:
        facts = (*facts, Fact("units", "a row of them below the header", "written"))
    lines = tuple(line.strip() for line in above[at:] if line.strip() and _fitting(line, found))
    return Heading(names, units, lines, facts, line=at + 1)


def is_header(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Tell whether cells are the names of the columns, but for a time that a terminal put before them."""
    same = sum(cell.strip() == name for cell, name in zip(cells, names, strict=False))
    return same >= max(3, len(cells) - 2)


def _names(found: Found) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Return the number of the header's line, or -1; names; units."""
    above, units_at = found.above, -1
    units: tuple[str, ...] = ()
    for at in range(len(above) - 1, max(-1, len(above) - 1 - _SEARCHED), -1):
        if not above[at].strip():
            continue
        cells = _fitting(above[at], found)
        if not cells:
            continue
        if not units and sum(map(is_unit, cells)) >= min(3, len(cells) - 1) and at > 0:
            units, units_at = tuple(cells), at
            continue
        if _repeats(cells) and (over := _over(found, at)):
            cells = [f"{first} {second}".strip() for first, second in zip(over[1], cells, strict=True)]
            return over[0], tuple(cells), units
        return at, tuple(cells), units
    if units:
        # Nothing above it: these are the names, however much they look like units.
        return units_at, units, ()
    return -1, (), ()


def _fitting(line: str, found: Found) -> list[str]:
    """Return the cells of a line that can name the columns, one for each; nothing where it cannot."""
    text, width = line.strip("\r\n"), found.dialect.width
    commented = text.lstrip().startswith(COMMENTS)
    if commented:
        text = text.lstrip().lstrip("#/%").strip()
    if not _LETTERS.search(text):
        return []
    for delimiter in (found.dialect.delimiter, *(other for other in DELIMITERS if other != found.dialect.delimiter)):
        cells = [cell.strip() for cell in split(text.strip() if delimiter == " " else text, delimiter)]
        if cells and found.dialect.line_end and cells[-1].endswith(found.dialect.line_end):
            cells[-1] = cells[-1].removesuffix(found.dialect.line_end)
        if len(cells) == width + 1 and not cells[-1]:
            cells.pop()
        if len(cells) == width - 1 and width > 3 and _counts(row[0] for row in found.rows):
            cells.insert(0, "")
        if 3 < len(cells) < width and all(is_missing(cell) for row in found.rows for cell in row[len(cells) :]):
            cells += [""] * (width - len(cells))  # rows end in more delimiters than the header has
        if len(cells) == width and not any(map(is_number, _names_of_their_own(cells))):
            named = sum(_LETTERS.search(cell) is not None for cell in cells)
            if named * 2 >= width or (delimiter == found.dialect.delimiter and named >= 3) or _spread(cells):
                return cells
    return []


def _names_of_their_own(cells: Sequence[str]) -> list[str]:
    """Return cells without the two after one that names three axes, as in "Gyroscope (z,x,y) [rad/s]", "1", "2"."""
    spoken = {other for at, cell in enumerate(cells) if names_axes(cell) for other in (at + 1, at + 2)}
    return [cell for at, cell in enumerate(cells) if at not in spoken]


def _spread(cells: Sequence[str]) -> bool:
    """Tell whether every third cell or so has a name, as where a sensor's name stands over three axes."""
    return sum(not is_missing(cell) for cell in cells) * 4 >= len(cells)


def _repeats(cells: Sequence[str]) -> bool:
    """Tell whether names come more than once, as where axes stand below sensors."""
    named = [cell.lower() for cell in cells if cell]
    return len(set(named)) < len(named)


def _over(found: Found, at: int) -> tuple[int, list[str]] | None:
    """Return the line above line `at` that names the sensors, and its cells with each name where it holds on."""
    for index in range(at - 1, max(-1, at - 3), -1):
        if cells := _fitting(found.above[index], found):
            held, name = [], ""
            for cell in cells:
                name = cell or name
                held.append(name)
            return index, held
    return None


def _counts(cells: Iterable[str]) -> bool:
    """Tell whether the cells go up by one each: a number for each row."""
    first = [cell.strip() for cell in itertools.islice(cells, 5)]
    return (
        len(first) > 1
        and all(map(_DIGITS.fullmatch, first))
        and first == [str(int(first[0]) + i) for i in range(len(first))]
    )


def _numbered(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row is 0, 1, 2 ... or 1, 2, 3 ..., and the second is not."""
    if len(rows) < 2 or len(rows[0]) < 4:
        return False
    cells = [cell.strip() for cell in rows[0]]
    return any(cells == [str(first + index) for index in range(len(cells))] for first in (0, 1)) and rows[0] != rows[1]


def _settings(above: Sequence[str]) -> tuple[Fact, ...]:
    """Return what the preamble says, a fact for each line of a name and a value."""
    facts = []
    for line in above[-_SETTINGS:]:
        text = line.strip().lstrip("#/%").strip()
        if match := _SETTING.fullmatch(text[: 2 * _LONGEST_SETTING]):
            facts.append(Fact(f"setting {match[1].strip()}", match[2].strip(' "')[:_LONGEST_SETTING], "written"))
    return tuple(facts)
