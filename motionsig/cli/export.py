"""`motionsig export`: stored signatures, or events, as a table for other tools."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.cli.option import option
from motionsig.conventions import NS_PER_MS, NS_PER_S
from motionsig.errors import InputError, MissingExtraError
from motionsig.events import Event
from motionsig.hints import install_hint
from motionsig.options import renamed_options
from motionsig.publishers import fingerprint_bytes, iter_signatures, read_events
from motionsig.publishers.local import Stored
from motionsig.wire import iso_time

Rows = Iterator[Stored]
Columns = dict[str, Any]  # arrays; mypy would take them for other keywords of savez_compressed


def add_to(commands: Any) -> None:
    parser = commands.add_parser("export", help="signatures or events as CSV, npz or Parquet", description=__doc__)
    parser.add_argument("source", metavar="URL", help="store:PATH, file:PATH, parquet:DIR or postgresql://HOST/DB")
    parser.add_argument("out", type=Path, metavar="OUT", help="a file ending in .csv, .npz or .parquet")
    option(parser, "--device NAME", "only what this device published")
    option(parser, "--fingerprint HEX", "only what this encoder made; needed if there are several")
    option(parser, "--recording NAME", "only the log of this name, as replay shows it")
    option(parser, "--stream-id N", "only this stream: one log, as replay shows it", type=int)
    option(parser, "--events", "the events in place of the signatures")
    option(parser, "--head NAME", "only the events of this head")
    parser.add_argument("--epoch", type=int, help=argparse.SUPPRESS)  # its name until version 0.2
    parser.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    writers = _WRITERS.get(options.out.suffix.lower())
    if writers is None:
        raise InputError(f"OUT: expected a name ending in {', '.join(_WRITERS)}, got {str(options.out)!r}")
    for name in ("fingerprint", "recording") if options.events else ("head",):
        if vars(options)[name] is not None:
            raise InputError(f"--{name}: expected it {'without' if options.events else 'with'} --events")
    fingerprint = None if options.fingerprint is None else fingerprint_bytes(options.fingerprint)
    stream = {name: vars(options)[name] for name in ("stream_id", "epoch") if vars(options)[name] is not None}
    stream = renamed_options(stream, {"epoch": "stream_id"}, where="export:")
    chosen = {"device": options.device, **stream}
    write_signatures, write_events = writers
    if options.events:
        write = partial(write_events, _columns(read_events(options.source, head=options.head, **chosen)))
    else:
        rows = iter_signatures(options.source, recording=options.recording, fingerprint=fingerprint, **chosen)
        write = partial(write_signatures, _one_hop(rows))
    # Written beside OUT and renamed once complete: a failed export leaves OUT as it was.
    part = options.out.with_name(options.out.name + ".part")
    try:
        count = write(part)
        part.replace(options.out)
    finally:
        part.unlink(missing_ok=True)
    print(f"{count:,} {'events' if options.events else 'signatures'} to {options.out}")
    if options.events and not count and options.head is None:
        print("a service with heads stores events, or collect; motionsig lookback searches signatures", file=sys.stderr)
    return 0


def _one_hop(rows: Rows) -> Rows:
    """Pass the rows on; raise InputError if their hops differ."""
    first = None
    for part in rows:
        batch = part.signatures
        first = first or batch
        if batch.hop_ns != first.hop_ns:
            all_s, got_s = first.hop_ns / NS_PER_S, batch.hop_ns / NS_PER_S
            every = f"expected signatures every {all_s:g} s, got some every {got_s:g} s"
            raise InputError(f"{every}; choose a log with --stream-id")
        yield part


def _seconds(part: Stored) -> NDArray[np.float64]:
    """Return when each window starts (k,), in seconds since the recording's first sample, to the millisecond.

    NaN where there is no recording.
    """
    if part.recording is None:
        return np.full(len(part.seq), np.nan)
    since_ns = part.signatures.start_ns - part.recording.start_ns
    return np.rint(since_ns / NS_PER_MS) / 1000


def _labels(part: Stored) -> NDArray[np.str_]:
    labels = part.signatures.labels
    return np.zeros(len(part.seq), "U1") if labels is None else labels


def _name(part: Stored) -> str:
    return part.recording.name if part.recording else ""


def _write_csv(rows: Rows, out: Path) -> int:
    """Write one row per signature; return their number."""
    count = 0
    names = ["device", "recording", "stream_id", "seq", "second", "start_ns", "start_utc", "label", "quality"]
    with open(out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        for part in rows:
            batch = part.signatures
            if names:
                table.writerow([*names, "fingerprint", *(f"code_{i}" for i in range(batch.codes.shape[1]))])
                names = []
            name, fingerprint = _name(part), batch.spec.fingerprint.hex()
            seconds = ["" if math.isnan(second) else f"{second:.3f}" for second in _seconds(part).tolist()]
            columns = (it.tolist() for it in (part.seq, batch.start_ns, _labels(part), batch.quality, batch.codes))
            for second, seq, start_ns, label, quality, codes in zip(seconds, *columns, strict=True):
                start = [part.device, name, part.stream_id, seq, second, start_ns, iso_time(start_ns)]
                table.writerow([*start, label, quality, fingerprint, *codes])
            count += len(batch)
    return count


def _write_npz(rows: Rows, out: Path) -> int:
    """Write one array per field, all of the same length, and what reads the codes: scale, zero_point, motion_dim.

    Returns the number of signatures.
    """
    parts = list(rows)
    batches, counts = [part.signatures for part in parts], [len(part.seq) for part in parts]
    spec = batches[0].spec
    groups = spec.quantization.groups
    with open(out, "wb") as file:
        np.savez_compressed(
            file,
            device=np.repeat([part.device for part in parts], counts),
            recording=np.repeat([_name(part) for part in parts], counts),
            stream_id=np.repeat(np.array([part.stream_id for part in parts], np.int64), counts),
            seq=np.concatenate([part.seq for part in parts]),
            second=np.concatenate([_seconds(part) for part in parts]),
            start_ns=np.concatenate([batch.start_ns for batch in batches]),
            label=np.concatenate([_labels(part) for part in parts]),
            quality=np.concatenate([batch.quality for batch in batches]),
            codes=np.concatenate([batch.codes for batch in batches]),
            scale=np.repeat([group.scale for group in groups], [group.size for group in groups]),
            zero_point=np.repeat([group.zero_point for group in groups], [group.size for group in groups]),
            motion_dim=spec.motion_dim,
            length_ns=spec.length_ns,
            fingerprint=spec.fingerprint.hex(),
        )
    return sum(counts)


def _write_parquet(rows: Rows, out: Path) -> int:
    """Write what CSV has; what is empty there is null here. Returns the number of signatures."""
    pa, pq = _pyarrow()
    table, total = None, 0
    try:
        for part in rows:
            batch = part.signatures
            count, dim = batch.codes.shape
            columns = {
                "device": pa.array([part.device] * count),
                "recording": pa.array([_name(part) or None] * count, pa.string()),
                "stream_id": pa.array(np.full(count, part.stream_id, np.int64)),
                "seq": pa.array(part.seq),
                "second": pa.array(_seconds(part), from_pandas=True),
                "start": pa.array(batch.start_ns, pa.timestamp("ns", tz="UTC")),
                "label": pa.array([label or None for label in _labels(part).tolist()], pa.string()),
                "quality": pa.array(batch.quality),
                "fingerprint": pa.array([batch.spec.fingerprint.hex()] * count),
                "codes": pa.FixedSizeListArray.from_arrays(pa.array(batch.codes.ravel()), dim),
            }
            block = pa.table(columns)
            table = table or pq.ParquetWriter(out, block.schema)
            table.write_table(block)
            total += count
    finally:
        if table:
            table.close()
    return total


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(f"Parquet needs pyarrow: {install_hint('pyarrow')}") from error
    return pyarrow, pyarrow.parquet


def _columns(events: Sequence[Event]) -> Columns:
    """Return the columns of a table of events, by name, each of the same length."""
    return {
        "device": np.array([event.device for event in events], np.str_),
        "stream_id": np.array([event.stream_id for event in events], np.int64),
        "head": np.array([event.head for event in events], np.str_),
        "seq": np.array([event.seq for event in events], np.int64),
        "phase": np.array([event.phase for event in events], np.str_),
        "start": np.array([iso_time(event.start_ns) for event in events], np.str_),
        "start_ns": np.array([event.start_ns for event in events], np.int64),
        "end_ns": np.array([event.end_ns for event in events], np.int64),
        "duration_s": np.array([event.duration_s for event in events], np.float64),
        "score": np.array([event.score for event in events], np.float64),
        "fingerprint": np.array([event.fingerprint.hex() for event in events], np.str_),
    }


def _write_events_csv(columns: Columns, out: Path) -> int:
    """Write one row per event; return their number."""
    with open(out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return len(columns["seq"])


def _write_events_npz(columns: Columns, out: Path) -> int:
    """Write one array per column; return the number of events."""
    with open(out, "wb") as file:
        np.savez_compressed(file, **columns)
    return len(columns["seq"])


def _write_events_parquet(columns: Columns, out: Path) -> int:
    """Write what CSV has, with start as a time; return the number of events."""
    pa, pq = _pyarrow()
    start = pa.array(columns["start_ns"], pa.timestamp("ns", tz="UTC"))
    pq.write_table(pa.table({**{name: pa.array(column) for name, column in columns.items()}, "start": start}), out)
    return len(columns["seq"])


_WRITERS = {
    ".csv": (_write_csv, _write_events_csv),
    ".npz": (_write_npz, _write_events_npz),
    ".parquet": (_write_parquet, _write_events_parquet),
}
"""What writes signatures, and what writes events, by the ending of the file's name."""
