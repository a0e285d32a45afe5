"""A head as it goes from one machine to another: its files, in a folder or a zip file, read into memory and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from motionsig.errors import HeadError
from motionsig.heads.archives import pack, unpack
from motionsig.heads.card import (
    ARRAYS_NAME,
    CARD_NAME,
    MOST_ARRAYS_BYTES,
    MOST_CARD_BYTES,
    SIGNATURE_NAME,
    HeadCard,
    parse_head,
    read_head_file,
    reader_of,
)

_MOST_SIGNATURE_BYTES = 1024
MOST_ZIP_BYTES = MOST_CARD_BYTES + MOST_ARRAYS_BYTES + (64 << 10)


@dataclass(frozen=True)
class Sent:
    """A head as it was given: its card, and the bytes of its files by name, as they are."""

    card: HeadCard
    files: Mapping[str, bytes]


def read_files(given: Path) -> Sent:
    """Return the head in a folder or a zip file, of which nothing else is read, nor written anywhere.

    Raises HeadError in one line for what is none: damaged files, and an archive with other names, one name twice,
    links, encrypted or large files.
    """
    files: dict[str, bytes] = {}
    if given.is_dir():

        def read(name: str, most_bytes: int) -> bytes:
            files[name] = read_head_file(given / name, most_bytes)
            return files[name]

        card = parse_head(read, str(given))
        if (given / SIGNATURE_NAME).exists():
            read(SIGNATURE_NAME, _MOST_SIGNATURE_BYTES)
        return Sent(card, files)
    return read_zip(read_head_file(given, MOST_ZIP_BYTES), str(given))


def read_zip(content: bytes, where: str) -> Sent:
    """Return the head in a zip file, as `read_files` does. where: what an error names."""
    try:
        files = unpack(content, _most_bytes)
    except ValueError as error:
        raise HeadError(f"{where}: expected a zip file with a head, got: {error}") from error
    card = parse_head(reader_of(files, where), where)
    if len(others := [name for name in files if ARRAYS_NAME.fullmatch(name)]) > 1:
        raise HeadError(f"{where}: expected the files of one head, got {' and '.join(others)}")
    return Sent(card, files)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return the zip file of a head's files, the same for the same files."""
    return pack(dict(sorted(files.items())))


def _most_bytes(name: str) -> int:
    if ARRAYS_NAME.fullmatch(name):
        return MOST_ARRAYS_BYTES
    return {CARD_NAME: MOST_CARD_BYTES, SIGNATURE_NAME: _MOST_SIGNATURE_BYTES}.get(name, 0)
