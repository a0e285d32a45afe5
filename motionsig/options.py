"""Options that come as keywords from Python or as text from a URL or a command line.

What options there are, and of which type, is what a function's signature says: no second list can go stale.
"""

from __future__ import annotations

import ast
import inspect
import json
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from motionsig.errors import InputError

_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def keyword_options(function: Callable[..., Any], *, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Return a function's keyword-only parameters and their types as written."""
    return {
        name: getattr(parameter.annotation, "__name__", str(parameter.annotation))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in leave_out
    }


def parse_options(
    given: Mapping[str, Any], known: Mapping[str, str], *, where: str, lowest: float = -math.inf
) -> dict[str, Any]:
    """Return the options that were given (None counts as not given), text turned into the type each one has.

    Raises InputError for an option that is not among `known`, a value of another type, or a number below `lowest`.
    """
    parsed = {}
    for name, value in given.items():
        if name not in known:
            listing = ", ".join(sorted(known)) or "none"
            raise InputError(f"{where} expected one of the options {listing}, got {name!r}")
        if value is not None:
            parsed[name] = _parse(value, known[name].removesuffix(" | None"), f"{where} {name}", lowest)
    return parsed


def _parse(value: Any, kind: str, where: str, lowest: float) -> Any:
    if kind == "bool":
        if isinstance(value, bool) or str(value).lower() in _WORDS:
            return value if isinstance(value, bool) else _WORDS[str(value).lower()]
        raise InputError(f"{where}: expected true or false, got {value!r}")
    if kind == "str":
        return str(value)
    if kind.startswith("Mapping"):
        return _mapping(value, where)
    if kind not in ("int", "float"):
        return value
    try:
        if kind == "int":
            number: float = int(value) if isinstance(value, str) else operator.index(value)
        else:
            number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: expected {'an integer' if kind == 'int' else 'a number'}, got {value!r}") from error
    if not math.isfinite(number) or number < lowest:
        bound = "a finite number" if lowest == -math.inf else f"a number from {lowest:g} up"
        raise InputError(f"{where}: expected {bound}, got {value!r}")
    return number


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(value)
                break
            except (ValueError, SyntaxError):
                continue
    if not isinstance(value, Mapping):
        raise InputError(f'{where}: expected a mapping such as {{"acc_x": "its name here"}}, got {value!r}')
    return value
