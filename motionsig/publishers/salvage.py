"""What is readable of a damaged store, into a new one: `python -m motionsig.publishers.salvage DAMAGED NEW`.

Rows are looked for in every page of the file and of its write-ahead log, wherever the trees lead, and a row counts if
its checksum says that it is whole. (https://www.sqlite.org/fileformat.html: 1.6 pages, 2.1 records, 4.1 the log.)
What has no checksum, as version 1 stored it, counts if it has the form of a row.
"""

from __future__ import annotations

import argparse
import json
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError, MotionsigError, SinkError
from motionsig.events import Event
from motionsig.publishers.schema import checksum
from motionsig.publishers.spans import row_checksums
from motionsig.publishers.store import Store
from motionsig.quantization import Group, Quantization
from motionsig.wire import Message, Recording

_INDEX_PAGES = {0x02: 12, 0x0A: 8}
"""Bytes before the pointers to cells, by type of page. The tables WITHOUT ROWID are in pages of indices."""

_TABLE_LEAF = 0x0D
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_MOST_COLUMNS = 10
_PAGES_AT_ONCE = 256

_SIGNATURE = (str, int, int, int, int, int, bytes, int)
_ENCODER = (int, str, bytes, str, int, int, int, int)
_ENCODER_OF_VERSION_1 = (int, bytes, str, int, int, int)
_EVENT = (str, int, str, int, str, int, int, float, bytes, int)
_RECORDING = (str, int, str, int, int)
_LABEL = (str, int, int, int)
_TEXT = (int, str)

_Row = list[Any]


def salvage(path: str | Path, into: Store) -> Counter[str]:
    """Store what is readable of a damaged file; return how many `signatures` and `events` that is.

    Also how many signatures are `unreadable`: those whose checksum does not fit, or whose encoder is lost. Rows that
    left no trace are not counted, and some that were deleted may be there again. Raises SinkError where the file cannot
    be read, or the new store cannot be written.
    """
    found = _Found()
    for page in _pages(Path(path)):
        for row in _rows(page):
            found.take_description(row)
    counts = Counter[str]()
    messages, events = list[Message](), list[Event]()
    for number, page in enumerate(_pages(Path(path))):
        rows = [row for row in _rows(page) if len(row) in (7, 8)]
        page_messages, unreadable = found.messages(rows)
        messages += page_messages
        events += found.events(_rows(page))
        counts["unreadable"] += unreadable
        if number % _PAGES_AT_ONCE == 0:
            _put(into, messages, events, counts)
            messages, events = [], []
    _put(into, messages, events, counts)
    return counts


def _put(into: Store, messages: list[Message], events: list[Event], counts: Counter[str]) -> None:
    added = into.add_all(messages, events)
    counts.update(signatures=added.stored, events=added.events)


@dataclass
class _Found:
    """What rows of other tables say of signatures."""

    encoders: dict[int, tuple[SignatureSpec, int]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    labels: dict[tuple[str, int, int], int] = field(default_factory=dict)
    recordings: dict[tuple[str, int], Recording] = field(default_factory=dict)

    def take_description(self, row: _Row) -> None:
        if _is(row, _TEXT):
            self.texts[row[0]] = row[1]
        elif _is(row, _LABEL):
            self.labels[row[0], row[1], row[2]] = row[3]
        elif _is_whole(row, _RECORDING):
            self.recordings[row[0], row[1]] = Recording(row[2], row[3])
        elif _is_whole(row, _ENCODER) or _is(row, _ENCODER_OF_VERSION_1):
            number, fingerprint, groups, motion_dim, length_ns, hop_ns = row if len(row) == 6 else [row[0], *row[2:7]]
            with suppress(TypeError, ValueError):
                quantization = Quantization(tuple(Group(*group) for group in json.loads(groups)))
                self.encoders[number] = SignatureSpec(fingerprint, quantization, motion_dim, length_ns), hop_ns

    def messages(self, rows: list[_Row]) -> tuple[list[Message], int]:
        """Return the whole signatures among a page's rows as messages, and how many are not whole."""
        runs, unreadable = list[list[_Row]](), 0
        for row in rows:
            if not _is(row, _SIGNATURE) and not _is([*row[:7], 0], _SIGNATURE):
                continue
            if not self._is_readable(row):
                unreadable += 1
            elif runs and runs[-1][-1][:2] == row[:2] and runs[-1][-1][2:4] == [row[2] - 1, row[3]]:
                runs[-1].append(row)
            else:
                runs.append([row])
        return [self._message(run) for run in runs], unreadable

    def _is_readable(self, row: _Row) -> bool:
        device, stream_id, seq, encoder, start_ns, quality, codes, *crc = row
        if encoder not in self.encoders or len(codes) != self.encoders[encoder][0].quantization.dim:
            return False
        if seq < 0 or stream_id < 0 or not 0 <= quality < 256:
            return False
        label = self._label(row)
        (expected,) = row_checksums(device, stream_id, [(seq, encoder, start_ns, quality, codes)], {seq: label})
        return crc in ([expected], [None], [])

    def _label(self, row: _Row) -> str:
        return self.texts.get(self.labels.get((row[0], row[1], row[2]), -1), "")

    def _message(self, run: list[_Row]) -> Message:
        device, stream_id, seq, encoder = run[0][:4]
        spec, hop_ns = self.encoders[encoder]
        texts = [self._label(row) for row in run]
        signatures = SignatureBatch(
            start_ns=np.array([row[4] for row in run], np.int64),
            codes=np.frombuffer(b"".join(row[6] for row in run), np.int8).reshape(len(run), -1),
            quality=np.array([row[5] for row in run], np.uint8),
            hop_ns=hop_ns,
            spec=spec,
            labels=np.array(texts, np.str_) if any(texts) else None,
        )
        return Message(device, stream_id, seq, signatures, self.recordings.get((device, stream_id)))

    def events(self, rows: Iterator[_Row]) -> Iterator[Event]:
        for row in rows:
            # SQLite stores a score without a fraction as an integer.
            if len(row) >= len(_EVENT) - 1 and isinstance(row[7], int):
                row[7] = float(row[7])
            if _is_whole(row, _EVENT):
                device, stream_id, head, seq, phase, start_ns, end_ns, score, fingerprint = row[:9]
                with suppress(InputError):
                    yield Event(device, stream_id, seq, head, fingerprint, phase, start_ns, end_ns, score)


def _is_whole(row: _Row, types: tuple[type, ...]) -> bool:
    """Return whether a row has its checksum, or none, as in version 1."""
    return (_is(row, types) and row[-1] == checksum(row[:-1])) or _is(row, types[:-1])


def _is(row: _Row, types: tuple[type, ...]) -> bool:
    return len(row) == len(types) and all(type(value) is kind for value, kind in zip(row, types, strict=True))


def _pages(path: Path) -> Iterator[bytes]:
    """Yield the pages of a database and of its write-ahead log."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack(">16xH", file.read(18).ljust(18, b"\0"))
            size = 65536 if size == 1 else size
            if size & (size - 1) or size < 512:
                size = 4096  # the header is damaged
            file.seek(100)
            yield file.read(size - 100)
            while page := file.read(size):
                yield page
        log = path.with_name(path.name + "-wal")
        if log.exists():
            with log.open("rb") as file:
                file.seek(_LOG_HEADER_BYTES)
                while page := file.read(_FRAME_HEADER_BYTES + size)[_FRAME_HEADER_BYTES:]:
                    yield page
    except OSError as error:
        raise SinkError(f"store:{path}: cannot be read: {error.strerror or error}") from error


def _rows(page: bytes) -> Iterator[_Row]:
    """Yield the records of a page, as far as they can be made out."""
    if len(page) < 512 or page[0] not in (*_INDEX_PAGES, _TABLE_LEAF):
        return
    begin = _INDEX_PAGES.get(page[0], 8)
    (cells,) = struct.unpack_from(">H", page, 3)
    for number in range(min(cells, (len(page) - begin) // 2)):
        (at,) = struct.unpack_from(">H", page, begin + 2 * number)
        try:
            yield _record(page, at + (4 if page[0] == 0x02 else 0), has_row_id=page[0] == _TABLE_LEAF)
        except (IndexError, ValueError):
            continue


def _record(page: bytes, at: int, *, has_row_id: bool) -> _Row:
    """Return the values of a record; raise IndexError or ValueError for what is none, or goes on in another page."""
    size, at = _varint(page, at)
    row_id, at = _varint(page, at) if has_row_id else (None, at)
    if at + size > len(page):
        raise ValueError("beyond the page")
    header, kind_at = _varint(page, at)
    value_at, end = at + header, at + header
    values: _Row = []
    while kind_at < end:
        kind, kind_at = _varint(page, kind_at)
        value, value_at = _value(page, kind, value_at)
        values.append(value)
        if len(values) > _MOST_COLUMNS:
            raise ValueError("more columns than any table of ours has")
    if row_id is not None and values and values[0] is None:
        values[0] = row_id  # INTEGER PRIMARY KEY stands for the number of the row
    return values


def _value(page: bytes, kind: int, at: int) -> tuple[Any, int]:
    if kind >= 12:
        size = (kind - 12) // 2
        data = page[at : at + size]
        if len(data) < size:
            raise IndexError(at)
        return data.decode() if kind % 2 else data, at + size
    if kind == 7:
        return struct.unpack(">d", page[at : at + 8].ljust(8, b"\0"))[0], at + 8
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    size = _INTEGER_BYTES[kind]
    return int.from_bytes(page[at : at + size], "big", signed=True), at + size


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for number in range(8):
        byte = page[at + number]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + number + 1
    return value << 8 | page[at + 8], at + 9


def main() -> None:
    """Salvage what the command line names, and print how much that is."""
    parser = argparse.ArgumentParser(prog="python -m motionsig.publishers.salvage", description=__doc__)
    parser.add_argument("damaged", type=Path, help="the damaged file, with its -wal beside it")
    parser.add_argument("new", type=Path, help="a new file")
    options = parser.parse_args()
    try:
        if options.new.exists():
            raise InputError(f"{options.new}: expected a file that does not exist yet, got one that does")
        with closing(Store(options.new)) as into:
            counts = salvage(options.damaged, into)
    except MotionsigError as error:
        raise SystemExit(str(error)) from error
    print(
        f"{options.new}: {counts['signatures']:,} signatures and {counts['events']:,} events; "
        f"{counts['unreadable']:,} signatures were damaged"
    )


if __name__ == "__main__":
    main()
