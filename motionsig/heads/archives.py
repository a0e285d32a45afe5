"""Zip archives that may be anybody's, read in memory and with limits: a head's arrays, and a head that was sent."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_MOST_ENTRIES = 16

# What zipfile raises for bytes that are no archive; ArithmeticError: an offset that no machine has.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, ValueError, LookupError, EOFError, OSError, RuntimeError,
    ArithmeticError,
)  # fmt: skip


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files; the same bytes for the same files, whatever compresses on this machine."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of the year 1980, and not of now
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    return made.getvalue()


def unpack(content: bytes, most_bytes: Callable[[str], int]) -> dict[str, bytes]:
    """Return the files in an archive by name. most_bytes: how many a file of a name may have; 0 where there is none.

    Nothing is written, and no more is unpacked than that. Raises ValueError with one line for an archive that is
    damaged, or that has other names, one name twice, links, folders, encrypted or larger files, or another compression.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise ValueError(f"expected at most {_MOST_ENTRIES} files, got {len(entries)}")
            files: dict[str, bytes] = {}
            for entry in entries:
                name, most = entry.filename, most_bytes(entry.filename)
                if not most:
                    raise ValueError(f"expected no file of this name, got {name!r:.80}")
                if name in files:
                    raise ValueError(f"expected each file once, got {name} twice")
                if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
                    raise ValueError(f"expected plain files, got a link or device as {name}")
                if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
                    raise ValueError(f"expected files that are stored or deflated, got {name} otherwise")
                with archive.open(entry) as file:
                    # What the archive says of its size may be wrong.
                    files[name] = file.read(most + 1)
                if len(files[name]) > most:
                    raise ValueError(f"expected at most {most:,} B as {name}, got more")
            return files
    except _DAMAGED as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
