"""The daemon as a process: its signals, its journal, its sockets."""

from __future__ import annotations

import faulthandler
import signal
from pathlib import Path

from motionsig.config import load_config
from motionsig.daemon.journal import log_to_journal
from motionsig.daemon.loop import Daemon
from motionsig.daemon.status_socket import SOCKET_NAME, runtime_folder

_INTERRUPT_S = 0.7  # so long a device may keep its windows after SIGTERM: an Edge TPU may take half a minute to start


def serve(path: Path, name: str | None = None) -> None:
    """Run the daemon of a configuration until SIGTERM or SIGINT; SIGHUP reads the configuration again.

    Raises ConfigError, and what opening the sink, model or sensor raises where trying again cannot help.
    """
    repeats = log_to_journal()
    # After a hang, the watchdog's SIGABRT leaves the place of each thread in the journal.
    faulthandler.enable()
    early: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: early.append(number))
    daemon = Daemon(
        load_config(path, name=name),
        load=lambda: load_config(path, name=name),
        status_path=runtime_folder(name) / SOCKET_NAME,
        control_folder=runtime_folder(name),
        repeats=repeats,
    )

    def stop(*_: object) -> None:
        daemon.stop()
        signal.setitimer(signal.ITIMER_REAL, _INTERRUPT_S, _INTERRUPT_S)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGALRM, lambda *_: daemon.interrupt())
    signal.signal(signal.SIGHUP, lambda *_: daemon.reload())
    if early:
        daemon.reload()
    try:
        daemon.run()
    finally:
        # While the interpreter ends, SIGALRM gets its default action back, which is to kill the process.
        signal.setitimer(signal.ITIMER_REAL, 0)
