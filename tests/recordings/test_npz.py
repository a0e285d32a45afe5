"""Arrays in an .npz."""

from __future__ import annotations

import io
from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA, TIME_S
from test_recordings import samples

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import RecordingError
from motionsig.recordings import open_recording

ACC, GYR = DATA[:, :3], DATA[:, 3:]
FULL = {"acc": ACC, "gyr": GYR, "sampling_rate": 100.0}


def write(folder: Path, arrays: dict[str, object]) -> Path:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    path = folder / "log"
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize(
    "clock",
    [
        {"sampling_rate": 100.0},
        {"fs": np.array([100])},
        {"rate_hz": 100},
        {"time": TIME_S},
        {"time": 1.7e9 + TIME_S, "fs": 77.0},
        {"time_ns": np.rint(TIME_S * 1e9).astype(np.int64)},
        {"timestamp": np.rint(TIME_S * 1e3).astype(np.int32)},
        {"t": np.rint(TIME_S * 1e6).astype(np.uint64)},
        {"time": np.datetime64("2025-06-01T12:00:00", "us") + np.rint(TIME_S * 1e6).astype("m8[us]")},
    ],
)
def test_clocks(tmp_path: Path, clock: dict[str, object]) -> None:
    source = open_recording(write(tmp_path, {"acc": ACC, "gyr": GYR, **clock}))
    time_ns, data, _ = samples(source)
    assert source.rate_hz == pytest.approx(100, rel=1e-6)
    assert source.info.samples == COUNT
    np.testing.assert_allclose(np.diff(time_ns), 10_000_000, atol=400)
    np.testing.assert_allclose(data, DATA, atol=1e-6)


@pytest.mark.parametrize(("acc", "gyr"), [("accel", "gyro"), ("acceleration", "gyroscope")])
def test_names_and_units(tmp_path: Path, acc: str, gyr: str) -> None:
    path = write(tmp_path, {acc: ACC / STANDARD_GRAVITY, gyr: np.rad2deg(GYR), "fs": 100})
    _, data, _ = samples(open_recording(path, acc_unit="g", gyr_unit="deg/s"))
    np.testing.assert_allclose(data, DATA, atol=1e-6)
    with pytest.raises(RecordingError, match="looks like g: pass acc_unit='g'"):
        open_recording(path)
    with pytest.raises(RecordingError, match="both acc_unit and gyr_unit or neither"):
        open_recording(path, acc_unit="g")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"acc": ACC, "fs": 100}, "expected an array gyr or gyro .*got acc, fs"),
        ({"mag": ACC}, "expected an array acc or accel .*got none"),
        ({**FULL, "gyr": GYR[1:]}, "as many gyr as acc samples, got 399 and 400"),
        ({**FULL, "gyr": GYR.T}, r"gyr as numbers \(n, 3\), got float64 \(3, 400\)"),
        ({**FULL, "gyr": GYR.astype(str)}, r"gyr as numbers \(n, 3\), got <U"),
        ({**FULL, "gyr": GYR.astype(object)}, "expected a numpy array of numbers"),
        ({"acc": ACC, "gyr": GYR}, r"expected an array time_ns or time .*pass rate_hz=50"),
        ({**FULL, "sampling_rate": 0.0}, "expected sampling_rate in Hz, got 0.0"),
        ({**FULL, "time": TIME_S[1:]}, "expected 400 times in time"),
        ({**FULL, "time": np.where(TIME_S == 1, np.nan, TIME_S)}, "time"),
        ({**FULL, "time": np.arange(COUNT)}, "expected time to show its unit.*time_unit='s'"),
        ({**FULL, "acc": ACC[:0], "gyr": GYR[:0]}, "expected samples, got 0"),
        ({**FULL, "acc": ACC - [0, 0, 9.81]}, "gravity seems removed"),
    ],
)
def test_arrays_that_will_not_do(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    path = write(tmp_path, arrays)
    with pytest.raises(RecordingError, match=message) as caught:
        open_recording(path)
    assert str(path) in str(caught.value)


def test_a_rate_wins_over_the_file(tmp_path: Path) -> None:
    source = open_recording(write(tmp_path, {**FULL, "time": TIME_S}), rate_hz=200, start_ns=5)
    time_ns, _, _ = samples(source)
    assert (source.rate_hz, time_ns[0], time_ns[-1]) == (200, 5, 5 + (COUNT - 1) * 5_000_000)


def test_a_training_set_holds_many(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(made_logs.training_set())
    for wanted in (None, -1, 2):
        with pytest.raises(RecordingError, match=f"expected recording=0 to 1, as it holds 2, got {wanted}"):
            open_recording(path, recording=wanted)
    with pytest.raises(RecordingError, match="label='labels': a training set has none for its samples"):
        open_recording(path, recording=0, label="labels")
    first, second = open_recording(path, recording=0), open_recording(path, recording=1)
    assert (first.rate_hz, second.rate_hz) == (100, 50)
    assert first.info.stream_id != second.info.stream_id
    assert first.info.scale == (0.001,) * 6
    _, data, _ = samples(second)
    np.testing.assert_allclose(data, DATA, atol=5.01e-4)
    np.testing.assert_allclose(data / 0.001, np.rint(data / 0.001), atol=1e-3)


def test_a_training_set_that_disagrees_with_itself(tmp_path: Path) -> None:
    with np.load(io.BytesIO(made_logs.training_set())) as arrays:
        path = write(tmp_path, {**arrays, "gyr_q": arrays["gyr_q"][:, :100]})
    with pytest.raises(RecordingError, match="expected a training set with acc_q"):
        open_recording(path, recording=0)


def test_the_sign_of_ios_is_turned(tmp_path: Path) -> None:
    path = write(tmp_path, {**FULL, "acc": -ACC})
    _, data, _ = samples(open_recording(path, acc_sign=-1))
    np.testing.assert_allclose(data, DATA, atol=1e-6)
