"""What a log holds: its streams, what is known of each and how, and the questions that are left to its owner."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from motionsig.errors import RecordingError
from motionsig.facts import Fact, Question
from motionsig.recordings.members import STANDARD_INPUT


class UndecidedError(RecordingError):
    """A recording that leaves open what only its owner knows: a unit, which of its streams; also a ValueError.

    `understanding` has what was understood and the questions; the text has the options to give.
    """

    def __init__(self, message: str, understanding: Understanding) -> None:
        super().__init__(message)
        self.understanding = understanding


@dataclass(frozen=True)
class Stream:
    """One sensor in one log.

    * `name`: what the option `stream` takes to choose it; "" where the log has no other.
    * `facts`, `questions`: of this stream; without questions it can be opened.
    * `rate_hz`: None where a question must be answered first.
    """

    name: str
    facts: tuple[Fact, ...]
    questions: tuple[Question, ...] = ()
    rate_hz: float | None = None


@dataclass(frozen=True)
class Understanding:
    """A whole log, as a reader understands it before it reads it through.

    * `where`: the log. `format`: the name of the reader.
    * `streams`: in the log's order, at least one. `facts`: of the log's layout, common to all streams.
    """

    where: str
    format: str
    streams: tuple[Stream, ...]
    facts: tuple[Fact, ...] = ()

    @property
    def word(self) -> str:
        """The log as it stands on a command line, before quoting."""
        return "-" if self.where == STANDARD_INPUT else self.where

    @property
    def questions(self) -> tuple[Question, ...]:
        """All that must be answered before a stream of it can be opened, one for each option."""
        asked: dict[str, Question] = {}
        for question in (it for stream in self.streams for it in stream.questions):
            asked.setdefault(question.option, question)
        if len(self.streams) > 1:
            names = [stream.name for stream in self.streams]
            listed = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
            choice = Question("stream", names[0], f"Which of the {len(names)} streams, {listed}? Each is a recording.")
            return (choice, *asked.values())
        return tuple(asked.values())

    @property
    def answers(self) -> dict[str, str]:
        """The options that answer all questions as well as can be guessed."""
        return {question.option: question.guess for question in self.questions}

    def as_dict(self) -> Mapping[str, Any]:
        """Return everything that was decided as what JSON can hold."""
        return {
            "log": self.where,
            "format": self.format,
            "facts": [fact._asdict() for fact in self.facts],
            "streams": [
                {
                    "name": stream.name,
                    "rate_hz": stream.rate_hz,
                    "facts": [fact._asdict() for fact in stream.facts],
                    "questions": [question._asdict() for question in stream.questions],
                }
                for stream in self.streams
            ],
            "questions": [question._asdict() for question in self.questions],
        }


def undecided(understanding: Understanding, told: Mapping[str, object]) -> UndecidedError:
    """Return the error that asks all questions at once and ends with what to paste. told: the options given already."""
    questions = understanding.questions
    asked = "".join(f"\n  {question.option}: {question.words}" for question in questions)
    answers = {**{name: value for name, value in told.items() if value is not None}, **understanding.answers}
    call = ", ".join(f"{name}={value!r}" for name, value in answers.items())
    where = understanding.where
    command = f"motionsig replay {shlex.quote(understanding.word)} {option_words(answers)} --to store:mine.db"
    return UndecidedError(
        f"{where}: expected a log that says all that is needed, got one that leaves open "
        f"{', '.join(question.option for question in questions)}:{asked}\n"
        f"If the guesses are right, paste: {command}\n"
        f"or, in Python: open_recording({where!r}, {call})",
        understanding,
    )


def option_words(options: Mapping[str, object]) -> str:
    """Return options of a reader as they are written on a command line."""

    def text(value: object) -> str:
        return json.dumps(value) if isinstance(value, Mapping) else str(value)

    return " ".join(f"--option {shlex.quote(f'{name}={text(value)}')}" for name, value in options.items())
