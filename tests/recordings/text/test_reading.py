"""Rows of a text in the file's order: its breaks, what damage is dropped, and what is named by line and column."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from text_logs import WAYS, all_rows, set_way, table

from motionsig.errors import RecordingError

HEADER = "time_ms,acc_x,acc_y,acc_z,gyr_x,gyr_y,gyr_z"
VALUES = np.column_stack([np.arange(400) * 10, np.sin(np.arange(2400) / 7).reshape(400, 6).round(4)])
LINES = [HEADER, *(f"{row[0]:.0f}," + ",".join(f"{it:.4f}" for it in row[1:]) for row in VALUES)]
BOOT = "ets Jul 29 2019 12:21:46\n\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\nmode:DIO, clock div:2"


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    set_way(monkeypatch, request.param)
    return str(request.param)


def check(path: Path, content: str | bytes, breaks: tuple[int, ...] = (), rows: np.ndarray = VALUES) -> None:
    looked_at = table(path, content)
    assert all(head.dtype.kind in "if" for head in looked_at.head)
    columns, found, _ = all_rows(looked_at, ("number",) * 7)
    np.testing.assert_array_equal(np.stack(columns, axis=1), rows)
    assert found == list(breaks)


def refused(path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        all_rows(table(path, content), ("whole", *("number",) * 6))


@pytest.mark.parametrize(
    ("put", "breaks"),
    [
        (HEADER, (50, 200)),
        ("", (50, 200)),
        ("\n\n", (50, 200)),
        (f"\n{HEADER}\n", (50, 200)),
        (BOOT, (50, 200)),
        (f"{BOOT}\n{HEADER}", (50, 200)),
        ("1490,0.1,0.2\n" + HEADER, (50, 200)),
        ("1490,0.1,0.2\n" + BOOT, (50, 200)),
        ("1490,0.1,0." + HEADER, (50, 200)),
        (",,,,,,", (50, 200)),
        ("1490,0.1\0\0\0\0\0", (50, 200)),
        ("# a remark", ()),
        ("// a remark, of four, cells, of text", ()),
        ("  # a remark", ()),
    ],
)
def test_what_stands_between_rows(path: Path, way: str, put: str, breaks: tuple[int, ...]) -> None:
    lines = [*LINES[:51], *put.split("\n"), *LINES[51:201], *put.split("\n"), *LINES[201:], ""]
    check(path, "\n".join(lines), breaks)
    check(path, "\r\n".join(lines), breaks)


def test_an_empty_line_after_each_row_is_no_break(path: Path, way: str) -> None:
    check(path, "\n\n".join([*LINES, ""]))


def test_empty_lines_at_both_ends_are_no_break(path: Path, way: str) -> None:
    check(path, "\n".join([HEADER, "", *LINES[1:], "", "", ""]))


def test_breaks_far_into_a_file(path: Path, way: str) -> None:
    rows = np.tile(VALUES, (80, 1))
    lines = [HEADER]
    for _ in range(80):
        lines += [*LINES[1:], ""]
    check(path, "\n".join([*lines, ""]), tuple(range(400, 32_000, 400)), rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("490,1,1,9..8,1,1,1", r"expected a number in 'acc_z', got '9\.\.8'"),
        ("490,1,1,0x10,1,1,1", "a number in 'acc_z', got '0x10'"),
        ("0x1F,1,1,1,1,1,1", "a whole number in 'time_ms', got '0x1F'"),
        ("490,1,1,1_0,1,1,1", "got '1_0'"),
        ("490,1,1,1e999,1,1,1", "got '1e999'"),
        ("490.5,1,1,1,1,1,1", "a whole number in 'time_ms', got '490.5'"),
        ("99999999999999999999,1,1,1,1,1,1", "a whole number in 'time_ms', got '99999999999999999999'"),
        (",1,1,1,1,1,1", "a whole number in 'time_ms', got ''"),
        ("490,1.012.598,1,1,1,1,1", r"got '1\.012\.598'"),
        ("490,\uff11,1,1,1,1,1", "got '\uff11'"),
        ("time,gyr_x,gyr_y,gyr_z,acc_x,acc_y,acc_z", "expected the header as above, got its .* order: time, gyr_x, "),
    ],
)
def test_a_malformed_row_is_named(path: Path, way: str, row: str, message: str) -> None:
    refused(path, "\n".join([*LINES[:250], row, *LINES[250:]]), r"log\.csv:251: .*" + message)


def test_a_malformed_row_far_into_the_file_is_named(path: Path) -> None:
    rows = LINES[1:] * 100
    rows[30_000] = "900,0,0,9.81,0,0,zero"
    refused(path, "\n".join([HEADER, *rows, ""]), r"log\.csv:30002: expected a number in 'gyr_z', got 'zero'")


@pytest.mark.parametrize(
    ("torn", "wrong"),
    [
        ("490,1,1", "expected 7 cells, got 3"),
        ("490,1,1,1,1,1,1,1", "expected 7 cells, got 8"),
        ("490,1,1,1,1,10.5,1,1,1,1,1,1,1", "expected 7 cells, got 13"),
        ("49\x01,1,1,1,1,1,1", r"expected a number in 'time_ms', got '49\\x01'"),
        (b"490,1,1,1,\xff0.4\xa3,1,1".decode(errors="replace"), "expected a number in 'gyr_x'"),
        (b"490,1,1,1,\xff0.4\xa3,1,1", "expected a number in 'gyr_x'"),
    ],
)
@pytest.mark.parametrize("far", [False, True])
def test_a_torn_row_is_left_out(
    path: Path, way: str, torn: str | bytes, wrong: str, far: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rows = LINES[1:] * (6 if far else 1)  # beyond the 64 KiB that tell what a text is
    at = len(rows) - 130
    put = torn if isinstance(torn, bytes) else torn.encode()
    parts = [HEADER, *rows[:at], "", *rows[at : at + 60], "", *rows[at + 60 :], ""]
    content = b"\n".join(it.encode() or put for it in parts[:-1]) + b"\n"
    check(path, content, (at, at + 60), np.tile(VALUES, (6 if far else 1, 1)))
    assert re.search(rf"left out 2 lines that are no rows, first in line {at + 2}: {wrong}", caplog.text)


def test_many_torn_rows_are_refused(path: Path, way: str) -> None:
    for each, taken in ((60, True), (25, False)):
        lines = [line.rpartition(",")[0] if at % each == each - 1 else line for at, line in enumerate(LINES)]
        found = table(path, "\n".join([*lines, ""]))
        if taken:
            assert len(all_rows(found, ("number",) * 7)[0][0]) == 400 - 401 // each
        else:
            with pytest.raises(
                RecordingError, match=r"log\.csv:125: expected 7 cells, got 6; 4 lines before it are no"
            ):
                all_rows(found)


def test_lost_values_are_nan(path: Path, way: str) -> None:
    lines = LINES.copy()
    lines[11], lines[21] = "100,,0,9.8,0,0,0", "200,nan,0, ,NaN,null,inf"
    columns, _, _ = all_rows(table(path, "\n".join([*lines, ""])), ("number",) * 7)
    rows, numbers = np.nonzero(np.isnan(np.stack(columns, axis=1)))
    assert list(zip(rows.tolist(), numbers.tolist(), strict=True)) == [
        (10, 1),
        (20, 1),
        (20, 3),
        (20, 4),
        (20, 5),
        (20, 6),
    ]


def test_a_quote_that_is_not_closed_swallows_no_rows(path: Path, way: str) -> None:
    lines = LINES.copy()
    lines[100], lines[150] = LINES[100].replace(",", ',"', 1), LINES[150] + '"'
    found = table(path, "\n".join([*lines, ""]))
    with pytest.raises(RecordingError, match=r"log\.csv:151: expected a number in 'gyr_z'"):
        all_rows(found, ("number",) * 7)


@pytest.mark.parametrize("lost", [1, 3, 8, 12, 20, 30, 40])
def test_a_torn_last_line_is_dropped(path: Path, way: str, lost: int, caplog: pytest.LogCaptureFixture) -> None:
    check(path, "\n".join(LINES)[:-lost], rows=VALUES[:-1])
    assert "log.csv:401" in caplog.text and "cut short" in caplog.text


def test_a_last_line_without_an_end_is_kept(path: Path, way: str) -> None:
    check(path, "\n".join(LINES))


def test_a_tail_of_zeros_is_dropped(path: Path, way: str) -> None:
    check(path, "\n".join(LINES)[:-30] + "\0" * 200_000, rows=VALUES[:-1])


def test_a_label_may_have_the_mark_of_a_comment(path: Path, way: str) -> None:
    lines = [
        HEADER + ",label",
        *(f"{line},# {at}" if at % 2 else f"{line},walk # {at}" for at, line in enumerate(LINES[1:])),
    ]
    columns, _, _ = all_rows(table(path, "\n".join([*lines, ""])), ("number",) * 7 + ("text",))
    assert columns[7].tolist() == [f"# {at}" if at % 2 else f"walk # {at}" for at in range(400)]


def test_a_remark_after_a_row_is_none_of_it(path: Path, way: str) -> None:
    check(
        path,
        "\n".join([f"{line} # remark {at}, of, cells" if at % 90 == 50 else line for at, line in enumerate(LINES)]),
    )


def test_a_long_file_is_read_in_little_memory(path: Path) -> None:
    found = table(path, "\n".join([HEADER, *(LINES[1:] * 500), ""]))
    tracemalloc.start()
    count = sum(len(rows.columns[1]) for rows in found.read({1: "number", 3: "number"}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 200_000
    assert peak < 12e6


@pytest.mark.parametrize("tail", ["0," * 600_000, "9" * 2_000_000, '"' + "a" * 2_000_000, "[" * 2_000_000])
def test_a_line_without_end_is_refused(path: Path, tail: str) -> None:
    refused(path, "\n".join([*LINES, tail, ""]), r"log\.csv:402: expected a line of at most 65536 characters")
