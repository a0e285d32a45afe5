"""The bank of other life, made of sets that a test makes up: what it holds adds up, and twice it is the same."""

import numpy as np
import pytest

import motionsig
from scripts.train import background, data
from scripts.train.clock import Clock

RATE_HZ, SECONDS = 50.0, 600
SETS = ("dsads", "st_mlc_6axis")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two sets of two people, each of whom moves for ten minutes and lies still for as long."""
    place = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    count = round(SECONDS * RATE_HZ)
    moves = rng.normal(0, 2, (2 * count, 6)) + np.array([0, 0, 9.81, 0, 0, 0])
    rests = rng.normal(0, 0.005, (2 * count, 6)) + np.array([0, 0, 9.81, 0, 0, 0])
    samples = np.concatenate([moves[:count], rests[:count], moves[count:], rests[count:]])
    fields = {
        "acc_q": np.rint(samples[:, :3].T / 0.001).astype(np.int16),
        "gyr_q": np.rint(samples[:, 3:].T / 0.001).astype(np.int16),
        "acc_scale": 0.001,
        "gyr_scale": 0.001,
        "offsets": np.arange(5) * count,
        "subject": np.array(["ann", "ann", "bob", "bob"]),
        "activity": np.array(["ups", "lying_down", "ups", "lying_down"]),
        "position": np.full(4, "wrist"),
        "fs_hz": np.full(4, RATE_HZ, np.float32),
        "rec_id": np.array(["one_0", "one_1", "two_0", "two_1"]),
    }
    for name in SETS:
        np.savez(place / f"{name}.npz", **fields)
    return place


@pytest.fixture(scope="module")
def arrays(folder):
    with pytest.MonkeyPatch.context() as patch, motionsig.open_encoder(device="cpu") as encoder:
        patch.setattr(background, "SETS", SETS)
        made = [background.bank(folder, encoder, 5.0, Clock()) for _ in range(2)]
    assert made[0].keys() == made[1].keys()
    assert all(np.array_equal(made[0][name], made[1][name]) for name in made[0])
    return made[0]


def test_what_signatures_stand_for_adds_up_to_what_was_recorded(arrays):
    assert arrays["hours"].sum() == pytest.approx(2 * 4 * SECONDS / 3600, rel=0.02)
    assert arrays["seconds"].sum() / 3600 == pytest.approx(arrays["hours"].sum(), rel=0.06)


def test_a_device_at_rest_is_taken_ten_times_as_seldom(arrays):
    at_rest = (arrays["quality"] & 4) > 0
    assert set(arrays["seconds"][at_rest]) == {5 * background.AT_REST} and set(arrays["seconds"][~at_rest]) == {5}
    assert np.array_equal(at_rest, arrays["labels"][arrays["label"]] == "lying down")
    assert (~at_rest).sum() == pytest.approx(4 * SECONDS / 5, rel=0.03)


def test_whose_it_is_and_what_was_done(arrays):
    assert arrays["labels"].tolist() == ["lying down", "walking upstairs"]
    groups = arrays["groups"][arrays["group"]]
    assert set(groups[:, 0]) == set(SETS)
    assert set(groups[groups[:, 0] == "dsads", 1]) == {"ann", "bob"}
    # Where a set names no people, each recording stands for one.
    assert data.SETS["st_mlc_6axis"].people is False
    assert len(set(groups[groups[:, 0] == "st_mlc_6axis", 1])) >= 2
    assert len(arrays["groups"]) == len(arrays["hours"]) and (arrays["hours"] > 0).all()


def test_it_is_of_the_encoder_and_can_be_loaded_without_pickle(arrays):
    with motionsig.open_encoder(device="cpu") as encoder:
        card = encoder.card
    assert arrays["fingerprint"].tobytes() == card.fingerprint
    assert arrays["codes"].shape == (len(arrays["seconds"]), 64) and arrays["codes"].dtype == np.int8
    assert all(array.dtype != object for array in arrays.values())


def test_what_the_model_page_says_of_it(arrays):
    told = background.about(arrays)
    assert list(told) == list(SETS)
    assert told["dsads"]["people"] == 2 and told["dsads"]["hours"] == pytest.approx(0.7, abs=0.05)
    assert sum(of_set["signatures"] for of_set in told.values()) == len(arrays["codes"])
    assert told["dsads"]["licence"] == data.SETS["dsads"].licence


def test_no_set_that_may_not_be_shipped_is_in_it():
    assert "hapt" not in background.SETS and set(background.SETS) < set(data.TRAINING_SETS)
