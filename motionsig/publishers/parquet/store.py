"""A dataset of Parquet files as a store, and as a sink; the package says how it works."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from motionsig import wire
from motionsig.closing import Closing
from motionsig.endings import require_ending
from motionsig.errors import InputError, SinkError
from motionsig.escaping import own_logger
from motionsig.events import Event
from motionsig.files import lock_file, sync_folder
from motionsig.publishers.local import Stored, Wanted
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES
from motionsig.publishers.parquet.comparing import Found, compared, cut, with_labels
from motionsig.publishers.parquet.encoders import read_encoders
from motionsig.publishers.parquet.files import reporting
from motionsig.publishers.parquet.index import Range, open_index
from motionsig.publishers.parquet.layout import Layout, day_name, files_of
from motionsig.publishers.parquet.pieces import Groups, Piece, Stream, pieces, rows_of
from motionsig.publishers.parquet.rolling import roll
from motionsig.publishers.parquet.tidying import remove_remains, tidy
from motionsig.publishers.sparing import Sparing
from motionsig.publishers.store import Store
from motionsig.publishers.store_sink import SinkOfStore
from motionsig.publishers.stores import Added

logger = own_logger(__name__)

ROLL_ROWS, ROLL_S = 262_144, 300.0
MOST_ROLL_ROWS = 4_194_304
_MOST_DAYS = 4
"""Days whose pieces are kept to compare what comes again."""


class ParquetStore(Closing):
    """An open dataset, which one process writes at a time. Raises SinkError for whatever the disk refuses.

    durable: what `add_all` took survives a power cut. roll_rows, roll_s: with so many signatures and events, or so many
    seconds after the first of them, the tail becomes files; and when the store is opened or closed. keep_days: days
    that ended longer ago are deleted; by default none.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        durable: bool = False,
        roll_rows: int = ROLL_ROWS,
        roll_s: float = ROLL_S,
        keep_days: float | None = None,
    ) -> None:
        if not 1 <= roll_rows <= MOST_ROLL_ROWS:
            raise InputError(f"roll_rows: expected 1 to {MOST_ROLL_ROWS}, got {roll_rows}")
        if not 0 < roll_s <= threading.TIMEOUT_MAX:
            raise InputError(f"roll_s: expected a number of seconds above 0, got {roll_s}")
        if keep_days is not None and not 0 < keep_days < 100_000:
            raise InputError(f"keep_days: expected a number above 0, got {keep_days}")
        self._layout = layout = Layout(Path(path))
        self._durable, self._roll_rows, self._roll_s, self._keep_days = durable, roll_rows, roll_s, keep_days
        # The thread of the timer rolls, too.
        self._mutex = threading.RLock()
        self._timer: threading.Timer | None = None
        self._rows = 0
        self._groups, self._pieces = Groups(), dict[int, dict[Stream, list[Piece]]]()
        self._replaced = dict[Stream, set[int]]()
        self._sparing = Sparing(logger)
        self._lock = self._claim()
        try:
            with reporting(layout.root, "cannot be used as a store"):
                remove_remains(layout)
                self._index = open_index(layout)
                self._encoders = read_encoders(layout.encoders)
                self._tail: Store | None = None
                self._begin()
        except BaseException:
            os.close(self._lock)
            raise

    def __repr__(self) -> str:
        path = str(self._layout.root)
        state = "closed" if self._tail is None else "durable" if self._durable else "open"
        return f"<ParquetStore {path if len(path) <= 120 else f'...{path[-117:]}'}, {state}>"

    def _claim(self) -> int:
        """Make the dataset's folders and return the lock of its one writer."""
        root, own = self._layout.root, self._layout.own
        if not root.exists():
            require_ending(root, (".parquet",), where="parquet: ", instead="it is a folder: name it such as signatures")
        with reporting(root, "cannot be opened"):
            root.mkdir(mode=0o700, exist_ok=True)
            own.mkdir(mode=root.stat().st_mode & 0o777, exist_ok=True)
            try:
                return lock_file(own / "lock")
            except BlockingIOError as error:
                text = f"expected no other writer, as one process writes at a time, got this dataset {error.strerror}"
                raise SinkError(f"parquet:{root}: {text}; give each receiver a folder of its own") from error

    def _begin(self) -> None:
        """Open the tail that an earlier process left, and roll it; or a new one."""
        done, tails = self._index.done, self._layout.tails()
        waiting = [number for number in tails if number > done]
        # One that is not done is complete, and what follows it is empty: a roll had begun.
        for number in {*tails} - {*waiting[:1]}:
            self._delete_tail(number)
        self._number = waiting[0] if waiting else done + 1
        self._tail = self._open_tail(self._number)
        if waiting:
            self._try_to_roll()
        else:
            self._tidy()

    def _open_tail(self, number: int) -> Store:
        path = self._layout.tail(number)
        if not path.exists():
            # Under another name until it has its tables: a reader takes every tail for a whole one.
            new = self._layout.own / f"new-{path.name}"
            Store(new).close()
            new.chmod(self._layout.root.stat().st_mode & 0o666)
            new.replace(path)
            sync_folder(path.parent)
        return Store(path, durable=self._durable)

    def _delete_tail(self, number: int) -> None:
        path = self._layout.tail(number)
        for each in (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))):
            each.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Delete old days and merge small files; where that fails, say so."""
        try:
            with reporting(self._layout.root, "could not be tidied"):
                tidy(self._layout, self._index, most_rows=max(self._roll_rows, ROLL_ROWS), keep_days=self._keep_days)
        except SinkError as error:
            logger.warning("%s; this is tried again", error)

    def add_all(self, messages: Sequence[wire.Message], events: Sequence[Event] = ()) -> Added:
        """Store the signatures and events that are not there yet, in one transaction; all, or none and a SinkError."""
        with self._mutex:
            if self._tail is None:
                raise SinkError(f"parquet:{self._layout.root}: this store is closed")
            with reporting(self._layout.root, "could not be read to compare what comes again"):
                new, again, of_files = self._apart(messages)
                new_events, of_events = self._new_events(events)
            replaced = self._tail.add_all(again) if again else Added()
            added = self._tail.add_all(new, new_events)
            total = Added(*map(sum, zip(added, of_files, of_events, strict=True)))
            # Those that replace others are no new ones; between two of them there may be a conflict.
            total = total._replace(
                duplicates=total.duplicates + replaced.stored + replaced.duplicates,
                conflicts=total.conflicts + replaced.conflicts,
            )
            self._rows += added.stored + added.events + replaced.stored
            if self._rows and self._timer is None:
                self._start_timer()
            if self._rows >= self._roll_rows:
                self._try_to_roll()
            return total

    def _apart(self, messages: Sequence[wire.Message]) -> tuple[list[wire.Message], list[wire.Message], Added]:
        """Return messages of what is in no file, of what replaces what is there, and the counts of the rest."""
        new, again, duplicates, conflicts = list[wire.Message](), list[wire.Message](), 0, 0
        for message in messages:
            count = len(message.signatures)
            if not count:
                continue
            known = self._index.known(message.device, message.stream_id, message.seq, message.seq + count - 1)
            bound = self._index.bound(message.device, message.signatures.spec.fingerprint)
            if bound is not None and self._encoders[bound].spec != message.signatures.spec:
                found = np.full(count, Found.CONFLICT, np.uint8)
            elif known:
                found, signatures = compared(message, self._stored(message, known))
                message = replace(message, signatures=signatures)
                # What the tail has of it is newer than what files have.
                replaced = self._replaced.setdefault((message.device, message.stream_id), set())
                numbers = range(message.seq, message.seq + count)
                found[(found == Found.SAME) & [seq in replaced for seq in numbers]] = Found.AGAIN
                replaced |= {seq for seq, what in zip(numbers, found.tolist(), strict=True) if what == Found.AGAIN}
            else:
                new.append(message)
                continue
            differ = int((found == Found.CONFLICT).sum())
            duplicates += int((found == Found.SAME).sum())
            conflicts += differ
            # A message with a conflict in it is of another recording than what is stored.
            if differ and message.recording is not None:
                message = replace(message, recording=None, signatures=with_labels(message.signatures))
            new += cut(message, found == Found.NEW)
            again += cut(message, found == Found.AGAIN)
            if differ:
                text = "parquet:%s: %d signatures of %s, stream %d, from seq %d differ from what is stored"
                self._sparing.warn(text, self._layout.root, differ, message.device, message.stream_id, message.seq)
        return new, again, Added(duplicates=duplicates, conflicts=conflicts)

    def _stored(self, message: wire.Message, known: Sequence[Range]) -> Iterator[Stored]:
        """Yield what files have of the numbers of a message; `known` says on which days."""
        stream, anything = (message.device, message.stream_id), Wanted(None, None, None, None)
        last = message.seq + len(message.signatures) - 1
        for day in {it.day for it in known}:
            if day not in self._pieces:
                if len(self._pieces) >= _MOST_DAYS:
                    self._pieces.clear()
                files = files_of(self._layout.signatures / day_name(day))
                self._pieces[day] = pieces(files, anything)
            found = self._pieces[day].get(stream, [])
            near = [piece for piece in found if piece.seq_first <= last and piece.seq_last >= message.seq]
            yield from rows_of(self._groups, stream, near, self._encoders, anything, 65_536)

    def _new_events(self, events: Sequence[Event]) -> tuple[list[Event], Added]:
        """Return the events that are in no file, and the counts of the others."""
        new, conflicts = [], list[Event]()
        for event in events:
            stored = self._index.event(event)
            if stored is None:
                new.append(event)
            elif stored != (event.start_ns, event.end_ns, event.score, event.fingerprint):
                conflicts.append(event)
        if conflicts:
            text = "parquet:%s: %d events differ from what is stored under the same key, the first: %s of %s, stream %d"
            first = conflicts[0]
            self._sparing.warn(text, self._layout.root, len(conflicts), first.head, first.device, first.stream_id)
        return new, Added(duplicates=len(events) - len(new) - len(conflicts), conflicts=len(conflicts))

    def newest_numbers(self, device: str, stream_id: int, first: int, last: int, most: int) -> list[int]:
        """Return the newest `most` numbers that are stored from `first` to `last`, both included, newest first."""
        with self._mutex:
            if self._tail is None:
                raise SinkError(f"parquet:{self._layout.root}: this store is closed")
            found = set(self._tail.newest_numbers(device, stream_id, first, last, most))
            with reporting(self._layout.root, "which signatures are there could not be read"):
                known = self._index.known(device, stream_id, first, last)
        in_files = 0
        for run in reversed(known):
            newest = range(max(first, run.first), min(last, run.last) + 1)[-most:]
            found.update(newest)
            in_files += len(newest)
            if in_files >= most:
                break
        return sorted(found, reverse=True)[:most]

    def _start_timer(self) -> None:
        self._timer = timer = threading.Timer(self._roll_s, self._due)
        timer.daemon = True
        timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        with self._mutex:
            if self._tail is not None and self._timer is threading.current_thread():
                self._try_to_roll()

    def _try_to_roll(self) -> None:
        """Roll the tail, and begin the next; where that fails, say so and go on with this one, which has it all."""
        self._stop_timer()
        self._rows = 0
        self._groups, self._pieces = Groups(), {}
        try:
            with reporting(self._layout.root, "no file of new rows could be written, they stay in the tail"):
                # Before the roll: once it has ended, nothing may go into the old tail.
                following = self._open_tail(self._number + 1)
                try:
                    roll(self._layout, self._index, self._encoders, self._number)
                except BaseException:
                    following.close()
                    self._delete_tail(self._number + 1)
                    raise
        except SinkError as error:
            logger.warning("%s; this is tried again", error)
            self._start_timer()
            return
        before, self._tail, self._replaced = self._tail, following, {}
        self._number += 1
        try:
            with reporting(self._layout.root, "the old tail could not be deleted"):
                if before is not None:
                    before.close()
                self._delete_tail(self._number - 1)
        except SinkError as error:
            logger.warning("%s; the next process deletes it", error)
        self._tidy()

    def close(self) -> None:
        """Roll what is left, so that other engines see all of it, and let the next writer in."""
        with self._mutex:
            if self._tail is None:
                return
            # A timer runs where the tail has rows.
            if self._timer is not None:
                self._try_to_roll()
                self._stop_timer()
            tail, self._tail = self._tail, None
            try:
                tail.close()
            finally:
                self._index.close()
                os.close(self._lock)


class ParquetSink(SinkOfStore[ParquetStore]):
    """Signatures and events into a dataset of Parquet files, which is created where it does not exist.

    durable, roll_rows, roll_s, keep_days: see `ParquetStore`. max_message_bytes: only for counting `payload_bytes`.
    """

    def __init__(
        self,
        path: str,
        *,
        device: str,
        stream_id: int,
        durable: bool = False,
        roll_rows: int = ROLL_ROWS,
        roll_s: float = ROLL_S,
        keep_days: float | None = None,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        super().__init__(
            f"parquet:{path}",
            partial(ParquetStore, path, durable=durable, roll_rows=roll_rows, roll_s=roll_s, keep_days=keep_days),
            device=device,
            stream_id=stream_id,
            max_message_bytes=max_message_bytes,
        )
