"""`motionsig record`: a live sensor into a log, which `motionsig replay` reads."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.blocks import SampleBlock, check_label
from motionsig.cli.option import option
from motionsig.cli.progress import printers
from motionsig.cli.sensor_options import add_sensor_options, open_chosen
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError
from motionsig.escaping import escaped
from motionsig.recordings.native import Recorder, require_log_name
from motionsig.sensors.live import LiveSource

_ENDS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
_SHOW_S, _GRACE_S, _SILENT_S = 0.5, 5.0, 2.0


def add_to(commands: Any) -> None:
    parser = commands.add_parser("record", help="a live sensor into a log", description=__doc__)
    add_sensor_options(parser)
    option(parser, "--mount MATRIX", 'how it is mounted: "0, 1, 0; -1, 0, 0; 0, 0, 1"')
    option(parser, "--calibration {none}", "leave out what `motionsig calibrate` stored", choices=["none"])
    option(parser, "--seconds S", "end after S seconds; by default when interrupted", type=float)
    option(parser, "--label TEXT", "what is done meanwhile; it is stored with every sample", default="")
    option(parser, "--out FILE", "the log, which must not exist yet", type=Path, required=True)
    parser.set_defaults(command=_record)


def _record(options: argparse.Namespace) -> int:
    if options.seconds is not None and not 0 < options.seconds < math.inf:
        raise InputError(f"--seconds: expected a number above 0, got {options.seconds}")
    check_label(options.label, "--label")
    require_log_name(options.out, where="--out: ")
    # A service manager sends SIGTERM and a lost ssh connection SIGHUP: both end the recording as an interrupt does.
    for number in _ENDS[1:]:
        signal.signal(number, signal.default_int_handler)
    with (
        open_chosen(options, mount=options.mount, calibration=options.calibration) as sensor,
        Recorder(
            options.out,
            rate_hz=sensor.rate_hz,
            stream_id=sensor.info.stream_id,
            scale=sensor.info.scale,
            device=sensor.info.device,
        ) as log,
    ):
        say, show = printers()
        ends = "until ^C" if options.seconds is None else f"for {options.seconds:g} s, or until ^C"
        say(f"recording {escaped(sensor.info.name)} at {sensor.rate_hz:g} Hz to {escaped(str(options.out))} {ends}")
        _end_by_signals(sensor)
        silent_s = _copy(sensor, log, options.seconds, options.label, show)
    show("")
    counts = sensor.counts
    print(
        f"{counts.samples:,} samples of {sensor.info.name} to {options.out}: {_rates(sensor)}; {counts.gaps} gaps, "
        f"{counts.lost:,} samples lost; {counts.overflows} overflows, {counts.discards} discards, {counts.dead:,} dead "
        f"and {counts.garbled:,} garbled samples left out, {counts.recoveries} recoveries"
    )
    if counts.doubtful:
        print(f"the times of {counts.doubtful:,} samples are less exact than motionsig promises")
    if sensor.calibration.when_s is not None:
        when = time.strftime("%Y-%m-%d", time.localtime(sensor.calibration.when_s))
        print(f"with its calibration of {when} applied (--calibration none leaves it out)")
    why = f"; {escaped(sensor.trouble)}" if sensor.trouble else ""
    if not counts.samples:
        print(f"motionsig: expected samples, got none{why}; see `motionsig doctor`", file=sys.stderr)
        return 1
    if silent_s > _SILENT_S:
        print(f"motionsig: the sensor did not answer any more for the last {silent_s:.0f} s{why}", file=sys.stderr)
    elif why:
        print(f"motionsig: {escaped(sensor.info.name)}{why}", file=sys.stderr)
    return 0


def _end_by_signals(sensor: LiveSource) -> None:
    """Let the first signal end the iteration, so that what was counted is recorded; a second one breaks it off."""

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.default_int_handler)
        sensor.close()

    for number in _ENDS:
        # A command in the background ignores interrupts.
        if signal.getsignal(number) is signal.default_int_handler:
            signal.signal(number, end)


def _copy(sensor: LiveSource, log: Recorder, seconds: float | None, label: str, show: Callable[[str], None]) -> float:
    """Record until it is time to end; return for how many seconds nothing had come then."""
    began = shown = heard = time.monotonic()
    first_ns: int | None = None
    # Who interrupts twice does not wait for a reading that takes long.
    with suppress(KeyboardInterrupt):
        for block in sensor:
            log.write(replace(block, label=label))
            now = time.monotonic()
            # A sensor that is away is not waited for much longer.
            recorded_s = now - began - _GRACE_S
            if len(block):
                heard = now
                first_ns = int(block.time_ns[0]) if first_ns is None else first_ns
                recorded_s = (int(block.time_ns[-1]) - first_ns) / NS_PER_S
            if now - shown >= _SHOW_S:
                shown = now
                show(f"{now - began:7.1f} s  {_status(sensor, block)}")
            if seconds is not None and recorded_s >= seconds:
                break
    return time.monotonic() - heard


def _status(sensor: LiveSource, block: SampleBlock) -> str:
    if not len(block):
        return f"no samples: {escaped(sensor.trouble or 'the sensor does not answer; trying again')}"
    gravity, counts = float(np.linalg.norm(block.data[:, :3], axis=1).mean()), sensor.counts
    losses = f"{counts.gaps} gaps  {counts.lost:,} lost"
    return f"{counts.samples:,} samples  {_rates(sensor)}  {losses}  |acc| {gravity:.2f} m/s²"


def _rates(sensor: LiveSource) -> str:
    return f"{sensor.true_rate_hz:.2f} Hz (nominal {sensor.rate_hz:g})"
