"""Signatures and events to an MQTT broker, through a spool, at least once.

`publish` and `publish_events` only write to the spool and wake the sending thread (`sending`), so no broker delays the
measurement, and kill -9 loses nothing that they took: what is in the spool at the next start is sent again under the
same name, and the receiver drops what it has. Against power cuts a second thread fsyncs what nobody has
acknowledged before it is 16 seconds old, even while the sending thread hangs.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motionsig import wire
from motionsig.blocks import SignatureBatch
from motionsig.closing import Closing
from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.events import Event, to_json
from motionsig.fewer_bits import coarser
from motionsig.publishers import announced
from motionsig.publishers.announcing import Announcer
from motionsig.publishers.brokers import BROKER_OPTIONS, Broker, check_topic_part, parse_broker
from motionsig.publishers.clocks import Told
from motionsig.publishers.connection import import_paho
from motionsig.publishers.counts import SinkCounts
from motionsig.publishers.identity import stable_client_id
from motionsig.publishers.messages import pack
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import Outbox
from motionsig.publishers.resting import Rest, split_by_rest
from motionsig.publishers.sending import Sender
from motionsig.publishers.spool import Spool
from motionsig.publishers.transport import check_files
from motionsig.quality import is_at_rest
from motionsig.state import state_path
from motionsig.version import VERSION

logger = own_logger(__name__)

WARN_EVERY_S = 60.0
FSYNC_PAUSE_S = 0.01
FULL_TIMEOUT_S = 60.0  # how long `publish` waits for free space in a full spool while nothing is delivered


class MqttSink(Closing):
    """A spool and the threads that empty it and fsync it; call its methods from one thread; properties from any."""

    Options = MqttOptions

    def __init__(self, url: str, *, device: str, stream_id: int, **options: Any) -> None:
        """Open a sink for a broker's URL (`brokers`); the broker need not be there yet.

        options: those of `MqttOptions`. Raises InputError for what cannot be meant, SinkError for a spool that cannot
        be used, MissingExtraError without paho-mqtt.
        """
        import_paho()
        self._options = chosen = MqttOptions(**options)
        self.broker = parse_broker(url, **{option: getattr(chosen, option) for option in BROKER_OPTIONS})
        check_topic_part("device", device)
        check_files(self.broker)
        folder = default_spool(self.broker, device)
        if not chosen.spool and not folder.exists():
            _ask_of_rename(self.broker, device, folder)
        buffer = chosen.buffer
        if not buffer and (runtime := os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]):
            # That of a service is in RAM.
            buffer = f"{runtime}/spool/{folder.name}"
        self._spool = Spool(
            Path(chosen.spool or folder),
            buffer=Path(buffer) if buffer and not chosen.strict else None,
            max_bytes=chosen.max_bytes,
            full=chosen.full,
        )
        self._outbox = Outbox(self._spool, chosen, now_s=time.monotonic(), device=device)
        self._announcer = Announcer(
            prefix=chosen.prefix,
            device=device,
            availability=chosen.availability,
            home_assistant=chosen.home_assistant,
            version=VERSION,
            remembered=announced.load(self._spool.folders),
            cut_off=announced.was_cut_off(self._spool.folders),
            hold_s=chosen.hold_s,
            # A broker gives up a silent connection after one and a half intervals.
            late_s=1.5 * chosen.keepalive_s,
        )
        client_id = chosen.client_id or stable_client_id(device, self._spool.folders)
        self._sender = Sender(self.broker, self._spool, self._outbox, self._announcer, chosen, client_id, stream_id)
        self._device = device
        self._seq = 0
        self._recording: wire.Recording | None = None
        self._clock = Told()
        self._rest = Rest()
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
        """Why there is no connection, what the broker refuses, and why the disk takes nothing; None if all is well."""
        return "; ".join(filter(None, (self._sender.last_error, self._outbox.refusal, self._spool.failure))) or None

    @property
    def heartbeat_s(self) -> float:
        return self._sender.heartbeat_s

    @property
    def payload_bytes(self) -> int:
        """Bytes of the messages sent so far, each signature and event once; without what no connection took yet."""
        return self._outbox.payload_bytes

    @property
    def counts(self) -> SinkCounts:
        return SinkCounts(
            accepted=self._accepted,
            delivered=self._outbox.delivered,
            pending=self._spool.pending,
            dropped=self._spool.dropped,
            unheard=self._outbox.unheard,
            recovered=self._spool.recovered,
            damaged_bytes=self._spool.damaged_bytes,
            spool_bytes=self._spool.used_bytes,
            spool_limit_bytes=self._spool.limit_bytes,
        )

    def begin(self, stream_id: int, seq: int, recording: wire.Recording | None = None) -> None:
        """Number what is published from here on from `seq` within `stream_id`; it comes from that recording.

        Raises SinkError after `close`.
        """
        wire.check_origin(self._device, stream_id, seq)
        wire.check_recording(recording)
        self._check_usable()
        if stream_id != self._sender.stream_id:
            self._rest.end()
        self._sender.stream_id, self._seq, self._recording = stream_id, seq, recording
        self._sender.wake()

    def set_clock(self, clock: wire.Clock) -> None:
        """Hear of the wall clock that gives times from here on; call it before `publish`, and again when it is set.

        What waits from this boot, be it an earlier process's, has its times put right as it leaves.
        """
        self._clock.set(clock)
        self._outbox.set_clock(clock)
        self._sender.clock_told.set()
        self._sender.wake()

    def report(self, state: Mapping[str, object]) -> None:
        """Keep the newest state, for Home Assistant: signal_quality (%), backlog, device, last_error.

        It is sent when changed, at most each 30 s, and after each connect. Raises InputError for what is no JSON.
        """
        self._announcer.report(state)

    def publish(self, signatures: SignatureBatch) -> None:
        """Take a batch into the spool, or count what a full one dropped.

        Raises SinkError when a thread is gone, with strict=True when the disk refuses, with full="wait" when nothing
        moves for FULL_TIMEOUT_S; `counts.accepted` then says how far it got.
        """
        self._check_usable()
        chosen = self._options
        signatures = coarser(signatures, chosen.bits)
        if chosen.rest:
            # Two kinds apart, as only one of them may wait long.
            signatures = self._rest.repeat(signatures)
            for part in split_by_rest(signatures):
                self._publish(part, chosen.rest_delay_s if is_at_rest(part.quality).all() else 0.0)
        else:
            self._publish(signatures, 0.0)
        if chosen.strict:
            self._spool.sync()
        self._warn_of_drops()

    def _publish(self, signatures: SignatureBatch, may_wait_s: float) -> None:
        """Take signatures into the spool that may wait so long before they are brought to the disk."""
        chosen = self._options
        clock = self._clock.for_message()
        message = wire.Message(self._device, self._sender.stream_id, self._seq, signatures, self._recording, clock)
        # Each record fits into one message of the chosen form; the record itself is CBOR whatever that is.
        for part in pack(message, max_message_bytes=chosen.max_message_bytes, encode=chosen.keep):
            record = part.data if chosen.format == "cbor" else wire.encode(part.message)
            self._take(record, part.rows, numbered=part.rows, may_wait_s=may_wait_s)

    def publish_events(self, events: Sequence[Event]) -> None:
        """Take events into the spool, or count what a full one dropped; each leaves at once, as JSON.

        Raises InputError, before it takes any, for a device that cannot be one or not be part of a topic; SinkError as
        `publish`.
        Events that were taken before it may be published again: their key tells them.
        """
        self._check_usable()
        for event in events:
            wire.check_origin(event.device, event.stream_id, event.seq)
            check_topic_part("device", event.device)
        for event in events:
            self._take(to_json(event), 1, numbered=0)
        if self._options.strict:
            self._spool.sync()
        self._warn_of_drops()

    def announce_heads(self, heads: Mapping[str, bool]) -> None:
        """Say which heads there are, by name, and whether each gives a state; call it before their first event.

        With `home_assistant`, each becomes an entity there. What the broker keeps of a head that is no longer among
        them, be it an earlier process's, is removed. Raises InputError for a name that none can have, SinkError after
        `close`.
        """
        self._check_usable()
        self._announcer.announce_heads(heads)
        if any(heads.values()):
            announced.begin_telling(self._spool.folders)
        self._sender.wake()

    def _take(self, record: bytes, rows: int, *, numbered: int, may_wait_s: float = 0.0) -> None:
        """Take a record of so many signatures or events, of which `numbered` take a number of this stream each."""
        waited_from_s = time.monotonic()
        while not self._spool.append(record, rows, may_wait_s=may_wait_s):
            if self._spool.full != "wait":
                self._seq += numbered
                if self._options.strict and self._spool.failure is not None:
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
        self._seq += numbered
        self._accepted += rows
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
            why = f"the spool is full or its disk fails ({self.last_error or 'connected'})"
            logger.warning("%s: %d signatures and events dropped so far: %s", self.broker, dropped, why)
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
        if not self._spool.pending:
            announced.end_telling(self._spool.folders)
        self._spool.close()
        self._warn_of_drops(last=True)
        if self._spool.pending:
            text = "%s: %d signatures and events are not acknowledged and wait in %s for next time: %s"
            why = self.last_error or "the broker did not acknowledge them in time"
            logger.warning(text, self.broker, self._spool.pending, self._spool.path, why)

    def _fsync_in_time(self) -> None:
        """Fsync what has waited long enough, and at the end what is left; the spool logs what the disk refuses."""
        while not self._ended.wait(max(FSYNC_PAUSE_S, self._spool.due_in_s(time.monotonic()))):
            if not self._spool.due_in_s(time.monotonic()):
                with contextlib.suppress(SinkError):
                    self._spool.sync()
        with contextlib.suppress(SinkError):
            self._spool.sync()


def _ask_of_rename(broker: Broker, device: str, folder: Path) -> None:
    """Log which folders know of other devices' announcements: only a person knows whether this is one of them."""
    same_broker = default_spool(broker, "").name
    for other in sorted(folder.parent.glob(f"{same_broker}*")):
        if announced.load([other]):
            text = (
                "%s: %s is new; if it had another name before, open it once with spool=%s, to remove what was announced"
            )
            logger.warning(text, broker, device, other)


def default_spool(broker: Broker, device: str) -> Path:
    """Return where signatures for this broker and device wait by default."""
    return state_path("spool", f"{broker.host}-{broker.port}-{device}")
