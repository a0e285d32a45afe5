"""Each model that the Edge TPU does not take fails for the reason that makes it so, by the name of the operator."""

import re

import numpy as np
import pytest
from made_models import Made, compiled_from, sensor_network

from motionsig.encoders import shipped_models
from motionsig.encoders.compiling.lint import (
    ACTIVATION_BYTES,
    CHIP_BYTES,
    ON_CHIP_BYTES,
    ON_CHIP_FACTOR,
    lint,
    on_chip_bytes,
    parameter_bytes,
)
from motionsig.encoders.compiling.operators import (
    LONG_VECTOR,
    LSTM_FEATURES,
    OPERATORS,
    SHORT_VECTOR,
    SOFTMAX_SIZE,
    STREAMED_BYTES,
    UNITS_AT_ONCE,
)
from motionsig.encoders.tflite import read_graph
from motionsig.model_card import MODEL_NAME


def findings(made):
    return lint(read_graph(made if isinstance(made, bytes) else made.file()))


def wrong(made, mark="wrong"):
    """The findings of one mark, as lines without their advice."""
    return [f"{finding.place}: {finding.found}" for finding in findings(made) if finding.mark == mark]


def one_operator(name, shape=(1, 1, 8, 4), made_shape=None, extra=(), kind="INT8", scale=0.02, made=None, **fields):
    """A model of one operator; extra: makes its further inputs, given the model."""
    made = made or Made()
    first = made.tensor(shape, kind, scale)
    last = made.tensor(made_shape or shape, kind, scale)
    made.operator(name, [first, *(add(made) for add in extra)], [last], **fields)
    made.ends([first], [last])
    return made


def integers(*lists):
    """Inputs of constant integers, for `one_operator`."""
    return [lambda made, values=values: made.integers(values) for values in lists]


def chain(shape, *steps):
    """A model of one operator after the other; steps: name, shape it makes, and what makes its further inputs."""
    made = Made()
    first = here = made.tensor(shape)
    for name, shape, *more in steps:
        there = made.tensor(shape)
        made.operator(name, [here, *(add(made) for extra in more for add in extra)], [there])
        here = there
    made.ends([first], [here])
    return made


def packed(axis, shape, made_shape):
    made = Made()
    ends = [made.tensor(shape), made.tensor(shape), made.tensor(made_shape)]
    made.operator("PACK", ends[:2], ends[2:], options="PackOptions", Axis=axis, ValuesCount=2)
    made.ends(ends[:2], ends[2:])
    return made


def split(axis, shape, made_shape, parts=1):
    made = Made()
    first, number = made.tensor(shape), made.integers([axis])
    last = [made.tensor(made_shape) for _ in range(parts)]
    made.operator("SPLIT", [number, first], last)
    made.ends([first], last)
    return made


def dilated(height, width):
    """A CONV_2D with dilations of 1 and 2 along a kernel's two axes."""
    return one_operator(
        "CONV_2D", extra=[lambda made: made.constant([4, height, width, 4])],
        options="Conv2DOptions", DilationHFactor=1, DilationWFactor=2,
    )  # fmt: skip


def dense(length, units, constant=True):
    """A FULLY_CONNECTED behind a Flatten."""
    made = Made()
    first, flat, last = (made.tensor(shape) for shape in ([1, 1, length // 8, 8], [1, length], [1, units]))
    made.operator("RESHAPE", [first, made.integers([1, length])], [flat])
    weights = made.constant([units, length]) if constant else made.tensor([units, length])
    made.operator("FULLY_CONNECTED", [flat, weights], [last])
    made.ends([first], [last])
    return made


def lstm(features, state="INT16"):
    made = Made()
    first, last = made.tensor([1, 8, features]), made.tensor([1, 8, 20])
    weights = [made.constant([20, features]) for _ in range(4)] + [made.constant([20, 20]) for _ in range(4)]
    biases = [made.constant([20], "INT32") for _ in range(4)]
    states = [made.tensor([1, 20]), made.tensor([1, 20], state)]
    made.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [first, *weights, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1], [last]
    )
    made.ends([first], [last])
    return made


def resized(name, before, after):
    return one_operator(name, (1, *before, 4), (1, *after, 4), integers(after))


@pytest.mark.parametrize("folder", shipped_models().values(), ids=shipped_models())
def test_the_shipped_models_pass(folder):
    assert findings((folder / MODEL_NAME).read_bytes()) == []


def test_a_sensor_network_passes_and_its_parameters_are_counted():
    made = sensor_network()
    assert findings(made) == []
    # Weights, biases of 4 bytes, and two axes.
    assert parameter_bytes(read_graph(made.file())) == 8 * 3 * 4 + 8 * 5 + 4 * (8 + 5) + 4 * 2


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (lstm(LSTM_FEATURES + 1), "operator 0 UNIDIRECTIONAL_SEQUENCE_LSTM: 901 features"),
        (one_operator("LSTM"), "operator 0 LSTM: not among"),
        (one_operator("BIDIRECTIONAL_SEQUENCE_LSTM"), "operator 0 BIDIRECTIONAL_SEQUENCE_LSTM: not among"),
        (one_operator("RNN"), "operator 0 RNN: not among"),
        (one_operator("GELU"), "operator 0 GELU: not among the compiler's operators"),
        (one_operator("BATCH_MATMUL", version=4), "operator 0 BATCH_MATMUL: not among"),
        (one_operator("FlexErf"), "operator 0 FlexErf: a custom operator"),
        (one_operator("CONV_2D", version=6), "operator 0 CONV_2D: version 6, and the compiler knows 5 at most"),
        (one_operator("TRANSPOSE_CONV", version=4), "operator 0 TRANSPOSE_CONV: version 4, .* 3 at most"),
        (one_operator("QUANTIZE", version=3), "operator 0 QUANTIZE: version 3, .* 2 at most"),
        (one_operator("LOGISTIC", kind="FLOAT32", scale=None), "operator 0 LOGISTIC: float32 tensors"),
        (one_operator("LOGISTIC", kind="INT16"), "operator 0 LOGISTIC: int16 tensors"),
        (one_operator("LOGISTIC", scale=None), "operator 0 LOGISTIC: a tensor without scale and zero point"),
        (
            one_operator("FULLY_CONNECTED", (1, 4), (1, 4), [lambda made: made.constant([4, 4], "FLOAT32")]),
            "operator 0 FULLY_CONNECTED: float32 tensors",
        ),
        (one_operator("LOGISTIC", (1, -1, 4)), "operator 0 LOGISTIC: a shape that may change"),
        (one_operator("LOGISTIC", (1, 2, 3, 4, 5)), r"operator 0 LOGISTIC: shape \[1, 2, 3, 4, 5\]"),
        (
            one_operator("SPACE_TO_DEPTH", (1, 1, 8, 4), (2, 1, 4, 4)),
            r"operator 0 SPACE_TO_DEPTH: shape \[2, 1, 4, 4\]",
        ),
        (
            one_operator("FULLY_CONNECTED", (1, 4), (1, 4), [lambda made: made.tensor([4, 4])]),
            "operator 0 FULLY_CONNECTED: input 1 is not a constant",
        ),
        (dilated(3, 3), "operator 0 CONV_2D: dilations 1 and 2"),
        (
            one_operator("MAX_POOL_2D", options="Pool2DOptions", FusedActivationFunction=1),
            "operator 0 MAX_POOL_2D: a fused activation",
        ),
        (
            one_operator("CONCATENATION", extra=[lambda made: made.constant([1, 1, 8, 4])]),
            "operator 0 CONCATENATION: a constant input",
        ),
        (
            one_operator(
                "FULLY_CONNECTED", (1, 4), (1, 4), [lambda made: made.constant([4, 4])],
                options="FullyConnectedOptions", WeightsFormat=1,
            ),
            "operator 0 FULLY_CONNECTED: shuffled weights",
        ),
        (
            one_operator("FULLY_CONNECTED", (1, 3, 4), (1, 3, 4), [lambda made: made.constant([4, 4])]),
            "operator 0 FULLY_CONNECTED: an output of several positions",
        ),
        (
            one_operator("MEAN", (1, 8, 4), (8, 4), integers([-3])),
            "operator 0 MEAN: it reduces the batch",
        ),
        (
            one_operator("MEAN", (1, 8, 6), (1, 8), integers([2])),
            "operator 0 MEAN: it reduces 6 channels",
        ),
        (
            one_operator("MEAN", (1, 8, 4), (8, 4), [lambda made: made.tensor([1], "INT64", None, data=np.int64([0]))]),
            "operator 0 MEAN: it reduces the batch",
        ),
        (one_operator("SUM", (1, 8, 4), (8, 4), integers([0])), "operator 0 SUM: it reduces the batch"),
        (one_operator("PAD", (1, 8, 4), (2, 8, 4), integers([0, 1, 0, 0, 0, 0])), "operator 0 PAD: it pads the batch"),
        (packed(0, [8, 4], [2, 8, 4]), "operator 0 PACK: it makes a batch"),
        (packed(-3, [8, 4], [2, 8, 4]), "operator 0 PACK: it makes a batch"),
        (split(0, [1, 8, 4], [1, 8, 4], parts=2), "operator 0 SPLIT: it splits the batch"),
        (
            one_operator("MEAN", (1, 256, 128, 4), (1, 4), integers([1, 2])),
            "operator 0 MEAN: it reduces 32,768 positions",
        ),
        (resized("RESIZE_BILINEAR", (65, 64), (129, 128)), "operator 0 RESIZE_BILINEAR: 65 x 64 positions become 129"),
        (resized("RESIZE_BILINEAR", (1, 8), (9, 9)), "operator 0 RESIZE_BILINEAR: 1 x 8 positions become 9 x 9"),
        (resized("RESIZE_NEAREST_NEIGHBOR", (65, 64), (129, 128)), "operator 0 RESIZE_NEAREST_NEIGHBOR: 65 x 64"),
        (one_operator("TILE", (1, 1, 2, 4), (1, 1, 4, 4), integers([1, 1, 2, 1])), "operator 0 TILE: shape"),
        (one_operator("SQUEEZE", (1, 5, 1, 10), (1, 5, 10)), "operator 0 SQUEEZE: it takes a dimension out of the mid"),
        (one_operator("SOFTMAX", (1, 2, 8)), r"operator 0 SOFTMAX: shape \[1, 2, 8\]"),
        (one_operator("SOFTMAX", (1, SOFTMAX_SIZE + 1)), r"operator 0 SOFTMAX: shape \[1, 16385\]"),
        (
            one_operator("STRIDED_SLICE", extra=integers([0] * 4, [8] * 4, [1, 1, 2, 1])),
            "operator 0 STRIDED_SLICE: strides other than 1",
        ),
        (
            one_operator("STRIDED_SLICE", options="StridedSliceOptions", NewAxisMask=1),
            "operator 0 STRIDED_SLICE: an ellipsis or a new axis",
        ),
        (
            one_operator("PRELU", extra=[lambda made: made.constant([1, 8, 4])]),
            r"operator 0 PRELU: alpha of shape \[1, 8, 4\]",
        ),
    ],
    ids=lambda value: value.split(":")[0].split(" ", 2)[-1] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_not_taken_is_named(made, what):
    (found,) = wrong(made)
    assert re.match(what, found), found


@pytest.mark.parametrize(
    "made",
    [
        one_operator("CONV_2D", extra=[lambda made: made.constant([4, 1, 1, 4])], version=5),
        one_operator("LOGISTIC", kind="UINT8"),
        one_operator("LOGISTIC", (1, 1, 2, 3, 4)),
        one_operator("CONCATENATION", extra=[lambda made: made.constant([1, 1, 8, 4], value=0)]),
        one_operator("MEAN", (1, 8, 8), (1, 8), integers([-1])),
        one_operator("SOFTMAX", (1, SOFTMAX_SIZE)),
        dilated(3, 1),
        one_operator("MEAN", (1, 64, 128, 4), (1, 4), integers([1, 2])),
        one_operator("MEAN", (1, 256, 128, 4), (1, 256, 128), integers([3])),
        resized("RESIZE_BILINEAR", (64, 64), (128, 128)),
        resized("RESIZE_BILINEAR", (1, 8), (8, 8)),
        resized("RESIZE_NEAREST_NEIGHBOR", (1, 8), (9, 9)),
        one_operator("TILE", (1, 1, 1, 4), (1, 1, 4, 4), integers([1, 1, 4, 1])),
        one_operator("STRIDED_SLICE", extra=integers([0] * 4, [8] * 4, [1] * 4)),
        one_operator("PRELU", extra=[lambda made: made.constant([1, 1, 4])]),
        one_operator("ADD", extra=[lambda made: made.tensor([1, 1, 8, 4])]),
        one_operator("REDUCE_MAX", (1, 8, 6), (1, 8), integers([2])),
        one_operator("SUM", (1, 8, 6), (1, 8), integers([2])),
        one_operator("MEAN", (128, 12), (1, 12), integers([0])),
        one_operator("PAD", (1, 8, 4), (1, 9, 4), integers([0, 0, 0, 1, 0, 0])),
        packed(1, [1, 4], [1, 2, 4]),
        packed(0, [4], [2, 4]),
        split(1, [1, 8, 4], [1, 4, 4], parts=2),
        # Of one part, it splits nothing.
        split(0, [1, 8, 4], [1, 8, 4]),
        one_operator("SQUEEZE", (1, 1, 5, 10), (5, 10)),
        # A window of samples and channels is no batch.
        chain([128, 12], ("RESHAPE", [1, 1, 128, 12])),
    ],
)
def test_what_is_just_within_is_taken(made):
    assert findings(made) == []


def test_a_batch_of_eight_is_named_once():
    assert wrong(sensor_network(batch=8)) == ["input: a batch of 8"]


def test_a_batch_hides_nothing_else():
    weights = [lambda made: made.constant([64, 512])]
    made = chain(
        [8, 1, 16, 6],
        ("MEAN", [8, 1, 16], integers([3])),
        ("RESHAPE", [8, 16], integers([8, 16])),
        ("SOFTMAX", [8, 16]),
        ("CONCATENATION", [8, 512], [lambda made: made.constant([8, 496])]),
        ("FULLY_CONNECTED", [8, 64], weights),
        ("RESHAPE", [16, 1, 8, 4], integers([16, 1, 8, 4])),
    )
    assert wrong(made) == [
        "input: a batch of 8",
        "operator 0 MEAN: it reduces 6 channels",
        "operator 3 CONCATENATION: a constant input",
        "operator 4 FULLY_CONNECTED: it needs what operator 3 CONCATENATION makes, which stays on the CPU",
        "operator 5 RESHAPE: shape [16, 1, 8, 4]",
    ]


def test_weights_behind_a_long_vector_would_stream():
    assert findings(dense(SHORT_VECTOR, 1)) == []
    (note,) = findings(dense(SHORT_VECTOR + 8, 1))
    assert note.mark == "note" and "4,104 numbers before it" in note.found and "may travel again" in note.found
    # However few they are; and one unit takes as much as 16.
    (found,) = wrong(dense(LONG_VECTOR, 1), "slow")
    assert found.startswith(
        f"operator 1 FULLY_CONNECTED: a vector of 14,400 numbers before it, so that its {230_400:,}"
    )
    assert f"its {460_800:,} B" in wrong(dense(LONG_VECTOR, UNITS_AT_ONCE + 1), "slow")[0]
    assert wrong(dense(LONG_VECTOR, 1, constant=False), "slow") == []


def test_constants_beside_activations_would_stream():
    def scaled(*shape, name="MUL"):
        return one_operator(name, (1, 1, 8, shape[-1]), extra=[lambda made: made.constant(list(shape))])

    each = STREAMED_BYTES // UNITS_AT_ONCE
    for name in ("ADD", "MUL", "SUB"):
        (found,) = wrong(scaled(each, name=name), "slow")
        assert found.startswith(f"operator 0 {name}: 65,536 B of constants")
    assert wrong(scaled(each - 1), "slow") == []
    # Those of several positions are not repeated.
    assert wrong(scaled(1, 1, 8, each), "slow") == []
    assert wrong(scaled(1, 1, 8, STREAMED_BYTES // 8), "slow")


def test_a_recurrent_layer_is_taken_with_a_note():
    (found,) = findings(lstm(LSTM_FEATURES))
    assert found.mark == "note" and "keeps a state between calls" in found.found
    # Only its states may be of another type.
    made = lstm(28)
    made.tensors[0]["kind"] = "INT16"
    assert wrong(made) == ["operator 0 UNIDIRECTIONAL_SEQUENCE_LSTM: int16 tensors"]


def behind(index, name, cause):
    return f"operator {index} {name}: it needs what operator {cause} makes, which stays on the CPU"


def test_what_needs_an_operator_that_is_left_on_the_cpu_stays_there():
    made = chain([1, 4], ("TANH", [1, 4]), ("GELU", [1, 4]), ("RELU", [1, 4]), ("ELU", [1, 4]), ("TANH", [1, 4]))
    assert wrong(made) == [
        "operator 1 GELU: not among the compiler's operators",
        behind(2, "RELU", "1 GELU"),
        "operator 3 ELU: not among the compiler's operators",
        behind(4, "TANH", "1 GELU"),
    ]


def test_another_branch_does_not_stay_there():
    made = Made()
    first, left, right, end, joined = (made.tensor([1, 4]) for _ in range(5))
    made.operator("TANH", [first], [left])
    made.operator("GELU", [left], [right])
    made.operator("RELU", [left], [end])
    made.operator("ADD", [end, right], [joined])
    made.ends([first], [joined])
    assert wrong(made) == ["operator 1 GELU: not among the compiler's operators", behind(3, "ADD", "1 GELU")]


def test_operators_left_before_the_first_keep_nothing_off():
    made = Made()
    first, between, last = made.tensor([1, 4], "FLOAT32", None), made.tensor([1, 4]), made.tensor([1, 4])
    made.operator("QUANTIZE", [first], [between])
    made.operator("TANH", [between], [last])
    made.ends([first], [last])
    assert wrong(made) == ["operator 0 QUANTIZE: float32 tensors"]


def test_who_says_that_an_operator_is_taken_is_named():
    assert all(
        "coral.ai" in taken.source or "issue" in taken.source or "twin" in taken.source for taken in OPERATORS.values()
    )


def test_large_activations_get_a_note_and_the_compiler_cuts_those_beyond_the_chip():
    def wide(size):
        return one_operator("LOGISTIC", (1, 1, size // 2, 1))

    assert findings(wide(ACTIVATION_BYTES)) == []
    (note,) = findings(wide(ACTIVATION_BYTES + 2))
    assert note.mark == "note" and f"operator 0 LOGISTIC: {ACTIVATION_BYTES + 2:,} B of activations" in str(note)
    (note,) = findings(wide(CHIP_BYTES + 2))
    assert note.mark == "note" and "hold in parts" in note.found
    assert "share the chip" in findings(wide(CHIP_BYTES))[0].found


def test_weights_of_one_unit_take_as_much_of_the_chip_as_those_of_sixteen():
    one, few, most, more = (on_chip_bytes(read_graph(dense(2048, units).file())) for units in (1, 2, 16, 17))
    assert one == few == most
    assert more - most == round(ON_CHIP_FACTOR * 16 * 2048)
    assert findings(dense(SHORT_VECTOR, round(ON_CHIP_BYTES / ON_CHIP_FACTOR / SHORT_VECTOR) - 16)) == []
    (note,) = findings(dense(SHORT_VECTOR, round(ON_CHIP_BYTES / ON_CHIP_FACTOR / SHORT_VECTOR) + 1))
    assert note.mark == "note" and "padding" in note.found


def test_a_constant_that_is_shared_counts_once():
    made = Made()
    first, weights = made.tensor([1, 64]), made.constant([64, 64])
    twin = made.tensor([64, 64])
    made.tensors[twin] = dict(made.tensors[weights])
    second, last = made.tensor([1, 64]), made.tensor([1, 64])
    made.operator("FULLY_CONNECTED", [first, weights], [second])
    made.operator("FULLY_CONNECTED", [second, twin], [last])
    made.ends([first], [last])
    assert parameter_bytes(read_graph(made.file())) == 64 * 64


def test_foreign_names_steer_no_terminal():
    (found,) = wrong(one_operator("ev\nil\x1b[2J" + "x" * 1000))
    assert found.startswith("operator 0 ev?il?[2Jxxx") and found.isprintable() and len(found) < 300


def test_more_than_the_chip_keeps_would_stream():
    def wide(size):
        return one_operator(
            "FULLY_CONNECTED", (1, 1000), (1, size // 1000), [lambda made: made.constant([size // 1000, 1000])]
        )

    assert "the chip keeps" in wrong(wide(ON_CHIP_BYTES + 2000), "slow")[0]
    (note,) = findings(wide(round(0.9 * ON_CHIP_BYTES)))
    assert note.mark == "note" and "padding" in note.found
    assert findings(wide(round(0.7 * ON_CHIP_BYTES))) == []


def test_whole_models_that_cannot_be():
    assert wrong(compiled_from(sensor_network())) == ["model: it is compiled for the Edge TPU already"]
    assert wrong(Made()) == ["model: it has no operator"]
    several = sensor_network()
    several.subgraph()
    several.tensor([1, 4])
    several.operator("GELU", [0], [0])
    several.ends([0], [0])
    assert wrong(several) == [
        "model: 2 subgraphs",
        "subgraph 1, operator 0 GELU: not among the compiler's operators",
    ]
    endless = one_operator("TANH")
    endless.ends([], [])
    assert wrong(endless) == ["model: no input or no output"]


@pytest.mark.parametrize("signature", [[-1, 4, 8], [1, -1, 8], [1, 4, -1]])
def test_a_batch_that_only_the_signature_leaves_open_is_fixed(signature):
    made = Made()
    first = made.tensor([1, 4, 8], signature=signature)
    made.operator("TANH", [first], [made.tensor([1, 4, 8])])
    made.ends([0], [1])
    assert wrong(made) == (["operator 0 TANH: a shape that may change"] if signature[0] == 1 else [])


def test_a_graph_in_a_circle_ends():
    made = Made()
    first, second = made.tensor([1, 8, 4]), made.tensor([1, 32])
    made.operator("RESHAPE", [first], [second])
    made.operator("GELU", [second], [first])
    made.operator("FULLY_CONNECTED", [second, made.constant([2, 32])], [made.tensor([1, 2])])
    made.ends([first], [second])
    assert len(wrong(made)) == 1


def test_a_finding_is_one_line_that_says_what_to_do():
    (finding,) = findings(one_operator("CONV_2D", version=6))
    assert str(finding).startswith("wrong  operator 0 CONV_2D: version 6") and "older TensorFlow" in str(finding)
    assert "\n" not in str(finding)
