"""The cloud end: subscribe, check, store once.

A message is in the store and on the disk before the broker has its acknowledgement: paho sends that after its callback
has returned, and none after one that raised, so the broker sends the message again. A persistent session also keeps
what arrives while the collector is away. The store drops what comes twice; what is no message of ours is only counted.
"""

from __future__ import annotations

import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from motionsig import wire
from motionsig.errors import InputError, SinkError, WireError
from motionsig.events import from_json
from motionsig.options import keyword_options, parse_options
from motionsig.publishers import split_url, without_login
from motionsig.publishers.connection import LOOP_S, Connection, check_topic_part, parse_broker, tls_context
from motionsig.publishers.stores import STORE_SCHEMES, SignatureStore, open_store, store_options

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
WARN_EVERY_S = 60.0


@dataclass(frozen=True)
class CollectCounts:
    """What arrived. messages: of ours; junk: all others.

    stored: signatures that are new; events: those that are; duplicates, conflicts: both together, as in `Added`.
    """

    messages: int = 0
    stored: int = 0
    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    junk: int = 0


class _Inbox:
    """Turns messages into rows; `failure` is what the store raised, to tell it from a failing connection."""

    def __init__(self, store: SignatureStore, prefix: str, on_progress: Callable[[CollectCounts], None] | None) -> None:
        self.failure: SinkError | None = None
        self._store = store
        self._prefix = prefix
        self._on_progress = on_progress
        self._tally: Counter[str] = Counter()
        self._warned_s = float("-inf")

    @property
    def counts(self) -> CollectCounts:
        return CollectCounts(**self._tally)

    def take(self, received: MQTTMessage) -> None:
        payload = bytes(received.payload)
        try:
            # The property decodes, and a stranger's topic need not be UTF-8.
            topic = received.topic
            if topic.removeprefix(f"{self._prefix}/").count("/") == 2:
                if not payload:
                    # What the broker kept of a head was removed.
                    return
                event = from_json(payload)
                expected = f"{self._prefix}/{event.device}/events/{event.head}"
                add = partial(self._store.add_all, [], [event])
            else:
                message = wire.decode(payload)
                expected = f"{self._prefix}/{message.device}/signatures"
                add = partial(self._store.add_all, [message])
        except (WireError, UnicodeDecodeError) as error:
            self._junk(str(error))
            return
        if topic != expected:
            self._junk(f"expected topic {expected!r} for what is in the message, got {topic!r}")
            return
        try:
            added = add()
        except SinkError as error:
            self.failure = error
            raise
        self._tally.update(messages=1, **added._asdict())
        if self._on_progress is not None:
            self._on_progress(self.counts)

    def _junk(self, reason: str) -> None:
        self._tally["junk"] += 1
        if time.monotonic() - self._warned_s >= WARN_EVERY_S:
            logger.warning("%d messages so far that are not ours, the last: %s", self._tally["junk"], reason)
            self._warned_s = time.monotonic()


def collect(
    source_url: str,
    into: str,
    *,
    count: int | None = None,
    timeout_s: float | None = None,
    on_progress: Callable[[CollectCounts], None] | None = None,
    **options: Any,
) -> CollectCounts:
    """Store the signatures and events that arrive until `count` new signatures are stored or `timeout_s` are over.

    source_url: mqtt://[user[:password]@]host[:port] or mqtts://…; into: store:PATH. Options (`collect_options`) are in
    the source URL's query or keywords; a keyword wins. on_progress: called after every stored message.
    Raises SinkError where the store fails or no connection was made within `timeout_s`, InputError for URLs and options
    that cannot be meant.
    """
    _, location, query = split_url(source_url)
    keywords = parse_options({**query, **options}, collect_options(), where="collect:", lowest=0)
    scheme, path, store_query = split_url(into)
    if scheme not in STORE_SCHEMES:
        expected = ", ".join(f"{known}:" for known in STORE_SCHEMES)
        raise InputError(f"{without_login(into)!r}: expected {expected} to collect into, got {scheme or 'no scheme'}")
    settings = parse_options(store_query, store_options(scheme), where=f"{scheme}:", lowest=0)
    with closing(open_store(scheme, path, durable=True, **settings)) as store:
        return _collect(location, store, count=count, timeout_s=timeout_s, on_progress=on_progress, **keywords)


def collect_options() -> dict[str, str]:
    """Return the options of `collect` that a URL's query may hold, with the type as written in the signature."""
    return keyword_options(_collect, leave_out=("count", "timeout_s", "on_progress"))


def _collect(
    source_url: str,
    store: SignatureStore,
    *,
    count: int | None,
    timeout_s: float | None,
    on_progress: Callable[[CollectCounts], None] | None,
    username: str | None = None,
    password: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    prefix: str = "motionsig",
    client_id: str | None = None,
    keepalive_s: int = 30,
    retry_s: float = 1.0,
    max_retry_s: float = 30.0,
) -> CollectCounts:
    """Collect into an open store; client_id names the persistent session, one collector at a time."""
    broker = parse_broker(source_url, username=username, password=password, ca=ca, cert=cert, key=key)
    for part in prefix.split("/"):
        check_topic_part("prefix", part)
    context = tls_context(broker)
    inbox = _Inbox(store, prefix, on_progress)
    end_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    ever_connected, attempt, last_error = False, 0, ""

    def done() -> bool:
        return (count is not None and inbox.counts.stored >= count) or time.monotonic() >= end_s

    while not done():
        connection = Connection(
            broker,
            client_id=client_id or f"motionsig-collect-{socket.gethostname()}",
            clean_session=False,
            keepalive_s=keepalive_s,
            context=context,
            on_message=inbox.take,
        )
        try:
            connection.open(min(CONNECT_TIMEOUT_S, end_s - time.monotonic()), done)
            # Again after every reconnect: a broker that was killed may have forgotten the session.
            for topic in ("signatures", "events/+"):
                connection.subscribe(f"{prefix}/+/{topic}", min(CONNECT_TIMEOUT_S, end_s - time.monotonic()))
            logger.info("%s: collecting", broker)
            ever_connected, attempt, last_error = True, 0, ""
            while not done():
                connection.loop(max(0.0, min(LOOP_S, end_s - time.monotonic())))
            connection.close()
        except SinkError as error:
            connection.drop()
            if inbox.failure is not None:
                raise
            if last_error and done():
                # The end of the time cut it short, so the error before says more.
                break
            logger.log(logging.DEBUG if str(error) == last_error else logging.WARNING, "%s", error)
            last_error = str(error)
            pause_s = random.uniform(0, min(max_retry_s, retry_s * 2 ** min(attempt, 16)))
            attempt += 1
            time.sleep(max(0.0, min(pause_s, end_s - time.monotonic())))
    if not ever_connected and time.monotonic() >= end_s:
        raise SinkError(f"nothing collected: {last_error or f'{broker}: no connection'} (after {timeout_s:g} s)")
    return inbox.counts
