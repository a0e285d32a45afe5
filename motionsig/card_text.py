"""The text of a model's card, which may be anybody's: JSON with one meaning, keys of certain types and ranges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from motionsig.errors import ModelError
from motionsig.quantization import MOST_DIM

CARD_VERSION = 1
MOST_VERSION = 999_999_999

_FIELDS: Mapping[str, tuple[type, float, float]] = {
    "name": (str, 0, 1000),
    "summary": (object, 0, 0),
    "licence": (object, 0, 0),
    "rate_hz": (float, 1, 10_000),
    "length": (int, 2, 100_000),
    "hop": (int, 1, 100_000),
    "channels": (list, 0, 100),
    "units": (list, 0, 100),
    "max_gap_s": (float, 0, 60),
    "front_end": (dict, 0, 100),
    "front_end.name": (str, 1, 64),
    "front_end.version": (int, 0, MOST_VERSION),
    "front_end.acc_knee": (float, 1e-6, 1e6),
    "front_end.gyr_knee": (float, 1e-6, 1e6),
    "front_end.acc_full": (float, 1e-6, 1e6),
    "front_end.gyr_full": (float, 1e-6, 1e6),
    "input": (dict, 0, 100),
    "input.shape": (list, 4, 4),
    "input.scale": (float, 1e-9, 1e9),
    "input.zero_point": (int, -128, 127),
    "output": (dict, 0, 100),
    "motion_dim": (int, 1, MOST_DIM),
    "quantization": (list, 1, 2),
    "files": (dict, 1, 100),
    "training": (object, 0, 0),
    "quality": (object, 0, 0),
    "limits": (object, 0, 0),
}
"""The keys of a card: type (float takes whole numbers, too), and from where to where a number, or a length, goes; an
object is anything: it is shown to people and used for nothing else."""

_OPTIONAL: Mapping[str, tuple[type, float, float]] = {
    "version": (int, 0, MOST_VERSION),
    "digest": (str, 16, 16),
    "compiled": (dict, 0, 100),
    "compiled.file": (str, 1, 64),
    "compiled.compiler": (str, 0, 200),
    "compiled.min_runtime": (int, 0, 1_000_000),
}
"""The same, of keys that may be missing."""

_NULL = ("compiled", "compiled.min_runtime")
"""Which of these may be null."""

_GROUP = ((int, 1, MOST_DIM), (float, 1e-9, 1e9), (int, -128, 127))
"""A group of codes: size, scale, zero point."""
_MISSING = object()
_MOST_DEPTH = 32
_MOST_NUMBER = float(1 << 63)


def read_text(content: bytes) -> dict[str, Any]:
    """Return what a card's bytes say, with all of its keys checked. Raises ModelError, which names the key."""
    text = _parse_json(content)
    if not isinstance(text, dict):
        raise ModelError(f"expected a JSON object, got {type(text).__name__}")
    if type(text.get("card_version")) is not int or text["card_version"] != CARD_VERSION:
        raise ModelError(
            f"expected card_version {CARD_VERSION}, got {text.get('card_version')!r:.40}; "
            "a card of another version needs the motionsig that goes with it"
        )
    missing = [key for key in _FIELDS if "." not in key and key not in text]
    if missing:
        raise ModelError(f"expected the keys {', '.join(missing)}, got a card without them")
    for key, field in _FIELDS.items():
        _check(key, _at(text, key), field)
    for key, field in _OPTIONAL.items():
        value = _at(text, key)
        if value is not _MISSING and not (value is None and key in _NULL):
            _check(key, value, field)
    for group in text["quantization"]:
        if not isinstance(group, list) or len(group) != len(_GROUP):
            raise ModelError(f"quantization: expected groups of size, scale and zero point, got {group!r:.80}")
        for value, field in zip(group, _GROUP, strict=True):
            _check("quantization group", value, field)
    return text


def _parse_json(content: bytes) -> Any:
    """Return what JSON says, of which only one reading is possible. Raises ModelError."""
    try:
        text = json.loads(content.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_without_doubles)
        within: list[Any] = [text]
        for _ in range(_MOST_DEPTH):
            # Level by level, and the numbers at once: a card has tens of thousands, and is read at each start.
            numbers = [each for each in within if type(each) is float or type(each) is int]
            if numbers and not -_MOST_NUMBER <= min(numbers) <= max(numbers) <= _MOST_NUMBER:
                raise ValueError("a number beyond 64 bits")
            objects = [each for each in within if type(each) is dict]
            texts = "".join(each for each in within if type(each) is str)
            "".join([texts, *(key for each in objects for key in each)]).encode("utf-8")  # fails at half a character
            within = [
                *(value for each in objects for value in each.values()),
                *(value for each in within if type(each) is list for value in each),
            ]
            if not within:
                return text
        raise ValueError(f"lists and objects more than {_MOST_DEPTH} deep")
    except (ValueError, RecursionError) as error:
        raise ModelError(f"expected JSON, got: {error}") from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name}, which is no number")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object with the same key twice")
    return found


def _at(text: dict[str, Any], key: str) -> Any:
    """Return the value of a key, or of one within another's object; `_MISSING` where there is none."""
    outer, _, inner = key.partition(".")
    value = text.get(outer, _MISSING)
    return value if not inner else value.get(inner, _MISSING) if isinstance(value, dict) else _MISSING


def _check(key: str, value: Any, field: tuple[type[Any], float, float]) -> None:
    """Raise ModelError for a value that is not of a field's type, or out of its range."""
    kind, low, high = field
    if kind is object:
        return
    if kind in (int, float):
        what = f"a {'whole ' if kind is int else ''}number from {low} to {high}"
        good = type(value) in (int, kind) and low <= value <= high
    else:
        name = "printable text" if kind is str else "a list" if kind is list else "an object"
        what = f"{name} of {low} to {high} {'characters' if kind is str else 'entries'}"
        good = isinstance(value, kind) and low <= len(value) <= high
        # It may end on a terminal.
        good = good and (kind is not str or value.isprintable())
    if not good:
        raise ModelError(f"{key}: expected {what}, got {'none' if value is _MISSING else f'{value!r:.80}'}")
