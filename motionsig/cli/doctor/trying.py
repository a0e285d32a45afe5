"""Foreign machine code, tried in a child process with a deadline: where it is wrong it dies of a signal, or hangs."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from motionsig.errors import MissingExtraError, MotionsigError

DEADLINE_S = 60.0
"""For the child's imports and its few windows, which take a second on slow machines."""

TOLD = b"motionsig doctor: "
"""Begins each of the child's lines of JSON."""


def tried(what: str, call: str, path: Sequence[str], deadline_s: float) -> dict[str, Any]:
    """Return all that a child told before it ended; what became of it, too, under "died" or "failed".

    what: the subject of that sentence. call: one of a module of this package, as in "trying.tell_golden('cpu')". path:
    where the child imports from.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(part) for part in path)}
    try:
        # -P: nothing but `path` is searched, so that the child finds what this process would.
        child = subprocess.run(
            [sys.executable, "-P", "-c", _code(call)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_s,
        )
    except subprocess.TimeoutExpired as expired:
        return _told(expired.stdout or b"") | {"failed": f"{what} did not finish within {deadline_s:g} s"}
    except OSError as error:
        return {"failed": f"{what} could not be tried: {sys.executable}: {error.strerror}"}
    told = _told(child.stdout)
    if child.returncode < 0:
        name = signal.strsignal(-child.returncode)
        return told | {"died": f"{what} died of signal {-child.returncode} ({name})"}
    if child.returncode or not told:
        last = child.stderr.decode("ascii", "backslashreplace").strip().splitlines()[-1:] or ["nothing said"]
        return told | {"failed": f"{what} failed: {one_line(last[0])}"}
    return told


def command(call: str) -> str:
    """Return the command that makes a call of `tried` where all that it says can be seen."""
    return f"{sys.executable} -c {shlex.quote(_code(call))}"


def one_line(text: str, most: int = 200) -> str:
    """Return foreign words as one printable line."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))[:most]


def tell(**told: Any) -> None:
    """Say something to the parent, at once: the next step may be the last."""
    print(f"\n{TOLD.decode()}{json.dumps(told)}", flush=True)


def tell_golden(device: str, model: str | None = None) -> None:
    """Run a model's golden windows on a device and tell how far the codes are off: all that a child does."""
    from motionsig.encoders import golden_distance, open_encoder

    try:
        with open_encoder(model, device=device) as encoder:
            worst, tolerance = golden_distance(encoder)
            tell(device=encoder.device, worst=worst, tolerance=tolerance)
    except MissingExtraError as error:
        tell(missing=str(error).partition(";")[0])
    except (MotionsigError, OSError) as error:
        tell(failed=f"{model or 'the shipped model'} does not run: {one_line(str(error), 400)}")


def _code(call: str) -> str:
    return f"from motionsig.cli.doctor import {call.partition('.')[0]}; {call}"


def _told(output: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {}
    # Runtimes write to both streams as they please, before and after.
    for line in output.splitlines():
        if line.startswith(TOLD):
            told |= json.loads(line.removeprefix(TOLD))
    return told
