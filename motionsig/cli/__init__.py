"""The commands: thin callers of the library.

Exit codes: 0 done, 1 failed, 2 wrong usage. An error is one line on standard error.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from motionsig.errors import ConfigError, InputError, MotionsigError

DONE, FAILED, USAGE = 0, 1, 2

_COMMANDS = (
    "run", "status", "record", "replay", "collect", "export", "models", "compile", "sensors", "calibrate", "doctor",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """One line for a wrong usage, instead of the whole synopsis."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _fail("interrupted", FAILED)


def _run(arguments: Sequence[str] | None) -> int:
    # Windows are small and the encoder runs one thread: more threads of linear algebra would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    parser = _Parser(prog="motionsig", description="Turn motion-sensor data into motion signatures.")
    parser.add_argument("--version", action="version", version=f"motionsig {version('motionsig')}")
    parser.add_argument("--verbose", action="store_true", help="log what happens on standard error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    given = sys.argv[1:] if arguments is None else arguments
    asked = next((word for word in given if not word.startswith("-")), None)
    # Only what is asked for is imported: the sensors take about as long as numpy, and a replay needs none.
    for name in (asked,) if asked in _COMMANDS else _COMMANDS:
        command = importlib.import_module(f"motionsig.cli.{name}")
        command.add_to(commands)
        given = getattr(command, "completed", list)(given)
    options = parser.parse_args(given)
    if "command" not in options:
        parser.print_help(sys.stderr)
        return USAGE
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="motionsig: %(message)s")
    try:
        code: int = options.command(options)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except ConfigError as error:
        return max(_fail(problem, USAGE) for problem in error.problems)
    except InputError as error:
        return _fail(error, USAGE)
    except BrokenPipeError:
        # Whoever read our output has seen enough; what Python still holds of it goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (MotionsigError, OSError) as error:
        return _fail(error, FAILED)


def _fail(reason: object, code: int) -> int:
    print("motionsig:", " ".join(str(reason).split()), file=sys.stderr)
    return code
