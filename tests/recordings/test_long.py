"""Tables in which rows of several sensors are mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from text_logs import all_rows, table

from motionsig.recordings.long import by_sensor

TIMES = 1_700_000_000_000_000_000 + np.arange(1500) * 10_000_000
ACC = np.sin(np.arange(4500) / 7).reshape(1500, 3).round(4)
GYR = np.cos(np.arange(4500) / 9).reshape(1500, 3).round(4)


def lines(sensor: str, values: np.ndarray, form: str = "{},{},{},{},{}") -> list[str]:
    return [form.format(t, sensor, *row) for t, row in zip(TIMES, values, strict=True)]


def mixed(first: list[str], second: list[str]) -> list[str]:
    return [line for pair in zip(first, second, strict=True) for line in pair]


@pytest.mark.parametrize("header", ["timestamp,sensor,x,y,z", ""])
@pytest.mark.parametrize("mix", [mixed, lambda first, second: first + second])
@pytest.mark.parametrize(
    "sensors",
    [("acc", "gyr"), ("android.sensor.accelerometer", "android.sensor.gyroscope"), ("ACCELERATION", "ANGULAR RATE")],
)
def test_each_sensor_is_a_table(path: Path, header: str, mix: object, sensors: tuple[str, str]) -> None:
    rows = mix(lines(sensors[0], ACC), lines(sensors[1], GYR))  # type: ignore[operator]
    found = by_sensor(table(path, "\n".join([*([header] if header else []), *rows, ""])))
    assert [it.name for it in found] == [f"log.csv/{sensor.replace('.', ' ')}" for sensor in sensors]
    for part, values in zip(found, (ACC, GYR), strict=True):
        columns, breaks, _ = all_rows(part, ("whole", "text", "number", "number", "number"))
        np.testing.assert_array_equal(columns[0], TIMES)
        np.testing.assert_array_equal(np.stack(columns[2:], axis=1), values)
        np.testing.assert_array_equal(np.stack(part.head[2:], axis=1), values[:1000])
        assert not breaks


def test_a_break_is_one_for_each_sensor(path: Path) -> None:
    rows = mixed(lines("acc", ACC), lines("gyro", GYR))
    for part in by_sensor(table(path, "\n".join(["t,type,x,y,z", *rows[:1001], "", *rows[1001:], ""]))):
        assert all_rows(part)[1] == [501 if part.name.endswith("acc") else 500]


@pytest.mark.parametrize("words", [("acc", "mag"), ("walk", "run"), ("linear acceleration", "gravity")])
def test_other_columns_of_text_split_nothing(path: Path, words: tuple[str, str]) -> None:
    found = table(path, "\n".join(["t,what,x,y,z", *mixed(lines(words[0], ACC), lines(words[1], GYR)), ""]))
    assert by_sensor(found) == (found,)
