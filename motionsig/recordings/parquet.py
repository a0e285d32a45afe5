"""Parquet with named columns, as for CSV; a column of its own timestamp type needs no time_unit. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from motionsig.blocks import SourceInfo
from motionsig.errors import MissingExtraError, RecordingError
from motionsig.hints import install_hint
from motionsig.recordings.columns import TIME_UNITS, Columns, Layout
from motionsig.recordings.labels import LabelColumn
from motionsig.recordings.members import content_id, single
from motionsig.recordings.samples import Prepare, Prepared, Reader, Samples, open_table
from motionsig.recordings.times import likely_ns, to_ns

_BATCH = 65_536


def _look(path: Path, _: Columns | None) -> tuple[Sequence[str], str, Prepare]:
    """Raise RecordingError for damage, MissingExtraError without pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        hint = install_hint("pyarrow")
        raise MissingExtraError(f"{path}: reading Parquet needs pyarrow ({error}): {hint}") from error

    @contextmanager
    def intact() -> Iterator[None]:
        try:
            yield
        except RecordingError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise RecordingError(f"{path}: expected intact Parquet, got: {error}") from error

    with intact(), pq.ParquetFile(path) as file:
        names, types, count = file.schema_arrow.names, file.schema_arrow.types, file.metadata.num_rows

    def prepare(layout: Layout, label: LabelColumn | None, rate_hz: float | None, start_ns: int) -> Prepared:
        if label is not None and pa.types.is_nested(types[label.number]):
            if label.chosen:
                kind = types[label.number]
                raise RecordingError(f"{path}: expected text or numbers in column {names[label.number]!r}, got {kind}")
            label = None
        wanted = [*layout.channels, *([] if layout.time is None else [layout.time])]
        for index in wanted:
            stamp = index == layout.time and pa.types.is_timestamp(types[index])
            if not (stamp or pa.types.is_integer(types[index]) or pa.types.is_floating(types[index])):
                raise RecordingError(f"{path}: expected numbers in column {names[index]!r}, got {types[index]}")

        read = [names[index] for index in (*wanted, *(() if label is None else (label.number,)))]

        def rows() -> Iterator[Samples]:
            done, per_unit = 0, TIME_UNITS.get(layout.time_unit, 0)
            with intact(), pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_BATCH, columns=read, use_threads=False):
                    found = [batch.column(name) for name in read]
                    # Casting makes a null a NaN, which is what a lost value is.
                    data = np.stack([it.cast(pa.float64()).to_numpy(zero_copy_only=False) for it in found[:6]], axis=1)
                    times = np.empty(0, np.int64)
                    if layout.time is not None and (rate_hz is None or not done):
                        if pa.types.is_timestamp(types[layout.time]):
                            per_unit, in_ns = 1, pa.timestamp("ns", types[layout.time].tz)
                            found[6] = found[6].cast(in_ns).cast(pa.int64())
                        clock = found[6].to_numpy(zero_copy_only=False)
                        per_unit = per_unit or likely_ns(clock)
                        if not per_unit and rate_hz is None:
                            name = names[layout.time]
                            raise RecordingError(f"{path}: expected a unit for {name!r}; pass time_unit='s' (say)")
                        times = to_ns(clock, per_unit) if per_unit else times
                    done += len(data)
                    labels = None if label is None else found[-1].to_numpy(zero_copy_only=False)
                    yield Samples(times, data, labels)

        info = SourceInfo(path.name, "parquet", content_id((single(path),), layout, rate_hz, start_ns), count)
        return info, start_ns, rows

    return names, str(path), prepare


READER = Reader("parquet", lambda path, head: 3 * head.startswith(b"PAR1"), partial(open_table, _look))
