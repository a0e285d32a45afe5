"""What to send next, what is on its way and what may be forgotten: a sender without its network and its clock."""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from motionsig import wire
from motionsig.blocks import concatenate
from motionsig.errors import WireError
from motionsig.publishers.messages import MAX_ROWS
from motionsig.publishers.spool import Position, Spool

logger = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """A spooled record, read and not yet sent. since_s: when it was first seen."""

    payload: bytes
    message: wire.Message
    start: Position
    end: Position
    since_s: float


@dataclass(slots=True)
class Outgoing:
    """A message on its way, or arrived and held. records: end and count of signatures of each record in it."""

    device: str
    payload: bytes
    records: list[tuple[Position, int]]
    sent_s: float
    acknowledged: bool = False
    acknowledged_s: float = math.inf


class Outbox:
    """Joins spooled records into messages and follows each until it is forgotten; the caller brings time and network.

    delivered: signatures acknowledged. progress_s: when the last of them was. payload_bytes: of all messages, each
    signature once, left-overs of an earlier run not counted.
    """

    def __init__(
        self, spool: Spool, *, max_message_bytes: int, delay_s: float, hold_s: float, compress: bool = False
    ) -> None:
        self.delivered = 0
        self.payload_bytes = 0
        self._spool = spool
        self._max_message_bytes = max_message_bytes
        self._delay_s = delay_s
        self._hold_s = hold_s
        self._compress = compress
        # Positions in the spool, oldest first: forgotten <= settled (acknowledged) <= read.
        self._forgotten = self._settled = self._read = spool.first
        self._counted = self._sent = spool.end
        self._waiting: deque[_Waiting] = deque()
        self._on_way: deque[Outgoing] = deque()
        self._held: deque[Outgoing] = deque()
        self.progress_s = -math.inf
        self._head: tuple[wire.Message, int] | None = None
        self._shrink = 1.0

    @property
    def on_way(self) -> int:
        """Messages sent and not yet acknowledged, and those behind them."""
        return len(self._on_way)

    def fetch(self, now_s: float) -> bool:
        """Read on in the spool; return whether there was anything."""
        records = self._spool.read(self._read)
        for payload, count, start, end in records:
            self._read = end
            try:
                message = wire.decode(payload)
            except WireError as error:
                logger.warning("%s: a record of %d signatures cannot be sent: %s", self._spool.path, count, error)
                self._spool.give_up(end.segment, count)
                continue
            self._waiting.append(_Waiting(payload, message, start, end, now_s))
        return bool(records)

    def note_arrivals(self, now_s: float) -> None:
        """Start the clock of what was spooled while nothing waited: for times without a connection."""
        if not self._waiting:
            self.fetch(now_s)

    def next(self, now_s: float, flush_to: Position | None = None) -> Outgoing | None:
        """Return the next message that is full, has waited long enough, or starts before `flush_to`."""
        first = self._spool.first
        while self._waiting and self._waiting[0].start < first:
            self._waiting.popleft()
        count = self._fitting()
        while count == len(self._waiting) and self.fetch(now_s):
            count = self._fitting()
        if not count or (count == len(self._waiting) and self._due_s(flush_to) > now_s):
            return None
        taken, payload = self._compose(count)
        outgoing = Outgoing(
            taken[0].message.device, payload, [(one.end, len(one.message.signatures)) for one in taken], now_s
        )
        for _ in taken:
            self._waiting.popleft()
        self._count_payload(outgoing)
        self._sent = max(self._sent, taken[-1].end)
        self._on_way.append(outgoing)
        return outgoing

    def _due_s(self, flush_to: Position | None) -> float:
        if not self._waiting:
            return math.inf
        # What was sent before, here or by an earlier process, has waited already.
        if self._waiting[0].start < self._sent or (flush_to is not None and self._waiting[0].start < flush_to):
            return -math.inf
        return self._waiting[0].since_s + self._delay_s

    def due_in_s(self, now_s: float) -> float:
        """Return how long until what waits has to leave; infinite when nothing waits."""
        return max(0.0, self._due_s(None) - now_s)

    def _fitting(self) -> int:
        """Return how many of the records that wait can leave as one message, by estimate."""
        if not self._waiting:
            return 0
        first = self._waiting[0]
        head = self._head_bytes(first.message)
        size = len(first.payload) - head
        previous = first.message
        rows = len(previous.signatures)
        for count in range(1, len(self._waiting)):
            candidate = self._waiting[count]
            size += max(1, len(candidate.payload) - head)
            rows += len(candidate.message.signatures)
            too_large = head + size * self._shrink > self._max_message_bytes or rows > MAX_ROWS
            if too_large or not _continues(previous, candidate.message):
                return count
            previous = candidate.message
        return len(self._waiting)

    def _head_bytes(self, message: wire.Message) -> int:
        """Return what a message costs beside its codes: what joining two of them saves."""
        if self._head is None or not _same_stream(self._head[0], message):
            alone = wire.Message(message.device, message.epoch, message.seq, message.signatures[:1])
            self._head = (alone, len(wire.encode(alone)) - alone.signatures.codes.shape[1])
        return self._head[1]

    def _compose(self, count: int) -> tuple[list[_Waiting], bytes]:
        while True:
            taken = [self._waiting[row] for row in range(count)]
            if count == 1:
                return taken, taken[0].payload
            first = taken[0].message
            signatures = concatenate([one.message.signatures for one in taken])
            payload = wire.encode(
                wire.Message(first.device, first.epoch, first.seq, signatures), compress=self._compress
            )
            if self._compress:
                # Joined signatures compress better than each alone; remember by how much.
                head = self._head_bytes(first)
                apart = sum(len(one.payload) - head for one in taken)
                self._shrink = min(1.0, max(0.05, (len(payload) - head) / max(1, apart)))
            if len(payload) <= self._max_message_bytes:
                return taken, payload
            count = min(count - 1, max(1, count * self._max_message_bytes // len(payload)))

    def _count_payload(self, outgoing: Outgoing) -> None:
        total = sum(count for _, count in outgoing.records)
        new = sum(count for end, count in outgoing.records if end > self._counted)
        self.payload_bytes += round(len(outgoing.payload) * new / total)
        self._counted = max(self._counted, outgoing.records[-1][0])

    def settle(self, heard_s: float) -> None:
        """Work through the messages marked as acknowledged, in order; `heard_s` is when the broker last spoke."""
        while self._on_way and self._on_way[0].acknowledged:
            outgoing = self._on_way.popleft()
            outgoing.acknowledged_s = self.progress_s = heard_s
            for end, count in outgoing.records:
                # A message that is sent again after a lost connection may hold records settled before.
                if end > self._settled:
                    self._spool.acknowledge(end.segment, count)
                    self.delivered += count
                    self._settled = end
            self._held.append(outgoing)
        while self._held and self._held[0].acknowledged_s + self._hold_s <= heard_s:
            self._forget(self._held.popleft().records[-1][0])

    def _forget(self, position: Position) -> None:
        if position > self._forgotten:
            self._forgotten = position
            self._spool.forget(position)

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest message on its way has been the oldest."""
        return now_s - max(self._on_way[0].sent_s, self.progress_s) if self._on_way else 0.0

    def rewind(self) -> None:
        """Start again with the oldest record that is still held: after a connection that did not end well."""
        self._waiting.clear()
        self._on_way.clear()
        self._held.clear()
        self._read = self._forgotten

    def finish(self) -> None:
        """Forget what is held: after a connection that ended well."""
        self._held.clear()
        self._forget(self._settled)


def _same_stream(one: wire.Message, other: wire.Message) -> bool:
    return (one.device, one.epoch, one.signatures.hop_ns, one.signatures.spec) == (
        other.device,
        other.epoch,
        other.signatures.hop_ns,
        other.signatures.spec,
    )


def _continues(one: wire.Message, other: wire.Message) -> bool:
    return other.seq == one.seq + len(one.signatures) and _same_stream(one, other)
