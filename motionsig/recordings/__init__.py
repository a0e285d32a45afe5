"""Logs that others wrote, opened as a Source.

Each format has a Reader, an entry point of the group `motionsig.readers`; another package adds a format by declaring
one. Which Reader opens a file is decided by what the file holds.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from os import PathLike
from pathlib import Path
from typing import Any

from motionsig.blocks import Source
from motionsig.errors import RecordingError
from motionsig.escaping import own_logger
from motionsig.options import keyword_options, parse_options
from motionsig.recordings.members import called, single
from motionsig.recordings.samples import Reader
from motionsig.recordings.understanding import Stream, Understanding

__all__ = ["Reader", "inspect_recording", "open_recording"]

log = own_logger(__name__)

GROUP = "motionsig.readers"


def open_recording(path: str | PathLike[str], **options: object) -> Source:
    """Return the recording at `path` (a file, or a folder of files) as a Source.

    >>> with motionsig.open_recording("walk.npz") as source:
    ...     print(source.rate_hz, [len(block) for block in source])
    100.0 [1000]

    The Reader that is surest of its format opens it; among equals the first by name. `options` are that Reader's; text
    is turned into the type that an option has.

    * All formats: `label="none"` reads no labels. motionsig's own log has no other option. In tables, `label` is also
      the column that says what was done, in place of one called label, labels, activity or class.
    * Tables (text, Parquet, npz and others): `acc_unit` and `gyr_unit`, such as "g" and "deg/s", or a scale such as
      "1/16384 g"; `chip`, `acc_range_g`, `gyr_range_dps`: what made raw counts. `acc_sign`: -1 for raw data of iOS.
      `rate_hz`, where the rows are evenly spaced at so many samples per second. `start_ns`: Unix time of the first row,
      in ns, where the recording has none. `time_unit`: "s", "ms", "us" or "ns". `zone`: of times without one, as in
      "Europe/Berlin". `columns`: which column is which, by name or by number, as in `{"time": 0, "acc_x": "ax"}`.
      `by`: the columns that tell streams apart. `stream`: which of several streams. `check_units`: False takes data
      that cannot be m/s² and rad/s with gravity.

    Raises UndecidedError, with all questions at once, where the recording leaves open what only its owner knows;
    RecordingError where no Reader recognises the content or the recording cannot be right; InputError for an option
    that the Reader does not have.
    """
    path, reader, parsed = _reader_of(path, options)
    return reader.open(path, **parsed)


def inspect_recording(path: str | PathLike[str], **options: object) -> Understanding:
    """Return what the recording at `path` holds, as far as its first minute tells, and what it leaves open.

    `options`: as for `open_recording`, and raises the same, but no UndecidedError: questions are in what it returns.
    A format whose Reader has no look of its own is opened.
    """
    path, reader, parsed = _reader_of(path, options)
    if reader.inspect is not None:
        return reader.inspect(path, **parsed)
    with reader.open(path, **parsed) as source:
        stream = Stream("", source.info.facts, (), source.rate_hz)
        return Understanding(called(path), source.info.format, (stream,))


def _reader_of(path: str | PathLike[str], options: Mapping[str, object]) -> tuple[Path, Reader, dict[str, Any]]:
    """Return the path, the Reader that opens it, and the options that it takes."""
    path = Path(path)
    head = b"" if path.is_dir() else single(path).head()
    if not head and not path.is_dir():
        raise RecordingError(f"{called(path)}: expected a recording, got an empty file")
    readers = _readers()
    reader, sure = _surest(readers, path, head)
    if not reader or not sure:
        names = ", ".join(it.name for it in readers) or "(none is installed)"
        found = f"a file that begins with {head[:16]!r}"
        if path.is_dir():
            inside = sorted(it.name for it in path.iterdir())
            found = f"a folder with {', '.join(inside[:8]) or 'nothing in it'}{', ...' * (len(inside) > 8)}"
        raise RecordingError(f"{called(path)}: expected a recording, got {found}; its formats: {names}")
    return path, reader, parse_options(options, keyword_options(reader.open), where=f"{reader.name} reader:")


def reader_versions() -> dict[str, str]:
    """Return for each installed Reader where it is from, with the version of its package."""
    entries = entry_points(group=GROUP)
    return {it.name: f"{it.value} {it.dist.version if it.dist else ''}" for it in entries}


def sureness(path: Path) -> int:
    """Return how sure the surest Reader is of the file or folder; raise RecordingError for what cannot be read."""
    head = b"" if path.is_dir() else single(path).head()
    return _surest(_readers(), path, head)[1] if head or path.is_dir() else 0


def _surest(readers: list[Reader], path: Path, head: bytes) -> tuple[Reader | None, int]:
    """Return the reader that is surest that the content is of its format, and how sure it is; (None, 0) without any."""
    sure = {it.name: it.recognises(path, head) for it in readers}
    for name, sureness in sure.items():
        if not isinstance(sureness, int):
            # A broken reader must not stop the others.
            log.warning("reader %r: expected recognises to return 0 to 3, got %r", name, sureness)
            sure[name] = 0
    reader = max(readers, key=lambda it: sure[it.name], default=None)
    return reader, sure[reader.name] if reader else 0


def _readers() -> list[Reader]:
    """Return all installed readers, sorted by the name of their entry point."""
    return _readers_on(tuple(sys.path))


@cache
def _readers_on(_: tuple[str, ...]) -> list[Reader]:
    """Look for them once for each search path: it takes as long as opening a small log."""
    readers = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            reader = entry.load()
        except (ImportError, AttributeError) as error:
            # A broken package must not stop the others.
            log.warning("reader %r does not load: %s", entry.name, error)
            continue
        if isinstance(reader, Reader):
            readers.append(reader)
        else:
            log.warning("reader %r: expected a motionsig.Reader, got %r", entry.name, reader)
    return readers
