"""Browsers that visit the page of a house, and what people do there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from house import House
from watched import LAPTOP, Browser, Seen

from motionsig.closing import Closing

VIEWS = ("live", "teach", "lookback", "heads", "people")
AWAY = (
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_EMPTY_RESPONSE",
    "status of 503",
    "ERR_CONNECTION_RESET",
)
"""What Chromium itself writes into the console while a server is away."""


class Visits(Closing):
    """expected: parts of errors that a test brings about."""

    def __init__(self, browser: Browser, house: House) -> None:
        self.expected: tuple[str, ...] = ()
        self.house = house
        self._browser = browser
        self._seen: list[Seen] = []
        self._open = contextlib.ExitStack()

    def stranger(self, *, origin: str | None = None, **more: Any) -> Any:
        """Return a context that was not let in; more: as `Browser.context` takes them."""
        context, seen = self._open.enter_context(self._browser.context(origin or self.house.origin, **more))
        self._seen.append(seen)
        return context

    def page(self, view: str = "live", *, size: tuple[int, int] = LAPTOP, scheme: str = "light", **more: Any) -> Any:
        """Return a tab of a browser of its own, which was let in by a link and shows a view."""
        tab = self.stranger(size=size, scheme=scheme, **more).new_page()
        tab.goto(self.house.link)
        tab.locator("#connection[data-state=open]").wait_for()
        go(tab, view)
        return tab

    def close(self) -> None:
        self._open.close()
        for seen in self._seen:
            seen.assert_well(*self.expected)


def go(tab: Any, view: str) -> None:
    """Choose a view as people do."""
    tab.locator(f"#tab-{view}").click()
    tab.locator(f"#view-{view}").wait_for()


@contextlib.contextmanager
def as_phone_that_sleeps(tab: Any) -> Iterator[None]:
    """Take the network from a tab and freeze its page, as a phone does whose screen is off."""
    session = tab.context.new_cdp_session(tab)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    tab.context.set_offline(True)
    yield
    tab.context.set_offline(False)
    session.send("Page.setWebLifecycleState", {"state": "active"})
    session.detach()


def number_in(text: str) -> float:
    """Return the first number of a text."""
    match = re.search(r"\d+(?:\.\d+)?", text)
    assert match, text
    return float(match[0])
