"""Which topics the broker may keep for us, remembered beside the spool's identity.

What is retained outlives the process that published it, and only who knows its topic can remove it: a head that is no
longer configured, a device that has another name or prefix now, or one that Home Assistant is no longer told of, would
stay there for good. So a topic is noted before anything is retained at it, and until its removal is sure to have
arrived. A mark beside them says that a process tells of states and has
not ended in order: whoever finds it does not know which of them still hold.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Set
from pathlib import Path

from motionsig.escaping import own_logger
from motionsig.events import HEAD_NAME
from motionsig.files import read_file, replace_file

logger = own_logger(__name__)

MOST_TOPICS = 1024
_MOST_BYTES = 1024 * 1024
_NAME, _MARK = "retained", "telling"
_TOPIC = re.compile(
    rf"[^+#\0\ud800-\udfff]{{1,4096}}/"
    rf"(?:events/{HEAD_NAME.pattern}|availability|state|(?:event|binary_sensor|sensor)/[A-Za-z0-9_-]+/[a-z_]+"
    rf"/config|(?:event|binary_sensor)/[A-Za-z0-9_-]+/head_{HEAD_NAME.pattern}/config)"
)


def load(folders: list[Path]) -> frozenset[str]:
    """Return the topics that any of the folders remembers; what is damaged is skipped, as are topics of others."""
    topics: set[str] = set()
    for folder in folders:
        try:
            found = json.loads(read_file(folder / _NAME, _MOST_BYTES)[0])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            logger.warning("%s: what was announced earlier is not known: %s", folder / _NAME, error)
            continue
        said = found if isinstance(found, list) else []
        topics.update(topic for topic in said if isinstance(topic, str) and _TOPIC.fullmatch(topic))
    return frozenset(sorted(topics)[:MOST_TOPICS])


def store(folders: list[Path], topics: Set[str]) -> None:
    """Replace what is remembered, in the first folder that takes it; the others then remember nothing."""
    content = json.dumps(sorted(topics)[:MOST_TOPICS], indent=0).encode("ascii")
    for at, folder in enumerate(folders):
        try:
            replace_file(folder / _NAME, content, mode=0o600)
        except OSError as error:
            logger.warning("%s: what is announced could not be noted: %s", folder / _NAME, error)
            continue
        for other in folders[at + 1 :]:
            with contextlib.suppress(OSError):
                (other / _NAME).unlink()
        return


def begin_telling(folders: list[Path]) -> None:
    """Leave the mark in the first folder that takes it."""
    for folder in folders:
        with contextlib.suppress(OSError):
            replace_file(folder / _MARK, b"", mode=0o600)
            return


def end_telling(folders: list[Path]) -> None:
    """Take the mark away: all that was told has arrived, the end of each state with it."""
    for folder in folders:
        with contextlib.suppress(OSError):
            (folder / _MARK).unlink(missing_ok=True)


def was_cut_off(folders: list[Path]) -> bool:
    """Return whether an earlier process told of states and did not end in order."""
    return any((folder / _MARK).exists() for folder in folders)
