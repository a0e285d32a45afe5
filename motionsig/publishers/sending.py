"""The thread that owns the connection: it alone reads the spool, sends, and deletes what has arrived.

kill -9 of a broker loses what it acknowledged but had neither passed on nor saved. So acknowledged records are held and
forgotten only once the broker has shown a sign of life `hold_s` later; if the connection ends before, they are sent
again. An overdue acknowledgement ends the connection, too: one that is lost would stop the window for good. `close`
holds nothing once all is acknowledged, or the next run would send the end of this one again.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import random
import select
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.publishers import announced
from motionsig.publishers.announcing import Announcer
from motionsig.publishers.brokers import Broker
from motionsig.publishers.connection import LOOP_S, Connection
from motionsig.publishers.log import Position
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import Outbox
from motionsig.publishers.outgoing import Outgoing
from motionsig.publishers.protocol import Spoken
from motionsig.publishers.reasons import PUBACK, TOO_LARGE
from motionsig.publishers.spool import Spool

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

logger = own_logger(__name__)

CONNECT_TIMEOUT_S = 10.0
GOODBYE_S = 0.5  # how long the broker may take to acknowledge that the device goes offline; the will says the same
CLOCK_S = 0.2  # how long what an earlier process left waits for whoever opened the sink to tell the clock
REPORT_EVERY_S = 600.0  # the same failure of the connection is a warning no more often than this
SOON_S = 1.0  # a broker that closes the connection so soon after a message may have done so because of it
BRIEF_S = 60.0  # two programs with one client ID end each other's connections sooner than this
_PERHAPS = "does the broker's access list allow that, and does its limit allow a message of that size?"


@dataclass(eq=False)
class Sender:
    """Delivers what is in the spool until it is closed; its public methods may be called from another thread.

    stream_id: what is announced. last_error: why there is no connection, None while there is one. heartbeat_s:
    time.monotonic() at the thread's last heartbeat. progress: set at each acknowledgement. clock_told: set once the
    outbox knows the wall clock. died: what ended it.
    """

    broker: Broker
    spool: Spool
    outbox: Outbox
    announcer: Announcer
    options: MqttOptions
    client_id: str
    stream_id: int
    last_error: str | None = "no connection yet"
    heartbeat_s: float = field(default_factory=time.monotonic)
    progress: threading.Event = field(default_factory=threading.Event)
    clock_told: threading.Event = field(default_factory=threading.Event)
    died: BaseException | None = None
    _announced: dict[int, tuple[float, str, bytes]] = field(default_factory=dict)
    _stored: frozenset[str] = frozenset()
    _reported: tuple[str, float] = ("", -math.inf)
    _said: dict[str, float] = field(default_factory=dict)
    _spoken: Spoken = field(default_factory=Spoken)
    _ends: tuple[int, int] = (0, 0)
    _to_announce: deque[tuple[str, bytes]] = field(default_factory=deque)
    _silenced: dict[str, float] = field(default_factory=dict)
    _on_way: dict[int, Outgoing] = field(default_factory=dict)
    _flush_to: Position | None = None
    _closed: bool = False
    _closing_s: float = math.inf

    def __post_init__(self) -> None:
        self._stored = self.announcer.noted
        self._left_to = self.spool.end
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A daemon thread: if it hangs in a name look-up the process may end all the same, and the spool has it all.
        self._thread = threading.Thread(target=self._run, name="motionsig-mqtt", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        """Have the thread look at the spool."""
        # A full pipe wakes just as well; at the other end of a broken one there is no thread any more.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._wake_write, b"\0")

    def flush(self) -> None:
        """Send at once what waits to travel together."""
        self._flush_to = self.spool.end
        self.wake()

    def close(self) -> None:
        """Send what is left, and wait while it is being acknowledged, as long as the options allow."""
        self._closing_s = time.monotonic()
        self._closed = True
        self.wake()
        limit_s = self._closing_s + self.options.close_limit_s
        quiet_s = self._closing_s + self.options.close_timeout_s
        # A second longer than the thread gives itself: only one stuck in a look-up or a handshake needs it.
        while self.alive and time.monotonic() < min(limit_s, quiet_s) + 2 * GOODBYE_S:
            self._thread.join(0.05)
            if self.progress.is_set():
                self.progress.clear()
                quiet_s = time.monotonic() + self.options.close_timeout_s
        # A late `wake` must not write into a file that has the number by then.
        wake_write, self._wake_write = self._wake_write, -1
        os.close(wake_write)

    # From here on: the thread.

    def _run(self) -> None:
        try:
            self._send()
        except BaseException as error:
            # Kept for the next `publish` to report; the thread still ends the way it would have.
            self.died = error
            raise
        finally:
            # Only the thread closes it: `close` need not have waited for the thread.
            os.close(self._wake_read)

    def _send(self) -> None:
        attempt = 0
        if self.spool.recovered:
            self.clock_told.wait(CLOCK_S)
        while not self._done():
            # The will is kept, too.
            self._note()
            connection = Connection(
                self.broker,
                client_id=self.client_id,
                clean_session=True,
                keepalive_s=self.options.keepalive_s,
                on_message=self._hear,
                protocol=self.options.protocol,
                spoken=self._spoken,
                will=next(iter(self.announcer.availability("offline", self.stream_id)), None),
            )
            delivered = self.outbox.delivered
            try:
                connection.open(CONNECT_TIMEOUT_S, self._done)
                self.last_error = None
                logger.info("%s: connected", self.broker)
                if self._serve(connection):
                    connection.close()
                else:
                    # The broker then publishes the will, which an orderly end would delete.
                    connection.drop()
            except SinkError as error:
                # An attempt that `close` cut short says nothing about the broker.
                # What it said last may be why it ended.
                self._take_acknowledgements(connection, self._on_way)
                self.outbox.settle(connection.heard_s)
                if not self._done():
                    self._report(str(error), self._explain(connection))
                connection.drop()
                self.outbox.disconnect(time.monotonic())
                # Only a delivery proves that it works: a broker that accepts and then drops us is not tried faster.
                attempt = 0 if self.outbox.delivered > delivered else attempt + 1
                # Full jitter, so that a fleet does not return to a restarted broker all at once.
                bound_s = min(self.options.max_retry_s, self.options.retry_s * 2 ** min(attempt, 16))
                self._rest(random.uniform(0, bound_s))

    def _say(self, what: str) -> None:
        """Log a warning, the same one no more often than REPORT_EVERY_S."""
        now_s = time.monotonic()
        repeated = now_s - self._said.get(what, -math.inf) < REPORT_EVERY_S
        logger.log(logging.DEBUG if repeated else logging.WARNING, "%s: %s", self.broker, what)
        if not repeated:
            self._said = {text: said_s for text, said_s in self._said.items() if now_s - said_s < REPORT_EVERY_S}
            self._said[what] = now_s

    def _report(self, reason: str, hint: str) -> None:
        """Note why there is no connection; hint: what may be the cause, whose figures may differ each time."""
        now_s = time.monotonic()
        key = reason + hint.partition(":")[0]
        repeated = key == self._reported[0] and now_s - self._reported[1] < REPORT_EVERY_S
        level = logging.DEBUG if repeated else logging.WARNING
        logger.log(level, "%s%s; signatures wait in %s", reason, hint, self.spool.path)
        if not repeated:
            self._reported = key, now_s
        self.last_error = reason + hint

    def _explain(self, connection: Connection) -> str:
        """Return what may be the cause where a broker ended a connection; empty where nothing is known."""
        now_s, (at_publish, idle) = time.monotonic(), self._ends
        self._ends = 0, 0
        if connection.accepted_s is None or not (connection.lost or connection.ended is not None):
            return ""
        code = connection.ended.code if connection.ended is not None else 0
        outgoing = next(reversed(self._on_way.values()), None)
        if outgoing is not None and now_s - outgoing.sent_s < SOON_S and self.outbox.refusal is None:
            self._ends = at_publish + 1, 0
            what = f"{outgoing.size} bytes to {self.options.prefix}/{outgoing.topic}"
            if not code and at_publish == 0:
                return ""
            shrunk = (code == TOO_LARGE or not code) and self.outbox.suspect()
            hint = "" if code else f"; {_PERHAPS}"
            hint += f"; messages now have at most {self.outbox.terms.learned_bytes} bytes" if shrunk else ""
            return f" right after we published: {what}{hint}"
        refused = self.outbox.refusal is not None or any(
            until_s > connection.accepted_s + REPORT_EVERY_S for until_s in self._silenced.values()
        )
        if not code and not refused and outgoing is None and now_s - connection.accepted_s < BRIEF_S:
            self._ends = 0, idle + 1
            if idle >= 2:
                return (
                    " several times soon after it was accepted: is another program using the client ID "
                    f"{self.client_id!r}? Give each its own with client_id="
                )
        return ""

    def _done(self) -> bool:
        self.heartbeat_s = now_s = time.monotonic()
        if not self._closed:
            return False
        quiet_s = now_s - max(self._closing_s, self.outbox.progress_s)
        late = quiet_s > self.options.close_timeout_s or now_s - self._closing_s > self.options.close_limit_s
        return late or not self.spool.pending

    def _rest(self, pause_s: float) -> None:
        """Wait before the next attempt; on `close` there is not that much time."""
        until_s = time.monotonic() + pause_s
        while not self._done():
            now_s = time.monotonic()
            if self._closed:
                until_s = min(until_s, now_s + self.options.close_timeout_s / 10)
            if now_s >= until_s:
                return
            if select.select([self._wake_read], [], [], min(LOOP_S, until_s - now_s))[0]:
                os.read(self._wake_read, 4096)

    def _hear(self, message: MQTTMessage) -> None:
        # What is retained was published before this connection, so it is no event.
        if not message.retain:
            self.announcer.heard(message.topic, bytes(message.payload), time.monotonic())

    def _serve(self, connection: Connection) -> bool:
        """Deliver until all is done; return whether the device is announced as offline. Raises SinkError on failure."""
        self._announced.clear()
        self._to_announce.clear()
        self.announcer.connected(time.monotonic())
        if self.announcer.listened:
            connection.listen(*self.announcer.listened)
        self.outbox.connect(connection.limits, time.monotonic())
        on_way = self._on_way
        on_way.clear()
        while True:
            self._take_acknowledgements(connection, on_way)
            self.outbox.settle(connection.heard_s)
            now_s = time.monotonic()
            self.announcer.forget(connection.heard_s)
            oldest_s = next((since_s for since_s, *_ in self._announced.values()), now_s)
            if max(self.outbox.stalled_s(now_s), now_s - oldest_s) > self.options.ack_timeout_s:
                raise SinkError(f"{self.broker}: no acknowledgement for {self.options.ack_timeout_s:g} s")
            if self._done():
                if not self.spool.pending:
                    self.outbox.finish()
                return self._say_goodbye(connection)
            self._announce(connection, self.announcer.due(now_s, self.stream_id), now_s)
            flush_to = self.spool.end if self._closed else self._flush_to
            most = self._most(connection)
            while len(on_way) + len(self._announced) < most:
                outgoing = self.outbox.next(now_s, flush_to)
                if outgoing is None:
                    break
                topic = f"{self.options.prefix}/{outgoing.topic}"
                # The newest state of a head is kept, so that who comes later knows it.
                earlier = outgoing.records[-1][0] <= self._left_to
                how: dict[str, Any] = {"topic": topic, "earlier": earlier, "left": outgoing.began and earlier}
                retain = outgoing.state_of is not None and self.announcer.keeps(outgoing.state_of, **how)
                self._note()
                on_way[connection.publish(topic, outgoing.payload, retain=retain)] = outgoing
                # To be sent again it is read from the spool again, so no copy of it stays in memory.
                outgoing.payload = b""
            # With as much on its way as the broker takes, only an answer changes anything.
            full = len(on_way) + len(self._announced) >= most
            due_s = LOOP_S if full else self.outbox.due_in_s(now_s)
            timeout_s = min(LOOP_S, self.options.ack_timeout_s / 4, due_s)
            if self._closed:
                timeout_s = min(timeout_s, self.options.close_timeout_s / 4)
            connection.loop(timeout_s, self._wake_read)

    def _most(self, connection: Connection) -> int:
        """Return how many messages may be on their way."""
        # A broker that closes at each refusal answers first; what is written after that makes the answer unreadable.
        return 1 if self._ends[0] and not connection.answered else connection.limits.receive_maximum

    def _take_acknowledgements(self, connection: Connection, on_way: dict[int, Outgoing]) -> None:
        for mid, reason in connection.acknowledged:
            if mid in self._announced:
                _, topic, payload = self._announced.pop(mid)
                if reason.refused:
                    # Not at each connect: some brokers end the connection for it.
                    self._silenced[topic] = time.monotonic() + REPORT_EVERY_S
                if reason.refused and not payload:
                    # Of another name, which need not be ours any more.
                    self.announcer.refused(topic, time.monotonic())
                    logger.info("%s: the broker does not let us remove what it keeps at %s", self.broker, topic)
                elif reason.refused:
                    # Signatures arrive without it, so it is no trouble of the sink.
                    self._say(f"the broker refuses {topic}: {reason.advise(PUBACK)}")
                else:
                    self.announcer.acknowledged(topic, payload, connection.heard_s)
            if mid in on_way:
                outgoing = on_way.pop(mid)
                refusal = self.outbox.answer(outgoing, reason, time.monotonic())
                if refusal is not None:
                    self._say(f"{refusal}; what is refused waits in {self.spool.path}")
                    continue
                if outgoing.unheard:
                    self._say(f"nobody gets {self.options.prefix}/{outgoing.topic}: {reason.advise(PUBACK)}")
                self.progress.set()
        connection.acknowledged.clear()

    def _note(self) -> None:
        """Note for the next process what the broker may keep, before it is sent."""
        remembered = self.announcer.remembered
        if remembered != self._stored:
            # A disk that refuses is asked again only when something else is announced.
            announced.store(self.spool.folders, remembered)
            self._stored = remembered

    def _announce(self, connection: Connection, said: list[tuple[str, bytes]], now_s: float) -> None:
        self._note()
        self._to_announce.extend(said)
        most = self._most(connection)
        while self._to_announce and len(self._on_way) + len(self._announced) < most:
            topic, payload = self._to_announce.popleft()
            if time.monotonic() < self._silenced.get(topic, 0.0):
                continue
            self._announced[connection.publish(topic, payload, retain=True)] = now_s, topic, payload

    def _say_goodbye(self, connection: Connection) -> bool:
        """Announce that the device is offline, where that is wanted; return whether the broker acknowledged it."""
        said = self.announcer.availability("offline", self.stream_id)
        until_s = time.monotonic() + GOODBYE_S
        self._announce(connection, said, until_s)
        while said and (self._announced or self._to_announce):
            if time.monotonic() > until_s:
                return False
            connection.loop(GOODBYE_S / 10)
            self._take_acknowledgements(connection, {})
            self._announce(connection, [], until_s)
        return True
