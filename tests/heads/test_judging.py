"""Scores become events: when they begin, when they are told, how states hold, and that no cut changes any of it."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_heads import HOP_NS, SPEC, START_NS, head, signatures

from motionsig.blocks import SignatureBatch
from motionsig.errors import HeadError, InputError
from motionsig.events import ENDED
from motionsig.heads.card import HIGHEST, NOVELTY, SCORED, STATE, After, Taught, Timing, Weights
from motionsig.heads.judging import Judge
from motionsig.heads.scoring import Scoring

LENGTH_NS = SPEC.length_ns


def found(card, scores, **more):
    judge = Judge([card])
    return judge.judge(signatures(scores, **more)) + judge.flush()


def rows_of(events):
    """Return phase, first and last signature of each event."""
    return [
        (one.phase, (one.start_ns - START_NS) / HOP_NS, (one.end_ns - LENGTH_NS - START_NS) / HOP_NS) for one in events
    ]


def test_an_event_is_told_with_the_first_signature_that_is_above_and_once():
    events = found(head(), [0, 0.5, 0.95, 0.97, 0.85, 0.95, 0.5, 0.95])
    assert rows_of(events) == [("once", 2, 2), ("once", 7, 7)]
    first = events[0]
    assert (first.device, first.stream_id, first.seq, first.head) == ("local", 0, 2, "knock")
    assert first.fingerprint == head().fingerprint
    assert first.score == pytest.approx(0.95, abs=0.005)


def test_below_on_it_goes_on_but_does_not_begin():
    assert rows_of(found(head(), [0.85, 0.89, 0.85])) == []
    state = head(is_state=True)
    assert rows_of(found(state, [0.85, 0.95, 0.85, 0.5])) == [("began", 1, 1), ("ended", 1, 2)]


def test_what_is_too_short_is_not_told():
    timed = head(timing=Timing(0.9, 0.8, least_s=0.32))
    assert rows_of(found(timed, [0.95, 0.95, 0, 0.95, 0.95, 0.95, 0.95])) == [("once", 3, 5)]


def test_with_a_longest_duration_it_is_told_at_its_end():
    timed = head(timing=Timing(0.9, 0.8, most_s=0.16))
    assert rows_of(found(timed, [0.95, 0.95, 0, 0.95, 0.95, 0.95, 0, 0.95])) == [("once", 0, 1), ("once", 7, 7)]


def test_after_an_event_none_begins_for_a_while():
    timed = head(timing=Timing(0.9, 0.8, refractory_s=0.5))
    scores = [0.95, 0, 0, 0.95, 0.95, 0.95, 0.95, 0, 0.95]
    # The second one begins within the half second, and is none although it lasts longer than that.
    assert rows_of(found(timed, scores)) == [("once", 0, 0), ("once", 8, 8)]


def test_a_state_holds_through_a_moment_below():
    state = head(is_state=True, timing=Timing(0.9, 0.8, hold_s=0.48))
    assert rows_of(found(state, [0.95, 0, 0, 0.85, 0, 0, 0, 0.95])) == [
        ("began", 0, 0),
        ("ended", 0, 3),
        ("began", 7, 7),
        ("ended", 7, 7),
    ]


def test_a_gap_ends_a_state_that_does_not_hold_for_so_long():
    state = head(is_state=True, timing=Timing(0.9, 0.8, hold_s=0.48))
    assert rows_of(found(state, [0.95] * 6, missing=(2, 3))) == [("began", 0, 0), ("ended", 0, 5)]
    assert rows_of(found(state, [0.95] * 6, missing=(1, 2, 3))) == [
        ("began", 0, 0),
        ("ended", 0, 0),
        ("began", 4, 4),
        ("ended", 4, 5),
    ]


def test_a_clock_that_is_set_back_ends_what_is_under_way():
    judge = Judge([head(is_state=True, timing=Timing(0.9, 0.8, hold_s=60, refractory_s=10))])
    before = judge.judge(signatures([0.95, 0.95]))
    later = judge.judge(signatures([0.95], start_ns=START_NS - 3600 * 10**9))
    assert [one.phase for one in before + later] == ["began", "ended", "began"]
    assert [one.seq for one in before + later] == [0, 1, 2]


def test_the_name_of_an_event_is_that_of_its_last_signature():
    judge = Judge([head(is_state=True, timing=Timing(0.9, 0.8, hold_s=0.32))])
    judge.begin(7, 100, device="hall")
    events = judge.judge(signatures([0, 0.95, 0.95]))
    judge.begin(8, 0, device="hall")
    events += judge.judge(signatures([0, 0, 0], start_ns=START_NS + 3 * HOP_NS))
    assert [(one.stream_id, one.seq, one.phase) for one in events] == [(7, 101, "began"), (7, 102, "ended")]


@pytest.mark.parametrize(
    ("at_rest", "expected"),
    [("lowest", []), (SCORED, [0]), (HIGHEST, [0, 2])],
)
def test_a_sensor_at_rest_is_scored_as_the_head_says(at_rest, expected):
    card = head(at_rest=at_rest)
    assert [one.seq for one in found(card, [0.95, 0, 0.1], at_rest=[0, 2])] == expected


@pytest.mark.parametrize(("at_rest", "expected"), [(HIGHEST, [("began", 2, 2), ("ended", 2, 3)]), ("lowest", [
    ("began", 0, 0), ("ended", 0, 1), ("began", 4, 4), ("ended", 4, 4),
])])  # fmt: skip
def test_still_and_moving_are_told_by_the_flag_alone(at_rest, expected):
    card = head(kind=STATE, rows=(), at_rest=at_rest, is_state=True, timing=Timing(0.5, 0.5))
    assert rows_of(found(card, [0.1] * 5, at_rest=[2, 3])) == expected


def test_a_novelty_is_what_no_row_is_like():
    scores = Scoring([head(kind=NOVELTY, rows=((127, 0, 0, 0, 0, 0), (0, 127, 0, 0, 0, 0)))])(signatures([1, 0, 0.6]))
    assert scores[:, 0] == pytest.approx([0, 0, 0.2], abs=0.01)


def test_while_another_state_holds():
    state = head("walking", is_state=True, rows=((0, 127, 0, 0, 0, 0),))
    # A signature that gives the one .6 gives the other .8, one of .3 gives it .95.
    events = Judge([head(timing=Timing(0.2, 0.1), while_head="walking"), state]).judge(signatures([0.6, 0.3, 0.6]))
    assert [(one.head, one.phase, one.seq) for one in events] == [
        ("walking", "began", 1),
        ("knock", "once", 1),
        ("walking", "ended", 1),
    ]


def test_while_a_state_goes_on_and_not_only_when_it_was_told():
    # A signature that gives the one .6 gives the other .8, one of .3 gives it .95.
    state = head("walking", is_state=True, rows=((0, 127, 0, 0, 0, 0),), timing=Timing(0.75, 0.5))
    knock = head(while_head="walking", timing=Timing(0.55, 0.5))
    events = Judge([knock, state]).judge(signatures([0.3, 0.5, 0.5, 0.6, 0.5]))
    assert [(one.head, one.seq) for one in events] == [("walking", 0), ("knock", 3)]


@pytest.mark.parametrize(("within_s", "expected"), [(10, 1), (0.1, 0)])
def test_after_another_event(within_s, expected):
    first = head("first", rows=((0, 127, 0, 0, 0, 0),))
    second = head("second", after=After("first", within_s))
    events = Judge([second, first]).judge(signatures([0.95, 0.5, 0, 0.5] + [0.5] * 20 + [0.95]))
    assert [one.head for one in events].count("second") == expected
    assert events[-1].head == ("second" if expected else "first")


def test_heads_that_wait_for_one_another_are_refused():
    with pytest.raises(HeadError, match="waits for itself, got a for b for a"):
        Judge([head("a", after=After("b", 1)), head("b", after=After("a", 1))])
    with pytest.raises(HeadError, match="expected the head 'b', which it needs"):
        Judge([head("a", while_head="b")])
    with pytest.raises(HeadError, match="expected a state as while, got 'b'"):
        Judge([head("a", while_head="b"), head("b")])
    with pytest.raises(HeadError, match="got 'a' twice"):
        Judge([head("a"), head("a")])
    with pytest.raises(HeadError, match="heads of one encoder"):
        Judge([head("a"), head("b", encoder=bytes(8))])


def test_signatures_of_another_encoder_are_refused():
    with pytest.raises(
        InputError, match="expected signatures of encoder 0000000000000000, got those of 00112233aabbcc"
    ):
        Judge([head(encoder=bytes(8))]).judge(signatures([0]))
    assert Judge([head(encoder=bytes(8))]).judge(signatures([])) == []


def many():
    """Return heads of every kind, that need one another."""
    rng = np.random.default_rng(5)
    rows = rng.integers(-127, 128, (3, 6)).tolist()
    return [
        head("c", rows=rows, timing=Timing(0.7, 0.5, least_s=0.2, refractory_s=1), after=After("b", 2)),
        head("a", rows=rows[:1], timing=Timing(0.4, 0.3, hold_s=0.4), is_state=True, kind="linear", at_rest=SCORED),
        head("b", rows=rows[1:], timing=Timing(0.6, 0.4, most_s=0.5), while_head="a"),
        head("n", kind=NOVELTY, rows=rows, timing=Timing(0.5, 0.4, hold_s=1), is_state=True),
        head("m", kind=STATE, rows=(), at_rest="lowest", is_state=True, timing=Timing(0.5, 0.5, hold_s=0.3)),
        head("p", rows=(), kind=STATE, at_rest=HIGHEST, is_state=True, timing=Timing(0.5, 0.5), codes=(0, 6)),
        head("d", rows=rows[:1], timing=Timing(0.5, 0.4, refractory_s=0.5)),
        head("e", rows=rows[1:2], timing=Timing(0.5, 0.4), at_rest=SCORED),
    ]


def stream(seed, count=120):
    """Return a walk through the codes, with gaps, rests, and a clock that is set back once."""
    rng = np.random.default_rng(seed)
    codes = np.clip(np.cumsum(rng.normal(0, 25, (count, 8)), axis=0), -128, 127).astype(np.int8)
    quality = (rng.random(count) < 0.2).astype(np.uint8) * 4
    step = np.where(rng.random(count) < 0.05, 10, 1)
    step[count // 2] = -30
    return SignatureBatch(START_NS + np.cumsum(step) * HOP_NS, codes, quality, HOP_NS, SPEC)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 120), max_size=30))
def test_any_cut_and_any_pause_gives_the_same_events(seed, cuts):
    whole = stream(seed)
    judge = Judge(many())
    expected = judge.judge(whole) + judge.flush()
    again, got = Judge(many()), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(whole)], strict=True):
        got += again.judge(whole[begin:end])
        again = copy.deepcopy(again)
    assert got + again.flush() == expected
    assert len({one.key for one in expected}) == len(expected)


def test_the_streams_of_the_property_bring_events_of_every_head():
    heads = {one.head for seed in range(20) for one in Judge(many()).judge(stream(seed))}
    assert heads == {card.name for card in many()}


def test_scores_are_those_of_exact_integers():
    made = stream(3)
    for card in many()[:4]:
        scores = Scoring([card])(made)[:, 0]
        for row in range(len(made)):
            codes = [int(it) for it in made.codes[row, :6]]
            length = np.sqrt(float(sum(it * it for it in codes)) or 1.0)
            dots = [sum(w * c for w, c in zip(map(int, one), codes, strict=True)) for one in card.weights.rows]
            best = max(dot / length * scale for dot, scale in zip(dots, card.weights.scale.tolist(), strict=True))
            expected = 1 - best if card.kind == NOVELTY else best
            assert scores[row] == (expected if card.at_rest == SCORED or not made.quality[row] else -np.inf)


def test_what_is_nearer_to_a_counter_example_is_not_taken():
    against = np.array([[0, 100, 0, 0, 0, 0, 3, 3]], np.int8)
    plain, warned = head(), head(taught=Taught(np.zeros((0, 8), np.int8), np.zeros(0, np.uint16), against))
    made = signatures([0.95, 0.8, 0.6])
    assert Scoring([plain])(made)[:, 0] == pytest.approx([0.95, 0.8, 0.6], abs=0.01)
    assert Scoring([warned])(made)[:, 0] == pytest.approx([0.95, 0.8, -np.inf], abs=0.01)


ONE, OTHER = head("one"), head("other", rows=((0, 127, 0, 0, 0, 0),))


def contest(scores, *cards):
    """Return head, first and last signature of what is told; `other` scores the root of 1 less the square of each."""
    judge = Judge(cards or (ONE, OTHER))
    events = judge.judge(signatures(scores)) + judge.flush()
    return [(event.head, rows[1], rows[2], event.seq) for event, rows in zip(events, rows_of(events), strict=True)]


def test_of_several_taught_motions_the_nearest_one_is_told_once():
    # First the other one is nearest (.3 gives it .95), then the one is nearer still.
    assert contest([0.7, 0.3, 0.3, 0.98, 0.99, 0.99, 0.99, 0.99, 0.7]) == [("one", 1, 5, 5)]
    # .64 s are four signatures; what comes later in the same motion does not count.
    patient = [
        head(card.name, rows=card.weights.rows, timing=Timing(0.9, 0.8, refractory_s=1)) for card in (ONE, OTHER)
    ]
    assert contest([0.7, 0.3, 0.3, 0.3, 0.3, 0.3, 0.99, 0.99, 0.7], *patient) == [("other", 1, 5, 5)]


def test_what_is_over_before_is_told_at_its_end():
    assert contest([0.7, 0.3, 0.98, 0.7, 0.7]) == [("one", 1, 2, 2)]
    assert contest([0.7, 0.3]) == [("other", 1, 1, 1)]
    assert contest([0.99]) == [("one", 0, 0, 0)]


def test_the_nearest_one_has_its_own_level():
    strict = head("one", timing=Timing(0.999, 0.9))
    assert contest([0.98, 0.7], strict, OTHER) == []
    assert contest([0.7, 0.3, 0.98, 0.98, 0.7], strict, OTHER) == []
    assert contest([0.7, 0.3, 0.98, 0.98, 0.7], ONE, OTHER) == [("one", 1, 3, 3)]


def test_a_head_that_competes_with_none_does_not_wait():
    assert contest([0.7, 0.99, 0.7], ONE) == [("one", 1, 1, 1)]
    state = head("state", rows=((0, 127, 0, 0, 0, 0),), is_state=True)
    timed = head("timed", rows=((0, 127, 0, 0, 0, 0),), timing=Timing(0.9, 0.8, least_s=0.1))
    assert contest([0.7, 0.99, 0.7], ONE, state, timed) == [("one", 1, 1, 1)]


def test_after_a_motion_none_of_them_begins_for_a_while():
    patient = [
        head(card.name, rows=card.weights.rows, timing=Timing(0.9, 0.8, refractory_s=1)) for card in (ONE, OTHER)
    ]
    scores = [0.99, 0.7, 0.7, 0.3, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.3, 0.7]
    assert contest(scores, *patient) == [("one", 0, 0, 0), ("other", 10, 10, 10)]
    assert [one[0] for one in contest(scores)] == ["one", "other", "other"]


def test_what_goes_on_does_not_hide_what_begins_later():
    # Both at .7071: the one began, and goes on at its `off`; the other one begins when the second is over.
    timing = Timing(0.75, 0.6, refractory_s=1)
    lasting = [head(card.name, rows=card.weights.rows, timing=timing) for card in (ONE, OTHER)]
    goes_on = [0.8, *[0.78] * 10]
    assert contest([*goes_on, 0.62, 0.62, 0.78, 0.78, 0.7], *lasting) == [("one", 0, 4, 4), ("other", 11, 15, 15)]
    assert contest([*goes_on, *[0.7] * 30], *lasting) == [("one", 0, 4, 4)]
    # It is told once, also where another one begins and is less near; within the second, nothing begins.
    wide = [lasting[0], head("other", rows=OTHER.weights.rows, timing=Timing(0.65, 0.64, refractory_s=1))]
    assert contest([0.8, *[0.78] * 10, 0.75, 0.75, 0.75, 0.9], *wide) == [("one", 0, 4, 4)]
    assert contest([0.8, 0.78, 0.78, 0.78, 0.78, 0.78, *[0.62] * 10], *lasting) == [("one", 0, 4, 4)]


def test_a_gap_ends_a_contest():
    events = found_by([ONE, OTHER], [0.99, 0.99, 0.3, 0.3], missing=(1,))
    assert [(event.head, event.seq) for event in events] == [("one", 0), ("other", 2)]


@pytest.mark.parametrize("others", [[ONE], [OTHER], [OTHER, ONE], [ONE, OTHER, head("third", rows=((-127,) * 6,))], []])
def test_heads_that_are_exchanged_within_a_motion_take_it_away_from_nobody_and_tell_it_once(others):
    made = signatures([0.7, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.7])
    for cut in range(2, 9):
        former, following = Judge([ONE, OTHER]), Judge(others)
        events = former.judge(made[:cut]) + following.follow_on(former)
        events += following.judge(made[cut:]) + following.flush()
        assert [event.head for event in events] == ["one"], cut


@pytest.mark.parametrize("more", [[], [OTHER]])
def test_a_head_that_competes_alone_goes_on_when_others_join_it(more):
    patient = head("one", timing=Timing(0.9, 0.8, refractory_s=1))
    made = signatures([0.99, 0.7, 0.7, 0.99, 0.7])
    former, following = Judge([patient]), Judge([patient, *more])
    assert len(former.judge(made[:2])) == 1
    assert following.follow_on(former) == []
    assert following.judge(made[2:]) + following.flush() == [], "within the second after the first one"


@pytest.mark.parametrize("cards", [[ONE], [ONE, OTHER]])
def test_after_a_flush_what_comes_begins_anew(cards):
    cards = [head(one.name, rows=one.weights.rows, timing=Timing(0.9, 0.8, refractory_s=2.56)) for one in cards]
    judge, clip = Judge(cards), signatures([0.99, 0.7], start_ns=0)
    # As extract makes of one array after the other, unless it is told when each began.
    for _ in range(3):
        assert [event.head for event in judge.judge(clip) + judge.flush()] == ["one"]


def test_after_a_flush_no_event_is_one_after_those_before():
    knock, later = head("knock"), head("later", rows=((0, 127, 0, 0, 0, 0),), after=After("knock", 5.0))
    for flushed in (False, True):
        judge = Judge([knock, later])
        events = judge.judge(signatures([0.95, 0.7]))
        events += judge.flush() if flushed else []
        events += judge.judge(signatures([0.0], start_ns=START_NS + 2 * HOP_NS))
        assert [event.head for event in events] == ["knock", *([] if flushed else ["later"])]


def found_by(cards, scores, **more):
    judge = Judge(cards)
    return judge.judge(signatures(scores, **more)) + judge.flush()


def test_an_event_may_come_after_one_of_a_contest():
    later = head("later", rows=((0, 0, 127, 0, 0, 0),), timing=Timing(-1, -1, least_s=0.3), after=After("other", 5))
    events = found_by([ONE, OTHER, later], [0.7, 0.3, 0.7, 0.7, 0.7])
    assert [event.head for event in events] == ["other", "later"]


def test_a_head_for_posture_leaves_out_the_zero_point():
    weights = Weights(np.array([[100, 0]], np.int8), np.array([0.01]), np.zeros(1))
    card = head(codes=(6, 8), weights=weights)
    made = signatures([0.0])
    codes = made.codes.copy()
    codes[0, 6:] = (13, 3)  # the zero point is 3
    lying = SignatureBatch(made.start_ns, codes, made.quality, HOP_NS, SPEC)
    assert Scoring([card])(lying)[0, 0] == 1.0


def test_no_signature_gives_no_event():
    assert Judge([head()]).judge(signatures([])) == []
    assert Judge([]).judge(signatures([0.95])) == []
    assert Judge([head()]).flush() == []


def test_heads_that_stay_go_on_and_those_that_go_end():
    walking, knock = head("walking", is_state=True), head("knock")
    after = head("after", after=After("knock", 5.0), rows=((0, 127, 0, 0, 0, 0),))
    made = signatures([0.95, 0.95, 0.0, 0.0, 0.95])
    alone, former = Judge([walking]), Judge([walking, knock, after])
    expected = alone.judge(made)
    got = [event for event in former.judge(made[:1]) if event.head == "walking"]
    judge = Judge([after, knock, walking])
    assert judge.follow_on(former) == []
    rest = judge.judge(made[1:])
    assert got + [event for event in rest if event.head == "walking"] == expected
    assert any(event.head == "after" for event in rest), "the knock came before the change"
    # Taught anew, it is another head; its state ends, as does that of one which is gone.
    for others in ([head("walking", is_state=True, timing=Timing(0.9, 0.7))], []):
        judge, following = Judge([walking]), Judge(others)
        (began,) = judge.judge(made[:1])
        (ended,) = following.follow_on(judge)
        assert (ended.phase, ended.fingerprint, ended.start_ns) == (ENDED, began.fingerprint, began.start_ns)
        assert following.flush() == []
