"""Interpolation of one sensor onto another's times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig.recordings.times import onto


def snr_db(rate_hz: float, tone_hz: float, jitter: float) -> tuple[float, float]:
    """Return the SNR of a tone brought onto another clock, and that of straight lines."""
    random = np.random.default_rng(0)
    count = int(20 * rate_hz)
    other = np.rint((np.arange(count) + jitter * random.uniform(-1, 1, count)) / rate_hz * 1e9).astype(np.int64)
    times = np.rint((np.arange(count) / (1.013 * rate_hz) + 0.0037) * 1e9).astype(np.int64)[50:-60]
    tone = np.sin(2 * np.pi * tone_hz * other / 1e9 + 0.3)
    truth = np.sin(2 * np.pi * tone_hz * times / 1e9 + 0.3)
    found = onto(times, other, tone[:, None])[:, 0]
    straight = np.interp(times, other, tone)
    noise = [np.mean((it - truth) ** 2) / 0.5 for it in (found, straight)]
    return tuple(-10 * np.log10(noise))  # type: ignore[return-value]


@pytest.mark.parametrize("jitter", [0.0, 0.05, 0.15])
@pytest.mark.parametrize(
    ("rate_hz", "tone_hz", "least_db"), [(200, 20, 130), (100, 20, 69), (100, 10, 130), (50, 5, 130), (50, 10, 65)]
)
def test_far_better_than_a_straight_line(rate_hz: float, tone_hz: float, least_db: float, jitter: float) -> None:
    found, straight = snr_db(rate_hz, tone_hz, jitter)
    assert found > least_db
    assert straight < 42


def test_a_fast_tone_on_a_slow_clock_is_still_better_than_a_line() -> None:
    found, straight = snr_db(50, 20, 0.0)
    assert found > straight + 7


def test_samples_at_the_very_time_are_kept() -> None:
    times = np.arange(100) * 10
    values = np.random.default_rng(0).normal(size=(100, 3))
    np.testing.assert_array_equal(onto(times, times, values), values)
    np.testing.assert_array_equal(onto(times[[7]], times[[7]], values[[7]])[0], [np.nan] * 3)


def test_nothing_outside_and_nothing_in_a_gap() -> None:
    other = np.concatenate([np.arange(0, 1000, 10), np.arange(1500, 3000, 10)])
    times = np.arange(-55, 3200, 10)
    found = onto(times, other, np.ones((len(other), 1)))[:, 0]
    known = ((times >= 0) & (times <= 990)) | ((times >= 1500) & (times <= 2990))
    np.testing.assert_array_equal(np.isfinite(found), known)
    np.testing.assert_allclose(found[known], 1)


def test_one_lost_sample_is_not_bridged_two_close_ones_do_not_explode() -> None:
    other = np.delete(np.arange(0, 1000, 10), 50)
    found = onto(np.array([495, 505]), other, np.ones((len(other), 1)))
    assert np.isnan(found).all()
    random = np.random.default_rng(0)
    bunched = np.arange(0, 100_000_000, 10_000_000)
    bunched = np.sort(np.concatenate([bunched, bunched + 1]))  # pairs, 1 ns apart
    noise = random.normal(size=(len(bunched), 1))
    found = onto(np.arange(0, 90_000_000, 1_000_000), bunched, noise)
    assert np.nanmax(np.abs(found)) <= 1.5 * np.abs(noise).max()


@given(
    st.lists(st.integers(1, 50), min_size=0, max_size=60),
    st.lists(st.integers(-10, 1500), min_size=0, max_size=60, unique=True),
)
def test_any_clocks(steps: list[int], times: list[int]) -> None:
    other = np.cumsum(np.array(steps, np.int64))
    values = np.sin(other / 100)[:, None]
    found = onto(np.array(sorted(times), np.int64), other, values)
    assert found.shape == (len(times), 1)
    assert not np.isinf(found).any()
    assert (np.abs(found[np.isfinite(found)]) <= 4).all()


def test_bunched_times_do_not_blow_up_the_noise() -> None:
    random = np.random.default_rng(0)
    other = ((np.arange(400) + random.uniform(-0.45, 0.45, 400)) * 1e7).astype(np.int64)
    noise = random.choice([-1.0, 1.0], (400, 1))
    found = onto(np.arange(other[20], other[380], 1_000_000), other, noise)
    assert np.nanmax(np.abs(found)) <= 4.0
