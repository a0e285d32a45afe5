"""What a browser shows of a device that moves; and what it says after it was away."""

from __future__ import annotations

import time

from house import until
from latency import seconds_to_screen, watch
from visits import AWAY, as_phone_that_sleeps
from watched import PHONE

ROWS = """
() => import("/static/api.js").then((api) => {
  window.rows = [];
  api.listen("signatures", (told) => told.start_ms.forEach((ms, at) => window.rows.push([told.stream, told.seq + at])));
})
"""
"""Keeps the name of each row that this page is told."""


def assert_each_once(rows):
    """Of one stream each row came, and once."""
    (stream,) = {row[0] for row in rows}
    numbers = [row[1] for row in rows]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), stream


def test_what_status_knows_is_seen(visits, house):
    tab = visits.page()
    facts = tab.locator("#view-live .facts").last
    facts.get_by_text("Encoder").wait_for()
    text = facts.text_content()
    status = house.ask("status")
    for part in (status["sensor"]["name"], status["model"]["name"], "Gaps", "Waiting to be sent"):
        assert part in text
    house.hand.rest(4)
    tab.locator("#view-live .readout", has_text="still").wait_for()
    # What rests again and again goes on to be still, also while it is turned: so that is said.
    for _ in range(6):
        house.hand.perform(after_s=3.0)
    tab.locator("#view-live .readout", has_text="not seen now: it ends after 4 s without it").wait_for()
    house.hand.stop()
    # In words, for who does not see the picture.
    until(lambda: "at rest" in tab.locator("#ribbon-words").text_content(), "the ribbon's words say that it rests")


def test_a_motion_is_on_the_screen_soon(visits, house):
    tab = visits.page(size=PHONE, scheme="dark")
    house.hand.rest(3.2)
    watch(tab)
    # Each time but when this machine stands still; scripts/bench page has the figures.
    assert any(seconds_to_screen(tab, house.hand) < 2 for _ in range(4))


def test_a_phone_that_slept_lost_nothing(visits, house):
    visits.expected = (*AWAY, "ERR_INTERNET_DISCONNECTED", "network error", "Failed to fetch")
    tab = visits.page(size=PHONE)
    tab.evaluate(ROWS)
    until(lambda: tab.evaluate("window.rows.length") > 5, "rows come")
    with as_phone_that_sleeps(tab):
        time.sleep(6)
    tab.locator("#connection[data-state=open]").wait_for()
    told = tab.evaluate("window.rows.length")
    until(lambda: tab.evaluate("window.rows.length") > told + 5, "rows come again")
    rows = tab.evaluate("window.rows")
    assert len(rows) > 6 / 0.16
    assert_each_once(rows)


def test_a_page_that_ends_and_comes_again_doubles_nothing(visits, house):
    visits.expected = (*AWAY, "network error", "Failed to fetch")
    tab = visits.page()
    tab.evaluate(ROWS)
    until(lambda: tab.evaluate("window.rows.length") > 5, "rows come")
    house.stop_page(hold=True)
    tab.locator("#banner", has_text="does not answer").wait_for()
    house.let_page_start()
    tab.locator("#banner", has_text="nothing was lost").wait_for()
    told = tab.evaluate("window.rows.length")
    until(lambda: tab.evaluate("window.rows.length") > told + 5, "rows come again")
    assert_each_once(tab.evaluate("window.rows"))
