"""Cells: a line cut into them, and what each of them says."""

from __future__ import annotations

import contextlib
import csv
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.recordings.tables import Kind

LONGEST_TEXT = 256
"""Characters of a cell that are kept of a text; more are no clock, no label and no name."""

_WORDS = (
    "",
    "nan",
    "na",
    "n/a",
    "#n/a",
    "null",
    "none",
    "inf",
    "infinity",
    "ovf",
    "nan(ind)",
    "1.#qnan",
    "1.#ind",
    "?",
)
MISSING = frozenset(sign + word for word in _WORDS for sign in ("", "-", "+"))
"""What loggers write for a value that they do not have, in small letters; Arduino prints nan, inf and ovf."""

_TO_SPACES = dict.fromkeys(map(ord, "\t\v\f\r"), " ")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d{1,19}", re.ASCII)
_DAMAGED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00c0-\u00ff\ufffd]")
_LARGEST = (1 << 63) - 1
_OF_WHOLES = dict.fromkeys(map(ord, "0123456789+- "))
_OF_NUMBERS = dict.fromkeys(map(ord, "0123456789+- .eE"))
_DIGITS = 18  # of any whole number of 64 bits


def split(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line; the delimiter " " is any run of white space."""
    if '"' in line:
        with contextlib.suppress(csv.Error):
            whole = line.strip() if delimiter == " " else line
            return next(csv.reader([whole], delimiter=delimiter, skipinitialspace=True), [])
    if delimiter == " ":
        return [cell for cell in line.translate(_TO_SPACES).split(" ") if cell]
    return line.split(delimiter)


def is_number(cell: str) -> bool:
    """Tell whether a cell is a number with a decimal point or none."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def is_comma_number(cell: str) -> bool:
    """Tell whether a cell is a number with a decimal comma."""
    return "," in cell and "." not in cell and is_number(cell.replace(",", ".", 1))


def is_missing(cell: str) -> bool:
    """Tell whether a cell stands for a value that is not there."""
    return cell.strip().lower() in MISSING


def is_damaged(cell: str) -> bool:
    """Tell whether a cell of numbers has what bytes damaged on a serial line look like: controls, no text, accents."""
    return _DAMAGED.search(cell) is not None


def number(cell: str, *, comma: bool) -> float:
    """Return a cell as a number, NaN where it is missing; raise ValueError for anything else."""
    text = cell.strip()
    if comma:
        # A dot beside decimal commas groups thousands; taken for a decimal point it would be a wrong number.
        text = "." if "." in text else text.replace(",", ".", 1)
    if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
        return value
    if text.lower() in MISSING:
        return math.nan
    raise ValueError("a number")


def whole(cell: str) -> int:
    """Return a cell as a whole number of 64 bits; raise ValueError for anything else."""
    text = cell.strip()
    if _WHOLE.fullmatch(text) and -_LARGEST <= (value := int(text)) <= _LARGEST:
        return value
    raise ValueError("a whole number")


def value(cell: str, kind: Kind, *, comma: bool) -> object:
    """Return a cell as one value of its column's kind; raise ValueError, which says what was expected."""
    if kind == "text":
        return cell.strip()[:LONGEST_TEXT]
    return whole(cell) if kind == "whole" else number(cell, comma=comma)


def column(values: Sequence[object], kind: Kind) -> NDArray[Any]:
    """Return values of one kind as an array."""
    types: dict[Kind, type] = {"number": np.float64, "whole": np.int64, "text": np.str_}
    return np.array(values, types[kind])


def typed(cells: Sequence[str], *, comma: bool) -> NDArray[Any]:
    """Return the cells of one column as whole numbers where all are, else numbers, else text."""
    if not comma and (plain := _plain_numbers(cells)) is not None:
        return plain
    kinds: tuple[Kind, ...] = ("whole", "number")
    if any(map(is_number, cells)) or any(map(is_comma_number, cells)):
        for kind in kinds:
            with contextlib.suppress(ValueError):
                return column([value(cell, kind, comma=comma) for cell in cells], kind)
    return column([value(cell, "text", comma=comma) for cell in cells], "text")


def _plain_numbers(cells: Sequence[str]) -> NDArray[Any] | None:
    """Return what `typed` does where no cell has anything but digits, a point, signs and an exponent; else None."""
    joined = "".join(cells)
    if joined.translate(_OF_NUMBERS):
        return None
    with contextlib.suppress(ValueError):
        if joined.translate(_OF_WHOLES):
            found = np.array([float(cell) for cell in cells])
            return found if np.isfinite(found).all() else None
        if max(map(len, cells)) <= _DIGITS:
            return np.array([int(cell) for cell in cells], np.int64)
    return None
