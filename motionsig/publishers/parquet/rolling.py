"""A roll: all that is in a tail becomes files, one for each day."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import InputError, SinkError
from motionsig.events import Event
from motionsig.files import sync_folder
from motionsig.publishers.local import NoneStoredError, Stored, Wanted, WantedEvents
from motionsig.publishers.parquet.encoders import Made, table_of
from motionsig.publishers.parquet.files import event_table, rewrite, signature_table, write_table
from motionsig.publishers.parquet.index import Index, Range, Rolled, runs_of
from motionsig.publishers.parquet.layout import DAY_NS, Layout, day_name, days_of, files_of, number_of, reading
from motionsig.publishers.parquet.pieces import KEYS, Stream, pieces, streams_in
from motionsig.publishers.reading import iter_store, iter_store_events


def fingerprints(tail: Path) -> list[bytes]:
    """Return whose signatures a tail may hold; raise sqlite3.Error for a file that is none."""
    with closing(sqlite3.connect(f"{tail.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT DISTINCT fingerprint FROM encoders ORDER BY fingerprint")
        return [bytes(fingerprint) for (fingerprint,) in rows]


def count(tail: Path) -> int:
    """Return how many signatures a tail has."""
    with closing(sqlite3.connect(f"{tail.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM signatures").fetchone()[0])


def iter_tail(tail: Path, wanted: Wanted, rows: int) -> Iterator[Stored]:
    """Yield what is wanted of one encoder as `iter_store` does, and nothing where there is none."""
    try:
        for part in iter_store(str(tail), wanted._replace(recording=None), rows=rows):
            if wanted.recording is None or (part.recording is not None and part.recording.name == wanted.recording):
                yield part
    except NoneStoredError:
        return


def _whole_tail(tail: Path) -> Iterator[Stored]:
    """Yield all that a tail has, in no order."""
    with closing(sqlite3.connect(f"{tail.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        (expected,) = connection.execute("SELECT count(*) FROM signatures").fetchone()
        devices = [device for (device,) in connection.execute("SELECT DISTINCT device FROM signatures")]
    got = 0
    for fingerprint in fingerprints(tail):
        of_encoder = Wanted(None, fingerprint, None, None)
        try:
            for part in iter_tail(tail, of_encoder, 4096):
                got += len(part.seq)
                yield part
        except InputError:
            # Devices describe this encoder differently.
            for device in devices:
                for part in iter_tail(tail, of_encoder._replace(device=device), 4096):
                    got += len(part.seq)
                    yield part
    if got != expected:
        raise SinkError(f"store:{tail}: expected {expected} signatures, {got} could be read")


def roll(layout: Layout, index: Index, encoders: list[Made], number: int) -> None:
    """Make files of a tail and note that it is done; what is done again by a second call is the same.

    encoders: new ones are appended. Raises OSError, sqlite3.Error and those of pyarrow, and SinkError where files have
    to change that somebody reads; whatever is raised, nothing is lost.
    """
    tail = layout.tail(number)
    by_day: dict[int, list[Stored]] = defaultdict(list)
    for part in _whole_tail(tail):
        for day, rows in _by_day(part):
            by_day[day].append(rows)
    events_by_day: dict[int, list[Event]] = defaultdict(list)
    for event in iter_store_events(str(tail), WantedEvents(None, None, None, None, None)):
        events_by_day[event.start_ns // DAY_NS].append(event)
    runs = [run for day, parts in by_day.items() for part in parts for run in runs_of(*part[:3], day)]
    _take_out(layout, number, _replaced(index, runs))
    # Those of an earlier attempt, of rows that have another time by now.
    for folder, days in ((layout.signatures, by_day.keys()), (layout.events, events_by_day.keys())):
        for day, path in days_of(folder).items():
            if day not in days:
                (path / _file_name(number)).unlink(missing_ok=True)
    made = {_made(part) for parts in by_day.values() for part in parts}
    if new := sorted(made - set(encoders), key=repr):
        write_table(layout.encoders, layout.own, table_of([*encoders, *new]))
        encoders += new
    numbers = {each: at for at, each in enumerate(encoders)}
    bound = {
        (part.device, part.signatures.spec.fingerprint.hex(), numbers[_made(part)])
        for parts in by_day.values()
        for part in parts
    }
    for day in list(by_day):
        parts = by_day.pop(day)
        table = signature_table(parts, [numbers[_made(part)] for part in parts])
        del parts  # half of the memory, while the other half is written
        write_table(layout.signatures / day_name(day) / _file_name(number), layout.own, table)
    for day, events in events_by_day.items():
        write_table(layout.events / day_name(day) / _file_name(number), layout.own, event_table(events))
    index.note(number, Rolled(runs, bound, [event for events in events_by_day.values() for event in events]))


def _file_name(number: int) -> str:
    return f"{number:08}.parquet"


def _made(part: Stored) -> Made:
    return Made(part.signatures.spec, part.signatures.hop_ns)


def _by_day(part: Stored) -> Iterator[tuple[int, Stored]]:
    days = part.signatures.start_ns // DAY_NS
    if days.min() == days.max():
        yield int(days[0]), part
        return
    for day in np.unique(days).tolist():
        rows = days == day
        yield day, part._replace(seq=part.seq[rows], signatures=part.signatures[rows])


def _replaced(index: Index, runs: Sequence[tuple[str, int, Range]]) -> dict[int, dict[Stream, NDArray[np.int64]]]:
    """Return by day and stream the numbers that files have and that come again, to replace them."""
    found: dict[int, dict[Stream, NDArray[np.int64]]] = defaultdict(dict)
    for device, stream_id, run in runs:
        for old in index.known(device, stream_id, run.first, run.last):
            again = np.arange(max(old.first, run.first), min(old.last, run.last) + 1)
            before = found[old.day].get((device, stream_id), again[:0])
            found[old.day][device, stream_id] = np.concatenate([before, again])
    return found


def _take_out(layout: Layout, number: int, replaced: dict[int, dict[Stream, NDArray[np.int64]]]) -> None:
    """Take these signatures out of the files of other tails; raise SinkError where somebody reads them.

    Whoever reads only files misses these signatures until the roll has ended, and never sees them twice.
    """
    for day, streams in replaced.items():

        def keep(table: Any, streams: dict[Stream, NDArray[np.int64]] = streams) -> NDArray[np.bool_]:
            kept, seq = np.ones(table.num_rows, bool), table["seq"].to_numpy()
            for stream, first, last in streams_in(table):
                if stream in streams:
                    kept[first:last] = ~np.isin(seq[first:last], streams[stream])
            return kept

        files = [path for path in files_of(layout.signatures / day_name(day)) if number_of(path) != number]
        affected = pieces(files, Wanted(None, None, None, None))
        paths = {piece.path for stream in streams for piece in affected.get(stream, ())}
        if not paths:
            continue
        with reading(layout, alone=True) as alone:
            if not alone:
                raise SinkError(f"parquet:{layout.root}: signatures that replace others wait until nobody reads")
            for path in sorted(paths):
                rewrite(path, layout.own, keep, KEYS)
        sync_folder(layout.signatures / day_name(day))
