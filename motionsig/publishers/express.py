"""Events on their way: they overtake the signatures that wait, in the order of the spool."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from motionsig import wire
from motionsig.errors import WireError
from motionsig.events import BEGAN, ONCE, to_json
from motionsig.publishers.clocks import put_right_event
from motionsig.publishers.log import Position, Record
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outgoing import Outgoing, all_refused, event_of
from motionsig.publishers.refusals import Refusals
from motionsig.publishers.spool import Spool
from motionsig.publishers.terms import Terms

_BEGINNING = Position(0, 0)


@dataclass(eq=False)
class Express:
    """Sends events ahead of the lanes, in the order of the spool, each as a message of its own.

    on_way: sent and not yet acknowledged. progress_s: when the last was acknowledged. arrived: all events that can be
    sent and start before it have arrived, over this connection or for good, or were refused. unheard: how many arrived
    where nobody subscribes. clock: the wall clock at present.
    """

    spool: Spool
    options: MqttOptions
    refusals: Refusals
    terms: Terms
    unheard: int = 0
    clock: wire.Clock | None = None
    on_way: deque[Outgoing] = field(default_factory=deque)
    progress_s: float = -math.inf
    arrived: Position = _BEGINNING
    _records: deque[Record] = field(default_factory=deque)
    _again: deque[Record] = field(default_factory=deque)
    _held: deque[Outgoing] = field(default_factory=deque)
    _read: Position = _BEGINNING
    _incomplete: bool = False
    # Over all connections: before these every event was sent, and need not be sent again.
    _sent: Position = _BEGINNING
    _kept: Position = _BEGINNING

    def connect(self) -> None:
        """Begin with the first event that did not arrive, or that a killed broker might have lost since."""
        for each in (self.on_way, self._held, self._records):
            each.clear()
        self._read = self.arrived = self._kept
        self.retry()

    def retry(self) -> None:
        """Send again what was refused, before all that is newer."""
        # What was refused behind one that is not answered yet is noted in the spool only after that.
        self._incomplete = any(outgoing.refused for outgoing in self.on_way)
        sent = {outgoing.records[-1][0] for outgoing in (*self.on_way, *self._held)}
        # Also what arrived since and was not held long enough, before a connection ended.
        self._again = deque(record for record in all_refused(self.spool) if record.is_event and record.end not in sent)

    def next(self, now_s: float) -> Outgoing | None:
        """Return the next event to send; None where there is none, or enough is on its way."""
        if self._incomplete and not any(outgoing.refused for outgoing in self.on_way):
            self.retry()
        while len(self.on_way) < self.terms.in_flight and (record := self._fetch()) is not None:
            try:
                event = event_of(record)
            except WireError:
                # The lane that comes to it gives it up.
                continue
            again = record.again or record.end <= self._sent
            righted = put_right_event(event, self.clock)
            payload = record.payload if righted is event else to_json(righted)
            topic = f"{event.device}/events/{event.head}"
            most = self.terms.limit_bytes(topic)
            closed = self.refusals.closed_s(topic, now_s) > 0
            if closed or (most is not None and len(payload) > most):
                if not closed and most is not None:
                    self.refusals.too_large(topic, len(payload), most)
                spans, records = [(record.start, record.end)], [(record.end, record.rows)]
                passed = Outgoing("", b"", records, {}, now_s, 0, spans, acknowledged=True, refused=True)
                self.on_way.append(passed)
                continue
            orderly = event.phase != ONCE or self.refusals.doubtful(topic)
            if orderly and any(one.topic == topic for one in self.on_way):
                # The first one shows whether the broker takes them now; and an older state must not be refused, sent
                # again and kept by the broker after a newer one.
                (self._again if self.spool.is_refused(record.end) else self._records).appendleft(record)
                return None
            outgoing = Outgoing(
                topic=topic,
                payload=payload,
                records=[(record.end, record.rows)],
                parts={},
                sent_s=now_s,
                new_bytes=0 if again else len(payload),
                spans=[(record.start, record.end)],
                state_of=event.head if event.phase != ONCE else None,
                began=event.phase == BEGAN,
            )
            self._sent = max(self._sent, record.end)
            self.on_way.append(outgoing)
            return outgoing
        return None

    def _fetch(self) -> Record | None:
        while True:
            while self._again:
                record = self._again.popleft()
                if self.spool.holds(record.start):
                    return record
            while self._records:
                record = self._records.popleft()
                if self.spool.holds(record.start):
                    return record
            start = self.spool.next_event(self._read)
            records = self.spool.read(start) if start is not None else []
            if not records:
                return None
            self._records.extend(record for record in records if record.is_event)
            self._read = records[-1].end

    def settle(self, heard_s: float) -> int:
        """Work through the answered events, in order; return how many arrived that had been refused before.

        Of the others the lanes know when they come to them.
        """
        delivered = 0
        while self.on_way and self.on_way[0].acknowledged:
            outgoing = self.on_way.popleft()
            ((start, end),), ((_, rows),) = outgoing.spans, outgoing.records
            outgoing.acknowledged_s = self.progress_s = heard_s
            if outgoing.refused:
                self.spool.refuse(start, end)
            else:
                if self.spool.is_refused(end):
                    delivered += rows * self.spool.acknowledge(end, rows)
                self.unheard += outgoing.unheard and outgoing.new_bytes > 0
                self._held.append(outgoing)
            self.arrived = max(self.arrived, end)
        while self._held and self._held[0].acknowledged_s <= heard_s - self.options.hold_s:
            ((start, end),) = self._held.popleft().spans
            self.spool.forget_refused(start, end)
            self._kept = max(self._kept, end)
        return delivered

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest event on its way has been the oldest."""
        return now_s - max(self.on_way[0].sent_s, self.progress_s) if self.on_way else 0.0
