"""What one sensor gets wrong, how that is found at rest, and where it is kept.

At rest the length of specific force is local gravity whichever way the device lies, so nothing has to be levelled: the
accelerometer's errors are those that make |a| the same in all poses. Six poses, one on each face, decide a bias and a
scale per axis, and always exactly; that the fit goes through them proves nothing. What proves it are further poses,
leaning, whose |a| is predicted by a fit without them: that error is the residual. It shows a pose that moved, a face
whose reading was wrong, skew between the axes and a scale that is not a straight line. It cannot show a wrong `gravity`
(all poses share it) nor a turn of the whole chip in its case (that is the mount).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionsig.blocks import SampleBlock
from motionsig.conventions import CHANNELS, STANDARD_GRAVITY
from motionsig.errors import InputError, SensorError
from motionsig.state import state_path

Floats = NDArray[np.float64]

FORMAT = "motionsig-calibration"
VERSION = 1

CELL_S = 0.25
REST_S = 2.0
"""Rest is judged over so long, in cells of CELL_S: in one, the noisest listed chip's mean is known to 0.01 m/s²."""

_LEAST_CELLS = 4
_MOST_ODD = 0.25
"""Part of the cells that a knock on the table may spoil; they are left out."""

_STEADY = np.array([0.1] * 3 + [0.03] * 3)
"""m/s², rad/s: how far the mean of a cell may be from that of the rest. 0.1 m/s² is a turn by 0.6 degrees."""

_QUIET = np.array([0.3] * 3 + [0.05] * 3)
"""m/s², rad/s: the most spread within a cell. An MPU-6050 has 0.09 and 0.002 at 500 Hz (PS-MPU-6000A 3.4, 6.1, 6.2)."""

GOOD_RESIDUAL = 0.1
"""m/s². A hundredth of gravity, or 0.6 degrees of tilt. Uncalibrated, an MPU-6050 may be off by 0.8 (80 mg) and by 2 %
across its axes (PS-MPU-6000A 3.4, 6.2); whoever stays below has removed what can be removed."""

_MOST_BIAS = 0.35 * STANDARD_GRAVITY
_MOST_SCALE = 0.15
"""The worst chips' limits and a little more: 250 mg on z and 230 to 282 counts instead of 256 per g (ADXL350, ADXL345:
data sheets, table 1). Beyond that it isn't the chip that is wrong but its range or unit."""

_MOST_GYRO_BIAS = np.radians(40.0)
"""An MPU-6050 may be off by 20 deg/s, and by 20 more over temperature (PS-MPU-6000A 3.4, 6.1)."""

_MOST_GYRO_SPREAD = 0.03
"""rad/s between poses. Gravity itself moves an MPU-6050's bias by 0.1 deg/s per g (PS-MPU-6000A 3.4, 6.1)."""

FACES = ("x up", "y up", "z up", "x down", "y down", "z down")
_FACES = np.vstack([np.eye(3), -np.eye(3)])
_ON_FACE = np.cos(np.radians(30.0))
_LEANS = 0.3
"""A leaning pose tests a face if so much of gravity is along it: then an error e in the face's pose shows as e/5."""

_MOST_LEVERAGE = 0.9
_SKEW_POSES = 10
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))

MOUNT_ANGLE_DEG = 20.0
"""Between the two poses of a mount; below, a degree of error in one of them turns the result by more than three."""

_MOST_BYTES = 1 << 16


def _zeros() -> Floats:
    return np.zeros(3)


@dataclass(frozen=True, eq=False)
class Calibration:
    """One sensor's errors, and how its axes lie in the device.

    gyro_bias: (3,) rad/s. accel_bias: (3,) m/s². accel_matrix: (3, 3) scale and skew. mount: (3, 3) rotation from the
    sensor's axes to the device's. residual_before, residual_after: error of |acc| in m/s², of the worst pose as it
    was measured and of the worst that the fit had not seen; None where the accelerometer was not calibrated. poses: how
    many. when_s: Unix seconds. A bias moves with temperature, and at which one it was measured isn't known.
    """

    gyro_bias: Floats = field(default_factory=_zeros)
    accel_bias: Floats = field(default_factory=_zeros)
    accel_matrix: Floats = field(default_factory=lambda: np.eye(3))
    mount: Floats = field(default_factory=lambda: np.eye(3))
    residual_before: float | None = None
    residual_after: float | None = None
    poses: int = 0
    when_s: float | None = None

    @cached_property
    def permutes_axes(self) -> bool:
        """Whether all that `apply` does is to swap axes and signs, so that whole counts stay whole counts."""
        unbiased = not self.gyro_bias.any() and not self.accel_bias.any()
        return unbiased and np.array_equal(self.accel_matrix, np.eye(3)) and bool(np.isin(self.mount, (-1, 0, 1)).all())

    @cached_property
    def _parts(self) -> tuple[tuple[slice, Floats, Floats], ...]:
        """Channels, bias and matrix of what there is to do."""
        parts = (
            (slice(0, 3), self.accel_bias, self.mount @ self.accel_matrix),
            (slice(3, 6), self.gyro_bias, self.mount),
        )
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
            # Written out: a product by BLAS may round a row differently depending on how many rows there are.
            out[:, channels] = x[:, None] * matrix[:, 0] + y[:, None] * matrix[:, 1] + z[:, None] * matrix[:, 2]
        return out


@dataclass(frozen=True, eq=False)
class Rest:
    """A device at rest. mean: (6,) float64, m/s² and rad/s. data: (n, 6), the samples it is the mean of."""

    mean: Floats
    data: NDArray[np.float32]


def rest(data: ArrayLike, rate_hz: float) -> Rest:
    """Return what was measured, (n, 6), in a stretch in which the device was at rest.

    A knock that spoils up to a quarter of it is left out. Channels that are NaN throughout stay NaN.
    Raises InputError that says what moved and by how much, or that the stretch is shorter than a second.
    """
    given = np.asarray(data, np.float32).reshape(-1, len(CHANNELS))
    used = np.flatnonzero(~np.isnan(given).all(axis=0))
    finite = np.flatnonzero(np.isfinite(given[:, used]).all(axis=1))
    if not {0, 1, 2} <= set(used.tolist()):
        finite = finite[:0]
    rows = _cell_rows(rate_hz)
    count = len(finite) // rows
    if count < _LEAST_CELLS:
        raise InputError(
            f"rest: expected {_LEAST_CELLS * rows} samples of acceleration or more, got {len(finite)} that are finite"
        )
    members = finite[: count * rows].reshape(count, rows)
    cells = given[members][:, :, used].astype(np.float64)
    means = cells.mean(axis=1)
    moved = np.abs(means - np.median(means, axis=0))
    parts = np.concatenate([moved / _STEADY[used], cells.std(axis=1) / _QUIET[used]], axis=1)
    worst = parts.max(axis=1)
    odd = worst > 1
    if odd.sum() > _MOST_ODD * count:
        # The cell that is one too many, so that a knock doesn't stand for what the rest of the stretch did.
        cell = np.argsort(worst)[count - 1 - int(_MOST_ODD * count)]
        kind, column = divmod(int(parts[cell].argmax()), len(used))
        channel = used[column]
        limit = (_STEADY, _QUIET)[kind][channel]
        raise InputError(
            f"rest: expected {CHANNELS[channel]} {('steady', 'quiet')[kind]} within {limit:g} "
            f"{'m/s²' if channel < 3 else 'rad/s'}, got {parts[cell].max() * limit:.2g}: it moved in "
            f"{odd.sum() * CELL_S:g} of {count * CELL_S:g} s"
        )
    mean = np.full(len(CHANNELS), np.nan)
    mean[used] = means[~odd].mean(axis=0)
    return Rest(mean, given[members[~odd].ravel()])


def _cell_rows(rate_hz: float) -> int:
    return max(round(rate_hz * CELL_S), 2)


def find_rests(blocks: Iterable[SampleBlock], rate_hz: float) -> Iterator[Rest | InputError | None]:
    """Yield, every CELL_S, what the last REST_S were: a Rest, None while that one goes on, or the InputError of `rest`.

    An empty block, by which a sensor says that nothing comes, is an InputError, too.
    """
    rows = _cell_rows(rate_hz)
    length = round(REST_S / CELL_S) * rows
    waiting = np.empty((0, len(CHANNELS)), np.float32)
    resting = False
    for block in blocks:
        if not len(block):
            resting = False
            yield InputError("rest: expected samples, got none: the sensor is silent")
        # A gap needs no care: two poses with a gap between them differ as much as without.
        waiting = np.concatenate([waiting, block.data])
        while len(waiting) >= length:
            data, waiting = waiting[:length], waiting[rows:]
            try:
                found = rest(data, rate_hz)
            except InputError as error:
                resting = False
                yield error
                continue
            yield None if resting else found
            resting = True


def fit_gyro_bias(poses: ArrayLike) -> Floats:
    """Return the bias, (3,) rad/s, of a gyroscope's means at rest, (k, 3).

    Raises InputError for a sensor without one, poses that disagree and a rate that cannot be a bias.
    """
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
    if np.abs(bias).max() > _MOST_GYRO_BIAS:
        raise InputError(
            f"gyroscope: expected a bias of at most {_MOST_GYRO_BIAS:.2g} rad/s, got {np.abs(bias).max():.2g}: it was "
            "turned, or its range or unit is not what was configured"
        )
    return bias


@dataclass(frozen=True, eq=False)
class AccelFit:
    """What `fit_accelerometer` found.

    matrix: (3, 3) symmetric, for gravity cannot tell a turn of all axes together; diagonal unless the poses told the
    skew. bias: (3,) m/s². error_before, error_after: (k,) |acc| - gravity in m/s²; after is as a fit without that pose
    predicts it where the pose leans. leaning: (k,) bool, the poses that prove the fit. untested: faces whose error
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
        residual, before = (self.residual_after, float(np.abs(self.error_before[self.leaning]).max()))
        if residual > GOOD_RESIDUAL:
            return (
                f"expected a residual of at most {GOOD_RESIDUAL:g} m/s², got {residual:.3f}: a pose moved, or the axes "
                "are skewed, which six leaning poses or more can tell"
            )
        if residual > max(before, GOOD_RESIDUAL / 3):
            return f"expected leaning poses nearer to gravity than before ({before:.3f} m/s²), got {residual:.3f}"
        return None


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _along_faces(poses: Floats) -> Floats:
    """Return (k, 6): the part of each pose along each face."""
    along: Floats = poses / np.linalg.norm(poses, axis=1, keepdims=True) @ _FACES.T
    return along


def face_of(pose: ArrayLike) -> str:
    """Return which of FACES a pose (3,) lies on, or "leaning"."""
    along = _along_faces(np.asarray(pose, np.float64).reshape(1, 3))[0]
    return FACES[along.argmax()] if along.max() >= _ON_FACE else "leaning"


def is_leaning(poses: ArrayLike) -> NDArray[np.bool_]:
    """Return (k,) for poses (k, 3): whether it is more than 30 degrees from lying on any face."""
    leaning: NDArray[np.bool_] = _along_faces(np.asarray(poses, np.float64).reshape(-1, 3)).max(axis=1) < _ON_FACE
    return leaning


def missing_faces(poses: ArrayLike) -> tuple[str, ...]:
    """Return the faces that no pose of (k, 3) lies on."""
    along = _along_faces(np.asarray(poses, np.float64).reshape(-1, 3))
    return tuple(face for face, parts in zip(FACES, along.T, strict=True) if not (parts >= _ON_FACE).any())


def untested_faces(poses: ArrayLike) -> tuple[str, ...]:
    """Return the faces towards which no leaning pose of (k, 3) leans enough to show an error of theirs."""
    values = np.asarray(poses, np.float64).reshape(-1, 3)
    along = _along_faces(values[is_leaning(values)])
    return tuple(face for face, parts in zip(FACES, along.T, strict=True) if not (parts >= _LEANS).any())


def fit_accelerometer(poses: ArrayLike, *, gravity: float = STANDARD_GRAVITY) -> AccelFit:
    """Return bias and scale that give the means at rest, (k, 3) in m/s², the length `gravity`, by least squares.

    Asks for one pose within 30 degrees of each face, in any order, repeated or not. Skew between the axes is fitted,
    too, where ten poses or more tell it and poses that the fit does not see come out better with it.
    The residual proves something only by leaning poses; see the top of this file, and `AccelFit.failure`.
    Raises InputError that names a missing face, or says why what was measured cannot be gravity.
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
        skewed = _least_squares(values, gravity, _PAIRS)
        if (skewed[3][leaning] <= _MOST_LEVERAGE).all():
            unseen = skewed[2] / np.where(leaning, 1 - skewed[3], 1)
            if leaning.any() and _rms(unseen[leaning]) < _rms(error[leaning]):
                matrix, bias, error = skewed[0], skewed[1], unseen
    if np.abs(bias).max() > _MOST_BIAS or np.abs(np.diag(matrix) - 1).max() > _MOST_SCALE:
        raise InputError(
            f"accelerometer: expected a bias within {_MOST_BIAS:.2g} m/s² and a scale within {_MOST_SCALE:.0%}, got "
            f"{np.abs(bias).max():.2g} m/s² and {np.abs(np.diag(matrix) - 1).max():.0%}: no chip is so far off; a pose "
            "was wrong, or the range is not what was configured"
        )
    return AccelFit(matrix, bias, lengths - gravity, error, leaning, untested_faces(values))


def _least_squares(
    poses: Floats, gravity: float, pairs: Sequence[tuple[int, int]]
) -> tuple[Floats, Floats, Floats, Floats]:
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
            matrix[j, k] += change
            if j != k:
                matrix[k, j] += change
        if np.abs(step).max() < 1e-9:
            break
    error = np.linalg.norm((poses - bias) @ matrix, axis=1) - gravity
    # Of directions that the poses don't tell, lstsq takes none; they have no leverage either.
    left, size, _ = np.linalg.svd(slope, full_matrices=False)
    leverage: Floats = (left[:, size > size[0] * 1e-6] ** 2).sum(axis=1)
    return matrix, bias, error, leverage


def fit_mount(level: ArrayLike, nose_up: ArrayLike) -> Floats:
    """Return the rotation (3, 3) from the sensor's axes to the device's: x forward, y left, z up.

    level, nose_up: (3,) means of calibrated acceleration at rest, with the device level and with its front tilted up.
    Raises InputError where the poses are less than MOUNT_ANGLE_DEG or more than 180 less that apart.
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


def angle_deg(first: Floats, second: Floats) -> float:
    """Return the angle between two vectors (3,)."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))


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


def calibration_path(device: str) -> Path:
    """Return where the calibration of a device is kept."""
    path = state_path("calibrations", device)
    return path.with_name(f"{path.name}.json")


def save_calibration(device: str, calibration: Calibration) -> Path:
    """Store a device's calibration in place of the one before; return where.

    A kill at any point leaves one of the two, whole. Raises SensorError where it cannot be written.
    """
    path = calibration_path(device)
    text = json.dumps({FORMAT: VERSION, "device": device} | _values(calibration), indent=1) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(handle)
            # A calibration is no secret, and the service that reads it may be another user than the one that made it.
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise SensorError(f"{path}: expected to store the calibration of {device}, got: {error.strerror}") from error
    return path


def _values(calibration: Calibration) -> dict[str, Any]:
    return {
        "gyro_bias": calibration.gyro_bias.tolist(),
        "accel_bias": calibration.accel_bias.tolist(),
        "accel_matrix": calibration.accel_matrix.tolist(),
        "mount": calibration.mount.tolist(),
        "residual_before": calibration.residual_before,
        "residual_after": calibration.residual_after,
        "poses": calibration.poses,
        "when_s": calibration.when_s,
    }


def load_calibration(device: str) -> Calibration | None:
    """Return what was stored for a device, None where nothing was.

    Raises SensorError for a file that cannot be read, is damaged, of another version or of another device.
    """
    path = calibration_path(device)
    remedy = "; run `motionsig calibrate` again, or remove the file"
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SensorError(f"{path}: expected the calibration of {device}, got: {error.strerror}") from error
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SensorError(f"{path}: expected the calibration of {device}, got a damaged file{remedy}") from error
    if not isinstance(values, dict) or FORMAT not in values:
        raise SensorError(f"{path}: expected the calibration of {device}, got something else{remedy}")
    if values[FORMAT] != VERSION:
        raise SensorError(f"{path}: expected version {VERSION} of {FORMAT}, got {values[FORMAT]!r}{remedy}")
    if values.get("device") != device:
        raise SensorError(f"{path}: expected the calibration of {device}, got that of {values.get('device')!r}{remedy}")
    try:
        return _calibration(values)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SensorError(
            f"{path}: expected the calibration of {device}, got a damaged one: {error}{remedy}"
        ) from error


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
    if np.abs(matrix - np.eye(3)).max() > 2 * _MOST_SCALE:
        raise ValueError(f"accel_matrix expected near the identity, got {values['accel_matrix']!r}")
    return Calibration(
        gyro_bias=array("gyro_bias", (3,), _MOST_GYRO_BIAS),
        accel_bias=array("accel_bias", (3,), _MOST_BIAS),
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
