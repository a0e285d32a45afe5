"""MCAP: topics of IMU messages that ROS 1 or ROS 2 wrote, read chunk by chunk. Needs mcap.

A chunk whose checksum is wrong is a gap. A log that ends early, as after a crash, is read as far as it goes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.escaping import own_logger
from motionsig.hints import install_hint
from motionsig.recordings.formats.arrays import LARGEST_BYTES
from motionsig.recordings.formats.imu_messages import TYPES, Coding, Messages, imu_table, no_topic
from motionsig.recordings.members import readable
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

log = own_logger(__name__)

MAGIC = b"\x89MCAP0\r\n"
GAP, LABEL = "/gap", "/label"
"""What follows a topic's name where `write_mcap` notes that samples were lost, and what was done."""

_LARGEST = LARGEST_BYTES // 4
_RECORD = struct.Struct("<BQ")
_CHUNK = struct.Struct("<QQQII")  # first and last time, size and checksum of the content, length of the compression
_MESSAGE = struct.Struct("<HIQQ")  # channel, number, time of recording, time of sending
_FOOTER = struct.Struct("<BQQQI")
_OP_FOOTER, _OP_SCHEMA, _OP_CHANNEL, _OP_MESSAGE, _OP_CHUNK = 2, 3, 4, 5, 6
_SERIALISED: dict[str, Coding] = {"ros1": "ros1", "cdr": "cdr"}
_PIECE_BYTES = 1 << 20
_MOST_NS = (1 << 63) - 1


class _Channel(NamedTuple):
    topic: str
    type: str
    coding: str


class _Damaged(Exception):
    """Bytes that are no record, or a chunk that is not what its checksum says."""


def tables(path: Path) -> tuple[Table, ...]:
    """Return a Table for each topic of IMU messages. Raises RecordingError; MissingExtraError without mcap."""
    return topics((path,), path)


def topics(files: Sequence[Path], path: Path) -> tuple[Table, ...]:
    """Return the same of files that follow each other. path: of the log, for messages."""
    channels = {channel for file in files for channel in _channels(file)}
    found = {each.topic: each for each in channels if each.type in TYPES and each.coding in _SERIALISED}
    if not found:
        raise no_topic(str(path), {each.topic: f"{each.type} in {each.coding}" for each in sorted(channels)})
    beside = {each.topic for each in channels}
    return tuple(
        imu_table(
            name,
            f"{path}: {name}",
            _SERIALISED[found[name].coding],
            partial(_messages, tuple(files), name, name + LABEL in beside),
        )
        for name in sorted(found)
    )


def _messages(files: Sequence[Path], topic: str, labelled: bool) -> Generator[Messages, None, None]:
    """Yield the messages of a topic, with the gaps and labels that `write_mcap` notes beside it."""
    for file in files:
        channels, label, lost = _Channels(), "", False
        for piece in _pieces(file):
            received: list[int] = []
            data: list[bytes] = []
            labels: list[str] = []
            breaks: list[int] = []
            try:
                for op, start, end in _walk(piece):
                    if op != _OP_MESSAGE:
                        channels.take(op, piece[start:end])
                        continue
                    channel, _, log_ns, _ = _MESSAGE.unpack_from(piece, start)
                    match channels.role(channel, topic):
                        case "samples":
                            if lost:
                                breaks.append(len(data))
                                lost = False
                            received.append(log_ns & _MOST_NS)
                            data.append(piece[start + _MESSAGE.size : end])
                            labels.append(label)
                        case "gap":
                            lost = True
                        case "label":
                            label = _text(piece[start + _MESSAGE.size : end])
            except _Damaged as error:
                log.warning("%s: passed over a damaged part: %s", file, error)
                lost = True
            if data:
                yield Messages(received, data, tuple(breaks), labels if labelled else None)


class _Channels:
    """The channels of a file, as its records tell them."""

    def __init__(self) -> None:
        self._types: dict[int, str] = {}
        self._channels: dict[int, _Channel] = {}

    def take(self, op: int, content: bytes) -> None:
        """Take a record that may tell of one; raise _Damaged for one that is cut short."""
        if op == _OP_SCHEMA:
            (name,) = _strings(content, 2, 1)
            self._types[int.from_bytes(content[:2], "little")] = name
        elif op == _OP_CHANNEL:
            topic, coding = _strings(content, 4, 2)
            kind = self._types.get(int.from_bytes(content[2:4], "little"), "")
            self._channels[int.from_bytes(content[:2], "little")] = _Channel(topic, kind, coding)

    def role(self, channel: int, topic: str) -> str:
        """Return what a channel's messages are for a topic: "samples", "gap", "label" or ""."""
        found = self._channels.get(channel)
        if found is None or not found.topic.startswith(topic):
            return ""
        if found.topic == topic:
            return "samples" if found.type in TYPES and found.coding in _SERIALISED else ""
        return {GAP: "gap", LABEL: "label"}.get(found.topic[len(topic) :], "") if found.coding == "cdr" else ""

    def __iter__(self) -> Iterator[_Channel]:
        return iter(self._channels.values())


def _channels(path: Path) -> _Channels:
    """Return the channels of a file: its summary's, or where that is missing those met while reading through it."""
    found = _Channels()
    with readable(str(path)), path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _FOOTER.size - len(MAGIC)))
        tail = file.read(_FOOTER.size)
        op, _, summary, _, _ = _FOOTER.unpack(tail) if len(tail) == _FOOTER.size else (0,) * 5
        if op == _OP_FOOTER and 0 < summary < size:
            file.seek(summary)
            try:
                content = file.read(min(size - summary - _FOOTER.size - len(MAGIC), _LARGEST))
                for op, start, end in _walk(content):
                    found.take(op, content[start:end])
            except _Damaged:
                pass
    if list(found):
        return found
    for piece in _pieces(path):
        try:
            for op, start, end in _walk(piece):
                found.take(op, piece[start:end])
        except _Damaged:
            continue
    return found


def _pieces(path: Path) -> Generator[bytes, None, None]:
    """Yield the content of each chunk, and of the records between chunks those that matter; _BROKEN for one damaged."""
    with readable(str(path)), path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        at, held = len(MAGIC), bytearray()
        while at + _RECORD.size <= size:
            file.seek(at)
            head = file.read(_RECORD.size)
            op, length = _RECORD.unpack(head)
            at += _RECORD.size + length
            if op == _OP_FOOTER:
                break
            if at > size or op == 0:
                log.warning("%s: ends within a record, as after a crash: read as far as it goes", path)
                break
            if op in (_OP_SCHEMA, _OP_CHANNEL, _OP_MESSAGE, _OP_CHUNK):
                if length > _LARGEST:
                    raise RecordingError(f"{path}: expected records of at most {_LARGEST} bytes, got {length}")
                content = file.read(length)
                if op != _OP_CHUNK:
                    held += head + content
                if op == _OP_CHUNK or len(held) > _PIECE_BYTES:
                    if held:
                        yield bytes(held)
                        held = bytearray()
                    if op == _OP_CHUNK:
                        yield _unpacked(content, path)
        if held:
            yield bytes(held)


_BROKEN = b"\0"
"""No record: where a chunk was that is damaged."""


def _unpacked(chunk: bytes, path: Path) -> bytes:
    """Return the records of a chunk; _BROKEN where they are not what its checksum says."""
    if len(chunk) < _CHUNK.size:
        return _BROKEN
    *_, size, checksum, length = _CHUNK.unpack_from(chunk)
    compression = chunk[_CHUNK.size : _CHUNK.size + length]
    packed = chunk[_CHUNK.size + length + 8 :]
    if size > _LARGEST:
        raise RecordingError(f"{path}: expected chunks of at most {_LARGEST} bytes, got {size}")
    if compression == b"":
        content = packed
    elif compression in (b"zstd", b"lz4"):
        content = _decompressed(compression, packed, size, path)
    else:
        raise RecordingError(f"{path}: expected chunks packed with zstd or lz4, got {compression[:16]!r}")
    sound = len(content) == size and checksum in (0, zlib.crc32(content))
    return content if sound else _BROKEN


def _decompressed(compression: bytes, packed: bytes, size: int, path: Path) -> bytes:
    """Return at most `size` bytes and one: what a frame says of its own size is nothing to rely on."""
    try:
        import lz4.frame
        import zstandard
    except ImportError as error:
        raise MissingExtraError(f"{path}: packed MCAP needs mcap ({error}): {install_hint('mcap')}") from error
    try:
        if compression == b"lz4":
            found: bytes = lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
            return found
        with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            return bytes(reader.read(size + 1))
    except (zstandard.ZstdError, RuntimeError, ValueError, EOFError, MemoryError):
        return b""


def _walk(piece: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield kind, start and end of each record in consecutive ones."""
    at, size = 0, len(piece)
    while at < size:
        if at + _RECORD.size > size:
            raise _Damaged("a record that is cut short")
        op, length = _RECORD.unpack_from(piece, at)
        start = at + _RECORD.size
        at = start + length
        if at > size or (op == _OP_MESSAGE and length < _MESSAGE.size):
            raise _Damaged(f"a record of {length} bytes where {size - start} are left")
        yield op, start, at


def _strings(content: bytes, at: int, count: int) -> list[str]:
    found = []
    for _ in range(count):
        length = int.from_bytes(content[at : at + 4], "little")
        if at + 4 + length > len(content):
            raise _Damaged("a name that is cut short")
        found.append(content[at + 4 : at + 4 + length].decode(errors="replace"))
        at += 4 + length
    return found


def _text(message: bytes) -> str:
    """Return the text of a std_msgs/String in CDR."""
    length = int.from_bytes(message[4:8], "little")
    return message[8 : 8 + length].rstrip(b"\0").decode(errors="replace")


READER = table_reader("mcap", lambda path, head: 3 * head.startswith(MAGIC), tables)
