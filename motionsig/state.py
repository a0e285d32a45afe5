"""Where motionsig keeps what outlives a process: spools, calibrations, models."""

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


def models_folder() -> Path:
    """Return the folder of the installed models; $MOTIONSIG_MODELS names another."""
    return Path(os.environ.get("MOTIONSIG_MODELS") or "/var/lib/motionsig-models")


def shipped_folder() -> Path:
    """Return the folder of the models that came with motionsig."""
    package = Path(__file__).resolve().parent
    # In a source tree they lie beside the package, also where Python was started in it and motionsig is installed.
    in_package, in_tree = package / "firmware_models", package.parent / "firmware_models"
    return in_package if in_package.is_dir() else in_tree
