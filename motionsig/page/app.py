"""The page's requests: who may make each, and what answers it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from motionsig.page.exchange import (
    Answer,
    Headers,
    Receive,
    Refused,
    Request,
    Scope,
    Send,
    json_answer,
    raw_answer,
    refusal,
    send_answer,
)
from motionsig.page.guard import Limits, Rate, check_csrf, check_json, check_origin
from motionsig.page.people import LONGEST_S, Session, Sessions, browser_name, csrf_of, take_code
from motionsig.page.upstream import Feed, Viewer, ask, read_place

STATIC: Mapping[str, str] = {
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(
        [
            "api.js",
            "app.js",
            "dom.js",
            "heads.js",
            "improve.js",
            "live.js",
            "lookback.js",
            "marks.js",
            "people.js",
            "ribbon.js",
            "spans.js",
            "teach.js",
            "texts.js",
        ],
        "text/javascript; charset=utf-8",
    ),
}
"""All files that are served below /static, each with its type."""

# Which asks of the control socket a browser may make, each with the keys that it may have.
ASKS: Mapping[str, frozenset[str]] = {
    name: frozenset(keys.split())
    for name, keys in {
        "hello": "",
        "status": "",
        "heads": "",
        "pause": "head paused request",
        "rename": "head name request",
        "remove": "head request",
        "export": "head",
        "import": "zip request",
        "lesson.begin": "name for times better request",
        "lesson.keep": "number request",
        "lesson.drop": "number request",
        "lesson.end": "save request",
        "lookback": "since_ms until_ms heads",
        "alike": "from_ms to_ms since_ms until_ms most",
        "not_this": "head from_ms to_ms request",
        "this_too": "head from_ms to_ms request",
    }.items()
}

_MOST_BYTES, _MOST_IMPORT_BYTES = 64 << 10, 4 << 20
_HEARTBEAT_S = 15.0
_FILES = Path(__file__).parent / "static"


@dataclass
class Page:
    """The application that a server calls for each request.

    control: the service's socket. codes: the folder where codes that let in are left. sessions: who was let in.
    """

    control: Path
    codes: Path
    sessions: Sessions
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Begin with nobody who watches, and all rates full."""
        self.feed = Feed(self.control, self.limits.viewers)
        self._pairing, self._pairing_each = Rate(self.limits.pairing), Rate(self.limits.pairing_each)
        self._requests = Rate(self.limits.requests)
        self._asks, self._importing = 0, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except Refused as refused:
            answer = refusal(refused)
        try:
            await send_answer(answer, send)
        finally:
            answer.over()

    async def _answer(self, request: Request) -> Answer:
        route = ROUTES.get((request.method, request.path))
        check_origin(request, whole_page=request.path == "/")
        if self._known(request) is not None:
            request.let_in()
        if route is None:
            raise Refused(404, "expected an address of the page")
        return await route(self, request)

    def asking(self, request: Request) -> tuple[Session, str]:
        """Return the session of a request, and its token. Raises Refused where there is none, or it asks too often."""
        known = self._known(request)
        if known is None:
            raise Refused(401, "expected a browser that was let in; see `motionsig page`")
        if not self._requests.passes(known[0].digest):
            raise Refused(429, "expected fewer requests")
        return known

    def _known(self, request: Request) -> tuple[Session, str] | None:
        """Return the session of a request, and its token; None where there is none, or where there are two."""
        tokens = request.cookies(_cookie_name(request))
        known = [(session, token) for token in tokens if (session := self.sessions.find(token))]
        return known[0] if len(known) == 1 else None

    async def pair(self, request: Request) -> Answer:
        """Let a browser in that has a code."""
        check_json(request)
        if not (self._pairing_each.passes(request.client) and self._pairing.passes()):
            raise Refused(429, "expected fewer attempts; wait a minute")
        code = _json_object(await request.body(_MOST_BYTES)).get("code")
        if not isinstance(code, str) or not take_code(self.codes, code):
            raise Refused(403, "expected a code that is not older than 10 minutes and was not used yet")
        token = self.sessions.begin(browser_name(request.header("user-agent") or ""))
        request.let_in()
        return json_answer({"ok": True}, _set_cookie(request, token))

    async def session(self, request: Request) -> Answer:
        """Tell a browser its session, and the others."""
        mine, token = self.asking(request)
        sessions = [
            {
                "id": each.id,
                "began": each.began * 1000,
                "seen": each.seen * 1000,
                "browser": each.browser,
                "mine": each.digest == mine.digest,
            }
            for each in self.sessions.all()
        ]
        return json_answer({"csrf": csrf_of(token), "sessions": sessions})

    async def end_session(self, request: Request) -> Answer:
        """End one session, or all; what they watch ends at once."""
        self._check_change(request)
        name = _json_object(await request.body(_MOST_BYTES)).get("id")
        if not isinstance(name, str):
            raise Refused(400, "id: expected a session's id, or all")
        ended = self.sessions.end(name)
        self.feed.end(self.sessions.holds)
        return json_answer({"ok": len(ended)})

    async def live(self, request: Request) -> Answer:
        """Tell a browser what happens, from where it was."""
        session, _ = self.asking(request)
        name, _, value = request.query.decode("latin-1").partition("=")
        text = request.header("last-event-id") or (value.replace("%3A", ":") if name == "after" else "")
        viewer = self.feed.join(session.digest, read_place(text) if text else None)
        return Answer(200, _STREAM, parts=self._parts(request, viewer))

    async def _parts(self, request: Request, viewer: Viewer) -> AsyncGenerator[bytes, None]:
        gone = asyncio.ensure_future(request.gone())
        gone.add_done_callback(lambda _: viewer.end())
        try:
            yield b"retry: 1000\n\n"
            while (text := await viewer.take(_HEARTBEAT_S)) is not None:
                if not self.sessions.see(viewer.session):
                    return
                yield text or b": \n\n"
        finally:
            gone.cancel()
            self.feed.leave(viewer)

    async def ask(self, request: Request) -> Answer:
        """Pass an ask on to the service, and its answer back."""
        self._check_change(request)
        if request.length() <= _MOST_BYTES:
            return await self._pass_on(await request.body(_MOST_BYTES))
        # One at a time, so that memory has a bound.
        if self._importing:
            raise Refused(429, "expected one import at a time")
        self._importing = True
        try:
            body = await request.body(_MOST_IMPORT_BYTES)
            # Many small values take many times their size as objects; an import is one object of a few texts.
            if b"[" in body or body.count(b"{") > 1 or body.count(b",") > 4:
                raise Refused(413, f"expected at most {_MOST_BYTES:,} bytes, but for an import")
            return await self._pass_on(body)
        finally:
            self._importing = False

    async def _pass_on(self, body: bytes) -> Answer:
        asked = _json_object(body)
        name = asked.get("ask")
        keys = ASKS.get(name) if isinstance(name, str) else None
        if keys is None:
            raise Refused(400, "ask: expected one of the page's asks")
        if not asked.keys() - {"ask"} <= keys:
            raise Refused(400, "expected the parameters of this ask alone")
        if not all(_is_plain(value) for value in asked.values()):
            raise Refused(400, "expected texts, numbers, true, false, null or lists of texts")
        line = json.dumps(asked, separators=(",", ":")).encode() + b"\n"
        if name != "import" and len(line) > _MOST_BYTES:
            raise Refused(413, f"expected at most {_MOST_BYTES:,} bytes")
        if self._asks >= self.limits.asks:
            raise Refused(429, "expected fewer asks at once")
        self._asks += 1
        try:
            answer = raw_answer(await ask(self.control, line))
        except BaseException:
            self._asks -= 1
            raise
        # An answer that nobody reads is under way, too.
        return replace(answer, over=self._is_over)

    def _is_over(self) -> None:
        self._asks -= 1

    def _check_change(self, request: Request) -> None:
        """Raise Refused for a POST that this page's own script did not send."""
        _, token = self.asking(request)
        check_csrf(request, token)
        check_json(request)


_STREAM: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
)


def _cookie_name(request: Request) -> str:
    # A browser sends a cookie to each port of a host: two pages at one machine would put each other's browsers out.
    port = re.search(":([0-9]+)$", request.header("host") or "")
    name = f"motionsig-{port[1]}" if port else "motionsig"
    # A browser takes a cookie of this prefix only over TLS, from this very host, and for all of its paths.
    return f"__Host-{name}" if request.tls else name


def _set_cookie(request: Request, token: str) -> tuple[bytes, bytes]:
    safe = "; Secure" if request.tls else ""
    cookie = f"{_cookie_name(request)}={token}; Path=/; Max-Age={LONGEST_S}; HttpOnly; SameSite=Strict{safe}"
    return b"set-cookie", cookie.encode()


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "expected a JSON object") from error
    if not isinstance(value, dict):
        raise Refused(400, "expected a JSON object")
    return value


def _no_number(text: str) -> None:
    raise ValueError("expected a number")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float)) or _is_texts(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


@cache
def _file(name: str) -> tuple[bytes, bytes, bytes]:
    """Return a file, the same packed by gzip, and its ETag; FileNotFoundError is no request's doing."""
    content = (_FILES / name).read_bytes()
    return content, gzip.compress(content, mtime=0), b'"' + hashlib.sha256(content).hexdigest()[:24].encode() + b'"'


def _static(name: str, kind: str) -> Callable[[Page, Request], Awaitable[Answer]]:
    async def answer(page: Page, request: Request) -> Answer:
        content, packed, tag = _file(name)
        headers: Headers = (
            (b"content-type", kind.encode()),
            (b"etag", tag),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept-encoding"),
        )
        if request.header("if-none-match") == tag.decode():
            return Answer(304, headers)
        if "gzip" in (request.header("accept-encoding") or ""):
            return Answer(200, (*headers, (b"content-encoding", b"gzip")), packed)
        return Answer(200, headers, content)

    return answer


ROUTES: Mapping[tuple[str, str], Callable[[Page, Request], Awaitable[Answer]]] = {
    ("GET", "/"): _static("index.html", "text/html; charset=utf-8"),
    **{("GET", f"/static/{name}"): _static(name, kind) for name, kind in STATIC.items()},
    ("POST", "/api/pair"): Page.pair,
    ("GET", "/api/session"): Page.session,
    ("POST", "/api/session/end"): Page.end_session,
    ("GET", "/api/live"): Page.live,
    ("POST", "/api/ask"): Page.ask,
}
"""All that is answered: method and path. A file is one of a fixed list: nothing that a browser sends becomes a path."""
