"""One request and its answer, on the bare interface between a Python web server and an application (ASGI).

A framework would bring half a dozen megabytes for what these few lines do.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

LET_IN = "motionsig.let_in"
"""In a request's scope: it came from somebody who was let in."""

_JSON: Headers = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))

# What a browser may load here: nothing that does not come from here. No other site may show it.
_SAFE: Headers = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


class Refused(Exception):
    """A request that gets no answer but this: a status of HTTP, and words for people."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True)
class Answer:
    """What a request gets. parts: in place of `body`, an answer that goes on as long as there are parts.

    over: called when it was sent, or the browser has gone.
    """

    status: int
    headers: Headers
    body: bytes = b""
    parts: AsyncGenerator[bytes, None] | None = None
    over: Callable[[], None] = lambda: None


def json_answer(value: Any, *headers: tuple[bytes, bytes], status: int = 200) -> Answer:
    """Return a value as JSON, which no cache may keep."""
    return Answer(status, (*_JSON, *headers), json.dumps(value, separators=(",", ":")).encode())


def raw_answer(line: bytes) -> Answer:
    """Return a line of JSON as it came."""
    return Answer(200, _JSON, line)


def refusal(refused: Refused) -> Answer:
    """Return the answer that says why there is no other."""
    return json_answer({"error": {"kind": "page", "text": refused.text}}, status=refused.status)


class Request:
    """What a browser sent."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.tls: bool = scope["scheme"] == "https"
        # Of a socket that is no network's, there are none.
        self.server: str = (scope.get("server") or ("", 0))[0]
        self.client: str = (scope.get("client") or ("", 0))[0]
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._scope, self._receive = scope, receive

    def let_in(self) -> None:
        """Note that it came from somebody who was let in: its connection makes no room for those of strangers."""
        self._scope[LET_IN] = True

    def header(self, name: str) -> str | None:
        """Return a header's value; None where there is none. Raises Refused where there are several."""
        wanted = name.encode()
        found = [value for key, value in self._headers if key == wanted]
        if len(found) > 1:
            raise Refused(400, f"expected one header {name}, got {len(found)}")
        return found[0].decode("latin-1") if found else None

    def cookies(self, name: str) -> set[str]:
        """Return the values of all cookies of a name: another port of this host may have set one, too."""
        pairs = b"; ".join(value for key, value in self._headers if key == b"cookie").decode("latin-1").split(";")
        return {value for key, _, value in (pair.strip().partition("=") for pair in pairs) if key == name}

    def length(self) -> int:
        """Return how many bytes the body has by its header; 0 where that does not say. Raises Refused."""
        size = self.header("content-length") or "0"
        if not size.isdecimal() or len(size) > 12:
            raise Refused(413, "expected fewer bytes")
        return int(size)

    async def body(self, most_bytes: int) -> bytes:
        """Return the body. Raises Refused for one that is larger."""
        if self.length() > most_bytes:
            raise Refused(413, f"expected at most {most_bytes:,} bytes")
        content = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "expected the rest of the body")
            content += message.get("body", b"")
            if len(content) > most_bytes:
                raise Refused(413, f"expected at most {most_bytes:,} bytes")
            if not message.get("more_body", False):
                return bytes(content)

    async def gone(self) -> None:
        """Return when the browser has gone; what it still sends is dropped."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def send_answer(answer: Answer, send: Send) -> None:
    """Send an answer with what every answer says, unless it says that itself."""
    length: Headers = () if answer.parts or answer.status == 304 else ((b"content-length", b"%d" % len(answer.body)),)
    date = (b"date", formatdate(usegmt=True).encode())
    own = {name for name, _ in answer.headers}
    headers = [date, *(each for each in _SAFE if each[0] not in own), *answer.headers, *length]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.parts:
        async with contextlib.aclosing(answer.parts) as parts:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    # It waits for a browser that does not read.
    await send({"type": "http.response.body", "body": b""})
