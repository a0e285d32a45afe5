import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_models import FAKE, Made, compiled_from, program, sensor_network

from motionsig.encoders import shipped_models
from motionsig.encoders.compiling.graph import MAX_FILE_BYTES, read_file, read_graph
from motionsig.encoders.compiling.lint import lint
from motionsig.encoders.compiling.package import read_package
from motionsig.encoders.tflite import read_model
from motionsig.errors import ModelError
from motionsig.model_card import MODEL_NAME

SHIPPED = [(folder / MODEL_NAME).read_bytes() for folder in shipped_models().values()]
COMPILED = compiled_from(sensor_network())


@pytest.mark.parametrize("file", SHIPPED, ids=shipped_models())
def test_it_reads_what_the_reader_at_run_time_reads(file):
    model, graph = read_model(file), read_graph(file).subgraphs[0]
    assert [operator.version for operator in graph.operators] == [operator.version for operator in model.operators]
    assert [operator.inputs for operator in graph.operators] == [operator.inputs for operator in model.operators]
    assert graph.inputs == (model.input,) and graph.outputs == (model.output,)
    for tensor, other in zip(graph.tensors, model.tensors, strict=True):
        assert (tensor.kind, tensor.shape) == (other.kind, other.shape)
        np.testing.assert_array_equal(tensor.scale, other.scale)
        np.testing.assert_array_equal(tensor.zero_point, other.zero_point)
        assert tensor.data.tobytes() == (b"" if other.data is None else other.data.tobytes())


def test_it_reads_what_the_reader_at_run_time_does_not():
    made = Made()
    first, state = made.tensor([1, 4], "FLOAT32", None, signature=[-1, 4]), made.tensor([1, 4], "INT16")
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
    assert (custom.name, custom.custom, custom.custom_options) == ("myself", True, b"abc")
    assert slicing.options == {"EllipsisMask": 1, "NewAxisMask": 2}
    main, other = graph.subgraphs
    assert main.given(lstm) == [main.tensors[0], main.tensors[1]] and not other.operators
    assert [tensor.kind for tensor in main.tensors] == ["float32", "int16", "float32"]
    assert [tensor.dynamic for tensor in main.tensors] == [True, False, False]
    assert not main.tensors[0].constant
    assert graph.min_runtime_version == "2.5.0" and not graph.edgetpu_operators


def test_what_the_edgetpu_operator_holds_is_read():
    graph = read_graph(compiled_from(sensor_network(), program(13, "16.0 (made up)", 1000, 24)))
    (operator,) = graph.edgetpu_operators
    package = read_package(operator)
    assert (package.min_runtime, package.compiler) == (13, "16.0 (made up)")
    assert (package.cached_bytes, package.streamed_bytes) == (1000, 24)


@pytest.mark.parametrize("options", [b"", b"\0", b"no FlexBuffer", FAKE.encode(), bytes(1000), b"\xff" * 1000])
def test_an_edgetpu_operator_that_holds_something_else_is_not_guessed_at(options):
    (operator,) = read_graph(compiled_from(sensor_network(), options)).edgetpu_operators
    assert read_package(operator) is None


@settings(max_examples=300, deadline=2000)
@given(st.data())
def test_damage_in_the_edgetpu_operator_ends_quickly(data):
    options = bytearray(program())
    for place in data.draw(st.lists(st.integers(0, len(options) - 1), max_size=4)):
        options[place] = data.draw(st.integers(0, 255))
    file = compiled_from(sensor_network(), bytes(options[: data.draw(st.just(len(options)) | st.integers(0, 300))]))
    package = read_package(read_graph(file).edgetpu_operators[0])
    assert package is None or package.cached_bytes <= len(options)


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


@settings(max_examples=300, deadline=5000)
@given(st.data())
def test_damage_is_refused_or_survived(data):
    file = bytearray(data.draw(st.sampled_from([*SHIPPED, sensor_network().file(), COMPILED])))
    # The tables stand before and behind the weights.
    places = st.integers(0, len(file) - 1) | st.integers(max(0, len(file) - 12000), len(file) - 1)
    for place in data.draw(st.lists(places, max_size=4)):
        file[place] = data.draw(st.integers(0, 255))
    survives(bytes(file[: data.draw(st.just(len(file)) | st.integers(0, len(file)))]))


@settings(max_examples=100, deadline=5000)
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
            read_file(path)
    file.write_bytes(b"content")
    assert read_file(file) == b"content"


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
