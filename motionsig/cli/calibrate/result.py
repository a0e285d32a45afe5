"""A new calibration from the poses, and the lines that report it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from motionsig.errors import InputError
from motionsig.sensors.calibration.fit import GOOD_RESIDUAL, AccelFit, fit_accelerometer, fit_gyro_bias, fit_mount
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.poses import angle_deg
from motionsig.sensors.calibration.rest import Rest


@dataclass(frozen=True)
class Result:
    """A calibration and its report. failure: why it is not to be stored. accel: None where that was not fitted."""

    what: str
    rests: Sequence[Rest]
    calibration: Calibration
    lines: Sequence[str]
    failure: str | None = None
    accel: AccelFit | None = None


def fit(what: str, rests: Sequence[Rest], old: Calibration, *, gravity: float) -> Result:
    """Return the calibration that the poses give. what: gyro, accel, mount or all. old: holds what is not fitted.

    Raises InputError where poses are missing or cannot be what they should.
    """
    means = np.array([rest.mean for rest in rests])
    new, lines, failure, accel = replace(old, when_s=time.time()), [], None, None
    if what == "gyro" or (what == "all" and np.isfinite(means[:, 3:]).all()):
        new = replace(new, gyro_bias=fit_gyro_bias(means[:, 3:]))
        lines.append(f"gyroscope bias       {_row(new.gyro_bias)} rad/s ({_row(np.degrees(new.gyro_bias))} deg/s)")
    if what in ("accel", "all"):
        accel = fit_accelerometer(means[:, :3], gravity=gravity)
        failure = accel.failure
        new = replace(new, accel_bias=accel.bias, accel_matrix=accel.matrix, poses=len(rests))
        new = replace(new, residual_before=accel.residual_before, residual_after=accel.residual_after)
        lines += _accel_lines(accel)
    if what == "mount":
        if len(means) < 2:
            raise InputError(f"mount: expected two poses, level and with the front tilted up, got {len(means)}")
        level, nose_up = (means[:2, :3] - old.accel_bias) @ old.accel_matrix.T
        new = replace(new, mount=fit_mount(level, nose_up))
        rows = "; ".join(", ".join(f"{value + 0.0:.4f}" for value in row) for row in new.mount)
        lines.append(f"mount                {rows}")
        lines.append(f"front tilted up by   {angle_deg(level, nose_up):.1f} degrees")
    return Result(what, rests, new, lines, failure, accel)


def _accel_lines(accel: AccelFit) -> list[str]:
    skew = accel.matrix[(0, 0, 1), (1, 2, 2)]
    poses, leaning = len(accel.leaning), int(accel.leaning.sum())
    lines = [
        f"accelerometer bias   {_row(accel.bias)} m/s²",
        f"accelerometer scale  {'  '.join(f'{value:.4f}' for value in np.diag(accel.matrix))}"
        + (f", skew xy xz yz {_row(skew)}" if skew.any() else ""),
        f"|acc| before         off by {accel.residual_before:.3f} m/s² in the worst of {poses} poses",
    ]
    if leaning:
        quality = "not good" if accel.failure else "good"
        lines.append(
            f"|acc| after          off by {accel.residual_after:.3f} m/s² in the worst of {leaning} leaning poses, "
            f"each predicted by the other poses: {quality} (at most {GOOD_RESIDUAL:g})"
        )
        if accel.untested:
            lines.append(f"                     no pose leans towards {', '.join(accel.untested)}: not proven there")
    return lines


def _row(values: Iterable[float]) -> str:
    return "  ".join(f"{value:+.4f}" for value in values)
