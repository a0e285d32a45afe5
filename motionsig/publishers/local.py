"""A sink on this machine: what `publish` took has arrived when it returns, and nothing is left to the background."""

from __future__ import annotations

import time

from motionsig.closing import Closing
from motionsig.publishers.messages import check_begin


class LocalSink(Closing):
    """Numbers signatures from 0 in a stream, until `begin` says otherwise. payload_bytes: of their wire messages."""

    last_error = None
    """`publish` raises what goes wrong."""

    def __init__(self, where: str, *, device: str, stream_id: int, max_message_bytes: int) -> None:
        self.payload_bytes = 0
        self._where = where
        self._device = device
        self._stream_id = stream_id
        self._max_message_bytes = max_message_bytes
        self._seq = 0
        self._accepted = 0

    def __repr__(self) -> str:
        where = self._where if len(self._where) <= 60 else f"...{self._where[-57:]}"
        device = self._device if len(self._device) <= 40 else f"{self._device[:37]}..."
        return f"<{type(self).__name__} {where}, {device!r}, stream {self._stream_id}: {self._accepted} signatures>"

    @property
    def heartbeat_s(self) -> float:
        """Now: there is no thread that could hang."""
        return time.monotonic()

    def begin(self, stream_id: int, seq: int) -> None:
        """Number what is published from here on from `seq` within `stream_id`."""
        check_begin(self._device, stream_id, seq)
        self._stream_id, self._seq = stream_id, seq
