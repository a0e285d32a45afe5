"""Logs of several streams, and questions that are asked at once: what is opened and refused, what advice is worth."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import DATA, TIME_S
from test_recordings import samples

from motionsig.conventions import STANDARD_GRAVITY as G
from motionsig.errors import InputError, RecordingError
from motionsig.recordings import inspect_recording, open_recording
from motionsig.recordings.understanding import UndecidedError

NAMES = "acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x [rad/s],gyr_y [rad/s],gyr_z [rad/s]"
OTHER = DATA[:, [1, 2, 0, 5, 3, 4]]


def rows_of(data: np.ndarray) -> list[str]:
    return [",".join(f"{value:.6f}" for value in row) for row in data]


def write(path: Path, head: str, rows: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *rows, ""]))
    return path


def asked(path: Path, **options: object) -> UndecidedError:
    with pytest.raises(UndecidedError) as caught:
        open_recording(path, **options)
    return caught.value


def alike(path: Path, data: np.ndarray, **options: object) -> None:
    """Check that the log, opened with these options, has this data."""
    _, found, gaps = samples(open_recording(path, **options))
    assert not gaps
    np.testing.assert_allclose(found, data, atol=1e-4)


def two_devices(path: Path, names: tuple[str, str] = ("left", "right"), column: str = "device") -> Path:
    one, other = rows_of(DATA), rows_of(OTHER)
    rows = []
    for index, (first, second) in enumerate(zip(one, other, strict=True)):
        rows += [f"{index * 10},{names[0]},{first}", f"{index * 10 + 5},{names[1]},{second}"]
    return write(path, f"time_ms,{column},{NAMES}", rows)


@pytest.mark.parametrize("column", ["device", "sensor_id", "Subject"])
def test_devices_in_one_table_are_streams_and_never_merged(tmp_path: Path, column: str) -> None:
    path = two_devices(tmp_path / "log.csv", column=column)
    error = asked(path)
    assert [stream.name for stream in error.understanding.streams] == ["left", "right"]
    assert "'left', 'right'" in str(error)
    alike(path, DATA, stream="left")
    alike(path, OTHER, stream="right")
    assert open_recording(path, stream="left").rate_hz == pytest.approx(100)
    with pytest.raises(
        InputError, match="expected stream= to name a stream of it, got 'middle'; there are 'left', 'right'"
    ):
        open_recording(path, stream="middle")


def test_by_names_the_column_that_tells_streams_apart(tmp_path: Path) -> None:
    path = two_devices(tmp_path / "log.csv", column="colour")
    alike(path, DATA, by="colour", stream="left")
    with pytest.raises(InputError, match="expected a column 'size' that tells streams apart, got 'time_ms', 'colour'"):
        open_recording(path, by="size")


def test_streams_have_ids_of_their_own(tmp_path: Path) -> None:
    path = two_devices(tmp_path / "log.csv")
    ids = {open_recording(path, stream=name).info.stream_id for name in ("left", "right")}
    assert len(ids) == 2
    assert open_recording(path, stream="left").info.stream_id in ids


def test_a_device_that_turns_up_late_is_found(tmp_path: Path) -> None:
    # Far behind the first 64 KiB.
    count = 3000
    rows = [f"{i * 10},a,{row}" for i, row in enumerate(rows_of(np.tile(DATA, (8, 1))[:count]))]
    rows += [f"{i * 10},b,{row}" for i, row in enumerate(rows_of(OTHER))]
    path = write(tmp_path / "log.csv", f"time_ms,device,{NAMES}", rows)
    assert [stream.name for stream in asked(path).understanding.streams] == ["a", "b"]
    alike(path, OTHER, stream="b")


def test_trials_on_one_clock_are_one_stream_with_gaps(tmp_path: Path) -> None:
    rows = [f"{i * 10},{i // 100},{row}" for i, row in enumerate(rows_of(DATA))]
    path = write(tmp_path / "log.csv", f"time_ms,trial,{NAMES}", rows)
    _, data, gaps = samples(open_recording(path))
    assert gaps == [100, 200, 300]
    np.testing.assert_allclose(data, DATA, atol=1e-4)
    again = [f"{i % 200 * 10},{i // 200},{row}" for i, row in enumerate(rows_of(DATA))]
    path = write(tmp_path / "again.csv", f"time_ms,trial,{NAMES}", again)
    assert [stream.name for stream in asked(path).understanding.streams] == ["0", "1"]
    alike(path, DATA[200:], stream="1")


def test_left_and_right_columns_are_streams(tmp_path: Path) -> None:
    head = ",".join(f"{side}_{name}" for side in ("left", "right") for name in NAMES.split(","))
    both = zip(rows_of(DATA), rows_of(OTHER), strict=True)
    path = write(tmp_path / "log.csv", f"time_ms,{head}", [f"{i * 10},{a},{b}" for i, (a, b) in enumerate(both)])
    assert [stream.name for stream in asked(path).understanding.streams] == ["left", "right"]
    alike(path, DATA, stream="left")
    alike(path, OTHER, stream="right")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_sessions_of_a_folder_or_zip_are_streams(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "day"
    for name, data in (("walk_01", DATA), ("walk_02", OTHER)):
        write(folder / f"{name}.csv", f"time_ms,{NAMES}", [f"{i * 10},{row}" for i, row in enumerate(rows_of(data))])
    path = folder if kind == "folder" else made_logs.zipped(folder)
    assert [stream.name for stream in asked(path).understanding.streams] == ["walk_01", "walk_02"]
    alike(path, OTHER, stream="walk_02")


def test_sensors_in_tables_of_their_own_are_joined_by_what_else_their_names_say(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    for user, data in (("user01", DATA), ("user02", OTHER)):
        for stem, unit, part in (("acc", "m/s^2", data[:, :3]), ("gyro", "rad/s", data[:, 3:])):
            head = "time_ms," + ",".join(f"{axis} [{unit}]" for axis in "xyz")
            rows = [f"{i * 10},{row}" for i, row in enumerate(rows_of(part))]
            write(folder / f"{stem}_exp01_{user}.csv", head, rows)
    assert [stream.name for stream in asked(folder).understanding.streams] == ["exp01_user01", "exp01_user02"]
    alike(folder, DATA, stream="exp01_user01")
    alike(folder, OTHER, stream="exp01_user02")


def test_a_calibrated_sensor_goes_before_its_uncalibrated_one(tmp_path: Path) -> None:
    folder = made_logs.sensor_logger(tmp_path)
    for stem in ("Gyroscope", "TotalAcceleration"):
        shutil.copy(folder / f"{stem}.csv", folder / f"{stem}Uncalibrated.csv")
    _, data, _ = samples(open_recording(folder))
    np.testing.assert_allclose(data[:, :3], DATA[1:, :3], atol=1e-6)


def test_all_questions_are_asked_at_once_and_their_answers_open_the_log(tmp_path: Path) -> None:
    quick = DATA * ([1 / G / 0.85] * 3 + [1] * 3)  # at rest 1.18: of no unit for sure
    rows = [f"{i * 3},{row}" for i, row in enumerate(rows_of(quick))]
    path = write(tmp_path / "my log.csv", "t,ax,ay,az,gx,gy,gz", rows)
    error = asked(path)
    options = [question.option for question in error.understanding.questions]
    assert "gyr_unit" in options
    assert len(options) == len(set(options)) >= 2
    call = re.search(r"or, in Python: open_recording\((.*)\)$", str(error))
    assert call is not None
    given = eval(f"dict({call[1].partition(', ')[2]})", {"dict": dict})  # as a user would paste it
    assert given == error.understanding.answers
    samples(open_recording(path, **given))
    command = re.search(r"paste: motionsig replay '(.*)' (--option .*) --to", str(error))
    assert command is not None
    assert command[1] == str(path)
    pasted = dict(option.split("=", 1) for option in command[2].removeprefix("--option ").split(" --option "))
    samples(open_recording(path, **pasted))


def test_columns_that_no_name_tells_are_guessed_and_asked(tmp_path: Path) -> None:
    rows = [f"{t:.2f},{row}" for t, row in zip(TIME_S, rows_of(DATA), strict=True)]
    path = write(tmp_path / "log.csv", "t,a1,a2,a3,w1,w2,w3", rows)
    answers = asked(path).understanding.answers
    names = ("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")
    assert json.loads(answers["columns"]) == dict(zip(names, ("a1", "a2", "a3", "w1", "w2", "w3"), strict=True))
    alike(path, DATA, **answers)


def test_the_user_part_and_gravity_are_added_and_ios_is_turned(tmp_path: Path) -> None:
    gravity = np.tile([0.0, 0.0, 9.81], (len(DATA), 1))
    parts = np.column_stack([DATA[:, 3:], -gravity / G, -(DATA[:, :3] - gravity) / G])
    kinds = ("rotationRate", "gravity", "userAcceleration")
    head = "timestamp_s," + ",".join(f"{kind}{axis}" for kind in kinds for axis in "XYZ")
    path = write(tmp_path / "log.csv", head, [f"{t:.2f},{r}" for t, r in zip(TIME_S, rows_of(parts), strict=True)])
    source = open_recording(path, acc_unit="g")
    alike(path, DATA, acc_unit="g")
    assert [fact.how for fact in source.info.facts if fact.what == "sign"] == ["written"]
    without = ",".join(name for name in head.split(",") if not name.startswith("gravity"))
    rows = [f"{t:.2f},{r}" for t, r in zip(TIME_S, rows_of(parts[:, [0, 1, 2, 6, 7, 8]]), strict=True)]
    with pytest.raises(RecordingError, match="gravity"):
        open_recording(write(tmp_path / "without.csv", without, rows), acc_unit="g")


def test_counts_are_read_by_the_name_of_their_chip(tmp_path: Path) -> None:
    counts = np.rint(DATA * ([16384 / G] * 3 + [131 * 180 / np.pi] * 3)).astype(int)
    rows = [f"{i * 10}," + ",".join(map(str, row)) for i, row in enumerate(counts.tolist())]
    path = write(tmp_path / "log.csv", "time_ms,ax_raw,ay_raw,az_raw,gx_raw,gy_raw,gz_raw", rows)
    _, data, _ = samples(open_recording(path, chip="MPU6050"))
    np.testing.assert_allclose(data, DATA, atol=1e-3)
    with pytest.raises(InputError, match="acc_range_g: expected chip= beside it"):
        open_recording(path, acc_range_g=2)


def test_a_mark_of_a_gap_is_a_gap(tmp_path: Path) -> None:
    rows = [f"{i * 10},{row},{int(i in (0, 120))}" for i, row in enumerate(rows_of(DATA))]
    _, _, gaps = samples(open_recording(write(tmp_path / "log.csv", f"time_ms,{NAMES},gap", rows)))
    assert gaps == [0, 120] or gaps == [120]


def test_inspecting_says_what_was_decided_and_how(tmp_path: Path) -> None:
    path = made_logs.csv(tmp_path)
    understanding = inspect_recording(path)
    assert understanding.questions == ()
    (stream,) = understanding.streams
    assert stream.rate_hz == pytest.approx(100)
    known = {fact.what: fact.how for fact in stream.facts}
    assert (known["acceleration"], known["angular rate"], known["sign"]) == ("written", "written", "assumed")
    assert json.loads(json.dumps(understanding.as_dict()))["format"] == "csv"
    source = open_recording(path)
    assert set(stream.facts) <= set(source.info.facts)
    assert {fact.what for fact in source.info.assumed} >= {"sign"}
    two = inspect_recording(two_devices(tmp_path / "two.csv"))
    assert [question.option for question in two.questions] == ["stream"]
    assert inspect_recording(tmp_path / "two.csv", stream="right").questions == ()


def test_a_wide_table_without_names_is_looked_at_in_short(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    many = np.tile(DATA, 40) + rng.normal(0, 1e-3, (len(DATA), 240))
    path = tmp_path / "wide.dat"
    np.savetxt(path, np.column_stack([TIME_S * 1000, many]), fmt="%.4f")
    began = time.process_time()
    question = next(it for it in asked(path).understanding.questions if it.option == "columns")
    assert time.process_time() - began < 4.0  # 40 times as long, were all pairs of columns tried
    at = json.loads(question.guess)
    assert [at[f"gyr_{axis}"] - at[f"acc_{axis}"] for axis in "xyz"] == [3, 3, 3]


def test_six_columns_of_counts_without_names_are_asked_about_in_the_usual_order(tmp_path: Path) -> None:
    shaken = DATA.copy()
    shaken[:, :3] += 6 * np.sin(np.arange(len(DATA))[:, None] * [1.1, 1.3, 1.7])
    counts = np.rint(shaken[:, :3] * (3000 / G))
    path = tmp_path / "counts.txt"
    np.savetxt(path, np.hstack([counts, np.rint(np.degrees(DATA[:, 3:]) * 16.4)]), fmt="%d")
    question = next(it for it in asked(path).understanding.questions if it.option == "columns")
    assert list(json.loads(question.guess).values()) == [0, 1, 2, 3, 4, 5]


def test_naming_the_time_keeps_the_sensors_side_by_side(tmp_path: Path) -> None:
    names = [f"{side}_{name}" for side in ("left", "right") for name in NAMES.split(",")]
    both = rows_of(np.hstack([DATA, OTHER]))
    rows = [f"{index / 100},{row}" for index, row in enumerate(both)]
    path = write(tmp_path / "both.csv", ",".join(["frames at", *names]), rows)
    alike(path, OTHER, columns={"time": "frames at"}, time_unit="s", stream="right")


def polled_log(path: Path, again: list[int], names: str = NAMES) -> Path:
    """Write the made-up motion as it is read every 10 ms, each sample as often as `again` says in turn."""
    times = np.resize(again, len(DATA))
    rows = [row for row, count in zip(rows_of(DATA), times, strict=True) for _ in range(count)]
    return write(path, f"time_s,{names}", [f"{index / 100},{row}" for index, row in enumerate(rows)])


@pytest.mark.parametrize("again", [[2], [1, 2], [2, 1, 2, 1, 2]])
def test_a_sensor_that_was_read_too_often_has_its_own_rate(tmp_path: Path, again: list[int]) -> None:
    path = polled_log(tmp_path / "polled.csv", again)
    _, found, gaps = samples(open_recording(path))
    assert not gaps
    np.testing.assert_allclose(found, DATA, atol=1e-4)
    with open_recording(path) as source:
        assert source.rate_hz == pytest.approx(100 / np.mean(again), rel=0.02)
        assert any(fact.what == "repeated rows" for fact in source.info.facts)
    with open_recording(path, rate_hz=100) as source:
        assert sum(map(len, source)) > 1.2 * len(DATA)


def test_rows_of_two_sensors_merged_by_their_times_are_joined(tmp_path: Path) -> None:
    rows = []
    for index, row in enumerate(rows_of(DATA)):
        cells = row.split(",")
        rows.append(",".join([f"{index / 100:.4f}", *cells[:3], "", "", ""]))
        rows.append(",".join([f"{index / 100 + 0.004:.4f}", "", "", "", *cells[3:]]))
    path = write(tmp_path / "merged.csv", f"time_s,{NAMES}", rows)
    time_ns, found, gaps = samples(open_recording(path))
    assert not gaps
    assert len(found) > 0.99 * len(DATA)
    at = np.rint(time_ns / 1e7).astype(int)
    np.testing.assert_allclose(found[:, :3], DATA[at, :3], atol=1e-4)
    for axis in range(3, 6):
        np.testing.assert_allclose(found[:, axis], np.interp(time_ns / 1e9, TIME_S + 0.004, DATA[:, axis]), atol=1e-3)


def test_statistics_of_windows_are_no_samples(tmp_path: Path) -> None:
    names = [f"{name}_{kind}" for kind in ("mean", "std") for name in ("ax", "ay", "az", "gx", "gy", "gz")]
    path = write(tmp_path / "features.csv", ",".join(names), rows_of(np.hstack([DATA, DATA])))
    with pytest.raises(RecordingError, match="got statistics of them: 'ax_mean', 'ay_mean', 'az_mean'"):
        open_recording(path)


def test_a_time_behind_the_axes_is_found_without_names(tmp_path: Path) -> None:
    for name, part in (("V1accel", DATA[:, :3]), ("V1gyro", DATA[:, 3:])):
        rows = [f"{row},{20_211_500_000_000 + index * 10_000_000}" for index, row in enumerate(rows_of(part))]
        (tmp_path / "log").mkdir(exist_ok=True)
        (tmp_path / "log" / f"{name}.csv").write_text("\n".join([*rows, ""]))
    alike(tmp_path / "log", DATA)


def test_the_rate_in_the_name_of_a_file_is_the_guess(tmp_path: Path) -> None:
    path = write(tmp_path / "walk_100Hz.csv", NAMES, rows_of(DATA))
    assert [it.guess for it in asked(path).understanding.questions] == ["100"]


def test_stamps_of_a_terminal_stand_before_a_header_that_comes_again(tmp_path: Path) -> None:
    def stamp(index: int) -> str:
        return f"[2021-08-16 13:{4 + index // 6000:02}:{index // 100 % 60:02}.{index % 100 * 10:03}] "

    names = "\t".join(["AccX", "AccY", "AccZ", "GyrX", "GyrY", "GyrZ"])
    rows = [stamp(index) + row.replace(",", "\t") for index, row in enumerate(rows_of(DATA))]
    rows.insert(200, stamp(200) + names)
    path = write(tmp_path / "terminal.log", stamp(0) + names, rows)
    time_ns, found, gaps = samples(open_recording(path, acc_unit="m/s^2", gyr_unit="rad/s"))
    assert gaps == [200]
    np.testing.assert_allclose(found, DATA, atol=1e-4)
    np.testing.assert_allclose(np.diff(time_ns), 1e7, atol=1e3)
    assert time_ns[0] == np.datetime64("2021-08-16T13:04:00", "ns").astype(int)


def test_a_sample_a_second_is_too_slow(tmp_path: Path) -> None:
    path = write(tmp_path / "slow.csv", f"time_s,{NAMES}", [f"{at},{row}" for at, row in enumerate(rows_of(DATA))])
    with pytest.raises(RecordingError, match=r"expected at least .* samples a second, .*got 1 "):
        open_recording(path)
