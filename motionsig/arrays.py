"""What people hold their samples in: arrays, tables with named columns, windows that are cut already."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS
from motionsig.errors import InputError

_EXPECTED = f"(n, {len(CHANNELS)}) with columns {', '.join(CHANNELS)}"


def as_samples(data: Any) -> NDArray[np.float32]:
    """Return a recording (n, 6) or windows (k, length, 6) as float32.

    data: an array or nested lists of numbers; or a table whose columns have names (a DataFrame of pandas or polars, a
    table of pyarrow, a structured array): then the six names of `conventions.CHANNELS` choose the columns, in whatever
    order they stand, and other columns are left out. A value that is missing becomes NaN.
    Raises InputError for everything else.
    """
    names = _column_names(data)
    if names is not None:
        missing = [name for name in CHANNELS if name not in names]
        if missing:
            raise InputError(f"data: expected {_EXPECTED}, got a table without {', '.join(missing)}: {_listed(names)}")
        return np.stack([_column(data, name) for name in CHANNELS], axis=1)
    if isinstance(data, str | bytes | PathLike):
        raise InputError(f"data: expected {_EXPECTED}, got {data!r:.80}; open_recording(path) reads a file")
    if isinstance(data, Mapping):
        held = f"{type(data).__name__} with {_listed(list(data))}"
        raise InputError(f"data: expected {_EXPECTED}, got a {held}; a DataFrame of it will do")
    samples = _numbers(data, "data", _EXPECTED)
    if samples.ndim not in (2, 3) or samples.shape[-1] != len(CHANNELS):
        shape = samples.shape or type(data).__name__
        turned = "; .T turns it" if samples.ndim == 2 and samples.shape[0] == len(CHANNELS) else ""
        raise InputError(f"data: expected {_EXPECTED}, or windows (k, length, 6), got {shape}{turned}")
    return samples


def _column_names(data: Any) -> list[str] | None:
    """Return the names of a table's columns; None for what has none."""
    dtype_names = getattr(getattr(data, "dtype", None), "names", None)
    names = dtype_names or getattr(data, "column_names", None)
    if names is None:
        names = getattr(data, "columns", None)
    return None if names is None or callable(names) else [str(name) for name in names]


def _listed(names: list[Any]) -> str:
    return f"{', '.join(map(str, names[:8]))}{', ...' if len(names) > 8 else ''}" if names else "nothing in it"


def _column(data: Any, name: str) -> NDArray[np.float32]:
    column = data[name]
    if hasattr(column, "isna") and column.ndim == 1 and column.dtype.kind in "fiu":
        # pandas: its own missing value is no number.
        column = column.astype("float32").to_numpy(na_value=np.nan)
    numbers = _numbers(column, f"data: column {name}", "numbers")
    if numbers.ndim != 1:
        raise InputError(f"data: expected one column {name}, got {numbers.shape[-1]}")
    return numbers


def _numbers(data: Any, where: str, expected: str) -> NDArray[np.float32]:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise InputError(f"{where}: expected {expected}, got a list of parts that differ in length") from error
    # Text that spells numbers is refused, too: whoever reads a file has its header and its units to look after.
    if array.dtype.kind not in "fiuO" or (array.dtype.kind == "O" and any(isinstance(it, str) for it in array.flat)):
        raise InputError(f"{where}: expected {expected}, got {'text' if array.dtype.kind in 'OSUT' else array.dtype}")
    try:
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    except (TypeError, ValueError) as error:
        kind = type(data).__name__
        raise InputError(f"{where}: expected {expected}, got a {kind} of something else than numbers") from error
