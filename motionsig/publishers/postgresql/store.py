"""A store in a PostgreSQL database, which several processes may fill at once, and the sink in front of it.

A transaction that failed because the server went away, or another one was in its way, is done again as a whole. Where
it is not known whether it was committed, the server is asked, so that what it stored is not counted as duplicates.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from motionsig import wire
from motionsig.closing import Closing
from motionsig.errors import InputError, SinkError
from motionsig.escaping import own_logger
from motionsig.events import Event
from motionsig.options import keyword_options
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES
from motionsig.publishers.postgresql.address import connect, one_line, parse_address, require_psycopg
from motionsig.publishers.postgresql.retention import Keep, check_owner, drop_old
from motionsig.publishers.postgresql.tables import PARTITIONS, WRITERS, complete
from motionsig.publishers.postgresql.writing import Known, NewsError, Written, prepare, write
from motionsig.publishers.sparing import Sparing
from motionsig.publishers.store_sink import SinkOfStore
from motionsig.publishers.stores import Added

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

logger = own_logger(__name__)

_DROP_EVERY_S = 3600.0
_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.1, 2.0
_MOST_KNOWN = 100_000  # streams and encoders, each a few hundred bytes
_DEADLINES = {"statement_timeout": "60s", "idle_in_transaction_session_timeout": "60s"}
"""A writer that stops in the middle would hold its locks for ever, and one that waits for it would never say so."""


class PostgresStore(Closing):
    """An open store in a database; not for use by two threads at the same time.

    durable: the server has it on its disk when `add_all` returns. keep_days, keep_bytes: partitions of which all is
    older than so many days, and the oldest while all together are larger, are dropped every hour; all is kept for 0 and
    None. retry_for_s: how long a batch is tried again while the server is away. partition: day, week or month, for
    tables that are made; None for month, or as they are.
    """

    def __init__(
        self,
        url: str,
        *,
        durable: bool = True,
        keep_days: float | None = None,
        keep_bytes: int | None = None,
        retry_for_s: float = 30.0,
        partition: str | None = None,
    ) -> None:
        self._address = parse_address(url, keyword_options(PostgresSink, leave_out=("device", "stream_id")))
        self._keep = Keep(keep_days or None, keep_bytes or None)
        if partition not in (None, *PARTITIONS):
            raise InputError(f"partition: expected one of {', '.join(PARTITIONS)}, got {partition!r}")
        self._durable, self._retry_for_s, self._partition = durable, retry_for_s, partition
        self._closed = False
        self._sparing = Sparing(logger)
        self._connection: Connection | None = None
        self._known = Known(False, False)
        self._committing: tuple[str, Written] | None = None
        self._dropped_at_s = float("-inf")
        self._open()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "durable" if self._durable else "open"
        return f"<PostgresStore {self._address.shown:.120}, {state}>"

    def add_all(self, messages: Sequence[wire.Message], events: Sequence[Event] = ()) -> Added:
        """Store the signatures and events that are not there yet, in one transaction; all, or none and a SinkError.

        Texts with the character NUL cannot be stored: messages and events with one are conflicts.
        """
        self._check_open()
        messages = [message for message in messages if len(message.signatures)]
        if not messages and not events:
            return Added()
        rows = sum(len(message.signatures) for message in messages)
        what = " and ".join([f"{rows} signatures"] * bool(messages) + [f"{len(events)} events"] * bool(events))
        psycopg = require_psycopg()
        self._committing = None
        before: Written | None = None
        end_s, pause_s = time.monotonic() + self._retry_for_s, _FIRST_PAUSE_S
        while True:
            try:
                before = self._committed() or before
                written = self._write(messages, events)
                # A server that was killed gives the number of a transaction that it lost to another one. So what was
                # committed counts only if all of it is there.
                if before is not None and not (written.added.stored or written.added.events):
                    written = before
                break
            except (psycopg.errors.CheckViolation, psycopg.errors.ForeignKeyViolation) as error:
                # Somebody has dropped a partition or a stream since this saw it.
                self._forget()
                failure: Exception = error
            except (psycopg.OperationalError, SinkError) as error:
                failure = error
            except psycopg.Error as error:
                raise self._error(f"{what} could not be stored", error) from error
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                self._disconnect()
                raise self._error(f"{what} could not be stored", failure) from failure
            level = logging.WARNING if pause_s == _FIRST_PAUSE_S else logging.DEBUG
            text = "%s: %s are not stored yet, this goes on for %.0f s: %s"
            logger.log(level, text, self._address.shown, what, left_s, one_line(failure))
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _MOST_PAUSE_S)
        for text, *values in written.warnings:
            self._sparing.warn(f"%s: {text}", self._address.shown, *values)
        if self._keep.limited and time.monotonic() - self._dropped_at_s >= _DROP_EVERY_S:
            self._drop_old()
        return written.added

    def newest_numbers(self, device: str, stream_id: int, first: int, last: int, most: int) -> list[int]:
        """Return the newest `most` sequence numbers that are stored from `first` to `last`, newest first."""
        self._check_open()
        psycopg = require_psycopg()
        try:
            rows = self._open().execute(
                "SELECT seq FROM motionsig.signatures WHERE stream = (SELECT id FROM motionsig.streams "
                "WHERE device = %s AND stream_id = %s) AND seq BETWEEN %s AND %s ORDER BY seq DESC LIMIT %s",
                [device, stream_id, first, last, most],
            )
            return [number for (number,) in rows]
        except psycopg.DataError:
            return []  # a name with NUL: nothing is stored under it
        except psycopg.Error as error:
            raise self._error("numbers could not be read", error) from error

    def close(self) -> None:
        self._closed = True
        self._disconnect()

    def _check_open(self) -> None:
        if self._closed:
            raise SinkError(f"{self._address.shown}: this store is closed")

    def _error(self, what: str, error: Exception) -> SinkError:
        return error if isinstance(error, SinkError) else SinkError(f"{self._address.shown}: {what}: {one_line(error)}")

    def _forget(self) -> None:
        self._known = Known(self._known.as_halfvec, self._known.may_change)

    def _open(self) -> Connection:
        """Return the connection; make one, and what is missing of the tables, where there is none."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        psycopg = require_psycopg()
        connection = connect(self._address)
        try:
            self._known = self._set_up(connection)
        except psycopg.Error as error:
            connection.close()
            raise self._error("cannot be used as a store", error) from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _set_up(self, connection: Connection) -> Known:
        """Make the tables where there are none, and the session's settings; return what is known then: nothing."""
        layout = complete(connection, self._address.shown, self._partition)
        if self._keep.limited:
            check_owner(connection, self._address.shown)
        # However few rows the server takes the temporary table for, they are best found by their keys.
        settings = {**_DEADLINES, "enable_hashjoin": "off", "enable_mergejoin": "off"}
        settings["search_path"] = f"pg_catalog, {layout.vectors}" if layout.vectors else "pg_catalog"
        row = connection.execute("SELECT current_setting('synchronous_commit')").fetchone()
        # What is neither on nor off promises more than one server, or less, on purpose.
        if row in {("on",), ("off",)}:
            settings["synchronous_commit"] = "on" if self._durable else "off"
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        prepare(connection, layout.codes)
        row = connection.execute(
            "SELECT bool_and(has_table_privilege('motionsig.' || name, 'UPDATE')) "
            "FROM unnest(ARRAY['signatures', 'recordings', 'streams', 'events']) AS name"
        ).fetchone()
        return Known(layout.codes != "bytea", row == (True,))

    def _write(self, messages: Sequence[wire.Message], events: Sequence[Event]) -> Written:
        """Write a batch in one transaction; in a second one where the first finds that it has to be exclusive."""
        connection = self._open()
        for lock in ("pg_advisory_xact_lock_shared", "pg_advisory_xact_lock"):
            self._committing = None
            try:
                with connection.transaction():
                    row = connection.execute(
                        f"SELECT pg_current_xact_id()::text, {lock}({WRITERS})".encode()
                    ).fetchone()
                    exclusive = lock == "pg_advisory_xact_lock"
                    written = write(connection, self._known, messages, events, exclusive=exclusive)
                    self._committing = str(row and row[0]), written
                break
            except NewsError:
                continue
        known = self._known
        if len(known.streams) + len(known.encoders) > _MOST_KNOWN:
            self._forget()
        # Only now: a transaction that is rolled back takes what it found with it.
        known.streams |= written.streams
        known.encoders |= written.encoders
        known.partitions = written.partitions
        return written

    def _committed(self) -> Written | None:
        """Return what the last transaction wrote if its commit arrived, though its answer did not."""
        if self._committing is None:
            return None
        number, written = self._committing
        (status,) = self._open().execute("SELECT pg_xact_status(%s::xid8)", [number]).fetchone() or (None,)
        if status == "in progress":
            raise SinkError(f"{self._address.shown}: transaction {number} has not ended yet")
        self._committing = None
        return written if status == "committed" else None

    def _drop_old(self) -> None:
        psycopg = require_psycopg()
        self._dropped_at_s = time.monotonic()
        try:
            drop_old(self._open(), self._keep, self._address.shown)
        except psycopg.Error as error:
            # Somebody reads for long; the next hour tries again.
            logger.warning("%s: old signatures could not be dropped: %s", self._address.shown, one_line(error))
        self._forget()

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()


class PostgresSink(SinkOfStore[PostgresStore]):
    """Signatures and events into a database. max_message_bytes: only for counting `payload_bytes`."""

    def __init__(
        self,
        url: str,
        *,
        device: str,
        stream_id: int,
        durable: bool = True,
        keep_days: float | None = None,
        keep_bytes: int | None = None,
        retry_for_s: float = 30.0,
        partition: str | None = None,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        keywords: dict[str, Any] = {
            "durable": durable,
            "keep_days": keep_days,
            "keep_bytes": keep_bytes,
            "retry_for_s": retry_for_s,
            "partition": partition,
        }
        super().__init__(
            parse_address(url, keyword_options(PostgresSink, leave_out=("device", "stream_id"))).shown,
            partial(PostgresStore, url, **keywords),
            device=device,
            stream_id=stream_id,
            max_message_bytes=max_message_bytes,
        )
