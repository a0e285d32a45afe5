"""Text with rows of numbers in it: one file, or the tables of a folder or zip; each sensor may have its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from motionsig.recordings.long import by_filling, by_sensor
from motionsig.recordings.members import Member, members, single
from motionsig.recordings.names import sensor_of
from motionsig.recordings.opening import table_reader
from motionsig.recordings.streams import holds_one_sensor
from motionsig.recordings.tables import Table
from motionsig.recordings.text import tables
from motionsig.recordings.text.decoding import decode

_ONE_OF_SEVERAL = 2


def tables_of(path: Path) -> Sequence[Table]:
    """Return the tables of the text, folder or zip at `path`.

    A table of one sensor comes with those of other sensors beside it that are called after a sensor; the rest of its
    folder may be other recordings.
    """
    inside = members(path)
    found = [table for member in (inside or (single(path),)) if _may_be(member) for table in _tables(member)]
    if not inside and len(found) == 1 and holds_one_sensor(found[0]):
        for member in members(path.parent):
            if member.name != path.name and sensor_of(PurePosixPath(member.name).stem)[0] and _may_be(member):
                found += [table for table in _tables(member) if holds_one_sensor(table)]
    return found


def _tables(member: Member) -> list[Table]:
    return [one for table in tables(member) for each in by_sensor(table) for one in by_filling(each)]


def _may_be(member: Member) -> bool:
    """Leave out what apps write about a recording beside it."""
    return "meta" not in PurePosixPath(member.name).parts


def _recognises(path: Path, head: bytes) -> int:
    if head and not head.startswith(b"PK"):
        # Any text, so that a table which lacks a column or a unit gets this reader's message and not "unknown format".
        if decode(head) is None:
            return 0
        named = sensor_of(path.stem)[0]
        return _ONE_OF_SEVERAL if named and any(map(holds_one_sensor, tables(single(path)))) else 1
    found = [table for member in members(path) if _may_be(member) for table in tables(member)]
    return _ONE_OF_SEVERAL if any(map(holds_one_sensor, found)) else int(bool(found))


READER = table_reader("csv", _recognises, tables_of)
