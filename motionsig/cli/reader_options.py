"""`--option KEY=VALUE`: options of a log's reader."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from motionsig.errors import InputError


def reader_options(given: Sequence[str]) -> dict[str, str]:
    """Return the options by their names; raise InputError for a text without "="."""
    for text in given:
        if "=" not in text:
            raise InputError(f"--option: expected KEY=VALUE, got {text!r}")
    return dict(text.split("=", 1) for text in given)


def as_words(options: Mapping[str, str]) -> str:
    """Return options as they are written on a command line."""
    return " ".join(f"--option {shlex.quote(f'{name}={value}')}" for name, value in options.items())
