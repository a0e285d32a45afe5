"""A file of wire messages one behind the other: a CBOR sequence (RFC 8742) that any CBOR tool can read.

Each `publish` is one write(2) at the end, so kill -9 loses nothing that was accepted. What a power cut leaves of a
message at the end is cut off on the next opening; a damaged message elsewhere is skipped and said in the log.

An event is an item among the messages: a text, its JSON, behind the same mark. A motionsig that knows of no events
skips it as damage when it reads, and cuts off the last ones of a file to which it writes.
"""

from __future__ import annotations

import bisect
import fcntl
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch, concatenate
from motionsig.endings import require_ending
from motionsig.errors import InputError, SinkError, WireError
from motionsig.escaping import own_logger
from motionsig.events import Event, EventKey, from_json, to_json
from motionsig.fewer_bits import check_bits, coarser
from motionsig.publishers.local import LocalSink, Stored, Wanted, WantedEvents, check_encoders
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES
from motionsig.quality import NO_CONTENT

logger = own_logger(__name__)

_WINDOW_BYTES = 16 * 1024


_TEXT = 3
"""The kind of a CBOR item that is text; a message is a map."""


def _encode_event(event: Event) -> bytes:
    import cbor2

    return wire.MAGIC + cbor2.dumps(to_json(event).decode())


def _decode(item: bytes) -> wire.Message | Event:
    """Return what an item, as `wire.item_end` found it, is; raise WireError if it is neither."""
    first = item[len(wire.MAGIC)]
    if first >> 5 != _TEXT:
        return wire.decode(item, stored=True)
    # As in any CBOR item, a length of 24 or more stands in 1, 2, 4 or 8 bytes of its own.
    length_bytes = 1 << (first & 31) - 24 if first & 31 >= 24 else 0
    return from_json(item[len(wire.MAGIC) + 1 + length_bytes :], stored=True)


def _sound(fd: int, at: int, size: int) -> Iterator[tuple[int, int, wire.Message | Event | wire.MissingTablesError]]:
    """Yield (start, end, content) of every sound item from offset `at` on.

    A message that this machine lacks the tables for is an error among them: it is not damaged, and must not be cut off.
    """
    window = _WINDOW_BYTES
    while at < size and (data := os.pread(fd, min(window, size - at), at)):
        try:
            end = wire.item_end(data)
            try:
                content: wire.Message | Event | wire.MissingTablesError = _decode(data[:end])
            except wire.MissingTablesError as error:
                content = error
        except WireError:
            if data.startswith(wire.MAGIC) and window < min(size - at, wire.MAX_MESSAGE_BYTES):
                # Perhaps the window cut it short, not the end of the file.
                window = min(window * 8, wire.MAX_MESSAGE_BYTES)
                continue
            found = data.find(wire.MAGIC, 1)
            # The next mark may lie across the edge of the window.
            at += found if found > 0 else max(1, len(data) - len(wire.MAGIC) + 1)
        else:
            yield at, at + end, content
            at += end
        window = _WINDOW_BYTES


def _check_head(fd: int, path: str) -> None:
    """Raise SinkError if the file does not begin like one of ours."""
    head = os.pread(fd, len(wire.MAGIC), 0)
    if not wire.MAGIC.startswith(head):
        raise SinkError(f"file:{path}: expected motionsig messages, got a file that begins with {head.hex()}")


def _scan(fd: int, path: str) -> Iterator[tuple[int, int, wire.Message | Event]]:
    """Yield what `_sound` does and log how much is damaged; raise SinkError for a file that is not ours."""
    _check_head(fd, path)
    damaged = size = os.fstat(fd).st_size
    lacking = list[wire.MissingTablesError]()
    for start, end, content in _sound(fd, 0, size):
        if isinstance(content, wire.MissingTablesError):
            lacking.append(content)
        else:
            yield start, end, content
        damaged -= end - start
    if lacking:
        logger.warning("file:%s: %d messages cannot be read here and are left out: %s", path, len(lacking), lacking[0])
    if damaged:
        logger.warning("file:%s: %d damaged bytes skipped", path, damaged)


def _find_tail(fd: int, path: str) -> int:
    """Return the end of the last sound item, 0 if there is none; raise SinkError for a file that is not ours.

    Only the file's end is read, as far back as it takes: a file of years opens as quickly as a new one.
    """
    _check_head(fd, path)
    size = os.fstat(fd).st_size
    reach = _WINDOW_BYTES
    while True:
        start = max(0, size - reach)
        end = max((end for _, end, _ in _sound(fd, start, size)), default=0)
        if end or not start:
            return end
        reach *= 8


class FileSink(LocalSink):
    """Signatures and events appended to a file, which is created where it does not exist.

    max_message_bytes: where a batch is cut into messages. compress: one of wire.COMPRESS. bits: of a code, 8 or 4;
    codes of 4 bits are those of another encoder, see `fewer_bits`.
    """

    def __init__(
        self,
        path: str,
        *,
        device: str,
        stream_id: int,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
        compress: str | bool = "no",
        bits: int = 8,
    ) -> None:
        check_bits(bits)
        if not os.path.exists(path):
            instead = "name it such as messages.cbor; motionsig export makes tables of it"
            require_ending(PurePath(path), (), where="file: ", instead=instead)
        super().__init__(
            f"file:{path}",
            device=device,
            stream_id=stream_id,
            max_message_bytes=max_message_bytes,
            compress=wire.check_compress(compress),
        )
        self._bits = bits
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SinkError(f"{self._where}: cannot be opened: {error}") from error
        try:
            self._claim(path)
        except OSError:
            os.close(self._fd)
            raise

    def _claim(self, path: str) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SinkError(f"{self._where}: another process is writing to this file") from error
        size, self._size = os.fstat(self._fd).st_size, _find_tail(self._fd, path)
        if self._size == 0 and size > wire.MAX_MESSAGE_BYTES:
            raise SinkError(f"{self._where}: expected motionsig messages, got {size} bytes without one")
        if self._size < size:
            logger.warning("%s: a torn message of %d bytes at the end cut off", self._where, size - self._size)
            os.ftruncate(self._fd, self._size)

    def publish(self, signatures: SignatureBatch) -> None:
        super().publish(coarser(signatures, self._bits))

    def publish_events(self, events: Sequence[Event]) -> None:
        """Append events in one go. Raises SinkError, and has then stored none of them."""
        self._append(b"".join(map(_encode_event, events)), f"{len(events)} events")

    def _put(self, message: wire.Message, data: bytes) -> None:
        self._append(data, f"{len(message.signatures)} signatures")

    def _append(self, data: bytes, what: str) -> None:
        if self._fd < 0:
            raise SinkError(f"{self._where}: this sink is closed")
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise SinkError(f"{self._where}: {what} could not be written: {error}") from error
        if written < len(data):
            os.ftruncate(self._fd, self._size)
            raise SinkError(f"{self._where}: only {written} of {len(data)} bytes could be written")
        self._size += len(data)

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class _Piece(NamedTuple):
    """Signatures `seq` to `seq + rows`: those from number `skip` on of the message at start:end, which is not kept."""

    seq: int
    rows: int
    skip: int
    start: int
    end: int


@dataclass
class _Stream:
    """What a file has of one stream: signatures are taken from the first that have their number, labels from the last.

    pieces: sorted, each number once. covered: the ranges of their numbers.
    """

    pieces: list[_Piece] = field(default_factory=list)
    covered: list[tuple[int, int]] = field(default_factory=list)
    labels: list[_Piece] = field(default_factory=list)
    recording: wire.Recording | None = None
    fingerprints: set[bytes] = field(default_factory=set)


def _not_covered(covered: list[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of begin:end that no range in `covered` (sorted, apart from each other) holds, and add them."""
    low = bisect.bisect_left(covered, (begin, begin))
    low -= bool(low and covered[low - 1][1] >= begin)
    high = bisect.bisect_right(covered, end, key=lambda one: one[0])
    firsts, lasts = [first for first, _ in covered[low:high]], [last for _, last in covered[low:high]]
    covered[low:high] = [(min([begin, *firsts]), max([end, *lasts]))]
    return [gap for gap in zip([begin, *lasts], [*firsts, end], strict=True) if gap[0] < gap[1]]


def _keep(kept: list[_Piece], covered: list[tuple[int, int]], piece: _Piece) -> None:
    """Sort in the parts of a piece whose numbers are not covered yet."""
    for first, last in _not_covered(covered, piece.seq, piece.seq + piece.rows):
        skip = piece.skip + first - piece.seq
        bisect.insort(kept, piece._replace(seq=first, rows=last - first, skip=skip))


def _within(pieces: list[_Piece], first: int, count: int) -> Iterator[_Piece]:
    """Yield the parts of the pieces (sorted, each number once) numbered `first` to `first + count`."""
    at = bisect.bisect_right(pieces, first, key=lambda piece: piece.seq + piece.rows)
    while at < len(pieces) and pieces[at].seq < first + count:
        piece = pieces[at]
        begin, end = max(first, piece.seq), min(first + count, piece.seq + piece.rows)
        yield piece._replace(seq=begin, rows=end - begin, skip=piece.skip + begin - piece.seq)
        at += 1


_Read = Callable[[int, int], SignatureBatch]
"""From a message's start and end to its signatures."""


def _runs(chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where each run of chosen rows begins and ends."""
    edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _without_conflicts(read: _Read, kept: list[_Piece], piece: _Piece, signatures: SignatureBatch) -> list[_Piece]:
    """Return the parts of a message's piece that do not differ from what is kept under the same numbers."""
    agree = np.ones(len(signatures), bool)
    for part in _within(kept, piece.seq, piece.rows):
        there = read(part.start, part.end)[part.skip : part.skip + part.rows]
        here = signatures[part.seq - piece.seq : part.seq - piece.seq + part.rows]
        if (there.spec, there.hop_ns) != (here.spec, here.hop_ns):
            same = np.zeros(part.rows, bool)
        else:
            # As in a store: who ran the network is no content, nor whether the clock was set.
            same = (there.start_ns == here.start_ns) & (there.codes == here.codes).all(axis=1)
            same &= (there.quality ^ here.quality) & ~np.uint8(NO_CONTENT) == 0
        agree[part.seq - piece.seq : part.seq - piece.seq + part.rows] = same
    return [piece._replace(seq=piece.seq + first, rows=last - first, skip=first) for first, last in _runs(agree)]


def _streams(fd: int, path: str, wanted: Wanted, read: _Read) -> dict[tuple[str, int], _Stream]:
    """Return what to read, by (device, stream_id) in order."""
    streams = defaultdict[tuple[str, int], _Stream](_Stream)
    for start, end, message in _scan(fd, path):
        if isinstance(message, Event):
            continue
        if wanted.device not in (None, message.device) or wanted.stream_id not in (None, message.stream_id):
            continue
        stream = streams[message.device, message.stream_id]
        signatures = message.signatures
        if wanted.within(signatures.start_ns).any():
            stream.fingerprints.add(signatures.spec.fingerprint)
        piece = _Piece(message.seq, len(signatures), 0, start, end)
        sound = _without_conflicts(read, stream.pieces, piece, signatures)
        if sum(part.rows for part in sound) == piece.rows:
            stream.recording = message.recording or stream.recording
        if wanted.fingerprint in (None, signatures.spec.fingerprint):
            _keep(stream.pieces, stream.covered, piece)
            # A message of a recording without labels says that there are none, a live sensor's says nothing of them.
            if signatures.labels is not None or message.recording is not None:
                stream.labels += sound
    chosen: dict[tuple[str, int], _Stream] = streams
    if wanted.recording is not None:
        named = {key: stream.recording.name for key, stream in streams.items() if stream.recording}
        chosen = {key: streams[key] for key, name in named.items() if name == wanted.recording}
        if not chosen:
            raise InputError(f"file:{path}: {wanted.missing(sorted(set(named.values())))}")
    check_encoders(f"file:{path}", set().union(*(stream.fingerprints for stream in chosen.values())), wanted)
    return {key: chosen[key] for key in sorted(chosen) if chosen[key].pieces}


def _labels(read: _Read, pieces: list[_Piece], first: int, count: int) -> NDArray[np.str_] | None:
    """Return the labels of the signatures `first` to `first + count` (count,); None where none of them has one."""
    texts = [""] * count
    for piece in _within(pieces, first, count):
        found = read(piece.start, piece.end)[piece.skip : piece.skip + piece.rows].labels
        if found is not None:
            texts[piece.seq - first : piece.seq - first + piece.rows] = found.tolist()
    return np.array(texts, np.str_) if any(texts) else None


@contextmanager
def _opened(path: str) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SinkError(f"file:{path}: cannot be read: {error}") from error
    try:
        yield fd
    finally:
        os.close(fd)


def iter_file_events(path: str, wanted: WantedEvents) -> Iterator[Event]:
    """Yield the events that are wanted, ordered by start_ns, then key; of two under one key the first in the file.

    Raises SinkError for a file that is not ours.
    """
    first: dict[EventKey, Event] = {}
    with _opened(path) as fd:
        for _, _, event in _scan(fd, path):
            if isinstance(event, Event):
                first.setdefault(event.key, event)
    yield from sorted(filter(wanted.chooses, first.values()), key=lambda event: (event.start_ns, event.key))


def iter_file(path: str, wanted: Wanted, *, rows: int) -> Iterator[Stored]:
    """Yield what is wanted with at most `rows` signatures at a time, ordered by (device, stream_id, seq), each once.

    Of two signatures under the same key the one nearer the start of the file is kept. Its label and the name of its
    recording are the last that came without a conflict (see `store`). Raises InputError where nothing matches, or more
    than one encoder does; SinkError for a file that is not ours.
    """
    with _opened(path) as fd:

        @lru_cache(2)  # a message is wanted for its signatures and, most often at once, for its labels
        def read(start: int, end: int) -> SignatureBatch:
            return wire.decode(os.pread(fd, end - start, start), stored=True).signatures

        found = False
        for (device, stream_id), stream in _streams(fd, path, wanted, read).items():
            labelled: list[_Piece] = []
            covered: list[tuple[int, int]] = []
            for piece in reversed(stream.labels):
                _keep(labelled, covered, piece)
            numbers: list[NDArray[np.int64]] = []
            batches: list[SignatureBatch] = []
            for piece in stream.pieces:
                signatures = read(piece.start, piece.end)
                within = _runs(wanted.within(signatures.start_ns[piece.skip : piece.skip + piece.rows]))
                cuts = [(row, min(row + rows, end)) for begin, end in within for row in range(begin, end, rows)]
                for row, end in cuts:
                    first = piece.seq + row
                    batch = signatures[piece.skip + row : piece.skip + end]
                    batch = replace(batch, labels=_labels(read, labelled, first, len(batch)))
                    full = sum(map(len, batches)) + len(batch) > rows
                    if batches and (full or (batch.spec, batch.hop_ns) != (batches[0].spec, batches[0].hop_ns)):
                        yield Stored(device, stream_id, np.concatenate(numbers), concatenate(batches), stream.recording)
                        numbers, batches = [], []
                    numbers.append(np.arange(first, first + len(batch), dtype=np.int64))
                    batches.append(batch)
            if batches:
                found = True
                yield Stored(device, stream_id, np.concatenate(numbers), concatenate(batches), stream.recording)
        if not found:
            # Only copies that differ from what is kept begin when they should.
            raise InputError(f"file:{path}: {wanted.missing([])}")
