"""ActiGraph's .gt3x: of the few devices whose gyroscope was recorded (GT9X Link), a zip with a log of records.

A record has a separator, a kind, a time in whole seconds, a size and a checksum. One kind describes the columns of the
sensors, another holds a second of them. Most logs have acceleration alone, in records of other kinds. A record that is
damaged is left out. Format: ActiGraph's GT3X-File-Format. No log with a gyroscope was at hand to try this on: what is
read rests on that description, and on records made after it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import RecordingError
from motionsig.facts import Fact
from motionsig.recordings.formats.arrays import Part, table
from motionsig.recordings.members import Member, members
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

_LOG, _OLD_LOG, _INFO = "log.bin", "activity.bin", "info.txt"
_HEADER = struct.Struct("<BBIH")
_SEPARATOR, _SCHEMA, _DATA = 0x1E, 24, 25
_READ_BYTES = 1 << 20
_MOST_SEARCHES = 4096
_RECORDS_AT_ONCE = 512
_COLUMN_BYTES, _FIRST_COLUMN, _SAMPLES_AT = 23, 6, 2
_CHANNELS = {
    **{f"accelerometer{axis}": f"acc_{axis} [g]" for axis in "xyz"},
    **{f"gyroscope{axis}": f"gyr_{axis} [deg/s]" for axis in "xyz"},
}


class _Schema(NamedTuple):
    """The columns of one kind of sensor record: a sample's type, by a channel's name its field and its divisor."""

    samples: int
    dtype: np.dtype[Any]
    channels: Mapping[str, tuple[str, float]]


def tables(path: Path) -> tuple[Table, ...]:
    """Return the one Table of a log with a gyroscope; raise RecordingError for one without, or for damage."""
    log, info = _members(path)
    device = info.get("Device Type", "ActiGraph")
    schema, number = None, 0
    for kind, _, payload in () if log is None else _records(log):
        if kind == _SCHEMA and (found := _schema(payload)) and found.channels.keys() >= set(_CHANNELS.values()):
            schema, number = found, int.from_bytes(payload[:2], "little")
            break
    if log is None or schema is None:
        raise RecordingError(
            f"{path}: expected acceleration and angular rate, got acceleration alone: in this {device} no gyroscope "
            "was recorded (a GT9X Link records it where its IMU is switched on)"
        )
    offset_ns, zone = _zone(info)
    known, known_log = schema, log

    def parts(wanted: Collection[int]) -> Iterator[Part]:
        seconds = ((at, it[2:]) for kind, at, it in _records(known_log) if kind == _DATA and _id(it) == number)
        last = None
        while some := list(islice(seconds, _RECORDS_AT_ONCE)):
            for size, same in groupby(some, key=lambda it: len(it[1])):
                if size != known.samples * known.dtype.itemsize:
                    continue
                kept = list(same)
                yield _part(kept, known, last, offset_ns, wanted)
                last = kept[-1][0]

    facts = (
        Fact("device", f"ActiGraph {device} {info.get('Serial Number', '')}".strip(), "written"),
        Fact("units", "g and deg/s, by the scales in the log", "written"),
        Fact("nominal rate", f"{known.samples} Hz", "written"),
        zone,
    )
    return (table("", str(path), ("time", *_CHANNELS.values()), parts, facts=facts),)


def _part(
    records: list[tuple[int, bytes]], schema: _Schema, last: int | None, offset_ns: int, wanted: Collection[int]
) -> Part:
    starts = np.array([at for at, _ in records], np.int64)
    rows = np.frombuffer(b"".join(payload for _, payload in records), schema.dtype)
    columns: dict[int, NDArray[Any]] = {}
    if 0 in wanted:
        inside = np.rint(np.arange(schema.samples) * (NS_PER_S / schema.samples)).astype(np.int64)
        columns[0] = ((starts * NS_PER_S - offset_ns)[:, None] + inside).ravel().astype("M8[ns]")
    for number, channel in enumerate(_CHANNELS.values(), start=1):
        if number in wanted:
            field, divisor = schema.channels[channel]
            columns[number] = rows[field] / divisor
    later = np.diff(starts, prepend=starts[0] - 1 if last is None else last) != 1
    return Part(columns, tuple((np.flatnonzero(later) * schema.samples).tolist()))


def _members(path: Path) -> tuple[Member | None, dict[str, str]]:
    """Return the log of records, None where there is an older device's, and what is written of the device."""
    inside = {it.name: it for it in members(path)}
    if _INFO not in inside:
        raise RecordingError(f"{path}: expected {_INFO} beside the log of an ActiGraph, got none")
    lines = inside[_INFO].head().decode("utf-8", errors="replace").splitlines()
    return inside.get(_LOG), {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _zone(info: Mapping[str, str]) -> tuple[int, Fact]:
    """Return what the device's local times are ahead of UTC, in ns, and how that is known."""
    found = re.fullmatch(r"(-?)(\d\d?):(\d\d):(\d\d)", info.get("TimeZone", ""))
    if found is None:
        return 0, Fact("zone", "the log has the time of the device's clock without a zone: read as UTC", "assumed")
    hours, minutes, seconds = (int(it) for it in found.groups()[1:])
    ahead_s = ((hours * 60 + minutes) * 60 + seconds) * (-1 if found[1] else 1)
    return ahead_s * NS_PER_S, Fact("zone", info["TimeZone"], "written")


def _id(payload: bytes) -> int:
    return int.from_bytes(payload[:2], "little")


def _schema(payload: bytes) -> _Schema | None:
    """Return the columns that a record describes; None where it is cut short, or has columns of half bytes."""
    _, width, samples = struct.unpack_from("<HHH", payload) if len(payload) >= _FIRST_COLUMN else (0, 0, 0)
    if not 1 <= samples <= 1000 or not 1 <= width <= 32 or len(payload) < _FIRST_COLUMN + width * _COLUMN_BYTES:
        return None
    fields: list[tuple[str, str]] = []
    channels = {}
    for at in range(width):
        flags, _, bits, scale, label = struct.unpack_from("<BBBI16s", payload, _FIRST_COLUMN + at * _COLUMN_BYTES)
        if bits not in (8, 16):
            return None
        fields.append((str(at), f"{'>' if flags & 1 else '<'}{'i' if flags & 2 else 'u'}{bits // 8}"))
        plain = re.sub(rb"[^a-z]", b"", label.lower()).decode()
        divisor = _decoded(scale)
        if plain in _CHANNELS and divisor > 0:
            channels[_CHANNELS[plain]] = (str(at), divisor)
    return _Schema(samples, np.dtype(fields), channels)


def _decoded(scale: int) -> float:
    """Return a number as the sensors encode it: 24 bits of a fraction below 8 bits of an exponent, both signed."""
    fraction, exponent = scale & 0xFFFFFF, scale >> 24
    fraction -= (fraction >= 1 << 23) << 24
    exponent -= (exponent >= 1 << 7) << 8
    return fraction / (1 << 23) * 2.0**exponent


def _records(log: Member) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, time in s and content of all records whose checksum is right."""
    with log.open() as file:
        buffer, at, more, searches = b"", 0, True, 0
        while True:
            if more and len(buffer) - at < 2 * (_HEADER.size + (1 << 16)):
                got = file.read(_READ_BYTES)
                buffer, at, more = buffer[at:] + got, 0, bool(got)
            if len(buffer) - at <= _HEADER.size:
                return
            separator, kind, time_s, size = _HEADER.unpack_from(buffer, at)
            end = at + _HEADER.size + size + 1
            whole = (
                np.frombuffer(buffer, np.uint8, end - at, at) if separator == _SEPARATOR and end <= len(buffer) else ()
            )
            # The checksum is the complement of all that is before it, exclusively or-ed.
            if len(whole) and int(np.bitwise_xor.reduce(whole)) == 0xFF:
                yield kind, time_s, buffer[at + _HEADER.size : end - 1]
                at = end
                continue
            searches += 1
            if searches > _MOST_SEARCHES:
                raise RecordingError(
                    f"{log.where}: expected records of ActiGraph, got damage in more than {searches} places"
                )
            found = buffer.find(bytes([_SEPARATOR]), at + 1)
            at = found if found >= 0 else len(buffer)


def _recognises(path: Path, head: bytes) -> int:
    inside = {it.name for it in members(path)} if head.startswith(b"PK") else set()
    return 3 * (_INFO in inside and not inside.isdisjoint((_LOG, _OLD_LOG)))


READER = table_reader("gt3x", _recognises, tables)
