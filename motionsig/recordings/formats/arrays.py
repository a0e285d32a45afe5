"""From arrays to Tables: what every format that holds its numbers as arrays shares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.facts import Fact
from motionsig.recordings.tables import Kind, Rows, Table

BATCH_ROWS = 65_536
"""Rows read at a time, and of a Table's head."""

LARGEST_BYTES = 256 << 20
"""Of what has to be in memory at once, however many rows a log has. A larger claim is damage or malice."""

MOST_COLUMNS = 256
"""Of one array. More are a picture or a matrix, not samples."""

_AXES = ("x", "y", "z")
_KINDS = "fiubMmSUO"


class Part(NamedTuple):
    """Some rows: by a column's number, (n,) of any type numpy has; breaks as in Rows."""

    columns: Mapping[int, NDArray[Any]]
    breaks: tuple[int, ...] = ()


Parts = Callable[[Collection[int]], Iterator[Part]]
"""Takes the numbers of the columns wanted, and yields all rows of them, at most BATCH_ROWS at a time."""


def table(
    name: str,
    where: str,
    names: Sequence[str],
    parts: Parts,
    *,
    units: Sequence[str] = (),
    width: int | None = None,
    facts: tuple[Fact, ...] = (),
    rows: int | None = None,
    rate_hz: float | None = None,
) -> Table:
    """Return the Table of what `parts` yields. width: of a table without names."""
    every = range(len(names) if width is None else width)
    with closing(_gathered(parts(every))) as reading:
        first = next(reading, Part({number: np.empty(0) for number in every}))
    head = tuple(_natural(first.columns[number]) for number in every)

    def read(kinds: Mapping[int, Kind]) -> Iterator[Rows]:
        done = 0
        for part in _gathered(parts(tuple(kinds))):
            columns = {
                number: _as_kind(part.columns[number], kind, f"{where}: column {names[number] if names else number!r}")
                for number, kind in kinds.items()
            }
            yield Rows(columns, part.breaks, done)
            done += len(next(iter(part.columns.values()), ()))

    return Table(name, where, tuple(names), tuple(units), head, read, facts, rows, rate_hz)


@contextmanager
def intact(where: str, format: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn what a library raises for a damaged file into a RecordingError that names the file."""
    try:
        yield
    except RecordingError:
        raise
    except errors as error:
        raise RecordingError(f"{where}: expected intact {format}, got: {error or type(error).__name__}") from error


@dataclass(frozen=True)
class Array:
    """One array of a log, looked at but not yet read.

    * `name`: as found. `shape`: (n,) or (n, k), samples first. `dtype`: its type. `unit`: "" where nothing says it.
    * `parts`: yields all of it, BATCH_ROWS at a time, each (m,) or (m, k).
    * `names`: (k,) of its columns, () where nothing names them.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Callable[[], Generator[NDArray[Any], None, None]]
    unit: str = ""
    names: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[tuple[str, int | None], ...]:
        """The fields of an array (n,) of records, and of those that hold several numbers which of them."""
        return tuple(
            (field, at)
            for field in self.dtype.names or ()
            for at in (range(self.dtype[field].shape[0]) if self.dtype[field].shape else (None,))
        )

    @property
    def width(self) -> int:
        """How many columns of a table it makes."""
        return len(self.fields) or (1 if len(self.shape) == 1 else self.shape[1])

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of its columns: of three, x, y and z."""
        if self.names:
            return self.names
        if self.dtype.names:
            counts = {field: self.dtype[field].shape for field in self.dtype.names}
            return tuple(_of_several(field, at, counts[field][0] if counts[field] else 1) for field, at in self.fields)
        return tuple(_of_several(self.name, at, self.width) for at in range(self.width))

    def column(self, piece: NDArray[Any], number: int) -> NDArray[Any]:
        """Return one column, (m,), of a piece of it."""
        if self.fields:
            field, at = self.fields[number]
            return np.asarray(piece[field] if at is None else piece[field][:, at])
        return piece.reshape(len(piece), self.width)[:, number]


def _of_several(name: str, at: int | None, count: int) -> str:
    return name if count == 1 or at is None else f"{name}_{_AXES[at] if count == len(_AXES) else at}"


def holds_samples(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Tell whether an array can be columns of a table."""
    if dtype.names:
        fields = [dtype[field] for field in dtype.names]
        flat = all(it.base.kind in _KINDS and len(it.shape) <= 1 for it in fields)
        return (
            len(shape) == 1
            and shape[0] > 1
            and flat
            and sum(it.shape[0] if it.shape else 1 for it in fields) <= MOST_COLUMNS
        )
    long_enough = len(shape) in (1, 2) and shape[0] > 1
    return long_enough and dtype.kind in _KINDS and (len(shape) == 1 or 1 <= shape[1] <= MOST_COLUMNS)


def tables_of_arrays(
    name: str, where: str, arrays: Sequence[Array], *, rate_hz: float | None = None
) -> tuple[Table, ...]:
    """Return a Table for the arrays of each length, and one for each array of records, in the order of the arrays.

    An array alone, whose columns nothing names, makes a table without names.
    """
    together: dict[object, list[Array]] = {}
    for array in arrays:
        together.setdefault(array.name if array.dtype.names else array.shape[0], []).append(array)
    found = []
    for same in together.values():
        called = name if len(together) == 1 else "/".join(it for it in (name, same[0].name) if it)
        found.append(_joined(called, where, same, rate_hz))
    return tuple(found)


def _joined(name: str, where: str, arrays: Sequence[Array], rate_hz: float | None) -> Table:
    """Return the table whose columns are those of all arrays (n,) or (n, k), which have one n."""
    firsts = [0, *accumulate(array.width for array in arrays)]
    bare = len(arrays) == 1 and arrays[0].width > len(_AXES) and not (arrays[0].names or arrays[0].dtype.names)
    names = () if bare else tuple(name for array in arrays for name in array.columns)
    units = tuple(array.unit for array in arrays for _ in range(array.width))

    def parts(wanted: Collection[int]) -> Iterator[Part]:
        used = [
            (array, first)
            for array, first in zip(arrays, firsts, strict=False)
            if any(first <= number < first + array.width for number in wanted)
        ]
        with ExitStack() as stack:
            reading = [stack.enter_context(closing(array.parts())) for array, _ in used]
            for pieces in zip(*reading, strict=True):
                columns: dict[int, NDArray[Any]] = {}
                for piece, (array, first) in zip(pieces, used, strict=True):
                    inside = (at for at in range(array.width) if first + at in wanted)
                    columns.update((first + at, array.column(piece, at)) for at in inside)
                yield Part(columns)

    return table(
        name,
        where,
        names,
        parts,
        units=units if any(units) else (),
        width=firsts[-1],
        rows=arrays[0].shape[0],
        rate_hz=rate_hz,
    )


def _gathered(parts: Iterator[Part]) -> Generator[Part, None, None]:
    """Yield the same rows, small parts together: what comes after has a cost for each."""
    held: list[Part] = []
    rows = 0
    for part in parts:
        count = len(next(iter(part.columns.values()), ()))
        if held and rows + count > BATCH_ROWS:
            yield _together(held)
            held, rows = [], 0
        if count:
            held.append(part)
            rows += count
    if held:
        yield _together(held)


def _together(held: Sequence[Part]) -> Part:
    if len(held) == 1:
        return held[0]
    counts = [len(next(iter(part.columns.values()))) for part in held]
    starts = [0, *accumulate(counts)]
    breaks = tuple(start + at for start, part in zip(starts, held, strict=False) for at in part.breaks)
    return Part({it: np.concatenate([part.columns[it] for part in held]) for it in held[0].columns}, breaks)


def _natural(values: NDArray[Any]) -> NDArray[Any]:
    """Return a column as a Table's head has it: int64, float64, str or datetime64[ns]."""
    match values.dtype.kind:
        case "f":
            with np.errstate(invalid="ignore"):  # a NaN of damaged bytes may be a signalling one
                return values.astype(np.float64)
        case "M":
            return values.astype("M8[ns]")
        case "m":
            return values.astype("m8[ns]").astype(np.int64)
        case "b" | "i":
            return values.astype(np.int64)
        case "u":
            large = values.dtype.itemsize == 8 and len(values) and int(values.max()) >= 1 << 63
            return values.astype(np.float64 if large else np.int64)
        case _:
            return _texts(values)


def _as_kind(values: NDArray[Any], kind: Kind, where: str) -> NDArray[Any]:
    """Return a column as it is wanted; raise RecordingError where it is another thing throughout."""
    if kind == "text" and values.dtype.kind == "b":
        return values.astype(str)
    values = _natural(values)
    if kind == "text":
        if values.dtype.kind == "f" and (whole := values == np.rint(values)).any():
            # As people write them: 1 and not 1.0.
            return np.where(whole, np.where(whole, values, 0).astype(np.int64).astype(str), values.astype(str))
        return values if values.dtype.kind in "UM" else values.astype(str)
    if values.dtype.kind == "U":
        try:
            values = np.where(np.char.strip(values) == "", "nan", values).astype(np.float64)
        except ValueError as error:
            raise RecordingError(f"{where}: expected numbers, got text: {error}") from error
    if kind == "whole" and values.dtype.kind == "f":
        if not np.isfinite(values).all() or (np.abs(values) >= 2.0**63).any():
            raise RecordingError(f"{where}: expected whole numbers, got one that is missing or too large")
        return values.astype(np.int64)
    return values.astype(np.float64) if kind == "number" and values.dtype.kind == "i" else values


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "U":
        return values
    texts = ["" if it is None else it.decode(errors="replace") if isinstance(it, bytes) else str(it) for it in values]
    return np.array(texts, dtype=str)
