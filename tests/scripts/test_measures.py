"""The measures behind a model's figures, on vectors whose worth is known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from scripts.evaluate import measures

PEOPLE, ACTIVITIES, EACH, DIM = 6, 4, 30, 16


@pytest.fixture(scope="module")
def labels():
    """Person, activity and wearing of windows: two wearings of every activity by everybody."""
    person, activity, wearing = (
        part.ravel() for part in np.meshgrid(range(PEOPLE), range(ACTIVITIES), range(2), indexing="ij")
    )
    names = [np.char.add(prefix, part.astype(str)) for prefix, part in (("p", person), ("a", activity), ("w", wearing))]
    person, activity, wearing = (np.repeat(part, EACH) for part in names)
    return person, activity, np.char.add(person, wearing)


def vectors(strength, *of):
    """Return noise around a direction of its own for each combination of labels."""
    rng = np.random.default_rng(3)
    _, which = np.unique(np.array(of), axis=1, return_inverse=True)
    centres = rng.normal(size=(which.max() + 1, DIM))
    return (strength * centres[which] + rng.normal(size=(len(which), DIM))).astype(np.float32)


def guesses(got, activity, tests):
    guessed = np.empty_like(activity)
    for test in tests:
        guessed[test] = measures.probe(got[~test], activity[~test])(got[test])
    return guessed


def test_folds_share_nobody(labels):
    person, *_ = labels
    tests = measures.folds(person)
    assert np.sum(tests, axis=0).tolist() == [1] * len(person)
    assert sum(len(set(person[test])) for test in tests) == PEOPLE


@pytest.mark.parametrize(("strength", "low", "high"), [(5, 0.99, 1.0), (0, 0.15, 0.35)])
def test_what_tells_activities_apart_is_worth_something(labels, strength, low, high):
    person, activity, _ = labels
    got, tests = vectors(strength, activity), measures.folds(person)
    assert low <= measures.probed(guesses(got, activity, tests), activity, person).value <= high
    assert low <= measures.enrolment_across(got, activity, person, tests, 5).value <= high


def test_an_interval_is_as_wide_as_people_differ(labels):
    person, activity, _ = labels
    guessed = np.where(person == "p0", "a0", activity)
    score = measures.probed(guessed, activity, person)
    assert score.low < score.value < score.high == 1.0
    same = measures.probed(activity, activity, person)
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)


def test_a_guess_nobody_taught_is_refused(labels):
    person, activity, _ = labels
    with pytest.raises(ValueError, match="expected some of"):
        measures.probed(np.full_like(activity, "b"), activity, person)


def test_an_enrolment_of_ones_own_beats_others_where_people_differ(labels):
    person, activity, wearing = labels
    got, tests = vectors(3, person, activity), measures.folds(person)
    own = measures.enrolment_worn_again(got, activity, person, wearing, 5)
    assert own.value > 0.95 > 0.5 > measures.enrolment_across(got, activity, person, tests, 5).value


def test_two_people_have_a_fold_each():
    tests = measures.folds(np.array(["ann", "bob", "ann"]))
    assert sorted(test.tolist() for test in tests) == [[False, True, False], [True, False, True]]


def test_what_noise_takes_away_is_the_difference_over_the_same_people(labels):
    person, activity, _ = labels
    worse = np.where(person < "p3", "a0", activity)
    score = measures.lost(activity, worse, activity, person)
    assert score.value == pytest.approx(1 - measures.probed(worse, activity, person).value, abs=2e-4)
    assert score.low < score.value < score.high
    assert measures.lost(worse, worse, activity, person).value == 0


def test_the_auroc_is_that_of_scikit_learn_however_often_a_row_counts():
    rng = np.random.default_rng(2)
    new, scores = rng.random(200) < 0.3, rng.integers(20, size=200) / 20  # with ties
    times = np.stack([np.ones(200, int), rng.integers(3, size=200), np.where(new, 0, 1)])
    found = measures.auroc(new, scores, times)
    for count, area in zip(times[:2], found, strict=False):
        assert area == pytest.approx(roc_auc_score(np.repeat(new, count), np.repeat(scores, count)))
    assert np.isnan(found[2])  # nothing new counts


def test_novelty_is_seen_where_it_is_and_only_there(labels):
    person, activity, _ = labels
    tests = measures.folds(person)
    apart = measures.novelty(vectors(5, activity), activity, person, tests)
    assert set(apart) == {"mean", "a0", "a1", "a2", "a3"}
    assert apart["mean"].value > 0.95
    noise = measures.novelty(vectors(0, activity), activity, person, tests)
    assert 0.4 < noise["mean"].value < 0.6


def test_who_moved_is_found_only_where_it_shows(labels):
    person, activity, wearing = labels
    shown = measures.recognised(vectors(5, person), person, wearing)
    hidden = measures.recognised(vectors(5, activity), person, wearing)
    assert shown[0].value > 0.95 and shown[1].value == 1
    assert hidden[0].value < 2 / PEOPLE


def test_a_whole_wearing_gives_away_what_a_window_only_hints_at(labels):
    person, _, wearing = labels
    window, whole = measures.recognised(vectors(0.4, person), person, wearing)
    assert window.value < 0.75 < 0.95 < whole.value


def test_a_waveform_comes_back_as_far_as_it_is_in_the_vector(labels):
    person, *_ = labels
    rng = np.random.default_rng(4)
    shapes = np.cumsum(rng.normal(size=(DIM, 32, 6)), axis=1)
    held = rng.normal(size=(len(person), DIM))
    windows = np.einsum("nd,dtc->ntc", held, shapes).astype(np.float32)
    test = measures.folds(person)[0]
    known = measures.waveform_returned(held.astype(np.float32), windows, person, test)
    unknown = measures.waveform_returned(vectors(0, person), windows, person, test)
    assert known["linear"].value > 0.99 and unknown["linear"].value < 0.1 and unknown["network"].value < 0.1


def test_neighbours_and_cosines():
    got = vectors(1, np.arange(50).astype(str))
    assert measures.neighbours_kept(got, got * 2) == 1.0
    assert measures.neighbours_kept(got, vectors(0, np.arange(50).astype(str))) < 0.5
    np.testing.assert_allclose(measures.cosines(got, -got), -1, atol=1e-6)
