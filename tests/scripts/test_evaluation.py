"""The whole evaluation runs on made-up sets, without TensorFlow, and its figures reach card and README."""

import json
import os
import shutil
from functools import partial

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="measures the float twin in LiteRT")

from motionsig import open_encoder
from motionsig.encoders import shipped_models
from scripts.evaluate import few_shot, gestures, heads_cost, left_out, measures, movements, noise
from scripts.evaluate.contestants import shipped
from scripts.evaluate.evaluation import evaluate
from scripts.evaluate.extent import Extent
from scripts.evaluate.hapt import BASIC
from scripts.evaluate.rivals import Rivals
from scripts.train import data, describe
from scripts.train.handmade import gravity_statistics, plain_statistics

MODEL = shipped_models()["motion64"]
RATE_HZ, SECONDS = 50.0, 12
TINY = Extent(batches=1, left_out_windows=300, share=0.999)
PARTS = {
    "hapt": ("hapt", "bare_interpreter", "privacy", "prefixes", "chips", "gait_noise", "sensors"),
    "few_shot": ("few_shot",),
    "heads": ("heads",),
    "left_out": ("left_out", "left_out_prefixes", "left_out_gait_noise", "left_out_groups"),
}


def recording(rng, activity):
    """A device that swings at a pace of its activity."""
    seconds = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * (0.7 + 0.5 * activity) * seconds[:, None] + rng.uniform(0, 6, 6)
    size = np.r_[[1.0 + activity] * 3, [0.5] * 3] * rng.uniform(0.8, 1.2)
    return np.sin(phase) * size + [0, 0, 9.8, 0, 0, 0] + rng.normal(size=(len(seconds), 6)) * 0.1


def made_up(file, people, activities, ident, takes=2):
    """Write a set: two recordings or more by each of the people of each activity."""
    rng = np.random.default_rng(len(file.name))
    rows = [(person, activity, take) for person in people for take in range(takes) for activity in activities]
    samples = np.concatenate([recording(rng, activities.index(activity)) for _, activity, _ in rows])
    np.savez(
        file,
        acc_q=np.rint(samples[:, :3].T / 0.001).astype(np.int16),
        gyr_q=np.rint(samples[:, 3:].T / 0.001).astype(np.int16),
        acc_scale=0.001,
        gyr_scale=0.001,
        offsets=np.arange(len(rows) + 1) * round(SECONDS * RATE_HZ),
        subject=np.array([person for person, *_ in rows]),
        activity=np.array([activity for _, activity, _ in rows]),
        position=np.array(["wrist"] * len(rows)),
        fs_hz=np.full(len(rows), RATE_HZ, np.float32),
        rec_id=np.array([ident(number, people.index(row[0]), row[2]) for number, row in enumerate(rows)]),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for name in [*sum(left_out.GROUPS, ()), "hapt"]:
        activities = {**noise.GAITS, "hapt": BASIC}.get(name, ("a", "b"))
        people = [f"ha{number:02d}" for number in (1, 2, 3, 4, 5, 9)] if name == "hapt" else [f"p{n}" for n in range(4)]
        pieces = data.SETS[name].pieces if name in data.SETS else False
        ident = (lambda n, who, take: f"exp{2 * who + take:02d}_{n}") if pieces else (lambda n, who, take: f"R{n}_0")
        alone = name == "android_digits"
        made_up(folder / f"{name}.npz", people[:1] if alone else people, list(activities), ident, 8 if alone else 2)
    return folder


@pytest.fixture
def rivals():
    encoder = open_encoder(MODEL, device="cpu")
    peers = {"plain_statistics_216": plain_statistics, "gravity_statistics_162": gravity_statistics}
    return Rivals(
        peers={name: partial(unfitted, peer) for name, peer in peers.items()},
        untaught=partial(unfitted, lambda windows: plain_statistics(windows)[:, :64]),
        teacher=lambda folder, say: lambda left_out, seed, steps: shipped(encoder),
    )


def unfitted(transform, windows):
    return transform


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})  # all jobs in this process
    monkeypatch.setattr(measures, "BOOTSTRAPS", 20)
    monkeypatch.setattr(measures, "DRAWS", 2)
    monkeypatch.setattr(few_shot, "EVERY", (1,))
    monkeypatch.setattr(movements, "KNOWN_RECORDINGS", 4)
    monkeypatch.setattr(gestures, "KNOWN_RECORDINGS", 4)
    monkeypatch.setattr(gestures, "OCCASION", 150)
    monkeypatch.setattr(heads_cost, "WEEK", 500)
    return shutil.copytree(MODEL, tmp_path / "motion64")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_measured_and_written_and_the_others_stay(folder, model, rivals, monkeypatch, part):
    monkeypatch.setattr("scripts.evaluate.evaluation.FULL", TINY)
    monkeypatch.setattr("scripts.evaluate.evaluation._draw_map", lambda *arguments: None)
    file = model / "card.json"
    card = json.loads(file.read_text("utf-8"))
    before = {key: value for key, value in card["quality"].items() if key not in PARTS[part]}
    describe.write(model, card | {"quality": before})
    said = []
    evaluate(folder, model, rivals, said.append, parts=[part], seeds=2, extent=TINY)
    after = json.loads(file.read_text("utf-8"))["quality"]
    for key in PARTS[part]:
        assert after[key]
    for key in set(before) - {"how"}:
        assert key in after
    assert (model / "README.md").read_text("utf-8") == describe.readme(model)
    not_measured = (model / "README.md").read_text("utf-8").partition("Not measured yet (")[2].partition(")")[0]
    assert not set(not_measured.split(", ")) & set(PARTS[part])
    assert said[-1].startswith("written: ")


def test_little_is_measured_for_a_try_and_nothing_is_written(folder, model, rivals, capsys):
    before = {file: file.read_bytes() for file in model.rglob("*") if file.is_file()}
    evaluate(folder, model, rivals, lambda line: None, parts=["left_out"], extent=TINY)
    assert {file: file.read_bytes() for file in model.rglob("*") if file.is_file()} == before
    assert "| mean over | measure | ours |" in capsys.readouterr().out


def test_a_model_without_a_background_is_measured_without_heads(folder, model, rivals):
    card = json.loads((model / "card.json").read_text("utf-8"))
    del card["files"]["background.npz"]
    (model / "card.json").write_text(json.dumps(card), "utf-8")
    said = []
    evaluate(folder, model, None, said.append, parts=["heads"], extent=TINY)
    assert said[0].startswith("heads: not measured")
    with pytest.raises(ValueError, match="rivals: expected them for hapt"):
        evaluate(folder, model, None, said.append, parts=["hapt", "heads"], extent=TINY)
