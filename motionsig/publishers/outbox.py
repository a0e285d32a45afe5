"""What to send next, what is on its way and what may be forgotten, without the network and the clock.

Live signatures must not wait behind a day's backlog, so there are two lanes over two ranges of the spool: the live one
first, the backlog (all that was there when the connection began) in the rest of the window.

Events overtake both: the express reads the spool ahead, for events alone, and sends each at once. Among each other they
keep their order even after an outage, or an old "began" would be the last word on a state: so of each state one event
is on its way at a time. But their records are
acknowledged and forgotten by the lanes, each in its place among the signatures, once the express says that the event
has arrived: so the spool needs to know only how far each lane got, and a record that a lane has not come to is still
there after a kill.

What the broker refuses keeps its place in the spool while others pass it. A third lane, over these records alone, sends
them again when a pause is over and after each connect; for events the express does that, before it sends newer ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from motionsig import wire
from motionsig.publishers.express import Express
from motionsig.publishers.lanes import Lane
from motionsig.publishers.log import Position
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outgoing import Outgoing
from motionsig.publishers.protocol import Limits
from motionsig.publishers.reasons import NO_SUBSCRIBERS, TOO_LARGE, Reason
from motionsig.publishers.refusals import SPARED, Refusals
from motionsig.publishers.spool import Spool
from motionsig.publishers.terms import Terms

SMALL_BACKLOG_BYTES = 64 * 1024  # a backlog up to this is sent in the lane of live signatures: it takes about a window


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

    def connect(self, limits: Limits | None = None, now_s: float = 0.0) -> None:
        """Begin with everything that is still to be delivered, what is there already as the backlog."""
        self.terms.limits = limits or Limits()
        self._refusals.postpone(now_s)
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
        cut = reason.code == TOO_LARGE and outgoing.rows > 1
        if cut:
            self.terms.suspect(outgoing.size)
        # Smaller messages may be taken at once, other events not: they are alike, and must not pass this one.
        spared = math.inf if cut else SPARED if outgoing.rows else 0
        self._refusals.note(outgoing.topic, reason, now_s, spared=spared)
        return self._refusals.why

    def suspect(self) -> bool:
        """Take the largest message on its way for too large; return whether that says anything new."""
        on_way = (outgoing for lane in self._lanes for outgoing in lane.on_way)
        sizes = [outgoing.size for outgoing in on_way if outgoing.rows > 1 and not outgoing.acknowledged]
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
        idle = not (self._express.on_way or any(lane.on_way for lane in self._lanes))
        if idle and self._refusals.why is not None and not self._spool.refused:
            self._refusals.forget()

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
