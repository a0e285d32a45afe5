"""Bias, scale, skew and mounting from the means of poses at rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError
from motionsig.sensors.calibration.model import MOST_BIAS, MOST_GYRO_BIAS, MOST_SCALE, Floats
from motionsig.sensors.calibration.poses import angle_deg, is_leaning, missing_faces, untested_faces

GOOD_RESIDUAL = 0.1
"""m/s². A hundredth of gravity, or 0.6 degrees of tilt. Uncalibrated, an MPU-6050 may be off by 0.8 (80 mg) and by 2 %
across its axes (PS-MPU-6000A 3.4, 6.2); below this residual, what can be removed has been removed."""
_MOST_GYRO_SPREAD = 0.03
"""rad/s between poses. Gravity itself moves an MPU-6050's bias by 0.1 deg/s per g (PS-MPU-6000A 3.4, 6.1)."""
_MOST_LEVERAGE, _SKEW_POSES = 0.9, 10
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))

MOUNT_ANGLE_DEG = 20.0
"""Between the two poses of a mount; below it, one degree of error in a pose rotates the result by more than three."""


def fit_gyro_bias(poses: ArrayLike) -> Floats:
    """Return the bias, (3,) rad/s, of a gyroscope's means at rest, (k, 3); raise InputError if they can be none."""
    rates = np.asarray(poses, np.float64).reshape(-1, 3)
    if not len(rates) or not np.isfinite(rates).all():
        raise InputError("gyroscope: expected its rate at rest, got none: the sensor has no gyroscope")
    bias: Floats = np.median(rates, axis=0)
    apart = np.abs(rates - bias).max()
    if apart > _MOST_GYRO_SPREAD:
        raise InputError(
            f"gyroscope: expected the same rate in each pose within {_MOST_GYRO_SPREAD:g} rad/s, got {apart:.2g} rad/s "
            "between them: it was turned slowly, or it has not warmed up"
        )
    if np.abs(bias).max() > MOST_GYRO_BIAS:
        raise InputError(
            f"gyroscope: expected a bias of at most {MOST_GYRO_BIAS:.2g} rad/s, got {np.abs(bias).max():.2g}: it was "
            "turned, or its range or unit is not what was configured"
        )
    return bias


@dataclass(frozen=True, eq=False)
class AccelFit:
    """What `fit_accelerometer` found.

    matrix: (3, 3) symmetric, as gravity does not show a rotation of all axes together; diagonal unless the poses showed
    the skew. bias: (3,) m/s². error_before, error_after: (k,) |acc| - gravity in m/s²; for a leaning pose error_after
    is that of a fit without it. leaning: (k,) bool, the poses that prove the fit. untested: faces whose error
    these would not show.
    """

    matrix: Floats
    bias: Floats
    error_before: Floats
    error_after: Floats
    leaning: NDArray[np.bool_]
    untested: tuple[str, ...]

    @property
    def residual_before(self) -> float:
        """Error of |acc| in m/s² in the worst pose as it was measured."""
        return float(np.abs(self.error_before).max())

    @property
    def residual_after(self) -> float:
        """Error of |acc| in m/s² in the worst leaning pose, each predicted by the others; NaN where none leans."""
        return float(np.abs(self.error_after[self.leaning]).max()) if self.leaning.any() else float("nan")

    @property
    def failure(self) -> str | None:
        """Say why the fit is not to be used, or None if it is."""
        if not self.leaning.any():
            return (
                "six poses decide six unknowns exactly, and nothing is left that could show an error: expected leaning "
                "poses besides, got none"
            )
        residual, before = self.residual_after, float(np.abs(self.error_before[self.leaning]).max())
        if residual > GOOD_RESIDUAL:
            return (
                f"expected a residual of at most {GOOD_RESIDUAL:g} m/s², got {residual:.3f}: a pose moved, or the axes "
                "are skewed, which six leaning poses or more can show"
            )
        if residual > max(before, GOOD_RESIDUAL / 3):
            return f"expected leaning poses nearer to gravity than before ({before:.3f} m/s²), got {residual:.3f}"
        return None


def fit_accelerometer(poses: ArrayLike, *, gravity: float = STANDARD_GRAVITY) -> AccelFit:
    """Return bias and scale that give the means at rest, (k, 3) in m/s², the length `gravity`, by least squares.

    Asks for one pose within 30 degrees of each face, in any order, repeated or not. Skew between the axes is also
    fitted where there are ten poses or more and it predicts the leaning poses better. Raises InputError that names a
    missing face, or says why what was measured cannot be gravity.
    """
    values = np.asarray(poses, np.float64).reshape(-1, 3)
    lengths = np.linalg.norm(values, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - gravity) < gravity / 2))
    if len(wrong):
        raise InputError(
            f"pose {wrong[0] + 1}: expected |acc| of about {gravity:g} m/s² at rest, got {lengths[wrong[0]]:.3g}: "
            "another unit, another range, or gravity was removed"
        )
    missing = missing_faces(values)
    if missing:
        raise InputError(
            f"poses: expected one on each of six faces, got {len(values)} and none with {', '.join(missing)}"
        )
    leaning = is_leaning(values)
    matrix, bias, error, leverage = _least_squares(values, gravity, _PAIRS[:3])
    error[leaning] /= 1 - leverage[leaning]
    if len(values) >= _SKEW_POSES:
        skew_matrix, skew_bias, unseen, leverage = _least_squares(values, gravity, _PAIRS)
        if leaning.any() and (leverage[leaning] <= _MOST_LEVERAGE).all():
            unseen[leaning] /= 1 - leverage[leaning]
            if (unseen[leaning] ** 2).mean() < (error[leaning] ** 2).mean():
                matrix, bias, error = skew_matrix, skew_bias, unseen
    if np.abs(bias).max() > MOST_BIAS or np.abs(np.diag(matrix) - 1).max() > MOST_SCALE:
        raise InputError(
            f"accelerometer: expected a bias within {MOST_BIAS:.2g} m/s² and a scale within {MOST_SCALE:.0%}, got "
            f"{np.abs(bias).max():.2g} m/s² and {np.abs(np.diag(matrix) - 1).max():.0%}: no chip is so far off; a pose "
            "was wrong, or the range is not what was configured"
        )
    return AccelFit(matrix, bias, lengths - gravity, error, leaning, untested_faces(values))


def _least_squares(poses: Floats, gravity: float, pairs: Sequence[tuple[int, int]]) -> tuple[Floats, ...]:
    """Return matrix, bias, errors (k,) and leverages (k,) by Gauss-Newton; `pairs`: the matrix's free elements.

    An error divided by (1 - leverage) is what a fit without that pose would have left there.
    """
    matrix, bias = np.eye(3), np.zeros(3)
    for _ in range(30):
        shifted = poses - bias
        turned = shifted @ matrix
        lengths = np.linalg.norm(turned, axis=1)
        unit = turned / lengths[:, None]
        columns = [unit[:, j] * shifted[:, k] + (unit[:, k] * shifted[:, j] if j != k else 0) for j, k in pairs]
        slope = np.column_stack([-unit @ matrix, *columns])
        step = np.linalg.lstsq(slope, gravity - lengths, rcond=None)[0]
        bias = bias + step[:3]
        for (j, k), change in zip(pairs, step[3:], strict=True):
            matrix[[j, k], [k, j]] += change
        if np.abs(step).max() < 1e-9:
            break
    error = np.linalg.norm((poses - bias) @ matrix, axis=1) - gravity
    # lstsq takes no step in directions that the poses do not determine, so these have no leverage.
    left, size, _ = np.linalg.svd(slope, full_matrices=False)
    leverage: Floats = (left[:, size > size[0] * 1e-6] ** 2).sum(axis=1)
    return matrix, bias, error, leverage


def fit_mount(level: ArrayLike, nose_up: ArrayLike) -> Floats:
    """Return the rotation (3, 3) from the sensor's axes to the device's: x forward, y left, z up.

    level, nose_up: (3,) means of calibrated acceleration at rest, level and with the front tilted up. Raises InputError
    where they are less than MOUNT_ANGLE_DEG or more than 180 less that apart.
    """
    up, tilted = (np.asarray(pose, np.float64) / np.linalg.norm(pose) for pose in (level, nose_up))
    angle = angle_deg(up, tilted)
    if not MOUNT_ANGLE_DEG <= angle <= 180 - MOUNT_ANGLE_DEG:
        raise InputError(
            f"mount: expected the second pose tilted by {MOUNT_ANGLE_DEG:g} to {180 - MOUNT_ANGLE_DEG:g} degrees from "
            f"the first, got {angle:.1f}"
        )
    forward = tilted - (tilted @ up) * up
    forward /= np.linalg.norm(forward)
    return np.array([forward, np.cross(up, forward), up])
