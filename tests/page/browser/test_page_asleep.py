"""A phone that sleeps for a minute, by the service's time and its own: nothing is lost or doubled, and that is said."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from house import Shelf, until
from made import numbered
from test_page_live import ROWS, assert_each_once
from visits import AWAY, as_phone_that_sleeps
from watched import PHONE

from motionsig.control import feed as feeds
from motionsig.events import Event

HOP_S = 0.16
ROWS_A_MINUTE = 375


class Told(Shelf):
    """It tells rows as fast as a test wants; now_s: the time by which they are kept."""

    now_s = 1000.0
    seq = 0

    def rows(self, count: int) -> None:
        """Tell so many rows, each HOP_S after the other."""
        for _ in range(count):
            self.feed.rows(7, self.seq, numbered(1, self.seq), {})
            self.seq += 1
            self.now_s += HOP_S

    def event(self) -> None:
        """Tell an event."""
        self.feed.event(Event("hall", 7, self.seq, "knock", bytes(8), "once", 0, 10**9, 0.9))


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    told = Told(tmp_path_factory.mktemp("told"))
    patched = pytest.MonkeyPatch()
    patched.setattr(feeds, "time", SimpleNamespace(monotonic=lambda: told.now_s))
    with told:
        yield told
    patched.undo()


@pytest.mark.parametrize(
    ("minutes", "said"), [(1, "The connection is back; nothing was lost."), (3, "The ribbon has a gap.")]
)
def test_a_phone_sleeps(visits, house, minutes, said):
    visits.expected = (*AWAY, "ERR_INTERNET_DISCONNECTED", "network error", "Failed to fetch")
    first = house.seq
    tab = visits.page(size=PHONE)
    tab.clock.install()
    tab.evaluate(ROWS)
    tab.evaluate(
        "import('/static/api.js').then((api) => { window.events = 0; api.listen('event', () => window.events++) })"
    )

    def told(count):
        until(lambda: tab.evaluate("window.rows.at(-1)?.[1]") == first + count - 1, f"row {count}")
        return tab.evaluate("window.rows")

    house.rows(10)
    told(10)
    with as_phone_that_sleeps(tab):
        # Its connection is lost, and the page ends, as nobody is there.
        house.stop_page(hold=True)
        until(lambda: not house.feed._viewers, "nobody watches")
        house.rows(100)
        house.event()
        house.rows(minutes * ROWS_A_MINUTE - 100)
        tab.clock.fast_forward(minutes * 60_000)
        house.let_page_start()
    rows = told(10 + minutes * ROWS_A_MINUTE)
    tab.locator("#banner", has_text=said).wait_for()
    if minutes == 1:
        assert_each_once(rows)
        assert tab.evaluate("window.events") == 1
        return
    # Two minutes are kept: what there is came once, and how many are missing is said.
    kept = [number for _, number in rows[10:]]
    assert kept == list(range(kept[0], house.seq))
    missed = kept[0] - first - 10
    assert 0 < missed < minutes * ROWS_A_MINUTE - 120 / HOP_S + 2
    assert f"{missed} signatures were not received" in tab.locator("#banner").text_content()
