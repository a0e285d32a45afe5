"""Tables with named columns: where the channels, their units and their times come from."""

from __future__ import annotations

from pathlib import Path

import made_logs
import numpy as np
import pytest
from csv_logs import LINES, check, refused
from made_logs import DATA, HEADER, TIME_S, text
from test_recordings import samples

from motionsig.conventions import STANDARD_GRAVITY as G
from motionsig.errors import InputError
from motionsig.recordings import open_recording

IN_G_AND_DEG = np.column_stack([DATA[:, :3] / G, np.rad2deg(DATA[:, 3:])])


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (HEADER, DATA),
        (
            "time[s],acc_x[mg],acc_y[mg],acc_z[mg],gyro_x[dps],gyro_y[dps],gyro_z[dps]",
            IN_G_AND_DEG * ([1000] * 3 + [1] * 3),
        ),
        (
            "Time (s),Accelerometer X (g),Accelerometer Y (g),Accelerometer Z (g),"
            "Gyroscope X (deg/s),Gyroscope Y (deg/s),Gyroscope Z (deg/s)",
            IN_G_AND_DEG,
        ),
        ("t_s,ax_g,ay_g,az_g,gx_mdps,gy_mdps,gz_mdps", IN_G_AND_DEG * ([1] * 3 + [1000] * 3)),
        ("t,ax,ay,az,gx,gy,gz\ns,g,g,g,deg/s,deg/s,deg/s", IN_G_AND_DEG),
    ],
)
def test_units_from_the_header(path: Path, header: str, data: np.ndarray) -> None:
    check(path, text(header, data=data, decimals=8))


def test_columns_in_any_order_with_others_between(path: Path) -> None:
    header = "label,gyr_z (rad/s),acc_z (m/s^2),acc_x (m/s^2),time (s),acc_y (m/s^2),gyr_y (rad/s),mag_x,gyr_x (rad/s)"
    rows = [
        f'"walk, fast",{gz:.6f},{az:.6f},{ax:.6f},{t:.4f},{ay:.6f},{gy:.6f},41,{gx:.6f}'
        for t, (ax, ay, az, gx, gy, gz) in zip(TIME_S, DATA, strict=True)
    ]
    check(path, "\n".join([header, *rows, ""]))


def test_units_from_options(path: Path) -> None:
    content = text("t,ax,ay,az,gx,gy,gz", data=IN_G_AND_DEG, decimals=8)
    check(path, content, acc_unit="g", gyr_unit="deg/s")
    # That acceleration is in g is shown by its numbers; slow turns show no unit.
    refused(path, content, r"(?s)log\.csv: .* open gyr_unit:.*'gx'.*gyr_unit='deg/s'\)$")
    refused(path, content, r"(?s)'gx'.*acc_unit='g', gyr_unit='deg/s'\)$", acc_unit="g")
    with pytest.raises(InputError, match=r"acc_unit: expected .*got 'furlong'"):
        open_recording(path, acc_unit="furlong")


def test_an_option_wins_over_the_header(path: Path) -> None:
    check(path, text(data=IN_G_AND_DEG, decimals=8), acc_unit="g", gyr_unit="deg/s")


def test_odd_names_are_mapped(path: Path) -> None:
    names = dict(zip(("time", "acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"), "tabcdef", strict=True))
    content = text("t,a,b,c,d [rad/s],e [rad/s],f [rad/s]")
    renamed = {**names, "gyr_x": "d [rad/s]", "gyr_y": "e [rad/s]", "gyr_z": "f [rad/s]"}
    check(path, content, columns=renamed, acc_unit="m/s^2")
    with pytest.raises(InputError, match="columns: expected a column for gyr_x, got 'd', where the table has 't', 'a'"):
        open_recording(path, columns=names, acc_unit="m/s^2")
    with pytest.raises(InputError, match=r"columns: expected the keys time, acc_x.*got 'foo'"):
        open_recording(path, columns={"foo": "a"})


def test_a_table_without_a_header_is_mapped_by_number(path: Path) -> None:
    content = "\n".join(LINES[1:])
    numbers = {"time": 0, "acc_x": 1, "acc_y": 2, "acc_z": 3, "gyr_x": 4, "gyr_y": 5, "gyr_z": 6}
    check(path, content, columns=numbers, acc_unit="m/s^2", gyr_unit="rad/s")
    refused(path, content, r"(?s)open columns, gyr_unit:.*columns='.\"acc_x\": 1.*', gyr_unit='rad/s'\)$")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("gyr_z (rad/s)", "foo"), r"log\.csv:\d: expected columns for gyr_z, got 'time \(s\)'.*'foo'"),
        (HEADER.replace("gyr_z", "gyr_y"), "expected columns for gyr_z"),
        (HEADER.replace("time (s)", "acc_x [g]"), r"one unit for 'acc_x \[g\]'.* got g and m/s\^2"),
        (
            HEADER.replace("time (s)", "count"),
            r"(?s)open rate_hz:\n.*rate_hz='50'\)$",
        ),
    ],
)
def test_a_header_that_will_not_do(path: Path, header: str, message: str) -> None:
    refused(path, text(header), message)


def test_linear_acceleration_is_taken_only_where_gravity_is_in_it(path: Path) -> None:
    linear = HEADER.replace("acc", "Linear Acceleration")
    check(path, text(linear))
    refused(path, text(linear, data=DATA - [0, 0, 9.81, 0, 0, 0]), "linear acceleration has gravity removed")


def test_no_time_column_needs_a_rate(path: Path) -> None:
    content = "\n".join(line.partition(",")[2] for line in LINES)
    refused(path, content, r"rate_hz='50'\)$")
    time_ns = check(path, content, rate_hz=100, start_ns=7)
    assert time_ns[0] == 7
    with pytest.raises(InputError, match="rate_hz"):
        open_recording(path, rate_hz=0)


def test_a_rate_numbers_the_rows_from_the_first_time(path: Path) -> None:
    coarse = text(HEADER.replace("time (s)", "timestamp"), time=lambda i: str(1_700_000_000 + i // 100))
    assert check(path, coarse)[0] == 1_700_000_000_000_000_000  # a hundred rows with one stamp each time: spread
    assert check(path, coarse, rate_hz=100)[0] == 1_700_000_000_000_000_000
    assert open_recording(path, rate_hz=100).rate_hz == 100
    check(path, text(HEADER.replace("time (s)", "t"), time=str), rate_hz=100)
    check(path, text(time=lambda i: f"1.012.598.156.929.{i:03d}"), rate_hz=100)
    check(path, text(time=lambda i: "x" * i), columns={"time": None}, rate_hz=100)


@pytest.mark.parametrize("content", [HEADER, HEADER + "\n", "\n\n" + HEADER + "\r\n\r\n"])
def test_a_header_alone(path: Path, content: str) -> None:
    refused(path, content, "log\\.csv: expected tables with rows of numbers, got none")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_only_table_of_a_folder_or_zip(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "Raw Data.csv").write_text(text())
    (folder / "readme.txt").write_text("hello")
    source = open_recording(folder if kind == "folder" else made_logs.zipped(folder))
    assert source.info.format == "csv"
    _, data, _ = samples(source)
    np.testing.assert_allclose(data, DATA, atol=2e-5)


def test_the_sign_of_ios_is_turned(path: Path) -> None:
    content = text(data=DATA * ([-1] * 3 + [1] * 3))
    check(path, content, acc_sign=-1)
    assert open_recording(path, acc_sign=-1).info.stream_id != open_recording(path).info.stream_id
    with pytest.raises(InputError, match="acc_sign: expected 1 or -1, got 0"):
        open_recording(path, acc_sign=0)
