"""What is measured of taught heads: what they find, whom they disturb, what they cost; on signatures of known worth."""

from types import SimpleNamespace

import numpy as np
import pytest
from made_heads import head, signatures
from made_lessons import lesson

from motionsig import open_encoder
from motionsig.blocks import concatenate
from motionsig.heads.background import Background
from motionsig.heads.card import Timing
from motionsig.heads.judging import Judge
from scripts.evaluate import gestures, heads, heads_cost, measures
from scripts.evaluate.gestures import APART_NS, COLUMNS, Gesture, Performances
from scripts.evaluate.heads import Bank, Found, Lived
from scripts.train import tables

TURN = ((0, 127, 0, 0, 0, 0),)
"""The row of a head that fires where `signatures` scores 0."""


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(measures, "BOOTSTRAPS", 20)


def performances(*streams, motion=None):
    """Return gestures with these scores, each from .5 s on for a second."""
    count = len(streams)
    starts = np.arange(count) * APART_NS
    parts = [signatures(scores, start_ns=int(start)) for scores, start in zip(streams, starts, strict=True)]
    yes = np.ones(count, bool)
    begin_ns = starts + 500_000_000
    return Performances(
        person=np.array(["ann"] * count),
        motion=np.array(motion or ["knock"] * count),
        worn=np.array(["ann"] * count),
        teaches=yes,
        asked=yes,
        examples=[part.codes for part in parts],
        signatures=concatenate(parts),
        gesture=np.repeat(np.arange(count), list(map(len, streams))),
        begin_ns=begin_ns,
        end_ns=begin_ns + 1_000_000_000,
    )


def test_a_gesture_is_found_where_an_event_overlaps_it():
    late = [0.5] * 20 + [0.95]  # begins 3.2 s after the first sample, when the gesture is long over
    shown = performances([0.5, 0.95], [0.5, 0.6], late)
    assert heads.events_in([head()], shown, np.ones(3, bool)).tolist() == [[True, False, False]]
    assert heads.events_in([head()], shown, np.array([False, True, True])).tolist() == [[False, False, False]]


def test_at_once_counts_right_and_wrong_events():
    # The second knock is found by nothing, the second turn by the head of the knock.
    shown = performances([0.95], [0.6], [0.0], [0.95], motion=["knock", "knock", "turn", "turn"])
    cards = [head("knock"), head("turn", rows=TURN)]
    got = heads.at_once(cards, ["knock", "turn"], shown, np.ones(4, bool))
    assert got == [{"right": 0.5, "wrong": 0.0, "only": 0.5}, {"right": 0.5, "wrong": 0.5, "only": 0.5}]


def test_a_share_of_nothing_is_not_told():
    assert heads._share(np.array([True, False, True]), np.array([True, True, False])) == 0.5
    assert np.isnan(heads._share(np.array([True]), np.array([False])))


def test_counter_examples_are_every_second_window_that_moves():
    shown = performances([0.1, 0.2, 0.3, 0.4, 0.5], [0.6, 0.7])
    quality = shown.signatures.quality.copy()
    quality[2] = 4  # at rest
    shown = heads.replace(shown, signatures=heads.replace(shown.signatures, quality=quality))
    assert gestures.counter_examples(shown, 0)[:, 0].tolist() == [10, 50]
    assert gestures.counter_examples(shown, 1)[:, 0].tolist() == [60]


def lived(*by_person):
    """Return the life of people with these scores, an hour each."""
    parts = [signatures(scores, start_ns=number * APART_NS) for number, scores in enumerate(by_person)]
    person = np.repeat([f"p{number}" for number in range(len(parts))], list(map(len, by_person)))
    return Lived(concatenate(parts), person, np.unique(person), np.ones(len(parts)))


def test_false_alarms_are_counted_by_person_with_all_rules_of_time():
    # 0.85 goes on with an event; what follows within the refractory time is none.
    life = lived([0.95, 0.85, 0.95, 0.2, 0.95], [0.2, 0.5], [0.95, *[0.2] * 20, 0.95])
    cards = [head(timing=Timing(0.9, 0.8)), head(timing=Timing(0.9, 0.8, refractory_s=2.56)), head(rows=TURN)]
    assert heads.false_alarms(cards, life).tolist() == [[2, 0, 2], [1, 0, 2], [1, 1, 1]]


def test_what_is_not_given_to_the_judge_changes_nothing():
    rng = np.random.default_rng(1)
    life = lived(*(np.repeat(rng.uniform(0, 1, 400), rng.integers(1, 4, 400)) for _ in range(3)))
    for refractory_s in (0.0, 2.56):
        card = head(timing=Timing(0.8, 0.72, refractory_s=refractory_s))
        assert heads.false_alarms([card], life).sum() == len(Judge([card]).judge(life.signatures)) > 50


def test_alarms_lie_in_the_interval_strictly_or_but_for_one():
    stated = [0.1, 0.05, 0.2]
    assert heads.held(2, 20.0, stated) == (True, True)
    assert heads.held(5, 20.0, stated) == (False, True)
    assert heads.held(0, 20.0, stated) == (False, True)
    assert heads.held(6, 20.0, stated) == (False, False)


def test_a_head_is_asked_in_the_half_that_it_was_taught_without():
    life = lived([0.95], [0.2], [0.95, *[0.2] * 20, 0.95], [0.2])
    halves = np.array(["p0", "p1"]), np.array(["p2", "p3"])
    measured = {"false_alarms_an_hour": [1.0, 0.5, 1.5]}
    found = [
        Found("a", "a ann", "knock", 1, {}, head(measured=measured), 0),
        Found("a", "a ann", "knock", 3, {}, head(measured=measured), 1),
        Found("a, nobody else does it", "a ann", "knock", 3),
    ]
    got = heads.disturbed(found, life, halves)
    assert [got["false_alarms_an_hour"][shots][0] for shots in ("1", "3")] == [0.5, 1.0]
    # One alarm in two hours of which at least one was stated; and two.
    assert got["interval_held"][0] == got["interval_held_but_for_one_alarm"][0] == 1.0
    assert got["heads"] == 2


def test_people_are_halved():
    people = np.array([f"p{number}" for number in range(7)])
    one, other = heads.in_halves(people)
    assert len(one) == 3 and sorted([*one, *other]) == people.tolist()


def test_a_background_lacks_the_people_who_are_asked():
    count = np.arange(4)
    life = Background(
        np.zeros((4, 8), np.int8), count < 0, np.full(4, 3600.0), count, count, count, ("a",) * 4, (("life", 4.0),)
    )
    bank = Bank(
        life,
        np.array(["w", "w", "s", "s"]),
        np.array(["p0", "p1", "p0", "p1"]),
        np.array(["walking", "walking upstairs", "eating", "walking"]),
    )
    sitting = bank.but(["walking", "running"])
    assert sitting.life.person.tolist() == [2] and sitting.person.tolist() == ["p0"]
    left = bank.without([("w", np.array(["p0"])), ("s", np.array(["p1", "p2"]))])
    assert left.person.tolist() == [1, 2] and left.sources == (("life", 2.0),)


def test_a_figure_is_the_mean_over_people_of_the_mean_over_their_heads():
    def found(unit, motion, value):
        return Found("a", unit, motion, 1, {"own": value})

    ann = [found("a ann", "x", 1.0), found("a ann", "y", 0.0), found("a ann", "z", np.nan)]
    bob = [found("a bob", "x", 1.0)]
    assert heads.over(ann + bob, "own").value == 0.75
    assert heads.over(ann, "own").value == 0.5 and heads.over(ann, "own").low < 0.5
    assert heads.row_of([found("a ann", "x", np.nan)]) == {}
    told = heads.by_shots([*ann, *bob])
    assert (told["people"], told["heads"]) == (2, 0) and told["rows"]["1"]["own"][0] == 0.75


def test_posture_is_left_aside():
    shown = performances([0.95, 0.2])
    codes = shown.signatures.codes.copy()
    codes[:, 6:] = 50
    shown = heads.replace(shown, signatures=heads.replace(shown.signatures, codes=codes), examples=[codes])
    bare = heads.without_posture(shown, SimpleNamespace(card=SimpleNamespace(motion_dim=6)))
    for got in (bare.signatures.codes, bare.examples[0]):
        assert (got[:, :6] == codes[:, :6]).all() and not got[:, 6:].any()


def written(file, **changed):
    columns = {
        "samples": np.zeros((300, 6), np.float32), "offsets": [0, 200, 300], "rate_hz": [50.0, 25.0],
        "begin_s": [1.0, 0.0], "end_s": [2.0, 4.0], "person": ["ann", "bob"], "motion": ["wave", "clap"],
        "worn": ["ann left", "bob"], "teaches": [True, False], "asked": [True, True], "how": "made up",
    }  # fmt: skip
    np.savez(file, **{key: value for key, value in (columns | changed).items() if value is not None})
    return file


def test_gestures_are_read(tmp_path):
    first, second = gestures.of_file(written(tmp_path / "a.npz"))
    assert (len(first.samples), len(second.samples)) == (200, 100)
    assert first[1:] == (50.0, 1.0, 2.0, "ann", "wave", "ann left", True, True)
    assert gestures.how_made(tmp_path / "a.npz") == "made up"
    assert set(COLUMNS) == {"samples", "offsets", *Gesture._fields}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"worn": None}, "worn not found"),
        ({"rate_hz": [50.0]}, "expected samples (300, 6) and columns of 2"),
        ({"offsets": [0, 200, 301]}, "expected samples (301, 6)"),
    ],
)
def test_gestures_that_do_not_fit_are_refused(tmp_path, changed, said):
    with pytest.raises(SystemExit, match=said.replace("(", r"\(").replace(")", r"\)")):
        list(gestures.of_file(written(tmp_path / "a.npz", **changed)))


def test_a_gesture_teaches_with_the_windows_of_a_lesson_and_a_short_one_is_left_out():
    pytest.importorskip("ai_edge_litert")
    encoder = open_encoder(device="cpu")
    samples = lesson(1.6, (1.0, 4.0), 1.6)
    going_on = lesson((5.12, 4.0))
    rows = [
        Gesture(samples, 50.0, 1.6, 2.6, "ann", "wave", "ann", True, True),
        Gesture(samples[:100], 50.0, 0.0, 2.0, "ann", "wave", "ann", True, True),
        Gesture(going_on, 50.0, 0.0, 5.12, "ann", "turn", "ann", False, True),
        Gesture(lesson(4.0), 50.0, 0.0, 4.0, "ann", "rest", "ann", True, True),
    ]
    shown = gestures.performances(rows, encoder)
    assert shown.motion.tolist() == ["wave", "turn", "rest"]
    assert list(map(len, shown.examples)) == [3, 3, 0] and shown.teaches.tolist() == [True, False, False]
    assert np.diff(shown.begin_ns).min() > APART_NS and (np.diff(shown.signatures.start_ns) > 0).all()
    assert len(shown.stream(np.array([True, False, False]))) == (shown.gesture == 0).sum()
    assert shown.end_ns - shown.begin_ns == pytest.approx([1e9, 5.12e9, 4e9])


def test_a_week_is_stored_and_searched(tmp_path):
    life = signatures([0.95, 0.2, 0.2])
    store = f"store:{tmp_path / 'week.db'}"
    heads_cost.fill(store, life, 5000)
    # Each third signature fires, 3.84 s after the last one.
    assert heads_cost.search(store, head()) == 1667
    assert heads_cost.WEEK == 472_500


def test_what_heads_hold_is_counted():
    cards = [head(f"h{number}") for number in range(20)]
    big = [head("big", rows=np.full((4000, 6), 100))]
    few, many = (heads_cost.taken_bytes(some, signatures([0.2])) for some in (cards, big))
    assert 4000 * (6 + 8 + 8 + 6 * 4) < many < 1e6 and 0 < few < many


def test_times_are_means_and_medians():
    calls = []
    assert heads_cost._median_s(lambda: calls.append(1), 3) < 0.1 and len(calls) == 4
    assert heads_cost._mean_s(calls.append, signatures([0.1, 0.2])) < 0.1 and len(calls) == 6
    assert heads_cost.machine().endswith(" cores")


def test_the_tables_say_what_was_measured():
    row = {"own": [0.9, 0.8, 1.0], "others": [0.1, 0.0, 0.2]}
    found = {
        "life": {
            "false_alarms_an_hour": {"1": [0.05, 0.01, 0.1], "3": [0.06, 0.01, 0.1]},
            "interval_held": [0.8, 0.7, 0.9], "interval_held_but_for_one_alarm": [0.95, 0.9, 1.0],
        },
        "sets": {"hapt": {"trained": False, "people": 2, "heads": 5, "rows": {"1": row, "3": row}}},
        "pooled": {"rows": {"1": row, "3": {**row, "right": [0.97, 0.9, 1.0]}}},
        "cost": {
            "ready_ms": 41.2, "heads": 50, "microseconds_alone": 55.0, "microseconds_in_a_batch": 5.0,
            "megabytes": 1.25, "stored": 472500, "search_s": 0.8,
        },
    }  # fmt: skip
    aims = tables.heads_aims(found)
    assert "| a person's own, after one performance | at least .90 | .900 [.800, 1.000] |" in aims
    assert "| up to twelve heads at once: the right event | at least .98 | .970 [.900, 1.000] |" in aims
    assert "| up to twelve heads at once: a wrong one | at most .01 | - |" in aims
    assert "| a stored week (472,500 signatures) searched, s | at most 1 | 0.80 |" in aims
    assert tables.heads(found).splitlines()[-1].startswith("| hapt | 2 | 5 | .900 [.800, 1.000] |")
    assert tables.heads_at_once(found).splitlines()[-1] == "| hapt | - | - | - | - | - | - | - | - |"
