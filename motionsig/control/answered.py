"""The last answers to asks that changed something: whoever lost one may ask again, and nothing is changed twice.

They are in a file, too, so that this holds over a restart of the service. Errors are not kept: they changed nothing.
How old an answer is does not count: the clock of a device may be set by years at any moment.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from motionsig.control.asking import REQUEST, AskError
from motionsig.escaping import own_logger
from motionsig.files import read_file, replace_file

log = own_logger(__name__)

_MOST_KEPT = 128
_MOST_BYTES = 4 << 20


class _Answer(NamedTuple):
    """asked: SHA-256 of the ask with its parameters."""

    asked: str
    answer: Any


class Answered:
    """The last answers, by request; for any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._asked = dict[str, str]()  # what is under way: by request, its digest
        self._answers: dict[str, _Answer] | None = None  # until somebody asks

    def once(self, request: str, asked: Mapping[str, Any], answer: Callable[[], Any]) -> Any:
        """Return what `answer` returns, or what it returned to the same request before.

        Raises AskError for a request that was another one before.
        """
        digest = hashlib.sha256(repr(sorted(asked.items())).encode("utf-8", "surrogatepass")).hexdigest()
        with self._changed:
            # What is asked again while it is under way waits for its answer, or does it where there was an error.
            self._changed.wait_for(lambda: self._asked.get(request) != digest)
            if self._answers is None:
                self._answers = self._read()
            answers = self._answers
            before = answers.get(request)
            if request in self._asked or (before is not None and before.asked != digest):
                raise AskError(REQUEST, "request: expected a new one for another ask, got one that was used before")
            if before is not None:
                return before.answer
            self._asked[request] = digest
        try:
            made = answer()
            with self._changed:
                self._keep(answers, request, _Answer(digest, made))
            return made
        finally:
            with self._changed:
                del self._asked[request]
                self._changed.notify_all()

    def _keep(self, answers: dict[str, _Answer], request: str, answer: _Answer) -> None:
        answers[request] = answer
        while len(answers) > _MOST_KEPT:
            del answers[next(iter(answers))]
        try:
            replace_file(self._path, json.dumps(answers).encode(), mode=0o600)
        except OSError as error:
            log.warning("%s: %s; after a restart, the same request changes things again", self._path, error)

    def _read(self) -> dict[str, _Answer]:
        try:
            content, _ = read_file(self._path, _MOST_BYTES, follow_links=False)
            return {request: _Answer(*answer) for request, answer in json.loads(content).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            log.warning("%s: expected the last answers, got: %s", self._path, error)
            return {}
