"""The page of a store alone: it looks back, and says what it cannot do; and which events are of heads that are gone."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest
from hand import Motion, measured_of
from house import Shelf
from visits import go
from watched import PHONE
from week import STREAM_ID, fill_week

import motionsig
from motionsig.publishers.store import Store


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A day of a device, an event of a head that was removed since, and a head that was taught."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    patched = pytest.MonkeyPatch()
    patched.setenv("MOTIONSIG_HEADS", str(shelf.folder / "heads"))
    now_ns = time.time_ns()
    fill_week(shelf.store, now_ns, device="hall", days=1)
    with contextlib.closing(Store(shelf.store)) as store:
        end_ns = now_ns - 600 * 10**9
        wave = motionsig.Event("hall", STREAM_ID, 5, "wave", bytes(8), "once", end_ns - 10**9, end_ns, score=0.9)
        store.add_all([], [wave])
    times_ns = np.arange(800) * 10_000_000
    samples = measured_of([Motion("turn", 4.0, 1.0)])(np.arange(800), times_ns)
    shown = motionsig.extract(samples.astype(np.float32), rate_hz=100.0)
    motionsig.teach("turn", shown[2:4]).save()
    with shelf:
        yield shelf
    patched.undo()


def test_it_says_that_a_store_cannot_be_taught_and_what_can_be_done(visits):
    tab = visits.page("teach", size=PHONE)
    said = tab.locator("#view-teach .notice.trouble")
    said.get_by_text("This page only looks back").wait_for()
    assert "motionsig page --sensor auto" in said.text_content()
    assert tab.get_by_text("make a taught head better").is_visible()
    assert not tab.locator("#view-teach form").is_visible()
    assert not tab.locator("#teach-better").is_visible()
    # Nor is there a way from the heads to it.
    go(tab, "heads")
    card = tab.locator("#view-heads article[aria-label=turn]")
    card.get_by_role("button", name="Rename").wait_for()
    assert not card.get_by_role("link", name="Make it better").count()


def test_events_of_a_head_that_is_gone_say_so(visits, house):
    tab = visits.page("lookback")
    tab.goto(f"{house.origin}/#lookback?range=week")
    row = tab.locator("#view-lookback .events .row", has_text="wave")
    row.get_by_text("head removed or renamed").wait_for()
    row.click()
    chosen = tab.locator("#view-lookback .chosen")
    chosen.get_by_text("wave was removed or renamed").wait_for()
    assert "the head would not tell it now" not in chosen.text_content()
    # They are hidden as those of other heads are.
    chip = tab.locator("#view-lookback button.toggle", has_text="wave")
    chip.click()
    row.wait_for(state="detached")
    chip.click()
    row.wait_for()
    tab.goto(f"{house.origin}/#lookback?head=turn&range=week")
    tab.locator("#view-lookback .events .row", has_text="turn").first.wait_for()
    assert not row.count()
