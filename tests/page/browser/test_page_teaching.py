"""Teaching in a browser, with a hand that performs: by keyboard, in two tabs, over restarts; and what it is not."""

from __future__ import annotations

import signal

import pytest
from house import until
from visits import AWAY, go
from watched import PHONE

REST_S = 1.3
"""Between two performances; a lesson wants a second."""


def begin(tab, name, times=3):
    """Have a lesson begin, and wait until something may be performed."""
    go(tab, "teach")
    tab.locator("#teach-name").fill(name)
    tab.locator("#view-teach form").first.locator("button[type=submit]").click()
    tab.locator(".course[data-state=perform]").wait_for()


def kept(tab):
    return tab.locator(".performances .kept")


def numbers(tab):
    return [item.get_attribute("data-number") for item in tab.locator(".performances li").all()]


@pytest.fixture(autouse=True)
def no_head(house):
    yield
    house.forget_lesson()
    house.forget_heads()


def test_by_keyboard_on_a_phone(visits, house):
    tab = visits.page(size=PHONE, scheme="dark")
    keys = tab.keyboard
    tab.locator("body").press("Tab")  # to the link that skips the views
    keys.press("Tab")
    while tab.evaluate("document.activeElement.getAttribute('role')") != "tab":
        keys.press("Tab")
    keys.press("ArrowRight")
    tab.locator("#view-teach").wait_for()
    while tab.evaluate("document.activeElement.id") != "teach-name":
        keys.press("Tab")
    keys.type("knock twice")
    assert tab.locator("#teach-name").input_value() == "knock_twice"
    keys.press("Enter")
    tab.locator(".course[data-state=perform]").wait_for()
    for number in (1, 2, 3):
        house.hand.perform(after_s=REST_S)
        kept(tab).nth(number - 1).wait_for()
        assert f"{number} of 3 found" in tab.locator("#say").text_content()
    tab.locator(".course[data-state=enough]").wait_for()
    keys.press("Enter")  # the button that learns has the focus
    outcome = tab.locator(".outcome")
    outcome.locator("h3", has_text="knock_twice is live").wait_for()
    assert "3 of 3 found" in outcome.locator(".facts").text_content()
    assert "false alarms an hour" in outcome.locator(".facts").text_content()
    outcome.locator(".week", has_text="in the last seven days").wait_for()
    house.hand.perform(after_s=REST_S)
    outcome.locator(".told", has_text="It has told 1 event").wait_for()
    # And it ends its own session so.
    visits.expected = ("status of 401",)
    while tab.evaluate("document.activeElement.id") != "tab-teach":
        keys.press("Shift+Tab")
    keys.press("End")
    tab.locator("#view-people").wait_for()
    tab.locator("#view-people li", has_text="this browser").wait_for()
    while "Sign out this browser" not in (tab.evaluate("document.activeElement.getAttribute('aria-label')") or ""):
        keys.press("Tab")
    keys.press("Enter")
    tab.locator("dialog").get_by_role("button", name="Cancel").wait_for()
    keys.press("Tab")
    keys.press("Enter")
    tab.locator("#view-pair").wait_for()


def test_two_tabs_show_one_lesson_and_what_was_refused(visits, house):
    tab = visits.page()
    other = tab.context.new_page()
    other.goto(house.origin + "/#teach")
    other.locator("#teach-name").wait_for()
    # It moves already when the lesson begins: so much of it is of no use.
    house.hand.perform(seconds=60)
    begin(tab, "turn")
    house.hand.stop()
    for _ in range(2):
        house.hand.perform(after_s=REST_S)
    for each in (tab, other):
        kept(each).nth(1).wait_for()
        each.locator(".performance:not(.kept)", has_text="it is cut off where the lesson begins").wait_for()
    first = kept(tab).last
    first.get_by_role("button", name="Drop").click()
    until(lambda: kept(other).count() == 1, "the other tab shows what was dropped")
    other.locator(".performance", has_text="dropped").get_by_role("button", name="Keep").click()
    until(lambda: kept(tab).count() == 2, "this tab shows what is kept again")
    house.hand.perform(after_s=REST_S)
    for each in (tab, other):
        kept(each).nth(2).wait_for()
    assert numbers(tab) == numbers(other) and len(numbers(tab)) == len(set(numbers(tab))) == 4
    # Both say that it is enough: that gives one head, and no error.
    for each in (tab, other):
        each.evaluate("document.querySelector('.course .button.primary').click()")
    for each in (tab, other):
        each.locator(".outcome h3", has_text="turn is live").wait_for()
    assert [head["name"] for head in house.ask("heads") if head["whose"] == "page"] == ["turn"]


def test_daemon_page_and_browser_start_again_in_the_middle(visits, house):
    visits.expected = (*AWAY, "network error", "Failed to fetch")
    tab = visits.page(size=PHONE)
    begin(tab, "turn")
    house.hand.perform(after_s=REST_S)
    kept(tab).first.wait_for()
    # The daemon, without a word.
    house.stop_daemon(signal.SIGKILL)
    tab.locator("#banner", has_text="The service does not answer").wait_for()
    house.start_daemon()
    tab.locator("#connection[data-state=open]").wait_for()
    tab.locator("#banner", has_text="restarted").wait_for()
    tab.locator(".course .notice", has_text="was started again in the middle").wait_for()
    assert kept(tab).count() == 1
    tab.locator(".course[data-state=perform]").wait_for()
    house.hand.perform(after_s=REST_S)
    kept(tab).nth(1).wait_for()
    # The page, while something is performed.
    house.hand.perform(after_s=REST_S)
    house.stop_page(signal.SIGKILL)
    kept(tab).nth(2).wait_for()
    # The browser.
    tab.reload()
    tab.locator("#connection[data-state=open]").wait_for()
    go(tab, "teach")
    kept(tab).nth(2).wait_for()
    assert numbers(tab) == ["3", "2", "1"]
    tab.locator(".course .button.primary").click()
    tab.locator(".outcome h3", has_text="turn is live").wait_for()
    (head,) = (head for head in house.ask("heads") if head["name"] == "turn")
    assert (head["given"], head["found"]) == (3, 3)


def test_counter_examples(visits, house):
    house.teach("turn")
    tab = visits.page("teach")
    tab.locator("#teach-better").wait_for()
    tab.get_by_role("button", name="Show what it is not").first.click()
    tab.locator(".course[data-state=perform]").wait_for()
    assert "what is not turn" in tab.locator(".doing").text_content()
    for number in range(3):
        house.hand.perform("shake", after_s=REST_S)
        kept(tab).nth(number).wait_for()
    tab.locator(".course .button.primary").click()
    tab.locator(".outcome h3", has_text="turn has learned what it is not").wait_for()
    tab.locator(".outcome .facts", has_text="counter-examples learned").wait_for()
    (head,) = (head for head in house.ask("heads") if head["name"] == "turn")
    assert head["counter_examples"] >= 3


def test_a_name_that_cannot_be_is_said_before_anything_is_performed(visits, house):
    tab = visits.page("teach")
    for name, why in (
        ("", "Type a name first"),
        ("_x", "begins with a letter"),
        ("walking", "is taken by another head"),
    ):
        tab.locator("#teach-name").fill(name)
        tab.locator("#view-teach form").first.locator("button[type=submit]").click()
        tab.locator("#teach-name-hint", has_text=why).wait_for()
        assert tab.locator("#teach-name").get_attribute("aria-invalid") == "true"
    assert not tab.locator(".course").is_visible()
