"""`motionsig calibrate`: what one sensor gets wrong, found by letting it lie still, and stored for it."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from motionsig.blocks import SampleBlock, Source
from motionsig.cli.calibrate.picture import draw
from motionsig.cli.calibrate.prompts import gather, plan
from motionsig.cli.calibrate.result import fit
from motionsig.cli.option import option
from motionsig.cli.picture import empty_figure
from motionsig.cli.progress import Progress, progress
from motionsig.cli.sensor_options import add_sensor_options, open_chosen
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError, RecordingError, SensorError
from motionsig.escaping import escaped
from motionsig.recordings import open_recording
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.poses import face_of
from motionsig.sensors.calibration.rest import REST_S, Rest, find_rests
from motionsig.sensors.calibration.storage import load_calibration, save_calibration
from motionsig.sensors.names import PHONE, simulated_part


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "calibrate",
        help="a sensor's bias, scale and mounting, from a few poses at rest",
        description=f"{__doc__} By default gyroscope and accelerometer, from six faces and two leaning poses that "
        "prove the result. Each pose is found by itself once it has been still for two seconds.",
    )
    add_sensor_options(parser)
    logs = "in place of a sensor: recordings that hold the poses, made with --calibration none"
    option(parser, "--log LOG", logs, nargs="+")
    option(parser, "--device ID", "with --log: the sensor to store it for, else it is only shown")
    what = parser.add_mutually_exclusive_group().add_argument
    what("--gyro", dest="what", action="store_const", const="gyro", help="only the gyroscope's bias, from one pose")
    what("--accel", dest="what", action="store_const", const="accel", help="only the accelerometer")
    mount = "how the sensor lies in the device (x forward, y left, z up), from two poses"
    what("--mount", dest="what", action="store_const", const="mount", help=mount)
    option(parser, "--skew", "ask for six leaning poses, which also show the axes' skew")
    option(parser, "--gravity G", "here, in m/s²; %(default)s by default", type=float, default=STANDARD_GRAVITY)
    option(parser, "--timeout S", "give up after S seconds without a new pose", type=float, default=300.0)
    option(parser, "--plot PNG", "draw the poses before and after", type=Path)
    parser.set_defaults(command=_calibrate, what="all")


def _calibrate(options: argparse.Namespace) -> int:
    for name, value, most in (("--gravity", options.gravity, 20.0), ("--timeout", options.timeout, math.inf)):
        if not 0 < value < most:
            raise InputError(f"{name}: expected a number above 0 and below {most:g}, got {value}")
    figure = empty_figure(options.plot) if options.plot else None
    if options.log and options.skew:
        raise InputError("--skew: expected with a sensor; in logs, six leaning poses are enough to show the axes' skew")
    if options.log:
        rests, device = [found for log in options.log for found in _rests_in(log)], options.device
    else:
        if options.device:
            raise InputError("--device: expected with --log only; a sensor knows its own name")
        if options.sensor.lower() == PHONE:
            raise InputError("--sensor: expected a sensor that stays the same, got a phone, which calibrates itself")
        if options.sensor.lower().startswith("simulated") and not simulated_part(options.sensor)[1]:
            still = "simulated:lesson lies flat and rests for 3 s of 4"
            raise InputError(f"--sensor: expected one that comes to rest, got {options.sensor!r}, which walks; {still}")
        with open_chosen(options, calibration="none") as source:
            device = source.device_id
            rests = gather(source, plan(options.what, options.skew), timeout_s=options.timeout)
    old = _stored(device) if device else Calibration()
    try:
        result = fit(options.what, rests, old, gravity=options.gravity)
    except InputError as error:
        # Poses that are missing are no wrong usage: another try may have them.
        print(f"motionsig: {escaped(str(error))}; nothing was stored", file=sys.stderr)
        return 1
    print("\n".join(result.lines))
    if result.failure:
        print(f"motionsig: {result.failure}; nothing was stored", file=sys.stderr)
    elif device:
        print(f"stored               {save_calibration(device, result.calibration)}")
    else:
        print("not stored           --device says for which sensor")
    # Last, so that a full disk does not cost the poses.
    if figure:
        draw(figure, result, options.gravity, device or "logs")
        figure.savefig(options.plot, dpi=110)
        print(f"picture: {options.plot}", file=sys.stderr)
    return 1 if result.failure else 0


def _stored(device: str) -> Calibration:
    """Return the calibration that a device has, of which only the part that is calibrated now is replaced."""
    try:
        return load_calibration(device) or Calibration()
    except SensorError as error:
        print(f"motionsig: {escaped(str(error))}; beginning anew", file=sys.stderr)
        return Calibration()


def _rests_in(log: str) -> list[Rest]:
    rests, reason = [], f"it is shorter than {REST_S:g} s"
    with open_recording(log) as source, progress(source.info.name, source.info.samples, " samples") as bar:
        for step in find_rests(_counted(source, bar), source.rate_hz):
            if isinstance(step, Rest):
                rests.append(step)
            elif step is not None:
                reason = str(step)
    if not rests:
        raise RecordingError(f"{log}: expected a rest of {REST_S:g} s, got none; at its end: {reason}")
    print(f"{escaped(log)}: {', '.join(face_of(rest.mean[:3]) for rest in rests)}", file=sys.stderr)
    return rests


def _counted(source: Source, bar: Progress) -> Iterator[SampleBlock]:
    for block in source:
        bar.update(len(block))
        yield block
