"""How often a child may be started."""

import time

import pytest

from motionsig.encoders.edgetpu import Limits, Starts


def test_pauses_grow_up_to_a_bound_and_end_with_another_device():
    starts = Starts(Limits(retry_s=0.5, starts=10_000, per_s=600.0))
    pauses = []
    for _ in range(2000):
        starts.add()
        starts.ended()
        pauses.append(round(starts.wait_s()))
    assert pauses[:6] == [0, 1, 2, 4, 8, 16] and set(pauses[12:]) == {600}
    starts.reset_pause()
    assert starts.wait_s() == 0


def test_so_many_starts_are_allowed_in_a_time(monkeypatch):
    now_s = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    starts = Starts(Limits(retry_s=0.0, starts=3, per_s=0.3))
    for _ in range(3):
        assert not starts.spent and starts.wait_s() == 0
        starts.add()
        starts.ended()
    assert starts.spent and starts.wait_s() == pytest.approx(0.3)
    now_s[0] += 0.31
    assert not starts.spent and starts.wait_s() == 0
