"""The service under a hand, and its page as systemd starts it: two processes with a control socket between them.

What systemd does is done here: it listens for the page on a port, starts it when somebody connects, and again after it
has ended by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hand import Hand

from motionsig.closing import Closing
from motionsig.control.feed import Feed
from motionsig.control.room import Control
from motionsig.control.serving import Server
from motionsig.control.unix_sockets import listen_at
from motionsig.page.people import write_code

_HAND = Path(__file__).with_name("hand.py")
_LONG_S = 90.0
_PASSED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "motionsig.page", sys.argv[2]])
"""


def until(done: Callable[[], Any], what: str, timeout_s: float = _LONG_S) -> Any:
    """Wait until `done` returns something true, and return that; fail after the deadline."""
    end_s = time.monotonic() + timeout_s
    while not (value := done()):
        assert time.monotonic() < end_s, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.02)
    return value


class House(Closing):
    """One device called "hall" in a folder: daemon, page and hand. extra: lines of the daemon's configuration.

    between: set, it is called with the control socket's path and returns the one that the page is to use.
    """

    def __init__(self, folder: Path, *, extra: str = "", between: Callable[[Path], Path] | None = None) -> None:
        self.folder, self._between = folder, between
        self.notes: Path | None = None  # set, the samples are noted there; see hand.py
        for name in ("state", "run", "page-state", "page-run", "heads", "keys"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.hand = Hand(folder / "plan")
        self.store = folder / "hall.db"
        self.config = folder / "config.toml"
        self.config.write_text(
            f'name = "hall"\n[sensor]\nname = "simulated"\n[sink]\nurl = "store:{self.store}"\n{extra}'
        )
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.daemon: subprocess.Popen[bytes] | None = None
        self.page: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()
        self._hold = threading.Event()  # set while the page is not to be started
        self._unit = threading.Thread(target=self._be_systemd, daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def control(self) -> Path:
        return self.folder / "run" / "control.sock"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def __enter__(self) -> House:
        self.start_daemon()
        self._unit.start()
        return self

    # The daemon.

    def start_daemon(self) -> None:
        """Start the daemon and wait until it has made a signature."""
        self.control.unlink(missing_ok=True)
        set_ = {
            "STATE_DIRECTORY": str(self.folder / "state"),
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
            "MOTIONSIG_HEADS": str(self.folder / "heads"),
            "MOTIONSIG_HAND_KEYS": str(self.folder / "keys"),
            "MOTIONSIG_HAND_NOTES": str(self.notes) if self.notes else "",
            "OMP_NUM_THREADS": "1",
        }
        with (self.folder / "log").open("ab") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, _HAND, self.hand.plan, "run", "--config", self.config],
                env=os.environ | set_,
                stdout=log,
                stderr=log,
            )
        until(self._is_ready, "the daemon is ready")

    def _is_ready(self) -> bool:
        assert self.daemon is not None and self.daemon.poll() is None, self.log
        with contextlib.suppress(OSError):
            return bool(self.ask("status")["windows"])
        return False

    def stop_daemon(self, number: int = signal.SIGTERM) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(number)
        self.daemon.wait(_LONG_S)

    def ask(self, name: str, /, **parameters: Any) -> Any:
        """Ask at the control socket, as the page does; fail on an error."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.control))
            sock.sendall(json.dumps({"ask": name, **parameters}).encode() + b"\n")
            with sock.makefile("rb") as lines:
                answer = json.loads(lines.readline())
        assert "ok" in answer, answer
        return answer["ok"]

    def lesson(self) -> Any:
        """Return the lesson that is under way, None where there is none."""
        for key, value in self.told():
            if key == "lesson":
                return value
            if key == "signatures":  # what is there stands before them
                return None
        return None

    def told(self, *, within_s: float = _LONG_S) -> Iterator[tuple[str, Any]]:
        """Yield what a viewer is told from now on: each key and value."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(within_s)
            sock.connect(str(self.control))
            sock.sendall(b'{"ask": "live", "after": null}\n')
            with sock.makefile("rb") as lines:
                for line in lines:
                    yield from json.loads(line).items()

    def teach(self, name: str, kind: str = "turn", *, times: int = 3, rest_s: float = 1.3) -> dict[str, Any]:
        """Teach a head without a browser; return it."""
        self.ask(
            "lesson.begin", name=name, better=False, times=times, request=os.urandom(8).hex(), **{"for": "examples"}
        )
        states = (value["state"] for key, value in self.told() if key == "lesson" and value)
        next(state for state in states if state == "perform")
        for _ in range(times):
            self.hand.perform(kind, after_s=rest_s)
        next(state for state in states if state == "enough")
        head: dict[str, Any] = self.ask("lesson.end", save=True, request=os.urandom(8).hex())
        return head

    def forget_lesson(self) -> None:
        """End a lesson that a test has left."""
        if self.lesson() is not None:
            self.ask("lesson.end", save=False, request=os.urandom(8).hex())

    def forget_heads(self) -> None:
        """Remove what was taught."""
        for head in self.ask("heads"):
            if head["whose"] == "page":
                self.ask("remove", head=head["name"], request=os.urandom(8).hex())

    # The page.

    def _be_systemd(self) -> None:
        while not self._closed.is_set():
            if self._hold.is_set() or not select.select([self.listening], [], [], 0.1)[0]:
                self._closed.wait(0.01)
                continue
            with (self.folder / "log").open("ab") as log:
                control = self.control if self._between is None else self._between(self.control)
                self.page = subprocess.Popen(
                    [sys.executable, "-c", _PASSED, str(self.listening.fileno()), control],
                    env=os.environ
                    | {
                        "LISTEN_FDS": "1",
                        "LISTEN_FDNAMES": "page",
                        "STATE_DIRECTORY": str(self.folder / "page-state"),
                        "RUNTIME_DIRECTORY": str(self.folder / "page-run"),
                    },
                    pass_fds=[self.listening.fileno()],
                    stdout=log,
                    stderr=log,
                )
            while self.page.poll() is None and not self._closed.wait(0.05):
                pass

    def stop_page(self, number: int = signal.SIGTERM, *, hold: bool = False) -> None:
        """End the page's process; hold: until `let_page_start` nobody answers at its port."""
        if hold:
            self._hold.set()
        if self.page is not None:
            self.page.send_signal(number)
            self.page.wait(_LONG_S)

    def let_page_start(self) -> None:
        self._hold.clear()

    def code(self) -> str:
        """Return a code that lets one browser in, as `sudo motionsig page` makes it."""
        return write_code(self.folder / "page-run")

    @property
    def link(self) -> str:
        return f"{self.origin}/#pair={self.code()}"

    def close(self) -> None:
        self._closed.set()
        for process in (self.page, self.daemon):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.listening.close()


class Shelf(House):
    """What `motionsig page store:PATH` serves, in place of a daemon; viewers are told what a test puts into `feed`."""

    def start_daemon(self) -> None:
        self.feed = Feed()
        store = f"store:{self.store}"
        self._control = Control(store=store, heads_folder=self.folder / "heads", feed=self.feed)
        self._server = Server(self._control, listen_at(self.control, mode=0o600))

    def close(self) -> None:
        super().close()
        self._server.close()
        self._control.close()
