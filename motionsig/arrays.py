"""What people hold their samples in: arrays, tables with named columns, windows that are cut already; .npz files."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from io import BytesIO
from os import PathLike
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import CHANNELS
from motionsig.errors import InputError
from motionsig.escaping import escaped

_HEADER = re.compile(
    rb"\{'descr': '([<>|](?:b1|[iu][1248]|f[248]|[US][1-9][0-9]{0,5}))', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,12}, ?)*(?:[0-9]{1,12})?)\), \} *\n"
)
"""What numpy writes before an array (numpy.lib.format), of plain numbers and text."""

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


def read_npz(content: bytes, most_bytes: int, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Return the arrays in the bytes of an .npz file, which may be anybody's; of them those whose names begin so.

    `numpy.load` believes what is written there: it takes the memory for any stated shape, unpacks gigabytes from a few
    bytes, and raises a dozen kinds of errors. Raises ValueError for what `numpy.savez` would not have written, and for
    more than `most_bytes` once unpacked.
    """
    try:
        with ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > most_bytes:
                raise ValueError(f"{size:,} B unpacked, more than {most_bytes:,}")
            names = [entry.filename.removesuffix(".npy") for entry in entries]
            if len(set(names)) < len(names):
                raise ValueError("two arrays of the same name")
            wanted = zip(names, entries, strict=True)
            return {name: _array(archive, entry) for name, entry in wanted if name.startswith(prefix)}
    # RuntimeError: an entry that needs a password, or a damaged archive's reader.
    except (ValueError, BadZipFile, zlib.error, EOFError, OSError, OverflowError, RuntimeError) as error:
        # It may show what stands in the file.
        raise ValueError(escaped(str(error)[:200]) or type(error).__name__) from error


def _array(archive: ZipFile, entry: ZipInfo) -> NDArray[Any]:
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError(f"{entry.filename:.40}: compressed by method {entry.compress_type}")
    npy = archive.read(entry)  # at most its stated size, and of its checksum
    long = npy[6:7] == b"\2"
    begin = 12 if long else 10
    end = begin + int.from_bytes(npy[8:begin], "little")
    header = _HEADER.fullmatch(npy[begin:end])
    if npy[:6] != b"\x93NUMPY" or npy[6:8] not in (b"\1\0", b"\2\0") or header is None:
        raise ValueError(f"{entry.filename:.40}: not an array of plain numbers or text as numpy writes it")
    dtype = np.dtype(header[1].decode("ascii"))
    shape = tuple(int(part) for part in header[3].split(b",") if part.strip())
    if math.prod(shape) * dtype.itemsize != len(npy) - end:
        raise ValueError(f"{entry.filename:.40}: {len(npy) - end} bytes, for {list(shape)} of {dtype}")
    numbers = np.frombuffer(npy, dtype, offset=end)
    return numbers.reshape(shape, order="F" if header[2] == b"True" else "C").copy()
