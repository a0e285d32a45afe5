"""Results of trials: which installed models this machine has kept, rejected or on trial, in a file."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from motionsig.escaping import own_logger
from motionsig.files import read_file, replace_file
from motionsig.state import models_folder

log = own_logger(__name__)

_MOST_BYTES = 1 << 20
_MOST_RESULTS = 32
_MOST_STARTS = 2  # starts of the daemon that may end before a model's trial does: a power cut is no fault of it
_ON_TRIAL, _KEPT, _REJECTED = "trial", "kept", "unfit"  # as the file says it, under the key "word"


@dataclass(frozen=True)
class _Result:
    """What is known of an installed model. starts: of processes that opened it on trial and have not ended orderly."""

    state: str = ""
    reason: str = ""
    starts: int = 0


class TrialResults:
    """Results of trials by installation, in a file; for any thread. A model that is not installed has no trial."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._results: dict[str, _Result] = {}
        try:
            content, _ = read_file(path, _MOST_BYTES)
            for key, value in json.loads(content).items():
                self._results[key] = _Result(str(value["word"]), str(value["reason"]), int(value["starts"]))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            self._results.clear()
            log.warning("%s: expected results of trials, got: %s; starting without any", path, error)

    def _of(self, folder: Path) -> _Result:
        return self._results.get(installation(folder), _Result()) if is_installed(folder) else _Result()

    def is_on_trial(self, folder: Path) -> bool:
        return self._of(folder).state == _ON_TRIAL

    def is_rejected(self, folder: Path) -> bool:
        return self._of(folder).state == _REJECTED

    def lost_starts(self, folder: Path) -> int:
        """Return how many processes ended while this model was on trial, where that is more than chance."""
        starts = self._of(folder).starts
        return starts if starts > _MOST_STARTS else 0

    def begin(self, folder: Path) -> bool:
        """Note that a model is about to be opened; return whether that is on trial."""
        result = self._of(folder)
        if not is_installed(folder) or result.state not in (_ON_TRIAL, ""):
            return False
        self._put(folder, _Result(_ON_TRIAL, starts=result.starts + 1))
        return True

    def end_orderly(self, folder: Path) -> None:
        """Note that a start of a model on trial has ended, and not with its process."""
        result = self._of(folder)
        if result.state == _ON_TRIAL:
            self._put(folder, _Result(_ON_TRIAL, starts=result.starts - 1))

    def keep(self, folder: Path) -> None:
        self._put(folder, _Result(_KEPT))

    def reject(self, folder: Path, reason: str) -> None:
        if is_installed(folder):
            self._put(folder, _Result(_REJECTED, reason))

    def _put(self, folder: Path, result: _Result) -> None:
        """Remember it; where the disk refuses, as long as this process lives."""
        with self._lock:
            self._results[installation(folder)] = result
            newest = list(self._results.items())[-_MOST_RESULTS:]
            rows = {key: {"word": one.state, "reason": one.reason, "starts": one.starts} for key, one in newest}
            try:
                replace_file(self._path, json.dumps(rows).encode())
            except OSError as error:
                log.warning("%s: %s; results of trials are not remembered", self._path, error)


def installation(folder: Path) -> str:
    """Return a text that is another one when the model in `folder` is installed again."""
    try:
        return f"{folder.parent.name}/{folder.name} {folder.stat().st_ctime_ns}"
    except OSError:
        return f"{folder.parent.name}/{folder.name} gone"


def is_installed(folder: Path) -> bool:
    """Return whether the model in `folder` was installed; the others are shipped, or named by their folder."""
    return models_folder() in folder.parents
