"""What a replay says at its end, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from motionsig.cli.alike import Answer
from motionsig.cli.replay.logs import Found
from motionsig.cli.replay.making import Made
from motionsig.cli.replay.outlet import Outlet
from motionsig.conventions import RAW_BYTES_PER_SAMPLE
from motionsig.escaping import escaped
from motionsig.quality import ABOVE_GRID_ADVICE

_FIELDS = (
    "samples", "not_finite", "gaps", "bridged", "windows", "signatures", "raw_bytes", "raw_lossless_bytes",
    "raw_lossless_scheme", "raw_lossless_share", "payload_bytes", "covered_s", "elapsed_s", "realtime_factor",
    "duplicates", "conflicts", "model", "device", "on_edgetpu", "at_rest", "above_grid", "raw_batch_s",
    "logs", "stored_before", "left_out", "alike",
)  # fmt: skip
"""The summary over all logs, as --json shows it. raw_lossless_share: of the samples, those that were compressed; the
size of the others is estimated from them. stored_before: logs that the store had already. left_out: files in folders
that are no recordings. alike: `Answer` about the only log; null for several, and for one of few windows."""

_SUMMED = (
    "samples", "not_finite", "gaps", "bridged", "windows", "signatures", "covered_s", "on_edgetpu", "at_rest",
    "above_grid",
)  # fmt: skip
_NOTED = ("left out", "repeated")
"""The findings of a `Judge` that people should see; what was assumed is always shown."""
_LISTED = 20  # logs, of more only how many they are


class Totals:
    """Adds up what came of each log."""

    def __init__(self, found: Found, *, batch_s: float) -> None:
        self._values: dict[str, Any] = dict.fromkeys(_FIELDS, 0) | {
            "logs": [],
            "stored_before": [log.name for log in found.stored],
            "left_out": found.others,
            "raw_batch_s": batch_s,
        }
        self._raw_sizes = Counter[str]()
        self._compressed = 0

    def add(self, made: Made) -> None:
        """Take one log."""
        values, summary = self._values, made.summary
        for name in _SUMMED:
            values[name] += getattr(summary, name)
        values["raw_bytes"] += RAW_BYTES_PER_SAMPLE * summary.samples
        values["model"], values["device"] = summary.model, summary.device
        counted = {"samples": summary.samples, "signatures": summary.signatures, "stream_id": made.stream_id}
        facts = [fact._asdict() for fact in made.facts]
        values["logs"].append({"log": made.log.name, **counted, "facts": facts})
        self._raw_sizes.update(made.raw_sizes)
        self._compressed += made.compressed

    def end(self, outlet: Outlet, answer: Answer | None, *, elapsed_s: float) -> dict[str, Any]:
        """Return the whole summary."""
        values = self._values
        if self._raw_sizes:
            best = min(self._raw_sizes.items(), key=lambda scheme: scheme[1])
            values["raw_lossless_scheme"], values["raw_lossless_bytes"] = best
        measured = values["samples"] - values["not_finite"]
        values["raw_lossless_share"] = round(self._compressed / measured, 4) if measured else 1.0
        values["payload_bytes"] = outlet.payload_bytes
        values["duplicates"], values["conflicts"] = outlet.counts.duplicates, outlet.counts.conflicts
        values["alike"] = answer and asdict(answer)
        values["elapsed_s"] = elapsed_s
        values["realtime_factor"] = round(values["covered_s"] / elapsed_s, 1)
        return values


def table(totals: dict[str, Any], place: str) -> str:
    """Return the summary for people."""

    def size(count: int) -> str:
        ratio = f"  {count / payload:8.1f} x the payload" if payload else ""
        return f"{count:14,d} B{ratio}"

    logs, windows, payload = totals["logs"], totals["windows"], totals["payload_bytes"]
    lines = [f"{log['log']}: {log['signatures']:,} signatures, stream {log['stream_id']}" for log in logs[:_LISTED]]
    if len(logs) > _LISTED:
        lines = [f"logs               {len(logs):14,d}    from {logs[0]['log']} to {logs[-1]['log']}"]
    for name, said in (
        ("stored_before", "complete in {place} before and unchanged; --again replays them"),
        ("left_out", "no recordings, such as {first}"),
    ):
        if left := totals[name]:
            title = name.replace("_", " ")
            lines.append(f"{title:18} {len(left):14,d}    " + said.format(place=place, first=left[0]))
    if not logs:
        return "\n".join(map(escaped, [*lines, f"time               {totals['elapsed_s']:.2f} s"]))
    stored = f", {totals['duplicates']} of them already there" if totals["duplicates"] else ""
    share = totals["raw_lossless_share"]
    known = "" if share == 1 else f", estimated from {share:.0%} of the samples"
    at_rest, above_grid = totals["at_rest"], totals["above_grid"]
    what = f"    {at_rest:,} at rest" if windows else "    none: a signature needs 2.56 s without a gap"
    lines += [
        f"samples            {totals['samples']:14,d}    {_count(totals['gaps'], 'gap')}, "
        f"{_count(totals['bridged'], 'short loss', 'es')} bridged, {totals['not_finite']} samples not a number",
        f"windows            {windows:14,d}{what}",
        *([f"above the grid     {above_grid:14,d}    windows {ABOVE_GRID_ADVICE}"] if above_grid else []),
        f"signatures         {totals['signatures']:14,d}    to {place}{stored}",
        *([f"alike              {Answer(**totals['alike'])}"] if totals["alike"] else []),
        *_noted(logs),
        f"payload            {payload:14,d} B",
        f"raw int16          {size(totals['raw_bytes'])}",
        f"raw, lossless      {size(totals['raw_lossless_bytes'])}; {totals['raw_lossless_scheme']}, in batches of "
        f"{totals['raw_batch_s']:.0f} s as ours{known}",
        f"time               {totals['elapsed_s']:.2f} s for {totals['covered_s']:.1f} s of motion, "
        f"{totals['realtime_factor']:,.0f} x real time",
        f"model, device      {totals['model']}, {totals['device']}",
    ]
    if totals["on_edgetpu"]:
        lines.append(f"on the Edge TPU    {totals['on_edgetpu']:14,d}")
    return "\n".join(map(escaped, lines))


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number:,} {what}{plural * (number != 1)}"


def _noted(logs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each thing that was assumed or left out, with the logs that it holds for."""
    where: dict[tuple[str, str], list[str]] = {}
    for log in logs:
        for fact in log["facts"]:
            if fact["how"] == "assumed" or fact["what"] in _NOTED:
                title = "assumed" if fact["how"] == "assumed" else fact["what"]
                text = f"{fact['what']}: {fact['value']}" if fact["how"] == "assumed" else fact["value"]
                where.setdefault((title, text), []).append(log["log"])
    several = len(logs) > 1
    shown = [
        f"{title:18} {text}" + (f" ({names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)})" if several else "")
        for (title, text), names in where.items()
    ]
    return shown[:_LISTED] + ([f"{'and':18} {len(shown) - _LISTED} more; see --json"] if len(shown) > _LISTED else [])
