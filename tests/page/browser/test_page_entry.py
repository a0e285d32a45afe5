"""Who gets into the page: by a code, once, for a while; and who does not, whatever another page in a browser tries."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time

import pytest
from visits import go
from watched import REBOUND

REFUSED = ("status of 401", "status of 403")


def asks_for_code(tab):
    tab.locator("#view-pair").wait_for()
    return tab.locator("#code").is_visible() and not tab.locator("#nav").is_visible()


def type_code(tab, code):
    tab.locator("#code").fill(code)
    tab.locator("#view-pair button[type=submit]").click()


def test_a_link_lets_one_browser_in_once(visits, house):
    visits.expected = REFUSED
    link = house.link
    tab = visits.stranger().new_page()
    tab.goto(link)
    tab.locator("#connection[data-state=open]").wait_for()
    assert "pair" not in tab.url
    (cookie,) = tab.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert tab.evaluate("document.cookie") == ""
    other = visits.stranger().new_page()
    other.goto(link)
    assert asks_for_code(other)
    assert "does not work" in other.locator("#code-error").text_content()
    assert not other.context.cookies()
    tab.reload()
    tab.locator("#connection[data-state=open]").wait_for()


def test_a_code_is_typed(visits, house):
    visits.expected = REFUSED
    tab = visits.stranger().new_page()
    tab.goto(house.origin + "/#live")
    assert asks_for_code(tab)
    type_code(tab, "AAAAAAAAAAAAAAAAAAAAAA")
    tab.get_by_text("This code does not work").wait_for()
    assert not tab.context.cookies()
    type_code(tab, house.code())
    tab.locator("#connection[data-state=open]").wait_for()
    assert not tab.locator("#view-pair").is_visible()


def test_a_code_expires(visits, house):
    visits.expected = REFUSED
    code = house.code()
    (file,) = (house.folder / "page-run").glob("code-*")
    assert 500 < int(file.read_text()) - time.clock_gettime(time.CLOCK_BOOTTIME) <= 600
    file.write_text(str(int(time.clock_gettime(time.CLOCK_BOOTTIME)) - 1))
    tab = visits.stranger().new_page()
    tab.goto(f"{house.origin}/#pair={code}")
    assert asks_for_code(tab)
    assert not tab.context.cookies()
    assert not list((house.folder / "page-run").glob("code-*"))


def test_a_stolen_cookie_is_worth_nothing_once_its_owner_has_ended_the_session(visits, house):
    visits.expected = REFUSED
    owner = visits.page("people")
    thief = visits.stranger()
    thief.add_cookies(owner.context.cookies())
    stolen = thief.new_page()
    stolen.goto(house.origin)
    stolen.locator("#connection[data-state=open]").wait_for()
    mine = owner.locator("#view-people li", has_text="this browser").get_by_role("button")
    mine.click()
    dialog = owner.locator("dialog")
    assert "needs a new code" in dialog.text_content()
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="detached")
    assert owner.locator("#view-people").is_visible()
    mine.click()
    dialog.get_by_role("button", name="Sign out").click()
    for tab in (owner, stolen):
        assert asks_for_code(tab)
    assert "This session has ended" in stolen.locator("#code-error").text_content()
    stolen.reload()
    assert asks_for_code(stolen)
    assert thief.request.get(f"{house.origin}/api/session").status == 401


def test_all_sessions_are_ended_from_one(visits):
    visits.expected = REFUSED
    others = [visits.page() for _ in range(2)]
    tab = visits.page("people")
    tab.get_by_role("button", name="End all sessions").click()
    tab.locator("dialog").get_by_role("button", name="End all sessions").click()
    for each in (tab, *others):
        assert asks_for_code(each)


ATTACK = """
async (target) => {
  const got = {};
  const body = (ask) => JSON.stringify({ask, name: "stolen", for: "examples", times: 3, better: false, request: "r1"});
  const attempt = async (name, act) => {
    try { got[name] = await act(); } catch (error) { got[name] = "refused"; }
  };
  await attempt("read", async () => (await fetch(target + "/api/session", {credentials: "include"})).text());
  await attempt("blind", async () =>
    (await fetch(target + "/api/session", {mode: "no-cors", credentials: "include"})).type);
  for (const type of ["text/plain", "application/json"]) {
    await attempt("post " + type, async () => (await fetch(target + "/api/ask",
      {method: "POST", mode: type == "text/plain" ? "no-cors" : "cors", credentials: "include",
       headers: {"Content-Type": type}, body: body("lesson.begin")})).text());
  }
  await attempt("image", () => new Promise((done) => {
    const image = new Image();
    image.onload = () => done("seen");
    image.onerror = () => done("refused");
    image.src = target + "/static/icon.svg";
  }));
  await attempt("script", () => new Promise((done) => {
    const script = document.createElement("script");
    script.onload = () => done("run");
    script.onerror = () => done("refused");
    script.src = target + "/static/texts.js";
    script.type = "module";
    document.body.append(script);
  }));
  await attempt("stream", () => new Promise((done) => {
    const stream = new EventSource(target + "/api/live", {withCredentials: true});
    stream.onopen = () => done("open");
    stream.onerror = () => { stream.close(); done("refused"); };
  }));
  await attempt("frame", () => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.onload = () => done("loaded");
    frame.src = target + "/";
    document.body.append(frame);
  }));
  await attempt("form", () => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.name = "sent";
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {method: "post", action: target + "/api/ask", target: "sent", enctype: "text/plain"});
    const field = document.createElement("input");
    field.name = body("lesson.begin").slice(0, -1) + ',"x":"';
    field.value = '"}';
    form.append(field);
    document.body.append(form);
    frame.onload = () => done("sent");
    form.submit();
  }));
  return got;
}
"""


@pytest.fixture
def foreign():
    """Another site on this machine: for cookies it is the same one as the page, as ports do not count there."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Prizes</title><body>")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_another_site_in_the_same_browser_reads_nothing_and_does_nothing(visits, house, foreign):
    # What it is refused stands in its console.
    visits.expected = ("",)
    tab = visits.page(also=(foreign, "chrome-error:"))
    evil = tab.context.new_page()
    evil.goto(foreign)
    answers = {}
    evil.on(
        "response", lambda answer: answers.setdefault(answer.url.removeprefix(house.origin), []).append(answer.status)
    )
    got = evil.evaluate(ATTACK, house.origin)
    evil.wait_for_timeout(200)
    assert got["read"] == got["image"] == got["script"] == got["stream"] == "refused", got
    assert got["post application/json"] == "refused" and got["post text/plain"] in ("", "refused"), got
    assert "csrf" not in str(got)
    # The frames show Chromium's own page in place of ours, whose text nobody but a person could read anyway.
    framed = [frame for frame in evil.frames[1:] if frame.url.startswith(house.origin)]
    assert not [frame for frame in framed if frame.locator("#nav").count()], framed
    assert not [status for url, all_ in answers.items() if url.startswith("/api") for status in all_ if status < 400], (
        answers
    )
    # With the cookie that it would have been taken with: the page itself still may, and no lesson is under way.
    go(tab, "teach")
    assert tab.locator("#teach-name").is_visible()


def test_a_rebound_name_gets_nothing(visits, house):
    # An origin that is not the loopback address has no use for one of the headers, and Chromium says so.
    visits.expected = ("status of 421", "Cross-Origin-Opener-Policy")
    origin = f"http://{REBOUND}:{house.port}"
    tab = visits.stranger(origin=origin).new_page()
    for path in ("/", "/static/app.js", "/api/session"):
        answer = tab.goto(origin + path)
        assert answer.status == 421
        assert re.fullmatch(r'\{"error":.*\}', answer.text())


def test_what_another_site_opens_is_the_page_and_no_more(visits, house, foreign):
    """A link may lead to the page from anywhere; with or without a cookie of SameSite=Strict it does nothing."""
    tab = visits.page(also=(foreign,))
    tab.goto(foreign)
    with contextlib.suppress(Exception):
        tab.evaluate("(to) => { location.href = to; }", f"{house.origin}/#teach?name=stolen")
    tab.locator("#view-teach").wait_for()
    assert tab.locator("#teach-name").is_visible()


def test_a_link_to_no_view_opens_live(visits, house):
    tab = visits.page()
    for name in ("toString", "constructor", "__proto__", "nowhere"):
        go(tab, "teach")
        tab.evaluate("(name) => { location.hash = name; }", name)
        tab.locator("#view-live").wait_for()
