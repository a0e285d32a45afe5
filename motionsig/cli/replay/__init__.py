"""`motionsig replay`: recorded logs through the path of a live sensor, into any sink.

A folder stands for the recordings in it. What a store has already is not made again, unless the log, the model or an
option changed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from motionsig.blocks import SignatureBatch
from motionsig.cli.alike import Kept
from motionsig.cli.complaining import complain
from motionsig.cli.option import option
from motionsig.cli.picture import Picture, empty_figure
from motionsig.cli.progress import progress
from motionsig.cli.reader_options import reader_options
from motionsig.cli.replay.logs import Log, find_logs
from motionsig.cli.replay.making import Made, Origin, Outcome, Plan, Take, make, make_all, open_quietly
from motionsig.cli.replay.outlet import Outlet, stored_before
from motionsig.cli.replay.summary import Totals, table
from motionsig.encoders import DEVICES
from motionsig.encoders.models import find_model
from motionsig.errors import InputError
from motionsig.model_card import ModelCard
from motionsig.publishers import without_login
from motionsig.recordings import reader_versions
from motionsig.windowing import Windower

MESSAGE_SIGNATURES = 60  # per message of a replay at full speed: as many as fit into 4,000 bytes
DELAY_S = 6.0  # how long a live sensor's signatures wait by default, to be sent together


def add_to(commands: Any) -> None:
    parser = commands.add_parser("replay", help="recorded logs to signatures", description=__doc__)
    logs = "a recording (motionsig's own, CSV, a phone app's, npz, Parquet), or a folder with recordings"
    parser.add_argument("logs", nargs="+", metavar="LOG", help=logs)
    to = "mqtt://HOST, mqtts://HOST, store:PATH, file:PATH, parquet:DIR or postgresql://HOST/DB, with ?option=value"
    option(parser, "--to URL", to, required=True)
    option(parser, "--model NAME", "a shipped model or a model folder")
    option(parser, "--device DEVICE", f"what runs the network: {DEVICES}; auto by default", default="auto")
    option(parser, "--hop N", "grid samples between windows; the model's own by default", type=int)
    option(parser, "--speed SPEED", "max, or 1 for real time (2 for twice that, ...)", default="max")
    option(parser, "--jobs N", "processes that make signatures at the same time; 1 by default", type=int, default=1)
    option(parser, "--name DEVICE", "device they are published as; by default who recorded the log, else this host")
    labels = "what was done: folder for the name of each log's folder, or the name of a column, or none"
    option(parser, "--labels WHERE", labels)
    option(parser, "--option KEY=VALUE", "an option of the reader, such as rate_hz=100", action="append", default=[])
    option(parser, "--again", "replay what the store has already, too")
    option(parser, "--plot PNG", "draw samples and signatures of one log", type=Path)
    option(parser, "--json", "the summary as one JSON object on the last line")
    parser.set_defaults(command=_replay)


def _replay(options: argparse.Namespace) -> int:
    card = find_model(options.model)
    plan = _plan(options, card)
    how = _how(plan, card, options.name)
    picture = Picture(empty_figure(options.plot), card) if options.plot else None
    # A picture needs the samples, and who asks for a pace wants to see it.
    anew = options.again or picture or plan.speed != math.inf
    found = find_logs(options.logs, {} if anew else stored_before(options.to, how), plan.options)
    if picture and len(found.logs) != 1:
        raise InputError(f"--plot: expected one log for one picture, got {len(found.logs)}")
    totals, failed = Totals(found, batch_s=plan.batch_s), len(found.closed)
    for error in found.closed:
        _complain(error)
    kept = Kept() if len(found.logs) == 1 else None
    outlet = Outlet(options.to, options.name)

    def take(origin: Origin, signatures: SignatureBatch) -> None:
        outlet.take(origin, signatures)
        if kept:
            kept.add(signatures)

    # Closed, however the loop ends: its processes end with it.
    with outlet, closing(_made(found.logs, plan, options.jobs, take, picture)) as outcomes:
        for made, signatures in outcomes:
            for origin, batch in signatures:
                take(origin, batch)
            if isinstance(made, Made):
                outlet.note(made, how)
                totals.add(made)
            elif isinstance(made, InputError) and len(found.logs) == 1:
                raise made
            else:
                # One bad log must not keep the others from being replayed.
                failed += 1
                _complain(made)
    if picture and kept and not failed:
        picture.save(options.plot, kept.drawn, kept.groups)
        print(f"picture: {options.plot}", file=sys.stderr)
    answer = kept.answer() if kept and not found.stored else None
    said = totals.end(outlet, answer, elapsed_s=time.monotonic() - options.began_s)
    if said["logs"] or said["stored_before"]:
        print(table(said, without_login(options.to)))
    elif not failed:
        given = ", ".join(options.logs)
        raise InputError(f"{given}: expected a recording, got {len(found.others)} files of which none is one")
    if options.json:
        print(json.dumps(said))
    outlet.check()
    return 1 if failed else 0


def _plan(options: argparse.Namespace, card: ModelCard) -> Plan:
    reader = reader_options(options.option)
    if options.labels not in (None, "folder"):
        reader["label"] = options.labels
    if options.jobs < 1:
        raise InputError(f"--jobs: expected a number of processes from 1 up, got {options.jobs}")
    speed, device = _speed(options.speed), options.device
    if options.jobs > 1:
        if device.startswith("edgetpu") or options.plot or speed != math.inf:
            raise InputError("--jobs: expected one process for an Edge TPU, a picture or a pace, got several")
        device = "cpu" if device == "auto" else device
    hop = card.hop if options.hop is None else options.hop
    Windower(length=card.length, hop=hop, grid_hz=card.rate_hz)  # refuses a hop once, not for each log
    batch_s = MESSAGE_SIGNATURES * hop / card.rate_hz
    return Plan(
        model=options.model,
        device=device,
        hop=hop,
        speed=speed,
        options=reader,
        folder_labels=options.labels == "folder",
        batch_s=batch_s if speed == math.inf else min(batch_s, DELAY_S),
    )


def _how(plan: Plan, card: ModelCard, name: str | None) -> str:
    """Return a text that is another one where a replay would store other signatures, names or labels."""
    device = os.uname().nodename if name is None else name
    made = {"fingerprint": card.fingerprint.hex(), "hop": plan.hop, "motionsig": version("motionsig")}
    more = {"device": device, "labels": plan.folder_labels, "options": plan.options, "readers": reader_versions()}
    return json.dumps(made | more, sort_keys=True)


def _complain(error: Exception) -> None:
    hint = " (here: --option NAME=VALUE)" if re.search(r"[a-z]=", str(error).partition(": ")[2]) else ""
    complain(error, hint)


def _made(
    logs: Sequence[Log], plan: Plan, jobs: int, take: Take, picture: Picture | None
) -> Generator[Outcome, None, None]:
    """Yield what comes of each log; what this process makes itself was handed to `take` by then."""
    if not logs:
        return
    with ExitStack() as stack:
        # With several processes, too: what is wrong with the model or its device is said here.
        encoder = stack.enter_context(open_quietly(plan.model, plan.device))
        bar = stack.enter_context(progress("", sum(log.size for log in logs), "B"))
        if jobs > 1 and len(logs) > 1:
            outcomes = make_all(logs, plan, min(jobs, len(logs)), bar.update)
        else:
            outcomes = (make(log, plan, encoder, take, picture=picture, update=bar.update) for log in logs)
        for number, outcome in enumerate(outcomes, 1):
            bar.set_postfix_str(f"{number:,} of {len(logs):,} logs")
            yield outcome


def _speed(text: str) -> float:
    if text == "max":
        return math.inf
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise InputError(f"--speed: expected max, or a factor of real time such as 1, got {text!r}")
