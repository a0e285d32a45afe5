"""What a running daemon says of itself, and how to ask: a Unix socket that answers whoever connects, unread."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from motionsig.errors import MotionsigError
from motionsig.state import state_path

SOCKET_NAME = "status.sock"
_TIMEOUT_S = 2.0
_PAUSE_S = 1.0
"""Until a connection is taken that could not be taken now."""
_MOST_BYTES = 1 << 20


class NotRunningError(MotionsigError, ConnectionError):
    """There is no daemon to ask."""


class NotLetInError(MotionsigError, PermissionError):
    """A user who may not ask the daemon, nor know whether there is one."""


def runtime_folder(name: str | None = None) -> Path:
    """Return the service's RuntimeDirectory; name: of an instance, motionsig@NAME."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    unit = "motionsig" if name is None else f"motionsig-{name}"
    if os.geteuid() and not os.path.lexists(f"/run/{unit}"):
        # Started by hand: a place that belongs to the user.
        own = os.environ.get("XDG_RUNTIME_DIR")
        return Path(own, unit) if own else state_path("run", unit)
    return Path("/run", unit)


class StatusSocket:
    """Answers each connection with the newest status as JSON, from a thread of its own."""

    def __init__(self, path: Path, status: dict[str, Any]) -> None:
        """Listen at `path`; raise OSError where that is not possible, or where another daemon already does."""
        self._path, self._closed = path, threading.Event()
        self.say(status)
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if _is_answered(path):
            raise OSError("expected to be the only daemon here, got an answer from another")
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._listener.bind(str(path))
            self._inode = path.stat().st_ino
            # There is nothing in it that a user of the machine may not know, and nothing to be had by writing.
            path.chmod(0o666)
            self._listener.listen(8)
        except BaseException:
            self._listener.close()
            raise
        threading.Thread(target=self._answer, name="motionsig-status", daemon=True).start()

    def say(self, status: dict[str, Any]) -> None:
        """Answer with `status` from here on."""
        self._said = json.dumps(status).encode() + b"\n"

    def _answer(self) -> None:
        while True:
            try:
                asker, _ = self._listener.accept()
            except OSError:
                # Descriptors that are used up now may be free in a second.
                if self._closed.wait(_PAUSE_S):
                    return
                continue
            with asker, contextlib.suppress(OSError):
                asker.settimeout(_TIMEOUT_S)
                asker.sendall(self._said)

    def close(self) -> None:
        self._closed.set()
        # By now it may be another daemon's.
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        # Shutting down ends the thread's accept; closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _is_answered(path: Path) -> bool:
    """Return whether somebody listens at `path`; raise OSError where that cannot be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(_TIMEOUT_S)
        try:
            sock.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def ask(name: str | None = None) -> dict[str, Any]:
    """Return the status of the running daemon.

    Raises NotRunningError where none answers, NotLetInError where this user may not ask.
    """
    path = runtime_folder(name) / SOCKET_NAME
    unit = "motionsig" if name is None else f"motionsig@{name}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(_TIMEOUT_S)
            sock.connect(str(path))
            said = b""
            while len(said) < _MOST_BYTES and (part := sock.recv(65536)):
                said += part
        status = json.loads(said)
    except PermissionError as error:
        # systemd keeps what it preserves for a dynamic user where only root may look.
        raise NotLetInError(f"{path}: expected to be let in, got: {error.strerror}; sudo motionsig status") from error
    except (OSError, ValueError) as error:
        raise NotRunningError(
            f"{path}: expected a running daemon, got: {error}; start it: sudo systemctl start {unit}, or see "
            f"journalctl -u {unit}"
        ) from error
    if not isinstance(status, dict):
        raise NotRunningError(f"{path}: expected a daemon's status, got {type(status).__name__}")
    return status
