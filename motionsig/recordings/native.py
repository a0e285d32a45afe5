"""motionsig's own log: what a device records, sample for sample.

The container is a CBOR sequence (RFC 8742): any CBOR tool lists it, and writing only ever appends. (SQLite, Parquet and
HDF5 write each byte twice or cannot be read after a kill.) The first item is a header, a map with text keys embedded as
tag 24, and the second its crc32. Each further item is a record of at most a nominal second, written by one write(2):

    [start_ns, duration_ns, samples, crc32]                        plain: evenly spaced, int16, nothing lost before
    [start_ns, duration_ns, gap, jitter, samples, crc32]           anything else

`samples` is n x 6 row-major: a byte string of little-endian int16 counts (times the header's scale: SI units), or,
under tag 85 (RFC 8746), little-endian float32 where counts would not give the very same numbers. Sample i was taken at
start + (i * duration + (n - 1) // 2) // (n - 1), plus jitter[i]: deflated differences of int64, empty for none. Where
the samples have a label, its UTF-8 follows the end of the deflate stream in the same byte string: a motionsig that
knows no labels reads all but the label. Each record has its own label, so damage to one takes nothing from the next.
crc32 (zlib's) is over the record's bytes before it. Numbers have a fixed width, so that equal records have equal sizes
and the reader takes a run of them at once. A torn or damaged record is passed over; what follows it comes after a gap.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shlex
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, SourceInfo, check_label
from motionsig.closing import Closing
from motionsig.conventions import CHANNELS, MAX_LABEL_CHARS
from motionsig.endings import require_ending
from motionsig.errors import RecordingError
from motionsig.escaping import own_logger
from motionsig.files import sync_folder, write_all
from motionsig.options import renamed_keywords
from motionsig.recordings.labels import refuse_choice
from motionsig.recordings.members import single
from motionsig.recordings.samples import Reader

FORMAT = "motionsig-log"
VERSION = 1
_MAGIC = b"\xd9\xd9\xf7\xd8\x18\x59"  # tag 55799: this is CBOR; tag 24: embedded CBOR, a byte string of 16-bit length
_ROW = 2 * len(CHANNELS)
_PLAIN = struct.Struct(">BBQBIBH")
_PLAIN_HEADS = (0x84, 0x1B, 0x1A, 0x59)  # array of 4, uint64, uint32, byte string of 16-bit length
_FULL = struct.Struct(">BBQBQBBI")
_FALSE, _TRUE, _BYTES32 = 0xF4, 0xF5, 0x5A
_COUNTS_HEAD, _FLOATS_HEAD = b"\x5a", b"\xd8\x55\x5a"
_CRC = struct.Struct(">BI")
_RECORD_START = re.compile(rb"\x84\x1b|\x86[\x1b\x3b]")
_MOST_ROWS = 0xFFFF // _ROW
_MOST_BYTES = 1 << 20  # no record is longer; a length above it is damage
_READ_BYTES = 1 << 20
_BLOCK_ROWS = 4096
_SYNC_S = 10.0

log = own_logger(__name__)


def require_log_name(path: Path, *, where: str = "") -> None:
    """Raise InputError, which begins with `where`, for a log's name that ends as another format."""
    log_name = path.with_suffix("") if path.stem.lower().endswith(".msig") else path.with_suffix(".msig")
    instead = f"write {shlex.quote(str(log_name))}; motionsig convert makes .csv, .parquet and .mcap of it"
    require_ending(path, (".msig",), where=where, instead=instead)


def _times(start_ns: NDArray[np.int64], duration_ns: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return (records, count) times, evenly spaced over each duration."""
    steps = max(count - 1, 1)
    # A steady clock has few durations, and dividing once for each is much cheaper than once for each sample.
    durations, which = np.unique(duration_ns, return_inverse=True)
    offsets = (np.arange(count, dtype=np.int64) * durations[:, None] + steps // 2) // steps
    return start_ns[:, None] + offsets[which.reshape(-1)]


class Recorder(Closing):
    """Writes SampleBlocks to a new log, which `open_recording` reads. A context manager.

    >>> with motionsig.Recorder("walk.msig", rate_hz=100, stream_id=1) as recorder:
    ...     recorder.write(motionsig.sample_block(np.arange(1000) * 10_000_000, data))
    >>> with motionsig.open_recording("walk.msig") as source:
    ...     print(sum(len(block) for block in source))
    1000

    A kill loses at most the last second of samples, a power cut at most the last 10 s.

    * `rate_hz`: nominal, in samples per second. `stream_id`: names the stream of samples, as in `SourceInfo`.
    * `scale`: (6,), SI units per int16 count of the sensor, where every sample is a whole number of counts: then a
      sample takes 12 bytes in place of 24. `device`: who recorded it.
    """

    @renamed_keywords(epoch="stream_id")
    def __init__(
        self,
        path: str | Path,
        *,
        rate_hz: float,
        stream_id: int,
        scale: tuple[float, ...] | None = None,
        device: str | None = None,
    ) -> None:
        """Raise RecordingError if `path` exists or cannot be written, InputError if it ends as another format."""
        import cbor2

        self.path = Path(path)
        require_log_name(self.path)
        self._scale = None if scale is None else np.array(scale, np.float32)
        self._rows = min(max(int(rate_hz), 1), _MOST_ROWS)
        self._waiting = _none()
        self._gap = False
        self._synced = time.monotonic()
        header = {
            FORMAT: VERSION,
            "device": device,
            "epoch": stream_id,  # its name when the format was made
            "rate_hz": float(rate_hz),
            "channels": list(CHANNELS),
            "units": ["m/s^2"] * 3 + ["rad/s"] * 3,
            "scale": None if self._scale is None else self._scale.tolist(),
        }
        try:
            # Samples say more of a person than signatures: only the owner may read them.
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._file = open(fd, "wb", buffering=0)  # noqa: SIM115  (open until close)
        except OSError as error:
            raise RecordingError(f"{self.path}: expected to create a new recording, got: {error.strerror}") from error
        text = cbor2.dumps(header)
        head = _MAGIC + struct.pack(">H", len(text)) + text
        try:
            self._append(head + _CRC.pack(0x1A, zlib.crc32(head)))
        except RecordingError:
            self._file.close()
            self.path.unlink()
            raise
        with contextlib.suppress(OSError):  # a network's file system may not be able to
            sync_folder(self.path.parent)

    def __repr__(self) -> str:
        return f"Recorder({self.path.name[:64]!r}, {'closed' if self._file.closed else 'open'})"

    def write(self, block: SampleBlock) -> None:
        """Take the next samples.

        Raises RecordingError for a label that no log can hold, and if the file cannot grow. What was written stays
        whole. `block` is lost, together with at most a second of samples that waited, and the next block is marked as
        after a gap.
        """
        check_label(block.label, str(self.path), RecordingError)
        waiting = self._waiting
        both = len(waiting) and len(block)
        if block.gap or (both and (block.time_ns[0] <= waiting.time_ns[-1] or block.label != waiting.label)):
            self._flush(len(waiting))
            self._gap |= block.gap
            waiting = self._waiting
        self._waiting = SampleBlock(
            np.concatenate([waiting.time_ns, block.time_ns]),
            np.concatenate([waiting.data, block.data]),
            label=block.label if len(block) else waiting.label,
        )
        while len(self._waiting) >= self._rows:
            self._flush(self._rows)
        if time.monotonic() - self._synced > _SYNC_S:
            os.fdatasync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        """Write the samples that wait, sync and close; closing again is harmless."""
        if self._file.closed:
            return
        try:
            self._flush(len(self._waiting))
            os.fdatasync(self._file.fileno())
        finally:
            self._file.close()

    def _flush(self, count: int) -> None:
        if not count:
            return
        waiting, self._waiting = self._waiting, _none()
        record = self._record(waiting.time_ns[:count], waiting.data[:count], waiting.label)
        self._gap = True
        self._append(record)
        self._gap = False
        self._waiting = SampleBlock(waiting.time_ns[count:], waiting.data[count:], label=waiting.label)

    def _record(self, time_ns: NDArray[np.int64], data: NDArray[np.float32], label: str) -> bytes:
        start, duration = int(time_ns[0]), int(time_ns[-1] - time_ns[0])
        jitter = time_ns - _times(time_ns[:1], time_ns[-1:] - time_ns[:1], len(time_ns))[0]
        counts = self._counts(data)
        plain = start >= 0 and duration < 1 << 32 and not (self._gap or label or jitter.any())
        if counts is not None and plain:
            array, integer, short, text = _PLAIN_HEADS
            body = _PLAIN.pack(array, integer, start, short, duration, text, len(counts)) + counts
        else:
            packed = b""
            if label or jitter.any():
                packed = zlib.compress(np.diff(jitter, prepend=0).astype("<i8").tobytes()) + label.encode()
            integer, magnitude = (0x1B, start) if start >= 0 else (0x3B, -1 - start)
            gap = _TRUE if self._gap else _FALSE
            body = _FULL.pack(0x86, integer, magnitude, 0x1B, duration, gap, _BYTES32, len(packed)) + packed
            samples = data.astype("<f4").tobytes() if counts is None else counts
            body += (_FLOATS_HEAD if counts is None else _COUNTS_HEAD) + struct.pack(">I", len(samples)) + samples
        return body + _CRC.pack(0x1A, zlib.crc32(body))

    def _counts(self, data: NDArray[np.float32]) -> bytes | None:
        """Return int16 counts (n, 6) that give back `data` to the last bit, or None if there are none."""
        if self._scale is None or not np.isfinite(data).all():
            return None
        counts = np.rint(data / self._scale)
        if np.abs(counts).max() > 32767 or (counts * self._scale != data).any():
            return None
        return bytes(counts.astype("<i2").tobytes())

    def _append(self, record: bytes) -> None:
        end = self._file.tell()
        try:
            write_all(self._file.fileno(), record)
        except OSError as error:
            # Half a record would be read as damage; what was whole before stays whole.
            with contextlib.suppress(OSError):
                self._file.truncate(end)
                self._file.seek(end)
            size, why = len(record), error.strerror
            raise RecordingError(f"{self.path}: expected free space for {size} bytes, got: {why}") from error


_Taken = tuple[SampleBlock, int] | tuple[()] | None
"""The samples of records and their end; () if no record is there, None if it is still cut short."""


class Recording(Closing):
    """A native log as a Source; `damaged_bytes` counts what the last pass over it had to skip."""

    def __init__(self, path: Path, *, label: str | None = None) -> None:
        """Read the header alone; raise RecordingError if it is not one of this version. label: "none" leaves it out."""
        import cbor2

        refuse_choice(label, str(path), "this log has one label for each sample, not columns")
        self.path = path
        self._file = single(path)
        self._labelled = label is None
        self.damaged_bytes = 0
        with self._file.open() as file:
            start = file.read(len(_MAGIC) + 2)
            text = file.read(int.from_bytes(start[len(_MAGIC) :], "big"))
            checksum = file.read(_CRC.size)
        self._first_record = len(start) + len(text) + len(checksum)
        if checksum != _CRC.pack(0x1A, zlib.crc32(start + text)):
            raise RecordingError(f"{path}: expected a header of {FORMAT} that is whole, got a damaged one")
        try:
            header = cbor2.loads(text)
            scale = header["scale"]
            version, self.rate_hz = header[FORMAT], float(header["rate_hz"])
            self._scale = None if scale is None else np.array(scale, np.float32).reshape(len(CHANNELS))
            stream_id, device = int(header["epoch"]), header["device"]
            if not isinstance(device, str | None):
                raise TypeError(f"device {device!r}")
        except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise RecordingError(f"{path}: expected a header of {FORMAT}, got one without: {error!r}") from error
        if version != VERSION or not 0 < self.rate_hz < math.inf:
            raise RecordingError(
                f"{path}: expected {FORMAT} version {VERSION} with a rate above 0, got version {version!r} and "
                f"{self.rate_hz} Hz; a newer log needs a newer motionsig"
            )
        per_row = _ROW * (1 if scale else 2) + (_PLAIN.size + _CRC.size) / max(int(self.rate_hz), 1)
        about = None
        if self._file.packed is None:
            about = max(0, round((path.stat().st_size - self._first_record) / per_row))
        self.info = SourceInfo(path.name, FORMAT, stream_id, about, None if scale is None else tuple(scale), device)

    def __repr__(self) -> str:
        return f"Recording({self.rate_hz:g} Hz, {self.info!r})"

    def __iter__(self) -> Iterator[SampleBlock]:
        """Yield the samples in order, some thousand at a time: a block for each record would be slow further on."""
        self.damaged_bytes = 0
        lost = False
        held: list[SampleBlock] = []
        with self._file.open() as file:
            file.read(self._first_record)  # what is unpacked cannot seek
            buffer, position, more = b"", 0, True
            while more or position < len(buffer):
                plain = buffer.startswith(b"\x84", position)
                found = self._take_plain(buffer, position) if plain else self._take_full(buffer, position)
                if found:
                    block, position = found
                    if held and not _continues(held, block):
                        yield _joined(held)
                        held = []
                    held.append(replace(block, gap=block.gap or lost))
                    lost = False
                elif found is None and more:
                    got = file.read(_READ_BYTES)
                    buffer, position, more = buffer[position:] + got, 0, bool(got)
                else:
                    if held:
                        yield _joined(held)
                        held = []
                    following = _RECORD_START.search(buffer, position + 1)
                    # Without one, the last byte may be the first of the next record's two.
                    end = following.start() if following else max(position + 1, len(buffer) - more)
                    self.damaged_bytes += end - position
                    position, lost = end, True
        if held:
            yield _joined(held)
        if self.damaged_bytes:
            log.warning("%s: passed over %d bytes of torn or damaged records", self.path, self.damaged_bytes)

    def _take_plain(self, buffer: bytes, position: int) -> _Taken:
        """Take as many records as follow each other with the same number of samples."""
        if len(buffer) - position < _PLAIN.size:
            return None
        *heads, size = (_PLAIN.unpack_from(buffer, position)[i] for i in (0, 1, 3, 5, 6))
        count = size // _ROW
        if tuple(heads) != _PLAIN_HEADS or not count or size % _ROW or self._scale is None:
            return ()
        kind = np.dtype(f">u2, >u8, u1, >u4, u1, >u2, ({count}, {len(CHANNELS)})<i2, u1, >u4")
        kind.names = ("head", "start", "short", "duration", "text", "size", "counts", "tail", "crc")
        fit = min((len(buffer) - position) // kind.itemsize, max(_BLOCK_ROWS // count, 1))
        if not fit:
            return None
        records = np.frombuffer(buffer, kind, fit, position)
        same = (records["head"] == records["head"][0]) & (records["short"] == heads[2]) & (records["text"] == heads[3])
        same &= (records["size"] == size) & (records["start"] < 1 << 63)
        view = memoryview(buffer)[position:]
        starts = range(0, fit * kind.itemsize, kind.itemsize)
        body = kind.itemsize - _CRC.size
        same &= records["crc"] == [zlib.crc32(view[start : start + body]) for start in starts]
        good = fit if same.all() else int(np.argmin(same))
        if not good:
            return ()
        records = records[:good]
        times = _times(records["start"].astype(np.int64), records["duration"].astype(np.int64), count).ravel()
        # A record that starts before the last one ended is a step back in time: it begins a block of its own.
        back = np.flatnonzero(times[count::count] <= times[count - 1 : -1 : count])
        if len(back):
            good = int(back[0]) + 1
        data = records["counts"][:good].reshape(-1, len(CHANNELS)).astype(np.float32) * self._scale
        return SampleBlock(times[: good * count], data), position + good * kind.itemsize

    def _take_full(self, buffer: bytes, position: int) -> _Taken:
        if len(buffer) - position < _FULL.size:
            return None
        array, sign, magnitude, integer, duration, gap, text, size = _FULL.unpack_from(buffer, position)
        if (array, integer, text) != (0x86, 0x1B, _BYTES32) or sign not in (0x1B, 0x3B) or gap not in (_FALSE, _TRUE):
            return ()
        if size > _MOST_BYTES or duration >= 1 << 63 or magnitude >= 1 << 63:
            return ()
        after_jitter = position + _FULL.size + size
        floats = buffer[after_jitter : after_jitter + 1] == _FLOATS_HEAD[:1]
        head = _FLOATS_HEAD if floats else _COUNTS_HEAD
        first = after_jitter + len(head) + 4
        if len(buffer) < first:
            return None
        length = int.from_bytes(buffer[first - 4 : first], "big")
        end = first + length + _CRC.size
        row = 2 * _ROW if floats else _ROW
        if not buffer.startswith(head, after_jitter) or not 0 < length < _MOST_BYTES or length % row:
            return ()
        if len(buffer) < end:
            return None
        if _CRC.pack(0x1A, zlib.crc32(buffer[position : end - _CRC.size])) != buffer[end - _CRC.size : end]:
            return ()
        count = length // row
        data: NDArray[Any] = np.frombuffer(buffer, "<f4" if floats else "<i2", count * len(CHANNELS), first)
        data = data.reshape(count, len(CHANNELS)).astype(np.float32)
        if not floats:
            if self._scale is None:
                return ()
            data = data * self._scale
        start = magnitude if sign == 0x1B else -1 - magnitude
        times, label = _times(np.array([start], np.int64), np.array([duration], np.int64), count)[0], ""
        if size:
            stream = zlib.decompressobj()
            try:
                # One byte more than wanted shows a stream that is too long without inflating the rest of it.
                jitter = stream.decompress(buffer[position + _FULL.size : after_jitter], 8 * count + 1)
                found = stream.unused_data.decode()
            except (zlib.error, UnicodeDecodeError):
                return ()
            if len(jitter) != 8 * count or len(found) > MAX_LABEL_CHARS:
                return ()
            label = found if self._labelled else ""
            times = times + np.cumsum(np.frombuffer(jitter, "<i8"))
        return SampleBlock(times, data, gap == _TRUE, label=label), end


def _continues(held: list[SampleBlock], block: SampleBlock) -> bool:
    """Return whether `block` can go into one block with those that are held."""
    last = held[-1]
    many = sum(map(len, held)) + len(block) > _BLOCK_ROWS
    return not (block.gap or many or block.label != last.label or block.time_ns[0] <= last.time_ns[-1])


def _joined(held: list[SampleBlock]) -> SampleBlock:
    times, data = (np.concatenate(list(it)) for it in zip(*((it.time_ns, it.data) for it in held), strict=True))
    return SampleBlock(times, data, held[0].gap, label=held[0].label)


def _none() -> SampleBlock:
    return SampleBlock(np.empty(0, np.int64), np.empty((0, len(CHANNELS)), np.float32))


READER = Reader(FORMAT, lambda _, head: 3 * (head.startswith(_MAGIC) and FORMAT.encode() in head[:64]), Recording)
