"""`motionsig collect`: the cloud's end, from a broker into a store, each signature and event once."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from motionsig.cli.option import option
from motionsig.cli.progress import printers, progress
from motionsig.collector import CollectCounts
from motionsig.daemon.collecting import receive
from motionsig.errors import InputError
from motionsig.hints import either
from motionsig.publishers import split_url, without_login
from motionsig.publishers.stores import STORE_SCHEMES

CREDENTIALS = Path("/etc/motionsig/credentials")


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "collect", help="signatures and events from a broker into a store", description=__doc__
    )
    option(
        parser, "--from URL", "a broker: mqtt(s)://HOST, ws(s)://HOST or mqtt+unix:PATH", dest="broker", required=True
    )
    option(parser, "--into URL", "store:PATH, parquet:DIR or postgresql://HOST/DB", dest="store", required=True)
    option(parser, "--password-credential NAME", f"the file with the password, in {CREDENTIALS}")
    option(parser, "--prometheus PORT", "metrics on this port of this machine", type=int)
    option(parser, "--count N", "end after N signatures newly stored", type=int)
    option(parser, "--timeout S", "end after S seconds", type=float)
    parser.set_defaults(command=_collect)


def _collect(options: argparse.Namespace) -> int:
    if options.prometheus is not None and not 0 < options.prometheus < 65536:
        raise InputError(f"--prometheus: expected a port from 1 to 65535, got {options.prometheus}")
    for name, value in (("--count", options.count), ("--timeout", options.timeout)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name}: expected a number above 0, got {value}")
    secret = None
    if options.password_credential is not None:
        # Imported only now: with the configuration, it takes longer than all else.
        from motionsig.config.credentials import credential_path

        secret = credential_path(CREDENTIALS, options.password_credential)
    # Whoever stops a service sends SIGTERM; it ends as orderly as an interrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    ends = [f"{options.count:,} signatures"] if options.count is not None else []
    ends += [f"{options.timeout:g} s"] if options.timeout is not None else []
    say, show_waiting = printers()
    broker, store = without_login(options.broker), without_login(options.store)
    if split_url(options.store)[0] in STORE_SCHEMES:  # else a line says what is wrong, and no other
        say(f"collecting from {broker} into {store} until {either([*ends, '^C'])}")
    with progress("collected", options.count, " signatures") as bar:
        counts = CollectCounts()

        def show(now: CollectCounts) -> None:
            nonlocal counts
            bar.update(now.stored - counts.stored)
            if sys.stderr is None or not sys.stderr.isatty():
                show_waiting(f"{now.stored:,} signatures and {now.events:,} events stored")
            counts = now

        # Without --count or --timeout an interrupt is how it is meant to end.
        with suppress(KeyboardInterrupt):
            receive(
                options.broker,
                options.store,
                prometheus=options.prometheus,
                password_file=secret,
                count=options.count,
                timeout_s=options.timeout,
                on_progress=show,
            )
    print(
        f"{counts.stored:,} signatures and {counts.events:,} events to {store} "
        f"in {time.monotonic() - began:.1f} s, from {counts.messages:,} messages; "
        f"{counts.duplicates:,} duplicates dropped, {counts.conflicts:,} conflicts, {counts.junk:,} messages not ours"
    )
    if not counts.messages + counts.junk:
        print(
            "motionsig: no message came; if devices send, compare their prefix with the collector's; what they send "
            "with format=json is not collected",
            file=sys.stderr,
        )
    if options.count is not None and counts.stored < options.count:
        print(f"motionsig: expected {options.count} signatures, got {counts.stored}", file=sys.stderr)
        return 1
    return 0
