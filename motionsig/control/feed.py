"""What viewers are told: rows and events of the last two minutes, and the newest of each thing that changes.

A viewer that is slow or gone costs no memory: all read from one ring, each from where it is.
"""

from __future__ import annotations

import json
import threading
from typing import Any

STATUS, HEADS, LESSON = "status", "heads", "lesson"
"""Of these only the newest counts."""


class Feed:
    """What `live` tells. `put` may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._at = 0

    def put(self, key: str, value: Any) -> None:
        """Tell all viewers the newest of `status`, `heads` or `lesson`, those that come later, too."""
        line = json.dumps({key: value}).encode() + b"\n"
        with self._changed:
            self._at += 1
            self._newest[key] = (self._at, line)
            self._changed.notify_all()
