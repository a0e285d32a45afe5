"""Columns of times as loggers write them, and what becomes of them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.recordings.tables import Rows
from motionsig.recordings.times import Candidate, Found, find_clock

COUNT = 1000
UNIX = 1_700_000_000
NEW_YEAR = dt.datetime(2024, 12, 31, 23, 59, 55)  # the day, month and year change within the rows


def column(cells: Iterable[Any], name: str = "time", said: str = "time", **more: Any) -> Candidate:
    """Return a column of texts as a table reads them: whole numbers, numbers, or texts."""
    texts = [str(cell) for cell in cells]
    for kind in (np.int64, np.float64):
        try:
            return Candidate(0, name, np.array([kind(text) for text in texts]), said, **more)
        except ValueError:
            pass
    return Candidate(0, name, np.array(texts), said, **more)


def moments(form: Callable[[dt.datetime], str], step_ms: int = 10, first: dt.datetime = NEW_YEAR) -> list[str]:
    """Return the texts of COUNT moments."""
    return [form(first + dt.timedelta(milliseconds=step_ms * row)) for row in range(COUNT)]


def search(*columns: Candidate, **options: Any) -> Found:
    """Return the clock of a table that has these columns."""
    return find_clock([it._replace(column=number) for number, it in enumerate(columns)], **options)


def times(found: Found, *columns: Candidate, cuts: Sequence[int] = (), breaks: Sequence[int] = ()) -> NDArray[np.int64]:
    """Return the times of all rows, read in the chunks that `cuts` makes; `breaks`: rows before which the log ends."""
    assert found.clock is not None
    edges = [0, *cuts, len(columns[0].head)]

    def rows() -> Iterator[Rows]:
        for start, stop in itertools.pairwise(edges):
            chunk = {number: it.head[start:stop] for number, it in enumerate(columns)}
            yield Rows(chunk, tuple(at - start for at in breaks if start <= at < stop), start + 1)

    parts = list(found.clock.timed(rows(), "log.csv"))
    for time_ns, part in parts:
        assert len(time_ns) == len(part.columns[0])
    cells = np.concatenate([part.columns[0] for _, part in parts])
    np.testing.assert_array_equal(cells, columns[0].head)
    return np.concatenate([time_ns for time_ns, _ in parts])


def clocked(*columns: Candidate, **options: Any) -> tuple[float, NDArray[np.int64]]:
    """Return rate and times of columns that leave no question."""
    found = search(*columns, **options)
    assert found.questions == ()
    assert found.refusal == ""
    assert found.clock is not None
    return found.clock.rate_hz, times(found, *columns)


def facts(found: Found) -> dict[str, tuple[str, str]]:
    """Return value and way of knowing of each fact."""
    assert found.clock is not None
    return {fact.what: (fact.value, fact.how) for fact in found.clock.facts}
