"""What a viewer may see and ask for: of a service that runs or of a store alone, over a socket or in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from motionsig.closing import Closing
from motionsig.control.answered import Answered
from motionsig.control.asking import FAILED, HEAD, REQUEST, Ask, AskError, checked, or_null, position
from motionsig.control.feed import HEADS, LESSON, STATUS, Feed, Viewer, to_line
from motionsig.control.loop import Loop
from motionsig.control.shared import LESSON_NAME, Shared
from motionsig.errors import HeadError, MotionsigError
from motionsig.escaping import own_logger
from motionsig.state import state_folder

log = own_logger(__name__)

_UNFINISHED = re.compile(r"\.\.(page|answered)\.json\.[0-9a-f]{8}|\.lesson(-ended)?\.json\.[0-9a-f]{8}")
"""What `replace_file` was writing when it was killed, of the files that this room writes."""

LIVE = "live"
"""The ask that has no end; see `Control.watch`."""


_WATCHING = Ask(lambda *_: None, {"after": or_null(position)})


class Control(Shared, Closing):
    """Answers asks, in whatever thread they come.

    Parameters are as in `Shared`. Those who change heads wait for each other.

    >>> control = Control(store="store:mine.db", heads_folder=heads_folder())  # without a service
    >>> control.answer(b'{"ask": "hello"}')
    b'{"ok": {"version": ...
    """

    def __init__(
        self,
        *,
        loop: Loop | None = None,
        store: str | None = None,
        why_no_store: str | None = None,
        heads_folder: Path,
        keys_folder: Path | None = None,
        feed: Feed | None = None,
    ) -> None:
        super().__init__(loop, store, why_no_store, heads_folder, keys_folder, feed or Feed())
        self.feed.put(STATUS, None if loop is None else loop.status)
        self.feed.put(HEADS, lambda: self.ask({"ask": "heads"}))
        self.feed.put(LESSON, None)
        self._answered = Answered(heads_folder / ".answered.json")

    def resume(self) -> None:
        """Take up the lesson that a former process has left, if there is one, and delete what a kill has left."""
        for left in (*self.heads_folder.glob(".*"), *state_folder().glob(".lesson*.json.*")):
            if _UNFINISHED.fullmatch(left.name):
                with suppress(OSError):
                    left.unlink()
        if self.heads_folder.exists():
            from motionsig.heads.places import remove_what_is_left

            remove_what_is_left(self.heads_folder)
        if self.loop is not None and (state_folder() / LESSON_NAME).exists():
            from motionsig.control import lessons

            lessons.of(self)

    def answer(self, line: bytes) -> bytes:
        """Return the answer to a line, as a line. Raises nothing."""
        try:
            return self.answer_to(read_line(line))
        except AskError as error:
            return error_line(error)

    def answer_to(self, asked: Mapping[str, Any]) -> bytes:
        """Return the answer to what a line asks, as a line. Raises nothing."""
        try:
            return to_line({"ok": self.ask(asked)})
        except AskError as error:
            return error_line(error)

    def ask(self, asked: Mapping[str, Any]) -> Any:
        """Return the answer to an ask that is no line: `ask` and its parameters. Raises AskError alone."""
        # Whoever never asks does not pay for what answers.
        from motionsig.control.table import ASKS

        given = dict(asked)
        name = given.pop("ask", None)
        ask = ASKS.get(name) if isinstance(name, str) else None
        if ask is None:
            raise AskError(REQUEST, f"ask: expected one of {', '.join(ASKS)}, got {name!r:.80}")
        values = checked(ask, given)
        try:
            if not ask.changes:
                return ask.answer(self, values)
            return self._answered.once(values["request"], {"ask": name, **values}, lambda: ask.answer(self, values))
        except AskError:
            raise
        except (MotionsigError, OSError) as error:
            raise AskError(HEAD if isinstance(error, HeadError) else FAILED, str(error)) from error
        # Whoever asks gets an answer, whatever is wrong here.
        except Exception as error:
            log.exception("%s", name)
            raise AskError(FAILED, f"an error of ours, which is in the log of the service: {error!r:.200}") from error

    def watch(self, asked: Mapping[str, Any]) -> Viewer:
        """Return who gets the lines of the ask `live`. Raises AskError."""
        return self.feed.viewer(checked(_WATCHING, {key: asked[key] for key in asked if key != "ask"})["after"])

    def close(self) -> None:
        """Leave a lesson to the next process, and end what looks back."""
        for made in list(self.made.values()):
            made.close()


def read_line(line: bytes) -> Mapping[str, Any]:
    """Return what a client asks. Raises AskError."""
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AskError(REQUEST, f"line: expected JSON, got: {error!s:.200}") from error
    if not isinstance(asked, dict):
        raise AskError(REQUEST, f"line: expected an object, got {type(asked).__name__}")
    return asked


def error_line(error: AskError) -> bytes:
    """Return an error as a line."""
    return to_line({"error": {"kind": error.kind, "text": str(error)}})
