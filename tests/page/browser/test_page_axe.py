"""What a screen reader and a keyboard need, in every view, both themes and both widths, as axe-core judges it."""

from __future__ import annotations

import pytest
from visits import VIEWS, go
from watched import LAPTOP, PHONE, axe_source

_RUN = """
() => axe.run(document, {resultTypes: ["violations"]}).then(({ violations }) => violations.map(
  ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`))
"""


def assert_reachable(tab, where):
    assert not (found := tab.evaluate(_RUN)), f"{where}: {found}"
    wide, room = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room, f"{where}: {wide} px are wider than the screen"


@pytest.fixture(scope="module")
def taught(house):
    return house.teach("turn")


def each_look(tab):
    """Show a page in each theme and width; yield which."""
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for name, (width, height) in (("phone", PHONE), ("laptop", LAPTOP)):
            tab.set_viewport_size({"width": width, "height": height})
            tab.wait_for_timeout(50)
            yield f"{scheme}, {name}"


@pytest.mark.parametrize("view", VIEWS)
def test_views(visits, house, taught, view):
    tab = visits.page(view)
    if view == "lookback":
        tab.locator("#view-lookback .progress").wait_for(state="hidden")
        tab.locator("#view-lookback .events .row").first.click()
    tab.evaluate(axe_source())
    for look in each_look(tab):
        assert_reachable(tab, f"{view}, {look}")


def test_the_way_in_and_what_is_wrong(visits, house):
    visits.expected = ("status of 401", "status of 403")
    tab = visits.stranger().new_page()
    tab.goto(f"{house.origin}/#pair=wrong")
    tab.locator("#code").wait_for()
    tab.evaluate(axe_source())
    for look in each_look(tab):
        assert_reachable(tab, f"the way in, {look}")


def test_a_lesson_and_what_came_of_it(visits, house, taught):
    tab = visits.page("teach")
    tab.evaluate(axe_source())
    tab.locator("#teach-better").select_option("turn")
    house.hand.perform("shake", seconds=60)
    tab.wait_for_timeout(1500)  # it moves before the lesson begins: so the first one is cut off
    tab.get_by_role("button", name="Show what it is not").first.click()
    tab.locator(".course[data-state=perform]").wait_for()
    house.hand.stop()
    house.hand.perform("shake", after_s=1.2)
    tab.locator(".performance.kept").wait_for()
    tab.locator(".performance:not(.kept)").wait_for()
    for look in each_look(tab):
        assert_reachable(tab, f"a lesson, {look}")
    tab.locator(".course .button.primary").click()
    tab.locator(".outcome h3").wait_for()
    for look in each_look(tab):
        assert_reachable(tab, f"what came of it, {look}")
    go(tab, "live")
