"""Which operators edgetpu_compiler 16.0 takes: up to which version, and under which conditions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders.tflite import BATCH_RANK, Operator, Subgraph, Tensor

STREAMED_BYTES = 64 << 10
"""Streamed bytes that about double what a call costs: 300 MB/s over USB 3, against 0.28 ms for any call at all."""

INTEGERS = ("int32", "int64")

SHORT_VECTOR, LONG_VECTOR = 4096, 14_400
"""Numbers in a vector before FULLY_CONNECTED: up to the first its weights stay on the chip, from the second on they do
not, however few they are. Compiled twins with 4,096, and with a Flatten of 7 x 7 x 32, keep them; those with 16,384 and
94,400 stream them, and so does the model of issue 663 with 14,400."""

UNITS_AT_ONCE = 16
"""Weights of 1 unit take as much as those of 16 in compiled twins; constants of ADD and MUL by channel, 16 times."""

SOFTMAX_SIZE = 1 << 14
"""coral.ai says 16,000; a compiled twin has 16,384."""

RESIZED_POSITIONS, RESIZED_TIMES = 128 * 128, 8
"""The largest picture that is resized on the chip, and by how much. Mapped: 64 x 64 to 128 x 128 (issue 31). Left on
the CPU: 256 x 256 to 512 x 512 (31), 512 x 512 to 1024 x 1024 (597), a U-Net of 256 x 256 (187), and in compiled twins
1 x 1 to 33 x 33 and 33 x 33 to 513 x 513. Where between them the limits are is not known."""

REDUCED_POSITIONS = 1 << 15
"""From how many positions on MEAN is left on the CPU: 256 x 128 is, 64 x 128 is not (issue 461)."""

LSTM_FEATURES = 900
"""Beyond about so many, compiling a model with an LSTM fails without a word (issue 598)."""


@dataclass(frozen=True)
class Finding:
    """One line. wrong: not compiled, or not wholly; slow: compiled, but much travels at each call; note: may matter."""

    mark: Literal["wrong", "slow", "note"]
    place: str
    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.mark:<5}  {self.place}: {self.found}: {self.advice}"


def wrong(place: str, found: str, advice: str) -> Finding:
    return Finding("wrong", place, found, advice)


def _no_activation(_: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    if operator.options.get("FusedActivationFunction"):
        yield wrong(place, "a fused activation", "put the activation behind a layer that may have one")


def _concatenation(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    yield from _no_activation(subgraph, operator, place)
    constants = [tensor for tensor in subgraph.given(operator) if tensor.constant]
    if constants and (len(operator.inputs) > 2 or any(np.any(tensor.data) for tensor in constants)):
        yield wrong(place, "a constant input", "concatenate activations, or one with zeros")


def _convolution(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    along_y, along_x = (operator.options.get(f"Dilation{axis}Factor", 1) for axis in "HW")
    weights = subgraph.given(operator)[1:2]
    # Along an axis where the kernel has one weight there is nothing to dilate: a compiled twin has 3 x 1 with 2 and 1.
    flat = any(1 in tensor.shape[1:3] for tensor in weights)
    if along_y != along_x and not flat:
        yield wrong(place, f"dilations {along_y} and {along_x}", "use the same dilation along both axes")


def _fully_connected(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    if operator.options.get("WeightsFormat"):
        yield wrong(place, "shuffled weights", "convert with the default format of weights")
    batch = subgraph.batch
    if any(math.prod(tensor.shape[:-1]) > batch for tensor in subgraph.made(operator)):
        yield wrong(place, "an output of several positions", "use a CONV_2D of size 1 in its place")
        return
    for weights in subgraph.given(operator)[1:2]:
        length = max(weights.shape[-1:], default=0)
        if weights.constant and length > SHORT_VECTOR:
            slow = length >= LONG_VECTOR
            found = f"a vector of {length:,} numbers before it, so that its {padded_bytes(weights):,} B of weights"
            found += f" {'would' if slow else 'may'} travel again at each call"
            yield Finding("slow" if slow else "note", place, found, "pool before the Flatten (MEAN, MAX_POOL_2D)")


def padded_bytes(weights: Tensor) -> int:
    """Return what the weights of a FULLY_CONNECTED take in a compiled model."""
    *rows, length = weights.shape or (0,)
    return math.ceil(math.prod(rows) / UNITS_AT_ONCE) * UNITS_AT_ONCE * length


def _with_constant(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    constants = [tensor for tensor in subgraph.given(operator) if tensor.constant]
    size = sum(len(it.data) * (UNITS_AT_ONCE if math.prod(it.shape[:-1]) == 1 else 1) for it in constants)
    if size >= STREAMED_BYTES:
        found = f"{size:,} B of constants beside an activation, which would travel again at each call"
        yield Finding("slow", place, found, "put them into the layer before, or use one for each channel")


def _mean(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    yield from _reduction(subgraph, operator, place)
    given = subgraph.given(operator)
    rank = len(given[0].shape) if given else 0
    if rank > 1 and rank - 1 in _axes(given[1:], rank) and given[0].shape[-1] % 4:
        yield wrong(place, f"it reduces {given[0].shape[-1]} channels", "use a multiple of 4 channels")
    positions = math.prod(given[0].shape[-3:-1]) if rank > 2 else 0
    if positions >= REDUCED_POSITIONS and {rank - 3, rank - 2} & _axes(given[1:], rank):
        yield wrong(place, f"it reduces {positions:,} positions", "pool with AVERAGE_POOL_2D first")


def _resize(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    shapes = [tensor.shape[1:3] for tensor in (*subgraph.given(operator)[:1], *subgraph.made(operator)[:1])]
    if [len(shape) for shape in shapes] != [2, 2]:
        return
    before, after = shapes
    # coral.ai names precision as the reason, and repeating a number loses none.
    times = RESIZED_TIMES if operator.name == "RESIZE_BILINEAR" else math.inf
    if math.prod(after) > RESIZED_POSITIONS or any(new > times * old for old, new in zip(before, after, strict=True)):
        found = f"{before[0]} x {before[1]} positions become {after[0]} x {after[1]}"
        yield wrong(place, found, f"stay below 128 x 128 and {RESIZED_TIMES} times, or resize what the model gives")


def _tile(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    shapes = [tensor.shape for tensor in subgraph.given(operator)[:1]]
    if any(math.prod(shape[:-1]) > 1 for shape in shapes):
        yield wrong(place, f"shape {list(shapes[0])}", "repeat one position only")


def _lstm(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    features = max((tensor.shape[-1] for tensor in subgraph.given(operator)[:1] if tensor.shape), default=0)
    if features > LSTM_FEATURES:
        yield wrong(place, f"{features:,} features", f"give it at most {LSTM_FEATURES}")
    found = "a recurrent layer, which keeps a state between calls and does not always compile"
    yield Finding("note", place, found, "use convolutions over time")


def _reduction(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    given = subgraph.given(operator)
    if given and _takes_batch(given[1:], given[0]):
        yield wrong(place, "it reduces the batch", "reduce along the other dimensions")


def _split(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    given = subgraph.given(operator)
    # One part is the whole, and a compiled twin begins with it.
    if len(given) > 1 and len(operator.outputs) > 1 and _takes_batch(given, given[1]):
        yield wrong(place, "it splits the batch", "split along another dimension")


def _pack(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    ranks = [len(tensor.shape) for tensor in subgraph.made(operator)]
    if any(rank >= BATCH_RANK and operator.options.get("Axis", 0) in (0, -rank) for rank in ranks):
        yield wrong(place, "it makes a batch", "pack along another dimension")


def _pad(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    given = subgraph.given(operator)
    # Before and behind, for each dimension.
    if len(given) > 1 and len(given[0].shape) >= BATCH_RANK and any(_integers(given[1])[:2]):
        yield wrong(place, "it pads the batch", "pad the other dimensions")


def _squeeze(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    tensors = [*subgraph.given(operator)[:1], *subgraph.made(operator)]
    if len({tuple(itertools.dropwhile(lambda size: size == 1, tensor.shape)) for tensor in tensors}) > 1:
        yield wrong(place, "it takes a dimension out of the middle", "squeeze leading dimensions, or reshape")


def _takes_batch(axes: list[Tensor], tensor: Tensor) -> bool:
    return len(tensor.shape) >= BATCH_RANK and 0 in _axes(axes, len(tensor.shape))


def _axes(given: list[Tensor], rank: int) -> set[int]:
    """Return the axes that an operator's first of these inputs names."""
    return {int(axis) % rank for tensor in given[:1] for axis in _integers(tensor)}


def _softmax(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    shapes = [tensor.shape for tensor in subgraph.given(operator)[:1]]
    if any(math.prod(shape[:-1]) > subgraph.batch or max(shape[-1:], default=0) > SOFTMAX_SIZE for shape in shapes):
        yield wrong(place, f"shape {list(shapes[0])}", f"give it one vector of at most {SOFTMAX_SIZE:,} numbers")


def _strided_slice(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    if any(np.any(_integers(tensor) != 1) for tensor in subgraph.given(operator)[3:4]):
        yield wrong(place, "strides other than 1", "use a convolution or pooling with that stride")
    if operator.options.get("EllipsisMask") or operator.options.get("NewAxisMask"):
        yield wrong(place, "an ellipsis or a new axis in it", "name every dimension, and reshape for a new one")


def _prelu(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    alphas = subgraph.given(operator)[1:2]
    if any(math.prod(tensor.shape[:-1]) > 1 for tensor in alphas):
        yield wrong(place, f"alpha of shape {list(alphas[0].shape)}", "share alpha along all dimensions but the last")


def _integers(tensor: Tensor) -> NDArray[Any]:
    """Return a constant's integers; none of another kind, or of an activation."""
    if tensor.kind not in INTEGERS:
        return np.empty(0, np.int32)
    kind = np.dtype(tensor.kind).newbyteorder("<")
    return np.frombuffer(tensor.data[: len(tensor.data) // kind.itemsize * kind.itemsize].tobytes(), kind)


class Taken(NamedTuple):
    """The newest version that is taken, who says so, and what else has to hold.

    activations: the inputs that may be activations; all, if none is named. states: the inputs that keep a state between
    calls; they may be of any type. condition: yields what keeps one operator off, or makes it slow.
    """

    version: int
    source: str
    activations: tuple[int, ...] = ()
    condition: Callable[[Subgraph, Operator, str], Iterator[Finding]] = lambda *_: iter(())
    states: tuple[int, ...] = ()


_CORAL, _AXIS, _PAIRS = "coral.ai", "coral.ai, ARTPEC-7", "coral.ai, compiled twins"

OPERATORS: Mapping[str, Taken] = {
    "ADD": Taken(3, f"{_PAIRS}, issue 324", (), _with_constant),
    "AVERAGE_POOL_2D": Taken(3, _PAIRS, (), _no_activation),
    "CONCATENATION": Taken(3, _PAIRS, (), _concatenation),
    "CONV_2D": Taken(5, f"{_PAIRS}, issue 631", (0,), _convolution),
    "DEPTHWISE_CONV_2D": Taken(6, _PAIRS, (0,), _convolution),
    "EXPAND_DIMS": Taken(1, _AXIS, (0,)),
    "FULLY_CONNECTED": Taken(9, f"{_PAIRS}, issues 25, 663", (0,), _fully_connected),
    "L2_NORMALIZATION": Taken(2, _CORAL),
    "LOGISTIC": Taken(3, _PAIRS),
    "MAXIMUM": Taken(4, _CORAL),
    "MAX_POOL_2D": Taken(3, _PAIRS, (), _no_activation),
    "MEAN": Taken(3, f"{_PAIRS}, ARTPEC-7, issue 461", (0,), _mean),
    "MINIMUM": Taken(4, _CORAL),
    "MUL": Taken(4, f"{_PAIRS}, issue 324", (), _with_constant),
    "PACK": Taken(3, _AXIS, (), _pack),
    "PAD": Taken(3, _AXIS, (0,), _pad),
    "PRELU": Taken(1, _AXIS, (0,), _prelu),
    "QUANTIZE": Taken(2, f"{_PAIRS}, issue 879"),
    "REDUCE_MAX": Taken(3, _AXIS, (0,), _reduction),
    "REDUCE_MIN": Taken(3, _AXIS, (0,), _reduction),
    "RELU": Taken(3, _CORAL),
    "RELU6": Taken(3, _CORAL),
    "RELU_N1_TO_1": Taken(1, _CORAL),
    "RESHAPE": Taken(1, _PAIRS, (0,)),
    "RESIZE_BILINEAR": Taken(4, f"{_PAIRS}, issues 31, 597", (0,), _resize),
    "RESIZE_NEAREST_NEIGHBOR": Taken(4, "coral.ai, issue 187", (0,), _resize),
    "RSQRT": Taken(2, _CORAL),
    "SLICE": Taken(5, _CORAL, (0,)),
    "SOFTMAX": Taken(3, _PAIRS, (), _softmax),
    "SPACE_TO_DEPTH": Taken(2, _CORAL),
    "SPLIT": Taken(4, _PAIRS, (1,), _split),
    "SQUARED_DIFFERENCE": Taken(2, _CORAL),
    "SQUEEZE": Taken(2, _CORAL, (), _squeeze),
    "STRIDED_SLICE": Taken(5, _CORAL, (0,), _strided_slice),
    "SUB": Taken(5, _PAIRS, (), _with_constant),
    "SUM": Taken(2, _CORAL, (0,), _reduction),
    "TANH": Taken(3, _CORAL),
    "TILE": Taken(2, "a compiled twin", (0,), _tile),
    "TRANSPOSE": Taken(5, "issue 193, from compiler 16", (0,)),
    "TRANSPOSE_CONV": Taken(3, "coral.ai, issue 845", (2,)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Taken(3, "coral.ai, ARTPEC-7, issue 598", (0, 18, 19), _lstm, (18, 19)),
}
"""Who says so: coral.ai's list of operators and their conditions ("TensorFlow models on the Edge TPU"; those of RSQRT,
SPLIT, SQUARED_DIFFERENCE, SQUEEZE and SUM are from memory). ARTPEC-7: that of a chip which holds an Edge TPU
(developer.axis.com, supported-ops). Compiled twins: public models beside what the compiler made of them
(scripts/evaluate/compiled_twins.py). Issues: of google-coral/edgetpu.
Which versions: the newest that tensorflow/lite/tools/versioning/runtime_version.cc has for TensorFlow 2.5.0, from
which libedgetpu's release of the same weeks was built (its workspace.bzl). The refusals on record fit: CONV_2D 6
(issue 631; it came with 2.9), QUANTIZE 3 (879; with 2.7), TRANSPOSE_CONV 4 (845), EXP 2 (libedgetpu 71)."""

INSTEAD: Mapping[str, str] = {
    "BATCH_MATMUL": "use FULLY_CONNECTED or CONV_2D with constant weights",
    "DEQUANTIZE": "quantise everything to int8, the output too",
    "GELU": "use RELU or RELU6",
    "HARD_SWISH": "use RELU or RELU6",
    "LEAKY_RELU": "use RELU, RELU6 or PRELU",
}
