"""The real daemon as a process, and a service manager that listens to it; shared by several tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from motionsig.closing import Closing

ANOTHER_PROCESS_S = 60.0


class Daemon(Closing):
    """`motionsig run` in `folder`, with state and runtime folders of its own. extra: lines of its configuration."""

    python: tuple[str, ...] = (sys.executable,)
    program: tuple[str, ...] = ("-m", "motionsig.cli")

    def __init__(self, folder: Path, sink: str, *, extra: str = "", sensor: str = "simulated") -> None:
        self.folder, self.process = folder, None
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "config.toml"
        self.config.write_text(f'name = "pi"\n[sensor]\nname = "{sensor}"\n[sink]\nurl = "{sink}"\n{extra}')
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A socket's path is limited to about a hundred characters, and pytest's folders are long.
        self._address = f"\0motionsig-test-{os.getpid()}-{id(self)}"
        self._manager.bind(self._address)
        self.told: list[tuple[float, dict[str, str]]] = []

    def start(self, *arguments: str, **environment: str) -> Daemon:
        set_ = {
            "STATE_DIRECTORY": str(self.folder / "state"),
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
            "NOTIFY_SOCKET": self._address.replace("\0", "@"),
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.python, *self.program, "run", "--config", str(self.config), *arguments],
                env=os.environ | set_ | environment,
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def hear(self, seconds: float) -> list[dict[str, str]]:
        """Return its messages to the service manager within so many seconds."""
        return self._hear(time.monotonic() + seconds, None)

    def until_told(self, name: str, value: str | None = None, timeout_s: float = ANOTHER_PROCESS_S) -> dict[str, str]:
        """Wait until it sends `name` to its service manager; fail if it never does."""
        found = self._hear(
            time.monotonic() + timeout_s, lambda fields: name in fields and value in (None, fields[name])
        )
        assert found and name in found[-1], f"{name} was never sent; {self.told[-3:]}\n{self.log}"
        return found[-1]

    def _hear(self, until_s, done):
        heard = []
        while (left_s := until_s - time.monotonic()) > 0:
            self._manager.settimeout(min(left_s, 0.5))
            try:
                text = self._manager.recv(65536).decode()
            except TimeoutError:
                assert self.process is None or self.process.poll() in (None, 0), self.log
                continue
            fields = dict(line.split("=", 1) for line in text.splitlines())
            self.told.append((time.monotonic(), fields))
            heard.append(fields)
            if done is not None and done(fields):
                break
        return heard

    def status(self) -> dict:
        """Ask it as `motionsig status` does."""
        with socket.socket(socket.AF_UNIX) as sock:
            # The same limit: by way of the folder's descriptor.
            folder = os.open(self.folder / "run", os.O_RDONLY)
            try:
                sock.connect(f"/proc/self/fd/{folder}/status.sock")
            finally:
                os.close(folder)
            said = b""
            while part := sock.recv(65536):
                said += part
        return json.loads(said)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, timeout_s: float = ANOTHER_PROCESS_S) -> float:
        """SIGTERM; return how long it took."""
        began_s = time.monotonic()
        self.signal(signal.SIGTERM)
        assert self.process.wait(timeout_s) == 0, self.log
        return time.monotonic() - began_s

    def __enter__(self) -> Daemon:
        return self if self.process else self.start()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._manager.close()
