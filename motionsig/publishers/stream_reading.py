"""The signatures of one stream of a store as batches; each row is compared with its checksum, each block with its span.

A damaged row, and one that is missing, is an error that names it, and never a wrong vector. Of a store of version 1
there is nothing to compare with.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Set
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.publishers.local import Stored, Wanted
from motionsig.publishers.schema import BLOCK_BITS, damaged, labels_between
from motionsig.publishers.snapshot import Snapshot, check_row
from motionsig.publishers.spans import Span, are_whole, block_of, numbers_of, row_checksums, span_checksum

_MOST_BLOCKS = 1024  # in a run: memory does not grow with a stream

Stream = tuple[str, int]
"""Device and stream id."""


class Encoder(NamedTuple):
    """A row of the table of encoders: of one device, or of all where that is ''; one row per hop."""

    device: str
    hop_ns: int
    spec: SignatureSpec


Encoders = dict[int, Encoder]


def _spans(store: Snapshot, stream: Stream) -> Iterator[Span]:
    """Yield the spans of a stream, in order; raise SinkError for a damaged one."""
    if store.version == 1:
        return
    query = "SELECT block, first_ns, last_ns, rows, crc FROM spans WHERE device = ? AND epoch = ? ORDER BY block"
    before = -1
    for *values, crc in store.connection.execute(query, stream):
        whole = all(type(value) is int for value in values) and span_checksum(*stream, *values[:3]) == crc
        if not (whole and values[0] > before):
            raise damaged(store.path, f"expected a span of {stream} after block {before}, got {tuple(values)}")
        before = values[0]
        yield Span(*values)


def runs(store: Snapshot, stream: Stream, wanted: Wanted) -> Iterator[tuple[int, int, dict[int, int]]]:
    """Yield numbers of signatures that may be of the time that is wanted: all but those of blocks that surely are not.

    That is the first and the last number of a run, and how many signatures each of its blocks has that has a span.
    """
    since_ns = -(1 << 63) if wanted.since_ns is None else wanted.since_ns
    until_ns = 1 << 63 if wanted.until_ns is None else wanted.until_ns
    begin, blocks = 0, dict[int, int]()
    for block, first_ns, last_ns, rows in _spans(store, stream):
        outside = last_ns < since_ns or first_ns >= until_ns
        first, last = numbers_of(block)
        if outside or len(blocks) == _MOST_BLOCKS:
            if begin < first:
                yield begin, first - 1, blocks
            begin, blocks = last + 1 if outside else first, {}
        if not outside:
            blocks[block] = rows
    if begin < 1 << 63:
        yield begin, (1 << 63) - 1, blocks


def read_stream(store: Snapshot, stream: Stream, encoders: Encoders, wanted: Wanted, rows: int) -> Iterator[Stored]:
    """Yield what is wanted of a stream, at most `rows` at a time; encoders: all that its device may have."""
    before = -1
    for first, last, blocks in runs(store, stream, wanted):
        found = Counter[int]()
        for some in _rows(store, stream, (first, last), encoders, rows):
            if not (some.seq[0] > before and np.all(np.diff(some.seq) > 0)):
                raise damaged(store.path, f"expected signatures of {stream} in order, got {some.seq[0]} after {before}")
            before = int(some.seq[-1])
            numbers, counts = np.unique(some.seq >> BLOCK_BITS, return_counts=True)
            here = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
            found.update(here)
            _check(store, stream, some, here.keys() - blocks.keys())
            yield from _batches(store, stream, some, encoders, wanted)
        for block, expected in blocks.items():
            if found[block] != expected:
                what = f"{expected} signatures of {stream} from seq {numbers_of(block)[0]} to {numbers_of(block)[1]}"
                raise damaged(store.path, f"expected {what}, got {found[block]}")


class _Rows(NamedTuple):
    """Rows of a stream. numbers (k, 4): the columns of `ROW` without codes. labels: those there are, by number.

    joined: all codes, one row after the other.
    """

    numbers: NDArray[np.int64]
    codes: list[bytes]
    joined: bytes
    crc: list[int | None]
    labels: dict[int, str]

    @property
    def seq(self) -> NDArray[np.int64]:
        return self.numbers[:, 0]


def _rows(store: Snapshot, stream: Stream, run: tuple[int, int], encoders: Encoders, rows: int) -> Iterator[_Rows]:
    # The encoder only where there are several: a column takes a tenth of the time. A checksum is of it all the same.
    only = next(iter(encoders)) if len(encoders) == 1 else None
    columns = ["seq", "start_ns", "quality", "codes", "crc" if store.version > 1 else "NULL"]
    columns += ["encoder"] if only is None else []
    cursor = store.connection.execute(
        f"SELECT {', '.join(columns)} FROM signatures WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ? "
        "ORDER BY seq",
        (*stream, *run),
    )
    # Flat, as Python's garbage collector looks again and again at thousands of tuples that are there at once.
    while flat := list(itertools.chain.from_iterable(itertools.islice(cursor, rows))):
        seq, start_ns, quality, codes, crc, *more = (flat[column :: len(columns)] for column in range(len(columns)))
        numbers = np.empty((len(seq), 4), np.int64)
        try:
            for column, values in enumerate((seq, more[0] if only is None else only, start_ns, quality)):
                numbers[:, column] = values
            joined = b"".join(codes)
        except (TypeError, ValueError, OverflowError) as error:
            raise damaged(store.path, f"expected signatures of {stream} from seq {seq[0]} on, got {error}") from error
        labels = labels_between(store.connection, *stream, seq[0], seq[-1]) if store.labelled else {}
        yield _Rows(numbers, codes, joined, crc, labels)


def _check(store: Snapshot, stream: Stream, rows: _Rows, spanless: Set[int]) -> None:
    """Raise SinkError for a row that is not what was stored; spanless: the blocks of rows that have no span."""
    if store.version == 1:
        return
    if spanless and any(
        crc is not None and block_of(number) in spanless
        for number, crc in zip(rows.seq.tolist(), rows.crc, strict=True)
    ):
        raise damaged(store.path, f"expected the span of block {min(spanless)} of {stream}, got none")
    alike = not rows.labels and 0 < len(rows.joined) == len(rows.codes) * len(rows.codes[0])
    if alike and are_whole(*stream, rows.numbers, rows.joined, rows.crc):
        return
    columns = [(*row, one) for row, one in zip(rows.numbers.tolist(), rows.codes, strict=True)]
    sums = row_checksums(*stream, columns, rows.labels)
    for number, expected, crc in zip(rows.seq.tolist(), sums, rows.crc, strict=True):
        # What version 1 stored has no checksum until its block gets a span.
        if crc != expected and (crc is not None or block_of(number) not in spanless):
            device, stream_id = stream
            raise damaged(
                store.path,
                f"expected signature {number} of stream {stream_id} of {device!r} with its checksum, got other content",
            )


def _batches(store: Snapshot, stream: Stream, rows: _Rows, encoders: Encoders, wanted: Wanted) -> Iterator[Stored]:
    seq, encoder, start_ns, quality = rows.numbers.T
    chosen = wanted.within(start_ns)
    for number in np.unique(encoder).tolist():
        if number not in encoders:
            raise damaged(store.path, f"expected the encoder of signatures of {stream}, got none with number {number}")
        if wanted.fingerprint not in (None, encoders[number].spec.fingerprint):
            chosen &= encoder != number
    places = np.flatnonzero(chosen)
    if not len(places):
        return
    recording = _recording(store, stream)
    texts = np.array([rows.labels.get(number, "") for number in seq.tolist()], np.str_) if rows.labels else None
    changes = (np.flatnonzero(np.diff(encoder[places])) + 1).tolist()
    for first, last in itertools.pairwise([0, *changes, len(places)]):
        part = places[first:last]
        _, hop_ns, spec = encoders[int(encoder[part[0]])]
        whole = len(part) == len(seq)
        codes = rows.joined if whole else b"".join([rows.codes[place] for place in part.tolist()])
        if len(codes) != len(part) * spec.quantization.dim:
            raise damaged(store.path, f"expected {spec.quantization.dim} codes of each signature of {stream}")
        matrix = np.frombuffer(codes, np.int8).reshape(-1, spec.quantization.dim)
        labels = texts[part] if texts is not None and np.any(texts[part] != "") else None
        batch = SignatureBatch(start_ns[part], matrix, quality[part].astype(np.uint8), hop_ns, spec, labels)
        yield Stored(*stream, seq[part], batch, recording)


def _recording(store: Snapshot, stream: Stream) -> wire.Recording | None:
    if not store.described:
        return None
    crc = "crc" if store.version > 1 else "NULL"
    query = f"SELECT device, epoch, name, start_ns, {crc} FROM recordings WHERE device = ? AND epoch = ?"
    found = store.connection.execute(query, stream).fetchone()
    if found is None:
        return None
    *row, of_row = found
    check_row(store, "recordings", row, of_row)
    return wire.Recording(*row[2:])
