"""Rows that came late are put in the order of their times; two sensors in turn, and rows twice, are not."""

from __future__ import annotations

import numpy as np
import pytest

from motionsig.recordings import open_recording
from motionsig.recordings.tables import Rows
from motionsig.recordings.times.order import PLACES, in_order, order

COUNT = 3000
TIME_NS = np.arange(COUNT) * 10_000_000


def late(places: int, each: int) -> np.ndarray:
    """Return the numbers of rows, one in `each` of which comes later by `places`."""
    rows = list(range(COUNT))
    for at in range(each, COUNT - places, each):
        rows.insert(at + places, rows.pop(at))
    return np.array(rows)


def through(rows: np.ndarray, breaks: tuple[int, ...], size: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    parts = [
        (
            TIME_NS[rows[at : at + size]],
            Rows({1: rows[at : at + size]}, tuple(it - at for it in breaks if at <= it < at + size), at + 2),
        )
        for at in range(0, len(rows), size)
    ]
    times, numbers, found, count = [], [], [], 0
    for time_ns, part in in_order(iter(parts), 100.0):
        times.append(time_ns)
        numbers.append(part.columns[1])
        found += [count + it for it in part.breaks]
        count += len(time_ns)
    return np.concatenate(times), np.concatenate(numbers), found


@pytest.mark.parametrize("size", [1, 7, 64, 1000, COUNT])
@pytest.mark.parametrize("places", [1, 5, PLACES])
def test_late_rows_are_put_in_order_however_they_are_cut(size: int, places: int) -> None:
    times, numbers, breaks = through(late(places, 700), (), size)
    np.testing.assert_array_equal(times, TIME_NS)
    np.testing.assert_array_equal(numbers, np.arange(COUNT))
    assert breaks == []


@pytest.mark.parametrize("size", [1, 10, 65, 900, COUNT])
def test_no_row_passes_a_break_or_a_clock_that_begins_anew(size: int) -> None:
    rows = np.concatenate([late(2, 100)[:1000], late(2, 100)[:1500]])
    times, numbers, breaks = through(rows, (40, 550), size)
    np.testing.assert_array_equal(numbers, np.concatenate([np.arange(1000), np.arange(1500)]))
    np.testing.assert_array_equal(times, TIME_NS[numbers])
    assert breaks == [40, 550]


def test_only_a_few_late_rows_are_that() -> None:
    assert order(TIME_NS[late(1, 100)]) is not None
    assert order(TIME_NS[late(PLACES + 1, 1000)]) is None
    assert order(np.repeat(TIME_NS[::2], 2)) is None
    packets = np.arange(COUNT).reshape(-1, 2, 10).transpose(0, 2, 1).reshape(-1)  # of two sensors in turn
    assert order(TIME_NS[packets]) is None


def test_a_log_with_late_rows_is_that_in_order(tmp_path) -> None:
    turn = np.arange(COUNT) / 100
    lines = [
        f"{1_700_000_000_000 + 10 * at},{9.81 * np.sin(it):.4f},{9.81 * np.cos(it):.4f},0.1,0,0,{0.3 * np.sin(at):.4f}"
        for at, it in enumerate(0.3 * turn)
    ]
    header = "timestamp_ms,acc_x_mps2,acc_y_mps2,acc_z_mps2,gyr_x_rads,gyr_y_rads,gyr_z_rads"
    read = []
    for rows in (np.arange(COUNT), late(3, 60)):
        path = tmp_path / "log.csv"
        path.write_text("\n".join([header, *(lines[at] for at in rows), ""]))
        source = open_recording(path, check_units=False)
        blocks = list(source)
        assert not any(block.gap for block in blocks)
        read.append(
            np.column_stack([np.concatenate([it.time_ns for it in blocks]), np.concatenate([it.data for it in blocks])])
        )
        said = [fact.what for fact in source.info.facts]
    np.testing.assert_array_equal(read[1], read[0])
    assert "order of rows" in said
