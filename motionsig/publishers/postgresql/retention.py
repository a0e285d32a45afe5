"""What is too old goes by the partition: dropping a table takes no time and leaves no dead rows behind.

So signatures stay for up to a partition longer than asked. Events have no partitions, and are deleted. Times before
2020, of clocks that were not set, say nothing of an age: only a limit of bytes drops those.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from motionsig.conventions import NS_PER_S
from motionsig.errors import SinkError
from motionsig.escaping import own_logger
from motionsig.publishers.clocks import LEAST_NS
from motionsig.publishers.postgresql.tables import WRITERS

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

logger = own_logger(__name__)

_DAY_NS = 86_400 * NS_PER_S


class Keep(NamedTuple):
    """How much to keep; None for all. days: since a signature began; bytes: of all partitions with their indexes."""

    days: float | None
    bytes: int | None

    @property
    def limited(self) -> bool:
        return self != (None, None)


def check_owner(connection: Connection, shown: str) -> None:
    """Raise SinkError unless this role may drop partitions."""
    row = connection.execute(
        "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'motionsig.signatures'::regclass"
    ).fetchone()
    if row != (True,):
        raise SinkError(
            f"{shown}: keep_days, keep_bytes: expected the role that made the tables, which may drop them, got another"
        )


def drop_old(connection: Connection, keep: Keep, shown: str) -> None:
    """Drop partitions that are too old, the oldest while there is too much, and what belonged only to them.

    Waits at most two seconds for those who read, as everybody else waits behind it; psycopg's errors pass.
    """
    oldest_ns = -(1 << 63) if keep.days is None else time.time_ns() - round(keep.days * _DAY_NS)
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '2s'")
        connection.execute(f"SELECT pg_advisory_xact_lock({WRITERS})".encode())
        partitions = connection.execute(
            "SELECT name, last_ns, pg_total_relation_size(format('motionsig.%I', name)::regclass) "
            "FROM motionsig.partitions ORDER BY first_ns"
        ).fetchall()
        left = sum(size for *_, size in partitions)
        dropped = []
        for name, last_ns, size in partitions:
            # The newest stays, however large it is: it is the one that grows.
            too_large = keep.bytes is not None and left > keep.bytes and name != partitions[-1][0]
            if not LEAST_NS <= last_ns < oldest_ns and not too_large:
                continue
            connection.execute(f'DROP TABLE motionsig."{name}"'.encode())
            dropped.append(name)
            left -= size
        if dropped:
            connection.execute("DELETE FROM motionsig.partitions WHERE name = ANY(%s)", [dropped])
            connection.execute(
                "DELETE FROM motionsig.places WHERE first_ns NOT IN (SELECT first_ns FROM motionsig.partitions)"
            )
            connection.execute(
                "DELETE FROM motionsig.streams WHERE NOT EXISTS (SELECT FROM motionsig.places WHERE stream = id)"
            )
        if keep.days is not None:
            connection.execute(
                "DELETE FROM motionsig.events WHERE start_ns >= %s AND start_ns < %s", [LEAST_NS, oldest_ns]
            )
    if dropped:
        logger.info("%s: dropped %s", shown, ", ".join(dropped))
