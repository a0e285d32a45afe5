"""The daemon's log: lines that a person can read, each kind only a few times an hour.

The rest is counted: at the end of the next line of its kind, or in a line of its own an hour later.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from motionsig.escaping import OneLine

_PER_S = 3600.0
_AT_MOST = 6  # so many lines of one kind within an hour
ALWAYS = {"always": True}  # the `extra` of a line that answers a request, and is never left out
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))  # for journald, sd-daemon(3)


@dataclass
class _Kind:
    since_s: float
    level: int
    said: int = 0
    left_out: int = 0
    last: str = ""


class Repeats(logging.Filter):
    """Passes a few lines of each kind on; a kind is the place in the code that a line comes from."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, int], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "always", False):
            return True
        now_s = self._clock()
        key = (record.pathname, record.lineno)
        kind = self._kinds.setdefault(key, _Kind(now_s, record.levelno))
        if now_s - kind.since_s >= _PER_S:
            if kind.left_out:
                record.msg, record.args = f"{record.getMessage()} (and {kind.left_out} like it before)", None
            kind = self._kinds[key] = _Kind(now_s, record.levelno)
        if kind.said >= _AT_MOST:
            kind.left_out += 1
            kind.last = record.getMessage()
            return False
        kind.said += 1
        return True

    def overdue(self) -> list[tuple[int, str]]:
        """Return (level, line) for lines left out an hour ago without a next line of their kind; once for each."""
        now_s = self._clock()
        lines = []
        for key, kind in list(self._kinds.items()):
            if now_s - kind.since_s >= _PER_S:
                del self._kinds[key]
                if kind.left_out:
                    lines.append((kind.level, f"{kind.left_out} lines left out, the last: {kind.last}"))
        return lines


class _Priority(OneLine):
    def format(self, record: logging.LogRecord) -> str:
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def log_to_journal(level: int = logging.INFO) -> Repeats:
    """Send all of motionsig's log to standard error, with priorities where systemd's journal reads it."""
    repeats = Repeats()
    handler = logging.StreamHandler(sys.stderr)
    formatter = _Priority if "JOURNAL_STREAM" in os.environ else OneLine
    handler.setFormatter(formatter("%(message)s"))
    handler.addFilter(repeats)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # An error of the log (a full journal, a closed pipe) must not be logged in its turn.
    logging.raiseExceptions = False
    return repeats
