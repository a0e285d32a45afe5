"""Parquet with named columns, as for CSV. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from motionsig.blocks import Source, SourceInfo
from motionsig.errors import MissingExtraError, RecordingError
from motionsig.hints import install_hint
from motionsig.recordings import columns as spelling
from motionsig.recordings.members import content_id, single
from motionsig.recordings.reader import Reader
from motionsig.recordings.samples import Samples, recorded
from motionsig.recordings.times import check_rate, likely_ns, numbered, to_ns

_BATCH = 65_536


def open_parquet(
    path: Path,
    *,
    columns: Mapping[str, str | int | None] | None = None,
    acc_unit: str | None = None,
    gyr_unit: str | None = None,
    time_unit: str | None = None,
    rate_hz: float | None = None,
    start_ns: int = 0,
    acc_sign: int = 1,
    check_units: bool = True,
) -> Source:
    """Return the table at `path` as a Source; options as for CSV.

    A time column of Parquet's own timestamp type needs no unit. Raises RecordingError, and MissingExtraError without
    pyarrow.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: reading Parquet needs pyarrow ({error}): {install_hint('pyarrow')}"
        ) from error
    check_rate(rate_hz)

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
    where = str(path)
    layout = spelling.layout(
        names, where, columns=columns, acc_unit=acc_unit, gyr_unit=gyr_unit, time_unit=time_unit, acc_sign=acc_sign
    )
    if layout.time is None and rate_hz is None:
        raise RecordingError(f"{where}: expected a time column, got none; pass the rate instead, as in rate_hz=50")
    wanted = [*layout.channels, *([] if layout.time is None else [layout.time])]
    for index in wanted:
        stamp = index == layout.time and pa.types.is_timestamp(types[index])
        if not (stamp or pa.types.is_integer(types[index]) or pa.types.is_floating(types[index])):
            raise RecordingError(f"{where}: expected numbers in column {names[index]!r}, got {types[index]}")
    factors = np.array(layout.factors)

    def rows() -> Iterator[Samples]:
        done, first_ns, per_unit = 0, start_ns, spelling.TIME_UNITS.get(layout.time_unit, 0)
        with intact(), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH, columns=[names[index] for index in wanted], use_threads=False):
                found = [batch.column(names[index]) for index in wanted]
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
                        raise RecordingError(
                            f"{where}: expected a unit for {names[layout.time]!r}; pass time_unit='s' (say)"
                        )
                    times = to_ns(clock, per_unit) if per_unit else times
                if rate_hz is not None:
                    first_ns = int(times[0]) if len(times) else first_ns
                    times = numbered(done, len(data), rate_hz, first_ns)
                done += len(data)
                if len(data):
                    yield Samples(times, data * factors)

    info = SourceInfo(path.name, "parquet", content_id((single(path),), layout, rate_hz, start_ns), count)
    return recorded(rows, where, info, rate_hz=rate_hz, check_units=check_units)


READER = Reader("parquet", lambda path, head: 3 * head.startswith(b"PAR1"), open_parquet)
