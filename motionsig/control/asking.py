"""What an ask is: its parameters, each with a check, and the function that answers it; and how an answer can fail."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from motionsig.errors import MotionsigError
from motionsig.events import HEAD_NAME

REQUEST, HEAD, BUSY, NOTHING, FAILED = "request", "head", "busy", "nothing", "failed"
"""Kinds of errors: no such ask or a parameter that cannot be, a head that cannot be or cannot be changed, another
lesson is under way, nothing is stored there or no sensor runs, and all else."""

_REQUEST = re.compile("[A-Za-z0-9]{1,64}")
_STREAM = re.compile("[0-9]{1,19}")
_MOST_MS = 1 << 53  # what JavaScript's numbers hold exactly
_MOST_HEADS = 64


class AskError(MotionsigError, ValueError):
    """An ask that gets no answer. kind: one of those above; its text is for people."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


GONE: ContextVar[Callable[[], bool]] = ContextVar("gone", default=lambda: False)
"""Whether the viewer that an ask is answered for is gone; what takes long asks it, and ends then."""

Check = Callable[[Any], Any]
"""Returns a parameter's value as the ask takes it; raises ValueError that says what was expected."""


@dataclass(frozen=True)
class Ask:
    """One ask.

    answer: gets what asks share (`shared.Shared`) and the checked parameters by name, and returns what JSON has; it may
    raise AskError. It runs in a thread of its own, never in the loop's. parameters: by name, each with its check; all
    have to be given, and no others. changes: it has a parameter `request` besides, and the same one again gets the same
    answer.
    """

    answer: Callable[[Any, Mapping[str, Any]], Any]
    parameters: Mapping[str, Check]
    changes: bool = False


def checked(ask: Ask, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an ask, with `request` where it changes something. Raises AskError."""
    checks = {**ask.parameters, **({"request": request} if ask.changes else {})}
    if given.keys() != checks.keys():
        expected, got = (", ".join(sorted(keys)) or "none" for keys in (checks, given))
        raise AskError(REQUEST, f"parameters: expected {expected}, got {got!r:.200}")
    values = {}
    for name, check in checks.items():
        try:
            values[name] = check(given[name])
        except ValueError as error:
            raise AskError(REQUEST, f"{name}: {error}, got {given[name]!r:.80}") from error
    return values


def request(value: Any) -> str:
    """Take the name that a client gives a request."""
    if not isinstance(value, str) or not _REQUEST.fullmatch(value):
        raise ValueError("expected 1 to 64 letters and digits")
    return value


def head_name(value: Any) -> str:
    """Take the name of a head, whether there is one or not."""
    if not isinstance(value, str) or not HEAD_NAME.fullmatch(value):
        raise ValueError("expected 1 to 64 of A-Z, a-z, 0-9, _ and -, beginning with a letter or digit")
    return value


def head_names(value: Any) -> list[str]:
    """Take a list of names."""
    if not isinstance(value, list) or len(value) > _MOST_HEADS:
        raise ValueError(f"expected a list of at most {_MOST_HEADS} names")
    return [head_name(name) for name in value]


def yes_or_no(value: Any) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def whole(least: int, most: int) -> Check:
    """Return a check of whole numbers."""

    def check(value: Any) -> int:
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            value = int(value)  # 3 and 3.0 are one number in JavaScript
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return value

    return check


milliseconds = whole(0, _MOST_MS)
"""Of Unix time."""


def position(value: Any) -> tuple[int, int]:
    """Take the place of a row: its stream, a decimal text, and its number."""
    match value:
        case [str(stream), int(seq)] if _STREAM.fullmatch(stream) and type(seq) is int and 0 <= seq <= _MOST_MS:
            return int(stream), seq
    raise ValueError("expected a stream, a text of decimal digits, and a whole number")


def one_of(*words: str) -> Check:
    """Return a check of a choice."""

    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return str(value)

    return check


def or_null(check: Check) -> Check:
    """Return a check that takes null, too."""
    return lambda value: None if value is None else check(value)
