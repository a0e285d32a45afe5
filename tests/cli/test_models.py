import json
import os
import shutil
import sys

import pytest
from made_models import FAKE, Made, compiled_from, program, sensor_network

from motionsig.cli import main
from motionsig.encoders import shipped_models
from motionsig.model_card import CARD_NAME, MODEL_NAME


def shown(capsys, *arguments):
    assert main(["models", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_shipped_model_is_shown_with_its_network(capsys):
    text = shown(capsys, "motion64")
    assert "5 x CONV_2D v3" in text and "fingerprint" in text and "compiled     no; TFLite 1.14.0 or newer" in text
    assert "int8 [1, 1, 128, 12], scale 0.0078125, zero point 0" in text and "parameters   235,616" in text
    about = json.loads(shown(capsys, "motion64", "--json"))
    (network,) = about["networks"]
    assert network["inputs"][0]["shape"] == [1, 1, 128, 12] and network["outputs"][0]["zero_point"] == [0]
    assert {"name": "FULLY_CONNECTED", "version": 4, "count": 1} in network["operators"]
    assert not network["compiled"] and about["fingerprint"] and about["quality"]


def test_a_file_in_a_models_folder_is_the_model(capsys):
    folder = shipped_models()["motion64"]
    assert shown(capsys, folder / MODEL_NAME) == shown(capsys, folder) == shown(capsys, "motion64")
    # Another file of it is what it is.
    assert "fingerprint" not in shown(capsys, folder / "encoder_float.tflite")


def test_a_file_without_a_card_is_shown(tmp_path, capsys):
    file = tmp_path / "m.tflite"
    file.write_bytes(sensor_network().file())
    text = shown(capsys, file)
    assert text.startswith(f"network: {file}") and "1 x MEAN v2" in text and "parameters   149" in text
    assert "output       tensor 6: int8 [1, 5], scale 0.5, zero point 3" in text
    assert json.loads(shown(capsys, file, "--json"))["networks"][0]["parameters"] == 8 * 3 * 4 + 8 * 5 + 8 + 5


def test_a_compiled_file_says_which_runtime_takes_it(tmp_path, capsys):
    file = tmp_path / "m.tflite"
    file.write_bytes(compiled_from(sensor_network(), program(13, "16.0", 1000, 24)))
    text = shown(capsys, file)
    assert "compiled     for the Edge TPU; runtime 13 or newer" in text
    assert "1,000 B kept on the chip, 24 B sent at each call" in text
    file.write_bytes(compiled_from(sensor_network(), FAKE.encode()))
    assert "runtime not stated: its operator could not be read" in shown(capsys, file)
    network = json.loads(shown(capsys, file, "--json"))["networks"][0]
    assert network["compiled"] and network["min_edgetpu_runtime"] is None and network["parameters"] is None


def test_a_compiled_twin_is_shown_beside_its_model(tmp_path, capsys):
    from fake_edgetpu import COMPILED_NAME, fake_model

    folder = fake_model(tmp_path / "m")
    text = shown(capsys, folder)
    assert text.count("network: ") == 2 and COMPILED_NAME in text and "1 x edgetpu-custom-op v1" in text
    assert [network["compiled"] for network in json.loads(shown(capsys, folder, "--json"))["networks"]] == [False, True]
    (folder / COMPILED_NAME).write_bytes(b"other bytes")
    assert main(["models", str(folder)]) == 1
    assert "expected sha256" in capsys.readouterr().err


def test_strange_networks_are_shown(tmp_path, capsys):
    made = Made()
    first = made.tensor([1, 1, 4], "FLOAT32", None, signature=[1, -1, 4])
    made.operator("FlexErf", [first], [made.tensor([1, 4], "INT16", [0.1, 0.2])], 2)
    made.ends([first], [1])
    made.subgraph()
    file = tmp_path / "m.tflite"
    file.write_bytes(made.file())
    text = shown(capsys, file)
    assert "1 x FlexErf v2" in text and "float32 [1, -1, 4], not quantised" in text and "zero point 0, 0" in text
    assert "compiled     no; TFLite not stated" in text
    file.write_bytes(Made().file())
    assert "operators    none" in shown(capsys, file)


@pytest.mark.parametrize("quality", [[], "none", None, 3])
def test_a_card_written_by_hand_is_shown(tmp_path, capsys, quality):
    folder = shutil.copytree(shipped_models()["motion64"], tmp_path / "m")
    card = json.loads((folder / CARD_NAME).read_text())
    changed = {
        "quality": quality,
        "limits": [["a", {}]],
        "training": 1,
        "summary": "ev\nil\x1b[2J",
        "licence": ["\u202e"],
    }
    (folder / CARD_NAME).write_text(json.dumps(card | changed))
    lines = shown(capsys, folder).splitlines()
    assert "motion64  ev?il?[2J" in lines and all(line.isprintable() for line in lines)
    assert "quality:" in lines


def test_foreign_names_steer_no_terminal(tmp_path, capsys):
    made = Made()
    made.operator("ev\nil\x1b[31m", [made.tensor([1, 4])], [made.tensor([1, 4])])
    made.ends([0], [1])
    file = tmp_path / "m.tflite"
    file.write_bytes(made.file())
    text = shown(capsys, file)
    assert "1 x ev?il?[31m v1" in text and "\x1b" not in text
    file.write_bytes(compiled_from(sensor_network(), program(13, "16\x1b[2J")))
    assert "\\u001b" not in shown(capsys, file, "--json")


def test_what_is_no_file_is_refused(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.tflite")
    for path in (tmp_path / "pipe.tflite", "/dev/zero"):
        assert main(["models", str(path)]) == 1
        assert "got a folder, pipe or device" in capsys.readouterr().err


@pytest.mark.parametrize("name", [CARD_NAME, MODEL_NAME])
@pytest.mark.parametrize("command", [["models"], ["compile", "--check"]])
def test_a_file_of_a_model_that_never_ends_is_refused_at_once(tmp_path, capsys, name, command):
    folder = shutil.copytree(shipped_models()["motion64"], tmp_path / "m")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    for got in ("a folder, pipe or device", "a symbolic link"):
        assert main([*command, str(folder)]) == 1
        err = capsys.readouterr().err
        assert f"{name}: expected " in err and f"got: {got}" in err and err.count("\n") == 1
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")


def test_no_extra_is_needed(tmp_path, capsys, monkeypatch):
    file = tmp_path / "m.tflite"
    file.write_bytes(compiled_from(sensor_network(), program(13)))
    for name in ("tflite", "flatbuffers"):
        monkeypatch.setitem(sys.modules, name, None)
    text = shown(capsys, "motion64")
    assert "fingerprint" in text and "limits:" in text and "5 x CONV_2D v3" in text
    assert "runtime 13 or newer" in shown(capsys, file)


@pytest.mark.parametrize("name", ["no such model", "junk.tflite", "", "folder"])
def test_what_is_no_model_is_one_line(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk.tflite").write_bytes(b"junk" * 100)
    (tmp_path / "folder").mkdir()
    code = main(["models", name])
    captured = capsys.readouterr()
    assert code == 1 and captured.out == "" and captured.err.count("\n") == 1


def test_a_damaged_model_beside_its_card_is_refused(tmp_path, capsys):
    folder = shutil.copytree(shipped_models()["motion64"], tmp_path / "m")
    (folder / MODEL_NAME).write_bytes((folder / MODEL_NAME).read_bytes()[:-1])
    for name in (folder, folder / MODEL_NAME):
        assert main(["models", str(name)]) == 1
        assert "expected sha256" in capsys.readouterr().err
    (folder / CARD_NAME).write_text("{")
    assert main(["models", str(folder / MODEL_NAME)]) == 1
