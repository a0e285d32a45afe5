"""`motionsig teach`: a motion taught from a few performances, live or from logs, with its false alarms stated."""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from motionsig.blocks import SignatureBatch
from motionsig.cli.option import option
from motionsig.cli.sensor_options import add_sensor_options, open_chosen
from motionsig.cli.shown_events import duration
from motionsig.encoders import Encoder, open_encoder
from motionsig.encoders.tflite import printable
from motionsig.errors import HeadError, InputError
from motionsig.events import HEAD_NAME
from motionsig.heads import HeadCard, find_head, heads_folder, owned_heads
from motionsig.heads.teaching import unlike_the_others
from motionsig.lesson import Lesson, Performed
from motionsig.teaching import Refused, teach

REST_S = 2.0
"""So long the sensor has to be still before the first performance: what a rest is, is told from that."""
PATIENCE_S = 60.0
"""Without a performance for so long, a lesson ends with what there is."""


def add_to(commands: Any) -> None:
    about = "a motion taught from a few performances"
    parser = commands.add_parser("teach", help=about, description=__doc__)
    parser.add_argument("name", metavar="NAME", help="what the head is called: A-Z, a-z, 0-9, _ and -")
    add_sensor_options(parser)
    option(parser, "--times N", "performances that a live lesson ends after (3)", type=int, default=3)
    log = "a recorded lesson, or LOG@START-END in seconds; repeatable; without it, a live sensor"
    option(parser, "--from LOG", log, action="append", default=[], dest="examples")
    against = "what it must not be taken for: a log, or LOG@START-END; repeatable"
    option(parser, "--not LOG", against, action="append", default=[], dest="against")
    normal = (
        "normal life: a log, store:PATH or file:PATH; repeatable. With performances it helps to tell the false alarms; "
        "alone it makes a head for what is unlike it"
    )
    option(parser, "--normal LOG", normal, action="append", default=[])
    labels = "labelled logs (--from): the column with what was done, or folder; the head is of the label NAME"
    option(parser, "--labels COLUMN", labels)
    option(parser, "--state STATE", "no performances: a thing that moves, or is still", choices=["moving", "still"])
    option(parser, "--better", "add to the head of that name in place of teaching it anew")
    option(parser, "--most-an-hour R", "false alarms that its level may allow (0.1)", type=float, default=0.1)
    option(parser, "--least-s S", "an event lasts at least so long", type=float)
    option(parser, "--most-s S", "an event lasts at most so long", type=float)
    option(parser, "--hold-s S", "a pause of so long does not end it", type=float)
    option(parser, "--while HEAD", "only while the state of another head holds", dest="while_head")
    option(parser, "--after HEAD:S", "only within S seconds after an event of another head")
    option(parser, "--model NAME", "a shipped model or a model folder")
    option(parser, "--into FOLDER", "where the head's folder is made (where motionsig finds it by name)", type=Path)
    parser.set_defaults(command=_teach)


def _teach(options: argparse.Namespace) -> int:
    name = options.name
    if not HEAD_NAME.fullmatch(name):
        raise InputError(f"NAME: expected 1 to 64 of A-Z, a-z, 0-9, _ and -, got {name!r}")
    if options.times < 1:
        raise InputError(f"--times: expected a number from 1 up, got {options.times}")
    before = _before(options)
    after = _after(options.after)
    with open_encoder(options.model, device="cpu") as encoder:
        examples: list[Any] = list(options.examples)
        is_live = not (examples or options.normal or options.state or (options.better and options.against))
        if is_live:
            examples = _lesson(options, encoder)
        refused: list[Refused] = []
        began_s = time.monotonic()
        head = teach(
            name,
            examples,
            against=options.against,
            normal=options.normal,
            state=options.state,
            better=before,
            most_an_hour=options.most_an_hour,
            least_s=options.least_s,
            most_s=options.most_s,
            hold_s=options.hold_s,
            while_head=options.while_head,
            after=after,
            encoder=encoder,
            refused=refused,
        )
        folder = head.save((options.into or heads_folder()) / name)
        took_s = time.monotonic() - began_s
    for one in refused:
        print(f"not used: {printable(one.where)}: {one.why}")
    for line in expectation(head.card):
        print(line)
    print(f"ready in {took_s:.2f} s: {folder}")
    print(
        f"try it: motionsig watch {options.sensor if is_live else 'auto'} --head {name if not options.into else folder}"
    )
    return 0


def _before(options: argparse.Namespace) -> HeadCard | None:
    """Return the head that is to become better. Raises HeadError for a name that is taken, without --better."""
    known = owned_heads().get(options.name)
    if options.better:
        return find_head(options.name if options.into is None else options.into / options.name)
    if known is not None and options.into is None:
        raise HeadError(
            f"{known}: expected a new name, got that of a head of yours; --better adds to it, and "
            f"`motionsig heads remove {options.name}` forgets it"
        )
    return None


def _after(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    name, _, seconds = text.rpartition(":")
    try:
        return name, float(seconds)
    except ValueError:
        raise InputError(f"--after: expected HEAD:SECONDS, as in knock:10, got {text!r}") from None


def _lesson(options: argparse.Namespace, encoder: Encoder) -> list[SignatureBatch]:
    """Return the signatures of each performance of a live lesson; say what to do and what was found."""
    found: list[SignatureBatch] = []
    with open_chosen(options) as sensor:
        lesson = Lesson(encoder.card, sensor.rate_hz)
        print(f"{sensor.info.name}: hold still for {REST_S:g} s ...", flush=True)
        asked, heard_s = False, time.monotonic()
        # An interrupt ends the lesson with what there is.
        with suppress(KeyboardInterrupt):
            for block in sensor:
                for one in lesson.push(block):
                    heard_s = time.monotonic()
                    print(_heard(one, found, encoder, options.times), flush=True)
                if len(found) == options.times:
                    break
                if not asked and lesson.seconds >= REST_S:
                    asked, heard_s = True, time.monotonic()
                    times = "once" if options.times == 1 else f"{options.times} times"
                    print(f"now perform {options.name!r} {times}, with a rest of a second after each", flush=True)
                if time.monotonic() - heard_s > PATIENCE_S:
                    print(f"nothing for {PATIENCE_S:g} s; is there a rest before and after each?", flush=True)
                    break
    return found


def _heard(one: Performed, found: list[SignatureBatch], encoder: Encoder, times: int) -> str:
    """Take a performance into those found, or not; return what to say of it."""
    lasted = f"{one.end_s - one.begin_s:.1f} s"
    if one.windows is None:
        return f"not used ({lasted}): {one.why}"
    made = encoder.encode(one.windows)
    for odd in unlike_the_others([*(batch.codes for batch in found), made.codes]):
        if odd.number == len(found):
            return f"not used ({lasted}): it is unlike the others: {odd.likeness:.2f}, where {odd.usual:.2f} is usual"
    found.append(made)
    return f"{len(found)} of {times} ({lasted})"


def expectation(card: HeadCard) -> list[str]:
    """Return in words what a head found of what it was given, and what to expect of it."""
    measured = card.measured
    lines = []
    if measured.get("given"):
        found = measured.get("found")
        asked = (
            "one performance: nothing to compare it with" if found is None else f"found {found} of {measured['given']}"
        )
        lines.append(f"{card.name}: {asked}")
    if rate := measured.get("false_alarms_an_hour"):
        # With less than one in all of that life, more than the upper end would be a guess.
        few = rate[0] * measured["hours"] < 1
        expected = f"less than {rate[2]:g}" if few else f"{rate[0]:g}"
        interval = "" if few else f" ({rate[1]:g} to {rate[2]:g})"
        lines.append(f"expect {expected} false alarms an hour{interval}, with 95 % certainty, from {measured['from']}")
    if fires := measured.get("would_fire_at"):
        lines.append(f"it would fire at: {', '.join(map(printable, fires))}")
    if not lines:
        lines.append(f"{card.name}: a {card.kind}, of which nothing has to be learned")
    if card.is_state:
        least, hold = duration(card.timing.least_s), duration(card.timing.hold_s)
        lines.append(f"it is told to have begun after {least} of it, and to have ended after {hold} without")
    return lines
