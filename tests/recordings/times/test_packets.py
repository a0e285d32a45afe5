"""Packets: spread at their true rate, whatever their way took, and however the log is cut."""

from __future__ import annotations

import numpy as np
import pytest
from clock_columns import clocked, column, facts, search, times
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionsig.recordings.times import pace
from motionsig.recordings.times.packets import Spread

MS = 1_000_000
ROW = np.arange(1000)


def stamped(kind: str, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the stamps in ns of samples taken every 10 ms."""
    return {
        "twenty on arrival": (row // 20) * 200 * MS + 200 * MS + (row % 20) * 300_000,
        "three in a millisecond each": (row // 3) * 30 * MS + 30 * MS + (row % 3) * MS,
        "ten of one stamp": (row // 10) * 100 * MS + 100 * MS,
        "a clock of seconds": row // 100 * 1000 * MS,
        "a clock of 1/64 s": (row * 10 * MS) // 15_625_000 * 15_625_000,
    }[kind]


KINDS = {
    "twenty on arrival": "of 20 samples, stamped on arrival: spread at the rate",
    "three in a millisecond each": "of 3 samples, stamped on arrival: spread at the rate",
    "ten of one stamp": "10 samples to each step of 100 ms of the clock: spread at the rate",
    "a clock of seconds": "100 samples to each step of 1000 ms of the clock: spread at the rate",
    "a clock of 1/64 s": "1.56 samples to each step of 15.62 ms of the clock: spread at the rate",
}


@pytest.mark.parametrize("kind", KINDS)
def test_packets_are_spread_and_said(kind: str) -> None:
    cells = column(stamped(kind, ROW), "time_ns", unit="ns")
    rate, found = clocked(cells)
    assert rate == pytest.approx(100, rel=1e-3)
    assert np.abs(np.diff(found) - 10 * MS).max() < 0.02 * MS
    assert facts(search(cells))["packets"] == (KINDS[kind], "shown")


def test_a_coarse_clock_of_a_fast_sensor() -> None:
    cells = column(ROW * 625 // 1000, "time_ms", unit="ms")  # 1600 Hz in whole ms
    rate, found = clocked(cells)
    assert rate == pytest.approx(1600, rel=1e-3)
    assert np.abs(np.diff(found) - 625_000).max() < 2_000


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 1000), max_size=5), lost=st.integers(20, 45), length=st.integers(1, 4))
def test_any_cutting_gives_the_same_times(kind: str, cuts: list[int], lost: int, length: int) -> None:
    row = np.delete(np.arange(1400), np.arange(lost * 20, (lost + length) * 20))[:1000]
    cells = column(stamped(kind, row), "time_ns", unit="ns")
    found = search(cells)
    whole = times(found, cells)
    np.testing.assert_array_equal(times(found, cells, cuts=sorted(cuts)), whole)


@pytest.mark.parametrize("kind", ["twenty on arrival", "ten of one stamp"])
def test_a_lost_packet_is_a_gap_where_it_was(kind: str) -> None:
    row = np.delete(np.arange(3000), np.arange(1200, 1240))
    cells = column(stamped(kind, row), "time_ns", unit="ns")
    _, found = clocked(cells)
    off = found - row * 10 * MS
    assert np.ptp(off) < 1 * MS
    assert np.flatnonzero(np.diff(found) > 15 * MS).tolist() == [1199]


def test_arrivals_with_jitter_are_robust() -> None:
    random = np.random.default_rng(3)
    row = np.arange(40_000)
    true = np.rint(row * 10 * MS * 1.00005).astype(np.int64)
    late = np.repeat(random.exponential(15 * MS, 2000), 20).astype(np.int64)
    stamps = np.maximum.accumulate(true[row // 20 * 20 + 19] + late)
    kept = np.repeat(random.random(2000) > 0.01, 20)
    shown = pace(stamps[kept][:1000])
    assert shown is not None
    assert shown.how == "packets"
    spread = Spread(shown, shown.rate_hz)
    found = np.concatenate([spread.push(stamps[kept]), spread.finish()])
    off = found - true[kept]
    assert np.abs(off - np.median(off)).max() < 20 * MS
    assert len(np.flatnonzero(np.diff(found) > 100 * MS)) == len(np.flatnonzero(np.diff(np.flatnonzero(kept)) > 1))


def test_stamps_of_arrival_that_bunch_are_put_on_a_line() -> None:
    random = np.random.default_rng(2)
    true = np.arange(4500) * 10 * MS
    stamps = np.maximum.accumulate(true + random.exponential(8 * MS, 4500).astype(np.int64))
    cells = column(stamps, "time_ns", unit="ns")
    rate, found = clocked(cells._replace(head=cells.head[:1000]))
    assert rate == pytest.approx(100, rel=0.01)
    found = times(search(cells._replace(head=cells.head[:1000])), cells)
    off = found - true
    assert np.abs(off - np.median(off)).max() < 8 * MS


def test_the_true_rate_is_followed() -> None:
    row = np.arange(60_000)
    true = np.where(row < 30_000, row * 10 * MS, 30_000 * 10 * MS + (row - 30_000) * 10_020_000)  # 0.2 % slower
    stamps = true[row // 10 * 10 + 9] if row[-1] % 10 == 9 else true
    shown = pace(stamps[:1000])
    assert shown is not None
    spread = Spread(shown, shown.rate_hz)
    found = np.concatenate([spread.push(stamps), spread.finish()])
    assert np.abs(found - true).max() < 40 * MS
    assert len(np.flatnonzero(np.diff(found) > 15 * MS)) == 0


def test_a_log_that_begins_anew_begins_a_new_line() -> None:
    stamps = np.concatenate([stamped("ten of one stamp", ROW)] * 2)
    cells = column(stamps, "time_ns", unit="ns")
    _, found = clocked(cells)
    np.testing.assert_array_equal(found[:1000], found[1000:])
    paused = column(np.concatenate([stamps[:1000], stamps[:1000] + 3_600_000 * MS]), "time_ns", unit="ns")
    later = times(search(paused), paused, breaks=[1000])
    assert np.ptp(np.diff(later)[np.arange(1999) != 999]) <= 2
    assert later[1000] - later[999] > 3_590_000 * MS


@pytest.mark.parametrize("period_ms", [10, 25])
def test_what_is_no_packet(period_ms: int) -> None:
    random = np.random.default_rng(0)
    true = np.arange(1000) * period_ms * MS
    jittered = true + random.integers(-3, 4, 1000) * MS
    kept = random.random(1000) > 0.02
    asleep = true + np.arange(1000) // 100 * 10_000 * MS  # a device that measures for a second in ten
    again = np.repeat(true, np.where(random.random(1000) > 0.97, 2, 1))  # a row now and then twice
    for stamps in (true, jittered, true[kept], asleep, again):
        shown = pace(stamps)
        assert shown is not None
        assert shown.how == "single"
        assert shown.rate_hz == pytest.approx(1000 / period_ms, rel=0.01)


def test_unsteady_packets_near_a_line_are_spread_and_others_asked() -> None:
    random = np.random.default_rng(1)
    sizes = random.integers(1, 12, 300)
    ends = np.cumsum(sizes)
    near = np.repeat(ends * 5 * MS, sizes)[:1000]
    rate, found = clocked(column(near, "time_ns", unit="ns"))
    assert rate == pytest.approx(200, rel=0.02)
    assert np.abs(found - np.arange(1, 1001) * 5 * MS).max() < 40 * MS
    lost = np.repeat(np.cumsum(sizes + random.integers(0, 60, 300)) * 5 * MS, sizes)[:1000]
    (question,) = search(column(lost, "time_ns", unit="ns")).questions
    assert question.option == "rate_hz"
    assert "packets that are not steady" in question.words


def test_rows_that_repeat_a_reading_are_no_packets() -> None:
    stamps = np.repeat(np.arange(200) * 50 * MS, 5)
    cells = column(stamps, "time_ns", unit="ns")
    assert search(cells).clock.rate_hz == pytest.approx(100)  # type: ignore[union-attr]
    repeats = np.diff(stamps, prepend=-1) == 0
    found = search(cells, repeats=repeats)
    assert found.clock is not None
    assert found.clock.rate_hz == pytest.approx(20)
    np.testing.assert_array_equal(times(found, cells), stamps)
