"""Parquet: a table of columns, read a batch at a time. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from motionsig.recordings.formats.arrays import BATCH_ROWS
from motionsig.recordings.formats.arrow import arrow_table, intact_arrow, need_pyarrow
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa


def tables(path: Path) -> tuple[Table, ...]:
    """Return the one Table of a Parquet file. Raises RecordingError for damage, MissingExtraError without pyarrow."""
    need_pyarrow(path, "Parquet")
    import pyarrow.parquet as pq

    @contextmanager
    def batches(names: list[str]) -> Iterator[Iterator[pa.RecordBatch]]:
        with intact_arrow(path, "Parquet"), pq.ParquetFile(path) as file:
            yield file.iter_batches(BATCH_ROWS, columns=names, use_threads=False)

    with intact_arrow(path, "Parquet"), pq.ParquetFile(path) as file:
        schema, count = file.schema_arrow, file.metadata.num_rows
    return arrow_table(path, schema, batches, count)


READER = table_reader("parquet", lambda path, head: 3 * head.startswith(b"PAR1"), tables)
