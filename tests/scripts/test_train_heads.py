"""The heads that are shipped: what counts as what, what is left out, and the page that says what was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.encoders import shipped_models
from motionsig.heads import load_head
from motionsig.quality import Quality
from motionsig.quantization import Group, Quantization
from scripts.train import data, heads
from scripts.train.heads import AIMS, Life, folds, judged, make, side_of, taught
from scripts.train.heads_page import page

SPEC = SignatureSpec(b"12345678", Quantization((Group(6, 0.5, 0), Group(2, 0.25, 0))), 6, 2_560_000_000)
HOP_NS = 160_000_000
DIRECTIONS = {"walking": (3, 1, 0, 0, 0, 0), "jogging": (0, 3, 1, 0, 0, 0), "sitting": (0, 0, 3, 1, 0, 0)}


def lived(name, person, label, seconds, *, seed=0, as_if=None):
    """Return a stream of one activity, which looks like it or like another one."""
    rng = np.random.default_rng([seed, len(person), ord(name[0]), ord(label[0])])
    count = round(seconds * 1e9 / HOP_NS)
    codes = np.rint(20 * np.array((*DIRECTIONS[as_if or label], 1, 1)) + rng.normal(0, 8, (count, 8))).astype(np.int8)
    times, quality = np.arange(count) * HOP_NS, np.zeros(count, np.uint8)
    return Life(
        name, f"{name}/{person}", "wrist", SignatureBatch(times, codes, quality, HOP_NS, SPEC, np.full(count, label))
    )


LIFE = [
    lived(name, person, label, 600 if label == "walking" else 900, seed=seed)
    for seed, (name, person) in enumerate([("a", "x"), ("a", "yy"), ("b", "x"), ("b", "yy"), ("hapt", "x")])
    for label in DIRECTIONS
]


def test_no_activity_is_on_two_sides():
    for aim in AIMS.values():
        assert not aim.yes & aim.either
    for name in ("walking", "running"):
        assert not AIMS[name].yes & AIMS["still"].yes


@pytest.mark.parametrize(
    ("head", "where", "label", "side"),
    [
        ("walking", ("wisdm2019", "wrist"), "walking", "yes"),
        ("walking", ("wisdm2019", "wrist"), "stairs", ""),
        ("walking", ("wisdm2019", "wrist"), "jogging", "no"),
        ("walking", ("dsads", "torso"), data.UNLABELLED, ""),
        ("running", ("dsads", "torso"), "walking_parking", "no"),
        ("still", ("wisdm2019", "wrist"), "typing", ""),
        ("still", ("wisdm2019", "wrist"), "teeth", "no"),
        ("still", ("wisdm2019", "pocket"), "teeth", ""),
        ("still", ("broad", "rigid_body_hand_moved"), "undisturbed_slow_rotation", ""),
        ("still", ("st_mlc_6axis", "yoga_pose_recognition"), "yoga_pose_recognition/plank", ""),
        ("still", ("st_mlc_6axis", "yoga_pose_recognition"), "yoga_pose_recognition/standing_still", "yes"),
    ],
)
def test_what_an_activity_is_to_a_head(head, where, label, side):
    assert side_of(AIMS[head], *where, label) == side


def test_hapt_teaches_no_head():
    assert heads.UNSEEN == "hapt" and "hapt" not in heads.SETS


def test_each_set_is_left_out_once_and_never_all_that_teach():
    left = folds(["a", "b", "c", "d", "e"], {"b", "d"})
    assert sorted(name for fold in left for name in fold) == ["a", "b", "c", "d", "e"]
    assert all(len(fold & {"b", "d"}) == 1 for fold in left)


def test_a_judge_counts_by_person_and_names_what_is_taken_for_it():
    aim = AIMS["walking"]
    card = taught("walking", aim, [one for one in LIFE if one.set != "hapt"])
    odd = lived("c", "z", "sitting", 900, as_if="walking")
    found = judged(card, aim, [lived("c", "x", "walking", 60), lived("c", "x", "jogging", 60), odd])["c"]
    assert found.recall() > 0.95 and sorted(found.people) == ["c/x", "c/z"]
    assert found.most() == {"sitting": 1}
    stated = found.stated()
    assert found.hours() == pytest.approx(960 / 3600, abs=0.01) and stated["hours"] == 0.3
    assert stated["false_alarms_an_hour"][0] == pytest.approx(3600 / 960, rel=0.02)
    slow = judged(card, aim, [lived("c", "x", "walking", 60)], 8)["c"]
    assert slow.recall() > 0.9


def test_a_sensor_at_rest_is_not_said_to_walk():
    walking = lived("c", "x", "walking", 60)
    quality = np.where(np.arange(len(walking.signatures)) < 100, Quality.AT_REST.value, 0).astype(np.uint8)
    resting = replace(walking, signatures=replace(walking.signatures, quality=quality))
    card = taught("walking", AIMS["walking"], [one for one in LIFE if one.set != "hapt"])
    whole = judged(card, AIMS["walking"], [walking])["c"].labelled_hours()
    assert judged(card, AIMS["walking"], [resting])["c"].labelled_hours() == pytest.approx(whole - 100 * 0.16 / 3600)


def test_heads_and_page_are_the_same_when_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(heads, "AIMS", {name: AIMS[name] for name in ("walking", "running")})
    monkeypatch.setattr(heads, "ENOUGH_HOURS", 0.1)
    more = {"far": replace(LIFE[0].signatures, labels=np.full(len(LIFE[0].signatures), "x/Walking"))}
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        make(LIFE, more, folder, lambda text: None)
        made.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert made[0] == made[1] and len(made[0]) == 5
    measured = load_head(tmp_path / "one" / "walking").measured
    assert (
        measured["recall"] > 0.95
        and measured["recall_over"] == ["a", "b"]
        and measured["false_alarms_an_hour"] == [0, 0, 0]
    )
    assert set(measured["sets_left_out"]) == {"a", "b"} and set(measured["never_seen"]) == {"hapt"}
    assert measured["windows_never_seen"]["far"][2] > 0.9
    assert page(tmp_path / "one") == (tmp_path / "one" / "README.md").read_text("utf-8")


def test_the_page_of_the_shipped_heads_says_what_their_cards_say():
    for model in shipped_models().values():
        assert page(model / "heads") == (model / "heads" / "README.md").read_text("utf-8")


def test_a_figure_that_changes_in_a_card_changes_on_the_page(tmp_path):
    for model in shipped_models().values():
        text = json.loads((model / "heads" / "walking" / "head.json").read_text("utf-8"))
        text["measured"]["never_seen"]["hapt"]["recall"] = [0.123, 0.1, 0.2]
        (tmp_path / "walking").mkdir()
        (tmp_path / "walking" / "head.json").write_text(json.dumps(text), "utf-8")
        assert ".123 [.100, .200]" in page(tmp_path)
