"""Requests that are damaged or made with bad intent, one for each number; and how the page has to take each."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import socket
import time
from dataclasses import dataclass, replace
from typing import Any

import h11
from served_page import Browser, ServedPage

from motionsig.page.app import ASKS, ROUTES

_LONG_S, _LOOK_S = 0.1, 1.5
"""What no answer may take, and one for which another process of the service looks into the store."""

_LOOKING = (b"lookback", b"alike", b"not_this", b"this_too")

_TRIES = 12
_PATIENCE_S = 60.0

# What stands where a text or a number should.
_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        3,
        1.5,
        1e308,
        -(1 << 63),
        1 << 64,
        10**30,
        "",
        "a",
        "knock",
        "0",
        "../../etc/passwd",
    ),
    *(
        "\0",
        "\n",
        "\r\nX: y",
        "\ud800",
        "é",
        "a" * 64,
        "a" * 65,
        "A" * 5000,
        "{}",
        "<script>",
        "';--",
        "%s%n",
        "$(reboot)",
    ),
    *(
        [],
        [""],
        ["a"] * 100,
        ["a", None],
        [[]],
        {},
        {"a": 1},
        {"ask": "live"},
        [1, 2],
        1_700_000_000_000,
        1_700_000_100_000,
    ),
)
_HOSTS = ("localhost", "127.0.0.1:8765", "[::1]", "evil.example", "", "127.0.0.1@evil.example", "a" * 3000, "\x00", "*")
_SITES = ("http://evil.example", "null", "http://localhost", "", "file://", "http://127.0.0.1:1")
_PATHS = (
    "/",
    "/api/",
    "/static/",
    "/static/../app.py",
    "/api/ask?ask=heads",
    "//",
    "/%00",
    "*",
    "http://x/",
    "/" + "a" * 5000,
)
_METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X" * 500)
_HEADERS = (
    *("Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 5", "Transfer-Encoding: chunked"),
    *(
        "Transfer-Encoding: gzip",
        "Connection: close",
        "Connection: upgrade\r\nUpgrade: websocket",
        "Expect: 100-continue",
    ),
    *("Content-Encoding: gzip", "Range: bytes=0-0", "If-None-Match: *", "Cookie: a=b; motionsig=", "Cookie: =;;=\xff"),
    *(
        "Host: localhost",
        "X: " + "y" * 20_000,
        "Last-Event-ID: 1:2:3:4",
        "Last-Event-ID: x",
        ": x",
        " folded",
        "Sec-Fetch-Site: x",
    ),
)


@dataclass
class _Draft:
    """A request before it is bytes."""

    method: str
    path: str
    headers: list[str]
    body: bytes


@dataclass(frozen=True)
class Damaged:
    """One request. pieces: what is sent, part by part."""

    kind: str
    pieces: list[bytes]

    @property
    def long_s(self) -> float:
        """What its answer may not take."""
        content = b"".join(self.pieces)
        return _LOOK_S if any(name in content for name in _LOOKING) else _LONG_S

    @property
    def is_whole(self) -> bool:
        """Whether it is all that a server needs for an answer, or already more than it can take."""
        reader = h11.Connection(h11.SERVER)
        try:
            reader.receive_data(b"".join(self.pieces))
            while (event := reader.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.EndOfMessage):
                    return True
        except h11.RemoteProtocolError:
            return True
        return event is h11.PAUSED


def damaged(number: int, browser: Browser) -> Damaged:
    """Return the request of a number, from a browser that was let in."""
    made = random.Random(number)
    kind, damage = made.choice(_DAMAGES)
    draft = _valid(made, browser)
    content = damage(made, draft)
    return Damaged(kind, _split(made, _bytes(draft) if content is None else content))


def _valid(made: random.Random, browser: Browser) -> _Draft:
    method, path = made.choice([*ROUTES, *[("POST", "/api/ask")] * len(ROUTES)])
    headers = [
        f"Host: {made.choice(('localhost', '127.0.0.1', '[::1]'))}:{browser.page.port}",
        f"Cookie: {browser.cookie}",
        "User-Agent: Mozilla/5.0 (X11; Linux) Firefox/127.0",
    ]
    body = b""
    if method == "POST":
        headers += [f"X-Motionsig-CSRF: {browser.csrf}", "Content-Type: application/json"]
        body = json.dumps(_value(made, path)).encode()
    return _Draft(method, path, headers, body)


def _value(made: random.Random, path: str) -> dict[str, Any]:
    if path == "/api/pair":
        return {"code": made.choice(_VALUES)}
    if path == "/api/session/end":
        return {"id": made.choice(_VALUES)}
    name = made.choice(list(ASKS))
    return {"ask": name, **{key: _likely(made, key) for key in sorted(ASKS[name])}}


def _likely(made: random.Random, key: str) -> Any:
    likely: dict[str, Any] = {
        "request": made.randbytes(8).hex(),
        "paused": made.random() < 0.5,
        "save": False,
        "better": False,
        "times": 3,
        "number": 1,
        "most": 5,
        "for": made.choice(("examples", "counter")),
        "heads": None,
        "zip": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==",
        "name": made.choice(("knock", "nod")),
        "head": made.choice(("knock", "nod", "walking", "resting")),
    }
    return likely.get(key, made.choice((1_700_000_000_000, 1_700_000_060_000)))


def _bytes(draft: _Draft) -> bytes:
    length = [f"Content-Length: {len(draft.body)}"] if draft.body else []
    lines = [f"{draft.method} {draft.path} HTTP/1.1", *draft.headers, *length, "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + draft.body


def _split(made: random.Random, content: bytes) -> list[bytes]:
    cuts = sorted(made.randrange(len(content) + 1) for _ in range(made.choice((0, 0, 1, 5))))
    ends = [0, *cuts, len(content)]
    return [content[a:b] for a, b in itertools.pairwise(ends) if b > a]


def _with_values(made: random.Random, draft: _Draft) -> None:
    if draft.body:
        value = json.loads(draft.body)
        for _ in range(made.choice((1, 1, 3))):
            value[made.choice([*value, "more"])] = made.choice(_VALUES)
        if made.random() < 0.1:
            value.pop(made.choice(list(value)))
        draft.body = json.dumps(value).encode()
    else:
        draft.path += made.choice(("?after=1:2", "?after=", "?after=%00", "?after=1:2:3", "?x", "?after=9:9&after=1:1"))


def _with_changed_json(made: random.Random, draft: _Draft) -> None:
    body = bytearray(draft.body or b"{}")
    for _ in range(made.choice((1, 2, 8))):
        at = made.randrange(len(body))
        new = made.choice(
            (b"", b'"', b"{", b"[", b"}", b"\\", b"\0", b"\xff", b"1e999", b"NaN", b"\\ud800", b",", b"[" * 999)
        )
        body[at : at + made.randrange(3)] = new
        body = body or bytearray(b"0")
    draft.method, draft.body = "POST", bytes(body)


def _with_headers(made: random.Random, draft: _Draft) -> None:
    for _ in range(made.choice((1, 2))):
        draft.headers.insert(made.randrange(len(draft.headers) + 1), made.choice(_HEADERS))
    if made.random() < 0.3:
        draft.headers.pop(made.randrange(len(draft.headers)))


def _of_another_site(made: random.Random, draft: _Draft) -> None:
    change = made.choice(
        (f"Host: {made.choice(_HOSTS)}", f"Origin: {made.choice(_SITES)}", "Sec-Fetch-Site: cross-site")
    )
    draft.headers = [each for each in draft.headers if each.partition(":")[0] != change.partition(":")[0]] + [change]


def _of_nobody(made: random.Random, draft: _Draft) -> None:
    token = made.choice(("", "x", made.randbytes(32).hex(), "a" * 5000, '"', "\xff\x00"))
    draft.headers = [
        each.partition("=")[0] + f"={token}" if each.startswith("Cookie") else each for each in draft.headers
    ]


def _to_elsewhere(made: random.Random, draft: _Draft) -> None:
    draft.method = made.choice((draft.method, *_METHODS))
    draft.path = made.choice((draft.path + "/", *_PATHS, "/" + made.randbytes(6).decode("latin-1")))


def _large(made: random.Random, draft: _Draft) -> None:
    draft.method, draft.path = "POST", made.choice(("/api/ask", "/api/pair", "/api/session/end"))
    size = made.choice((60_000, 70_000, 300_000))
    draft.body = made.choice((b'{"ask":"import","request":"a","zip":"%s"}' % (b"A" * size), b"[" * size, b" " * size))


def _changed(made: random.Random, draft: _Draft) -> bytes:
    content = bytearray(_bytes(draft))
    for _ in range(made.choice((1, 3, 20))):
        at = made.randrange(len(content))
        content[at : at + made.choice((0, 1, 1, 9))] = made.choice((b"", made.randbytes(1), b"\r\n", b"\0", b" ", b":"))
        content = content or bytearray(b"\n")
    return bytes(content)


def _cut(made: random.Random, draft: _Draft) -> bytes:
    content = _bytes(draft)
    return content[: made.randrange(1, len(content))]


def _noise(made: random.Random, draft: _Draft) -> bytes:
    return made.randbytes(made.choice((1, 20, 500, 40_000)))


def _several(made: random.Random, draft: _Draft) -> bytes:
    return _bytes(draft) * made.choice((2, 3, 20))


_DAMAGES = (
    ("values", _with_values),
    ("values", _with_values),
    ("json", _with_changed_json),
    ("headers", _with_headers),
    ("site", _of_another_site),
    ("nobody", _of_nobody),
    ("elsewhere", _to_elsewhere),
    ("large", _large),
    ("changed", _changed),
    ("cut", _cut),
    ("noise", _noise),
    ("several", _several),
    ("none", lambda made, draft: None),
)


@dataclass(frozen=True)
class Outcome:
    """What became of a request. status: 0 without an answer. seconds: to the answer's first byte, or to the end.

    late_s: the same of the first time that it was sent, where that was slow; else 0.
    """

    kind: str
    status: int
    seconds: float
    is_slow: bool
    late_s: float


def outcome(number: int, browser: Browser) -> Outcome:
    """Send the request of a number. One that took long is sent again: it is slow if it is slow each time.

    Raises AssertionError where the page does not take it as it has to.
    """
    request, tried = damaged(number, browser), []
    for _ in range(_TRIES):
        tried.append(_sent(request, browser.page))
        if not tried[-1].is_slow:
            break
    return replace(min(tried, key=lambda each: each.seconds), late_s=tried[0].late_s)


def _sent(request: Damaged, page: ServedPage) -> Outcome:
    whole, got = request.is_whole, b""
    with socket.create_connection(("127.0.0.1", page.port), timeout=_PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Who refuses early may have closed it by then; what it said is still there, or lost with the reset.
        with contextlib.suppress(OSError):
            for piece in request.pieces:
                connection.sendall(piece)
            if not whole:
                connection.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            got = connection.recv(64)
        seconds = time.monotonic() - began
    status = int(got[9:12]) if got.startswith(b"HTTP/1.1 ") else 0
    # The service takes one import at a time, and does not read what it refuses: of two in a row the second may get 503.
    assert status < 500 or (status == 503 and request.kind == "large"), f"{request.kind}: {status}"
    assert not got or status, f"{request.kind}: {got!r}"
    is_slow = seconds >= request.long_s
    return Outcome(request.kind, status, seconds, is_slow, seconds if is_slow else 0.0)
