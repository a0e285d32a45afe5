"""Read what a small int8 network needs from a .tflite file: a FlatBuffer, without the flatbuffers package.

Nothing in the file is trusted: every offset is checked before it is followed, arrays are views of the file's own bytes,
and counts are bounded, so damaged bytes cost one ModelError, neither memory nor time. Field numbers are their order in
tflite/converter/schema/schema.fbs.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import ModelError

MAX_ELEMENTS = 1 << 16
"""Of one activation: 20 times what the shipped model needs, and a bound on the memory that damage can ask for."""

EDGETPU_OPERATOR = "edgetpu-custom-op"
"""The custom operator into which edgetpu_compiler puts what the Edge TPU runs; nothing else knows it."""

_MAX_ITEMS = 4096
_MAX_RANK = 4
_KINDS = {2: "int32", 9: "int8"}


@dataclass(frozen=True, eq=False)
class Tensor:
    """An activation, or a constant where `data` is an array of `shape`.

    scale, zero_point: (1,), or one per slice along `axis`; empty where the tensor is not quantised.
    """

    kind: str
    shape: tuple[int, ...]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int
    data: NDArray[np.int8] | NDArray[np.int32] | None


class Table(NamedTuple):
    """A FlatBuffers table at `place` in `file`: fields by number, each absent or somewhere behind an offset."""

    file: bytes
    place: int

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return a scalar of a `struct` format."""
        place = self._field(field)
        return _number(self.file, place, kind) if place else default

    def numbers(self, field: int, kind: str) -> NDArray[Any]:
        """Return a vector of scalars of a numpy type as a view; empty if absent."""
        place = self._field(field)
        if not place:
            return np.empty(0, kind)
        start = place + _number(self.file, place, "I")
        count, size = _number(self.file, start, "I"), np.dtype(kind).itemsize
        if count * size > len(self.file) - start - 4:
            raise ModelError(f"expected a vector of {count} x {size} bytes at offset {start}, got the end of the file")
        return np.frombuffer(self.file, np.dtype(kind).newbyteorder("<"), count, start + 4)

    def table(self, field: int) -> Table | None:
        place = self._field(field)
        return Table(self.file, place + _number(self.file, place, "I")) if place else None

    def tables(self, field: int) -> list[Table]:
        offsets = self.numbers(field, "u4")
        if len(offsets) > _MAX_ITEMS:
            raise ModelError(f"expected at most {_MAX_ITEMS} items in a list, got {len(offsets)}")
        if not len(offsets):
            return []
        place = self._field(field)
        start = place + _number(self.file, place, "I") + 4
        return [Table(self.file, start + 4 * row + int(offset)) for row, offset in enumerate(offsets)]

    def _field(self, field: int) -> int:
        """Return the place of a field's content, 0 if absent."""
        entries = self.place - _number(self.file, self.place, "i")
        entry = 4 + 2 * field
        if entry + 2 > _number(self.file, entries, "H"):
            return 0
        offset = _number(self.file, entries + entry, "H")
        return self.place + offset if offset else 0


class Operator(NamedTuple):
    """`code` is a BuiltinOperator; inputs and outputs index the model's tensors, an absent input is -1.

    custom: the name of an operator that is not TFLite's own, empty for the others.
    """

    code: int
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None
    custom: str


@dataclass(frozen=True, eq=False)
class Model:
    """One graph. input, output: the indices of its only input and its only output."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: int
    output: int


def read_model(file: bytes) -> Model:
    """Return the graph in a .tflite file's bytes.

    Raises ModelError for what is none, is damaged where it matters, or has more than one graph, input or output.
    """
    if file[4:8] != b"TFL3":
        raise ModelError(f"expected a .tflite file with TFL3 at offset 4, got {file[4:8]!r}")
    root = Table(file, _number(file, 0, "I"))
    graphs, buffers = root.tables(2), root.tables(4)
    if len(graphs) != 1:
        raise ModelError(f"expected one graph, got {len(graphs)}")
    codes = [
        # The first field is what the second was before there were more than 127 operators.
        (max(code.number(0, "b"), code.number(3, "i")), code.number(2, "i", 1), code.numbers(1, "u1"))
        for code in root.tables(1)
    ]
    tensors = []
    for index, table in enumerate(graphs[0].tables(0)):
        try:
            tensors.append(_tensor(table, buffers))
        except ModelError as error:
            raise ModelError(f"tensor {index}: {error}") from error
    operators = [_operator(index, table, codes, len(tensors)) for index, table in enumerate(graphs[0].tables(3))]
    ends = [_indices(graphs[0], field, len(tensors), 0) for field in (1, 2)]
    if [len(end) for end in ends] != [1, 1]:
        raise ModelError(f"expected one input and one output, got {len(ends[0])} and {len(ends[1])}")
    return Model(tuple(tensors), tuple(operators), ends[0][0], ends[1][0])


def _tensor(table: Table, buffers: list[Table]) -> Tensor:
    number, buffer = table.number(1, "b"), table.number(2, "I")
    if number not in _KINDS:
        raise ModelError(f"expected int8 or int32 (type 9 or 2), got type {number}")
    shape, signature = table.numbers(0, "i4").tolist(), table.numbers(7, "i4").tolist()
    if len(shape) > _MAX_RANK or min(shape, default=1) < 1 or -1 in signature or table.table(6):
        raise ModelError(f"expected a dense, fixed shape of at most {_MAX_RANK} dimensions, got {signature or shape}")
    quantization = table.table(4)
    scale, zero_point, axis = np.empty(0, np.float32), np.empty(0, np.int64), 0
    if quantization:
        scale, zero_point = quantization.numbers(2, "f4"), quantization.numbers(3, "i8")
        axis = quantization.number(6, "i")
    in_range = np.all((scale > 1e-12) & (scale < 1e12)) and np.all((zero_point >= -128) & (zero_point <= 127))
    if len(scale) != len(zero_point) or not in_range:
        raise ModelError(f"expected scales > 0, each with a zero point in int8, got {scale[:4]} with {zero_point[:4]}")
    if buffer >= len(buffers):
        raise ModelError(f"expected one of {len(buffers)} buffers, got {buffer}")
    if buffers[buffer].number(1, "Q") > 1:
        raise ModelError("expected its data in the model, got an offset behind it")
    content, kind = buffers[buffer].numbers(0, "u1"), _KINDS[number]
    size = math.prod(shape)
    if not len(content):
        if size > MAX_ELEMENTS:
            raise ModelError(f"expected at most {MAX_ELEMENTS} elements in an activation, got {shape}")
        return Tensor(kind, tuple(shape), scale, zero_point, axis, None)
    if len(content) != size * np.dtype(kind).itemsize:
        raise ModelError(f"expected {shape} of {kind}, got {len(content)} bytes")
    data = content.view(np.dtype(kind).newbyteorder("<")).reshape(shape)
    return Tensor(kind, tuple(shape), scale, zero_point, axis, data)


def _operator(index: int, table: Table, codes: list[tuple[int, int, NDArray[Any]]], tensors: int) -> Operator:
    code = table.number(0, "I")
    if code >= len(codes):
        raise ModelError(f"operator {index}: expected one of {len(codes)} operator codes, got {code}")
    inputs, outputs = _indices(table, 1, tensors, -1), _indices(table, 2, tensors, 0)
    number, version, custom = codes[code]
    return Operator(number, version, inputs, outputs, table.table(4), bytes(custom).decode("ascii", "replace"))


def _indices(table: Table, field: int, tensors: int, lowest: int) -> tuple[int, ...]:
    indices = table.numbers(field, "i4").tolist()
    if len(indices) > _MAX_ITEMS or min(indices, default=0) < lowest or max(indices, default=0) >= tensors:
        raise ModelError(f"expected indices of {tensors} tensors, got {indices[:8]}")
    return tuple(indices)


def _number(file: bytes, place: int, kind: str) -> int:
    size = struct.calcsize(f"<{kind}")
    # Unchecked, a negative place would count from the end.
    if not 0 <= place <= len(file) - size:
        raise ModelError(f"expected {size} bytes at offset {place}, got a file of {len(file)}")
    value: int = struct.unpack_from(f"<{kind}", file, place)[0]
    return value
