"""The rows of one stream: of one table, or of sensors in tables of their own, on the accelerometer's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS
from motionsig.errors import RecordingError
from motionsig.recordings.labels import LabelColumn
from motionsig.recordings.samples import Samples
from motionsig.recordings.tables import Kind, Rows, Table
from motionsig.recordings.times import Clock, onto

Wanted = Mapping[int, frozenset[str]]
"""Which rows: by a column's number, the texts that it may hold."""

Sum = tuple[tuple[int, float], ...]
"""A channel: columns, each times a weight, added up."""

_FEW = 8
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Odd, with bits all over, so that texts get different numbers; where two get the same that is noticed."""


@dataclass(frozen=True)
class Feed:
    """What is read of one table: the columns of each channel (added up where they are several), their clock.

    * `channels`: six or three sums of columns. `holds`: "both" has six channels, acc and gyr; "acc" and "gyr" three.
    * `label`, `gap`: the columns of the label and of the mark of a gap, None where there are none. `joints`: columns at
      whose changes samples were lost, too. `shift`: what makes Unix times of the clock's.
    * `changed`: rows that repeat the channels of the row before are left out, as no new samples.
    """

    table: Table
    wanted: Wanted
    clock: Clock
    channels: tuple[Sum, ...]
    holds: Literal["both", "acc", "gyr"] = "both"
    label: LabelColumn | None = None
    gap: int | None = None
    joints: tuple[int, ...] = ()
    shift: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None
    changed: bool = False

    def read(self, factors: Sequence[float]) -> Iterator[Samples]:
        """Yield all rows, each channel times its factor, as float64."""
        kinds: dict[int, Kind] = {column: "number" for terms in self.channels for column, _ in terms}
        kinds.update(self.clock.columns)
        kinds.update(dict.fromkeys(self.wanted, "text"))
        if self.label is not None:
            kinds[self.label.number] = "text"
        kinds.update(dict.fromkeys(self.joints if self.gap is None else (*self.joints, self.gap), "text"))
        last: dict[int, Any] = {}
        rows = self.table.read(kinds)
        if self.wanted:
            rows = chosen_rows(rows, self.wanted)
        if self.changed:
            rows = changed_rows(rows, [column for terms in self.channels for column, _ in terms])
        for time_ns, part in self.clock.timed(rows, self.table.where):
            data = np.empty((len(time_ns), len(self.channels)))
            # Damaged bytes may be a signalling NaN, or a number that overflows: no samples, and left out later.
            with np.errstate(invalid="ignore", over="ignore"):
                for index, (terms, factor) in enumerate(zip(self.channels, factors, strict=True)):
                    (column, weight), *others = terms
                    np.multiply(part.columns[column], weight * factor, out=data[:, index])
                    for column, weight in others:
                        data[:, index] += part.columns[column] * (weight * factor)
            if len(self.channels) == len(CHANNELS):
                data[_marked([part.columns[terms[0][0]] for terms in self.channels])] = np.nan
            labels = None if self.label is None else part.columns[self.label.number]
            breaks = part.breaks
            if self.gap is not None:
                breaks = tuple(sorted({*breaks, *np.flatnonzero(_true(part.columns[self.gap])).tolist()}))
            for joint in self.joints:
                values = part.columns[joint]
                changed = np.flatnonzero(
                    np.concatenate([values[:1] != last.get(joint, values[0]), values[1:] != values[:-1]])
                )
                breaks = tuple(sorted({*breaks, *changed.tolist()}))
                last[joint] = values[-1]
            yield Samples(time_ns if self.shift is None else self.shift(time_ns), data, labels, breaks, part.first)


def _marked(columns: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return the rows whose six numbers are one and the same, as the 1000 or -1 that some write for no reading.

    All zero is left to the search for what stands still, which counts it.
    """
    first, second, *others = columns
    rows: NDArray[np.int64] = np.flatnonzero(first == second)
    for column in others:
        if not rows.size:
            break
        rows = rows[column[rows] == first[rows]]
    return np.asarray(rows[first[rows] != 0])


def _true(marks: NDArray[Any]) -> NDArray[np.bool_]:
    true = np.array(["1", "1.0", "true", "True", "TRUE"])
    return np.isin(marks.astype("U5"), true)


def chosen_rows(rows: Iterator[Rows], wanted: Wanted) -> Iterator[Rows]:
    """Yield of the rows those that are wanted; a break before rows that are not stands before the next that is."""

    def keep(part: Rows) -> NDArray[np.bool_]:
        marks = [matching(part.columns[column], texts) for column, texts in wanted.items()]
        return np.asarray(np.logical_and.reduce(marks))

    return kept_rows(rows, keep)


def changed_rows(rows: Iterator[Rows], columns: Sequence[int]) -> Iterator[Rows]:
    """Yield the rows in which one of `columns` is another than in the row before."""
    last: dict[int, Any] = {}

    def keep(part: Rows) -> NDArray[np.bool_]:
        changed = np.zeros(len(part.columns[columns[0]]), bool)
        for column in columns:
            values = part.columns[column]
            changed[1:] |= values[1:] != values[:-1]
            changed[0] |= column not in last or values[0] != last[column]
            last[column] = values[-1]
        return changed

    return kept_rows(rows, keep)


def kept_rows(rows: Iterator[Rows], keep: Callable[[Rows], NDArray[np.bool_]]) -> Iterator[Rows]:
    """Yield of the rows those that `keep` marks; a break before rows that are left out stands before the next one."""
    pending = False
    for part in rows:
        at = np.flatnonzero(keep(part))
        places = np.searchsorted(at, part.breaks).tolist()
        breaks = {place for place in places if place < len(at)} | ({0} if pending and len(at) else set())
        pending = (pending and not len(at)) or any(place == len(at) for place in places)
        if len(at):
            columns = {column: values.take(at) for column, values in part.columns.items()}
            yield Rows(columns, tuple(sorted(breaks)), part.first + int(at[0]))


def matching(values: NDArray[Any], texts: frozenset[str]) -> NDArray[np.bool_]:
    """Tell which values are one of the texts, as `value_text` writes them."""
    found, which = distinct(values)
    return np.array([value_text(it) in texts for it in found.tolist()], bool)[which]


def distinct(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the values that occur, in the order of their first places, and which of them each value (n,) is."""
    firsts, which = _occurring(_numbers(values))
    if not (values[firsts[which]] == values).all():
        firsts, which = _occurring(values)  # two texts have one number
    return values[firsts], which


def _numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Return a number for each text, which are sorted many times as fast, and other values as they are."""
    if values.dtype.kind != "U" or not values.nbytes:
        return values
    numbers = np.zeros(len(values), np.uint64)
    for letters in np.ascontiguousarray(values).view(np.uint32).reshape(len(values), -1).T:
        numbers = numbers * _FACTOR + letters
    return numbers


def _occurring(values: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first place of each value that occurs, rising, and which of them each value is."""
    found: list[int] = []
    which = np.full(len(values), -1, np.intp)
    while len(found) < _FEW:
        # Where they are few, each is looked for in turn, which is quicker than to sort them.
        left = which < 0
        if not left.any():
            return np.array(found, np.intp), which
        found.append(int(left.argmax()))
        np.putmask(which, values == values[found[-1]], len(found) - 1)
    kinds = np.unique(values)
    which = np.searchsorted(kinds, values)
    firsts = np.empty(len(kinds), np.intp)
    firsts[which[::-1]] = np.arange(len(values))[::-1]  # of several the last one stays
    order = np.argsort(firsts)
    return firsts[order], np.argsort(order)[which]


def value_text(value: object) -> str:
    """Return a value of a column that tells streams apart, as people write it."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def read_stream(feeds: Sequence[Feed], factors: Sequence[float], where: str) -> Iterator[Samples]:
    """Yield the rows of a stream with six channels, each times its factor.

    Sensors in feeds of their own come as one: the times are those of the first, the others are interpolated onto them.
    """
    if len(feeds) == 1:
        yield from feeds[0].read(factors)
        return
    series = [_series(feed, factors[3:] if feed.holds == "gyr" else factors[:3]) for feed in feeds]
    time_ns, acc = series[0]
    gyr = np.full((len(time_ns), 3), np.nan)
    shared = np.ones(len(time_ns), bool)
    for feed, (other_ns, values) in zip(feeds[1:], series[1:], strict=True):
        shared &= (time_ns >= other_ns[0]) & (time_ns <= other_ns[-1])
        found = values if np.array_equal(other_ns, time_ns) else onto(time_ns, other_ns, values)
        if feed.holds == "gyr":
            gyr = found
        else:
            acc = acc + found
    if shared.sum() < 2:
        spans = " and ".join(f"{it[0][0]} to {it[0][-1]} ns" for it in series)
        raise RecordingError(f"{where}: expected clocks with the same origin, got times from {spans}")
    yield Samples(time_ns[shared], np.concatenate([acc, gyr], axis=1)[shared])


def _series(feed: Feed, factors: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return one sensor's times (n,), strictly increasing, and values (n, 3)."""
    where = feed.table.where
    parts = list(feed.read(factors))
    if not parts:
        raise RecordingError(f"{where}: expected samples, got none")
    time_ns = np.concatenate([part.time_ns for part in parts])
    values = np.concatenate([part.data for part in parts])
    steps = np.diff(time_ns, prepend=time_ns[0] - 1)
    if (steps < 0).any():
        row = int(np.flatnonzero(steps < 0)[0])
        raise RecordingError(f"{where}: expected times that increase, got {time_ns[row]} after {time_ns[row - 1]} ns")
    if (repeated := int((steps == 0).sum())) > 1 + len(steps) // 100:
        got = f"{repeated} of {len(steps)} repeated"
        raise RecordingError(f"{where}: expected a time of its own for each sample, got {got}")
    return time_ns[steps > 0], values[steps > 0]
