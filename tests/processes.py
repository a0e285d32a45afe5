"""What several tests ask of a process, and how long one may stand still."""

import contextlib
from pathlib import Path

STALL_S = 10.0
"""So much longer than it promises may anything take on a machine under load, which may stand still for seconds.

A limit with it still tells the promise from what would happen without: that takes longer, or never ends.
"""


def is_running(process_id):
    try:
        # A killed orphan may be waiting for whoever takes its exit code.
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(process_id):
    """Return the children of all threads of a process. A thread may end between the listing and its reading."""
    found = []
    for task in _listed(Path(f"/proc/{process_id}/task")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, (task / "children").read_text().split())
    return found


def command_of(process_id):
    """Return the command line of a process; an empty one where it has ended."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _listed(folder):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return list(folder.iterdir())
    return []
