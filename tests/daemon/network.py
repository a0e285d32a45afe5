"""The network between a daemon and its broker, which can be cut, silenced, slowed and repaired."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from motionsig.closing import Closing

_CHUNK = 65536
_TICK_S = 0.02


class Network(Closing):
    """Passes on what comes to `port`. A fault lasts until `heal`.

    cut_after: a connection that has carried so many bytes, both ways together, is `silent` from there on, or `reset`.
    bytes_per_s: both ways together. After `heal`, a silent connection goes on where it stood, as TCP does.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.carried = 0
        self._closed = False
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.heal()
        self._start(self._accept)

    def heal(self) -> None:
        self.cut_after: int | None = None
        self.resets = False
        self.bytes_per_s: float | None = None
        self.dark = False

    def cut(self, after: int, *, resets: bool) -> None:
        """From here on each connection, those that stand too, is silent or reset once it has carried so many bytes."""
        self.resets, self.cut_after = resets, after

    def _start(self, run, *arguments) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.add(client)
            try:
                broker = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                self._reset(client)
                continue
            broker.settimeout(None)
            self._sockets.add(broker)
            carried = [0]
            for source, sink in ((client, broker), (broker, client)):
                self._start(self._carry, source, sink, carried)

    def _carry(self, source: socket.socket, sink: socket.socket, carried: list[int]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                while data and not self._closed:
                    data = data[self._pass_on(data, source, sink, carried) :]
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, data: bytes, source: socket.socket, sink: socket.socket, carried: list[int]) -> int:
        """Pass on what may pass now, and return how many bytes that was."""
        limit, count = self.cut_after, len(data)
        if limit is not None:
            count = min(count, max(0, limit - carried[0]))
            if not count and self.resets:
                self._reset(source)
                self._reset(sink)
                raise ConnectionResetError
        if self.bytes_per_s is not None:
            count = min(count, max(1, round(self.bytes_per_s * _TICK_S)))
            time.sleep(count / self.bytes_per_s)
        if not count or self.dark:
            time.sleep(_TICK_S)
            return 0
        sink.sendall(data[:count])
        carried[0] += count
        self.carried += count
        return count

    def _reset(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.shutdown(socket.SHUT_RD)
        sock.close()
        self._sockets.discard(sock)

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for sock in list(self._sockets):
            sock.close()
