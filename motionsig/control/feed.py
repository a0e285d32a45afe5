"""What viewers are told: rows and events of the last two minutes, and the newest of each thing that changes.

Signatures alone are kept for longer, for who says of an event some minutes later what it was.

A viewer that is slow or gone costs no memory: all read from one ring, each from where it is. Lines are made in a
viewer's thread, once for all viewers, so that the loop that puts something in is done at once.

An event stands before the row that it came with: so a viewer that has this row has the event, too.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from motionsig.blocks import SignatureBatch, concatenate
from motionsig.closing import Closing
from motionsig.conventions import NS_PER_MS
from motionsig.events import Event, to_json

STATUS, HEADS, LESSON = "status", "heads", "lesson"
"""Of these only the newest counts."""

KEPT_S = 120.0
"""Rows are kept so long, and are made so long after the last viewer has gone: it may be a phone that sleeps."""
SIGNATURES_KEPT_S = 600.0
"""Signatures alone are kept so long, without their lines: 73 bytes each."""
_MOST_KEPT = 8192  # entries: heads may tell more events than there are rows
_MOST_AT_ONCE = 256  # entries that a viewer takes at once
_PIECE = 256  # rows: as thousands of small batches, they would take many times their size
_MOST_PIECES = 32


@dataclass(eq=False)
class _Rows:
    """Signatures at the heads' hop, numbered from seq to before end; scores: by head, (k,) each."""

    stream_id: int
    seq: int
    signatures: SignatureBatch
    scores: Mapping[str, list[float]]
    put_s: float

    @property
    def end(self) -> int:
        return self.seq + len(self.signatures)

    @cached_property
    def line(self) -> bytes:
        return self.line_from(0)

    def line_from(self, first: int) -> bytes:
        """Return the line of the rows from one on."""
        made = self.signatures[first:]
        value = {
            "stream": str(self.stream_id),
            "seq": self.seq + first,
            "start_ms": (made.start_ns // NS_PER_MS).tolist(),
            "codes": base64.b64encode(made.codes.tobytes()).decode(),
            "quality": made.quality.tolist(),
            "scores": {
                head: [round(score, 4) if math.isfinite(score) else None for score in scores[first:]]
                for head, scores in self.scores.items()
            },
        }
        return _line("signatures", value)


@dataclass(eq=False)
class _Told:
    """An event in the ring."""

    event: Event
    put_s: float

    @cached_property
    def line(self) -> bytes:
        return _line("event", json.loads(to_json(self.event)) | {"stream_id": str(self.event.stream_id)})


@dataclass(eq=False)
class _Newest:
    """The newest of something. value: what it is, or a function that returns it."""

    version: int
    key: str
    value: Any

    @cached_property
    def line(self) -> bytes:
        return _line(self.key, self.value() if callable(self.value) else self.value)


class Feed:
    """What `live` tells. All methods may be called from any thread; `put`, `rows` and `event` return at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ring: deque[_Rows | _Told] = deque()
        self._pieces = deque[tuple[float, SignatureBatch]](maxlen=_MOST_PIECES)  # each with when it got its last row
        self._first = 0  # place of the ring's first entry, counted from the start
        self._stream_id: int | None = None  # of the last row
        self._newest: dict[str, _Newest] = {}
        self._version = self._viewers = 0
        self._left_s = -math.inf  # when the last viewer went

    @property
    def wanted(self) -> bool:
        """Whether rows are wanted: somebody watches, or did so a moment ago."""
        return self._viewers > 0 or time.monotonic() - self._left_s < KEPT_S

    def put(self, key: str, value: Any) -> None:
        """Tell all viewers the newest of `status`, `heads` or `lesson`, those that come later, too.

        value: as JSON has it, and not changed later; or a function that returns it, for a viewer's thread to call.
        """
        with self._changed:
            self._version += 1
            self._newest[key] = _Newest(self._version, key, value)
            self._changed.notify_all()

    def again(self, key: str) -> None:
        """Tell all viewers what `put` was given: a function may return something else by now."""
        self.put(key, self._newest[key].value)

    def rows(self, stream_id: int, seq: int, signatures: SignatureBatch, scores: Mapping[str, list[float]]) -> None:
        """Tell signatures in the wall clock's time, and their scores by head, after the events that came with them."""
        self._add(_Rows(stream_id, seq, signatures, scores, time.monotonic()))
        self._stream_id = stream_id
        self._keep(signatures, time.monotonic())

    def event(self, event: Event) -> None:
        """Tell an event."""
        if self.wanted:
            self._add(_Told(event, time.monotonic()))

    def _add(self, entry: _Rows | _Told) -> None:
        with self._changed:
            self._ring.append(entry)
            while len(self._ring) > _MOST_KEPT or self._ring[0].put_s < entry.put_s - KEPT_S:
                self._ring.popleft()
                self._first += 1
            self._changed.notify_all()

    def _keep(self, made: SignatureBatch, now_s: float) -> None:
        with self._changed:
            while self._pieces and self._pieces[0][0] < now_s - SIGNATURES_KEPT_S:
                self._pieces.popleft()
            if self._pieces:
                _, last = self._pieces[-1]
                if len(last) < _PIECE and (last.spec, last.hop_ns) == (made.spec, made.hop_ns):
                    made = concatenate([last, made])
                    self._pieces.pop()
            self._pieces.append((now_s, made))

    def recent(self, from_ns: int, to_ns: int, encoder: bytes) -> SignatureBatch | None:
        """Return the windows of an encoder that overlap a stretch and are still kept here, or None."""
        with self._changed:
            kept = [made for _, made in self._pieces]
        same = [made for made in kept if made.spec.fingerprint == encoder]
        same = [made for made in same if made.hop_ns == same[-1].hop_ns]
        if not same:
            return None
        whole = concatenate(same)
        chosen = (whole.start_ns < to_ns) & (whole.start_ns + whole.spec.length_ns > from_ns)
        return whole[chosen] if chosen.any() else None

    def viewer(self, after: tuple[int, int] | None = None) -> Viewer:
        """Return a viewer, which goes on after a row of a stream, or begins now; close it."""
        return Viewer(self, after)


class Viewer(Closing):
    """One viewer's way through the feed."""

    def __init__(self, feed: Feed, after: tuple[int, int] | None) -> None:
        self._feed, self._open = feed, True
        self._versions = 0  # up to which it knows the newest of everything
        self._last = after  # stream and number of the last row that it was told
        self._waiting: list[bytes] = []
        with feed._changed:
            feed._viewers += 1
            self._place = feed._first + len(feed._ring)
            if after is not None:
                self._resume(*after)

    def _resume(self, stream_id: int, seq: int) -> None:
        """Find the place after a row, or say what was missed."""
        feed = self._feed
        rows = [(place, entry) for place, entry in enumerate(feed._ring, feed._first) if isinstance(entry, _Rows)]
        same = [(place, entry) for place, entry in rows if entry.stream_id == stream_id]
        if not same or seq >= same[-1][1].end or seq < same[0][1].seq - 1:
            self._place, self._last = feed._first, None
            here = bool(same) and seq < same[0][1].seq
            missed = same[0][1].seq - seq - 1 if here else None
            why = "too_old" if here or (not same and stream_id == feed._stream_id) else "restarted"
            self._waiting.append(_line("gap", {"missed": missed, "why": why}))
            return
        for place, entry in same:
            if entry.seq <= seq < entry.end - 1:
                # It was told in part, to a viewer that had gone on in the middle of it.
                self._place, self._last = place + 1, (stream_id, entry.end - 1)
                self._waiting.append(entry.line_from(seq + 1 - entry.seq))
                return
        known = [place for place, _ in rows if place < same[0][0]]
        known += [place for place, entry in same if entry.end <= seq + 1]
        self._place = known[-1] + 1 if known else feed._first

    def next(self, timeout_s: float) -> list[bytes]:
        """Return the lines that there are now, or that come within so long; none where none comes."""
        feed = self._feed
        with feed._changed:
            feed._changed.wait_for(self._is_behind, timeout_s)
            lines, self._waiting = self._waiting, []
            newest = sorted(feed._newest.values(), key=lambda one: one.version)
            newest = [one for one in newest if one.version > self._versions]
            self._versions = feed._version
            if self._place < feed._first:  # it was too slow
                lines.append(_line("gap", {"missed": self._missed(), "why": "too_old"}))
                self._place, self._last = feed._first, None
            begin = self._place - feed._first
            entries = list(itertools.islice(feed._ring, begin, begin + _MOST_AT_ONCE))
            self._place += len(entries)
        lines += (one.line for one in newest)
        for entry in entries:
            if isinstance(entry, _Rows):
                stream_id, last = self._last or (entry.stream_id, entry.seq - 1)
                if stream_id == entry.stream_id and last < entry.seq - 1:
                    # While nobody watched, heads judged some that are not kept; or the device lost some.
                    lines.append(_line("gap", {"missed": entry.seq - 1 - last, "why": "too_old"}))
                self._last = (entry.stream_id, entry.end - 1)
            lines.append(entry.line)
        return lines

    def _is_behind(self) -> bool:
        feed = self._feed
        return bool(self._waiting) or self._versions < feed._version or self._place < feed._first + len(feed._ring)

    def _missed(self) -> int | None:
        """Return how many rows there were between the last one that it was told and the first that is kept."""
        first = next((entry for entry in self._feed._ring if isinstance(entry, _Rows)), None)
        if first is None or self._last is None or first.stream_id != self._last[0]:
            return None
        return max(0, first.seq - self._last[1] - 1)

    def close(self) -> None:
        """Watch no longer."""
        with self._feed._changed:
            if self._open:
                self._open = False
                self._feed._viewers -= 1
                self._feed._left_s = time.monotonic()


def _line(key: str, value: Any) -> bytes:
    return to_line({key: value})


def to_line(value: Any) -> bytes:
    """Return a value as a line."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
