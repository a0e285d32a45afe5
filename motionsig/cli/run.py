"""`motionsig run`: the daemon. A sensor, a model and a sink as the configuration says, until SIGTERM.

SIGHUP reads the configuration again.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

from motionsig.config import DEFAULT_PATH, check_config, load_config


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("run", help="the daemon: sensor to sink, until stopped", description=__doc__)
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_PATH,
        metavar="FILE",
        help=f"{DEFAULT_PATH} by default; conf.d/*.toml beside it come after it",
    )
    parser.add_argument("--name", metavar="NAME", help="one of several: NAME.toml beside FILE comes last")
    parser.add_argument(
        "--check", action="store_true", help="only say what the configuration would do, or what is wrong"
    )
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    if options.check:
        print("\n".join(check_config(load_config(options.config, name=options.name))))
        return 0
    # Its default would end a daemon that has not read its configuration yet.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from motionsig.daemon import serve

    serve(options.config, options.name)
    return 0
