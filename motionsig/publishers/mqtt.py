"""Signatures to an MQTT broker, through a disk spool, at least once and in order.

`publish` only writes to the spool and wakes a thread; that thread alone owns the connection, reads the spool, joins
neighbouring signatures into messages and deletes what has arrived. So neither a slow nor a missing broker delays the
measurement, and kill -9 at any point loses nothing that `publish` took: whatever is still in the spool at the next
start is sent again under the same (device, epoch, seq), and the receiver drops what it has.

A broker's acknowledgement is weaker than it looks: kill -9 of the broker loses what it acknowledged but had neither
passed on nor saved. Acknowledged records are therefore held for `hold_s` more, and forgotten only once the broker has
shown a sign of life that long after; a connection that ends otherwise sends them again. An acknowledgement lost on a
live connection would stop the window for good, so one that is overdue ends the connection, too. `close` does not wait
for that: once all is acknowledged it forgets, or the next run would begin by sending this one's end again.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import random
import secrets
import select
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from motionsig.blocks import SignatureBatch
from motionsig.errors import InputError, SinkError
from motionsig.publishers import SinkCounts
from motionsig.publishers.connection import (
    TURN_S,
    Broker,
    Connection,
    check_topic_part,
    import_paho,
    parse_broker,
    tls_context,
)
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES, Packed, check_max_message_bytes, pack
from motionsig.publishers.outbox import Outbox, Outgoing
from motionsig.publishers.spool import DEFAULT_MAX_BYTES, Position, Spool
from motionsig.state import state_path

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
SYNC_EVERY_S = 10.0
"""While the broker is away the spool is forced to disk this often, so that a power cut costs no more than that."""

WARN_EVERY_S = 60.0
REPORT_EVERY_S = 600.0
"""The same failure of the connection is a warning no more often than this."""


@dataclass(frozen=True)
class Settings:
    """What `open_mqtt` was told; its docstring explains each."""

    device: str
    epoch: int
    prefix: str
    client_id: str
    full_timeout_s: float
    strict: bool
    delay_s: float
    max_message_bytes: int
    compress: bool
    in_flight: int
    ack_timeout_s: float
    hold_s: float
    keepalive_s: int
    retry_s: float
    max_retry_s: float
    close_timeout_s: float
    close_limit_s: float


class MqttSink:
    """A spool and the thread that empties it; `publish` and `close` belong to one thread.

    last_error: why there is no connection at present, None while there is one.
    """

    def __init__(self, broker: Broker, context: ssl.SSLContext | None, spool: Spool, settings: Settings) -> None:
        self.broker = broker
        self.last_error: str | None = None
        self._context = context
        self._settings = settings
        self._spool = spool
        self._outbox = Outbox(
            spool,
            max_message_bytes=settings.max_message_bytes,
            delay_s=settings.delay_s,
            hold_s=settings.hold_s,
            compress=settings.compress,
        )
        self._seq = 0
        self._accepted = 0
        self._warned_dropped = 0
        self._warned_s = -math.inf
        self._synced_s = -math.inf
        self._reported = ""
        self._reported_s = -math.inf
        self._flush_to: Position | None = None
        self._closed = False
        self._closing_s = math.inf
        self._died: BaseException | None = None
        self._progress = threading.Event()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # A daemon thread: if it hangs in a name look-up the process may end all the same, and the spool has it all.
        self._thread = threading.Thread(target=self._run, name="motionsig-mqtt", daemon=True)
        self._thread.start()

    @property
    def payload_bytes(self) -> int:
        """Bytes of the messages sent so far, each signature once; what no connection took yet is not in it."""
        return self._outbox.payload_bytes

    @property
    def counts(self) -> SinkCounts:
        """What became of the signatures so far."""
        return SinkCounts(
            accepted=self._accepted,
            delivered=self._outbox.delivered,
            pending=self._spool.pending,
            dropped=self._spool.dropped,
            recovered=self._spool.recovered,
            damaged_bytes=self._spool.damaged_bytes,
        )

    def publish(self, signatures: SignatureBatch) -> None:
        """Take a batch into the spool, or count what a full one dropped.

        Raises SinkError when the sending thread is gone, when strict=True and the disk refuses, and when full="wait"
        and nothing moves for `full_timeout_s`; `counts.accepted` then tells how far it got.
        """
        self._check_usable()
        packed = pack(
            signatures,
            device=self._settings.device,
            epoch=self._settings.epoch,
            seq=self._seq,
            max_message_bytes=self._settings.max_message_bytes,
            compress=self._settings.compress,
        )
        for message in packed:
            self._take(message)
        if self._settings.strict:
            self._spool.sync()
        self._warn_of_drops()

    def _take(self, message: Packed) -> None:
        dropped = self._spool.dropped
        waited_from_s = time.monotonic()
        while not self._spool.append(message.data, message.rows):
            if self._spool.dropped != dropped:
                self._seq += message.rows
                return
            # full="wait": what is waiting must not wait for company now.
            self.flush()
            if self._progress.wait(1.0):
                self._progress.clear()
                waited_from_s = time.monotonic()
            self._check_usable()
            if time.monotonic() - waited_from_s > self._settings.full_timeout_s:
                raise SinkError(
                    f"{self.broker}: the spool is full and nothing was delivered for "
                    f"{self._settings.full_timeout_s:g} s: "
                    f"{self.last_error or 'the broker does not acknowledge'}"
                )
        # A dropped signature keeps its number: the hole tells the receiver that something is missing.
        self._seq += message.rows
        self._accepted += message.rows
        self._wake()

    def _check_usable(self) -> None:
        if self._closed:
            raise SinkError(f"{self.broker}: this sink is closed")
        if not self._thread.is_alive():
            raise SinkError(f"{self.broker}: the sending thread ended: {self._died!r}") from self._died

    def _warn_of_drops(self, *, last: bool = False) -> None:
        dropped, now_s = self._spool.dropped, time.monotonic()
        if dropped > self._warned_dropped and (last or now_s - self._warned_s >= WARN_EVERY_S):
            logger.warning(
                "%s: %d signatures dropped so far: the spool is full or its disk fails (%s)",
                self.broker,
                dropped,
                self.last_error or "connected",
            )
            self._warned_dropped, self._warned_s = dropped, now_s

    def _wake(self) -> None:
        # A full pipe wakes just as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def flush(self) -> None:
        """Send at once what waits to travel together; does not wait for it to arrive."""
        self._check_usable()
        self._flush_to = self._spool.end
        self._wake()

    def close(self) -> None:
        """Send what is left, and wait while it is being acknowledged; what is not stays in the spool for next time.

        Gives up after `close_timeout_s` without an acknowledgement, or `close_limit_s` altogether.
        """
        if self._closed:
            return
        self._closed = True
        self._closing_s = time.monotonic()
        self._wake()
        limit_s = self._closing_s + self._settings.close_limit_s
        quiet_s = self._closing_s + self._settings.close_timeout_s
        # Half a second longer than the thread gives itself: only one stuck in a look-up or a handshake needs it.
        while self._thread.is_alive() and time.monotonic() < min(limit_s, quiet_s) + 0.5:
            self._thread.join(0.05)
            if self._progress.is_set():
                self._progress.clear()
                quiet_s = time.monotonic() + self._settings.close_timeout_s
        self._spool.close()
        self._warn_of_drops(last=True)
        if self._spool.pending:
            logger.warning(
                "%s: %d signatures are not acknowledged and wait in %s for next time: %s",
                self.broker,
                self._spool.pending,
                self._spool.path,
                self.last_error or "the broker did not acknowledge them in time",
            )
        if not self._thread.is_alive():
            os.close(self._wake_read)
            os.close(self._wake_write)

    def __enter__(self) -> MqttSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # From here on: the sending thread.

    def _run(self) -> None:
        try:
            self._send()
        except BaseException as error:
            # Kept for the next `publish` to report; the thread still ends the way it would have.
            self._died = error
            raise

    def _send(self) -> None:
        attempt = 0
        while not self._done():
            connection = Connection(
                self.broker,
                client_id=self._settings.client_id,
                clean_session=True,
                keepalive_s=self._settings.keepalive_s,
                context=self._context,
            )
            delivered = self._outbox.delivered
            try:
                connection.open(CONNECT_TIMEOUT_S, self._done)
                self.last_error = None
                logger.info("%s: connected", self.broker)
                self._serve(connection)
                connection.close()
            except SinkError as error:
                self._report(str(error))
                connection.drop()
                self._outbox.rewind()
                # Only a delivery proves the path; a broker that lets us in and throws us out is not hurried.
                attempt = 1 if self._outbox.delivered > delivered else attempt + 1
                # Full jitter, so that a fleet does not return to a restarted broker all at once.
                self._rest(
                    random.uniform(0, min(self._settings.max_retry_s, self._settings.retry_s * 2 ** min(attempt, 16)))
                )

    def _report(self, reason: str) -> None:
        now_s = time.monotonic()
        repeated = reason == self._reported and now_s - self._reported_s < REPORT_EVERY_S
        logger.log(
            logging.DEBUG if repeated else logging.WARNING, "%s; signatures wait in %s", reason, self._spool.path
        )
        if not repeated:
            self._reported, self._reported_s = reason, now_s
        self.last_error = reason

    def _done(self) -> bool:
        if not self._closed:
            return False
        now_s = time.monotonic()
        quiet_s = now_s - max(self._closing_s, self._outbox.progress_s)
        return (
            not self._spool.pending
            or quiet_s > self._settings.close_timeout_s
            or now_s - self._closing_s > self._settings.close_limit_s
        )

    def _rest(self, pause_s: float) -> None:
        """Wait before the next attempt; on `close` there is not that much time."""
        until_s = time.monotonic() + pause_s
        while not self._done():
            now_s = time.monotonic()
            if self._closed:
                until_s = min(until_s, now_s + self._settings.close_timeout_s / 10)
            if now_s >= until_s:
                return
            self._outbox.note_arrivals(now_s)
            self._sync(now_s)
            if select.select([self._wake_read], [], [], min(TURN_S, until_s - now_s))[0]:
                os.read(self._wake_read, 4096)

    def _sync(self, now_s: float) -> None:
        if now_s - self._synced_s >= SYNC_EVERY_S:
            self._synced_s = now_s
            try:
                self._spool.sync()
            except SinkError as error:
                logger.warning("%s", error)

    def _serve(self, connection: Connection) -> None:
        on_way: dict[int, Outgoing] = {}
        while True:
            for mid in connection.acknowledged:
                if mid in on_way:
                    on_way.pop(mid).acknowledged = True
            if connection.acknowledged:
                connection.acknowledged.clear()
                self._progress.set()
            self._outbox.settle(connection.heard_s)
            now_s = time.monotonic()
            if self._outbox.stalled_s(now_s) > self._settings.ack_timeout_s:
                raise SinkError(f"{self.broker}: no acknowledgement for {self._settings.ack_timeout_s:g} s")
            if self._closed and not self._spool.pending:
                self._outbox.finish()
                return
            if self._done():
                return
            flush_to = self._spool.end if self._closed else self._flush_to
            while self._outbox.on_way < self._settings.in_flight:
                outgoing = self._outbox.next(now_s, flush_to)
                if outgoing is None:
                    break
                on_way[
                    connection.publish(f"{self._settings.prefix}/{outgoing.device}/signatures", outgoing.payload)
                ] = outgoing
                # Sent again it is read from the spool again, so memory holds no copy of what is on its way.
                outgoing.payload = b""
            timeout_s = min(
                TURN_S, self._settings.ack_timeout_s / 4, self._settings.close_timeout_s / 4 if self._closed else TURN_S
            )
            if self._outbox.on_way < self._settings.in_flight:
                timeout_s = min(timeout_s, self._outbox.due_in_s(now_s))
            connection.turn(timeout_s, self._wake_read)


def default_spool(broker: Broker, device: str) -> Path:
    """Return where signatures for this broker and device wait by default."""
    return state_path("spool", f"{broker.host}-{broker.port}-{device}")


def open_mqtt(
    url: str,
    *,
    device: str,
    epoch: int,
    username: str | None = None,
    password: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    prefix: str = "motionsig",
    client_id: str | None = None,
    spool: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    full: str = "oldest",
    full_timeout_s: float = 60.0,
    strict: bool = False,
    delay_s: float = 10.0,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    compress: bool = False,
    in_flight: int = 20,
    ack_timeout_s: float = 20.0,
    hold_s: float = 10.0,
    keepalive_s: int = 30,
    retry_s: float = 1.0,
    max_retry_s: float = 60.0,
    close_timeout_s: float = 5.0,
    close_limit_s: float = 30.0,
) -> MqttSink:
    """Open a sink for mqtt://[user[:password]@]host[:port] or mqtts://…; the broker need not be there yet.

    ca, cert, key: PEM files for mqtts; without ca the system's authorities count. prefix: messages go to
    PREFIX/DEVICE/signatures. client_id: random by default, so that two sinks never push each other out.
    spool: directory of the queue, one publisher each; max_bytes, full: its size and what happens beyond ("oldest" or
    "newest" dropped, or "wait" for room, at most full_timeout_s without a delivery). strict: publish survives a power
    cut, at the price of a disk write each.
    delay_s: how long signatures wait to travel together, 0 sends each at once; max_message_bytes: a full message leaves
    earlier. compress: pack the codes where that makes them smaller.
    in_flight: messages on their way at most. ack_timeout_s: a connection without an acknowledgement for so long is
    given up. hold_s: how long an acknowledged message is kept to be sent again should the broker have lost it.
    retry_s, max_retry_s: pauses between attempts are random, up to a bound that doubles from one to the other.
    close_timeout_s, close_limit_s: how long close waits without an acknowledgement, and altogether.
    Raises InputError for options that cannot be meant, SinkError for a spool that cannot be used, MissingExtraError
    without paho-mqtt.
    """
    import_paho()
    broker = parse_broker(url, username=username, password=password, ca=ca, cert=cert, key=key)
    check_topic_part("device", device)
    for part in prefix.split("/"):
        check_topic_part("prefix", part)
    check_max_message_bytes(max_message_bytes)
    if in_flight < 1 or keepalive_s < 1 or retry_s <= 0 or max_retry_s < retry_s or ack_timeout_s <= 0:
        raise InputError(
            "mqtt: expected in_flight and keepalive_s from 1 up, 0 < retry_s <= max_retry_s and 0 < ack_timeout_s, got "
            f"{in_flight}, {keepalive_s}, {retry_s}, {max_retry_s} and {ack_timeout_s}"
        )
    context = tls_context(broker)
    queue = Spool(Path(spool) if spool else default_spool(broker, device), max_bytes=max_bytes, full=full)
    settings = Settings(
        device=device,
        epoch=epoch,
        prefix=prefix,
        client_id=client_id or f"motionsig-{device[:40]}-{secrets.token_hex(4)}",
        full_timeout_s=full_timeout_s,
        strict=strict,
        delay_s=delay_s,
        max_message_bytes=max_message_bytes,
        compress=compress,
        in_flight=in_flight,
        ack_timeout_s=ack_timeout_s,
        hold_s=hold_s,
        keepalive_s=keepalive_s,
        retry_s=retry_s,
        max_retry_s=max_retry_s,
        close_timeout_s=close_timeout_s,
        close_limit_s=close_limit_s,
    )
    return MqttSink(broker, context, queue, settings)
