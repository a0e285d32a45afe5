"""Arrays of numpy."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from made_logs import COUNT, DATA, TIME_S
from reading import six, whole

from motionsig.errors import RecordingError
from motionsig.recordings.formats.arrays import BATCH_ROWS
from motionsig.recordings.formats.npz import READER, tables

ACC, GYR = DATA[:, :3], DATA[:, 3:]


def write(folder: Path, arrays: dict[str, object], *, packed: bool = False) -> Path:
    path = folder / "log"
    with path.open("wb") as file:
        (np.savez_compressed if packed else np.savez)(file, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_one_length_are_one_table(tmp_path: Path, packed: bool, order: str) -> None:
    acc = np.asarray(ACC, order=order)  # type: ignore[call-overload]
    (table,) = tables(write(tmp_path, {"accel": acc, "gyro": GYR.astype(np.float32), "t": TIME_S}, packed=packed))
    assert table.names == ("accel_x", "accel_y", "accel_z", "gyro_x", "gyro_y", "gyro_z", "t")
    assert table.rows == COUNT and table.rate_hz is None
    columns, breaks = whole(table)
    np.testing.assert_allclose(np.column_stack(list(columns.values())), np.column_stack([DATA, TIME_S]), atol=1e-7)
    assert not breaks


@pytest.mark.parametrize(
    ("numbers", "rate_hz"),
    [
        ({"sampling_rate": 100.0}, 100),
        ({"fs": np.array([52])}, 52),
        ({"Fs": np.array([[104.0]])}, 104),
        ({"rate_hz": 0.0}, None),
        ({"fs": "fast"}, None),
        ({"window": 128}, None),
    ],
)
def test_one_number_is_the_rate(tmp_path: Path, numbers: dict[str, object], rate_hz: float | None) -> None:
    (table,) = tables(write(tmp_path, {"acc": ACC, "gyr": GYR, **numbers}))
    assert table.rate_hz == rate_hz


def test_sensors_of_their_own_length_are_tables_of_their_own(tmp_path: Path) -> None:
    first, second = tables(write(tmp_path, {"acc": ACC, "acc_time": TIME_S, "gyr": GYR[::2], "gyr_time": TIME_S[::2]}))
    assert (first.names[0], first.rows, second.names[0], second.rows) == ("acc_x", COUNT, "gyr_x", COUNT // 2)
    assert first.name != second.name


def test_labels_may_be_one_for_all(tmp_path: Path) -> None:
    (table,) = tables(write(tmp_path, {"acc": ACC, "gyr": GYR, "activity": "walk", "subject": np.full((COUNT, 1), 7)}))
    columns, _ = whole(table)
    assert set(columns["activity"]) == {"walk"} and set(columns["subject"]) == {7}


def test_one_array_alone_has_no_names(tmp_path: Path) -> None:
    path = tmp_path / "log.npy"
    np.save(path, DATA)
    (table,) = tables(path)
    assert table.names == () and table.width == 6
    np.testing.assert_array_equal(np.column_stack(list(whole(table)[0].values())), DATA)


def test_times_and_counts_stay_what_they_are(tmp_path: Path) -> None:
    times = np.datetime64("2025-06-01T12:00:00", "us") + np.rint(TIME_S * 1e6).astype("m8[us]")
    arrays = {"acc": ACC.astype(np.int16), "gyr": GYR, "time": times, "ticks": np.arange(COUNT).astype(np.uint64)}
    (table,) = tables(write(tmp_path, arrays))
    kinds = {name: head.dtype for name, head in zip(table.names, table.head, strict=True)}
    assert (kinds["acc_x"], kinds["time"], kinds["ticks"]) == (np.int64, np.dtype("M8[ns]"), np.int64)


def test_an_array_is_read_in_pieces(tmp_path: Path) -> None:
    rows = 24 * BATCH_ROWS
    path = write(tmp_path, {"acc": np.zeros((rows, 3)), "gyr": np.ones((rows, 3))})
    (table,) = tables(path)
    tracemalloc.start()
    read = sum(len(some.columns[3]) for some in table.read({3: "number"}))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read == rows
    assert most < 8 * 3 * rows / 2  # half of one array


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"word": "walk"}, "expected arrays of samples, such as acc and gyr .*word <U4"),
        ({"acc": np.zeros((2, 3, 4))}, r"expected arrays of samples.*acc float64 \(2, 3, 4\)"),
        ({"acc": np.zeros((4, 1000))}, r"expected arrays of samples.*acc float64 \(4, 1000\)"),
        ({"acc": ACC.astype(object)}, "expected arrays of samples.*acc object"),
    ],
)
def test_arrays_that_are_no_samples(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    path = write(tmp_path, arrays)
    with pytest.raises(RecordingError, match=message) as caught:
        tables(path)
    assert str(path) in str(caught.value)


def test_a_size_that_is_only_claimed_takes_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    claimed = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 6)}
    np.lib.format.write_array_header_1_0(header, claimed)
    path = tmp_path / "log.npy"
    path.write_bytes(header.getvalue() + DATA.tobytes())
    tracemalloc.start()
    with pytest.raises(RecordingError, match=r"log.npy: expected .* bytes more of the array"):
        tables(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 32 << 20
    claimed["fortran_order"] = True
    header.seek(0)
    np.lib.format.write_array_header_1_0(header, claimed)
    path.write_bytes(header.getvalue() + DATA.tobytes())
    with pytest.raises(RecordingError, match="expected rows in C order"):
        tables(path)


def test_only_arrays_are_recognised(tmp_path: Path) -> None:
    path = write(tmp_path, {"acc": ACC})
    assert READER.recognises(path, path.read_bytes()[:64]) == 3
    training = write(tmp_path, {"acc_q": ACC})
    assert READER.recognises(training, training.read_bytes()[:64]) == 0


def test_six_channels_by_name(tmp_path: Path) -> None:
    (table,) = tables(write(tmp_path, {"gyr": GYR, "acc": ACC}))
    np.testing.assert_array_equal(six(whole(table)[0]), DATA)


def test_an_array_that_python_2_wrote_is_read_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "log.npy"
    np.save(path, DATA)
    written = path.read_bytes()
    shape = f"({COUNT}, 6)".encode()
    assert shape in written
    path.write_bytes(written.replace(shape + b", }  ", f"({COUNT}L, 6L), }}".encode()))  # its long integers
    assert b"6L" in path.read_bytes()
    (table,) = tables(path)
    np.testing.assert_array_equal(np.column_stack(list(whole(table)[0].values())), DATA)
