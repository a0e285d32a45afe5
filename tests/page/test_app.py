"""Who is let in, and what each request gets: the real server, on real sockets."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_page import Browser, ServedPage, Service, until

from motionsig.page.app import ASKS, ROUTES, STATIC
from motionsig.page.people import write_code

FREE = {"pairing_each": [1000, 1000], "pairing": [1000, 1000], "requests": [1000, 1000]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("page")
    service = Service(folder / "control.sock")
    yield service
    service.close()


@pytest.fixture(scope="module")
def page(service: Service) -> Iterator[ServedPage]:
    with ServedPage(service.path.parent, limits=FREE) as page:
        yield page


@pytest.fixture(scope="module")
def browser(page: ServedPage) -> Browser:
    return page.browser()


def _pairs(page: ServedPage, code: object) -> int:
    return Browser(page).post("/api/pair", {"code": code})[0]


def test_code_lets_one_browser_in_once(page: ServedPage) -> None:
    code = write_code(page.codes)
    assert re.fullmatch("[A-Za-z0-9_-]{22}", code)
    assert not any(code in path.name or code in path.read_text() for path in page.codes.iterdir())
    assert [_pairs(page, code), _pairs(page, code)] == [200, 403]


def test_of_two_at_the_same_time_one_gets_in(page: ServedPage) -> None:
    code = write_code(page.codes)
    barrier, got = threading.Barrier(8), []

    def pair() -> None:
        barrier.wait()
        got.append(_pairs(page, code))

    threads = [threading.Thread(target=pair) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [200, *[403] * 7]


@pytest.mark.parametrize("code", ["", "A" * 22, "../sessions", "\ud800", None, 7, ["a"], "x" * 60_000])
def test_wrong_code(page: ServedPage, code: object) -> None:
    write_code(page.codes)
    assert _pairs(page, code) == 403


def test_cookie_and_what_is_kept(page: ServedPage) -> None:
    browser = Browser(page)
    browser.post("/api/pair", {"code": write_code(page.codes)})
    cookie = browser.response.headers["Set-Cookie"]
    token = re.fullmatch(r"motionsig-\d+=([A-Za-z0-9_-]{43}); Path=/; Max-Age=\d+; HttpOnly; SameSite=Strict", cookie)
    assert token
    kept = page.folder / "state" / "sessions.json"
    assert token[1] not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_stolen_cookie_ends_with_its_session(page: ServedPage) -> None:
    mine, other = page.browser(), page.browser()
    stolen = Browser(page, mine.cookie, mine.csrf)
    assert stolen.get("/api/session")[0] == 200
    [named] = [each for each in mine.get("/api/session")[1]["sessions"] if each["mine"]]
    assert named.keys() == {"id", "began", "seen", "browser", "mine"}
    assert abs(named["began"] / 1000 - time.time()) < 60
    assert other.post("/api/session/end", {"id": named["id"]}) == (200, {"ok": 1})
    assert stolen.get("/api/session")[0] == mine.get("/api/session")[0] == 401
    assert stolen.post("/api/ask", {"ask": "status"})[0] == 401
    assert stolen.get("/api/live")[0] == 401
    assert other.get("/api/session")[0] == 200


def test_end_of_a_session_ends_what_it_watches(page: ServedPage, service: Service) -> None:
    mine, other = page.browser(), page.browser()
    service.feed.put("status", 1)
    with mine.watch() as events, other.watch() as others:
        assert until(events, "status") == until(others, "status")
        [id_] = [each["id"] for each in mine.get("/api/session")[1]["sessions"] if each["mine"]]
        other.post("/api/session/end", {"id": id_})
        assert list(events) == []
        service.feed.put("status", 2)
        assert until(others, "status")[2] == 2


def test_cookie_of_another_port(page: ServedPage) -> None:
    mine, other = page.browser(), page.browser()
    name, _, token = mine.cookie.partition("=")
    assert mine.get("/api/session", Cookie=f"{name}=evil; {mine.cookie}; {name}=")[0] == 200
    assert mine.get("/api/session", Cookie=f"{mine.cookie}; {other.cookie}")[0] == 401
    # Of two pages at one machine, each has a cookie of its own.
    assert mine.get("/api/session", Cookie=f"motionsig-1={token}; {mine.cookie}")[0] == 200
    assert mine.get("/api/session", Cookie=f"motionsig-1={token}")[0] == 401


def test_without_a_session(page: ServedPage) -> None:
    nobody = Browser(page)
    for method, path in ROUTES:
        if path.startswith("/api") and path != "/api/pair":
            assert nobody.send(method, path, b"{}", {})[0] == 401
    assert nobody.get("/api/session", Cookie=f"motionsig-{page.port}=x; motionsig-{page.port}=y")[0] == 401
    assert nobody.get("/")[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "", "a b"]
)
def test_foreign_host(browser: Browser, host: str) -> None:
    for path in ("/", "/api/session", "/nowhere"):
        assert browser.get(path, Host=host or " ")[0] in (421, 400)


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1", "127.0.0.1", "[::1]:9"])
def test_own_host(browser: Browser, host: str) -> None:
    assert browser.get("/", Host=host)[0] == 200


def test_foreign_origin(page: ServedPage, browser: Browser) -> None:
    own = f"http://127.0.0.1:{page.port}"
    assert browser.get("/api/session", Origin=own)[0] == 200
    for origin in ("null", "http://evil.example", own.replace("http:", "https:"), "http://127.0.0.1:1", own + "/"):
        for method, path in ROUTES:
            if method == "POST":
                assert browser.post(path, {}, Origin=origin)[0] == 403
            else:
                assert browser.get(path, Origin=origin)[0] == 403


def test_foreign_fetch(browser: Browser) -> None:
    for site, status in {"same-origin": 200, "none": 200, "same-site": 403, "cross-site": 403}.items():
        assert browser.get("/api/session", Sec_Fetch_Site=site)[0] == status
        assert browser.get("/", Sec_Fetch_Site=site)[0] == status
    # A link may lead to the page from anywhere, and to nothing else.
    navigated = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert browser.get("/", **navigated)[0] == 200
    assert browser.get("/api/session", **navigated)[0] == 403


def test_change_needs_what_only_the_page_knows(page: ServedPage, browser: Browser) -> None:
    for csrf in ("", "0" * 64, page.browser().csrf, "é"):
        assert browser.post("/api/ask", {"ask": "heads"}, X_Motionsig_CSRF=csrf)[0] == 403
        assert browser.post("/api/session/end", {"id": "all"}, X_Motionsig_CSRF=csrf)[0] == 403
    for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert browser.post("/api/ask", {"ask": "heads"}, Content_Type=kind)[0] == 415
        assert Browser(page).post("/api/pair", {"code": ""}, Content_Type=kind)[0] == 415
    assert browser.get("/api/session")[0] == 200


def test_ask_is_passed_on_as_it_is(browser: Browser, service: Service) -> None:
    assert browser.ask("lookback", since_ms=0, until_ms="x", heads=None)["error"]["kind"] == "request"
    assert json.loads(
        service.control.answer(b'{"ask":"pause","head":"../x","paused":true,"request":"a"}')
    ) == browser.ask("pause", head="../x", paused=True, request="a")


@pytest.mark.parametrize(
    "value",
    [
        {"ask": "live", "after": None},
        {"ask": "reboot"},
        {"ask": ["heads"]},
        {"ask": "heads", "more": 1},
        {"ask": "pause", "head": {"a": 1}, "paused": True, "request": "a"},
        {"ask": "lookback", "since_ms": 1, "until_ms": 2, "heads": [["a"]]},
        {},
        [],
        b"",
        b"{",
        b"\xff",
        b'{"ask":"lookback","since_ms":NaN}',
        b'{"ask":"lookback","since_ms":' + b"9" * 5000 + b"}",
        b"[" * 60_000,
        b'{"ask":' * 9_000,
    ],
)
def test_ask_that_is_none(browser: Browser, value: object) -> None:
    status, answer = browser.post("/api/ask", value)
    assert (status, answer["error"]["kind"]) == (400, "page")


def test_body_is_bounded(page: ServedPage, browser: Browser) -> None:
    assert browser.post("/api/session/end", {"id": "x" * 70_000})[0] == 413
    assert browser.post("/api/ask", {"ask": "pause", "head": "x" * 70_000})[0] == 413
    assert browser.ask("import", zip="x" * 3_000_000, request="a")["error"]["kind"]
    assert browser.post("/api/ask", {"ask": "import", "zip": "x" * 5_000_000, "request": "a"})[0] == 413
    with contextlib.suppress(ConnectionResetError):  # what it sent and nobody read resets the connection
        assert browser.get("/", X_Long="x" * 200_000)[0] == 400
    with contextlib.closing(page.connect()) as connection:
        connection.putrequest("POST", "/api/pair")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for _ in range(20):
            connection.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        connection.send(b"0\r\n\r\n")
        assert connection.getresponse().status == 413


def test_every_answer_says_what_a_browser_may_do(page: ServedPage, browser: Browser) -> None:
    browser.csrf = browser.get("/api/session")[1]["csrf"]
    for path in ("/", "/static/api.js", "/api/session", "/nowhere"):
        browser.get(path)
        headers = browser.response.headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == ("no-store" if path in ("/api/session", "/nowhere") else "no-cache")
        assert headers["Server"] is None


def test_files_are_those_of_the_list(browser: Browser) -> None:
    folder = Path(__file__).resolve().parents[2] / "motionsig" / "page" / "static"
    assert {path.name for path in folder.iterdir()} == {"index.html", *STATIC}
    for name, kind in STATIC.items():
        status, content = browser.get(f"/static/{name}")
        assert (status, content) == (200, (folder / name).read_bytes())
        assert browser.response.headers["Content-Type"] == kind
        tag = browser.response.headers["ETag"]
        assert browser.get(f"/static/{name}", If_None_Match=tag) == (304, b"")


# Each is no path of the list, though it may look like one.
OTHER_PATHS = """
    /static/ /static/../app.py /static/..%2fapp.py /static/%2e%2e/app.py //static/api.js /static/api.js/ /api/ /api/ask/
    /static/api.js%00 /index.html http://127.0.0.1/ * /%ff /\\
"""


@pytest.mark.parametrize("path", OTHER_PATHS.split())
def test_other_paths(browser: Browser, path: str) -> None:
    assert browser.get(path)[0] == 404
    assert browser.send("DELETE", "/api/session", None, {})[0] == 404


def test_all_asks_of_the_service_are_known(service: Service) -> None:
    from motionsig.control.table import ASKS as THEIRS

    assert {name: {*ask.parameters, *(["request"] if ask.changes else [])} for name, ask in THEIRS.items()} == ASKS


def test_attempts_are_limited(tmp_path: Path) -> None:
    with ServedPage(tmp_path) as page:
        codes = [_pairs(page, "x") for _ in range(12)]
        assert codes == [403] * 10 + [429] * 2


def test_requests_of_a_session_are_limited(tmp_path: Path) -> None:
    with ServedPage(tmp_path, limits={"requests": [0.001, 5]}) as page:
        browser, other = page.browser(), page.browser()
        assert [browser.get("/api/session")[0] for _ in range(6)] == [200] * 4 + [429] * 2
        assert other.get("/api/session")[0] == 200


def test_service_that_does_not_answer(tmp_path: Path) -> None:
    with ServedPage(tmp_path) as page:
        status, answer = page.browser().post("/api/ask", {"ask": "heads"})
        assert (status, answer["error"]["kind"]) == (503, "page")


def test_sessions_hold_over_a_restart(tmp_path: Path) -> None:
    with ServedPage(tmp_path) as page:
        browser = page.browser()
    with page:
        assert browser.get("/api/session")[0] == 200
        assert Browser(page, f"motionsig-{page.port}=" + "x" * 43).get("/api/session")[0] == 401


@pytest.mark.parametrize(
    "junk",
    [
        b"\0" * 100,
        b"\xff" * 20_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_junk(page: ServedPage, browser: Browser, junk: bytes) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as connection:
        connection.sendall(junk)
        connection.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while part := connection.recv(65536):
                got += part
        except ConnectionResetError:
            pass
    assert b" 500 " not in got
    assert browser.get("/api/session")[0] == 200
