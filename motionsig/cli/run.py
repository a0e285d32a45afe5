"""`motionsig run`: the daemon. Sensor, model and sink as configured, until SIGTERM.

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

from motionsig.cli.option import option
from motionsig.config import DEFAULT_PATH, check_config, load_config
from motionsig.errors import MotionsigError
from motionsig.escaping import escaped

_PACE_S = 30.0  # between two starts that fail: systemd 252 has no growing pause


def add_to(commands: Any) -> None:
    parser = commands.add_parser("run", help="the daemon: sensor to sink, until stopped", description=__doc__)
    where = f"{DEFAULT_PATH} by default; conf.d/*.toml beside it are read after it"
    option(parser, "--config FILE", where, type=Path, default=DEFAULT_PATH)
    option(parser, "--name NAME", "one of several sensors: NAME.toml beside FILE is read last")
    option(parser, "--check", "only print what the configuration sets, or what is wrong")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    if options.check:
        print("\n".join(map(escaped, check_config(load_config(options.config, name=options.name)))))
        return 0
    # The default action would end a daemon that has not read its configuration yet.
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
    """Wait before the end of a second failed start, so that a service manager does not start this every few seconds.

    After a restart by hand the error comes at once. `mark` remembers the last failure, as long as its folder exists.
    """
    if "NOTIFY_SOCKET" not in os.environ:
        return
    with suppress(OSError):
        if mark.exists() and 0 <= time.time() - mark.stat().st_mtime < 2 * _PACE_S:
            time.sleep(_PACE_S)
        mark.touch()
