"""SignatureBatch to bytes and back: the one message format of every sink.

A message is one CBOR map that carries all that a receiver needs to read it; WIRE_CDDL is its grammar (RFC 8610).

Decoding trusts nothing: before the CBOR library sees a message, a scan admits only the few kinds of item the format
has, each within the bytes present, and no more of them than the largest message has. So no tag can start work of its
own, no length can reserve memory, and a megabyte of tiny items is refused after the first thousands. What a short
message may stand for is bounded by MAX_ROWS. Together: a few ms and a few MB for whatever arrives.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import packing
from motionsig.blocks import SignatureBatch, SignatureSpec, check_label
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, WireError
from motionsig.escaping import forges
from motionsig.quality import Quality
from motionsig.quantization import MOST_DIM, Quantization

VERSION = 1
MAX_MESSAGE_BYTES = 1 << 20  # MAX_ROWS signatures with the longest labels have less
MAX_DEVICE_CHARS = 128
MAX_NAME_CHARS = 256
MAX_ROWS = 1024  # signatures in one message
_MAX_DEPTH = 8
_MAX_ITEMS = 8192  # a run and a label of each signature, and a group of each code, have 3 items and their list each
_MAX_PAIRS = 64  # of a map: a dict of integers that were chosen to collide takes quadratic time
_MOST = tuple({3: 4 * MAX_NAME_CHARS, 5: _MAX_PAIRS}.get(kind, 1 << 64) for kind in range(8))  # by the kind of an item
_RUN_BYTES = 6  # of a run of flags, at most
_TOO_LARGE = 1 << 63  # int64 arithmetic does not overflow with numbers below this

MAGIC = b"\xd9\xd9\xf7"  # the tag 55799 that marks what follows as CBOR (RFC 8949, 3.4.6)
_ARRAY_ROW_MAJOR = 40  # RFC 8746, 3.1.1
_ARRAY_UINT8 = 64  # RFC 8746, 2
_ARRAY_SINT8 = 72  # RFC 8746, 2
_TAGS = {_ARRAY_ROW_MAJOR, _ARRAY_UINT8, _ARRAY_SINT8}

WIRE_CDDL = """\
message = #6.55799({
  0 => 1,                      ; version of this format
  1 => tstr,                   ; device, 1 to 128 characters, no control characters
  2 => uint63,                 ; stream id, of one stream of samples through one encoder
  3 => uint63,                 ; sequence number of the first signature; the others follow
  4 => bstr .size 8,           ; fingerprint of the encoder: compare only signatures with the same one
  5 => [+ group],              ; quantization, in the order of the codes
  6 => uint,                   ; number of motion codes, which come first; the rest are posture codes
  7 => uint63,                 ; ns of motion in one signature
  8 => uint63,                 ; ns between neighbouring signatures of a run
  9 => [+ run],                ; start times
  (10 => codes // 11 => packed),
  ? 12 => flags,               ; of each signature; absent when all are 0
  ? 13 => recording,           ; the recording that was replayed; absent for a live sensor
  ? 14 => [+ labelled],        ; what was done in each window; absent where the recording has no labels
  ? 15 => clock,               ; the clock that gave the start times; absent where they need no correction
})
group = [size: uint, scale: float, zero_point: int]         ; value = (code - zero_point) * scale; int8
run = [count: uint, start_ns: int]                          ; Unix time of the first sample of the run's first window
recording = [name: tstr, start_ns: int]                     ; 1 to 256 characters; Unix time of its first sample
labelled = [count: uint, label: tstr]                       ; number of signatures; at most 128 characters, "" for none
codes = #6.40([[signatures: uint, dim: uint], #6.72(bstr)]) ; int8, row-major
packed = [1, bstr]             ; raw deflate of the codes' differences from one signature to the next, modulo 256,
                               ; all of code 0 first, then all of code 1, and so on
       / [2, bstr .size 4, bstr] ; by trained tables: the first bytes of their file's SHA-256, and what the coder wrote
flags = #6.64(bstr) / [+ [count: uint, uint]]               ; one byte per signature; or, if packed, runs of equal ones
clock = [boot: bstr .size 16, offset_ns: int]               ; one run of the system; Unix time less time since its boot
uint63 = 0..9223372036854775807
"""


COMPRESS = ("no", "deflate", "trained")
"""How codes travel: as they are, deflated, or by the tables trained for their encoder, where this machine has some.

Each of the last two only where it makes the codes smaller."""
_COMPRESS_WORDS = dict.fromkeys(("false", "off", "0"), "no") | dict.fromkeys(("true", "yes", "on", "1"), "deflate")
"""What said it while deflate was the only way."""


class MissingTablesError(WireError):
    """A message may be sound, but was packed by tables that this machine lacks: keep its bytes until it has them.

    device: whose message it says it is.
    """

    def __init__(self, text: str, device: str) -> None:
        super().__init__(text)
        self.device = device


class Recording(NamedTuple):
    """Where signatures of a log come from: its name, and the time of its first sample in Unix ns."""

    name: str
    start_ns: int


class Clock(NamedTuple):
    """The wall clock of a device at some time.

    boot: 16 bytes that name one run of its system, from boot to power-off. offset_ns: Unix time less the time since
    that boot, as the clock showed it. is_set: whether that is known to be right; in a message, no signature then has
    the flag UNSET_CLOCK.
    """

    boot: bytes
    offset_ns: int
    is_set: bool


@dataclass(frozen=True, eq=False)
class Message:
    """Signatures of one device and stream id; `seq` numbers the first, the others follow without a hole.

    recording: which log they come from; None for a live sensor's. clock: what the times were told by, where that is of
    use: the signatures have the flag UNSET_CLOCK, or others of the same boot that were sent before may have it.
    """

    device: str
    stream_id: int
    seq: int
    signatures: SignatureBatch
    recording: Recording | None = None
    clock: Clock | None = None


def check_origin(device: str, stream_id: int, seq: int = 0, *, stored: bool = False) -> None:
    """Raise InputError for a device name, a stream id or a number of a signature that no message could carry.

    stored: it is at rest here already, from a version that took every name.
    """
    if not 1 <= len(device) <= MAX_DEVICE_CHARS:
        raise InputError(f"device: expected a name of 1 to {MAX_DEVICE_CHARS} characters, got {device!r}")
    if not stored and forges(device):
        raise InputError(f"device: expected a name without control characters, got {device!r}")
    if not 0 <= stream_id < _TOO_LARGE:
        raise InputError(f"stream_id: expected an integer from 0 to 2^63 - 1, got {stream_id!r}")
    if not 0 <= seq < _TOO_LARGE:
        raise InputError(f"seq: expected an integer from 0 to 2^63 - 1, got {seq!r}")


def check_recording(recording: Recording | None) -> None:
    """Raise InputError for a name or a start of a recording that no message could carry."""
    if recording is not None and not 1 <= len(recording.name) <= MAX_NAME_CHARS:
        raise InputError(f"recording: expected a name of 1 to {MAX_NAME_CHARS} characters, got {recording.name!r}")
    if recording is not None and not -_TOO_LARGE <= recording.start_ns < _TOO_LARGE:
        raise InputError(f"recording: expected a start in Unix ns of 64 bits, got {recording.start_ns!r}")


def check_compress(compress: str | bool) -> str:
    """Return one of COMPRESS; raise InputError for another word. Yes stands for deflate, as in version 0.1."""
    word = str(compress).lower()
    word = _COMPRESS_WORDS.get(word, word)
    if word not in COMPRESS:
        raise InputError(f"compress: expected one of {', '.join(COMPRESS)}, got {compress!r}")
    return word


def check_clock(clock: Clock | None) -> None:
    """Raise InputError for the name of a boot or an offset that no message could carry."""
    if clock is not None and len(clock.boot) != 16:
        raise InputError(f"clock: expected a boot of 16 bytes, got {len(clock.boot)}")
    if clock is not None and not -_TOO_LARGE <= clock.offset_ns < _TOO_LARGE:
        raise InputError(f"clock: expected an offset in ns of 64 bits, got {clock.offset_ns!r}")


def encode(message: Message, *, compress: str | bool = "no") -> bytes:
    """Return the message's bytes, the same for the same content.

    compress: one of COMPRESS; the bytes of deflate depend on the zlib at hand, those of trained tables do not.
    Raises InputError for what `decode` would refuse: no or too many signatures, a name, label or number out of range.
    """
    import cbor2

    signatures, spec = message.signatures, message.signatures.spec
    count, dim = signatures.codes.shape
    # A spool may hold messages of a version that took every name, and they are to leave it.
    check_origin(message.device, message.stream_id, stored=True)
    check_recording(message.recording)
    check_clock(message.clock)
    if not count:
        raise InputError("message: expected at least one signature, got none")
    if not 0 <= message.seq <= _TOO_LARGE - count:
        raise InputError(f"seq: expected an integer from 0 to 2^63 - 1 for every signature, got {message.seq!r}")
    if not 1 <= dim <= MOST_DIM or not 1 <= signatures.hop_ns < _TOO_LARGE:
        raise InputError(
            f"message: expected 1 to {MOST_DIM} codes per signature and a hop of 1 ns to 2^63 ns, got {dim} and "
            f"{signatures.hop_ns}"
        )
    if count > MAX_ROWS:
        raise InputError(f"message: expected at most {MAX_ROWS} signatures, got {count}")
    breaks = np.flatnonzero(np.diff(signatures.start_ns) != signatures.hop_ns) + 1
    firsts = np.array([0, *breaks])
    runs = np.stack([np.diff(firsts, append=count), signatures.start_ns[firsts]], axis=1)
    fields: dict[int, Any] = {
        0: VERSION,
        1: message.device,
        2: message.stream_id,
        3: message.seq,
        4: spec.fingerprint,
        5: [list(group) for group in spec.quantization.groups],
        6: spec.motion_dim,
        7: spec.length_ns,
        8: signatures.hop_ns,
        9: runs.tolist(),
    }
    codes = signatures.codes.tobytes()
    how = check_compress(compress)
    packed = _packed(signatures, how)
    if packed is not None and len(packed[-1]) < len(codes):
        fields[11] = packed
    else:
        fields[10] = cbor2.CBORTag(_ARRAY_ROW_MAJOR, [[count, dim], cbor2.CBORTag(_ARRAY_SINT8, codes)])
    if signatures.quality.any():
        equal = _flag_runs(signatures.quality)
        shorter = how != "no" and _RUN_BYTES * len(equal) < count
        fields[12] = equal if shorter else cbor2.CBORTag(_ARRAY_UINT8, signatures.quality.tobytes())
    if message.recording is not None:
        fields[13] = list(message.recording)
    if signatures.labels is not None:
        fields[14] = _label_runs(signatures.labels)
    if message.clock is not None:
        fields[15] = [message.clock.boot, message.clock.offset_ns]
    # Canonical: shortest numbers, keys in order, so equal content is equal bytes in every version of the library.
    return MAGIC + cbor2.dumps(fields, canonical=True)


_Unpack = Callable[[packing.Tables, bytes, int], NDArray[np.int8]]
"""From tables, packed codes and how many signatures they are to codes (count, dim)."""


def decode(data: bytes, *, stored: bool = False) -> Message:
    """Return the message in `data`, or raise WireError saying what was expected and what was got.

    stored: take a device name as `check_origin` does. Raises MissingTablesError for a message that was packed by tables
    which this machine lacks.
    """
    fields = _fields(data)
    try:
        return _message(fields, stored, packing.unpack)
    except WireError:
        raise
    except InputError as error:
        raise WireError(f"message: {error}") from error


class Packed(NamedTuple):
    """A message whose codes are still packed: those of `message` stand for nothing yet."""

    message: Message
    tables: packing.Tables
    packed: bytes


def decode_all(messages: Sequence[bytes]) -> list[Message | WireError]:
    """Return what `decode` returns or raises for each message: many at once are unpacked many times as fast."""
    return unpack_all([_begun(data) for data in messages])


def begin(data: bytes) -> Message | Packed:
    """Decode all but what trained tables packed, which `unpack_all` does for many messages at once.

    Raises as `decode` does.
    """
    waiting = list[tuple[packing.Tables, bytes]]()

    def later(tables: packing.Tables, packed: bytes, count: int) -> NDArray[np.int8]:
        waiting.append((tables, packed))
        return np.zeros((count, len(tables.order)), np.int8)

    try:
        message = _message(_fields(data), False, later)
    except WireError:
        raise
    except InputError as error:
        raise WireError(f"message: {error}") from error
    return Packed(message, *waiting[0]) if waiting else message


def _begun(data: bytes) -> Message | Packed | WireError:
    try:
        return begin(data)
    except WireError as error:
        return error


def unpack_all(begun: Sequence[Message | Packed | WireError]) -> list[Message | WireError]:
    """Return the messages, each `Packed` one unpacked or the WireError that it gives, all others as they are."""
    found = [each.message if isinstance(each, Packed) else each for each in begun]
    waiting = defaultdict[packing.Tables, list[int]](list)
    for number, each in enumerate(begun):
        if isinstance(each, Packed):
            waiting[each.tables].append(number)
    for tables, numbers in waiting.items():
        these = [each for each in map(begun.__getitem__, numbers) if isinstance(each, Packed)]
        counts = [len(each.message.signatures) for each in these]
        for number, each, codes in zip(
            numbers, these, packing.unpack_all(tables, [each.packed for each in these], counts), strict=True
        ):
            message = each.message
            found[number] = (
                codes
                if isinstance(codes, WireError)
                else replace(message, signatures=replace(message.signatures, codes=codes))
            )
    return found


def _fields(data: bytes) -> dict[Any, Any]:
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError(f"message: expected at most {MAX_MESSAGE_BYTES} bytes, got {len(data)}")
    if item_end(data) != len(data):
        raise WireError(f"message: expected one item, got {len(data) - item_end(data)} bytes after it")
    import cbor2

    try:
        fields = cbor2.loads(data[len(MAGIC) :])
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError) as error:
        raise WireError(f"message: expected CBOR of this format, got: {error}") from error
    if not isinstance(fields, dict):
        raise WireError(f"message: expected a map, got {type(fields).__name__}")
    # A damaged key may become bytes that have the beginning of the next message in them.
    if other := [key for key in fields if type(key) is not int]:
        raise WireError(f"message: expected integers as keys, got {_shown(other[0])}")
    if type(fields.get(0)) is not int or fields[0] != VERSION:
        raise WireError(f"message: expected format version {VERSION}, got {_shown(fields.get(0))}")
    return fields


def _message(fields: dict[Any, Any], stored: bool, unpack: _Unpack) -> Message:
    device = _field(fields, 1, str)
    stream_id, seq = _field(fields, 2, int), _field(fields, 3, int)
    check_origin(device, stream_id, stored=stored)
    fingerprint = _field(fields, 4, bytes)
    if len(fingerprint) != 8:
        raise WireError(f"message: expected a fingerprint of 8 bytes, got {len(fingerprint)}")
    groups = [_row(row, (int, float, int), "quantization") for row in _field(fields, 5, list)]
    quantization = Quantization(tuple(groups))  # type: ignore[arg-type]
    dim, motion_dim = quantization.dim, _field(fields, 6, int)
    if not 1 <= dim <= MOST_DIM or not 0 <= motion_dim <= dim:
        raise WireError(f"message: expected 1 to {MOST_DIM} codes, motion among them, got {dim} and {motion_dim}")
    length_ns, hop_ns = _field(fields, 7, int), _field(fields, 8, int)
    start_ns = _start_times(_field(fields, 9, list), hop_ns)
    count = len(start_ns)
    if not (0 <= length_ns < _TOO_LARGE and 0 <= seq <= _TOO_LARGE - count):
        raise WireError(f"message: expected length and sequence within 63 bits, got {length_ns} ns and {seq}")
    if 11 in fields:
        codes = _unpacked(fields[11], device, fingerprint, count, dim, unpack)
    else:
        codes = np.frombuffer(_codes(fields, count, dim), np.int8).reshape(count, dim)
    quality = _flags(fields[12], count) if 12 in fields else np.zeros(count, np.uint8)
    recording = Recording(*_row(fields[13], (str, int), "a recording")) if 13 in fields else None
    check_recording(recording)
    labels = _labels(_field(fields, 14, list), count) if 14 in fields else None
    spec = SignatureSpec(fingerprint, quantization, motion_dim, length_ns)
    clock = None
    if 15 in fields:
        boot, offset_ns = _row(fields[15], (bytes, int), "a clock")
        clock = Clock(boot, offset_ns, is_set=not (quality & Quality.UNSET_CLOCK).any())
        check_clock(clock)
    signatures = SignatureBatch(start_ns, codes, quality, hop_ns, spec, labels)
    return Message(device, stream_id, seq, signatures, recording, clock)


def _shown(value: Any) -> str:
    """Return a value for an error. What has a length may be a megabyte, whose repr has four: its type must do."""
    return repr(value)[:80] if value is None or isinstance(value, int | float | str) else type(value).__name__


def _field(fields: dict[Any, Any], key: int, kind: type) -> Any:
    value = fields.get(key)
    if type(value) is not kind:
        raise WireError(f"message: expected {kind.__name__} under key {key}, got {type(value).__name__}")
    return value


def _row(row: Any, kinds: tuple[type, ...], name: str) -> tuple[Any, ...]:
    if type(row) is not list or tuple(map(type, row)) != kinds:
        got = ", ".join(map(_shown, row[:4])) if type(row) is list else _shown(row)
        raise WireError(f"message: expected {name} of {', '.join(kind.__name__ for kind in kinds)}, got {got}")
    return tuple(row)


def _start_times(rows: list[Any], hop_ns: int) -> NDArray[np.int64]:
    runs = [_row(row, (int, int), "runs") for row in rows]
    if not runs or any(count < 1 for count, _ in runs) or sum(count for count, _ in runs) > MAX_ROWS:
        raise WireError(f"message: expected runs of 1 to {MAX_ROWS} signatures altogether, got {len(runs)} runs")
    outside = (not -_TOO_LARGE <= start < _TOO_LARGE - count * hop_ns for count, start in runs)
    if not 1 <= hop_ns < _TOO_LARGE or any(outside):
        raise WireError("message: expected a hop above 0 and times within 64 bits")
    return np.concatenate([start + np.arange(count, dtype=np.int64) * hop_ns for count, start in runs])


def _codes(fields: dict[Any, Any], count: int, dim: int) -> bytes:
    tag = fields.get(10)
    content = getattr(tag, "value", None)
    # A tuple in some versions of the library: it hands out tags' content immutable.
    if getattr(tag, "tag", None) != _ARRAY_ROW_MAJOR or not isinstance(content, list | tuple) or len(content) != 2:
        raise WireError("message: expected codes as an RFC 8746 row-major array under key 10")
    if not isinstance(content[0], list | tuple) or list(content[0]) != [count, dim]:
        raise WireError(f"message: expected codes of shape {[count, dim]}, got {_shown(content[0])}")
    return _array(content[1], _ARRAY_SINT8, count * dim)


def _array(tag: Any, number: int, size: int) -> bytes:
    content = getattr(tag, "value", None)
    if getattr(tag, "tag", None) != number or type(content) is not bytes or len(content) != size:
        raise WireError(f"message: expected an RFC 8746 array with tag {number} of {size} bytes")
    return content


def _flag_runs(quality: NDArray[np.uint8]) -> list[list[int]]:
    return [[len(list(same)), flags] for flags, same in itertools.groupby(quality.tolist())]


def _flags(content: Any, count: int) -> NDArray[np.uint8]:
    if type(content) is not list:
        return np.frombuffer(_array(content, _ARRAY_UINT8, count), np.uint8)
    runs = [_row(row, (int, int), "flags") for row in content]
    if any(rows < 1 or not 0 <= flags <= 255 for rows, flags in runs) or sum(rows for rows, _ in runs) != count:
        raise WireError(f"message: expected flags from 0 to 255 of {count} signatures, got {_shown(content)}")
    return np.repeat(np.array([flags for _, flags in runs], np.uint8), [rows for rows, _ in runs])


def _label_runs(labels: NDArray[np.str_]) -> list[list[Any]]:
    runs = [[len(list(same)), label] for label, same in itertools.groupby(labels.tolist())]
    _check_labels([label for _, label in runs])
    return runs


def _labels(rows: list[Any], count: int) -> NDArray[np.str_]:
    runs = [_row(row, (int, str), "labels") for row in rows]
    counts, labels = [it for it, _ in runs], [label for _, label in runs]
    if any(it < 1 for it in counts) or sum(counts) != count:
        raise WireError(f"message: expected labels of {count} signatures")
    _check_labels(labels)
    return np.repeat(np.array(labels, np.str_), counts)


def _check_labels(labels: list[str]) -> None:
    for label in labels:
        check_label(label, "label")


def _packed(signatures: SignatureBatch, compress: str) -> list[Any] | None:
    """Return what key 11 holds, None where nothing is packed."""
    if compress == "no":
        return None
    deflated: list[Any] = [1, _deflated(signatures.codes)]
    tables = packing.find_tables(signatures.spec.fingerprint) if compress == "trained" else None
    if tables is None or len(signatures) > packing.MAX_ROWS:
        return deflated
    # Codes that hardly ever change, as of a sensor that is stuck, are unlike those of the training.
    trained: list[Any] = [2, tables.name, packing.pack(tables, signatures.codes)]
    return min(trained, deflated, key=lambda row: len(b"".join(row[1:])))


def _unpacked(
    row: Any,
    device: str,
    fingerprint: bytes,
    count: int,
    dim: int,
    unpack: _Unpack,
) -> NDArray[np.int8]:
    """Return the codes (count, dim) of what key 11 holds."""
    method = row[0] if type(row) is list and row and type(row[0]) is int else None
    if method == 1:
        return _inflated(_row(row, (int, bytes), "packed codes")[1], count, dim)
    if method != 2:
        raise WireError(f"message: expected packing method 1 or 2, got {_shown(row)}")
    _, name, packed = _row(row, (int, bytes, bytes), "packed codes")
    tables = packing.find_tables(fingerprint, name)
    if tables is None:
        raise MissingTablesError(
            f"message: expected tables for packing that this machine has, got {name.hex()} for encoder "
            f"{fingerprint.hex()}: install the model that has them, or a later motionsig",
            device,
        )
    if len(tables.order) != dim:
        raise WireError(f"message: expected {len(tables.order)} codes a signature of this encoder, got {dim}")
    return unpack(tables, packed, count)


def _deflated(codes: NDArray[np.int8]) -> bytes:
    rows = codes.view(np.uint8)
    differences = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(differences.T.tobytes()) + deflate.flush()


def _inflated(packed: bytes, count: int, dim: int) -> NDArray[np.int8]:
    inflate = zlib.decompressobj(-15)
    try:
        # One byte more than wanted shows too long a stream without inflating the rest of it.
        raw = inflate.decompress(packed, count * dim + 1)
    except zlib.error as error:
        raise WireError(f"message: expected deflated codes, got: {error}") from error
    if len(raw) != count * dim:
        raise WireError(f"message: expected {count * dim} packed codes, got {len(raw)} or more")
    differences = np.frombuffer(raw, np.uint8).reshape(dim, count)
    return np.cumsum(differences, axis=1, dtype=np.uint8).T.copy().view(np.int8)


def item_end(data: bytes) -> int:
    """Return where the first item of `data` ends; raise WireError if it is cut short or of a kind no message has."""
    if not data.startswith(MAGIC):
        raise WireError(f"message: expected to begin with {MAGIC.hex()}, got {data[: len(MAGIC)].hex() or 'nothing'}")
    position, end = len(MAGIC), len(data)
    open_items = [1]  # how many items are still to come, in each container around this place
    for _ in range(_MAX_ITEMS + 1):
        while not open_items[-1]:
            open_items.pop()
            if not open_items:
                if position > end:
                    raise WireError(f"message: expected {position} bytes, got {end}: it is cut short")
                return position
        open_items[-1] -= 1
        if position >= end:
            raise WireError(f"message: expected more after {end} bytes: it is cut short")
        first = position
        kind, info = data[first] >> 5, data[first] & 31
        position += 1
        value, size = info, 0
        if 24 <= info <= 27:
            size = 1 << (info - 24)
            value = int.from_bytes(data[position : position + size], "big")
            position += size
        # Most items are integers, of which nothing more is to be seen.
        if kind < 2 and info <= 27:
            continue
        if kind == 4 or kind == 5:
            open_items.append(value * (kind - 3))
        elif kind == 6:
            open_items.append(1)
        elif kind < 4:
            position += value
        indefinite = info > 27
        unknown = (kind == 6 and value not in _TAGS) or (kind == 7 and size < 2)
        too_many = open_items[-1] > end or len(open_items) > _MAX_DEPTH
        if indefinite or unknown or value > _MOST[kind] or too_many:
            raise WireError(f"message: expected no such item as 0x{data[first]:02x} at byte {first}")
    raise WireError(f"message: expected at most {_MAX_ITEMS} items, got more")


def to_json(message: Message) -> str:
    """Return the message as JSON for people, without spaces: names for keys, ISO times in UTC, codes as numbers."""
    signatures, spec = message.signatures, message.signatures.spec
    rows = zip(signatures.start_ns.tolist(), signatures.quality.tolist(), signatures.codes.tolist(), strict=True)
    listed = []
    for seq, (start_ns, quality, codes) in enumerate(rows, message.seq):
        flags = [flag.name for flag in Quality if flag & quality]
        label = {} if signatures.labels is None else {"label": str(signatures.labels[seq - message.seq])}
        listed.append({"seq": seq, "start": iso_time(start_ns), **label, "quality": flags, "codes": codes})
    recording = message.recording and {"name": message.recording.name, "start": iso_time(message.recording.start_ns)}
    content = {
        "version": VERSION,
        "device": message.device,
        "stream_id": message.stream_id,
        **({"recording": recording} if recording else {}),
        "fingerprint": spec.fingerprint.hex(),
        "quantization": [group._asdict() for group in spec.quantization.groups],
        "motion_dim": spec.motion_dim,
        "length_s": spec.length_ns / NS_PER_S,
        "hop_s": signatures.hop_ns / NS_PER_S,
        **({"clock": clock_to_json(message.clock)} if message.clock else {}),
        "signatures": listed,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def clock_to_json(clock: Clock) -> dict[str, Any]:
    """Return a clock as JSON holds it, in messages and in events."""
    return {"boot": clock.boot.hex(), "offset_ns": clock.offset_ns}


def iso_time(time_ns: int) -> str:
    """Return Unix nanoseconds as ISO 8601 in UTC, to the nanosecond."""
    seconds, rest = divmod(time_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
