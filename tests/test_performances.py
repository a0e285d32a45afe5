"""Performances are found between rests, whatever a rest is on this sensor; what is cut off is said to be."""

import numpy as np
import pytest
from made_lessons import RATE_HZ, lesson

from motionsig.performances import EDGE_S, REST_S, find_performances


def seconds(found):
    return [(one.begin / RATE_HZ, one.end / RATE_HZ) for one in found]


@pytest.mark.parametrize("noise", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("rate", [3.0, 10.0])
def test_each_motion_between_rests_is_found(noise, rate):
    found = find_performances(lesson(2, (1, rate), 1.5, (0.5, rate), 1, (3, rate), 2, noise=noise), RATE_HZ)
    expected = [(2, 3), (4.5, 5), (6, 9)]
    assert np.abs(np.array(seconds(found)) - expected).max() < 0.25
    assert all(one.whole for one in found)
    assert np.abs([one.middle / RATE_HZ - sum(at) / 2 for one, at in zip(found, expected, strict=True)]).max() < 0.1


def test_a_weak_motion_of_a_quiet_sensor_is_found():
    assert len(find_performances(lesson(2, (0.6, 0.1), 2, noise=0.2), RATE_HZ)) == 1


def test_pauses_within_a_motion_do_not_end_it_and_rests_do():
    pause, rest = REST_S - 0.3, REST_S + 0.3
    assert len(find_performances(lesson(2, (0.4, 5), pause, (0.4, 5), 2), RATE_HZ)) == 1
    assert len(find_performances(lesson(2, (0.4, 5), rest, (0.4, 5), 2), RATE_HZ)) == 2


def test_what_the_lesson_cuts_off_is_not_whole():
    found = find_performances(lesson((1, 5), 2, (1, 5), 2, (1, 5)), RATE_HZ)
    assert [one.whole for one in found] == [False, True, False]
    assert [one.whole for one in find_performances(lesson(EDGE_S + 0.3, (1, 5), EDGE_S + 0.3), RATE_HZ)] == [True]


def test_a_lesson_without_a_rest_is_one_performance():
    assert [one.whole for one in find_performances(lesson((4, 5)), RATE_HZ)] == [False]


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_a_rest_is_no_performance(noise):
    assert find_performances(lesson(10, noise=noise), RATE_HZ) == []


def test_a_single_bump_is_none():
    data = lesson(4, noise=0.1)
    data[100, 0] += 1.0
    assert find_performances(data, RATE_HZ) == []


def test_turning_slowly_is_no_acceleration():
    turned = lesson(6, noise=0.1)
    angle = np.linspace(0, 0.5, len(turned))
    turned[:, 0], turned[:, 2] = 9.81 * np.sin(angle), 9.81 * np.cos(angle)
    assert find_performances(turned, RATE_HZ) == []


def test_nothing_is_no_performance():
    assert find_performances(np.zeros((0, 6), np.float32), RATE_HZ) == []
