"""Gravity at rest: there, halved, or gone; and what is no rest."""

import numpy as np
import pytest
from made_samples import FINE, NOISE, RATE_HZ, judged, resting, seconds_until_said, walking

from motionsig.sensors.living import Living, scale_error


def made(acc: np.ndarray, turning: float = 0.0) -> np.ndarray:
    """Return samples of an acceleration (n, 3) at a constant angular rate."""
    data = np.hstack([acc, np.tile([0.0, 0.0, turning], (len(acc), 1))])
    return (data + NOISE * np.random.default_rng(0).normal(size=data.shape)).astype(np.float32)


@pytest.mark.parametrize(("times", "words"), [(0.5, "2 times the range"), (2.0, "0.5 times"), (0.25, "4 times")])
def test_another_scale_is_said_with_its_factor_and_nothing_passes(times: float, words: str) -> None:
    living = Living(RATE_HZ, FINE)
    wrong = resting(10) * np.float32([times] * 3 + [1] * 3)
    after_s = seconds_until_said(living, wrong)
    assert after_s is not None and after_s <= 2
    assert living.fault is not None and words in living.fault and "expected 9.81" in living.fault
    living.restarted()
    assert len(judged(living, wrong).data) == 0
    assert len(judged(living, walking(5) * np.float32([times] * 3 + [1] * 3)).data) == 0
    # It is over when gravity is seen again, at rest or in motion.
    assert len(judged(living, walking(5, seed=1)).data) > 3 * RATE_HZ
    assert living.fault is None


@pytest.mark.parametrize("g", [0.7, 0.85, 1.2, 1.35])
def test_a_cheap_chip_s_error_is_not_gravity_s(g: float) -> None:
    living = Living(RATE_HZ, FINE)
    assert len(judged(living, resting(20) * np.float32([g] * 3 + [1] * 3)).data) >= 1998


def test_what_is_no_rest_shows_no_gravity() -> None:
    t = np.arange(3000)[:, None] / RATE_HZ
    up = np.array([0.0, 0.0, 9.80665])
    falls = np.where(t % 10 < 3, 0.0, up)
    lift = up * (1 + 0.15 * ((t % 20 < 2) * 1.0 - (t % 20 > 18)))
    living = Living(RATE_HZ, FINE)
    for data in (made(falls), made(lift), made(up * 3 + 0 * t, turning=6.0)):
        judged(living, data)
        assert (living.fault, living.dead) == (None, 0)


@pytest.mark.parametrize(("g", "factor"), [(0.49, 0.5), (2.1, 2.0), (1.0, None), (0.7, None), (0.0, None), (4.2, 4.0)])
def test_a_scale_error_is_a_power_of_two(g: float, factor: float | None) -> None:
    assert scale_error(g) == factor
