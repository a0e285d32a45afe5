"""What may kill a process, tried in a child with a deadline: where it is wrong it dies of a signal, or hangs.

That is foreign machine code, and a network of anybody's, which a runtime in C++ takes apart. `confine` is for the
latter: the child gives up root and all else that a network does not need, once its libraries are loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from motionsig.encoders.tflite import printable

DEADLINE_S = 60.0
"""For the child's imports and its few windows, which take a second on slow machines."""

_DYNAMIC_UIDS = range(61184, 65520)
"""Users that nobody is, as systemd chooses them for DynamicUser= (systemd, UIDS-GIDS.md)."""
_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_MOST_MEMORY_BYTES = 1 << 30
"""More than the child has when it is confined; arrays of the largest network that is taken fit in a quarter."""

_REPORT = b"motionsig reports: "
"""Begins each of the child's lines of JSON."""


def child_environment(path: Iterable[str]) -> dict[str, str]:
    """Return the environment of a Python process that imports from `path`; start it with -P, so that it does alone."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(os.fsdecode(part)) for part in path)}


def run_trial(what: str, call: str, path: Iterable[str], deadline_s: float) -> dict[str, Any]:
    """Return all that a child reported before it ended; how it ended badly, too, under "died" or "failed".

    what: the subject of that sentence. call: of a function that reports, as in
    "motionsig.encoders.models.report_golden('cpu')". path: where the child imports from.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", _code(call)],
            env=child_environment(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_s,
        )
    except subprocess.TimeoutExpired as expired:
        return _reported(expired.stdout or b"") | {"failed": f"{what} did not finish within {deadline_s:g} s"}
    except OSError as error:
        return {"failed": f"{what} could not be tried: {sys.executable}: {error.strerror}"}
    reported = _reported(child.stdout)
    if (number := -child.returncode) > 0:
        return reported | {"died": f"{what} died of signal {number} ({signal.strsignal(number)})"}
    if child.returncode or not reported:
        last = child.stderr.decode("ascii", "backslashreplace").strip().splitlines()[-1:] or ["nothing said"]
        return reported | {"failed": f"{what} failed: {one_line(last[0])}"}
    return reported


def confine(*, root_will_do: bool) -> None:
    """Give up root, new processes, new files and much memory, for good; what is open stays open.

    root_will_do: whether to go on as root where the system does not let it go, as in a container without other users.
    Raises OSError where it does not, and may not go on.
    """
    import ctypes

    if os.geteuid() == 0:
        uid = _DYNAMIC_UIDS[os.getpid() % len(_DYNAMIC_UIDS)]  # of no other trial at the time
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        except OSError:
            if not root_will_do:
                raise
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_DATA: _data_bytes() + _MOST_MEMORY_BYTES,
    }
    for what, most in limits.items():
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(OSError):  # systemd's SystemCallFilter=~@resources
            resource.setrlimit(what, (least, least))


def _data_bytes() -> int:
    """Return this process's data and heap, as RLIMIT_DATA counts them (proc_pid_statm(5))."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


def command(call: str) -> str:
    """Return the command that makes a call of `run_trial` where all that it writes can be seen."""
    return f"{sys.executable} -c {shlex.quote(_code(call))}"


def one_line(text: str, most: int = 200) -> str:
    """Return foreign text as one printable line."""
    return printable(" ".join(text.split()))[:most]


def report(**found: Any) -> None:
    """Report something to the parent, at once: the next step may be the last."""
    print(f"\n{_REPORT.decode()}{json.dumps(found)}", flush=True)


def _code(call: str) -> str:
    return f"import {call.partition('(')[0].rpartition('.')[0]}; {call}"


def _reported(output: bytes) -> dict[str, Any]:
    reported: dict[str, Any] = {}
    # Runtimes write to both streams as they please, before and after.
    for line in output.splitlines():
        if line.startswith(_REPORT):
            reported |= json.loads(line.removeprefix(_REPORT))
    return reported
