"""Feather and Arrow's own files and streams: a table of columns, read a batch at a time. Needs pyarrow.

A batch is the writer's: where it is larger than what fits in memory at once, the file is refused and not read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.hints import install_hint
from motionsig.recordings.formats.arrays import BATCH_ROWS, LARGEST_BYTES, Part, intact, table
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

_FILE, _FEATHER_1 = b"ARROW1\0\0", b"FEA1"
_STREAM = b"\xff\xff\xff\xff"
_FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}


def need_pyarrow(path: Path, what: str) -> None:
    """Raise MissingExtraError where pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"{path}: reading {what} needs pyarrow ({error}): {install_hint('pyarrow')}") from error


@contextmanager
def intact_arrow(path: Path, what: str) -> Iterator[None]:
    """Turn what pyarrow raises for a damaged file into a RecordingError."""
    import pyarrow as pa

    with intact(str(path), what, pa.ArrowException, OSError, ValueError, KeyError):
        yield


Batches = Callable[[list[str]], AbstractContextManager[Iterator["pa.RecordBatch"]]]
"""Opens the batches of a file; they have at least the columns that are named."""


def arrow_table(path: Path, schema: pa.Schema, batches: Batches, rows: int | None) -> tuple[Table, ...]:
    """Return the Table of a file with this schema; a column of lists is there, but has no numbers."""
    import pyarrow as pa

    with intact_arrow(path, "names"):
        names, types = schema.names, schema.types

    def parts(wanted: Collection[int]) -> Iterator[Part]:
        numbers = sorted(wanted)
        with batches([names[number] for number in numbers]) as reading:
            for batch in reading:
                # What lies at a wrong offset would be read outside of the batch.
                batch.validate(full=True)
                # By number where the batch has all columns, so that two of one name stay two.
                at = numbers if batch.num_columns == len(names) else range(len(numbers))
                found = dict(zip(numbers, (batch.column(index) for index in at), strict=True))
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    yield Part({it: _numpy(values[start : start + BATCH_ROWS]) for it, values in found.items()})

    units = tuple("ns" if pa.types.is_duration(it) else "" for it in types)
    with intact_arrow(path, "columns"):
        return (table("", str(path), names, parts, units=units if any(units) else (), rows=rows),)


def tables(path: Path) -> tuple[Table, ...]:
    """Return the one Table of an Arrow file or stream. Raises RecordingError; MissingExtraError without pyarrow."""
    need_pyarrow(path, "Feather")
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.ipc

    with open(path, "rb") as file:
        head = file.read(8)
    if head.startswith(_FEATHER_1):
        # The first version has no batches: all of it is in memory, as it is in whoever wrote it.
        if os.path.getsize(path) > LARGEST_BYTES:
            raise RecordingError(
                f"{path}: expected Feather of version 2, or at most {LARGEST_BYTES} bytes of version 1"
            )
        with intact_arrow(path, "Feather"):
            whole = pyarrow.feather.read_table(path, memory_map=False)
        return arrow_table(path, whole.schema, _of_table(whole), whole.num_rows)
    opener: Any = pa.ipc.open_file if head.startswith(_FILE[:6]) else pa.ipc.open_stream

    @contextmanager
    def batches(_: list[str]) -> Iterator[Iterator[pa.RecordBatch]]:
        with intact_arrow(path, "Feather"), pa.OSFile(str(path)) as source, opener(source) as reader:
            yield _each(reader)

    def _each(reader: Any) -> Iterator[pa.RecordBatch]:
        if not hasattr(reader, "num_record_batches"):
            yield from reader
            return
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)

    with intact_arrow(path, "Feather"), pa.OSFile(str(path)) as source, opener(source) as reader:
        schema = reader.schema
    return arrow_table(path, schema, batches, None)


def _of_table(whole: Any) -> Batches:
    @contextmanager
    def batches(names: list[str]) -> Iterator[Iterator[pa.RecordBatch]]:
        yield iter(whole.select(names).to_batches(BATCH_ROWS))

    return batches


def _numpy(values: pa.Array) -> NDArray[Any]:
    """Return a column as numpy: a number that is missing is NaN, a text that is missing is ""."""
    import pyarrow as pa

    kind = values.type
    if pa.types.is_dictionary(kind):
        return _numpy(values.cast(kind.value_type))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        # Without its zone: the instants are UTC.
        in_ns = values.cast(pa.timestamp("ns", getattr(kind, "tz", None))).cast(pa.int64())
        return np.where(_missing(in_ns), np.iinfo(np.int64).min, _numbers(in_ns, np.int64)).view("M8[ns]")
    if pa.types.is_duration(kind):
        values = values.cast(pa.duration("ns")).cast(pa.int64())
    elif pa.types.is_boolean(kind):
        values = values.cast(pa.uint8())
        if not values.null_count:
            return _numbers(values, np.uint8).astype(np.bool_)
    elif pa.types.is_decimal(kind):
        values = values.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        if pa.types.is_nested(kind) or pa.types.is_binary(kind):
            return np.full(len(values), f"({kind})")
        return np.array(["" if it is None else str(it) for it in values.to_pylist()], dtype=str)
    called = str(values.type)
    found = _numbers(values, np.dtype(_FLOATS.get(called, called)))
    return np.where(_missing(values), np.nan, found) if values.null_count else found


def _numbers(values: pa.Array, dtype: Any) -> NDArray[Any]:
    """Return the numbers as they lie in memory; `to_numpy` would import pandas."""
    return np.frombuffer(values.buffers()[1] or b"", dtype)[values.offset : values.offset + len(values)]


def _missing(values: pa.Array) -> NDArray[np.bool_]:
    import pyarrow as pa

    return _numbers(values.is_null().cast(pa.uint8()), np.uint8).astype(bool)


def _recognises(_: Path, head: bytes) -> int:
    if head.startswith((_FILE, _FEATHER_1)):
        return 3
    # A stream begins with the size of its schema, which the schema's own first bytes follow.
    size = int.from_bytes(head[4:8], "little")
    return 2 * (head.startswith(_STREAM) and 0 < size < len(head) and size % 8 == 0)


READER = table_reader("arrow", _recognises, tables)
