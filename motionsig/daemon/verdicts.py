"""What this machine has learned of the models that were installed on it, in a file that outlives the process."""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass
class Verdict:
    """What is known of an installed model here. word: trial, kept or unfit. starts: trials begun and not ended."""

    word: str
    reason: str = ""
    starts: int = 0


class Verdicts:
    """Verdicts on installed models, in a file that outlives the process; for any thread."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._verdicts: dict[str, Verdict] = {}
        try:
            for key, value in json.loads(path.read_bytes()).items():
                self._verdicts[key] = Verdict(str(value["word"]), str(value["reason"]), int(value["starts"]))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            self._verdicts.clear()
            log.warning("%s: expected what is known of the installed models, got: %s; beginning anew", path, error)

    def of(self, folder: Path) -> Verdict | None:
        """Return what is known of the model in `folder` since it was installed."""
        return self._verdicts.get(installation(folder))

    def put(self, folder: Path, verdict: Verdict) -> None:
        """Remember it; where the disk refuses, for as long as this process lives."""
        with self._lock:
            self._verdicts[installation(folder)] = verdict
            try:
                self._write(json.dumps({key: asdict(value) for key, value in list(self._verdicts.items())[-32:]}))
            except OSError as error:
                log.warning("%s: %s; what is known of the installed models is not remembered", self._path, error)

    def _write(self, text: str) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with beside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def installation(folder: Path) -> str:
    """Return what changes when the model in `folder` is installed again."""
    try:
        return f"{folder.parent.name}/{folder.name} {folder.stat().st_ctime_ns}"
    except OSError:
        return f"{folder.parent.name}/{folder.name} gone"
