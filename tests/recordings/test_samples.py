"""What must hold of samples, whatever file they stood in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from csv_logs import LINES, check, read, refused
from made_logs import COUNT, DATA, HEADER, TIME_S, text

from motionsig.blocks import SourceInfo
from motionsig.conventions import STANDARD_GRAVITY as G
from motionsig.recordings import open_recording
from motionsig.recordings.samples import Samples, recorded


def test_mostly_empty_cells_are_refused(path: Path) -> None:
    rows = [
        f"{t},,,,{gx},0,0" if i % 12 else LINES[i + 1] for i, (t, gx) in enumerate(zip(TIME_S, DATA[:, 3], strict=True))
    ]
    refused(path, "\n".join([HEADER, *rows, ""]), "NaN or nothing in 366 of the first 400 rows")


def test_one_sample_is_not_a_recording(path: Path) -> None:
    refused(path, "\n".join([*LINES[:2], ""]), "expected", rate_hz=50)


def test_time_that_runs_backwards_starts_a_stretch_after_a_gap(path: Path) -> None:
    time_ns, data, gaps = read(path, "\n".join([LINES[0], *LINES[201:401], *LINES[1:101], ""]))
    assert gaps == [200]
    assert len(data) == 300
    assert time_ns[200] == 0


def test_a_repeated_row_is_dropped(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check(path, "\n".join([*LINES[:50], LINES[49], *LINES[50:]]))
    assert "dropped 1 rows that had the time of the row before" in caplog.text


def test_lost_rows_leave_a_jump(path: Path) -> None:
    time_ns, _, gaps = read(path, "\n".join([*LINES[:50], *LINES[60:]]))
    assert not gaps
    assert np.diff(time_ns).max() == 110_000_000
    assert open_recording(path).rate_hz == pytest.approx(100)


def test_the_rate_is_unbiased_by_a_coarse_clock(path: Path) -> None:
    content = text(HEADER.replace("(s)", "(ms)"), time=lambda i: f"{i * 1000 / 26:.0f}")
    read(path, content)
    assert open_recording(path).rate_hz == pytest.approx(26, rel=1e-3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA / ([G] * 3 + [1] * 3), r"The log says m/s\^2 of .*, but at rest it is 1\.00.*acc_unit='g'"),
        (DATA / ([G / 1000] * 3 + [1] * 3), "The log says .*, but at rest it is 1001.*acc_unit='mg'"),
        (DATA * ([G] * 3 + [1] * 3), r"got 96\.2 m/s² at rest; is the unit right"),
        (DATA - [0, 0, 9.81, 0, 0, 0], "gravity seems removed"),
        (
            DATA * ([1] * 3 + [300] * 3),
            "The log says rad/s of .*, but values of 106 can be in no other unit.*gyr_unit='deg/s'",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(path: Path, data: np.ndarray, message: str) -> None:
    refused(path, text(data=data), r"(?s)log\.csv: expected .*" + message)
    _, found, _ = read(path, text(data=data), check_units=False)
    np.testing.assert_allclose(found, data, atol=1e-3)


def test_sport_without_a_pause_is_taken(path: Path) -> None:
    # A runner: flight, impact of 5 g, never at rest.
    t = TIME_S * 2
    data = np.column_stack(
        [4 * np.sin(40 * t), 5 * np.cos(23 * t), 9.81 + 40 * np.maximum(0, np.sin(17 * t)) ** 3 - 9, 6 * np.sin(t)]
    )
    check_blocks_of = np.column_stack([data, data[:, 3:], data[:, 3:]])
    _, found, _ = read(path, text(data=check_blocks_of))
    assert len(found) == COUNT
    still = check_blocks_of - [*check_blocks_of[:, :3].mean(axis=0), 0, 0, 0]
    refused(path, text(data=still), "gravity seems removed")


@pytest.mark.parametrize(("step_ns", "most"), [(100_000, 7), (10_000_000, 1)])
def test_opening_looks_at_no_more_than_the_first_minute_or_65536_rows(step_ns: int, most: int) -> None:
    parts = []

    def rows() -> Iterator[Samples]:
        for part in range(40):
            parts.append(part)
            yield Samples(np.arange(part * 10_000, part * 10_000 + 10_000) * step_ns, np.full((10_000, 6), 5.7))

    recorded(rows, "here", SourceInfo("here", "test", 1), rate_hz=100)
    assert len(parts) == most
