"""The page in a process of its own, as its unit runs it; a browser's side of it; and a control socket for it."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from made import numbered

from motionsig.control.room import Control
from motionsig.page.people import write_code

JSON = "application/json"

# The page's process imports nothing of the tests: numpy has no place in it.
_CHILD = """
import json, sys
from pathlib import Path
from motionsig.page.guard import Limits
from motionsig.page.serving import Listener, open_listener, serve

folder, port, tls, limits, idle_s = json.loads(sys.argv[1])
listener = Listener(open_listener(port).socket, tls)
print(listener.socket.getsockname()[1], flush=True)
folder = Path(folder)
folders = {"control": folder / "control.sock", "codes": folder / "codes", "state": folder / "state"}
serve([listener], **folders, idle_s=idle_s, limits=Limits(**limits))
sys.exit("numpy was imported" if "numpy" in sys.modules else 0)
"""


class Service:
    """A control socket, of a real Control whose feed a test fills."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        """Begin anew, with an empty ring."""
        self.control = Control(loop=None, store=None, heads_folder=self.path.parent / "heads")
        self.resume()

    def resume(self) -> None:
        """Listen, with the ring that there was."""
        self.path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen(64)
        self.connections = set[socket.socket]()
        self.live = 0
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def close(self) -> None:
        """Go away, with all connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def rows(self, seq: int, count: int = 1, *, stream: int = 7) -> None:
        """Tell rows."""
        self.control.feed.rows(stream, seq, numbered(count, seq), {"knock": [0.5] * count})

    def event(self, seq: int, *, stream: int = 7) -> None:
        """Tell an event."""
        from motionsig.events import Event

        self.control.feed.event(Event("hall", stream, seq, "knock", bytes(8), "once", 0, 10**9, 0.9))

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                self.connections.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                asked = json.loads(line)
                if asked["ask"] == "live":
                    self.live += 1
                    try:
                        self._tell(connection, asked["after"])
                    finally:
                        self.live -= 1
                else:
                    connection.sendall(self.control.answer(line))
        self.connections.discard(connection)

    def _tell(self, connection: socket.socket, after: Any) -> None:
        with self.control.feed.viewer(after and (int(after[0]), after[1])) as viewer:
            while True:
                if lines := viewer.next(0.1):
                    connection.sendall(b"".join(lines))
                elif select.select([connection], [], [], 0)[0]:
                    return


@dataclass
class ServedPage:
    """A page's process, with its folders below `folder`."""

    folder: Path
    tls: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    idle_s: float | None = None
    port: int = 0

    def __enter__(self) -> ServedPage:
        self.codes.mkdir(exist_ok=True)
        words = json.dumps([str(self.folder), self.port, self.tls, self.limits, self.idle_s])
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line.strip():
            raise AssertionError(self.process.communicate()[1])
        self.port = int(line)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=20)
        # No input may bring more than this into the journal.
        assert (self.process.returncode, said) == (0, "")

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def codes(self) -> Path:
        return self.folder / "codes"

    def connect(self, timeout_s: float = 10) -> HTTPConnection:
        """Return a connection."""
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=context)
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def browser(self) -> Browser:
        """Return a browser that was let in."""
        browser = Browser(self)
        status, _ = browser.post("/api/pair", {"code": write_code(self.codes)})
        assert status == 200
        status, answer = browser.get("/api/session")
        assert status == 200
        browser.csrf = answer["csrf"]
        return browser


@dataclass
class Browser:
    """One browser with its cookie."""

    page: ServedPage
    cookie: str = ""
    csrf: str = ""

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        return self.send("GET", path, None, headers)

    def post(self, path: str, value: Any, **headers: str) -> tuple[int, Any]:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.send("POST", path, body, {"Content-Type": JSON, "X-Motionsig-CSRF": self.csrf, **headers})

    def ask(self, name: str, **parameters: Any) -> Any:
        status, answer = self.post("/api/ask", {"ask": name, **parameters})
        assert status == 200, answer
        return answer

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        connection = self.page.connect()
        with contextlib.closing(connection):
            response = self.open(connection, method, path, body, headers)
            content = response.read()
        self.response = response
        return response.status, json.loads(content) if response.headers["Content-Type"] == JSON else content

    def open(
        self, connection: HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> HTTPResponse:
        """Send a request; names of headers may have _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            named.setdefault("Cookie", self.cookie)
        named.setdefault("Host", f"127.0.0.1:{self.page.port}")
        connection.request(method, path, body, {name: value for name, value in named.items() if value})
        response = connection.getresponse()
        if cookie := response.headers["Set-Cookie"]:
            self.cookie = cookie.partition(";")[0]
        return response

    @contextlib.contextmanager
    def watch(self, after: str = "") -> Iterator[Iterator[tuple[str, str | None, Any]]]:
        """Open the live feed; the events come as name, id and value."""
        connection = self.page.connect()
        with contextlib.closing(connection):
            headers = {"Last-Event-ID": after} if after else {}
            response = self.open(connection, "GET", "/api/live", None, headers)
            assert response.status == 200, response.read()
            yield _events(response)


def _events(response: HTTPResponse) -> Iterator[tuple[str, str | None, Any]]:
    told: dict[str, str] = {}
    while line := response.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            told[name] = value
        else:
            if "event" in told:
                yield told["event"], told.get("id"), json.loads(told["data"])
            told = {}


def until(events: Iterator[tuple[str, str | None, Any]], *names: str) -> tuple[str, str | None, Any]:
    """Return the next event of one of these names."""
    return next(event for event in events if event[0] in names)
