"""The commands: thin callers of the library.

Importing takes seconds on a small board, and Ctrl-C ends that in one line, too: so this module imports nothing that
Python has not loaded by itself.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

INTERRUPTED = 130  # the exit code that shells give to what SIGINT ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Without `arguments` this process is the command, and takes its own."""
    began_s = time.monotonic()
    try:
        imported = _end_at_once_until() if arguments is None else lambda: None
        from motionsig.cli.command_line import execute, parse

        options = parse(sys.argv[1:] if arguments is None else arguments, began_s)
        imported()
        return execute(options)
    except KeyboardInterrupt:
        _say_interrupted()
        return INTERRUPTED


def _end_at_once_until() -> Callable[[], Any]:
    """Have Ctrl-C end the process at once, until what is returned is called.

    A KeyboardInterrupt would do where nothing swallows it, as extension modules do. Afterwards finalizers and whatever
    runs while Python leaves can still swallow it; those end the process, too.
    """
    import signal

    def end(*_: object) -> None:
        _say_interrupted()
        os._exit(INTERRUPTED)

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is KeyboardInterrupt:
            end()
        sys.__unraisablehook__(what)

    sys.unraisablehook = unraisable
    # Whoever started this process may have it ignore SIGINT, as shells do for what runs in the background.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return lambda: None
    signal.signal(signal.SIGINT, end)
    return lambda: signal.signal(signal.SIGINT, signal.default_int_handler)


def _say_interrupted() -> None:
    # Not by print: it may have been interrupted itself.
    os.write(2, b"motionsig: interrupted\n")
