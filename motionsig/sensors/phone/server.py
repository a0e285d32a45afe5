"""The server that a phone talks to: HTTPS on a port of its own, in a thread of this process, until it is closed.

It serves one page and takes motion from one phone, and nothing else. What a phone sends becomes numbers, or a refusal
in fixed words: it is no path, no command, and is written to no log. Connections, their limits and what is asked of a
request are those of `motionsig.page`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

from motionsig.errors import InputError, MissingExtraError, SensorError
from motionsig.hints import install_hint
from motionsig.page.certificates import server_context
from motionsig.page.exchange import Answer, Receive, Refused, Request, Scope, Send, json_answer, refusal, send_answer
from motionsig.page.guard import Limits, Rate, check_json, check_origin
from motionsig.page.serving import Door, open_listener
from motionsig.sensors.phone.batches import MOST_BYTES, SECRET, RefusedError, parse_batch, parse_begin
from motionsig.sensors.phone.inbox import Inbox

PORT = 8767
"""Tried first: a browser remembers for which port it was told to trust a certificate."""
_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/": ("index.html", b"text/html; charset=utf-8"),
    "/icon.svg": ("icon.svg", b"image/svg+xml"),
    "/style.css": ("style.css", b"text/css; charset=utf-8"),
    "/phone.js": ("phone.js", b"text/javascript; charset=utf-8"),
    "/texts.js": ("texts.js", b"text/javascript; charset=utf-8"),
}
"""All that is served."""
_FILE = (
    (b"cache-control", b"no-store"),
    (
        b"permissions-policy",
        b"accelerometer=(self), gyroscope=(self), screen-wake-lock=(self), camera=(), microphone=()",
    ),
)
_PHONE = "x-motionsig-phone"
_LIMITS = Limits(connections=32, connections_each=16)
_BEGINS, _BATCHES = (1.0, 20), (30.0, 120)
"""Requests a second, and at once: of each address that wants to come in; of the owner, who sends eight a second."""
_START_S, _STOP_S, _END_S = 10.0, 5.0, 0.2


class PhoneServer:
    """Listens from the start until `close`. port: where. folder: of the certificate."""

    def __init__(self, inbox: Inbox, folder: Path, *, port: int | None = None) -> None:
        """Raise MissingExtraError without uvicorn, InputError where no port can be had.

        port: the one to take; by default PORT, or any that is free where that is taken.
        """
        try:
            import uvicorn  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(f"a phone as a sensor needs uvicorn: {install_hint('uvicorn')}") from error
        self._app, self._context = _PhoneApp(inbox), server_context(folder)
        self._socket = _listen(port)
        self.port = int(self._socket.getsockname()[1])
        self._started, self._loop = threading.Event(), asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="phone", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_S):
            self.close()
            raise SensorError(f"phone: expected to listen on port {self.port}, got no answer of its thread")

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        from motionsig.page.connections import Connections

        # What fails outside of a request is TLS of somebody who went away or does not trust the certificate.
        self._loop.set_exception_handler(lambda loop, context: None)
        connections = Connections(self._app, _LIMITS)
        door = Door(connections, _LIMITS, None, lambda: None)
        accepting = asyncio.ensure_future(door.accept(self._socket, self._context))
        self._started.set()
        await self._ended.wait()
        accepting.cancel()
        self._socket.close()
        await connections.end(_END_S)

    def close(self) -> None:
        """Stop listening and drop all connections; again is harmless."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(_STOP_S)
        self._socket.close()


def _listen(port: int | None) -> socket.socket:
    """Return a socket that listens on all addresses."""
    if port is None:
        try:
            return open_listener(PORT, network=True).socket
        except InputError:
            port = 0  # another command lets a phone in, too
    return open_listener(port, network=True).socket


class _PhoneApp:
    """What is answered to whom (ASGI)."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._files = {path: ((_STATIC / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
        self._begins, self._batches = Rate(_BEGINS), Rate(_BATCHES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # Before its body comes: what takes long on the way would make the phone's clock seem late.
        came_ns = time.monotonic_ns()
        try:
            answer = await self._answer(Request(scope, receive), came_ns)
        except Refused as refused:
            answer = refusal(refused)
        except RefusedError as error:
            self._inbox.discards += 1
            answer = refusal(Refused(400, f"expected a message of the phone's page, got another one: {error}"))
        await send_answer(answer, send)

    async def _answer(self, request: Request, came_ns: int) -> Answer:
        check_origin(request, whole_page=request.path == "/")
        if request.method == "GET" and request.path in self._files:
            content, kind = self._files[request.path]
            return Answer(200, ((b"content-type", kind), *_FILE), content)
        if request.method != "POST" or request.path not in ("/begin", "/motion"):
            raise Refused(404, "expected a part of the phone's page")
        check_json(request)
        if request.header("origin") is None:
            raise Refused(403, "expected a request of this page")
        if request.path == "/begin":
            # Of each address, so that nobody keeps the phone out.
            if not self._begins.passes(request.client):
                raise Refused(429, "expected fewer requests")
            said = self._inbox.begin(parse_begin(await request.body(MOST_BYTES)), came_ns)
            if said is None:
                raise Refused(403, "expected the phone that was let in")
            request.let_in()
            return json_answer(said)
        phone = request.header(_PHONE) or ""
        if not (SECRET.fullmatch(phone) and self._inbox.knows(phone)):
            raise Refused(403, "expected the phone that was let in")
        request.let_in()
        # Whoever is not the owner does not use up the owner's rate.
        if not self._batches.passes():
            raise Refused(429, "expected fewer requests")
        return json_answer(self._inbox.take(parse_batch(await request.body(MOST_BYTES)), came_ns))
