"""Teaching at the page: one lesson at a time, whoever watches.

The loop hands over the very blocks that it made signatures of, and a thread of the lesson finds the performances in
them. Everything that is found is in a file before viewers hear of it, so it outlives the service.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from motionsig.closing import Closing
from motionsig.control import lesson_record, page_heads
from motionsig.control.asking import BUSY, FAILED, HEAD, NOTHING, REQUEST, AskError
from motionsig.control.feed import LESSON
from motionsig.control.lesson_record import COUNTER, STOPPED, Ended, Record
from motionsig.control.listening import Found, Listening
from motionsig.control.shared import LESSON_NAME
from motionsig.conventions import NS_PER_S
from motionsig.errors import HeadError, InputError
from motionsig.escaping import own_logger
from motionsig.heads.card import HeadCard
from motionsig.heads.teaching import Codes
from motionsig.model_card import ModelCard
from motionsig.state import state_folder
from motionsig.teaching import known_before, of_codes, wish_of

if TYPE_CHECKING:
    from motionsig.control.loop import Loop
    from motionsig.control.shared import Shared

log = own_logger(__name__)


class Lessons(Closing):
    """The lesson of a service, if there is one; for any thread."""

    def __init__(self, control: Shared, loop: Loop) -> None:
        """Take up the lesson that a former process has left."""
        self._control, self._loop = control, loop
        self._lock = threading.RLock()
        self._path, self._ended_path = (state_folder() / name for name in (LESSON_NAME, "lesson-ended.json"))
        self._record: Record | None = None
        self._known: list[Codes] = []
        self._listening: Listening | None = None
        try:
            found = lesson_record.read(self._path)
            if isinstance(found, Record):
                self._take_up(found)
        except (InputError, OSError) as error:
            log.warning("%s; it is left out, and the next lesson takes its place", error)

    def _take_up(self, record: Record) -> None:
        if record.made is not None and record.ending is not None and self._is_saved(record):
            # Killed between the head and the note that the lesson is over.
            self._note_end(Ended(record.ending, record.name))
            return
        record.made = record.ending = None
        count = len(record.performances)
        found = f"the {count} performance{'s' * (count != 1)} found before" if count else "nothing was found before"
        record.said = f"the service was started again in the middle of the lesson; {found}{' are kept' * bool(count)}"
        record.seconds = 0.0
        self._record = record
        try:
            self._known = self._known_of(record, self._before(record))
            if record.state != STOPPED:
                record.state = lesson_record.REST
            record.compare(self._known)
        except (AskError, HeadError, ValueError) as error:
            record.state, record.said = STOPPED, f"{record.said}; it cannot go on: {error}"
        self._listen()
        self._tell()

    def begin(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._record is not None:
                if self._record.request == asked["request"]:
                    return self._record.shown()
                raise AskError(BUSY, f"expected no other lesson, got one of {self._record.name!r}: end it first")
            if self._loop.rate_hz is None:
                raise AskError(NOTHING, "expected a sensor that runs, got none; see `motionsig status`")
            # Nobody gives another head this name meanwhile.
            with self._control.changing:
                if not asked["better"] and asked["for"] != COUNTER:
                    page_heads.require_free(self._control, asked["name"])
                record = Record(
                    id=secrets.token_hex(8),
                    name=asked["name"],
                    purpose=asked["for"],
                    better=asked["better"],
                    times=asked["times"],
                    encoder=self._loop.card.fingerprint.hex(),
                    request=asked["request"],
                )
                self._known = self._known_of(record, self._before(record))
                self._record = record
                try:
                    self._save()
                    self._listen()
                except (AskError, OSError):
                    self._record = None
                    self._path.unlink(missing_ok=True)
                    raise
                self._tell()
                return record.shown()

    def keep(self, asked: Mapping[str, Any], kept: bool) -> dict[str, Any]:
        with self._lock:
            record = self._require().copy()
            try:
                record.keep(asked["number"], kept, self._known)
            except InputError as error:
                raise AskError(REQUEST, str(error)) from error
            # What cannot be written is not changed.
            lesson_record.write(self._path, record)
            self._record = record
            self._listen()
            self._tell()
            return record.shown()

    def end(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        with self._lock:
            if self._record is None and (ended := self._ended()) and ended.request == asked["request"]:
                return None if ended.head is None else page_heads.shown(self._control, ended.head)
            record = self._require()
            head = None
            if asked["save"]:
                with self._control.changing:
                    if not self._is_saved(record):
                        self._make(record, asked["request"])
                    head = page_heads.shown(self._control, record.name)
            self._note_end(Ended(asked["request"], record.name if asked["save"] else None))
            self._record = None
            self._listen()
            self._tell()
            return head

    def _require(self) -> Record:
        if self._record is None:
            raise AskError(NOTHING, "expected a lesson that was begun, got none")
        return self._record

    def _before(self, record: Record) -> HeadCard | None:
        """Return the head that the lesson adds to."""
        if not record.better and record.purpose != COUNTER:
            return None
        return page_heads.own_card_of(self._control, record.name)

    def _known_of(self, record: Record, before: HeadCard | None) -> list[Codes]:
        card = self._loop.card
        if record.encoder != card.fingerprint.hex():
            raise AskError(FAILED, f"expected encoder {record.encoder}, got {card.fingerprint.hex()}: {_OTHER_MODEL}")
        try:
            return known_before(before, card.spec)[0]
        except InputError as error:
            raise AskError(HEAD, str(error)) from error

    def _make(self, record: Record, request: str) -> None:
        """Make a head of the lesson, and judge with it."""
        kept = record.kept
        if not kept:
            raise AskError(
                NOTHING,
                "expected at least one performance that is kept, got none: perform it with a rest of a second before "
                "and after it, or forget the lesson",
            )
        if not record.better and record.purpose != COUNTER:
            page_heads.require_free(self._control, record.name)
        before = self._before(record)
        self._known_of(record, before)
        model = self._loop.card
        hop_ns = round(self._loop.heads_hop * NS_PER_S / model.rate_hz)
        what = "against" if record.purpose == COUNTER else "examples"
        card = improved(record.name, before, model, hop_ns, **{what: kept})
        record.made, record.ending = card.fingerprint.hex(), request
        self._save()
        page_heads.save(self._control, card)

    def _is_saved(self, record: Record) -> bool:
        try:
            return page_heads.own_card_of(self._control, record.name).fingerprint.hex() == record.made
        except (AskError, HeadError):
            return False

    def _note_end(self, ended: Ended) -> None:
        try:
            lesson_record.write(self._ended_path, ended)
        except OSError as error:
            log.warning("%s: %s; whoever asks after a restart hears that there is no lesson", self._ended_path, error)
        self._path.unlink(missing_ok=True)

    def _ended(self) -> Ended | None:
        try:
            found = lesson_record.read(self._ended_path)
        except (InputError, OSError):
            return None
        return found if isinstance(found, Ended) else None

    def _save(self) -> None:
        if self._record is not None:
            lesson_record.write(self._path, self._record)

    def _tell(self) -> None:
        self._control.lesson_name = None if self._record is None else self._record.name
        self._control.feed.put(LESSON, None if self._record is None else self._record.shown())

    def _listen(self) -> None:
        """Hear samples while there is somebody to perform, and only then."""
        record = self._record
        wanted = record is not None and record.state not in (lesson_record.ENOUGH, STOPPED)
        if wanted == (self._listening is not None):
            return
        former, self._listening = self._listening, None
        if former is not None:
            former.stop()
        if record is not None and wanted:
            self._listening = Listening(self._loop, record.id, self._hear)
        # The loop reads this once for each block.
        self._control.hearing = self._listening

    def _hear(self, found: Found) -> None:
        """Take what the listening thread has found out."""
        with self._lock:
            record = self._record
            if record is None or record.id != found.lesson or record.state in (lesson_record.ENOUGH, STOPPED):
                return
            if self._loop.card.fingerprint.hex() != record.encoder:
                found = found._replace(said=f"the model was changed meanwhile: {_OTHER_MODEL}", over=True)
            changed = bool(found.performances) or found.said is not None or found.over or found.state != record.state
            if found.state is not None:
                record.state = found.state
            record.seconds = found.seconds
            # What is found after it, what was said is over.
            if found.said is not None or found.performances:
                record.said = found.said
            for begin_ms, end_ms, made, why in found.performances:
                if made is None or made.spec.fingerprint.hex() == record.encoder:
                    record.take(begin_ms, end_ms, None if made is None else made.codes, why, self._known)
            if len(record.performances) >= lesson_record.MOST_PERFORMANCES and record.state != lesson_record.ENOUGH:
                found = found._replace(over=True)
                record.said = (
                    f"{len(record.performances)} performances are the most of one lesson: save it, or forget it"
                )
            if found.over:
                record.state = STOPPED
            if changed:
                try:
                    self._save()
                except OSError as error:
                    record.said = f"what was found is not kept over a restart: {error.strerror}"
                self._listen()
            self._tell()

    def close(self) -> None:
        """Leave the lesson to the next process."""
        with self._lock:
            if self._listening is not None:
                self._listening.stop()
                self._listening = None


_OTHER_MODEL = "signatures of different encoders do not compare; forget this lesson, and begin another"


def improved(
    name: str,
    before: HeadCard | None,
    model: ModelCard,
    hop_ns: int,
    *,
    examples: Sequence[Codes] = (),
    against: Sequence[Codes] = (),
) -> HeadCard:
    """Return the head of these performances and counter-examples, and of those that `before` was taught with.

    examples, against: codes (k, dim) each. hop_ns: from one window that it will judge to the next. Raises InputError
    where nothing can be learned, HeadError for a head that it needs.
    """
    known, wrong = known_before(before, model.spec)
    wish = replace(wish_of(name, before), hop_ns=hop_ns)
    return of_codes(name, [*known, *examples], [*wrong, *against], model, wish=wish)


def of(control: Shared) -> Lessons:
    """Return the lessons of a service; a lesson that was left goes on from here. Raises AskError without a sensor."""
    loop = control.live()
    return control.one(Lessons, lambda: Lessons(control, loop))


def begin(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Begin a lesson; return it."""
    return of(control).begin(asked)


def keep(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Keep a performance."""
    return of(control).keep(asked, True)


def drop(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Drop a performance."""
    return of(control).keep(asked, False)


def end(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """End the lesson; return the head that it made, or None where it is forgotten."""
    return of(control).end(asked)
