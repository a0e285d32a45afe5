"""A message on its way to a broker, and what of the spool it is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from motionsig.errors import InputError, WireError
from motionsig.events import Event, from_json
from motionsig.publishers.brokers import check_topic_part
from motionsig.publishers.log import Position, Record
from motionsig.publishers.spool import Spool


@dataclass(slots=True)
class Outgoing:
    """A message on its way, or arrived and held.

    topic: without the prefix. records: end and count of signatures of each record in it. parts: of those before the
    last of a record, the record's start and the number after their last signature. spans: start and end of each record
    that it holds something of, without those of events that it passes. rows: signatures in it, 0 in that of an event.
    state_of: the head whose state it tells, for the broker to keep; None for all else. began: it tells that this state
    began. refused: by the broker. unheard: nobody subscribes to it.
    """

    topic: str
    payload: bytes
    records: list[tuple[Position, int]]
    parts: dict[Position, int]
    sent_s: float
    new_bytes: int
    spans: list[tuple[Position, Position]] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    state_of: str | None = None
    began: bool = False
    acknowledged: bool = False  # or refused
    refused: bool = False
    unheard: bool = False
    acknowledged_s: float = math.inf

    def __post_init__(self) -> None:
        # The payload itself is let go once it is sent.
        self.size = len(self.payload)


def all_refused(spool: Spool) -> list[Record]:
    """Return the records that were refused and are to be sent again."""
    found: list[Record] = []
    position = spool.first
    while records := spool.read(position, refused=True):
        found += records
        position = records[-1].end
    return found


def event_of(record: Record) -> Event:
    """Return the event in a record; raise WireError where there is none, or none that has a topic."""
    event = from_json(record.payload, stored=True)
    try:
        check_topic_part("device", event.device)
    except InputError as error:
        raise WireError(f"event: {error}") from error
    return event
