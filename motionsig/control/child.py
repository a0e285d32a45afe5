"""What looks back, as a process of its own: it reads tasks from its input, and writes a line of JSON for each.

It ends with its input, which is when its parent ends, too.
It is niced, has limits of memory and time, and is the first to go where memory is short: what a viewer asks for must
not cost a window.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from motionsig.control import strips
from motionsig.control.asking import FAILED, AskError
from motionsig.errors import MotionsigError

LIMIT_S = 20.0
MOST_BYTES = 1 << 30
"""Of addresses, which libraries of linear algebra reserve and do not use."""
_NICE = 10
_TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "look_back": strips.look_back,
    "alike": strips.alike,
    "stretch": strips.stretch_text,
}


def main() -> None:
    """Do what the parent asks for: pickles of (name, arguments)."""
    # Where a limit cannot be set, the parent's deadline is left.
    with suppress(OSError):
        os.nice(_NICE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("900")
    while True:
        try:
            name, arguments = pickle.load(sys.stdin.buffer)  # of the parent alone, through a pipe
        except EOFError:
            return
        with suppress(OSError, ValueError):
            _, most_s = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + LIMIT_S), most_s))
        sys.stdout.write(f"{json.dumps(_answer(name, arguments))}\n")
        sys.stdout.flush()


def _answer(name: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
    try:
        return {"ok": _TASKS[name](*arguments)}
    except AskError as error:
        return {"kind": error.kind, "text": str(error)}
    except MemoryError:
        return {"kind": FAILED, "text": "expected signatures that fit into memory, got more: ask for less time"}
    except (MotionsigError, OSError) as error:
        return {"kind": FAILED, "text": str(error)}
