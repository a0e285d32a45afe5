"""Tables of numbers with named columns: CSV, TSV, semicolons, by themselves or as the one table of a folder or zip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from motionsig.blocks import SourceInfo
from motionsig.conventions import CHANNELS
from motionsig.errors import RecordingError
from motionsig.recordings.columns import Columns, Layout, find
from motionsig.recordings.labels import LabelColumn
from motionsig.recordings.members import Member, content_id, members, single
from motionsig.recordings.old_text import Plan, decode, first_ns, read, sniff, sniff_bare, time_kind
from motionsig.recordings.samples import Prepare, Prepared, Reader, open_table


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


def _score(names: Sequence[str], columns: Columns | None) -> int:
    found = find(names, columns)
    return sum(role in found for role in (*CHANNELS, "linear_x", "time"))


def _look(path: Path, columns: Columns | None) -> tuple[Sequence[str], str, Prepare]:
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
    where = f"{member.where}:{table.skip or 1}"

    def prepare(layout: Layout, label: LabelColumn | None, rate_hz: float | None, start_ns: int) -> Prepared:
        if not table.cells:
            raise RecordingError(f"{where}: expected samples below the header, got none")
        column = None if label is None else label.number
        plan = Plan(layout.channels, label=column)
        if rate_hz is None and layout.time is not None:
            kind = time_kind(table, layout.time, layout.time_unit)
            plan = Plan(layout.channels, layout.time, kind, label=column)
        elif layout.time is not None:
            found = first_ns(table, layout.time, layout.time_unit)
            start_ns = start_ns if found is None else found
        info = SourceInfo(path.name, "csv", content_id((member,), layout, plan, rate_hz, start_ns))
        return info, start_ns, lambda: read(table, plan)

    return table.names or [str(index) for index in range(table.width)], where, prepare


open_csv = partial(open_table, _look)
READER = Reader("csv", _recognises, open_csv)
