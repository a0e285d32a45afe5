"""Options that come as keywords from Python or as text from a URL or a command line.

What options there are, and of which type, is what a function's signature says: no second list can go stale.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from motionsig.errors import InputError
from motionsig.escaping import own_logger
from motionsig.hints import did_you_mean

logger = own_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

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
            listing = f"the options are {', '.join(sorted(known))}" if known else "there are no options"
            raise InputError(f"{where} expected an option, got {name!r}{did_you_mean(name, known) or ';'} {listing}")
        if value is not None:
            parsed[name] = _parse(value, known[name].removesuffix(" | None"), f"{where} {name}", lowest)
    return parsed


def renamed_keywords(**new_names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function's keywords be given under their names of version 0.1, too, with a DeprecationWarning.

    new_names: old=new. The old ones go with version 0.2.
    """

    def rename(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            for old in new_names.keys() & kwargs.keys():
                warnings.warn(
                    f"{function.__qualname__}: {old}= is called {new_names[old]}=", DeprecationWarning, stacklevel=2
                )
                if new_names[old] in kwargs:
                    raise InputError(f"{function.__qualname__}: expected {new_names[old]}= or {old}=, got both")
                kwargs[new_names[old]] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return rename


def renamed_options(given: Mapping[str, Any], new_names: Mapping[str, str], *, where: str) -> dict[str, Any]:
    """Return options from a file, a URL or a command line under the names they have now; warn of each old one.

    new_names: old to new. The old ones go with version 0.2. Raises InputError where both are given.
    """
    for old in new_names.keys() & given.keys():
        logger.warning("%s option %r is called %r; the old name goes with version 0.2", where, old, new_names[old])
        if new_names[old] in given:
            raise InputError(f"{where} expected one of the options {new_names[old]} and {old} (its old name), got both")
    return {new_names.get(name, name): value for name, value in given.items()}


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
