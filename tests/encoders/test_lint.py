"""Each model that the Edge TPU does not take fails for the reason that makes it so, by the name of the operator."""

import re

import numpy as np
import pytest
from made_models import Made, compiled_from, sensor_network

from motionsig.encoders import shipped_models
from motionsig.encoders.compiling.lint import ACTIVATION_BYTES, CHIP_BYTES, ON_CHIP_BYTES, lint, parameter_bytes
from motionsig.encoders.compiling.operators import STREAMED_BYTES
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


def split(axis, shape, made_shape):
    made = Made()
    first, number = made.tensor(shape), made.integers([axis])
    last = made.tensor(made_shape)
    made.operator("SPLIT", [number, first], [last])
    made.ends([first], [last])
    return made


def flatten_dense(positions, channels, units, through=("RESHAPE",)):
    made = Made()
    first = here = made.tensor([1, 1, positions, channels])
    for name in through:
        there = made.tensor([1, positions * channels])
        made.operator(name, [here, made.integers([1, positions * channels])], [there])
        here = there
    last = made.tensor([1, units])
    weights = made.constant([units, positions * channels]), made.constant([units], "INT32")
    made.operator("FULLY_CONNECTED", [here, *weights], [last], 4, "FullyConnectedOptions")
    made.ends([first], [last])
    return made


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
        (one_operator("UNIDIRECTIONAL_SEQUENCE_LSTM", version=3), "operator 0 UNIDIRECTIONAL_SEQUENCE_LSTM: a rec"),
        (one_operator("LSTM"), "operator 0 LSTM: a recurrent layer"),
        (one_operator("RNN"), "operator 0 RNN: a recurrent layer"),
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
        (
            one_operator(
                "CONV_2D",
                extra=[lambda made: made.constant([4, 1, 1, 4])],
                options="Conv2DOptions", DilationHFactor=1, DilationWFactor=2,
            ),
            "operator 0 CONV_2D: dilations 1 and 2",
        ),
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
        (split(0, [1, 8, 4], [1, 8, 4]), "operator 0 SPLIT: it splits the batch"),
        (one_operator("SQUEEZE", (1, 5, 1, 10), (1, 5, 10)), "operator 0 SQUEEZE: it takes a dimension out of the mid"),
        (one_operator("SOFTMAX", (1, 2, 8)), r"operator 0 SOFTMAX: shape \[1, 2, 8\]"),
        (one_operator("SOFTMAX", (1, 16_001)), r"operator 0 SOFTMAX: shape \[1, 16001\]"),
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
        one_operator("SOFTMAX", (1, 16_000)),
        one_operator("STRIDED_SLICE", extra=integers([0] * 4, [8] * 4, [1] * 4)),
        one_operator("PRELU", extra=[lambda made: made.constant([1, 1, 4])]),
        one_operator("ADD", extra=[lambda made: made.tensor([1, 1, 8, 4])]),
        one_operator("REDUCE_MAX", (1, 8, 6), (1, 8), integers([2])),
        one_operator("SUM", (1, 8, 6), (1, 8), integers([2])),
        one_operator("MEAN", (128, 12), (1, 12), integers([0])),
        one_operator("PAD", (1, 8, 4), (1, 9, 4), integers([0, 0, 0, 1, 0, 0])),
        packed(1, [1, 4], [1, 2, 4]),
        packed(0, [4], [2, 4]),
        split(1, [1, 8, 4], [1, 4, 4]),
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
        "operator 5 RESHAPE: shape [16, 1, 8, 4]",
    ]


def test_weights_behind_a_long_flatten_would_stream():
    positions, channels = 64, 32
    units = STREAMED_BYTES // (positions * channels)
    what = f"operator 1 FULLY_CONNECTED: a Flatten of 64 positions before it, so that its {STREAMED_BYTES:,} B"
    for through in (["RESHAPE"], ["RESHAPE", "SQUEEZE"]):
        (found,) = wrong(flatten_dense(positions, channels, units, through), "slow")
        assert found.split(" ", 2)[2].startswith(what.split(" ", 2)[2])
    # Without a RESHAPE: FULLY_CONNECTED flattens by itself.
    (found,) = wrong(flatten_dense(positions, channels, units, []), "slow")
    assert found.startswith("operator 0 FULLY_CONNECTED: a Flatten")
    (note,) = findings(flatten_dense(positions, channels, units - 1))
    assert note.mark == "note" and "may travel again" in note.found
    # One position is no Flatten, however many channels.
    assert findings(flatten_dense(1, 4096, 100)) == []


DENSE = ("FULLY_CONNECTED", [1, 100], [lambda made: made.constant([100, 2048])])
FLAT = ("RESHAPE", [1, 2048], integers([1, 2048]))


@pytest.mark.parametrize(
    "between",
    [
        [FLAT, ("RELU", [1, 2048])],
        [FLAT, ("QUANTIZE", [1, 2048]), ("TANH", [1, 2048])],
        [FLAT, ("MUL", [1, 2048], [lambda made: made.constant([1, 2048])])],
        [("TRANSPOSE", [1, 32, 64], integers([0, 2, 1])), FLAT],
        [("SPACE_TO_DEPTH", [1, 1, 2048])],
        [FLAT, ("SLICE", [1, 2000], integers([0, 0], [1, 2000]))],
    ],
    ids=lambda steps: " ".join(step[0] for step in steps),
)
def test_a_flatten_is_found_behind_what_keeps_positions_apart(between):
    (found,) = wrong(chain([1, 64, 32], *between, DENSE), "slow")
    assert f"operator {len(between)} FULLY_CONNECTED: a Flatten of 64 positions" in found


@pytest.mark.parametrize(
    "steps",
    [
        # A vector, however it is written.
        [[1, 2048, 1], FLAT, DENSE],
        [[1, 2048, 1], ("RESHAPE", [1, 64, 32], integers([1, 64, 32])), FLAT, DENSE],
        # One position of many.
        [[1, 64, 2048], ("SLICE", [1, 1, 2048], integers([0, 63, 0], [1, 1, 2048])), FLAT, DENSE],
        # What was computed as one vector.
        [[1, 2048], ("FULLY_CONNECTED", [1, 2048], [lambda made: made.constant([2048, 2048])]), FLAT, DENSE],
    ],
)
def test_a_vector_is_no_flatten(steps):
    assert findings(chain(*steps)) == []


def test_large_activations_get_a_note_and_beyond_the_chip_they_are_wrong():
    def wide(size):
        return one_operator("LOGISTIC", (1, 1, size // 2, 1))

    assert findings(wide(ACTIVATION_BYTES)) == []
    (note,) = findings(wide(ACTIVATION_BYTES + 2))
    assert note.mark == "note" and f"operator 0 LOGISTIC: {ACTIVATION_BYTES + 2:,} B of activations" in str(note)
    assert "do not hold" in wrong(wide(CHIP_BYTES + 2))[0] and not wrong(wide(CHIP_BYTES))


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


def test_a_dynamic_batch_is_seen_in_the_signature():
    made = Made()
    first = made.tensor([1, 4], signature=[-1, 4])
    made.operator("TANH", [first], [made.tensor([1, 4])])
    made.ends([0], [1])
    assert wrong(made) == ["operator 0 TANH: a shape that may change"]


def test_a_graph_in_a_circle_ends():
    made = Made()
    first, second = made.tensor([1, 8, 4]), made.tensor([1, 32])
    made.operator("RESHAPE", [first], [second])
    made.operator("RESHAPE", [second], [first])
    made.operator("FULLY_CONNECTED", [second, made.constant([2, 32])], [made.tensor([1, 2])])
    made.ends([first], [second])
    assert all(finding.mark == "note" for finding in findings(made))


def test_a_finding_is_one_line_that_says_what_to_do():
    (finding,) = findings(one_operator("CONV_2D", version=6))
    assert str(finding).startswith("wrong  operator 0 CONV_2D: version 6") and "older TensorFlow" in str(finding)
    assert "\n" not in str(finding)
