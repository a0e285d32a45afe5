"""Sockets that the service manager opened and passes to this process as it starts: see sd_listen_fds(3)."""

from __future__ import annotations

import os

FIRST_FD = 3


def passed_sockets() -> list[tuple[str, int]]:
    """Return the name and the descriptor of each in order, none where none are for this process.

    One without a name is called "unknown", as systemd has it. A process that this one starts does not get them.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = [name for name in os.environ.get("LISTEN_FDNAMES", "").split(":") if name]
    names += ["unknown"] * (count - len(names))
    fds = range(FIRST_FD, FIRST_FD + count)
    for fd in fds:
        os.set_inheritable(fd, False)
    return list(zip(names, fds, strict=False))
