"""`collect`: from a broker into a store, over as many connections as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motionsig import wire
from motionsig.collector.holes import Holes
from motionsig.collector.inbox import CollectCounts, Inbox
from motionsig.collector.receiver import Receiver
from motionsig.collector.session import session_id
from motionsig.collector.unread import unread_file
from motionsig.errors import InputError, SinkError
from motionsig.options import keyword_options, parse_options
from motionsig.publishers import split_url, without_login
from motionsig.publishers.brokers import check_topic_part, parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.protocol import Spoken, check_protocol
from motionsig.publishers.stores import FILE_SCHEMES, STORE_SCHEMES, Numbered, SignatureStore, open_store, store_options
from motionsig.publishers.transport import check_files

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

RECEIVE_MAXIMUM = 65535
"""Messages that the broker may send before it has an acknowledgement. Only a receiver that reads on needs a limit; this
one reads no more than it can store at once, and what is on its way is not in the broker's queue, which is short."""
MAX_PACKET_BYTES = wire.MAX_MESSAGE_BYTES + (1 << 16) + 64  # with the longest topic, and the packet's own fields
HOLES_S = 30.0
_SHARE = "$share"


@dataclass(frozen=True)
class _Subscription:
    """Where messages come from. prefix: of their topics; subscribed: what is put before the rest of a subscription."""

    prefix: str
    subscribed: str

    @property
    def shared(self) -> bool:
        return self.subscribed != self.prefix


def _parse_prefix(prefix: str) -> _Subscription:
    """Return the subscription of PREFIX or $share/GROUP/PREFIX; raise InputError for any other text."""
    shared, _, rest = prefix.partition("/")
    topics = rest.partition("/")[2] if shared == _SHARE else prefix
    for part in topics.split("/") if shared != _SHARE else [rest.partition("/")[0], *topics.split("/")]:
        check_topic_part("prefix", part)
    return _Subscription(topics, prefix)


def collect(
    source_url: str,
    into: str,
    *,
    count: int | None = None,
    timeout_s: float | None = None,
    on_progress: Callable[[CollectCounts], None] | None = None,
    on_status: Callable[[dict[str, Any]], None] | None = None,
    **options: Any,
) -> CollectCounts:
    """Store the signatures and events that arrive until `count` new signatures are stored or `timeout_s` are over.

    source_url: a broker's (`publishers.brokers`); into: store:PATH. Options (`collect_options`) are in the source URL's
    query or keywords; a keyword wins. on_progress: called after every transaction; the last one may store more than
    `count`. on_status: called about once a second, also without a connection, with what the status shows.
    Raises SinkError where the store fails or no connection was made within `timeout_s`, InputError for URLs and options
    that cannot be meant.
    """
    _, location, query = split_url(source_url)
    keywords = parse_options({**query, **options}, collect_options(), where="collect:", lowest=0)
    scheme, path, store_query = split_url(into)
    if scheme not in STORE_SCHEMES:
        expected = ", ".join(f"{known}:" for known in STORE_SCHEMES)
        raise InputError(f"{without_login(into)!r}: expected {expected} to collect into, got {scheme or 'no scheme'}")
    store_keywords = parse_options(store_query, store_options(scheme), where=f"{scheme}:", lowest=0)
    with closing(open_store(scheme, path, durable=True, **store_keywords)) as store:
        return _collect(
            location,
            store,
            scheme,
            path,
            shown=without_login(into.partition("?")[0]),
            count=count,
            timeout_s=timeout_s,
            on_progress=on_progress,
            on_status=on_status,
            **keywords,
        )


def collect_options() -> dict[str, str]:
    """Return the options of `collect` that a URL's query may hold, with the type as written in the signature."""
    return keyword_options(_collect, leave_out=("shown", "count", "timeout_s", "on_progress", "on_status"))


def _collect(
    source_url: str,
    store: SignatureStore,
    scheme: str,
    path: str,
    *,
    shown: str,
    count: int | None,
    timeout_s: float | None,
    on_progress: Callable[[CollectCounts], None] | None,
    on_status: Callable[[dict[str, Any]], None] | None,
    username: str | None = None,
    password: str | None = None,
    password_file: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    alpn: str | None = None,
    proxy: str | None = None,
    prefix: str = "motionsig",
    client_id: str | None = None,
    protocol: str = "auto",
    keepalive_s: int = 30,
    retry_s: float = 1.0,
    max_retry_s: float = 30.0,
    holes_s: float | None = None,
) -> CollectCounts:
    """Collect into an open store. client_id names the persistent session, of one receiver at a time.

    holes_s: how old a hole is when it is reported, 0 for never. By default 30, but never where a group's receivers
    store into files: each has only a part of every stream.
    """
    login = {"username": username, "password": password, "password_file": password_file}
    broker = parse_broker(source_url, **login, ca=ca, cert=cert, key=key, alpn=alpn, proxy=proxy)
    check_files(broker)
    subscription = _parse_prefix(prefix)
    check_protocol(protocol)
    if holes_s is None:
        holes_s = 0.0 if subscription.shared and scheme in FILE_SCHEMES else HOLES_S
    holes = None
    if holes_s:
        newest = store.newest_numbers if isinstance(store, Numbered) else None
        holes = Holes(newest, report_after_s=holes_s, ask_again=subscription.shared)
    inbox = Inbox(store, subscription.prefix, holes=holes, unread=unread_file(scheme, path), on_progress=on_progress)
    with ExitStack() as resources:
        if client_id is None:
            client_id = resources.enter_context(session_id(scheme, path, f"{broker}\n{prefix}"))
        spoken, name = Spoken(), client_id

        def connect(take: Callable[[MQTTMessage], None]) -> Connection:
            return Connection(
                broker,
                client_id=name,
                clean_session=False,
                keepalive_s=keepalive_s,
                on_message=take,
                protocol=protocol,
                spoken=spoken,
                receive_maximum=RECEIVE_MAXIMUM,
                max_packet_bytes=MAX_PACKET_BYTES,
                manual_ack=True,
            )

        receiver = Receiver(
            connect,
            inbox,
            topics=[f"{prefix}/+/{topic}" for topic in ("signatures", "events/+")],
            about={
                "broker": str(broker),
                "prefix": prefix,
                "client_id": client_id,
                "store": shown,
            },
            on_status=on_status,
        )
        end_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        receiver.run(count=count, end_s=end_s, retry_s=retry_s, max_retry_s=max_retry_s)
    if receiver.last_connected_s is None and time.monotonic() >= end_s:
        why = receiver.last_error or f"{broker}: no connection"
        raise SinkError(f"nothing collected: {why} (after {timeout_s:g} s)")
    return inbox.counts
