"""What has arrived and is not stored yet: decoded at once, unpacked and stored together, then acknowledged together.

A commit on a disk takes milliseconds however much is in it, so all that has arrived meanwhile is one transaction. What
is no message of ours is counted and acknowledged, or the broker would send it for ever.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from motionsig import wire
from motionsig.collector.holes import Holes
from motionsig.collector.unread import keep
from motionsig.errors import SinkError, WireError
from motionsig.escaping import own_logger
from motionsig.events import Event, from_json
from motionsig.publishers.stores import Added, SignatureStore

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

logger = own_logger(__name__)

MOST_MESSAGES = 1000
MOST_BYTES = 8 << 20  # as arrays: a message of 10 kB may stand for half a megabyte of labels
DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
_WARN_EVERY_S = 60.0
_PARTS_S = 5.0  # so long parts of a failed transaction are tried until one of them is stored
_LAGS = 4096


@dataclass(frozen=True)
class CollectCounts:
    """What arrived. messages: of ours; junk: all others, and those that the store refuses.

    stored: signatures that are new; events: those that are; duplicates, conflicts: both together, as in `Added`.
    """

    messages: int = 0
    stored: int = 0
    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    junk: int = 0


class _Arrived(NamedTuple):
    """One message as it came, without its payload, and what to store of it: nothing if it is junk."""

    received: MQTTMessage
    what: wire.Message | wire.Packed | Event | None


class Inbox:
    """Takes messages from a connection and puts them into a store.

    failure: what the store raised, to tell it from a failing connection. broker_dropped: messages that the broker says
    it has dropped, of all its clients since its start; None where it does not say. unread: the file that keeps messages
    whose tables for packing this machine lacks; None: they count as junk.
    """

    def __init__(
        self,
        store: SignatureStore,
        prefix: str,
        *,
        holes: Holes | None = None,
        unread: Path | None = None,
        on_progress: Callable[[CollectCounts], None] | None = None,
    ) -> None:
        self.failure: SinkError | None = None
        self.broker_dropped: int | None = None
        self.last_stored_s: float | None = None
        self.holes = holes
        self._store, self._prefix, self._on_progress = store, prefix, on_progress
        self._tally: Counter[str] = Counter()
        self._arrived: list[_Arrived] = []
        self._unread_file, self._unread = unread, list[bytes]()
        self._bytes = 0
        self._lags_s: deque[float] = deque(maxlen=_LAGS)
        self._warned_s = self._told_s = self._lacking_s = float("-inf")

    @property
    def counts(self) -> CollectCounts:
        return CollectCounts(**self._tally)

    @property
    def waiting(self) -> int:
        """How many messages have arrived and are not stored yet."""
        return len(self._arrived)

    @property
    def full(self) -> bool:
        return len(self._arrived) >= MOST_MESSAGES or self._bytes >= MOST_BYTES

    def lag_s(self) -> dict[str, float] | None:
        """Return how old signatures were when they were stored, from their last sample on, of the last messages."""
        if not self._lags_s:
            return None
        import numpy as np

        values = np.percentile(self._lags_s, [50, 90, 99, 100])
        return dict(zip(("p50", "p90", "p99", "most"), np.round(values, 3).tolist(), strict=True))

    def take(self, received: MQTTMessage) -> None:
        """Decode one message; nothing is stored yet."""
        try:
            # The property decodes, and a stranger's topic need not be UTF-8.
            topic = received.topic
            if topic == DROPPED_TOPIC:
                self._note_dropped(received.payload)
                return
            what = _read(topic, received.payload, self._prefix)
        except wire.MissingTablesError as error:
            what = None
            self._lacking(bytes(received.payload), str(error))
        except (WireError, UnicodeDecodeError) as error:
            what = None
            self._junk(str(error))
        # Only the number is needed from here on; a stranger's topic may have 64 KiB.
        received.payload = received.topic = b""
        self._arrived.append(_Arrived(received, what))
        message = what.message if isinstance(what, wire.Packed) else what
        if isinstance(message, wire.Message):
            arrays = message.signatures.codes, message.signatures.start_ns, message.signatures.labels
            self._bytes += sum(array.nbytes for array in arrays if array is not None)

    def store(self) -> list[MQTTMessage]:
        """Store what has arrived in one transaction; return what to acknowledge, in the order of arrival.

        Raises SinkError, and then nothing may be acknowledged: the broker sends it again.
        """
        arrived, self._arrived, self._bytes = self._arrived, [], 0
        self._keep_unread()
        what = self._unpacked([each.what for each in arrived if each.what is not None])
        if what:
            try:
                self._add(what)
            except SinkError as error:
                self._add_in_parts(what, error)
            self.last_stored_s = time.monotonic()
            if self._on_progress is not None:
                self._on_progress(self.counts)
        return [each.received for each in arrived]

    def _unpacked(self, what: list[wire.Message | wire.Packed | Event]) -> list[wire.Message | Event]:
        """Return what arrived, with all codes; what was damaged is counted as junk."""
        unpacked = iter(wire.unpack_all([each for each in what if not isinstance(each, Event)]))
        whole = list[wire.Message | Event]()
        for each in what:
            found = each if isinstance(each, Event) else next(unpacked)
            if isinstance(found, WireError):
                self._junk(str(found))
            else:
                whole.append(found)
        return whole

    def _lacking(self, payload: bytes, why: str) -> None:
        if self._unread_file is None:
            self._junk(why)
            return
        self._unread.append(payload)
        self._bytes += len(payload)
        if time.monotonic() - self._lacking_s >= _WARN_EVERY_S:
            logger.warning("kept in %s until it can be read: %.300s", self._unread_file, why)
            self._lacking_s = time.monotonic()

    def _keep_unread(self) -> None:
        unread, self._unread = self._unread, []
        try:
            if unread and self._unread_file is not None and not keep(self._unread_file, unread):
                for _ in unread:
                    self._junk(f"{self._unread_file} is full of messages that lack tables for packing")
        except SinkError as error:
            self.failure = error
            raise

    def forget(self) -> None:
        """Forget what is not stored: after a lost connection the broker sends it again."""
        self._arrived, self._unread, self._bytes = [], [], 0

    def look_for_holes(self, now_s: float) -> None:
        """Report holes that are old enough; raise SinkError where the store cannot be asked."""
        if self.holes is not None:
            try:
                self.holes.look(now_s)
            except SinkError as error:
                self.failure = error
                raise

    def _add(self, what: list[wire.Message | Event]) -> None:
        messages = [each for each in what if isinstance(each, wire.Message)]
        added: Added = self._store.add_all(messages, [each for each in what if isinstance(each, Event)])
        self._tally.update(messages=len(what), **added._asdict())
        now_s, now_ns = time.monotonic(), time.time_ns()
        for message in messages:
            signatures = message.signatures
            end_ns = int(signatures.start_ns[-1]) + signatures.spec.length_ns
            self._lags_s.append((now_ns - end_ns) / 1e9)
            if self.holes is not None:
                self.holes.note(message.device, message.stream_id, message.seq, len(signatures), now_s)

    def _add_in_parts(self, what: list[wire.Message | Event], error: SinkError) -> None:
        """Store each half in a transaction of its own, and so on: what the store refuses must not cost the others.

        Where nothing is stored within some seconds, it is the store that fails: raise its error.
        """
        began_s, refused, stored = time.monotonic(), list[SinkError](), False
        parts = [what]
        while parts:
            part = parts.pop()
            try:
                if part is not what:
                    self._add(part)
                    stored = True
                    continue
            except SinkError as again:
                error = again
            middle = len(part) // 2
            if middle:
                parts += [part[middle:], part[:middle]]
            else:
                refused.append(error)
            if not stored and (not parts or time.monotonic() - began_s > _PARTS_S):
                self.failure = error
                raise error
        for each_error in refused:
            self._junk(f"the store refuses it: {each_error}")

    def _note_dropped(self, payload: Any) -> None:
        try:
            dropped = int(bytes(payload)[:20])
        except ValueError:
            return
        if self.broker_dropped is not None and dropped > self.broker_dropped:
            now_s = time.monotonic()
            if now_s - self._told_s >= _WARN_EVERY_S:
                logger.warning(
                    "the broker has dropped %d messages more, %d since its start: a client's queue was full "
                    "(Mosquitto: max_queued_messages); if it was this receiver's, it is too slow, or was away too long",
                    dropped - self.broker_dropped,
                    dropped,
                )
                self._told_s = now_s
        self.broker_dropped = dropped

    def _junk(self, reason: str) -> None:
        self._tally["junk"] += 1
        if time.monotonic() - self._warned_s >= _WARN_EVERY_S:
            logger.warning("%d messages so far that are not ours, the last: %.300s", self._tally["junk"], reason)
            self._warned_s = time.monotonic()


def _read(topic: str, payload: Any, prefix: str) -> wire.Message | wire.Packed | Event | None:
    """Return what a message holds, None for an empty one that removes what the broker kept of a head."""
    what: wire.Message | wire.Packed | Event
    if topic.removeprefix(f"{prefix}/").count("/") == 2:
        if not payload:
            return None
        what = from_json(bytes(payload))
        expected = f"{prefix}/{what.device}/events/{what.head}"
    else:
        try:
            what = wire.begin(bytes(payload))
        except wire.MissingTablesError as error:
            _check_topic(topic, f"{prefix}/{error.device}/signatures")
            raise
        message = what.message if isinstance(what, wire.Packed) else what
        expected = f"{prefix}/{message.device}/signatures"
    _check_topic(topic, expected)
    return what


def _check_topic(topic: str, expected: str) -> None:
    """Raise WireError unless they are the same: a broker's access list is of topics, so the topic says who sent it."""
    if topic != expected:
        raise WireError(f"expected topic {expected!r} for what is in the message, got {topic!r:.300}")
