"""Parquet: an extra."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA, TIME_S
from test_recordings import samples

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.recordings import open_recording

try:
    import pyarrow as pa
    import pyarrow.parquet
except ImportError as error:  # an extra; and a new pyarrow beside an old numpy
    pytest.skip(str(error), allow_module_level=True)

CHANNELS = dict(zip(made_logs.HEADER.split(",")[1:], DATA.T, strict=True))


def write(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "log"
    pyarrow.parquet.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize(
    "time",
    [
        TIME_S,
        1.7e9 + TIME_S,
        np.rint(TIME_S * 1e3).astype(np.int32),
        1_718_030_736_872_695_300 + np.rint(TIME_S * 1e9).astype(np.int64),
        np.datetime64("2025-06-01T12:00:00", "ms") + np.rint(TIME_S * 1e3).astype("m8[ms]"),
        pa.array(np.rint(TIME_S * 1e6).astype(np.int64)).cast(pa.timestamp("us", "Europe/Berlin")),
    ],
)
def test_times(tmp_path: Path, time: Any) -> None:
    source = open_recording(write(tmp_path, {"time": time, **CHANNELS}, row_group_size=150))
    time_ns, data, _ = samples(source)
    assert source.info.samples == COUNT
    assert source.rate_hz == pytest.approx(100)
    np.testing.assert_allclose(np.diff(time_ns), 10_000_000, atol=400)
    np.testing.assert_allclose(data, DATA, atol=1e-6)


def test_options_are_those_of_csv(tmp_path: Path) -> None:
    path = write(tmp_path, dict(zip("abcdef", DATA.astype(np.float32).T, strict=True)))
    names = dict(zip(("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"), "abcdef", strict=True))
    time_ns, data, _ = samples(
        open_recording(path, columns=names, acc_unit="m/s^2", gyr_unit="rad/s", rate_hz=50, start_ns=9)
    )
    assert (time_ns[0], time_ns[-1]) == (9, 9 + (COUNT - 1) * 20_000_000)
    np.testing.assert_allclose(data, DATA, atol=1e-6)
    with pytest.raises(RecordingError, match="expected a unit for column 'a'"):
        open_recording(path, columns=names)


def test_nulls_are_lost_samples(tmp_path: Path) -> None:
    values = DATA[:, 0].tolist()
    values[7] = None
    path = write(tmp_path, {"time (s)": TIME_S, **CHANNELS, "acc_x (m/s^2)": values})
    _, data, _ = samples(open_recording(path))
    assert np.flatnonzero(np.isnan(data).any(axis=1)).tolist() == [7]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (CHANNELS, "expected a time column, got none; pass the rate instead"),
        ({"time": np.arange(COUNT), **CHANNELS}, "expected a unit for 'time'; pass time_unit='s'"),
        ({"time": TIME_S.astype(str), **CHANNELS}, "expected numbers in column 'time', got (large_)?string"),
        ({"time": [None, *TIME_S[1:]], **CHANNELS}, "log: "),
        ({"time": TIME_S, "acc_x [g]": DATA[:, 0]}, "expected columns for acc_y"),
        ({"time": TIME_S[:0], **{name: it[:0] for name, it in CHANNELS.items()}}, "expected samples, got 0"),
        ({"time": TIME_S, **CHANNELS, "acc_z (m/s^2)": DATA[:, 2] - 9.81}, "gravity seems removed"),
    ],
)
def test_tables_that_will_not_do(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        open_recording(write(tmp_path, columns))


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"time": TIME_S, **CHANNELS})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="-m pip install 'pyarrow>="):
        open_recording(path)


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"time": TIME_S, **CHANNELS})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RecordingError, match="log: expected intact Parquet, got: "):
        open_recording(path)
