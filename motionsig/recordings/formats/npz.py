"""Arrays of numpy: an .npz with acc and gyr (n, 3) and a time or a rate beside them, or one .npy (n, k).

An array is read in pieces. Only one that lies in memory column by column, in a zip, has to be read whole.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import RecordingError
from motionsig.recordings.formats.arrays import (
    BATCH_ROWS,
    LARGEST_BYTES,
    Array,
    holds_samples,
    intact,
    tables_of_arrays,
)
from motionsig.recordings.members import Member, members, single
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

RATES = ("rate_hz", "sampling_rate", "fs_hz", "fs", "rate", "frequency", "sample_rate", "samplerate", "freq", "sr")
"""Names of the one number that is the rate, whatever their case."""

_MAGIC = b"\x93NUMPY"


class _Header(NamedTuple):
    """What stands before an array's numbers."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]


def tables(path: Path) -> tuple[Table, ...]:
    """Return a Table for all arrays of one length. One number called fs or the like is the rate."""
    inside = members(path) or (single(path),)
    headers = {member: _looked_at(member) for member in inside}
    rate_hz = rate_of({_name(it): _number(it, header) for it, header in headers.items() if _count(header) == 1})
    longest = max((header.shape[0] for header in headers.values() if header.shape), default=0)
    arrays = [array for member, header in headers.items() if (array := _array(member, header, longest)) is not None]
    if not arrays:
        found = ", ".join(f"{_name(it)} {header.dtype} {header.shape}" for it, header in list(headers.items())[:8])
        raise RecordingError(f"{path}: expected arrays of samples, such as acc and gyr (n, 3), got {found or 'none'}")
    return tables_of_arrays("", str(path), arrays, rate_hz=rate_hz)


def rate_of(numbers: dict[str, Any]) -> float | None:
    """Return the rate in Hz that one of the numbers, by name, is called; None where none is."""
    called = {name.rsplit("/", 1)[-1].lower(): number for name, number in numbers.items()}
    for name in RATES:
        if isinstance(called.get(name), int | float) and 0.1 <= called[name] <= 100_000:
            return float(called[name])
    return None


def _array(member: Member, header: _Header, longest: int) -> Array | None:
    """Return an array of samples, one text or (1, n) and (n, 1) as a column of them; None for what is none."""
    shape, name = header.shape, _name(member)
    if shape == () and header.dtype.kind in "US" and longest > 1:
        # One text for all samples: what was done.
        text = next(_read(member, header)).reshape(1)
        pieces = [min(BATCH_ROWS, longest - at) for at in range(0, longest, BATCH_ROWS)]
        return Array(name, (longest,), header.dtype, lambda: (np.repeat(text, count) for count in pieces))
    if len(shape) == 2 and shape[0] == 1:
        header = header._replace(shape=shape[1:])
    elif len(shape) == 2 and shape[1] == 1:
        header = header._replace(shape=shape[:1])
    if not holds_samples(header.shape, header.dtype) or header.dtype.hasobject:
        return None
    return Array(name, header.shape, header.dtype, lambda: _read(member, header))


def _name(member: Member) -> str:
    return member.name.removesuffix(".npy")


def _count(header: _Header) -> int:
    return math.prod(header.shape)


def _number(member: Member, header: _Header) -> float | int | str:
    if header.dtype.kind not in "fiu":
        return ""
    found: float | int = next(_read(member, header)).reshape(-1)[0].item()
    return found


def _looked_at(member: Member) -> _Header:
    with member.open() as file, _sound(member):
        return _header(file)


def _header(file: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that Python 2 wrote it, which numpy reads as well
        header = _Header(*read(file))
    if header.dtype.itemsize > 4096:
        raise ValueError(f"elements of {header.dtype.itemsize} bytes")
    return header


def _sound(member: Member) -> Any:
    # The header is text in the syntax of Python, which numpy has Python's own parsers read.
    of_syntax = (SyntaxError, RecursionError, TokenError)
    return intact(member.where, "arrays of numpy", ValueError, TypeError, MemoryError, OverflowError, *of_syntax)


def _read(member: Member, header: _Header) -> Generator[NDArray[Any], None, None]:
    """Yield the rows, BATCH_ROWS at a time. header: its shape may have fewer dimensions than the file says."""
    with member.open() as file, _sound(member):
        _header(file)
        rows, row_shape = (header.shape or (1,))[0], header.shape[1:]
        per_row = header.dtype.itemsize * math.prod(row_shape)
        if header.by_columns and len(header.shape) > 1:
            if rows * per_row > LARGEST_BYTES:
                got = f"{rows * per_row} bytes column by column"
                raise RecordingError(f"{member.where}: expected rows in C order or {LARGEST_BYTES} bytes, got {got}")
            whole = _exactly(file, rows * per_row, member)
            matrix = np.frombuffer(whole, header.dtype).reshape(header.shape, order="F")
            yield from (matrix[at : at + BATCH_ROWS] for at in range(0, rows, BATCH_ROWS))
            return
        for at in range(0, rows, BATCH_ROWS):
            count = min(BATCH_ROWS, rows - at)
            piece = _exactly(file, count * per_row, member)
            yield np.frombuffer(piece, header.dtype).reshape((count, *row_shape))


def _exactly(file: IO[bytes], size: int, member: Member) -> bytes:
    found = file.read(size)
    if len(found) != size:
        raise RecordingError(f"{member.where}: expected {size} bytes more of the array, got {len(found)}: cut short")
    return found


def _recognises(path: Path, head: bytes) -> int:
    if not head.startswith(b"PK"):
        return 3 * head.startswith(_MAGIC)
    inside = members(path)
    names = {it.name for it in inside}
    return 3 * (bool(inside) and all(name.endswith(".npy") for name in names) and "acc_q.npy" not in names)


READER = table_reader("npz", _recognises, tables)
