"""Tables with named columns: headers, times, dialects, damage."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import made_logs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_logs import COUNT, DATA, HEADER, TIME_S, UNIX_NS, text
from test_recordings import check_blocks, samples

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError, RecordingError
from motionsig.recordings.columns import column
from motionsig.recordings.csv import open_csv

G = STANDARD_GRAVITY
IN_G_AND_DEG = np.column_stack([DATA[:, :3] / G, np.rad2deg(DATA[:, 3:])])
LINES = text().split("\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def read(path: Path, content: str | bytes, **options: object) -> tuple[np.ndarray, np.ndarray, list[int]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return samples(open_csv(path, **options))


def check(path: Path, content: str | bytes, **options: object) -> np.ndarray:
    """Check that `content` gives the made-up motion; return its times."""
    time_ns, data, gaps = read(path, content, **options)
    assert not gaps
    np.testing.assert_allclose(data, DATA, atol=2e-5)
    np.testing.assert_allclose(np.diff(time_ns), 10_000_000, atol=400)
    return time_ns


def refused(path: Path, content: str | bytes, message: str, **options: object) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RecordingError, match=message):
        check_blocks(open_csv(path, **options))


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
def test_any_name_is_taken_calmly(name: str) -> None:
    column(name)


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
    refused(path, content, r"log\.csv:1: .*unit for column 'ax'.*acc_unit='g'")
    refused(path, content, r"unit for column 'gx'.*gyr_unit='deg/s'", acc_unit="g")
    with pytest.raises(InputError, match=r"acc_unit: expected .*got 'furlong'"):
        open_csv(path, acc_unit="furlong")


def test_an_option_wins_over_the_header(path: Path) -> None:
    check(path, text(data=IN_G_AND_DEG, decimals=8), acc_unit="g", gyr_unit="deg/s")


def test_odd_names_are_mapped(path: Path) -> None:
    names = dict(zip(("time", "acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"), "tabcdef", strict=True))
    content = text("t,a,b,c,d [rad/s],e [rad/s],f [rad/s]")
    renamed = {**names, "gyr_x": "d [rad/s]", "gyr_y": "e [rad/s]", "gyr_z": "f [rad/s]"}
    check(path, content, columns=renamed, acc_unit="m/s^2")
    refused(path, content, "expected columns for gyr_x", columns=names, acc_unit="m/s^2")
    with pytest.raises(InputError, match=r"columns: expected the keys time, acc_x.*got 'foo'"):
        open_csv(path, columns={"foo": "a"})


def test_a_table_without_a_header_is_mapped_by_number(path: Path) -> None:
    content = "\n".join(LINES[1:])
    numbers = {"time": 0, "acc_x": 1, "acc_y": 2, "acc_z": 3, "gyr_x": 4, "gyr_y": 5, "gyr_z": 6}
    check(path, content, columns=numbers, acc_unit="m/s^2", gyr_unit="rad/s")
    refused(path, content, r"log\.csv:1: expected a header.*columns=\{'time': 0")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("gyr_z (rad/s)", "foo"), r"log\.csv:1: expected columns for gyr_z, got 'time \(s\)'.*'foo'"),
        (HEADER.replace("gyr_z", "gyr_y"), "expected columns for gyr_z"),
        (HEADER.replace("time (s)", "acc_x [g]"), r"one column for acc_x, got 'acc_x \[g\]' and 'acc_x \(m/s\^2\)'"),
        (HEADER.replace("acc", "Linear Acceleration"), "linear acceleration has gravity removed"),
        (
            HEADER.replace("time (s)", "count"),
            "expected a time column, got none; pass the rate instead, as in rate_hz=50",
        ),
    ],
)
def test_a_header_that_will_not_do(path: Path, header: str, message: str) -> None:
    refused(path, text(header), message)


@pytest.mark.parametrize(
    "content",
    [
        text().replace("\n", "\r\n"),
        text().replace("\n", "\r"),
        "\ufeff" + text(),
        text().encode("utf-16"),
        text(HEADER.replace("rad/s", "°/s"), data=DATA * ([1] * 3 + [180 / np.pi] * 3)).encode("latin-1"),
        "# made by a logger\nsubject: 5, left wrist\n\n" + text(),
        "sep=;\n" + text(HEADER.replace(",", ";"), separator=";"),
        text(HEADER.replace(",", "\t"), separator="\t"),
        text(HEADER.replace(",", ";"), separator=";").replace(".", ","),
        text(end=";\n"),
        text(end=";\n").replace(";", "", 1),
        text(HEADER.replace(",", ";"), separator=";", end=";\n"),
        text(HEADER.replace(",", ";"), separator=";", end=";\n").replace("(rad/s);\n", "(rad/s)\n"),
        text(end=",\n"),
        text(end=",\n").replace(",\n", "\n", 1),
        text().replace("\n", "\n\n"),
        "\n".join([*LINES[:100], "# a remark", *LINES[100:]]),
        text() + ",,,,,,\n",
        text()[:-1],
        text().replace(",", " , "),
    ],
)
def test_dialects(path: Path, content: str | bytes) -> None:
    check(path, content)


def test_quoted_cells(path: Path) -> None:
    rows = [",".join(f'"{cell}"' for cell in line.split(",")) for line in LINES[:-1]]
    check(path, "\n".join([*rows, ""]))


@pytest.mark.parametrize(
    ("name", "time", "first_ns"),
    [
        ("time", lambda i: f"{i / 100:.3f}", 0),
        ("time", lambda i: str(i * 10), 0),
        ("time", lambda i: str(i * 10_000), 0),
        ("time", lambda i: str(i * 10_000_000), 0),
        ("time (ms)", lambda i: f"{i * 10:.1f}", 0),
        ("time", lambda i: f"{1.7e9 + i / 100:.3f}", 1_700_000_000_000_000_000),
        ("timestamp", lambda i: str(1_700_000_000_000 + i * 10), 1_700_000_000_000_000_000),
        ("timestamp", lambda i: str(1_700_000_000_000_000 + i * 10_000), 1_700_000_000_000_000_000),
        ("timestamp", lambda i: str(UNIX_NS + i * 10_000_000), UNIX_NS),
        ("time_us", lambda i: str(1_300_000_000 + i * 10_000), 1_300_000_000_000),
        ("time", lambda i: str(1_300_000_000 + i * 10_000), 1_300_000_000_000),  # µs since boot, not Unix seconds
        ("timestamp", lambda i: f"{1.403636579758560e18 + i * 1e7:.14E}", 1_403_636_579_758_560_000),
        ("time", lambda i: f"2025-06-01T12:00:{i / 100:06.3f}Z", 1_748_779_200_000_000_000),
        ("time", lambda i: f"2025-06-01 12:00:{i / 100:06.3f}", 1_748_779_200_000_000_000),
        ("time", lambda i: f"2025-06-01T14:00:{i / 100:06.3f}+02:00", 1_748_779_200_000_000_000),
        (
            "time",
            lambda i: f"2025-06-01T{14 if i < 9 else 13}:00:{i / 100:06.3f}+0{2 if i < 9 else 1}:00",
            1_748_779_200_000_000_000,
        ),
    ],
)
def test_times(path: Path, name: str, time: object, first_ns: int) -> None:
    time_ns = check(path, text(HEADER.replace("time (s)", name), time=time))
    assert abs(time_ns[0] - first_ns) <= 300


def test_unix_nanoseconds_are_exact(path: Path) -> None:
    stamps = UNIX_NS + np.arange(COUNT) * 10_000_001
    time_ns, _, _ = read(path, text(HEADER.replace("time (s)", "time"), time=lambda i: str(stamps[i])))
    np.testing.assert_array_equal(time_ns, stamps)


def test_no_time_column_needs_a_rate(path: Path) -> None:
    content = "\n".join(line.partition(",")[2] for line in LINES)
    refused(path, content, "rate_hz=50")
    time_ns = check(path, content, rate_hz=100, start_ns=7)
    assert time_ns[0] == 7
    with pytest.raises(InputError, match="rate_hz"):
        open_csv(path, rate_hz=0)


def test_a_rate_numbers_the_rows_from_the_first_time(path: Path) -> None:
    coarse = text(HEADER.replace("time (s)", "timestamp"), time=lambda i: str(1_700_000_000 + i // 100))
    refused(path, coarse, r"time of its own .* 396 of 400 rows .*too coarse: pass rate_hz=50")
    assert check(path, coarse, rate_hz=100)[0] == 1_700_000_000_000_000_000
    assert open_csv(path, rate_hz=100).rate_hz == 100
    check(path, text(HEADER.replace("time (s)", "t"), time=str), rate_hz=100)
    check(path, text(time=lambda i: f"1.012.598.156.929.{i:03d}"), rate_hz=100)
    check(path, text(time=lambda i: "x" * i), columns={"time": None}, rate_hz=100)


def test_a_row_number_is_not_a_time(path: Path) -> None:
    refused(path, text(HEADER.replace("time (s)", "t"), time=str), r"log\.csv:2: expected times in 't', got '0', '1'")


def test_a_wrong_time_unit_is_refused(path: Path) -> None:
    refused(path, text(time=lambda i: str(i * 10_000_000)), "samples a second.*time_unit=")
    check(path, text(time=lambda i: str(i * 10_000_000)), time_unit="ns")


@pytest.mark.parametrize("stamp", ["1.012.598.156.929.{:03d}", "1,012,598,156,929,{:03d}"])
def test_a_time_that_a_spreadsheet_damaged(path: Path, stamp: str) -> None:
    content = text(HEADER.replace(",", ";"), separator=";", time=stamp.format)
    refused(path, content, r"log\.csv:2: expected a number in 'time \(s\)', got '1.012.598.156.929.000'")


def test_a_thousands_dot_beside_decimal_commas(path: Path) -> None:
    content = text(HEADER.replace(",", ";"), separator=";").replace(".", ",").replace("\n3,5", "\n3.5")
    refused(path, content, r"log\.csv:352: expected a number in 'time \(s\)', got '3\.5000'")


def test_a_time_that_lost_its_digits(path: Path) -> None:
    refused(path, text(time=lambda i: f"{1.403636579758560e18 + i * 1e7:.6E}"), "too coarse", time_unit="ns")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0.49,1,1", "expected 7 cells, got 3"),
        ("0.49,1,1,1,1,1,1,1", "expected 7 cells, got 8"),
        ("0.49,1,1,9..8,1,1,1", r"a number in 'acc_z \(m/s\^2\)', got '9\.\.8'"),
        ("0.49,1,1,0x10,1,1,1", "got '0x10'"),
        ("0.49,1,1,1_0,1,1,1", "got '1_0'"),
        ("nan,1,1,1,1,1,1", r"a number in 'time \(s\)', got 'nan'"),
        (",1,1,1,1,1,1", r"a number in 'time \(s\)', got ''"),
        ("1e300,1,1,1,1,1,1", r"expected a time in 'time \(s\)', got '1e300'"),
        ("0.49,\ufffd,1,1,1,1,1", "got '\ufffd'"),
        (HEADER, r"got 'time \(s\)'"),
    ],
)
def test_a_malformed_row_is_named(path: Path, row: str, message: str) -> None:
    refused(path, "\n".join([*LINES[:50], row, *LINES[50:]]), r"log\.csv:51: .*" + message)


def test_a_malformed_row_far_into_the_file_is_named(path: Path) -> None:
    rows = [f"{i / 100:.2f},0,0,9.81,0,0,0" for i in range(100_000)]
    rows[90_000] = "900.00,0,0,9.81,0,0,zero"
    path.write_text("\n".join([HEADER, *rows, ""]))
    source = open_csv(path)
    with pytest.raises(RecordingError, match=r"log\.csv:90002: expected a number in 'gyr_z \(rad/s\)', got 'zero'"):
        check_blocks(source)


def test_a_malformed_iso_time_is_named(path: Path) -> None:
    content = text(time=lambda i: f"2025-06-01T12:00:{i / 100:06.3f}Z" if i != 77 else "noon")
    refused(path, content, r"log\.csv:79: expected a time such as 2025-06-01T12:00:00\.25Z in 'time \(s\)', got 'noon'")


def test_empty_and_nan_cells_are_lost_samples(path: Path) -> None:
    rows = LINES.copy()
    rows[10] = "0.0900,,0,9.8,0,0,0"
    rows[20] = "0.1900,nan,0,9.8,NaN,null,0"
    _, data, gaps = read(path, "\n".join(rows))
    assert not gaps
    assert np.flatnonzero(np.isnan(data).any(axis=1)).tolist() == [9, 19]


def test_mostly_empty_cells_are_refused(path: Path) -> None:
    rows = [
        f"{t},,,,{gx},0,0" if i % 3 else LINES[i + 1] for i, (t, gx) in enumerate(zip(TIME_S, DATA[:, 3], strict=True))
    ]
    refused(path, "\n".join([HEADER, *rows, ""]), "NaN or nothing in 266 of the first 400 rows")


@pytest.mark.parametrize("lost", [1, 3, 8, 12, 20, 30, 40])
def test_a_torn_last_line_is_dropped(path: Path, lost: int, caplog: pytest.LogCaptureFixture) -> None:
    _, data, _ = read(path, text()[: -1 - lost])
    assert len(data) == COUNT - 1
    np.testing.assert_allclose(data, DATA[:-1], atol=2e-5)
    assert "log.csv:401" in caplog.text
    assert "cut short" in caplog.text


def test_a_torn_exponent_is_dropped(path: Path) -> None:
    content = "\n".join(
        [HEADER, *(",".join(f"{it:.6E}" for it in (t, *row)) for t, row in zip(TIME_S, DATA, strict=True))]
    )
    for lost in (1, 2, 3, 4):
        _, data, _ = read(path, content[:-lost])
        assert len(data) == COUNT - 1


def test_a_tail_of_zeros_is_dropped(path: Path) -> None:
    _, data, _ = read(path, text()[:-30] + "\0" * 4000)
    assert len(data) == COUNT - 1


@pytest.mark.parametrize("content", [HEADER, HEADER + "\n", "\n\n" + HEADER + "\r\n\r\n"])
def test_a_header_alone(path: Path, content: str) -> None:
    refused(path, content, r"log\.csv:\d: expected samples below the header, got none")


def test_one_sample_is_not_a_recording(path: Path) -> None:
    refused(path, "\n".join([*LINES[:2], ""]), "expected", rate_hz=50)


def test_time_that_runs_backwards_starts_a_stretch_after_a_gap(path: Path) -> None:
    time_ns, data, gaps = read(path, "\n".join([LINES[0], *LINES[201:401], *LINES[1:101], ""]))
    assert gaps == [200]
    assert len(data) == 300
    assert time_ns[200] == 0


def test_a_repeated_row_is_dropped(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check(path, "\n".join([*LINES[:50], LINES[49], *LINES[50:]]))
    assert "dropped 1 rows that had the time of the row before" in caplog.text


def test_lost_rows_leave_a_jump(path: Path) -> None:
    time_ns, _, gaps = read(path, "\n".join([*LINES[:50], *LINES[60:]]))
    assert not gaps
    assert np.diff(time_ns).max() == 110_000_000
    assert open_csv(path).rate_hz == pytest.approx(100)


def test_the_rate_is_unbiased_by_a_coarse_clock(path: Path) -> None:
    content = text(HEADER.replace("(s)", "(ms)"), time=lambda i: f"{i * 1000 / 26:.0f}")
    read(path, content)
    assert open_csv(path).rate_hz == pytest.approx(26, rel=1e-3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA / ([G] * 3 + [1] * 3), r"near 9\.81 m/s², got 1 m/s² at rest; this looks like g: pass acc_unit='g'"),
        (DATA / ([G / 1000] * 3 + [1] * 3), "this looks like mg: pass acc_unit='mg'"),
        (DATA * ([G] * 3 + [1] * 3), r"got 96\.2 m/s² at rest; is the unit right"),
        (DATA - [0, 0, 9.81, 0, 0, 0], "gravity seems removed .*export the raw accelerometer"),
        (np.where(np.arange(COUNT)[:, None] == 9, 1e4, DATA), "at most 100 g, got 1020 g"),
        (DATA * ([1] * 3 + [300] * 3), r"\|gyr\| below 40 rad/s, got 106 .*looks like deg/s: pass gyr_unit='deg/s'"),
    ],
)
def test_what_cannot_be_right_is_refused(path: Path, data: np.ndarray, message: str) -> None:
    refused(path, text(data=data), r"log\.csv: expected .*" + message + r".*check_units=False")
    _, found, _ = read(path, text(data=data), check_units=False)
    np.testing.assert_allclose(found, data, atol=1e-3)


def test_sport_without_a_pause_is_taken(path: Path) -> None:
    # A runner: flight, impact of 5 g, never at rest.
    t = TIME_S * 2
    data = np.column_stack(
        [4 * np.sin(40 * t), 5 * np.cos(23 * t), 9.81 + 40 * np.maximum(0, np.sin(17 * t)) ** 3 - 9, 6 * np.sin(t)]
    )
    check_blocks_of = np.column_stack([data, data[:, 3:], data[:, 3:]])
    _, found, _ = read(path, text(data=check_blocks_of))
    assert len(found) == COUNT
    still = check_blocks_of - [*check_blocks_of[:, :3].mean(axis=0), 0, 0, 0]
    refused(path, text(data=still), "gravity seems removed")


def test_a_long_file_is_read_in_pieces(path: Path) -> None:
    with path.open("w") as file:
        file.write(HEADER + "\n")
        for start in range(0, 200_000, 10_000):
            file.write("".join(f"{i / 100:.2f},0.1,0.2,9.81,0.01,0.02,0.03\n" for i in range(start, start + 10_000)))
    source = open_csv(path)
    tracemalloc.start()
    count = sum(map(len, source))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 200_000
    assert peak < 16e6


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_only_table_of_a_folder_or_zip(tmp_path: Path, kind: str) -> None:
    from motionsig.recordings import open_recording

    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "Raw Data.csv").write_text(text())
    (folder / "readme.txt").write_text("hello")
    source = open_recording(folder if kind == "folder" else made_logs.zipped(folder))
    assert source.info.format == "csv"
    _, data, _ = samples(source)
    np.testing.assert_allclose(data, DATA, atol=2e-5)


def test_a_line_without_end_is_refused(path: Path) -> None:
    refused(path, text() + "0," * 600_000 + "\n", r"log\.csv:402: expected a line of at most 65536 characters")


def test_the_sign_of_ios_is_turned(path: Path) -> None:
    content = text(data=DATA * ([-1] * 3 + [1] * 3))
    check(path, content, acc_sign=-1)
    assert open_csv(path, acc_sign=-1).info.stream_id != open_csv(path).info.stream_id
    with pytest.raises(InputError, match="acc_sign: expected 1 or -1, got 0"):
        open_csv(path, acc_sign=0)
