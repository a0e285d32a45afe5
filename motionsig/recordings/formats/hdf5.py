"""HDF5: datasets of records or of columns, in any groups, and what pandas' `to_hdf` writes. Needs h5py.

A group is a table, or as many as its datasets have lengths. Only what lies in the file itself is read: a link into
another file, or a dataset kept in one, would make a log open whatever its writer named. Nothing is unpickled.
"""

from __future__ import annotations

import pickletools
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.hints import install_hint
from motionsig.recordings.formats.arrays import (
    BATCH_ROWS,
    LARGEST_BYTES,
    Array,
    holds_samples,
    intact,
    tables_of_arrays,
)
from motionsig.recordings.formats.npz import rate_of
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

if TYPE_CHECKING:
    import h5py

_MAGIC = b"\x89HDF\r\n\x1a\n"
_USER_BLOCKS = (0, 512, 1024, 2048)  # the superblock is at the first of these that has it (HDF5 specification, II.A)
_MOST_OBJECTS = 4096
_DEEPEST = 32
_UNITS = ("units", "unit", "Units", "Unit")
_NAMES = ("columns", "column_names", "names", "labels", "channels")


def tables(path: Path) -> tuple[Table, ...]:
    """Return the Tables of all groups. Raises RecordingError for damage, MissingExtraError without h5py."""
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"{path}: reading HDF5 needs h5py ({error}): {install_hint('h5py')}") from error
    with _opened(path) as file:
        found = [table for group in _groups(file, path) for table in _tables_of(group, path)]
    if not found:
        raise RecordingError(f"{path}: expected datasets of samples, (n,) or (n, k), in HDF5, got none")
    return tuple(found)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    import h5py

    errors = (OSError, ValueError, KeyError, RuntimeError, TypeError, MemoryError, UnicodeError, OverflowError)
    with intact(str(path), "HDF5", *errors), h5py.File(path, "r", locking=False) as file:
        yield file


def _groups(file: h5py.File, path: Path) -> list[h5py.Group]:
    """Return all groups that the file's own links lead to, each once."""
    found, waiting, seen = [], [(file["/"], 0)], 0
    while waiting:
        group, depth = waiting.pop(0)
        found.append(group)
        for inside in _inside(group).values():
            seen += 1
            # What PyTables keeps to find rows fast.
            index = inside.name.rsplit("/", 1)[-1].startswith("_i_")
            if not hasattr(inside, "shape") and not index and all(inside != other for other in found):
                waiting.append((inside, depth + 1))
        if seen > _MOST_OBJECTS or depth > _DEEPEST:
            raise RecordingError(f"{path}: expected at most {_MOST_OBJECTS} datasets and groups, got more")
    return found


def _inside(group: h5py.Group) -> dict[str, Any]:
    import h5py

    hard = [name for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink)]
    found = {name: group[name] for name in hard}
    return {name: each for name, each in found.items() if isinstance(each, h5py.Group | h5py.Dataset)}


def _tables_of(group: h5py.Group, path: Path) -> tuple[Table, ...]:
    datasets = {
        name: each for name, each in _inside(group).items() if hasattr(each, "shape") and each.shape is not None
    }
    name = group.name.strip("/")
    if "table" in datasets and datasets["table"].attrs.get("CLASS") == b"TABLE":
        arrays = [_pytable(datasets["table"], path)]
    elif "block0_values" in datasets:
        arrays = _fixed(datasets, path)
    else:
        arrays = [_array(each, path) for each in datasets.values() if _readable(each, path)]
    numbers = {key: _number(value) for key, value in (*group.file.attrs.items(), *group.attrs.items())}
    for each in arrays:
        dataset = group.get(each.name)
        numbers |= {key: _number(value) for key, value in dataset.attrs.items()} if dataset is not None else {}
    numbers |= {key: _number(each[()]) for key, each in datasets.items() if each.size == 1 and each.dtype.kind in "fiu"}
    return tables_of_arrays(name, f"{path}{group.name}".rstrip("/"), arrays, rate_hz=rate_of(numbers))


def _number(value: Any) -> Any:
    return value.reshape(-1)[0].item() if getattr(value, "size", 0) == 1 and value.dtype.kind in "fiu" else None


def _readable(dataset: h5py.Dataset, path: Path) -> bool:
    """Tell whether a dataset can be samples that lie in this file; raise RecordingError for one too large to read."""
    import h5py

    text = h5py.check_string_dtype(dataset.dtype) is not None
    if not holds_samples(dataset.shape, dataset.dtype) or (dataset.dtype.hasobject and not text):
        return False
    if dataset.is_virtual or dataset.external:
        return False
    per_row = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:], dtype=np.int64))
    chunk = dataset.dtype.itemsize * int(np.prod([float(it) for it in dataset.chunks or (0,)]))
    if max(chunk, per_row * min(BATCH_ROWS, dataset.shape[0])) > LARGEST_BYTES:
        got = f"chunks of {chunk} bytes and rows of {per_row}"
        raise RecordingError(f"{path}{dataset.name}: expected at most {LARGEST_BYTES} bytes at once, got {got}")
    return True


def _array(
    dataset: h5py.Dataset, path: Path, *, name: str = "", names: tuple[str, ...] = (), kind: np.dtype[Any] | None = None
) -> Array:
    """Return a dataset as an Array. kind: what its numbers mean, where its own type does not say."""
    where, text = dataset.name, dataset.dtype.kind == "O"
    shape = dataset.shape[:1] if len(dataset.shape) == 2 and dataset.shape[1] == 1 else dataset.shape

    def parts() -> Generator[NDArray[Any], None, None]:
        with _opened(path) as file:
            found = file[where]
            for at in range(0, shape[0], BATCH_ROWS):
                piece = np.asarray((found.asstr(errors="replace") if text else found)[at : at + BATCH_ROWS])
                yield piece.reshape(len(piece), *shape[1:]).view(kind or piece.dtype)

    attrs = dataset.attrs
    if not names and len(shape) == 2:
        names = next((it for key in _NAMES if len(it := _texts(attrs.get(key))) == shape[1]), ())
    unit = next((texts[0] for key in _UNITS if len(texts := _texts(attrs.get(key))) == 1), "")
    return Array(name or where.rsplit("/", 1)[-1], shape, kind or dataset.dtype, parts, unit, names)


def _texts(value: Any) -> tuple[str, ...]:
    """Return an attribute as texts; () where it is none."""
    values = np.asarray(value).reshape(-1).tolist() if value is not None else []
    if not all(isinstance(it, str | bytes) for it in values):
        return ()
    return tuple(it.decode(errors="replace") if isinstance(it, bytes) else it for it in values)


def _pytable(dataset: h5py.Dataset, path: Path) -> Array:
    """Return the table of `to_hdf(..., format="table")`: blocks of columns, whose names stand in attributes."""
    if not _readable(dataset, path):
        raise RecordingError(f"{path}{dataset.name}: expected a table of numbers and text, got {dataset.dtype}")
    attrs = dataset.attrs
    names: list[str] = []
    kinds = []
    for field in dataset.dtype.names or ():
        column = dataset.dtype[field]
        count = column.shape[0] if column.shape else 1
        called = _pickled_texts(attrs.get(f"{field}_kind"))
        names += called if len(called) == count else [field] if count == 1 else [f"{field}_{at}" for at in range(count)]
        kinds.append((field, _time_type(attrs.get(f"{field}_kind"), column) or column))
    return _array(dataset, path, name=dataset.name.rsplit("/", 2)[-2], names=tuple(names), kind=np.dtype(kinds))


def _fixed(datasets: Mapping[str, h5py.Dataset], path: Path) -> list[Array]:
    """Return what `to_hdf(..., format="fixed")` writes: the index, and blocks of columns of one type."""
    arrays = []
    if "axis1" in datasets and _readable(index := datasets["axis1"], path):
        kind = _time_type(index.attrs.get("kind"), index.dtype)
        arrays.append(_array(index, path, name="index", kind=kind))
    for number in range(len(datasets)):
        values, items = (datasets.get(f"block{number}_{it}") for it in ("values", "items"))
        # Columns of Python's objects are pickled, and left alone.
        if values is None or items is None or len(values.shape) != 2 or not _readable(values, path):
            continue
        arrays.append(_array(values, path, names=_texts(items[()]) if items.size <= values.shape[1] else ()))
    return arrays


def _time_type(kind: Any, column: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return the type of times that pandas notes beside a column of int64; None for what are no times."""
    text = (_texts(kind) or ("",))[0]
    if not text.startswith("datetime64") or column != np.dtype(np.int64):
        return None
    unit = text.partition("[")[2][:2]
    return np.dtype(f"M8[{unit}]" if unit in ("ns", "us", "ms") else "M8[s]" if unit == "s]" else "M8[ns]")


def _pickled_texts(value: Any) -> list[str]:
    """Return the texts in a pickled list, read from its commands: nothing is unpickled."""
    if not isinstance(value, bytes):
        return []
    try:
        commands = [(it.name, argument) for it, argument, _ in pickletools.genops(bytes(value))]
    except (ValueError, IndexError, UnicodeError):
        return []
    return [str(argument) for name, argument in commands if "UNICODE" in name or "STRING" in name]


def _recognises(_: Path, head: bytes) -> int:
    return 3 * any(head[at : at + len(_MAGIC)] == _MAGIC for at in _USER_BLOCKS)


READER = table_reader("hdf5", _recognises, tables)
