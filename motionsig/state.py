"""Where motionsig keeps what outlives a process: spools, calibrations."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path


def state_folder() -> Path:
    """Return the folder of all of it: $STATE_DIRECTORY under systemd, else in the user's state."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(home, "motionsig")


def state_path(kind: str, name: str) -> Path:
    """Return the place of one thing of a kind."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100]
    if safe != name:
        # Two names that differ only in what was replaced must not share a place.
        safe += "-" + hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return state_folder() / kind / safe
