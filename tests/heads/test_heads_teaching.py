"""Heads made of signatures: level, counter-examples, the odd one, novelty and rest; and that they can be read again."""

import json

import numpy as np
import pytest
from made_heads import ENCODER, SPEC, START_NS
from made_life import background

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError
from motionsig.heads import Judge, load_head
from motionsig.heads import teaching as made
from motionsig.heads.card import CARD_NAME, After, files_of
from motionsig.heads.places import write_head
from motionsig.heads.teaching import LEAST_LIKE, MOST_LIKE, Wish
from motionsig.quality import Quality
from motionsig.quantization import Group, Quantization

PLAIN = SignatureSpec(ENCODER, Quantization((Group(16, 1 / 32, 0),)), 16, 2_560_000_000)
HOP_NS = 160_000_000
DAY_HOP_NS = 1_280_000_000


def near(direction, count, spread=0.1, seed=0):
    """Return (count, 16) codes about a unit vector."""
    rng = np.random.default_rng(seed)
    values = np.asarray(direction, float) + spread * rng.normal(size=(count, 16)) / 4
    return np.rint(values / np.linalg.norm(values, axis=1, keepdims=True) * 100).astype(np.int8)


KNOCK, CLAP = np.eye(16)[0], np.eye(16)[1]
LIFE = background(near(np.zeros(16), 4000, 1.0, seed=5))
THREE = [near(KNOCK, 3, 0.3, seed=seed) for seed in (1, 2, 3)]


def batch(codes, *, start_ns=START_NS, hop_ns=HOP_NS, at_rest=(), spec=PLAIN):
    quality = np.zeros(len(codes), np.uint8)
    quality[list(at_rest)] = Quality.AT_REST
    return SignatureBatch(start_ns + np.arange(len(codes)) * hop_ns, codes, quality, hop_ns, spec)


def knock(performances=THREE, **more):
    return made.of_performances("knock", performances, PLAIN, more.pop("life", LIFE), **more)


def events(card, codes, **more):
    judge = Judge([card])
    return judge.judge(batch(codes, **more)) + judge.flush()


def test_it_finds_another_performance_once_and_nothing_else():
    card = knock()
    stream = np.concatenate([near(CLAP, 20), near(KNOCK, 3, 0.3, seed=9), near(CLAP, 20)])
    (event,) = events(card, stream)
    assert (event.head, event.phase, event.start_ns) == ("knock", "once", START_NS + 20 * HOP_NS)
    # A sensor at rest performs nothing, whatever its signature.
    assert events(card, stream, at_rest=(20, 21, 22)) == []


def test_what_it_says_of_itself():
    card = knock()
    assert card.measured["given"] == card.measured["found"] == 3
    assert card.measured["hours"] == round(LIFE.hours, 1) and card.measured["from"] == str(LIFE)
    rate, low, high = card.measured["false_alarms_an_hour"]
    assert 0 <= low <= rate <= high and high >= float(f"{3 / LIFE.hours:.2g}")
    assert card.measured["hop_s"] == 0.16 and card.hop_ns == HOP_NS
    assert card.taught.performance.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert np.array_equal(card.taught.examples, np.concatenate(THREE))
    assert card.timing.off == pytest.approx(0.9 * card.timing.on) and card.timing.refractory_s == 2.56


def test_one_performance_is_found_by_nothing():
    assert knock(THREE[:1]).measured["found"] is None


def test_taught_twice_it_has_the_same_bytes(tmp_path):
    assert files_of(knock()) == files_of(knock())
    write_head(knock(), tmp_path / "knock")
    assert load_head(tmp_path / "knock").fingerprint == knock().fingerprint


def test_the_level_is_higher_where_life_is_like_it_and_lower_where_more_is_allowed():
    close = background(np.concatenate([LIFE.codes, near(KNOCK, 200, 0.6, seed=7)]))
    strict, loose = (knock(life=close, wish=Wish(most_an_hour=wished)) for wished in (0.1, 100))
    assert LEAST_LIKE <= loose.timing.on < knock().timing.on < strict.timing.on <= MOST_LIKE
    assert strict.measured["would_fire_at"] in ([], ["life"]) and loose.measured["would_fire_at"] == ["life"]
    # Nothing can be asked that would leave out a second performance.
    same = background(np.concatenate([LIFE.codes, near(KNOCK, 400, 0.05, seed=7)]))
    assert knock(life=same, wish=Wish(most_an_hour=1e-6)).timing.on == MOST_LIKE


def test_life_at_rest_counts_for_nothing():
    close = np.concatenate([LIFE.codes, near(KNOCK, 400, 0.6, seed=7)])
    at_rest = np.arange(len(close)) >= len(LIFE.codes)
    resting = knock(life=background(close, at_rest=at_rest))
    assert resting.timing.on < knock(life=background(close)).timing.on
    assert resting.measured["would_fire_at"] == []


def test_nothing_but_rest_in_life_is_a_rate_of_its_hours(tmp_path):
    card = knock(life=background(LIFE.codes, at_rest=np.ones(len(LIFE), bool)))
    assert card.measured["false_alarms_an_hour"] == [0.0, 0.0, float(f"{3 / LIFE.hours:.2g}")]
    assert card.timing.on == LEAST_LIKE
    write_head(card, tmp_path / "knock")


def test_a_counter_example_is_not_taken_and_raises_the_level():
    like = near(KNOCK + 0.6 * CLAP, 40, 0.1, seed=4)
    plain, taught = knock(), knock(against=like[:10])
    assert len(events(plain, like[20:30])) == 1 and events(taught, like[20:30]) == []
    assert taught.timing.on > plain.timing.on
    assert np.array_equal(taught.taught.against, like[:10])
    assert len(events(taught, near(KNOCK, 3, 0.3, seed=9))) == 1


def test_a_performance_that_is_nearer_to_a_counter_example_is_not_found():
    assert knock(against=np.concatenate(THREE)).measured["found"] == 0
    assert knock(against=near(CLAP, 5)).measured["found"] == 3


def test_of_many_counter_examples_those_most_like_it_are_kept(tmp_path):
    like = near(KNOCK + 0.6 * CLAP, 10, 0.1, seed=4)
    card = knock(against=np.concatenate([near(CLAP, 6000), like]))
    assert len(card.taught.against) == made.MOST_AGAINST
    assert np.array_equal(card.taught.against[-10:], like)
    write_head(card, tmp_path / "knock")


def test_too_many_performances_are_refused_and_as_many_as_may_be_can_be_read_again(tmp_path):
    many = [near(KNOCK, 3, 0.3, seed=seed) for seed in range(made.MOST_EXAMPLES // 3)]
    write_head(knock(many, against=near(CLAP, 3000)), tmp_path / "knock")
    with pytest.raises(InputError, match="head knock: expected performances of 3,000 signatures, got 3,003"):
        knock([*many, many[0]])


def test_no_performance_and_no_life_are_refused():
    for nothing in ([], [np.zeros((0, 16), np.int8)]):
        with pytest.raises(InputError, match="head knock: expected performances, got none"):
            knock(nothing)
    with pytest.raises(InputError, match="expected at least 300 signatures of other life, got 299"):
        knock(life=background(LIFE.codes[:299]))


def test_codes_with_zero_points_are_refused():
    with pytest.raises(InputError, match="zero points of 0"):
        made.of_performances("knock", [np.ones((3, 8), np.int8)], SPEC, background(np.ones((400, 8), np.int8)))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"most_an_hour": 0}, "most_an_hour: expected a number above 0, got 0"),
        ({"most_an_hour": float("nan")}, "most_an_hour: expected a number above 0"),
        ({"most_an_hour": float("inf")}, "most_an_hour: expected a number above 0"),
        ({"least_s": -1}, "least_s: expected seconds from 0 to a week, got -1"),
        ({"hold_s": float("nan")}, "hold_s: expected seconds"),
        ({"most_s": 1e9}, "most_s: expected seconds"),
        ({"least_s": 5, "most_s": 1}, "most_s: expected at least least_s, 5 s, got 1"),
        ({"after": After("knock", -1)}, "after: expected seconds from 0 to a week, got -1"),
    ],
)
def test_a_wish_that_no_head_can_have_is_refused(wish, said):
    with pytest.raises(InputError, match=said):
        Wish(**wish)


def test_what_was_wished_is_in_the_head():
    card = knock(wish=Wish(least_s=0.5, most_s=4, hold_s=1, while_head="walking", after=After("clap", 9)))
    assert (card.timing.least_s, card.timing.most_s, card.timing.hold_s) == (0.5, 4, 1)
    assert (card.while_head, card.after) == ("walking", After("clap", 9))


def test_likeness_is_the_cosine_to_the_nearest_however_many_there_are(monkeypatch):
    codes, examples = near(KNOCK, 50, 2.0), near(CLAP, 7, 2.0, seed=1)
    a, b = codes.astype(float), examples.astype(float)
    cosines = (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    whole = made.likeness(codes, examples)
    assert np.allclose(whole, cosines.max(axis=1))
    monkeypatch.setattr(made, "_AT_ONCE", 21)
    assert np.array_equal(made.likeness(codes, examples), whole)
    assert made.likeness(codes[:0], examples).shape == (0,)


def test_each_is_asked_of_the_others():
    own = made.asked_of_the_others(THREE)
    for at, value in enumerate(own):
        others = np.concatenate([one for other, one in enumerate(THREE) if other != at])
        assert value == made.likeness(THREE[at], others).max()
    assert len(made.asked_of_the_others(THREE[:1])) == 0


def test_the_odd_one_of_three_or_more_is_told():
    odd = near(CLAP, 3)
    for at in range(4):
        shown = [*THREE[:at], odd, *THREE[at:]]
        (one,) = made.unlike_the_others(shown)
        assert one.number == at and one.likeness < 0.5 and one.usual > 0.9
    assert [one.number for one in made.unlike_the_others([THREE[0], odd, THREE[1]])] == [1]


def test_of_two_or_of_all_different_none_is_odd():
    assert made.unlike_the_others([THREE[0], near(CLAP, 3)]) == []
    assert made.unlike_the_others([near(row, 3) for row in np.eye(16)[:4]]) == []
    assert made.unlike_the_others(THREE) == [] == made.unlike_the_others([])


def test_hundreds_of_performances_take_no_time():
    many = [near(KNOCK, 3, 0.3, seed=seed) for seed in range(400)]
    assert made.unlike_the_others(many) == []  # with a comparison of each three, this would take minutes


def walks(hours, *, start_ns=START_NS, seed=0):
    count = round(hours * 3600 / 1.28)
    return batch(near(KNOCK, count, 0.5, seed=seed), start_ns=start_ns, hop_ns=DAY_HOP_NS)


def test_a_novelty_tells_what_is_unlike_all_of_normal_life_and_when_it_is_over():
    card = made.of_normal_life("odd", [walks(4)])
    assert (card.kind, card.is_state, card.timing.least_s, card.timing.hold_s) == ("novelty", True, 10.0, 10.0)
    assert len(card.weights.rows) <= made.NORMAL_ROWS and len(card.taught.examples) == 0
    stream = np.concatenate([near(KNOCK, 60, 0.5, seed=8), near(CLAP, 60), near(KNOCK, 60, 0.5, seed=9)])
    began, ended = events(card, stream, hop_ns=DAY_HOP_NS)
    assert (began.phase, ended.phase) == ("began", "ended")
    assert abs(began.start_ns - START_NS - 60 * DAY_HOP_NS) <= 3 * DAY_HOP_NS
    rate, low, high = card.measured["false_alarms_an_hour"]
    assert low <= rate <= high and rate <= 0.1 + 1 / 2
    assert card.measured["from"] == f"{card.measured['hours']:.1f} h of your own days" == "2.0 h of your own days"
    assert files_of(card) == files_of(made.of_normal_life("odd", [walks(4)]))


def test_a_novelty_may_be_told_more_often_where_that_is_wished():
    strict, loose = (made.of_normal_life("odd", [walks(4)], wish=Wish(most_an_hour=a)) for a in (1e-6, 60))
    assert loose.timing.on < strict.timing.on
    assert strict.measured["false_alarms_an_hour"][0] == 0.0


def test_too_little_normal_life_or_life_at_rest_is_refused():
    still = walks(3)
    still = batch(still.codes, hop_ns=DAY_HOP_NS, at_rest=range(len(still) - 2000))
    for days, hours in (([], 0.0), ([walks(1.9)], 1.9), ([still], 0.7), ([walks(1)[:0]], 0.0)):
        with pytest.raises(InputError, match=rf"two hours or more .* in which something moves, got {hours} h"):
            made.of_normal_life("odd", days)


def test_days_whose_clock_began_anew_each_time_are_told_apart():
    card = made.of_normal_life("odd", [walks(0.7, start_ns=0, seed=seed) for seed in range(3)])
    assert card.measured["hours"] >= 1


def test_rows_are_spread_over_all_of_life():
    few = np.concatenate([near(KNOCK, 5000, 0.05), near(CLAP, 5)])
    rows = made._spread_out(few, 8)
    assert made.likeness(near(CLAP, 1), rows).max() > 0.9 and len(rows) == 8
    assert len(made._spread_out(few[:1].repeat(50, axis=0), 8)) == 1


@pytest.mark.parametrize("moving", [True, False])
def test_a_state_of_rest(moving, tmp_path):
    card = made.of_rest("machine", PLAIN, moving=moving)
    codes, rest = near(KNOCK, 300), range(100, 200)
    told = [(event.phase, (event.start_ns - START_NS) // HOP_NS) for event in events(card, codes, at_rest=rest)]
    if moving:
        assert told == [("began", 0), ("ended", 0), ("began", 200), ("ended", 200)]
    else:
        assert told == [("began", 100), ("ended", 100)]
    # A pause of less than ten seconds ends nothing.
    assert len(events(card, codes[:100], at_rest=[0, *range(30, 80)])) == 2
    write_head(card, tmp_path / "machine")


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.69), (1, 0.013, 5.57), (10, 4.80, 18.39), (100, 81.4, 121.6)]
)
def test_the_interval_of_a_count_is_that_of_the_tables_nearly(count, low, high):
    got = made.poisson_interval(count)
    assert got[0] == pytest.approx(low, rel=0.03, abs=0.01) and got[1] == pytest.approx(high, rel=0.02)


def test_rates_are_told_with_two_digits(tmp_path):
    write_head(knock(), tmp_path / "knock")
    told = json.loads((tmp_path / "knock" / CARD_NAME).read_text())["measured"]
    assert all(float(f"{value:.2g}") == value for value in told["false_alarms_an_hour"])
