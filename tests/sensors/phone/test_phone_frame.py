"""Sign, unit and axes of what browsers give: by the pose at a tap, and by how gravity turns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from motionsig.sensors.phone.frame import READINGS, Frame, sign_at_tap

G, RATE_HZ = 9.80665, 60.0
UP, READ, ALONG = (0, 0, 1.0), (0, 0.6, 0.8), (0.05, 1.0, 0.0)
"""Specific force in g: flat with its screen up, as people read from it, upright."""


def acc(pose: tuple[float, float, float]) -> np.ndarray:
    return np.tile(np.array(pose) * G, (16, 1))


@pytest.mark.parametrize("pose", [UP, READ, ALONG])
def test_whoever_taps_sees_the_screen_which_tells_the_sign(pose: tuple[float, float, float]) -> None:
    assert sign_at_tap(acc(pose), apple=False) == 1
    assert sign_at_tap(-acc(pose), apple=True) == -1


@pytest.mark.parametrize("pose", [UP, READ, ALONG])
def test_a_browser_of_another_kind_than_its_pose_shows_is_asked(pose: tuple[float, float, float]) -> None:
    assert sign_at_tap(-acc(pose), apple=False) is None
    assert sign_at_tap(acc(pose), apple=True) is None


def test_the_pose_that_was_asked_for_decides_alone() -> None:
    assert sign_at_tap(acc(UP), apple=None) == 1
    assert sign_at_tap(-acc(UP), apple=None) == -1
    assert sign_at_tap(acc(ALONG), apple=None) is None  # that is no screen that faces up


@pytest.mark.parametrize("pose", [(1.0, 0, 0), (0.9, 0.3, 0.0), (0, 0, 0.3), (0, 0, 2.0), (0, 0.7, -0.7)])
def test_a_pose_that_tells_nothing_is_not_taken(pose: tuple[float, float, float]) -> None:
    assert sign_at_tap(acc(pose), apple=False) is None


def turning(seconds: float, *, rate: float = 1.0) -> np.ndarray:
    """Return acceleration and angular rate in rad/s of a phone that swings about axes that move slowly."""
    n = round(seconds * RATE_HZ)
    gyr, up = np.empty((n, 3)), np.empty((n, 3))
    gravity = np.array([0.0, 0.0, 1.0])
    for at in range(n):
        t = at / RATE_HZ
        gyr[at] = rate * np.array([np.sin(0.9 * t), 0.7 * np.cos(1.3 * t), 0.5 * np.sin(0.4 * t + 1)])
        up[at] = gravity
        # A vector that stands still in the room turns the other way in the phone's frame.
        for _ in range(10):
            gravity = gravity - np.cross(gyr[at], gravity) / RATE_HZ / 10
        gravity /= np.linalg.norm(gravity)
    return np.hstack([up * G, gyr])


GIVEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "deg/s about x, y, z": np.rad2deg,
    "rad/s about x, y, z": lambda rates: rates,
    "deg/s about z, x, y": lambda rates: np.rad2deg(rates)[:, [2, 0, 1]],
    "deg/s about -x, -y, -z": lambda rates: -np.rad2deg(rates),
}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("given", GIVEN)
def test_gravity_tells_the_reading_of_the_angular_rate_whatever_its_own_sign(given: str, sign: int) -> None:
    frame, rows = Frame(sign, RATE_HZ), turning(30)
    browser = np.hstack([sign * rows[:, :3], GIVEN[given](rows[:, 3:])])
    changed = [frame.judge(part) for part in np.split(browser, range(9, len(browser), 9))]
    assert frame.is_seen and frame.reading.words == given and given in {reading.words for reading in READINGS}
    assert sum(changed) == (given != READINGS[0].words)
    assert np.allclose(frame.convert(browser), rows, atol=1e-4)


def test_at_rest_nothing_is_seen_and_today_s_reading_is_kept() -> None:
    frame = Frame(1, RATE_HZ)
    noise = np.random.default_rng(1).normal(size=(3600, 6))
    rows = np.array([0, 0, G, 0, 0, 0]) + noise * np.array([0.03] * 3 + [0.2] * 3)
    assert not any(frame.judge(part) for part in np.split(rows, 400))
    assert not frame.is_seen and frame.reading == READINGS[0]
