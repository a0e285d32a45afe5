"""What single names say of a column, and what a file's name says."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig.recordings.names import Column, read_names, sensor_of, sensors_in


def only(name: str, *others: str, units: tuple[str, ...] = ()) -> Column:
    return read_names([name, *others], units)[0]


@pytest.mark.parametrize(
    ("name", "kind", "axis", "unit"),
    [
        ("acc_x[mg]", "acc", "x", "mg"),
        ("Accelerometer X (g)", "acc", "x", "g"),
        ("gyro_z[dps]", "gyr", "z", "deg/s"),
        ("Gyro Y (°/s)", "gyr", "y", "deg/s"),
        ("Gyro Y (º/s)", "gyr", "y", "deg/s"),
        ("Gyro Y (\ufffd/s)", "gyr", "y", "deg/s"),
        ("gyro_xº/s", "gyr", "x", "deg/s"),
        ("Gyro X, deg/s", "gyr", "x", "deg/s"),
        ("gyro x (rad/(s))", "gyr", "x", "rad/s"),
        ("gyr_x_rad_s", "gyr", "x", "rad/s"),
        ("gyr_x_rad_per_sec", "gyr", "x", "rad/s"),
        ("angular_velocity_x_deg_per_s", "gyr", "x", "deg/s"),
        ("accel_x_m_per_s2", "acc", "x", "m/s^2"),
        ("acc_x_ms2", "acc", "x", "m/s^2"),
        ("acc_x_g", "acc", "x", "g"),
        ("AccX(m/(s^2))", "acc", "x", "m/s^2"),
        ("AccelerationX [m s-2]", "acc", "x", "m/s^2"),
        ("Acc_X (m·s⁻²)", "acc", "x", "m/s^2"),
        ("acc x in g's", "acc", "x", "g"),
        ("acc_x / g", "acc", "x", "g"),
        ("Acc X (milli-g)", "acc", "x", "mg"),
        ("acc_x [0.061 mg/LSB]", "acc", "x", "0.061 mg"),
        ("acc_x [LSB]", "acc", "x", "counts"),
        ("acc_x (2g)", "acc", "x", ""),
        ("acc_x (m/s\ufffd)", "acc", "x", "m/s^2"),
        ("X Accel [x8004]", "acc", "x", ""),
        ("acc_x (±16 g)", "acc", "x", ""),
        ("acc_16g_x", "acc", "x", ""),
        ("Drehrate_x grad/s", "gyr", "x", "deg/s"),
        ("useraccelerationx", "user", "x", ""),
        ("linearAccelerationX", "user", "x", ""),
        ("Acceleration without g x (m/s^2)", "user", "x", "m/s^2"),
        ("accelerationIncludingGravity.x", "acc", "x", ""),
        ("gravityX", "gravity", "x", ""),
        ("vel_ang_x", "gyr", "x", ""),
        ("omega_z", "gyr", "z", ""),
        ("rotationVectorX", "orientation", "x", ""),
        ("qw", "orientation", "w", ""),
        ("yaw", "orientation", "z", ""),
        ("mag_x (G)", "mag", "x", "g"),
        ("x", "axis", "x", ""),
    ],
)
def test_quantity_axis_and_unit(name: str, kind: str, axis: str, unit: str) -> None:
    column = only(name)
    assert (column.kind, column.axis, column.unit) == (kind, axis, unit)


@pytest.mark.parametrize(
    "name",
    ["accuracy", "temperature", "acc_bias_x", "gyro_x_offset", "acc_x (deg/s)", "acc_x_std", "speed", "vel_x",
     "linear_velocity_x", "rssi", "gyro_temp", "angular_velocity_covariance[0]", "battery (V)", "force [N]"],
)  # fmt: skip
def test_other_quantities(name: str) -> None:
    assert (only(name).kind, only(name).sure) == ("other", True)


@pytest.mark.parametrize("name", ["notes", "col7", "foo bar", "Phase"])
def test_names_that_say_nothing(name: str) -> None:
    assert (only(name).kind, only(name).sure) == ("other", False)


@pytest.mark.parametrize(
    ("name", "clock", "unit", "owner", "zone"),
    [
        ("time", "time", "", "", ""),
        ("Timestamp (s)", "time", "s", "", ""),
        ("elapsed (s)", "elapsed", "s", "", ""),
        ("seconds_elapsed", "elapsed", "s", "", ""),
        ("device_timestamp_ms", "time", "ms", "device", ""),
        ("sensor timestamp [ns]", "time", "ns", "device", ""),
        ("Phone timestamp", "time", "", "host", ""),
        ("host_timestamp", "time", "", "host", ""),
        ("%time", "time", "", "host", ""),
        ("field.header.stamp", "time", "", "device", ""),
        ("time[0.1ms]", "time", "0.1 ms", "", ""),
        ("t_us", "time", "us", "", ""),
        ("TimeUS", "time", "us", "", ""),
        ("time_boot_ms", "elapsed", "ms", "device", ""),
        ("millis", "elapsed", "ms", "", ""),
        ("epoch (ms)", "unix", "ms", "", ""),
        ("epoc (ms)", "unix", "ms", "", ""),
        ("unix_timestamp", "unix", "", "", ""),
        ("timeIntervalSince1970", "unix", "s", "", ""),
        ("UTC Time", "datetime", "", "", "utc"),
        ("time (02:00)", "time", "", "", "+02:00"),
        ("timestamp (-0700)", "time", "", "", "-07:00"),
        ("loggingTime(txt)", "datetime", "", "host", ""),
        ("YYYY-MO-DD HH-MI-SS_SSS", "datetime", "", "", ""),
        ("Date", "date", "", "", ""),
        ("Datum", "date", "", "", ""),
        ("Uhrzeit", "clock", "", "", ""),
        ("PacketCounter", "counter", "", "", ""),
        ("SampleTimeFine", "ticks", "", "", ""),
        ("dt", "step", "", "", ""),
        ("tow", "tow", "", "", ""),
        ("UTC_Nano", "nsecs", "ns", "", "utc"),
        ("", "counter", "", "", ""),
        ("X[s]", "time", "s", "", ""),
    ],
)
def test_times(name: str, clock: str, unit: str, owner: str, zone: str) -> None:
    column = only(name)
    assert (column.kind, column.clock, column.unit, column.owner, column.zone) == ("time", clock, unit, owner, zone)


def test_two_halves_of_a_time() -> None:
    seconds, rest = read_names(["sec", "usec"])
    assert (seconds.clock, seconds.unit, rest.clock, rest.unit) == ("secs", "s", "nsecs", "us")


def test_a_time_of_one_sensor_of_several() -> None:
    columns = read_names(["gyroTimestamp_sinceReboot(s)", "wrist_time", "wrist_acc_x", "T", "time"])
    assert [(column.kind, column.part) for column in columns[:2]] == [("time", "gyr"), ("time", "wrist")]
    assert columns[3].kind == "other"  # a T beside a time is a temperature


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("Device", "device"), ("sensor_id", "sensor"), ("DeviceName", "device"), ("设备名称", "device"),
        ("subject", "subject"), ("User", "subject"), ("participant_id", "subject"), ("trial_id", "session"),
        ("SessionID", "session"), ("sequence_id", "session"), ("sensor", "sensor"), ("position", "device"),
    ],
)  # fmt: skip
def test_what_tells_streams_apart(name: str, tells: str) -> None:
    column = only(name)
    assert (column.kind, column.tells) == ("stream", tells)


@pytest.mark.parametrize("name", ["label", "Activity", "activity_id", "label(N)", "activity(txt)", "class", "gt"])
def test_labels(name: str) -> None:
    assert only(name).kind == "label"


def test_instances_of_ardupilot() -> None:
    assert read_names(["TimeUS", "I", "GyrX"])[1].kind == "stream"
    assert read_names(["I", "GyrX"])[0].clock == "counter"


def test_a_row_of_units() -> None:
    names = ["time", "acc_x", "gyr_x", "mag_x"]
    assert [column.unit for column in read_names(names, ["ms", "m/(s^2)", "[deg/s]", "local_flux"])] == [
        "ms", "m/s^2", "deg/s", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stem", "kind", "rest"),
    [
        ("acc_exp01_user01", "acc", "exp01_user01"),
        ("X_GYRO", "gyr", "X"),
        ("X_ACC", "acc", "X"),
        ("Gyroscope_walking_chest", "gyr", "walking_chest"),
        ("linear_acceleration_walk", "user", "walk"),
        ("LinearAccelerometer", "user", ""),
        ("TotalAcceleration", "acc", ""),
        ("total_acc_x_test", "acc", "x_test"),
        ("body_gyro_x_train", "gyr", "body_x_train"),
        ("Gravity", "gravity", ""),
        ("android.sensor.accelerometer", "acc", "android.sensor"),
        ("acc_gyro_01", "", "acc_gyro_01"),
        ("recording", "", "recording"),
        ("a", "", "a"),
    ],
)
def test_what_a_file_is_called(stem: str, kind: str, rest: str) -> None:
    assert sensor_of(stem) == (kind, rest)


@given(st.lists(st.text(max_size=30), max_size=12), st.text(max_size=20))
def test_no_name_is_an_error(names: list[str], stem: str) -> None:
    columns = read_names(names, stem=stem)
    assert len(columns) == len(names)
    for part in sensors_in(columns):
        for triad in (*part.acc, *part.gyr, *part.bare, *part.alone):
            assert len({*triad.columns}) == 3


@given(st.permutations(["acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"]))
def test_any_order_of_columns(names: list[str]) -> None:
    (part,) = sensors_in(read_names(names))
    found = [names[at] for at in (*part.acc[0].columns, *part.gyr[0].columns)]
    assert found == ["acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"]


@pytest.mark.parametrize("name", ["(" * 5000, "acc" * 5000, "x_" * 5000, "a" * 100_000, "[[m/s" * 3000, "1" * 9999])
def test_a_hostile_name_takes_no_time(name: str) -> None:
    begun = time.process_time()
    read_names([f"{name}{number}" for number in range(100)])
    assert time.process_time() - begun < 1


def test_very_many_columns_take_no_time() -> None:
    begun = time.process_time()
    assert len(read_names([f"acc_x_{number}" for number in range(30_000)])) == 30_000
    assert time.process_time() - begun < 3
