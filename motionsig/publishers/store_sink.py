"""A sink in front of any store: what it publishes is numbered here, and stored there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from motionsig import wire
from motionsig.events import Event
from motionsig.publishers.counts import SinkCounts
from motionsig.publishers.local import LocalSink
from motionsig.publishers.stores import Added, SignatureStore

AnyStore = TypeVar("AnyStore", bound=SignatureStore)


class SinkOfStore(LocalSink, Generic[AnyStore]):
    """Publishes into the store that `opener` opens, and closes it. max_message_bytes: only for `payload_bytes`."""

    def __init__(
        self, where: str, opener: Callable[[], AnyStore], *, device: str, stream_id: int, max_message_bytes: int
    ) -> None:
        super().__init__(where, device=device, stream_id=stream_id, max_message_bytes=max_message_bytes)
        self._store = opener()
        self._added = Added()

    @property
    def counts(self) -> SinkCounts:
        stored, duplicates, conflicts, _ = self._added
        return SinkCounts(self._accepted, stored + duplicates, duplicates=duplicates, conflicts=conflicts)

    def publish_events(self, events: Sequence[Event]) -> None:
        """Store the events that are not there yet; they do not count in `counts`."""
        self._store.add_all([], events)

    def _put(self, message: wire.Message, data: bytes) -> None:
        self._added = Added(*map(sum, zip(self._added, self._store.add_all([message]), strict=True)))

    def close(self) -> None:
        self._store.close()
