"""Which paths of a configuration the service may read and write: root, who runs the check, may do more.

motionsig.service has a user of its own (DynamicUser=), ProtectHome=, PrivateTmp= and StateDirectory=.
"""

from __future__ import annotations

import os
from pathlib import Path

_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))


def service_state(instance: str | None) -> Path:
    """Return the state folder of motionsig.service, or of motionsig@INSTANCE.service."""
    return Path("/var/lib", "motionsig" if instance is None else f"motionsig-{instance}")


def unreadable(path: Path) -> str:
    """Return why the service cannot read a file, or list a folder, and what to do; empty if it can."""
    path = path.resolve()
    for hidden in _HIDDEN:
        if path.is_relative_to(hidden):
            return f"{path}: the service sees nothing of {hidden}; move it to /etc/motionsig"
    needed = [(folder, 0o001) for folder in reversed(path.parents)] + [(path, 0o005 if path.is_dir() else 0o004)]
    for each, bits in needed:
        if each.stat().st_mode & bits != bits:
            rights = {0o001: "x", 0o004: "r", 0o005: "rx"}[bits]
            return f"{path}: the service cannot read it; sudo chmod a+{rights} {each}"
    return ""


def unwritable(path: str, instance: str | None) -> str:
    """Return why the service cannot write to a path; empty if it can, or if it is relative: to its state folder."""
    state = service_state(instance)
    if not os.path.isabs(path) or state in Path(os.path.normpath(path)).parents:
        return ""
    return f"the service can write below {state} alone, got {path}"
