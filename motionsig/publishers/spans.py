"""Checksums of a store's signatures, and what is known of each block of them: its span.

A block is 256 sequence numbers of a stream. Its span says between which times its signatures begin, and how many
there are. Times mostly rise with the number, so the spans lead a reader to an hour as an index over all signatures
would, at a hundredth of its size; retention deletes whole blocks. A row's checksum shows that its content is what was
stored; the number of rows shows that none is missing, which a damaged page of a tree does without any error of SQLite.

No span says nothing: the signatures of a store of version 1 have neither span nor checksum until `cover` gives them
both. So a signature with a checksum and without a span is a damage, too.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.publishers.schema import BLOCK_BITS, labels_between

if TYPE_CHECKING:
    import sqlite3

_ROW = struct.Struct("<qqqq")
_STREAM = struct.Struct("<q")

ROW = ("seq", "encoder", "start_ns", "quality", "codes")
"""The columns of a signature that its checksum is of, beside its stream and its label."""


Row = tuple[int, int, int, int, bytes]
"""The columns of `ROW`."""


def block_of(seq: int) -> int:
    return seq >> BLOCK_BITS


def numbers_of(block: int) -> tuple[int, int]:
    """Return the first and the last sequence number of a block."""
    return block << BLOCK_BITS, ((block + 1) << BLOCK_BITS) - 1


def row_checksums(
    device: str, stream_id: int, rows: Sequence[tuple[int, int, int, int, bytes]], labels: Mapping[int, str]
) -> list[int]:
    """Return the checksum of each row of a stream, its columns as in `ROW`; labels by sequence number."""
    stream = zlib.crc32(_STREAM.pack(stream_id), zlib.crc32(device.encode()))
    pack, crc32 = _ROW.pack, zlib.crc32
    sums = [crc32(codes, crc32(pack(*numbers), stream)) for *numbers, codes in rows]
    if labels:
        texts = (labels.get(row[0]) for row in rows)
        sums = [crc32(text.encode(), one) if text else one for one, text in zip(sums, texts, strict=True)]
    return sums


def are_whole(
    device: str, stream_id: int, numbers: NDArray[np.int64], codes: bytes, sums: Sequence[int | None]
) -> bool:
    """Tell whether rows without labels have these checksums, in a tenth of the time that `row_checksums` takes.

    numbers (k, 4): the other columns of `ROW`. codes: of all rows, as many of each. Where it is not so, `row_checksums`
    tells which row is damaged.
    """
    try:
        told = np.frombuffer(array("I", sums), np.uint32)  # type: ignore[type-var]
    except (TypeError, OverflowError):
        return False
    stream = zlib.crc32(_STREAM.pack(stream_id), zlib.crc32(device.encode()))
    matrix = np.frombuffer(codes, np.uint8).reshape(len(told), -1)
    data = np.hstack([np.ascontiguousarray(numbers, "<i8").view(np.uint8), matrix])
    size = data.shape[1]
    # A CRC is a remainder of polynomials. So what a row's checksum has of its stream can be taken away from it; and of
    # the checksums of rows follows the one of all their bytes, which zlib computes at once. One damaged row always
    # changes that, and so do two that are damaged alike; others do but for one in 2^32, as with a row by itself.
    each = told ^ np.uint32(zlib.crc32(bytes(size), stream) ^ zlib.crc32(bytes(size)))
    return zlib.crc32(data.data) == _of_all(each, size)


def _of_all(sums: NDArray[np.uint32], size: int) -> int:
    """Return the CRC-32 of rows of `size` bytes one behind the other; sums (k,): of each."""
    doublings = 0
    while len(sums) > 1:
        if len(sums) % 2:
            sums = np.concatenate([np.zeros(1, np.uint32), sums])  # in front it changes nothing
        sums = _followed(sums[::2], _tables(size, doublings)) ^ sums[1::2]
        doublings += 1
    return int(sums[0])


def _followed(sums: NDArray[np.uint32], tables: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return what checksums (k,) become by the zero bytes that `tables` are for."""
    octets = sums.astype("<u4").view(np.uint8).reshape(-1, 4)
    first, second, third, fourth = (table[octets[:, at]] for at, table in enumerate(tables))
    return np.asarray(first ^ second ^ third ^ fourth)


@lru_cache(maxsize=64)
def _tables(size: int, doublings: int) -> NDArray[np.uint32]:
    """Return (4, 256): what each value of each byte of a CRC becomes by size * 2^doublings zero bytes."""
    if doublings:
        half = _tables(size, doublings - 1)
        of_bits = _followed(np.array([half[bit // 8, 1 << bit % 8] for bit in range(32)]), half)
    else:
        zeros = bytes(size)
        of_bits = np.array([zlib.crc32(zeros, 1 << bit) ^ zlib.crc32(zeros) for bit in range(32)], np.uint32)
    values, tables = np.arange(256), np.zeros((4, 256), np.uint32)
    for bit in range(32):
        tables[bit // 8, values >> bit % 8 & 1 == 1] ^= of_bits[bit]
    return tables


class Span(NamedTuple):
    """What a block holds: signatures that begin from first_ns to last_ns, `rows` of them."""

    block: int
    first_ns: int
    last_ns: int
    rows: int


def span_checksum(device: str, stream_id: int, block: int, first_ns: int, last_ns: int) -> int:
    """Return the checksum of a span; an open store has this as an SQL function, for `note_rows`."""
    # Not of the number of rows, which a trigger counts; whoever reads compares that with the rows themselves.
    return zlib.crc32(_ROW.pack(stream_id, block, first_ns, last_ns), zlib.crc32(device.encode()))


BlockKey = tuple[str, int, int]
"""Device, stream id and block."""


def note_rows(connection: sqlite3.Connection, starts: Mapping[BlockKey, Sequence[int]]) -> None:
    """Have spans include signatures that were just inserted, by when they begin; within the caller's transaction."""
    if connection.execute("SELECT EXISTS (SELECT 1 FROM progress)").fetchone()[0]:
        there = "SELECT 1 FROM spans WHERE device = ? AND epoch = ? AND block = ?"
        missing = [key for key in starts if connection.execute(there, key).fetchone() is None]
        for key in missing:
            cover(connection, *key)
        starts = {key: in_block for key, in_block in starts.items() if key not in missing}
    connection.executemany(
        "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "first_ns = min(first_ns, excluded.first_ns), last_ns = max(last_ns, excluded.last_ns), "
        "rows = rows + excluded.rows, crc = span_checksum(device, epoch, block, min(first_ns, excluded.first_ns), "
        "max(last_ns, excluded.last_ns))",
        [
            (*key, min(in_block), max(in_block), len(in_block), span_checksum(*key, min(in_block), max(in_block)))
            for key, in_block in starts.items()
        ],
    )


def cover(connection: sqlite3.Connection, device: str, stream_id: int, block: int) -> None:
    """Make the span of a block that has signatures, and the checksums of those that have none.

    Within the caller's transaction.
    """
    block_key = device, stream_id, *numbers_of(block)
    within = "FROM signatures WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ?"
    found = connection.execute(f"SELECT min(start_ns), max(start_ns), count(*), count(crc) {within}", block_key)
    first_ns, last_ns, rows, checked = found.fetchone()
    if checked < rows:
        old = connection.execute(f"SELECT {', '.join(ROW)} {within} AND crc IS NULL", block_key).fetchall()
        sums = row_checksums(device, stream_id, old, labels_between(connection, *block_key))
        connection.executemany(
            "UPDATE signatures SET crc = ? WHERE device = ? AND epoch = ? AND seq = ?",
            ((crc, device, stream_id, row[0]) for crc, row in zip(sums, old, strict=True)),
        )
    crc = span_checksum(device, stream_id, block, first_ns, last_ns)
    span = device, stream_id, block, first_ns, last_ns, rows, crc
    connection.execute("INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)", span)
