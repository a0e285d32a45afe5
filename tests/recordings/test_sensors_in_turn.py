"""Sensors whose rows take turns in one table: told apart by a column of any name, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_motion import motion

from motionsig.errors import RecordingError
from motionsig.recordings import open_recording
from motionsig.recordings.understanding import UndecidedError

NAMES = "acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x [rad/s],gyr_y [rad/s],gyr_z [rad/s]"
SENSORS = [np.concatenate(motion(20, seed=seed), axis=1) for seed in (0, 1)]


def in_turn(path: Path, name: str, values: tuple[str, str]) -> Path:
    """Write rows of two sensors in turn, at the same times; with a column of `name`, or without one."""
    lines = [f"time [s],{NAMES}{name and ',' + name}"]
    for number, rows in enumerate(zip(*SENSORS, strict=True)):
        for value, row in zip(values, rows, strict=True):
            lines.append(",".join([f"{number / 50:.2f}", *(f"{it:.5f}" for it in row), *([value] if name else [])]))
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.mark.parametrize(("name", "values"), [("ch", ("0", "1")), ("foot", ("L", "R")), ("wem", ("7", "12"))])
def test_a_column_of_any_name_tells_sensors_in_turn_apart(path: Path, name: str, values: tuple[str, str]) -> None:
    log = in_turn(path, name, values)
    with pytest.raises(UndecidedError) as asked:
        open_recording(log)
    (question,) = asked.value.understanding.questions
    assert question.option == "stream"
    for value, sensor in zip(values, SENSORS, strict=True):
        source = open_recording(log, stream=value)
        assert source.rate_hz == pytest.approx(50)
        np.testing.assert_allclose(np.concatenate([block.data for block in source]), sensor, atol=1e-4)


def test_sensors_in_turn_that_nothing_tells_apart_are_refused(path: Path) -> None:
    with pytest.raises(RecordingError, match="got rows of 2 in turn"):
        open_recording(in_turn(path, "", ("", "")))
    assert sum(map(len, open_recording(in_turn(path, "", ("", "")), check_units=False))) == 2000
