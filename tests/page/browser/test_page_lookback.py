"""A week on the screen, what a head tells in it, and a head that gets better by what it shows."""

from __future__ import annotations

import datetime

import pytest
from house import until
from visits import go
from watched import PHONE

WEEK = True


@pytest.fixture(scope="module")
def taught(house):
    return house.teach("turn")


def looked_back(tab):
    """Wait until a look back is on the screen; return the line that says what it found."""
    tab.locator("#view-lookback .progress").wait_for(state="hidden")
    return tab.locator("#view-lookback .progress-place + p").text_content()


def rows(tab, head):
    return tab.locator("#view-lookback .events .row", has_text=head)


def test_a_week_is_shown(visits, house, taught):
    tab = visits.page(size=PHONE)
    tab.goto(f"{house.origin}/#lookback?head=turn&range=week")
    looked_back(tab)
    assert tab.locator("#view-lookback .strips canvas").count() == 7
    chip = tab.locator("#view-lookback button.toggle", has_text="turn")
    assert chip.get_attribute("aria-pressed") == "true"
    count = int(chip.locator(".muted").text_content())
    assert abs(count - len(house.turns_ns)) <= len(house.turns_ns) / 4
    # What the strips show stands there in words, too: all of it after a press or two.
    while (more := tab.locator("#view-lookback .events > button")).count():
        more.click()
    assert rows(tab, "turn").count() >= count - 1
    rows(tab, "turn").last.click()
    chosen = tab.locator("#view-lookback .chosen")
    assert "the head would tell it now" in chosen.text_content()
    chosen.get_by_role("button", name="Show the windows like this one").click()
    chosen.locator("ol li").nth(5).wait_for()
    # A picture of it, not a blank.
    dark = (
        tab.locator("#view-lookback .strips canvas")
        .nth(3)
        .evaluate(
            "(it) => new Set(new Uint32Array("
            "it.getContext('2d').getImageData(0, 0, it.width, it.height).data.buffer)).size"
        )
    )
    assert dark > 2


def test_a_day_and_an_hour(visits, house, taught):
    tab = visits.page("lookback")
    looked_back(tab)
    tab.get_by_role("button", name="Day", exact=True).click()
    looked_back(tab)
    assert tab.locator("#view-lookback .strips canvas").count() == 1
    tab.get_by_role("button", name="Earlier").click()
    assert "event" in looked_back(tab)
    tab.get_by_role("button", name="Hour", exact=True).click()
    looked_back(tab)
    assert tab.locator("#view-lookback .strips canvas").count() == 6


def test_not_this_and_the_event_does_not_come_again(visits, house, taught):
    tab = visits.page()
    tab.goto(f"{house.origin}/#lookback?head=turn&range=week")
    looked_back(tab)
    before = next(head for head in house.ask("heads") if head["name"] == "turn")
    row = rows(tab, "turn").first
    when = row.locator("b").text_content()
    row.click()
    chosen = tab.locator("#view-lookback .chosen")
    chosen.get_by_role("button", name="Not this: it is no turn").click()
    tab.locator("#say", has_text="turn is better by one example").wait_for()
    assert "false alarms an hour" in tab.locator("#say").text_content()
    looked_back(tab)
    after = next(head for head in house.ask("heads") if head["name"] == "turn")
    assert after["counter_examples"] > before["counter_examples"]
    assert after["on"] > before["on"] or when not in rows(tab, "turn").locator("b").all_text_contents()


def test_this_too(visits, house, taught):
    tab = visits.page()
    tab.goto(f"{house.origin}/#lookback?head=turn&range=day")
    looked_back(tab)
    before = next(head for head in house.ask("heads") if head["name"] == "turn")
    tab.locator("#view-lookback .chosen summary").click()
    motion = house.hand.perform("turn", after_s=1.5)
    house.hand.rest(2)
    begin = datetime.datetime.fromtimestamp(motion.begin_unix_s)
    fields = tab.locator("#view-lookback .chosen input")
    fields.nth(0).fill((begin - datetime.timedelta(seconds=1)).isoformat(timespec="seconds"))
    fields.nth(1).fill((begin + datetime.timedelta(seconds=3)).isoformat(timespec="seconds"))
    tab.locator("#view-lookback .chosen").get_by_role("button", name="Choose").click()
    tab.locator("#view-lookback .chosen").get_by_role("button", name="This, too").click()
    tab.locator("#say", has_text="turn is better by one example").wait_for()
    after = next(head for head in house.ask("heads") if head["name"] == "turn")
    assert after["examples"] > before["examples"]


def test_not_this_at_an_event_that_was_just_told(visits, house):
    house.teach("wave", "shake")
    tab = visits.page()
    house.hand.perform("shake", after_s=1.5)
    line = tab.locator("#view-live .rows li", has_text="wave")
    line.get_by_role("button").click()
    tab.locator("#say", has_text="wave is better by one example").wait_for()
    go(tab, "lookback")
    until(lambda: "event" in looked_back(tab), "it looks back")
