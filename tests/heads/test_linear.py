"""Linear heads: one direction from labelled signatures, and levels and times from signatures that did not teach."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_heads import HOP_NS, SPEC, head, signatures

from motionsig.errors import InputError
from motionsig.events import BEGAN, ENDED
from motionsig.heads.card import HIGHEST, LINEAR, LOWEST, Timing
from motionsig.heads.judging import Judge
from motionsig.heads.labelled import course, of_labels
from motionsig.heads.linear import balanced, linear
from motionsig.heads.scoring import rows_of, weigh

EVERY = round(1e9 / HOP_NS)


def cloud(rng, count, mean):
    """Return (count, 6) int8 codes about a direction."""
    return np.rint(40 * np.array(mean) + rng.normal(0, 12, (count, 6))).astype(np.int8)


def day(seed, parts, *, hop_ns=HOP_NS):
    """Return a stream of signatures; parts: (label, seconds), of which "dig" moves in a way of its own."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.full(round(seconds * EVERY), label) for label, seconds in parts])
    batch = signatures(np.zeros(len(labels)), hop_ns=hop_ns)
    codes = batch.codes.copy()
    for row, label in enumerate(labels.tolist()):
        codes[row, :6] = cloud(rng, 1, (1, 1, 0, 0, 0, 0) if label == "dig" else (0, 1, 1, 0, 0, 0))[0]
    return replace(batch, codes=codes, labels=labels)


DAYS = [day(seed, [("rest", 40), ("dig", 60), ("", 5), ("sow", 60)]) for seed in range(3)]


def test_what_is_positive_scores_one_on_average_and_the_rest_zero():
    rng = np.random.default_rng(0)
    codes = np.concatenate([cloud(rng, 300, (1, 1, 0, 0, 0, 0)), cloud(rng, 900, (0, 1, 1, 0, 0, 0))])
    positive = np.arange(1200) < 300
    weights = linear(codes, positive, np.ones(1200))
    assert weights.rows.shape == (1, 6) and weights.rows.dtype == np.int8
    scores = weigh(codes.astype(np.float32), rows_of([weights]))[:, 0]
    assert scores[positive].mean() == pytest.approx(1, abs=0.01)
    assert scores[~positive].mean() == pytest.approx(0, abs=1e-6)
    assert (scores[positive] > 0.5).mean() > 0.97 and (scores[~positive] < 0.5).mean() > 0.97
    again = linear(codes, positive, np.ones(1200))
    assert np.array_equal(again.rows, weights.rows) and (again.scale, again.offset) == (weights.scale, weights.offset)


def test_weights_say_what_counts():
    rng = np.random.default_rng(0)
    codes = np.concatenate([cloud(rng, 200, (1, 0, 0, 0, 0, 0)), cloud(rng, 200, (0, 1, 0, 0, 0, 0))])
    codes = np.concatenate([codes, cloud(rng, 200, (0, 0, 1, 0, 0, 0))])
    positive = np.arange(600) < 200
    weight = np.where(np.arange(600) < 400, 1.0, 0.0)
    ignored, counted = linear(codes, positive, weight), linear(codes, positive, np.ones(600))
    assert abs(int(ignored.rows[0, 2])) < 30 and counted.rows[0, 2] < -50


def test_sides_that_do_not_differ_give_finite_weights():
    codes = np.ones((10, 6), np.int8)
    weights = linear(codes, np.arange(10) < 5, np.ones(10))
    assert np.isfinite(weights.scale).all() and np.isfinite(weights.offset).all()


def test_a_group_counts_as_the_root_of_its_size():
    positive = np.array([True] * 4 + [False] * 5)
    weight = balanced(positive, np.array([0] * 4 + [0] * 4 + [1]))
    np.testing.assert_allclose(weight, [0.5] * 8 + [1.0])


@given(
    steps=st.lists(st.tuples(st.integers(0, 10), st.sampled_from([1, 1, 1, 2, 4])), min_size=1, max_size=60),
    on=st.integers(3, 9),
    below=st.integers(0, 3),
    least=st.integers(0, 6),
    hold=st.integers(0, 6),
)
def test_what_is_chosen_by_is_what_a_judge_tells(steps, on, below, least, hold):
    scores = np.array([score / 10 for score, _ in steps])
    at = np.cumsum([step for _, step in steps]) - 1
    there = np.zeros(at[-1] + 1)
    there[at] = scores
    missing = np.setdiff1d(np.arange(len(there)), at)
    timing = Timing(on / 10 - 0.01, (on - below) / 10 - 0.02, least * HOP_NS / 1e9, None, hold * HOP_NS / 1e9)
    judge = Judge([head(is_state=True, timing=timing)])
    events = judge.judge(signatures(there, missing=missing)) + judge.flush()
    found = course(scores, at * HOP_NS, HOP_NS, timing)
    assert [event.seq for event in events if event.phase == BEGAN] == found[:, 1].tolist()
    ended = [event for event in events if event.phase == ENDED]
    assert [event.seq for event in ended] == found[:, 2].tolist()
    start_ns = signatures(there, missing=missing).start_ns
    assert [event.start_ns for event in ended] == start_ns[found[:, 0]].tolist()


def test_a_head_from_labels_tells_when_it_began_and_ended():
    card = of_labels("digging", DAYS[:2], "dig", SPEC)
    assert (card.kind, card.is_state, card.codes, card.hop_ns) == (LINEAR, True, (0, 6), HOP_NS)
    assert not len(card.taught.examples)
    judge = Judge([card])
    events = judge.judge(DAYS[2]) + judge.flush()
    assert [event.phase for event in events] == [BEGAN, ENDED]
    begin_s, end_s = ((at - DAYS[2].start_ns[0]) / 1e9 for at in (events[1].start_ns, events[1].end_ns))
    assert begin_s == pytest.approx(40, abs=2) and end_s == pytest.approx(100, abs=5)
    measured = card.measured
    assert measured["recall"] > 0.9 and measured["false_alarms"] == 0
    assert measured["hours"] == pytest.approx(2 * 100 / 3600, abs=0.01)
    assert measured["from"] == "2 recordings, judged by what others taught"


def test_whoever_is_held_out_is_held_out_as_a_whole():
    card = of_labels("digging", DAYS, "dig", SPEC, whose=["a", "a", "b"])
    assert card.measured["from"].endswith("judged by what others taught")
    alone = of_labels("digging", DAYS, "dig", SPEC, whose=["a", "a", "a"])
    assert "stretches" in alone.measured["from"]
    assert np.array_equal(card.weights.rows, alone.weights.rows)


def test_one_recording_is_enough():
    card = of_labels("digging", DAYS[:1], ["dig"], SPEC)
    assert "other stretches of 30 s" in card.measured["from"] and card.measured["recall"] > 0.9


def test_the_same_labels_give_the_same_head():
    assert of_labels("a", DAYS, "dig", SPEC).fingerprint == of_labels("a", DAYS, "dig", SPEC).fingerprint


def test_what_is_taken_for_it_is_named():
    # What "sow" is in one recording is digging in the others.
    odd = day(9, [("dig", 60), ("sow", 60)])
    odd = replace(odd, labels=np.where(odd.labels == "dig", "sow", odd.labels))
    card = of_labels("digging", [*DAYS, odd], "dig", SPEC, wish=60)
    assert card.measured["would_fire_at"] == ["sow"] and card.measured["false_alarms"] >= 1
    low, high = card.measured["false_alarms_an_hour"][1:]
    assert 0 < low < card.measured["false_alarms_an_hour"][0] < high


@pytest.mark.parametrize(("at_rest", "phases"), [(HIGHEST, [BEGAN, ENDED]), (LOWEST, [])])
def test_a_sensor_at_rest_is_what_the_head_says_of_it(at_rest, phases):
    card = of_labels("digging", DAYS, "dig", SPEC, at_rest=at_rest)
    judge = Judge([card])
    resting = signatures([0.0] * 200, at_rest=range(200))
    assert [event.phase for event in judge.judge(resting) + judge.flush()] == phases


@pytest.mark.parametrize(
    ("batches", "labels", "message"),
    [
        (DAYS, "reap", "labels: expected some of 'dig', 'rest', 'sow', got 'reap'"),
        (DAYS, "", "labels: expected some of 'dig', 'rest', 'sow', got ''"),
        (DAYS, ["dig", "reap"], "expected some of 'dig', 'rest', 'sow', got 'reap'"),
        ([replace(DAYS[0], labels=None)], "dig", "labels: expected some of none, got 'dig'"),
        ([], "dig", "labels: expected some of none, got 'dig'"),
        ([day(0, [("dig", 60), ("sow", 1)])], "dig", "at least 20 signatures of 'dig' and as many of other life, got"),
        ([day(0, [("dig", 1), ("sow", 60)])], "dig", "at least 20 signatures of 'dig' and as many of other life, got"),
        ([day(0, [("dig", 20), ("sow", 5)])], "dig", "expected both sides in more than one recording or stretch"),
        ([replace(DAYS[0], spec=replace(SPEC, fingerprint=b"12345678"))], "dig", "expected those of encoder"),
        ([DAYS[0], replace(DAYS[1], hop_ns=1)], "dig", "expected those of encoder"),
    ],
)
def test_what_cannot_teach_is_refused_in_one_line(batches, labels, message):
    with pytest.raises(InputError) as error:
        of_labels("digging", batches, labels, SPEC)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_as_many_persons_as_batches():
    with pytest.raises(InputError, match="whose: expected one for each of 3 batches, got 2"):
        of_labels("digging", DAYS, "dig", SPEC, whose=["a", "b"])
