"""The page's process: listens on sockets that systemd passed or that it opened, until it is told to end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from motionsig.errors import InputError, MissingExtraError
from motionsig.escaping import own_logger
from motionsig.hints import install_hint
from motionsig.page.guard import Limits, is_near
from motionsig.passed_sockets import passed_sockets

if TYPE_CHECKING:
    import ssl

    from motionsig.page.connections import Connection, Connections

PLAIN, TLS = "page", "page-tls"
"""What systemd calls the sockets (FileDescriptorName=)."""

_END_S = 2.0
_HANDSHAKE_S = 8.0
_TLS_BYTES = 16 << 10
"""What a connection reads at once: a record of TLS. asyncio takes 256 KiB for that, of each, and keeps them."""
_ANSWERS_S = 30
"""How long a browser's machine may leave what was sent unacknowledged: a phone that left the house says no goodbye."""

_logger = own_logger(__name__)


@dataclass(frozen=True)
class Listener:
    """A listening socket, and whether it speaks TLS."""

    socket: socket.socket
    tls: bool


def passed_listeners() -> list[Listener]:
    """Return the sockets that systemd passed to this process. Raises InputError for names that are not the page's."""
    passed = passed_sockets()
    names = [name for name, _ in passed]
    if not set(names) <= {PLAIN, TLS}:
        raise InputError(f"LISTEN_FDNAMES: expected {len(names)} of {PLAIN} and {TLS}, got {':'.join(names)!r:.80}")
    return [Listener(socket.socket(fileno=fd), name == TLS) for name, fd in passed]


def open_listener(port: int, *, network: bool = False) -> Listener:
    """Return a socket of this machine alone, or with TLS of all its networks. Raises InputError for a port in use."""
    made = socket.socket(socket.AF_INET6 if network and socket.has_dualstack_ipv6() else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if made.family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        made.bind(("" if network else "127.0.0.1", port))
        made.listen(64)
    except OSError as error:
        made.close()
        raise InputError(f"port {port}: expected to listen there, got: {error.strerror}") from error
    return Listener(made, network)


def serve(
    listeners: Sequence[Listener],
    *,
    control: Path,
    codes: Path,
    state: Path,
    idle_s: float | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve the page until SIGTERM or SIGINT, or until there was no connection for `idle_s`.

    control: the service's socket. codes: the folder for `people.write_code`. state: the page's own folder, with its
    sessions, and its certificate where a listener speaks TLS. Raises MissingExtraError without uvicorn.
    """
    try:
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"the page needs uvicorn: {install_hint('uvicorn')}") from error
    context = None
    if any(listener.tls for listener in listeners):
        from motionsig.page.certificates import server_context

        context = server_context(state)
    asyncio.run(_serve(listeners, context, control, codes, state, idle_s, limits or Limits()))


async def _serve(
    listeners: Sequence[Listener],
    context: ssl.SSLContext | None,
    control: Path,
    codes: Path,
    state: Path,
    idle_s: float | None,
    limits: Limits,
) -> None:
    from motionsig.page.app import Page
    from motionsig.page.connections import Connections
    from motionsig.page.people import Sessions

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_failed)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    sessions = Sessions(state)
    page = Page(control, codes, sessions, limits)
    connections = Connections(page, limits)
    door = Door(connections, limits, idle_s, ended.set)
    accepting = [asyncio.ensure_future(door.accept(each.socket, context if each.tls else None)) for each in listeners]
    await ended.wait()
    for task in accepting:
        task.cancel()
    for listener in listeners:
        listener.socket.close()
    page.feed.end(lambda _: False)
    await connections.end(_END_S)
    sessions.save()


class _Held(NamedTuple):
    """A connection, and the address at its other end."""

    host: str
    connection: Connection


class Door:
    """Takes connections in, at most so many at once, and notices when there was none for long.

    Where there are too many, the oldest one of a stranger makes room: so nobody is shut out by connections that say
    nothing, and those of browsers that were let in stay.
    """

    def __init__(
        self, connections: Connections, limits: Limits, idle_s: float | None, idle: Callable[[], None]
    ) -> None:
        self._connections, self._limits = connections, limits
        self._idle_s, self._idle = idle_s, idle
        self._by_address = Counter[str]()
        self._held = dict[asyncio.Task[None], _Held]()
        self._waiting: asyncio.TimerHandle | None = None
        self._wait()

    async def accept(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        """Take in whoever comes."""
        if context is not None:
            from asyncio.sslproto import SSLProtocol

            SSLProtocol.max_size = _TLS_BYTES
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        while True:
            try:
                taken, address = await loop.sock_accept(listening)
            except OSError:  # gone before it was taken, or no descriptor is left
                await asyncio.sleep(0.1)
                continue
            host = str(address[0]) if address else ""
            # However many are refused, one after the other, what the others ask for goes on.
            await asyncio.sleep(0)
            # As the service's unit says, too: a router without a firewall does not bring the internet here.
            if (host and not is_near(host)) or not await self._has_room(host):
                taken.close()
                continue
            self._by_address[host] += 1
            connection = self._connections.new()
            task = asyncio.ensure_future(self._hold(taken, connection, context))
            self._held[task] = _Held(host, connection)
            task.add_done_callback(self._left)
            if self._waiting:
                self._waiting.cancel()
                self._waiting = None

    async def _has_room(self, host: str) -> bool:
        """Tell whether one more of an address may come in, after a stranger has made room for it where that is needed.

        The stranger is the oldest one of the address that has most, or of this one where it has too many itself.
        """
        crowded = self._by_address[host] >= self._limits.connections_each
        if not crowded and len(self._held) < self._limits.connections:
            return True
        strangers = [
            (self._by_address[held.host], task)
            for task, held in self._held.items()
            if not held.connection.is_let_in and (held.host == host or not crowded)
        ]
        if not strangers:
            return False
        _, leaving = max(strangers, key=itemgetter(0))
        leaving.cancel()
        await asyncio.wait({leaving}, timeout=_END_S)
        return True

    async def _hold(self, taken: socket.socket, connection: Connection, context: ssl.SSLContext | None) -> None:
        """Serve one connection to its end, or until it has to make room."""
        loop = asyncio.get_running_loop()
        times: dict[str, Any] = (
            {"ssl_handshake_timeout": _HANDSHAKE_S, "ssl_shutdown_timeout": _END_S} if context else {}
        )
        try:
            if taken.family != socket.AF_UNIX:
                taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _ANSWERS_S * 1000)
            await loop.connect_accepted_socket(lambda: connection, taken, ssl=context, **times)
            await connection.ended.wait()
        except OSError:  # it spoke no TLS, or went away
            taken.close()
        finally:
            connection.abort()

    def _left(self, task: asyncio.Task[None]) -> None:
        host = self._held.pop(task).host
        self._by_address[host] -= 1
        if not self._by_address[host]:
            del self._by_address[host]
        if not self._held:
            self._wait()

    def _wait(self) -> None:
        if self._idle_s is not None:
            self._waiting = asyncio.get_running_loop().call_later(self._idle_s, self._idle)


def _failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say in fixed words what failed outside of a request: mostly TLS of somebody who went away."""
    error = context.get("exception")
    if not isinstance(error, OSError):
        _logger.error("a connection failed: %s", type(error).__name__)
