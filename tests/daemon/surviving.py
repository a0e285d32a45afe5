"""A daemon, a broker and a collector, each a process of its own, and what became of the signatures between them.

    with Site(folder) as site:
        site.until_well()
        site.broker.kill()
        ...
        site.broker.start()
        print(site.until_well(), site.result())

Taken: what the sink took, as `witness` recorded it. Stored: what the collector's store holds at the end.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from broker import PERSISTENT, Broker
from daemons import Daemon
from network import Network
from numpy.typing import NDArray

from motionsig.closing import Closing

HOP = 8
"""Grid samples at 50 Hz: a signature each 0.16 s, so that a minute holds enough of them."""

GRID_HZ = 50.0
_WITNESS = Path(__file__).with_name("witness.py")


class Witnessed(Daemon):
    """`motionsig run` with a witness. speed: of a sensor faster than real time, 0 for the configured one."""

    def __init__(self, folder: Path, sink: str, *, speed: float = 0.0, **more: str) -> None:
        super().__init__(folder, sink, **more)
        self.program = (str(_WITNESS), str(folder / "taken"), str(speed))

    def taken(self) -> NDArray[np.int64]:
        """Return (n, 2): when each window began that the sink took, and when it took it, monotonic; ns."""
        file = self.folder / "taken"
        content = file.read_bytes() if file.exists() else b""
        return np.frombuffer(content[: len(content) // 16 * 16], np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Result:
    """What a fault cost.

    windows_lost: of those that were due in that time. taken: signatures that the sink took; of these, lost: not in
    the store; twice: there under two names. dropped: those that the daemon says it gave up.
    """

    windows_lost: int
    taken: int
    lost: int
    twice: int
    dropped: int


class Site(Closing):
    """All of it in `folder`; a context manager. options, extra: lines of the daemon's [sink] and [model].

    networked: whether the daemon reaches the broker through `network`, which can be cut. control: what else a fault
    works with. notes: what was seen of it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: str = "delay_s = 0.1\n",
        extra: str = "",
        sensor: str = "simulated",
        speed: float = 0.0,
        hop: int = HOP,
        networked: bool = False,
        listener: str = "",
        settings: str = f"allow_anonymous true\n{PERSISTENT}",
        scheme: str = "mqtt",
        host: str = "127.0.0.1",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.hop_s = folder, hop / GRID_HZ
        self.speed = speed
        self.environment = environment or {}
        self.broker = Broker(folder / "broker", listener=listener, settings=settings).start()
        self.network = Network(self.broker.port)
        port = self.network.port if networked else self.broker.port
        self.daemon = Witnessed(
            folder / "daemon",
            f"{scheme}://{host}:{port}",
            extra=f"{options}[model]\nhop = {hop}\n{extra}",
            sensor=sensor,
            speed=speed,
        )
        self.store = folder / "cloud.db"
        self.collect_from = self.broker.url
        self.control: Any = None
        self.notes: list[str] = []
        self._collector: subprocess.Popen[bytes] | None = None

    def collect(self) -> None:
        """Start the collector, and wait until it has subscribed."""
        parted = "&" if "?" in self.collect_from else "?"
        command = ["collect", "--from", f"{self.collect_from}{parted}max_retry_s=0.3", "--into", f"store:{self.store}"]
        with (self.folder / "collector.log").open("ab") as log:
            self._collector = subprocess.Popen(
                [sys.executable, "-m", "motionsig.cli", "--verbose", *command], stdout=log, stderr=log
            )
        wait_for(
            lambda: ": collecting as " in (self.folder / "collector.log").read_text(), "the collector to subscribe"
        )

    def __enter__(self) -> Site:
        try:
            self.collect()
            self.daemon.start(**self.environment)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        self.daemon.close()
        if self._collector is not None:
            self._collector.kill()
            self._collector.wait()
        self.network.close()
        self.broker.stop()

    def status(self) -> dict:
        """Return the daemon's status as of a heartbeat after now."""
        now = self.daemon.status()
        wait_for(lambda: self.daemon.status()["uptime_s"] > now["uptime_s"] + 0.5, "another heartbeat")
        return self.daemon.status()

    def stored(self) -> NDArray[np.int64]:
        """Return when each window began whose signature is in the collector's store, ns."""
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=60) as store:
            rows = store.execute("SELECT start_ns FROM signatures").fetchall()
        store.close()
        return np.array(rows, np.int64).reshape(-1)

    def missing(self) -> int:
        """Return how many of the signatures taken so far are not in the store."""
        return len(np.setdiff1d(self.daemon.taken()[:, 0], self.stored()))

    def until_well(self, timeout_s: float = 90.0) -> float:
        """Return how long it is until all that was taken by now is stored, and one signature more."""
        began_s = time.monotonic()
        then = self.daemon.taken()[:, 0]
        # What a daemon published and was killed before it noted that is stored, and is not one more.
        known = np.union1d(then, self.stored())

        def arrived() -> bool:
            assert self.daemon.process.poll() is None, f"the daemon ended: {self.daemon.log[-3000:]}"
            stored = self.stored()
            return len(np.setdiff1d(stored, known)) > 0 and not len(np.setdiff1d(then, stored))

        wait_for(arrived, "all of it to be stored", timeout_s, lambda: self.daemon.log[-3000:])
        return time.monotonic() - began_s

    def end(self, timeout_s: float = 90.0) -> Result:
        """Stop the daemon, wait until nothing more arrives, and count."""
        # One that has just started may deliver what waited before it answers; the socket is of the one that was killed.
        wait_for(self.answers, "the daemon to answer", timeout_s, lambda: self.daemon.log[-3000:])
        status = self.daemon.status()
        self.daemon.stop()
        self.settle(timeout_s)
        return self.result(status["sink"]["dropped"])

    def answers(self) -> bool:
        """Return whether the daemon tells its status."""
        with suppress(ConnectionRefusedError, FileNotFoundError):
            return bool(self.daemon.status())
        return False

    def settle(self, timeout_s: float = 90.0) -> None:
        """Wait until all is stored that was taken, or until nothing has come for ten seconds."""
        until_s, before, quiet_s = time.monotonic() + timeout_s, -1, time.monotonic()
        while (missing := self.missing()) and time.monotonic() < until_s and time.monotonic() - quiet_s < 10:
            if missing != before:
                before, quiet_s = missing, time.monotonic()
            time.sleep(0.1)

    def result(self, dropped: int = 0) -> Result:
        taken, stored = self.daemon.taken(), self.stored()
        if self.speed:
            # Faster than real time, the windows' own times show how many are due.
            due = round((taken[:, 0].max() - taken[:, 0].min()) / 1e9 / self.hop_s) + 1
        else:
            due = round((taken[-1, 1] - taken[0, 1]) / 1e9 / self.hop_s) + 1
        return Result(
            windows_lost=max(0, due - len(taken)),
            taken=len(taken),
            lost=len(np.setdiff1d(taken[:, 0], stored)),
            twice=len(stored) - len(np.unique(stored)),
            dropped=dropped,
        )

    def note(self, text: str) -> None:
        """Note something for a table, without the folder of this trial."""
        self.notes.append(text.replace(f"{self.daemon.folder}/", ""))

    def kill(self) -> None:
        """Kill -9 the daemon."""
        self.daemon.signal(signal.SIGKILL)
        self.daemon.process.wait()


def wait_for(
    condition: Callable[[], bool], what: str, timeout_s: float = 90.0, told: Callable[[], str] = lambda: ""
) -> None:
    """Return as soon as the condition holds; fail if it does not in time."""
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, f"expected {what} within {timeout_s:g} s; {told()}"
        time.sleep(0.05)


def through(
    made: AbstractContextManager[Site], *faults: Callable[[Site], object], windows_lost: int | None = 0
) -> list[str]:
    """Let all of it happen at a site, one after the other, and return its notes.

    Fails if a signature was lost or stored twice, or more windows than that; None for any number of them.
    """
    with made as site:
        for fault in faults:
            fault(site)
        result = site.end()
    assert (result.lost, result.twice, result.dropped) == (0, 0, 0), f"{result}; {site.daemon.log}"
    assert windows_lost is None or result.windows_lost <= windows_lost, f"{result}; {site.daemon.log}"
    assert result.taken > 4
    return site.notes
