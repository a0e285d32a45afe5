"""What every store of many devices' signatures and events is to those who fill it, by URL: `open_store`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, runtime_checkable

from motionsig import wire
from motionsig.closing import Closing
from motionsig.events import Event
from motionsig.options import keyword_options


class Added(NamedTuple):
    """What became of signatures and events. stored, events: of each, those that are new.

    duplicates: those that were there already. conflicts: other content is stored under their key, and is kept.
    """

    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    events: int = 0


class SignatureStore(Closing, Protocol):
    """Signatures of many devices, and events, each once under its permanent name."""

    def add_all(self, messages: Sequence[wire.Message], events: Sequence[Event] = ()) -> Added:
        """Store what is not there yet, in one transaction; all of it, or none and a SinkError.

        Among the messages and events themselves the same may come twice. A store opened with durable=True has it on
        the disk when this returns.
        """

    def close(self) -> None:
        """Close it; using it afterwards raises SinkError, closing it again is harmless."""


@runtime_checkable
class Numbered(Protocol):
    """A store that can say which sequence numbers it has."""

    def newest_numbers(self, device: str, stream_id: int, first: int, last: int, most: int) -> list[int]:
        """Return the newest `most` numbers that are stored from `first` to `last`, both included, newest first."""


_STORES = {
    "store": "store:Store",
    "postgresql": "postgresql.store:PostgresStore",
    "postgres": "postgresql.store:PostgresStore",
    "parquet": "parquet.store:ParquetStore",
}
"""Module and class by scheme, imported when asked for."""

STORE_SCHEMES = tuple(_STORES)
FILE_SCHEMES = ("store", "parquet")
"""Stores that are files of this machine."""


def store_options(scheme: str) -> dict[str, str]:
    """Return the options of a scheme's stores but `durable`, name by name, with the type as written in the class."""
    return keyword_options(_store_class(scheme), leave_out=("durable",))


def open_store(scheme: str, location: str, **options: Any) -> SignatureStore:
    """Open the store at a location, as `split_url` gives both; raise SinkError where it cannot be used."""
    store: SignatureStore = _store_class(scheme)(location, **options)
    return store


def _store_class(scheme: str) -> Any:
    module, _, name = _STORES[scheme].partition(":")
    return getattr(import_module(f"motionsig.publishers.{module}"), name)
