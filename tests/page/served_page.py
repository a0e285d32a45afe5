"""The page in a process of its own, as its unit runs it; a browser's side of it; and a control socket for it."""

from __future__ import annotations

import contextlib
import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from made import numbered

from motionsig.control.feed import Feed
from motionsig.control.room import Control
from motionsig.control.serving import Server
from motionsig.control.unix_sockets import listen_at
from motionsig.events import Event
from motionsig.page.people import write_code

JSON = "application/json"

# The page's process imports nothing of the tests: numpy has no place in it.
_CHILD = """
import json, sys
from pathlib import Path
from motionsig.page.guard import Limits
from motionsig.page.serving import Listener, open_listener, serve

folder, control, port, tls, limits, idle_s = json.loads(sys.argv[1])
listener = Listener(open_listener(port).socket, tls)
print(listener.socket.getsockname()[1], flush=True)
folder = Path(folder)
folders = {"control": Path(control), "codes": folder / "codes", "state": folder / "state"}
serve([listener], **folders, idle_s=idle_s, limits=Limits(**limits))
sys.exit("numpy was imported" if "numpy" in sys.modules else 0)
"""


class Service:
    """A real control socket, of a store alone; what it tells viewers is what a test says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open(Feed())

    def open(self, feed: Feed) -> None:
        """Listen; with another feed, as after a restart."""
        self.feed = feed
        self.control = Control(heads_folder=self.path.parent / "heads", feed=feed)
        self._server = Server(self.control, listen_at(self.path, mode=0o600))

    def close(self) -> None:
        """Go away, with all connections."""
        self._server.close()

    @property
    def live(self) -> int:
        """How many connections it tells of everything."""
        return self.feed._viewers

    def rows(self, seq: int, count: int = 1, *, stream: int = 7) -> None:
        """Tell rows."""
        self.feed.rows(stream, seq, numbered(count, seq), {"knock": [0.5] * count})

    def event(self, seq: int, *, stream: int = 7) -> None:
        """Tell an event."""
        self.feed.event(Event("hall", stream, seq, "knock", bytes(8), "once", 0, 10**9, 0.9))


@dataclass
class ServedPage:
    """A page's process, with its folders below `folder`. control: the service's socket; control.sock there for None."""

    folder: Path
    tls: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    idle_s: float | None = None
    port: int = 0
    control: Path | None = None

    def __enter__(self) -> ServedPage:
        self.codes.mkdir(exist_ok=True)
        control = str(self.control or self.folder / "control.sock")
        words = json.dumps([str(self.folder), control, self.port, self.tls, self.limits, self.idle_s])
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
        _, said = self.process.communicate(timeout=60)
        # No input may bring more than this into the journal.
        assert (self.process.returncode, said) == (0, ""), (self.process.returncode, said)

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def codes(self) -> Path:
        return self.folder / "codes"

    def connect(self, timeout_s: float = 60) -> HTTPConnection:
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
