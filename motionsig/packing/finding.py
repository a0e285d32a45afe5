"""Which tables this machine has: those of the models that came with motionsig, and of those that were installed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from motionsig.errors import ModelError
from motionsig.files import read_file
from motionsig.packing.tables import FILE_NAME, MOST_FILE_BYTES, Tables, read_tables
from motionsig.state import models_folder, shipped_folder


def find_tables(fingerprint: bytes, name: bytes | None = None) -> Tables | None:
    """Return the tables for signatures with this fingerprint, None where there are none.

    name: only the tables of the file that these bytes stand for. Tables that were installed meanwhile are found.
    """
    try:
        return _found(fingerprint, name)
    except LookupError:
        return None


@lru_cache(32)  # which keeps what is returned and not what is raised: folders are searched again for what is missing
def _found(fingerprint: bytes, name: bytes | None) -> Tables:
    for file in (*shipped_folder().glob(f"*/{FILE_NAME}"), *sorted(models_folder().glob(f"*/*/{FILE_NAME}"))):
        try:
            status = file.stat()
            found = _read(file, status.st_mtime_ns, status.st_size, fingerprint)
        except OSError:
            continue
        if found is not None and name in (None, found.name):
            return found
    raise LookupError(fingerprint.hex())


@lru_cache(32)  # also of what is not in a file
def _read(file: Path, _changed_ns: int, _size: int, fingerprint: bytes) -> Tables | None:
    """Return the tables of a file for a fingerprint; a damaged file has none: without it, codes travel deflated.

    The others of the file stay packed: each takes half a megabyte of a service that never uses it.
    """
    content, _ = read_file(file, MOST_FILE_BYTES, follow_links=False)
    try:
        return read_tables(content, str(file), fingerprint).get(fingerprint)
    except ModelError:
        return None
