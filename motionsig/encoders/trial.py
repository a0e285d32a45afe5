"""What may kill a process, tried in a child with a deadline: where it is wrong it dies of a signal, or hangs.

That is foreign machine code, and a network of anybody's. For the latter the child confines itself (`confinement`) once
its libraries are loaded. Whatever it reports may be the network's words, so it is read as anybody's.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

from motionsig.encoders.tflite import printable

DEADLINE_S = 60.0
"""For the child's imports and its few windows, which take a second on slow machines."""

_MOST_OUTPUT_BYTES = 1 << 20
"""Kept of what a child writes, which may be without end."""

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
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _code(call)],
            env=child_environment(path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # So that it signals no process but its own by accident, and ends with all that it started.
            start_new_session=True,
        )
    except OSError as error:
        return {"failed": f"{what} could not be tried: {sys.executable}: {error.strerror}"}
    with child:
        try:
            output, errors, ended = _said(child, time.monotonic() + deadline_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    reported = _reported(output)
    if not ended:
        return reported | {"failed": f"{what} did not finish within {deadline_s:g} s"}
    if (number := -child.returncode) > 0:
        return reported | {"died": f"{what} died of signal {number} ({signal.strsignal(number)})"}
    if child.returncode or not reported:
        last = errors.decode("ascii", "backslashreplace").strip().splitlines()[-1:] or ["nothing said"]
        return reported | {"failed": f"{what} failed: {one_line(last[0])}"}
    return reported


def command(call: str) -> str:
    """Return the command that makes a call of `run_trial` where all that it writes can be seen."""
    return f"{sys.executable} -c {shlex.quote(_code(call))}"


def one_line(text: str, most: int = 200) -> str:
    """Return foreign text as one printable line."""
    return printable(" ".join(text.split()))[:most]


def report(**found: Any) -> None:
    """Report something to the parent, at once: the next step may be the last."""
    print(f"\n{_REPORT.decode()}{json.dumps(found)}", flush=True)


def _said(child: subprocess.Popen[bytes], until: float) -> tuple[bytes, bytes, bool]:
    """Return the last that a child wrote to both streams, and whether it ended by itself; its exit is awaited then."""
    streams = [stream for stream in (child.stdout, child.stderr) if stream is not None]
    said = {stream.fileno(): b"" for stream in streams}
    with selectors.DefaultSelector() as selector:
        for file in said:
            selector.register(file, selectors.EVENT_READ)
        while selector.get_map() and (left_s := until - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                part = os.read(key.fd, 1 << 16)
                said[key.fd] = (said[key.fd] + part)[-_MOST_OUTPUT_BYTES:]
                if not part:
                    selector.unregister(key.fd)
    output, errors = said.values()
    try:
        child.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return output, errors, False
    return output, errors, True


def _code(call: str) -> str:
    return f"import {call.partition('(')[0].rpartition('.')[0]}; {call}"


def _reported(output: bytes) -> dict[str, Any]:
    reported: dict[str, Any] = {}
    # Runtimes write to both streams as they please, before and after.
    for line in output.splitlines():
        if line.startswith(_REPORT):
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                reported |= json.loads(line.removeprefix(_REPORT))
    return reported
