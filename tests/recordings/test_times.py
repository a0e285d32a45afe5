"""Time columns: their unit, and their exactness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from csv_logs import check, read, refused
from made_logs import COUNT, HEADER, UNIX_NS, text

from motionsig.recordings.times import to_ns


@pytest.mark.parametrize(
    ("name", "time", "first_ns"),
    [
        ("time", lambda i: f"{i / 100:.3f}", 0),
        ("time", lambda i: str(i * 10), 0),
        ("time", lambda i: str(i * 10_000), 0),
        ("time", lambda i: str(i * 10_000_000), 0),
        ("time (ms)", lambda i: f"{i * 10:.1f}", 0),
        ("time", lambda i: f"{1.7e9 + i / 100:.3f}", 1_700_000_000_000_000_000),
        ("timestamp", lambda i: str(1_700_000_000_000 + i * 10), 1_700_000_000_000_000_000),
        ("timestamp", lambda i: str(1_700_000_000_000_000 + i * 10_000), 1_700_000_000_000_000_000),
        ("timestamp", lambda i: str(UNIX_NS + i * 10_000_000), UNIX_NS),
        ("time_us", lambda i: str(1_300_000_000 + i * 10_000), 1_300_000_000_000),
        ("time", lambda i: str(1_300_000_000 + i * 10_000), 1_300_000_000_000),  # µs since boot, not Unix seconds
        ("timestamp", lambda i: f"{1.403636579758560e18 + i * 1e7:.14E}", 1_403_636_579_758_560_000),
        ("time", lambda i: f"2025-06-01T12:00:{i / 100:06.3f}Z", 1_748_779_200_000_000_000),
        ("time", lambda i: f"2025-06-01 12:00:{i / 100:06.3f}", 1_748_779_200_000_000_000),
        ("time", lambda i: f"2025-06-01T14:00:{i / 100:06.3f}+02:00", 1_748_779_200_000_000_000),
        (
            "time",
            lambda i: f"2025-06-01T{14 if i < 9 else 13}:00:{i / 100:06.3f}+0{2 if i < 9 else 1}:00",
            1_748_779_200_000_000_000,
        ),
    ],
)
def test_times(path: Path, name: str, time: object, first_ns: int) -> None:
    time_ns = check(path, text(HEADER.replace("time (s)", name), time=time))
    assert abs(time_ns[0] - first_ns) <= 300


def test_unix_nanoseconds_are_exact(path: Path) -> None:
    stamps = UNIX_NS + np.arange(COUNT) * 10_000_001
    time_ns, _, _ = read(path, text(HEADER.replace("time (s)", "time"), time=lambda i: str(stamps[i])))
    np.testing.assert_array_equal(time_ns, stamps)


def test_a_row_number_is_not_a_time(path: Path) -> None:
    refused(path, text(HEADER.replace("time (s)", "t"), time=str), r"log\.csv:2: expected times in 't', got '0', '1'")


def test_a_wrong_time_unit_is_refused(path: Path) -> None:
    refused(path, text(time=lambda i: str(i * 10_000_000)), "samples a second.*time_unit=")
    check(path, text(time=lambda i: str(i * 10_000_000)), time_unit="ns")


def test_a_time_that_lost_its_digits(path: Path) -> None:
    refused(path, text(time=lambda i: f"{1.403636579758560e18 + i * 1e7:.6E}"), "too coarse", time_unit="ns")


@pytest.mark.parametrize(
    ("times", "per_unit"),
    [(np.array([0.0, np.nan]), 1), (np.array([9.1e18]), 1), (np.array([1e10]), 10**9), (np.array([2**60]), 1000)],
)
def test_a_time_that_is_missing_or_too_large_is_no_number(times: np.ndarray, per_unit: int) -> None:
    with pytest.raises(ValueError, match="expected a time, got NaN or a number beyond the year 2255"):
        to_ns(times, per_unit)
