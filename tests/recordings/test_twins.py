"""Kinds of logs that were once refused, asked about or misread: each is made here, and must be read as it was made."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_logs import COUNT, DATA, UNIX_NS, text
from test_opening import NAMES, alike, asked, rows_of, write

from motionsig.conventions import STANDARD_GRAVITY as G
from motionsig.recordings import open_recording


def turning(rate_hz: float, seconds: float = 40) -> np.ndarray:
    """Return (n, 6) in m/s² and rad/s: a body that turns far about an axis that is not upright, and hardly moves."""
    angle = 2.5 * np.sin(1.3 * np.arange(round(seconds * rate_hz)) / rate_hz)
    rate = 2.5 * 1.3 * np.cos(1.3 * np.arange(len(angle)) / rate_hz)
    small = 0.002 * np.sin(np.arange(len(angle)))
    # What turns a sensor pushes it, too: without a push this would be computed gravity, and no accelerometer's.
    push = 0.05 * np.sin(9 * np.arange(len(angle)) / rate_hz)
    acc = [0.8 * G * np.sin(angle), 0.8 * G * np.cos(angle), 0.6 * G + small + push]
    return np.column_stack([*acc, small, -small, rate])


def test_a_stream_that_begins_behind_the_head_has_its_own_clock(tmp_path: Path) -> None:
    rows = [f"{1_700_000_000_000 + 20 * at},one,{row}" for at, row in enumerate(rows_of(np.tile(DATA, (5, 1))))]
    rows += [f"{1_700_000_900_000 + 10 * at},two,{row}" for at, row in enumerate(rows_of(DATA))]
    path = write(tmp_path / "log.csv", f"time_ms,device,{NAMES}", rows)
    assert open_recording(path, stream="one").rate_hz == pytest.approx(50)
    second = open_recording(path, stream="two")
    assert second.rate_hz == pytest.approx(100)
    assert next(iter(second)).time_ns[0] == 1_700_000_900_000_000_000


@pytest.mark.parametrize(("unit", "one"), [("g", 1.0), ("m/s^2", G)])
def test_gravity_in_columns_of_its_own_shows_the_unit(tmp_path: Path, unit: str, one: float) -> None:
    moving = turning(50)
    moving[:, :3] += 6 * np.sin(np.arange(len(moving)))[:, None]  # so that the sum is far from 1 g
    gravity = turning(50)[:, :3] / G * one
    names = "seconds,userAccX,userAccY,userAccZ,gravityX,gravityY,gravityZ,rotX[rad/s],rotY[rad/s],rotZ[rad/s]"
    table = np.column_stack([moving[:, :3] / G * one - gravity, gravity, moving[:, 3:]])
    rows = [f"{at / 50:.2f},{row}" for at, row in enumerate(rows_of(table))]
    source = open_recording(write(tmp_path / "motion.csv", names, rows), acc_sign=-1)
    assert any(f"own gravity is {one:.4g}" in fact.value for fact in source.info.facts)
    data = np.concatenate([block.data for block in source])
    np.testing.assert_allclose(np.abs(data[:, :3]), np.abs(moving[:, :3]), atol=0.02)


def test_a_magnetic_field_before_the_others_is_never_taken_for_one_of_them(tmp_path: Path) -> None:
    data = turning(50)
    field = 0.5 * np.roll(data[:, :3], 1, axis=1) / G
    rows = [f"{UNIX_NS // 1000 + 20_000 * at},{row}" for at, row in enumerate(rows_of(np.hstack([field, data])))]
    path = write(tmp_path / "imu.csv", rows[0], rows[1:])
    options = {question.option: question.guess for question in asked(path).understanding.questions}
    assert json.loads(options["columns"]) == {
        f"{kind}_{axis}": 4 + 3 * (kind == "gyr") + "xyz".index(axis) for kind in ("acc", "gyr") for axis in "xyz"
    }
    alike(path, data, **{**options, "columns": json.loads(options["columns"])})


def test_six_columns_that_show_nothing_are_asked_about_in_the_usual_order(tmp_path: Path) -> None:
    data = np.random.default_rng(1).normal(0, 3, (500, 6))
    data[:, :3] += [0, 0, 4.5]
    rows = rows_of(data)
    error = asked(write(tmp_path / "serial.log", rows[0], rows[1:]))
    guess = next(it.guess for it in error.understanding.questions if it.option == "columns")
    assert json.loads(guess)["acc_x"] == 0 and json.loads(guess)["gyr_x"] == 3


@pytest.mark.parametrize("rate_hz", [25.0, 100.0, 400.0])
def test_turns_tell_about_how_many_rows_a_second_there_are(tmp_path: Path, rate_hz: float) -> None:
    path = write(tmp_path / "log.csv", NAMES, rows_of(turning(rate_hz)))
    (question,) = asked(path).understanding.questions
    assert (question.option, float(question.guess)) == ("rate_hz", rate_hz)
    assert "turns" in question.words
    alike(path, turning(rate_hz), rate_hz=question.guess)


def test_a_guessed_rate_contradicts_no_unit(tmp_path: Path) -> None:
    data = turning(256)
    shown = np.column_stack([data[:, :3] / G, np.rad2deg(data[:, 3:])])
    names = "Packet number,ax (g),ay (g),az (g),gx (deg/s),gy (deg/s),gz (deg/s)"
    rows = [f"{at + 1703},{row}" for at, row in enumerate(rows_of(shown))]
    error = asked(write(tmp_path / "log.csv", names, rows))
    assert [question.option for question in error.understanding.questions] == ["rate_hz"]


def test_rate_and_units_beside_the_arrays_of_a_document(tmp_path: Path) -> None:
    document = {
        "fs": 100,
        "start": "2021-07-16T09:55:42.759Z",
        "units": {"acc": "g", "gyro": "deg/s"},
        "acc": (DATA[:, :3] / G).tolist(),
        "gyro": np.rad2deg(DATA[:, 3:]).tolist(),
    }
    path = tmp_path / "rec.json"
    path.write_text(json.dumps(document))
    alike(path, DATA)
    assert next(iter(open_recording(path))).time_ns[0] == 1_626_429_342_759_000_000


def test_scales_above_the_table(tmp_path: Path) -> None:
    counts = np.rint(np.column_stack([DATA[:, 3:] / 0.001, DATA[:, :3] / (0.0005 * G)]))
    above = "tscale,0.001\ngscale,0.001\nascale,0.0005\nt,gx,gy,gz,ax,ay,az"
    rows = [f"{10 * at},{','.join(f'{value:.0f}' for value in row)}" for at, row in enumerate(counts)]
    _, *data = zip(*[block.data.T for block in open_recording(write(tmp_path / "clip.gcsv", above, rows))], strict=True)
    np.testing.assert_allclose(np.concatenate(data[3 - 1]), DATA[:, 3], atol=6e-4)


def test_one_name_for_three_axes(tmp_path: Path) -> None:
    for name, unit, values in (("Accelerometer", "m/s2", DATA[:, :3]), ("Gyroscope", "rad/s", DATA[:, 3:])):
        rows = [f"{at * 10},{row}" for at, row in enumerate(rows_of(values[:, [2, 0, 1]]))]
        write(tmp_path / "clip" / f"{name}.csv", f'"ms","{name} (z,x,y) [{unit}]","1","2"', rows)
    alike(tmp_path / "clip", DATA)


def test_a_folder_whose_files_are_in_folders_below(tmp_path: Path) -> None:
    below = tmp_path / "session" / "mav0" / "imu0"
    below.mkdir(parents=True)
    (below / "data.csv").write_text(text())
    alike(tmp_path / "session", DATA)


def test_a_folder_of_zips_of_one_sensor_each(tmp_path: Path) -> None:
    for short, name, values in (("acc", "acc", DATA[:, :3]), ("gyr", "Gyroscope", DATA[:, 3:])):
        with zipfile.ZipFile(tmp_path / f"{short}_walk_csv.zip", "w") as archive:
            for place, of_place in (("chest", values), ("shin", values[::-1])):
                rows = [f"{at + 1},{1_700_000_000_000 + 10 * at},{row}" for at, row in enumerate(rows_of(of_place))]
                head = "id,attr_time,attr_x,attr_y,attr_z"
                archive.writestr(f"{name}_walk_{place}.csv", "\n".join([head, *rows, ""]))
    options = {"acc_unit": "m/s^2", "gyr_unit": "rad/s"}
    alike(tmp_path, DATA, stream="walk_chest", **options)
    alike(tmp_path, DATA[::-1], stream="walk_shin", **options)
    assert len(DATA) == COUNT


def test_the_numbers_win_over_the_custom_of_an_app(tmp_path: Path) -> None:
    for name, values in (("acc_exp01", DATA[:, :3] / G), ("gyro_exp01", DATA[:, 3:])):
        rows = [row.replace(",", " ") for row in rows_of(values)]
        write(tmp_path / f"{name}.txt", rows[0], rows[1:])
    alike(tmp_path, DATA, rate_hz=100)


def test_real_time_clocks_of_loggers_write_the_month_first(tmp_path: Path) -> None:
    rows = [f"10/03/2021,08:48:{38 + at // 100:02d}.{at % 100:02d},{row}" for at, row in enumerate(rows_of(DATA))]
    path = write(tmp_path / "log.txt", f"rtcDate,rtcTime,{NAMES}", rows)
    (question,) = asked(path).understanding.questions
    assert question.guess == "1633250918000000000"
