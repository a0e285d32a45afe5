"""What the name of a column says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig.recordings.columns import column


@pytest.mark.parametrize(
    ("name", "role", "unit"),
    [
        ("acc_x[mg]", "acc_x", "mg"),
        ("Accelerometer X (g)", "acc_x", "g"),
        ("gyro_z[dps]", "gyr_z", "dps"),
        ("Gyroscope Y (deg/s)", "gyr_y", "degs"),
        ("Gyro Y (°/s)", "gyr_y", "degs"),
        ("acc_x (m/s^2)", "acc_x", "ms2"),
        ("Acceleration x (m/s²)", "acc_x", "ms2"),
        ("AccelerationX [m s-2]", "acc_x", "ms2"),
        ("ax", "acc_x", ""),
        ("gz", "gyr_z", ""),
        ("wx", "gyr_x", ""),
        ("gyr_x_rad_s", "gyr_x", "rads"),
        ("rotationRateX", "gyr_x", ""),
        ("angular_velocity.y (rad/s)", "gyr_y", "rads"),
        ("x_acc_mg", "acc_x", "mg"),
        ("IMU AccelX", "acc_x", ""),
        ("Linear Acceleration x (m/s^2)", "linear_x", "ms2"),
        ("Acceleration without g x (m/s^2)", "linear_x", "ms2"),
        ("userAcceleration.x", "linear_x", ""),
        ("gravityX", "gravity_x", ""),
        ("Time (s)", "time", "s"),
        ("timestamp_ns", "time", "ns"),
        ("time_us", "time", "us"),
        ("seconds_elapsed", "time", "s"),
        ("t", "time", ""),
        ("x", "x", ""),
    ],
)
def test_spellings(name: str, role: str, unit: str) -> None:
    assert column(name) == (role, unit)


@pytest.mark.parametrize("name", ["", "label", "gx (g)", "x_g", "mag_x", "temperature", "acc", "accuracy", "acc_w"])
def test_spellings_that_say_nothing(name: str) -> None:
    assert column(name) is None


@given(st.text(max_size=20))
def test_no_name_is_an_error(name: str) -> None:
    column(name)
