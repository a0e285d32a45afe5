"""What each check returns, and how checks read a machine's files: no content of a file is an error."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from motionsig.files import read_file

MOST_BYTES = 65536
"""A larger file is taken as empty; those that matter are smaller."""


class Mark(StrEnum):
    """How much a finding matters. wrong: something will not work."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One line. advice: what to do, if possible a command to paste; empty where all is well."""

    mark: Mark
    found: str
    advice: str = ""


ok, note, wrong = (partial(Finding, mark) for mark in Mark)

is_there = os.path.exists
"""Path.exists raises PermissionError in a folder that may not be searched."""


def content_of(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the bytes of a file; empty where there is none to read."""
    try:
        return read_file(path, most_bytes)[0]
    except OSError:
        return b""


def text_of(path: Path) -> str:
    """Return a file's content as printable ASCII and newlines; empty where there is nothing to read."""
    # The device tree ends its strings with NUL.
    text = content_of(path).rstrip(b"\0\n ").decode("ascii", "backslashreplace")
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text).strip()


def line_of(path: Path) -> str:
    """Return the first line of a file."""
    return text_of(path).partition("\n")[0][:80]


def link_target(path: Path) -> str:
    """Return what a symbolic link points to; empty where there is no link."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def link_name(path: Path) -> str:
    """Return the name of what a symbolic link points to; empty where there is no link."""
    return os.path.basename(link_target(path))


def children(folder: Path, pattern: str) -> list[Path]:
    """Return the entries of a folder by length and name, so that 10 follows 9; none where there is no folder."""
    return sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))


def is_raspberry_pi(root: Path) -> bool:
    return "Raspberry Pi" in text_of(root / "proc/device-tree/model")
