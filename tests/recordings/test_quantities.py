"""In which units the numbers of a stream are, and how the rate that is asked for is guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_motion import motion

from motionsig.conventions import STANDARD_GRAVITY as G
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
