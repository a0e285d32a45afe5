"""Text from outside, in logs and on terminals: names, topics, reasons, file names, errors of other libraries.

Whoever chooses such a text could end our line and forge the next one, or steer the terminal that shows it. So our
loggers escape what they are given, whichever handlers a program has; the commands' and the daemon's own formatter does
so for other libraries, too; and what commands print of such texts goes through `escaped`.
"""

from __future__ import annotations

import logging
import re
from typing import Any

_FORGING = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that begin a line or change the direction of writing, and halves of a character.

Others that show nothing stay: some scripts join letters with them.
"""


def forges(text: str) -> bool:
    """Return whether a text has characters that could pretend to be something else."""
    return _FORGING.search(text) is not None


def escaped(text: str) -> str:
    r"""Return a text as one line that steers nothing: a line break becomes \n."""
    return _FORGING.sub(lambda found: repr(found[0])[1:-1], text)


def own_logger(name: str) -> logging.Logger:
    """Return the logger of one of our modules; what its lines are made of is escaped."""
    logger = logging.getLogger(name)
    logger.addFilter(_escape)
    return logger


class OneLine(logging.Formatter):
    """Formats each message as one line, whoever it is from; a traceback follows in its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = escaped(record.message)
        return super().formatMessage(record)


def _escape(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(map(_harmless, record.args))
    elif record.args:
        record.args = {key: _harmless(value) for key, value in record.args.items()}
    if not record.args:
        record.msg = _harmless(record.msg)
    return True


def _harmless(value: Any) -> Any:
    """Return a value as it is, so that a handler can still tell what it is, or its text where that forges something."""
    if isinstance(value, int | float):
        return value
    text = str(value)
    return escaped(text) if forges(text) else value
