"""The keys: which ones exist, and which values each may have.

[sensor] has the options of `open_sensor`; [sink] and [spool] have those of the sink that sink.url names. Types and
defaults are those of the signatures, so no list here can become outdated.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from motionsig.encoders import DEFAULT_MODEL
from motionsig.errors import InputError
from motionsig.options import keyword_options
from motionsig.publishers import BROKER_SCHEMES, takes_options
from motionsig.sensors import open_sensor

TABLES = ("sensor", "model", "heads", "exec", "sink", "spool", "status", "page")
CREDENTIALS = ("password", "key")  # options of a sink that are secret: their keys name a credential instead
_PLACES = {option: f"sink.{option}_credential" for option in CREDENTIALS}
FILES = ("proxy_credential", "key_file")
"""Keys of [sink] for a broker that are no options: the files with its options `proxy` and `key`."""
_PLACES |= {"spool": "spool.path", "max_bytes": "spool.max_bytes", "full": "spool.full", "strict": "spool.strict"}
"""Options of a sink whose key is not sink.OPTION."""

_NOT_KEYS = (
    *("device", "stream_id", "epoch", "buffer", "availability", "home_assistant"),
    *("busy_timeout_s", "close_timeout_s", "close_limit_s"),
)
"""Options of a sink that the daemon sets itself: names, folders, what other keys say, and how long it may wait."""

_DEFAULTS = {"sink.keep_bytes": 1 << 30}
"""Where the service has another default than the function. What nobody looks after must not fill the disk: this is four
months at the default hop, and leaves room on the smallest cards, of 8 GB."""

_KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "matrix": "three rows of three numbers",
    "texts": "a list of texts in quotes",
}


@dataclass(frozen=True)
class Key:
    """What a key may hold. kinds: of bool, int, float, str, matrix and texts."""

    kinds: tuple[str, ...]
    default: Any = None


OWN_KEYS = {
    "name": Key(("str",)),
    "sensor.name": Key(("str",), "auto"),
    "model.name": Key(("str",), DEFAULT_MODEL),
    "model.device": Key(("str",), "auto"),
    "model.hop": Key(("int",)),
    "heads.names": Key(("texts",), []),
    "heads.hop": Key(("int",), 8),
    "heads.exec_limit_s": Key(("float",), 10.0),
    "sink.url": Key(("str",)),
    "status.home_assistant": Key(("bool", "str"), False),
    "status.prometheus": Key(("int",), 0),
    "page.history_days": Key(("float",), 0.0),
}
"""Keys that are no options of a function."""


SCHEMES = (*BROKER_SCHEMES, "store", "file")
"""Sinks that a device may have: the measurement does not wait for the server of a database."""

PROGRAM = Key(("texts",))
"""What every key of [exec] may hold; its keys are names of heads."""


def known_keys(scheme: str | None = None) -> dict[str, Key]:
    """Return every key that exists with a sink of this scheme, by default with any."""
    keys = OWN_KEYS | sensor_keys()
    for each in SCHEMES if scheme is None else (scheme,):
        options = _option_keys(takes_options(each))
        # Where two kinds of sink have other defaults, the example shows that of the first, a broker.
        keys = keys | {sink_key(name): key for name, key in options.items() if name not in _NOT_KEYS} | keys
        if each in BROKER_SCHEMES:
            keys |= {f"sink.{name}": Key(("str",)) for name in FILES}
    return {name: replace(key, default=_DEFAULTS.get(name, key.default)) for name, key in keys.items()}


def sensor_keys() -> dict[str, Key]:
    """Return the keys of the sensor's options; no sink's module is imported for them."""
    return {f"sensor.{name}": key for name, key in _option_keys(open_sensor).items()}


@cache
def _option_keys(function: Any) -> dict[str, Key]:
    """Return the options of a function that TOML has a type for."""
    parameters = inspect.signature(function).parameters
    keys = {}
    for name, annotation in keyword_options(function).items():
        kinds = [kind for kind in annotation.split(" | ") if kind in _KINDS]
        kinds += ["matrix"] if "Sequence[Sequence[float]]" in annotation else []
        if kinds:
            keys[name] = Key(tuple(kinds), parameters[name].default)
    return keys


def sink_key(option: str) -> str:
    """Return the key of an option of a sink."""
    return _PLACES.get(option, f"sink.{option}")


def sink_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of [sink] and [spool] by their options."""
    options = {key: option for option, key in _PLACES.items()}
    return {
        options.get(key, key.partition(".")[2]): value
        for key, value in values.items()
        if key != "sink.url" and key.startswith(("sink.", "spool."))
    }


def checked_value(key: str, value: Any, scheme: str) -> Any:
    """Return a value in its key's type; raise InputError where there is no such key, or none with this sink.

    scheme: of the sink, "" where it is not known; then the keys of every sink exist.
    """
    known = known_keys(scheme or None)
    if key.startswith("exec."):
        return _typed(value, PROGRAM)
    if key in known:
        return _typed(value, known[key])
    if key not in known_keys():
        raise InputError(_unknown(key, value, known))
    if key.startswith("spool."):
        raise InputError(f"expected no [spool] with {scheme}:, which stores each signature at once and needs no queue")
    raise InputError(f"expected one of the options of {scheme}:, got one of another sink")


def shown(value: Any) -> str:
    """Return a value as messages show it: as in the file, and shortened."""
    text = json.dumps(value) if isinstance(value, bool | str) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def meant(key: str, value: Any, known: Mapping[str, Key]) -> str:
    """Return the key or table whose name is most like an unknown one, "" where none is."""
    from difflib import get_close_matches

    if isinstance(value, dict) and "." not in key:
        near = get_close_matches(key, TABLES, n=1)
    else:
        last = key.rpartition(".")[2]
        near = [each for each in known if each.rpartition(".")[2] == last] or get_close_matches(key, known, n=1)
    return near[0] if near else ""


def _unknown(key: str, value: Any, known: Mapping[str, Key]) -> str:
    near = meant(key, value, known)
    if isinstance(value, dict) and "." not in key:
        hint = f"did you mean [{near}]?" if near else f"expected one of {', '.join(f'[{table}]' for table in TABLES)}"
        return f"no such table; {hint}"
    if near:
        return f"no such key; did you mean {near}?"
    table = key.rpartition(".")[0]
    there = sorted(each.rpartition(".")[2] for each in known if each.rpartition(".")[0] == table)
    tables = "" if table else f" and the tables {', '.join(TABLES)}"
    return f"no such key; expected one of {', '.join(there)}{tables}"


def _typed(value: Any, key: Key) -> Any:
    """Return a value as one of the key's kinds; raise InputError for any other, and for impossible numbers."""
    wanted = " or ".join(_KINDS[kind] for kind in key.kinds)
    for kind in key.kinds:
        if kind == type(value).__name__ or (kind == "float" and type(value) is int):
            if kind in ("int", "float") and not 0 <= value < 1 << 63:
                raise InputError(f"expected {wanted} from 0 up, got {shown(value)}")
            if kind == "str" and not value.isprintable():
                raise InputError(f"expected {wanted} without control characters, got {shown(value)}")
            return float(value) if kind == "float" else value
        if kind == "texts" and isinstance(value, list) and all(isinstance(text, str) for text in value):
            if not all(text.isprintable() for text in value):
                raise InputError(f"expected {wanted} without control characters, got {shown(value)}")
            return value
        if kind == "matrix" and isinstance(value, list) and all(isinstance(row, list) for row in value):
            numbers = [number for row in value for number in row]
            if all(type(number) in (int, float) and abs(number) < 1 << 63 for number in numbers):
                return value
    raise InputError(f"expected {wanted}, got {shown(value)}")
