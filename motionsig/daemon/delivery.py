"""The daemon's sink: signatures numbered and in the right time, and events; opened again after a failure.

A signature has the number of its window, counted over the life of the sensor's stream: so no two get one number. Its
stream id identifies stream, model, hop and clock. Samples are stamped by the monotonic clock: when the wall clock is
set (a machine without a battery boots in the past), the windows go on, and from then on their times are corrected when
they are published, under another stream id. What was made before and has not left yet is put right (see
`publishers.clocks`).
"""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from motionsig import wire
from motionsig.blocks import SignatureBatch
from motionsig.config import Config
from motionsig.conventions import NS_PER_S
from motionsig.daemon.history import History
from motionsig.daemon.numbered import Numbered, first_run
from motionsig.daemon.status_socket import runtime_folder
from motionsig.daemon.switching import SwitchingEncoder
from motionsig.errors import MotionsigError, SinkError
from motionsig.escaping import own_logger
from motionsig.events import Event
from motionsig.pipeline import signature_stream_id
from motionsig.publishers import BROKER_SCHEMES, Sink, open_sink, split_url
from motionsig.publishers.clocks import STEP_NS, put_right, put_right_event
from motionsig.publishers.counts import SinkCounts
from motionsig.quality import Quality
from motionsig.sensors.clock import boot_id, since_boot_ns
from motionsig.state import state_folder

log = own_logger(__name__)

MOST_HELD = 4096  # signatures kept in memory while the sink cannot be used: an hour and a half
MOST_EVENTS_HELD = 1024
_FIRST_PAUSE_S, _MOST_PAUSE_S = 1.0, 60.0
_STREAM_IDS = 1 << 63
_FRAME_BYTES = 20  # a spool adds so much to each message
_JOINED = 256  # signatures that were held and are published together
_PATIENCE_S = 0.5  # publishing what was held may take so long of the loop's time at once
_DEADLINES: dict[str, dict[str, float]] = {
    **{scheme: {"close_timeout_s": 1.5, "close_limit_s": 2.5} for scheme in BROKER_SCHEMES},
    "store": {"busy_timeout_s": 2.0},
}
"""So that SIGTERM is obeyed within five seconds: what is not acknowledged by then waits in the spool, and a locked
database is tried again in the next heartbeat."""


def open_configured_sink(config: Config, stream_id: int) -> Sink:
    """Open the sink of a configuration; raise what `open_sink` does."""
    url, (scheme, location, _) = config.sink_url, split_url(config.sink_url)
    options = _DEADLINES.get(scheme, {}) | dict(config.sink_options)
    if scheme in BROKER_SCHEMES:
        options |= {"availability": True, "home_assistant": config.home_assistant}
        # One queue whatever the broker: what waits for one goes to the next if the configuration names another.
        options.setdefault("spool", str(state_folder() / "spool"))
        if "RUNTIME_DIRECTORY" in os.environ:
            options["buffer"] = str(runtime_folder() / "spool")
    else:
        path = state_folder() / location
        if not Path(location).is_absolute():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        url = f"{scheme}:{path}"
    return open_sink(url, device=config.name, stream_id=stream_id, **options)


@dataclass
class Delivered:
    """What became of signatures and events, over all sinks so far. dropped: also here, while no sink could be used.

    unheard: of those delivered, those that nobody subscribes to.
    """

    accepted: int = 0
    delivered: int = 0
    pending: int = 0
    dropped: int = 0
    payload_bytes: int = 0
    unheard: int = 0


class Delivery:
    """A Sink that does not fail: what cannot be published now is held, and published later.

    sink: None while it cannot be used; last_error: why nothing is published at present. clock_steps: how often the wall
    clock was set; correction_ns: what that adds to the times of the stream; clock: that wall clock, None where the
    kernel does not name the boot; clock_is_set: whether it is known to be right. bridged: signatures of windows with a
    bridged gap. signature_bytes: of one in a spool, 0 before the first.
    """

    def __init__(
        self, opener: Callable[[int], Sink], encoder: SwitchingEncoder, *, history: History | None = None
    ) -> None:
        """`opener` opens the sink for a stream id; `encoder` knows the model and has counted the windows.

        history: gets all that is delivered, besides.
        """
        self._opener, self._encoder, self.history = opener, encoder, history
        self.sink: Sink | None = None
        self._opened_once = False
        self._held: deque[Numbered] = deque()
        self._held_rows = 0
        self._held_events: deque[Event] = deque()
        self._heads: Mapping[str, bool] = {}
        self._announced = False
        self._next: tuple[int, int] | None = None  # the stream id and number that the sink would give by itself
        self._retry_s, self._pause_s = 0.0, _FIRST_PAUSE_S
        self._past = Delivered()
        self._trouble: str | None = None
        # Until there is a stream nothing is published, but the sink is open and announces a stream id.
        self._source_stream_id = int.from_bytes(os.urandom(8), "big") >> 1
        self._branch = self._first_window = self.correction_ns = 0
        self._hop: int | None = None
        self._source_offset_ns: int | None = None
        self.clock_steps = 0
        self.clock_is_set = False
        self.clock: wire.Clock | None = None
        self._boot, self._slept_ns = boot_id(), 0
        self.bridged = 0
        self.signature_bytes = 0

    def follow(self, source_stream_id: int, offset_ns: int, hop: int | None) -> None:
        """Number from 0 the signatures of a new stream of samples, stamped `offset_ns` after monotonic time."""
        self._source_stream_id, self._source_offset_ns, self._hop = source_stream_id, offset_ns, hop
        self._branch, self._first_window, self.correction_ns = 0, self._encoder.windows, 0
        self._tell_clock(offset_ns)

    def branch(self) -> None:
        """Go on under another stream id: from here on, one run over the whole stream would make other windows."""
        self._branch += 1

    def set_clock(self, offset_ns: int, *, is_set: bool = False) -> None:
        """Hear how far Unix time is ahead of monotonic time now, and whether that is known to be right.

        Once it was, it stays so until the clock is set: a time server that is away for some hours makes no clock wrong.
        """
        self.clock_is_set |= is_set
        if self._source_offset_ns is not None:
            step_ns = offset_ns - self._source_offset_ns - self.correction_ns
            if abs(step_ns) > STEP_NS:
                self.correction_ns += step_ns
                self.clock_steps += 1
                self.clock_is_set = is_set
                self.branch()
                what = "windows go on, and from now on signatures have its time, as stream id"
                log.warning("the wall clock was set by %+.1f s; %s %d", step_ns / NS_PER_S, what, self.stream_id)
        self._tell_clock(offset_ns)

    def _tell_clock(self, offset_ns: int) -> None:
        """Let the sink know the wall clock, where that is another one now."""
        if self._boot is None:
            return
        # Sleep stops monotonic time and sets no clock. What two readings in a row differ by is no sleep.
        slept_ns = since_boot_ns() - time.monotonic_ns()
        if abs(slept_ns - self._slept_ns) > STEP_NS:
            self._slept_ns = slept_ns
        offset_ns -= self._slept_ns
        known = self.clock
        if known is not None and abs(offset_ns - known.offset_ns) <= STEP_NS:
            offset_ns = known.offset_ns
        clock = wire.Clock(self._boot, offset_ns, self.clock_is_set)
        if clock != known:
            self.clock = clock
            self._announce_clock()
            if self.history is not None:
                self.history.set_clock(clock)

    def _announce_clock(self) -> None:
        # A sink of one's own need not want to know.
        if self.clock is not None and (announce := getattr(self.sink, "set_clock", None)) is not None:
            announce(self.clock)

    @property
    def stream_id(self) -> int:
        """The stream id of what was published last."""
        return self.stream_id_at(self._hop)

    def stream_id_at(self, hop: int | None) -> int:
        """Return the stream id of signatures made at another hop, as heads judge them."""
        stream = (self._source_stream_id + self._branch) % _STREAM_IDS
        return signature_stream_id(stream, self._encoder.maker, hop)

    def _open(self) -> Sink:
        try:
            sink = self._opener(self.stream_id)
        except (OSError, MotionsigError) as error:
            # If it was right before, perhaps a certificate is being replaced.
            if isinstance(error, OSError) or self._opened_once:
                raise SinkError(str(error)) from error
            raise
        self._opened_once, self._next = True, (self.stream_id, 0)
        return sink

    def publish(self, signatures: SignatureBatch) -> None:
        """Take a batch; it is in the sink now, or held until there is one again."""
        if not len(signatures):
            return
        self.bridged += int(np.count_nonzero(signatures.quality & Quality.BRIDGED))
        flag = Quality.CLEAR if self.clock_is_set else Quality.UNSET_CLOCK
        corrected = replace(
            signatures,
            start_ns=signatures.start_ns + self.correction_ns,
            quality=signatures.quality | np.uint8(flag),
        )
        # All windows of this batch were counted just now; the numbers of windows that failed before it stay unused.
        seq = self._encoder.windows - self._first_window - len(corrected)
        self._hold(Numbered(self.stream_id, seq, corrected, self.clock))
        if self.history is not None:
            self.history.take(self.stream_id, seq, corrected)
        self.deliver()

    def publish_events(self, events: Sequence[Event]) -> None:
        """Take events, which bring their own names; they are in the sink now, or held until there is one again."""
        if not events:
            return
        if not self.clock_is_set:
            events = [event if event.clock else replace(event, clock=self.clock) for event in events]
        self._held_events.extend(events)
        if self.history is not None:
            self.history.take_events(events)
        while len(self._held_events) > MOST_EVENTS_HELD:
            dropped = self._held_events.popleft()
            self._past.dropped += 1
            log.warning("the event %s is dropped: %s", dropped, self._trouble)
        self.deliver()

    def announce(self, heads: Mapping[str, bool]) -> None:
        """Let the sink know which heads there are, each with whether it gives a state."""
        self._heads, self._announced = dict(heads), False
        if self.sink is not None:
            self.deliver()

    def _hold(self, numbered: Numbered) -> None:
        one = wire.Message("x" * 16, numbered.stream_id, numbered.seq, numbered.signatures[:1])
        self.signature_bytes = len(wire.encode(one)) + _FRAME_BYTES
        self._held.append(numbered)
        self._held_rows += len(numbered.signatures)
        while self._held_rows > MOST_HELD:
            rows = len(self._held.popleft().signatures)
            self._held_rows -= rows
            self._past.dropped += rows
            log.warning("%d signatures dropped: %s", rows, self._trouble)

    def deliver(self) -> None:
        """Publish what is held, as far as the sink takes it; open the sink again where that is due.

        Raises what opening the sink raises if that is no SinkError and it was never open: it is configured wrongly.
        """
        until_s = time.monotonic() + _PATIENCE_S
        try:
            if self.sink is None:
                if time.monotonic() < self._retry_s:
                    return
                self.sink = self._open()
                self._announced = False
                self._announce_clock()
            if not self._announced:
                # Only a broker wants to know.
                if (announce := getattr(self.sink, "announce_heads", None)) is not None:
                    announce(self._heads)
                self._announced = True
            while self._held_events and time.monotonic() < until_s:
                joined = list(itertools.islice(self._held_events, _JOINED))
                self.sink.publish_events([put_right_event(event, self.clock) for event in joined])
                for _ in joined:
                    self._held_events.popleft()
            while self._held and time.monotonic() < until_s:
                self._publish_oldest(self.sink)
        except SinkError as error:
            self._fail(error)
            return
        if self._trouble:
            log.info("signatures are published again")
        self._trouble, self._pause_s = None, _FIRST_PAUSE_S

    def _publish_oldest(self, sink: Sink) -> None:
        (stream_id, seq, signatures, clock), batches = first_run(self._held, _JOINED)
        rows = len(signatures)
        if self._next != (stream_id, seq):
            sink.begin(stream_id, seq)
        message = wire.Message("", stream_id, seq, signatures, clock=clock)
        sink.publish(put_right(message, self.clock).signatures)
        self._next = (stream_id, seq + rows)
        for _ in range(batches):
            self._held.popleft()
        self._held_rows -= rows

    def _fail(self, error: SinkError) -> None:
        if str(error) != self._trouble:
            log.error("%s; up to %d signatures are kept, and events, trying again", error, MOST_HELD)
        self._trouble = str(error)
        self._retry_s = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, _MOST_PAUSE_S)
        self._let_go()

    def _let_go(self) -> None:
        """Close the sink and keep its counts."""
        sink, self.sink = self.sink, None
        if sink is not None:
            try:
                sink.close()
            except SinkError as error:
                log.error("%s", error)
            self._past = self._with(sink)

    @property
    def last_error(self) -> str | None:
        return self._trouble or (self.sink.last_error if self.sink else None)

    @property
    def heartbeat_s(self) -> float:
        """time.monotonic() at the sender's last heartbeat; now, where nothing sends in the background."""
        return self.sink.heartbeat_s if self.sink else time.monotonic()

    @property
    def counts(self) -> SinkCounts:
        """Of the sink there is; all zero while there is none."""
        return self.sink.counts if self.sink else SinkCounts()

    @property
    def totals(self) -> Delivered:
        """Over all sinks so far."""
        totals = self._with(self.sink) if self.sink else self._past
        return replace(totals, pending=totals.pending + self._held_rows + len(self._held_events))

    def _with(self, sink: Sink) -> Delivered:
        """Return the totals of the sinks before together with those of `sink`, which sends what waits in a spool."""
        counts, past = sink.counts, self._past
        return Delivered(
            past.accepted + counts.accepted,
            past.delivered + counts.delivered,
            counts.pending,
            past.dropped + counts.dropped,
            past.payload_bytes + sink.payload_bytes,
            past.unheard + counts.unheard,
        )

    def close(self) -> None:
        """Publish what is held if that is possible at once, and close the sink."""
        self._retry_s = 0.0
        self.deliver()
        self._let_go()
        if self.history is not None:
            self.history.close()
        if self._held_rows:
            log.error("%d signatures could not be published and are lost: %s", self._held_rows, self._trouble)
        if self._held_events:
            log.error("%d events could not be published and are lost: %s", len(self._held_events), self._trouble)
