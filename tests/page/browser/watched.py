"""Debian's Chromium, watched: what it asks of anybody but the page's server is blocked and noted, as errors are."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PHONE, LAPTOP = (375, 800), (1280, 800)
SIZES = {"phone": PHONE, "laptop": LAPTOP}
REBOUND = "evil.test"
"""A name that this browser resolves to the loopback address, as a name that is rebound to the device would be."""


def chromium() -> str:
    """Return Chromium's program; skip the test where it is not installed, unless `scripts/test` has installed it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        assert "MOTIONSIG_TEST_BROWSER" not in os.environ, "expected chromium to be installed"
        pytest.skip("Chromium is not installed (apt-get install chromium fonts-dejavu-core)")
    return program


@dataclass
class Seen:
    """What a context did that a page must not do: each is one line."""

    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def assert_well(self, *expected: str) -> None:
        """Fail on a request to elsewhere, and on an error of the console that has none of the `expected` parts."""
        assert not self.elsewhere, self.elsewhere
        unexpected = [line for line in self.errors if not any(part in line for part in expected)]
        assert not unexpected, unexpected


_REPORT = """
addEventListener("securitypolicyviolation",
  (event) => console.error(`CSP: ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""


class Browser:
    """One Chromium for many contexts. `launched` gives it."""

    def __init__(self, chromium_: Any) -> None:
        self._chromium = chromium_

    @contextlib.contextmanager
    def context(
        self,
        origin: str,
        *,
        size: tuple[int, int] = LAPTOP,
        scheme: str = "light",
        also: tuple[str, ...] = (),
        **more: Any,
    ) -> Iterator[tuple[Any, Seen]]:
        """Give a context without any cookie, and what it was seen to do; origin, also: whom its pages may ask.

        more: further options of playwright's new_context.
        """
        width, height = size
        context = self._chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
        context.set_default_timeout(90_000)
        context.add_init_script(_REPORT)
        seen = Seen()

        def asked(request: Any) -> None:
            if not request.url.startswith((origin + "/", "data:", "blob:", *(f"{it}/" for it in also))):
                seen.elsewhere.append(f"{request.method} {request.url}")

        def said(message: Any) -> None:
            if message.type == "error":
                seen.errors.append(f"{message.text} ({message.location.get('url', '')})")

        context.on("request", asked)
        context.on("console", said)
        context.on("weberror", lambda error: seen.errors.append(f"not caught: {error.error}"))
        try:
            yield context, seen
        finally:
            context.close()


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Give a Chromium that reaches nothing but this machine's loopback address."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    program = chromium()
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            # As root Chromium has no sandbox, and /dev/shm is small in containers. Names lead nowhere, and a proxy that
            # is not there takes what has an address.
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            ],
            proxy={"server": "http://127.0.0.1:9", "bypass": f"127.0.0.1,localhost,{REBOUND}"},
        )
        try:
            yield Browser(browser)
        finally:
            browser.close()


def axe_source() -> str:
    """Return axe-core's script; skip the test where it is not installed."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text("utf-8")
