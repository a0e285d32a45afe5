"""Clocks written as text into days since 1970 and nanoseconds of a day: by arithmetic on the digits, not text by text.

Texts that differ in digits alone share a layout; there are few of them in a log, so that a column is a handful of sums
over columns of digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.recordings.times.layouts import Layout, layout

DAY_NS = 86_400 * NS_PER_S
ORDERS = ("dmy", "mdy", "ymd")
"""Of the numbers in a date such as 01/05/23, in which only people know it."""

_ZERO = 48
_PEELED = 8  # layouts taken one after the other; more are sorted
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_PAD = " \0\"'"
_AROUND = f"{_PAD}[]"
"""What may stand around a time; "]" alone may be the end of a zone's name."""


class NoClockError(ValueError):
    """A text that is not a clock's: its row, and the text."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(row, text)
        self.row, self.text = row, text


class Parsed(NamedTuple):
    """Clocks (n,): days since 1970 and nanoseconds of the day, each None without; minutes east of UTC.

    layouts: those that were found, in no order.
    """

    days: NDArray[np.int64] | None
    ns: NDArray[np.int64] | None
    east: NDArray[np.int64]
    layouts: tuple[Layout, ...]


def parse(texts: NDArray[Any], order: str = "dmy") -> Parsed:
    """Return what `texts` (n,), text or bytes, say. order: of a date's numbers, where the spelling does not tell.

    Raises NoClockError for the first text that is no clock's or that differs in kind from the first.
    """
    chars = _chars(texts)
    count = len(chars)
    days, ns, east = (np.zeros(count, np.int64) for _ in range(3))
    found: list[Layout] = []
    for rows, shape in _shapes(chars):
        first = int(np.flatnonzero(rows)[0]) if isinstance(rows, np.ndarray) else 0
        known = layout(shape.rstrip(_PAD if "[" in shape else _AROUND))
        if known is None or (found and (known.date, known.time) != (found[0].date, found[0].time)):
            raise NoClockError(first, _text(texts[first]))
        found.append(known)
        numbers = _Numbers(chars[rows], known)
        good = np.ones(numbers.count, bool)
        if known.date:
            days[rows], good = numbers.days(order)
        if known.time:
            ns[rows], right = numbers.ns()
            good &= right
        if known.zoned:
            east[rows] = numbers.east()
        if not good.all():
            bad = int(np.flatnonzero(~good)[0])
            row = int(np.flatnonzero(rows)[bad]) if isinstance(rows, np.ndarray) else bad
            raise NoClockError(row, _text(texts[row]))
    have = found[0] if found else Layout({})
    return Parsed(days if have.date else None, ns if have.time else None, east, tuple(found))


def _text(cell: Any) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _chars(texts: NDArray[Any]) -> NDArray[Any]:
    """Return the characters of each text, (n, width): uint8 where all are ASCII."""
    if texts.dtype.kind == "S":
        flat = np.ascontiguousarray(texts)
        chars: NDArray[Any] = flat.view(np.uint8).reshape(len(flat), -1)
        if (chars >= 128).any():
            texts = np.char.decode(texts, "utf-8", "replace")
    if texts.dtype.kind != "S":
        flat = np.ascontiguousarray(texts.astype(np.str_))
        chars = flat.view(np.uint32).reshape(len(flat), -1)
        if not (chars >= 128).any():
            chars = chars.astype(np.uint8)
    if chars.shape[1] and np.isin(chars[:, 0], [ord(mark) for mark in _AROUND]).any():
        stripped = np.char.strip(np.char.strip(texts.astype(np.str_)), _AROUND)
        return stripped.view(np.uint32).reshape(len(stripped), -1)
    return chars


def _shapes(chars: NDArray[Any]) -> Iterator[tuple[slice | NDArray[np.bool_], str]]:
    """Yield the rows of each arrangement of what is no digit, and that arrangement with "0" for the digits."""
    if not chars.size:
        if len(chars):
            yield slice(None), ""
        return
    # An unsigned number below zero is a large one.
    shapes = np.where((chars - chars.dtype.type(_ZERO)) < 10, chars.dtype.type(_ZERO), chars)
    same = (shapes == shapes[0]).all(axis=1)
    if same.all():
        yield slice(None), _word(shapes[0])
        return
    left = np.ones(len(chars), bool)
    for _ in range(_PEELED):
        yield same, _word(shapes[int(np.argmax(same))])
        left &= ~same
        if not left.any():
            return
        same = left & (shapes == shapes[int(np.argmax(left))]).all(axis=1)
    rest = np.flatnonzero(left)
    rows = np.ascontiguousarray(shapes[rest])
    kinds, which = np.unique(rows.view(f"V{rows.dtype.itemsize * rows.shape[1]}")[:, 0], return_inverse=True)
    for kind in range(len(kinds)):
        mask = np.zeros(len(chars), bool)
        mask[rest[which.reshape(-1) == kind]] = True
        yield mask, _word(shapes[int(np.argmax(mask))])


def _word(row: NDArray[Any]) -> str:
    return "".join(map(chr, row.tolist()))


class _Numbers:
    """The fields of texts with one layout, as numbers."""

    def __init__(self, chars: NDArray[Any], known: Layout) -> None:
        self._chars, self._layout, self.count = chars, known, len(chars)

    def _field(self, name: str, digits: int = 18) -> NDArray[np.int64]:
        start, stop = self._layout.spans[name]
        value = np.zeros(self.count, np.int64)
        for column in range(start, min(stop, start + digits)):
            value *= 10
            value += self._chars[:, column]
            value -= _ZERO
        return value

    def days(self, order: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the days since 1970, and which of them exist."""
        known = self._layout
        if "c" in known.spans:
            names = dict(zip("dmy" if known.dotted else order, "abc", strict=True))
            if known.spans["c"][1] - known.spans["c"][0] == 4:
                names = {**names, "y": "c"} if names["y"] == "c" else dict(zip("dmy", "abc", strict=True))
        else:
            names = {"d": "d", "m": "m", "y": "y"}
        year, day = self._field(names["y"]), self._field(names["d"])
        month = self._field(names["m"]) if known.month is None else np.full(self.count, known.month)
        start, stop = known.spans[names["y"]]
        if stop - start <= 2:
            year = np.where(year < 69, 2000, 1900) + year
        good = (month >= 1) & (month <= 12) & (day >= 1) & (day <= _MONTH_DAYS[np.clip(month, 1, 12)])
        good &= (year >= 1678) & (year < 2262)
        good &= (month != 2) | (day < 29) | ((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)))
        return civil_days(year, month, day), good

    def ns(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the nanoseconds since midnight or the start, and which of them exist."""
        known = self._layout
        seconds = self._field("M") * 60
        good = seconds < 3600
        if "H" in known.spans:
            hours = self._field("H")
            if known.half:
                good &= (hours >= 1) & (hours <= 12)
                hours = hours % 12 + (12 if known.half == "p" else 0)
            good &= hours < (24 if known.date else 1000)
            seconds += hours * 3600
        else:
            good[:] = True  # minutes may count on
        if "S" in known.spans:
            second = self._field("S")
            good &= second <= 60
            seconds += second
        if "days" in known.spans:
            seconds += self._field("days") * 86_400
        seconds *= NS_PER_S
        if "f" in known.spans:
            start, stop = known.spans["f"]
            seconds += self._field("f", 9) * 10 ** (9 - min(stop - start, 9))
        return seconds, good

    def east(self) -> NDArray[np.int64] | int:
        """Return the minutes east of UTC."""
        known = self._layout
        if known.sign == 0:
            return known.zone or 0
        minutes = self._field("zh") * 60
        if "zm" in known.spans:
            minutes += self._field("zm")
        return minutes * known.sign


def civil_days(year: NDArray[np.int64], month: NDArray[Any], day: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the days from 1970 to a date of the Gregorian calendar."""
    if len(year) > 1 and (year == year[0]).all() and (month == month[0]).all() and (day == day[0]).all():
        return np.full(len(year), civil_days(year[:1], month[:1], day[:1])[0])
    months = year * 12 + np.clip(month, 1, 12) - 1 - 1970 * 12
    firsts = np.unique(months)
    at = firsts.astype("M8[M]").astype("M8[D]").astype(np.int64)
    found: NDArray[np.int64] = at[np.searchsorted(firsts, months)] + day - 1
    return found
