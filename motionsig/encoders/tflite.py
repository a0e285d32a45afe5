"""Read any .tflite file: for the reference network, for lint, for people.

The package `tflite` is not used: the reference network has to run where there is numpy alone, and that package trusts
every offset and length in a file. Tests compare the two. Numbers are those of tflite/converter/schema/schema.fbs.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from motionsig import files
from motionsig.encoders.flatbuffer import FlatBuffer, Table
from motionsig.errors import ModelError

EDGETPU_OPERATOR = "edgetpu-custom-op"
"""The custom operator into which edgetpu_compiler puts what the Edge TPU runs; nothing else knows it."""

MAX_FILE_BYTES = 256 << 20
"""Thirty times what an Edge TPU holds."""

BATCH_RANK = 3
"""From how many dimensions on the first is the batch; of two it may as well be the samples of a window."""

_MAX_RANK = 64
_MAX_NAME = 200
_MAX_METADATA = 1024

_KINDS = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16",
)  # fmt: skip
"""By TensorType."""

_NAMES = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN
EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2
GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG
SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE
MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO
RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE
RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD
STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE
STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT
"""
NAMES = tuple(_NAMES.split())
"""By BuiltinOperator."""

_WINDOW = {"Padding": (0, "b"), "StrideW": (1, "i"), "StrideH": (2, "i")}
_POOL = _WINDOW | {"FilterWidth": (3, "i"), "FilterHeight": (4, "i"), "FusedActivationFunction": (5, "b")}
_CONV = _WINDOW | {"FusedActivationFunction": (3, "b"), "DilationWFactor": (4, "i", 1), "DilationHFactor": (5, "i", 1)}
_DEPTHWISE = _CONV | {
    "FusedActivationFunction": (4, "b"), "DilationWFactor": (5, "i", 1), "DilationHFactor": (6, "i", 1)
}  # fmt: skip
_OPTIONS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "ADD": {"FusedActivationFunction": (0, "b")},
    "AVERAGE_POOL_2D": _POOL,
    "CONCATENATION": {"Axis": (0, "i"), "FusedActivationFunction": (1, "b")},
    "CONV_2D": _CONV,
    "DEPTHWISE_CONV_2D": _DEPTHWISE,
    "FULLY_CONNECTED": {"FusedActivationFunction": (0, "b"), "WeightsFormat": (1, "b")},
    "MAX_POOL_2D": _POOL,
    "MEAN": {"KeepDims": (0, "b")},
    "PACK": {"Axis": (1, "i")},
    "STRIDED_SLICE": {"EllipsisMask": (2, "i"), "NewAxisMask": (3, "i")},
}
"""By operator, the options that the kernels need or on which it depends whether the Edge TPU takes the operator: field,
`struct` format, and what it is where the file does not say, if not 0."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. shape: what is allocated; signature: the same with -1 where it may change, empty if nothing may.

    type: TensorType. scale, zero_point: one, or one per slice along `axis`; empty where it is not quantised. data: its
    bytes, empty for an activation.
    """

    name: str
    type: int
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int
    data: NDArray[np.uint8]
    sparse: bool

    @property
    def kind(self) -> str:
        """The type's name."""
        return _KINDS[self.type] if 0 <= self.type < len(_KINDS) else f"type {self.type}"

    @property
    def constant(self) -> bool:
        return len(self.data) > 0

    @property
    def dynamic(self) -> bool:
        """Whether its shape may change; with a fixed shape, -1 for the batch in the signature changes nothing.

        Keras writes that -1 into every model, and the shape is what the runtime and edgetpu_compiler allocate.
        """
        return min((*self.shape, *self.signature[1:]), default=1) < 0


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator. inputs, outputs: indices of its subgraph's tensors, -1 for an input left out.

    name: TFLite's, or the custom operator's own. options: those of `_OPTIONS`, by the names of the schema's accessors.
    """

    index: int
    name: str
    custom: bool
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int]
    custom_options: NDArray[np.uint8]


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

    def given(self, operator: Operator) -> list[Tensor]:
        """Return its inputs, without those left out."""
        return [self.tensors[index] for index in operator.inputs if index >= 0]

    def made(self, operator: Operator) -> list[Tensor]:
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
    """Return foreign text as one line that steers no terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def read_model_file(path: Path) -> bytes:
    """Return the bytes of a file. Raises ModelError for a pipe, a device, or a size beyond MAX_FILE_BYTES; OSError."""
    try:
        return files.read_file(path, MAX_FILE_BYTES)[0]
    except OSError as error:
        got = {errno.EINVAL: "a folder, pipe or device", errno.EFBIG: error.strerror}.get(error.errno or 0)
        if got is None:
            raise
        raise ModelError(f"{path}: expected a file of at most {MAX_FILE_BYTES >> 20} MiB, got {got}") from error


def read_graph(file: bytes, name: object = "model") -> Graph:
    """Return what is in a .tflite file; constants are views of it. Raises ModelError, which begins with `name`."""
    try:
        if file[4:8] != b"TFL3":
            raise ModelError(f"expected a .tflite file with TFL3 at offset 4, got {file[4:8]!r}")
        return _graph(FlatBuffer(file))
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error


def _graph(buffer: FlatBuffer) -> Graph:
    root, metadata = buffer.root(), {}
    contents = [_content(buffer, table) for table in root.tables(4)]
    codes = [_code(table) for table in root.tables(1)]
    subgraphs = tuple(_subgraph(table, contents, codes) for table in root.tables(2))
    for entry in root.tables(6):
        stated = _at(contents, entry.number(1, "I"), "buffers")[:_MAX_METADATA]
        buffer.spend(_MAX_METADATA)
        metadata[_text(entry, 0)] = stated.tobytes()
    return Graph(subgraphs, metadata)


def _content(buffer: FlatBuffer, table: Table) -> NDArray[np.uint8]:
    # Models beyond 2 GB keep contents behind the FlatBuffer; 1 stands for content that is left out of the file.
    offset, size = table.number(1, "Q"), table.number(2, "Q")
    if offset <= 1:
        return table.array(0, "u1")
    if offset + size > len(buffer.content):
        raise ModelError(f"expected {size} bytes at offset {offset}, got a file of {len(buffer.content)}")
    return np.frombuffer(buffer.content, np.uint8, size, offset)


def _code(table: Table) -> tuple[str, bool, int]:
    # The first field is what the second was before there were more than 127 operators.
    number, version = max(table.number(0, "b"), table.number(3, "i")), table.number(2, "i", 1)
    name = NAMES[number] if 0 <= number < len(NAMES) else f"OPERATOR_{number}"
    return (_text(table, 1), True, version) if name == "CUSTOM" else (name, False, version)


def _subgraph(table: Table, contents: Sequence[NDArray[np.uint8]], codes: Sequence[tuple[str, bool, int]]) -> Subgraph:
    tensors = []
    for index, each in enumerate(table.tables(0)):
        try:
            tensors.append(_tensor(each, contents))
        except ModelError as error:
            raise ModelError(f"tensor {index}: {error}") from error
    operators = tuple(_operator(index, each, codes, len(tensors)) for index, each in enumerate(table.tables(3)))
    inputs, outputs = (_indices(table, field, len(tensors), 0) for field in (1, 2))
    return Subgraph(tuple(tensors), operators, inputs, outputs)


def _tensor(table: Table, contents: Sequence[NDArray[np.uint8]]) -> Tensor:
    # Counted before they are read, because a shape costs more than its bytes.
    rank = max(len(table.array(field, "i4")) for field in (0, 7))
    if rank > _MAX_RANK:
        raise ModelError(f"expected shapes of at most {_MAX_RANK} dimensions, got {rank}: it is damaged")
    scale, zero_point, axis = np.empty(0, np.float32), np.empty(0, np.int64), 0
    if quantization := table.table(4):
        scale, zero_point = quantization.array(2, "f4"), quantization.array(3, "i8")
        axis = quantization.number(6, "i")
    name, kind, data = _text(table, 3), table.number(1, "b"), _at(contents, table.number(2, "I"), "buffers")
    sparse = table.table(6) is not None
    return Tensor(name, kind, table.integers(0), table.integers(7), scale, zero_point, axis, data, sparse)


def _operator(index: int, table: Table, codes: Sequence[tuple[str, bool, int]], tensors: int) -> Operator:
    name, custom, version = _at(codes, table.number(0, "I"), "operator codes")
    known = {} if custom else _OPTIONS.get(name, {})
    stated = table.table(4) if known else None
    inputs, outputs = _indices(table, 1, tensors, -1), _indices(table, 2, tensors, 0)
    options = {option: stated.number(*place) if stated else (*place, 0)[2] for option, place in known.items()}
    return Operator(index, name, custom, version, inputs, outputs, options, table.array(5, "u1"))


def _indices(table: Table, field: int, tensors: int, lowest: int) -> tuple[int, ...]:
    indices = table.integers(field)
    if min(indices, default=0) < lowest or max(indices, default=-1) >= tensors:
        raise ModelError(f"expected indices of {tensors} tensors, got {indices[:8]}")
    return indices


def _text(table: Table, field: int) -> str:
    return printable(table.data(field)[:_MAX_NAME].decode("utf-8", "replace"))


_T = TypeVar("_T")


def _at(items: Sequence[_T], index: int, what: str) -> _T:
    if index >= len(items):
        raise ModelError(f"expected one of {len(items)} {what}, got {index}")
    return items[index]
