"""The text of a card: one meaning, keys of certain types and ranges."""

import json

import pytest

from motionsig.card_text import read_text
from motionsig.encoders import find_model
from motionsig.errors import ModelError

CARD = {key: value for key, value in find_model().text.items() if key not in ("training", "quality", "tried")}
CARD |= {"training": {}, "quality": {}}


def changed(key, value):
    outer, _, inner = key.partition(".")
    return CARD | {outer: CARD[outer] | {inner: value} if inner else value}


def test_a_card_is_read():
    assert read_text(json.dumps(CARD).encode()) == CARD
    for key, value in (("rate_hz", 50), ("version", 0), ("compiled", None), ("licence", None), ("summary", ["any"])):
        assert read_text(json.dumps(changed(key, value)).encode())[key] == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hop", 64.5), ("hop", 64.0), ("hop", "64"), ("hop", True), ("hop", 0), ("hop", 100_001), ("hop", None),
        ("length", 1), ("length", 1e2), ("rate_hz", 0.5), ("rate_hz", True), ("rate_hz", [50]), ("max_gap_s", -0.1),
        ("front_end", []), ("front_end", {}), ("front_end.acc_knee", 0), ("front_end.acc_knee", -0.15),
        ("front_end.gyr_knee", "0.04"), ("front_end.acc_full", 1e9), ("front_end.gyr_full", None),
        ("front_end.version", 3.0), ("front_end.name", 3), ("input", None), ("input.scale", 0), ("input.scale", 1e-300),
        ("input.zero_point", 0.5), ("input.zero_point", 128), ("input.shape", [1, 1, 128]), ("motion_dim", 0),
        ("motion_dim", 48.0), ("motion_dim", 1 << 40), ("quantization", []), ("quantization", {}),
        ("quantization", [[48, 0.03125, 0], 16]), ("quantization", [[48, 0.03125], [16, 0.03125, 0]]),
        ("quantization", [[48, 0.03125, 0.5], [16, 0.03125, 0]]), ("quantization", [[48, -1, 0], [16, 0.03125, 0]]),
        ("files", []), ("files", {}), ("name", 5), ("version", -1), ("version", 1.0), ("version", None),
        ("compiled", "x"), ("compiled", {"file": 1, "compiler": "16.0", "min_runtime": None}), ("digest", "short"),
        ("compiled", {"file": "x", "compiler": "16\x1b[2J", "min_runtime": None}), ("name", "a\nb"),
        ("channels", "acc"), ("card_version", True), ("card_version", 1.0), ("output", 3),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused_with_its_key(key, value):
    with pytest.raises(ModelError) as caught:
        read_text(json.dumps(changed(key, value)).encode())
    said = str(caught.value)
    assert said.startswith((key.partition(".")[0], "expected card_version")) and "expected" in said and "got" in said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"hop": 64', '"hop": 64, "hop": 32', "the same key twice"),
        ('"acc_knee": 0.15', '"acc_knee": NaN', "NaN, which is no number"),
        ('"acc_knee": 0.15', '"acc_knee": 1e999', "a number beyond 64 bits"),
        ('"acc_knee": 0.15', '"acc_knee": -1e999', "a number beyond 64 bits"),
        ('"training": {}', '"training": ' + "9" * 25, "a number beyond 64 bits"),
        ('"training": {}', '"training": ' + "9" * 5000, "expected JSON"),
        ('"training": {}', '"training": ' + "[" * 32 + "]" * 32, "more than 32 deep"),
        ('"training": {}', '"training": ' + "[" * 100_000 + "]" * 100_000, "expected JSON"),
        ('"training": {}', '"training": "\\ud800"', "surrogates not allowed"),
        ('"training": {}', '"training": {"\\udfff": 1}', "surrogates not allowed"),
        ('"training": {}', '"training": {}}', "Extra data"),
        ("{", "[", "expected JSON"),
    ],
)
def test_text_of_no_or_of_two_meanings_is_refused(before, after, said):
    text = json.dumps(CARD)
    assert before in text
    with pytest.raises(ModelError, match=said):
        read_text(text.replace(before, after, 1).encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32-le"])
def test_a_card_is_utf_8(encoding):
    with pytest.raises(ModelError, match="expected JSON"):
        read_text(json.dumps(CARD).encode(encoding))
