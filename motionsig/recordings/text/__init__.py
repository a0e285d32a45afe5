"""Texts with tables in them: delimited in any way, printed with labels, or JSON; each read as a Table.

What a text is, is told by its first 64 KiB: where rows of numbers begin, and what stands above them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from motionsig.facts import Fact
from motionsig.recordings.members import HEAD_BYTES, Member
from motionsig.recordings.tables import Kind, Rows, Table
from motionsig.recordings.text.cells import split, typed
from motionsig.recordings.text.decoding import decode
from motionsig.recordings.text.dialects import DELIMITERS, Found, find_dialect, lines_of
from motionsig.recordings.text.headers import find_heading, is_header
from motionsig.recordings.text.objects import json_tables
from motionsig.recordings.text.reading import read

__all__ = ["records", "tables"]

_JSON = re.compile(r'\s*(?:\{\s*["}]|\[\s*(?:[\[{]|-?[\d.]+(?:[eE][-+]?\d+)?\s*,))')
"""How objects and arrays begin; "[Accelerometer]" and "[13:04:50.541] 0.016" do not."""
_CALLED = {"\t": "a tab", ";": "';'", "|": "'|'", ",": "','", " ": "spaces"}


def tables(member: Member) -> tuple[Table, ...]:
    """Return the tables in a text, none where it has no rows of numbers or is no text.

    Raises RecordingError for what cannot be read; each table's `read` also for a damaged row, with its line.
    """
    head = member.head()
    if not (decoded := decode(head)):
        return ()
    encoding, text = decoded
    if _JSON.match(text) and (of_objects := json_tables(member, encoding, text)):
        return of_objects
    found = find_dialect(encoding, text, whole=len(head) < HEAD_BYTES)
    return () if found is None else (_delimited(member, found),)


def records(member: Member) -> list[dict[str, str]]:
    """Return the rows of a small table of texts, such as an app's metadata, as dictionaries by the header's names.

    Only the first 64 KiB are looked at; empty where it is no text with a header of at least two names.
    """
    if not (decoded := decode(member.head())):
        return []
    lines = [line for line in lines_of(decoded[1]) if line.strip()]
    if not lines:
        return []
    delimiter = max((mark for mark in DELIMITERS if mark != " "), key=lambda mark: len(split(lines[0], mark)))
    names = [name.strip() for name in split(lines[0], delimiter)]
    if len(names) < 2:
        return []
    rows = [split(line, delimiter) for line in lines[1:]]
    return [{name: cell.strip() for name, cell in zip(names, row, strict=False)} for row in rows]


def _delimited(member: Member, found: Found) -> Table:
    heading = find_heading(found)
    dialect = found.dialect
    if heading.first_row:
        dialect = replace(dialect, skip=dialect.skip + heading.first_row)
    said = [dialect.cells(line) for line in heading.lines]
    rows = [row for row in found.rows[heading.first_row :] if row not in said and not is_header(row, heading.names)]
    again = frozenset(heading.lines)

    def all_rows(kinds: Mapping[int, Kind]) -> Iterator[Rows]:
        return read(member, dialect, heading.names, again, kinds)

    assert set(_CALLED) == set(DELIMITERS)
    layout = "labels" if dialect.labelled else _CALLED[dialect.delimiter]
    facts = [Fact("cells", f"separated by {layout}", "shown")]
    if dialect.decimal_comma:
        facts.append(Fact("numbers", "with a decimal comma", "shown"))
    return Table(
        name=member.name,
        where=f"{member.where}:{heading.line or found.dialect.skip + 1}",
        names=heading.names,
        units=heading.units,
        head=tuple(typed(cells, comma=dialect.decimal_comma) for cells in zip(*rows, strict=True)),
        read=all_rows,
        facts=(*heading.facts, *facts),
    )
