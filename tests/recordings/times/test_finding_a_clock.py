"""Which columns become the clock of a table, in which unit, from which start; and what is asked."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest
from clock_columns import COUNT, UNIX, clocked, column, facts, moments, search, times
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.errors import InputError, RecordingError

ROWS = range(COUNT)
START = np.datetime64("2023-11-14T22:13:20")  # UNIX


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        ([f"{UNIX + row / 100:.3f}" for row in ROWS], "Unix time in s"),
        ([UNIX * 1000 + row * 10 for row in ROWS], "Unix time in ms"),
        ([UNIX * 10**6 + row * 10_000 for row in ROWS], "Unix time in us"),
        ([UNIX * 10**9 + row * 10**7 for row in ROWS], "Unix time in ns"),
        ([f"{UNIX * 1e9 + row * 1e7:.14E}" for row in ROWS], "Unix time in ns"),
        ([repr(25_569 + (UNIX + row / 100) / 86_400) for row in ROWS], "days since 1900"),
        ([repr(719_529 + (UNIX + row / 100) / 86_400) for row in ROWS], "days since year 0"),
        ([(UNIX + 11_644_473_600) * 10**7 + row * 100_000 for row in ROWS], "Windows file time"),
        ([(UNIX + 62_135_596_800) * 10**7 + row * 100_000 for row in ROWS], ".NET ticks"),
        ([f"{UNIX + 2_082_844_800 + row / 100:.2f}" for row in ROWS], "seconds since 1904"),
        ([f"{UNIX - 978_307_200 + row / 100:.2f}" for row in ROWS], "seconds since 2001"),
    ],
)
def test_numbers_that_are_a_date(cells: list[object], name: str) -> None:
    numbers = column(cells)
    rate, found = clocked(numbers)
    assert rate == pytest.approx(100, rel=1e-4)
    assert np.abs(found - (UNIX * 10**9 + np.arange(COUNT) * 10_000_000)).max() < 60_000
    assert facts(search(numbers))["clock"] == (f"{name} in 'time'", "shown")


WRITTEN = [("s", 0.01, 100), ("ms", 800, 1.25), ("us", 150, 6667), ("ns", 10**7, 100), ("0.1 ms", 100, 100)]
WRITTEN += [("100 ns", 100_000, 100), ("1/32768 s", 640, 51.2), ("10 kHz", 100, 100), ("min", 1 / 6000, 100)]


@pytest.mark.parametrize(("unit", "step", "rate_hz"), WRITTEN)
def test_a_unit_that_is_written_or_told_is_never_overruled(unit: str, step: float, rate_hz: float) -> None:
    cells = [40_134 + row * step for row in ROWS]
    for options, how in (({"unit": unit}, "written"), ({}, "told")):
        numbers = column(cells, **options)
        told = {} if options else {"time_unit": unit}
        rate, found = clocked(numbers, **told)
        assert rate == pytest.approx(rate_hz, rel=1e-3)
        assert (found[-1] - found[0]) / 1e9 == pytest.approx((COUNT - 1) / rate_hz, rel=1e-3)
        assert facts(search(numbers, **told))["clock"][1] == how


@pytest.mark.parametrize(("step", "unit"), [(0.01, "s"), (10, "ms"), (10_000, "us"), (10_000_000, "ns"), (40, "ms")])
def test_the_only_unit_with_a_likely_rate_is_assumed(step: float, unit: str) -> None:
    numbers = column([1_300_000_000 + row * step if unit == "us" else row * step for row in ROWS])
    _, found = clocked(numbers)
    assert facts(search(numbers))["clock"] == (f"a count of {unit} in 'time'", "assumed")
    assert "date is not known" in facts(search(numbers))["start"][0]
    assert found[1] - found[0] == pytest.approx(40_000_000 if step == 40 else 10_000_000)


@pytest.mark.parametrize(("step", "right"), [(150, "us"), (100_000, "100 ns"), (640, "1/32768 s"), (327.68, "ms")])
def test_a_unit_that_nothing_shows_is_asked(step: float, right: str) -> None:
    numbers = column([int(row * step) for row in ROWS])
    (question,) = search(numbers).questions
    assert question.option == "time_unit"
    assert question.guess in ("us", "ms")
    assert "'time'" in question.words
    assert f"{question.guess} would be" in question.words
    clocked(numbers, time_unit=right)


def test_the_guess_can_be_pasted() -> None:
    numbers = column([row * 150 for row in ROWS])
    (question,) = search(numbers).questions
    rate, _ = clocked(numbers, time_unit=question.guess)
    assert f"{question.guess} would be {rate:.4g} Hz" in question.words


def test_a_written_unit_with_an_impossible_rate_is_asked() -> None:
    numbers = column([f"{UNIX + row / 100:.3f}" for row in ROWS], "time_ms", unit="ms")
    (question,) = search(numbers).questions
    assert (question.option, question.guess) == ("time_unit", "s")
    assert "The name says ms, which would be 1e+05 rows a second" in question.words
    rate, found = clocked(numbers, time_unit="s")
    assert rate == pytest.approx(100)
    assert np.datetime64(int(found[0]), "ns") == START


def test_row_numbers_are_no_times() -> None:
    (question,) = search(column(ROWS, "t")).questions
    assert question.option == "rate_hz"
    assert "'t' goes up by one" in question.words
    for numbers in (column(ROWS, "index", "counter"), column(ROWS, "foo", "")):
        (question,) = search(numbers).questions
        assert question.option == "rate_hz"
    rate, found = clocked(column(ROWS, "index", "counter"), rate_hz=52.0, start_ns=UNIX * 10**9)
    assert rate == 52
    np.testing.assert_array_equal(found, UNIX * 10**9 + np.rint(np.arange(COUNT) * (1e9 / 52)).astype(np.int64))


def test_too_slow_for_motion_is_refused() -> None:
    numbers = column([UNIX + row * 5 for row in ROWS], "timestamp")
    refusal = "expected at least 0.5 samples a second, got 0.2 by Unix time in s in 'timestamp'"
    assert search(numbers).refusal == refusal
    minutes = column(moments(lambda it: it.isoformat(), step_ms=15_000), "created_at", "datetime")
    assert "got 0.0667 by date and time of day in 'created_at'" in search(minutes).refusal


def test_the_exact_clock_wins_over_local_text() -> None:
    def local(row: int) -> str:
        shown = row if row % 150 else max(row - 1, 0)
        return f"{dt.datetime(2023, 11, 15, 0, 13, 20) + dt.timedelta(milliseconds=30 * shown):%Y-%m-%d %H:%M:%S.%f}"

    text = column(map(local, ROWS), "Timestamp")
    unix = column([f"{UNIX + row * 0.03:.6f}" for row in ROWS], "TimeIntervalSince1970", "unix")
    rate, found = clocked(text, unix)
    assert rate == pytest.approx(100 / 3)
    assert np.datetime64(int(found[0]), "ns") == START
    assert len(found) == COUNT
    assert "zone" not in facts(search(text, unix))


def test_unix_seconds_give_the_zone_of_a_finer_text() -> None:
    unix = column([UNIX + row // 100 for row in ROWS], "unix", "unix")
    text = column(moments(lambda it: it.isoformat(timespec="milliseconds"), first=dt.datetime(2023, 11, 15, 0, 13, 20)))
    _, found = clocked(unix, text)
    np.testing.assert_array_equal(found, UNIX * 10**9 + np.arange(COUNT) * 10_000_000)


def test_a_sensors_ticks_give_the_spacing_and_arrival_the_start() -> None:
    random = np.random.default_rng(1)
    arrival = [UNIX * 1000 + row * 10 + int(random.integers(0, 8)) for row in ROWS]
    received = column(arrival, "received", "unix", owner="host")
    ticks = column([int(5e5 + row * 327.68) for row in ROWS], "sensor_time", "ticks", owner="device")
    rate, found = clocked(received, ticks)
    assert rate == pytest.approx(100, rel=1e-4)
    assert np.abs(np.diff(found) - 10_000_000).max() < 31_000
    assert abs(int(found[0]) - UNIX * 10**9) < 8_000_000
    said = facts(search(received, ticks))
    assert said["clock"] == ("a count of 1/32768 s in 'sensor_time'", "shown")
    assert said["date"] == ("from 'received'", "shown")


def test_two_written_clocks_that_disagree_are_asked_about() -> None:
    host = column([row * 10 for row in ROWS], "host_ms", unit="ms")
    device = column([row * 20 for row in ROWS], "device_ms", unit="ms", owner="device")
    (question,) = search(host, device).questions
    assert question.option == "columns"
    assert json.loads(question.guess) == {"time": "device_ms"}
    assert "50 rows a second" in question.words
    assert "100." in question.words
    rate, _ = clocked(host, device, told=[1])
    assert rate == pytest.approx(50)


def test_a_column_that_rises_like_a_clock() -> None:
    rising = column([1000 + row * 10 for row in ROWS], "foo", "")
    noise = column(np.random.default_rng(0).normal(size=COUNT), "bar", "")
    (question,) = search(noise, rising).questions
    assert json.loads(question.guess) == {"time": "foo"}
    rate, _ = clocked(noise, rising, told=[1])
    assert rate == pytest.approx(100)
    rate, _ = clocked(noise, rising, named=False)  # without a header only the numbers can say it
    assert rate == pytest.approx(100)


@pytest.mark.parametrize(
    ("said", "unit", "cells"),
    [
        ("elapsed", "ms", [(60_000 + row * 10) % 2**16 for row in ROWS]),
        ("elapsed", "us", [(2**32 - 5_000_000 + row * 10_000) % 2**32 for row in ROWS]),
        ("ticks", "0.1 ms", [(30_000 + row * 100 + 2**15) % 2**16 - 2**15 for row in ROWS]),
    ],
)
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, COUNT), max_size=4))
def test_a_counter_that_is_full_begins_anew(said: str, unit: str, cells: list[int], cuts: list[int]) -> None:
    numbers = column(cells, "t", said, unit=unit)
    found = times(search(numbers), numbers, cuts=sorted(cuts))
    np.testing.assert_array_equal(np.diff(found), 10_000_000)


@pytest.mark.parametrize(("unit", "second"), [("ms", 1000), ("us", 10**6)])
def test_the_rest_of_a_second_begins_anew(unit: str, second: int) -> None:
    numbers = column([(row * second // 100) % second for row in ROWS], unit, unit=unit)
    rate, found = clocked(numbers)
    assert rate == pytest.approx(100)
    np.testing.assert_array_equal(np.diff(found), 10_000_000)


def test_twelve_hours_without_am_or_pm_go_on() -> None:
    for form in ("%I:%M:%S.%f", "%Y-%m-%d %I:%M:%S.%f"):
        texts = column(moments(lambda at, form=form: at.strftime(form), first=dt.datetime(2024, 5, 17, 12, 59, 58)))
        rate, found = clocked(texts)
        assert rate == pytest.approx(100)
        np.testing.assert_array_equal(np.diff(found), 10_000_000)


def test_a_restart_is_no_wrap() -> None:
    numbers = column([row % 600 * 10 for row in ROWS], "t", unit="ms")
    _, found = clocked(numbers)
    assert found[600] == found[0]


def test_rows_out_of_order_are_refused() -> None:
    refusal = search(column([row * 37 % 1000 / 100 for row in ROWS], unit="s")).refusal
    assert refusal == "expected rows in the order of their times, got 4% of the steps in 'time' that run back"


def test_seconds_and_their_parts() -> None:
    secs = column([UNIX + row // 100 for row in ROWS], "stamp.secs", "secs")
    nsecs = column([row % 100 * 10_000_000 for row in ROWS], "stamp.nsecs", "nsecs")
    _, exact = clocked(secs, nsecs)
    text = column(moments(lambda it: it.isoformat(sep=" "), first=dt.datetime(2023, 11, 14, 22, 13, 20)))
    whole = text._replace(head=np.array([cell[:19] for cell in text.head]))
    ms = column([row % 100 * 10 for row in ROWS], "ms", "time", unit="ms")
    _, by_text = clocked(whole, ms)
    bare = column([row // 100 for row in ROWS], "", ""), column([row % 100 * 10_000 for row in ROWS], "", "")
    _, relative = clocked(*bare, named=False)
    for found in (exact, by_text, relative + UNIX * 10**9):
        np.testing.assert_array_equal(found, UNIX * 10**9 + np.arange(COUNT) * 10_000_000)


def test_a_calendar_in_columns_and_a_gps_week() -> None:
    first = dt.datetime(2023, 11, 14, 22, 13, 20)
    forms = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S.%f"}
    parts = [
        column(moments(lambda it, f=form: it.strftime(f), first=first), word, word) for word, form in forms.items()
    ]
    _, found = clocked(*parts)
    np.testing.assert_array_equal(found, UNIX * 10**9 + np.arange(COUNT) * 10_000_000)
    seconds = UNIX - 315_964_800 + 18  # GPS runs 18 s ahead of UTC
    week = column([seconds // 604_800] * COUNT, "GPSWeek", "week")
    tow = column([f"{seconds % 604_800 + row / 100:.2f}" for row in ROWS], "TOW", "tow", unit="s")
    _, found = clocked(week, tow)
    assert np.abs(found - UNIX * 10**9 - np.arange(COUNT) * 10_000_000).max() < 100


def test_what_stands_above_the_table() -> None:
    clock = column(
        moments(lambda it: f"{it:%H:%M:%S.%f}", first=dt.datetime(2022, 8, 10, 8, 58, 6)), "Time(s)", "clock"
    )
    _, found = clocked(clock, notes={"StartTime": "2022-08-10 08:58:06.000"})
    assert np.datetime64(int(found[0]), "ns") == np.datetime64("2022-08-10T08:58:06")
    since = column([f"{row / 100:.2f}" for row in ROWS], "Zeit", unit="s")
    _, found = clocked(since, notes={"Datum": "03.08.2023", "Uhrzeit": "17:39:54"}, zone="Europe/Berlin")
    assert np.datetime64(int(found[0]), "ns") == np.datetime64("2023-08-03T15:39:54")
    _, found = clocked(since, notes={"Date": "03/08/2023", "Time": "17:39:54"})  # day or month first: not known
    assert found[0] == 0
    of_week = column([f"{500_000 + row / 100:.2f}" for row in ROWS], "SOW", "clock", unit="s")
    _, found = clocked(of_week, notes={"GPS Week": "2172"})  # 18 s ahead of UTC
    assert np.datetime64(int(found[0]), "ns") == np.datetime64("2021-08-27T18:53:02")
    index = column(ROWS, "PacketCounter", "counter")
    rate, found = clocked(index, notes={"Update Rate": "100.0Hz", "Baud rate": "115200"})
    assert (rate, found[1]) == (100, 10_000_000)
    ticks = column([86_000_000 + row * 100 for row in ROWS], "ticks", "ticks")
    rate, _ = clocked(ticks, notes={"Output rate": "100Hz"})
    assert facts(search(ticks, notes={"Output rate": "100Hz"}))["clock"][0].startswith("a count of 1/10000 s")
    rate, _ = clocked(index, log_hz=62.5)
    assert rate == 62.5
    video = column([row * 5 for row in ROWS], "t")
    rate, _ = clocked(video, notes={"tscale": "0.001", "timestamp": str(UNIX)})
    assert rate == pytest.approx(200)


@pytest.mark.parametrize(
    "notes",
    [
        {"Config": "data_rate = 100.0 Hz, filter = 42 Hz, acc_range = 4 g"},
        {"Delta_X": "0.010000"},
        {"interval_ms": "10"},
        {"Sampling period": "10 ms"},
        {"Abtastrate [Hz]": "100,0"},
        {"Frequency": "0.1 kHz"},
    ],
)
def test_a_rate_above_the_table(notes: dict[str, str]) -> None:
    rate, _ = clocked(column(ROWS, "n", "counter"), notes=notes)
    assert rate == pytest.approx(100)
    assert facts(search(column(ROWS, "n", "counter"), notes=notes))["rate"] == ("100 Hz", "written")


def test_a_rate_in_the_files_name_is_a_guess() -> None:
    (question,) = search(column(ROWS, "n", "counter"), notes={"file name": "walk_subj3_100Hz.csv"}).questions
    assert (question.option, question.guess) == ("rate_hz", "100")


@pytest.mark.parametrize("cell", ["987.{0:03},0", "987,{0:03}.0", "1.987.{0:03},00"])
def test_thousands_are_grouped_where_the_decimal_mark_shows_it(cell: str) -> None:
    grouped = column([cell.format(row * 10 % 1000) for row in range(100)], "Zeit (ms)", unit="ms")
    rate, found = clocked(grouped)
    assert rate == pytest.approx(100)
    np.testing.assert_array_equal(np.diff(found), 10_000_000)
    broken = grouped._replace(head=grouped.head.copy())
    broken.head[7] = "98.76,5"
    with pytest.raises(RecordingError, match=r"log\.csv:8: expected a time in 'Zeit \(ms\)', got '98\.76,5'"):
        times(search(grouped), broken)


def test_digits_of_a_date_that_count_something() -> None:
    written = column([20_000_000 + row * 10_000 for row in ROWS], "time [us]", unit="us")
    rate, found = clocked(written)
    assert (rate, int(found[0])) == (pytest.approx(100), 20_000_000_000)
    uptime = column([20_211_500_000_000 + row * 5_000_000 for row in ROWS], "", "")
    rate, found = clocked(uptime, named=False)
    assert (rate, int(found[0])) == (pytest.approx(200), 20_211_500_000_000)


def test_a_time_that_stands_still_is_said() -> None:
    (question,) = search(column(["1.61513E+12"] * COUNT, "timestamp")).questions
    assert "all rows have '1615130000000.0'" in question.words


def test_xsens_ticks_by_their_name() -> None:
    for step, rate_hz in ((16_666, 60), (100, 100)):
        cells = column([4_000_000_000 + row * step for row in ROWS], "SampleTimeFine", "ticks")
        rate, _ = clocked(cells)
        assert rate == pytest.approx(rate_hz, rel=1e-3)


def test_damaged_times_are_shown() -> None:
    cells = column([f"1.012.598.156.929.{row:03}" for row in ROWS], "timestamp")
    (question,) = search(cells).questions
    assert question.option == "rate_hz"
    assert "'timestamp' has no times that motionsig understands: '1.012.598.156.929.000'" in question.words
    numbers = column([row / 100 for row in ROWS], unit="s")
    found = search(numbers)
    numbers.head[500] = np.nan
    with pytest.raises(RecordingError, match=r"log\.csv:501: expected a time in 'time', got 'nan'"):
        times(found, numbers)


def test_a_table_s_own_times() -> None:
    own = column(["0"])._replace(
        head=np.datetime64(UNIX, "s").astype("M8[ns]") + np.arange(COUNT) * np.timedelta64(10, "ms")
    )
    _, found = clocked(own)
    np.testing.assert_array_equal(found, UNIX * 10**9 + np.arange(COUNT) * 10_000_000)


def test_options_that_are_none() -> None:
    with pytest.raises(InputError, match=r"time_unit: expected a unit such as 's', 'ms', 'us', 'ns'.*got 'fortnight'"):
        search(column(ROWS), time_unit="fortnight")
    with pytest.raises(InputError, match=r"rate_hz: expected 0\.1 to 100000, got 0"):
        search(column(ROWS), rate_hz=0.0)
