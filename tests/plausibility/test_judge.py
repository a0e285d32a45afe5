"""A log judged to its end, in pieces of any size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_motion import motion

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.plausibility.judge import Judge, Judged

RATE_HZ = 50.0
MOVING = np.concatenate(motion(120), axis=1)
REST = np.concatenate(motion(700, turns=0, pushes=0, seed=2), axis=1)
LONG = np.concatenate([REST, MOVING])
"""Ten minutes and more at rest, then two in motion."""
DEGREES = np.array([1, 1, 1, *[180 / np.pi] * 3])


def judged(data: np.ndarray, cuts: list[int] | None = None, *, check_units: bool = True) -> tuple[Judge, Judged, list]:
    judge = Judge(RATE_HZ, check_units=check_units)
    times, values, lost = np.arange(len(data)) * 20_000_000, data.astype(np.float32), []
    edges = [0, *sorted(cuts or []), len(data)]
    for start, stop in pairwise(edges):
        result = judge.push(times[start:stop], values[start:stop])
        lost += result.lost
        if result.wrong:
            return judge, result, lost
    result = judge.finish()
    return judge, result, [*lost, *result.lost]


def facts(judge: Judge) -> dict[str, str]:
    return {fact.what: fact.value for fact in judge.findings()}


def test_a_good_log_is_right_to_the_end_and_says_what_was_seen() -> None:
    judge, result, lost = judged(LONG)
    assert (result.wrong, result.settled, lost) == (None, len(LONG), [])
    assert facts(judge)["gravity"].startswith("at rest 9.8") and "in 350 windows" in facts(judge)["gravity"]
    assert "agree with how gravity moves" in facts(judge)["turns"]


def after_rest(change: np.ndarray | float) -> np.ndarray:
    data = LONG.copy()
    data[len(REST) :] *= change
    return data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ([STANDARD_GRAVITY] * 3 + [1] * 3, r"m/s² in a column of g"),
        ([1 / STANDARD_GRAVITY] * 3 + [1] * 3, "g in a column of m/s²"),
    ],
)
def test_a_unit_that_changes_ends_the_log_where_it_changes(change: list[float], words: str) -> None:
    _, result, _ = judged(after_rest(np.array(change)))
    assert result.wrong is not None and words in result.wrong.words and result.wrong.subject == "acc"
    assert len(REST) - 100 <= result.wrong.row == result.settled <= len(REST) + 100
    assert judged(after_rest(np.array(change)), check_units=False)[1].wrong is None


def test_gravity_that_goes_away_ends_the_log() -> None:
    data = LONG.copy()
    data[len(REST) :, :3] = np.random.default_rng(0).normal(0, 0.3, (len(MOVING), 3))
    _, result, _ = judged(data)
    assert result.wrong is not None and "gravity seems removed" in result.wrong.words
    assert abs(result.wrong.row - len(REST)) <= 100


def test_a_fall_or_thrust_of_seconds_is_honest_and_said() -> None:
    data = LONG.copy()
    data[20_000:21_000, :3] = np.random.default_rng(0).normal(0, 0.3, (1000, 3))
    data[30_000:30_700, 2] += 60
    judge, result, lost = judged(data)
    assert result.wrong is None and result.settled == len(data) and lost == []
    assert any("nothing near 1 g" in fact.value for fact in judge.findings())


def test_degrees_called_radians_are_found_after_minutes_of_rest() -> None:
    for calm in (1.0, 0.3):
        acc, gyr = motion(300, turns=calm, seed=8)
        quiet = np.concatenate([REST, np.concatenate([acc, gyr], axis=1)]) * DEGREES
        # At rest the offset was taken away.
        quiet[: len(REST), 3:] -= quiet[: len(REST), 3:].mean(axis=0)
        quiet[: len(REST), 3:] *= 0.01
        _, result, _ = judged(quiet)
        assert result.wrong is not None and "deg/s" in result.wrong.words and result.wrong.subject == "gyr"
        assert result.wrong.row >= len(REST) - 100


def test_radians_taken_for_degrees_are_found() -> None:
    acc, gyr = motion(600, turns=1.5, seed=8)
    _, result, _ = judged(np.concatenate([acc, gyr], axis=1) / DEGREES)
    assert result.wrong is not None and "rad/s, converted once too often" in result.wrong.words


def test_a_gyroscope_that_is_not_there_is_found_once_something_moves() -> None:
    data = np.concatenate([REST, MOVING])
    data[:, 3:] = 0
    _, result, _ = judged(data)
    assert result.wrong is not None and "there is no gyroscope" in result.wrong.words
    rest = REST.copy()
    rest[:, 3:] = 0
    assert judged(rest)[1].wrong is None


@pytest.mark.parametrize(("column", "value"), [(0, 1e30), (1, -2000.0), (4, 3e4), (5, -150.0)])
def test_a_damaged_number_is_left_out_and_many_end_the_log(column: int, value: float) -> None:
    data = LONG.copy()
    data[[5000, 20_000], column] = value
    judge, result, lost = judged(data)
    assert result.wrong is None and [each[:3] for each in lost] == [(at, at + 1, "impossible") for at in (5000, 20_000)]
    assert "(2 rows) impossible in 2 stretches" in facts(judge)["left out"]
    data[5000:5010, column] = value
    _, result, _ = judged(data)
    assert result.wrong is not None and result.wrong.row == 5000
    assert result.wrong.subject == ("acc" if column < 3 else "gyr")


def test_rows_without_numbers_are_passed_on_and_counted() -> None:
    data = LONG.copy()
    data[1000:1100] = np.nan
    data[2000, 4] = np.inf
    judge, result, lost = judged(data)
    assert (result.wrong, lost) == (None, []) and facts(judge)["no numbers"] == f"101 of {len(data)} rows"


def test_repeats_are_said() -> None:
    data = MOVING.copy()
    data[3::10] = data[2::10]
    judge, result, lost = judged(data)
    assert (result.wrong, lost) == (None, []) and facts(judge)["repeated"].startswith("600 of 6000 rows")


def test_stretches_and_seconds_are_counted() -> None:
    data = LONG.copy()
    data[36_000:36_100] = data[36_000]
    data[37_000:37_050] = 0
    judge, _, lost = judged(data)
    said = [fact.value for fact in judge.findings() if fact.what == "left out"]
    assert said == ["2 s (100 rows) frozen in 1 stretch", "1 s (50 rows) zero in 1 stretch"] and len(lost) == 2


def spoiled() -> np.ndarray:
    data = LONG[20_000:].copy()
    data[15_500:17_000] = data[15_500]
    data[18_000:18_020] = 0
    data[100:400, :3] = np.random.default_rng(0).normal(0, 0.3, (300, 3))
    data[19_000, 2] = 1e20
    data[3000:3100] = np.nan
    return data


SPOILED = spoiled()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(SPOILED)), max_size=12))
def test_any_cutting_gives_the_same_answers(cuts: list[int]) -> None:
    judge, result, lost = judged(SPOILED, cuts)
    whole, expected, whole_lost = judged(SPOILED)
    assert len(whole_lost) == 3 and lost == whole_lost
    assert (result.settled, result.wrong, judge.findings()) == (expected.settled, expected.wrong, whole.findings())


def test_nothing_is_settled_before_it_is_judged() -> None:
    judge = Judge(RATE_HZ)
    data = LONG.astype(np.float32)
    data[10_000:, :3] /= np.float32(STANDARD_GRAVITY)
    settled = [
        judge.push(np.arange(at, at + 100) * 20_000_000, data[at : at + 100]).settled for at in range(0, 40_000, 100)
    ]
    assert max(settled) <= 10_100 and settled[-1] >= 9900


def test_huge_numbers_throughout_are_no_sensors() -> None:
    data = np.random.default_rng(0).normal(0, 3e37, (6000, 6))
    _, result, _ = judged(data)
    assert result.wrong is not None and "no sensor reports" in result.wrong.words
    assert judged(data, check_units=False)[1].wrong is None


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_a_log_of_a_few_samples_is_settled(count: int) -> None:
    judge, result, lost = judged(MOVING[:count])
    assert (result.settled, result.wrong, lost) == (count, None, [])
    assert judge.findings() == () or count
