"""What edgetpu_compiler puts into its operator, whole and damaged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import FAKE, compiled_from, program, sensor_network

from motionsig.encoders.compiling.program import read_program
from motionsig.encoders.tflite import read_graph


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_what_the_edgetpu_operator_holds_is_read(size):
    """A FlexBuffer writes its offsets and sizes in as many bytes as its content needs."""
    graph = read_graph(compiled_from(sensor_network(), program(13, "16.0 (made up)", size, 24)))
    (operator,) = graph.edgetpu_operators
    made = read_program(operator)
    assert (made.min_runtime, made.compiler) == (13, "16.0 (made up)")
    assert (made.cached_bytes, made.streamed_bytes) == (size, 24)


@pytest.mark.parametrize("options", [b"", b"\0", b"no FlexBuffer", FAKE.encode(), bytes(1000), b"\xff" * 1000])
def test_an_edgetpu_operator_that_holds_something_else_is_not_guessed_at(options):
    (operator,) = read_graph(compiled_from(sensor_network(), options)).edgetpu_operators
    assert read_program(operator) is None


@settings(max_examples=300, deadline=30_000)
@given(st.data())
def test_damage_in_the_edgetpu_operator_ends_quickly(data):
    options = bytearray(program())
    for place in data.draw(st.lists(st.integers(0, len(options) - 1), max_size=4)):
        options[place] = data.draw(st.integers(0, 255))
    file = compiled_from(sensor_network(), bytes(options[: data.draw(st.just(len(options)) | st.integers(0, 300))]))
    made = read_program(read_graph(file).edgetpu_operators[0])
    assert made is None or made.cached_bytes <= len(options)
