"""Movements found from a few examples, and false alarms, on vectors whose worth is known."""

import numpy as np
import pytest

from scripts.evaluate import few_shot, measures, movements
from scripts.evaluate.movements import HOP, Life, Movements, Recording, where

DIM, PEOPLE = 24, 20


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(measures, "BOOTSTRAPS", 20)


def life(rng, vectors=None):
    """An hour and a half of each of 20 people: 540 slots of 4 windows."""
    slots = 540 * PEOPLE
    person = np.repeat([f"w{number:02d}" for number in range(PEOPLE)], 540 * 4)
    if vectors is None:
        vectors = rng.normal(size=(len(person), DIM))
    slot = np.repeat(np.arange(slots), 4)
    return Life(measures.unit(vectors), person, np.full(len(person), "life"), slot, np.arange(len(person)))


def own(rng, strength):
    """Three movements by four people: forty examples and ten occasions of nine windows each."""
    rows = [(who, what) for who in range(4) for what in range(3) for _ in range(130)]
    part = np.tile(np.arange(130), 12)
    person, activity = (np.array([f"{letter}{row[column]}" for row in rows]) for column, letter in ((0, "p"), (1, "a")))
    centres = rng.normal(size=(4, 3, DIM))
    vectors = np.array([strength * centres[row] for row in rows]) + rng.normal(size=(len(rows), DIM))
    occasion = np.where(part >= 40, np.repeat(np.arange(12), 130) * 10 + (part - 40) // 9, -1)
    return Movements(measures.unit(vectors), person, person, activity, part < 40, occasion, part)


def test_what_is_clear_is_found_and_false_alarms_are_about_as_many_as_allowed():
    rng = np.random.default_rng(1)
    got = few_shot.found(own(rng, 6), life(rng), draws=1)
    assert got["0.1"]["5"]["found"][0] > 0.95
    assert 0.3 < got["1"]["5"]["false_alarms_an_hour"][0] < 3
    assert got["0.1"]["5"]["false_alarms_an_hour"][0] < got["1"]["5"]["false_alarms_an_hour"][0]


def test_what_is_noise_is_not_found():
    rng = np.random.default_rng(1)
    got = few_shot.found(own(rng, 0), life(rng), draws=1)
    assert got["0.1"]["1"]["found"][0] < 0.2


def test_the_half_that_sets_the_threshold_has_exactly_what_is_allowed():
    rng = np.random.default_rng(1)
    lived = life(rng)
    half, others = few_shot._halves(lived)
    assert len(half) == len(others) == 10 and not set(half) & set(others)
    # The other half lives what the first half does, so it has as many alarms.
    same = np.isin(lived.person, half)
    vectors = np.empty_like(lived.vectors)
    vectors[same] = vectors[~same] = lived.vectors[same]
    got = few_shot.found(own(rng, 6), life(rng, vectors), draws=1)
    assert got["1"]["1"]["false_alarms_an_hour"][0] == pytest.approx(1.0)
    assert got["0.1"]["1"]["false_alarms_an_hour"][0] == pytest.approx(1 / 15, abs=1e-4)


def test_alarms_in_ten_seconds_are_one():
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    names = np.array(["w"] * 4)
    lived = Life(vectors, names, names, np.array([0, 0, 0, 1]), np.arange(4))
    assert few_shot._peaks(lived, vectors[:1]).tolist() == [1, 0]
    assert lived.hours_of(np.array(["w"])).tolist() == [20 / 3600]


def test_the_right_movement_counts_alone():
    rng = np.random.default_rng(1)
    mine = own(rng, 6)
    swapped = where(mine, np.ones(len(mine.phase), bool))
    asked = swapped.occasion >= 0
    swapped.activity[asked] = np.array([{"a0": "a1", "a1": "a2", "a2": "a0"}[a] for a in mine.activity[asked]])
    assert few_shot.found(swapped, life(rng), draws=1)["1"]["5"]["found"][0] < 0.05


def recording(seconds, number=0, again=False):
    return Recording(np.zeros((round(seconds * 50), 6), np.float32), 50.0, "ann", "wave", "wrist", "r", number, again)


def windows_of(record):
    return movements._windows(record)


def test_examples_and_occasions_share_no_sample():
    record = recording(30)
    windows = windows_of(record)
    assert len(windows) == (1500 - 128) // HOP + 1
    example, occasion = movements._halves(record, windows)
    start = np.arange(len(windows)) * HOP
    assert (start[example] + 128).max() <= start[occasion >= 0].min()
    assert set(occasion) == {-1, 0, 1}
    for number in (0, 1):  # an occasion is two windows long
        assert np.ptp(start[occasion == number]) == 128


def test_a_digit_is_where_it_turns_most():
    record = recording(5)
    record.samples[180:200, 3:] = 2
    example, occasion = movements._recordings_apart(record, windows_of(record))
    assert example.sum() == 1 and (occasion == -1).all()
    start = int(example.argmax()) * HOP
    assert start <= 180 and start + 128 >= 200
    later = recording(5, number=movements.KNOWN_RECORDINGS)
    example, occasion = movements._recordings_apart(later, windows_of(later))
    assert not example.any() and (occasion == 0).all()


def test_a_later_wearing_is_asked():
    first, again = recording(12), recording(12, again=True)
    assert movements._wearings(first, windows_of(first))[0].all()
    example, occasion = movements._wearings(again, windows_of(again))
    assert not example.any() and set(occasion) == {-1, 0, 1}
