"""What all asks share: the service that they are about, its store, its heads, and who listens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from motionsig.closing import Closing
from motionsig.control.asking import NOTHING, AskError
from motionsig.control.feed import Feed
from motionsig.control.loop import Hearing, Loop

_T = TypeVar("_T", bound=Closing)

LESSON_NAME = "lesson.json"
"""The file of the lesson, in the state folder."""


class Shared:
    """What all asks share.

    loop: of the service; None for a store alone. store: the URL of what `lookback` reads; None where nothing is stored,
    and then why_no_store says why. heads_folder: of the heads that are taught at the page. keys_folder: of whose heads
    are taken. feed: what viewers are told. hearing: who hears samples, or None; the loop reads it once for each block.
    lesson_name: of the head that a lesson is about, or None.
    changing: whoever changes heads, or makes one of another, holds it meanwhile, for a second or two; it is taken after
    the lessons' own lock.
    """

    def __init__(
        self,
        loop: Loop | None,
        store: str | None,
        why_no_store: str | None,
        heads_folder: Path,
        keys_folder: Path | None,
        feed: Feed,
    ) -> None:
        self.loop, self.store, self.why_no_store = loop, store, why_no_store
        self.heads_folder, self.keys_folder = heads_folder, keys_folder
        self.feed = feed
        self.hearing: Hearing | None = None
        self.lesson_name: str | None = None
        self.changing = threading.RLock()
        self.made = dict[type, Closing]()
        self._making = threading.Lock()

    def one(self, kind: type[_T], make: Callable[[], _T]) -> _T:
        """Return what all asks share of a kind, made when it is first asked for and closed with the control."""
        with self._making:
            made = self.made.get(kind)
            if not isinstance(made, kind):
                made = self.made[kind] = make()
            return made

    def live(self) -> Loop:
        """Return the loop, for an ask that needs a sensor. Raises AskError where there is none."""
        if self.loop is None:
            raise AskError(NOTHING, "expected a service with a sensor, got a store alone")
        return self.loop
