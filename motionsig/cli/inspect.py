"""`motionsig inspect`: what a log holds, how that is known, and the one command that reads it.

Reads the log through, unless a question has to be answered first, and says what it found on the way.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from motionsig.cli.option import option
from motionsig.cli.progress import bytes_read
from motionsig.cli.reader_options import as_words, reader_options
from motionsig.cli.replay.logs import find_logs
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, RecordingError
from motionsig.escaping import escaped
from motionsig.facts import Fact, Question
from motionsig.recordings import inspect_recording, open_recording
from motionsig.recordings.understanding import Stream, Understanding

_TITLE = 14
_HOW = {"told": "as told", "written": "written in it", "shown": "by its numbers", "assumed": "ASSUMED"}


class Pass(NamedTuple):
    """One stream, read through; or why it could not be. rate_hz: true, over its whole length."""

    samples: int
    gaps: int
    start_ns: int
    seconds: float
    rate_hz: float
    facts: tuple[Fact, ...]
    error: str = ""


def add_to(commands: Any) -> None:
    text = "what a log holds, and the command that reads it"
    parser = commands.add_parser("inspect", help=text, description=__doc__)
    parser.add_argument(
        "logs", nargs="+", metavar="LOG", help="a recording, or a folder with recordings; - is standard input"
    )
    option(parser, "--option KEY=VALUE", "an option of the reader, such as acc_unit=g", action="append", default=[])
    option(parser, "--quick", "only look at the beginning")
    option(parser, "--json", "everything that was decided, as one JSON object for each log and line")
    parser.set_defaults(command=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    given = reader_options(options.option)
    found = find_logs(options.logs, {}, given)
    failed = len(found.closed)
    for closed in found.closed:
        print(f"motionsig: {escaped(str(closed))}", file=sys.stderr)
    if not found.logs and not failed:
        raise InputError(
            f"{', '.join(options.logs)}: expected a recording, got {len(found.others)} files of which none is one"
        )
    for number, log in enumerate(found.logs):
        try:
            understood = inspect_recording(log.path, **given)
        except RecordingError as error:
            if len(found.logs) == 1:
                raise
            failed += 1
            print(f"motionsig: {escaped(str(error))}", file=sys.stderr)
            continue
        open_questions = _open_questions(understood)
        passes = {} if options.quick or open_questions else _read_through(understood, str(log.path), given)
        failed += bool(open_questions) or any(it.error for it in passes.values())
        if options.json:
            print(json.dumps(_as_dict(understood, passes, given)))
        else:
            print("\n" * bool(number) + "\n".join(map(escaped, _lines(understood, passes, given))))
    return 1 if failed else 0


def _open_questions(understood: Understanding) -> tuple[Question, ...]:
    """Return what must be answered; which of several streams is no question here, as each is looked at."""
    return tuple(question for question in understood.questions if question.option != "stream")


def _read_through(understood: Understanding, log: str, given: Mapping[str, str]) -> Mapping[str, Pass]:
    several = len(understood.streams) > 1
    return {it.name: _pass(log, {**given, "stream": it.name} if several else given) for it in understood.streams}


def _pass(log: str, options: Mapping[str, str]) -> Pass:
    samples = gaps = first_ns = last_ns = steps = steps_ns = 0
    facts: tuple[Fact, ...] = ()
    error = ""
    try:
        with open_recording(log, **options) as source, bytes_read(source, log) as update:
            facts = source.info.facts
            for block in source:
                if len(block):
                    at_ns, end_ns = int(block.time_ns[0]), int(block.time_ns[-1])
                    first_ns = first_ns if samples else at_ns
                    gaps += block.gap
                    if samples and not block.gap:
                        steps, steps_ns = steps + 1, steps_ns + at_ns - last_ns
                    steps, steps_ns = steps + len(block) - 1, steps_ns + end_ns - at_ns
                    samples, last_ns = samples + len(block), end_ns
                update(block)
            facts += tuple(getattr(source, "findings", ()))
    except RecordingError as broken:
        error = str(broken)
    rate_hz = steps * NS_PER_S / steps_ns if steps_ns > 0 else 0.0
    return Pass(samples, gaps, first_ns, steps_ns / NS_PER_S, rate_hz, facts, error)


def _lines(understood: Understanding, passes: Mapping[str, Pass], given: Mapping[str, str]) -> Sequence[str]:
    count = len(understood.streams)
    lines = [f"{understood.where}: {understood.format}, {'one stream' if count == 1 else f'{count} streams'}"]
    lines += _facts(understood.facts)
    for names, stream in _alike(understood.streams):
        if count > 1:
            lines.append(f"stream{'s' * (len(names) > 1)} {', '.join(map(repr, names))}")
        lines += _facts(stream.facts)
        for name in names:
            if name in passes:
                lines += _found(passes[name], f"{name}: " if len(names) > 1 else "", stream)
    if asked := _open_questions(understood):
        lines += [f"{'question':{_TITLE}} {question.words}" for question in asked]
        lines.append("Correct the answers if they are wrong, and paste:")
    else:
        lines.append("To make signatures of it:")
    lines.append("  " + _command(understood, given))
    return lines


def _facts(facts: Iterable[Fact]) -> list[str]:
    return [f"{fact.what:{_TITLE}} {fact.value} ({_HOW[fact.how]})" for fact in facts]


def _alike(streams: Sequence[Stream]) -> Iterable[tuple[list[str], Stream]]:
    """Yield the streams of which the same is known, together."""
    groups: dict[tuple[Any, ...], list[Stream]] = {}
    for stream in streams:
        groups.setdefault((stream.facts, stream.questions), []).append(stream)
    for group in groups.values():
        yield [stream.name for stream in group], group[0]


def _found(done: Pass, name: str, stream: Stream) -> list[str]:
    text = f"{name}{done.samples:,} in {done.seconds:,.1f} s, {done.rate_hz:.6g} Hz, {done.gaps:,} gaps"
    known = set(stream.facts)
    lines = [f"{'samples':{_TITLE}} {text}", *_facts(fact for fact in done.facts if fact not in known)]
    return [*lines, f"{'broken off':{_TITLE}} {done.error}"] if done.error else lines


def _command(understood: Understanding, given: Mapping[str, str]) -> str:
    answers = {question.option: question.guess for question in _open_questions(understood)}
    words = ["motionsig", "replay", shlex.quote(understood.where), as_words({**given, **answers}), "--to store:mine.db"]
    return " ".join(word for word in words if word)


def _as_dict(understood: Understanding, passes: Mapping[str, Pass], given: Mapping[str, str]) -> Mapping[str, Any]:
    read = {name: {**done._asdict(), "facts": [fact._asdict() for fact in done.facts]} for name, done in passes.items()}
    return {**understood.as_dict(), "options": dict(given), "read": read, "command": _command(understood, given)}
