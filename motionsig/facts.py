"""What a log's reader understood, how it knows it, and what only the log's owner can answer."""

from __future__ import annotations

from typing import Literal, NamedTuple

How = Literal["told", "written", "shown", "assumed"]
"""By an option; by the log's own words; by its numbers; by nothing but custom, so that it may be wrong."""


class Fact(NamedTuple):
    """One thing understood: what it is about ("angular rate", "gravity"), its value in words, how it is known."""

    what: str
    value: str
    how: How


class Question(NamedTuple):
    """One thing that a log leaves open: the option that answers it, the likeliest answer, the question in words."""

    option: str
    guess: str
    words: str
