"""Signatures on their way: the records of one range of the spool, joined into messages and followed until forgotten."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from motionsig import wire
from motionsig.blocks import concatenate
from motionsig.errors import WireError
from motionsig.escaping import own_logger
from motionsig.publishers.clocks import put_right
from motionsig.publishers.express import Express
from motionsig.publishers.log import Position, Record
from motionsig.publishers.messages import MAX_ROWS, pack
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outgoing import Outgoing, all_refused, event_of
from motionsig.publishers.refusals import Refusals
from motionsig.publishers.spool import Spool
from motionsig.publishers.terms import Terms
from motionsig.quality import is_at_rest

logger = own_logger(__name__)

_DECODE_ROWS = 64  # signatures decoded at once, or one record: the live lane waits no longer than that takes


class _Waiting(NamedTuple):
    """A spooled record of signatures, decoded and not yet sent, or a part of one. since_s: when it was first seen.

    end: of the record. resting: all of its signatures are at rest, and may wait longer.
    Only a record that was spooled for another form or limit is larger than a message and so has parts. record: that of
    a part before the last ends where it starts and counts no signatures, as a record has arrived when all of it has.
    """

    record: Record
    message: wire.Message
    since_s: float
    end: Position
    resting: bool


@dataclass(eq=False)
class Lane:
    """Joins the records of one range of the spool into messages and follows each until it is forgotten.

    The record of an event is as good as sent and acknowledged once the express has brought it there; until then, some
    milliseconds, nothing behind it is read. So signatures travel together as if there were no events between them.

    express: sends the events. until: the position where the range ends. What lies before `early` has been waiting since
    `early_s`. sent, arrived: `Outgoing.parts` of all that was sent, and that need not be sent again, in any connection.
    on_way: sent and not yet answered, and those behind them. progress_s: when the last message was answered.
    refused: the range is what was refused, instead of all else. device: while its topic is refused the lane waits;
    records of others, as of a device before it was renamed, are passed. unheard: signatures that arrived where nobody
    subscribes. What waits is in the time of `express.clock`; in the spool it stays as it was written.
    """

    spool: Spool
    options: MqttOptions
    express: Express
    first: Position
    until: Position | None
    early: Position
    early_s: float
    sent: dict[Position, int]
    arrived: dict[Position, int]
    refusals: Refusals
    terms: Terms
    device: str
    refused: bool = False
    unheard: int = 0
    on_way: deque[Outgoing] = field(default_factory=deque)
    progress_s: float = -math.inf
    _records: deque[Record] = field(default_factory=deque)
    # End and start of records of which a part was refused: another part that arrives does not settle them.
    _spoilt: dict[Position, Position] = field(default_factory=dict)
    _begins: bool = False
    _passed_rows: int = 0
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _events: deque[Record] = field(default_factory=deque)
    _held: deque[Outgoing] = field(default_factory=deque)
    _clock: wire.Clock | None = None
    _measured: tuple[Any, ...] = ()
    _head_bytes: int = 0
    _row_bytes: float = 0.0

    def __post_init__(self) -> None:
        self._read = self.first
        self._encode = self.options.form.encode

    def retry(self) -> None:
        """Begin again with all that was refused, once nothing of it is on its way."""
        self._begins = self._begins or self.refused

    def _begin(self) -> None:
        if self._begins and not (self.on_way or self._waiting or self._records):
            self._begins = False
            self._spoilt.clear()
            sent = {end for outgoing in self._held for _, end in outgoing.spans}
            self._records.extend(record for record in all_refused(self.spool) if record.end not in sent)

    def _topic(self, message: wire.Message) -> str:
        return f"{message.device}/{self.options.form.topic}"

    def _fetch(self, now_s: float) -> bool:
        """Read on in the spool; return whether there was anything."""
        if not self._records:
            # What is refused meanwhile is not sent again before its pause is over.
            found = [] if self.refused else self.spool.read(self._read, self.until)
            if not found:
                return False
            self._records.extend(found)
            self._read = found[-1].end
        rows, given_up, why = 0, 0, ""
        while self._records and rows < _DECODE_ROWS:
            record = self._records.popleft()
            rows += record.rows
            try:
                if record.is_event:
                    event_of(record)
                    if not self.refused:
                        self._events.append(record)
                        break
                    continue
                message = wire.decode(record.payload, stored=True)
            except WireError as error:
                given_up += record.rows if self.spool.give_up(record) else 0
                why = str(error)
                continue
            since_s = self.early_s if record.start < self.early else now_s
            message = put_right(message, self._clock)
            resting = self.options.rest and bool(is_at_rest(message.signatures.quality).all())
            self._waiting.extend(_Waiting(*part, since_s, record.end, resting) for part in self._parts(record, message))
        if given_up:
            logger.warning(
                "%s: %d signatures or events cannot be sent and are dropped: %s", self.spool.path, given_up, why
            )
        return True

    def _parts(self, record: Record, message: wire.Message) -> Iterator[tuple[Record, wire.Message]]:
        """Yield what is still to be sent of a record, in parts that fit into a message."""
        if len(message.signatures) == 1:
            # Most are such, and a signature travels whatever its size: measuring it would take as long as decoding it.
            yield record, message
            return
        done = max(0, self.arrived.get(record.start, 0) - message.seq)
        rest = replace(message, seq=message.seq + done, signatures=message.signatures[done:])
        *parts, last = (
            part.message
            for part in pack(
                rest, max_message_bytes=self.terms.message_bytes(self._topic(message)), encode=self._encode
            )
        )
        for part in parts:
            again = record.again or part.seq < self.sent.get(record.start, 0)
            yield record._replace(rows=0, end=record.start, again=again), part
        yield record, last

    def next(self, now_s: float, flush_to: Position | None = None) -> Outgoing | None:
        """Return the next message that is full, has waited long enough, or starts before `flush_to`."""
        self._follow_clock()
        self._passed_rows = 0
        self._begin()
        while count := self._ready(now_s, flush_to):
            topic = self._topic(self._waiting[0].message)
            if self.refusals.closed_s(topic, now_s) or (self.refusals.doubtful(topic) and self.on_way):
                return None
            taken, payload = self._compose(count)
            limit = self.terms.limit_bytes(topic)
            if limit is None or len(payload) <= limit:
                return self._leave_as(taken, topic, payload, now_s)
            self.refusals.too_large(topic, len(payload), limit)
            self._pass_refused(now_s)
            if self._pauses():
                return None
        return None

    def _ready(self, now_s: float, flush_to: Position | None) -> int:
        """Read on as far as needed; return of how many that wait the next message is to be made, 0 for none yet."""
        self._skip(now_s)
        count = self._fitting()
        while count == len(self._waiting) and not self._awaits_event() and not self._pauses() and self._fetch(now_s):
            self._skip(now_s)
            count = self._fitting()
        return count if count < len(self._waiting) or self._due_s(flush_to) <= now_s else 0

    def _leave_as(self, taken: list[_Waiting], topic: str, payload: bytes, now_s: float) -> Outgoing:
        """Note that what waits first leaves as this message."""
        for one in taken:
            self._waiting.popleft()
            self.spool.note_sent(one.record.end)
        records = [(one.record.end, one.record.rows) for one in taken]
        while self._events and self._events[0].start < taken[-1].record.start:
            event = self._events.popleft()
            records.append((event.end, 0 if self.spool.is_refused(event.end) else event.rows))
        # In the order of the spool; an event may end where a part of a record, without signatures of its own, does.
        records.sort(key=lambda each: (each[0], -each[1]))
        rows = sum(len(one.message.signatures) for one in taken)
        new_rows = sum(len(one.message.signatures) for one in taken if not one.record.again)
        new_bytes = round(len(payload) * new_rows / rows)
        parts = {
            one.record.start: one.message.seq + len(one.message.signatures)
            for one in taken
            if one.record.end == one.record.start
        }
        self.sent.update(parts)
        spans = list(dict.fromkeys((one.record.start, one.end) for one in taken))
        outgoing = Outgoing(topic, payload, records, parts, now_s, new_bytes, spans, rows)
        self.on_way.append(outgoing)
        return outgoing

    def _follow_clock(self) -> None:
        """Put right what waits, if the wall clock was set since it was read."""
        if self._clock != self.express.clock:
            self._clock = self.express.clock
            for at, one in enumerate(self._waiting):
                self._waiting[at] = one._replace(message=put_right(one.message, self._clock))

    def _pauses(self) -> bool:
        return self._passed_rows >= _DECODE_ROWS

    def _skip(self, now_s: float) -> None:
        """Pass what is gone, and what is refused at present and need not be waited for: not too much at once."""
        while self._waiting:
            topic = self._topic(self._waiting[0].message)
            if not self.spool.holds(self._waiting[0].record.start):
                self._waiting.popleft()
            elif (self.refused or self._waiting[0].message.device != self.device) and self.refusals.closed_s(
                topic, now_s
            ):
                self._pass_refused(now_s)
            else:
                break
        self._pass_events(now_s)

    def _pass_refused(self, now_s: float) -> None:
        """Pass the next record: it stays in the spool, and others go on."""
        first = self._waiting[0]
        self.spool.refuse(first.record.start, first.end)
        if not self.refused:
            self._pass(first.end, 0, now_s)
        while self._waiting and self._waiting[0].end == first.end:
            self._passed_rows += len(self._waiting.popleft().message.signatures)

    def _pass_events(self, now_s: float) -> None:
        """Settle the records of events before all that waits, if they arrived, behind what is on its way already."""
        while self._events and not (self._waiting and self._waiting[0].record.start < self._events[0].start):
            if len(self._events) == 1 and self._awaits_event():
                return
            record = self._events.popleft()
            if self.spool.holds(record.start):
                self.spool.note_sent(record.end)
                self._pass(record.end, 0 if self.spool.is_refused(record.end) else record.rows, now_s)

    def _pass(self, end: Position, rows: int, now_s: float) -> None:
        """Settle a record in its place; rows: those that arrived, 0 where it was refused and is settled elsewhere."""
        self.on_way.append(Outgoing("", b"", [(end, rows)], {}, now_s, 0, acknowledged=True))

    def _awaits_event(self) -> bool:
        """Return whether the event that was read last is still to arrive; one that was dropped never will."""
        if not self._events:
            return False
        start = self._events[-1].start
        return start >= self.express.arrived and self.spool.holds(start)

    def _due_s(self, flush_to: Position | None) -> float:
        if not self._waiting:
            return math.inf
        # What was sent before, here or by an earlier process, has waited already.
        oldest = self._waiting[0]
        if oldest.record.again or (flush_to is not None and oldest.record.start < flush_to):
            return -math.inf
        if not oldest.resting:
            return oldest.since_s + self.options.delay_s
        # What rests leaves with the first that moves.
        moving_s = next((one.since_s for one in self._waiting if not one.resting), math.inf)
        return min(oldest.since_s + self.options.rest_delay_s, moving_s + self.options.delay_s)

    def due_in_s(self, now_s: float) -> float:
        """Return how long until what waits has to leave; infinite when nothing waits."""
        if self._pauses():
            return 0.0
        if not self._waiting:
            return math.inf
        topic = self._topic(self._waiting[0].message)
        if self.refusals.doubtful(topic) and self.on_way:
            return math.inf
        return max(0.0, self._due_s(None) - now_s, self.refusals.closed_s(topic, now_s))

    def _fitting(self) -> int:
        """Return how many of the records that wait can leave as one message, by estimate."""
        if not self._waiting:
            return 0
        previous = self._waiting[0].message
        most_rows = min(MAX_ROWS, self._rows_that_fit(previous))
        rows = len(previous.signatures)
        for count in range(1, len(self._waiting)):
            candidate = self._waiting[count].message
            rows += len(candidate.signatures)
            follows = candidate.seq == previous.seq + len(previous.signatures)
            if rows > most_rows or not (follows and _stream(previous) == _stream(candidate)):
                return count
            previous = candidate
        return len(self._waiting)

    def _rows_that_fit(self, message: wire.Message) -> int:
        """Return how many signatures of this stream fit into a message, by what the last one took for each."""
        if self._measured != _stream(message):
            one = message.signatures[:1]
            two = concatenate([one, replace(one, start_ns=one.start_ns + one.hop_ns)])
            alone, pair = (len(self._encode(replace(message, signatures=it))) for it in (one, two))
            self._measured, self._head_bytes, self._row_bytes = _stream(message), 2 * alone - pair, pair - alone
        most_bytes = self.terms.message_bytes(self._topic(message))
        return max(1, int((most_bytes - self._head_bytes) / max(1.0, self._row_bytes)))

    def _compose(self, count: int) -> tuple[list[_Waiting], bytes]:
        """Return the next message and what it is made of: up to `count` of what waits."""
        while True:
            taken = list(itertools.islice(self._waiting, count))
            signatures = concatenate([one.message.signatures for one in taken])
            payload = self._encode(replace(taken[0].message, signatures=signatures))
            self._row_bytes = (len(payload) - self._head_bytes) / len(signatures)
            if count == 1 or len(payload) <= self.terms.message_bytes(self._topic(taken[0].message)):
                return taken, payload
            count = min(count - 1, self._fitting())

    def settle(self, heard_s: float) -> int:
        """Work through the answered messages, in order; return how many signatures that delivered."""
        delivered = 0
        while self.on_way and self.on_way[0].acknowledged:
            outgoing = self.on_way.popleft()
            outgoing.acknowledged_s = self.progress_s = heard_s
            if outgoing.refused:
                outgoing.parts = {}
                for start, end in outgoing.spans:
                    self.spool.refuse(start, end)
                    self._spoilt[end] = start
            # A message that is sent again after a lost connection may hold records settled before.
            arrived = sum(
                count
                for end, count in outgoing.records
                if count and end not in self._spoilt and self.spool.acknowledge(end, count)
            )
            delivered += arrived
            self.unheard += arrived if outgoing.unheard else 0
            if not (self.refused and outgoing.refused):
                self._held.append(outgoing)
        self.forget(heard_s - self.options.hold_s)
        return delivered

    def forget(self, until_s: float) -> None:
        """Forget what was acknowledged until then."""
        while self._held and self._held[0].acknowledged_s <= until_s:
            outgoing = self._held.popleft()
            ends = {end for end, _ in outgoing.records}
            spoilt = set(self._spoilt.values())
            self.arrived.update({start: seq for start, seq in outgoing.parts.items() if start not in spoilt})
            if not self.refused:
                # What was refused in between keeps its place.
                self.spool.forget(self.first, outgoing.records[-1][0])
                continue
            for start, end in outgoing.spans:
                if end in ends and end not in self._spoilt:
                    self.spool.forget_refused(start, end)

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest message on its way has been the oldest."""
        return now_s - max(self.on_way[0].sent_s, self.progress_s) if self.on_way else 0.0


def _stream(message: wire.Message) -> tuple[Any, ...]:
    signatures = message.signatures
    return message.device, message.stream_id, message.recording, message.clock, signatures.hop_ns, signatures.spec
