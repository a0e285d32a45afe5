"""`motionsig inspect`: what a log holds, how that is known, and the one command that reads it.

Reads the log through, unless a question has to be answered first, and says what it found on the way. Of more than
four logs each has one line.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from motionsig.cli.complaining import complain
from motionsig.cli.option import option
from motionsig.cli.progress import bytes_read
from motionsig.cli.reader_options import reader_options
from motionsig.cli.replay.logs import Found, find_logs
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, RecordingError
from motionsig.escaping import escaped
from motionsig.facts import Fact, Question
from motionsig.recordings import inspect_recording, open_recording
from motionsig.recordings.understanding import Stream, Understanding, option_words
from motionsig.recordings.writing import gaps_in

_WHOLE = 4  # logs of which all is said; of more, one line each
_NAMES = 8  # streams that are named
_WIDEST = 28  # of a title
_HOW = {"told": "as told", "written": "the log says so", "shown": "its numbers show it", "assumed": "ASSUMED"}

Line = tuple[str, str]
"""A title, which may be empty, and what stands beside it."""


class Pass(NamedTuple):
    """One stream, read through; or why it could not be. rate_hz: true, over its whole length."""

    samples: int
    gaps: int
    start_ns: int
    seconds: float
    rate_hz: float
    facts: tuple[Fact, ...]
    error: str = ""


class Looked(NamedTuple):
    """One log: what was understood, and by the name of a stream what reading it through has shown."""

    understood: Understanding
    passes: Mapping[str, Pass]


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
    found = find_logs(options.logs, {}, given, each_stream=False)
    paths = [log.path for log in found.logs]
    if not paths and not found.closed:
        raise _none_found(options.logs, found, given)
    for closed in found.closed:
        complain(closed)
    failed, looked = len(found.closed), list[Looked]()
    for path in paths:
        try:
            it = _look(path, given, quick=options.quick)
        except RecordingError as error:
            if len(paths) == 1 and not options.json:
                raise
            failed += 1
            if options.json:
                print(json.dumps({"log": str(path), "error": str(error)}))
            complain(error)
            continue
        failed += bool(_open_questions(it.understood)) or any(done.error for done in it.passes.values())
        looked.append(it)
        if options.json:
            print(json.dumps(_as_dict(it, given)))
        elif len(paths) <= _WHOLE:
            print("\n" * (len(looked) > 1) + "\n".join(map(escaped, [*_lines(it), *_ending([it], given, ())])))
        else:
            print("\n".join(map(escaped, _brief(it))))
    if looked and len(paths) > _WHOLE and not options.json:
        print("\n".join(map(escaped, _ending(looked, given, options.logs))))
    if found.others:
        count = len(found.others)
        are = "file is no recording" if count == 1 else "files are no recordings"
        complain(f"{count} {are}, such as {found.others[0]}")
    return 1 if failed else 0


def _none_found(given: Sequence[str], found: Found, options: Mapping[str, str]) -> InputError | RecordingError:
    """Return why there is nothing to look at: where all files are few, what is wrong with the first of them."""
    for other in found.others[:_NAMES]:
        try:
            inspect_recording(other, **options)
        except RecordingError as error:
            return error
    what = f"got {len(found.others)} files of which none is one" if found.others else "got an empty folder"
    return InputError(f"{', '.join(given)}: expected a recording, {what}")


def _look(path: Path, given: Mapping[str, str], *, quick: bool) -> Looked:
    understood = inspect_recording(path, **given)
    if quick or _open_questions(understood):
        return Looked(understood, {})
    several = len(understood.streams) > 1
    streams = understood.streams
    return Looked(
        understood, {it.name: _pass(path, {**given, "stream": it.name} if several else given) for it in streams}
    )


def _open_questions(understood: Understanding) -> tuple[Question, ...]:
    """Return what must be answered; which of several streams is no question here, as each is looked at."""
    asked = (question for stream in understood.streams for question in stream.questions)
    return tuple(dict.fromkeys(asked))


def _pass(log: Path, options: Mapping[str, str]) -> Pass:
    samples = gaps = first_ns = steps = steps_ns = 0
    last_ns: int | None = None
    facts: tuple[Fact, ...] = ()
    error = ""
    try:
        with open_recording(log, **options) as source, bytes_read(source, log) as update:
            facts = source.info.facts
            for block in source:
                if len(block):
                    lost = gaps_in(block, last_ns, source.rate_hz)
                    times = block.time_ns if last_ns is None else np.concatenate([[last_ns], block.time_ns])
                    between = np.diff(times)[~lost[len(lost) + 1 - len(times) :]]
                    first_ns = int(block.time_ns[0]) if last_ns is None else first_ns
                    gaps, samples, last_ns = gaps + int(lost.sum()), samples + len(block), int(block.time_ns[-1])
                    steps, steps_ns = steps + len(between), steps_ns + int(between.sum())
                update(block)
            facts += tuple(getattr(source, "findings", ()))
    except RecordingError as broken:
        error = str(broken)
    rate_hz = steps * NS_PER_S / steps_ns if steps_ns > 0 else 0.0
    return Pass(samples, gaps, first_ns, steps_ns / NS_PER_S, rate_hz, facts, error)


def _lines(looked: Looked) -> list[str]:
    """Return all that is known of a log: what its streams share, what each has of its own, what is open."""
    understood, passes = looked
    streams = understood.streams
    shared = [fact for fact in streams[0].facts if all(fact in it.facts for it in streams)]
    rows = _facts([*understood.facts, *shared])
    known = {*understood.facts, *shared}
    for names, stream in _alike(streams, known):
        if len(streams) > 1:
            rows.append((f"stream{'s' * (len(names) > 1)}", _named(names)))
        rows += _facts(fact for fact in stream.facts if fact not in known)
        for name in names:
            if name in passes:
                rows += _found(passes[name], f"{name}: " if len(names) > 1 else "", {*known, *stream.facts})
    for question in _open_questions(understood):
        whose = [it.name for it in streams if question in it.questions]
        of = f" (streams {_named(whose)})" if len(whose) not in (1, len(streams)) else ""
        rows.append(("question", question.words + of))
    width = min(_WIDEST, max((len(title) for title, _ in rows), default=0))
    count = "one stream" if len(streams) == 1 else f"{len(streams)} streams"
    return [f"{understood.where}: {understood.format}, {count}", *(f"{title:{width}}  {text}" for title, text in rows)]


def _brief(looked: Looked) -> list[str]:
    """Return a line for each stream of a log."""
    understood, passes = looked
    lines = []
    for stream in understood.streams:
        name = f"{understood.where}{f' {stream.name!r}' if stream.name else ''}"
        if stream.questions:
            said = f"leaves open {', '.join(question.option for question in stream.questions)}"
        elif stream.name in passes:
            said = f"{_counts(passes[stream.name])}{'; ' * bool(passes[stream.name].error)}{passes[stream.name].error}"
        else:
            said = f"{stream.rate_hz:.6g} Hz" if stream.rate_hz else _refused(stream)
        lines.append(f"{name}: {said}")
    return lines


def _refused(stream: Stream) -> str:
    return next((fact.value for fact in stream.facts if fact.what == "refused"), "can be opened")


def _named(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_NAMES])) + (f", ... ({len(names)} of them)" if len(names) > _NAMES else "")


def _facts(facts: Iterable[Fact]) -> list[Line]:
    return [(fact.what, f"{fact.value} ({_HOW[fact.how]})") for fact in dict.fromkeys(facts)]


def _alike(streams: Sequence[Stream], known: set[Fact]) -> Iterable[tuple[list[str], Stream]]:
    """Yield the streams of which the same is known, together."""
    groups: dict[tuple[Any, ...], list[Stream]] = {}
    for stream in streams:
        own = tuple(fact for fact in stream.facts if fact not in known)
        groups.setdefault((own, stream.questions), []).append(stream)
    for group in groups.values():
        yield [stream.name for stream in group], group[0]


def _counts(done: Pass) -> str:
    gaps = f"{done.gaps:,} gap{'s' * (done.gaps != 1)}"
    return f"{done.samples:,} samples in {done.seconds:,.1f} s, {done.rate_hz:.6g} Hz, {gaps}"


def _found(done: Pass, name: str, known: set[Fact]) -> list[Line]:
    rows = [("read through", f"{name}{_counts(done)}"), *_facts(fact for fact in done.facts if fact not in known)]
    return [*rows, ("broken off", done.error)] if done.error else rows


def _ending(looked: Sequence[Looked], given: Mapping[str, str], logs: Sequence[str]) -> list[str]:
    """Return the commands that make signatures of logs, one where the same answers do; logs: as they were given."""
    commands = _commands(looked, given, logs)
    if any(_open_questions(it.understood) for it in looked):
        these = "these" if len(commands) > 1 else "this"
        return [f"Correct the answers if they are wrong, and paste {these}:", *(f"  {it}" for it in commands)]
    if all(done.error or not done.samples for it in looked for done in it.passes.values()) and looked[0].passes:
        return []
    return ["To make signatures of it:" if len(looked) == 1 else "To make signatures of them:", f"  {commands[0]}"]


def _commands(looked: Sequence[Looked], given: Mapping[str, str], logs: Sequence[str] = ()) -> list[str]:
    wanted: dict[str, list[str]] = {}
    for understood, _ in looked:
        for answers in _answers(understood):
            wanted.setdefault(option_words({**given, **answers}), []).append(understood.word)
    if len(wanted) == 1 and logs:
        wanted = {words: list(logs) for words in wanted}
    names = ((" ".join(map(shlex.quote, dict.fromkeys(logs))), words) for words, logs in wanted.items())
    return [" ".join(filter(None, ("motionsig replay", logs, words, "--to store:mine.db"))) for logs, words in names]


def _answers(understood: Understanding) -> list[dict[str, str]]:
    """Return the options that answer all that is open; one for each stream where they answer differently."""
    streams = understood.streams
    each = [{question.option: question.guess for question in it.questions} for it in streams]
    together = {option: guess for answers in each for option, guess in answers.items()}
    if all(together[option] == guess for answers in each for option, guess in answers.items()):
        return [together]
    return [answers | {"stream": it.name} for it, answers in zip(streams, each, strict=True)]


def _as_dict(looked: Looked, given: Mapping[str, str]) -> Mapping[str, Any]:
    understood, passes = looked
    read = {name: {**done._asdict(), "facts": [fact._asdict() for fact in done.facts]} for name, done in passes.items()}
    return {
        **understood.as_dict(),
        "options": dict(given),
        "read": read,
        "commands": _commands([looked], given),
    }
