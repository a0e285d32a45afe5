"""The page's process: sockets, TLS, limits of connections, its end, its memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_page import Browser, ServedPage, Service, until

from motionsig.errors import InputError
from motionsig.page.certificates import keep_certificate
from motionsig.page.people import write_code
from motionsig.page.serving import open_listener, passed_listeners


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "control.sock")
    yield service
    service.close()


def test_nothing_of_it_imports_numpy() -> None:
    code = """
import pkgutil, sys
import motionsig.page
for module in pkgutil.iter_modules(motionsig.page.__path__):
    __import__(f"motionsig.page.{module.name}")
print(sorted({"numpy", "cryptography", "segno", "motionsig.cli", "motionsig.encoders"} & sys.modules.keys()))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_ends_when_nobody_came(tmp_path: Path) -> None:
    with ServedPage(tmp_path, idle_s=0.5) as page:
        with contextlib.closing(page.connect()) as connection:
            connection.connect()
            time.sleep(1)
            assert page.process.poll() is None
        assert page.process.wait(60) == 0


def test_ends_at_once_when_told_so(tmp_path: Path, service: Service) -> None:
    with ServedPage(tmp_path) as page, page.browser().watch() as events:
        until(events, "service")
        with contextlib.closing(page.connect()) as idle:
            idle.connect()
            began = time.monotonic()
            page.process.send_signal(signal.SIGTERM)
            list(events)
            assert page.process.wait(60) == 0
            assert time.monotonic() - began < 5


def test_slow_request_is_cut_off(tmp_path: Path) -> None:
    with ServedPage(tmp_path, limits={"request_s": 0.5}) as page:
        for begin in (
            b"",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n",
            b"POST /api/pair HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
        ):
            with socket.create_connection(("127.0.0.1", page.port), timeout=60) as slow:
                slow.sendall(begin)
                with pytest.raises(OSError):
                    for _ in range(50):
                        time.sleep(0.1)
                        slow.sendall(b"a")
                        slow.setblocking(False)
                        with contextlib.suppress(BlockingIOError):
                            if not slow.recv(4096):
                                raise ConnectionResetError
                        slow.settimeout(5)
                    else:
                        pytest.fail("it waited for 5 s")
        assert Browser(page).get("/")[0] == 200


@pytest.mark.parametrize("limits", [{"connections_each": 8}, {"connections": 8}])
def test_connections_that_say_nothing_shut_nobody_out(tmp_path: Path, service: Service, limits: dict[str, int]) -> None:
    with ServedPage(tmp_path, limits=limits) as page, contextlib.ExitStack() as stack:
        watching = stack.enter_context(page.browser().watch())
        until(watching, "service")
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", page.port), timeout=60)) for _ in range(40)]
        for each in held[:33]:
            with contextlib.suppress(ConnectionResetError):
                assert each.recv(1) == b""
        newest = held[-1]
        newest.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in newest.recv(64)
        assert Browser(page).get("/")[0] == 200
        service.rows(0)
        until(watching, "signatures")


def test_connections_of_those_who_were_let_in_are_limited_too(tmp_path: Path, service: Service) -> None:
    with ServedPage(tmp_path, limits={"connections_each": 3}) as page, contextlib.ExitStack() as stack:
        browser = page.browser()
        for _ in range(3):
            until(stack.enter_context(browser.watch()), "service")
        with pytest.raises(OSError):
            browser.get("/")


_FROM_AFAR = """
import asyncio, socket
from motionsig.page.connections import Connections
from motionsig.page.guard import Limits
from motionsig.page.serving import Door, open_listener

async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})

async def ask(port, source):
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(source, port, local_addr=(source, 0))
        writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
        try:
            return (await reader.read(12)).decode()
        except ConnectionResetError:
            return ""

async def main():
    listening = open_listener(0, network=True).socket
    door = Door(Connections(answer, Limits()), Limits(), None, lambda: None)
    accepting = asyncio.ensure_future(door.accept(listening, None))
    print([await ask(listening.getsockname()[1], source) for source in ("8.8.8.8", "10.1.2.3", "2a00::1", "fd00::1")])

asyncio.run(main())
"""


def test_nobody_comes_in_from_the_internet() -> None:
    # A network of its own, in which this machine has addresses of the internet.
    network = ["unshare", "--map-root-user", "--net"]
    words = [*network, "ip", "link"]
    if not shutil.which("unshare") or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this system makes no network of its own")
    addresses = ("8.8.8.8/32", "10.1.2.3/32", "2a00::1/128", "fd00::1/128")
    made = ["ip link set lo up", *(f"ip address add {each} dev lo" for each in addresses)]
    words = [*network, "sh", "-ec", "; ".join([*made, 'exec "$0" -c "$1"']), sys.executable, _FROM_AFAR]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout == "['', 'HTTP/1.1 204', '', 'HTTP/1.1 204']\n", said.stderr


def test_tls_beside_plain(tmp_path: Path, service: Service) -> None:
    keep_certificate(tmp_path / "state")
    with ServedPage(tmp_path, tls=True) as page:
        browser = Browser(page)
        browser.post("/api/pair", {"code": write_code(page.codes)})
        cookie = browser.response.headers["Set-Cookie"]
        assert re.fullmatch(
            r"__Host-motionsig-\d+=[\w-]{43}; Path=/; Max-Age=\d+; HttpOnly; SameSite=Strict; Secure", cookie
        )
        assert browser.get("/api/session")[0] == 200
        with browser.watch() as events:
            assert until(events, "status")
        # Who speaks no TLS, or nothing, keeps nobody from coming in, and says nothing in the log.
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\0" * 10_000):
            with socket.create_connection(("127.0.0.1", page.port)) as other:
                other.sendall(junk)
                assert browser.get("/api/session")[0] == 200


def _passed(tmp_path: Path, names: list[str], environment: dict[str, str]) -> tuple[subprocess.Popen[str], list[int]]:
    """Start the unit's command with sockets as systemd passes them."""
    sockets = [open_listener(0).socket for _ in names]
    ports = [each.getsockname()[1] for each in sockets]
    code = f"""
import os, runpy, sys
for fd, passed in enumerate({[each.fileno() for each in sockets]}, 3):
    os.dup2(passed, fd + 100)
for fd in range({len(sockets)}):
    os.dup2(fd + 103, fd + 3)
os.environ["LISTEN_PID"] = str(os.getpid())
sys.argv = ["page", {str(tmp_path / "control.sock")!r}]
runpy.run_module("motionsig.page", run_name="__main__")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names), **environment},
        pass_fds=[each.fileno() for each in sockets],
        stderr=subprocess.PIPE,
        text=True,
    )
    for each in sockets:
        each.close()
    return process, ports


def test_sockets_that_systemd_passes(tmp_path: Path, service: Service) -> None:
    keep_certificate(tmp_path / "state")
    (tmp_path / "codes").mkdir()
    folders = {"STATE_DIRECTORY": str(tmp_path / "state"), "RUNTIME_DIRECTORY": str(tmp_path / "codes")}
    process, ports = _passed(tmp_path, ["page-tls", "page"], folders)
    try:
        for port, tls in zip(ports, (True, False), strict=True):
            page = ServedPage(tmp_path, tls=tls, port=port)
            assert page.browser().ask("hello")["ok"]["live"] is False
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (0, "")


def test_sockets_that_are_none_of_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passed_listeners() == []
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_FDNAMES", "control")
    with pytest.raises(InputError, match="expected 1 of page and page-tls, got 'control'"):
        passed_listeners()


def test_port_in_use() -> None:
    listener = open_listener(0)
    with listener.socket, pytest.raises(InputError, match="expected to listen there, got: Address already in use"):
        open_listener(listener.socket.getsockname()[1])


@pytest.mark.parametrize("tls", [False, True])
def test_memory_with_five_viewers(tmp_path: Path, service: Service, tls: bool) -> None:
    keep_certificate(tmp_path / "state")
    with ServedPage(tmp_path, tls=tls) as page, contextlib.ExitStack() as stack:
        viewers = [stack.enter_context(page.browser().watch()) for _ in range(5)]
        for viewer in viewers:
            until(viewer, "lesson")
        for seq in range(200):
            service.rows(seq)
        for viewer in viewers:
            while until(viewer, "signatures")[1] != "7:199":
                pass
        assert _resident_kib(page) <= 35 * 1024


def test_connections_that_were_reset_cost_no_memory(tmp_path: Path) -> None:
    with ServedPage(tmp_path) as page:
        known, body = 0, b"x" * 60_000
        head = b"POST /api/pair HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        for number in range(450):
            with socket.create_connection(("127.0.0.1", page.port), timeout=60) as connection:
                connection.sendall(head + body)
                assert b" 415 " in connection.recv(64)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if number == 50:
                known = _resident_kib(page)
        assert _resident_kib(page) - known < 800


def test_memory_of_connections_that_say_nothing(tmp_path: Path) -> None:
    keep_certificate(tmp_path / "state")
    with ServedPage(tmp_path, tls=True) as page, contextlib.ExitStack() as stack:
        assert Browser(page).get("/")[0] == 200
        known = _resident_kib(page)
        for _ in range(30):
            stack.enter_context(contextlib.closing(page.connect())).connect()
        assert _resident_kib(page) - known < 30 * 100


@pytest.mark.parametrize("item", [b"[],", b'"":1,'])
def test_long_body_of_many_values_costs_no_memory(tmp_path: Path, service: Service, item: bytes) -> None:
    with ServedPage(tmp_path) as page:
        browser = page.browser()
        begin, end = (b"[", b"0]") if item == b"[]," else (b"{", b'"":0}')
        body = b'{"ask":"import","request":"a","zip":' + begin + item * (4_000_000 // len(item)) + end + b"}"
        assert browser.post("/api/ask", body)[0] == 413
        assert _resident_kib(page, "VmHWM") < 60 * 1024


def test_one_import_at_a_time(tmp_path: Path, service: Service) -> None:
    with ServedPage(tmp_path) as page:
        browser = page.browser()
        with contextlib.closing(page.connect()) as connection:
            connection.putrequest("POST", "/api/ask")
            headers = {"Cookie": browser.cookie, "X-Motionsig-CSRF": browser.csrf, "Content-Type": "application/json"}
            for name, value in {**headers, "Content-Length": "3000000"}.items():
                connection.putheader(name, value)
            connection.endheaders(b"{")
            end = time.monotonic() + 60
            wanted = {"ask": "import", "zip": "A" * 100_000, "request": "a"}
            while browser.post("/api/ask", wanted)[0] != 429:
                assert time.monotonic() < end
            assert "ok" in browser.ask("hello")
        while browser.post("/api/ask", wanted)[0] == 429:
            assert time.monotonic() < end


def test_answer_that_nobody_reads_is_under_way(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, ServedPage(tmp_path, limits={"asks": 1, "reads_s": 2}) as page:
        listening.bind(str(tmp_path / "control.sock"))
        listening.listen(16)
        browser = page.browser()
        headers = {"Cookie": browser.cookie, "X-Motionsig-CSRF": browser.csrf, "Content-Type": "application/json"}
        with contextlib.closing(page.connect()) as connection:
            connection.connect()
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.request("POST", "/api/ask", json.dumps({"ask": "heads"}).encode(), headers)
            asked, _ = listening.accept()
            with asked:
                asked.sendall(b'{"ok":"' + b"x" * 7_000_000 + b'"}\n')
            assert browser.post("/api/ask", {"ask": "heads"})[0] == 429
            time.sleep(1)
            assert browser.post("/api/ask", {"ask": "heads"})[0] == 429
            # Then it is cut off.
            end = time.monotonic() + 60
            listening.close()
            while browser.post("/api/ask", {"ask": "heads"})[0] != 503:
                assert time.monotonic() < end
                time.sleep(0.1)


def _resident_kib(page: ServedPage, field: str = "VmRSS") -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{page.process.pid}/status").read_text())
    assert found
    return int(found[1])


def test_asks_at_once_are_limited(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, ServedPage(tmp_path, limits={"asks": 2}) as page:
        listening.bind(str(tmp_path / "control.sock"))
        listening.listen(16)  # it takes asks, and answers none
        browser, sent = page.browser(), []
        body = json.dumps({"ask": "heads"}).encode()
        for _ in range(2):
            connection = page.connect()
            headers = {"Cookie": browser.cookie, "X-Motionsig-CSRF": browser.csrf, "Content-Type": "application/json"}
            connection.request("POST", "/api/ask", body, headers)
            sent.append((connection, listening.accept()))
        assert browser.post("/api/ask", {"ask": "heads"})[0] == 429
        assert browser.get("/api/session")[0] == 200
        for connection, (asked, _) in sent:
            asked.sendall(b'{"ok":[]}\n')
            assert connection.getresponse().read() == b'{"ok":[]}\n'
            connection.close()
            asked.close()
