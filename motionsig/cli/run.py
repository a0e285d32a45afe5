"""`motionsig run`: the daemon. A sensor, a model and a sink as the configuration says, until SIGTERM.

SIGHUP reads the configuration again.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from motionsig.config import DEFAULT_PATH, check_config, load_config
from motionsig.errors import MotionsigError

_PACE_S = 30.0
"""Between two starts that fail; systemd 252 knows no pause that grows."""


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
    from motionsig.daemon.process import serve
    from motionsig.daemon.status_socket import runtime_folder

    try:
        serve(options.config, options.name)
    except (MotionsigError, OSError):
        _pace(runtime_folder(options.name) / "failed")
        raise
    return 0


def _pace(mark: Path) -> None:
    """Keep a service manager that starts this again and again from doing so every few seconds, but for the first time.

    Whoever restarts it by hand gets its answer at once. The mark outlives the process where the folder does.
    """
    if "NOTIFY_SOCKET" not in os.environ:
        return
    with suppress(OSError):
        if mark.exists() and 0 <= time.time() - mark.stat().st_mtime < 2 * _PACE_S:
            time.sleep(_PACE_S)
        mark.touch()
