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


class _Rows(NamedTuple):
    """Signatures of files as arrays (k,). encoder: its number. codes: (k, m), of which each encoder has its own number.

    label, recording: "" where there is none; None where no row has one.
    """

    seq: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    quality: NDArray[np.uint8]
    encoder: NDArray[np.int32]
    codes: NDArray[np.int8]
    label: NDArray[Any] | None
    recording: NDArray[Any] | None
    recording_start_ns: NDArray[np.int64]

    def take(self, rows: slice | NDArray[np.int64]) -> _Rows:
        return _Rows(*(None if column is None else column[rows] for column in self))  # type: ignore[arg-type]

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self if column is not None)


def _rows_of_table(table: Any) -> _Rows:
    columns = {name: _one_chunk(table[name]) for name in _CONTENT}
    arrays = {name: columns[name].to_numpy() for name in ("seq", "start_ns", "quality", "encoder")}
    return _Rows(
        **arrays,
        codes=_matrix(columns["codes"]),
        label=_texts(columns["label"]),
        recording=_texts(columns["recording"]),
        recording_start_ns=columns["recording_start_ns"].fill_null(0).to_numpy(),
    )


def _one_chunk(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _matrix(lists: Any) -> NDArray[np.int8]:
    """Return lists of int8 (k,) as (k, m), filled up with 0 to the longest of them."""
    offsets, values = lists.offsets.to_numpy(), lists.values.to_numpy()
    lengths = np.diff(offsets)
    if (lengths == lengths[0]).all():
        matrix: NDArray[np.int8] = values[offsets[0] : offsets[-1]].reshape(-1, lengths[0])
        return matrix
    matrix = np.zeros((len(lengths), lengths.max()), np.int8)
    for length in np.unique(lengths).tolist():
        of = lengths == length
        matrix[of, :length] = values[offsets[:-1][of, None] + np.arange(length)]
    return matrix


def _texts(column: Any) -> NDArray[Any] | None:
    """Return a column of texts (n,), "" where there is none; None where there is none at all."""
    if column.null_count == len(column):
        return None
    return np.array([text or "" for text in column.to_pylist()], object)


def _joined(parts: Sequence[_Rows]) -> _Rows:
    """Return the rows of all parts in the order of their numbers."""
    if len(parts) == 1:
        return parts[0]
    width = max(part.codes.shape[1] for part in parts)
    parts = [part._replace(codes=np.pad(part.codes, ((0, 0), (0, width - part.codes.shape[1])))) for part in parts]
    counts = [len(part.seq) for part in parts]

    def together(name: str) -> Any:
        columns = [getattr(part, name) for part in parts]
        if all(column is None for column in columns):
            return None
        none = (np.full(count, "", object) for count in counts)
        return np.concatenate([fill if it is None else it for it, fill in zip(columns, none, strict=True)])

    rows = _Rows(*map(together, _Rows._fields))
    return rows.take(np.argsort(rows.seq))


class Groups:
    """Row groups of files, read once as long as there is space."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[Path, int], _Rows] = OrderedDict()
        self._bytes = 0

    def rows(self, piece: Piece) -> _Rows:
        """Return what a piece holds."""
        key = piece.path, piece.group
        if key in self._rows:
            self._rows.move_to_end(key)
        else:
            _, pq = pyarrow()
            with pq.ParquetFile(piece.path) as file:
                table = file.read_row_group(piece.group, columns=list(_CONTENT), use_threads=False)
            self._rows[key] = _rows_of_table(table)
            self._bytes += self._rows[key].nbytes
            while self._bytes > _MOST_BYTES and len(self._rows) > 1:
                _, dropped = self._rows.popitem(last=False)
                self._bytes -= dropped.nbytes
        return self._rows[key].take(slice(piece.first, piece.end))


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
    for chain in _chains(found):
        # Late ones lie between others of another file.
        yield from _stored(stream, _joined([groups.rows(piece) for piece in chain]), encoders, wanted, rows)


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


def _stored(stream: Stream, found: _Rows, encoders: Sequence[Made], wanted: Wanted, rows: int) -> Iterator[Stored]:
    chosen = wanted.within(found.start_ns)
    if wanted.fingerprint is not None:
        of = [number for number, made in enumerate(encoders) if made.spec.fingerprint == wanted.fingerprint]
        chosen &= np.isin(found.encoder, of)
    if wanted.recording is not None:
        chosen &= False if found.recording is None else found.recording == wanted.recording
    if not chosen.all():
        found = found.take(np.flatnonzero(chosen))
    changes = np.diff(found.encoder) != 0
    if (names := found.recording) is not None:
        changes |= (names[1:] != names[:-1]) | (np.diff(found.recording_start_ns) != 0)
    for first, last in itertools.pairwise([0, *(np.flatnonzero(changes) + 1).tolist(), len(found.seq)]):
        for at in range(first, last, rows):
            yield _part(stream, found.take(slice(at, min(at + rows, last))), encoders)


def _part(stream: Stream, rows: _Rows, encoders: Sequence[Made]) -> Stored:
    """Return rows that are of one encoder and of one recording."""
    spec, hop_ns = encoders[rows.encoder[0]]
    name = "" if rows.recording is None else rows.recording[0]
    labels = rows.label.astype(np.str_) if rows.label is not None and any(rows.label) else None
    codes = rows.codes[:, : spec.quantization.dim]
    return Stored(
        *stream,
        rows.seq,
        SignatureBatch(rows.start_ns, codes, rows.quality, hop_ns, spec, labels),
        wire.Recording(name, int(rows.recording_start_ns[0])) if name else None,
    )
