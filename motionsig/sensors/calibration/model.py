"""A calibration: one sensor's errors, which are taken out of its samples, and its mounting."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError

Floats = NDArray[np.float64]

MOST_BIAS, MOST_SCALE = 0.35 * STANDARD_GRAVITY, 0.15
"""The worst chips' limits and a little more: 250 mg on z, and 230 to 282 counts instead of 256 per g (ADXL350, ADXL345:
data sheets, table 1). A larger error is not the chip's: its range or unit is not what was configured."""
MOST_GYRO_BIAS = np.radians(40.0)
"""An MPU-6050 may be off by 20 deg/s, and by 20 more over temperature (PS-MPU-6000A 3.4, 6.1)."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """One sensor's errors, and how its axes lie in the device.

    gyro_bias: (3,) rad/s. accel_bias: (3,) m/s². accel_matrix: (3, 3) scale and skew. mount: (3, 3) rotation from the
    sensor's axes to the device's. residual_before, residual_after: error of |acc| in m/s², of the worst pose as
    measured and of the worst that the fit had not seen; None without. poses: how many. when_s: Unix seconds. A bias
    moves with temperature; the temperature is not recorded.
    """

    gyro_bias: Floats = field(default_factory=lambda: np.zeros(3))
    accel_bias: Floats = field(default_factory=lambda: np.zeros(3))
    accel_matrix: Floats = field(default_factory=lambda: np.eye(3))
    mount: Floats = field(default_factory=lambda: np.eye(3))
    residual_before: float | None = None
    residual_after: float | None = None
    poses: int = 0
    when_s: float | None = None

    @cached_property
    def permutes_axes(self) -> bool:
        """Whether `apply` only swaps axes and signs, so that whole counts stay whole counts."""
        unbiased = not self.gyro_bias.any() and not self.accel_bias.any()
        return unbiased and np.array_equal(self.accel_matrix, np.eye(3)) and bool(np.isin(self.mount, (-1, 0, 1)).all())

    @cached_property
    def _parts(self) -> tuple[tuple[slice, Floats, Floats], ...]:
        """Channels, bias and matrix of each part that changes something."""
        accel = slice(0, 3), self.accel_bias, self.mount @ self.accel_matrix
        parts = (accel, (slice(3, 6), self.gyro_bias, self.mount))
        return tuple(part for part in parts if part[1].any() or not np.array_equal(part[2], np.eye(3)))

    def apply(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, 6) float32 in the device's axes with the errors taken out; `data` itself if there are none.

        acc: mount @ accel_matrix @ (acc - accel_bias). gyr: mount @ (gyr - gyro_bias); NaN stays NaN.
        """
        if not self._parts:
            return data
        out = data.copy()
        for channels, bias, matrix in self._parts:
            x, y, z = (data[:, channels] - bias).T
            # Written out, because BLAS may round a row differently depending on how many rows there are.
            out[:, channels] = x[:, None] * matrix[:, 0] + y[:, None] * matrix[:, 1] + z[:, None] * matrix[:, 2]
        return out


def parse_mount(mount: str | ArrayLike | None) -> Floats:
    """Return a mount matrix (3, 3): identity for None, text as the kernel has it, or the numbers.

    The kernel writes "0, 1, 0; -1, 0, 0; 0, 0, 1", row by row (drivers/iio/industrialio-core.c, iio_show_mount_matrix),
    and means device = matrix @ sensor (Documentation/devicetree/bindings/iio/mount-matrix.txt).
    Raises InputError for what is not a rotation within 0.001; the result is one exactly.
    """
    if mount is None:
        return np.eye(3)
    rows: Any = [re.split(r"[,\s]+", row.strip()) for row in mount.split(";")] if isinstance(mount, str) else mount
    try:
        matrix = np.array(rows, np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"mount: expected 3 x 3 numbers such as '0, 1, 0; -1, 0, 0; 0, 0, 1', got {mount!r}"
        ) from error
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise InputError(f"mount: expected 3 x 3 finite numbers such as '0, 1, 0; -1, 0, 0; 0, 0, 1', got {mount!r}")
    off = np.abs(matrix @ matrix.T - np.eye(3)).max()
    if off > 1e-3:
        raise InputError(f"mount: expected a rotation, its rows of length 1 and square to each other, got {mount!r}")
    if np.linalg.det(matrix) < 0:
        raise InputError(
            f"mount: expected a rotation, got the reflection {mount!r}: no chip can be mounted so; one axis has the "
            "wrong sign, or two are swapped"
        )
    if off < 1e-12:
        return matrix
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right, np.float64)
