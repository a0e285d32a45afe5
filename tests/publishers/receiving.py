"""An MQTT sink that hurries, and a subscriber that notes what arrives."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from made import wait_until

from motionsig import wire
from motionsig.errors import SinkError
from motionsig.publishers import open_sink
from motionsig.publishers.connection import Connection, parse_broker
from motionsig.publishers.mqtt import MqttSink

QUICK = {"retry_s": 0.05, "max_retry_s": 0.3, "delay_s": 0.05, "close_timeout_s": 5, "keepalive_s": 5}


def mqtt(url: str, spool: Path, **options: Any) -> MqttSink:
    sink = open_sink(url, device="wrist-7", stream_id=3, spool=str(spool), **{**QUICK, **options})
    assert isinstance(sink, MqttSink)
    return sink


class Receiver:
    """A plain subscriber with a persistent session, reconnecting for as long as it is open."""

    def __init__(self, url: str) -> None:
        self.messages: list[wire.Message] = []
        self.sizes: list[int] = []
        self.subscriptions = 0
        self._broker = parse_broker(url)
        self._open = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_until(lambda: self.subscriptions > 0)

    def _take(self, message: Any) -> None:
        self.messages.append(wire.decode(bytes(message.payload)))
        self.sizes.append(len(message.payload))

    def _run(self) -> None:
        while self._open:
            connection = Connection(
                self._broker, client_id="receiver", clean_session=False, keepalive_s=5, on_message=self._take
            )
            try:
                connection.open(5, lambda: not self._open)
                connection.subscribe("motionsig/+/signatures", 5)
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

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._thread.join()
