"""A model that is not what its card says never reaches the Edge TPU."""

import hashlib
import json
import shutil

import fake_edgetpu as fake
import numpy as np
import pytest
from edgetpu_runs import (
    auto,
    batch,
    strict,
)

from motionsig.encoders import find_model, open_encoder
from motionsig.encoders.edgetpu import AutoNetwork
from motionsig.encoders.host import HostEncoder
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.encoders.tflite import read_graph
from motionsig.errors import EncoderError, ModelError
from motionsig.model_card import CARD_NAME, GOLDEN_NAME, MODEL_NAME, load_card


def changed(model, folder, change):
    """Return a copy of a model whose card and files `change` was let loose on."""
    shutil.copytree(model, folder)
    text = json.loads((folder / CARD_NAME).read_text())
    change(folder, text)
    (folder / CARD_NAME).write_text(json.dumps(text))
    return folder


def not_compiled(folder, text):
    """Let the card call the twin itself the compiled file."""
    shutil.copy(folder / MODEL_NAME, folder / fake.COMPILED_NAME)
    text["files"][fake.COMPILED_NAME] = text["files"][MODEL_NAME]


def damaged(folder, text):
    content = bytearray((folder / fake.COMPILED_NAME).read_bytes())
    content[-1] ^= 1
    (folder / fake.COMPILED_NAME).write_bytes(content)


def missing(folder, text):
    (folder / fake.COMPILED_NAME).unlink()


def golden_missing(folder, text):
    (folder / GOLDEN_NAME).unlink()


def golden_cut(folder, text):
    content = (folder / GOLDEN_NAME).read_bytes()
    (folder / GOLDEN_NAME).write_bytes(content[: len(content) // 2])


def golden_of_nothing(folder, text):
    """As the card says, hash and all, but nothing could fail by it."""
    np.savez(folder / GOLDEN_NAME, windows=np.empty((0, 128, 6), "f4"), codes=np.empty((0, 64), "i1"), tolerance=3)
    text["files"][GOLDEN_NAME]["sha256"] = hashlib.sha256((folder / GOLDEN_NAME).read_bytes()).hexdigest()


def golden_junk(folder, text):
    (folder / GOLDEN_NAME).write_bytes(b"PK\x03\x04 and no more")
    text["files"][GOLDEN_NAME]["sha256"] = hashlib.sha256((folder / GOLDEN_NAME).read_bytes()).hexdigest()


REJECTED = {
    not_compiled: "expected a model compiled for the Edge TPU, with an operator edgetpu-custom-op, got 10 others",
    damaged: "fake_compiled.tflite: expected sha256 .* as in card.json, got",
    missing: "fake_compiled.tflite: expected the file that card.json describes, got: No such file",
    golden_missing: "golden.npz: expected the file that card.json describes, got: No such file",
    golden_cut: "golden.npz: expected sha256 .* as in card.json, got",
    golden_of_nothing: r"golden.npz: expected windows and codes of the card's shapes, got \[\(0, 128, 6\), \(0, 64\)\]",
    golden_junk: "golden.npz: expected windows, codes and a tolerance, got: ",
}

DAMAGED_GOLDEN = golden_missing, golden_cut, golden_of_nothing, golden_junk
"""The CPU needs them, too: they show which kernels it has."""


@pytest.mark.parametrize("change", REJECTED, ids=lambda change: change.__name__)
def test_a_model_that_is_not_what_it_should_be_never_reaches_the_edge_tpu(
    control, model, root, data, twin, tmp_path, change
):
    other = changed(model, tmp_path / "model", change)
    with pytest.raises(ModelError, match=REJECTED[change]):
        strict(other)
    if change in DAMAGED_GOLDEN:
        with pytest.raises(ModelError, match=REJECTED[change]):
            open_encoder(other, "cpu")
    else:
        with auto(other, root) as encoder:
            assert encoder.encode(batch(data[:9])).codes.tobytes() == twin.codes[:9].tobytes()
            assert encoder.device.startswith("cpu (")
    assert control.counts().creations == 0


def test_a_compiled_file_of_another_model_is_refused(control, model, tmp_path):
    def louder(folder, text):
        text["quantization"][0][1] = 0.0625

    with pytest.raises(EncoderError, match=r"expected output int8 .* 0.0625 .* as in the card, got int8 .* 0.03125"):
        strict(changed(model, tmp_path / "model", louder))


def test_a_compiled_file_in_the_cpus_place_is_named(model, tmp_path):
    def swapped(folder, text):
        shutil.copy(folder / fake.COMPILED_NAME, folder / MODEL_NAME)
        text["files"][MODEL_NAME] = text["files"][fake.COMPILED_NAME]

    other = changed(model, tmp_path / "model", swapped)
    with pytest.raises(ModelError, match="expected a model for the CPU, got one compiled for the Edge TPU"):
        open_encoder(other, "cpu")


def test_a_model_that_was_never_compiled(root):
    with pytest.raises(
        ModelError, match="got none; make one, on an x86-64 machine: motionsig compile motion64 -o FOLDER"
    ):
        open_encoder(device="edgetpu")
    with open_encoder(device="auto") as encoder:
        assert encoder.device.startswith("cpu (") and encoder.device.endswith(")")
    # An Edge TPU that is idle for that reason is not passed over in silence.
    card = find_model()
    with HostEncoder(card, AutoNetwork(card, LiteRtNetwork(card), root=root)) as encoder:
        assert encoder.device.startswith("cpu (") and "expected a file compiled for the Edge TPU" in encoder.device


@pytest.mark.parametrize("card", [{}, {"file": "../x", "compiler": "16"}, {"file": MODEL_NAME}, 7, "x", []])
def test_a_card_with_a_bad_compiled_entry_is_refused(model, tmp_path, card):
    def broken(folder, text):
        text["compiled"] = card | {"min_runtime": 14} if isinstance(card, dict) and card else card

    with pytest.raises(ModelError, match=CARD_NAME):
        load_card(changed(model, tmp_path / "model", broken))


def names_that_are_no_text(folder, text):
    content = (folder / fake.COMPILED_NAME).read_bytes()
    (network,) = read_graph(content).subgraphs
    name = network.tensors[network.inputs[0]].name.encode()
    content = content.replace(name, b"\xba" * len(name))
    (folder / fake.COMPILED_NAME).write_bytes(content)
    text["files"][fake.COMPILED_NAME]["sha256"] = hashlib.sha256(content).hexdigest()


def test_names_that_are_no_text_are_refused_in_one_line(control, model, tmp_path):
    folder = changed(model, tmp_path / "m", names_that_are_no_text)
    with pytest.raises(EncoderError, match=r"^Edge TPU: .+ cannot prepare the model: 'utf-8' codec can't decode"):
        strict(folder)
