"""The programs that events start: named by root's configuration alone, each in a thread that waits for it.

A program gets the event as JSON on standard input and in MOTIONSIG_EVENT, and little else: no file descriptor, no
credential, and of the environment only what says where programs are and which language. It has a time limit, after
which it is killed together with what it has started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from motionsig.escaping import own_logger
from motionsig.events import Event, to_json

if TYPE_CHECKING:
    import subprocess

log = own_logger(__name__)

_AT_ONCE = 4  # programs that run at the same time; what would start further ones is skipped
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")
_LAST_S = 0.5  # so long programs may go on when the daemon ends: "ended" of a state may switch off a lamp

Commands = Mapping[tuple[str, str], tuple[str, ...]]


class Programs:
    """Starts a program for each event that has one; never waits for it.

    started, failed: how many were, also those that ran into the limit. skipped: not started, as too many ran.
    """

    def __init__(self, commands: Commands, limit_s: float) -> None:
        """commands: program and arguments by head and phase. limit_s: how long one may run."""
        self.use(commands, limit_s)
        self.started = self.failed = self.skipped = 0
        self._lock = threading.Lock()
        self._running: dict[threading.Thread, subprocess.Popen[bytes] | None] = {}

    def use(self, commands: Commands, limit_s: float) -> None:
        """Start other programs from here on."""
        self._commands, self._limit_s = commands, limit_s

    def start(self, event: Event) -> None:
        """Start the program of an event, where it has one."""
        command = self._commands.get((event.head, event.phase))
        if command is None:
            return
        thread = threading.Thread(
            target=self._run, args=(command, event, self._limit_s), name="motionsig-exec", daemon=True
        )
        with self._lock:
            full = len(self._running) >= _AT_ONCE
            if not full:
                self._running[thread] = None
        try:
            if full:
                raise RuntimeError(f"{_AT_ONCE} programs are running")
            thread.start()
        except RuntimeError as error:
            with self._lock:
                self._running.pop(thread, None)
            self.skipped += 1
            log.warning("exec: %s is not started for %s: %s", command[0], event, error)
        else:
            self.started += 1

    def _run(self, command: tuple[str, ...], event: Event, limit_s: float) -> None:
        """Run a program to its end or its limit, in a thread of its own."""
        problem = ""
        try:
            try:
                problem = self._problem(command, to_json(event), limit_s)
            except OSError as error:
                problem = f"cannot be started: {error.strerror}"
            if problem:
                log.warning("exec: %s for %s %s", command[0], event, problem)
        finally:
            with self._lock:
                del self._running[threading.current_thread()]
                self.failed += bool(problem)

    def _problem(self, command: tuple[str, ...], message: bytes, limit_s: float) -> str:
        """Run a program; return what went wrong with it, empty for nothing."""
        import subprocess

        # What it writes to standard error goes where ours does, which is the journal.
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ}
            | {"MOTIONSIG_EVENT": message.decode()},
            start_new_session=True,
        ) as process:
            with self._lock:
                self._running[threading.current_thread()] = process
            try:
                process.communicate(message, timeout=limit_s)
            except subprocess.TimeoutExpired:
                return f"took longer than {limit_s:g} s and is killed"
            finally:
                # Also what it has left running: programs that never end would add up.
                _kill(process)
            if process.returncode < 0:
                return f"was ended by signal {-process.returncode}"
            return f"ended with {process.returncode}" if process.returncode else ""

    def close(self) -> None:
        """Kill what is still running in a moment."""
        self._commands = {}
        until_s = time.monotonic() + _LAST_S
        with self._lock:
            threads = list(self._running)
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        with self._lock:
            left = [process for process in self._running.values() if process is not None]
        for process in left:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and what it has started, but for what has become another user's, where this is not root."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
