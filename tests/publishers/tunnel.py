"""A proxy of one's own: CONNECT of HTTP and SOCKS5, with and without a login; it notes what it was asked for."""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
import threading
import time
from types import TracebackType


class Tunnel:
    """Passes connections on to whatever port of the loopback interface a client names; `asked` are their hosts.

    login: user and password that it wants. status: of HTTP, in place of 200 or 407. refusal: of SOCKS5, in place of 0.
    delay_s: how long it takes to connect.
    """

    def __init__(
        self,
        scheme: str,
        login: tuple[str, str] | None = None,
        *,
        status: int = 200,
        refusal: int = 0,
        delay_s: float = 0.0,
    ) -> None:
        self.asked: list[tuple[str, int]] = []
        self._login, self._status, self._refusal, self._delay_s = login, status, refusal, delay_s
        self._speak = {"http": self._http, "socks5": self._socks5}[scheme]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            time.sleep(self._delay_s)
            port = self._speak(client)
            if port is None:
                client.shutdown(socket.SHUT_RDWR)
                return
            broker = socket.create_connection(("127.0.0.1", port))
            self._sockets.append(broker)
            back = threading.Thread(target=self._pass_on, args=(broker, client))
            self._threads.append(back)
            back.start()
            self._pass_on(client, broker)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _http(self, client: socket.socket) -> int | None:
        lines = _until(client, b"\r\n\r\n").decode("ascii").split("\r\n")
        method, target, _ = lines[0].split(" ")
        host, _, port = target.rpartition(":")
        self.asked.append((host, int(port)))
        assert (method, lines[1]) == ("CONNECT", f"Host: {target}")
        status = self._status
        if self._login is not None:
            wanted = base64.b64encode(":".join(self._login).encode()).decode()
            status = status if f"Proxy-Authorization: Basic {wanted}" in lines else 407
        client.sendall(f"HTTP/1.1 {status} \x1b[2Jwhatever\r\nVia: me\r\n\r\n".encode())
        return int(port) if status == 200 else None

    def _socks5(self, client: socket.socket) -> int | None:
        version, count = _exactly(client, 2)
        methods = _exactly(client, count)
        wanted = 0 if self._login is None else 2
        client.sendall(bytes([5, wanted if wanted in methods else 255]))
        if self._login is not None and wanted in methods:
            _exactly(client, 1)
            given = tuple(_exactly(client, _exactly(client, 1)[0]).decode() for _ in range(2))
            client.sendall(bytes([1, int(given != self._login)]))
        head = _exactly(client, 4)
        assert (version, head) == (5, b"\5\1\0\3")
        host = _exactly(client, _exactly(client, 1)[0]).decode("ascii")
        (port,) = struct.unpack(">H", _exactly(client, 2))
        self.asked.append((host, port))
        client.sendall(bytes([5, self._refusal, 0, 3, 4]) + b"here" + b"\0\1")
        return None if self._refusal else int(port)

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
        for sock in (self._listener, *self._sockets):
            sock.close()


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += _exactly(sock, 1)
    return data
