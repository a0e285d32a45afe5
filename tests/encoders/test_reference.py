"""The reference against the runtime's own reference kernels, bit for bit, and against damage."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_models import Made

from motionsig.encoders import open_encoder, shipped_models
from motionsig.encoders.kernels import KERNELS
from motionsig.encoders.reference import prepare
from motionsig.encoders.tflite import read_graph
from motionsig.errors import ModelError
from motionsig.model_card import MODEL_NAME

try:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    LITERT = True
except ImportError:
    from tflite_runtime.interpreter import Interpreter, OpResolverType

    LITERT = False

needs_litert = pytest.mark.skipif(not LITERT, reason="tflite-runtime's FULLY_CONNECTED multiplies in fixed point")
SHIPPED = [(folder / MODEL_NAME).read_bytes() for folder in shipped_models().values()]
SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3


class Network(Made):
    """A network in the making, whose constants say by their dtype what they are."""

    def tensor(self, shape, scale=0.02, zero_point=0, data=None, axis=0):
        return super().tensor(
            shape, "INT8" if data is None else data.dtype.name.upper(), scale, zero_point, data, axis=axis
        )

    def operator(self, name, inputs, made, options=None, version=1, **fields):
        return super().operator(name, inputs, [made], version, options, **fields)

    def file(self, first, last):
        self.ends([first], [last])
        return super().file()


def runtime(file, codes):
    """Return what the runtime's reference kernels make of codes (k, ...)."""
    interpreter = Interpreter(model_content=file, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (first,), (last,) = interpreter.get_input_details(), interpreter.get_output_details()
    made = []
    for row in codes:
        interpreter.set_tensor(first["index"], row[None])
        interpreter.invoke()
        made.append(interpreter.get_tensor(last["index"])[0])
    return np.array(made)


def reference(file, codes):
    return prepare(read_graph(file))(codes)


def input_shape(file):
    """The shape of one window's input."""
    (network,) = read_graph(file).subgraphs
    return network.tensors[network.inputs[0]].shape[1:]


def extremes(shape, count, rng):
    """Return codes (count, *shape): all lowest, all highest, both at random, small ones, and any."""
    codes = rng.integers(-128, 128, (count, *shape)).astype(np.int8)
    codes[0], codes[1] = -128, 127
    codes[2 : count // 4] = np.where(codes[2 : count // 4] > 0, 127, -128)
    codes[count // 4 : count // 2] //= 16
    return codes


def output(network, shape, rng, scale=None):
    return network.tensor(shape, rng.uniform(0.02, 0.2) if scale is None else scale, int(rng.integers(-128, 128)))


def weights(network, shape, axis, rng, *, each=True, bias=True):
    """Return the indices of random weights and a bias; `each` channel along `axis` with its own scale."""
    scale = rng.uniform(0.002, 0.02, shape[axis] if each else 1)
    data = rng.integers(-127, 128, shape).astype(np.int8)
    offsets = rng.integers(-3000, 3000, shape[axis]).astype(np.int32)
    constants = [network.tensor(shape, scale, data=data, axis=axis)]
    if bias:
        # In float32, as converters store it: the runtime checks the bias's scale against the product.
        constants.append(network.tensor([shape[axis]], np.float32(0.02) * np.float32(scale), data=offsets))
    return constants


def window(length, size, stride, padding):
    return -(-length // stride) if padding == SAME else (length - size) // stride + 1


def convolution(rng):
    network, (high, wide, channels, filters) = Network(), rng.integers(1, 9, 4)
    stride, padding = rng.integers(1, 4, 2), int(rng.integers(2))
    size = [int(rng.integers(1, 1 + min(high, 3))), int(rng.integers(1, 1 + wide))]
    first = network.tensor([1, high, wide, channels], zero_point=int(rng.integers(-128, 128)))
    constants = weights(network, [filters, *size, channels], 0, rng, each=rng.random() < 0.7)
    out = [window(*each, padding) for each in zip((high, wide), size, stride, strict=True)]
    last = output(network, [1, *out, filters], rng)
    fields = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    act = int(rng.choice([NONE, RELU, RELU6]))
    network.operator(
        "CONV_2D", [first, *constants], last, "Conv2DOptions", 3, **fields, FusedActivationFunction=act,
        DilationWFactor=1, DilationHFactor=1,
    )  # fmt: skip
    return network.file(first, last)


def depthwise(rng):
    network, (high, wide, channels, multiplier) = Network(), rng.integers(1, 9, 4)
    multiplier = multiplier % 3 + 1
    stride, padding = np.repeat(rng.integers(1, 4), 2), int(rng.integers(2))
    size = [int(rng.integers(1, 1 + min(high, 3))), int(rng.integers(1, 1 + wide))]
    first = network.tensor([1, high, wide, channels], zero_point=int(rng.integers(-128, 128)))
    constants = weights(network, [1, *size, channels * multiplier], 3, rng, each=rng.random() < 0.7)
    out = [window(*each, padding) for each in zip((high, wide), size, stride, strict=True)]
    last = output(network, [1, *out, channels * multiplier], rng)
    network.operator(
        "DEPTHWISE_CONV_2D", [first, *constants], last, "DepthwiseConv2DOptions", 3, Padding=padding,
        StrideH=stride[0], StrideW=stride[1], DepthMultiplier=multiplier,
        FusedActivationFunction=int(rng.choice([NONE, RELU, RELU6])), DilationWFactor=1, DilationHFactor=1,
    )  # fmt: skip
    return network.file(first, last)


def fully_connected(rng):
    network, (depth, units) = Network(), rng.integers(1, 70, 2)
    first = network.tensor([1, depth], zero_point=int(rng.integers(-128, 128)))
    each = rng.random() < 0.5
    constants = weights(network, [units, depth], 0, rng, each=each, bias=rng.random() < 0.8)
    last = output(network, [1, units], rng, 2.0**-8 if rng.random() < 0.2 else None)
    act = int(rng.choice([NONE, RELU, RELU6]))
    network.operator(
        "FULLY_CONNECTED", [first, *constants], last, "FullyConnectedOptions", 4, FusedActivationFunction=act
    )
    return network.file(first, last)


def ties(rng):
    """Scales that are powers of two: every other product is a half. Or just below, where a multiplier carries."""
    network, below = Network(), 2.0**-23 * rng.integers(2)
    first = network.tensor([1, 1, 4, 3], 0.5 - below / 2, int(rng.integers(-128, 128)))
    data = rng.integers(-3, 4, (5, 1, 1, 3)).astype(np.int8)
    offsets = network.tensor([5], 0.5, data=np.zeros(5, np.int32))
    constants = [network.tensor(data.shape, 1.0 + below, data=data), offsets]
    made = network.tensor([1, 1, 4, 5], 2.0 ** float(rng.integers(0, 4)))
    network.operator("CONV_2D", [first, *constants], made, "Conv2DOptions", 3, Padding=SAME, StrideH=1, StrideW=1)
    dense = rng.integers(-3, 4, (6, 20)).astype(np.int8)
    constants = [network.tensor(dense.shape, 1.0, data=dense), -1]
    flat = network.operator("RESHAPE", [made, shape(network, [1, 20])], output(network, [1, 20], rng), None)
    network.tensors[flat] |= {key: network.tensors[made][key] for key in ("scale", "zero")}
    last = network.tensor([1, 6], 2.0 ** float(rng.integers(1, 5)))
    network.operator("FULLY_CONNECTED", [flat, *constants], last, "FullyConnectedOptions", 4)
    return network.file(first, last)


def shape(network, sizes):
    return network.tensor([len(sizes)], data=np.array(sizes, np.int32))


def addition(rng):
    """Of a tensor and a mix of its channels on another scale: far away, or such that many sums are nearly halves."""
    network, tenths = Network(), rng.random() < 0.5
    scales = rng.integers(1, 9, 2) / 10 if tenths else 10 ** rng.uniform(-3, 0, 2)
    first = network.tensor([1, 1, 9, 4], scales[0], int(rng.integers(-128, 128)))
    data = rng.integers(-127, 128, (4, 1, 1, 4)).astype(np.int8)
    other = output(network, [1, 1, 9, 4], rng, scales[1])
    constants = [
        network.tensor(data.shape, 0.01, data=data),
        network.tensor([4], scales[0] * 0.01, data=np.zeros(4, np.int32)),
    ]
    network.operator("CONV_2D", [first, *constants], other, "Conv2DOptions", 3, Padding=SAME, StrideH=1, StrideW=1)
    last = output(network, [1, 1, 9, 4], rng, rng.integers(1, 9) / 10 if tenths else scales.max() * rng.uniform(0.3, 3))
    act = int(rng.choice([NONE, RELU, RELU6]))
    both = [[first, other], [other, first], [first, first]][rng.integers(3)]
    network.operator("ADD", both, last, "AddOptions", 2, FusedActivationFunction=act)
    return network.file(first, last)


def mean(rng):
    network, sizes = Network(), [1, *rng.integers(1, 40, 2), int(rng.integers(1, 6))]
    first = network.tensor(sizes, 10 ** rng.uniform(-3, 0), int(rng.integers(-128, 128)))
    axes = [[1, 2], [2, 1], [2], [2, 2], [-2, -3], [-2], [3]][rng.integers(7)]
    keep = bool(rng.integers(2))
    gone = {axis % 4 for axis in axes}
    left = [1 if axis in gone else size for axis, size in enumerate(sizes) if keep or axis not in gone]
    last = output(network, left, rng, 10 ** rng.uniform(-3, 0))
    # A single axis may also be a number instead of a list.
    stated = shape(network, axes) if len(axes) > 1 else network.tensor([], data=np.array(axes, np.int32))
    network.operator("MEAN", [first, stated], last, "ReducerOptions", 2, KeepDims=keep)
    return network.file(first, last)


def pool(rng):
    network, (high, wide, channels) = Network(), rng.integers(1, 9, 3)
    stride, padding = rng.integers(1, 4, 2), int(rng.integers(2))
    size = [int(rng.integers(1, 1 + high)), int(rng.integers(1, 1 + wide))]
    zero_point = int(rng.integers(-128, 128))
    first = network.tensor([1, high, wide, channels], zero_point=zero_point)
    out = [window(*each, padding) for each in zip((high, wide), size, stride, strict=True)]
    last = network.tensor([1, *out, channels], zero_point=zero_point)
    network.operator(
        str(rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])), [first], last, "Pool2DOptions", 2, Padding=padding,
        StrideH=stride[0], StrideW=stride[1], FilterHeight=size[0], FilterWidth=size[1],
        FusedActivationFunction=int(rng.choice([NONE, RELU, RELU6])),
    )  # fmt: skip
    return network.file(first, last)


def everything(rng):
    """A small residual network with every operator."""
    network = Network()
    conv = {"Padding": SAME, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
    first = network.tensor([1, 1, 16, 4])
    made = network.operator(
        "CONV_2D", [first, *weights(network, [8, 1, 3, 4], 0, rng)], network.tensor([1, 1, 16, 8]), "Conv2DOptions", 3,
        **conv, FusedActivationFunction=RELU6,
    )  # fmt: skip
    side = network.operator(
        "DEPTHWISE_CONV_2D", [made, *weights(network, [1, 1, 5, 8], 3, rng)], network.tensor([1, 1, 16, 8]),
        "DepthwiseConv2DOptions", 3, **conv, DepthMultiplier=1,
    )  # fmt: skip
    made = network.operator("ADD", [made, side], network.tensor([1, 1, 16, 8]), "AddOptions", 2)
    pools = {"Padding": VALID, "StrideH": 1, "StrideW": 2, "FilterHeight": 1, "FilterWidth": 2}
    parts = [
        network.operator(name, [made], network.tensor([1, 1, 8, 8]), "Pool2DOptions", 2, **pools)
        for name in ("MAX_POOL_2D", "AVERAGE_POOL_2D")
    ]
    made = network.operator(
        "CONCATENATION", parts, network.tensor([1, 1, 8, 16]), "ConcatenationOptions", 2, Axis=int(rng.choice([3, -1]))
    )
    mean = network.operator("MEAN", [made, shape(network, [1, 2])], network.tensor([1, 16]), "ReducerOptions", 2)
    made = network.operator("RESHAPE", [mean, shape(network, [1, -1])], network.tensor([1, 16]))
    last = network.operator(
        "FULLY_CONNECTED",
        [made, *weights(network, [5, 16], 0, rng)],
        network.tensor([1, 5]),
        "FullyConnectedOptions",
        4,
    )
    return network.file(first, last)


BUILDERS = [convolution, depthwise, fully_connected, ties, addition, mean, pool, everything]


@pytest.mark.parametrize("file", SHIPPED, ids=shipped_models())
def test_the_shipped_model_is_the_runtimes_to_the_bit(file):
    codes = extremes(input_shape(file), 100, np.random.default_rng(1))
    difference = np.abs(reference(file, codes).astype(int) - runtime(file, codes))
    # tflite-runtime's FULLY_CONNECTED still multiplies in fixed point, and rounds twice there.
    assert difference.max() <= (not LITERT)


@pytest.mark.parametrize("name", shipped_models())
def test_golden_windows_give_the_runtimes_codes(name):
    card = open_encoder(name, "reference").card
    features, _ = card.front_end.apply(card.golden().windows)
    codes = np.ascontiguousarray(card.input.quantize(features))[:, None]
    difference = np.abs(reference(card.model_bytes(), codes).astype(int) - runtime(card.model_bytes(), codes))
    assert difference.max() <= (not LITERT)


@needs_litert
@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_every_operator_is_the_runtimes_to_the_bit(build, seed):
    rng = np.random.default_rng([seed, BUILDERS.index(build)])
    file = build(rng)
    codes = extremes(input_shape(file), 40, rng)
    made = reference(file, codes)
    assert made.dtype == np.int8
    np.testing.assert_array_equal(made, runtime(file, codes))


def test_the_small_network_has_every_operator():
    graph = read_graph(everything(np.random.default_rng(0)))
    assert {operator.name for operator in graph.operators} == set(KERNELS)


@needs_litert
def test_long_sums_leave_float32_and_stay_exact():
    """Weights whose sums of products pass 2**24: float32 would lose the last bits, which a large output scale hides."""
    network, rng, depth = Network(), np.random.default_rng(3), 4000
    first = network.tensor([1, depth], 1.0, -128)
    data = np.full((3, depth), 127, np.int8)
    last = network.tensor([1, 3], 1.0)
    # A bias that takes the sum back to where single steps show.
    bias = -(127 * 255 * depth) + np.array([0, 3, 60], np.int32)
    constants = [network.tensor(data.shape, 1.0, data=data), network.tensor([3], 1.0, data=bias.astype(np.int32))]
    network.operator("FULLY_CONNECTED", [first, *constants], last, "FullyConnectedOptions", 4)
    file, codes = network.file(first, last), np.full((20, depth), 127, np.int8)
    codes[np.arange(1, 20), rng.integers(0, depth, 19)] -= 1
    made = reference(file, codes)
    np.testing.assert_array_equal(made, runtime(file, codes))
    assert made[0].tolist() == [0, 3, 60]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"name": "LOGISTIC"}, "operator 0: expected one of ADD, .*, MEAN, got LOGISTIC"),
        ({"name": "BATCH_MATMUL"}, "operator 0: expected one of .*, got BATCH_MATMUL"),
        ({"version": 9}, r"operator 0 \(CONV_2D\): expected version 3 or older, got 9"),
        ({"DilationWFactor": 2}, r"operator 0 \(CONV_2D\): expected a dilation of 1"),
        ({"FusedActivationFunction": 4}, "expected the activation NONE, RELU or RELU6, got number 4"),
        ({"Padding": 2}, "expected SAME or VALID"),
        ({"StrideW": 0}, "expected SAME or VALID, and from 1 up"),
        ({"StrideW": 2}, r"expected its output to be \[1, 1, 4, 2\], got \[1, 1, 8, 2\]"),
        ({"inputs": [0, 1, 2, 3]}, "expected inputs that are made before it"),
        ({"inputs": [0, 0, 2]}, "expected input 1 to be a constant int8 of 4 dimensions"),
        ({"inputs": [1, 1, 2]}, "expected an int8 activation with one scale"),
        ({"inputs": [0, 1, 1]}, "expected input 2 to be a constant int32 of 1 dimension"),
    ],
)
def test_what_the_kernels_do_not_have_is_refused_by_name(change, what):
    change, network, rng = dict(change), Network(), np.random.default_rng(0)
    first = network.tensor([1, 1, 8, 3])
    constants = weights(network, [2, 1, 3, 3], 0, rng)
    last = network.tensor([1, 1, 8, 2])
    name, version = change.pop("name", "CONV_2D"), change.pop("version", 3)
    inputs = change.pop("inputs", None)
    fields = {"StrideW": 1, "StrideH": 1, "DilationHFactor": 1, "DilationWFactor": 1} | change
    network.operator(name, inputs or [first, *constants], last, "Conv2DOptions", version, **fields)
    with pytest.raises(ModelError, match=what):
        prepare(read_graph(network.file(first, last)))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"kind": "FLOAT32"}, r"tensor 0: expected int8 or int32 \(type 9 or 2\), got type 0"),
        ({"signature": [1, 1, -1, 4]}, r"tensor 0: expected a dense, fixed shape .*, got \[1, 1, -1, 4\]"),
        ({"shape": [1, 1, 1 << 16, 4]}, "tensor 0: expected at most 65536 elements in an activation"),
        ({"shape": [2, 1, 16, 4]}, "expected a batch of 1"),
        ({"buffer": 99}, "tensor 0: expected one of .* buffers, got 99"),
        ({"scale": None}, "expected an int8 activation with one scale and zero point"),
    ],
)
def test_tensors_that_cannot_be_are_refused(fields, what):
    network = Network()
    first = network.tensor([1, 1, 16, 4])
    last = network.operator("RESHAPE", [first], network.tensor([1, 64]))
    network.tensors[first] |= fields
    with pytest.raises(ModelError, match=what):
        prepare(read_graph(network.file(first, last)))


def test_what_is_no_model_is_refused():
    for file in (b"", b"TFL3", b"\0" * 100, b"\xff" * 4 + b"TFL3" + b"\xff" * 20):
        with pytest.raises(ModelError, match="expected"):
            read_graph(file)


def survives(file):
    """Read, prepare and run a damaged model: a result or ModelError, within the memory that damage may cost."""
    tracemalloc.start()
    try:
        network = prepare(read_graph(file))
        assert network(np.zeros((1, *input_shape(file)), np.int8)).dtype == np.int8
    except ModelError as error:
        assert "expected" in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 50e6


@settings(max_examples=150, deadline=30_000)
@given(st.data())
def test_damage_to_the_shipped_model_is_refused_or_survived(data):
    file = bytearray(data.draw(st.sampled_from(SHIPPED)))
    # The tables stand before and behind the weights.
    places = st.integers(0, 3000) | st.integers(len(file) - 12000, len(file) - 1) | st.integers(0, len(file) - 1)
    for place in data.draw(st.lists(places, max_size=4)):
        file[place] = data.draw(st.integers(0, 255))
    survives(bytes(file[: data.draw(st.just(len(file)) | st.integers(0, len(file)))]))


@settings(max_examples=250, deadline=30_000)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4), st.floats(0, 1))
@example([], 1)
def test_damage_to_any_operator_is_refused_or_survived(damage, length):
    file = bytearray(everything(np.random.default_rng(0)))
    for place, value in damage:
        file[math.floor(place * len(file))] = value
    survives(bytes(file[: len(file) if length > 0.5 else math.floor(length * len(file))]))
