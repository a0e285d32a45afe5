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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from motionsig.blocks import SampleBlock, SignatureBatch, Source
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

MESSAGE_SIGNATURES = 60
"""Signatures per message of a replay at full speed: as many as fit into 4,000 bytes."""

DELAY_S = 6.0
"""How long a live sensor's signatures wait by default, to be sent together."""

DAY_S = 86400.0

_PACED_S = 0.1
"""At --speed 1 samples arrive in blocks this long, as a sensor's FIFO delivers them."""


@dataclass
class _Totals:
    """The summary over all logs; the fields are those of --json, in its order."""

    samples: int = 0
    not_finite: int = 0
    gaps: int = 0
    bridged: int = 0
    windows: int = 0
    signatures: int = 0
    raw_bytes: int = 0
    raw_lossless_bytes: int = 0
    raw_lossless_scheme: str = ""
    raw_lossless_share: float = 1.0
    """Of the samples, those that were compressed; the size of the others is estimated from them."""
    payload_bytes: int = 0
    covered_s: float = 0.0
    elapsed_s: float = 0.0
    realtime_factor: float = 0.0
    duplicates: int = 0
    conflicts: int = 0
    model: str = ""
    device: str = ""
    on_edgetpu: int = 0
    raw_batch_s: float = 0.0
    logs: list[dict[str, Any]] = field(default_factory=list)


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("replay", help="recorded logs to signatures", description=__doc__)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="a recording: motionsig's own, CSV, a phone app's, npz")
    parser.add_argument(
        "--to",
        required=True,
        metavar="URL",
        help="mqtt://HOST, mqtts://HOST, store:PATH or file:PATH, with ?option=value",
    )
    parser.add_argument("--model", metavar="NAME", help="a shipped model or a model folder")
    parser.add_argument("--device", default="auto", help=f"what runs the network: {DEVICES}; auto by default")
    parser.add_argument("--hop", type=int, metavar="N", help="grid samples between windows; the model's own by default")
    parser.add_argument("--speed", default="max", help="max, or 1 for real time (2 for twice that, ...)")
    parser.add_argument(
        "--name", metavar="DEVICE", help="device they are published as; by default who recorded the log, else this host"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the reader, such as rate_hz=100",
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw samples and signatures of one log")
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object on the last line")
    parser.set_defaults(command=_replay)


def _replay(options: argparse.Namespace) -> int:
    speed = _speed(options.speed)
    reader_options = dict(_key_value(text) for text in options.option)
    if options.plot and len(options.logs) > 1:
        raise InputError(f"--plot: expected one log for one picture, got {len(options.logs)}")
    figure = empty_figure(options.plot) if options.plot else None
    totals, rivals = _Totals(), Counter[str]()
    failed = compressed = 0
    with ExitStack() as stack:
        with _quiet():
            encoder = stack.enter_context(open_encoder(options.model, options.device))
        picture = Picture(figure, encoder.card) if figure else None
        for log in options.logs:
            try:
                compressed += _replay_one(log, reader_options, encoder, options, speed, picture, totals, rivals)
            except RecordingError as error:
                # One bad log must not keep the others from being replayed.
                hint = " (here: --option NAME=VALUE)" if "=" in str(error) else ""
                print(f"motionsig: {error}{hint}", file=sys.stderr)
                failed += 1
    if totals.logs:
        totals.raw_lossless_scheme, totals.raw_lossless_bytes = min(rivals.items(), key=lambda scheme: scheme[1])
        measured = totals.samples - totals.not_finite
        totals.raw_lossless_share = round(compressed / measured, 4) if measured else 1.0
        totals.elapsed_s = time.monotonic() - options.began_s
        totals.realtime_factor = round(totals.covered_s / totals.elapsed_s, 1)
        print(_table(totals, options))
        if options.json:
            print(json.dumps(asdict(totals)))
    if totals.conflicts:
        raise SinkError(
            f"{_without_login(options.to)}: expected {totals.signatures} signatures stored, got {totals.conflicts} "
            "that differ from what is there under the same device, stream id and number; what is there was kept. "
            "Another processor rounds otherwise: give its replay another --name"
        )
    return 1 if failed else 0


def _replay_one(
    log: str,
    reader_options: dict[str, str],
    encoder: Encoder,
    options: argparse.Namespace,
    speed: float,
    picture: Picture | None,
    totals: _Totals,
    rivals: Counter[str],
) -> int:
    """Replay one log and add what came of it to `totals`, what raw samples would have cost to `rivals`.

    Returns the samples from which the latter is known.
    """
    card = encoder.card
    hop = card.hop if options.hop is None else options.hop
    with ExitStack() as stack:
        source = stack.enter_context(open_recording(log, **reader_options))
        info = source.info
        if picture:
            picture.begin(info, source.rate_hz)
        stream_id = signature_stream_id(info.stream_id, card, hop)
        device = info.device if options.name is None else options.name
        sink = stack.enter_context(
            open_sink(options.to, device=device, stream_id=stream_id, **_sink_options(options.to))
        )
        totals.raw_batch_s = MESSAGE_SIGNATURES * hop / card.rate_hz
        if speed != math.inf:
            totals.raw_batch_s = min(totals.raw_batch_s, DELAY_S)
        rival = RawSize(source.rate_hz, batch_s=totals.raw_batch_s, scale=info.scale)
        bar = stack.enter_context(progress(info.name, info.samples, " samples"))

        def deliver(signatures: SignatureBatch) -> None:
            sink.publish(signatures)
            if picture:
                picture.add_signatures(signatures)

        summary = run(_Watched(source, rival, picture, bar, speed), encoder, deliver, hop=hop)
    totals.logs.append(
        {"log": str(log), "samples": summary.samples, "signatures": summary.signatures, "stream_id": stream_id}
    )
    totals.samples += summary.samples
    totals.not_finite += summary.not_finite
    totals.gaps += summary.gaps
    totals.bridged += summary.bridged
    totals.windows += summary.windows
    totals.signatures += summary.signatures
    totals.model, totals.device = summary.model, summary.device
    totals.on_edgetpu += summary.on_edgetpu
    totals.raw_bytes += RAW_BYTES_PER_SAMPLE * summary.samples
    rivals.update(rival.sizes())
    totals.payload_bytes += sink.payload_bytes
    totals.covered_s += summary.covered_s
    totals.duplicates += sink.counts.duplicates
    totals.conflicts += sink.counts.conflicts
    if picture:
        picture.save(options.plot)
        print(f"picture: {options.plot}", file=sys.stderr)
    left = sink.counts
    if left.pending or left.dropped:
        raise SinkError(
            f"{_without_login(options.to)}: expected {summary.signatures} signatures delivered, got "
            f"{left.pending} still waiting in the spool and {left.dropped} dropped; "
            "what waits goes out with the next run to this broker"
        )
    return rival.compressed_samples


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


def _sink_options(url: str) -> dict[str, Any]:
    """Return the sink's options that differ from a live sensor's: a replay can wait until the broker keeps up."""
    scheme, _, given = split_url(url)
    wanted = {"full": "wait", "close_limit_s": DAY_S} if scheme in ("mqtt", "mqtts") else {}
    return {name: value for name, value in wanted.items() if name not in given}


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


def _key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--option: expected KEY=VALUE, got {text!r}")
    return key, value


def _table(totals: _Totals, options: argparse.Namespace) -> str:
    """Return the summary for people."""

    def size(count: int) -> str:
        ratio = f"  {count / totals.payload_bytes:8.1f} x the payload" if totals.payload_bytes else ""
        return f"{count:14,d} B{ratio}"

    losses = f"{totals.gaps} gaps, {totals.bridged} short losses bridged, {totals.not_finite} samples not a number"
    pace = f"{totals.elapsed_s:.2f} s for {totals.covered_s:.1f} s of motion, {totals.realtime_factor:,.0f} x real time"
    stored = f", {totals.duplicates} of them already there" if totals.duplicates else ""
    known = "" if totals.raw_lossless_share == 1 else f", estimated from {totals.raw_lossless_share:.0%} of the samples"
    none = "" if totals.windows else "    none: a signature needs 2.56 s without a gap"
    lines = [f"{log['log']}: {log['signatures']:,} signatures, stream {log['stream_id']}" for log in totals.logs]
    lines += [
        f"samples            {totals.samples:14,d}    {losses}",
        f"windows            {totals.windows:14,d}{none}",
        f"signatures         {totals.signatures:14,d}    to {_without_login(options.to)}{stored}",
        f"payload            {totals.payload_bytes:14,d} B",
        f"raw int16          {size(totals.raw_bytes)}",
        f"raw, lossless      {size(totals.raw_lossless_bytes)}; {totals.raw_lossless_scheme}, in batches of "
        f"{totals.raw_batch_s:.0f} s as ours{known}",
        f"time               {pace}",
        f"model, device      {totals.model}, {totals.device}",
    ]
    if totals.on_edgetpu:
        lines.append(f"on the Edge TPU    {totals.on_edgetpu:14,d}")
    return "\n".join(lines)
