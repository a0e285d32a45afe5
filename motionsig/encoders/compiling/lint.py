"""What edgetpu_compiler 16.0 takes of a model, operator by operator, known without the compiler.

The compiler is closed and its answers are terse, so these rules are put together from what is public: the operators
and their conditions that coral.ai lists ("TensorFlow models on the Edge TPU"), the versions of operators that
TensorFlow 2.5 knew, and the compiler's logs in the issues of google-coral/edgetpu (numbers below are theirs). The
rules were never held against the compiler itself. Where the two disagree, the compiler is right: `motionsig compile
--allow-cpu` asks it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders.compiling.graph import BATCH_RANK, Graph, Operator, Subgraph, Tensor

ON_CHIP_BYTES = round(7.6 * 2**20)
"""Left for parameters of the chip's 8 MB where activations are small: logs add up to 7.0 to 7.7 MiB (issues 463, 671).
Activations share the chip, and logs of image networks add up to 1.1 (572) or 1.9 (427); no source says which will."""

ON_CHIP_FACTOR = 1.26
"""Parameters on the chip against those in the file: 0.9 to 1.26 in ten logs (issues 60, 324, 427, 458, 518, 671)."""

CHIP_BYTES = 8 << 20

ACTIVATION_BYTES = 256 << 10
"""Of one operator, beyond which activations are worth a note. The MobileNetV3 of issue 572, which left 1.1 MiB, begins
with 0.35 MB if its input is the usual 224 x 224; a YOLOv5s at 512 x 512, with about 2.9 MB, did not compile (449)."""

STREAMED_BYTES = 64 << 10
"""Streamed weights that about double what a call costs: 300 MB/s over USB 3, against 0.28 ms for any call at all."""

_QUANTIZED = ("int8", "uint8")
_INTEGERS = ("int32", "int64")
_PARAMETER_KINDS = (*_QUANTIZED, *_INTEGERS)

_MAX_STEPS = 64
"""Back from a layer to what was flattened for it; a damaged graph may go round in circles."""


class _Taken(NamedTuple):
    """The newest version that is taken, and which inputs may be activations; all, if none is named."""

    version: int
    activations: tuple[int, ...] = ()


_OPERATORS: Mapping[str, _Taken] = {
    "ADD": _Taken(3),
    "AVERAGE_POOL_2D": _Taken(3),
    "CONCATENATION": _Taken(3),
    "CONV_2D": _Taken(5, (0,)),
    "DEPTHWISE_CONV_2D": _Taken(6, (0,)),
    "EXPAND_DIMS": _Taken(1, (0,)),
    "FULLY_CONNECTED": _Taken(9, (0,)),
    "L2_NORMALIZATION": _Taken(2),
    "LOGISTIC": _Taken(3),
    "MAXIMUM": _Taken(4),
    "MAX_POOL_2D": _Taken(3),
    "MEAN": _Taken(3, (0,)),
    "MINIMUM": _Taken(4),
    "MUL": _Taken(4),
    "PACK": _Taken(3),
    "PAD": _Taken(3, (0,)),
    "PRELU": _Taken(1, (0,)),
    "QUANTIZE": _Taken(2),
    "REDUCE_MAX": _Taken(3, (0,)),
    "REDUCE_MIN": _Taken(3, (0,)),
    "RELU": _Taken(3),
    "RELU6": _Taken(3),
    "RELU_N1_TO_1": _Taken(1),
    "RESHAPE": _Taken(1, (0,)),
    "RESIZE_BILINEAR": _Taken(4, (0,)),
    "RESIZE_NEAREST_NEIGHBOR": _Taken(4, (0,)),
    "RSQRT": _Taken(2),
    "SLICE": _Taken(5, (0,)),
    "SOFTMAX": _Taken(3),
    "SPACE_TO_DEPTH": _Taken(2),
    "SPLIT": _Taken(4, (1,)),
    "SQUARED_DIFFERENCE": _Taken(2),
    "SQUEEZE": _Taken(2),
    "STRIDED_SLICE": _Taken(5, (0,)),
    "SUB": _Taken(5),
    "SUM": _Taken(2, (0,)),
    "TANH": _Taken(3),
    "TRANSPOSE": _Taken(5, (0,)),
    "TRANSPOSE_CONV": _Taken(3, (2,)),
}
"""Which operators: coral.ai's list, with TRANSPOSE since compiler 16 (issue 193). The list of ARTPEC-7, which holds an
Edge TPU, has EXPAND_DIMS, PACK, PRELU, REDUCE_MAX and REDUCE_MIN too (developer.axis.com, supported-ops). RSQRT, SPLIT,
SQUARED_DIFFERENCE, SQUEEZE and SUM are from memory; no log seen shows them mapped.
Which versions: the newest that tensorflow/lite/tools/versioning/runtime_version.cc has for TensorFlow 2.5.0, from
which libedgetpu's release of the same weeks was built (its workspace.bzl). The refusals on record fit: CONV_2D 6
(issue 631; it came with 2.9), QUANTIZE 3 (879; with 2.7), TRANSPOSE_CONV 4 (845), EXP 2 (libedgetpu 71)."""

_INSTEAD: Mapping[str, str] = {
    "BATCH_MATMUL": "use FULLY_CONNECTED or CONV_2D with constant weights",
    "DEQUANTIZE": "quantise everything to int8, the output too",
    "GELU": "use RELU or RELU6",
    "HARD_SWISH": "use RELU or RELU6",
    "LEAKY_RELU": "use RELU, RELU6 or PRELU",
}


@dataclass(frozen=True)
class Finding:
    """One line. wrong: not compiled, or not wholly; slow: compiled, but much travels at each call; note: may matter."""

    mark: Literal["wrong", "slow", "note"]
    place: str
    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.mark:<5}  {self.place}: {self.found}: {self.advice}"


def lint(graph: Graph) -> list[Finding]:
    """Return what keeps a model, or part of it, off the Edge TPU or makes it slow there; mere notes if nothing does."""
    if graph.edgetpu_operators:
        return [_wrong("model", "it is compiled for the Edge TPU already", "give the model it was compiled from")]
    if not any(graph.operators):
        return [_wrong("model", "it has no operator", "give a model with a network in it")]
    findings = []
    if len(graph.subgraphs) > 1:
        findings.append(
            _wrong("model", f"{len(graph.subgraphs)} subgraphs", "convert one function without loops or branches")
        )
    for number, subgraph in enumerate(graph.subgraphs):
        where = f"subgraph {number}, " if number else ""
        findings += _ends(subgraph, where)
        for operator in subgraph.operators:
            findings += _operator(subgraph, operator, f"{where}operator {operator.index} {operator.name}")
    return findings + list(_memory(graph))


def parameter_bytes(graph: Graph) -> int:
    """Return the size of all constants: what a compiled model keeps on the chip, before the compiler's padding."""
    return sum(len(tensor.data) for tensor in graph.constants)


def _wrong(place: str, found: str, advice: str) -> Finding:
    return Finding("wrong", place, found, advice)


def _ends(subgraph: Subgraph, where: str) -> Iterator[Finding]:
    if not subgraph.inputs or not subgraph.outputs:
        yield _wrong(f"{where}model", "no input or no output", "convert a model that has both")
    if subgraph.batch > 1:  # issues 30, 700
        yield _wrong(f"{where}input", f"a batch of {subgraph.batch}", "fix the batch at 1 before converting")


def _operator(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    """Yield the findings on one operator; of one that is not taken at all, that alone."""
    taken = _OPERATORS.get(operator.name)
    if operator.custom:
        yield _wrong(place, "a custom operator", "use TensorFlow Lite's own operators")
    elif "LSTM" in operator.name or "RNN" in operator.name:
        # coral.ai lists the unidirectional LSTM from runtime 14 on. Some compile, others fail without a word
        # (issues 598, 800); and a state between calls is what signatures must not have, nor would it survive a restart.
        yield _wrong(place, "a recurrent layer, which keeps a state between calls", "use convolutions over time")
    elif taken is None:
        yield _wrong(place, "not among the compiler's operators", _INSTEAD.get(operator.name, "replace it"))
    elif operator.version > taken.version:
        yield _wrong(
            place,
            f"version {operator.version}, and the compiler knows {taken.version} at most",
            "convert with an older TensorFlow (2.8 or before), or without the option that asks for it",
        )
    else:
        yield from _tensors(subgraph, operator, taken, place)
        if check := _CHECKS.get(operator.name):
            yield from check(subgraph, operator, place)


def _tensors(subgraph: Subgraph, operator: Operator, taken: _Taken, place: str) -> Iterator[Finding]:
    given, made = subgraph.given(operator), subgraph.made(operator)
    activations = [tensor for tensor in (*given, *made) if not tensor.constant]
    kinds = {tensor.kind for tensor in activations} - set(_QUANTIZED)
    kinds |= {tensor.kind for tensor in given if tensor.constant} - set(_PARAMETER_KINDS)
    if kinds:
        yield _wrong(
            place, f"{' and '.join(sorted(kinds))} tensors", "quantise everything to int8, input and output too"
        )
        return
    if any(tensor.kind in _QUANTIZED and not len(tensor.scale) for tensor in (*given, *made)):
        yield _wrong(place, "a tensor without scale and zero point", "quantise the model with example data")
    if any(tensor.dynamic for tensor in activations):
        yield _wrong(place, "a shape that may change", "fix the input's shape, batch included, before converting")
    # Beyond the batch, which is told once, of the input.
    spread = next((tensor.shape for tensor in activations if math.prod(tensor.shape[:-3]) > subgraph.batch), None)
    if spread:  # issue 121
        yield _wrong(place, f"shape {list(spread)}", "keep only the three innermost dimensions larger than 1")
    if any(tensor.sparse for tensor in given):
        yield _wrong(place, "sparse weights", "convert without sparsity")
    moving = [
        number
        for number, index in enumerate(operator.inputs)
        if taken.activations and number not in taken.activations and index >= 0
        if not subgraph.tensors[index].constant
    ]
    if moving:  # issue 25
        yield _wrong(place, f"input {moving[0]} is not a constant", "make weights and shapes constants")


def _no_activation(_: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    if operator.options.get("FusedActivationFunction"):
        yield _wrong(place, "a fused activation", "put the activation behind a layer that may have one")


def _concatenation(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    yield from _no_activation(subgraph, operator, place)
    constants = [tensor for tensor in subgraph.given(operator) if tensor.constant]
    if constants and (len(operator.inputs) > 2 or any(np.any(tensor.data) for tensor in constants)):
        yield _wrong(place, "a constant input", "concatenate activations, or one with zeros")


def _convolution(_: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    along_y, along_x = (operator.options.get(f"Dilation{axis}Factor", 1) for axis in "HW")
    if along_y != along_x:
        yield _wrong(place, f"dilations {along_y} and {along_x}", "use the same dilation along both axes")


def _fully_connected(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    if operator.options.get("WeightsFormat"):
        yield _wrong(place, "shuffled weights", "convert with the default format of weights")
    batch = subgraph.batch
    if any(math.prod(tensor.shape[:-1]) > batch for tensor in subgraph.made(operator)):
        yield _wrong(place, "an output of several positions", "use a CONV_2D of size 1 in its place")
        return
    source, weights = _flattened(subgraph, operator), subgraph.given(operator)[1:2]
    if source is None or not weights:
        return
    shape, size = source.shape[1 if batch > 1 else 0 :], len(weights[0].data)
    if not _is_vector(shape):
        slow = size >= STREAMED_BYTES
        yield Finding(
            "slow" if slow else "note",
            place,
            f"a Flatten of {math.prod(shape[:-1])} positions before it, so that its {size:,} B of weights "
            f"{'would' if slow else 'may'} travel again at each call",
            "pool over the positions first (MEAN, MAX_POOL_2D)",
        )


def _is_vector(shape: tuple[int, ...]) -> bool:
    return sum(size > 1 for size in shape) < 2


def _flattened(subgraph: Subgraph, operator: Operator) -> Tensor | None:
    """Return the tensor from which an operator's numbers were only moved, or changed one by one."""
    index = next(iter(operator.inputs), -1)
    for _ in range(_MAX_STEPS):
        maker = subgraph.makers.get(index)
        if maker is None or maker.name not in _KEEPING:
            break
        sources = [source for source in maker.inputs if source >= 0 and not subgraph.tensors[source].constant]
        # A slice of several positions may be one of them.
        if len(sources) != 1 or (
            maker.name in ("SLICE", "STRIDED_SLICE") and not _is_vector(subgraph.tensors[sources[0]].shape)
        ):
            break
        (index,) = sources
    return subgraph.tensors[index] if index >= 0 else None


def _mean(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    yield from _reduction(subgraph, operator, place)
    given = subgraph.given(operator)
    rank = len(given[0].shape) if given else 0
    if rank > 1 and rank - 1 in _axes(given[1:], rank) and given[0].shape[-1] % 4:
        yield _wrong(place, f"it reduces {given[0].shape[-1]} channels", "use a multiple of 4 channels")


def _reduction(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    given = subgraph.given(operator)
    if given and _takes_batch(given[1:], given[0]):
        yield _wrong(place, "it reduces the batch", "reduce along the other dimensions")


def _split(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    given = subgraph.given(operator)
    if len(given) > 1 and _takes_batch(given, given[1]):
        yield _wrong(place, "it splits the batch", "split along another dimension")


def _pack(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    ranks = [len(tensor.shape) for tensor in subgraph.made(operator)]
    if any(rank >= BATCH_RANK and operator.options.get("Axis", 0) in (0, -rank) for rank in ranks):
        yield _wrong(place, "it makes a batch", "pack along another dimension")


def _pad(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    given = subgraph.given(operator)
    # Before and behind, for each dimension.
    if len(given) > 1 and len(given[0].shape) >= BATCH_RANK and any(_integers(given[1])[:2]):
        yield _wrong(place, "it pads the batch", "pad the other dimensions")


def _squeeze(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    tensors = [*subgraph.given(operator)[:1], *subgraph.made(operator)]
    if len({_behind_ones(tensor.shape) for tensor in tensors}) > 1:
        yield _wrong(place, "it takes a dimension out of the middle", "squeeze leading dimensions, or reshape")


def _behind_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(itertools.dropwhile(lambda size: size == 1, shape))


def _takes_batch(axes: list[Tensor], tensor: Tensor) -> bool:
    return len(tensor.shape) >= BATCH_RANK and 0 in _axes(axes, len(tensor.shape))


def _axes(given: list[Tensor], rank: int) -> set[int]:
    """Return the axes that an operator's first of these inputs names."""
    return {int(axis) % rank for tensor in given[:1] for axis in _integers(tensor)}


def _softmax(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    shapes = [tensor.shape for tensor in subgraph.given(operator)[:1]]
    if any(math.prod(shape[:-1]) > subgraph.batch or max(shape[-1:], default=0) > 16_000 for shape in shapes):
        yield _wrong(place, f"shape {list(shapes[0])}", "give it one vector of at most 16,000 numbers")


def _strided_slice(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    if any(np.any(_integers(tensor) != 1) for tensor in subgraph.given(operator)[3:4]):
        yield _wrong(place, "strides other than 1", "use a convolution or pooling with that stride")
    if operator.options.get("EllipsisMask") or operator.options.get("NewAxisMask"):
        yield _wrong(place, "an ellipsis or a new axis in it", "name every dimension, and reshape for a new one")


def _prelu(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    alphas = subgraph.given(operator)[1:2]
    if any(math.prod(tensor.shape[:-1]) > 1 for tensor in alphas):
        yield _wrong(place, f"alpha of shape {list(alphas[0].shape)}", "share alpha along all dimensions but the last")


def _integers(tensor: Tensor) -> NDArray[Any]:
    """Return a constant's integers; none of another kind, or of an activation."""
    if tensor.kind not in _INTEGERS:
        return np.empty(0, np.int32)
    kind = np.dtype(tensor.kind).newbyteorder("<")
    return np.frombuffer(tensor.data[: len(tensor.data) // kind.itemsize * kind.itemsize].tobytes(), kind)


_CHECKS: Mapping[str, Callable[[Subgraph, Operator, str], Iterator[Finding]]] = {
    "AVERAGE_POOL_2D": _no_activation,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _no_activation,
    "MEAN": _mean,
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "REDUCE_MAX": _reduction,
    "REDUCE_MIN": _reduction,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "SQUEEZE": _squeeze,
    "STRIDED_SLICE": _strided_slice,
    "SUM": _reduction,
}
"""The conditions of coral.ai's list. ARTPEC-7's has those of dilations, MEAN, PACK, PAD, PRELU, REDUCE_MAX and
REDUCE_MIN, too; those of SPLIT, SQUEEZE and SUM are from memory."""

_KEEPING = (
    "ADD", "EXPAND_DIMS", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "PRELU", "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1",
    "RESHAPE", "SLICE", "SPACE_TO_DEPTH", "SQUEEZE", "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE",
)  # fmt: skip
"""Operators that leave numbers apart from each other: behind them a Flatten is one still."""


def _memory(graph: Graph) -> Iterator[Finding]:
    size = parameter_bytes(graph)
    if size > ON_CHIP_BYTES:
        yield Finding(
            "slow",
            "model",
            f"{size:,} B of parameters, and the chip keeps {ON_CHIP_BYTES:,}: the rest would travel again at each call",
            "make it smaller",
        )
    elif size * ON_CHIP_FACTOR > ON_CHIP_BYTES:
        yield Finding(
            "note",
            "model",
            f"{size:,} B of parameters, which the compiler's padding may take beyond the chip's {ON_CHIP_BYTES:,}",
            "see in the compiler's log what is streamed",
        )
    sizes = [
        (_activation_bytes(subgraph, operator), f"operator {operator.index} {operator.name}")
        for subgraph in graph.subgraphs[:1]
        for operator in subgraph.operators
    ]
    size, place = max(sizes, default=(0, ""))
    if size > ACTIVATION_BYTES:
        yield Finding(
            "wrong" if size > CHIP_BYTES else "note",
            place,
            f"{size:,} B of activations, which "
            + (f"the chip's {CHIP_BYTES:,} do not hold" if size > CHIP_BYTES else "share the chip with parameters"),
            "make the input or the layers smaller",
        )


def _activation_bytes(subgraph: Subgraph, operator: Operator) -> int:
    """Return the size of what one operator reads and makes, at a byte each."""
    tensors = (*subgraph.given(operator), *subgraph.made(operator))
    return sum(math.prod(tensor.shape) for tensor in tensors if not (tensor.constant or tensor.dynamic))
