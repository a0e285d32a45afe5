import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tflite
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_models import Made, compiled_from, sensor_network

from motionsig.encoders import shipped_models
from motionsig.encoders.compiling.lint import lint
from motionsig.encoders.tflite import _KINDS, MAX_FILE_BYTES, NAMES, read_graph, read_model_file
from motionsig.errors import ModelError
from motionsig.model_card import MODEL_NAME

SHIPPED = [(folder / MODEL_NAME).read_bytes() for folder in shipped_models().values()]
COMPILED = compiled_from(sensor_network())


KINDS = {number: name.lower() for name, number in vars(tflite.TensorType).items() if isinstance(number, int)}


def numbers(array):
    """What an accessor of the package `tflite` returns as an array, or 0 for none."""
    return [] if isinstance(array, int) else array.tolist()


@pytest.mark.parametrize("file", [*SHIPPED, COMPILED, sensor_network().file()])
def test_it_reads_what_the_schemas_own_accessors_read(file):
    model, graph = tflite.Model.GetRootAs(file), read_graph(file).subgraphs[0]
    other = model.Subgraphs(0)
    assert graph.inputs == tuple(other.InputsAsNumpy()) and graph.outputs == tuple(other.OutputsAsNumpy())
    assert (len(graph.operators), len(graph.tensors)) == (other.OperatorsLength(), other.TensorsLength())
    for index, operator in enumerate(graph.operators):
        code = model.OperatorCodes(other.Operators(index).OpcodeIndex())
        assert operator.version == code.Version()
        assert operator.name == (
            code.CustomCode().decode() if operator.custom else tflite.BUILTIN_OPCODE2NAME[code.BuiltinCode()]
        )
        assert list(operator.inputs) == numbers(other.Operators(index).InputsAsNumpy())
        assert list(operator.outputs) == numbers(other.Operators(index).OutputsAsNumpy())
    for index, tensor in enumerate(graph.tensors):
        its = other.Tensors(index)
        assert (tensor.name.encode(), tensor.kind, tensor.axis) == (
            its.Name()[:200], KINDS[its.Type()], its.Quantization().QuantizedDimension() if its.Quantization() else 0,
        )  # fmt: skip
        assert list(tensor.shape) == numbers(its.ShapeAsNumpy())
        assert tensor.scale.tolist() == (numbers(its.Quantization().ScaleAsNumpy()) if its.Quantization() else [])
        assert tensor.zero_point.tolist() == (
            numbers(its.Quantization().ZeroPointAsNumpy()) if its.Quantization() else []
        )
        assert tensor.data.tolist() == numbers(model.Buffers(its.Buffer()).DataAsNumpy())


def test_every_number_of_an_operator_or_type_has_the_schemas_name():
    assert dict(enumerate(NAMES)).items() <= tflite.BUILTIN_OPCODE2NAME.items()
    assert dict(enumerate(_KINDS)).items() <= KINDS.items()


def test_it_reads_what_the_reference_network_does_not_take():
    made = Made()
    first, state = made.tensor([1, 4], "FLOAT32", None, signature=[1, -1]), made.tensor([1, 4], "INT16")
    last = made.tensor([1, 4], "FLOAT32", None)
    made.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", [first, -1, state], [last], 3)
    made.operator("myself", [first], [last], 2, custom_options=b"abc")
    made.operator(
        "STRIDED_SLICE", [first], [last], options="StridedSliceOptions", EllipsisMask=1, NewAxisMask=2, BeginMask=4
    )
    made.ends([first], [last])
    made.subgraph()
    made.metadata["min_runtime_version"] = b"2.5.0".ljust(16, b"\0")
    graph = read_graph(made.file())
    lstm, custom, slicing = graph.operators
    assert (lstm.name, lstm.version, lstm.custom) == ("UNIDIRECTIONAL_SEQUENCE_LSTM", 3, False)
    assert (custom.name, custom.custom, custom.custom_options.tobytes()) == ("myself", True, b"abc")
    assert slicing.options == {"EllipsisMask": 1, "NewAxisMask": 2}
    main, other = graph.subgraphs
    assert main.given(lstm) == [main.tensors[0], main.tensors[1]] and not other.operators
    assert [tensor.kind for tensor in main.tensors] == ["float32", "int16", "float32"]
    assert [tensor.dynamic for tensor in main.tensors] == [True, False, False]
    assert not main.tensors[0].constant
    assert graph.min_runtime_version == "2.5.0" and not graph.edgetpu_operators


@pytest.mark.parametrize("file", [b"", b"TFL3", bytes(100), b"PK\3\4 a zip", b"\xff" * 4 + b"TFL3" + b"\xff" * 20])
def test_what_is_no_model_is_refused(file):
    with pytest.raises(ModelError, match="expected"):
        read_graph(file)


def survives(file):
    """Read and lint a damaged model: a result or ModelError, within the time and memory that damage may cost."""
    start = time.process_time()
    tracemalloc.start()
    try:
        assert isinstance(lint(read_graph(file)), list)
    except ModelError as error:
        assert "expected" in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 30e6 and time.process_time() - start < 4


@settings(max_examples=300, deadline=30_000)
@given(st.data())
def test_damage_is_refused_or_survived(data):
    file = bytearray(data.draw(st.sampled_from([*SHIPPED, sensor_network().file(), COMPILED])))
    # The tables stand before and behind the weights.
    places = st.integers(0, len(file) - 1) | st.integers(max(0, len(file) - 12000), len(file) - 1)
    for place in data.draw(st.lists(places, max_size=4)):
        file[place] = data.draw(st.integers(0, 255))
    survives(bytes(file[: data.draw(st.just(len(file)) | st.integers(0, len(file)))]))


@settings(max_examples=100, deadline=30_000)
@given(st.binary(max_size=400))
@example(b"")
def test_junk_is_refused_or_survived(junk):
    survives(b"\x10\0\0\0TFL3" + junk)


def test_a_file_cannot_ask_for_more_than_it_holds():
    """Lists that are referred to from everywhere: without a limit these 200 kB would be 6 million tensors."""
    made = Made()
    for _ in range(2000):
        made.tensor([1, 4])
    made.operator("TANH", [0], [1])
    made.ends([0], [1])
    assert len(read_graph(made.file()).subgraphs[0].tensors) == 2000
    with pytest.raises(ModelError, match="longer ones"):
        read_graph(made.file(times=3000))
    survives(made.file(times=3000))


def test_a_shape_of_a_thousand_dimensions_is_damage():
    made = Made()
    made.tensor([2**31 - 1] * 1000)
    with pytest.raises(ModelError, match="at most 64 dimensions, got 1000"):
        read_graph(made.file())


def test_a_file_is_one_and_of_a_size(tmp_path):
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    with open(file, "wb") as empty:
        empty.truncate(MAX_FILE_BYTES + 1)
    os.mkfifo(pipe)
    for path in (file, pipe, Path("/dev/zero")):
        with pytest.raises(ModelError, match="expected a file of at most 256 MiB, got"):
            read_model_file(path)
    file.write_bytes(b"content")
    assert read_model_file(file) == b"content"


def test_many_inputs_and_operators_end_quickly():
    made = Made()
    first, weights, last = made.tensor([1, 1, 4]), made.constant([4, 4]), made.tensor([1, 4])
    for _ in range(200):
        made.operator("RELU", [first], [first])
        made.operator("FULLY_CONNECTED", [first, weights], [last])
    made.ends([first] * 100_000, [last])
    survives(made.file())


def test_no_list_is_taken_for_as_long_as_it_says():
    file, rng = bytearray(sensor_network().file()), np.random.default_rng(0)
    for place in rng.integers(0, len(file) // 4, 150) * 4:
        damaged = file.copy()
        damaged[place : place + 4] = b"\xff\xff\xff\x7f"
        survives(bytes(damaged))
