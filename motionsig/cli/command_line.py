"""What stands on a command line, and how a command ends.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. An error is one line on standard error (complaining.py).
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from motionsig.cli.complaining import complain
from motionsig.errors import ConfigError, InputError, MotionsigError
from motionsig.escaping import OneLine
from motionsig.hints import did_you_mean

FAILED, USAGE, INTERRUPTED = 1, 2, 130

COMMANDS = (
    "run", "status", "page", "record", "inspect", "replay", "convert", "teach", "watch", "lookback", "heads", "collect",
    "export", "models", "compile", "sensors", "calibrate", "doctor",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """One line for a wrong usage, instead of the whole synopsis; and --verbose wherever it stands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text = "log what happens on standard error"
        self.add_argument("--verbose", action="store_true", default=argparse.SUPPRESS, help=text)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse an option that there is not before argparse says what is missing instead of it."""
        known = {name: action.help != argparse.SUPPRESS for name, action in self._option_string_actions.items()}
        for word in args:
            if word == "--" or (self._subparsers and not word.startswith("-")):
                break  # what follows is no option, or one of the subcommand
            name = word.partition("=")[0]
            if re.fullmatch(r"--?[A-Za-z][\w-]+", name) and not any(
                option.startswith(name) or (len(option) == 2 and name.startswith(option)) for option in known
            ):
                shown = [option for option, is_shown in known.items() if is_shown]
                self.error(f"expected an option, got {name}{did_you_mean(name, shown)}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print("motionsig", version("motionsig"))
        parser.exit()


def run(arguments: Sequence[str], began_s: float, *, imported: Callable[[], None] = lambda: None) -> int:
    """Run one command; return its exit code. `imported` is called before the command itself begins."""
    try:
        options = _parse(arguments, began_s)
        imported()
        return _execute(options)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)


def _parse(arguments: Sequence[str], began_s: float) -> argparse.Namespace:
    """Return what was asked for: `command`, which takes this namespace, and its options.

    Imports only that command's module: the sensors take about as long as numpy, and a replay needs none.
    """
    # Windows are small and the encoder runs one thread: more threads of linear algebra would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    parser = _Parser(prog="motionsig", description="Turn motion-sensor data into motion signatures.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and end")

    def show_help(_: argparse.Namespace) -> int:
        parser.print_help(sys.stderr)
        return USAGE

    parser.set_defaults(verbose=False, began_s=began_s, command=show_help)
    asked = next((word for word in arguments if not word.startswith("-")), None)
    if asked is not None and asked not in COMMANDS:
        parser.error(f"expected a command, got {asked!r}{did_you_mean(asked, COMMANDS)}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in COMMANDS if asked is None else (asked,):
        command = importlib.import_module(f"motionsig.cli.{name}")
        command.add_to(commands)
        arguments = getattr(command, "completed", list)(arguments)
    return parser.parse_args(arguments)


def _execute(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("motionsig: %(message)s"))
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, handlers=[handler])
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
    complain(reason)
    return code
