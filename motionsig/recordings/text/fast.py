"""Many rows at once: by pyarrow where it is installed, else by numpy. Both give what reading cell by cell gives.

Both refuse a whole piece where one cell of it is in the way. Neither repairs anything; the caller looks closer.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.recordings.tables import Kind
from motionsig.recordings.text.cells import LONGEST_TEXT, MISSING
from motionsig.recordings.text.dialects import Dialect

Columns = dict[int, NDArray[Any]]


def columns_of(text: bytes, dialect: Dialect, kinds: Mapping[int, Kind]) -> Columns | None:
    """Return the wanted columns of rows made plain, or None where they need a closer look."""
    found = _by_arrow(text, dialect, kinds)
    if found is None and (_arrow() is None or (b"+" in text and "text" in kinds.values())):
        found = _by_numpy(text, dialect, kinds)
    for column, kind in kinds.items():
        if found is None or (kind == "number" and np.isinf(found[column]).any()):
            return None
    return found


@cache
def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.csv
    except ImportError:
        return None
    return pyarrow


@cache
def _null_values() -> list[str]:
    return sorted(
        {form(word) for word in MISSING for form in (str.lower, str.upper, str.title)} | {"NaN", "-NaN", "NaT"}
    )


def _by_arrow(text: bytes, dialect: Dialect, kinds: Mapping[int, Kind]) -> Columns | None:
    if (pa := _arrow()) is None:
        return None
    if "whole" in kinds.values() and (b"0x" in text or b"0X" in text):
        return None  # pyarrow takes these for numbers
    if b"+" in text and "text" not in kinds.values():
        # pyarrow knows no plus sign. Without one, an exponent is the same.
        text = text.replace(b"+", b"")
    types = {"number": pa.float64(), "whole": pa.int64(), "text": pa.string()}
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(text),
            pa.csv.ReadOptions(
                use_threads=False, block_size=len(text) + 1, column_names=[str(it) for it in range(dialect.width)]
            ),
            pa.csv.ParseOptions(delimiter=dialect.delimiter, quote_char='"' if b'"' in text else False),
            pa.csv.ConvertOptions(
                include_columns=[str(it) for it in kinds],
                column_types={str(it): types[kind] for it, kind in kinds.items()},
                null_values=_null_values(),
                decimal_point="," if dialect.decimal_comma else ".",
            ),
        )
    except pa.ArrowException:
        return None
    found: Columns = {}
    for index, (column, kind) in enumerate(kinds.items()):
        cells = table.column(index)
        if kind == "text":
            found[column] = _texts(cells)
        elif kind == "whole" and cells.null_count:
            return None
        else:
            found[column] = _numbers(cells, kind)
    return found


def _numbers(cells: Any, kind: Kind) -> NDArray[Any]:
    """Return an arrow column of numbers, NaN for what is missing; its own `to_numpy` would import pandas."""
    parts = []
    for chunk in cells.chunks:
        present, data = chunk.buffers()
        part = slice(chunk.offset, chunk.offset + len(chunk))
        values = np.frombuffer(data or b"", np.int64 if kind == "whole" else np.float64)[part]
        if chunk.null_count:
            bits = np.unpackbits(np.frombuffer(present, np.uint8), count=part.stop, bitorder="little")[part]
            values = np.where(bits, values, np.nan)
        parts.append(values)
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int64 if kind == "whole" else "f8"), *parts])


def _texts(cells: Any) -> NDArray[np.str_]:
    """Return an arrow column of strings as an array of str, by its bytes."""
    chunks = [_text(chunk) for chunk in cells.chunks if len(chunk)]
    return np.concatenate(chunks) if chunks else np.empty(0, "U1")


def _text(cells: Any) -> NDArray[np.str_]:
    _, offset_bytes, data = cells.buffers()
    count = len(cells)
    offsets = np.frombuffer(offset_bytes, np.int32)[cells.offset : cells.offset + count + 1]
    content = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] if data else np.empty(0, np.uint8)
    lengths = np.diff(offsets)
    longest = int(lengths.max())
    if not longest:
        return np.zeros(count, "U1")
    edges = np.concatenate([offsets[:-1], offsets[1:] - 1])[np.tile(lengths > 0, 2)] - offsets[0]
    if longest > LONGEST_TEXT or content.max() > 127 or content[edges].min() <= 32:
        return np.array([cell.strip()[:LONGEST_TEXT] for cell in cells.to_pylist()], dtype=np.str_)
    if (lengths == longest).all():
        square = content.reshape(count, longest)
    else:
        square = np.zeros((count, longest), np.uint8)
        square[np.arange(longest) < lengths[:, None]] = content
    return square.astype(np.uint32).view(f"U{longest}")[:, 0]


def _by_numpy(text: bytes, dialect: Dialect, kinds: Mapping[int, Kind]) -> Columns | None:
    rows = text.decode()
    delimiter = dialect.delimiter
    if "text" not in kinds.values() and (twice := delimiter * 2) in rows:
        rows = rows.replace(twice, f"{delimiter}nan{delimiter}").replace(twice, f"{delimiter}nan{delimiter}")
    if "text" not in kinds.values() and "#N/A" not in rows:
        rows = rows.replace("\n" + delimiter, "\nnan" + delimiter).replace(delimiter + "\n", delimiter + "nan\n")
    comma = dialect.decimal_comma and "number" in kinds.values()
    types: dict[Kind, Any] = {"number": object if comma else "f8", "whole": "i8", "text": object}
    dtype = np.dtype([(f"c{it}", types[kinds[it]] if it in kinds else "U1") for it in range(dialect.width)])
    with contextlib.suppress(ValueError, OverflowError, Warning), warnings.catch_warnings():
        warnings.simplefilter("error")
        quote = '"' if '"' in rows else None
        array = np.loadtxt(io.StringIO(rows), dtype, ndmin=1, comments=None, delimiter=delimiter, quotechar=quote)
        found: Columns = {}
        for it, kind in kinds.items():
            cells = array[f"c{it}"]
            if kind == "text":
                cells = np.array([cell.strip()[:LONGEST_TEXT] for cell in cells.tolist()], dtype=np.str_)
            elif kind == "number" and comma:
                cells = _comma_numbers(cells.tolist())
            found[it] = np.ascontiguousarray(cells)
        return found
    return None


def _comma_numbers(cells: list[str]) -> NDArray[np.float64]:
    joined = "\n".join(cells)
    if "." in joined or "_" in joined or not joined.isascii():
        raise ValueError("no decimal commas")
    return np.array([float(cell) for cell in joined.replace(",", ".").split("\n")], np.float64)
