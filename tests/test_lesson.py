"""A lesson gives each performance once it is over, the same however it is cut, and says why one is of no use."""

import numpy as np
import pytest
from made_lessons import lesson as samples_of

from motionsig.blocks import sample_block
from motionsig.encoders import find_model
from motionsig.lesson import Lesson, samples_between

CARD = find_model()
RATE_HZ = 100.0


def blocks(*parts, cut=20, lost=(), **more):
    """Return a lesson at 100 Hz in blocks; without the blocks numbered `lost`."""
    at_50 = samples_of(*parts, **more)
    data = np.repeat(at_50, 2, axis=0)
    data[1:-1:2] = (data[:-2:2] + data[2::2]) / 2
    time_ns = 10**18 + np.arange(len(data)) * 10_000_000
    made = [sample_block(time_ns[row : row + cut], data[row : row + cut]) for row in range(0, len(data), cut)]
    return [block for number, block in enumerate(made) if number not in lost]


def taught(made, rate_hz=RATE_HZ):
    lesson = Lesson(CARD, rate_hz)
    told = [one for block in made for one in lesson.push(block)]
    return told + lesson.flush()


THREE = (3, (1, 5), 3, (0.6, 5), 3, (2, 5), 3)


def test_each_performance_has_windows_about_its_middle():
    found = taught(blocks(*THREE))
    assert [one.why for one in found] == ["", "", ""]
    assert np.abs([one.begin_s for one in found] - np.array([3, 7, 10.6])).max() < 0.25
    assert np.abs([one.end_s for one in found] - np.array([4, 7.6, 12.6])).max() < 0.25
    for one, middle_s in zip(found, [3.5, 7.3, 11.6], strict=True):
        assert one.windows.data.shape == (3, 128, 6)
        middles = (one.windows.start_ns - 10**18) / 1e9 + 1.28
        assert np.abs(middles - middle_s - [-0.32, 0, 0.32]).max() < 0.15


@pytest.mark.parametrize("cut", [1, 7, 5000])
def test_however_it_is_cut_the_windows_are_the_same(cut):
    whole, cut_up = taught(blocks(*THREE)), taught(blocks(*THREE, cut=cut))
    assert len(whole) == len(cut_up) == 3
    for one, other in zip(whole, cut_up, strict=True):
        # What is quiet is told from what came so far, so that an end may move a little; the middle hardly does.
        assert np.abs(one.windows.start_ns - other.windows.start_ns).max() <= 100_000_000


def test_it_is_told_as_soon_as_a_rest_has_followed():
    lesson, when = Lesson(CARD, RATE_HZ), []
    for block in blocks(3, (1, 5), 4):
        when += [lesson.seconds for _ in lesson.push(block)]
    assert len(when) == 1 and 4.6 <= when[0] <= 5.3


def test_what_is_cut_off_by_the_end_or_by_a_gap_is_refused():
    assert [one.why for one in taught(blocks(3, (1, 5), 3, (1, 5)))] == [
        "",
        "it is cut off where the lesson ends: rest before and after it",
    ]
    assert [one.why for one in taught(blocks((1, 5), 3, (1, 5), 3))] == [
        "it is cut off where the lesson begins: rest before and after it",
        "",
    ]
    # The second one, from 7.0 s on, loses its samples from 7.2 to 7.6 s.
    cut_off = taught(blocks(3, (1, 5), 3, (1, 5), 3, lost=(36, 37)))
    assert [one.windows is None for one in cut_off] == [False, True, True]


def test_a_lesson_that_is_too_short_is_refused_with_its_length():
    (one,) = taught(blocks(0.7, (0.6, 5), 0.8))
    assert one.windows is None
    assert one.why == "expected 2.56 s of samples without a gap, got 2.10"


def test_a_stretch_is_one_performance_whatever_is_in_it():
    lesson = Lesson(CARD, RATE_HZ)
    for block in blocks((6, 5)):
        lesson.push(block)
    lesson.flush()
    assert lesson.stretch(2, 4).windows.data.shape == (3, 128, 6)
    still = Lesson(CARD, RATE_HZ)
    for block in blocks(6):
        still.push(block)
    still.flush()
    assert still.stretch(2, 4).why == "it is too still: it moves no more than the sensor's own noise"


def test_nothing_is_found_in_rest_nor_in_nothing():
    assert taught(blocks(10)) == []
    assert taught([]) == []
    assert Lesson(CARD, RATE_HZ).seconds == 0


def test_samples_between_two_seconds():
    made = blocks(5)
    part = list(samples_between(iter(made), 1.25, 3.0))
    time_ns = np.concatenate([block.time_ns for block in part])
    assert ((time_ns[[0, -1]] - 10**18) / 1e9).tolist() == [1.25, 2.99]
    assert list(samples_between(iter(made), 7, 9)) == []
    assert len(list(samples_between(iter([]), 0, 9))) == 0
