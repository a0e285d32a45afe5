"""The table for somebody's own logs, and what it refuses."""

import os
from functools import partial

import numpy as np
import pytest

from motionsig import open_encoder
from scripts.evaluate import measures
from scripts.evaluate.own import table_of
from scripts.train.handmade import plain_statistics

HEAD = "time_s,acc_x_m_s2,acc_y_m_s2,acc_z_m_s2,gyr_x_rad_s,gyr_y_rad_s,gyr_z_rad_s"


def unfitted(transform, windows):
    return transform


@pytest.fixture
def measure(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})  # all jobs in this process
    monkeypatch.setattr(measures, "BOOTSTRAPS", 20)
    said = []

    def run():
        peers = {"plain_statistics_216": partial(unfitted, plain_statistics)}
        return table_of(tmp_path, open_encoder(device="reference"), peers, said.append), said

    return run


@pytest.fixture
def log(tmp_path, motion):
    def write(activity, person, seconds=30, pace=1):
        place = tmp_path / activity / person
        place.mkdir(parents=True, exist_ok=True)
        samples = motion(len(list(place.iterdir())) + ord(person[0]), 50.0, count=seconds * 50)
        samples[:, :2] *= pace
        rows = np.column_stack([np.arange(len(samples)) / 50, samples])
        np.savetxt(
            place / f"{len(list(place.iterdir()))}.csv", rows, delimiter=",", header=HEAD, comments="", fmt="%.6f"
        )

    return write


def test_logs_give_a_table_with_peers_and_intervals(log, measure):
    for person in ("ann", "bob", "cat"):
        log("dance", person)
        log("rest", person, pace=0.1)
    log("hop", "ann")
    page, said = measure()
    assert "| **the signature** | 64 |" in page and "| **its motion part alone** | 48 |" in page
    assert "| plain statistics and spectrum | 216 |" in page
    assert "of 3 people in 3 folds" in page and "dance 66, rest 66" in page
    assert "Not measured, because too few people did them: hop." in page
    assert len(said) >= 4  # each vector tells that it is done


@pytest.mark.parametrize(
    ("logs", "refusal"),
    [
        ([], "expected logs as ACTIVITY/PERSON/LOG below it, found none"),
        ([("dance", "ann"), ("rest", "ann")], "expected logs of at least two people, got only ann"),
        ([("dance", "ann"), ("dance", "bob")], "expected at least two activities that several people did, got dance"),
        ([("dance", "ann"), ("rest", "bob")], r"several people did, got none \(only one did dance, rest\)"),
        (
            [("dance", "ann"), ("dance", "bob"), ("rest", "ann", 4), ("rest", "bob", 4)],
            "expected at least 10 windows of each activity, got 4 of rest",
        ),
        ([("dance", "ann", 1)], "expected logs of at least 2.56 s, got shorter ones"),
    ],
)
def test_logs_that_cannot_be_measured_are_refused_in_a_line(log, measure, logs, refusal):
    for each in logs:
        log(*each)
    with pytest.raises(SystemExit, match=refusal) as raised:
        measure()
    assert "\n" not in str(raised.value)
