"""A sensor's calibration as a JSON file, and which calibration is applied."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from motionsig.errors import InputError, SensorError
from motionsig.files import read_file, replace_file
from motionsig.sensors.calibration.model import MOST_BIAS, MOST_GYRO_BIAS, MOST_SCALE, Calibration, Floats, parse_mount
from motionsig.state import state_path

FORMAT, VERSION = "motionsig-calibration", 1
_MOST_BYTES = 1 << 16


def calibration_path(device: str) -> Path:
    """Return where the calibration of a device is kept."""
    path = state_path("calibrations", device)
    return path.with_name(f"{path.name}.json")


def save_calibration(device: str, calibration: Calibration) -> Path:
    """Store a device's calibration in place of the one before; return where; raises SensorError."""
    path = calibration_path(device)
    values = {field.name: getattr(calibration, field.name) for field in fields(Calibration)}
    text = json.dumps({FORMAT: VERSION, "device": device} | values, indent=1, default=np.ndarray.tolist) + "\n"
    try:
        # A calibration is no secret, and the service that reads it may be another user than the one that made it.
        replace_file(path, text.encode(), mode=0o644)
    except OSError as error:
        raise SensorError(f"{path}: expected to store the calibration of {device}, got: {error.strerror}") from error
    return path


def load_calibration(device: str) -> Calibration | None:
    """Return what was stored for a device, None where nothing was; raise SensorError for a file that is no such."""
    path = calibration_path(device)
    remedy = "; run `motionsig calibrate` again, or remove the file"
    wanted = f"{path}: expected the calibration of {device}, got"
    try:
        content, _ = read_file(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SensorError(f"{wanted}: {error.strerror}") from error
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SensorError(f"{wanted} a damaged file{remedy}") from error
    if not isinstance(values, dict) or FORMAT not in values:
        raise SensorError(f"{wanted} something else{remedy}")
    if values[FORMAT] != VERSION:
        raise SensorError(f"{path}: expected version {VERSION} of {FORMAT}, got {values[FORMAT]!r}{remedy}")
    if values.get("device") != device:
        raise SensorError(f"{wanted} that of {values.get('device')!r}{remedy}")
    try:
        return _calibration(values)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SensorError(f"{wanted} a damaged one: {error}{remedy}") from error


def _calibration(values: dict[str, Any]) -> Calibration:
    """Return a Calibration of what JSON held; raise KeyError, TypeError, ValueError or OverflowError."""

    def array(name: str, shape: tuple[int, ...], most: float) -> Floats:
        value = np.array(values[name], np.float64)
        if value.shape != shape or not (np.abs(value) <= most).all():
            raise ValueError(f"{name} expected of shape {shape} within {most:.3g}, got {values[name]!r}")
        return value

    def number(name: str) -> float | None:
        return None if values[name] is None else float(array(name, (), 1e12))

    matrix = array("accel_matrix", (3, 3), 2.0)
    if np.abs(matrix - np.eye(3)).max() > 2 * MOST_SCALE:
        raise ValueError(f"accel_matrix expected near the identity, got {values['accel_matrix']!r}")
    return Calibration(
        gyro_bias=array("gyro_bias", (3,), MOST_GYRO_BIAS),
        accel_bias=array("accel_bias", (3,), MOST_BIAS),
        accel_matrix=matrix,
        mount=parse_mount(array("mount", (3, 3), 2.0)),
        residual_before=number("residual_before"),
        residual_after=number("residual_after"),
        poses=int(array("poses", (), 1e9)),
        when_s=number("when_s"),
    )


def choose_calibration(given: Calibration | str | None, mount: str | ArrayLike | None, device: str) -> Calibration:
    """Return the calibration to apply: the one given, none at all ("none"), or the one stored for this device.

    `mount` takes the place of the mount in it. Raises InputError for anything else, SensorError for a damaged file.
    """
    if isinstance(given, str) and given != "none":
        raise InputError(f'calibration: expected a Calibration, "none" or nothing, got {given!r}')
    if given is None:
        given = load_calibration(device)
    chosen = given if isinstance(given, Calibration) else Calibration()
    return chosen if mount is None else replace(chosen, mount=parse_mount(mount))
