import json
import shutil
from importlib import resources
from pathlib import Path

import pytest

from motionsig.encoders import DEFAULT_MODEL, find_model, open_encoder, shipped_models
from motionsig.errors import InputError, ModelError
from motionsig.model_card import CARD_NAME, MODEL_NAME, load_card


@pytest.fixture
def model(tmp_path):
    """A copy of the default model that may be damaged."""
    folder = tmp_path / "copy"
    shutil.copytree(shipped_models()[DEFAULT_MODEL], folder)
    return folder


def change(folder, **fields):
    card = folder / CARD_NAME
    text = json.loads(card.read_text())
    for dotted, value in fields.items():
        place = text
        *path, last = dotted.split("__")
        for key in path:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
    card.write_text(json.dumps(text))


def test_shipped_models_match_their_cards():
    assert DEFAULT_MODEL in shipped_models()
    for name, folder in shipped_models().items():
        card = load_card(folder)
        assert card.name == name and len(card.fingerprint) == 8 and card.dim <= 64
        assert len(card.model_bytes()) == card.text["files"][MODEL_NAME]["bytes"]
        assert "hapt" in card.text["training"]["not_trained_on"]
        assert (folder / "README.md").exists()


def test_models_are_packaged():
    assert Path(str(resources.files("motionsig.firmware_models"))) == shipped_models()[DEFAULT_MODEL].parent


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_damaged_model_never_reaches_the_runtime(model, place):
    content = bytearray((model / MODEL_NAME).read_bytes())
    content[place] ^= 1
    (model / MODEL_NAME).write_bytes(content)
    with pytest.raises(ModelError, match=r"expected sha256 .* got .* damaged or belongs to another card"):
        open_encoder(model)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"card_version": 2}, "expected card_version 1, got 2"),
        ({"quality": None}, "expected the keys quality"),
        ({"channels": ["acc_x"]}, "channels: expected"),
        ({"units": ["g"] * 3 + ["rad/s"] * 3}, "units: expected m/s"),
        ({"front_end__version": 1}, "front_end: expected gravity-log version 3, got gravity-log version 1"),
        ({"length": 64}, r"input.shape: expected \[1, 1, 64, 12\], got \[1, 1, 128, 12\]"),
        ({"quantization": [[48, 0.03125, 0]]}, "quantization: expected a group of 48 motion codes, then 16 of posture"),
        ({"quantization": [[48, 0, 0], [16, 1, 0]]}, "quantization group: expected"),
        ({"rate_hz": "fast"}, "rate_hz: expected a number from 1 to 10000, got 'fast'"),
        ({"rate_hz": -50}, "rate_hz: expected a number"),
        ({"hop": 0}, "hop: expected a whole number from 1"),
        ({"max_gap_s": float("nan")}, "expected JSON, got: NaN, which is no number"),
        ({"length": float("inf")}, "expected JSON, got: Infinity, which is no number"),
        ({"quantization": []}, "quantization: expected a list of 1 to 2 entries, got"),
        ({"input__scale": None}, "scale"),
        ({"motion_dim": 40}, "quantization: expected a group of 40 motion codes, then 16 of posture, got groups of"),
        (
            {"motion_dim": 241, "quantization": [[241, 0.03125, 0], [16, 0.03125, 0]]},
            "quantization: expected at most 256 codes, as a message has, got 257",
        ),
    ],
)
def test_a_card_that_cannot_be_is_refused_with_its_file(model, fields, what):
    change(model, **fields)
    with pytest.raises(ModelError, match=what) as caught:
        load_card(model)
    assert str(model / CARD_NAME) in str(caught.value)


@pytest.mark.parametrize("name", [MODEL_NAME, "../elsewhere.tflite", "/etc/passwd", "not_listed.tflite"])
def test_a_compiled_file_is_another_of_the_cards_files_in_its_folder(model, name):
    files = json.loads((model / CARD_NAME).read_text())["files"]
    if name != "not_listed.tflite":
        files.setdefault(name, {"sha256": "0" * 64, "bytes": 1})
    change(model, files=files, compiled={"file": name, "min_runtime": None, "compiler": "16.0"})
    with pytest.raises(
        ModelError,
        match=r"compiled\.file: expected the name of another of the card.s files|files: expected names of files",
    ):
        load_card(model)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{"])
def test_a_card_that_is_none_is_refused(model, content):
    (model / CARD_NAME).write_bytes(content)
    with pytest.raises(ModelError, match="expected"):
        load_card(model)
    (model / CARD_NAME).unlink()
    with pytest.raises(ModelError, match="expected a model card, got: No such file"):
        load_card(model)


def test_a_card_for_another_network_is_refused(model):
    change(model, input__scale=0.5)
    with pytest.raises(ModelError, match=r"expected input int8 .* with scale 0.5"):
        open_encoder(model)
    change(model, quantization=[[48, 0.5, 0], [16, 0.03125, 0]])
    with pytest.raises(ModelError, match="expected"):
        open_encoder(model)


def test_the_fingerprint_follows_what_moves_a_signature_and_nothing_else(model):
    before = load_card(model).fingerprint
    change(model, summary="other words", hop=1, quality={})
    assert load_card(model).fingerprint == before
    for fields in ({"max_gap_s": 0.06}, {"front_end__acc_knee": 1.0}, {f"files__{MODEL_NAME}__sha256": "0" * 64}):
        change(model, **fields)
        after = load_card(model).fingerprint
        assert after != before
        before = after


def test_an_unknown_model_or_device_is_refused_with_what_there_is():
    with pytest.raises(ModelError, match=f"expected one of .*{DEFAULT_MODEL}.* or a folder"):
        find_model("no such model")
    with pytest.raises(InputError, match=r"expected auto, cpu, .* or reference, got 'gpu'"):
        open_encoder(device="gpu")
