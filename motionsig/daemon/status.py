"""What a running daemon says of itself, and how to ask: a Unix socket that answers whoever connects, unread."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motionsig.errors import MotionsigError
from motionsig.state import state_path

log = logging.getLogger(__name__)

SOCKET_NAME = "status.sock"
_TIMEOUT_S = 2.0
_MOST_BYTES = 1 << 20


class NotRunningError(MotionsigError, ConnectionError):
    """There is no daemon to ask."""


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

    def __init__(self, path: Path, status: Callable[[], dict[str, Any]]) -> None:
        """Listen at `path`; raise OSError where that is not possible."""
        self._path, self._status = path, status
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._listener.bind(str(path))
        # There is nothing in it that a user of the machine may not know, and nothing to be had by writing.
        path.chmod(0o666)
        self._listener.listen(8)
        threading.Thread(target=self._answer, name="motionsig-status", daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                asker, _ = self._listener.accept()
            except OSError:
                return
            with asker, contextlib.suppress(OSError):
                asker.settimeout(_TIMEOUT_S)
                asker.sendall(json.dumps(self._status()).encode() + b"\n")

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        # Shutting down ends the thread's accept; closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def ask(name: str | None = None) -> dict[str, Any]:
    """Return the status of the running daemon; raise NotRunningError where none answers."""
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
        raise NotRunningError(f"{path}: expected to be let in, got: {error.strerror}; sudo motionsig status") from error
    except (OSError, ValueError) as error:
        raise NotRunningError(
            f"{path}: expected a running daemon, got: {error}; start it: sudo systemctl start {unit}, or see "
            f"journalctl -u {unit}"
        ) from error
    if not isinstance(status, dict):
        raise NotRunningError(f"{path}: expected a daemon's status, got {type(status).__name__}")
    return status
