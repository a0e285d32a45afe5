"""Read what lint and inspection need from any .tflite file, through the PyPI package `tflite`.

Its accessors were generated from tensorflow/lite/schema/schema.fbs and trust every offset and length they meet. So
each list is paid for from a purse before it is read, and whatever a wild offset leads to ends as one ModelError:
damage costs neither much time nor memory. Contents of constants are views of the file's own bytes. Names are cut to
one printable line here, because they end on terminals.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders.tflite import EDGETPU_OPERATOR
from motionsig.errors import MissingExtraError, ModelError

MAX_FILE_BYTES = 256 << 20
"""Thirty times what an Edge TPU holds."""

BATCH_RANK = 3
"""From how many dimensions on the first is the batch; of two it may as well be the samples of a window."""

_MAX_RANK = 64
_MAX_NAME = 200
_MAX_PURSE = 16 << 20
_TABLE = 64
"""What reading a table costs of the purse: about what one takes in a file, names and lists included."""

_OPTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "AVERAGE_POOL_2D": ("Pool2DOptions", ("FusedActivationFunction",)),
    "CONCATENATION": ("ConcatenationOptions", ("FusedActivationFunction",)),
    "CONV_2D": ("Conv2DOptions", ("DilationHFactor", "DilationWFactor")),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", ("DilationHFactor", "DilationWFactor")),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("WeightsFormat",)),
    "MAX_POOL_2D": ("Pool2DOptions", ("FusedActivationFunction",)),
    "PACK": ("PackOptions", ("Axis",)),
    "STRIDED_SLICE": ("StridedSliceOptions", ("EllipsisMask", "NewAxisMask")),
}
"""By operator: the table of its options, and those on which something depends whether the Edge TPU takes it."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. shape: what is allocated; signature: the same with -1 where it may change, empty if nothing may.

    scale, zero_point: one, or one per slice; empty where it is not quantised. data: its bytes, empty for an activation.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    data: NDArray[np.uint8]
    sparse: bool

    @property
    def constant(self) -> bool:
        return len(self.data) > 0

    @property
    def dynamic(self) -> bool:
        return min((*self.shape, *self.signature), default=1) < 0


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator. inputs, outputs: indices of its subgraph's tensors, -1 for an input left out.

    name: TFLite's, or the custom operator's own. options: by the names of the schema's accessors.
    """

    index: int
    name: str
    custom: bool
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int]
    custom_options: bytes


@dataclass(frozen=True, eq=False)
class Subgraph:
    """Tensors and the operators between them, in the order in which they run."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @cached_property
    def batch(self) -> int:
        shapes = [self.tensors[index].shape for index in self.inputs]
        return max((1, *(shape[0] for shape in shapes if len(shape) >= BATCH_RANK)))

    @cached_property
    def makers(self) -> dict[int, Operator]:
        """Which operator makes each tensor."""
        return {index: operator for operator in self.operators for index in operator.outputs}

    def given(self, operator: Operator) -> list[Tensor]:
        """Return its inputs, without those left out."""
        return [self.tensors[index] for index in operator.inputs if index >= 0]

    def made(self, operator: Operator) -> list[Tensor]:
        """Return its outputs."""
        return [self.tensors[index] for index in operator.outputs]


@dataclass(frozen=True, eq=False)
class Graph:
    """A .tflite file. metadata: by name."""

    subgraphs: tuple[Subgraph, ...]
    metadata: Mapping[str, bytes]

    @property
    def operators(self) -> Iterator[Operator]:
        return (operator for subgraph in self.subgraphs for operator in subgraph.operators)

    @property
    def edgetpu_operators(self) -> list[Operator]:
        """Those that edgetpu_compiler made; none in a file that is not compiled."""
        return [operator for operator in self.operators if operator.custom and operator.name == EDGETPU_OPERATOR]

    @property
    def min_runtime_version(self) -> str | None:
        """The oldest TFLite that has every operator's version, as its converter wrote it."""
        stated = self.metadata.get("min_runtime_version", b"").rstrip(b"\0")
        return printable(stated.decode("ascii", "replace")) or None

    @property
    def constants(self) -> list[Tensor]:
        """One tensor for each content, because several may share one."""
        tensors = (tensor for subgraph in self.subgraphs for tensor in subgraph.tensors if tensor.constant)
        return list({id(tensor.data): tensor for tensor in tensors}.values())


def printable(text: str) -> str:
    """Return foreign words as one line that steers no terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def read_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises ModelError for what is no file (a pipe, a device) or larger than MAX_FILE_BYTES, OSError where it is not
    there or cannot be read.
    """
    # Without waiting, as a pipe without a writer would make us.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            raise ModelError(
                f"{path}: expected a file of at most {MAX_FILE_BYTES >> 20} MiB, got "
                f"{status.st_size if stat.S_ISREG(status.st_mode) else 'a pipe or device'}"
            )
        return file.read(MAX_FILE_BYTES)


def read_graph(file: bytes, name: object = "model") -> Graph:
    """Return what is in a .tflite file's bytes.

    name: what errors call it. Raises ModelError for what is none or is damaged, MissingExtraError without the package
    `tflite`.
    """
    try:
        import tflite
    except ImportError as error:
        raise MissingExtraError("reading any .tflite file needs tflite: pip install 'motionsig[compile]'") from error
    if file[4:8] != b"TFL3":
        raise ModelError(f"{name}: expected a .tflite file with TFL3 at offset 4, got {file[4:8]!r}")
    try:
        return _graph(tflite, file)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except (struct.error, ValueError, TypeError, IndexError, OverflowError) as error:
        raise ModelError(f"{name}: expected a whole .tflite file, got a damaged one: {error}") from error


Spend = Callable[[int], int]


def _purse(size: int) -> Spend:
    """Return a function that takes a cost and gives it back, until too much is spent for an honest file of `size`.

    Four times its size: what one list holds once may be referred to from several places.
    """
    left = min(4 * size, _MAX_PURSE)

    def spend(cost: int) -> int:
        nonlocal left
        left -= cost
        if left < 0:
            raise ModelError("expected lists that fit into the file, got longer ones: it is damaged")
        return cost

    return spend


def _tables(spend: Spend, parent: Any, name: str) -> list[Any]:
    count = getattr(parent, f"{name}Length")()
    spend(count * _TABLE)
    read = getattr(parent, name)
    return [read(index) for index in range(count)]


def _integers(spend: Spend, parent: Any, name: str) -> tuple[int, ...]:
    if not spend(4 * getattr(parent, f"{name}Length")()):
        return ()
    return tuple(getattr(parent, f"{name}AsNumpy")().tolist())


def _array(parent: Any, name: str, kind: str) -> NDArray[Any]:
    if parent is None or not getattr(parent, f"{name}Length")():
        return np.empty(0, kind)
    array: NDArray[Any] = getattr(parent, f"{name}AsNumpy")()
    return array


def _text(spend: Spend, text: bytes | None) -> str:
    spend(len(text or b""))
    return printable((text or b"")[:_MAX_NAME].decode("utf-8", "replace"))


def _graph(tflite: Any, file: bytes) -> Graph:
    spend, model = _purse(len(file)), tflite.Model.GetRootAs(file)
    buffers = [_buffer(file, buffer) for buffer in _tables(spend, model, "Buffers")]
    codes = [_code(tflite, spend, code) for code in _tables(spend, model, "OperatorCodes")]
    subgraphs = tuple(_subgraph(tflite, spend, table, buffers, codes) for table in _tables(spend, model, "Subgraphs"))
    metadata = {
        _text(spend, entry.Name()): bytes(_at(buffers, entry.Buffer(), "buffer")[: spend(1024)])
        for entry in _tables(spend, model, "Metadata")
    }
    return Graph(subgraphs, metadata)


def _buffer(file: bytes, buffer: Any) -> NDArray[np.uint8]:
    # Models beyond 2 GB keep contents behind the FlatBuffer; 1 stands for content that is left out of the file.
    offset, size = buffer.Offset(), buffer.Size()
    if offset > 1:
        if offset + size > len(file):
            raise ModelError(f"expected {size} bytes at offset {offset}, got a file of {len(file)}")
        return np.frombuffer(file, np.uint8, size, offset)
    return _array(buffer, "Data", "u1")


def _code(tflite: Any, spend: Spend, code: Any) -> tuple[str, bool, int]:
    # The first field is what the second was before there were more than 127 operators.
    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        return _text(spend, code.CustomCode()), True, code.Version()
    return tflite.BUILTIN_OPCODE2NAME.get(number, f"OPERATOR_{number}"), False, code.Version()


def _subgraph(
    tflite: Any, spend: Spend, table: Any, buffers: list[NDArray[np.uint8]], codes: list[tuple[str, bool, int]]
) -> Subgraph:
    kinds = {number: name.lower() for name, number in vars(tflite.TensorType).items() if isinstance(number, int)}
    tensors = tuple(_tensor(spend, tensor, buffers, kinds) for tensor in _tables(spend, table, "Tensors"))
    operators = tuple(
        _operator(tflite, spend, index, operator, codes, len(tensors))
        for index, operator in enumerate(_tables(spend, table, "Operators"))
    )
    ends = [_indices(spend, table, name, len(tensors), 0) for name in ("Inputs", "Outputs")]
    return Subgraph(tensors, operators, ends[0], ends[1])


def _tensor(spend: Spend, table: Any, buffers: list[NDArray[np.uint8]], kinds: Mapping[int, str]) -> Tensor:
    quantization, rank = table.Quantization(), max(table.ShapeLength(), table.ShapeSignatureLength())
    if rank > _MAX_RANK:
        raise ModelError(f"expected shapes of at most {_MAX_RANK} dimensions, got {rank}: it is damaged")
    return Tensor(
        name=_text(spend, table.Name()),
        kind=kinds.get(table.Type(), f"type {table.Type()}"),
        shape=_integers(spend, table, "Shape"),
        signature=_integers(spend, table, "ShapeSignature"),
        scale=_array(quantization, "Scale", "f4"),
        zero_point=_array(quantization, "ZeroPoint", "i8"),
        data=_at(buffers, table.Buffer(), "buffer"),
        sparse=table.Sparsity() is not None,
    )


def _operator(
    tflite: Any, spend: Spend, index: int, table: Any, codes: list[tuple[str, bool, int]], tensors: int
) -> Operator:
    name, custom, version = _at(codes, table.OpcodeIndex(), "operator code")
    options: dict[str, int] = {}
    stated = table.BuiltinOptions()
    if name in _OPTIONS and stated:
        kind, names = _OPTIONS[name]
        read = getattr(tflite, kind)()
        read.Init(stated.Bytes, stated.Pos)
        options = {option: getattr(read, option)() for option in names}
    return Operator(
        index=index,
        name=name,
        custom=custom,
        version=version,
        inputs=_indices(spend, table, "Inputs", tensors, -1),
        outputs=_indices(spend, table, "Outputs", tensors, 0),
        options=options,
        custom_options=_array(table, "CustomOptions", "u1").tobytes() if spend(table.CustomOptionsLength()) else b"",
    )


def _indices(spend: Spend, table: Any, name: str, tensors: int, lowest: int) -> tuple[int, ...]:
    indices = _integers(spend, table, name)
    if min(indices, default=0) < lowest or max(indices, default=-1) >= tensors:
        raise ModelError(f"expected indices of {tensors} tensors, got {indices[:8]}")
    return indices


def _at(items: list[Any], index: int, what: str) -> Any:
    if index >= len(items):
        raise ModelError(f"expected one of {len(items)} {what}s, got number {index}")
    return items[index]
