"""The bank of other life: read whole, refused where it is another's, and joined by the owner's days."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from made_heads import SPEC, signatures
from made_life import background

from motionsig.encoders import find_model
from motionsig.errors import ModelError
from motionsig.heads.background import OTHERS, OWNER, load_background, with_own
from motionsig.model_card import BACKGROUND_NAME, FileStated
from motionsig.quality import Quality

CARD = find_model()
ARRAYS = {
    "codes": np.arange(32).reshape(4, 8).astype(np.int8),
    "quality": np.array([0, 4, 1, 5], np.uint8),
    "seconds": np.array([23, 230, 23, 230], np.uint16),
    "group": np.array([0, 1, 2, 2], np.uint16),
    "label": np.array([0, 1, 1, 0], np.uint8),
    "groups": np.array([["set", "ann", "wrist"], ["set", "ann", "belt"], ["set", "bob", "belt"]]),
    "hours": np.ones(3, np.float32),
    "labels": np.array(["sitting", "walking"]),
    "sets": np.array([["set", "CC0"]]),
    "fingerprint": np.frombuffer(SPEC.fingerprint, np.uint8),
}


@pytest.fixture
def card(tmp_path):
    """Write a bank into a model's folder; return a card that names it."""

    def write(*, cut=None, sha256=None, without=None, **other):
        file = io.BytesIO()
        np.savez(file, **{name: array for name, array in (ARRAYS | other).items() if name != without})
        content = file.getvalue()[:cut]
        (tmp_path / BACKGROUND_NAME).write_bytes(content)
        stated = FileStated(len(content), sha256 or hashlib.sha256(content).hexdigest())
        return replace(
            find_model(),
            path=tmp_path,
            files={BACKGROUND_NAME: stated},
            quantization=SPEC.quantization,
            fingerprint=SPEC.fingerprint,
        )

    return write


def test_a_bank_is_read(card):
    life = load_background(card())
    assert len(life) == 4 and life.hours == pytest.approx(506 / 3600)
    assert life.at_rest.tolist() == [False, True, False, True]
    assert life.people == 2 and life.person[0] == life.person[1] != life.person[2]
    assert len(np.unique(life.cell)) == 4
    assert life.labels == ("sitting", "walking") and life.label.tolist() == [0, 1, 1, 0]
    assert str(life) == f"0.1 h of {OTHERS}"
    assert np.array_equal(life.codes, ARRAYS["codes"])


def test_a_card_that_names_none_has_none(tmp_path):
    assert load_background(replace(find_model(), path=tmp_path, files={})) is None


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"sha256": "0" * 64}, "expected sha256 0000"),
        ({"cut": 300}, "expected signatures of other life, got"),
        ({"without": "fingerprint"}, "expected signatures of other life, got"),
        (
            {"fingerprint": np.zeros(8, np.uint8)},
            "expected signatures of encoder 00112233aabbccdd, got those of 00000000",
        ),
        ({"codes": np.zeros((4, 9), np.int8)}, "expected 8 int8 codes each, got"),
        ({"codes": np.zeros((4, 8))}, "expected 8 int8 codes each, got"),
        ({"group": np.array([0, 1, 2, 7])}, "expected signatures of other life, got"),
        ({"group": np.array([0, 1, 2, -1])}, "expected signatures of other life, got"),
        ({"group": np.array([0, 1, 2])}, "expected signatures of other life, got"),
        ({"label": np.array([0, 1, 1, 2])}, "expected signatures of other life, got"),
        ({"seconds": np.array([1, 1, 1, np.nan])}, "expected signatures of other life, got"),
        ({"quality": np.zeros(5, np.uint8)}, "expected signatures of other life, got"),
        ({"labels": np.array([{}], object)}, "expected signatures of other life, got"),
        ({"codes": np.zeros((10_000_000, 8), np.int8)}, "80,001,584 B unpacked, more than 67,108,864"),
    ],
)
def test_a_bank_that_is_damaged_or_of_another_encoder_is_refused(card, how, said):
    with pytest.raises(ModelError, match=said) as refused:
        load_background(card(**how))
    assert str(refused.value).count("\n") == 0 and BACKGROUND_NAME in str(refused.value)


def test_a_bank_that_is_not_there_is_refused(card, tmp_path):
    named = card()
    (tmp_path / BACKGROUND_NAME).unlink()
    with pytest.raises(ModelError, match=r"expected the file that card.json describes, got: No such file"):
        load_background(named)


def test_the_shipped_bank_is_of_the_shipped_encoder_and_holds_no_hapt():
    life = load_background(CARD)
    assert life.hours > 100 and len(life) > 10_000 and life.people > 100
    file = CARD.path / BACKGROUND_NAME
    assert file.stat().st_size < 2_000_000
    with np.load(file, allow_pickle=False) as arrays:
        assert arrays["fingerprint"].tobytes() == CARD.fingerprint
        assert "hapt" not in arrays["sets"][:, 0] and "hapt" not in arrays["groups"][:, 0]
        assert set(arrays["groups"][:, 0]) <= set(arrays["sets"][:, 0])
        # Each stands for its step, so that they add up to what was recorded, but for the end of each set's step.
        assert arrays["seconds"].sum() / 3600 == pytest.approx(arrays["hours"].sum(), rel=0.02)


def test_own_days_are_one_more_person():
    others = background(np.ones((400, 8), np.int8), people=4)
    day = signatures(np.full(3000, 0.5), hop_ns=1_280_000_000, at_rest=[0])
    life = with_own(others, [day[:0], day, day[:100]])
    assert len(life) == 3500 and life.people == 5
    assert life.hours == pytest.approx(others.hours + 3100 * 1.28 / 3600)
    assert life.at_rest[400] and not life.at_rest[401]
    assert life.labels == ("life", OWNER) and life.label[400] == 1
    assert str(life) == "2.6 h of people, 1.1 h of your own days"
    # Each hour is a cell of its own, and none of anybody else.
    assert set(life.cell[:400]) & set(life.cell[400:]) == set() and len(set(life.cell[400:])) in (2, 3)


def test_many_own_days_are_thinned_and_stand_for_as_many_hours():
    day = signatures(np.full(50_001, 0.5), hop_ns=1_280_000_000)
    life = with_own(None, [day])
    assert len(life) <= 20_000 and life.hours == pytest.approx(50_001 * 1.28 / 3600, rel=1e-3)
    assert with_own(None, []) is None and with_own(life, [day[:0]]) is life


def test_without_leaves_the_rest():
    life = replace(load_background(CARD), sources=())
    left = life.without(life.at_rest)
    assert not left.at_rest.any() and len(left) == (~life.at_rest).sum() < len(life)
    assert left.seconds.sum() < life.seconds.sum() and len(left.codes) == len(left.cell) == len(left.label)
    assert str(left) == "nothing" and Quality.AT_REST == 4
