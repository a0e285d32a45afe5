"""Edge Impulse's acquisition format, JSON or CBOR: one window of samples, with its sensors' names and units.

A file is a window that a device sent, so it is read whole.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.facts import Fact
from motionsig.recordings.formats.arrays import BATCH_ROWS, Part, intact, table
from motionsig.recordings.members import single
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

_LARGEST = 64 << 20
_MAPS = bytes((*range(0xA2, 0xB8), 0xBF))
"""How a map of 2 to 23 pairs begins in CBOR, or one of as many as come."""


def tables(path: Path) -> tuple[Table, ...]:
    """Return the one Table of a file; raise RecordingError for damage and for sound or pictures."""
    payload, signed = _payload(path)
    where = f"{path}: payload"
    sensors, values, interval_ms = (payload.get(it) for it in ("sensors", "values", "interval_ms"))
    if not isinstance(sensors, list) or not all(isinstance(it, Mapping) for it in sensors) or not sensors:
        raise RecordingError(f"{where}: expected sensors with names and units, got {str(sensors)[:64]!r}")
    if not isinstance(interval_ms, int | float) or isinstance(interval_ms, bool) or not 0.01 <= interval_ms <= 10_000:
        raise RecordingError(f"{where}: expected interval_ms of 0.01 to 10000, got {str(interval_ms)[:64]!r}")
    names = tuple(str(it.get("name", "")) for it in sensors)
    units = tuple(str(it.get("units", "")) for it in sensors)
    if isinstance(values, list) and values and isinstance(values[0], str):
        raise RecordingError(
            f"{where}: expected values of an accelerometer and a gyroscope, got {values[0][:32]!r}: sound"
        )
    data = _numbers(values, len(names), where)

    def parts(wanted: Collection[int]) -> Iterator[Part]:
        for at in range(0, len(data), BATCH_ROWS):
            yield Part({number: data[at : at + BATCH_ROWS, number] for number in wanted})

    rate_hz = 1000 / interval_ms
    device = " ".join(str(payload[it])[:64] for it in ("device_type", "device_name") if payload.get(it))
    facts = (Fact("device", device, "written"),) if device else ()
    if signed:
        facts = (*facts, Fact("setting start (when it was signed)", signed, "written"))
    return (table("", where, names, parts, units=units, facts=facts, rows=len(data), rate_hz=rate_hz),)


def _payload(path: Path) -> tuple[Mapping[str, Any], str]:
    """Return what was measured, and the Unix time in s at which the device signed it, "" where it does not say."""
    import cbor2

    with single(path).open() as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise RecordingError(
            f"{path}: expected a window of at most {_LARGEST} bytes in Edge Impulse's format, got more"
        )
    errors = (ValueError, cbor2.CBORDecodeError, RecursionError, TypeError, OverflowError, MemoryError, LookupError)
    with intact(str(path), "JSON or CBOR of Edge Impulse", *errors):
        found = json.loads(content) if content.lstrip()[:1] == b"{" else cbor2.loads(content)
    payload = found.get("payload") if isinstance(found, Mapping) else None
    if not isinstance(payload, Mapping):
        raise RecordingError(f"{path}: expected protected, signature and payload, got no payload")
    protected = found.get("protected")
    signed = protected.get("iat") if isinstance(protected, Mapping) else None
    return payload, str(signed) if isinstance(signed, int | float) else ""


def _numbers(values: Any, width: int, where: str) -> NDArray[np.float64]:
    """Return the values, (n, width): a value that is no number is NaN."""
    if not isinstance(values, list) or not values:
        raise RecordingError(f"{where}: expected values, a list for each sample, got {str(values)[:64]!r}")
    if width == 1 and not isinstance(values[0], list):
        values = [[value] for value in values]
    sizes = {len(row) if isinstance(row, list) else -1 for row in values}
    if sizes != {width}:
        raise RecordingError(f"{where}: expected {width} values for each sample, got {sorted(sizes)[:4]} (-1: no list)")
    try:
        return np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise RecordingError(f"{where}: expected numbers, got: {error}") from error


def _recognises(_: Path, head: bytes) -> int:
    start = head.lstrip()[:1]
    json_or_cbor = start == b"{" or head[:1] in _MAPS or head[:4] == b"\xd9\xd9\xf7\xa3"
    return 3 * (json_or_cbor and all(it in head for it in (b"protected", b"payload", b"interval_ms")))


READER = table_reader("edge_impulse", _recognises, tables)
