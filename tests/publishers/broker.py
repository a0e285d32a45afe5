"""A real mosquitto on a loopback port of its own, to be stopped, stalled, killed and started again; and a proxy."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

import pytest

PERSISTENT = "persistence true\nautosave_on_changes true\nautosave_interval 1\n"
"""Saves after every change: a kill -9 of the broker costs at most what came since."""


def mosquitto() -> str:
    """Return the broker's program; skip the test where it is not installed."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    return program


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on.

    It is below those that the kernel gives away: none of the connections of this machine gets it before a broker takes
    it, or while one is away.
    """
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    lowest, end = (10_000, given) if given > 20_000 else (20_000, 1 << 16)
    while True:
        # Not `random`, which tests of several processes may have given the same seed.
        port = lowest + secrets.randbelow(end - lowest)
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port


class Broker:
    """mosquitto in `folder`; `listener` and `settings` are lines of its configuration."""

    def __init__(self, folder: Path, *, listener: str = "", settings: str = "allow_anonymous true\n") -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "mosquitto.conf"
        # As root it would change to a user of its own, who may not read the test's folder.
        self.config.write_text(
            f"listener {self.port} 127.0.0.1\n{listener}user root\n"
            f"persistence_location {folder}/\nlog_type all\nmax_queued_messages 0\n{settings}"
        )

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def start(self, host: str = "127.0.0.1") -> Broker:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([mosquitto(), "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((host, self.port), 10):
                return self
            assert self._process.poll() is None, self.log
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"mosquitto does not listen: {self.log}")

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None

    def stall(self) -> None:
        """SIGSTOP: connections stay, nothing moves."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, as a service manager does."""
        if self._process is not None:
            self._signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An orderly end takes a tenth of a second, and nobody looks at what it would save.
        if self._process is not None:
            self.kill()


class Proxy:
    """Between a client and a broker: passes everything on, but swallows the PUBACKs that `swallow` says so of.

    swallow: numbers of PUBACKs, counted from 0 over all connections.
    """

    def __init__(self, port: int, swallow: range) -> None:
        self._target = port
        self._swallow = swallow
        self.seen = 0
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            broker = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, broker]
            for source, sink, filtered in ((client, broker, False), (broker, client, True)):
                thread = threading.Thread(target=self._pass_on, args=(source, sink, filtered))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, filtered: bool) -> None:
        held = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not filtered:
                    sink.sendall(data)
                    continue
                held += data
                # Whatever the broker sends to a publisher is shorter than 128 bytes, so its length is one byte.
                while len(held) >= 2 and len(held) >= 2 + held[1]:
                    packet, held = held[: 2 + held[1]], held[2 + held[1] :]
                    if packet[0] == 0x40:
                        self.seen += 1
                        if self.seen - 1 in self._swallow:
                            continue
                    sink.sendall(packet)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
        for sock in self._sockets:
            sock.close()


def make_certificates(folder: Path) -> None:
    """Write ca, server and client certificates with openssl: ca.pem, server.pem, server.key, client.pem, client.key.

    other-ca.pem is an authority that signed none of them.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other-ca"):
        openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out",
                f"{name}.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    for name, names in (("server", "DNS:localhost,IP:127.0.0.1"), ("client", "DNS:client")):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "extensions").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "extensions", "-out", f"{name}.pem")  # fmt: skip
