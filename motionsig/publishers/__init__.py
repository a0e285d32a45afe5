"""Where signatures go, by URL: a broker (mqtt://, mqtts://), a local database (store:) or a file (file:).

A sink is handed signatures only; nothing here can reach a sample. It numbers them from 0 within its epoch, and
(device, epoch, seq) names a signature for good: whoever gets one twice may drop it.
"""

from __future__ import annotations

import inspect
import math
import operator
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch, concatenate
from motionsig.errors import InputError

SCHEMES = ("mqtt", "mqtts", "store", "file")


@dataclass(frozen=True)
class SinkCounts:
    """What became of the signatures a sink was given; zero where a sink knows no such thing.

    accepted: taken by `publish`. delivered: known to have arrived, left-overs of an earlier run among them. pending:
    accepted, not yet known to have arrived. dropped: given up because the spool was full or its disk failed; with
    full="oldest" these had been accepted before. duplicates: stored before, counted as delivered. conflicts: other
    content than what is stored under the same key. recovered: left over from an earlier run when this one began.
    damaged_bytes: of the spool, unreadable.
    """

    accepted: int = 0
    delivered: int = 0
    pending: int = 0
    dropped: int = 0
    duplicates: int = 0
    conflicts: int = 0
    recovered: int = 0
    damaged_bytes: int = 0


class Sink(Protocol):
    """Takes signatures; a context manager. Using one after `close` raises SinkError; closing twice is harmless."""

    @property
    def payload_bytes(self) -> int:
        """Bytes of wire messages so far, each signature once: retransmissions do not count."""

    @property
    def counts(self) -> SinkCounts:
        """What became of the signatures so far; readable after `close`, too."""

    def publish(self, signatures: SignatureBatch) -> None:
        """Take a batch; once this returns, the end of the process does not lose it. Empty is harmless."""

    def close(self) -> None:
        """Finish within a bounded time."""

    def __enter__(self) -> Sink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def open_sink(url: str, *, device: str | None = None, epoch: int | None = None, **options: Any) -> Sink:
    """Open the sink a URL names: mqtt://host, mqtts://host, store:PATH or file:PATH.

    device: who measured, by default this host's name. epoch: names this stream of signatures, by default the time in
    ns; give the recording's own to replay it without storing it twice. Options are those of the scheme
    (`sink_options`), in the URL's query or as keywords; a keyword wins.
    Raises InputError for a scheme, option or value that does not exist, SinkError where the sink cannot be used.
    """
    scheme, location, query = split_url(url)
    if scheme not in SCHEMES:
        raise InputError(f"{url!r}: expected {', '.join(known + ':' for known in SCHEMES)} got {scheme or 'no scheme'}")
    if device is None:
        import socket

        device = socket.gethostname()
    epoch = time.time_ns() if epoch is None else epoch
    wire.check_origin(device, epoch)
    opener = _opener(scheme)
    keywords = parse_options({**query, **options}, sink_options(scheme), where=f"{scheme}:")
    return opener(location, device=device, epoch=epoch, **keywords)


def _opener(scheme: str) -> Callable[..., Sink]:
    if scheme == "store":
        from motionsig.publishers.store import open_store

        return open_store
    if scheme == "file":
        from motionsig.publishers.file import open_file

        return open_file
    from motionsig.publishers.mqtt import open_mqtt

    return open_mqtt


def sink_options(scheme: str) -> dict[str, str]:
    """Return the options of a scheme, name by name, with the type as written in its opener's signature."""
    return keyword_options(_opener(scheme), leave_out=("device", "epoch"))


def keyword_options(function: Callable[..., Any], *, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Return a function's keyword-only parameters and their types as written, so that no second list can go stale."""
    return {
        name: str(parameter.annotation)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in leave_out
    }


def split_url(url: str) -> tuple[str, str, dict[str, str]]:
    """Return (scheme, location, query) of a URL; the location of a broker is the URL itself without its query."""
    scheme, colon, rest = url.partition(":")
    if not colon:
        return "", url, {}
    scheme = scheme.lower()
    if scheme in ("store", "file"):
        path, _, query = rest.partition("?")
        location = path[2:] if path.startswith("//") else path
        if not location:
            raise InputError(f"{url!r}: expected {scheme}:PATH, got no path")
    else:
        parts = urlsplit(url)
        query = parts.query
        location = parts._replace(query="", fragment="").geturl()
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError as error:
        raise InputError(f"{url!r}: expected options as ?name=value&name=value, got {query!r}") from error
    return scheme, location, dict(pairs)


def parse_options(given: Mapping[str, Any], known: Mapping[str, str], *, where: str) -> dict[str, Any]:
    """Return the options that were given (None counts as not given), text turned into the type each one has."""
    parsed = {}
    for name, value in given.items():
        if name not in known:
            raise InputError(f"{where} expected one of the options {', '.join(sorted(known))}, got {name!r}")
        if value is not None:
            parsed[name] = _parse(value, known[name], f"{where} {name}")
    return parsed


def _parse(value: Any, kind: str, where: str) -> Any:
    kind = kind.removesuffix(" | None")
    if kind == "bool":
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if isinstance(value, bool) or str(value).lower() in words:
            return value if isinstance(value, bool) else words[str(value).lower()]
        raise InputError(f"{where}: expected true or false, got {value!r}")
    if kind == "str":
        return str(value)
    try:
        if kind == "int":
            number: float = int(value) if isinstance(value, str) else operator.index(value)
        else:
            number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: expected {'an integer' if kind == 'int' else 'a number'}, got {value!r}") from error
    if number < 0 or not math.isfinite(number):
        raise InputError(f"{where}: expected a number from 0 up, got {value!r}")
    return number


def iter_signatures(
    url: str, *, device: str | None = None, fingerprint: bytes | None = None, rows: int = 4096
) -> Iterator[tuple[str, int, NDArray[np.int64], SignatureBatch]]:
    """Yield (device, epoch, seq (k,) int64, signatures (k,)) from a store: or file:, at most `rows` at a time.

    Ordered by (device, epoch, seq), each signature once. Memory does not grow with a store; for a file it grows by one
    small entry per message. Raises InputError where nothing matches or more than one encoder does and none was chosen,
    SinkError for a file that is not ours.
    """
    scheme, location, query = split_url(url)
    if query:
        raise InputError(f"{url!r}: expected no options, got {', '.join(query)}")
    if scheme == "store":
        from motionsig.publishers.store import iter_store

        return iter_store(location, device=device, fingerprint=fingerprint, rows=rows)
    if scheme == "file":
        from motionsig.publishers.file import iter_file

        return iter_file(location, device=device, fingerprint=fingerprint, rows=rows)
    raise InputError(f"{url!r}: expected store:PATH or file:PATH to read signatures from, got {scheme or 'no scheme'}")


def read_signatures(url: str, *, device: str | None = None, fingerprint: bytes | None = None) -> SignatureBatch:
    """Return all signatures of a store: or file:, ordered by (device, epoch, seq).

    Raises what `iter_signatures` does, and InputError where the encoder was run with different hops.
    """
    return concatenate([batch for *_, batch in iter_signatures(url, device=device, fingerprint=fingerprint)])
