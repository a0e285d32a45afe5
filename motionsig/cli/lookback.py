"""`motionsig lookback`: when a head would have found something in stored signatures.

Stored signatures lie further apart than those that a head judges live, so of short motions fewer are found here.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.cli.option import option
from motionsig.cli.shown_events import local_time
from motionsig.conventions import NS_PER_S
from motionsig.encoders.tflite import printable
from motionsig.errors import InputError
from motionsig.escaping import escaped
from motionsig.events import BEGAN, Event, duration, to_json
from motionsig.publishers import iter_signatures
from motionsig.publishers.local import Stored
from motionsig.watching import HOP_S, Asked, watch_stored

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DAY_S = 86400
_HALF_NS = 1800 * NS_PER_S
_MOST_DAYS = 31
_INT64 = 1 << 63
_ROWS = 16384  # of a store at a time


def add_to(commands: Any) -> None:
    parser = commands.add_parser("lookback", help="what a head would have found in a store", description=__doc__)
    parser.add_argument("head", metavar="NAME", help="a head's name or folder")
    parser.add_argument("store", metavar="STORE", help="store:PATH, file:PATH, parquet:DIR or postgresql://HOST/DB")
    times = "12h or 7d ago (s, m, h, d, w), or a time such as 2026-11-01 or 2026-11-01T18:30"
    option(parser, "--since WHEN", f"only what was stored for later than this: {times}")
    option(parser, "--until WHEN", "only what was stored for before this")
    option(parser, "--device NAME", "only what this device published")
    option(parser, "--json", "one JSON object a line for each event, then one with the summary")
    parser.set_defaults(command=_lookback)


def _lookback(options: argparse.Namespace) -> int:
    asked = Asked(options.head)
    now_s = time.time()
    since_ns, until_ns = (_moment(vars(options)[name], f"--{name}", now_s) for name in ("since", "until"))
    parts = iter_signatures(
        options.store,
        device=options.device,
        fingerprint=asked.encoder,
        since_ns=since_ns,
        until_ns=until_ns,
        rows=_ROWS,
    )
    searched = _Searched()
    events = watch_stored(searched.counting(parts), asked)
    # A state is told twice, and the second time with how long it lasted.
    found = sorted((event for event in events if event.phase != BEGAN), key=lambda event: (event.start_ns, event.key))
    summary = searched.summary(len(found))
    if options.json:
        for event in found:
            print(to_json(event).decode())
        print(json.dumps(summary))
        return 0
    several = len(searched.devices) > 1
    for event in found:
        whose = f"  {printable(event.device)}" if several else ""
        print(f"{local_time(event.start_ns)}  {duration(event.duration_s):>9}  score {event.score:.2f}{whose}")
    if found:
        print()
    print("\n".join(map(escaped, [*searched.timeline(found), *_lines(summary, several)])))
    return 0


def _moment(text: str | None, what: str, now_s: float) -> int | None:
    """Return a moment in Unix ns: so long ago, or a date and time, which are local where they name no zone."""
    if text is None:
        return None
    try:
        if ago := re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([smhdw])", text):
            moment_s = now_s - float(ago[1]) * _UNITS_S[ago[2]]
        else:
            moment_s = datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise InputError(f"{what}: expected a time such as 12h, 7d or 2026-11-01, got {text!r:.80}") from error
    # Before and after what 64 bits of ns hold, nothing is stored.
    return max(-_INT64, min(round(moment_s * NS_PER_S), _INT64 - 1))


class _Searched:
    """How much time the signatures that were searched stand for, and where there are none."""

    def __init__(self) -> None:
        self.devices: dict[str, list[NDArray[np.int64]]] = defaultdict(list)
        self._count, self._hop_ns, self._covered_ns = 0, 0, 0

    def counting(self, parts: Iterator[Stored]) -> Iterator[Stored]:
        """Pass stored signatures on."""
        for part in parts:
            self.devices[part.device].append(part.signatures.start_ns)
            self._count += len(part.seq)
            self._covered_ns += len(part.seq) * part.signatures.hop_ns
            self._hop_ns = max(self._hop_ns, part.signatures.hop_ns)
            yield part

    def summary(self, events: int) -> dict[str, Any]:
        """Return it as JSON. per_day: events in 24 h of signatures. largest_gap: between those of one device."""
        covered_s = self._covered_ns / NS_PER_S
        gap_ns, gap_from_ns, gap_of, first_ns, last_ns = 0, 0, "", 1 << 63, -(1 << 63)
        for device, several in self.devices.items():
            starts = np.sort(np.concatenate(several))
            first_ns, last_ns = min(first_ns, int(starts[0])), max(last_ns, int(starts[-1]))
            steps = np.diff(starts)
            if len(steps) and (widest := int(steps.max()) - self._hop_ns) > gap_ns:
                gap_ns, gap_from_ns, gap_of = widest, int(starts[steps.argmax()]) + self._hop_ns, device
        return {
            "events": events,
            "per_day": round(events / covered_s * _DAY_S, 2) if covered_s else 0.0,
            "signatures": self._count,
            "searched_s": covered_s,
            "first_ns": first_ns,
            "last_ns": last_ns,
            "largest_gap_s": gap_ns / NS_PER_S,
            "largest_gap_from_ns": gap_from_ns if gap_ns else None,
            "largest_gap_of": gap_of if gap_ns else None,
            "hop_s": self._hop_ns / NS_PER_S,
        }

    def timeline(self, found: list[Event]) -> list[str]:
        """Return a line for each day, of half hours: a space without signatures, how many events, 9 for more.

        None for more days than fit a screen, or for a single one.
        """
        halves = np.unique(
            np.concatenate([starts // _HALF_NS for several in self.devices.values() for starts in several])
        )
        counts = Counter(event.start_ns // _HALF_NS for event in found)
        days: dict[str, list[str]] = {}
        if len(halves) > _MOST_DAYS * 48:
            return []
        for half in halves.tolist():
            day, at = local_time(half * _HALF_NS).split()
            row = days.setdefault(day, [" "] * 48)
            row[2 * int(at[:2]) + (at[3:5] >= "30")] = str(min(counts[half], 9)) if counts[half] else "."
        return [f"{day}  |{''.join(row)}|" for day, row in days.items()] if 1 < len(days) <= _MOST_DAYS else []


def _lines(summary: dict[str, Any], several: bool) -> list[str]:
    events = summary["events"]
    # Of less than a day, what a whole one would bring is a guess.
    per_day = f", {summary['per_day']:g} a day," if summary["searched_s"] >= _DAY_S else ""
    lines = [
        f"{events:,} event{'s' * (events != 1)}{per_day} in {duration(summary['searched_s'])} of "
        f"signatures from {local_time(summary['first_ns'])} to {local_time(summary['last_ns'])}"
    ]
    if summary["largest_gap_s"]:
        whose = f" of {printable(summary['largest_gap_of'])}" if several else ""
        since = local_time(summary["largest_gap_from_ns"])
        lines.append(f"largest gap{whose}: {duration(summary['largest_gap_s'])} from {since} on")
    if summary["hop_s"] > HOP_S:
        lines.append(
            f"stored signatures are {summary['hop_s']:g} s apart, and live a head judges one each {HOP_S:g} s: of "
            "short motions fewer are found here"
        )
    return lines
