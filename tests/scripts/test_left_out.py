"""Which sets are left out of training, and which of their windows are measured."""

import numpy as np
import pytest

from scripts.evaluate import left_out
from scripts.train import data


def windows(name, activity, wearing, person=None):
    count = len(activity)
    return data.WindowSet(
        name,
        np.zeros((count, 1, 6), np.float32),
        np.array(activity),
        np.array(person or wearing),
        np.array(wearing),
    )


def test_each_labelled_training_set_is_left_out_once_or_has_a_reason_not_to_be():
    left_out.check_groups()
    names = sum(left_out.GROUPS, ())
    assert len(set(names)) == len(names) and not set(names) & set(left_out.ONLY_TRAIN)


def test_a_set_that_nobody_thought_of_stops_the_evaluation_at_its_start(monkeypatch):
    monkeypatch.setattr(data, "TRAINING_SETS", (*data.TRAINING_SETS, "new"))
    monkeypatch.setitem(data.SETS, "new", data.SetFacts("MIT"))
    with pytest.raises(ValueError, match=r"new.* once in GROUPS or ONLY_TRAIN"):
        left_out.check_groups()


def test_what_has_no_label_or_cannot_be_learned_from_others_is_not_measured():
    recordings = [f"r{number}" for number in range(9) for _ in range(2)]
    activity = ["walk", "sit"] * 8 + ["unlabelled", "hop"]
    got, tests = left_out.sample(windows("boreal", activity, recordings), 1000)
    assert set(got.activity) == {"walk", "sit"} and len(got) == 16
    assert np.sum(tests, axis=0).tolist() == [1] * 16


def test_the_sensors_of_a_flight_stay_in_one_fold():
    flights = [f"H{flight}_{sensor}_0" for flight in range(6) for sensor in range(4)]
    got, tests = left_out.sample(windows("quadrotor", ["up", "down"] * 12, flights), 1000)
    assert set(got.person) == {f"H{flight}" for flight in range(6)}
    for test in tests:
        assert not set(got.person[test]) & set(got.person[~test])


def test_no_more_windows_than_asked_for_are_measured():
    got, _ = left_out.sample(windows("boreal", ["walk", "sit"] * 300, [f"r{n}" for n in range(60)] * 10), 100)
    assert len(got) == 100
