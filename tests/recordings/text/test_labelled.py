"""Prints with labels before the values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from text_logs import WAYS, all_rows, set_way, table

from motionsig.errors import RecordingError

VALUES = np.sin(np.arange(1800) / 7).reshape(300, 6).round(2)
NAMES = ("aX", "aY", "aZ", "gX", "gY", "gZ")
SENSORS = ("Accel x", "Accel y", "Accel z", "Gyro x", "Gyro y", "Gyro z")

PRINTS = {
    "aX = {:.2f} | aY = {:.2f} | aZ = {:.2f} | gX = {:.2f} | gY = {:.2f} | gZ = {:.2f}\n": NAMES,
    "aX:{:.2f},aY:{:.2f},aZ:{:.2f},gX:{:.2f},gY:{:.2f},gZ:{:.2f}\n": NAMES,
    "aX:{:6.2f} aY:{:6.2f} aZ:{:6.2f} gX:{:6.2f} gY:{:6.2f} gZ:{:6.2f}\n": NAMES,
    "aX {:.2f}\taY {:.2f}\taZ {:.2f}\tgX {:.2f}\tgY {:.2f}\tgZ {:.2f}\t\n": NAMES,
    "Accel: x={:.2f} y={:.2f} z={:.2f} Gyro: x={:.2f} y={:.2f} z={:.2f}\n": SENSORS,
    "Accel: {:.2f} {:.2f} {:.2f} Gyro: {:.2f} {:.2f} {:.2f}\n": SENSORS,
    "a/g:\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\n": ("ax", "ay", "az", "gx", "gy", "gz"),
    "Accel x: {:.2f} y: {:.2f} z: {:.2f} g\nGyro x: {:.2f} y: {:.2f} z: {:.2f} deg/s\n\n": SENSORS,
    "====\naX : {:.2f}\taY : {:.2f}\taZ : {:.2f}\ngX : {:.2f}\tgY : {:.2f}\tgZ : {:.2f}\n====\n": NAMES,
    "aX: {:.2f}\naY: {:.2f}\naZ: {:.2f}\ngX: {:.2f}\ngY: {:.2f}\ngZ: {:.2f}\n": NAMES,
}


def check(path: Path, content: str, names: tuple[str, ...], breaks: list[int] | None = None) -> None:
    found = table(path, content)
    assert found.names == names
    columns, found_breaks, _ = all_rows(found)
    np.testing.assert_array_equal(np.stack(columns, axis=1), VALUES)
    assert found_breaks == (breaks or [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", PRINTS)
def test_print(path: Path, monkeypatch: pytest.MonkeyPatch, form: str, way: str) -> None:
    set_way(monkeypatch, way)
    check(path, "Hello\n" + "".join(form.format(*row) for row in VALUES), PRINTS[form])


def test_units_are_said_after_the_values(path: Path) -> None:
    form = "Acceleration X: {:.2f}, Y: {:.2f}, Z: {:.2f} m/s^2\nRotation X: {:.2f}, Y: {:.2f}, Z: {:.2f} rad/s\n\n"
    found = table(path, "".join(form.format(*row) for row in VALUES))
    assert found.names == tuple(f"{sensor} {axis}" for sensor in ("Acceleration", "Rotation") for axis in "XYZ")
    assert found.units == ("m/s^2",) * 3 + ("rad/s",) * 3


def test_a_restart_is_a_break(path: Path) -> None:
    form = next(iter(PRINTS))
    lines = [form.format(*row) for row in VALUES]
    check(path, "".join([*lines[:100], "Booting...\nMPU found\n", *lines[100:]]), NAMES, [100])


@pytest.mark.parametrize(
    "damage",
    [
        "aX = 0.1 | aY = 0.2 | aZ = 0.3 | gX = 0.4 | gY = 0.5\n",
        "aX = 0.1 | aZ = 0 | aY = 0 | gX = 0 | gY = 0 | gZ = 0\n",
    ],
)
def test_a_row_in_another_order_is_left_out_once_and_refused_often(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    form = next(iter(PRINTS))
    lines = [form.format(*row) for row in VALUES]
    check(path, "".join([*lines[:100], damage, *lines[100:]]), NAMES, [100])
    assert "log.csv: left out 1 line that is no row, first in line 101: expected 6 cells, got 0" in caplog.text
    found = table(path, "".join([*lines[:100], damage * 9, *lines[100:]]))
    with pytest.raises(RecordingError, match=r"log\.csv:105: expected 6 cells, got 0"):
        all_rows(found)


def test_a_torn_last_line_is_dropped(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    form = next(iter(PRINTS))
    content = "".join(form.format(*row) for row in np.vstack([VALUES, VALUES[:1]]))
    check(path, content[:-12], NAMES)
    assert "cut short" in caplog.text


def test_an_order_that_is_not_written_is_said_to_be_assumed(path: Path) -> None:
    found = table(
        path, "".join("a/g:\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\n".format(*row) for row in VALUES)
    )
    assert next(fact for fact in found.facts if fact.what == "header").how == "assumed"
