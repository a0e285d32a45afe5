"""`motionsig collect`: the cloud's end, from a broker into a store, each signature once."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from motionsig.cli.progress import progress
from motionsig.collector import CollectCounts, collect
from motionsig.errors import InputError


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("collect", help="signatures from a broker into a store", description=__doc__)
    parser.add_argument("--from", dest="broker", required=True, metavar="URL", help="mqtt://HOST or mqtts://HOST")
    parser.add_argument("--into", dest="store", required=True, metavar="URL", help="store:PATH")
    parser.add_argument("--count", type=int, metavar="N", help="end after N signatures newly stored")
    parser.add_argument("--timeout", type=float, metavar="S", help="end after S seconds")
    parser.set_defaults(command=_collect)


def _collect(options: argparse.Namespace) -> int:
    for name, value in (("--count", options.count), ("--timeout", options.timeout)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name}: expected a number above 0, got {value}")
    # Whoever stops a service sends SIGTERM; it ends as orderly as an interrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    with progress("collected", options.count, " signatures") as bar:
        counts = CollectCounts()

        def show(now: CollectCounts) -> None:
            nonlocal counts
            bar.update(now.stored - counts.stored)
            counts = now

        # Without --count or --timeout an interrupt is how it is meant to end.
        with suppress(KeyboardInterrupt):
            collect(options.broker, options.store, count=options.count, timeout_s=options.timeout, on_progress=show)
    print(
        f"{counts.stored:,} signatures to {options.store} in {time.monotonic() - began:.1f} s, "
        f"from {counts.messages:,} messages; {counts.duplicates:,} duplicates dropped, "
        f"{counts.conflicts:,} conflicts, {counts.junk:,} messages not ours"
    )
    if options.count is not None and counts.stored < options.count:
        print(f"motionsig: expected {options.count} signatures, got {counts.stored}", file=sys.stderr)
        return 1
    return 0
