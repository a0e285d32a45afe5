"""Which logs a replay is about: those named, and those in the folders named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from motionsig.errors import InputError, RecordingError
from motionsig.recordings import open_recording, sureness
from motionsig.wire import MAX_NAME_CHARS

_LAYOUT_OF_AN_APP = 2  # see `Reader`
_TABLES = (".csv", ".tsv")  # a file of such a name that cannot be read deserves an error of its own


@dataclass(frozen=True)
class Log:
    """A recording on the disk. name: as it was given, for tables and messages. size: bytes. stamp: changes with it."""

    path: Path
    name: str
    size: int
    stamp: str

    @property
    def key(self) -> str:
        """The path by which a store remembers it."""
        return os.path.abspath(self.path)

    @property
    def folder(self) -> str:
        """The name of the folder it lies in."""
        return os.path.basename(os.path.dirname(self.key))


@dataclass(frozen=True)
class Found:
    """logs: to be replayed. stored: complete in the store before. others: files in folders that are no recordings."""

    logs: list[Log] = field(default_factory=list)
    stored: list[Log] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def find_logs(given: Sequence[str], stored: Mapping[str, str], options: Mapping[str, str]) -> Found:
    """Return the logs named and those in folders, sorted by name within each folder, each path once.

    stored: by `Log.key`, the stamp of what a store has already: such a log is not opened, nor asked for its format.
    options: of the reader, with which a text that may be a recording is tried.
    """
    found, seen = Found(), set[str]()
    for text in given:
        path = Path(text)
        for each in _inside(path, stored, options, found.others) if path.is_dir() else (path,):
            log = _log(each)
            if log.key not in seen:
                seen.add(log.key)
                (found.stored if stored.get(log.key) == log.stamp else found.logs).append(log)
    return found


def _inside(folder: Path, stored: Mapping[str, str], options: Mapping[str, str], others: list[Path]) -> Iterator[Path]:
    """Yield the recordings in a folder and in those below it; the folder itself where an app made one recording of it.

    What is hidden is left out, and links to folders are not followed: they may lead round in a circle.
    """
    with os.scandir(folder) as entries:
        inside = sorted((it for it in entries if not it.name.startswith(".")), key=lambda it: it.name)
    files = [folder / it.name for it in inside if it.is_file()]
    plain = any(os.path.abspath(file) in stored for file in files)
    if os.path.abspath(folder) in stored or (files and not plain and _is_recording(folder, options)):
        yield folder
        return
    for file in files:
        if os.path.abspath(file) in stored or _is_recording(file, options):
            yield file
        else:
            others.append(file)
    for it in inside:
        if it.is_dir(follow_symlinks=False):
            yield from _inside(folder / it.name, stored, options, others)


def _is_recording(path: Path, options: Mapping[str, str]) -> bool:
    folder = path.is_dir()
    try:
        sure = sureness(path)
    except RecordingError:
        # A damaged file: opening it will say so. A folder is judged by its files.
        return not folder
    if folder or sure >= _LAYOUT_OF_AN_APP:
        # One table alone in a folder would be a recording, too, until a second one is put beside it.
        return sure >= _LAYOUT_OF_AN_APP
    if not sure or path.suffix.lower() in _TABLES:
        return bool(sure)
    try:
        # Any text may be a table, and most in a folder are notes.
        open_recording(path, **options).close()
    except (RecordingError, InputError):
        return False
    return True


def _log(path: Path) -> Log:
    name = os.path.normpath(path)
    if len(name) > MAX_NAME_CHARS:
        name = f"...{name[3 - MAX_NAME_CHARS :]}"
    # The files right inside, and those of `meta`, are all that a recording in a folder can consist of.
    files = sorted(it for it in (*path.glob("*"), *path.glob("meta/*")) if it.is_file()) if path.is_dir() else [path]
    size, digest = 0, hashlib.sha256()
    for file in files:
        try:
            state = file.stat()
        except OSError:
            continue  # opening the log will say what is wrong
        size += state.st_size
        digest.update(f"{file.name}\0{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}\n".encode())
    return Log(path, name, size, digest.hexdigest()[:16])
