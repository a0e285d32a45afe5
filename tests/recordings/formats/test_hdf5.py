"""HDF5: an extra."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA, TIME_S
from reading import six, whole

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.recordings.formats.hdf5 import READER, tables

h5py = pytest.importorskip("h5py")
RECORD = np.dtype([("t", "f8"), ("acc", "f4", 3), ("gyr", "f8", 3), ("label", "S5")])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.h5"


def records() -> np.ndarray:
    made = np.zeros(COUNT, RECORD)
    made["t"], made["acc"], made["gyr"], made["label"] = TIME_S, DATA[:, :3], DATA[:, 3:], b"walk"
    return made


def test_a_group_is_a_table_with_units_and_rate(tmp_path: Path) -> None:
    (table,) = tables(made_logs.hdf5(tmp_path))
    assert table.name == "imu"
    assert table.units == ("m/s^2",) * 3 + ("rad/s",) * 3
    assert (table.rate_hz, table.rows) == (made_logs.RATE_HZ, COUNT)
    np.testing.assert_allclose(six(whole(table)[0]), DATA, atol=1e-6)


def test_several_groups_and_lengths_are_several_tables(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for side in ("left", "right"):
            file[f"subject1/{side}/acc"] = DATA[:, :3]
            file[f"subject1/{side}/gyr"] = DATA[:, 3:]
        file["own/acc"], file["own/acc_t"] = DATA[:, :3], TIME_S
        file["own/gyr"], file["own/gyr_t"] = DATA[::2, 3:], TIME_S[::2]
        file["about"] = "a text"
        file["picture"] = np.zeros((64, 64, 3), np.uint8)
    found = {table.name: table for table in tables(path)}
    assert set(found) == {"own/acc", "own/gyr", "subject1/left", "subject1/right"}
    assert found["own/gyr"].names == ("gyr_x", "gyr_y", "gyr_z", "gyr_t")


def test_records_are_a_table_of_their_own(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["walk"], file["run"] = records(), records()
    first, second = tables(path)
    assert {first.name, second.name} == {"run", "walk"}
    assert first.names == ("t", "acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z", "label")
    columns, _ = whole(first)
    np.testing.assert_allclose(six(columns), DATA, atol=1e-6)
    assert set(columns["label"]) == {"walk"}


@pytest.mark.parametrize("names", [["ax", "ay", "az", "gx", "gy", "gz"], None])
def test_columns_of_a_matrix_are_named_by_an_attribute(path: Path, names: list[str] | None) -> None:
    with h5py.File(path, "w") as file:
        file["data"] = DATA
        if names:
            file["data"].attrs["columns"] = names
    (table,) = tables(path)
    assert table.names == tuple(names or ())
    np.testing.assert_array_equal(np.column_stack(list(whole(table)[0].values())), DATA)


def test_texts_and_a_column_that_grew(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["activity"] = ["walk"] * COUNT
        file.create_dataset("acc", data=DATA[:, :3], maxshape=(None, 3), chunks=(7, 3), compression="gzip")
        file.create_dataset("time", data=TIME_S[:, None], maxshape=(None, 1))
    (table,) = tables(path)
    assert table.names == ("acc_x", "acc_y", "acc_z", "activity", "time")
    assert set(whole(table)[0]["activity"]) == {"walk"}


class Danger:
    """A pickle of it writes a file where it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def pandas_table(path: Path, kind: bytes) -> None:
    """Write what pandas' `to_hdf(..., format="table")` writes: a block of columns, its names pickled."""
    rows = np.zeros(COUNT, [("index", "i8"), ("values_block_0", "f8", 6), ("act", "S4")])
    rows["index"], rows["values_block_0"], rows["act"] = np.rint(TIME_S * 1e6), DATA, b"walk"
    with h5py.File(path, "w") as file:
        group = file.create_group("imu")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        table = group.create_dataset("table", data=rows)
        table.attrs["CLASS"] = np.bytes_("TABLE")
        table.attrs["index_kind"] = np.bytes_("datetime64[us]")
        table.attrs["values_block_0_kind"] = np.bytes_(kind)
        file.create_dataset("imu/_i_table/index/sorted", data=TIME_S)


def test_a_table_of_pandas_has_its_names_without_unpickling(path: Path, tmp_path: Path) -> None:
    names = ["acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"]
    pandas_table(path, pickle.dumps(names, 0))
    (table,) = tables(path)
    assert table.names == ("index", *names, "act")
    columns, _ = whole(table)
    np.testing.assert_array_equal(six(columns), DATA)
    np.testing.assert_array_equal(columns["index"].astype(np.int64), np.rint(TIME_S * 1e6) * 1000)
    pandas_table(path, pickle.dumps([*names[:5], Danger(tmp_path / "touched")], 0))
    (table,) = tables(path)
    assert table.names[1] == "values_block_0_0"
    assert not (tmp_path / "touched").exists()


def test_a_fixed_frame_of_pandas(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["imu/axis1"] = np.rint(TIME_S * 1e9).astype(np.int64)
        file["imu/axis1"].attrs["kind"] = np.bytes_("datetime64")
        for number, part in enumerate((DATA[:, :3], DATA[:, 3:].astype(np.float32))):
            file[f"imu/block{number}_values"] = part
            file[f"imu/block{number}_items"] = np.array([f"{'ag'[number]}{axis}" for axis in "xyz"], "S2")
    (table,) = tables(path)
    assert table.names == ("index", "ax", "ay", "az", "gx", "gy", "gz")
    assert table.head[0].dtype == np.dtype("M8[ns]") and table.head[0][1] == np.datetime64(10_000_000, "ns")


def test_nothing_outside_of_the_file_is_read(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["acc"] = DATA[:, :3]
    (tmp_path / "raw").write_bytes(DATA.tobytes())
    layout = h5py.VirtualLayout((COUNT, 3), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "acc", (COUNT, 3))
    with h5py.File(path, "w") as file:
        file["linked"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/acc")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (COUNT, 6), "f8", external=[(str(tmp_path / "raw"), 0, DATA.nbytes)])
        file["round"] = h5py.SoftLink("/")
    with pytest.raises(RecordingError, match="expected datasets of samples"):
        tables(path)


def test_a_chunk_that_fits_in_no_memory_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("acc", (1 << 28, 3), "f8", chunks=(1 << 26, 3))
    with pytest.raises(RecordingError, match=r"acc: expected at most \d+ bytes at once"):
        tables(path)


def test_damage_and_a_cut_are_named(path: Path, tmp_path: Path) -> None:
    made_logs.hdf5(tmp_path)
    content = path.read_bytes()
    assert READER.recognises(path, content[:64]) == 3
    assert READER.recognises(path, bytes(512) + content[:64]) == 3
    assert READER.recognises(path, bytes(511) + content[:64]) == 0
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordingError, match=r"log\.h5: expected intact HDF5, got: "):
        tables(path)


def test_the_extra_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"reading HDF5 needs h5py .*-m pip install 'h5py>="):
        tables(path)
