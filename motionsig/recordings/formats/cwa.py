"""Axivity's CWA: sectors of 512 bytes, each with its own time, scales and checksum, read many at a time with numpy.

actfast reads it, too, but holds a whole log in memory, three times its size, and that of a week is 800 MB. A sector
whose checksum is wrong is left out, and the next one comes after a gap. Format: Axivity's cwa.md.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import RecordingError
from motionsig.facts import Fact
from motionsig.recordings.formats.arrays import Part, table
from motionsig.recordings.members import readable
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

_SECTOR = 512
_HEADER_SECTORS = 2
_AT_ONCE = 1024
_NUMBERS = 240
_BYTES = 2
_GYROSCOPE_AXES = (6, 9)
_MOST_STRAY = 0.1
"""How far the mean step from one sector to the next may be from the nominal one, of which clocks miss 1 %."""

_HEADER = np.dtype(
    {
        "names": ["mark", "length", "hardware", "device", "session", "upper_device"],
        "formats": ["S2", "<u2", "u1", "<u2", "<u4", "<u2"],
        "offsets": [0, 2, 4, 5, 7, 11],
        "itemsize": 64,
    }
)
_DATA = np.dtype(
    {
        "names": ["mark", "length", "fraction", "sequence", "time", "scales", "rate", "axes", "offset", "count", "raw"],
        "formats": ["S2", "<u2", "<u2", "<u4", "<u4", "<u2", "u1", "u1", "<i2", "<u2", ("<i2", _NUMBERS)],
        "offsets": [0, 2, 4, 10, 14, 18, 24, 25, 26, 28, 30],
        "itemsize": _SECTOR,
    }
)
_NAMES = ("time", "acc_x [g]", "acc_y [g]", "acc_z [g]", "gyr_x [deg/s]", "gyr_y [deg/s]", "gyr_z [deg/s]")
_AX6 = 0x64


class _Sectors(NamedTuple):
    """Sectors in a row that are whole: their times, and those before which others are missing."""

    start_ns: NDArray[np.int64]
    found: NDArray[Any]
    lost: NDArray[np.bool_]

    def part(self, which: slice) -> _Sectors:
        return _Sectors(self.start_ns[which], self.found[which], self.lost[which])

    def then(self, other: _Sectors) -> _Sectors:
        both = zip(self, other, strict=True)
        start_ns, found, lost = (np.concatenate([one, another]) for one, another in both)
        return _Sectors(start_ns, found, lost)


def tables(path: Path) -> tuple[Table, ...]:
    """Return the one Table of a log with a gyroscope; raise RecordingError for another, as an AX3 has none."""
    with readable(str(path)), path.open("rb") as file:
        header = np.frombuffer(file.read(_HEADER.itemsize).ljust(_HEADER.itemsize, b"\0"), _HEADER)[0]
        file.seek(_HEADER_SECTORS * _SECTOR)
        first = file.read(_SECTOR)
    if len(first) < _SECTOR:
        raise RecordingError(f"{path}: expected sectors of samples, got none")
    one = np.frombuffer(first, _DATA)[0]
    axes = int(one["axes"]) >> 4
    if axes not in _GYROSCOPE_AXES or one["axes"] & 15 != _BYTES:
        which = "this AX6 recorded without its gyroscope" if header["hardware"] == _AX6 else "an AX3 has no gyroscope"
        raise RecordingError(f"{path}: expected acceleration and angular rate, got {axes} axes: {which}")
    if not any(len(it.found) for it in _sectors(path, int(one["axes"]))):
        raise RecordingError(f"{path}: expected sectors of samples that are whole, got none")

    def parts(wanted: Collection[int]) -> Iterator[Part]:
        for sectors, step_ns in _stepped(_sectors(path, int(one["axes"]))):
            yield _part(sectors, step_ns, axes, wanted)

    device = int(header["device"]) | (int(header["upper_device"]) << 16 if header["upper_device"] != 0xFFFF else 0)
    facts = (
        Fact("device", f"Axivity {'AX6' if header['hardware'] == _AX6 else 'AX'} {device}", "written"),
        Fact("units", "g and deg/s, by the scales in each sector", "written"),
        Fact("nominal rate", f"{_rate_hz(one['rate']):g} Hz", "written"),
        Fact("zone", "the log has the time of the device's clock without a zone: read as UTC", "assumed"),
    )
    return (table("", str(path), _NAMES, parts, facts=facts, rows=_count(path, int(one["count"]))),)


def _count(path: Path, each: int) -> int:
    return (path.stat().st_size // _SECTOR - _HEADER_SECTORS) * each


def _rate_hz(code: Any) -> Any:
    return 3200.0 / (1 << (15 - (code.astype(np.int64) & 15)))


def _sectors(path: Path, axes: int) -> Iterator[_Sectors]:
    """Yield the sectors that are whole, some thousand at a time. axes: what all of them say of theirs."""
    sequence = -1
    with readable(str(path)), path.open("rb") as file:
        file.seek(_HEADER_SECTORS * _SECTOR, io.SEEK_SET)
        while content := file.read(_AT_ONCE * _SECTOR):
            content = content[: len(content) // _SECTOR * _SECTOR]
            found = np.frombuffer(content, _DATA)
            sums = np.frombuffer(content, "<u2").reshape(len(found), -1).sum(axis=1, dtype=np.uint32) & 0xFFFF
            sound = (found["mark"] == b"AX") & (found["length"] == _SECTOR - 4) & (sums == 0)
            # No more samples than have room.
            sound &= (found["axes"] == axes) & (found["count"] > 0) & (found["count"] <= _NUMBERS // (axes >> 4))
            start_ns, known = _start_ns(found)
            sound &= known
            sequences = found["sequence"].astype(np.int64)
            kept = sequences[sound]
            lost = np.diff(kept, prepend=kept[:1] - 1 if sequence < 0 else sequence) != 1
            sequence = int(kept[-1]) if len(kept) else sequence
            yield _Sectors(start_ns[sound], found[sound], lost)


def _start_ns(found: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return when each sector's first sample was taken, and whether its date is one."""
    packed = found["time"].astype(np.int64)
    year, month, day = 2000 + (packed >> 26), packed >> 22 & 15, packed >> 17 & 31
    hour, minute, second = packed >> 12 & 31, packed >> 6 & 63, packed & 63
    known = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    months = ((year - 1970) * 12 + np.where(known, month, 1) - 1).astype("M8[M]")
    days = months.astype("M8[D]").astype(np.int64) + day - 1
    whole_s = ((days * 24 + hour) * 60 + minute) * 60 + second
    # With its highest bit set, the fraction of a second (15 bits) at which the second sample number `offset` was taken;
    # that number was lowered by what the fraction amounts to, for readers that know no fraction.
    fine = found["fraction"] & 0x8000 != 0
    fraction = np.where(fine, (found["fraction"].astype(np.int64) & 0x7FFF) << 1, 0)
    rate_hz = _rate_hz(found["rate"])
    offset = found["offset"] + (fraction * rate_hz.astype(np.int64) >> 16)
    parts_ns = (fraction * NS_PER_S >> 16) - np.rint(offset * (NS_PER_S / rate_hz)).astype(np.int64)
    return whole_s * NS_PER_S + parts_ns, known


def _stepped(sectors: Iterator[_Sectors]) -> Iterator[tuple[_Sectors, NDArray[np.float64]]]:
    """Yield sectors with the step from sample to sample in each, so that it leads to the next sector's first sample."""
    held: _Sectors | None = None
    for some in sectors:
        if not len(some.found):
            continue
        joined = some if held is None else held.then(some)
        yield from _but_last(joined)
        held = joined.part(slice(-1, None))
    if held is not None:
        yield held, NS_PER_S / _rate_hz(held.found["rate"])


def _but_last(sectors: _Sectors) -> Iterator[tuple[_Sectors, NDArray[np.float64]]]:
    nominal = NS_PER_S / _rate_hz(sectors.found["rate"])
    step = np.diff(sectors.start_ns) / sectors.found["count"][:-1]
    follows = np.abs(step / nominal[:-1] - 1) < _MOST_STRAY
    follows &= ~sectors.lost[1:]
    sectors.lost[1:] |= ~follows
    if len(step):
        yield sectors.part(slice(-1)), np.where(follows, step, nominal[:-1])


def _part(sectors: _Sectors, step_ns: NDArray[np.float64], axes: int, wanted: Collection[int]) -> Part:
    found, counts = sectors.found, sectors.found["count"].astype(np.intp)
    firsts = np.concatenate([[0], np.cumsum(counts)])
    inside = np.arange(firsts[-1]) - np.repeat(firsts[:-1], counts)
    columns: dict[int, NDArray[Any]] = {}
    if 0 in wanted:
        times = np.repeat(sectors.start_ns, counts) + np.rint(inside * np.repeat(step_ns, counts)).astype(np.int64)
        columns[0] = times.astype("M8[ns]")
    rows = found["raw"][:, : _NUMBERS // axes * axes].reshape(len(found), _NUMBERS // axes, axes)
    rows = rows[np.arange(_NUMBERS // axes) < counts[:, None]]
    acc = 1.0 / (1 << (8 + (found["scales"].astype(np.int64) >> 13)))
    gyr = 8000.0 / (1 << (found["scales"].astype(np.int64) >> 10 & 7)) / 32768
    for number in wanted:
        if number:
            # The angular rate comes first.
            of_acc = number <= 3
            scale = np.repeat(acc if of_acc else gyr, counts)
            columns[number] = rows[:, number + 2 if of_acc else number - 4] * scale
    return Part(columns, tuple(firsts[:-1][sectors.lost].tolist()))


def _recognises(_: Path, head: bytes) -> int:
    return 3 * (head.startswith(b"MD\xfc\x03") and head[1024:1026] in (b"AX", b""))


READER = table_reader("cwa", _recognises, tables)
