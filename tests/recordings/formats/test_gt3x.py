"""ActiGraph's .gt3x."""

from __future__ import annotations

import struct
from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA
from reading import six, whole

from motionsig.errors import RecordingError
from motionsig.recordings.formats.gt3x import READER, tables

SI = np.array([9.80665] * 3 + [np.pi / 180] * 3)
START_S = 1_718_030_736 + 5 * 3600  # of local time, 5 h behind UTC


def test_samples_times_and_facts(tmp_path: Path) -> None:
    path = made_logs.gt3x(tmp_path)
    assert READER.recognises(path, path.read_bytes()[:64]) == 3
    (table,) = tables(path)
    columns, breaks = whole(table)
    np.testing.assert_allclose(six(columns) * SI, DATA, atol=2.5e-3)
    np.testing.assert_array_equal(columns["time"].astype(np.int64), START_S * 10**9 + np.arange(COUNT) * 10_000_000)
    assert not breaks
    facts = {fact.what: fact.value for fact in table.facts}
    assert (facts["device"], facts["nominal rate"], facts["zone"]) == ("ActiGraph Link TAS1", "100 Hz", "-05:00:00")


def test_a_second_that_is_damaged_is_a_break(tmp_path: Path) -> None:
    log = bytearray(made_logs.gt3x_log())
    size = 9 + 2 + 100 * 12
    log[-3 * size + 50] ^= 1
    columns, breaks = whole(tables(made_logs.gt3x(tmp_path, bytes(log)))[0])
    assert breaks == [100]
    np.testing.assert_allclose(six(columns) * SI, np.delete(DATA, np.s_[100:200], axis=0), atol=2.5e-3)
    assert columns["time"][100] - columns["time"][99] == np.timedelta64(1010, "ms")


def test_a_log_without_a_gyroscope_is_refused_in_words(tmp_path: Path) -> None:
    path = made_logs.gt3x(tmp_path, made_logs.gt3x_log(gyroscope=False))
    with pytest.raises(RecordingError, match="got acceleration alone: in this Link no gyroscope was recorded"):
        tables(path)


@pytest.mark.parametrize(
    "payload",
    [b"", struct.pack("<HHH", 1, 60000, 100), struct.pack("<HHH", 1, 6, 0), struct.pack("<HHH", 1, 1, 30) + bytes(23)],
)
def test_a_description_of_columns_that_is_none_is_passed_over(tmp_path: Path, payload: bytes) -> None:
    log = made_logs.gt3x_record(24, 1_718_030_735, payload) + made_logs.gt3x_log()
    assert len(whole(tables(made_logs.gt3x(tmp_path, log))[0])[0]["time"]) == COUNT


def test_damage_everywhere_ends(tmp_path: Path) -> None:
    path = made_logs.gt3x(tmp_path, b"\x1e\x19" * 200_000)
    with pytest.raises(RecordingError, match=r"log\.bin: expected records of ActiGraph, got damage in more than \d+"):
        tables(path)
