"""Reading a dataset back, without changing it: what files have and what the tail has, as one."""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureSpec
from motionsig.errors import InputError, SinkError
from motionsig.events import Event
from motionsig.publishers.local import NoneStoredError, Stored, Wanted, WantedEvents, check_encoders
from motionsig.publishers.parquet.encoders import read_encoders
from motionsig.publishers.parquet.files import events_of, pyarrow, reporting
from motionsig.publishers.parquet.layout import DAY_NS, Layout, days_of, files_of, number_of, reading
from motionsig.publishers.parquet.pieces import Groups, pieces, rows_of
from motionsig.publishers.parquet.rolling import fingerprints, iter_tail
from motionsig.publishers.reading import iter_store_events

_Item = TypeVar("_Item")

_ATTEMPTS = 1000
"""To find the dataset between two rolls; each takes milliseconds, and rolls are seconds apart."""


def iter_parquet(path: str, wanted: Wanted, *, rows: int) -> Iterator[Stored]:
    """Yield what is wanted with at most `rows` signatures at a time, ordered by (device, stream_id, seq).

    Raises InputError where nothing matches, or more than one encoder does; SinkError for a folder that is no dataset.
    """
    where, found = f"parquet:{path}", dict[bytes, tuple[str, SignatureSpec]]()
    for part in _all(path, wanted, rows):
        spec = part.signatures.spec
        device, first = found.setdefault(spec.fingerprint, (part.device, spec))
        if len(found) > 1:
            check_encoders(where, set(found), wanted)
        if first != spec:
            raise InputError(
                f"{where}: {device!r} and {part.device!r} say different things of encoder {spec.fingerprint.hex()}, "
                "and their vectors do not compare; choose one with device="
            )
        yield part
    if found:
        return
    origin = Wanted(wanted.device, None, wanted.stream_id, wanted.recording)
    if wanted.recording is not None and next(_all(path, origin, rows), None) is None:
        named = _all(path, Wanted(None, None, None, None), rows)
        names = sorted({part.recording.name for part in named if part.recording is not None})
        raise NoneStoredError(f"{where}: {wanted.missing(names)}")
    others = {part.signatures.spec.fingerprint for part in _all(path, wanted._replace(fingerprint=None), rows)}
    check_encoders(where, others, wanted)
    # What is wanted has come since.
    yield from _all(path, wanted, rows)


def iter_parquet_events(path: str, wanted: WantedEvents) -> Iterator[Event]:
    """Yield the events that are wanted, ordered by start_ns, then key; raise SinkError for a folder that is none."""
    layout = Layout(Path(path))
    with _reading(layout):
        from_tails, days = _moment(
            layout, lambda tail: [iter_store_events(str(tail), wanted)], layout.events, wanted.since_ns, wanted.until_ns
        )
        from_files = (event for files in days for event in _events_of_day(files, wanted))
        yield from heapq.merge(from_files, *from_tails, key=lambda event: (event.start_ns, event.key))


def _events_of_day(files: Sequence[Path], wanted: WantedEvents) -> list[Event]:
    _, pq = pyarrow()
    events = [it for path in files for it in events_of(pq.read_table(path, partitioning=None)) if wanted.chooses(it)]
    return sorted(events, key=lambda event: (event.start_ns, event.key))


@contextmanager
def _reading(layout: Layout) -> Iterator[None]:
    with reporting(layout.root, "cannot be read"):
        layout.check()
        with reading(layout):
            yield


def _all(path: str, wanted: Wanted, rows: int) -> Iterator[Stored]:
    """Yield what is wanted in order, of whichever encoders; nothing where there is none."""
    layout = Layout(Path(path))
    with _reading(layout):

        def of_tail(tail: Path) -> list[Iterator[Stored]]:
            chosen = fingerprints(tail) if wanted.fingerprint is None else [wanted.fingerprint]
            return [iter_tail(tail, wanted._replace(fingerprint=it), rows) for it in chosen]

        from_tails, days = _moment(layout, of_tail, layout.signatures, wanted.since_ns, wanted.until_ns)
        encoders, groups = read_encoders(layout.encoders), Groups()
        streams = pieces([path for day in days for path in day], wanted)
        from_files = (
            part for stream, found in streams.items() for part in rows_of(groups, stream, found, encoders, wanted, rows)
        )
        yield from merged([*from_tails, from_files])


def _moment(
    layout: Layout,
    open_tail: Callable[[Path], list[Iterator[_Item]]],
    folder: Path,
    since_ns: int | None,
    until_ns: int | None,
) -> tuple[list[Iterator[_Item]], list[list[Path]]]:
    """Return what the tails have, the newest first, and by day the files of all else, as they are at one moment.

    The iterators have begun, so a roll takes nothing away from them. If the tails are the same before and after, no
    roll has ended meanwhile.
    """
    for _ in range(_ATTEMPTS):
        tails, begun = layout.tails(), list[Iterator[_Item]]()
        try:
            for number in reversed(tails):
                for items in open_tail(layout.tail(number)):
                    begun += [itertools.chain([first], items) for first in itertools.islice(items, 1)]
            days = [
                [path for path in files_of(path) if not tails or number_of(path) < tails[0]]
                for day, path in days_of(folder).items()
                if (since_ns is None or (day + 1) * DAY_NS > since_ns) and (until_ns is None or day * DAY_NS < until_ns)
            ]
        except (SinkError, OSError, sqlite3.Error):
            if layout.tails() == tails:
                raise
            continue
        if layout.tails() == tails:
            return begun, days
    raise SinkError(f"parquet:{layout.root}: expected a moment without a roll, got none in {_ATTEMPTS} attempts")


def merged(sources: Sequence[Iterator[Stored]]) -> Iterator[Stored]:
    """Yield parts of all sources in order; where two have a signature of the same key, that of the former source."""
    heads = [head for source in sources for head in _head(None, source)]
    while heads:
        at = min(range(len(heads)), key=lambda at: (*heads[at][0][:2], int(heads[at][0].seq[0]), at))
        part, rest = heads[at]
        for number in range(len(heads) - 1, at, -1):
            other, more = heads[number]
            if other[:2] == part[:2] and (twice := np.isin(other.seq, part.seq)).any():
                heads[number : number + 1] = _head(_rows(other, ~twice), more)
        others = [other for number, (other, _) in enumerate(heads) if number != at and other[:2] == part[:2]]
        end = min((int(np.searchsorted(part.seq, other.seq[0])) for other in others), default=len(part.seq))
        yield _rows(part, slice(end))
        heads[at : at + 1] = _head(_rows(part, slice(end, None)), rest)


def _head(part: Stored | None, source: Iterator[Stored]) -> list[tuple[Stored, Iterator[Stored]]]:
    """Return a source with its part, or with the next one where nothing is left of that; empty where there is none."""
    if part is None or not len(part.seq):
        part = next(source, None)
    return [] if part is None else [(part, source)]


def _rows(part: Stored, rows: NDArray[np.bool_] | slice) -> Stored:
    signatures = part.signatures[rows]
    if signatures.labels is not None and not (signatures.labels != "").any():
        signatures = replace(signatures, labels=None)
    return part._replace(seq=part.seq[rows], signatures=signatures)
