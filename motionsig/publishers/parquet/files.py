"""One file of signatures or of events: its columns, written and rewritten as a whole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import MissingExtraError, SinkError
from motionsig.events import Event
from motionsig.files import sync_folder
from motionsig.hints import install_hint
from motionsig.publishers.local import Stored

GROUP_ROWS = 8192
"""Rows of one row group, the least that is read at a time: half a MiB of codes."""

_UTC_US = 1000
_EVEN = {"seq", "start", "start_ns", "end_ns"}


def pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet; raise MissingExtraError without them."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(f"parquet: needs pyarrow: {install_hint('pyarrow')}") from error
    return pyarrow, pyarrow.parquet


@contextmanager
def reporting(root: Path, action: str) -> Iterator[None]:
    """Turn what the disk, pyarrow and SQLite raise inside into a SinkError that names the dataset and the action."""
    import sqlite3

    pa, _ = pyarrow()
    try:
        yield
    except SinkError:
        raise
    except (OSError, pa.ArrowException, sqlite3.Error) as error:
        raise SinkError(f"parquet:{root}: {action}: {error}") from error


def signature_schema() -> Any:
    """Return the columns of signatures.

    The first sample's time is there twice: start for people, to the microsecond, as Spark reads no nanoseconds, and
    start_ns, which is exact. encoder: the row of the table of encoders. codes: one int8 each; a list of varying length,
    as encoders with different numbers of codes may share a file.
    """
    pa, _ = pyarrow()
    utc = pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            ("device", pa.string()),
            ("recording", pa.string()),
            ("recording_start_ns", pa.int64()),
            ("stream_id", pa.int64()),
            ("seq", pa.int64()),
            ("start", utc),
            ("start_ns", pa.int64()),
            ("label", pa.string()),
            ("quality", pa.uint8()),
            ("fingerprint", pa.string()),
            ("encoder", pa.int32()),
            ("codes", pa.list_(pa.int8())),
        ]
    )


def event_schema() -> Any:
    """Return the columns of events."""
    pa, _ = pyarrow()
    return pa.schema(
        [
            ("device", pa.string()),
            ("stream_id", pa.int64()),
            ("head", pa.string()),
            ("seq", pa.int64()),
            ("phase", pa.string()),
            ("start", pa.timestamp("us", tz="UTC")),
            ("start_ns", pa.int64()),
            ("end_ns", pa.int64()),
            ("duration_s", pa.float64()),
            ("score", pa.float64()),
            ("fingerprint", pa.string()),
        ]
    )


def _repeated(texts: Sequence[str | None], counts: NDArray[np.int64]) -> Any:
    pa, _ = pyarrow()
    return pa.array(texts, pa.string()).take(pa.array(np.repeat(np.arange(len(texts)), counts)))


def signature_table(parts: Sequence[Stored], encoders: Sequence[int]) -> Any:
    """Return the rows of some parts, each made by the encoder of that number, sorted by (device, stream_id, seq)."""
    pa, _ = pyarrow()
    order = sorted(range(len(parts)), key=lambda at: (*parts[at][:2], int(parts[at].seq[0])))
    parts, encoders = [parts[at] for at in order], [encoders[at] for at in order]
    counts = np.array([len(part.seq) for part in parts])
    batches = [part.signatures for part in parts]
    start_ns = np.concatenate([batch.start_ns for batch in batches])
    dims = np.repeat([batch.codes.shape[1] for batch in batches], counts)
    offsets = np.concatenate([[0], np.cumsum(dims)]).astype(np.int32)
    codes = pa.array(np.concatenate([batch.codes.ravel() for batch in batches]))
    if any(batch.labels is not None for batch in batches):
        given = [[""] * len(batch) if batch.labels is None else batch.labels.tolist() for batch in batches]
        labels = pa.array([label or None for texts in given for label in texts], pa.string())
    else:
        labels = pa.nulls(len(start_ns), pa.string())
    recordings = [part.recording for part in parts]
    of_parts = np.repeat(np.arange(len(parts)), counts)
    table = pa.table(
        [
            _repeated([part.device for part in parts], counts),
            _repeated([None if it is None else it.name for it in recordings], counts),
            pa.array([None if it is None else it.start_ns for it in recordings], pa.int64()).take(pa.array(of_parts)),
            pa.array(np.repeat(np.array([part.stream_id for part in parts], np.int64), counts)),
            pa.array(np.concatenate([part.seq for part in parts])),
            pa.array(start_ns // _UTC_US, pa.timestamp("us", tz="UTC")),
            pa.array(start_ns),
            labels,
            pa.array(np.concatenate([batch.quality for batch in batches])),
            _repeated([batch.spec.fingerprint.hex() for batch in batches], counts),
            pa.array(np.repeat(np.array(encoders, np.int32), counts)),
            pa.ListArray.from_arrays(pa.array(offsets), codes),
        ],
        schema=signature_schema(),
    )
    # Two encoders may take turns within a stream.
    seq = np.concatenate([part.seq for part in parts])
    streams = np.cumsum([0] + [a[:2] != b[:2] for a, b in itertools.pairwise(parts)])[of_parts]
    by_key = np.lexsort((seq, streams))
    return table if (by_key == np.arange(len(seq))).all() else table.take(pa.array(by_key))


def event_table(events: Sequence[Event]) -> Any:
    """Return events as rows, in the order of their start."""
    pa, _ = pyarrow()
    rows = [
        {
            **event.key._asdict(),
            "start": event.start_ns // _UTC_US,
            "start_ns": event.start_ns,
            "end_ns": event.end_ns,
            "duration_s": event.duration_s,
            "score": float(event.score),
            "fingerprint": event.fingerprint.hex(),
        }
        for event in sorted(events, key=lambda event: (event.start_ns, event.key))
    ]
    return pa.Table.from_pylist(rows, event_schema())


def events_of(table: Any) -> list[Event]:
    """Return the events of a table."""
    return [
        Event(
            row["device"],
            row["stream_id"],
            row["seq"],
            row["head"],
            bytes.fromhex(row["fingerprint"]),
            row["phase"],
            row["start_ns"],
            row["end_ns"],
            row["score"],
        )
        for row in table.to_pylist()
    ]


@contextmanager
def replacing(path: Path, own: Path) -> Iterator[Any]:
    """Give a binary file that gets the name `path`, whole and on the disk, if the block ends well.

    own: the folder of files that are not finished. Folders and files get the rights that the dataset's folder has.
    """
    mode = own.parent.stat().st_mode & 0o777
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=mode, exist_ok=True)
    new = own / f"new-{path.parent.name}-{path.name}"
    new.unlink(missing_ok=True)
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode & 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent):
        sync_folder(folder)


def write_tables(file: Any, tables: Iterable[Any]) -> int:
    """Write tables of equal schemas as one Parquet file, in groups of GROUP_ROWS; return the number of rows."""
    pa, pq = pyarrow()
    writer, waiting, rows = None, None, 0
    for table in tables:
        rows += table.num_rows
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        if writer is None:
            names = set(table.schema.names)
            # 2.6 is the oldest version that keeps more than microseconds, and what pyarrow 13 and later write.
            # Numbers and times rise evenly, so their differences take almost no space.
            writer = pq.ParquetWriter(
                file,
                table.schema,
                version="2.6",
                compression="zstd",
                use_dictionary=sorted(names - _EVEN - {"codes"}) + ["codes.list.element"],
                column_encoding=dict.fromkeys(sorted(names & _EVEN), "DELTA_BINARY_PACKED"),
                write_statistics=sorted(names - {"codes"}),
                use_compliant_nested_type=True,
            )
        whole = waiting.num_rows // GROUP_ROWS * GROUP_ROWS
        if whole:
            writer.write_table(waiting.slice(0, whole), row_group_size=GROUP_ROWS)
            waiting = waiting.slice(whole)
    if writer is not None:
        if waiting is not None and waiting.num_rows:
            writer.write_table(waiting, row_group_size=GROUP_ROWS)
        writer.close()
    return rows


def write_table(path: Path, own: Path, table: Any) -> None:
    """Put a file with these rows in its place, whole or not at all."""
    with replacing(path, own) as file:
        write_tables(file, [table])


def rewrite(path: Path, own: Path, keep: Callable[[Any], NDArray[np.bool_]], columns: Sequence[str]) -> None:
    """Keep the rows that `keep` says, which sees these columns of each row group; without rows the file is deleted."""
    pa, pq = pyarrow()
    with pq.ParquetFile(path) as old:
        groups = range(old.num_row_groups)
        kept = [keep(old.read_row_group(group, columns=list(columns), use_threads=False)) for group in groups]
        if all(mask.all() for mask in kept):
            return
        if not any(mask.any() for mask in kept):
            path.unlink()
            sync_folder(path.parent)
            return
        tables = (old.read_row_group(group, use_threads=False).filter(pa.array(kept[group])) for group in groups)
        with replacing(path, own) as file:
            write_tables(file, tables)
