"""Clocks as text: every form, resolution and start comes back, however the rows are cut."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import numpy as np
import pytest
from clock_columns import NEW_YEAR, clocked, column, facts, moments, search, times
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.errors import InputError, RecordingError
from motionsig.recordings.times.texts import NoClockError, parse

DATES = {
    "2024-12-31": "%Y-%m-%d",
    "2024/12/31": "%Y/%m/%d",
    "2024.12.31": "%Y.%m.%d",
    "2024:12:31": "%Y:%m:%d",
    "31.12.2024": "%d.%m.%Y",
    "31.12.24": "%d.%m.%y",
    "31 Dec 2024": "%d %b %Y",
    "31-Dec-2024": "%d-%b-%Y",
    "Tue, 31 December 2024": "%a, %d %B %Y",
    "Dec 31, 2024": "%b %d, %Y",
    "20241231": "%Y%m%d",
}
CLOCKS = {
    "23:59:55.12": "%H:%M:%S.",
    "23:59:55,12": "%H:%M:%S,",
    "23:59:55:12": "%H:%M:%S:",
    "23-59-55.12": "%H-%M-%S.",
    "235955.12": "%H%M%S.",
}
ZONES = {
    "": None,
    "Z": 0,
    " UTC": 0,
    "+02": 120,
    "-0530": -330,
    " +02:00": 120,
    " GMT+1": 60,
    " CEST": 120,
    "+00:00": 0,
}


def utc_ns(moment: dt.datetime) -> int:
    return int(np.datetime64(moment, "ns").astype(np.int64))


@settings(deadline=None)
@given(
    date=st.sampled_from(sorted(DATES)),
    clock=st.sampled_from(sorted(CLOCKS)),
    zone=st.sampled_from(sorted(ZONES)),
    join=st.sampled_from([" ", "T", "_"]),
    digits=st.integers(0, 6),
    starts=st.lists(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2068, 12, 31)), min_size=1, max_size=5),
    bytes_=st.booleans(),
)
def test_a_date_and_time_comes_back(
    date: str, clock: str, zone: str, join: str, digits: int, starts: list[dt.datetime], bytes_: bool
) -> None:
    unit = 10 ** (6 - digits)
    starts = [it.replace(microsecond=it.microsecond // unit * unit) for it in starts]
    texts = []
    for it in starts:
        fraction = f"{it.microsecond:06}"[:digits]
        body = it.strftime(CLOCKS[clock]) + fraction
        texts.append(it.strftime(DATES[date]) + join + (body if fraction else body[:-1]) + zone)
    cells = np.array(texts)
    parsed = parse(cells.astype("S") if bytes_ else cells)
    assert parsed.days is not None
    assert parsed.ns is not None
    found = parsed.days * (86_400 * 10**9) + parsed.ns - parsed.east * (60 * 10**9)
    shift = dt.timedelta(minutes=ZONES[zone] or 0)
    np.testing.assert_array_equal(found, [utc_ns(it - shift) for it in starts])
    assert all(it.zoned == (ZONES[zone] is not None) for it in parsed.layouts)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Mon May  1 23:59:50 2023", "2023-05-01T23:59:50"),
        ("Mon May 01 23:59:50 GMT+02:00 2023", "2023-05-01T21:59:50"),
        ("Mon May 01 2023 23:59:50 GMT+0200 (CEST)", "2023-05-01T21:59:50"),
        ("Montag, 1. Mai 2023 23:59:50", "2023-05-01T23:59:50"),
        ("le 1 août 2023 23:59:50", "2023-08-01T23:59:50"),
        ("1 de enero de 2023 23:59:50", "2023-01-01T23:59:50"),
        ("2023年5月1日 23:59:50.5", "2023-05-01T23:59:50.5"),
        ("2023-5-1 下午 11:59:50", "2023-05-01T23:59:50"),
        ("2023-05-01T23:59:50.123+02:00[Europe/Berlin]", "2023-05-01T21:59:50.123"),
        ("5/13/2023 12:00:01 AM", "2023-05-13T00:00:01"),
        ("13/5/2023 12:00:01 p.m.", "2023-05-13T12:00:01"),
        ("13.5.23 9:03:02", "2023-05-13T09:03:02"),
        ('"2023-05-01 23:59:50" ', "2023-05-01T23:59:50"),
    ],
)
def test_other_ways_to_write_it(text: str, moment: str) -> None:
    cells = np.array([text])
    parsed = parse(cells, "mdy" if text.startswith("5/13") else "dmy")
    assert parsed.days is not None
    assert parsed.ns is not None
    found = int(parsed.days[0]) * 86_400 * 10**9 + int(parsed.ns[0] - parsed.east[0] * 60 * 10**9)
    assert np.datetime64(found, "ns") == np.datetime64(moment)


NO_CLOCKS = ["", "walk", "12", "1.012.598.156", "10.0.0.1", "walk 1", "2023-02-29 10:00:00", "2023-13-01 10:00:00"]
NO_CLOCKS += ["2023-01-01 24:00:00", "2023-01-01 10:60:00", "10:00:61", "31/04/2023", "-1:00:00", "13:00:00 pm", "1:2"]


@pytest.mark.parametrize("text", NO_CLOCKS)
def test_what_is_no_clock(text: str) -> None:
    with pytest.raises(NoClockError) as error:
        parse(np.array(["2023-01-01 10:00:00", text]))
    assert (error.value.row, error.value.text) == (1, text)


FORMS = {
    "time_of_day": lambda it: it.strftime("%H:%M:%S.%f"),
    "minutes": lambda it: it.strftime("%M:%S.%f")[:-3],
    "twelve hours": lambda it: it.strftime("%I:%M:%S.%f %p"),
    "iso without the zero fraction": lambda it: it.isoformat(),
    "us": lambda it: f"{it.month}/{it.day}/{it.year} {it.hour % 12 or 12}:{it.minute:02}:{it:%S.%f} {it:%p}",
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 1000), max_size=4))
def test_any_cutting_gives_the_same_times_over_midnight(form: str, cuts: list[int]) -> None:
    cells = column(moments(FORMS[form]))
    found = search(cells)
    whole = times(found, cells)
    np.testing.assert_array_equal(np.diff(whole), 10_000_000)
    np.testing.assert_array_equal(times(found, cells, cuts=sorted(cuts)), whole)


def test_a_date_beside_a_time_of_day() -> None:
    date = column(moments(lambda it: it.strftime("%d.%m.%Y")), "Datum", "date")
    clock = column(moments(lambda it: it.strftime("%H:%M:%S,%f")[:-3]), "Uhrzeit", "clock")
    rate, found = clocked(date, clock)
    assert rate == pytest.approx(100)
    assert np.datetime64(int(found[0]), "ns") == np.datetime64("2024-12-31T23:59:55")
    assert np.datetime64(int(found[-1]), "ns") == np.datetime64("2025-01-01T00:00:04.990")


def test_digits_alone_are_a_calendar() -> None:
    cells = column(moments(lambda it: f"{it:%Y%m%d%H%M%S}{it.microsecond // 1000:03}"))
    assert cells.head.dtype.kind == "i"
    rate, found = clocked(cells)
    assert rate == pytest.approx(100)
    assert np.datetime64(int(found[0]), "ns") == np.datetime64("2024-12-31T23:59:55")


def test_the_day_is_first_where_a_row_shows_it() -> None:
    _, found = clocked(column(moments(lambda it: it.strftime("%d/%m/%Y %H:%M:%S.%f"))))
    assert np.datetime64(int(found[0]), "ns") == np.datetime64("2024-12-31T23:59:55")
    midnight = dt.datetime(2023, 5, 1, 23, 59, 55)  # then comes 02/05, which is a day later and not a month
    for form in ("%d/%m/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S.%f"):
        _, found = clocked(column(moments(lambda it, form=form: it.strftime(form), first=midnight)))
        assert np.datetime64(int(found[0]), "ns") == np.datetime64(midnight)


@pytest.mark.parametrize(
    ("form", "guess", "other"),
    [
        ("%d/%m/%Y %H:%M:%S.%f", "2023-05-01T10:00", "2023-01-05T10:00"),
        ("%m/%d/%Y %I:%M:%S.%f %p", "2023-05-01T10:00", "2023-01-05T10:00"),
    ],
)
def test_a_doubtful_date_is_asked_and_both_answers_work(form: str, guess: str, other: str) -> None:
    cells = column(moments(lambda it: it.strftime(form), first=dt.datetime(2023, 5, 1, 10)))
    (question,) = search(cells).questions
    assert question.option == "start_ns"
    for answer, date in ((question.guess, guess), (str(utc_ns(dt.datetime.fromisoformat(other))), other)):
        assert answer in question.words
        rate, found = clocked(cells, start_ns=int(answer))
        assert np.datetime64(int(found[0]), "ns") == np.datetime64(date)
        assert rate == pytest.approx(100)


def test_a_text_without_a_zone_is_utc_unless_told() -> None:
    cells = column(moments(lambda it: it.isoformat(sep=" ", timespec="milliseconds")))
    assert facts(search(cells))["zone"][1] == "assumed"
    for zone, hours in (("Europe/Berlin", 1), ("+02:00", 2), ("-03", -3), ("UTC", 0)):
        _, found = clocked(cells, zone=zone)
        assert int(found[0]) == utc_ns(NEW_YEAR) - hours * 3600 * 10**9
        assert facts(search(cells, zone=zone))["zone"] == (zone, "told")
    with pytest.raises(InputError, match=r"zone: expected a zone such as 'Europe/Berlin' or '\+02:00', got 'Mars'"):
        search(cells, zone="Mars")
    zoned = column(moments(lambda it: it.isoformat(timespec="milliseconds") + "Z"))
    _, found = clocked(zoned, zone="Europe/Berlin")
    assert int(found[0]) == utc_ns(NEW_YEAR)  # the text's own zone wins
    assert "zone" not in facts(search(zoned))


def test_summer_time_ends_within_the_log() -> None:
    first = dt.datetime(2024, 10, 27, 1, 59, 55, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    texts = [f"{first + dt.timedelta(milliseconds=10 * row):%Y-%m-%d %H:%M:%S.%f}" for row in range(1000)]
    back = [f"2024-10-27 02:59:{55 + row // 100}.{row % 100:02}" for row in range(500)]
    back += [f"2024-10-27 02:00:{row // 100:02}.{row % 100:02}" for row in range(500)]
    for cells in (texts, back):
        for zone in ("Europe/Berlin", None):
            _, found = clocked(column(cells), zone=zone)
            np.testing.assert_array_equal(np.diff(found), 10_000_000)


def test_a_text_that_is_no_time_is_named_with_its_row() -> None:
    cells = column(moments(lambda it: it.isoformat(timespec="milliseconds")))
    found = search(cells)
    broken = cells._replace(head=cells.head.copy())
    broken.head[700] = "2024-12-31T24:61"
    with pytest.raises(RecordingError, match=r"log\.csv:701: expected a time in 'time', got '2024-12-31T24:61'"):
        times(found, broken)
