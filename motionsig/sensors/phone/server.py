"""The server that a phone talks to: HTTPS on a port of its own, in a thread of this process, until it is closed.

It serves one page and takes motion from one phone, and nothing else. What a phone sends becomes numbers, or a refusal
in fixed words: it is no path, no command, and is written to no log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionsig.errors import MissingExtraError, SensorError
from motionsig.hints import install_hint
from motionsig.page.certificates import own_addresses, own_names, server_context
from motionsig.sensors.phone.batches import MOST_BYTES, SECRET, RefusedError, parse_batch, parse_begin
from motionsig.sensors.phone.inbox import Inbox

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PORT = 8767
"""Asked for first: a browser remembers for which port it was told to trust a certificate."""
_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/phone.js": ("phone.js", "text/javascript"),
    "/texts.js": ("texts.js", "text/javascript"),
}
"""All that is served."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "accelerometer=(self), gyroscope=(self), screen-wake-lock=(self), camera=(), microphone=(), "
    "geolocation=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PHONE = "x-motionsig-phone"
_MOST_BEGINS, _MOST_BATCHES, _WITHIN_S = 20, 300, 10.0
"""Requests within so many seconds: of whoever wants to come in, and of the owner, who sends ten a second at most."""
_CONNECTIONS = 32
_START_S, _STOP_S = 10.0, 3.0


class PhoneServer:
    """Listens from the start until `close`. port: where. folder: of the certificate."""

    def __init__(self, inbox: Inbox, folder: Path, *, port: int | None = None) -> None:
        """Raise MissingExtraError without starlette and uvicorn, SensorError where no port can be had.

        port: the one to take; by default PORT, or any that is free where that is taken.
        """
        try:
            import uvicorn

            app = _app(inbox, self._is_own)
        except ImportError as error:
            # Both, in one line: the second hint only names its library.
            raise MissingExtraError(
                f"a phone as a sensor needs starlette and uvicorn: {install_hint('starlette')} uvicorn"
            ) from error
        context = server_context(folder)
        self._socket = _listen(port)
        self.port = int(self._socket.getsockname()[1])
        self._hosts = {*own_names(), "127.0.0.1", "[::1]"}
        self._hosts |= {f"[{each}]" if each.version == 6 else str(each) for each in own_addresses()}
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=15,
        )
        # Its warnings name what was sent, and nobody here could act on them.
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        config.load()
        config.ssl = context
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="phone", daemon=True)
        self._thread.start()
        deadline_s = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline_s:
                self.close()
                raise SensorError(f"phone: expected to listen on port {self.port}, got no server")
            time.sleep(0.01)

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _is_own(self, host: str) -> bool:
        """Tell whether a Host header names this machine: another name that leads here is a page's trick."""
        name, _, port = host.lower().rpartition(":")
        return name in self._hosts and port == str(self.port)

    def close(self) -> None:
        """Stop listening and drop all connections; again is harmless."""
        self._server.should_exit = True
        # Connections that are open would keep it for as long as their phones like.
        self._server.force_exit = True
        self._thread.join(_STOP_S)
        self._socket.close()


def _listen(port: int | None) -> socket.socket:
    """Return a socket that listens on all addresses."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    for candidate in (PORT, 0) if port is None else (port,):
        try:
            return socket.create_server(("", candidate), family=family, dualstack_ipv6=family == socket.AF_INET6)
        except OSError as error:
            failed = error
    raise SensorError(f"phone: expected a port to listen on, got: {failed.strerror}")


class _Rate:
    """So many calls within a time are let through."""

    def __init__(self, most: int) -> None:
        self._times: deque[float] = deque(maxlen=most)

    def allows(self) -> bool:
        now_s, times = time.monotonic(), self._times
        if len(times) == times.maxlen and now_s - times[0] < _WITHIN_S:
            return False
        times.append(now_s)
        return True


def _app(inbox: Inbox, is_own: Callable[[str], bool]) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    contents = {path: ((_STATIC / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
    begins, batches = _Rate(_MOST_BEGINS), _Rate(_MOST_BATCHES)

    def answer(status: int, said: dict[str, object]) -> Response:
        return Response(json.dumps(said), status, _HEADERS, "application/json")

    def refuse(status: int, why: str) -> Response:
        return answer(status, {"error": why})

    async def body(request: Request) -> bytes | None:
        """Return what was sent; None where it is too much, read no further than that."""
        parts, size = list[bytes](), 0
        async for part in request.stream():
            size += len(part)
            if size > MOST_BYTES:
                return None
            parts.append(part)
        return b"".join(parts)

    def guarded(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            host = request.headers.get("host", "")
            if not is_own(host):
                return refuse(421, "host")
            if request.method == "POST":
                if request.headers.get("origin", "").lower() != f"https://{host.lower()}":
                    return refuse(403, "origin")
                if request.headers.get("content-type") != "application/json":
                    return refuse(415, "type")
            return await handle(request)

        return checked

    async def file(request: Request) -> Response:
        content, kind = contents[request.url.path]
        return Response(content, 200, _HEADERS, kind)

    async def begin(request: Request) -> Response:
        if not begins.allows():
            return refuse(429, "rate")
        sent = await body(request)
        if sent is None:
            return refuse(413, "size")
        try:
            said = inbox.begin(parse_begin(sent), time.monotonic_ns())
        except RefusedError as error:
            return refuse(400, str(error))
        return refuse(403, "token") if said is None else answer(200, said)

    async def motion(request: Request) -> Response:
        phone = request.headers.get(_PHONE, "")
        if not (SECRET.fullmatch(phone) and inbox.knows(phone)):
            return refuse(403, "phone")
        # Whoever is not the owner does not use up the owner's rate.
        if not batches.allows():
            return refuse(429, "rate")
        # Before the body comes: what takes long on the way would make the phone's clock seem late.
        came_ns = time.monotonic_ns()
        sent = await body(request)
        if sent is None:
            return refuse(413, "size")
        try:
            return answer(200, inbox.take(parse_batch(sent), came_ns))
        except RefusedError as error:
            inbox.discards += 1
            return refuse(400, str(error))

    routes = [
        *(Route(path, guarded(file), methods=["GET"]) for path in _FILES),
        Route("/begin", guarded(begin), methods=["POST"]),
        Route("/motion", guarded(motion), methods=["POST"]),
    ]
    return Starlette(routes=routes)
