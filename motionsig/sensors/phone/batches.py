"""What a phone's page sends: motion as JSON, read so that nothing but numbers within their limits comes out.

A batch: `run` (16 hexadecimal digits; another one each time that the phone's clock begins anew), `first` (the number of
its first sample within the run), `sent_ms` (the phone's clock when it was sent), `hidden` (the page is not on screen),
`tap` (the number of the sample at which a person tapped last), and `samples`, each [time in ms on the phone's clock,
three accelerations, three angular rates], as the browser gives them; the last three may be null.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 1 << 16
MOST_SAMPLES = 256
_MOST_MS = 1e12
_MOST_NUMBER = 1 << 40
_PAST_MS, _FUTURE_MS = 150_000.0, 1_000.0
"""How long before its batch was sent a sample may be from, as the page keeps less; and how long after it."""
_MOST_ACC, _MOST_GYR = 1_000.0, 20_000.0
"""m/s² and deg/s: more than any phone's sensor measures."""
_RUN = re.compile(r"[0-9a-f]{16}")
_BEGIN: dict[str, tuple[type, ...]] = {"token": (str,), "phone": (str,), "apple": (bool,)}
_BATCH: dict[str, tuple[type, ...]] = {
    "run": (str,),
    "first": (int,),
    "sent_ms": (int, float),
    "hidden": (bool,),
    "tap": (int,),
    "samples": (list,),
}
SECRET = re.compile(r"[0-9A-Za-z_-]{22}")
"""128 bits in base64url, without padding."""


class RefusedError(ValueError):
    """What was sent cannot be; the text is one of a few fixed words, and holds nothing that was sent."""


class Batch(NamedTuple):
    """rows: (n, 7) float64: time in ms on the phone's clock, six values as the browser gives them, NaN for null."""

    run: str
    first: int
    sent_ms: float
    hidden: bool
    tap: int
    rows: NDArray[np.float64]


class Begin(NamedTuple):
    """token: of the link. phone: a secret that the phone made up. apple: its browser is one of Apple's kind."""

    token: str
    phone: str
    apple: bool


def _no_constant(text: str) -> NoReturn:
    raise RefusedError("number")


def _object(body: bytes, keys: dict[str, tuple[type, ...]]) -> dict[str, Any]:
    """Return a JSON object with exactly these keys, each of one of its types; raise RefusedError for anything else."""
    try:
        found = json.loads(body, parse_constant=_no_constant)
    except RefusedError:
        raise
    except (ValueError, RecursionError) as error:
        raise RefusedError("json") from error
    if not isinstance(found, dict) or found.keys() != keys.keys():
        raise RefusedError("keys")
    if any(type(found[key]) not in types for key, types in keys.items()):
        raise RefusedError("types")
    return found


def parse_begin(body: bytes) -> Begin:
    """Return how a phone presents itself; raise RefusedError for what cannot be."""
    found = _object(body, _BEGIN)
    if not (SECRET.fullmatch(found["token"]) and SECRET.fullmatch(found["phone"])):
        raise RefusedError("secret")
    return Begin(**found)


def parse_batch(body: bytes) -> Batch:
    """Return a batch; raise RefusedError for what cannot be: it is refused as a whole."""
    found = _object(body, _BATCH)
    samples, sent_ms = found["samples"], _number(found["sent_ms"])
    if not _RUN.fullmatch(found["run"]):
        raise RefusedError("run")
    if not (0 <= found["first"] < _MOST_NUMBER and 0 <= found["tap"] < _MOST_NUMBER and 0 <= sent_ms < _MOST_MS):
        raise RefusedError("range")
    if len(samples) > MOST_SAMPLES or any(type(each) is not list or len(each) != 7 for each in samples):
        raise RefusedError("samples")
    rows = np.array([[*map(_number, each[:4]), *map(_rate, each[4:])] for each in samples], np.float64).reshape(-1, 7)
    times, acc, gyr = rows[:, 0], rows[:, 1:4], rows[:, 4:]
    if (np.isnan(gyr).any(axis=1) != np.isnan(gyr).all(axis=1)).any():
        raise RefusedError("axis")
    if (np.abs(acc) > _MOST_ACC).any() or (np.abs(gyr) > _MOST_GYR).any():
        raise RefusedError("range")
    if (np.diff(times) <= 0).any() or (times < sent_ms - _PAST_MS).any() or (times > sent_ms + _FUTURE_MS).any():
        raise RefusedError("time")
    return Batch(found["run"], found["first"], sent_ms, found["hidden"], found["tap"], rows)


def _number(value: object) -> float:
    """Return a finite number as it is; raise RefusedError for anything else, true and a number in quotes included."""
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and abs(value) < _MOST_MS:
        return float(value)
    raise RefusedError("number")


def _rate(value: object) -> float:
    return math.nan if value is None else _number(value)
