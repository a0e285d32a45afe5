"""What a browser gives, in m/s² and rad/s on our axes: x to the right of the screen, y to its top, z out of it.

* Acceleration with gravity. W3C (DeviceOrientation Event Specification, "Device Motion"): what holds the device, +9.8
  on z while it lies with its screen up; so in Chromium (device_motion_event_pump.cc). WebKit multiplies Core Motion's
  numbers by 9.80665 (WebCoreMotionManager.mm), which are of the other sign on all axes, hits included. Neither
  acceleration nor how it turns tells this sign: with the sign of all three axes changed, every length and every turn is
  the same. But whoever taps on a screen sees it: it faces up, or its top does. So the sign comes from the pose at the
  tap; the browser's kind only has to agree, or the page asks for a pose that leaves no doubt.
* Angular rate. alpha, beta and gamma are about x, y and z, in deg/s, in all of today's browsers (w3c/deviceorientation
  #43 and #44; WebKit: rad2deg(rotationRate.x); Chromium: RadToDeg(gyro.x)). Chrome before 66 gave rad/s (webvr-polyfill
  0.10.3), and the specification once had alpha about z, beta about x and gamma about y. How gravity turns against the
  angular rate shows which of these it is, once the phone was turned enough; until then today's is assumed.

Both frames belong to the device: they do not turn with what is shown on its screen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.plausibility.rotation import turning_gain

TAP_SAMPLES = 16
"""After a tap, of which the pose is the mean: a quarter of a second."""
_LEANS, _FLAT = 0.5, 0.85
"""Part of 1 g to the screen's top and out of it together, at a tap; out of it alone, where the page asked for that."""
_G = (0.8, 1.2)
"""|mean acceleration| in g in which a pose can be seen."""
_JUDGED_S = 20.0
_TURNED = 3.0
"""rad that the phone was turned by, at least, before its turning is judged."""
_BETTER = 0.5
"""By which the mean logarithm of what is left of the variance must be lower for another reading of the angular rate."""


class Reading(NamedTuple):
    """One way to read alpha, beta and gamma: what is said of it, how often 1 rad/s it is, which is x, y and z."""

    words: str
    si: float
    order: tuple[int, int, int]


_DEG = float(np.pi / 180)
READINGS = (
    Reading("deg/s about x, y, z", _DEG, (0, 1, 2)),
    Reading("rad/s about x, y, z", 1.0, (0, 1, 2)),
    Reading("deg/s about z, x, y", _DEG, (1, 2, 0)),
    Reading("deg/s about -x, -y, -z", -_DEG, (0, 1, 2)),
)
"""The first is what all of today's browsers do."""


def sign_at_tap(acc: NDArray[np.float64], *, apple: bool | None) -> int | None:
    """Return by what acc (n, 3), as the browser gives it, is to be multiplied: 1 or -1; None where that is not seen.

    apple: what the browser seems to be, which has to agree; None where the person was asked to hold the screen up.
    """
    mean = acc.mean(axis=0) / STANDARD_GRAVITY
    if not _G[0] < np.linalg.norm(mean) < _G[1]:
        return None
    shown = float(mean[2] if apple is None else mean[1] + mean[2])
    if abs(shown) < (_FLAT if apple is None else _LEANS):
        return None
    sign = 1 if shown > 0 else -1
    return sign if apple is None or sign == (-1 if apple else 1) else None


class Frame:
    """Pure: rows as the browser gives them in, m/s² and rad/s out. reading: of the angular rate, as far as is known.

    sign: of acceleration. is_seen: the turning of gravity has shown the reading; before, it is assumed.
    """

    def __init__(self, sign: int, rate_hz: float) -> None:
        self.sign, self.reading, self.is_seen = sign, READINGS[0], False
        self._rate_hz = rate_hz
        self._rows = np.empty((0, 6))
        self._since = 0

    def convert(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return (n, 6) of rows (n, 6)."""
        acc, gyr = self.sign * rows[:, :3], _read(rows[:, 3:], self.reading)
        return np.concatenate([acc, gyr], axis=1).astype(np.float32)

    def judge(self, rows: NDArray[np.float64]) -> bool:
        """Take rows (n, 6) as the browser gave them; return whether they show another reading than was taken so far."""
        if self.is_seen:
            return False
        self._rows = np.concatenate([self._rows, rows])[-round(_JUDGED_S * self._rate_hz) :]
        self._since += len(rows)
        if self._since < self._rate_hz * 4:
            return False
        self._since = 0
        acc, gyr = self._rows[:, :3], self._rows[:, 3:]
        # By the unit with the smallest turn of all, so that no reading is judged by what may be noise.
        if np.linalg.norm(gyr, axis=1).sum() * _DEG / self._rate_hz < _TURNED / 57 or len(acc) < 8 * self._rate_hz:
            return False
        gains = [turning_gain(acc, _read(gyr, reading), self._rate_hz) for reading in READINGS]
        best = int(np.nanargmax(gains)) if np.isfinite(gains).any() else 0
        others = max((gain for at, gain in enumerate(gains) if at != best), default=0.0)
        if not gains[best] > max(others, 0.0) + _BETTER:
            return False
        changed = self.reading != READINGS[best]
        self.reading, self.is_seen = READINGS[best], True
        self._rows = self._rows[:0]
        return changed


def _read(gyr: NDArray[np.float64], reading: Reading) -> NDArray[np.float64]:
    return gyr[:, list(reading.order)] * reading.si
