"""Finding signatures in files by stream, and reading them in order with little memory.

A file is sorted by (device, stream_id, seq), and each of its row groups has the least and the greatest of each column.
So a stream is a few slices of row groups, its pieces, and only the groups that hold what is wanted are looked into.
Row groups stay in memory while there is space for them: streams lie one after the other in all files, so the next
stream mostly needs the same groups.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch
from motionsig.publishers.local import Stored, Wanted
from motionsig.publishers.parquet.encoders import Made
from motionsig.publishers.parquet.files import pyarrow

KEYS = ("device", "stream_id", "seq")
_CONTENT = ("seq", "start_ns", "label", "quality", "encoder", "codes", "recording", "recording_start_ns")
Stream = tuple[str, int]
"""Device and stream id."""

_MOST_BYTES = 32 << 20
"""Of row groups in memory, unpacked."""


class Piece(NamedTuple):
    """Rows from `first` on and before `end` of a row group: one stream's, with numbers from seq_first to seq_last."""

    path: Path
    group: int
    first: int
    end: int
    seq_first: int
    seq_last: int


class Groups:
    """Row groups of files, read once as long as there is space."""

    def __init__(self) -> None:
        self._tables: OrderedDict[tuple[Path, int], Any] = OrderedDict()
        self._bytes = 0

    def table(self, path: Path, group: int) -> Any:
        """Return all that is content in a row group."""
        key = path, group
        if key in self._tables:
            self._tables.move_to_end(key)
            return self._tables[key]
        _, pq = pyarrow()
        with pq.ParquetFile(path) as file:
            table = file.read_row_group(group, columns=list(_CONTENT), use_threads=False).combine_chunks()
        self._tables[key] = table
        self._bytes += table.nbytes
        while self._bytes > _MOST_BYTES and len(self._tables) > 1:
            _, dropped = self._tables.popitem(last=False)
            self._bytes -= dropped.nbytes
        return table


def pieces(files: Iterable[Path], wanted: Wanted) -> dict[Stream, list[Piece]]:
    """Return by stream, in order, the pieces that may hold what is wanted."""
    _, pq = pyarrow()
    found = defaultdict(list)
    for path in files:
        with pq.ParquetFile(path) as file:
            metadata = file.metadata
            number = {metadata.schema.column(at).path: at for at in range(metadata.num_columns)}
            for group in range(metadata.num_row_groups):
                columns = metadata.row_group(group)
                bounds = {name: _bounds(columns.column(number[name])) for name in (*KEYS, "start_ns", "fingerprint")}
                if not _may_hold(bounds, wanted):
                    continue
                if bounds["device"][0] == bounds["device"][1] and bounds["stream_id"][0] == bounds["stream_id"][1]:
                    stream = bounds["device"][0], bounds["stream_id"][0]
                    found[stream].append(Piece(path, group, 0, columns.num_rows, *bounds["seq"]))
                    continue
                table = file.read_row_group(group, columns=list(KEYS), use_threads=False)
                seq = table["seq"].to_numpy()
                for stream, first, end in streams_in(table):
                    if wanted.device in (None, stream[0]) and wanted.stream_id in (None, stream[1]):
                        numbers = int(seq[first]), int(seq[end - 1])
                        found[stream].append(Piece(path, group, first, end, *numbers))
    return {stream: sorted(found[stream], key=lambda piece: piece.seq_first) for stream in sorted(found)}


def _bounds(column: Any) -> tuple[Any, Any]:
    statistics = column.statistics
    return statistics.min, statistics.max


def _may_hold(bounds: dict[str, tuple[Any, Any]], wanted: Wanted) -> bool:
    """Return whether a row group with these least and greatest values may hold what is wanted."""
    fingerprint = None if wanted.fingerprint is None else wanted.fingerprint.hex()
    for name, value in (("device", wanted.device), ("stream_id", wanted.stream_id), ("fingerprint", fingerprint)):
        least, most = bounds[name]
        if value is not None and not least <= value <= most:
            return False
    least, most = bounds["start_ns"]
    return (wanted.since_ns is None or most >= wanted.since_ns) and (wanted.until_ns is None or least < wanted.until_ns)


def streams_in(table: Any) -> Iterator[tuple[Stream, int, int]]:
    """Yield stream, first row and end of each stream in a table that is sorted by its keys."""
    device = table["device"].combine_chunks().dictionary_encode()
    if hasattr(device, "combine_chunks"):
        device = device.combine_chunks()
    codes, stream_ids = device.indices.to_numpy(zero_copy_only=False), table["stream_id"].to_numpy()
    cuts = np.flatnonzero((np.diff(codes) != 0) | (np.diff(stream_ids) != 0)) + 1
    names = device.dictionary.to_pylist()
    for first, end in itertools.pairwise([0, *cuts.tolist(), len(codes)]):
        yield (names[codes[first]], int(stream_ids[first])), first, end


def rows_of(
    groups: Groups, stream: Stream, found: Sequence[Piece], encoders: Sequence[Made], wanted: Wanted, rows: int
) -> Iterator[Stored]:
    """Yield what is wanted of a stream's pieces in the order of its numbers, with at most `rows` at a time."""
    pa, _ = pyarrow()
    for chain in _chains(found):
        tables = [groups.table(it.path, it.group).slice(it.first, it.end - it.first) for it in chain]
        table = tables[0]
        if len(tables) > 1:
            # Late ones lie between others of another file.
            table = pa.concat_tables(tables).sort_by("seq")
        yield from _stored(stream, table.combine_chunks(), encoders, wanted, rows)


def _chains(found: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Yield pieces whose numbers lie among each other together."""
    chain: list[Piece] = []
    end = -1
    for piece in found:
        if chain and piece.seq_first > end:
            yield chain
            chain = []
        chain.append(piece)
        end = max(end, piece.seq_last)
    if chain:
        yield chain


def _stored(stream: Stream, table: Any, encoders: Sequence[Made], wanted: Wanted, rows: int) -> Iterator[Stored]:
    start_ns = table["start_ns"].to_numpy()
    seq, quality, encoder = (table[name].to_numpy() for name in ("seq", "quality", "encoder"))
    chosen = wanted.within(start_ns)
    if wanted.fingerprint is not None:
        of = [number for number, made in enumerate(encoders) if made.spec.fingerprint == wanted.fingerprint]
        chosen &= np.isin(encoder, of)
    names = _texts(table["recording"])
    if wanted.recording is not None:
        chosen &= np.zeros(len(seq), bool) if names is None else names == wanted.recording
    labels, since = _texts(table["label"]), table["recording_start_ns"].to_numpy(zero_copy_only=False)
    lists = table["codes"].combine_chunks() if table["codes"].num_chunks != 1 else table["codes"].chunk(0)
    offsets = lists.offsets.to_numpy()
    codes = lists.values.to_numpy(zero_copy_only=False)
    changes = np.diff(encoder) != 0
    if names is not None:
        changes |= (names[1:] != names[:-1]) | (np.diff(since) != 0)
    cuts = [0, *(np.flatnonzero(changes) + 1).tolist(), len(seq)]
    for first, last in itertools.pairwise(cuts):
        made = encoders[encoder[first]]
        recording = None if names is None or not names[first] else wire.Recording(names[first], int(since[first]))
        matrix = codes[offsets[first] : offsets[last]].reshape(last - first, made.spec.quantization.dim)
        taken = np.flatnonzero(chosen[first:last])
        for at in range(0, len(taken), rows):
            of_part = taken[at : at + rows]
            here = first + of_part
            label = None if labels is None or not any(labels[here]) else labels[here].astype(np.str_)
            batch = SignatureBatch(start_ns[here], matrix[of_part], quality[here], made.hop_ns, made.spec, label)
            yield Stored(*stream, seq[here], batch, recording)


def _texts(column: Any) -> NDArray[Any] | None:
    """Return a column of texts (n,), "" where there is none; None where there is none at all."""
    if column.null_count == len(column):
        return None
    return np.array([text or "" for text in column.to_pylist()], object)
