"""Where a process becomes the command: `motionsig`, `python -m motionsig`, `python -m motionsig.cli`.

Importing this is enough for Ctrl-C to end the process in one line, while the launcher prepares and the command imports,
which takes seconds on a small board. So this imports nothing but what Python has loaded by then.
"""

from __future__ import annotations

# The module `signal` would take a millisecond more, in which Ctrl-C shows a traceback.
import _signal as signal  # type: ignore[import-not-found]
import os
import sys
import time

_BEGAN_S = time.monotonic()


def main() -> int:
    """Run the command that this process was started for; return its exit code."""
    from motionsig.cli.command_line import run

    return run(sys.argv[1:], _BEGAN_S, imported=_interrupt_as_usual)


def _end(*_: object) -> None:
    # Not by print, which may have been interrupted itself.
    os.write(2, b"motionsig: interrupted\n")
    os._exit(130)


def _end_if_swallowed(what: sys.UnraisableHookArgs) -> None:
    if what.exc_type is KeyboardInterrupt:
        _end()
    sys.__unraisablehook__(what)


def _interrupt_as_usual() -> None:
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# A KeyboardInterrupt would do where nothing swallows it. While modules are imported extension modules do, later on
# finalizers and what runs while Python leaves.
sys.unraisablehook = _end_if_swallowed
# Whoever started this process may have it ignore SIGINT, as shells do for what runs in the background.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
