"""The control socket: who connects, what they write, and how much of this machine they get.

Whoever may open the socket is still not trusted with the loop's time or this machine's memory: lines, connections and
waits have limits, a viewer has no queue of its own, and answers that take long make the next ones wait.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time

from motionsig.closing import Closing
from motionsig.control.asking import BUSY, GONE, REQUEST, AskError
from motionsig.control.feed import Viewer
from motionsig.control.room import LIVE, Control, error_line, read_line
from motionsig.control.unix_sockets import Listening
from motionsig.escaping import own_logger

log = own_logger(__name__)

SOCKET_NAME = "control.sock"
MOST_LINE_BYTES = 64 << 10
MOST_IMPORT_BYTES = 4 << 20
MOST_CONNECTIONS, MOST_VIEWERS = 32, 20
IDLE_S = 120.0
LINE_S = 10.0  # from the first byte of a line to its end, and for an answer to be taken
_PAUSE_S = 1.0  # after a connection that could not be accepted
_REFUSED_S = 0.002  # between two connections that are refused
_LEAST_S, _MOST_S = 0.002, 0.1  # from one answer to the next of all connections
_SHARE = 4  # times the processor's time for an answer, to the next one
_LOOK_S = 1.0  # how often a viewer is looked for that is gone


class Server(Closing):
    """Answers at a socket until closed, from threads of its own."""

    def __init__(self, control: Control, listening: Listening) -> None:
        self._control, self._listening = control, listening
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._viewers = threading.BoundedSemaphore(MOST_VIEWERS)
        self._import = threading.BoundedSemaphore(1)
        self._next_s = 0.0
        self._closed = threading.Event()
        # What wakes the thread up; one that was passed cannot be shut down for that.
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        listening.socket.setblocking(False)
        self._thread = threading.Thread(target=self._accept, name="motionsig-control", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        listener = self._listening.socket
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self._closed.is_set():
            poll.poll()
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError:
                # All descriptors are in use; in a second one may be free.
                self._closed.wait(_PAUSE_S)
                continue
            self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        client.settimeout(LINE_S)
        with self._lock:
            has_room = len(self._connections) < MOST_CONNECTIONS
            if has_room:
                self._connections.add(client)
        if has_room:
            try:
                threading.Thread(target=self._serve, args=(client,), name="motionsig-asked", daemon=True).start()
                return
            except RuntimeError:  # no more threads
                self._end(client)
        with client, contextlib.suppress(OSError):
            client.setblocking(False)
            client.send(error_line(AskError(BUSY, f"expected at most {MOST_CONNECTIONS} connections, got one more")))
        self._closed.wait(_REFUSED_S)

    def _end(self, client: socket.socket) -> None:
        with self._lock:
            self._connections.discard(client)
        client.close()

    def _serve(self, client: socket.socket) -> None:
        """Answer one connection to its end, which is none of the service's business."""
        try:
            left = b""
            while not self._closed.is_set():
                line, left, is_long = self._read(client, left)
                try:
                    answer, is_open = self._answer(client, line) if line else (b"", False)
                finally:
                    # Before the answer, as whoever has that may send the next import at once; and this one's memory.
                    del line
                    if is_long:
                        self._import.release()
                client.sendall(answer)
                if not is_open:
                    return
        except OSError:
            pass
        except AskError as error:
            with contextlib.suppress(OSError):
                client.sendall(error_line(error))
        except Exception:
            log.exception("a connection to the control socket")
        finally:
            self._end(client)

    def _read(self, client: socket.socket, left: bytes) -> tuple[bytes, bytes, bool]:
        """Return the next line, what came after it, and whether it is a long one; an empty one at the end."""
        parts, size, is_long = [left], len(left), False
        until_s = time.monotonic() + (LINE_S if left else IDLE_S)
        try:
            while b"\n" not in parts[-1]:
                if size > MOST_LINE_BYTES and not is_long:
                    # One at a time, so that memory has a bound.
                    if not self._import.acquire(blocking=False):
                        raise AskError(BUSY, "expected one import at a time, got another")
                    is_long = True
                if size > MOST_IMPORT_BYTES:
                    raise AskError(REQUEST, f"line: expected at most {MOST_LINE_BYTES:,} B, got more")
                client.settimeout(max(0.001, until_s - time.monotonic()))
                part = client.recv(MOST_LINE_BYTES)
                if not part:
                    return b"", b"", is_long
                if not size:
                    until_s = time.monotonic() + LINE_S
                parts.append(part)
                size += len(part)
        except BaseException:
            if is_long:
                self._import.release()
            raise
        client.settimeout(LINE_S)
        line, _, rest = b"".join(parts).partition(b"\n")
        return line + b"\n", rest, is_long

    def _answer(self, client: socket.socket, line: bytes) -> tuple[bytes, bool]:
        """Return the answer to a line, and whether there may be another line."""
        self._pace()
        began_s = time.thread_time()
        try:
            _check_length(line)
            asked = read_line(line)
        except AskError as error:
            return error_line(error), len(line) <= MOST_LINE_BYTES
        if asked.get("ask") == LIVE:
            if not self._viewers.acquire(blocking=False):
                raise AskError(BUSY, f"expected at most {MOST_VIEWERS} viewers, got one more")
            try:
                with self._control.watch(asked) as viewer:
                    self._watch(client, viewer)
            finally:
                self._viewers.release()
            return b"", False
        poll = select.poll()
        poll.register(client, 0)
        # This thread answers this client alone.
        GONE.set(lambda: bool(poll.poll(0)))
        answer = self._control.answer_to(asked)
        with self._lock:
            self._next_s += min(_SHARE * (time.thread_time() - began_s), _MOST_S)
        return answer, True

    def _pace(self) -> None:
        """Wait until it is time for the next answer."""
        with self._lock:
            now_s = time.monotonic()
            wait_s = self._next_s - now_s
            self._next_s = max(self._next_s, now_s) + _LEAST_S
        if wait_s > 0:
            self._closed.wait(wait_s)

    def _watch(self, client: socket.socket, viewer: Viewer) -> None:
        poll = select.poll()
        poll.register(client, 0)  # that it hung up is told without being asked
        while not self._closed.is_set():
            lines = viewer.next(_LOOK_S)
            if lines:
                client.sendall(b"".join(lines))
            elif poll.poll(0):
                return

    def close(self) -> None:
        """Listen no longer, and end all connections."""
        self._closed.set()
        os.eventfd_write(self._wake, 1)
        self._thread.join(2.0)
        self._listening.close()
        with self._lock:
            for client in self._connections:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        os.close(self._wake)


def _check_length(line: bytes) -> None:
    """Raise AskError for a long line that is no import, before anything is made of it.

    A line of many small values takes many times its size as objects; an import is one object of a few texts.
    """
    if len(line) > MOST_LINE_BYTES and (b"[" in line or line.count(b"{") > 1 or line.count(b",") > 4):
        raise AskError(REQUEST, f"line: expected at most {MOST_LINE_BYTES:,} B, but for an import, got {len(line):,} B")
