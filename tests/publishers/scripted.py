"""A broker of few lines that a test tells what to say: older than MQTT 5, narrow, or rude."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ = 1, 3, 8, 12


@dataclass
class Publish:
    """A message from a client. topic: as it was sent, empty where an alias stands for it."""

    topic: str
    payload: bytes
    retain: bool
    alias: int | None
    mid: int


@dataclass
class Scripted:
    """Accepts connections on `port`, one thread each, and notes what comes.

    connack: returns the answer to a CONNECT of a protocol version, None to close the connection. puback: returns the
    answer to a message of that version, None to close the connection, b"" to say nothing. brief: it closes the
    connection after its answer to a message.
    """

    connack: Callable[[int], bytes | None] = lambda version: b"\x20\x03\0\0\0" if version == 5 else b"\x20\x02\0\0"
    puback: Callable[[Publish], bytes | None] = lambda message: acknowledgement(message)
    brief: bool = False
    versions: list[int] = field(default_factory=list)
    wills: list[tuple[bool, bool]] = field(default_factory=list)
    received: list[Publish] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), client, client.makefile("rb") as file:
            version = 0
            while True:
                head, body = _packet(file.read)
                kind, answer = head >> 4, b""
                if kind == CONNECT:
                    version = body[6]
                    self.versions.append(version)
                    self.wills.append((bool(body[7] & 0x04), bool(body[7] & 0x20)))
                    found = self.connack(version)
                elif kind == PUBLISH:
                    self.received.append(_message(head, body, version))
                    found = self.puback(self.received[-1])
                elif kind == PINGREQ:
                    found = b"\xd0\0"
                else:
                    found = answer
                if found is None:
                    return
                client.sendall(found)
                if self.brief and kind == PUBLISH:
                    return

    def __enter__(self) -> Scripted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)


def acknowledgement(message: Publish, reason: int | None = None) -> bytes:
    """Return a PUBACK, with a reason as MQTT 5 has it."""
    body = message.mid.to_bytes(2, "big") + (bytes([reason]) if reason is not None else b"")
    return bytes([0x40, len(body)]) + body


def connack(properties: bytes = b"", code: int = 0) -> bytes:
    """Return a CONNACK of MQTT 5."""
    return bytes([0x20, 3 + len(properties), 0, code, len(properties)]) + properties


def _packet(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    def exactly(size: int) -> bytes:
        data = read(size)
        if len(data) < size:
            raise EOFError
        return data

    head, size, shift = exactly(1)[0], 0, 0
    while True:
        byte = exactly(1)[0]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return head, exactly(size)


def _message(head: int, body: bytes, version: int) -> Publish:
    end = 2 + int.from_bytes(body[:2], "big")
    topic, mid = body[2:end].decode(), int.from_bytes(body[end : end + 2], "big")
    rest, alias = body[end + 2 :], None
    if version == 5:
        properties, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        if properties[:1] == b"\x23":
            alias = int.from_bytes(properties[1:3], "big")
    return Publish(topic, rest, bool(head & 1), alias, mid)
