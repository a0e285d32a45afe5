"""`motionsig export`: stored signatures as a table for other tools."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch
from motionsig.cli.option import option
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, MissingExtraError
from motionsig.hints import install_hint
from motionsig.options import renamed_options
from motionsig.publishers import fingerprint_bytes, iter_signatures
from motionsig.wire import iso_time

Rows = Iterator[tuple[str, int, NDArray[np.int64], SignatureBatch]]


def add_to(commands: Any) -> None:
    parser = commands.add_parser("export", help="signatures as CSV, npz or Parquet", description=__doc__)
    parser.add_argument("source", metavar="URL", help="store:PATH or file:PATH")
    parser.add_argument("out", type=Path, metavar="OUT", help="a file ending in .csv, .npz or .parquet")
    option(parser, "--device NAME", "only what this device published")
    option(parser, "--fingerprint HEX", "only what this encoder made; needed if there are several")
    option(parser, "--stream-id N", "only this stream: one log, as replay shows it", type=int)
    parser.add_argument("--epoch", type=int, help=argparse.SUPPRESS)  # its name until version 0.2
    parser.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    writer = _WRITERS.get(options.out.suffix.lower())
    if writer is None:
        raise InputError(f"OUT: expected a name ending in {', '.join(_WRITERS)}, got {str(options.out)!r}")
    fingerprint = None if options.fingerprint is None else fingerprint_bytes(options.fingerprint)
    stream = {name: vars(options)[name] for name in ("stream_id", "epoch") if vars(options)[name] is not None}
    stream = renamed_options(stream, {"epoch": "stream_id"}, where="export:")
    counts: list[int] = []
    rows = _one_hop(counts, iter_signatures(options.source, device=options.device, fingerprint=fingerprint, **stream))
    # Written beside OUT and renamed once complete: a failed export leaves OUT as it was.
    part = options.out.with_name(options.out.name + ".part")
    try:
        writer(rows, part)
        part.replace(options.out)
    finally:
        part.unlink(missing_ok=True)
    print(f"{sum(counts):,} signatures to {options.out}")
    return 0


def _one_hop(counts: list[int], rows: Rows) -> Rows:
    """Pass the rows on and count them; raise InputError if their hops differ or there are no rows."""
    first = None
    for part in rows:
        batch = part[3]
        first = first or batch
        if batch.hop_ns != first.hop_ns:
            all_s, got_s = first.hop_ns / NS_PER_S, batch.hop_ns / NS_PER_S
            every = f"expected signatures every {all_s:g} s, got some every {got_s:g} s"
            raise InputError(f"{every}; choose a log with --stream-id")
        counts.append(len(batch.codes))
        yield part
    if first is None:
        raise InputError("expected signatures to export, got none of that stream")


def _write_csv(rows: Rows, out: Path) -> None:
    names = ["device", "stream_id", "seq", "start_ns", "start_utc", "quality", "fingerprint"]
    with open(out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        for device, stream_id, seq, batch in rows:
            if names:
                table.writerow(names + [f"code_{i}" for i in range(batch.codes.shape[1])])
                names = []
            fingerprint = batch.spec.fingerprint.hex()
            columns = (column.tolist() for column in (seq, batch.start_ns, batch.quality, batch.codes))
            for number, start_ns, quality, values in zip(*columns, strict=True):
                table.writerow([device, stream_id, number, start_ns, iso_time(start_ns), quality, fingerprint, *values])


def _write_npz(rows: Rows, out: Path) -> None:
    """One array per field, all of the same length; and what reads the codes: scale, zero_point, motion_dim."""
    devices, stream_ids, seqs, batches = zip(*rows, strict=True)
    spec, counts = batches[0].spec, [len(seq) for seq in seqs]
    groups = spec.quantization.groups
    with open(out, "wb") as file:
        np.savez_compressed(
            file,
            device=np.repeat(devices, counts),
            stream_id=np.repeat(np.array(stream_ids, np.int64), counts),
            seq=np.concatenate(seqs),
            start_ns=np.concatenate([batch.start_ns for batch in batches]),
            quality=np.concatenate([batch.quality for batch in batches]),
            codes=np.concatenate([batch.codes for batch in batches]),
            scale=np.repeat([group.scale for group in groups], [group.size for group in groups]),
            zero_point=np.repeat([group.zero_point for group in groups], [group.size for group in groups]),
            motion_dim=spec.motion_dim,
            length_ns=spec.length_ns,
            fingerprint=spec.fingerprint.hex(),
        )


def _write_parquet(rows: Rows, out: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(f"Parquet needs pyarrow: {install_hint('pyarrow')}") from error
    table = None
    try:
        for device, stream_id, seq, batch in rows:
            count, dim = batch.codes.shape
            columns = {
                "device": pa.array([device] * count),
                "stream_id": pa.array(np.full(count, stream_id, np.int64)),
                "seq": pa.array(seq),
                "start": pa.array(batch.start_ns, pa.timestamp("ns", tz="UTC")),
                "quality": pa.array(batch.quality),
                "fingerprint": pa.array([batch.spec.fingerprint.hex()] * count),
                "codes": pa.FixedSizeListArray.from_arrays(pa.array(batch.codes.ravel()), dim),
            }
            block = pa.table(columns)
            table = table or pq.ParquetWriter(out, block.schema)
            table.write_table(block)
    finally:
        if table:
            table.close()


_WRITERS = {".csv": _write_csv, ".npz": _write_npz, ".parquet": _write_parquet}
