"""The loop of a receiver: connect, read what is there, store it, acknowledge it; and once a second say how it is."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from motionsig.collector.inbox import DROPPED_TOPIC, Inbox
from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.publishers.connection import LOOP_S, Connection

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

logger = own_logger(__name__)

CONNECT_TIMEOUT_S = 10.0
_TICK_S = 1.0
_CLOSE_S = 1.0
_RATE_S = 60
_SHORT_S = 10.0
_SHORT_TIMES = 3
_VERSIONS = {5: "5", 4: "3.1.1"}


class Receiver:
    """Fills an inbox from one connection after the other.

    connect: makes a connection that is not open yet, from what takes its messages. topics: what it subscribes to.
    about: goes into the status as it is. last_connected_s: time.monotonic() when the subscriptions were last accepted.
    last_error: why there is no connection.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[MQTTMessage], None]], Connection],
        inbox: Inbox,
        *,
        topics: Sequence[str],
        about: dict[str, str],
        on_status: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._connect, self._inbox = connect, inbox
        self._topics, self._about, self._on_status = topics, about, on_status
        self._connected = self._ended = False
        self._version: str | None = None
        self._tick_s = float("-inf")
        self._started_s = time.monotonic()
        self._seen: deque[tuple[float, int, int]] = deque(maxlen=_RATE_S + 1)  # when, messages, signatures until then
        self.last_connected_s: float | None = None
        self.last_error: str | None = None

    def run(self, *, count: int | None, end_s: float, retry_s: float, max_retry_s: float) -> None:
        """Receive until `count` new signatures are stored, or until time.monotonic() is `end_s`.

        Raises SinkError where the store fails.
        """

        def done() -> bool:
            self._tick()
            return (count is not None and self._inbox.counts.stored >= count) or time.monotonic() >= end_s

        attempt = short = 0
        said: str | None = None
        while not done():
            self._connection = connection = self._connect(self._take)
            try:
                connection.open(min(CONNECT_TIMEOUT_S, end_s - time.monotonic()), done)
                # Again after every reconnect: a broker that was killed may have forgotten the session.
                asked = {connection.request(topic) for topic in self._topics}
                connection.listen(DROPPED_TOPIC)
                while not done():
                    self._receive(connection, min(_TICK_S, LOOP_S, end_s - time.monotonic()))
                    if not self._connected and asked <= connection.consented:
                        self._begin(connection)
                        attempt, said = 0, None
                    elif not self._connected and time.monotonic() > connection.heard_s + CONNECT_TIMEOUT_S:
                        raise SinkError(
                            f"{self._about['broker']}: no answer to the subscription within {CONNECT_TIMEOUT_S:g} s"
                        )
                self._end(connection)
            except SinkError as error:
                lived_s = time.monotonic() - self.last_connected_s if self._connected and self.last_connected_s else 0.0
                self._connected = False
                connection.drop()
                self._inbox.forget()
                if self._inbox.failure is not None:
                    raise
                if self.last_error is not None and done():
                    # The end of the time cut it short, so the error before says more.
                    break
                text = str(error)
                short = short + 1 if 0 < lived_s < _SHORT_S else 0
                if short >= _SHORT_TIMES and connection.ended is None:
                    text += f"; does another receiver use the client ID {self._about['client_id']!r}?"
                logger.log(logging.DEBUG if text == said else logging.WARNING, "%s", text)
                self.last_error = said = text
                pause_s = random.uniform(0, min(max_retry_s, retry_s * 2 ** min(attempt, 16)))
                attempt += 1
                until_s = min(time.monotonic() + pause_s, end_s)
                while (left_s := until_s - time.monotonic()) > 0:
                    time.sleep(min(left_s, _TICK_S))
                    self._tick()
        self._connected = False
        self._tick(last=True)

    def _begin(self, connection: Connection) -> None:
        """Note that the broker has accepted connection and subscriptions."""
        self.last_connected_s, self.last_error = time.monotonic(), None
        self._connected, self._version = True, _VERSIONS[connection.version]
        logger.info("%s: collecting as %s, MQTT %s", self._about["broker"], self._about["client_id"], self._version)

    def _end(self, connection: Connection) -> None:
        """Disconnect, and let the broker close: closing with unread bytes would discard the last acknowledgements."""
        connection.close()
        self._ended = True
        until_s = time.monotonic() + _CLOSE_S
        with suppress(SinkError):
            while (left_s := until_s - time.monotonic()) > 0:
                connection.loop(left_s)

    def _take(self, message: MQTTMessage) -> None:
        if self._ended:
            return
        self._inbox.take(message)
        if self._inbox.full:
            self._store()

    def _store(self) -> None:
        """Store what has arrived, then acknowledge it."""
        for message in self._inbox.store():
            self._connection.acknowledge(message)
        self._tick()

    def _receive(self, connection: Connection, timeout_s: float) -> None:
        """Wait for messages, store those that are there, and acknowledge them."""
        connection.loop(max(0.0, timeout_s))
        before = -1
        while before < self._inbox.waiting:
            before = self._inbox.waiting
            if before:
                connection.loop(0)
        self._store()

    def _tick(self, *, last: bool = False) -> None:
        now_s = time.monotonic()
        if now_s - self._tick_s < _TICK_S and not last:
            return
        self._tick_s = now_s
        self._inbox.look_for_holes(now_s)
        counts = self._inbox.counts
        self._seen.append((now_s, counts.messages, counts.stored))
        if self._on_status is not None:
            self._on_status(self.status())

    def status(self) -> dict[str, Any]:
        """Return how the receiver is: what it is connected to, what it has stored, how late, and what is missing."""
        now_s, inbox = time.monotonic(), self._inbox
        (first_s, first_messages, first_stored), (last_s, messages, stored) = self._seen[0], self._seen[-1]
        span_s = last_s - first_s
        return {
            "uptime_s": round(now_s - self._started_s, 1),
            **self._about,
            "protocol": self._version,
            "connected": self._connected,
            "last_error": self.last_error,
            **asdict(inbox.counts),
            "messages_per_s": round((messages - first_messages) / span_s, 2) if span_s else None,
            "signatures_per_s": round((stored - first_stored) / span_s, 2) if span_s else None,
            "silent_s": None if inbox.last_stored_s is None else round(now_s - inbox.last_stored_s, 1),
            "lag_s": inbox.lag_s(),
            "holes": None if inbox.holes is None else inbox.holes.counts._asdict(),
            "broker_dropped": inbox.broker_dropped,
        }
