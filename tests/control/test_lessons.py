"""Lessons at the page: a daemon on a hand that performs; what is found, kept, dropped, and lived through."""

import errno
import json
import shutil
from dataclasses import replace

import pytest
from hands import TURN, Hand, teaching
from made import wait_until

from motionsig.control import lesson_record, listening
from motionsig.control.asking import BUSY, HEAD, NOTHING, REQUEST, AskError
from motionsig.control.lessons import Lessons
from motionsig.heads import load_head
from motionsig.state import state_folder


@pytest.fixture
def hand():
    return Hand()


def kept(lesson):
    return sum(one["kept"] for one in lesson["performances"])


def performed(teach, hand, count, motion=TURN):
    """Have the hand perform so often, once it is asked to; return the lesson with so many performances more."""
    teach.until(lambda now: now["state"] == "perform")
    before = len(teach.lesson()["performances"])
    for _ in range(count):
        hand.perform(motion)
    return teach.until(lambda now: len(now["performances"]) >= before + count)


def test_three_performances_make_a_head_that_judges_at_once(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        begun = teach.begin()
        assert (begun["state"], begun["performances"], begun["said"]) == ("rest", [], None)
        lesson = performed(teach, hand, 3)
        assert lesson["state"] == "enough" and [one["kept"] for one in lesson["performances"]] == [True] * 3
        assert all(one["likeness"] > 0.7 for one in lesson["performances"])
        assert all(900 <= one["end_ms"] - one["begin_ms"] <= 1600 for one in lesson["performances"])
        assert teach.control.hearing is None  # samples come no more where nobody needs them
        head = teach.ask("lesson.end", save=True)
        assert (head["name"], head["whose"], head["given"], head["found"]) == ("turn", "page", 3, 3)
        assert head["judges"] and head["expectation"][0] == "turn: found 3 of 3" and len(head["rate"]) == 3
        assert "improve" in head["may"]
        assert teach.lesson() is None and not (state_folder() / "lesson.json").exists()
        hand.perform(TURN)
        wait_until(lambda: sum(one["events"] for one in teach.control.loop.status["heads"] if one["name"] == "turn"))
    assert load_head(state_folder() / "heads" / "turn").taught.examples.shape == (9, 64)


def test_a_performance_is_told_within_a_second_after_its_rest(tmp_path, hand, monkeypatch):
    """By the time of the samples, which stands still where the machine does."""
    late_s, hear = [], Lessons._hear

    def heard(lessons, found):
        for _, end_ms, *_ in found.performances:
            first_ms = (lessons._listening._first_ns + teach.control.loop.correction_ns) / 1e6
            late_s.append(found.seconds - (end_ms - first_ms) / 1000)
        hear(lessons, found)

    monkeypatch.setattr(Lessons, "_hear", heard)
    with teaching(tmp_path, hand) as teach:
        teach.begin(times=1)
        teach.until(lambda now: now["state"] == "perform")
        hand.perform(TURN)
        teach.until(lambda now: now["performances"])
    # The rest that ends it lasts .6 s, and the window about its middle is longer than its end.
    assert 0 < late_s[0] < 0.6 + 0.5 * 2.56 + 1.0


def test_what_is_dropped_or_refused_is_not_taught_and_can_be_kept(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        teach.begin(times=4)
        performed(teach, hand, 3)
        hand.shake()
        lesson = teach.until(lambda now: len(now["performances"]) == 4)
        odd = lesson["performances"][-1]
        assert (
            not odd["kept"] and odd["may_keep"] and "unlike the others" in odd["why"] and lesson["state"] == "perform"
        )
        assert kept(teach.ask("lesson.keep", number=odd["number"])) == 4
        assert teach.lesson()["state"] == "enough"
        lesson = teach.ask("lesson.drop", number=1)
        assert kept(lesson) == 3 and lesson["state"] == "rest" and teach.control.hearing is not None
        with pytest.raises(AskError, match="expected one from 1 to 4, got 9") as error:
            teach.ask("lesson.drop", number=9)
        assert error.value.kind == REQUEST
        assert teach.ask("lesson.end", save=True)["examples"] == 3


def test_the_odd_one_is_told_once_the_others_agree(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        teach.begin(times=4)
        performed(teach, hand, 1)
        hand.shake()
        lesson = teach.until(lambda now: len(now["performances"]) == 2)
        assert kept(lesson) == 2  # of two, nobody knows which is the odd one
        hand.perform(TURN)
        lesson = teach.until(lambda now: len(now["performances"]) == 3)
        assert [one["kept"] for one in lesson["performances"]] == [True, False, True]
        assert "unlike the others" in lesson["performances"][1]["why"] and lesson["state"] == "perform"
        teach.ask("lesson.keep", number=2)
        hand.perform(TURN)
        assert kept(teach.until(lambda now: len(now["performances"]) == 4)) == 4  # what somebody keeps stays


def test_what_is_cut_off_is_refused_in_words_and_cannot_be_kept(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        hand.perform((20, 5))
        wait_until(hand._parts.empty)
        # It stands still in the midst of that until the lesson has begun.
        hand.silent = True
        teach.begin(times=2)
        hand.silent = False
        lesson = teach.until(lambda now: now["performances"])
        assert "cut off where the lesson begins" in lesson["performances"][0]["why"]
        assert not lesson["performances"][0]["may_keep"]
        with pytest.raises(AskError, match="got one that cannot: it is cut off"):
            teach.ask("lesson.keep", number=1)
        with pytest.raises(AskError, match="at least one performance that is kept, got none") as error:
            teach.ask("lesson.end", save=True)
        assert error.value.kind == NOTHING
        assert teach.ask("lesson.end", save=False) is None
        assert teach.ask("heads") == [one for one in teach.ask("heads") if one["name"] != "turn"]


def test_a_head_gets_better_and_learns_what_it_is_not(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        with pytest.raises(AskError, match="turn"):
            teach.begin(better=True)
        teach.begin(times=2)
        performed(teach, hand, 2)
        assert teach.ask("lesson.end", save=True)["given"] == 2
        with pytest.raises(AskError, match="expected one that no head has") as error:
            teach.begin()
        assert error.value.kind == HEAD
        teach.begin(times=1, better=True)
        teach.until(lambda now: now["state"] == "perform")
        # It is compared with what the head was taught with before.
        assert performed(teach, hand, 1)["performances"][0]["likeness"] > 0.7
        assert teach.ask("lesson.end", save=True)["given"] == 3
        teach.begin(times=1, purpose="counter")
        assert performed(teach, hand, 1, motion=(0.5, -20))["performances"][0]["kept"]
        head = teach.ask("lesson.end", save=True)
        assert (head["given"], head["counter_examples"]) == (3, 3)


def test_there_is_one_lesson_and_asking_again_changes_nothing(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        lesson = teach.begin(request="a1")
        assert teach.begin(request="a1")["id"] == lesson["id"]
        with pytest.raises(AskError, match="expected no other lesson, got one of 'turn'") as error:
            teach.begin("knock")
        assert error.value.kind == BUSY
        performed(teach, hand, 3)
        head = teach.ask("lesson.end", save=True, request="e1")
        assert teach.ask("lesson.end", save=True, request="e1") == head
        with pytest.raises(AskError, match="expected a lesson that was begun") as error:
            teach.ask("lesson.end", save=True)
        assert error.value.kind == NOTHING


def test_only_codes_are_kept_of_a_lesson_and_nobody_else_reads_them(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        teach.begin()
        performed(teach, hand, 1)
        path = state_folder() / "lesson.json"
        assert path.stat().st_mode & 0o777 == 0o600
        (one,) = json.loads(path.read_text())["Record"]["performances"]
        assert len(one.pop("codes")[1]) == 256  # three windows of 64 bytes in base64
        assert set(one) == {"number", "begin_ms", "end_ms", "kept", "why", "likeness"}


def test_a_sensor_that_goes_and_comes_back_in_the_middle_is_said_and_costs_no_performance(tmp_path, hand, monkeypatch):
    monkeypatch.setattr(listening, "_SILENT_S", 60.0)
    with teaching(tmp_path, hand) as teach:
        teach.begin()
        performed(teach, hand, 1)
        hand.silent = True
        with monkeypatch.context() as silent:
            silent.setattr(listening, "_SILENT_S", 0.3)
            assert "gives nothing" in teach.until(lambda now: now["said"])["said"]
        hand.silent = False
        assert "gives samples again" in teach.until(lambda now: "again" in now["said"])["said"]
        performed(teach, hand, 1)
        assert teach.lesson()["said"] is None
        hand.broken = True
        with monkeypatch.context() as silent:
            silent.setattr(listening, "_SILENT_S", 0.3)
            teach.until(lambda now: now["said"] and "there is no sensor" in now["said"])
        hand.broken = False
        assert "was away" in teach.until(lambda now: "was away" in now["said"])["said"]
        assert performed(teach, hand, 1)["state"] == "enough"
        assert teach.ask("lesson.end", save=True)["given"] == 3


def test_a_gap_in_the_middle_is_said(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        teach.begin()
        teach.until(lambda now: now["state"] == "perform")
        hand.gap = True
        assert "samples were lost" in teach.until(lambda now: now["said"])["said"]
        performed(teach, hand, 1)


def test_without_a_performance_a_lesson_stops_and_keeps_what_it_has(tmp_path, hand, monkeypatch):
    with teaching(tmp_path, hand) as teach:
        teach.begin(times=5)
        performed(teach, hand, 2)
        monkeypatch.setattr(listening, "PATIENCE_S", 0.5)
        lesson = teach.until(lambda now: now["state"] == "stopped")
        assert "without a performance" in lesson["said"] and kept(lesson) == 2
        assert teach.control.hearing is None
        assert teach.ask("lesson.end", save=True)["given"] == 2


def test_a_service_that_starts_again_goes_on_with_what_was_found(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        first = teach.begin(request="b1")
        performed(teach, hand, 2)
    with teaching(tmp_path, again := Hand()) as teach:
        lesson = teach.lesson()
        assert lesson["id"] == first["id"] and kept(lesson) == 2
        assert "started again" in lesson["said"] and "2 performances" in lesson["said"]
        assert teach.begin(request="b1")["id"] == first["id"]
        lesson = performed(teach, again, 1)
        assert [one["number"] for one in lesson["performances"]] == [1, 2, 3] and lesson["state"] == "enough"
        assert teach.ask("lesson.end", save=True, request="e1")["given"] == 3
    with teaching(tmp_path, Hand()) as teach:
        assert Lessons not in teach.control.made


def test_a_kill_between_the_head_and_the_end_of_the_lesson_makes_no_second_one(tmp_path, hand, monkeypatch):
    class Killed(Exception):
        pass

    def die(self, ended):
        raise Killed

    with teaching(tmp_path, hand) as teach:
        teach.begin()
        performed(teach, hand, 3)
        with monkeypatch.context() as killed:
            killed.setattr(Lessons, "_note_end", die)
            with pytest.raises(AskError, match="Killed"):
                teach.ask("lesson.end", save=True, request="e1")
    with teaching(tmp_path, Hand()) as teach:
        assert teach.lesson() is None
        assert teach.ask("lesson.end", save=True, request="e1")["given"] == 3


def test_a_lesson_that_is_damaged_is_left_out(tmp_path, hand):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "lesson.json").write_text('{"version": 1, "Record": {"name": 3}}')
    with teaching(tmp_path, hand) as teach:
        assert teach.lesson() is None
        assert teach.begin()["state"] == "rest"


@pytest.mark.parametrize(
    ("name", "value"),
    [("times", "3"), ("name", "../turn"), ("state", "resting"), ("performances", [{"number": 2}]), ("said", [])],
)
def test_a_lesson_of_which_a_part_is_damaged_is_left_out(tmp_path, hand, name, value):
    with teaching(tmp_path, hand) as teach:
        teach.begin()
        performed(teach, hand, 1)
    path = state_folder() / "lesson.json"
    whole = json.loads(path.read_text())
    whole["Record"][name] = value
    path.write_text(json.dumps(whole))
    with teaching(tmp_path, Hand()) as teach:
        assert teach.lesson() is None
        assert teach.begin("knock")["performances"] == []


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_cannot_be_written_is_not_changed_and_a_head_that_is_made_is_made_once(tmp_path, hand, monkeypatch):
    with teaching(tmp_path, hand) as teach:
        teach.begin()
        performed(teach, hand, 3)
        with monkeypatch.context() as disk:
            disk.setattr(lesson_record, "replace_file", no_room)
            with pytest.raises(AskError, match="No space left"):
                teach.ask("lesson.drop", number=1)
            assert kept(teach.lesson()) == 3
        assert kept(teach.ask("lesson.drop", number=1)) == 2
        # The head is written, and the note of the lesson's end is not.
        written = lesson_record.write
        with monkeypatch.context() as disk:
            disk.setattr(
                lesson_record, "write", lambda path, it: (no_room if "ended" in path.name else written)(path, it)
            )
            assert teach.ask("lesson.end", save=True)["given"] == 2
        assert teach.lesson() is None and not (state_folder() / "lesson.json").exists()


def test_a_head_that_a_lesson_is_about_keeps_its_name_and_no_other_gets_it(tmp_path, hand):
    with teaching(tmp_path, hand) as teach:
        teach.begin(times=2)
        performed(teach, hand, 2)
        teach.ask("lesson.end", save=True)
        for better, name in ((True, "turn"), (False, "knock")):
            teach.begin(name, times=2, better=better)
            for ask, more in (("rename", {"head": "turn", "name": "knock"}), ("remove", {"head": name})):
                with pytest.raises(AskError) as error:
                    teach.ask(ask, **more)
                assert error.value.kind == (BUSY if (ask, better) != ("remove", False) else HEAD)
            performed(teach, hand, 2)
            if not better:
                # By other means: it is not written over.
                shutil.copytree(state_folder() / "heads" / "turn", state_folder() / "heads" / "knock")
                with pytest.raises(AskError, match="expected one that no head has, got knock"):
                    teach.ask("lesson.end", save=True)
                shutil.rmtree(state_folder() / "heads" / "knock")
            assert teach.ask("lesson.end", save=True)["given"] == (4 if better else 2)


def test_a_lesson_has_an_end_however_much_moves(tmp_path, hand, monkeypatch):
    monkeypatch.setattr(lesson_record, "MOST_PERFORMANCES", 4)
    with teaching(tmp_path, hand) as teach:
        teach.begin(times=5)
        performed(teach, hand, 3)
        hand.perform(TURN)
        lesson = teach.until(lambda now: now["state"] == "stopped")
        assert "4 performances are the most" in lesson["said"]
        assert teach.ask("lesson.end", save=True)["given"] == 4


def test_another_model_in_the_middle_stops_a_lesson_and_is_said(tmp_path, hand, monkeypatch):
    with teaching(tmp_path, hand) as teach:
        teach.begin()
        performed(teach, hand, 1)
        other = replace(teach.control.loop.card, fingerprint=bytes(8))
        with monkeypatch.context() as model:
            model.setattr(type(teach.control.loop), "card", property(lambda _: other))
            lesson = teach.until(lambda now: now["state"] == "stopped")
            assert "the model was changed meanwhile" in lesson["said"] and kept(lesson) == 1
        # The former one is back.
        assert teach.ask("lesson.end", save=True)["given"] == 1


def test_a_service_starts_where_the_end_of_a_lesson_cannot_be_noted(tmp_path, hand, monkeypatch):
    with teaching(tmp_path, hand) as teach:
        teach.begin(times=1)
        performed(teach, hand, 1)
        monkeypatch.setattr(Lessons, "_note_end", no_room)
        with pytest.raises(AskError, match="No space left"):
            teach.ask("lesson.end", save=True)
    with teaching(tmp_path, Hand()) as teach:
        assert [one["name"] for one in teach.ask("heads") if one["judges"]] == ["turn"]
