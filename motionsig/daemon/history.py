"""What a service keeps to look back on, where its sink keeps nothing that can be read here: a store beside the sink.

It has a thread of its own: whatever the disk does, the loop goes on and the sink gets all. Signatures are written some
at a time, as each write costs the flash the same whether it is of one or of many.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motionsig import wire
from motionsig.blocks import SignatureBatch
from motionsig.closing import Closing
from motionsig.daemon.numbered import Numbered, first_run
from motionsig.errors import MotionsigError
from motionsig.escaping import own_logger
from motionsig.events import Event
from motionsig.publishers import Sink, open_sink
from motionsig.state import state_folder

log = own_logger(__name__)

MOST_BYTES = 256 << 20
"""Of the store: a month and more at the default hop."""
_HELD_S = 60.0  # signatures wait so long for each other
_MOST_ROWS = 256  # a power cut loses no more of them
_MOST_WAITING = 4096  # batches that wait for a disk that does not answer
_PAUSE_S = 60.0  # after a failure
_CLOSE_S = 2.0


def history_path() -> Path:
    """Return the place of the store."""
    return state_folder() / "history.db"


class History(Closing):
    """Keeps signatures and events; no method raises, or waits for a disk.

    last_error: why nothing is kept at present; signatures, lost: how many were kept since the start, and how many not.
    """

    def __init__(self, device: str, days: float) -> None:
        self._device, self._days = device, days
        self._waiting = queue.Queue[tuple[str, Any]](_MOST_WAITING)
        self.last_error: str | None = None
        self.signatures = self.lost = 0
        self._sink: Sink | None = None
        self._retry_s = 0.0
        self._held: list[Numbered] = []
        self._held_s = 0.0
        self._clock: wire.Clock | None = None
        self._thread = threading.Thread(target=self._run, name="motionsig-history", daemon=True)
        self._thread.start()

    def set_clock(self, clock: wire.Clock) -> None:
        """Hear of the clock that gives times from here on."""
        self._put("clock", clock)

    def take(self, stream_id: int, seq: int, signatures: SignatureBatch) -> None:
        """Keep signatures, numbered from `seq` up in that stream."""
        self._put("signatures", Numbered(stream_id, seq, signatures))

    def take_events(self, events: Sequence[Event]) -> None:
        """Keep events."""
        self._put("events", list(events))

    def close(self) -> None:
        """Write what is there, if the disk takes it soon."""
        self._put("end", None)
        self._thread.join(_CLOSE_S)

    def _put(self, kind: str, value: Any) -> None:
        try:
            self._waiting.put_nowait((kind, value))
        except queue.Full:
            self.last_error = "the disk does not take what is kept to look back on"
            self.lost += 1

    def _run(self) -> None:
        while True:
            try:
                kind, value = self._waiting.get(timeout=_HELD_S / 4)
            except queue.Empty:
                kind, value = "", None
            try:
                self._do(kind, value)
            except (MotionsigError, OSError) as error:
                self._fail(str(error))
            if kind == "end":
                return

    def _do(self, kind: str, value: Any) -> None:
        if kind == "clock":
            self._write()
            self._clock = value
            if self._sink is not None:
                self._announce(self._sink)
        elif kind == "signatures":
            if not self._held:
                self._held_s = time.monotonic()
            self._held.append(value)
        elif kind == "events":
            self._write()
            if (sink := self._opened()) is not None:
                sink.publish_events(value)
        if (
            kind == "end"
            or _rows(self._held) >= _MOST_ROWS
            or (self._held and time.monotonic() - self._held_s >= _HELD_S)
        ):
            self._write()
        if kind == "end" and self._sink is not None:
            self._sink.close()

    def _opened(self) -> Sink | None:
        """Return the store, None while it cannot be used."""
        if self._sink is None and time.monotonic() >= self._retry_s:
            path = history_path()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            limits = {"keep_days": self._days, "keep_bytes": MOST_BYTES}
            self._sink = open_sink(f"store:{path}", device=self._device, stream_id=0, **limits)
            self._announce(self._sink)
        return self._sink

    def _announce(self, sink: Sink) -> None:
        if self._clock is not None and (announce := getattr(sink, "set_clock", None)) is not None:
            announce(self._clock)

    def _write(self) -> None:
        """Write what is held; what cannot be written is lost, as there will be more."""
        held, self._held = self._held, []
        rows = _rows(held)
        if not rows:
            return
        try:
            sink = self._opened()
            if sink is None:
                self.lost += rows
                return
            while held:
                (stream_id, seq, made, _), batches = first_run(held, rows)
                sink.begin(stream_id, seq)
                sink.publish(made)
                del held[:batches]
        except (MotionsigError, OSError):
            self.lost += rows
            raise
        self.signatures += rows
        if self.last_error is not None:
            log.info("what is kept to look back on is written again")
        self.last_error = None

    def _fail(self, error: str) -> None:
        if error != self.last_error:
            log.error("%s; nothing is kept to look back on, trying again; the sink gets all", error)
        self.last_error = error
        self._retry_s = time.monotonic() + _PAUSE_S
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            except (MotionsigError, OSError) as also:
                log.error("%s", also)


def _rows(held: Sequence[Numbered]) -> int:
    return sum(len(one.signatures) for one in held)
