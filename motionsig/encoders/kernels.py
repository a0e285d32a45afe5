"""The operators of small int8 networks, each as TFLite's reference kernel computes it.

An operator's function takes its node, raises ModelError for what it does not have, and returns its kernel and the shape
of what that makes. Kernels take and make codes (k, ...) of k windows. Sums are exact, and rounded as in the file that a
docstring names, of LiteRT's tflite/kernels built to round fixed-point products twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders.tflite import Tensor
from motionsig.errors import ModelError

Codes = NDArray[np.int8]
Values = NDArray[Any]
Shape = tuple[int, ...]
Pair = tuple[int, int]
"""Of height and width, or of a lower and an upper limit."""

Kernel = Callable[..., Codes]
Rescale = Callable[[Values], Values]

MAX_ELEMENTS = 1 << 16
"""Of one activation: 20 times what the shipped model needs, and a bound on the memory that damage can ask for."""

_SAME, _VALID = 0, 1
_NONE, _RELU, _RELU6 = 0, 1, 3
_ACTIVATION = "FusedActivationFunction"


class Node(NamedTuple):
    """An operator with its tensors; an absent input is None."""

    inputs: list[Tensor | None]
    made: Tensor
    options: Mapping[str, int]

    def input(self, index: int) -> Tensor | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def taken(self, index: int = 0, rank: int = 0) -> Tensor:
        """Return an input that is an activation, of any rank if 0."""
        tensor = check_activation(self.input(index))
        if rank and len(tensor.shape) != rank:
            raise ModelError(f"expected an input of {rank} dimensions, got {list(tensor.shape)}")
        return tensor

    def constant(self, index: int, kind: str, *ranks: int) -> tuple[Tensor, Values]:
        tensor = self.input(index)
        if tensor is None or not tensor.constant or tensor.kind != kind or len(tensor.shape) not in ranks:
            raise ModelError(f"expected input {index} to be a constant {kind} of {ranks[-1]} dimensions, got another")
        return tensor, tensor.data.view(np.dtype(kind).newbyteorder("<")).reshape(tensor.shape)


def check_activation(tensor: Tensor | None) -> Tensor:
    """Return `tensor`, or raise ModelError unless it is one that these kernels take and make."""
    if tensor is None or tensor.constant or tensor.kind != "int8" or len(tensor.scale) != 1:
        raise ModelError("expected an int8 activation with one scale and zero point, got another tensor")
    if not tensor.shape or tensor.shape[0] != 1:
        raise ModelError(f"expected a batch of 1, got the shape {list(tensor.shape)}")
    return tensor


def _conv_2d(node: Node) -> tuple[Kernel, Shape]:
    """internal/reference/integer_ops/conv.h, ConvPerChannel."""
    given, (weights, data) = node.taken(rank=4), node.constant(1, "int8", 4)
    filters, _, _, channels = weights.shape
    if channels != given.shape[3]:
        raise ModelError(f"expected filters over all {given.shape[3]} channels, got {channels}")

    def multiply(part: Values, tap: Values) -> Values:
        return (part.reshape(-1, channels) @ tap).reshape(*part.shape[:3], filters)

    return _convolution(node, weights, data, 0, data.transpose(1, 2, 3, 0), multiply)


def _depthwise_conv_2d(node: Node) -> tuple[Kernel, Shape]:
    """internal/reference/integer_ops/depthwise_conv.h, DepthwiseConvPerChannel."""
    given, (weights, data) = node.taken(rank=4), node.constant(1, "int8", 4)
    each, rest = divmod(weights.shape[3], given.shape[3])
    if weights.shape[0] != 1 or rest:
        raise ModelError(f"expected as many filters for each of {given.shape[3]} channels, got {list(weights.shape)}")

    def multiply(part: Values, tap: Values) -> Values:
        # Filter c * each + i belongs to channel c.
        return (part if each == 1 else np.repeat(part, each, axis=3)) * tap

    return _convolution(node, weights, data, 3, data[0], multiply)


def _convolution(
    node: Node, weights: Tensor, data: Values, axis: int, taps: Values, multiply: Callable[[Values, Values], Values]
) -> tuple[Kernel, Shape]:
    """`axis`: as for `_sums`. taps: (height, width, ..., filters), of which `multiply` takes one at a time."""
    given, (height, width, *_, filters) = node.taken(), taps.shape
    (exact, finish), grid = _sums(node, weights, data, axis, _fixed_point), _grid(node, given, (height, width))
    taps = taps.astype(exact)

    def kernel(codes: Codes) -> Codes:
        total = np.zeros((len(codes), *grid.out, filters), exact)
        for tap, part in grid.parts(_centred(codes, given, exact)):
            total += multiply(part, taps[tap])
        return finish(total)

    return kernel, (1, *grid.out, filters)


def _fully_connected(node: Node) -> tuple[Kernel, Shape]:
    """fully_connected.cc, and internal/reference/integer_ops/fully_connected.h where it takes float scales.

    LiteRT 1.2 and tflite-runtime have fixed point here too: their codes may differ by 1.
    """
    given, (weights, data) = node.taken(), node.constant(1, "int8", 2)
    units, depth = weights.shape
    if math.prod(given.shape) != depth or node.options["WeightsFormat"]:
        raise ModelError(f"expected plain weights over all of {list(given.shape)}, got {list(weights.shape)}")

    def rounded(scales: NDArray[np.float64], _: int) -> Rescale:
        # C's round, halves away from zero: what is just below a half carries a half over the edge and nothing less.
        half = np.nextafter(0.5, 0)
        return lambda values: np.trunc(values * scales + np.copysign(half, values * scales))

    exact, finish = _sums(node, weights, data, 0, rounded)
    matrix = data.T.astype(exact)
    return lambda codes: finish(_centred(codes, given, exact).reshape(-1, depth) @ matrix), (1, units)


def _add(node: Node) -> tuple[Kernel, Shape]:
    """add.cc, Prepare, and internal/reference/integer_ops/add.h, AddFunc."""
    left, right = node.taken(0), node.taken(1)
    if left.shape != right.shape:
        raise ModelError(f"expected two inputs of one shape, got {list(left.shape)} and {list(right.shape)}")
    limits, scales = _limits(node), [tensor.scale.astype(np.float64) for tensor in (left, right, node.made)]
    # 20 more bits, so that rounding both to one scale costs nothing. They are within 255 << 20, within half of that on
    # twice the larger scale, and so their sum is within 255 << 20 again.
    twice, bits = 2 * np.maximum(scales[0], scales[1]), 20
    steps = (scales[0] / twice, scales[1] / twice, twice / (scales[2] * (1 << bits)))
    *rescales, finish = (_fixed_point(step, 255 << bits) for step in steps)

    def kernel(*codes: Codes) -> Codes:
        one, other = (
            rescale((each.astype(np.int64) - tensor.zero_point) << bits)
            for each, tensor, rescale in zip(codes, (left, right), rescales, strict=True)
        )
        return np.clip(finish(one + other) + node.made.zero_point, *limits).astype(np.int8)

    return kernel, left.shape


def _mean(node: Node) -> tuple[Kernel, Shape]:
    """reduce.cc, PrepareMeanOrSum, and internal/reference/reduce.h, QuantizedMeanOrSum."""
    given, (_, stated) = node.taken(), node.constant(1, "int32", 0, 1)
    rank, keep = len(given.shape), node.options["KeepDims"]
    axes = {axis % rank for axis in stated.ravel().tolist()}
    if not np.all((stated >= -rank) & (stated < rank)) or 0 in axes:
        raise ModelError(f"expected axes of {list(given.shape)} without the batch, got {stated}")
    count = math.prod(given.shape[axis] for axis in axes)
    fixed, shift = _multiplier(given.scale.astype(np.float64) / node.made.scale)
    # The division by count goes into the multiplier, with as many more bits as fit.
    more = min(count.bit_length() - 1, 32, 31 + int(shift[0]))
    rescale = _rescale((fixed << more) // count, shift - more, 255 * count)

    def kernel(codes: Codes) -> Codes:
        total = codes.sum(axis=tuple(axes), dtype=np.int64, keepdims=bool(keep)) - count * given.zero_point
        return np.clip(rescale(total) + node.made.zero_point, -128, 127).astype(np.int8)

    return kernel, tuple(
        1 if axis in axes else size for axis, size in enumerate(given.shape) if keep or axis not in axes
    )


def _average_pool_2d(node: Node) -> tuple[Kernel, Shape]:
    """internal/reference/integer_ops/pooling.h, AveragePool: of what is not padding, halves away from zero."""
    given, grid, limits = _pool(node)

    def total(image: Values) -> NDArray[np.int32]:
        added = np.zeros((len(image), *grid.out, image.shape[3]), np.int32)
        for _, part in grid.parts(image):
            added += part
        return added

    count = total(np.ones(given.shape, np.int32))

    def kernel(codes: Codes) -> Codes:
        added = total(codes)
        mean: Values = np.sign(added) * ((abs(added) + count // 2) // count)
        return np.clip(mean, *limits).astype(np.int8)

    return kernel, count.shape


def _max_pool_2d(node: Node) -> tuple[Kernel, Shape]:
    """internal/reference/integer_ops/pooling.h, MaxPool."""
    given, grid, limits = _pool(node)

    def kernel(codes: Codes) -> Codes:
        largest = np.full((len(codes), *grid.out, codes.shape[3]), -128, np.int8)
        for _, part in grid.parts(codes, fill=-128):
            np.maximum(largest, part, out=largest)
        return np.clip(largest, *limits).astype(np.int8)

    return kernel, (1, *grid.out, given.shape[3])


def _concatenation(node: Node) -> tuple[Kernel, Shape]:
    """concatenation.cc."""
    parts, axis = [node.taken(index) for index in range(len(node.inputs))], node.options["Axis"]
    whole, rank = node.made.shape, len(node.made.shape)
    if not -rank <= axis < rank or axis % rank == 0 or node.options[_ACTIVATION] != _NONE:
        raise ModelError(f"expected an axis behind the batch and no activation, got axis {axis}")
    axis %= rank
    shapes = [part.shape for part in parts]
    if {shape[:axis] + shape[axis + 1 :] for shape in shapes} != {whole[:axis] + whole[axis + 1 :]}:
        raise ModelError(f"expected parts of {list(whole)}, got {shapes}")
    for part in parts:
        _check_scale(part, node.made)
    width = sum(shape[axis] for shape in shapes)
    return lambda *codes: np.concatenate(codes, axis), (*whole[:axis], width, *whole[axis + 1 :])


def _reshape(node: Node) -> tuple[Kernel, Shape]:
    """reshape.cc. The shape that a second input or an option asks for is the output's, worked out."""
    if math.prod(node.taken().shape) != math.prod(node.made.shape):
        raise ModelError(f"expected as many elements, got {list(node.taken().shape)} for {list(node.made.shape)}")
    return lambda codes: codes.reshape(-1, *node.made.shape[1:]), node.made.shape


KERNELS: dict[str, tuple[int, Callable[[Node], tuple[Kernel, Shape]]]] = {
    "ADD": (2, _add),
    "AVERAGE_POOL_2D": (2, _average_pool_2d),
    "CONCATENATION": (2, _concatenation),
    "CONV_2D": (3, _conv_2d),
    "DEPTHWISE_CONV_2D": (3, _depthwise_conv_2d),
    "FULLY_CONNECTED": (12, _fully_connected),
    "MAX_POOL_2D": (2, _max_pool_2d),
    "RESHAPE": (1, _reshape),
    "MEAN": (2, _mean),
}
"""By operator: the last version whose int8 case is the one here, and its function."""


class _Grid(NamedTuple):
    """Where a window of `size` stands on an image as it moves by `stride`: `out` places; pads are (before, after)."""

    size: Pair
    stride: Pair
    out: Pair
    pads: tuple[Pair, Pair]

    def parts(self, image: Values, fill: int = 0) -> Iterator[tuple[Pair, Values]]:
        """Yield each spot in the window and the image there at all places, (k, *out, c), for an image (k, h, w, c)."""
        if any(map(any, self.pads)):
            image = np.pad(image, ((0, 0), *self.pads, (0, 0)), constant_values=fill)
        (high, wide), (down, along) = self.out, self.stride
        for row, column in product(*map(range, self.size)):
            rows, columns = slice(row, row + high * down, down), slice(column, column + wide * along, along)
            yield (row, column), image[:, rows, columns]


def _grid(node: Node, given: Tensor, size: Pair) -> _Grid:
    """padding.h, ComputePaddingHeightWidth."""
    padding, stride = node.options["Padding"], (node.options["StrideH"], node.options["StrideW"])
    if padding not in (_SAME, _VALID) or min(*stride, *size) < 1:
        raise ModelError(f"expected SAME or VALID, and from 1 up a stride and window, got {padding}, {stride}, {size}")
    if any(node.options.get(f"Dilation{axis}Factor", 1) != 1 for axis in "HW"):
        raise ModelError("expected a dilation of 1, got another")
    out, pads = [], []
    for length, step, span in zip(given.shape[1:3], stride, size, strict=True):
        places = -(-length // step) if padding == _SAME else (length - span) // step + 1
        missing = max((places - 1) * step + span - length, 0) if padding == _SAME else 0
        out.append(places)
        pads.append((missing // 2, missing - missing // 2))
    padded = [length + sum(pad) for length, pad in zip(given.shape[1:3], pads, strict=True)]
    if min(out) < 1 or math.prod(padded) * given.shape[3] > MAX_ELEMENTS:
        raise ModelError(f"expected a window that fits into {list(given.shape)}, got {size}")
    return _Grid(size, stride, (out[0], out[1]), (pads[0], pads[1]))


def _pool(node: Node) -> tuple[Tensor, _Grid, Pair]:
    given = node.taken(rank=4)
    _check_scale(given, node.made)
    return given, _grid(node, given, (node.options["FilterHeight"], node.options["FilterWidth"])), _limits(node)


def _check_scale(given: Tensor, made: Tensor) -> None:
    (scale, zero), (expected, at) = ((tensor.scale[0], tensor.zero_point[0]) for tensor in (given, made))
    if (scale, zero) != (expected, at):
        raise ModelError(f"expected the output's scale {expected} and zero point {at}, got {scale} and {zero}")


def _limits(node: Node) -> Pair:
    """Return the least and the largest code. kernel_util.cc, CalculateActivationRangeQuantized."""
    activation, zero = node.options[_ACTIVATION], int(node.made.zero_point[0])
    if activation not in (_NONE, _RELU, _RELU6):
        raise ModelError(f"expected the activation NONE, RELU or RELU6, got number {activation}")
    six = zero + math.floor(float(np.float32(6) / node.made.scale[0]) + 0.5)
    return zero if activation else -128, min(127, six) if activation == _RELU6 else 127


def _sums(
    node: Node, weights: Tensor, data: Values, axis: int, rounded: Callable[[NDArray[np.float64], int], Rescale]
) -> tuple[type[np.floating[Any]], Callable[[Values], Codes]]:
    """Return a float type that has sums of products with the weights exactly, and what makes codes of these sums.

    axis: of the weights, that of the output's channels. rounded: from the output's steps per step of a sum, and the
    largest sum, to the function that rescales.
    """
    channels = weights.shape[axis]
    bias = np.zeros(channels, np.int64) if node.input(2) is None else node.constant(2, "int32", 1)[1].astype(np.int64)
    per_channel = len(weights.scale) == channels and weights.axis == axis
    if len(bias) != channels or not (per_channel or len(weights.scale) == 1) or np.any(weights.zero_point):
        raise ModelError(f"expected a bias, and a scale with zero point 0, for all or each of {channels} channels")
    products = 255 * abs(np.moveaxis(data, axis, 0).reshape(channels, -1).astype(np.int64)).sum(axis=1)
    largest = int((products + abs(bias)).max())
    if largest >= 1 << 31:
        raise ModelError(f"expected sums within int32, got weights and a bias that make up to {largest}")
    # kernel_util.cc, PopulateConvolutionQuantizationParams.
    rescale = rounded(node.taken().scale.astype(np.float64) * weights.scale / node.made.scale, largest)
    limits = _limits(node)

    def finish(total: Values) -> Codes:
        return np.clip(rescale(total.astype(np.int64) + bias) + node.made.zero_point, *limits).astype(np.int8)

    # Codes less their zero point are within 255, so all sums of products, in any order and with or without fused
    # multiply-add, are whole numbers within `products`, and a float has every whole number up to 2**24 or 2**53.
    return np.float32 if products.max() <= 1 << 24 else np.float64, finish


def _centred(codes: Codes, given: Tensor, exact: type[np.floating[Any]]) -> Values:
    centred: Values = codes.astype(exact) - exact(given.zero_point[0])
    return centred


def _fixed_point(scale: NDArray[np.float64], largest: int) -> Rescale:
    return _rescale(*_multiplier(scale), largest)


def _multiplier(scale: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return `scale` as fixed * 2**(shift - 31). internal/quantization_util.cc, QuantizeMultiplier."""
    fraction, exponent = np.frexp(scale)
    fixed, shift = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64), exponent.astype(np.int64)
    carried = fixed == 1 << 31
    fixed, shift = np.where(carried, 1 << 30, fixed), shift + carried
    return np.where(shift < -31, 0, fixed), np.where(shift < -31, 0, shift)


def _rescale(fixed: NDArray[np.int64], shift: NDArray[np.int64], largest: int) -> Rescale:
    """Return x -> x * fixed * 2**(shift - 31), |x| <= largest. internal/common.cc, MultiplyByQuantizedMultiplier."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    if largest << int(left.max()) >= 1 << 31:
        raise ModelError(f"expected sums within int32, got ones to {largest} and a shift by {left.max()}")
    # The shift to the left may go into the factor: the product is the same, below 2**62.
    factor, half, rounds = fixed << left, (1 << right) >> 1, right > 0

    def rescale(values: Values) -> Values:
        # gemmlowp's SaturatingRoundingDoublingHighMul: halves go up, for its smaller nudge of negative products and its
        # truncation towards zero together make a floor. Then RoundingDivideByPOT: halves go away from zero.
        high = (values * factor + (1 << 30)) >> 31
        high += half - ((high < 0) & rounds)
        shifted: Values = high >> right
        return shifted

    return rescale
