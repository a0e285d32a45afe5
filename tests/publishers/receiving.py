"""An MQTT sink that hurries, subscribers that note what arrives, and what a broker keeps."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from broker import Broker
from made import event, wait_until

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.collector import CollectCounts, collect
from motionsig.errors import SinkError
from motionsig.events import ONCE, Event
from motionsig.publishers import open_sink
from motionsig.publishers.brokers import parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.mqtt import MqttSink
from motionsig.quality import Quality
from motionsig.quantization import Group, Quantization

QUICK = {"retry_s": 0.05, "max_retry_s": 0.3, "delay_s": 0.05, "close_timeout_s": 60, "keepalive_s": 60}


def mqtt(url: str, spool: Path, **options: Any) -> MqttSink:
    sink = open_sink(url, device="wrist-7", stream_id=3, spool=str(spool), **{**QUICK, **options})
    assert isinstance(sink, MqttSink)
    return sink


def happened(number: int, phase: str = ONCE, **changed: object) -> Event:
    """Return an event of the device and stream of `mqtt`, of head "wave" unless told otherwise."""
    return event(number, phase=phase, **{"device": "wrist-7", "stream_id": 3, "head": "wave", **changed})


def from_json(payload: bytes) -> wire.Message:
    """Return the message of a JSON form, as a stranger would who knows nothing but the form."""
    said = json.loads(payload.decode("utf-8"))
    quantization = Quantization(tuple(Group(**group) for group in said["quantization"]))
    length_ns, hop_ns = (round(said[key] * 1e9) for key in ("length_s", "hop_s"))
    spec = SignatureSpec(bytes.fromhex(said["fingerprint"]), quantization, said["motion_dim"], length_ns)
    rows = said["signatures"]
    assert [row["seq"] for row in rows] == list(range(rows[0]["seq"], rows[0]["seq"] + len(rows)))
    signatures = SignatureBatch(
        start_ns=np.array([_unix_ns(row["start"]) for row in rows], np.int64),
        codes=np.array([row["codes"] for row in rows], np.int8),
        quality=np.array([sum(Quality[name] for name in row["quality"]) for row in rows], np.uint8),
        hop_ns=hop_ns,
        spec=spec,
        labels=np.array([row["label"] for row in rows]) if "label" in rows[0] else None,
    )
    recording = (
        wire.Recording(said["recording"]["name"], _unix_ns(said["recording"]["start"])) if "recording" in said else None
    )
    return wire.Message(said["device"], said["stream_id"], rows[0]["seq"], signatures, recording)


def _unix_ns(iso_time: str) -> int:
    # Python's times end at microseconds.
    seconds = round(datetime.fromisoformat(iso_time[:19] + "+00:00").timestamp())
    return seconds * 10**9 + int(iso_time[20:29])


class _Hearing:
    """Hears in a thread of its own until its block ends; `_run` does so while `_open`."""

    def _start(self) -> None:
        self._open = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._thread.join()


class Receiver(_Hearing):
    """A plain subscriber with a persistent session, reconnecting for as long as it is open."""

    def __init__(
        self,
        url: str,
        topic: str = "motionsig/+/signatures",
        read: Callable[[bytes], wire.Message] = wire.decode,
    ) -> None:
        self.messages: list[wire.Message] = []
        self.sizes: list[int] = []
        self.subscriptions = 0
        self._topic = topic
        self._decode = read
        self._broker = parse_broker(url)
        self._start()
        wait_until(lambda: self.subscriptions > 0)

    def _take(self, message: Any) -> None:
        self.messages.append(self._decode(bytes(message.payload)))
        self.sizes.append(len(message.payload))

    def _run(self) -> None:
        while self._open:
            connection = Connection(
                self._broker, client_id="receiver", clean_session=False, keepalive_s=60, on_message=self._take
            )
            try:
                connection.open(60, lambda: not self._open)
                connection.subscribe(self._topic, 60)
                self.subscriptions += 1
                while self._open:
                    connection.loop(0.05)
                connection.close()
            except SinkError:
                connection.drop()
                time.sleep(0.02)

    @property
    def seqs(self) -> list[int]:
        return [message.seq + row for message in list(self.messages) for row in range(len(message.signatures))]

    def firsts(self) -> list[int]:
        """Return every sequence number when it came for the first time."""
        return list(dict.fromkeys(self.seqs))


class Listener(_Hearing):
    """Hears every topic; retained first, as a newcomer would."""

    def __init__(self, url: str) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._connection = Connection(
            parse_broker(url), client_id=secrets.token_hex(8), clean_session=True, keepalive_s=60, on_message=self._take
        )
        self._connection.open(60, lambda: False)
        self._connection.subscribe("#", 60)
        # The broker sends what it keeps before it answers what is asked next.
        self._connection.subscribe("nowhere", 60)
        self._start()

    def _take(self, message: Any) -> None:
        self.heard.append((message.topic, bytes(message.payload), message.retain))

    def _run(self) -> None:
        while self._open:
            self._connection.loop(0.02)
        self._connection.close()

    def said(self, topic: str) -> list[Any]:
        return [json.loads(payload) for heard, payload, _ in list(self.heard) if heard == topic]


def begin_session(broker: Broker, into: str, **options: Any) -> None:
    """Have the broker keep for a collector, connected or not, all that is published from now on."""

    def subscribed() -> int:
        return broker.log.count("Sending SUBACK")

    def began() -> bool:
        before = subscribed()
        # On a machine that stands still it may end before the broker has answered.
        with contextlib.suppress(SinkError):
            collect(broker.url, into, timeout_s=0.5, **options)
        return subscribed() - before >= 2  # signatures and events

    wait_until(began)


def collect_some(broker_url: str, into: str, *, but_none: bool = False, **options: Any) -> CollectCounts:
    """Collect for a second with a connection, and again while nothing has come, unless there is to be none."""
    found: list[CollectCounts] = []

    def has_come() -> bool:
        with contextlib.suppress(SinkError):
            found.append(collect(broker_url, into, timeout_s=1.0, **options))
        return bool(found) and (but_none or found[-1] != CollectCounts())

    wait_until(has_come)
    return found[-1]


def retained(broker: Broker) -> dict[str, bytes]:
    """Return what the broker keeps."""
    with Listener(broker.url) as listener:
        pass
    return {topic: payload for topic, payload, kept in listener.heard if kept and payload}
