"""`motionsig replay`: recorded logs through the path of a live sensor, into any sink."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from motionsig.blocks import SampleBlock, SignatureBatch, Source
from motionsig.cli.option import option
from motionsig.cli.picture import Picture, empty_figure
from motionsig.cli.progress import Progress, progress
from motionsig.closing import Closing
from motionsig.conventions import NS_PER_S, RAW_BYTES_PER_SAMPLE
from motionsig.encoders import DEVICES, Encoder, open_encoder
from motionsig.errors import InputError, RecordingError, SinkError
from motionsig.pipeline import run, signature_stream_id
from motionsig.publishers import open_sink, split_url
from motionsig.raw_size import RawSize
from motionsig.recordings import open_recording

MESSAGE_SIGNATURES = 60  # per message of a replay at full speed: as many as fit into 4,000 bytes
DELAY_S = 6.0  # how long a live sensor's signatures wait by default, to be sent together
DAY_S = 86400.0
_PACED_S = 0.1  # at --speed 1 samples arrive in blocks this long, as a sensor's FIFO delivers them


_FIELDS = (
    "samples", "not_finite", "gaps", "bridged", "windows", "signatures", "raw_bytes", "raw_lossless_bytes",
    "raw_lossless_scheme", "raw_lossless_share", "payload_bytes", "covered_s", "elapsed_s", "realtime_factor",
    "duplicates", "conflicts", "model", "device", "on_edgetpu", "raw_batch_s", "logs",
)  # fmt: skip
"""The summary over all logs, as --json shows it. raw_lossless_share: of the samples, those that were compressed; the
size of the others is estimated from them."""

_SUMMED = ("samples", "not_finite", "gaps", "bridged", "windows", "signatures", "covered_s", "on_edgetpu")


def add_to(commands: Any) -> None:
    parser = commands.add_parser("replay", help="recorded logs to signatures", description=__doc__)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="a recording: motionsig's own, CSV, a phone app's, npz")
    to = "mqtt://HOST, mqtts://HOST, store:PATH or file:PATH, with ?option=value"
    option(parser, "--to URL", to, required=True)
    option(parser, "--model NAME", "a shipped model or a model folder")
    option(parser, "--device DEVICE", f"what runs the network: {DEVICES}; auto by default", default="auto")
    option(parser, "--hop N", "grid samples between windows; the model's own by default", type=int)
    option(parser, "--speed SPEED", "max, or 1 for real time (2 for twice that, ...)", default="max")
    option(parser, "--name DEVICE", "device they are published as; by default who recorded the log, else this host")
    option(parser, "--option KEY=VALUE", "an option of the reader, such as rate_hz=100", action="append", default=[])
    option(parser, "--plot PNG", "draw samples and signatures of one log", type=Path)
    option(parser, "--json", "the summary as one JSON object on the last line")
    parser.set_defaults(command=_replay)


def _replay(options: argparse.Namespace) -> int:
    options.speed = _speed(options.speed)
    for text in options.option:
        if "=" not in text:
            raise InputError(f"--option: expected KEY=VALUE, got {text!r}")
    options.option = dict(text.split("=", 1) for text in options.option)
    if options.plot and len(options.logs) > 1:
        raise InputError(f"--plot: expected one log for one picture, got {len(options.logs)}")
    figure = empty_figure(options.plot) if options.plot else None
    totals: dict[str, Any] = dict.fromkeys(_FIELDS, 0) | {"logs": []}
    sizes = Counter[str]()
    failed = compressed = 0
    with ExitStack() as stack:
        with _quiet():
            encoder = stack.enter_context(open_encoder(options.model, options.device))
        picture = Picture(figure, encoder.card) if figure else None
        for log in options.logs:
            try:
                rival = _replay_one(log, options, encoder, picture, totals)
                sizes.update(rival.sizes())
                compressed += rival.compressed_samples
            except RecordingError as error:
                # One bad log must not keep the others from being replayed.
                hint = " (here: --option NAME=VALUE)" if "=" in str(error) else ""
                print(f"motionsig: {error}{hint}", file=sys.stderr)
                failed += 1
    if totals["logs"]:
        totals["raw_lossless_scheme"], totals["raw_lossless_bytes"] = min(sizes.items(), key=lambda scheme: scheme[1])
        measured = totals["samples"] - totals["not_finite"]
        totals["raw_lossless_share"] = round(compressed / measured, 4) if measured else 1.0
        totals["elapsed_s"] = time.monotonic() - options.began_s
        totals["realtime_factor"] = round(totals["covered_s"] / totals["elapsed_s"], 1)
        print(_table(totals, _without_login(options.to)))
        if options.json:
            print(json.dumps(totals))
    if totals["conflicts"]:
        raise SinkError(
            f"{_without_login(options.to)}: expected {totals['signatures']} signatures stored, got "
            f"{totals['conflicts']} that differ from what is there under the same device, stream id and number; what "
            "is there was kept. Another processor rounds otherwise: give its replay another --name"
        )
    return 1 if failed else 0


def _replay_one(
    log: str, options: argparse.Namespace, encoder: Encoder, picture: Picture | None, totals: dict[str, Any]
) -> RawSize:
    """Replay one log and add what came of it to `totals`; return what its raw samples would have cost."""
    card = encoder.card
    hop = card.hop if options.hop is None else options.hop
    with ExitStack() as stack:
        source = stack.enter_context(open_recording(log, **options.option))
        info = source.info
        if picture:
            picture.begin(info, source.rate_hz)
        stream_id = signature_stream_id(info.stream_id, card, hop)
        device = info.device if options.name is None else options.name
        scheme, _, given = split_url(options.to)
        # Unlike a live sensor, a replay can wait until the broker keeps up.
        wait: dict[str, Any] = {"full": "wait", "close_limit_s": DAY_S} if scheme in ("mqtt", "mqtts") else {}
        how = {name: value for name, value in wait.items() if name not in given}
        sink = stack.enter_context(open_sink(options.to, device=device, stream_id=stream_id, **how))
        batch_s = MESSAGE_SIGNATURES * hop / card.rate_hz
        batch_s = totals["raw_batch_s"] = batch_s if options.speed == math.inf else min(batch_s, DELAY_S)
        rival = RawSize(source.rate_hz, batch_s=batch_s, scale=info.scale)
        bar = stack.enter_context(progress(info.name, info.samples, " samples"))

        def deliver(signatures: SignatureBatch) -> None:
            sink.publish(signatures)
            if picture:
                picture.add_signatures(signatures)

        summary = run(_Watched(source, rival, picture, bar, options.speed), encoder, deliver, hop=hop)
    left = sink.counts
    for name in _SUMMED:
        totals[name] += getattr(summary, name)
    totals["raw_bytes"] += RAW_BYTES_PER_SAMPLE * summary.samples
    totals["payload_bytes"] += sink.payload_bytes
    totals["duplicates"] += left.duplicates
    totals["conflicts"] += left.conflicts
    totals["model"], totals["device"] = summary.model, summary.device
    totals["logs"].append(
        {"log": str(log), "samples": summary.samples, "signatures": summary.signatures, "stream_id": stream_id}
    )
    if picture:
        picture.save(options.plot)
        print(f"picture: {options.plot}", file=sys.stderr)
    if left.pending or left.dropped:
        raise SinkError(
            f"{_without_login(options.to)}: expected {summary.signatures} signatures delivered, got "
            f"{left.pending} still waiting in the spool and {left.dropped} dropped; "
            "what waits goes out with the next run to this broker"
        )
    return rival


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the messages with which a C++ runtime starts off standard error, which is for errors only."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            os.write(2, b"".join(line for line in said if not line.startswith(b"INFO: ")))


class _Watched(Closing):
    """The source at --speed; its blocks pass the progress bar, the rival and the picture."""

    def __init__(self, source: Source, rival: RawSize, picture: Picture | None, bar: Progress, speed: float) -> None:
        self.rate_hz, self.info = source.rate_hz, source.info
        self._source, self._rival, self._picture, self._bar, self._speed = source, rival, picture, bar, speed

    def __iter__(self) -> Iterator[SampleBlock]:
        for block in self._source if self._speed == math.inf else _paced(self._source, self._speed):
            self._rival.push(block)
            if self._picture:
                self._picture.add_samples(block)
            self._bar.update(len(block))
            yield block


def _paced(source: Source, speed: float) -> Iterator[SampleBlock]:
    """Yield the samples at the pace of their time stamps; a gap takes its time, a step back takes none."""
    rows = max(1, round(source.rate_hz * _PACED_S))
    last_ns, due = None, time.monotonic()
    for block in source:
        if not len(block):
            yield block
        for first in range(0, len(block), rows):
            part = slice(first, first + rows)
            end_ns = int(block.time_ns[part][-1])
            due += max(0, end_ns - last_ns) / NS_PER_S / speed if last_ns is not None else 0.0
            last_ns = end_ns
            time.sleep(max(0.0, due - time.monotonic()))
            yield SampleBlock(block.time_ns[part], block.data[part], block.gap and first == 0)


def _without_login(url: str) -> str:
    """Return the URL as it may be shown: options can hold a password as well as the place before the host can."""
    return re.sub(r"//.*@", "//", url.partition("?")[0])


def _speed(text: str) -> float:
    if text == "max":
        return math.inf
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise InputError(f"--speed: expected max, or a factor of real time such as 1, got {text!r}")


def _table(totals: dict[str, Any], place: str) -> str:
    """Return the summary for people."""

    def size(count: int) -> str:
        ratio = f"  {count / payload:8.1f} x the payload" if payload else ""
        return f"{count:14,d} B{ratio}"

    windows, payload, share = totals["windows"], totals["payload_bytes"], totals["raw_lossless_share"]
    stored = f", {totals['duplicates']} of them already there" if totals["duplicates"] else ""
    known = "" if share == 1 else f", estimated from {share:.0%} of the samples"
    none = "" if windows else "    none: a signature needs 2.56 s without a gap"
    lines = [f"{log['log']}: {log['signatures']:,} signatures, stream {log['stream_id']}" for log in totals["logs"]]
    lines += [
        f"samples            {totals['samples']:14,d}    {totals['gaps']} gaps, {totals['bridged']} short losses "
        f"bridged, {totals['not_finite']} samples not a number",
        f"windows            {windows:14,d}{none}",
        f"signatures         {totals['signatures']:14,d}    to {place}{stored}",
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
    return "\n".join(lines)
