"""What tells the streams of one table apart: found in all of its rows, and only once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from motionsig.recordings.feeds import distinct
from motionsig.recordings.streams import Scans, find_groups, scan
from motionsig.recordings.tables import Kind, Rows, Table


def texts(words: str, part: int, clock: Sequence[float] = ()) -> Table:
    """Return a table whose rows are read `part` at a time: a text in column 0, a number in column 1."""
    values = np.array(words.split())
    times = np.array(clock or range(len(values)), np.float64)

    def read(_: Mapping[int, Kind]) -> Iterator[Rows]:
        for at in range(0, len(values), part):
            yield Rows({0: values[at : at + part], 1: times[at : at + part]}, (), at)

    return Table("t", "t:1", ("device", "time"), (), (values, times), read)


@pytest.mark.parametrize("part", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("words", "found", "follow"),
    [
        ("b b a a", "ba", True),
        ("b a b a", "ba", False),
        ("b b a a b", "ba", False),
        ("a a b c c", "abc", True),
        ("a b c b", "abc", False),
        ("a b b a a", "ab", False),
    ],
)
def test_scan(words: str, found: str, follow: bool, part: int) -> None:
    assert scan(texts(words, part), [0], [1]) == ([(it,) for it in found], follow)
    assert scan(texts(words, part), [0]) == ([(it,) for it in found], False)


def test_scan_of_a_clock_that_falls() -> None:
    assert scan(texts("a a b b", 3, [1, 2, 0, 1]), [0], [1]) == ([("a",), ("b",)], False)


@pytest.mark.parametrize(
    "values",
    [
        np.array(["left", "right", "", "left", "left "]),
        np.array(["d"], "U9")[:0],
        np.array([3.0, np.nan, 1.0, np.nan, 3.0]),
        np.array(["x" * 40 + str(at % 977) for at in range(5000)]),
        np.array([2, 1, 2]),
    ],
)
def test_distinct(values: NDArray[Any]) -> None:
    found, which = distinct(values)
    np.testing.assert_array_equal(found[which], values)
    assert list(map(str, found)) == list(dict.fromkeys(map(str, values)))


def test_texts_of_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionsig.recordings.feeds._FACTOR", np.uint64(1))
    found, which = distinct(np.array(["ab", "ba", "ab"]))
    assert (found.tolist(), which.tolist()) == (["ab", "ba"], [0, 1, 0])


def test_a_table_is_scanned_once() -> None:
    rows = 60
    numbers = np.random.default_rng(1).normal(size=(rows, 6))
    columns = {0: np.array(["a", "b"] * (rows // 2)), **{at + 1: numbers[:, at] for at in range(6)}}
    reads: list[Mapping[int, Kind]] = []

    def read(kinds: Mapping[int, Kind]) -> Iterator[Rows]:
        reads.append(kinds)
        yield Rows(columns, (), 0)

    names = ("device_id", "acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")
    table = Table("t", "t:1", names, (), tuple(columns.values()), read)
    scans: Scans = {}
    first, second = find_groups([table], {}, scans), find_groups([table], {}, scans)
    assert [group.place.values for group in first] == [group.place.values for group in second]
    assert (len(first), reads) == (2, [{0: "text"}])
    find_groups([table], {"by": "0"}, {})
    assert len(reads) == 2
