"""Feather, Arrow's files and streams, and Parquet: extras."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA, TIME_S
from reading import six, whole

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.recordings.formats import arrow, parquet
from motionsig.recordings.tables import Table

try:
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet
except ImportError as error:  # an extra; and a new pyarrow beside an old numpy
    pytest.skip(str(error), allow_module_level=True)

CHANNELS = dict(zip(made_logs.HEADER.split(",")[1:], DATA.T, strict=True))


def feather(path: Path, table: pa.Table) -> tuple[Table, ...]:
    pyarrow.feather.write_feather(table, str(path), chunksize=150)
    return arrow.tables(path)


def stream(path: Path, table: pa.Table) -> tuple[Table, ...]:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, 150)
    return arrow.tables(path)


def parquets(path: Path, table: pa.Table) -> tuple[Table, ...]:
    pyarrow.parquet.write_table(table, path, row_group_size=150)
    return parquet.tables(path)


WRITERS = pytest.mark.parametrize("written", [feather, stream, parquets])
Written = Callable[[Path, Any], tuple[Table, ...]]


@WRITERS
def test_all_types_of_columns(tmp_path: Path, written: Written) -> None:
    some = np.arange(COUNT)
    columns = {
        "time": pa.array(some * 10_000).cast(pa.timestamp("us", "Europe/Berlin")),
        "since": pa.array(some * 10).cast(pa.duration("ms")),
        **CHANNELS,
        "short": pa.array(some.astype(np.uint16)),
        "on": pa.array(some % 2 == 0),
        "day": pa.array(some.astype(np.int32)).cast(pa.date32()),
        "label": pa.array(["walk"] * COUNT).dictionary_encode(),
        "list": [[1.0, 2.0]] * COUNT,
        "none": pa.nulls(COUNT),
    }
    if written is not parquets:
        columns["half"] = pa.array(some.astype(np.float16))
    (table,) = written(tmp_path / "log", pa.table(columns))
    kinds = {name: head.dtype for name, head in zip(table.names, table.head, strict=True)}
    assert kinds["time"] == kinds["day"] == np.dtype("M8[ns]")
    assert (kinds["since"], kinds["short"], kinds["on"]) == (np.int64, np.int64, np.int64)
    assert table.units[table.names.index("since")] == "ns"
    found, breaks = whole(table)
    np.testing.assert_array_equal(found["time"].astype(np.int64), some * 10_000_000)
    np.testing.assert_array_equal(found["since"], some * 10_000_000)
    np.testing.assert_array_equal(six(found), DATA)
    np.testing.assert_array_equal(found.get("half", some), some)
    assert set(found["label"]) == {"walk"} and found["list"][0].startswith("(list") and not breaks


@WRITERS
def test_what_is_missing_is_nan_no_time_and_no_text(tmp_path: Path, written: Written) -> None:
    columns = {
        "f": pa.array([1.5, None, 2.0], pa.float32()),
        "i": pa.array([1, None, 3], pa.int16()),
        "b": pa.array([True, None, False]),
        "t": pa.array([1, None, 3], pa.timestamp("ms")),
        "s": pa.array(["a", None, "b"]),
    }
    found, _ = whole(written(tmp_path / "log", pa.table(columns))[0])
    np.testing.assert_array_equal(found["f"], [1.5, np.nan, 2])
    np.testing.assert_array_equal(found["i"], [1, np.nan, 3])
    np.testing.assert_array_equal(found["b"], [1, np.nan, 0])
    assert found["s"].tolist() == ["a", "", "b"]
    assert np.isnat(found["t"]).tolist() == [False, True, False]


def test_two_columns_of_one_name_stay_two(tmp_path: Path) -> None:
    (table,) = stream(tmp_path / "log", pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], ["x", "x"]))
    (rows,) = table.read({0: "whole", 1: "whole"})
    assert (rows.columns[0].tolist(), rows.columns[1].tolist()) == ([1, 2], [3, 4])
    (rows,) = table.read({1: "whole"})
    assert rows.columns[1].tolist() == [3, 4]


def test_text_that_is_no_number_is_named(tmp_path: Path) -> None:
    (table,) = feather(tmp_path / "log", pa.table({"acc_x": ["1.5", "", "fast"]}))
    with pytest.raises(RecordingError, match=r"log: column 'acc_x': expected numbers, got text: .*fast"):
        list(table.read({0: "number"}))


def test_they_are_recognised(tmp_path: Path) -> None:
    table = pa.table({"t": TIME_S})
    for written, reader, sure in ((feather, arrow.READER, 3), (stream, arrow.READER, 2), (parquets, parquet.READER, 3)):
        written(tmp_path / "log", table)
        head = (tmp_path / "log").read_bytes()
        assert reader.recognises(tmp_path / "log", head) == sure
    assert arrow.READER.recognises(tmp_path / "log", b"\xff" * 100) == 0


@WRITERS
def test_a_cut_file_is_named(tmp_path: Path, written: Written) -> None:
    path = tmp_path / "log"
    written(path, pa.table({"time": TIME_S, **CHANNELS}))
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(RecordingError, match=r"log: expected intact (Parquet|Feather), got: "):
        whole((parquet.tables if written is parquets else arrow.tables)(path)[0])


def test_an_offset_that_points_outside_of_the_file_is_refused(tmp_path: Path) -> None:
    """It would end the process where it is followed."""
    path = tmp_path / "log"
    stream(path, pa.table({"s": ["walk", "rest"]}))
    content, offsets = path.read_bytes(), np.array([0, 4, 8], "<i4").tobytes()
    assert content.count(offsets) == 1
    path.write_bytes(content.replace(offsets, np.array([0, 1 << 30, 8], "<i4").tobytes()))
    with pytest.raises(RecordingError, match="log: expected intact Feather"):
        arrow.tables(path)


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    parquets(path, pa.table({"time": TIME_S}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for reader in (parquet, arrow):
        with pytest.raises(MissingExtraError, match="-m pip install 'pyarrow>="):
            reader.tables(path)


def test_pandas_is_not_imported(tmp_path: Path) -> None:
    made_logs.parquet(tmp_path)
    program = (
        "import sys, pathlib; from motionsig.recordings.formats import parquet\n"
        f"parquet.tables(pathlib.Path({str(tmp_path / 'log.parquet')!r})); sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
