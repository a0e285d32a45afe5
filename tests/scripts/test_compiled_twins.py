"""What the check says of a model, beside what stands for the compiler's result."""

import sys

import pytest
from made_models import Made, compiled_from, program, sensor_network

from motionsig.errors import ModelError
from scripts.evaluate import compiled_twins
from scripts.evaluate.compiled_twins import compare, page


def chain(*names, custom=None):
    """Operators one after the other; custom: what the first of them holds, if the compiler made it."""
    made = Made()
    here = made.tensor([1, 4], name="0")
    for number, name in enumerate(names, 1):
        there = made.tensor([1, 4], name=str(number + (len(SOURCE) - len(names) if custom else 0)))
        made.operator(name, [here], [there], custom_options=custom if name.islower() else None)
        here = there
    made.ends([0], [here])
    return made.file()


SOURCE = ("TANH", "GELU", "RELU")


def test_a_model_that_the_compiler_cut_where_the_check_says():
    it = compare(chain(*SOURCE), chain("edgetpu-custom-op", "GELU", "RELU", custom=program(13)))
    assert it.on_cpu == it.said == {1, 2} and not it.apart
    assert it.streaming_agrees and (it.streamed_bytes, it.min_runtime) == (0, 13)


def test_operators_on_which_they_disagree_are_named():
    # RELU needs what GELU makes, and this compiler took both.
    more = compare(chain(*SOURCE), chain("edgetpu-custom-op", custom=program()))
    assert [operator.name for operator in more.apart] == ["GELU", "RELU"]
    less = compare(chain("TANH", "TANH", "TANH"), chain("edgetpu-custom-op", "TANH", custom=program()))
    shown = page([("more", more), ("less", less)])
    assert "more: 1 of 3 operators right (0 on the CPU)" in shown
    assert "operator 1 GELU: taken, and refused" in shown
    assert "operator 2 TANH: left on the CPU, and said to be taken" in shown
    assert "operators  3 of 6 right (50.0%)" in shown and "models     0 of 2" in shown


@pytest.mark.parametrize(("streamed", "agrees"), [(0, True), (65_535, True), (65_536, False)])
def test_streaming_counts_from_where_it_makes_a_call_slow(streamed, agrees):
    made = sensor_network()
    it = compare(made.file(), compiled_from(made, program(streamed_bytes=streamed)))
    assert it.streaming_agrees is agrees and it.streamed_bytes == streamed
    assert ("(right)" in page([("m", it)])) is agrees


def test_a_model_that_is_wrong_as_a_whole_is_wrong_in_every_operator():
    made = sensor_network(batch=8)
    assert compare(made.file(), compiled_from(made)).said == {0, 1, 2}


def test_what_was_not_compiled_from_the_model_is_refused():
    with pytest.raises(ModelError, match="operators of the model, got ELU"):
        compare(chain(*SOURCE), chain("edgetpu-custom-op", "ELU", custom=program()))
    with pytest.raises(ModelError, match="as libedgetpu reads them"):
        compare(chain(*SOURCE), chain("edgetpu-custom-op", custom=b"\0" * 8))


def test_pairs_are_found_by_name_and_what_cannot_be_read_is_left_out(tmp_path, monkeypatch, capsys):
    made = sensor_network()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for name, content in {"m": made.file(), "m_edgetpu": compiled_from(made), "alone_edgetpu": b"", "n": b"",
                          "n_edgetpu": b""}.items():  # fmt: skip
        (inner / f"{name}.tflite").write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["compiled_twins", str(tmp_path)])
    compiled_twins.main()
    first, second, *sums = capsys.readouterr().out.splitlines()
    assert "n.tflite: left out" in first and "m.tflite: 3 of 3 operators right" in second
    assert sums[1].startswith("models     1 of 1")
    monkeypatch.setattr(sys, "argv", ["compiled_twins", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="2"):
        compiled_twins.main()
