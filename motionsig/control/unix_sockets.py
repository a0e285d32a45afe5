"""Unix sockets to listen at: one of our own, at a path, or one that the service manager passes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from motionsig.closing import Closing
from motionsig.passed_sockets import passed_sockets

_BACKLOG = 128
_TIMEOUT_S = 2.0


class Listening(Closing):
    """A socket that listens. is_passed: another process keeps it, and goes on listening when this one has ended."""

    def __init__(self, sock: socket.socket, path: Path | None) -> None:
        self.socket, self._path = sock, path
        self._inode = path.stat().st_ino if path is not None else 0

    def close(self) -> None:
        """Listen no longer, and remove a socket of our own."""
        if self._path is not None:
            # By now the path may lead to another process's socket.
            with contextlib.suppress(OSError):
                if self._path.stat().st_ino == self._inode:
                    self._path.unlink()
            # Shutting down ends a thread's accept; closing alone does not. One that was passed has to stay as it is.
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def listen_at(path: Path, *, mode: int) -> Listening:
    """Listen at a path; raise OSError where that is not possible, or where another process already does."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), connected(path):
        raise OSError("expected to be the only daemon here, got an answer from another")
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.bind(str(path))
        # Nobody can connect before it listens.
        path.chmod(mode)
        sock.listen(_BACKLOG)
        return Listening(sock, path)
    except BaseException:
        sock.close()
        raise


def passed(name: str) -> Listening | None:
    """Return the listening Unix socket of a name that the service manager has passed to this process, None for none.

    Raises OSError for something else of that name.
    """
    fd = dict(passed_sockets()).get(name)
    if fd is None:
        return None
    sock = socket.socket(fileno=fd)
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if (sock.family, sock.type, listens) != (socket.AF_UNIX, socket.SOCK_STREAM, 1):
        sock.detach()
        raise OSError(f"descriptor {fd}: expected a Unix socket that listens, got {sock.family.name}")
    return Listening(sock, None)


@contextlib.contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    """Connect to a path; raise OSError where nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(_TIMEOUT_S)
        sock.connect(str(path))
        yield sock
