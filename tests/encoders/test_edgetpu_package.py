"""What edgetpu_compiler puts into its operator, whole and damaged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import FAKE, compiled_from, program, sensor_network

from motionsig.encoders.compiling.package import read_package
from motionsig.encoders.tflite import read_graph


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
