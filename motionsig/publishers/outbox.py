"""What to send next, what is on its way and what may be forgotten, without the network and the clock.

Live signatures must not wait behind a day's backlog, so there are two lanes over two ranges of the spool: the live one
first, the backlog (all that was there when the connection began) in the rest of the window.

Events overtake both: the express reads the spool ahead, for events alone, and sends each at once. Among each other they
keep their order even after an outage, or an old "began" would be the last word on a state. But their records are
acknowledged and forgotten by the lanes, each in its place among the signatures, once the express says that the event
has arrived: so the spool needs to know only how far each lane got, and a record that a lane has not come to is still
there after a kill.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from motionsig import wire
from motionsig.blocks import concatenate
from motionsig.errors import InputError, WireError
from motionsig.events import BEGAN, ONCE, Event, from_json, to_json
from motionsig.publishers.brokers import check_topic_part
from motionsig.publishers.clocks import put_right, put_right_event
from motionsig.publishers.log import Position, Record
from motionsig.publishers.messages import MAX_ROWS, pack
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.spool import Spool
from motionsig.quality import is_at_rest

logger = logging.getLogger(__name__)

SMALL_BACKLOG_BYTES = 64 * 1024  # a backlog up to this is sent in the lane of live signatures: it takes about a window
_BEGINNING = Position(0, 0)
_DECODE_ROWS = 64  # signatures decoded at once, or one record: the live lane waits no longer than that takes


class _Waiting(NamedTuple):
    """A spooled record of signatures, decoded and not yet sent, or a part of one. since_s: when it was first seen.

    resting: all of its signatures are at rest, and may wait longer.
    Only a record that was spooled for another form or limit is larger than a message and so has parts. record: that of
    a part before the last ends where it starts and counts no signatures, as a record has arrived when all of it has.
    """

    record: Record
    message: wire.Message
    since_s: float
    resting: bool


@dataclass(slots=True)
class Outgoing:
    """A message on its way, or arrived and held.

    topic: without the prefix. records: end and count of signatures of each record in it. parts: of those before the
    last of a record, the record's start and the number after their last signature. state_of: the head whose state it
    tells, for the broker to keep; None for all else. began: it tells that this state began.
    """

    topic: str
    payload: bytes
    records: list[tuple[Position, int]]
    parts: dict[Position, int]
    sent_s: float
    new_bytes: int
    state_of: str | None = None
    began: bool = False
    acknowledged: bool = False
    acknowledged_s: float = math.inf


@dataclass(eq=False)
class Express:
    """Sends events ahead of the lanes, in the order of the spool, each as a message of its own.

    on_way: sent and not yet acknowledged. progress_s: when the last was acknowledged. arrived: all events that can be
    sent and start before it have arrived, over this connection or for good. clock: the wall clock at present.
    """

    spool: Spool
    options: MqttOptions
    clock: wire.Clock | None = None
    on_way: deque[Outgoing] = field(default_factory=deque)
    progress_s: float = -math.inf
    arrived: Position = _BEGINNING
    _records: deque[Record] = field(default_factory=deque)
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

    def next(self, now_s: float) -> Outgoing | None:
        """Return the next event to send; None where there is none, or enough is on its way."""
        while len(self.on_way) < self.options.in_flight and (record := self._fetch()) is not None:
            try:
                event = _event(record)
            except WireError:
                # The lane that comes to it gives it up.
                continue
            again = record.again or record.end <= self._sent
            righted = put_right_event(event, self.clock)
            payload = record.payload if righted is event else to_json(righted)
            outgoing = Outgoing(
                topic=f"{event.device}/events/{event.head}",
                payload=payload,
                records=[(record.end, record.rows)],
                parts={},
                sent_s=now_s,
                new_bytes=0 if again else len(payload),
                state_of=event.head if event.phase != ONCE else None,
                began=event.phase == BEGAN,
            )
            self._sent = max(self._sent, record.end)
            self.on_way.append(outgoing)
            return outgoing
        return None

    def _fetch(self) -> Record | None:
        while True:
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

    def settle(self, heard_s: float) -> None:
        """Work through the events marked as acknowledged, in order."""
        while self.on_way and self.on_way[0].acknowledged:
            outgoing = self.on_way.popleft()
            outgoing.acknowledged_s = self.progress_s = heard_s
            self.arrived = outgoing.records[-1][0]
            self._held.append(outgoing)
        while self._held and self._held[0].acknowledged_s <= heard_s - self.options.hold_s:
            self._kept = self._held.popleft().records[-1][0]

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
    on_way: sent and not yet acknowledged, and those behind them. progress_s: when the last message was acknowledged.
    What waits is in the time of `express.clock`; in the spool it stays as it was written.
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
    on_way: deque[Outgoing] = field(default_factory=deque)
    progress_s: float = -math.inf
    _records: deque[Record] = field(default_factory=deque)
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

    def _fetch(self, now_s: float) -> bool:
        """Read on in the spool; return whether there was anything."""
        if not self._records:
            self._records.extend(self.spool.read(self._read, self.until))
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
                    self._events.append(record)
                    break
                message = wire.decode(record.payload)
            except WireError as error:
                given_up += record.rows if self.spool.give_up(record) else 0
                why = str(error)
                continue
            since_s = self.early_s if record.start < self.early else now_s
            message = put_right(message, self._clock)
            resting = self.options.rest and bool(is_at_rest(message.signatures.quality).all())
            self._waiting.extend(_Waiting(*part, since_s, resting) for part in self._parts(record, message))
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
            part.message for part in pack(rest, max_message_bytes=self.options.max_message_bytes, encode=self._encode)
        )
        for part in parts:
            again = record.again or part.seq < self.sent.get(record.start, 0)
            yield record._replace(rows=0, end=record.start, again=again), part
        yield record, last

    def next(self, now_s: float, flush_to: Position | None = None) -> Outgoing | None:
        """Return the next message that is full, has waited long enough, or starts before `flush_to`."""
        while self._waiting and not self.spool.holds(self._waiting[0].record.start):
            self._waiting.popleft()
        self._follow_clock()
        self._pass_events(now_s)
        count = self._fitting()
        while count == len(self._waiting) and not self._awaits_event() and self._fetch(now_s):
            self._pass_events(now_s)
            count = self._fitting()
        if not count or (count == len(self._waiting) and self._due_s(flush_to) > now_s):
            return None
        taken, payload = self._compose(count)
        for one in taken:
            self._waiting.popleft()
            self.spool.note_sent(one.record.end)
        records = [(one.record.end, one.record.rows) for one in taken]
        while self._events and self._events[0].start < taken[-1].record.start:
            event = self._events.popleft()
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
        topic = f"{taken[0].message.device}/{self.options.form.topic}"
        outgoing = Outgoing(topic, payload, records, parts, now_s, new_bytes)
        self.on_way.append(outgoing)
        return outgoing

    def _follow_clock(self) -> None:
        """Put right what waits, if the wall clock was set since it was read."""
        if self._clock != self.express.clock:
            self._clock = self.express.clock
            for at, one in enumerate(self._waiting):
                self._waiting[at] = one._replace(message=put_right(one.message, self._clock))

    def _pass_events(self, now_s: float) -> None:
        """Settle the records of events before all that waits, if they arrived, behind what is on its way already."""
        while self._events and not (self._waiting and self._waiting[0].record.start < self._events[0].start):
            if len(self._events) == 1 and self._awaits_event():
                return
            record = self._events.popleft()
            if not self.spool.holds(record.start):
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
        return max(0.0, self._due_s(None) - now_s)

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
        return max(1, int((self.options.max_message_bytes - self._head_bytes) / max(1.0, self._row_bytes)))

    def _compose(self, count: int) -> tuple[list[_Waiting], bytes]:
        """Return the next message and what it is made of: up to `count` of what waits."""
        while True:
            taken = list(itertools.islice(self._waiting, count))
            signatures = concatenate([one.message.signatures for one in taken])
            payload = self._encode(replace(taken[0].message, signatures=signatures))
            self._row_bytes = (len(payload) - self._head_bytes) / len(signatures)
            if count == 1 or len(payload) <= self.options.max_message_bytes:
                return taken, payload
            count = min(count - 1, self._fitting())

    def settle(self, heard_s: float) -> int:
        """Work through the messages marked as acknowledged, in order; return how many signatures that delivered."""
        delivered = 0
        while self.on_way and self.on_way[0].acknowledged:
            outgoing = self.on_way.popleft()
            outgoing.acknowledged_s = self.progress_s = heard_s
            # A message that is sent again after a lost connection may hold records settled before.
            delivered += sum(count for end, count in outgoing.records if self.spool.acknowledge(end, count))
            self._held.append(outgoing)
        self.forget(heard_s - self.options.hold_s)
        return delivered

    def forget(self, until_s: float) -> None:
        """Forget what was acknowledged until then."""
        while self._held and self._held[0].acknowledged_s <= until_s:
            outgoing = self._held.popleft()
            self.arrived.update(outgoing.parts)
            self.spool.forget(self.first, outgoing.records[-1][0])

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest message on its way has been the oldest."""
        return now_s - max(self.on_way[0].sent_s, self.progress_s) if self.on_way else 0.0


class Outbox:
    """The lanes of the present connection; none without one. The caller brings time and network.

    options.in_flight: of the live lane; the backlog takes what that leaves; the express has as many of its own.
    delivered: signatures and events acknowledged. progress_s: when the last was. payload_bytes: of messages, each
    signature and event once, without those of an earlier run.
    """

    def __init__(self, spool: Spool, options: MqttOptions, *, now_s: float) -> None:
        self.delivered = 0
        self.payload_bytes = 0
        self.progress_s = -math.inf
        self._spool = spool
        self._options = options
        self._lost_s = now_s
        self._lanes: tuple[Lane, ...] = ()
        # Of a record in parts, those that arrived and were held long enough are not sent again, so that connections
        # that end early make progress. No longer than the list of records that an earlier process left.
        self._sent: dict[Position, int] = {}
        self._arrived: dict[Position, int] = {}
        self._express = Express(spool, options)

    def set_clock(self, clock: wire.Clock) -> None:
        """Put right by this clock what leaves from now on; may be called from any thread."""
        self._express.clock = clock

    def connect(self) -> None:
        """Begin with everything that is still to be delivered, what is there already as the backlog."""
        split = self._spool.backlog_end(SMALL_BACKLOG_BYTES)
        first, end = self._spool.first, self._spool.end
        self._express.connect()
        lane = partial(
            Lane, self._spool, self._options, self._express, early=end, sent=self._sent, arrived=self._arrived
        )
        live = lane(first=split, until=None, early_s=self._lost_s)
        backlog = lane(first=first, until=split, early_s=-math.inf)
        self._lanes = (live, backlog)

    def next(self, now_s: float, flush_to: Position | None = None) -> Outgoing | None:
        """Return the next message to send now, None where nothing is due or enough is on its way."""
        outgoing = self._express.next(now_s) if self._lanes else None
        for lane in self._open_lanes():
            if outgoing is not None:
                break
            outgoing = lane.next(now_s, flush_to)
        if outgoing is not None:
            self.payload_bytes += outgoing.new_bytes
        return outgoing

    def due_in_s(self, now_s: float) -> float:
        """Return how long until what waits has to leave; infinite when nothing does, or an acknowledgement is first."""
        if any(lane.on_way and lane.on_way[0].acknowledged for lane in self._lanes):
            # An event's record, which no acknowledgement will wake anybody for any more.
            return 0.0
        return min((lane.due_in_s(now_s) for lane in self._open_lanes()), default=math.inf)

    def _open_lanes(self) -> Iterator[Lane]:
        on_way = 0
        for lane in self._lanes:
            # The live lane comes first, so only the backlog finds a window that the other one uses, too.
            on_way += len(lane.on_way)
            if on_way < self._options.in_flight:
                yield lane

    def settle(self, heard_s: float) -> None:
        """Work through the messages marked as acknowledged; `heard_s` is when the broker last spoke."""
        self._express.settle(heard_s)
        self.delivered += sum(lane.settle(heard_s) for lane in self._lanes)
        self.progress_s = max([self.progress_s, self._express.progress_s, *(lane.progress_s for lane in self._lanes)])

    def stalled_s(self, now_s: float) -> float:
        """Return how long the oldest message on its way in a lane, or the oldest event, has been the oldest."""
        return max(self._express.stalled_s(now_s), *(lane.stalled_s(now_s) for lane in self._lanes), 0.0)

    def disconnect(self, now_s: float) -> None:
        """Give up what is on its way and what is held: after a connection that did not end well."""
        self._lanes = ()
        self._lost_s = now_s

    def finish(self) -> None:
        """Forget what is held: after a connection that ended well."""
        for lane in self._lanes:
            lane.forget(math.inf)
        self._lanes = ()


def _event(record: Record) -> Event:
    """Return the event in a record; raise WireError where there is none, or none that has a topic."""
    event = from_json(record.payload)
    try:
        check_topic_part("device", event.device)
    except InputError as error:
        raise WireError(f"event: {error}") from error
    return event


def _stream(message: wire.Message) -> tuple[Any, ...]:
    signatures = message.signatures
    return message.device, message.stream_id, message.recording, message.clock, signatures.hop_ns, signatures.spec
