"""How a log stands on a command line: its path, or - for standard input; `--option KEY=VALUE` of its reader."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from motionsig.errors import InputError
from motionsig.recordings.members import spooled


def reader_options(given: Sequence[str]) -> dict[str, str]:
    """Return the options by their names; raise InputError for a text without "="."""
    for text in given:
        if "=" not in text:
            raise InputError(f"--option: expected KEY=VALUE, got {text!r}")
    return dict(text.split("=", 1) for text in given)


def log_path(text: str) -> Path:
    """Return the path of a log; what comes from standard input is kept in a file without a name."""
    return spooled(sys.stdin.buffer) if text == "-" else Path(text)
