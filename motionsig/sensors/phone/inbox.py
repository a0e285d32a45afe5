"""Where the server leaves what the phone sends, and the source takes it from: each sample once, in order, bounded.

One phone owns it: the first that sends the token. The phone proves itself by a secret of its own from then on, so that
an answer that was lost locks nobody out.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.sensors.phone.batches import Batch, Begin, RefusedError

MOST_ROWS = 20_000
"""Rows that wait for whoever reads the source: five minutes; the oldest are dropped."""
_RUNS = 64
"""Runs that are over, whose batches nobody takes again; the oldest are forgotten."""


class Taken(NamedTuple):
    """Part of a run as it came: rows (n, 7) as of a Batch, n may be 0; lost: samples that the phone dropped before."""

    run: str
    first: int
    sent_ms: float
    arrival_ns: int
    tap: int
    rows: NDArray[np.float64]
    lost: int


class Inbox:
    """Shared by the server's thread and the source's.

    token: what the link holds. came_ns: when the phone sent last. hidden: its page was not on screen then. overflows:
    how often rows were dropped because nobody took them. discards: batches that were refused. ask: what the page is to
    ask the person for ("flat"), or None. refused: why the phone is of no use ("gyroscope"), or None. again: how often
    the page was told to listen to its sensors anew.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(16)
        self.came_ns: int | None = None
        self.hidden = False
        self.apple = False
        self.overflows = self.discards = 0
        self.ask: str | None = None
        self.refused: str | None = None
        self.again = 0
        self._phone: str | None = None
        self._run: str | None = None
        self._over: deque[str] = deque(maxlen=_RUNS)
        self._next, self._last_ms = 0, -1.0
        self._waiting: deque[Taken] = deque()
        self._rows = self._dropped = 0
        self._changed = threading.Condition()

    @property
    def owned(self) -> bool:
        """Whether a phone has sent the token."""
        return self._phone is not None

    def begin(self, begin: Begin, now_ns: int) -> dict[str, object] | None:
        """Return the answer to a phone that presents itself; None where it may not come in."""
        known = hmac.compare_digest(begin.token, self.token)
        with self._changed:
            if not known or (self._phone is not None and not hmac.compare_digest(begin.phone, self._phone)):
                return None
            if self._phone is None:
                self._phone, self.apple = begin.phone, begin.apple
            self.came_ns = now_ns
            self._changed.notify_all()
            return self._answer()

    def knows(self, phone: str) -> bool:
        """Tell whether a request is the owner's."""
        return self._phone is not None and hmac.compare_digest(phone.encode(), self._phone.encode())

    def take(self, batch: Batch, now_ns: int) -> dict[str, object]:
        """Take what is new in a batch of the owner; raise RefusedError where it contradicts what came before.

        What came already is left out, and the answer says what is expected next: so a batch may come twice.
        """
        with self._changed:
            if batch.run in self._over:
                return self._answer(batch.first + len(batch.rows))
            if batch.run != self._run:
                if self._run is not None:
                    self._over.append(self._run)
                self._run, self._next, self._last_ms = batch.run, 0, -1.0
            known = max(0, self._next - batch.first)
            rows = batch.rows[known:]
            if len(rows) and rows[0, 0] <= self._last_ms:
                raise RefusedError("order")
            lost = max(0, batch.first - self._next) if len(rows) else 0
            self.came_ns, self.hidden = now_ns, batch.hidden
            self._waiting.append(Taken(batch.run, batch.first + known, batch.sent_ms, now_ns, batch.tap, rows, lost))
            if len(rows):
                self._next, self._last_ms = batch.first + len(batch.rows), float(rows[-1, 0])
            self._rows += len(rows)
            while self._rows > MOST_ROWS or len(self._waiting) > MOST_ROWS:
                oldest = self._waiting.popleft()
                self._rows -= len(oldest.rows)
                self._dropped += len(oldest.rows) + oldest.lost
                self.overflows += 1
            self._changed.notify_all()
            return self._answer(self._next)

    def _answer(self, following: int | None = None) -> dict[str, object]:
        said: dict[str, object] = {"ask": self.ask, "refused": self.refused, "again": self.again}
        return said if following is None else {"next": following, **said}

    def pop(self, wait_s: float) -> list[Taken]:
        """Return what came, waiting for it so long at most."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(wait_s)
            taken, self._rows = list(self._waiting), 0
            self._waiting.clear()
            if taken and self._dropped:
                taken[0] = taken[0]._replace(lost=taken[0].lost + self._dropped)
                self._dropped = 0
            return taken
