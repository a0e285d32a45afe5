"""Which logs a replay is about: those named, and those in the folders named."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from motionsig.cli.reader_options import log_path
from motionsig.errors import InputError, RecordingError
from motionsig.recordings import inspect_recording, open_recording, sureness
from motionsig.recordings.members import called
from motionsig.recordings.understanding import UndecidedError
from motionsig.wire import MAX_NAME_CHARS

_LAYOUT_OF_AN_APP = 2  # see `Reader`
_MOST_FILES_OF_AN_APP = 100  # to ask of each file whether it is one of an app's tables takes milliseconds
_TABLES = (".csv", ".tsv")  # a file of such a name that cannot be read deserves an error of its own


@dataclass(frozen=True)
class Log:
    """A recording on the disk. name: as it was given, for tables and messages. size: bytes. stamp: changes with it.

    stream: which of its streams, where it has several: each is a recording.
    """

    path: Path
    name: str
    size: int
    stamp: str
    stream: str = ""

    @property
    def key(self) -> str:
        """The path, and the stream, by which a store remembers it."""
        return _named(_key(self.path), self.stream)

    def options(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the options with which it is opened: those given, and its stream."""
        return {**given, **({"stream": self.stream} if self.stream else {})}

    @property
    def folder(self) -> str:
        """The name of the folder it lies in."""
        return os.path.basename(os.path.dirname(_key(self.path)))


def _text(path: str | Path) -> str:
    """Return a path as text that a store and a message can hold, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def _key(path: Path) -> str:
    return _text(os.path.abspath(path))


def _named(path: str, stream: str) -> str:
    return f"{path}#{stream}" if stream else path


@dataclass(frozen=True)
class Found:
    """logs: to be replayed. stored: complete in the store before. others: files in folders that are no recordings.

    closed: folders that cannot be read, and why.
    """

    logs: list[Log] = field(default_factory=list)
    stored: list[Log] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    closed: list[RecordingError] = field(default_factory=list)


def find_logs(
    given: Sequence[str], stored: Mapping[str, str], options: Mapping[str, str], *, each_stream: bool = True
) -> Found:
    """Return the logs named and those in folders, sorted by name within each folder, each path once.

    stored: by `Log.key`, the stamp of what a store has already: such a log is not opened, nor asked for its format.
    options: of the reader, with which a text that may be a recording is tried. each_stream: a log of several streams
    comes once for each; else it comes once and is not looked into. Raises InputError for an empty name.
    """
    found, seen = Found(), set[str]()
    for text in given:
        if not text:
            raise InputError("LOG: expected a file or a folder, got an empty name")
        path = log_path(text)
        for each in _inside(path, stored, options, found) if path.is_dir() else (path,):
            log = _log(each)
            whole = not each_stream or stored.get(log.key) == log.stamp
            for one in (log,) if whole else _streams(log, options):
                if one.key not in seen:
                    seen.add(one.key)
                    (found.stored if stored.get(one.key) == one.stamp else found.logs).append(one)
    return found


def _streams(log: Log, options: Mapping[str, str]) -> Sequence[Log]:
    """Return a log for each stream of one that has several, and the log itself otherwise."""
    if "stream" in options:
        return (log,)
    try:
        streams = inspect_recording(log.path, **options).streams
    except (RecordingError, InputError):
        return (log,)  # opening it will say why
    if len(streams) < 2:
        return (log,)
    return [replace(log, stream=it.name, name=_shortened(_named(log.name, it.name))) for it in streams]


def _inside(folder: Path, stored: Mapping[str, str], options: Mapping[str, str], found: Found) -> Iterator[Path]:
    """Yield the recordings in a folder and in those below it; the folder itself where an app made one recording of it.

    What is hidden is left out, and links to folders are not followed: they may lead round in a circle.
    """
    try:
        with os.scandir(folder) as entries:
            inside = sorted((it for it in entries if not it.name.startswith(".")), key=lambda it: it.name)
    except OSError as error:
        found.closed.append(RecordingError(f"{_text(folder)}: expected a readable folder, got: {error.strerror}"))
        return
    files = [folder / it.name for it in inside if _is_file(it)]
    whole = _key(folder) in stored or (
        0 < len(files) <= _MOST_FILES_OF_AN_APP
        and not any(_key(file) in stored for file in files)
        and _is_whole(folder)
    )
    if whole:
        yield folder
    for file in files:
        if _key(file) in stored or _is_recording(file, options, in_one=whole):
            yield file
        elif not whole:
            found.others.append(_text(file))
    for it in inside:
        if it.is_dir(follow_symlinks=False) and not (whole and it.name == "meta"):
            yield from _inside(folder / it.name, stored, options, found)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False  # a link that leads to itself


def _is_whole(folder: Path) -> bool:
    """Tell whether an app made one recording of a folder; a table that is alone in one today may not be tomorrow."""
    try:
        return sureness(folder) >= _LAYOUT_OF_AN_APP
    except RecordingError:
        return False  # a damaged file in it: opening that will say so


def _is_recording(file: Path, options: Mapping[str, str], *, in_one: bool) -> bool:
    """Tell whether a file is a recording by itself. in_one: it lies in a folder that is one."""
    try:
        sure = sureness(file)
    except RecordingError:
        return not in_one  # a damaged file: opening it will say so
    if sure >= _LAYOUT_OF_AN_APP or in_one:
        return sure > _LAYOUT_OF_AN_APP or not in_one  # a text in a folder that is one log is a stream of that
    if not sure or file.suffix.lower() in _TABLES:
        return bool(sure)
    try:
        # Any text may be a table, and most in a folder are notes, or other tables of an app.
        open_recording(file, **options).close()
    except UndecidedError:
        return True
    except RecordingError:
        return False
    return True


def _log(path: Path) -> Log:
    name = _shortened(_text(os.path.normpath(called(path))))
    # The files right inside, and those of `meta`, are all that a recording in a folder can consist of.
    inside = sorted((*path.glob("*"), *path.glob("meta/*"))) if path.is_dir() else [path]
    size, digest = 0, hashlib.sha256()
    for file in inside:
        try:
            state = file.stat()
        except OSError:
            continue  # opening the log will say what is wrong
        if file == path or (stat.S_ISREG(state.st_mode) and not file.name.startswith(".")):
            size += state.st_size
            digest.update(os.fsencode(file.name))
            digest.update(f"\0{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}\n".encode())
    return Log(path, name, size, digest.hexdigest()[:16])


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME_CHARS else f"...{name[3 - MAX_NAME_CHARS :]}"
