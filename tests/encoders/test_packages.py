"""What is given to be installed: only whole models, within bounds."""

import hashlib
import json
import os
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_packages import GOLDEN, SHIPPED, change, make, with_golden

from motionsig.encoders import find_model, installing, signing
from motionsig.errors import ModelError
from motionsig.model_card import BACKGROUND_NAME, CARD_NAME, GOLDEN_NAME, MODEL_NAME


def test_the_files_of_a_model_may_be_given_one_by_one(tmp_path):
    folder = make(tmp_path / "a")
    (folder / "README.md").write_text("not the card's")
    files = installing.read_package([folder]).files
    assert list(files) == [CARD_NAME, MODEL_NAME, GOLDEN_NAME]
    assert files == installing.read_package([folder / name for name in files]).files
    with pytest.raises(ModelError, match=r"README.md: expected a file that card.json names"):
        installing.read_package(list(folder.iterdir()))
    with pytest.raises(ModelError, match="two of the same name"):
        installing.read_package([folder / CARD_NAME, make(tmp_path / "b") / CARD_NAME])
    for names, missing in (([CARD_NAME, MODEL_NAME], GOLDEN_NAME), ([CARD_NAME, GOLDEN_NAME], MODEL_NAME)):
        with pytest.raises(ModelError, match=f"{missing} is missing, beside card.json or in it"):
            installing.read_package([folder / name for name in names])
    with pytest.raises(ModelError, match=r"its files, got '.*/m.tar', which is not there"):
        installing.read_package([tmp_path / "m.tar"])
    with pytest.raises(ModelError, match=r"expected card.json among the files, got golden.npz"):
        installing.read_package([folder / GOLDEN_NAME])


def test_the_background_of_other_life_comes_along_where_there_is_one(tmp_path):
    shipped = installing.read_package([find_model().path])
    assert shipped.files[BACKGROUND_NAME] == (find_model().path / BACKGROUND_NAME).read_bytes()
    without = installing.read_package([find_model().path / name for name in (CARD_NAME, MODEL_NAME, GOLDEN_NAME)])
    assert BACKGROUND_NAME not in without.files


def test_a_compiled_file_that_the_card_names_is_needed(tmp_path):
    compiled = {"file": "m_edgetpu.tflite", "compiler": "16.0", "min_runtime": 14}
    folder = make(tmp_path / "a", compiled=compiled)
    files = json.loads((folder / CARD_NAME).read_text())["files"]
    change(folder, files=files | {"m_edgetpu.tflite": {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}})
    with pytest.raises(ModelError, match=r"m_edgetpu.tflite is missing"):
        installing.read_package([folder])
    (folder / "m_edgetpu.tflite").write_bytes(b"x")
    assert "m_edgetpu.tflite" in installing.read_package([folder]).files


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        (MODEL_NAME, b"b network", "expected sha256 .* as in card.json, got"),
        (MODEL_NAME, b"a networ", "expected sha256 .* as in card.json, got"),
        (MODEL_NAME, b"a network ", "expected at most 9 B, got: 10 bytes, more than 9"),
        (GOLDEN_NAME, GOLDEN[:-1], "expected sha256 .* as in card.json"),
        (CARD_NAME, b"", "expected JSON"),
        (CARD_NAME, b"[" * 100_000, "expected JSON, got: maximum recursion"),
        (CARD_NAME, b"[]", "expected a JSON object"),
        (CARD_NAME, b'{"card_version": 1}', "expected the keys"),
    ],
)
def test_other_files_than_the_card_says_are_refused(tmp_path, file, content, what):
    folder = make(tmp_path / "a")
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=what):
        installing.read_package([folder])


@pytest.mark.parametrize("name", [CARD_NAME, MODEL_NAME, GOLDEN_NAME, signing.SIGNATURE_NAME])
def test_what_is_no_file_is_refused_at_once(tmp_path, name):
    folder = make(tmp_path / "a")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match="got: a folder, pipe or device"):
        installing.read_package([folder])
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=f"{name}: expected .*, got: a symbolic link"):
        installing.read_package([folder])
    (folder / name).unlink()
    with open(folder / name, "wb") as sparse:
        sparse.truncate(1 << 30)
    with pytest.raises(ModelError, match=r"expected at most .* B, got: 1,073,741,824 bytes"):
        installing.read_package([folder])


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"../x": {}}, "expected names of files .* got '../x'"),
        ({"/etc/shadow": {}}, "expected names of files"),
        ({"a\x1b[2J": {}}, r"got 'a\\x1b\[2J'"),
        ({"installed.json": {}}, "expected names of files beside"),
        ({"card.json": {}}, "expected names of files beside"),
        ({"x": 1}, "files.x.bytes: expected 1 to 67108864, got None"),
        ({"x": {"bytes": 1 << 30, "sha256": "0" * 64}}, "files.x.bytes: expected 1 to 67108864"),
        ({"x": {"bytes": True, "sha256": "0" * 64}}, "files.x.bytes: expected"),
        ({"x": {"bytes": 1, "sha256": "\x1b[2J"}}, r"expected 64 hexadecimal digits, got '\\x1b\[2J'"),
    ],
)
def test_what_can_be_no_file_of_a_model_is_refused(tmp_path, files, what):
    folder = make(tmp_path / "a")
    change(folder, files=json.loads((folder / CARD_NAME).read_text())["files"] | files)
    with pytest.raises(ModelError, match=what):
        installing.read_package([folder])


def test_what_a_card_says_steers_no_terminal(tmp_path):
    for changes in ({"units": "\x1b[2J"}, {"input": SHIPPED["input"] | {"shape": "\x1b[2J"}}, {"name": "\x1b[2J"}):
        with pytest.raises(ModelError) as caught:
            installing.read_package([make(tmp_path / next(iter(changes)), **changes)])
        assert str(caught.value).isprintable()


def test_golden_windows_that_fill_the_memory_are_refused(tmp_path):
    content = BytesIO()
    np.savez_compressed(content, windows=np.zeros(65 << 20, np.int8))
    with pytest.raises(ModelError, match=r"golden.npz: .* got: 68,157,568 B unpacked, more than 67,108,864"):
        installing.read_package([with_golden(make(tmp_path / "a"), content.getvalue())])


@given(st.integers(0, len(GOLDEN) - 1), st.integers(1, 255), st.booleans())
def test_damaged_golden_windows_are_taken_or_refused(tmp_path_factory, place, flip, cut):
    content = bytearray(GOLDEN)
    content[place] ^= flip
    folder = with_golden(make(tmp_path_factory.mktemp("a") / "m"), bytes(content[: place + 1] if cut else content))
    try:
        installing.read_package([folder])
    except ModelError as error:
        assert GOLDEN_NAME in str(error)
