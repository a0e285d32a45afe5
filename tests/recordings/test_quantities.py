"""In which units the numbers of a stream are, and how the rate that is asked for is guessed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_motion import motion

from motionsig.conventions import STANDARD_GRAVITY as G
from motionsig.errors import RecordingError
from motionsig.recordings import inspect_recording, open_recording
from motionsig.recordings.quantities import usual_gyr
from motionsig.recordings.understanding import UndecidedError

ACC, GYR = motion(60)
TIME_MS = 20 * np.arange(len(ACC))


def log(path: Path, heading: str, *columns: np.ndarray) -> Path:
    rows = np.column_stack(columns)
    texts = [",".join(f"{value:.9g}" for value in row) for row in rows.tolist()]
    path.write_text("\n".join([heading, *texts, ""]))
    return path


def questions(path: Path, **options: object) -> dict[str, tuple[str, str]]:
    asked = inspect_recording(path, **options).questions
    return {question.option: (question.guess, question.words) for question in asked}


@pytest.mark.parametrize(("written", "gyr"), [("[deg/s]", np.degrees(GYR)), ("[rad/s]", GYR)])
def test_a_rate_that_nobody_wrote_is_asked_for_with_the_rate_of_the_turns(
    tmp_path: Path, written: str, gyr: np.ndarray
) -> None:
    heading = f"acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x {written},gyr_y {written},gyr_z {written}"
    # 50 Hz, and a sample in the middle between two.
    at, known = np.arange(0, len(ACC) - 1, 0.5), np.arange(len(ACC))
    columns = [np.interp(at, known, column) for column in (*ACC.T, *gyr.T)]
    path = log(tmp_path / "log.csv", heading, *columns)
    guess, words = questions(path)["rate_hz"]
    assert guess == "100" and "turns of gravity" in words and "the likeliest of the usual rates" in words
    assert open_recording(path, rate_hz=float(guess)).rate_hz == 100


def test_without_turns_the_rate_is_an_example_and_said_to_be(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 1, (500, 6))
    heading = "acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x [rad/s],gyr_y [rad/s],gyr_z [rad/s]"
    still = noise * 0.02 + (0, 0, G, 0, 0, 0)
    guess, words = questions(log(tmp_path / "log.csv", heading, *still.T))["rate_hz"]
    assert guess == "50" and "only an example" in words


def test_steps_of_arduino_s_libraries_are_a_hint_of_their_rate(tmp_path: Path) -> None:
    step = 2000 / 32768
    degrees = step * np.rint(np.degrees(GYR[:150]) / step)
    path = log(tmp_path / "log.csv", "aX,aY,aZ,gX,gY,gZ", *(ACC[:150].T / G), *degrees.T)
    guess, words = questions(path)["rate_hz"]
    assert guess == "119" and "Arduino" in words


def test_numbers_whose_step_is_that_of_another_unit_contradict_the_header(tmp_path: Path) -> None:
    degrees = np.round(0.0625 * np.rint(0.1 * np.degrees(GYR[:150]) / 0.0625), 2)
    heading = "t_ms,acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x [rad/s],gyr_y [rad/s],gyr_z [rad/s]"
    path = log(tmp_path / "log.csv", heading, TIME_MS[:150], *ACC[:150].T, *degrees.T)
    guess, words = questions(path)["gyr_unit"]
    assert guess == "deg/s" and "The log says rad/s" in words and "step of a chip" in words
    with pytest.raises(UndecidedError):
        open_recording(path)
    assert not questions(path, gyr_unit="deg/s")


def test_a_unit_that_goes_with_that_of_acceleration_is_the_guess() -> None:
    assert usual_gyr(1.0, GYR) == "rad/s"
    assert usual_gyr(G, np.degrees(GYR)) == usual_gyr(G / 1000, np.degrees(GYR)) == "deg/s"
    assert usual_gyr(G / 1000, 1000 * np.degrees(GYR)) == "mdps"
    assert usual_gyr(G / 16384, 131 * np.degrees(GYR)) == "1/131 deg/s"
    assert usual_gyr(G / 2048, 16.4 * np.degrees(GYR)) == "1/16.4 deg/s"
    assert usual_gyr(1.0, 1000 * np.degrees(GYR)) == ""


UNITS = "acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x [rad/s],gyr_y [rad/s],gyr_z [rad/s]"


@pytest.mark.parametrize("heading", [UNITS, "acc_x,acc_y,acc_z,gyr_x,gyr_y,gyr_z"])
def test_gravity_that_a_phone_computed_is_no_accelerometer(tmp_path: Path, heading: str) -> None:
    gravity = G * ACC / np.linalg.norm(ACC, axis=1, keepdims=True)
    path = log(tmp_path / "log.csv", f"t_ms,{heading}", TIME_MS, *gravity.T, *GYR.T)
    with pytest.raises(RecordingError, match=r"expected an accelerometer, got 'acc_x.*length stays the same while it"):
        open_recording(path)
    open_recording(path, check_units=False, acc_unit="m/s^2", gyr_unit="rad/s")


def test_an_angular_rate_of_the_wrong_sign_is_refused_and_not_taken_for_degrees(tmp_path: Path) -> None:
    path = log(tmp_path / "log.csv", f"t_ms,{UNITS}", TIME_MS, *ACC.T, *-GYR.T)
    with pytest.raises(RecordingError, match=r"axes are not those .*: \(-gyr_x, -gyr_y, -gyr_z\) would fit"):
        open_recording(path)
    assert open_recording(path, check_units=False).rate_hz == 50


def test_filtered_columns_are_taken_alone_and_said_to_be_filtered(tmp_path: Path) -> None:
    filtered = UNITS.replace(" [", "_filt [", 3)
    alone = open_recording(log(tmp_path / "alone.csv", f"t_ms,{filtered}", TIME_MS, *ACC.T, *GYR.T))
    said = {fact.what: fact.value for fact in alone.info.facts}
    assert "'acc_z_filt [m/s^2]' are filtered" in said["filter"]
    beside = log(tmp_path / "beside.csv", f"t_ms,{filtered},{UNITS}", TIME_MS, *(ACC.T + 1), *GYR.T, *ACC.T, *GYR.T)
    source = open_recording(beside)
    assert "filter" not in {fact.what for fact in source.info.facts}
    found = np.concatenate([block.data for block in source])
    np.testing.assert_allclose(found[:, :3], ACC, atol=1e-4)


def test_a_scale_above_the_table_is_its_unit(tmp_path: Path) -> None:
    heading = "# accel_scale: 4096 LSB/g\n# gyro_scale: 16.4 LSB/(deg/s)\nt_ms,ax,ay,az,gx,gy,gz"
    counts = np.rint(np.column_stack([ACC / G * 4096, np.degrees(GYR) * 16.4]))
    source = open_recording(log(tmp_path / "log.csv", heading, TIME_MS, *counts.T))
    found = np.concatenate([block.data for block in source])
    np.testing.assert_allclose(found, np.column_stack([ACC, GYR]), atol=2e-3)
    assert {fact.how for fact in source.info.facts if fact.what in ("acceleration", "angular rate")} == {"written"}


def test_three_accelerometers_without_names_are_no_gyroscope(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    np.savetxt(path, np.column_stack([TIME_MS, ACC, ACC[:, [1, 2, 0]], ACC[:, [2, 0, 1]]]), fmt="%.4f")
    with pytest.raises(RecordingError, match="of which no three have gravity and three beside them can be angular"):
        open_recording(path)
    np.savetxt(path, np.column_stack([TIME_MS, ACC, ACC[:, [1, 2, 0]], GYR]), fmt="%.4f")
    guess, _ = questions(path)["columns"]
    assert [json.loads(guess)[f"gyr_{axis}"] for axis in "xyz"] == [7, 8, 9]
