"""The files that a recording consists of: one, those of a folder, or those of a zip, which is read in place."""

from __future__ import annotations

import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from motionsig.errors import RecordingError

HEAD_BYTES = 65_536

_LARGEST_MEMBER = 8 << 30
_LARGEST_RATIO = 200  # text logs deflate 3 to 30 times. A bomb is over 1000; a small member may be as dense as it likes


@dataclass(frozen=True)
class Member:
    """One file of a recording: `name` within its folder or zip, `where` to name it in a message, `open` to read it."""

    name: str
    where: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]

    def head(self) -> bytes:
        """Return the first 64 KiB."""
        with self.open() as file:
            return file.read(HEAD_BYTES)


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn what reading a damaged or absent file raises into a RecordingError that names it."""
    try:
        yield
    except OSError as error:
        raise RecordingError(f"{where}: expected a readable recording, got: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise RecordingError(f"{where}: expected an intact zip, got a damaged one: {error}") from error


def single(path: Path) -> Member:
    """Return the file at `path` as a Member."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with readable(str(path)):
            # Opening a pipe that nobody writes to would never return.
            if path.exists() and not path.is_file():
                raise RecordingError(f"{path}: expected a file, got a folder, pipe or device")
            with path.open("rb") as file:
                yield file

    return Member(path.name, str(path), opened)


def members(path: Path) -> tuple[Member, ...]:
    """Return the files in the folder or zip at `path`, sorted by name; none for another file.

    Raises RecordingError for a damaged zip; opening a member, if it is encrypted or expands beyond reason.
    """
    if path.is_dir():
        with readable(str(path)):
            inside = sorted(it for it in (*path.glob("*"), *path.glob("meta/*")) if it.is_file())
        return tuple(single(it) for it in inside if not it.name.startswith("."))
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
    return tuple(_zipped(path, info) for info in files if not info.filename.startswith(("__MACOSX", ".")))


def _zipped(path: Path, info: zipfile.ZipInfo) -> Member:
    where = f"{path}/{info.filename}"

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        dense = info.file_size > _LARGEST_RATIO * info.compress_size and info.file_size > 1 << 24
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
            with file:
                yield file

    return Member(info.filename, where, opened)


def content_id(parts: tuple[Member, ...], *settings: object) -> int:
    """Return 63 bits that stand for what the recording holds: size, first and last 64 KiB of each of its files.

    settings: options that change the samples, so that a replay with another unit or sign is no repetition.
    """
    digest = hashlib.sha256(repr(settings).encode() if settings else b"")
    for part in parts:
        with part.open() as file:
            head = file.read(HEAD_BYTES)
            size = file.seek(0, 2)
            file.seek(max(0, size - HEAD_BYTES))
            digest.update(size.to_bytes(8, "little") + head + file.read(HEAD_BYTES))
    return int.from_bytes(digest.digest()[:8], "big") >> 1
