"""`motionsig teach`: a motion taught from a few performances, live or from logs, with its false alarms stated."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import time
from pathlib import Path
from typing import Any

from motionsig.blocks import SignatureBatch
from motionsig.cli.option import option
from motionsig.cli.progress import printers
from motionsig.cli.replay.making import open_quietly
from motionsig.cli.sensor_options import add_sensor_options, open_chosen
from motionsig.encoders import Encoder
from motionsig.encoders.tflite import printable
from motionsig.errors import HeadError, InputError
from motionsig.events import HEAD_NAME
from motionsig.heads import HeadCard, find_head, heads_folder
from motionsig.heads.card import CARD_NAME
from motionsig.heads.expectation import expectation
from motionsig.heads.teaching import unlike_the_others
from motionsig.lesson import Lesson, Performed
from motionsig.teaching import Refused, teach, wish_of

TIMES = 3
"""Performances of a live lesson, unless somebody says otherwise."""
REST_S = 2.0
"""So long the sensor has to be still before the first performance: what a rest is, is told from that."""
PATIENCE_S = 60.0
"""Without a performance for so long, a lesson ends with what there is."""
_SILENT_BLOCKS = 5  # an empty block comes once a second while a sensor gives nothing


def add_to(commands: Any) -> None:
    about = "a motion taught from a few performances"
    parser = commands.add_parser("teach", help=about, description=__doc__)
    parser.add_argument("name", metavar="NAME", help="what the head is called: A-Z, a-z, 0-9, _ and -")
    add_sensor_options(parser)
    option(parser, "--times N", "performances that a live lesson ends after (3)", type=int)
    many: dict[str, Any] = {"action": "extend", "nargs": "+", "default": []}
    log = "recorded lessons, or parts as LOG@START-END in seconds; without it, a live sensor"
    option(parser, "--from LOG", log, dest="examples", **many)
    option(parser, "--not LOG", "what it must not be taken for: logs, or LOG@START-END", dest="against", **many)
    normal = (
        "normal life: logs, store:PATH or file:PATH. With --from or --times it helps to tell the false alarms; alone "
        "it makes a head for what is unlike it"
    )
    option(parser, "--normal LOG", normal, **many)
    labels = "the column of the logs (--from) with what was done, or folder; the head is of the label NAME"
    option(parser, "--labels COLUMN", labels)
    option(parser, "--label TEXT", "with --labels: another label than NAME; repeatable", action="append")
    option(parser, "--state STATE", "no performances: a thing that moves, or is still", choices=["moving", "still"])
    option(parser, "--better", "add to the head of that name in place of teaching it anew")
    option(parser, "--most-an-hour R", "false alarms that its level may allow (.1; with --labels 1)", type=float)
    option(parser, "--least-s S", "an event lasts at least so long", type=float)
    option(parser, "--most-s S", "an event lasts at most so long", type=float)
    option(parser, "--hold-s S", "a pause of so long does not end it", type=float)
    option(parser, "--while HEAD", "only while the state of another head holds", dest="while_head")
    option(parser, "--after HEAD:S", "only within S seconds after an event of another head")
    option(parser, "--model NAME", "a shipped model or a model folder")
    option(
        parser, "--option KEY=VALUE", "an option of the logs' reader, such as acc_unit=g", action="append", default=[]
    )
    option(parser, "--into FOLDER", "where the head's folder is made (where motionsig finds it by name)", type=Path)
    parser.set_defaults(command=_teach)


def _teach(options: argparse.Namespace) -> int:
    name = options.name
    if not HEAD_NAME.fullmatch(name):
        raise InputError(f"NAME: expected 1 to 64 of A-Z, a-z, 0-9, _ and -, the first no _ or -, got {name!r:.200}")
    folder = (options.into or heads_folder()) / name
    is_live = _is_live(options)
    # All that can be refused is refused before somebody performs anything.
    before = _before(options, folder)
    how = {
        "least_s": options.least_s,
        "most_s": options.most_s,
        "hold_s": options.hold_s,
        "while_head": options.while_head,
        "after": _after(options.after),
        **({} if options.most_an_hour is None else {"most_an_hour": options.most_an_hour}),
    }
    wish_of(name, before, is_state=bool(options.labels or not (is_live or options.examples or before)), **how)
    _require_writable(folder)
    # A service manager sends SIGTERM and a lost ssh connection SIGHUP: both end a lesson as an interrupt does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with open_quietly(options.model, "cpu") as encoder:
        examples: list[Any] = _lesson(options, encoder) if is_live else list(options.examples)
        refused: list[Refused] = []
        began_s = time.monotonic()
        head = teach(
            name,
            examples,
            against=options.against,
            normal=options.normal,
            state=options.state,
            labels=options.labels,
            label=options.label,
            better=before,
            encoder=encoder,
            options=dict(text.split("=", 1) for text in options.option),
            refused=refused,
            **how,
        )
        # Somebody else may have taught one of that name meanwhile.
        _require_free(options, folder)
        head.save(folder)
        took_s = time.monotonic() - began_s
    for one in refused:
        print(f"not used: {printable(one.where)}: {one.why}")
    for line in expectation(head.card):
        print(line)
    print(f"ready in {took_s:.2f} s: {folder}")
    sensor = options.sensor if is_live else "auto"
    print(f"try it: motionsig watch {sensor} --head {shlex.quote(str(folder)) if options.into else name}")
    return 0


def _is_live(options: argparse.Namespace) -> bool:
    """Tell whether somebody performs what is taught. Raises InputError for options that do not go together."""
    if options.times is not None and options.times < 1:
        raise InputError(f"--times: expected a number from 1 up, got {options.times}")
    if options.times is not None and (options.examples or options.state or options.labels):
        raise InputError("--times: expected it for a live lesson, got one with --from, --state or --labels, too")
    if options.labels and not options.examples:
        raise InputError("--labels: expected logs with labels, as in --from LOG, got none")
    if options.label and not options.labels:
        raise InputError("--label: expected it with --labels, got it alone")
    for text in options.option:
        if "=" not in text:
            raise InputError(f"--option: expected KEY=VALUE, got {text!r}")
    if options.times is not None:
        return True
    return not (options.examples or options.normal or options.state or (options.better and options.against))


def _before(options: argparse.Namespace, folder: Path) -> HeadCard | None:
    """Return the head that is to become better. Raises HeadError for a name that is taken, without --better."""
    if options.better:
        return find_head(options.name if options.into is None else folder)
    _require_free(options, folder)
    return None


def _require_free(options: argparse.Namespace, folder: Path) -> None:
    if not options.better and (folder / CARD_NAME).exists():
        forget = f"`motionsig heads remove {options.name}` forgets it" if options.into is None else "or delete it"
        raise HeadError(
            f"{folder}: expected a new name, got that of a head that is there; --better adds to it, {forget}"
        )


def _require_writable(folder: Path) -> None:
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise HeadError(
            f"{there}: expected a folder that heads can be written to, got one that is read-only: try --into"
        )


def _after(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    name, _, seconds = text.rpartition(":")
    try:
        return name, float(seconds)
    except ValueError:
        raise InputError(f"--after: expected HEAD:SECONDS, as in knock:10, got {text!r}") from None


def _lesson(options: argparse.Namespace, encoder: Encoder) -> list[SignatureBatch]:
    """Return the signatures of each performance of a live lesson; say what to do and what was found.

    Raises HeadError where there is none.
    """
    found: list[SignatureBatch] = []
    wanted = options.times or TIMES
    with open_chosen(options) as sensor:
        lesson = Lesson(encoder.card, sensor.rate_hz)
        _, show = printers()

        def tell(text: str) -> None:
            show("")
            print(text, flush=True)

        tell(f"{sensor.info.name}: hold still for {REST_S:g} s ... ({PATIENCE_S:g} s without a motion end the lesson)")
        asked, heard_s, silent = False, 0.0, 0
        try:
            for block in sensor:
                silent = 0 if len(block) else silent + 1
                told = lesson.push(block)
                waits = f"waiting for a motion between two rests, {lesson.seconds - heard_s:.0f} of {PATIENCE_S:g} s"
                show(waits if len(block) else f"no samples: {sensor.trouble or 'the sensor does not answer'}")
                is_over = silent == _SILENT_BLOCKS or lesson.seconds - heard_s > PATIENCE_S
                for one in told + (lesson.flush() if is_over else []):
                    heard_s = heard_s if is_over else lesson.seconds
                    if len(found) < wanted:
                        tell(_heard(one, found, encoder, wanted))
                if len(found) == wanted or is_over:
                    break
                if not asked and lesson.seconds >= REST_S:
                    asked, heard_s = True, lesson.seconds
                    times = "once" if wanted == 1 else f"{wanted} times"
                    tell(f"now perform {options.name!r} {times}, with a rest of a second after each")
        except KeyboardInterrupt:
            # An interrupt ends the lesson with what there is.
            if not found:
                raise
        show("")
    if len(found) < wanted and silent == _SILENT_BLOCKS:
        print(f"{sensor.info.name} does not answer any more; see `motionsig doctor`", flush=True)
    if not found:
        raise HeadError(
            f"head {options.name}: expected a motion between two rests, got none in {lesson.seconds:.0f} s: hold still "
            "for a second before and after each, and try again"
        )
    return found


def _heard(one: Performed, found: list[SignatureBatch], encoder: Encoder, times: int) -> str:
    """Take a performance into those found, or not; return what to say of it."""
    lasted = f"{one.end_s - one.begin_s:.1f} s"
    if one.windows is None:
        return f"not used ({lasted}): {one.why}"
    made = encoder.encode(one.windows)
    for odd in unlike_the_others([*(batch.codes for batch in found), made.codes]):
        if odd.number == len(found):
            return f"not used ({lasted}): {odd.why}"
    found.append(made)
    return f"{len(found)} of {times} ({lasted})"
