"""A table of named columns, whatever format it stood in: what every reader of tables makes, read in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from motionsig.facts import Fact

Kind = Literal["number", "whole", "text"]
"""How a column is read: float64 with NaN for what is missing, int64, or str (a table's own times stay datetime64)."""


class Rows(NamedTuple):
    """Some rows of a table, in the file's order.

    * `columns`: by a column's number, (n,) float64, int64, str or datetime64[ns].
    * `breaks`: the rows, 0 to n - 1, before which the log itself shows an end: an empty line, the header again. Rising.
    * `first`: the line, or the row, of the first of them in the file, for messages.
    """

    columns: Mapping[int, NDArray[Any]]
    breaks: tuple[int, ...]
    first: int


@dataclass(frozen=True)
class Table:
    """One table, looked at but not yet read.

    * `name`: of its file within a folder or zip, with "/" between folders. `where`: file and line, for messages.
    * `names`: (w,) of the columns as found, () without a header. `units`: (w,) of a row of units, () without one.
    * `head`: (w,) the first rows, column by column, (m,) each: int64, float64, str or datetime64[ns].
    * `facts`: of the file's layout, such as which line the header is in.
    * `read`: takes the kinds of the columns wanted, by their number, and yields all rows. Raises RecordingError.
    * `rows`: about how many, where known.
    * `rate_hz`: of rows that are evenly spaced, where the log says so in place of a clock column.
    """

    name: str
    where: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    head: tuple[NDArray[Any], ...]
    read: Callable[[Mapping[int, Kind]], Iterator[Rows]] = field(repr=False)
    facts: tuple[Fact, ...] = ()
    rows: int | None = None
    rate_hz: float | None = None

    @property
    def width(self) -> int:
        """How many columns it has."""
        return len(self.head)

    def called(self, column: int) -> str:
        """Return the name of a column for messages."""
        return repr(self.names[column]) if self.names else f"column {column}"
