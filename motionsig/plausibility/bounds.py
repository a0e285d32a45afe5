"""Whether six columns of numbers can be what a body-worn sensor reports: gravity is there, and the units are right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError, RecordingError
from motionsig.plausibility.acceleration import acc_scales

# Bounds from nine public data sets, 2,127 recordings of phones, watches and body-worn sensors. In the quietest tenth of
# their 2 s windows |mean acc| is 6.7 to 22 m/s², the upper end from sport without a pause; with gravity removed it
# never passes 3.9.
_WINDOW_S = 2.0
_AT_REST_G = (0.7, 1.3)
_MOVING_G = (0.5, 2.5)
_REST_SPREAD = 0.1
_LARGEST_ACC_G = 100.0
_DAMAGED = 0.01
"""Of the rows; more of them are another unit."""
_LARGEST_GYR = 40.0
"""rad/s at the 99th percentile; a hard throw reaches 40 for an instant, and MEMS gyroscopes end at 70."""


class Remedies(NamedTuple):
    """What a caller can do about a unit; `acc` is formatted with the unit found and its size in m/s²."""

    acc: str
    gyr: str
    unknown: str


OPTIONS = Remedies("pass acc_unit={unit!r}", "pass gyr_unit='deg/s'", "is the unit right? see acc_unit=")
"""For what is opened with options, as recordings are."""

FACTORS = Remedies("multiply acc by {si:.6g}", "multiply gyr by 0.0174533 (numpy.deg2rad)", "is the unit right?")
"""For an array in the caller's hands."""


@np.errstate(over="ignore", invalid="ignore")  # a damaged number may be 1e300
def check_plausible(
    data: NDArray[np.floating],
    rate_hz: float,
    where: str,
    *,
    error: type[InputError | RecordingError] = InputError,
    remedies: Remedies = OPTIONS,
    override: str = "check_units=False",
    judged: bool = False,
) -> None:
    """Raise `error` where data (n, 6) cannot be a body-worn sensor's m/s² and rad/s, gravity included.

    where: begins the message. remedies, override: for the message: what to do about a unit, and the option that
    turns the check off. judged: a Judge will leave out single damaged numbers, so that they are no error here.
    """
    if not len(data):
        return
    as_it_is = f"{override} takes it as it is"
    whole = data[np.isfinite(data).all(axis=1)].astype(np.float64)
    if 2 * len(whole) < len(data):
        raise error(
            f"{where}: expected numbers, got NaN or nothing in {len(data) - len(whole)} of the first {len(data)} rows"
        )
    if judged:
        whole = whole[whole.any(axis=1)] if whole.any() else whole
        damaged = (np.abs(whole[:, :3]) > _LARGEST_ACC_G * STANDARD_GRAVITY).any(axis=1)
        whole = whole[~damaged] if np.count_nonzero(damaged) <= _DAMAGED * len(whole) else whole
    acc, gyr = whole[:, :3], np.linalg.norm(whole[:, 3:], axis=1)
    length = max(1, min(len(acc), round(_WINDOW_S * rate_hz)))
    windows = acc[: len(acc) // length * length].reshape(-1, length, 3)
    size = np.linalg.norm(windows, axis=2).mean(axis=1)
    spread = np.sqrt(windows.var(axis=1).sum(axis=1)) / np.maximum(size, 1e-9)
    quiet = np.argsort(spread)[: max(1, len(spread) // 10)]
    gravity = float(np.median(np.linalg.norm(windows[quiet].mean(axis=1), axis=1)))
    at_rest = float(np.median(spread[quiet])) < _REST_SPREAD
    low, high = (bound * STANDARD_GRAVITY for bound in (_AT_REST_G if at_rest else _MOVING_G))
    if not low <= gravity <= high:
        found = f"{gravity:.3g} m/s² {'at rest' if at_rest else 'on average'}"
        steady = gravity > 0.5 * float(np.median(size[quiet]))
        hint = remedies.unknown
        seen = acc_scales(acc, rate_hz)
        known = seen.verdict == "decided" or seen.unit in {"g", "mg"}
        if steady and known and low <= gravity * seen.si <= high:
            hint = f"this looks like {seen.unit}: {remedies.acc.format(unit=seen.unit, si=seen.si)}"
        elif gravity < low:
            hint = "gravity seems removed (a phone's 'linear acceleration'): export the raw accelerometer"
        raise error(f"{where}: expected |acc| near {STANDARD_GRAVITY:.2f} m/s², got {found}; {hint} ({as_it_is})")
    if (largest := float(np.abs(acc).max())) > _LARGEST_ACC_G * STANDARD_GRAVITY:
        raise error(
            f"{where}: expected at most {_LARGEST_ACC_G:.0f} g, got {largest / STANDARD_GRAVITY:.0f} g; "
            f"is a number damaged, or the unit another? ({as_it_is})"
        )
    if (fast := float(np.percentile(gyr, 99))) > _LARGEST_GYR:
        raise error(
            f"{where}: expected |gyr| below {_LARGEST_GYR:.0f} rad/s, got {fast:.0f} at the 99th percentile; "
            f"this looks like deg/s: {remedies.gyr} ({as_it_is})"
        )


def require_gyroscope(there: bool) -> None:
    """Raise InputError where no angular rate was seen."""
    if not there:
        raise InputError(
            "samples: expected acceleration and angular rate, got NaN for every angular rate; a signature needs a "
            "sensor that has a gyroscope, too"
        )
