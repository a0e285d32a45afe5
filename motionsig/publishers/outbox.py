"""What to send next, what is on its way and what may be forgotten, without the network and the clock.

Live signatures must not wait behind a day's backlog, so there are two lanes over two ranges of the spool: the live one
first, the backlog (all that was there when the connection began) in the rest of the window.

Events overtake both: the express reads the spool ahead, for events alone, and sends each at once. Among each other they
keep their order even after an outage, or an old "began" would be the last word on a state. But their records are
acknowledged and forgotten by the lanes, each in its place among the signatures, once the express says that the event
has arrived: so the spool needs to know only how far each lane got, and a record that a lane has not come to is still
there after a kill.

What the broker refuses keeps its place in the spool while others pass it. A third lane, over these records alone, sends
them again when a pause is over and after each connect; for events the express does that, before it sends newer ones.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from motionsig import wire
from motionsig.blocks import concatenate
from motionsig.errors import InputError, WireError
from motionsig.escaping import own_logger
from motionsig.events import BEGAN, ONCE, Event, from_json, to_json
from motionsig.publishers.brokers import check_topic_part
from motionsig.publishers.clocks import put_right, put_right_event
from motionsig.publishers.log import Position, Record
from motionsig.publishers.messages import MAX_ROWS, pack
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.protocol import Limits
from motionsig.publishers.reasons import NO_SUBSCRIBERS, TOO_LARGE, Reason
from motionsig.publishers.refusals import Refusals
from motionsig.publishers.spool import Spool
from motionsig.publishers.terms import Terms
from motionsig.quality import is_at_rest

logger = own_logger(__name__)

SMALL_BACKLOG_BYTES = 64 * 1024  # a backlog up to this is sent in the lane of live signatures: it takes about a window
_BEGINNING = Position(0, 0)
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


@dataclass(slots=True)
class Outgoing:
    """A message on its way, or arrived and held.

    topic: without the prefix. records: end and count of signatures of each record in it. parts: of those before the
    last of a record, the record's start and the number after their last signature. spans: start and end of each record
    that it holds something of, without those of events that it passes. state_of: the head whose state it tells, for the
    broker to keep; None for all else. began: it tells that this state began. refused: by the broker. unheard: nobody
    subscribes to it.
    """

    topic: str
    payload: bytes
    records: list[tuple[Position, int]]
    parts: dict[Position, int]
    sent_s: float
    new_bytes: int
    spans: list[tuple[Position, Position]] = field(default_factory=list)
    size: int = 0
    state_of: str | None = None
    began: bool = False
    acknowledged: bool = False  # or refused
    refused: bool = False
    unheard: bool = False
    acknowledged_s: float = math.inf

    def __post_init__(self) -> None:
        # The payload itself is let go once it is sent.
        self.size = len(self.payload)


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
        sent = {outgoing.records[-1][0] for outgoing in (*self.on_way, *self._held)}
        refused = _all_refused(self.spool) if self.spool.refused else []
        self._again = deque(record for record in refused if record.is_event and record.end not in sent)

    def next(self, now_s: float) -> Outgoing | None:
        """Return the next event to send; None where there is none, or enough is on its way."""
        while len(self.on_way) < self.terms.in_flight and (record := self._fetch()) is not None:
            try:
                event = _event(record)
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
            if self.refusals.doubtful(topic) and any(one.topic == topic for one in self.on_way):
                # The first one shows whether the broker takes them now.
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
    _spoilt: set[Position] = field(default_factory=set)
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
        if not (self.on_way or self._waiting or self._records):
            sent = {end for outgoing in self._held for _, end in outgoing.spans}
            self._records.extend(record for record in _all_refused(self.spool) if record.end not in sent)

    def _topic(self, message: wire.Message) -> str:
        return f"{message.device}/{self.options.form.topic}"

    def _fetch(self, now_s: float) -> bool:
        """Read on in the spool; return whether there was anything."""
        if not self._records:
            self._records.extend(self.spool.read(self._read, self.until, refused=self.refused))
            if not self._records:
                return False
            self._read = self._records[-1].end
        rows, given_up, why = 0, 0, ""
        while self._records and rows < _DECODE_ROWS:
            record = self._records.popleft()
            rows += record.rows
            try:
                if record.is_event:
                    _event(record)
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
        self._skip(now_s)
        count = self._fitting()
        while count == len(self._waiting) and not self._awaits_event() and not self._pauses() and self._fetch(now_s):
            self._skip(now_s)
            count = self._fitting()
        if not count or (count == len(self._waiting) and self._due_s(flush_to) > now_s):
            return None
        topic = self._topic(self._waiting[0].message)
        if self.refusals.closed_s(topic, now_s) or (self.refusals.doubtful(topic) and self.on_way):
            return None
        taken, payload = self._compose(count)
        limit = self.terms.limit_bytes(topic)
        if limit is not None and len(payload) > limit:
            self.refusals.too_large(topic, len(payload), limit)
            self._pass_refused()
            return self.next(now_s, flush_to)
        for one in taken:
            self._waiting.popleft()
            self.spool.note_sent(one.record.end)
        records = [(one.record.end, one.record.rows) for one in taken]
        while self._events and self._events[0].start < taken[-1].record.start:
            event = self._events.popleft()
            if not self.spool.is_refused(event.end):
                records.append((event.end, event.rows))
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
        outgoing = Outgoing(topic, payload, records, parts, now_s, new_bytes, spans)
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
                self._pass_refused()
            else:
                break
        self._pass_events(now_s)

    def _pass_refused(self) -> None:
        """Pass the next record: it stays in the spool, and others go on."""
        first = self._waiting[0]
        self.spool.refuse(first.record.start, first.end)
        while self._waiting and self._waiting[0].end == first.end:
            self._passed_rows += len(self._waiting.popleft().message.signatures)

    def _pass_events(self, now_s: float) -> None:
        """Settle the records of events before all that waits, if they arrived, behind what is on its way already."""
        while self._events and not (self._waiting and self._waiting[0].record.start < self._events[0].start):
            if len(self._events) == 1 and self._awaits_event():
                return
            record = self._events.popleft()
            if not self.spool.holds(record.start) or self.spool.is_refused(record.end):
                continue
            self.spool.note_sent(record.end)
            self.on_way.append(Outgoing("", b"", [(record.end, record.rows)], {}, now_s, 0, acknowledged=True))

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
                for start, end in outgoing.spans:
                    self.spool.refuse(start, end)
                    self._spoilt.add(end)
            # A message that is sent again after a lost connection may hold records settled before.
            arrived = sum(
                count
                for end, count in outgoing.records
                if end not in self._spoilt and self.spool.acknowledge(end, count)
            )
            delivered += arrived
            self.unheard += arrived if outgoing.unheard else 0
            if not outgoing.refused:
                self._held.append(outgoing)
        self.forget(heard_s - self.options.hold_s)
        return delivered

    def forget(self, until_s: float) -> None:
        """Forget what was acknowledged until then."""
        while self._held and self._held[0].acknowledged_s <= until_s:
            outgoing = self._held.popleft()
            ends = {end for end, _ in outgoing.records}
            self.arrived.update(outgoing.parts)
            if not self.refused:
                self.spool.forget(self.first, outgoing.records[-1][0])
                continue
            for start, end in outgoing.spans:
                if end in ends and end not in self._spoilt:
                    self.spool.forget_refused(start, end)

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest message on its way has been the oldest."""
        return now_s - max(self.on_way[0].sent_s, self.progress_s) if self.on_way else 0.0


class Outbox:
    """The lanes of the present connection; none without one. The caller brings time and network.

    options.in_flight: of the live lane; the others take what that leaves; the express has as many of its own. device:
    whose signatures these are, apart from what an earlier process left.
    delivered: signatures and events acknowledged. unheard: those of them that nobody subscribes to. progress_s: when
    the last was. payload_bytes: of messages, each signature and event once, without those of an earlier run.
    """

    def __init__(self, spool: Spool, options: MqttOptions, *, now_s: float, device: str = "") -> None:
        self.delivered = 0
        self.payload_bytes = 0
        self.progress_s = -math.inf
        self.terms = Terms(options)
        self._refusals = Refusals(options)
        self._device = device
        self._unheard = 0
        self._spool = spool
        self._options = options
        self._lost_s = now_s
        self._lanes: tuple[Lane, ...] = ()
        # Of a record in parts, those that arrived and were held long enough are not sent again, so that connections
        # that end early make progress. No longer than the list of records that an earlier process left.
        self._sent: dict[Position, int] = {}
        self._arrived: dict[Position, int] = {}
        self._express = Express(spool, options, self._refusals, self.terms)

    def set_clock(self, clock: wire.Clock) -> None:
        """Put right by this clock what leaves from now on; may be called from any thread."""
        self._express.clock = clock

    @property
    def unheard(self) -> int:
        return self._unheard + self._express.unheard + sum(lane.unheard for lane in self._lanes)

    @property
    def refusal(self) -> str | None:
        """What the broker refuses, and what to do about it; None where nothing that it refused is left."""
        return self._refusals.why if self._spool.refused else None

    def connect(self, limits: Limits | None = None) -> None:
        """Begin with everything that is still to be delivered, what is there already as the backlog."""
        self.terms.limits = limits or Limits()
        self._refusals.reopen()
        split = self._spool.backlog_end(SMALL_BACKLOG_BYTES)
        first, end = self._spool.first, self._spool.end
        self._express.connect()
        lane = partial(
            Lane,
            self._spool,
            self._options,
            self._express,
            early=end,
            sent=self._sent,
            arrived=self._arrived,
            refusals=self._refusals,
            terms=self.terms,
            device=self._device,
        )
        live = lane(first=split, until=None, early_s=self._lost_s)
        backlog = lane(first=first, until=split, early_s=-math.inf)
        refused = lane(first=end, until=None, early_s=-math.inf, refused=True)
        refused.retry()
        self._lanes = (live, backlog, refused)

    def next(self, now_s: float, flush_to: Position | None = None) -> Outgoing | None:
        """Return the next message to send now, None where nothing is due or enough is on its way."""
        if self._lanes and self._refusals.again(now_s):
            self._express.retry()
            self._lanes[-1].retry()
        outgoing = self._express.next(now_s) if self._lanes else None
        for lane in self._open_lanes():
            if outgoing is not None:
                break
            outgoing = lane.next(now_s, flush_to)
        if outgoing is not None:
            self.payload_bytes += outgoing.new_bytes
        return outgoing

    def answer(self, outgoing: Outgoing, reason: Reason, now_s: float) -> str | None:
        """Note the broker's answer to a message; return what is refused where it refused that, None otherwise."""
        outgoing.acknowledged = True
        outgoing.unheard = reason.code == NO_SUBSCRIBERS
        outgoing.refused = reason.refused or (outgoing.unheard and self._options.unheard == "keep")
        if not outgoing.refused:
            self._refusals.taken(outgoing.topic)
            self.terms.taken(outgoing.size)
            return None
        if reason.code == TOO_LARGE and len(outgoing.spans) > 1:
            self.terms.suspect(outgoing.size)
        self._refusals.note(outgoing.topic, reason, now_s)
        return self._refusals.why

    def suspect(self) -> bool:
        """Take the largest message on its way for too large; return whether that says anything new."""
        sizes = [outgoing.size for lane in self._lanes for outgoing in lane.on_way if not outgoing.acknowledged]
        return bool(sizes) and self.terms.suspect(max(sizes))

    def due_in_s(self, now_s: float) -> float:
        """Return how long until what waits has to leave; infinite when nothing does, or an acknowledgement is first."""
        on_way = (self._express.on_way, *(lane.on_way for lane in self._lanes))
        if any(each and each[0].acknowledged for each in on_way):
            # Such as an event's record, which no acknowledgement will wake anybody for any more.
            return 0.0
        waits_s = [lane.due_in_s(now_s) for lane in self._open_lanes()]
        return min([self._refusals.due_in_s(now_s), *waits_s] if self._lanes else [math.inf])

    def _open_lanes(self) -> Iterator[Lane]:
        on_way = 0
        for lane in self._lanes:
            # The live lane comes first, so only the others find a window that it uses, too.
            on_way += len(lane.on_way)
            if on_way < self.terms.in_flight:
                yield lane

    def settle(self, heard_s: float) -> None:
        """Work through the answered messages; `heard_s` is when the broker last spoke."""
        self.delivered += self._express.settle(heard_s) + sum(lane.settle(heard_s) for lane in self._lanes)
        self.progress_s = max([self.progress_s, self._express.progress_s, *(lane.progress_s for lane in self._lanes)])

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest message on its way in a lane, or the oldest event, has been the oldest."""
        return max(self._express.stalled_s(now_s), *(lane.stalled_s(now_s) for lane in self._lanes), 0.0)

    def disconnect(self, now_s: float) -> None:
        """Give up what is on its way and what is held: after a connection that did not end well."""
        self._end()
        self._lost_s = now_s

    def finish(self) -> None:
        """Forget what is held: after a connection that ended well."""
        for lane in self._lanes:
            lane.forget(math.inf)
        self._end()

    def _end(self) -> None:
        self._unheard += sum(lane.unheard for lane in self._lanes)
        self._lanes = ()


def _all_refused(spool: Spool) -> list[Record]:
    """Return the records that were refused and are to be sent again."""
    found: list[Record] = []
    position = spool.first
    while records := spool.read(position, refused=True):
        found += records
        position = records[-1].end
    return found


def _event(record: Record) -> Event:
    """Return the event in a record; raise WireError where there is none, or none that has a topic."""
    event = from_json(record.payload, stored=True)
    try:
        check_topic_part("device", event.device)
    except InputError as error:
        raise WireError(f"event: {error}") from error
    return event


def _stream(message: wire.Message) -> tuple[Any, ...]:
    signatures = message.signatures
    return message.device, message.stream_id, message.recording, message.clock, signatures.hop_ns, signatures.spec
