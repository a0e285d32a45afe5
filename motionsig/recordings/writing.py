"""Samples of any Source into a file of another format: SI units, exact times, gaps and labels.

All formats hold the same table: a time in ns since 1970 (UTC), the six channels as float32, `gap` (samples were lost
just before this one) and `label`. Read back, each gives the same blocks' samples, bit for bit.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, Source
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError, MissingExtraError, RecordingError
from motionsig.hints import install_hint
from motionsig.recordings.formats.mcap_writer import write_mcap
from motionsig.recordings.native import Recorder

CHANNEL_NAMES = tuple(f"{name} [{'m/s^2' if name.startswith('acc') else 'rad/s'}]" for name in CHANNELS)
"""The columns of the six channels; their units stand in their names, so that nobody has to guess them."""

_BRIDGED_NS = 50_000_000
_ROWS = 1 << 16  # in a row group or less of Parquet, so that memory stays small


class Written(NamedTuple):
    """What was written: samples, gaps among them (as `gaps_in` tells), seconds from first to last, bytes."""

    samples: int
    gaps: int
    seconds: float
    size: int


def write_recording(
    source: Source, out: str | os.PathLike[str], *, update: Callable[[SampleBlock], object] = lambda block: None
) -> Written:
    """Write all samples of a source to `out`, whose ending (.msig, .csv, .parquet or .mcap) says the format.

    update: is told of each block. A file at `out` is replaced once all is written; after an error it is as it was.
    Raises InputError for another ending, RecordingError where nothing can be written or the source breaks off, and
    MissingExtraError without the library of the format.
    """
    out = Path(out)
    write = WRITERS.get(out.suffix.lower())
    if write is None:
        raise InputError(f"OUT: expected a name ending in {', '.join(WRITERS)}, got {str(out)!r}")
    counted = _Counted(source, update)
    part = out.with_name(f".{out.name}.part")
    try:
        part.unlink(missing_ok=True)
        write(counted, source, part)
        if not counted.samples:
            raise RecordingError(f"{source.info.name}: expected samples, got none; {out} is not written")
        size = part.stat().st_size
        part.replace(out)
    except OSError as error:
        raise RecordingError(f"{out}: expected to write it, got: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return Written(counted.samples, counted.gaps, counted.seconds, size)


def gaps_in(block: SampleBlock, last_ns: int | None, rate_hz: float) -> NDArray[np.bool_]:
    """Tell for each sample of a block that is not empty whether samples were lost before it; last_ns: the time before.

    They were where the log says so, and where a step takes longer than is bridged (50 ms) and than two samples.
    """
    first_ns = int(block.time_ns[0])
    steps = np.diff(block.time_ns, prepend=first_ns if last_ns is None else last_ns)
    lost: NDArray[np.bool_] = steps > max(_BRIDGED_NS, 2.5 * NS_PER_S / rate_hz)
    lost[0] |= block.gap and last_ns is not None
    return lost


class _Counted:
    """The blocks of a source, with samples in them, counted as they pass."""

    def __init__(self, source: Source, update: Callable[[SampleBlock], object]) -> None:
        self._source, self._update = source, update
        self._first_ns = self._last_ns = 0
        self.samples = self.gaps = 0

    @property
    def seconds(self) -> float:
        return (self._last_ns - self._first_ns) / 1e9

    def __iter__(self) -> Iterator[SampleBlock]:
        for block in self._source:
            if len(block):
                self.gaps += int(gaps_in(block, self._last_ns if self.samples else None, self._source.rate_hz).sum())
                self._first_ns = self._first_ns if self.samples else int(block.time_ns[0])
                self._last_ns = int(block.time_ns[-1])
                self.samples += len(block)
                yield block
            self._update(block)


def _write_native(blocks: Iterable[SampleBlock], source: Source, out: Path) -> None:
    info = source.info
    with Recorder(
        out, rate_hz=source.rate_hz, stream_id=info.stream_id, scale=info.scale, device=info.device
    ) as recorder:
        for block in blocks:
            recorder.write(block)


def _write_csv(blocks: Iterable[SampleBlock], source: Source, out: Path) -> None:
    with open(out, "x", encoding="utf-8", newline="") as file:
        file.write(",".join(("time_ns", *CHANNEL_NAMES, "gap", "label")) + "\n")
        for block in blocks:
            _write_rows(block, file)
        _sync(file)


def _write_rows(block: SampleBlock, file: IO[str]) -> None:
    # numpy writes a float32 with the fewest digits that give it back, which neither repr nor %g does.
    cells = block.data.astype("U16").tolist()
    label = _quoted(block.label)
    gaps = [f",{int(block.gap)},{label}\n", *[f",0,{label}\n"] * (len(block) - 1)]
    rows = zip(block.time_ns.tolist(), cells, gaps, strict=True)
    file.write("".join(f"{time_ns},{','.join(row)}{gap}" for time_ns, row, gap in rows))


def _quoted(text: str) -> str:
    if not text:
        return ""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([text])
    return line.getvalue()


def _write_parquet(blocks: Iterable[SampleBlock], source: Source, out: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(f"Parquet needs pyarrow: {install_hint('pyarrow')}") from error
    schema = pa.schema(
        [
            ("time", pa.timestamp("ns", tz="UTC")),
            *((name, pa.float32()) for name in CHANNEL_NAMES),
            ("gap", pa.bool_()),
            ("label", pa.string()),
        ]
    )
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for columns in _batches(blocks):
            label = pa.array(columns["label"], pa.string())
            data = columns["data"]
            arrays = [
                columns["time_ns"],
                *(np.ascontiguousarray(data[:, i]) for i in range(data.shape[1])),
                columns["gap"],
            ]
            typed = [pa.array(array).cast(kind) for array, kind in zip(arrays, schema.types, strict=False)]
            writer.write_table(pa.Table.from_arrays([*typed, label], schema=schema))
    with open(out, "rb") as file:
        _sync(file)


def _batches(blocks: Iterable[SampleBlock]) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Yield the columns of blocks joined to about 65,536 rows: time_ns, data (n, 6), gap, label (None: has none)."""
    waiting: list[SampleBlock] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= _ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[SampleBlock]) -> Mapping[str, NDArray[Any]]:
    counts = [len(block) for block in blocks]
    gap = np.zeros(sum(counts), np.bool_)
    gap[np.cumsum([0, *counts[:-1]])] = [block.gap for block in blocks]
    return {
        "time_ns": np.concatenate([block.time_ns for block in blocks]),
        "data": np.concatenate([block.data for block in blocks]),
        "gap": gap,
        "label": np.repeat(np.array([block.label or None for block in blocks], object), counts),
    }


def _write_mcap(blocks: Iterable[SampleBlock], source: Source, out: Path) -> None:
    write_mcap(out, blocks, source.info)
    with open(out, "rb") as file:
        _sync(file)


def _sync(file: IO[Any]) -> None:
    """Have a file on the disk before it gets its name: a power cut leaves the old one or the new one, whole."""
    file.flush()
    os.fsync(file.fileno())


WRITERS: Mapping[str, Callable[[Iterable[SampleBlock], Source, Path], None]] = {
    ".msig": _write_native,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".mcap": _write_mcap,
}
"""What writes a file, by the ending of its name."""
