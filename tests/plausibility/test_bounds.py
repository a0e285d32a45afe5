"""The bounds of what a body-worn sensor can report. What a reader says about its file is in the tests of recordings."""

from __future__ import annotations

import numpy as np
import pytest

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError, RecordingError
from motionsig.plausibility.bounds import check_plausible

RATE_HZ = 50.0


def at_rest(seconds: float = 10.0, *, acc: float = STANDARD_GRAVITY, gyr: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(7)
    data = rng.normal(0, 0.01, (round(seconds * RATE_HZ), 6))
    data[:, 2] += acc
    data[:, 3] += gyr
    return data.astype(np.float32)


@pytest.mark.parametrize("seconds", [0, 0.02, 1, 10])
def test_a_sensor_at_rest_passes_however_short(seconds: float) -> None:
    check_plausible(at_rest(seconds), RATE_HZ, "here")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (at_rest(acc=1.0), r"here: .*this looks like g: pass acc_unit='g' \(check=no takes it as it is\)"),
        (at_rest(acc=1000.0), r"this looks like mg: pass acc_unit='mg'"),
        ((at_rest() * 16384 / STANDARD_GRAVITY).round(), r"this looks like 1/16384 g: pass acc_unit='1/16384 g'"),
        (at_rest(acc=0.0), r"gravity seems removed"),
        (at_rest(acc=0.69 * STANDARD_GRAVITY), r"got 6\.77 m/s² at rest; gravity seems removed"),
        (at_rest(acc=1.31 * STANDARD_GRAVITY), r"got 12\.8 m/s² at rest; is the unit right"),
        (at_rest(gyr=41.0), r"below 40 rad/s, got 41 .*gyr_unit='deg/s' \(check=no takes it as it is\)"),
    ],
)
def test_another_unit_or_no_gravity_is_an_error_that_names_it(data: np.ndarray, message: str) -> None:
    for error in (InputError, RecordingError):
        with pytest.raises(error, match=message):
            check_plausible(data, RATE_HZ, "here", error=error, override="check=no")


@pytest.mark.parametrize(
    "data", [at_rest(acc=0.71 * STANDARD_GRAVITY), at_rest(acc=1.29 * STANDARD_GRAVITY), at_rest(gyr=39.0)]
)
def test_what_lies_within_the_bounds_passes(data: np.ndarray) -> None:
    check_plausible(data, RATE_HZ, "here")


def test_a_moving_sensor_has_wider_bounds() -> None:
    data = at_rest()
    data[::2, 2] *= 0.7
    data[1::2, 2] *= 0.4
    check_plausible(data, RATE_HZ, "here")
    with pytest.raises(InputError, match=r"on average; gravity seems removed"):
        check_plausible(data * np.float32(0.8), RATE_HZ, "here")


def test_one_damaged_number_is_found() -> None:
    data = at_rest()
    data[77, 0] = 101 * STANDARD_GRAVITY
    with pytest.raises(InputError, match="expected at most 100 g, got 101 g"):
        check_plausible(data, RATE_HZ, "here")
    check_plausible(data, RATE_HZ, "here", judged=True)
    data[70:77, 0] = 101 * STANDARD_GRAVITY
    with pytest.raises(InputError, match="expected at most 100 g, got 101 g"):
        check_plausible(data, RATE_HZ, "here", judged=True)


def test_half_of_the_rows_may_be_missing() -> None:
    data = at_rest()
    data[::2, 4] = np.nan
    check_plausible(data, RATE_HZ, "here")
    data[1, 4] = np.nan
    with pytest.raises(InputError, match="got NaN or nothing in 251 of the first 500 rows"):
        check_plausible(data, RATE_HZ, "here")
