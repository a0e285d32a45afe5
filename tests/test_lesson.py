"""A lesson gives each performance once it is over, the same however it is cut, and says why one is of no use."""

import numpy as np
import pytest
from made_lessons import lesson as samples_of

from motionsig import lesson as module
from motionsig.blocks import SampleBlock, sample_block
from motionsig.encoders import find_model
from motionsig.errors import InputError
from motionsig.lesson import LOOK_S, Lesson, samples_between

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
        assert one[:2] == other[:2] and np.array_equal(one.windows.start_ns, other.windows.start_ns)
        assert np.array_equal(one.windows.data, other.windows.data)


def test_it_is_told_as_soon_as_a_rest_has_followed():
    lesson, when = Lesson(CARD, RATE_HZ), []
    for block in blocks(3, (1, 5), 4):
        when += [lesson.seconds for _ in lesson.push(block)]
    assert len(when) == 1 and 4.6 <= when[0] <= 5.5


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


@pytest.mark.parametrize("shift_s", [-3600, 3600])
def test_a_clock_that_is_set_in_a_rest_loses_nothing(shift_s):
    made = blocks(3, (1, 5), 3, (1, 5), 3)
    shifted = [SampleBlock(block.time_ns + shift_s * 10**9, block.data) for block in made[28:]]
    lesson = Lesson(CARD, RATE_HZ)
    found = [one for block in made[:28] + shifted for one in lesson.push(block)] + lesson.flush()
    assert [one.why for one in found] == ["", ""]
    # A gap counts as time, and a clock that was set back does not.
    assert found[1].begin_s == pytest.approx(7 + max(shift_s, 0), abs=0.3)
    assert lesson.seconds == pytest.approx(11 + max(shift_s, 0), abs=0.3)


@pytest.mark.parametrize("rate_hz", [20.0, 8000.0])
def test_slow_and_fast_sensors(rate_hz):
    at_50 = samples_of(*THREE)
    at = np.arange(round(len(at_50) * rate_hz / 50)) * 50 / rate_hz
    data = np.stack([np.interp(at, np.arange(len(at_50)), channel) for channel in at_50.T], axis=1).astype(np.float32)
    time_ns = 10**18 + np.rint(np.arange(len(data)) * 1e9 / rate_hz).astype(np.int64)
    found = taught([sample_block(time_ns, data)], rate_hz)
    assert [one.why for one in found] == ["", "", ""]
    assert np.abs([one.begin_s for one in found] - np.array([3, 7, 10.6])).max() < 0.25


def test_one_that_follows_too_soon_is_refused_or_a_part_of_the_one_before():
    found = taught(blocks(3, (1, 5), 0.7, (1, 5), 0.7, (1, 5), 3))
    assert [one.why for one in found][-1] in ("", "it follows too soon: rest for a second before it")
    assert sum(one.end_s - one.begin_s for one in found) == pytest.approx(4.6, abs=0.8)
    assert [one.why for one in taught(blocks(3, (1, 5), 0.3, (1, 5), 3))] == [""]


def test_what_never_rests_goes_on_for_too_long():
    (one,) = taught(blocks((LOOK_S + 20, 5), cut=100))
    assert one.windows is None and one.why == "it goes on for 60 s: rest before and after it"
    long, short = taught(blocks(3, (LOOK_S + 5, 5), 3, (1, 5), 3, cut=100))
    assert long.why.startswith("it goes on for 59 s") and short.why == ""


def test_a_long_lesson_takes_no_longer_for_a_sample():
    lesson, most, find = Lesson(CARD, RATE_HZ), [], module.find_performances
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "find_performances", lambda data, rate_hz: most.append(len(data)) or find(data, rate_hz))
        found = [one for block in blocks(*(3, (1, 5), 3) * 25, cut=500) for one in lesson.push(block)]
    assert len(found) == 25 and found[-1].begin_s == pytest.approx(24 * 7 + 3, abs=0.3)
    assert max(most) == LOOK_S * 50 and len(most) <= lesson.seconds * 50 / 8 + 1


def test_a_sensor_without_a_gyroscope_is_refused():
    lesson = Lesson(CARD, RATE_HZ)
    with pytest.raises(InputError, match="got NaN for every angular rate"):
        for block in blocks(*THREE):
            block.data[:, 3:] = np.nan
            lesson.push(block)
    late = blocks(*THREE)
    late[0].data[:, 3:] = np.nan
    assert len(taught(late)) == 3


def test_a_stretch_in_a_gap_is_none():
    lesson = Lesson(CARD, RATE_HZ)
    for block in blocks((12, 5), lost=range(20, 30)):
        lesson.push(block)
    assert lesson.stretch(1, 3).why == "expected samples, got a gap"


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
