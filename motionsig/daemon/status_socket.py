"""The status of a running daemon, and how to ask for it: a Unix socket that answers whoever connects."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from motionsig.control.unix_sockets import connected, listen_at
from motionsig.errors import MotionsigError
from motionsig.state import state_path

SOCKET_NAME = "status.sock"
_TIMEOUT_S = 2.0
_PAUSE_S = 1.0  # after a connection that could not be accepted
_MOST_BYTES = 1 << 20


class NotRunningError(MotionsigError, ConnectionError):
    """There is no daemon to ask."""


class NotLetInError(MotionsigError, PermissionError):
    """The user may not ask the daemon, nor know whether there is one."""


def runtime_folder(name: str | None = None) -> Path:
    """Return the service's RuntimeDirectory; name: of an instance, motionsig@NAME."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    unit = "motionsig" if name is None else f"motionsig-{name}"
    if os.geteuid() and not os.path.lexists(f"/run/{unit}"):
        # Started by hand: a folder of the user.
        own = os.environ.get("XDG_RUNTIME_DIR")
        return Path(own, unit) if own else state_path("run", unit)
    return Path("/run", unit)


class StatusSocket:
    """Answers each connection with the newest status as JSON, from a thread of its own."""

    def __init__(self, path: Path, status: dict[str, Any]) -> None:
        """Listen at `path`; raise OSError where that is not possible, or where another daemon already does."""
        self._closed = threading.Event()
        self.publish(status)
        # Any user of this machine may know the status, and what a client writes is not read.
        self._listening = listen_at(path, mode=0o666)
        threading.Thread(target=self._answer, name="motionsig-status", daemon=True).start()

    def publish(self, status: dict[str, Any]) -> None:
        """Answer with `status` from here on."""
        self._answer_bytes = json.dumps(status).encode() + b"\n"

    def _answer(self) -> None:
        while True:
            try:
                client, _ = self._listening.socket.accept()
            except OSError:
                # All descriptors are in use; in a second one may be free.
                if self._closed.wait(_PAUSE_S):
                    return
                continue
            with client, contextlib.suppress(OSError):
                client.settimeout(_TIMEOUT_S)
                client.sendall(self._answer_bytes)

    def close(self) -> None:
        self._closed.set()
        self._listening.close()


def ask(name: str | None = None, *, unit: str | None = None) -> dict[str, Any]:
    """Return the running daemon's status; raise NotRunningError where there is none, NotLetInError for this user.

    unit: of systemd, where it is not that of the name.
    """
    path = runtime_folder(name) / SOCKET_NAME
    unit = unit or ("motionsig" if name is None else f"motionsig@{name}")
    try:
        with connected(path) as sock:
            answer = b""
            while len(answer) < _MOST_BYTES and (part := sock.recv(65536)):
                answer += part
        status = json.loads(answer)
    except PermissionError as error:
        # Folders that systemd preserves for a dynamic user are in one that only root may enter.
        raise NotLetInError(f"{path}: expected to be let in, got: {error.strerror}; sudo motionsig status") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NotRunningError(
            f"{path}: expected a running daemon, got: {reason}; start it: sudo systemctl start {unit}, or see "
            f"journalctl -u {unit}"
        ) from error
    if not isinstance(status, dict):
        raise NotRunningError(f"{path}: expected a daemon's status, got {type(status).__name__}")
    return status
