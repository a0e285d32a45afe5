"""The same request changes something once, whoever else asks meanwhile."""

import threading
import time

import pytest

from motionsig.control.answered import Answered
from motionsig.control.asking import FAILED, REQUEST, AskError


class Change:
    """Something that is done when the test says so; counts how often."""

    def __init__(self):
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.error, self.times = None, 0

    def __call__(self):
        self.times += 1
        self.begun.set()
        assert self.may_end.wait(60)
        error, self.error = self.error, None
        if error is not None:
            raise error
        return self.times


def asking(answered, request, asked, change, answers):
    def ask():
        try:
            answers.append(answered.once(request, asked, change))
        except AskError as error:
            answers.append(error.kind)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


@pytest.fixture
def answered(tmp_path):
    return Answered(tmp_path / "answered.json")


def test_the_same_request_waits_for_its_answer_and_another_one_does_not(answered, tmp_path):
    change, answers = Change(), []
    threads = [asking(answered, "a", {"ask": "pause"}, change, answers) for _ in range(4)]
    assert change.begun.wait(60)
    assert answered.once("b", {"ask": "pause"}, lambda: "other") == "other"
    with pytest.raises(AskError, match="expected a new one") as error:
        answered.once("a", {"ask": "remove"}, lambda: "never")
    assert error.value.kind == REQUEST and answers == []
    change.may_end.set()
    for thread in threads:
        thread.join()
    assert answers == [1] * 4 and change.times == 1
    assert Answered(tmp_path / "answered.json").once("a", {"ask": "pause"}, change) == 1


def test_after_an_error_who_waited_does_it(answered):
    change, answers = Change(), []
    change.error = AskError(FAILED, "no")
    threads = [asking(answered, "a", {"ask": "pause"}, change, answers) for _ in range(3)]
    assert change.begun.wait(60)
    change.may_end.set()
    for thread in threads:
        thread.join()
    assert change.times == 2 and sorted(map(str, answers)) == ["2", "2", FAILED]


def test_a_clock_that_is_set_changes_nothing_twice(tmp_path, monkeypatch):
    change = iter(range(9))
    now_s = 1_700_000_000.0
    for step_s in (0, -7200, 30 * 86_400):
        monkeypatch.setattr(time, "time", lambda at_s=now_s + step_s: at_s)
        assert Answered(tmp_path / "answers").once("r1", {"ask": "x"}, lambda: next(change)) == 0
