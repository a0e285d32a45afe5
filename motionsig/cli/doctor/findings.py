"""What each check returns, and how checks read a machine's files: no content of a file is an error."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MOST_BYTES = 65536
"""Nothing after so many bytes of a file is read; the files that matter are smaller."""


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


def text_of(path: Path) -> str:
    """Return a file's content as printable ASCII and newlines; empty where there is nothing to read."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES)
    except OSError:
        return ""
    # The device tree ends its strings with NUL.
    text = raw.rstrip(b"\0\n ").decode("ascii", "backslashreplace")
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


def is_there(path: Path) -> bool:
    """Return whether a file exists; False in a folder that may not be searched, where pathlib raises."""
    return os.path.exists(path)


def is_raspberry_pi(root: Path) -> bool:
    return "Raspberry Pi" in text_of(root / "proc/device-tree/model")
