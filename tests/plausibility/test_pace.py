"""The rate of a log without a clock."""

from __future__ import annotations

import numpy as np
import pytest
from made_motion import motion

from motionsig.plausibility.pace import SeenRate, rate_by_turns

ACC, GYR = motion(120)
RATE_HZ = 50.0


def test_turns_show_the_rate() -> None:
    seen = rate_by_turns(ACC, GYR)
    assert seen is not None
    assert seen.rate_hz == pytest.approx(RATE_HZ, rel=0.1)
    assert seen.low < RATE_HZ < seen.high
    assert seen.usual == RATE_HZ


def test_only_rate_by_angular_rate_is_seen() -> None:
    seen, twice = rate_by_turns(ACC, GYR), rate_by_turns(ACC, 2 * GYR)
    assert seen is not None and twice is not None
    assert twice.rate_hz == pytest.approx(2 * seen.rate_hz, rel=0.05)


def test_missing_and_damaged_rows_do_not_matter() -> None:
    acc, gyr = ACC.copy(), GYR.copy()
    acc[100:110], gyr[2000] = np.nan, 1e30
    seen = rate_by_turns(acc, gyr)
    assert seen is not None and seen.usual == RATE_HZ


def test_a_sensor_at_rest_another_gyroscope_and_few_rows_show_none() -> None:
    noise = np.random.default_rng(5).normal(0, 1, (6000, 6))
    assert rate_by_turns((0, 0, 9.81) + 0.02 * noise[:, :3], 0.003 * noise[:, 3:]) is None
    assert rate_by_turns(ACC, GYR[::-1]) is None
    assert rate_by_turns(ACC[:200], GYR[:200]) is None


def test_the_usual_rate_is_the_commonest_within_the_bounds() -> None:
    assert SeenRate(103.0, 92.0, 115.0).usual == 100.0
    assert SeenRate(119.0, 116.0, 122.0).usual == 119.0
    assert SeenRate(285.3, 284.0, 287.0).usual == 285.0
