"""The page's unit: `python -m motionsig.page [CONTROL]` serves on the sockets that systemd passed.

$STATE_DIRECTORY and $RUNTIME_DIRECTORY are the unit's folders. Nothing of the command line is imported: it would take
more memory than the page.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from motionsig.errors import MotionsigError
from motionsig.escaping import OneLine
from motionsig.page.serving import passed_listeners, serve

_CONTROL = "/run/motionsig-control.sock"
"""As in motionsig-control.socket."""

_IDLE_S = 60.0


def main() -> int:
    """Serve until nobody comes for a minute; return the exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        listeners = passed_listeners()
        if not listeners:
            print("expected sockets passed by systemd, got none; see `motionsig page`", file=sys.stderr)
            return 2
        state, codes = Path(os.environ["STATE_DIRECTORY"]), Path(os.environ["RUNTIME_DIRECTORY"])
        serve(listeners, control=Path(*sys.argv[1:] or [_CONTROL]), codes=codes, state=state, idle_s=_IDLE_S)
    except MotionsigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
