"""The commands: thin callers of the library.

Here stands only what must be there before anything else is imported, which takes seconds on a small board: from then on
Ctrl-C ends in one line. So this module imports nothing that Python has not loaded by itself.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

INTERRUPTED = 130
"""The exit code that shells give to what SIGINT ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    Without `arguments` this process is the command: its own are taken, and it ends at once when it is interrupted while
    it imports or leaves.
    """
    began_s = time.monotonic()
    try:
        at_once = _ending_at_once() if arguments is None else None
        from motionsig.cli.command_line import execute, parse

        options = parse(sys.argv[1:] if arguments is None else arguments, began_s)
        if at_once is None:
            return execute(options)
        at_once(False)
        try:
            return execute(options)
        finally:
            at_once(True)
    except KeyboardInterrupt:
        _say_interrupted()
        return INTERRUPTED


def _ending_at_once() -> Callable[[bool], Any]:
    """Have Ctrl-C end the process at once; return what turns that off and on.

    A KeyboardInterrupt would do where nothing swallows it: importlib's callbacks and extension modules do.
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
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler:
        return lambda on: None
    signal.signal(signal.SIGINT, end)
    return lambda on: signal.signal(signal.SIGINT, end if on else usual)


def _say_interrupted() -> None:
    # Not by print: it may have been interrupted itself.
    os.write(2, b"motionsig: interrupted\n")
