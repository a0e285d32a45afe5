"""What a viewer may see and ask for, of a service that runs or of a store alone; who asks over a socket or in-process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionsig.closing import Closing
from motionsig.control.asking import FAILED, NOTHING, REQUEST, AskError, checked
from motionsig.control.feed import Feed
from motionsig.control.loop import Hearing, Loop
from motionsig.errors import MotionsigError
from motionsig.escaping import own_logger

log = own_logger(__name__)


class Control(Closing):
    """All that asks share.

    loop: of the service; None for a store alone. store: the URL of what `lookback` reads, None where nothing is stored.
    heads_folder: of the heads that are taught at the page. hearing: who hears samples, or None; set it by `loop.call`.
    feed: what viewers are told.
    """

    def __init__(self, *, loop: Loop | None, store: str | None, heads_folder: Path) -> None:
        self.loop, self.store, self.heads_folder = loop, store, heads_folder
        self.hearing: Hearing | None = None
        self.feed = Feed()

    def answer(self, line: bytes) -> bytes:
        """Return the answer to a line, as a line. Raises nothing."""
        try:
            return _line({"ok": self.ask(_read(line))})
        except AskError as error:
            return _line({"error": {"kind": error.kind, "text": str(error)}})

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
            return ask.answer(self, values)
        except AskError:
            raise
        except (MotionsigError, OSError) as error:
            raise AskError(FAILED, str(error)) from error

    def live(self) -> Loop:
        """Return the loop, for an ask that needs a sensor. Raises AskError where there is none."""
        if self.loop is None:
            raise AskError(NOTHING, "expected a service with a sensor, got a store alone")
        return self.loop


def _read(line: bytes) -> Mapping[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AskError(REQUEST, f"line: expected JSON, got: {error!s:.200}") from error
    if not isinstance(asked, dict):
        raise AskError(REQUEST, f"line: expected an object, got {type(asked).__name__}")
    return asked


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"
