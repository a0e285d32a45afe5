"""The files that a recording consists of: one, those of a folder, or those of a zip, which is read in place.

What gzip, bzip2 or xz has packed is unpacked while it is read. Standard input is a file like others once spooled.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from motionsig.errors import RecordingError
from motionsig.recordings.names import sensor_of
from motionsig.recordings.progress import counted

HEAD_BYTES = 65_536
_DEEPEST = 4

_LARGEST_MEMBER = 8 << 30
_LARGEST_RATIO = 200  # text logs deflate 3 to 30 times. A bomb is over 1000; a small member may be as dense as it likes
_DENSE_FROM = 1 << 24
_LARGEST_SPOOL = 8 << 30
_PACKED = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\0"}

_spools: list[IO[bytes]] = []  # open as long as the process lives, since a Source is iterated again


@dataclass(frozen=True)
class Member:
    """One file of a recording: `name` within its folder or zip, `where` to name it in a message, `open` to read it.

    name: without the suffix of what packed it. packed: opens what is on the disk, where `open` unpacks it.
    """

    name: str
    where: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    packed: Callable[[], AbstractContextManager[IO[bytes]]] | None = field(default=None, repr=False)

    def head(self) -> bytes:
        """Return the first 64 KiB."""
        with self.open() as file:
            return file.read(HEAD_BYTES)


@contextmanager
def readable(where: str, kind: str = "zip") -> Iterator[None]:
    """Turn what reading a damaged or absent file raises into a RecordingError that names it."""
    try:
        yield
    except OSError as error:
        raise RecordingError(f"{where}: expected a readable recording, got: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise RecordingError(f"{where}: expected an intact {kind}, got a damaged one: {error!s:.200}") from error


def single(path: Path, name: str = "") -> Member:
    """Return the file at `path` as a Member, unpacked where gzip, bzip2 or xz packed it; name: within its folder."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with readable(str(path)):
            # Opening a pipe that nobody writes to would never return.
            if path.exists() and not path.is_file():
                raise RecordingError(f"{path}: expected a file, got a folder, pipe or device")
            with path.open("rb") as file, counted(file):
                yield file

    if called(path) != STANDARD_INPUT:
        return _unpacked(Member(name or path.name, str(path), opened))
    start = os.pread(int(path.name), 8, 0)  # as it has no name that says so
    suffix = next((suffix for suffix, mark in _PACKED.items() if start.startswith(mark)), "")
    return _unpacked(Member(STANDARD_INPUT + suffix, STANDARD_INPUT, opened))


STANDARD_INPUT = "standard input"


def spooled(stream: IO[bytes]) -> Path:
    """Return the path of a file that holds all of `stream`, such as standard input, and has no name in any folder.

    It lasts as long as the process. Raises RecordingError where the stream is empty or more than 8 GiB.
    """
    file = tempfile.TemporaryFile(prefix="motionsig-")  # noqa: SIM115 - it must outlive this function
    with readable(STANDARD_INPUT):
        size = 0
        while data := stream.read(1 << 20):
            size += file.write(data)
            if size > _LARGEST_SPOOL:
                file.close()
                got = "got more; write it into a file first"
                raise RecordingError(f"{STANDARD_INPUT}: expected at most {_LARGEST_SPOOL} bytes, {got}")
        file.flush()
    if not size:
        file.close()
        raise RecordingError(f"{STANDARD_INPUT}: expected a recording, got nothing")
    _spools.append(file)
    return _path_of(file)


def called(path: Path) -> str:
    """Return how a log is called in messages: its path, or that it is standard input."""
    return STANDARD_INPUT if path in map(_path_of, _spools) else str(path)


def _path_of(file: IO[bytes]) -> Path:
    return Path(f"/proc/self/fd/{file.fileno()}")


def members(path: Path, *, deepest: int = 0) -> tuple[Member, ...]:
    """Return the files in the folder or zip at `path`, sorted by name; none for another file.

    deepest: how many levels of folders below a folder count, besides phyphox's `meta`; of a zip, all do. A folder that
    has no file of its own has those of the folders below it. A zip in a folder that is called after a sensor counts as
    a folder.

    Raises RecordingError for a damaged zip; opening a member, if it is encrypted or expands beyond reason.
    """
    if path.is_dir():
        with readable(str(path)):
            inside = sorted({*_files(path, deepest), *(it for it in path.glob("meta/*") if it.is_file())})
            inside = inside or sorted(_files(path, _DEEPEST))
        return tuple(member for it in inside for member in _members_of(it, it.relative_to(path).as_posix()))
    with readable(str(path)):
        if not zipfile.is_zipfile(path):
            if single(path).head().startswith(b"PK\3\4"):
                raise zipfile.BadZipFile("the list of its files is missing at the end")
            return ()
        try:
            with zipfile.ZipFile(path) as archive:
                infos = sorted(archive.infolist(), key=lambda info: info.filename)
        except (ValueError, IndexError, struct.error) as error:
            raise zipfile.BadZipFile(str(error)) from error
    files = [info for info in infos if info.filename and not info.is_dir()]
    shown = (info for info in files if not any(it.startswith((".", "__MACOSX")) for it in info.filename.split("/")))
    return tuple(_zipped(path, info) for info in shown)


def _members_of(path: Path, name: str) -> Iterator[Member]:
    """Yield a file of a folder, or what is in the zip of one sensor's tables."""
    if path.suffix.lower() == ".zip" and sensor_of(path.stem)[0] and zipfile.is_zipfile(path):
        for member in members(path):
            yield replace(member, name=f"{name}/{member.name}")
    else:
        yield single(path, name)


def _files(folder: Path, deepest: int) -> Iterator[Path]:
    """Yield the files in a folder and its folders, sorted by name; none that is hidden, and no folder behind a link."""
    for each in sorted(folder.iterdir()):
        if each.name.startswith((".", "__MACOSX")):
            continue
        if each.is_file():
            yield each
        elif deepest and each.is_dir() and not each.is_symlink():
            yield from _files(each, deepest - 1)


def _unpacked(member: Member) -> Member:
    """Return a member with what gzip, bzip2 or xz packed unpacked while it is read; any other as it is."""
    suffix = next((suffix for suffix in _PACKED if member.name.lower().endswith(suffix)), "")
    if not suffix:
        return member

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with member.open() as packed, readable(member.where, f"{suffix} file"):
            start = packed.read(8)
            packed.seek(0)
            if not start.startswith(_PACKED[suffix]):
                yield packed  # called so, and not packed
                return
            with _unpacker(suffix, packed) as file:
                yield io.BufferedReader(_Bounded(file, packed, member.where), 1 << 17)

    return Member(member.name[: -len(suffix)], member.where, opened, member.open)


def _unpacker(suffix: str, packed: IO[bytes]) -> IO[bytes]:
    import bz2
    import gzip

    if suffix == ".gz":
        return gzip.GzipFile(fileobj=packed, mode="rb")  # type: ignore[return-value]
    return bz2.BZ2File(packed) if suffix == ".bz2" else lzma.LZMAFile(packed)


class _Bounded(io.RawIOBase):
    """What is unpacked, as long as it is not far more than a log can be packed into so little."""

    def __init__(self, file: IO[bytes], packed: IO[bytes], where: str) -> None:
        self._file, self._packed, self._where = file, packed, where
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self._file.read(len(view))
        view[: len(data)] = data
        self._count += len(data)
        dense = self._count > _DENSE_FROM and self._count > _LARGEST_RATIO * self._packed.tell()
        if dense or self._count > _LARGEST_MEMBER:
            raise RecordingError(
                f"{self._where}: expected at most {_LARGEST_MEMBER} bytes and {_LARGEST_RATIO} times the packed size, "
                f"got {self._count} bytes from {self._packed.tell()}; unpack it if you trust it"
            )
        return len(data)


def _zipped(path: Path, info: zipfile.ZipInfo) -> Member:
    where = f"{path}/{info.filename}"

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        dense = info.file_size > _LARGEST_RATIO * info.compress_size and info.file_size > _DENSE_FROM
        if info.file_size > _LARGEST_MEMBER or dense:
            raise RecordingError(
                f"{where}: expected at most {_LARGEST_MEMBER} bytes and {_LARGEST_RATIO} times the packed size, "
                f"got {info.file_size} bytes from {info.compress_size}; unpack it if you trust it"
            )
        if info.flag_bits & 1:
            raise RecordingError(f"{where}: expected a zip without a password, got an encrypted member")
        with readable(where), zipfile.ZipFile(path) as archive:
            try:
                file = archive.open(info)
            except UnicodeDecodeError as error:
                # The name that stands before the content, damaged.
                raise zipfile.BadZipFile(str(error)) from error
            with file, counted(file, info.compress_size / max(1, info.file_size)):
                yield file

    return _unpacked(Member(info.filename, where, opened))


def content_id(parts: tuple[Member, ...], *settings: object) -> int:
    """Return 63 bits that stand for what the recording holds: size, first and last 64 KiB of each of its files.

    A file packed by gzip, bzip2 or xz counts as it is on the disk: its end can be read without all that is before it.

    settings: options that change the samples, so that a replay with another unit or sign is no repetition.
    """
    digest = hashlib.sha256(repr(settings).encode() if settings else b"")
    for part in parts:
        with (part.packed or part.open)() as file:
            head = file.read(HEAD_BYTES)
            size = file.seek(0, 2)
            file.seek(max(0, size - HEAD_BYTES))
            digest.update(size.to_bytes(8, "little") + head + file.read(HEAD_BYTES))
    return int.from_bytes(digest.digest()[:8], "big") >> 1
