"""The command against a stand-in for edgetpu_compiler."""

import hashlib
import json
import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from compiled import COMPILED, COMPILED_NAME, OTHER, compiled_twin, compiling, contents
from compiler_logs import ON_CPU, STREAMED
from made_models import Made, compiled_from, program, sensor_network

from motionsig.cli import main
from motionsig.encoders import open_encoder, shipped_models
from motionsig.model_card import CARD_NAME, MODEL_NAME, load_card


@pytest.fixture
def model(tmp_path):
    """A copy of the shipped model in a folder with a space in its name."""
    return Path(shutil.copytree(shipped_models()["motion64"], tmp_path / "a model"))


@pytest.fixture
def compile_(tmp_path, monkeypatch):
    with compiling(tmp_path, monkeypatch) as run:
        yield run


NETWORK = sensor_network()


def test_a_check_says_what_is_taken_and_how_much_it_needs(capsys):
    assert main(["compile", "--check", "motion64"]) == 0
    *taken, verdict = capsys.readouterr().out.splitlines()
    assert taken[0] == "ok     5 x CONV_2D version 3" and all(line.startswith("ok     ") for line in taken)
    assert (
        "nothing found that the Edge TPU would not take" in verdict
        and "232 KiB of parameters; compiled, as other models show, they take at most " in verdict
        and verdict.endswith(" KiB of the chip's 7,782 KiB")
    )


def test_a_check_names_the_options_that_it_does_not_take(capsys):
    assert main(["compile", "--check", "motion64", "-o", "out", "--min-runtime", "12"]) == 2
    assert "expected no option for compiling beside it, got --out, --min-runtime" in capsys.readouterr().err


def flatten_dense():
    """A network that the compiler takes whole, and whose weights travel at each call."""
    made = Made()
    first, last = made.tensor([1, 512, 32]), made.tensor([1, 2])
    flat = made.operator("RESHAPE", [first, made.integers([1, 1 << 14])], [made.tensor([1, 1 << 14])])
    made.operator("FULLY_CONNECTED", [flat, made.constant([2, 1 << 14])], [last])
    made.ends([first], [last])
    return made


def test_what_is_slow_fails_the_check_but_compiles(tmp_path, compile_, capsys):
    file, made = tmp_path / "m.tflite", flatten_dense()
    file.write_bytes(made.file())
    assert main(["compile", "--check", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "ok     1 x FULLY_CONNECTED version 1" and lines[2].startswith("slow   operator 1 FULLY_CONN")
    assert "1 found slow" in lines[3]
    assert main(["compile", "--check", "--json", str(file)]) == 1
    assert json.loads(capsys.readouterr().out)["compiles"]
    assert compile_(file, log=STREAMED, made=compiled_from(made)) == 0
    shown = capsys.readouterr().out
    assert "streamed    129,853 B at each call" in shown and "slow   operator 1" in shown
    # It is no permission for operators on the CPU.
    assert compile_(file, log=ON_CPU, made=compiled_from(made, on_cpu=True)) == 1


def test_a_check_says_what_is_wrong_and_exits_with_1(tmp_path, capsys):
    file = tmp_path / "old.tflite"
    made = sensor_network()
    made.codes[0] = ("CONV_2D", 6)
    file.write_bytes(made.file())
    assert main(["compile", "--check", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["ok     1 x MEAN version 2", "ok     1 x FULLY_CONNECTED version 4"]
    assert lines[2].startswith("wrong  operator 0 CONV_2D: version 6") and "1 found wrong" in lines[3]
    assert main(["compile", "--check", "--json", str(file)]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert not shown["compiles"] and shown["findings"][0]["place"] == "operator 0 CONV_2D"
    assert shown["taken"][0] == {"name": "MEAN", "version": 2, "count": 1}


def test_a_model_folder_becomes_one_with_a_compiled_file(model, compile_, capsys):
    before = load_card(model)
    assert compile_(model) == 0
    shown = capsys.readouterr().out
    assert COMPILED_NAME in shown and hashlib.sha256(COMPILED).hexdigest() in shown
    assert "11 on the Edge TPU, 0 on the CPU" in shown and "14 or newer" in shown and "note" not in shown
    card = load_card(model)
    assert card.compiled_bytes() == COMPILED and card.fingerprint == before.fingerprint
    assert (card.compiled.file, card.compiled.compiler, card.compiled.min_runtime) == (
        COMPILED_NAME, "16.0.384591198", 14,
    )  # fmt: skip
    assert {key: value for key, value in card.text.items() if key not in ("files", "compiled")} == {
        key: value for key, value in before.text.items() if key not in ("files", "compiled")
    }
    assert set(contents(model)) == {*contents(shipped_models()["motion64"]), COMPILED_NAME}
    # Again, and the card still names one compiled file.
    assert compile_(model / MODEL_NAME, made=OTHER) == 0
    assert load_card(model).compiled_bytes() == OTHER
    assert sum("edgetpu" in name for name in load_card(model).text["files"]) == 1


def test_another_folder_becomes_a_whole_model(tmp_path, model, compile_):
    before, out = contents(model), tmp_path / "new" / "one"
    assert compile_(model, "-o", out) == 0
    assert contents(model) == before
    assert set(contents(out)) == {CARD_NAME, MODEL_NAME, "golden.npz", "README.md", COMPILED_NAME}
    card = load_card(out)
    assert card.compiled_bytes() == COMPILED and card.model_bytes() == before[MODEL_NAME]
    codes = open_encoder(out, "reference").card.front_end
    assert codes == open_encoder(model, "reference").card.front_end
    assert np.load(out / "golden.npz")["windows"].shape[1:] == (128, 6)
    # Into what it made, from the original: the same card, so it may be replaced.
    assert compile_(model, "-o", out) == 0


def test_a_file_without_a_card_gets_a_compiled_file_alone(tmp_path, compile_, capsys):
    file = tmp_path / "my network.tflite"
    file.write_bytes(NETWORK.file())
    made = compiled_from(NETWORK)
    assert compile_(file, made=made) == 0
    assert (tmp_path / "my network_edgetpu.tflite").read_bytes() == made
    assert hashlib.sha256(made).hexdigest() in capsys.readouterr().out
    assert compile_(file, "-o", tmp_path / "out", "--json", made=made) == 0
    assert set(contents(tmp_path / "out")) == {"my network_edgetpu.tflite"}
    shown = json.loads(capsys.readouterr().out)
    assert shown["bytes"] == len(made) and shown["min_runtime"] == 14 and shown["streamed_bytes"] == 0
    assert shown["on_chip_bytes"] == 321_024 and shown["operators"][0]["name"] == "CONV_2D"


def test_streamed_parameters_get_a_note(tmp_path, compile_, capsys):
    file = tmp_path / "m.tflite"
    file.write_bytes(NETWORK.file())
    assert compile_(file, log=STREAMED, made=compiled_from(NETWORK)) == 0
    assert "note        129,853 B of parameters" in capsys.readouterr().out
    # What the log does not say, the compiled file does.
    assert compile_(file, made=compiled_from(NETWORK, program(streamed_bytes=50_000))) == 0
    assert "note        50,000 B of parameters" in capsys.readouterr().out


def test_an_unknown_runtime_is_written_as_unknown(model, compile_, capsys):
    graph = compiled_twin().replace(b"DWN1", b"DWN9")
    assert compile_(model, made=graph) == 0
    shown = capsys.readouterr().out
    assert "runtime     not stated" in shown and "note        the Edge TPU's operator could not be read" in shown
    assert load_card(model).compiled.min_runtime is None
    assert compile_(model, "--min-runtime", "12", made=graph) == 1
    assert "expected a model for runtime 12" in capsys.readouterr().err


def test_findings_stop_it_unless_it_is_told_to_go_on(tmp_path, compile_, capsys):
    file, made = tmp_path / "m.tflite", sensor_network()
    made.codes[1] = ("REDUCE_PROD", 2)
    file.write_bytes(made.file())
    assert compile_(file, made=compiled_from(made)) == 1
    shown = capsys.readouterr().err
    assert "operator 1 REDUCE_PROD: not among" in shown and "--allow-cpu" in shown and shown.count("\n") == 1
    assert not list(tmp_path.glob("*edgetpu*"))
    assert compile_(file, "--allow-cpu", log=ON_CPU, made=compiled_from(made, on_cpu=True)) == 0
    shown = capsys.readouterr().out
    assert "9 on the Edge TPU, 2 on the CPU" in shown and "wrong  operator 1 REDUCE_PROD" in shown
    # What is compiled already, or empty, is never given to the compiler.
    for content in (COMPILED, Made().file()):
        file.write_bytes(content)
        assert compile_(file, "--allow-cpu") == 1
        shown = capsys.readouterr().err
        assert "give" in shown and "--allow-cpu" not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--check"],
        ["--check", "motion64", "--allow-cpu"],
        ["--check", "motion64", "-o", "out"],
        ["motion64", "--min-runtime", "9"],
        ["motion64", "--min-runtime", "x"],
        ["motion64", "-o", "out", "--compiler", "no such compiler"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["compile", *arguments])
    except SystemExit as stopped:
        code = stopped.code
    shown = capsys.readouterr()
    assert code == 2 and shown.out == "" and shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_it_says_how_to_get_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["compile", "motion64", "-o", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr().err
    assert "edgetpu-compiler" in shown and "scripts/compile_edgetpu" in shown and shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"junk" * 100, None])
def test_no_model_is_one_line_and_exit_code_1(tmp_path, capsys, content):
    file = tmp_path / "m.tflite"
    if content is not None:
        file.write_bytes(content)
    assert main(["compile", "--check", str(file)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_nothing_in_the_tree_is_named_as_compiled():
    names = [path.name for path in Path(str(resources.files("motionsig"))).parent.glob("firmware_models/*/*")]
    assert names and not any("_edgetpu" in name for name in names)


def test_the_container_is_asked_for_as_it_should_be(tmp_path, model):
    """scripts/compile_edgetpu with a stand-in for docker: the container itself was never run."""
    script = Path(__file__).parents[2] / "scripts" / "compile_edgetpu"
    docker, environment = tmp_path / "bin" / "docker", os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/bash\nprintf "%s\\0" "$@" >{tmp_path}/asked\n')
    docker.chmod(0o755)

    def run(*arguments):
        return subprocess.run(
            [script, *arguments],
            env=environment | {"CDPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )

    for given, inside in ((model, "/model"), (model / MODEL_NAME, f"/model/{MODEL_NAME}"), ("motion64", "/model")):
        assert run(given, "new out", "--allow-cpu").returncode == 0
        asked = (tmp_path / "asked").read_text().split("\0")[:-1]
        folder = script.parents[1] / "firmware_models" / "motion64" if given == "motion64" else model
        assert asked[:3] == ["run", "--rm", "--init"]
        assert f'type=bind,"source={folder}",target=/model,readonly' in asked
        assert f'type=bind,"source={tmp_path}/new out",target=/out' in asked
        assert asked[-5:] == ["container", inside, "-o", "/out", "--allow-cpu"]
        assert f"CALLER={os.getuid()}" in asked
        program = asked[asked.index("-c") + 1]
        subprocess.run(["bash", "-n", "-c", program], check=True)
        # A folder into which nothing came does not stay.
        assert not (tmp_path / "new out").exists()
    # A shipped name is one, whatever else has it, as in the command.
    (tmp_path / "motion64").mkdir()
    assert run("motion64", "out").returncode == 0
    assert str(script.parents[1] / "firmware_models") in (tmp_path / "asked").read_text()
    helped = run("--help")
    assert (
        helped.returncode == 0 and "scripts/compile_edgetpu MODEL OUT [OPTIONS of motionsig compile]" in helped.stdout
    )
    for arguments, code in (
        ((), 2),
        (("motion64",), 2),
        (("", "out"), 2),
        (("motion64", "out", "-o", "other"), 2),
        (("motion64", "out", "--out=other"), 2),
        (("no such model", "out"), 1),
    ):
        shown = run(*arguments)
        assert shown.returncode == code and shown.stderr and not (tmp_path / "out").exists()
