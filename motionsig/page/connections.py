"""Connections: uvicorn's reading of HTTP (by h11), with a time for all that a browser may let us wait for."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from motionsig.page.exchange import LET_IN, Receive, Scope, Send
from motionsig.page.guard import Limits

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_KEEP_ALIVE_S = 20
"""How long a connection may stay without a request."""


class _Deadline:
    """Aborts a connection, unless it is stopped in time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.Transport) -> None:
        """Let the time run, if it does not run yet."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, transport.abort)

    def stop(self) -> None:
        """Forget it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Connection(H11Protocol):
    """One connection. `ended` is set when it is no more."""

    def __init__(self, limits: Limits, **more: Any) -> None:
        super().__init__(**more)
        self.ended = asyncio.Event()
        self._request, self._reads = _Deadline(limits.request_s), _Deadline(limits.reads_s)
        self._let_in = False

    @property
    def is_let_in(self) -> bool:
        """Whether a request of it came from somebody who was let in."""
        # The application is called with the very scope of the request.
        self._let_in = self._let_in or bool(self.scope and self.scope.get(LET_IN))
        return self._let_in

    def abort(self) -> None:
        """End it at once."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._request.start(transport)

    def data_received(self, data: bytes) -> None:
        """Read on. What a browser has begun to say it has to finish in time; a byte now and then gains it nothing."""
        _ = self.is_let_in  # the next request has a scope of its own
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._request.start(self.transport)
        else:
            self._request.stop()

    def pause_writing(self) -> None:
        """Wait for a browser that does not read."""
        super().pause_writing()
        self._reads.start(self.transport)

    def resume_writing(self) -> None:
        """Write on."""
        super().resume_writing()
        self._reads.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that it has ended."""
        self._request.stop()
        self._reads.stop()
        super().connection_lost(exc)
        # Of a connection that was reset, uvicorn keeps this timer, and that all of the connection.
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        self.ended.set()


class Connections:
    """Makes connections to one application, and ends all of them."""

    def __init__(self, app: App, limits: Limits) -> None:
        self._limits = limits

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)

        # Whatever uvicorn has to say goes through the filter below; it starts no lifespan, and reads no WebSockets.
        self._config = Config(
            answer,
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        self._config.load()
        self._state = ServerState()
        # 0.17.6 has no state of an application.
        has_state = "app_state" in inspect.signature(H11Protocol.__init__).parameters
        self._more: dict[str, Any] = {"app_state": {}} if has_state else {}
        logging.getLogger("uvicorn.error").addFilter(_in_fixed_words)

    def new(self) -> Connection:
        """Return the protocol of a new connection."""
        loop = asyncio.get_running_loop()
        return Connection(self._limits, config=self._config, server_state=self._state, _loop=loop, **self._more)

    async def end(self, within_s: float) -> None:
        """Let the answers under way end, and then all connections."""
        for connection in list(self._state.connections):
            connection.shutdown()
        waits = [
            asyncio.ensure_future(each.ended.wait()) for each in self._state.connections if isinstance(each, Connection)
        ]
        if waits:
            await asyncio.wait(waits, timeout=within_s)
        for connection in list(self._state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()


def _in_fixed_words(record: logging.LogRecord) -> bool:
    """Let nothing of a request into the log: not of one that is no HTTP, and of an error only where it was."""
    if record.levelno < logging.ERROR:
        return False
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, asyncio.CancelledError):
        return False  # the page ends, and a request with it
    trace, where = (error.__traceback__ if error else None), ""
    while trace:
        where, trace = f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}", trace.tb_next
    record.msg, record.args = f"a request failed: {type(error).__name__} in {where}", None
    record.exc_info = record.exc_text = None
    return True
