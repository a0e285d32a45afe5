"""Tables of numbers with named columns: CSV, TSV, semicolons, by themselves or as the one table of a folder or zip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from motionsig.blocks import Source, SourceInfo
from motionsig.conventions import CHANNELS
from motionsig.errors import RecordingError
from motionsig.recordings import columns as spelling
from motionsig.recordings.members import Member, content_id, members, single
from motionsig.recordings.reader import Reader
from motionsig.recordings.samples import Samples, recorded
from motionsig.recordings.text import Plan, Table, decode, first_ns, read, sniff, sniff_bare, time_kind
from motionsig.recordings.times import check_rate, numbered


def _recognises(path: Path, head: bytes) -> int:
    # Any text, so that a table which lacks a column or a unit gets this reader's message and not "unknown format".
    return int(decode(head) is not None if head and not head.startswith(b"PK") else _member(path) is not None)


def _member(path: Path) -> Member | None:
    """Return the file at `path`, or the only table in the folder or zip there; None where there is not just one."""
    inside = members(path)
    if not inside and path.is_file():
        return single(path)
    found = [it for it in inside if sniff(it, it.head(), lambda names: _score(names, None), least=len(CHANNELS))]
    return found[0] if len(found) == 1 else None


def open_csv(
    path: Path,
    *,
    columns: Mapping[str, str | int | None] | None = None,
    acc_unit: str | None = None,
    gyr_unit: str | None = None,
    time_unit: str | None = None,
    rate_hz: float | None = None,
    start_ns: int = 0,
    acc_sign: int = 1,
    check_units: bool = True,
) -> Source:
    """Return the table at `path` as a Source.

    columns: names (or numbers from 0, also of a table without a header) for "time", "acc_x" .. "gyr_z" where the header
    does not say; {"time": None} ignores a time column. acc_unit ("g", "mg", "m/s^2"), gyr_unit ("deg/s", "rad/s",
    "mdps"), time_unit ("s", "ms", "us", "ns"): win over the header. rate_hz: the rows are evenly spaced at this rate; a
    time column then gives the first row's time only. start_ns: Unix time of the first row where there is no time
    column. acc_sign: -1 for raw iOS data, whose sign is opposite to every chip's. check_units: refuse data without
    gravity or in impossible units.
    Raises RecordingError with file and line.
    """
    check_rate(rate_hz)
    table = _table(path, columns)
    where = f"{table.member.where}:{table.skip or 1}"
    names = table.names or [str(index) for index in range(table.width)]
    layout = spelling.layout(
        names, where, columns=columns, acc_unit=acc_unit, gyr_unit=gyr_unit, time_unit=time_unit, acc_sign=acc_sign
    )
    if not table.cells:
        raise RecordingError(f"{where}: expected samples below the header, got none")
    plan = Plan(layout.channels)
    if rate_hz is None and layout.time is None:
        raise RecordingError(f"{where}: expected a time column, got none; pass the rate instead, as in rate_hz=50")
    if rate_hz is None and layout.time is not None:
        plan = Plan(layout.channels, layout.time, time_kind(table, layout.time, layout.time_unit))
    elif layout.time is not None:
        found = first_ns(table, layout.time, layout.time_unit)
        start_ns = start_ns if found is None else found
    factors = np.array(layout.factors)

    def rows() -> Iterator[Samples]:
        done = 0
        for part in read(table, plan):
            times = part.time_ns if rate_hz is None else numbered(done, len(part.values), rate_hz, start_ns)
            done += len(part.values)
            yield Samples(times, part.values * factors)

    info = SourceInfo(path.name, "csv", content_id((table.member,), layout, plan, rate_hz, start_ns))
    return recorded(rows, str(path), info, rate_hz=rate_hz, check_units=check_units)


def _score(names: Sequence[str], columns: Mapping[str, str | int | None] | None) -> int:
    found = spelling.find(names, columns)
    return sum(role in found for role in (*CHANNELS, "linear_x", "time"))


def _table(path: Path, columns: Mapping[str, str | int | None] | None) -> Table:
    member = _member(path) or single(path)
    head = member.head()
    by_number = any(isinstance(it, int) for it in (columns or {}).values())
    table = sniff_bare(member, head) if by_number else sniff(member, head, lambda it: _score(it, columns), least=2)
    if table is None:
        first = (decode(head) or ("", ""))[1].split("\n")[0][:80].strip()
        raise RecordingError(
            f"{member.where}:1: expected a header that names acc_x, acc_y, acc_z, gyr_x, gyr_y, gyr_z and their units, "
            f"got {first!r}; a table without a header needs columns={{'time': 0, 'acc_x': 1, ...}} and units"
        )
    return table


READER = Reader("csv", _recognises, open_csv)
