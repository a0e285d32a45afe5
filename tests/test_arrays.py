"""Samples in whatever people hold them: arrays, tables by the names of their columns, windows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from motionsig.arrays import as_samples
from motionsig.conventions import CHANNELS
from motionsig.errors import InputError

DATA = np.arange(60, dtype=np.float64).reshape(10, 6)
ORDER = ["gyr_z", "label", "acc_y", "acc_x", "gyr_x", "acc_z", "gyr_y"]


def frame():
    return pd.DataFrame(DATA, columns=CHANNELS).assign(label="walk")[ORDER]


def arrow():
    return pytest.importorskip("pyarrow").Table.from_pandas(frame())


@pytest.mark.parametrize(
    "table",
    [
        frame,
        lambda: frame().drop(columns="label").convert_dtypes(),
        lambda: frame().drop(columns="label").astype(int),
        lambda: pl.DataFrame({name: frame()[name].to_list() for name in ORDER}),
        arrow,
        lambda: np.rec.fromarrays(DATA.T, names=CHANNELS)[["gyr_z", "acc_x", "acc_y", "gyr_x", "acc_z", "gyr_y"]],
    ],
    ids=["pandas", "nullable", "integers", "polars", "arrow", "structured"],
)
def test_names_decide_whatever_the_order_of_columns(table):
    samples = as_samples(table())
    assert samples.dtype == np.float32 and samples.tolist() == DATA.tolist()


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_value_that_is_missing_in_a_table_is_nan(missing):
    table = frame().drop(columns="label").astype("Float64" if missing is pd.NA else float)
    table.loc[3, "acc_y"] = missing
    samples = as_samples(table)
    assert np.argwhere(np.isnan(samples)).tolist() == [[3, 1]]
    if missing is None:
        null = pl.DataFrame(
            {name: [None if name == "acc_y" else 1.0] for name in CHANNELS}, schema_overrides={"acc_y": pl.Float64}
        )
        assert np.argwhere(np.isnan(as_samples(null))).tolist() == [[0, 1]]


def test_recordings_and_windows_pass_as_they_are():
    assert as_samples(DATA.tolist()).tolist() == DATA.tolist()
    assert as_samples(DATA.reshape(2, 5, 6)).shape == (2, 5, 6)
    assert as_samples(np.empty((0, 6))).shape == (0, 6)
    assert as_samples(np.full((2, 6), 1e300)).tolist() == [[np.inf] * 6] * 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            frame().rename(columns={"acc_x": "ax", "gyr_y": "gy"}),
            "a table without acc_x, gyr_y: gyr_z, label, acc_y, ax",
        ),
        (pd.concat([frame(), frame()[["acc_z"]]], axis=1), "expected one column acc_z, got 2"),
        (frame().astype({"acc_x": str}), "column acc_x: expected numbers, got text"),
        (pl.DataFrame({name: ["1.5"] for name in CHANNELS}), "column acc_x: expected numbers, got text"),
        (pd.DataFrame(DATA), "a table without acc_x, acc_y, acc_z, gyr_x, gyr_y, gyr_z: 0, 1"),
        ([DATA[:3], DATA[:4]], "got a list of parts that differ in length"),
        ([["a"] * 6] * 3, "got text"),
        ([[b"1"] * 6] * 3, "got text"),
        ([[None] * 5 + [{}]], "got a list of something else than numbers"),
        (None, "got NoneType"),
        (3.0, "got float"),
        ({"acc_x": 1}, "got a dict with acc_x; a DataFrame of it will do"),
        ({}, "got a dict with nothing in it"),
        ("walk.csv", r"got 'walk.csv'; open_recording\(path\) reads a file"),
        (b"1,2", "open_recording"),
        (DATA.T, r"got \(6, 10\); .T turns it"),
        (DATA[:, :3], r"or windows \(k, length, 6\), got \(10, 3\)"),
        (np.zeros((2, 2, 2, 6)), r"got \(2, 2, 2, 6\)"),
        (DATA > 3, "got bool"),
        (DATA + 0j, "got complex128"),
        (DATA.astype("datetime64[s]"), "got datetime64"),
    ],
)
def test_everything_else_is_one_clear_error(data, message):
    with pytest.raises(InputError, match=message) as caught:
        as_samples(data)
    assert str(caught.value).startswith("data: ") and "\n" not in str(caught.value)
