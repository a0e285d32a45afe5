"""Warnings of what anybody may cause as often as he likes: one line of a kind a minute, so that the journal lasts."""

from __future__ import annotations

import logging
import time

EVERY_S = 60.0


class Sparing:
    """Logs a warning of each kind at once, and counts those that follow within a minute."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: dict[str, tuple[float, int]] = {}  # when, and how many were left out since

    def warn(self, text: str, *values: object) -> None:
        """Log a warning, whose kind is `text`, or leave it out; the next line of its kind says how many were."""
        said_s, left_out = self._said.get(text, (float("-inf"), 0))
        if time.monotonic() - said_s < EVERY_S:
            self._said[text] = said_s, left_out + 1
            return
        self._said[text] = time.monotonic(), 0
        if left_out:
            self._logger.warning(f"{text}; %d more such lines were left out", *values, left_out)
        else:
            self._logger.warning(text, *values)
