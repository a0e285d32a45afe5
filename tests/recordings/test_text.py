"""Delimited text: dialects, and damage that is dropped, or named by line and column."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from csv_logs import LINES, check, read, refused
from made_logs import COUNT, DATA, HEADER, TIME_S, text
from test_recordings import check_blocks

from motionsig.errors import RecordingError
from motionsig.recordings.csv import open_csv


@pytest.mark.parametrize(
    "content",
    [
        text().replace("\n", "\r\n"),
        text().replace("\n", "\r"),
        "\ufeff" + text(),
        text().encode("utf-16"),
        text(HEADER.replace("rad/s", "°/s"), data=DATA * ([1] * 3 + [180 / np.pi] * 3)).encode("latin-1"),
        "# made by a logger\nsubject: 5, left wrist\n\n" + text(),
        "sep=;\n" + text(HEADER.replace(",", ";"), separator=";"),
        text(HEADER.replace(",", "\t"), separator="\t"),
        text(HEADER.replace(",", ";"), separator=";").replace(".", ","),
        text(end=";\n"),
        text(end=";\n").replace(";", "", 1),
        text(HEADER.replace(",", ";"), separator=";", end=";\n"),
        text(HEADER.replace(",", ";"), separator=";", end=";\n").replace("(rad/s);\n", "(rad/s)\n"),
        text(end=",\n"),
        text(end=",\n").replace(",\n", "\n", 1),
        text().replace("\n", "\n\n"),
        "\n".join([*LINES[:100], "# a remark", *LINES[100:]]),
        text() + ",,,,,,\n",
        text()[:-1],
        text().replace(",", " , "),
    ],
)
def test_dialects(path: Path, content: str | bytes) -> None:
    check(path, content)


def test_quoted_cells(path: Path) -> None:
    rows = [",".join(f'"{cell}"' for cell in line.split(",")) for line in LINES[:-1]]
    check(path, "\n".join([*rows, ""]))


@pytest.mark.parametrize("stamp", ["1.012.598.156.929.{:03d}", "1,012,598,156,929,{:03d}"])
def test_a_time_that_a_spreadsheet_damaged(path: Path, stamp: str) -> None:
    content = text(HEADER.replace(",", ";"), separator=";", time=stamp.format)
    refused(path, content, r"log\.csv:2: expected a number in 'time \(s\)', got '1.012.598.156.929.000'")


def test_a_thousands_dot_beside_decimal_commas(path: Path) -> None:
    content = text(HEADER.replace(",", ";"), separator=";").replace(".", ",").replace("\n3,5", "\n3.5")
    refused(path, content, r"log\.csv:352: expected a number in 'time \(s\)', got '3\.5000'")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0.49,1,1", "expected 7 cells, got 3"),
        ("0.49,1,1,1,1,1,1,1", "expected 7 cells, got 8"),
        ("0.49,1,1,9..8,1,1,1", r"a number in 'acc_z \(m/s\^2\)', got '9\.\.8'"),
        ("0.49,1,1,0x10,1,1,1", "got '0x10'"),
        ("0.49,1,1,1_0,1,1,1", "got '1_0'"),
        ("nan,1,1,1,1,1,1", r"a number in 'time \(s\)', got 'nan'"),
        (",1,1,1,1,1,1", r"a number in 'time \(s\)', got ''"),
        ("1e300,1,1,1,1,1,1", r"expected a time in 'time \(s\)', got '1e300'"),
        ("0.49,\ufffd,1,1,1,1,1", "got '\ufffd'"),
        (HEADER, r"got 'time \(s\)'"),
    ],
)
def test_a_malformed_row_is_named(path: Path, row: str, message: str) -> None:
    refused(path, "\n".join([*LINES[:50], row, *LINES[50:]]), r"log\.csv:51: .*" + message)


def test_a_malformed_row_far_into_the_file_is_named(path: Path) -> None:
    rows = [f"{i / 100:.2f},0,0,9.81,0,0,0" for i in range(100_000)]
    rows[90_000] = "900.00,0,0,9.81,0,0,zero"
    path.write_text("\n".join([HEADER, *rows, ""]))
    source = open_csv(path)
    with pytest.raises(RecordingError, match=r"log\.csv:90002: expected a number in 'gyr_z \(rad/s\)', got 'zero'"):
        check_blocks(source)


def test_a_malformed_iso_time_is_named(path: Path) -> None:
    content = text(time=lambda i: f"2025-06-01T12:00:{i / 100:06.3f}Z" if i != 77 else "noon")
    refused(path, content, r"log\.csv:79: expected a time such as 2025-06-01T12:00:00\.25Z in 'time \(s\)', got 'noon'")


def test_empty_and_nan_cells_are_lost_samples(path: Path) -> None:
    rows = LINES.copy()
    rows[10] = "0.0900,,0,9.8,0,0,0"
    rows[20] = "0.1900,nan,0,9.8,NaN,null,0"
    _, data, gaps = read(path, "\n".join(rows))
    assert not gaps
    assert np.flatnonzero(np.isnan(data).any(axis=1)).tolist() == [9, 19]


@pytest.mark.parametrize("lost", [1, 3, 8, 12, 20, 30, 40])
def test_a_torn_last_line_is_dropped(path: Path, lost: int, caplog: pytest.LogCaptureFixture) -> None:
    _, data, _ = read(path, text()[: -1 - lost])
    assert len(data) == COUNT - 1
    np.testing.assert_allclose(data, DATA[:-1], atol=2e-5)
    assert "log.csv:401" in caplog.text
    assert "cut short" in caplog.text


def test_a_torn_exponent_is_dropped(path: Path) -> None:
    content = "\n".join(
        [HEADER, *(",".join(f"{it:.6E}" for it in (t, *row)) for t, row in zip(TIME_S, DATA, strict=True))]
    )
    for lost in (1, 2, 3, 4):
        _, data, _ = read(path, content[:-lost])
        assert len(data) == COUNT - 1


def test_a_tail_of_zeros_is_dropped(path: Path) -> None:
    _, data, _ = read(path, text()[:-30] + "\0" * 4000)
    assert len(data) == COUNT - 1


def test_a_long_file_is_read_in_pieces(path: Path) -> None:
    with path.open("w") as file:
        file.write(HEADER + "\n")
        for start in range(0, 200_000, 10_000):
            file.write("".join(f"{i / 100:.2f},0.1,0.2,9.81,0.01,0.02,0.03\n" for i in range(start, start + 10_000)))
    source = open_csv(path)
    tracemalloc.start()
    count = sum(map(len, source))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 200_000
    assert peak < 16e6


def test_a_line_without_end_is_refused(path: Path) -> None:
    refused(path, text() + "0," * 600_000 + "\n", r"log\.csv:402: expected a line of at most 65536 characters")
