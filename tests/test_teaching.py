"""`motionsig.teach`: from logs, parts of logs, signatures and labels to a head, or to one line that says why not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_lessons import lesson

import motionsig
from motionsig import teach
from motionsig.blocks import SignatureBatch
from motionsig.errors import HeadError, InputError, RecordingError
from motionsig.heads.card import files_of
from motionsig.heads.teaching import HOP_NS
from motionsig.quality import Quality
from motionsig.recordings.understanding import UndecidedError
from motionsig.teaching import part_of_log

THREE = (3, (1, 5), 3, (1, 5), 3, (1, 5), 3)
DAY_HOP_NS = 1_280_000_000


def save(path, data, *, scale=1.0, **more):
    np.savez(path, acc_mps2=data[:, :3] * scale, gyr_rads=data[:, 3:], rate_hz=50, **more)
    return str(path)


def shaken(seconds, axis=4, rate=6.0):
    """Return a motion that is unlike those of `lesson`."""
    t = np.arange(round(seconds * 50)) / 50
    data = np.random.default_rng(5).normal(0, 0.003, (len(t), 6)) + np.array([0, 0, 9.81, 0, 0, 0])
    data[:, axis] += rate * np.sin(2 * np.pi * 5 * t)
    data[:, 1] += 15 * np.sin(2 * np.pi * 5 * t)
    return data


@pytest.fixture(scope="module")
def encoder():
    with motionsig.open_encoder(device="cpu") as opened:
        yield opened


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    rest = lesson(3)
    save(folder / "three.npz", lesson(*THREE))
    save(folder / "again.npz", lesson(*THREE, seed=1))
    save(folder / "odd.npz", np.concatenate([rest, shaken(1.5), rest]))
    save(folder / "moves.npz", lesson((30, 5)))
    save(folder / "rest.npz", lesson(30))
    save(folder / "short.npz", lesson(0.8))
    save(folder / "g.npz", lesson(*THREE), scale=1 / 9.80665)
    save(folder / "nan.npz", lesson(*THREE) * np.nan)
    save(folder / "a@1-2.npz", lesson(*THREE))
    np.savez(folder / "no_gyroscope.npz", acc_mps2=lesson(*THREE)[:, :3], rate_hz=50)
    (folder / "empty.csv").write_text("")
    (folder / "junk.csv").write_bytes(bytes(range(256)) * 9)
    (folder / "cut.npz").write_bytes((folder / "three.npz").read_bytes()[:3000])
    (folder / "folder").mkdir()
    return folder


@pytest.fixture(autouse=True)
def heads(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    return tmp_path / "heads"


@pytest.fixture
def given(logs, encoder):
    """Teach "turn" with logs by their names."""

    def teach_it(*names, name="turn", **more):
        return teach(name, [str(logs / each) for each in names], encoder=encoder, **more)

    return teach_it


def days(encoder, hours, *, at_rest=False, seed=0):
    count = round(hours * 3600 / 1.28)
    codes = np.random.default_rng(seed).integers(-60, 60, (count, 64)).astype(np.int8)
    quality = np.full(count, Quality.AT_REST if at_rest else 0, np.uint8)
    return SignatureBatch(10**18 + np.arange(count) * DAY_HOP_NS, codes, quality, DAY_HOP_NS, encoder.card.spec)


def test_a_lesson_teaches_a_head_that_finds_the_motion_elsewhere(given, logs, encoder, heads):
    head = given("three.npz")
    assert (head.card.measured["given"], head.card.measured["found"]) == (3, 3)
    assert head.card.hop_ns == HOP_NS and not head.card.is_state
    with motionsig.open_recording(logs / "again.npz") as log:
        found = [event for batch in motionsig.signatures(log, encoder, hop=8) for event in head.judge(batch)]
    assert len(found) == 3
    assert files_of(head.card) == files_of(given("three.npz").card)
    head.save()
    assert motionsig.open_head("turn").card.fingerprint == head.card.fingerprint


def test_several_logs_parts_paths_and_signatures(given, logs, encoder):
    assert given("three.npz", "again.npz").card.measured["given"] == 6
    assert given("three.npz@6-9").card.measured["given"] == 1
    assert given("a@1-2.npz", "a@1-2.npz@6-12").card.measured["given"] == 5
    assert teach("turn", logs / "three.npz", encoder=encoder).card.measured["given"] == 3
    head = given("three.npz")
    one = head.card.taught.examples[:3]
    batch = SignatureBatch(np.arange(3) * HOP_NS, one, np.zeros(3, np.uint8), HOP_NS, encoder.card.spec)
    assert np.array_equal(teach("turn", [batch], encoder=encoder).card.taught.examples, one)


def test_a_part_without_a_rest_is_one_performance(given, logs):
    refused = []
    head = given("moves.npz@10-14", refused=refused)
    assert head.card.measured["given"] == 1 and not refused
    assert len(head.card.taught.examples) == 3


def test_a_part_takes_its_times_from_the_beginning_of_the_log(given):
    refused = []
    with pytest.raises(InputError, match=r"three.npz at 4.6 s: it is too still"):
        given("three.npz@4.6-5.6", refused=refused)
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("three.npz@5-3", InputError, "expected an end after the start, got 5 and 3 s"),
        ("three.npz@5-5", InputError, "expected an end after the start"),
        ("three.npz@1..-3", InputError, "expected LOG@START-END in seconds, got '1..' and '3'"),
        ("three.npz@100-200", InputError, "expected samples from 100 to 200 s, got none"),
        ("three.npz@16-200", InputError, "expected samples from 16 to 200 s, got none"),
        ("three.npz@-5-3", RecordingError, "No such file"),
        ("missing.csv", RecordingError, "No such file"),
        ("empty.csv", RecordingError, "got an empty file"),
        ("junk.csv", RecordingError, "its formats: "),
        ("cut.npz", RecordingError, "expected an intact zip"),
        ("nan.npz", RecordingError, "expected numbers, got NaN"),
        ("no_gyroscope.npz", RecordingError, "expected columns for gyr_x, gyr_y, gyr_z"),
        ("g.npz", RecordingError, "In which unit is the acceleration?"),
        ("folder", RecordingError, "a folder with nothing in it"),
        ("rest.npz", InputError, "expected at least one performance, got none .no motion between two rests"),
        ("moves.npz", InputError, "expected at least one performance, got none .*it goes on for|it is cut off"),
        ("short.npz", InputError, r"at 0.0 s: expected 2.56 s of samples without a gap, got 0\.\d+"),
    ],
)
def test_what_cannot_be_taught_with_is_one_line_that_says_why(given, name, error, said):
    with pytest.raises(error, match=said) as refused:
        given(name)
    asked = isinstance(refused.value, UndecidedError)  # a line for each question
    assert asked or "\n" not in str(refused.value)


def test_a_readers_options_are_passed_on(given):
    assert given("g.npz", options={"acc_unit": "g", "gyr_unit": "rad/s"}).card.measured["given"] == 3


def test_signatures_at_rest_of_none_or_of_another_encoder_are_no_performance(encoder):
    still = days(encoder, 0.01, at_rest=True)
    for batch, why in ((still, "signatures: none of them moves"), (still[:0], "signatures: there are none")):
        with pytest.raises(InputError, match=why):
            teach("turn", batch, encoder=encoder)
    foreign = replace(still, spec=replace(still.spec, fingerprint=bytes(8)))
    for more in ({"examples": foreign}, {"normal": foreign}):
        with pytest.raises(InputError, match=r"signatures: expected those of encoder .* do not compare"):
            teach("turn", encoder=encoder, **more)


def test_the_odd_one_is_left_out_and_said(given):
    refused = []
    head = given("three.npz", "odd.npz", refused=refused)
    assert head.card.measured["given"] == 3
    (one,) = refused
    assert "odd.npz at " in one.where and one.why.startswith("it is unlike the others: ")


def test_better_adds_examples_and_keeps_the_old_ones_and_the_settings(given, logs):
    old = given("odd.npz", least_s=0.5, most_s=6.0)
    better = given("three.npz", better=old, hold_s=1.0)
    assert np.array_equal(better.card.taught.examples[:3], old.card.taught.examples)
    assert better.card.measured["given"] == 4 and better.card.taught.performance.max() == 3
    timing = better.card.timing
    assert (timing.least_s, timing.most_s, timing.hold_s) == (0.5, 6.0, 1.0)
    wrong = given(better=better.card, against=str(logs / "moves.npz@2-8"))
    assert len(wrong.card.taught.against) == 19 and wrong.card.measured["given"] == 4  # every .32 s
    assert len(given(better=wrong, against=str(logs / "moves.npz@9-14")).card.taught.against) > len(
        wrong.card.taught.against
    )
    # What is unlike all that the head knows is left out, whatever there was before.
    refused = []
    assert (
        given("odd.npz", better=given("three.npz"), refused=refused).card.measured["given"] == 3 and len(refused) == 1
    )


def test_better_of_another_encoder_or_kind_is_refused(given, encoder):
    with pytest.raises(InputError, match="its examples do not compare; teach it anew"):
        given("three.npz", better=replace(given("three.npz").card, encoder=bytes(8)))
    with pytest.raises(InputError, match="expected one taught by performances, got a state head"):
        given("three.npz", better=teach("machine", state="moving", encoder=encoder))


def test_a_counter_example_may_be_shorter_than_a_window_and_has_to_move(given, logs):
    head = given("three.npz", against=str(logs / "odd.npz@3.5-4"))
    assert 1 <= len(head.card.taught.against) <= 3
    for nothing in ("rest.npz", "short.npz"):
        with pytest.raises(InputError, match=rf"against: expected 2.56 s or more of motion, got none in .*{nothing}"):
            given("three.npz", against=str(logs / nothing))
    with pytest.raises(InputError, match="expected examples of it with those that it is not"):
        given(against=str(logs / "odd.npz"))


def test_normal_life_joins_the_other_peoples(given, encoder, tmp_path):
    day = days(encoder, 1)
    head = given("three.npz", normal=day)
    assert head.card.measured["from"].endswith("h of other people and things, 1.0 h of your own days")
    for url in (f"store:{tmp_path / 'mine.db'}", f"file:{tmp_path / 'mine.cbor'}"):
        with motionsig.open_sink(url, device="wrist", stream_id=1) as sink:
            sink.publish(day)
        assert given("three.npz", normal=[url]).card.measured["hours"] == head.card.measured["hours"]


def test_normal_life_from_a_log(given, logs):
    with pytest.raises(InputError, match="two hours or more"):
        given(normal=[str(logs / "moves.npz")], name="odd")
    assert "0.0 h of your own days" in given("three.npz", normal=str(logs / "moves.npz@0-20")).card.measured["from"]


def test_normal_life_alone_is_a_novelty(given, encoder):
    head = given(normal=days(encoder, 3), name="odd")
    assert (head.card.kind, head.card.is_state, head.card.timing.hold_s, head.card.timing.least_s) == (
        "novelty", True, 10.0, 10.0,
    )  # fmt: skip
    assert given(normal=days(encoder, 3), name="odd", least_s=0.0, hold_s=3.0).card.timing.hold_s == 3.0
    with pytest.raises(InputError, match=r"expected two hours or more of normal life .*, got 1.0 h"):
        given(normal=days(encoder, 1), name="odd")
    with pytest.raises(InputError, match=r"got 0.0 h"):
        given(normal=days(encoder, 3, at_rest=True), name="odd")


def test_a_model_without_a_background_needs_normal_life(given, encoder, monkeypatch):
    monkeypatch.setattr("motionsig.teaching.load_background", lambda card: None)
    with pytest.raises(InputError, match=r"expected a background of other life .*: give hours of normal life"):
        given("three.npz")
    head = given("three.npz", normal=days(encoder, 1))
    assert head.card.measured["from"] == "1.0 h of your own days"
    with pytest.raises(InputError, match="expected at least 300 signatures of other life, got 28"):
        given("three.npz", normal=days(encoder, 0.01))
    # A night at rest, and nothing else: no figure is made up.
    head = given("three.npz", normal=days(encoder, 1, at_rest=True))
    assert head.card.measured["false_alarms_an_hour"] == [0.0, 0.0, 3.0]


@pytest.mark.parametrize("state", ["moving", "still"])
def test_a_state(encoder, state, heads):
    head = teach("machine", state=state, encoder=encoder)
    assert (head.card.kind, head.card.at_rest) == ("state", {"moving": "lowest", "still": "highest"}[state])
    assert head.card.timing.hold_s == head.card.timing.least_s == 10.0
    head.save()
    assert motionsig.open_head("machine").card.fingerprint == head.card.fingerprint


def test_what_does_not_go_together_is_refused(given, encoder, logs):
    for names, more, said in (
        ((), {}, "expected examples of it, normal life, or a state, got none of them"),
        ((), {"state": "flying"}, "state: expected moving or still, got 'flying'"),
        (("three.npz",), {"state": "moving"}, "expected a state alone"),
        ((), {"state": "moving", "against": str(logs / "odd.npz")}, "expected a state alone"),
        ((), {"state": "moving", "most_s": 3.0}, "most_s: expected none for a state"),
        ((), {"labels": "activity"}, "expected labels with examples alone"),
        (("three.npz",), {"labels": "activity", "hold_s": 3.0}, "expected labels with examples alone"),
        (("three.npz",), {"most_an_hour": -1}, "most_an_hour: expected a number above 0, got -1"),
        (("three.npz",), {"least_s": 3, "most_s": 1}, "most_s: expected at least least_s"),
        (("three.npz",), {"after": ("x", -1)}, "after: expected seconds|expected one of"),
    ):
        with pytest.raises((InputError, HeadError), match=said):
            given(*names, **more)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 65, "ä"])
def test_a_name_that_no_head_can_have_is_refused(given, name):
    with pytest.raises(InputError, match="name: expected 1 to 64 of"):
        given("three.npz", name=name)


def test_heads_that_it_needs_have_to_be_there(given, encoder, logs):
    for more in ({"while_head": "nothing"}, {"after": ("nothing", 5.0)}):
        with pytest.raises(HeadError, match="'nothing'") as refused:
            given("missing.csv", **more)  # said before any log is read
        asked = isinstance(refused.value, UndecidedError)  # a line for each question
    assert asked or "\n" not in str(refused.value)
    given("odd.npz", name="shake").save()
    teach("machine", state="moving", encoder=encoder).save()
    with pytest.raises(HeadError, match="expected a state as while, got 'shake', which gives events"):
        given("three.npz", while_head="shake")
    head = given("three.npz", while_head="machine", after=("shake", 5.0))
    assert head.card.while_head == "machine" and head.card.after == ("shake", 5.0)
    assert given("again.npz", better=head).card.after == ("shake", 5.0)
    head.save()
    with pytest.raises(HeadError, match="waits for itself"):
        given("odd.npz", name="shake", after=("turn", 1.0))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    for number in range(4):
        for what, axis in (("walk", 5.0), ("sit", 0.3)):
            place = folder / what
            place.mkdir(exist_ok=True)
            data = lesson((60, axis), seed=number)
            save(place / f"{number}.npz", data, activity=np.full(len(data), what))
    return folder


@pytest.mark.parametrize("labels", ["activity", "folder"])
def test_labelled_logs_teach_a_state(labelled, encoder, labels):
    files = sorted(labelled.glob("*/*.npz"))
    head = teach("walk", files, labels=labels, encoder=encoder)
    assert (head.card.kind, head.card.is_state, head.card.name) == ("linear", True, "walk")
    assert head.card.measured["recall"] > 0.8
    assert teach("idle", files, labels=labels, label=["sit"], encoder=encoder).card.measured["recall"] > 0.8
    with pytest.raises(InputError, match=r"labels: .*'fly'"):
        teach("fly", files, labels=labels, encoder=encoder)


def test_a_part_of_a_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("log@1-2").write_text("")
    assert part_of_log("log@1-2") == ("log@1-2", 0.0, None)
    assert part_of_log("log@1-2@3-4.5") == ("log@1-2", 3.0, 4.5)
    assert part_of_log("log@1-3") == ("log", 1.0, 3.0)
    assert part_of_log(Path("log")) == ("log", 0.0, None)
    assert part_of_log("me@home.csv") == ("me@home.csv", 0.0, None)
