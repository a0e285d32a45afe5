"""The service as the page sees it: short connections for asks, and as a rule one live connection for all who watch.

Each viewer gets every row and event once, from where it was. A viewer that comes with a place of its own gets a
connection of its own from there; when two connections have got to the same place, one of them ends and the other serves
the viewers of both. So nothing has to be kept here: what is missing is in the service's ring. When the service goes
away, its viewers hear so, and each connection goes on from its place when the service is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from motionsig.page.exchange import Refused

_CONNECT_S, _ANSWER_S = 2.0, 60.0
_SILENT_S, _ALIVE_S = 10.0, 5.0
"""After so long without a line the service is asked whether it lives, and has so long to say so."""
_AGAIN_S = (0.2, 0.5, 1.0, 2.0)
_MOST_ANSWER_BYTES = 8 << 20
_MOST_LINE_BYTES = 1 << 20
_MOST_WAITING_BYTES = 256 << 10
"""What may wait for one viewer: about a minute."""

_NEWEST = ("service", "status", "heads", "lesson")
"""What who comes later is told at once."""

_NOT_THERE = "the service does not answer"


class Place(NamedTuple):
    """Up to where a viewer has everything: a row, and so many events after it."""

    stream: str
    seq: int
    events: int = 0

    def __str__(self) -> str:
        return f"{self.stream}:{self.seq}" + (f":{self.events}" if self.events else "")


_PLACE = re.compile("([0-9]{1,19}):([0-9]{1,15})(?::([0-9]{1,4}))?")


def read_place(text: str) -> Place:
    """Return the place that an id names. Raises Refused."""
    match = _PLACE.fullmatch(text)
    if not match:
        raise Refused(400, "after: expected STREAM:SEQ")
    return Place(match[1], int(match[2]), int(match[3] or 0))


async def ask(path: Path, line: bytes, *, within_s: float = _ANSWER_S) -> bytes:
    """Return the line that the service answers one with. Raises Refused where it does not."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=_MOST_ANSWER_BYTES)
    except (OSError, TimeoutError) as error:
        raise Refused(503, _NOT_THERE) from error
    try:
        async with asyncio.timeout(within_s):
            writer.write(line)
            await writer.drain()
            answer = await reader.readline()
    except (OSError, TimeoutError, ValueError) as error:
        raise Refused(503, _NOT_THERE) from error
    finally:
        writer.transport.abort()
    if not answer.endswith(b"\n"):
        raise Refused(503, _NOT_THERE)
    return answer


class Viewer:
    """What waits to be written to one browser. One that does not read is cut off, and may come back with its place."""

    def __init__(self, session: str) -> None:
        self.session = session
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._ended = False
        self._wake = asyncio.Event()

    def put(self, text: bytes) -> None:
        """Add a message."""
        self._waiting.append(text)
        self._bytes += len(text)
        if self._bytes > _MOST_WAITING_BYTES:
            self._waiting.clear()
            self._ended = True
        self._wake.set()

    def end(self) -> None:
        """Let the answer end after what waits."""
        self._ended = True
        self._wake.set()

    async def take(self, within_s: float) -> bytes | None:
        """Return what waits, as soon as there is something; nothing after `within_s`; None when it has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        self._wake.clear()
        if not self._waiting:
            return None if self._ended else b""
        text = b"".join(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        if self._ended:
            self._wake.set()
        return text


class Feed:
    """All who watch, and the connections that serve them; without anybody there is none."""

    def __init__(self, path: Path, most_viewers: int) -> None:
        self._path, self._most = path, most_viewers
        self._links: list[_Link] = []

    @property
    def viewers(self) -> int:
        """How many watch."""
        return sum(len(link.viewers) for link in self._links)

    def join(self, session: str, place: Place | None) -> Viewer:
        """Return a new viewer, which gets what comes after `place`, or from now on. Raises Refused."""
        if self.viewers >= self._most:
            raise Refused(429, f"expected at most {self._most} that watch at once")
        viewer = Viewer(session)
        for link in self._links:
            if place is None or link.place == place:
                link.take_in(viewer)
                return viewer
        link = _Link(self._path, place, self._join_links)
        self._links.append(link)
        link.viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        for link in self._links:
            link.viewers.discard(viewer)
        self._drop_empty()

    def end(self, holds: Callable[[str], bool]) -> None:
        """End what sessions watch that do not hold."""
        for link in self._links:
            for viewer in link.viewers:
                if not holds(viewer.session):
                    viewer.end()

    def _join_links(self, moved: _Link) -> None:
        """Serve by one connection those who have got to the same place."""
        first, *others = [link for link in self._links if link.place == moved.place]
        for link in others:
            for viewer in link.viewers:
                first.take_in(viewer, link.newest)
            link.viewers.clear()
        self._drop_empty()

    def _drop_empty(self) -> None:
        for link in [each for each in self._links if not each.viewers]:
            self._links.remove(link)
            link.close()


class _Link:
    """One live connection, made again whenever it is lost. place: up to where its viewers have everything."""

    def __init__(self, path: Path, place: Place | None, moved: Callable[[_Link], None]) -> None:
        self.place, self.viewers, self.newest = place, set[Viewer](), dict[str, bytes]()
        self._path, self._moved = path, moved
        self._known_events = 0
        self._tries = 0
        self._task = asyncio.ensure_future(self._run())

    def close(self) -> None:
        self._task.cancel()

    def take_in(self, viewer: Viewer, told: dict[str, bytes] | None = None) -> None:
        """Serve one more, which was told this already."""
        self.viewers.add(viewer)
        for key in _NEWEST:
            if key in self.newest and (told or {}).get(key) != self.newest[key]:
                viewer.put(self.newest[key])

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
                why = "the service ended the connection"
            except _NotLiveError as error:
                why = str(error)
            except (OSError, TimeoutError, ValueError, Refused):
                why = _NOT_THERE
            down = _message("service", {"up": False, "why": why})
            if self.newest.get("service") != down:
                self._tell("service", down)
            await asyncio.sleep(_AGAIN_S[min(self._tries, len(_AGAIN_S) - 1)])
            self._tries += 1

    async def _read(self) -> None:
        """Pass on what the service says, until it says nothing more."""
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=_MOST_LINE_BYTES)
        try:
            after = self.place and [self.place.stream, self.place.seq]
            self._known_events = self.place.events if self.place else 0
            writer.write(json.dumps({"ask": "live", "after": after}).encode() + b"\n")
            while True:
                try:
                    async with asyncio.timeout(_SILENT_S):
                        line = await reader.readline()
                except TimeoutError:
                    # A sensor makes it speak each second; a store alone is silent.
                    await ask(self._path, b'{"ask":"hello"}\n', within_s=_ALIVE_S)
                    continue
                if not line.endswith(b"\n"):
                    return
                self._take(json.loads(line))
        finally:
            writer.transport.abort()

    def _take(self, told: Any) -> None:
        """Pass one line on, made once for all who watch."""
        if not isinstance(told, dict) or len(told) != 1:
            raise ValueError("expected an object with one key")
        [(key, value)] = told.items()
        if key == "error":
            raise _NotLiveError(_reason(value))
        if self.newest.get("service") != (up := _message("service", {"up": True, "why": None})):
            self._tell("service", up)
        self._tries = 0
        if key == "signatures":
            self._known_events = 0
            rows = len(value["start_ms"])
            self.place = Place(str(value["stream"]), int(value["seq"]) + rows - 1)
        elif key == "event":
            if self._known_events:
                # These came after the row that this connection was asked to go on from.
                self._known_events -= 1
                return
            if self.place:
                self.place = self.place._replace(events=self.place.events + 1)
        elif key == "gap":
            self._known_events = 0
        elif key not in _NEWEST:
            return
        numbered = key in ("signatures", "event")
        self._tell(key, _message(key, value, self.place if numbered else None))
        if numbered and self.place:
            self._moved(self)

    def _tell(self, key: str, message: bytes) -> None:
        if key in _NEWEST:
            self.newest[key] = message
        for viewer in self.viewers:
            viewer.put(message)


class _NotLiveError(Exception):
    """The service is there and has nothing that lives."""


def _reason(error: Any) -> str:
    text = error.get("text") if isinstance(error, dict) else None
    return text if isinstance(text, str) else _NOT_THERE


def _message(key: str, value: Any, place: Place | None = None) -> bytes:
    """Return a server-sent event. JSON as made here has no line breaks."""
    name = f"id: {place}\n" if place else ""
    return f"event: {key}\n{name}data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
