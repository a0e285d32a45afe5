"""Logs as they are found: marks for no reading, sensors that were not there, other clocks, signs turned round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_logs import COUNT, DATA, motion
from test_opening import NAMES, alike, asked, rows_of, write
from test_recordings import samples

from motionsig.conventions import STANDARD_GRAVITY as G
from motionsig.errors import RecordingError
from motionsig.recordings import open_recording

ROWS = rows_of(DATA)


def timed(rows: list[str], step_ms: int = 10) -> list[str]:
    return [f"{at * step_ms},{row}" for at, row in enumerate(rows)]


def test_rows_that_end_in_more_delimiters_than_the_header_have_its_names(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", f"time_ms,{NAMES}", [f"{row},," for row in timed(ROWS)])
    alike(path, DATA)


def test_a_sensor_of_which_no_row_has_a_number_is_no_stream(tmp_path: Path) -> None:
    watch = ",".join(f"watch_{name}" for name in NAMES.split(","))
    rows = [f"{row},,,,,," for row in timed(ROWS)]
    path = write(tmp_path / "log.csv", f"time_ms,{NAMES},{watch}", rows)
    alike(path, DATA)
    # One number further down than the first look makes it a stream.
    more = timed(ROWS * 5)
    late = [f"{row},,,,,," for row in more[:-50]] + [
        f"{row},{other}" for row, other in zip(more[-50:], ROWS, strict=False)
    ]
    assert len(asked(write(tmp_path / "late.csv", f"time_ms,{NAMES},{watch}", late)).understanding.streams) == 2


def test_a_remark_in_a_row_of_its_own_is_no_row(tmp_path: Path) -> None:
    rows = timed(ROWS)
    path = write(tmp_path / "log.csv", f"time_ms,{NAMES}", [*rows, ",,,,,,", "Step: 10 ms,,,,,,"])
    _, found, _ = samples(open_recording(path))
    np.testing.assert_allclose(found, DATA, atol=1e-4)
    many = timed(ROWS * 12)
    path = write(tmp_path / "other.csv", f"time_ms,{NAMES}", [*many, f"late,{ROWS[0]}", many[-1]])
    with pytest.raises(RecordingError, match="expected a number in 'time_ms', got 'late'"):
        list(open_recording(path))


@pytest.mark.parametrize("mark", ["1000.0", "-1"])
def test_rows_of_one_mark_are_no_samples_and_tell_no_rate(tmp_path: Path, mark: str) -> None:
    data = motion(np.arange(2000) / 100)
    rows = [f"{at * 0.01:.3f},{row},5" for at, row in enumerate(rows_of(data))]
    for at in range(1990, 0, -3):
        rows.insert(at, f"{at * 0.01 - 0.004:.3f},{','.join([mark] * 6)},0")
    path = write(tmp_path / "log.csv", f"time (s),{NAMES},distance", rows)
    source = open_recording(path)
    assert source.rate_hz == pytest.approx(100, rel=0.01)
    _, found, _ = samples(source)
    found = found[np.isfinite(found).all(axis=1)]
    np.testing.assert_allclose(found, data, atol=1e-4)


def test_columns_without_a_header_are_guessed_side_by_side_behind_the_time(tmp_path: Path) -> None:
    data = motion(np.arange(2000) / 100)
    rows = [f"{row},{26.2 + at % 7 * 0.05:.2f}" for at, row in enumerate(timed(rows_of(data)))]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([*rows, ""]))
    question = next(it for it in asked(path).understanding.questions if it.option == "columns")
    assert question.guess == '{"acc_x": 1, "acc_y": 2, "acc_z": 3, "gyr_x": 4, "gyr_y": 5, "gyr_z": 6}'


def test_where_one_clock_stands_still_further_down_another_gives_the_times(tmp_path: Path) -> None:
    data = motion(np.arange(4000) / 100)
    stuck = np.arange(4000) * 10
    stuck[2000:] = stuck[2000:] // 80 * 80  # from then on the host wrote what had waited
    date = np.datetime64("2026-05-21T16:59:17", "ms") + stuck
    rows = [f"{at * 0.01:.2f},{date[at]},{row}" for at, row in enumerate(rows_of(data))]
    path = write(tmp_path / "log.csv", f"time_s,utc_time,{NAMES}", rows)
    time_ns, found, gaps = samples(open_recording(path))
    assert not gaps and np.ptp(np.diff(time_ns)) <= 1
    assert str(np.datetime64(int(time_ns[0]), "ns"))[:19] == "2026-05-21T16:59:17"
    np.testing.assert_allclose(found, data, atol=1e-4)


def test_unsteady_times_of_single_rows_are_taken_and_said(tmp_path: Path) -> None:
    steps = np.random.default_rng(1).choice([0.004, 0.02, 0.07, 0.11, 0.3], COUNT)
    time_s = np.cumsum(steps)
    rows = [f"{time_s[at]:.3f},{row}" for at, row in enumerate(rows_of(motion(time_s)))]
    source = open_recording(write(tmp_path / "log.csv", f"time (s),{NAMES}", rows))
    time_ns, _, _ = samples(source)
    np.testing.assert_allclose((time_ns - time_ns[0]) / 1e9, time_s - time_s[0], atol=1e-6)
    rate = next(fact for fact in source.info.facts if fact.what == "rate")
    assert rate.how == "assumed" and "not steady" in rate.value


def test_readings_repeated_under_a_clock_without_a_unit_are_no_packets(tmp_path: Path) -> None:
    rows = [row for row in timed(ROWS) for _ in range(4)]
    source = open_recording(write(tmp_path / "log.csv", f"time,{NAMES}", rows))
    assert source.rate_hz == pytest.approx(100, rel=0.01)
    _, found, _ = samples(source)
    np.testing.assert_allclose(found, DATA, atol=1e-4)


def test_a_log_too_slow_to_show_motion_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", f"time_ms,{NAMES}", timed(ROWS, 500))
    with pytest.raises(RecordingError, match=r"expected at least 6 samples a second, .* got 2 "):
        open_recording(path)
    assert open_recording(path, check_units=False).rate_hz == pytest.approx(2)
    assert open_recording(write(tmp_path / "ten.csv", f"time_ms,{NAMES}", timed(ROWS, 100))).rate_hz == pytest.approx(
        10
    )


IN_G = DATA / [G, G, G, 1, 1, 1]


def sign_question(path: Path) -> str:
    return next(it.guess for it in asked(path).understanding.questions if it.option == "acc_sign")


def test_the_sign_is_asked_where_an_app_of_ios_may_have_written_it(tmp_path: Path) -> None:
    rows = [f"{1700000000 + at / 100:.2f},{row}" for at, row in enumerate(rows_of(IN_G))]
    names = "timeIntervalSince1970,AccX,AccY,AccZ,GyroX,GyroY,GyroZ"
    path = write(tmp_path / "log.csv", names, rows)
    guesses = {it.option: it.guess for it in asked(path).understanding.questions}
    assert guesses["acc_sign"] == "-1" and guesses.get("gyr_unit", "rad/s") == "rad/s"
    alike(path, DATA * [-1, -1, -1, 1, 1, 1], acc_sign=-1, gyr_unit="rad/s")
    alike(path, DATA, acc_sign=1, gyr_unit="rad/s")


@pytest.mark.parametrize(("length", "open_"), [(1.0, True), (G, False)])
def test_the_sign_is_asked_beside_gravity_of_length_one(tmp_path: Path, length: float, open_: bool) -> None:
    rows = [f"{row},0,0,{length}" for row in timed(ROWS)]
    path = write(tmp_path / "log.csv", f"time_ms,{NAMES},gravity_x,gravity_y,gravity_z", rows)
    if open_:
        assert sign_question(path) == "-1"
    else:
        alike(path, DATA)


@pytest.mark.parametrize(
    ("names", "unit", "behind"),
    [
        ("timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z", 1.0, ""),
        (
            "SensorId, TimeStamp (s), FrameNumber, AccX (g), AccY (g), AccZ (g), GyroX (rad/s), GyroY (rad/s), "
            "GyroZ (rad/s), EulerX (deg), EulerY (deg), EulerZ (deg), QuatW, QuatX, QuatY, QuatZ, LinAccX (g), "
            "LinAccY (g), LinAccZ (g)",
            G,
            ",1,2,3,1,0,0,0,0.01,0.02,-0.01",
        ),
    ],
)
def test_programs_that_write_the_opposite_sign_are_turned_round(
    tmp_path: Path, names: str, unit: float, behind: str
) -> None:
    turned = DATA * [-1, -1, -1, 1, 1, 1] / [unit, unit, unit, 1, 1, 1]
    first = "1,{0:.2f},{1}," if behind else "{0:.2f},"
    rows = [first.format(at / 100, at) + row + behind for at, row in enumerate(rows_of(turned))]
    path = write(tmp_path / "log.csv", names, rows)
    alike(path, DATA)
    sign = next(fact for fact in open_recording(path).info.facts if fact.what == "sign")
    assert sign.how == "written"


def test_a_linear_acceleration_beside_the_accelerometer_is_not_taken_for_it(tmp_path: Path) -> None:
    header = '"Time (s)","X (m/s^2)","Y (m/s^2)","Z (m/s^2)"'
    acc = [f"{at / 100:.2f},{row}" for at, row in enumerate(rows_of(DATA[:, :3]))]
    linear = [f"{at / 100:.2f},{row}" for at, row in enumerate(rows_of(DATA[:, :3] - [0, 0, G]))]
    gyr = [f"{at / 100:.2f},{row}" for at, row in enumerate(rows_of(DATA[:, 3:]))]
    write(tmp_path / "log" / "Accelerometer.csv", header, acc)
    write(tmp_path / "log" / "Linear Accelerometer.csv", header, linear)
    write(tmp_path / "log" / "Gyroscope.csv", header.replace("m/s^2", "rad/s"), gyr)
    alike(tmp_path / "log", DATA)
    (tmp_path / "log" / "Accelerometer.csv").unlink()
    with pytest.raises(RecordingError, match="gravity"):
        open_recording(tmp_path / "log")
