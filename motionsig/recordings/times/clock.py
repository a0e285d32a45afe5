"""The times of all rows of a table, chunk by chunk, once it is known which columns give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.facts import Fact
from motionsig.recordings.tables import Kind, Rows
from motionsig.recordings.times.order import in_order
from motionsig.recordings.times.paces import Pace
from motionsig.recordings.times.packets import Spread
from motionsig.recordings.times.plain import numbered
from motionsig.recordings.times.readings import Reading
from motionsig.recordings.times.texts import NoClockError
from motionsig.recordings.times.unwrapping import Unwrapper


@dataclass(frozen=True, eq=False)
class Clock:
    """How the rows of one table get their times.

    * `columns`: what it reads, and as what; empty where the rows are only numbered.
    * `rate_hz`: of samples. `facts`: what was understood of the times, and how it is known.
    * `reorder`: some rows came late, and are put in the order of their times.
    """

    columns: Mapping[int, Kind]
    rate_hz: float
    facts: tuple[Fact, ...]
    reading: Reading | None = field(default=None, repr=False)
    shift_ns: int = 0
    spread: Pace | None = field(default=None, repr=False)
    reorder: bool = False

    def timed(self, rows: Iterator[Rows], where: str) -> Iterator[tuple[NDArray[np.int64], Rows]]:
        """Yield the same rows with the times (n,) of each; cut in other places where packets are spread or rows sorted.

        Raises RecordingError with line (or row) and text for what is no time.
        """
        if self.reading is None:
            yield from self._numbered(rows)
            return
        stamps = self._stamps((part for part in rows if _count(part)), self.reading, where)
        if self.reorder:
            yield from in_order(stamps, self.rate_hz)
        elif self.spread is None:
            yield from stamps
        else:
            yield from _spread(stamps, Spread(self.spread, self.rate_hz))

    def _numbered(self, rows: Iterator[Rows]) -> Iterator[tuple[NDArray[np.int64], Rows]]:
        done = 0
        for part in rows:
            count = _count(part)
            yield numbered(done, count, self.rate_hz, self.shift_ns), part
            done += count

    def _stamps(self, rows: Iterator[Rows], reading: Reading, where: str) -> Iterator[tuple[NDArray[np.int64], Rows]]:
        unwrapper = Unwrapper(reading.moduli)
        for part in rows:
            values = {column: part.columns[column] for column in reading.columns}
            try:
                for cells in values.values():
                    if cells.dtype.kind == "f" and not np.isfinite(cells).all():
                        raise NoClockError(int(np.argmin(np.isfinite(cells))), str(cells[~np.isfinite(cells)][0]))
                times = reading.convert(values)
            except NoClockError as error:
                names = " and ".join(repr(it.name) for it in reading.candidates)
                raise RecordingError(
                    f"{where}:{part.first + error.row}: expected a time in {names}, got {error.text!r}"
                ) from None
            yield unwrapper.push(times) + self.shift_ns, part


def _count(rows: Rows) -> int:
    return len(next(iter(rows.columns.values()))) if rows.columns else 0


def _spread(
    stamped: Iterator[tuple[NDArray[np.int64], Rows]], spread: Spread
) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    waiting: list[Rows] = []
    for stamps, rows in stamped:
        waiting.append(rows)
        yield from _given(spread.push(stamps, rows.breaks), waiting)
    yield from _given(spread.finish(), waiting)


def _given(times: NDArray[np.int64], waiting: list[Rows]) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    """Yield the first rows that wait, as many as have times, and take them away."""
    while len(times):
        rows, size = waiting[0], _count(waiting[0])
        if size <= len(times):
            waiting.pop(0)
            if size:
                yield times[:size], rows
            times = times[size:]
            continue
        cut = len(times)
        yield times, _part(rows, 0, cut)
        waiting[0] = _part(rows, cut, size)
        return


def _part(rows: Rows, start: int, stop: int) -> Rows:
    columns = {column: values[start:stop] for column, values in rows.columns.items()}
    return Rows(columns, tuple(it - start for it in rows.breaks if start <= it < stop), rows.first + start)
