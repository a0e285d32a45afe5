"""Signatures to an MQTT broker, through a spool, at least once.

`publish` only writes to the spool and wakes the sending thread (`sending`), so neither a slow nor a missing broker
delays the measurement, and kill -9 at any point loses nothing that `publish` took: whatever is still in the spool at
the next start is sent again under the same (device, stream_id, seq), and the receiver drops what it has.

A power cut loses what is not on the disk yet. A second thread therefore fsyncs what nobody has acknowledged before it
is ten seconds old, even while the sending thread hangs.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from motionsig.blocks import SignatureBatch
from motionsig.closing import Closing
from motionsig.errors import InputError, SinkError
from motionsig.publishers.announcing import Announcer
from motionsig.publishers.connection import Broker, check_topic_part, import_paho, parse_broker, tls_context
from motionsig.publishers.counts import SinkCounts
from motionsig.publishers.identity import stable_client_id
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES, Packed, check_begin, check_max_message_bytes, pack
from motionsig.publishers.outbox import Joining, Outbox
from motionsig.publishers.sending import Sender, Sending
from motionsig.publishers.spool import DEFAULT_MAX_BYTES, Spool, check_limits
from motionsig.state import state_path

logger = logging.getLogger(__name__)

WARN_EVERY_S = 60.0
FSYNC_PAUSE_S = 0.01
FULL_TIMEOUT_S = 60.0
"""How long `publish` waits for free space in a full spool while nothing is delivered."""


class MqttSink(Closing):
    """A spool and the threads that empty it and fsync it; call every method but `counts` from the same thread."""

    def __init__(
        self,
        broker: Broker,
        spool: Spool,
        outbox: Outbox,
        announcer: Announcer,
        sender: Sender,
        *,
        device: str,
        joining: Joining,
        strict: bool,
    ) -> None:
        self.broker = broker
        self._spool = spool
        self._outbox = outbox
        self._announcer = announcer
        self._sender = sender
        self._device = device
        self._joining = joining
        self._strict = strict
        self._seq = 0
        self._accepted = 0
        self._warned_dropped = 0
        self._warned_s = -math.inf
        self._closed = False
        self._ended = threading.Event()
        self._fsync_thread = threading.Thread(target=self._fsync_in_time, name="motionsig-fsync", daemon=True)
        self._fsync_thread.start()

    def __repr__(self) -> str:
        device = self._device if len(self._device) <= 40 else f"{self._device[:37]}..."
        state = "closed" if self._closed else "connected" if self.last_error is None else self.last_error
        return f"<MqttSink {self.broker}, {device!r}: {self._spool.pending} pending, {state}"[:199] + ">"

    @property
    def last_error(self) -> str | None:
        """Why there is no connection at present, and why the disk takes nothing; None while all is well."""
        return "; ".join(filter(None, (self._sender.last_error, self._spool.failure))) or None

    @property
    def heartbeat_s(self) -> float:
        return self._sender.heartbeat_s

    @property
    def payload_bytes(self) -> int:
        """Bytes of the messages sent so far, each signature once; what no connection took yet is not in it."""
        return self._outbox.payload_bytes

    @property
    def counts(self) -> SinkCounts:
        return SinkCounts(
            accepted=self._accepted,
            delivered=self._outbox.delivered,
            pending=self._spool.pending,
            dropped=self._spool.dropped,
            recovered=self._spool.recovered,
            damaged_bytes=self._spool.damaged_bytes,
            spool_bytes=self._spool.used_bytes,
            spool_limit_bytes=self._spool.limit_bytes,
        )

    def begin(self, stream_id: int, seq: int) -> None:
        """Number what is published from here on from `seq` within `stream_id`. Raises SinkError after `close`."""
        check_begin(self._device, stream_id, seq)
        self._check_usable()
        self._sender.stream_id, self._seq = stream_id, seq
        self._sender.wake()

    def report(self, state: Mapping[str, object]) -> None:
        """Keep the newest state, for Home Assistant: signal_quality (%), backlog, device, last_error.

        It is sent when changed, at most each 30 s, and after each connect. Raises InputError for what is no JSON.
        """
        self._announcer.report(state)

    def publish(self, signatures: SignatureBatch) -> None:
        """Take a batch into the spool, or count what a full one dropped.

        Raises SinkError when a thread is gone, when strict=True and the disk refuses, and when full="wait" and nothing
        moves for FULL_TIMEOUT_S; `counts.accepted` then says how far it got.
        """
        self._check_usable()
        packed = pack(
            signatures,
            device=self._device,
            stream_id=self._sender.stream_id,
            seq=self._seq,
            max_message_bytes=self._joining.max_message_bytes,
            compress=self._joining.compress,
        )
        for message in packed:
            self._take(message)
        if self._strict:
            self._spool.sync()
        self._warn_of_drops()

    def _take(self, message: Packed) -> None:
        waited_from_s = time.monotonic()
        while not self._spool.append(message.data, message.rows):
            if self._spool.full != "wait":
                self._seq += message.rows
                if self._strict and self._spool.failure is not None:
                    raise SinkError(f"{self.broker}: {self._spool.failure}")
                return
            # full="wait": no message may be held back to be joined with others now.
            self.flush()
            if self._sender.progress.wait(1.0):
                self._sender.progress.clear()
                waited_from_s = time.monotonic()
            self._check_usable()
            if time.monotonic() - waited_from_s > FULL_TIMEOUT_S:
                raise SinkError(
                    f"{self.broker}: the spool is full and nothing was delivered for {FULL_TIMEOUT_S:g} s: "
                    f"{self.last_error or 'the broker does not acknowledge'}"
                )
        # A dropped signature keeps its number: the hole tells the receiver that something is missing.
        self._seq += message.rows
        self._accepted += message.rows
        self._sender.wake()

    def _check_usable(self) -> None:
        if self._closed:
            raise SinkError(f"{self.broker}: this sink is closed")
        if not self._sender.alive:
            raise SinkError(f"{self.broker}: the sending thread ended: {self._sender.died!r}") from self._sender.died
        if not self._fsync_thread.is_alive():
            raise SinkError(f"{self.broker}: the fsync thread ended")

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

    def flush(self) -> None:
        """Send at once what waits to travel together; does not wait for it to arrive."""
        self._check_usable()
        self._sender.flush()

    def close(self) -> None:
        """Send what is left, and wait while it is being acknowledged; what is not stays in the spool for next time.

        Gives up after `close_timeout_s` without an acknowledgement, or `close_limit_s` altogether.
        """
        if self._closed:
            return
        self._closed = True
        self._sender.close()
        self._ended.set()
        # An SD card may take so long.
        self._fsync_thread.join(2.0)
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

    def _fsync_in_time(self) -> None:
        """Fsync what has waited long enough, and at the end what is left; the spool logs what the disk refuses."""
        while not self._ended.wait(max(FSYNC_PAUSE_S, self._spool.due_in_s(time.monotonic()))):
            if not self._spool.due_in_s(time.monotonic()):
                with contextlib.suppress(SinkError):
                    self._spool.sync()
        with contextlib.suppress(SinkError):
            self._spool.sync()


def default_spool(broker: Broker, device: str) -> Path:
    """Return where signatures for this broker and device wait by default."""
    return state_path("spool", f"{broker.host}-{broker.port}-{device}")


def default_buffer(broker: Broker, device: str) -> Path | None:
    """Return where they wait before that by default: in the $RUNTIME_DIRECTORY of a service, if there is one."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(runtime) / "spool" / default_spool(broker, device).name if runtime else None


def check_mqtt(**given: Any) -> None:
    """Raise InputError for options of `open_mqtt`, any of them, that cannot be meant; nothing is opened."""
    options = {**(open_mqtt.__kwdefaults__ or {}), **given}
    check_topic_part("device", options["device"])
    for name in ("prefix", "home_assistant"):
        for part in options[name].split("/") if options[name] is not None else []:
            check_topic_part(name, part)
    check_max_message_bytes(options["max_message_bytes"])
    check_limits(options["max_bytes"], options["full"])
    bounds = [options[name] for name in ("in_flight", "keepalive_s", "retry_s", "max_retry_s", "ack_timeout_s")]
    in_flight, keepalive_s, retry_s, max_retry_s, ack_timeout_s = bounds
    if in_flight < 1 or keepalive_s < 1 or retry_s <= 0 or max_retry_s < retry_s or ack_timeout_s <= 0:
        raise InputError(
            "mqtt: expected in_flight and keepalive_s from 1 up, 0 < retry_s <= max_retry_s and 0 < ack_timeout_s, got "
            f"{in_flight}, {keepalive_s}, {retry_s}, {max_retry_s} and {ack_timeout_s}"
        )


def open_mqtt(
    url: str,
    *,
    device: str,
    stream_id: int,
    # Who connects.
    username: str | None = None,
    password: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    client_id: str | None = None,
    # What is sent besides signatures, and where to.
    prefix: str = "motionsig",
    availability: bool = False,
    home_assistant: str | None = None,
    # Where signatures wait.
    spool: str | None = None,
    buffer: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    full: str = "oldest",
    strict: bool = False,
    # How they become messages.
    delay_s: float = 6.0,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    compress: bool = False,
    # When to send again, to connect again and to give up.
    in_flight: int = 20,
    ack_timeout_s: float = 20.0,
    hold_s: float = 10.0,
    keepalive_s: int = 30,
    retry_s: float = 10.0,
    max_retry_s: float = 300.0,
    close_timeout_s: float = 5.0,
    close_limit_s: float = 30.0,
) -> MqttSink:
    """Open a sink for mqtt://[user[:password]@]host[:port] or mqtts://…; the broker need not be there yet.

    ca, cert, key: PEM files for mqtts; without ca the system's authorities count. client_id: by default always the same
    for this device, machine and spool, so that the broker ends a connection it has not yet given up before it takes the
    next one.
    prefix: messages go to PREFIX/DEVICE/signatures. availability: keep at PREFIX/DEVICE/availability whether the device
    is there. home_assistant: the prefix ("homeassistant") under which Home Assistant discovers the device; includes
    availability.
    spool: directory of the queue, one publisher each. buffer: directory in RAM where signatures wait before that, by
    default one in $RUNTIME_DIRECTORY if that is set. max_bytes, full: size of the queue and what happens beyond it:
    "oldest" or "newest" are dropped, or "wait" for free space. strict: publish survives a power cut, at the price of a
    disk write each and without a buffer; otherwise a power cut costs the last 10 s at most.
    delay_s: how long signatures wait to travel together, 0 sends each at once; more than 6 has them written to disk
    first. max_message_bytes: a full message leaves earlier. compress: pack the codes where that makes them smaller.
    in_flight: messages on their way at most. ack_timeout_s: after so long without an acknowledgement the connection is
    given up. hold_s: how long an acknowledged message is kept to be sent again should the broker have lost it.
    retry_s, max_retry_s: pauses between attempts are random, up to a bound that doubles from one to the other.
    close_timeout_s, close_limit_s: how long close waits without an acknowledgement, and altogether.
    Raises InputError for options that cannot be meant, SinkError for a spool that cannot be used, MissingExtraError
    without paho-mqtt.
    """
    import_paho()
    broker = parse_broker(url, username=username, password=password, ca=ca, cert=cert, key=key)
    check_mqtt(
        device=device,
        prefix=prefix,
        home_assistant=home_assistant,
        max_bytes=max_bytes,
        full=full,
        max_message_bytes=max_message_bytes,
        in_flight=in_flight,
        keepalive_s=keepalive_s,
        retry_s=retry_s,
        max_retry_s=max_retry_s,
        ack_timeout_s=ack_timeout_s,
    )
    context = tls_context(broker)
    before = Path(buffer) if buffer else default_buffer(broker, device)
    queue = Spool(
        Path(spool) if spool else default_spool(broker, device),
        buffer=None if strict else before,
        max_bytes=max_bytes,
        full=full,
    )
    joining = Joining(max_message_bytes=max_message_bytes, delay_s=delay_s, hold_s=hold_s, compress=compress)
    outbox = Outbox(queue, joining, in_flight=in_flight, now_s=time.monotonic())
    announcer = Announcer(
        prefix=prefix,
        device=device,
        availability=availability,
        home_assistant=home_assistant,
        version=version("motionsig"),
    )
    sending = Sending(
        prefix=prefix,
        client_id=client_id or stable_client_id(device, queue.folders),
        ack_timeout_s=ack_timeout_s,
        keepalive_s=keepalive_s,
        retry_s=retry_s,
        max_retry_s=max_retry_s,
        close_timeout_s=close_timeout_s,
        close_limit_s=close_limit_s,
    )
    sender = Sender(broker, context, queue, outbox, announcer, sending, stream_id=stream_id)
    return MqttSink(
        broker,
        queue,
        outbox,
        announcer,
        sender,
        device=device,
        joining=joining,
        strict=strict,
    )
