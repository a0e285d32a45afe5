"""Where signatures and events go, by URL: a broker, a database (store:, postgresql://) or a file (file:).

A sink is handed these only; nothing here can reach a sample. It numbers signatures from 0 within its stream, and
(device, stream_id, seq) names one for good: whoever gets one twice may drop it. An event brings its own names.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from motionsig import wire
from motionsig.blocks import SignatureBatch, concatenate
from motionsig.closing import Closing
from motionsig.errors import InputError
from motionsig.events import Event
from motionsig.options import keyword_options, parse_options, renamed_keywords, renamed_options
from motionsig.publishers.counts import SinkCounts
from motionsig.publishers.local import Stored, Wanted, WantedEvents, int64

BROKER_SCHEMES = ("mqtt", "mqtts", "ws", "wss", "mqtt+unix")
_SINKS = {
    **dict.fromkeys(BROKER_SCHEMES, "mqtt:MqttSink"),
    "store": "store:StoreSink",
    "file": "file:FileSink",
    "postgresql": "postgresql.store:PostgresSink",
    "postgres": "postgresql.store:PostgresSink",
    "parquet": "parquet.store:ParquetSink",
}
"""Module and class by scheme, imported when asked for."""

_READERS = {
    "store": "reading:iter_store",
    "file": "file:iter_file",
    "postgresql": "postgresql.reading:iter_postgresql",
    "postgres": "postgresql.reading:iter_postgresql",
    "parquet": "parquet.reading:iter_parquet",
}
"""Module and function that reads signatures back, by scheme; the one for events has `_events` behind its name."""

SCHEMES = tuple(_SINKS)
AT_REST = tuple(_READERS)
_PATHS = ("store", "file", "parquet")  # schemes of a path on this machine
_DATABASES = ("postgresql", "postgres")


class Sink(Closing, Protocol):
    """Stores or sends signatures and events; `open_sink` opens one. A context manager.

    >>> with motionsig.open_sink("store:mine.db", device="wrist") as sink:
    ...     sink.publish(signatures)
    ...     print(sink.counts, "in", sink.payload_bytes, "bytes")
    SinkCounts(accepted=6, delivered=6) in ... bytes

    A sink of your own for `run` needs nothing but `publish`, or is a function of one SignatureBatch. Using a sink after
    `close` raises SinkError; closing it again is harmless.
    """

    @property
    def payload_bytes(self) -> int:
        """Bytes of messages so far, each signature once: retransmissions do not count."""

    @property
    def counts(self) -> SinkCounts:
        """What became of the signatures so far: accepted, delivered, pending, dropped, ... Readable after `close`."""

    @property
    def last_error(self) -> str | None:
        """Why nothing is delivered at present, as text; None while all is well."""

    @property
    def heartbeat_s(self) -> float:
        """time.monotonic(), in seconds, when the thread that delivers last went on; now, where there is none."""

    def begin(self, stream_id: int, seq: int, recording: wire.Recording | None = None) -> None:
        """Number the signatures from here on from `seq` up, within `stream_id`.

        recording: the name and the start of the log that they are made of; None for a live sensor's. Raises InputError
        for a number that cannot be.
        """

    def publish(self, signatures: SignatureBatch) -> None:
        """Take a batch. Once this returns, the end of the process does not lose it. An empty batch is harmless."""

    def publish_events(self, events: Sequence[Event]) -> None:
        """Take events. Once this returns, the end of the process does not lose them. None is harmless."""

    def close(self) -> None:
        """Deliver what is possible in a bounded time, and close."""


@renamed_keywords(epoch="stream_id")
def open_sink(url: str, *, device: str | None = None, stream_id: int | None = None, **options: Any) -> Sink:
    """Open the sink that a URL names: a broker, store:PATH, file:PATH, parquet:DIR or postgresql://HOST/DB.

    >>> with motionsig.open_sink("file:walk.cbor", device="wrist") as sink:
    ...     sink.publish(signatures)
    >>> len(motionsig.read_signatures("file:walk.cbor"))
    6

    * `device`: who measured; this host's name by default.
    * `stream_id`: names this stream of signatures; the time in ns by default. With that of `signature_stream_id`, a
      recording that is replayed is not stored twice.
    * `options`: those of the sink, in the URL's query (`mqtt://broker?delay_s=2`) or as keywords; a keyword wins.

    Raises InputError for a scheme, an option or a value that does not exist; SinkError where the sink cannot be used;
    MissingExtraError for a broker without paho-mqtt.
    """
    scheme, location, query = split_url(url)
    if scheme not in SCHEMES:
        expected = ", ".join(f"{known}:" for known in SCHEMES)
        raise InputError(f"{without_login(url)!r}: expected {expected} got {scheme or 'no scheme'}")
    device = os.uname().nodename if device is None else device
    stream_id = time.time_ns() if stream_id is None else stream_id
    wire.check_origin(device, stream_id)
    if scheme in ("mqtt", "mqtts"):
        # Each by itself, as a keyword under either name overrides the query.
        query, options = (renamed_options(it, {"stage": "buffer"}, where=f"{scheme}:") for it in (query, options))
    keywords = parse_options({**query, **options}, sink_options(scheme), where=f"{scheme}:", lowest=0)
    sink: Sink = _sink_class(scheme)(location, device=device, stream_id=stream_id, **keywords)
    return sink


def _sink_class(scheme: str) -> Any:
    return _named(_SINKS[scheme])


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"motionsig.publishers.{module}"), name)


def takes_options(scheme: str) -> Any:
    """Return the class whose keyword-only parameters are the options of a scheme's sinks."""
    sink = _sink_class(scheme)
    return getattr(sink, "Options", sink)


def sink_options(scheme: str) -> dict[str, str]:
    """Return the options of a scheme, name by name, with the type as written where they are declared."""
    return keyword_options(takes_options(scheme), leave_out=("device", "stream_id"))


def split_url(url: str) -> tuple[str, str, dict[str, str]]:
    """Return (scheme, location, query) of a URL; query: the options of ours in it, by name.

    The location is a path, for a broker the URL without its query, for PostgreSQL the URL without options of ours:
    all others are libpq's. No error repeats what may hold a password.
    """
    scheme, colon, rest = url.partition(":")
    if not colon:
        return "", url, {}
    scheme = scheme.lower()
    if scheme in _PATHS:
        path, _, query = rest.partition("?")
        location = path.removeprefix("//")
        if not location:
            raise InputError(f"{url!r}: expected {scheme}:PATH, got no path")
    elif scheme in _DATABASES:
        address, _, query = rest.partition("?")
        pieces, ours = query.split("&") if query else [], sink_options(scheme)
        libpq = "&".join(piece for piece in pieces if piece.partition("=")[0] not in ours)
        query = "&".join(piece for piece in pieces if piece.partition("=")[0] in ours)
        location = f"{scheme}:{address}" + (f"?{libpq}" if libpq else "")
    else:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            # Without the URL, which may hold a password.
            raise InputError(f"broker URL: expected {scheme}://HOST, got one that is none") from error
        query = parts.query
        location = parts._replace(query="", fragment="").geturl()
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError as error:
        raise InputError(f"{without_login(url)}: expected options as ?name=value&name=value, got {query!r}") from error
    return scheme, location, dict(pairs)


def without_login(url: str) -> str:
    """Return the URL as it may be shown: options can hold a password as well as the place before the host can."""
    shown, _, query = url.partition("?")
    if "@" in query and "@" not in shown:
        # The ? may be one in a password, and what is before it a part of it.
        shown = re.sub(r"(//[^/:]*):.*", r"\1", shown)
    return re.sub(r"//.*@", "//", shown)


def iter_signatures(
    url: str,
    *,
    device: str | None = None,
    fingerprint: bytes | None = None,
    stream_id: int | None = None,
    recording: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
    rows: int = 4096,
) -> Iterator[Stored]:
    """Yield what is stored, at any URL that can be read (`AT_REST`), with at most `rows` signatures at a time.

    device, fingerprint, stream_id, recording: only what was published by that device, made by that encoder, in that
    stream, of the recording of that name. since_ns, until_ns: only what begins at or after the one, and before the
    other, in Unix ns; a file: is read as a whole for it. Signatures have `labels` where any of those that come
    together has one. Ordered by (device, stream_id, seq), each signature once. Memory grows by one small entry per
    stream of a store, and per message of a file. Raises InputError where
    nothing matches, where more than one encoder does and none was chosen, or where devices describe one differently;
    SinkError for a file that is not ours or is damaged.
    """
    scheme, location = _at_rest(url)
    numbers = int64(stream_id=stream_id, since_ns=since_ns, until_ns=until_ns)
    wanted = Wanted(device, fingerprint, recording=recording, **numbers)
    stored: Iterator[Stored] = _named(_READERS[scheme])(location, wanted, rows=rows)
    return stored


@renamed_keywords(epoch="stream_id")
def read_signatures(
    url: str,
    *,
    device: str | None = None,
    fingerprint: bytes | str | None = None,
    stream_id: int | None = None,
    recording: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
) -> SignatureBatch:
    """Return the signatures at store:PATH, file:PATH, parquet:DIR or postgresql://HOST/DB, by (device, stream_id, seq).

    >>> with motionsig.open_sink("store:mine.db", device="wrist") as sink:
    ...     sink.publish(signatures)
    >>> motionsig.read_signatures("store:mine.db", device="wrist") == signatures
    True

    * device, stream_id, recording (the name of a log), fingerprint (8 bytes, or the digits that `motionsig models`
      shows): only those signatures.
    * since_ns, until_ns: only what begins at or after the one, and before the other, in Unix ns.

    They have labels where any of them has one. Raises InputError where none match, where they are of several encoders
    and none was chosen, or where their hops differ; SinkError for a file that is not there or not ours.
    """
    parts = iter_signatures(
        url,
        device=device,
        fingerprint=fingerprint_bytes(fingerprint) if isinstance(fingerprint, str) else fingerprint,
        stream_id=stream_id,
        recording=recording,
        since_ns=since_ns,
        until_ns=until_ns,
    )
    return concatenate([part.signatures for part in parts])


def iter_events(
    url: str,
    *,
    device: str | None = None,
    stream_id: int | None = None,
    head: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
) -> Iterator[Event]:
    """Yield what `read_events` returns; memory does not grow with a store."""
    scheme, location = _at_rest(url)
    numbers = int64(stream_id=stream_id, since_ns=since_ns, until_ns=until_ns)
    wanted = WantedEvents(device, head=head, **numbers)
    events: Iterator[Event] = _named(f"{_READERS[scheme]}_events")(location, wanted)
    return events


def read_events(
    url: str,
    *,
    device: str | None = None,
    stream_id: int | None = None,
    head: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
) -> list[Event]:
    """Return the events at any URL that `read_signatures` takes, each once, ordered by start_ns, then key.

    >>> knock = motionsig.Event("wrist", 7, 12, "knock", bytes(8), "once", 0, 2_560_000_000, score=0.93)
    >>> with motionsig.open_sink("store:mine.db") as sink:
    ...     sink.publish_events([knock])
    >>> motionsig.read_events("store:mine.db", head="knock") == [knock]
    True

    device, stream_id, head: only those events. since_ns, until_ns: only what begins at or after the one, and before the
    other, in Unix ns. Of two with the same key the first that came is there. Raises InputError for another URL,
    SinkError for a file that is not there or not ours.
    """
    found = iter_events(url, device=device, stream_id=stream_id, head=head, since_ns=since_ns, until_ns=until_ns)
    return list(found)


def _at_rest(url: str) -> tuple[str, str]:
    """Return (scheme, location) of a URL to read from; raise InputError for one that nothing can be read from."""
    scheme, location, query = split_url(url)
    if scheme not in AT_REST:
        expected = ", ".join(f"{known}:" for known in AT_REST)
        raise InputError(f"{without_login(url)!r}: expected {expected} to read from, got {scheme or 'no scheme'}")
    if query:
        raise InputError(f"{without_login(url)!r}: expected no options, got {', '.join(query)}")
    return scheme, location


def fingerprint_bytes(text: str) -> bytes:
    """Return the 8 bytes of a fingerprint written as hexadecimal digits; raise InputError for anything else."""
    with suppress(ValueError):
        if len(chosen := bytes.fromhex(text)) == 8:
            return chosen
    raise InputError(f"fingerprint: expected 16 hexadecimal digits, got {text!r}")
