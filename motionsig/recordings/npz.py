"""Arrays in an .npz: acc and gyr (n, 3), with a time or a rate beside them; or motionsig's own training sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import Source, SourceInfo
from motionsig.errors import RecordingError
from motionsig.recordings import columns as spelling
from motionsig.recordings.labels import NONE, find_label, refuse_choice
from motionsig.recordings.members import Member, content_id, members, single
from motionsig.recordings.samples import Reader, Samples, recorded
from motionsig.recordings.times import check_rate, likely_ns, numbered, to_ns

_ACC = ("acc", "accel", "acceleration", "accelerometer", "acc_mps2")
_GYR = ("gyr", "gyro", "gyroscope", "angular_velocity", "gyr_rads")
_TIME = ("time_ns", "time", "timestamp", "timestamps", "t")
_RATE = ("rate_hz", "sampling_rate", "fs_hz", "fs", "rate", "frequency", "sample_rate")
_SET = ("acc_q", "gyr_q", "acc_scale", "gyr_scale", "offsets", "fs_hz")


def _recognises(path: Path, head: bytes) -> int:
    if not head.startswith(b"PK"):
        return 0
    inside = members(path)
    return 3 if inside and all(it.name.endswith(".npy") for it in inside) else 0


def open_npz(
    path: Path,
    *,
    acc_unit: str | None = None,
    gyr_unit: str | None = None,
    time_unit: str | None = None,
    rate_hz: float | None = None,
    start_ns: int = 0,
    acc_sign: int = 1,
    recording: int | None = None,
    label: str | None = None,
    check_units: bool = True,
) -> Source:
    """Return the arrays at `path` as a Source.

    acc_unit, gyr_unit: m/s² and rad/s if neither is given; otherwise both are needed. time_unit: of a time array, by
    default as the size of its numbers shows. rate_hz: wins over time and rate in the file. start_ns: Unix time of the
    first sample where there is no time array. recording: which one, of a training set that holds many. label: the array
    (n,), or of one text for all samples, that says what was done; by default and otherwise as for CSV, as are acc_sign
    and check_units. Raises RecordingError.
    """
    check_rate(rate_hz)
    spelling.check_sign(acc_sign)
    arrays = _load(path)
    labels: NDArray[Any] | None = None
    scale: tuple[float, ...] | None = None
    if "acc_q" in arrays:
        refuse_choice(label, str(path), "a training set has none for its samples")
        acc, gyr, rate, scale = _one_of_many(path, arrays, recording)
        rate_hz = rate_hz or rate
        time_ns = numbered(0, len(acc), rate_hz, start_ns)
    else:
        acc, gyr = (_matrix(path, arrays, names) for names in (_ACC, _GYR))
        if len(acc) != len(gyr):
            raise RecordingError(f"{path}: expected as many gyr as acc samples, got {len(gyr)} and {len(acc)}")
        if (acc_unit is None) != (gyr_unit is None):
            raise RecordingError(
                f"{path}: expected both acc_unit and gyr_unit or neither, got one; it may hold for both"
            )
        acc = acc * spelling.factor("acc", acc_unit or "m/s^2")
        gyr = gyr * spelling.factor("gyr", gyr_unit or "rad/s")
        if rate_hz is None and not any(name in arrays for name in _TIME):
            rate_hz = _rate_hz(path, arrays)
        time_ns = numbered(0, len(acc), rate_hz, start_ns) if rate_hz else _time_ns(path, arrays, len(acc), time_unit)
        labels = _labels(path, label, len(acc))
    data = np.concatenate([acc * acc_sign, gyr], axis=1)
    samples = [Samples(time_ns, data, labels)] if len(data) else []
    stream_id = content_id((single(path),), acc_unit, gyr_unit, time_unit, rate_hz, start_ns, acc_sign, recording)
    info = SourceInfo(path.name, "npz", stream_id, len(data), scale)
    return recorded(
        lambda: iter(samples),
        str(path),
        info,
        rate_hz=rate_hz,
        check_units=check_units,
        label_chosen=label not in (None, NONE),
    )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    wanted = {*_ACC, *_GYR, *_TIME, *_RATE, *_SET}
    return {name: _array(member) for member in members(path) if (name := _name(member)) in wanted}


def _name(member: Member) -> str:
    return member.name.removesuffix(".npy")


def _array(member: Member) -> NDArray[Any]:
    with member.open() as file:
        try:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
        except (ValueError, MemoryError, OverflowError, TypeError) as error:
            raise RecordingError(f"{member.where}: expected a numpy array of numbers or text, got: {error}") from error


def _labels(path: Path, label: str | None, count: int) -> NDArray[Any] | None:
    inside = members(path)
    taken = [index for index, member in enumerate(inside) if _name(member) in (*_ACC, *_GYR, *_TIME, *_RATE)]
    column = find_label([_name(member) for member in inside], label, taken, str(path))
    if column is None:
        return None
    try:
        array = _array(inside[column.number])
        if array.shape not in ((), (count,), (count, 1), (1, count)) or array.dtype.kind not in "UiufbS":
            got = f"{array.dtype} {array.shape}"
            raise RecordingError(f"{inside[column.number].where}: expected {count} labels or one for all, got {got}")
    except RecordingError:
        if column.chosen:
            raise
        return None
    return np.broadcast_to(array, (count,)) if array.ndim == 0 else array.reshape(-1)


def _matrix(path: Path, arrays: dict[str, NDArray[Any]], names: tuple[str, ...]) -> NDArray[np.float64]:
    name = next((it for it in names if it in arrays), None)
    if name is None:
        got = ", ".join(sorted(arrays)) or "none"
        raise RecordingError(f"{path}: expected an array {' or '.join(names)}, got {got}")
    array = arrays[name]
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "fiu":
        raise RecordingError(f"{path}: expected {name} as numbers (n, 3), got {array.dtype} {array.shape}")
    return array.astype(np.float64)


def _time_ns(path: Path, arrays: dict[str, NDArray[Any]], count: int, unit: str | None) -> NDArray[np.int64]:
    name = next(it for it in _TIME if it in arrays)
    times = arrays[name].reshape(-1)
    if len(times) != count or times.dtype.kind not in "fiuM":
        raise RecordingError(f"{path}: expected {count} times in {name}, got {times.dtype} {arrays[name].shape}")
    if times.dtype.kind == "M":
        return np.asarray(times.astype("M8[ns]").astype(np.int64))
    per_unit = int(spelling.factor("time", unit)) if unit else 1 if name == "time_ns" else likely_ns(times)
    if not per_unit:
        raise RecordingError(f"{path}: expected {name} to show its unit, got {times[:3]}; pass time_unit='s' (say)")
    try:
        return to_ns(times, per_unit)
    except ValueError as error:
        raise RecordingError(f"{path}: array {name}: {error}") from None


def _rate_hz(path: Path, arrays: dict[str, NDArray[Any]]) -> float:
    for name in _RATE:
        if name in arrays and arrays[name].size == 1 and arrays[name].dtype.kind in "fiu":
            if 0.1 <= (rate_hz := float(arrays[name].reshape(-1)[0])) <= 100_000:
                return rate_hz
            raise RecordingError(f"{path}: expected {name} in Hz, got {rate_hz}; pass rate_hz=50 (say)")
    raise RecordingError(
        f"{path}: expected an array {' or '.join(_TIME)}, or one number {' or '.join(_RATE)}; pass rate_hz=50 (say)"
    )


def _one_of_many(
    path: Path, arrays: dict[str, NDArray[Any]], recording: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, tuple[float, ...]]:
    try:
        acc, gyr, acc_scale, gyr_scale, offsets, rates = (arrays[name] for name in _SET)
        count = len(rates)
        if recording is None or not 0 <= recording < count:
            raise RecordingError(f"{path}: expected recording=0 to {count - 1}, as it holds {count}, got {recording}")
        part = slice(int(offsets[recording]), int(offsets[recording + 1]))
        scales = float(acc_scale), float(gyr_scale)
        found = acc[:, part].T * scales[0], gyr[:, part].T * scales[1]
        if found[0].shape != found[1].shape or found[0].shape[1:] != (3,):
            raise ValueError(f"acc_q {acc.shape} and gyr_q {gyr.shape} where (3, n) twice was expected")
        return *found, float(rates[recording]), (scales[0],) * 3 + (scales[1],) * 3
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(f"{path}: expected a training set with {', '.join(_SET)}, got: {error}") from error


READER = Reader("npz", _recognises, open_npz)
