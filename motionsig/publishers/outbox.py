"""What to send next, what is on its way and what may be forgotten, without the network and the clock.

A connection begins with what was spooled before it. If that were sent first, live signatures would wait behind a day's
backlog; so there are two lanes over two ranges of the spool, the live one first, the backlog filling the rest of the
window. After a lost connection all that is left is backlog again.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from motionsig import wire
from motionsig.blocks import concatenate
from motionsig.errors import WireError
from motionsig.publishers.log import Position, Record
from motionsig.publishers.messages import MAX_ROWS
from motionsig.publishers.spool import Spool

logger = logging.getLogger(__name__)

_DECODE_ROWS = 64
"""Records decoded at once: the live lane waits no longer than that takes."""

SMALL_BACKLOG_BYTES = 64 * 1024
"""A backlog up to this size is sent in the same lane as live signatures: that takes about one window."""


class _Waiting(NamedTuple):
    """A spooled record, decoded and not yet sent. since_s: when it was first seen."""

    record: Record
    message: wire.Message
    since_s: float


@dataclass(slots=True)
class Outgoing:
    """A message on its way, or arrived and held. records: end and count of signatures of each record in it."""

    device: str
    payload: bytes
    records: list[tuple[Position, int]]
    sent_s: float
    new_bytes: int
    acknowledged: bool = False
    acknowledged_s: float = math.inf


@dataclass(frozen=True)
class Joining:
    """How records become messages, and how long an acknowledged one is held."""

    max_message_bytes: int
    delay_s: float
    hold_s: float
    compress: bool = False


class Lane:
    """Joins the records of one range of the spool into messages and follows each until it is forgotten.

    until: the position where the range ends. What lies before `early` has been waiting since `early_s`.
    progress_s: when the last message was acknowledged.
    """

    def __init__(
        self,
        spool: Spool,
        joining: Joining,
        *,
        first: Position,
        until: Position | None,
        early: Position,
        early_s: float,
    ) -> None:
        self.progress_s = -math.inf
        self._spool = spool
        self._joining = joining
        self._first = self._read = first
        self._until = until
        self._early = early
        self._early_s = early_s
        self._records: deque[Record] = deque()
        self._waiting: deque[_Waiting] = deque()
        self._on_way: deque[Outgoing] = deque()
        self._held: deque[Outgoing] = deque()
        self._head: tuple[wire.Message, int] | None = None
        self._shrink = 1.0

    @property
    def on_way(self) -> int:
        """Messages sent and not yet acknowledged, and those behind them."""
        return len(self._on_way)

    def _fetch(self, now_s: float) -> bool:
        """Read on in the spool; return whether there was anything."""
        if not self._records:
            self._records.extend(self._spool.read(self._read, self._until))
            if not self._records:
                return False
            self._read = self._records[-1].end
        given_up, why = 0, ""
        for _ in range(min(_DECODE_ROWS, len(self._records))):
            record = self._records.popleft()
            try:
                message = wire.decode(record.payload)
            except WireError as error:
                given_up += record.rows if self._spool.give_up(record) else 0
                why = str(error)
                continue
            since_s = self._early_s if record.start < self._early else now_s
            self._waiting.append(_Waiting(record, message, since_s))
        if given_up:
            logger.warning("%s: %d signatures cannot be sent and are dropped: %s", self._spool.path, given_up, why)
        return True

    def next(self, now_s: float, flush_to: Position | None = None) -> Outgoing | None:
        """Return the next message that is full, has waited long enough, or starts before `flush_to`."""
        while self._waiting and not self._spool.holds(self._waiting[0].record.start):
            self._waiting.popleft()
        count = self._fitting()
        while count == len(self._waiting) and self._fetch(now_s):
            count = self._fitting()
        if not count or (count == len(self._waiting) and self._due_s(flush_to) > now_s):
            return None
        taken, payload = self._compose(count)
        for one in taken:
            self._waiting.popleft()
            self._spool.note_sent(one.record.end)
        rows = sum(one.record.rows for one in taken)
        new_rows = sum(one.record.rows for one in taken if not one.record.again)
        outgoing = Outgoing(
            taken[0].message.device,
            payload,
            [(one.record.end, one.record.rows) for one in taken],
            now_s,
            round(len(payload) * new_rows / rows),
        )
        self._on_way.append(outgoing)
        return outgoing

    def _due_s(self, flush_to: Position | None) -> float:
        if not self._waiting:
            return math.inf
        # What was sent before, here or by an earlier process, has waited already.
        oldest = self._waiting[0]
        if oldest.record.again or (flush_to is not None and oldest.record.start < flush_to):
            return -math.inf
        return oldest.since_s + self._joining.delay_s

    def due_in_s(self, now_s: float) -> float:
        """Return how long until what waits has to leave; infinite when nothing waits."""
        return max(0.0, self._due_s(None) - now_s)

    def _fitting(self) -> int:
        """Return how many of the records that wait can leave as one message, by estimate."""
        if not self._waiting:
            return 0
        first = self._waiting[0]
        head = self._head_bytes(first.message)
        size = len(first.record.payload) - head
        previous = first.message
        rows = len(previous.signatures)
        for count in range(1, len(self._waiting)):
            candidate = self._waiting[count]
            size += max(1, len(candidate.record.payload) - head)
            rows += len(candidate.message.signatures)
            too_large = head + size * self._shrink > self._joining.max_message_bytes or rows > MAX_ROWS
            follows = candidate.message.seq == previous.seq + len(previous.signatures)
            if too_large or not (follows and _same_stream(previous, candidate.message)):
                return count
            previous = candidate.message
        return len(self._waiting)

    def _head_bytes(self, message: wire.Message) -> int:
        """Return what a message costs beside its codes: what joining two of them saves."""
        if self._head is None or not _same_stream(self._head[0], message):
            alone = wire.Message(message.device, message.stream_id, message.seq, message.signatures[:1])
            self._head = (alone, len(wire.encode(alone)) - alone.signatures.codes.shape[1])
        return self._head[1]

    def _compose(self, count: int) -> tuple[list[_Waiting], bytes]:
        limit = self._joining.max_message_bytes
        while True:
            taken = [self._waiting[row] for row in range(count)]
            if count == 1:
                return taken, taken[0].record.payload
            first = taken[0].message
            signatures = concatenate([one.message.signatures for one in taken])
            payload = wire.encode(
                wire.Message(first.device, first.stream_id, first.seq, signatures), compress=self._joining.compress
            )
            if self._joining.compress:
                # Joined signatures compress better than each alone; remember by how much.
                head = self._head_bytes(first)
                apart = sum(len(one.record.payload) - head for one in taken)
                self._shrink = min(1.0, max(0.05, (len(payload) - head) / max(1, apart)))
            if len(payload) <= limit:
                return taken, payload
            count = min(count - 1, max(1, count * limit // len(payload)))

    def settle(self, heard_s: float) -> int:
        """Work through the messages marked as acknowledged, in order; return how many signatures that delivered."""
        delivered = 0
        while self._on_way and self._on_way[0].acknowledged:
            outgoing = self._on_way.popleft()
            outgoing.acknowledged_s = self.progress_s = heard_s
            # A message that is sent again after a lost connection may hold records settled before.
            delivered += sum(count for end, count in outgoing.records if self._spool.acknowledge(end, count))
            self._held.append(outgoing)
        while self._held and self._held[0].acknowledged_s + self._joining.hold_s <= heard_s:
            self._forget()
        return delivered

    def _forget(self) -> None:
        self._spool.forget(self._first, self._held.popleft().records[-1][0])

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest message on its way has been the oldest."""
        return now_s - max(self._on_way[0].sent_s, self.progress_s) if self._on_way else 0.0

    def finish(self) -> None:
        """Forget what is held: after a connection that ended well."""
        while self._held:
            self._forget()


class Outbox:
    """The lanes of the present connection; none without one. The caller brings time and network.

    in_flight: messages on their way at most, in either lane; the backlog takes what the live one leaves of it.
    delivered: signatures acknowledged. progress_s: when the last of them was. payload_bytes: of all messages, each
    signature once, left-overs of an earlier run not counted.
    """

    def __init__(self, spool: Spool, joining: Joining, *, in_flight: int, now_s: float) -> None:
        self.delivered = 0
        self.payload_bytes = 0
        self.progress_s = -math.inf
        self._spool = spool
        self._joining = joining
        self._in_flight = in_flight
        self._lost_s = now_s
        self._lanes: tuple[Lane, ...] = ()

    def connect(self) -> None:
        """Begin with everything that is still to be delivered, what is there already as the backlog."""
        split = self._spool.backlog_end(SMALL_BACKLOG_BYTES)
        first, end = self._spool.first, self._spool.end
        live = Lane(self._spool, self._joining, first=split, until=None, early=end, early_s=self._lost_s)
        backlog = Lane(self._spool, self._joining, first=first, until=split, early=end, early_s=-math.inf)
        self._lanes = (live, backlog)

    def next(self, now_s: float, flush_to: Position | None = None) -> Outgoing | None:
        """Return the next message to send now, None where nothing is due or enough is on its way."""
        on_way = 0
        for lane in self._lanes:
            on_way += lane.on_way
            # The live lane comes first, so only the backlog finds a window that the other one uses, too.
            if on_way < self._in_flight and (outgoing := lane.next(now_s, flush_to)) is not None:
                self.payload_bytes += outgoing.new_bytes
                return outgoing
        return None

    def due_in_s(self, now_s: float) -> float:
        """Return how long until what waits has to leave; infinite when nothing does, or an acknowledgement is first."""
        due_s, on_way = math.inf, 0
        for lane in self._lanes:
            on_way += lane.on_way
            if on_way < self._in_flight:
                due_s = min(due_s, lane.due_in_s(now_s))
        return due_s

    def settle(self, heard_s: float) -> None:
        """Work through the messages marked as acknowledged; `heard_s` is when the broker last spoke."""
        delivered = sum(lane.settle(heard_s) for lane in self._lanes)
        self.delivered += delivered
        self.progress_s = max([self.progress_s, *(lane.progress_s for lane in self._lanes)])

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest message on its way in a lane has been the oldest."""
        return max((lane.stalled_s(now_s) for lane in self._lanes), default=0.0)

    def disconnect(self, now_s: float) -> None:
        """Give up what is on its way and what is held: after a connection that did not end well."""
        self._lanes = ()
        self._lost_s = now_s

    def finish(self) -> None:
        """Forget what is held: after a connection that ended well."""
        for lane in self._lanes:
            lane.finish()
        self._lanes = ()


def _same_stream(one: wire.Message, other: wire.Message) -> bool:
    return (one.device, one.stream_id, one.signatures.hop_ns, one.signatures.spec) == (
        other.device,
        other.stream_id,
        other.signatures.hop_ns,
        other.signatures.spec,
    )
