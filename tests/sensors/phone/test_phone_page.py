"""The phone's page in real Chromium: what its sensors give comes out of the source, sample by sample."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from real_time import undisturbed

from motionsig.sensors import open_sensor
from motionsig.sensors.phone import Invitation, PhoneSource

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")

# What the browser does with its sensors, 60 times a second: motion that can be told apart at every sample. The page is
# given events as a browser gives them; what was given is kept.
SENSORS = """
window.given = [];
window.feel = (sign, rest = 2) => {
  let at = 0;
  const timer = setInterval(() => {
    const t = at / 60, turn = 0.8 * Math.max(0, t - rest);
    const acc = [0.01 * Math.sin(7 * t), 9.80665 * Math.sin(turn), 9.80665 * Math.cos(turn)].map((each) => sign * each);
    const rate = [t > rest ? 0.8 * 180 / Math.PI : 0.01 * at, 0.5 * Math.cos(3 * t), -0.25 * Math.sin(2 * t)];
    const event = new DeviceMotionEvent("devicemotion", {
      accelerationIncludingGravity: { x: acc[0], y: acc[1], z: acc[2] },
      rotationRate: { alpha: rate[0], beta: rate[1], gamma: rate[2] }, interval: 16 });
    window.given.push([event.timeStamp, ...acc, ...rate]);
    window.dispatchEvent(event);
    at += 1;
  }, 1000 / 60);
  return timer;
};
"""
APPLE = "Object.defineProperty(Navigator.prototype, 'vendor', { get: () => 'Apple Computer, Inc.' });"


class Browser:
    """Chromium in a thread of its own, which is what its driver wants; `do` runs a function of the page there."""

    def __init__(self, *scripts: str) -> None:
        self._asked = Queue[tuple[Callable[[Any], Any], Future[Any]] | None]()
        self._scripts = scripts
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def do(self, what: Callable[[Any], Any]) -> Any:
        return self.ask(what).result(60)

    def ask(self, what: Callable[[Any], Any]) -> Future[Any]:
        done = Future[Any]()
        self._asked.put((what, done))
        return done

    def close(self) -> None:
        self._asked.put(None)
        self._thread.join(60)

    def _run(self) -> None:
        with sync_api.sync_playwright() as play:
            browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            context = browser.new_context(ignore_https_errors=True, viewport={"width": 375, "height": 667})
            for script in self._scripts:
                context.add_init_script(script)
            page = context.new_page()
            page.errors = []
            page.on("console", lambda said: page.errors.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: page.errors.append(str(error)))
            while asked := self._asked.get():
                what, done = asked
                try:
                    done.set_result(what(page))
                except BaseException as error:
                    done.set_exception(error)
            browser.close()


@pytest.mark.parametrize("apple", [False, True])
@undisturbed
def test_what_the_sensors_give_comes_out_of_the_source_to_the_sample(apple: bool) -> None:
    browser = Browser(SENSORS, *([APPLE] if apple else []))
    links: list[str] = []

    def invite(invitation: Invitation) -> None:
        port_and_token = invitation.link.rpartition(":")[2]
        links.append(f"https://localhost:{port_and_token}")

        def visit(page: Any) -> None:
            page.goto(links[0])
            assert "#" not in page.url  # the token is not left where people photograph it
            page.get_by_role("button", name="Start").click()
            page.evaluate(f"window.timer = feel({-1 if apple else 1})")

        browser.do(visit)

    try:
        with open_sensor("phone", invite=invite) as sensor:
            assert isinstance(sensor, PhoneSource)
            got, times, deadline = [], [], time.monotonic() + 60
            stopped = False
            for block in sensor:
                got += block.data.tolist()
                times += block.time_ns.tolist()
                if len(got) >= 240 and not stopped:
                    stopped = True
                    browser.do(lambda page: page.evaluate("clearInterval(window.timer)"))
                if stopped and not len(block):
                    break
                assert time.monotonic() < deadline, sensor.trouble
            given = np.array(browser.do(lambda page: page.evaluate("window.given")), np.float64)
            sign = -1 if apple else 1
            wanted = np.hstack([sign * given[:, 1:4], given[:, 4:] * (np.pi / 180)]).astype(np.float32)
            # What is judged as a whole (a quarter of a second at most) is not given out before the next comes.
            assert len(given) - 16 <= len(got) <= len(given)
            assert np.array_equal(np.array(got, np.float32), wanted[: len(got)])
            steps = np.diff(times) / 1e6 - np.diff(given[: len(got), 0])
            assert np.abs(steps[60:]).max() < 2.0
            assert np.array(got)[150:200, 3].mean() > 0.7 and np.array(got)[150:200, 1].max() > 1
            assert sensor.counts.discards == 0
            assert browser.do(lambda page: page.errors) == []
            assert "Motion is sent" in browser.do(lambda page: page.inner_text("#said"))
        browser.do(lambda page: page.evaluate("window.timer = feel(1)"))
        browser.do(lambda page: page.get_by_text("The device does not answer").wait_for())
    finally:
        browser.close()


def test_the_page_asks_for_a_pose_where_the_browser_s_kind_contradicts_it_and_goes_on_after_a_reload() -> None:
    browser = Browser(SENSORS, APPLE)

    def begin(page: Any) -> None:
        page.get_by_role("button", name="Start").click()
        page.evaluate("feel(1, 1e9)")  # as W3C says, although it says that it is Apple's

    def invite(invitation: Invitation) -> None:
        def visit(page: Any) -> None:
            page.goto(f"https://localhost:{invitation.link.rpartition(':')[2]}")
            begin(page)

        browser.do(visit)
        # It is asked for once this returns.
        browser.ask(lambda page: page.get_by_role("button", name="It lies with its screen up").click())

    def again(page: Any) -> None:
        page.reload()
        begin(page)

    try:
        with open_sensor("phone", invite=invite) as sensor:
            count, gaps, reloaded, deadline = 0, 0, False, time.monotonic() + 60
            for block in sensor:
                count, gaps = count + len(block), gaps + (reloaded and block.gap)
                if count > 60 and not reloaded:
                    assert block.data[:, 2].mean() > 9
                    browser.do(again)
                    reloaded, count = True, 0
                if count > 120 and gaps:
                    break
                assert time.monotonic() < deadline, sensor.trouble
            assert browser.do(lambda page: page.errors) == []
            assert sensor.counts.discards == 0
    finally:
        browser.close()


def test_a_second_browser_is_told_that_it_is_not_the_one(state: Path) -> None:
    from motionsig.sensors.phone.batches import Begin
    from motionsig.sensors.phone.inbox import Inbox
    from motionsig.sensors.phone.server import PhoneServer

    inbox, browser = Inbox(), Browser()
    server = PhoneServer(inbox, state / "page", port=0)
    try:
        assert inbox.begin(Begin(inbox.token, "A" * 22, False), 1) is not None

        def visit(page: Any) -> str:
            page.goto(f"https://localhost:{server.port}/#{inbox.token}")
            page.get_by_role("button", name="Start").click()
            page.get_by_text("not that phone").wait_for()
            return str(page.inner_text("#said"))

        assert browser.do(visit).startswith("The device lets one phone in")
    finally:
        browser.close()
        server.close()
