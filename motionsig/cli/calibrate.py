"""`motionsig calibrate`: what one sensor gets wrong, found by letting it lie still, and stored for it."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, Source
from motionsig.cli.progress import Progress, progress
from motionsig.cli.sensor_options import add_sensor_options, open_chosen
from motionsig.conventions import CHANNELS, STANDARD_GRAVITY
from motionsig.errors import InputError, MissingExtraError, RecordingError, SensorError
from motionsig.recordings import open_recording
from motionsig.sensors.calibration import (
    CELL_S,
    GOOD_RESIDUAL,
    MOUNT_ANGLE_DEG,
    REST_S,
    AccelFit,
    Calibration,
    Rest,
    angle_deg,
    face_of,
    find_rests,
    fit_accelerometer,
    fit_gyro_bias,
    fit_mount,
    is_leaning,
    load_calibration,
    missing_faces,
    save_calibration,
    untested_faces,
)

Floats = NDArray[np.float64]

Plan = Callable[[Floats], tuple[int, str]]
"""From the poses so far, (k, 3) m/s², to how much is left to do and what comes next. A good pose makes it less."""

_SKEW_POSES, _SKEW_APART_DEG = 6, 40.0
_MOST_DRAWN = 24
_AXES = ("#c44e52", "#55a868", "#4c72b0")
_BEFORE, _AFTER = "#dd8452", "#4c72b0"


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "calibrate",
        help="a sensor's bias, scale and mounting, from a few poses at rest",
        description=f"{__doc__} By default gyroscope and accelerometer, from six faces and two leaning poses that "
        "prove the result. Each pose is found by itself once it has been still for two seconds.",
    )
    add_sensor_options(parser)
    parser.add_argument(
        "--log",
        nargs="+",
        metavar="LOG",
        help="in place of a sensor: recordings that hold the poses, made with --calibration none",
    )
    parser.add_argument("--device", metavar="ID", help="with --log: the sensor to store it for, else it is only shown")
    what = parser.add_mutually_exclusive_group()
    for name, text in (
        ("gyro", "only the gyroscope's bias, from one pose"),
        ("accel", "only the accelerometer"),
        ("mount", "how the sensor lies in the device (x forward, y left, z up), from two poses"),
    ):
        what.add_argument(f"--{name}", dest="what", action="store_const", const=name, help=text)
    parser.add_argument("--skew", action="store_true", help="ask for six leaning poses, which tell the axes' skew, too")
    parser.add_argument(
        "--gravity", type=float, default=STANDARD_GRAVITY, metavar="G", help="here, in m/s²; %(default)s by default"
    )
    parser.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="give up after S seconds without a new pose"
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the poses before and after")
    parser.set_defaults(command=_calibrate, what="all")


def _calibrate(options: argparse.Namespace) -> int:
    for name, value, most in (("--gravity", options.gravity, 20.0), ("--timeout", options.timeout, math.inf)):
        if not 0 < value < most:
            raise InputError(f"{name}: expected a number above 0, got {value}")
    figure = _figure(options.plot) if options.plot else None
    if options.log and options.skew:
        raise InputError("--skew: expected with a sensor; in logs, six leaning poses are enough to tell the axes' skew")
    if options.log:
        rests, device = [found for log in options.log for found in _rests_in(log)], options.device
    else:
        if options.device:
            raise InputError("--device: expected with --log only; a sensor knows its own name")
        with open_chosen(options, calibration="none") as source:
            device = source.device_id
            rests = gather(source, _plan(options.what, options.skew), timeout_s=options.timeout)
    old = _stored(device) if device else Calibration()
    try:
        result = fit(options.what, rests, old, gravity=options.gravity)
    except InputError as error:
        # What the poses lack is no wrong usage: another try may do.
        print(f"motionsig: {error}; nothing was stored", file=sys.stderr)
        return 1
    print("\n".join(result.lines))
    if figure:
        _draw(figure, result, options.gravity, device or "logs")
        figure.savefig(options.plot, dpi=110)
        print(f"picture: {options.plot}", file=sys.stderr)
    if result.failure:
        print(f"motionsig: {result.failure}; nothing was stored", file=sys.stderr)
        return 1
    if device:
        print(f"stored               {save_calibration(device, result.calibration)}")
    else:
        print("not stored           --device says for which sensor")
    return 0


def _stored(device: str) -> Calibration:
    """Return what is known already of a device: only what is calibrated now is replaced."""
    try:
        return load_calibration(device) or Calibration()
    except SensorError as error:
        print(f"motionsig: {error}; beginning anew", file=sys.stderr)
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
    print(f"{log}: {', '.join(face_of(rest.mean[:3]) for rest in rests)}", file=sys.stderr)
    return rests


def _counted(source: Source, bar: Progress) -> Iterator[SampleBlock]:
    for block in source:
        bar.update(len(block))
        yield block


def _plan(what: str, skew: bool) -> Plan:
    return {"gyro": _one_pose, "mount": _two_poses}.get(what, _all_faces_and_skew if skew else _all_faces)


def _one_pose(poses: Floats) -> tuple[int, str]:
    return 1 - len(poses), "lay it on something solid and leave it alone"


def _two_poses(poses: Floats) -> tuple[int, str]:
    if not len(poses):
        return 2, "put the device level, as it is when worn or mounted"
    if len(poses) > 1 and MOUNT_ANGLE_DEG <= angle_deg(poses[0], poses[1]) <= 180 - MOUNT_ANGLE_DEG:
        return 0, ""
    return 1, "tilt its front up, by 45 degrees or so, and prop it"


def _all_faces(poses: Floats) -> tuple[int, str]:
    missing, untested = missing_faces(poses), untested_faces(poses)
    text = f"lay it on another face, in any order; still to come: {', '.join(missing)}"
    if not missing:
        towards = {face[0]: face for face in reversed(untested)}
        text = f"lean it on a corner, with these axes well off level: {', '.join(sorted(towards.values()))}"
    return len(missing) + len(untested), text


def _all_faces_and_skew(poses: Floats) -> tuple[int, str]:
    left, text = _all_faces(poses)
    distinct: list[Floats] = []
    for pose in poses[is_leaning(poses)] if len(poses) else ():
        if all(angle_deg(pose, other) >= _SKEW_APART_DEG for other in distinct):
            distinct.append(pose)
    more = max(_SKEW_POSES - len(distinct), 0)
    return left + more, text if left else f"lean it in another way, on an edge; {more} more"


def gather(source: Source, plan: Plan, *, timeout_s: float) -> list[Rest]:
    """Ask for one pose after the other on standard error, and return those of use.

    Raises SensorError after `timeout_s` of samples without a new one.
    """
    rests: list[Rest] = []
    left, text = plan(np.empty((0, 3)))
    say, show = _teller()
    say(text)
    waited_s, reason = 0.0, ""
    for step in find_rests(source, source.rate_hz):
        waited_s += CELL_S
        if isinstance(step, Rest):
            poses = np.array([rest.mean[:3] for rest in (*rests, step)])
            name = face_of(poses[-1])
            left_now, text_now = plan(poses)
            if left_now < left:
                rests.append(step)
                left, text, waited_s = left_now, text_now, 0.0
                say(f"pose {len(rests)}: {name}, |acc| {np.linalg.norm(poses[-1]):.3f} m/s²")
                if not left:
                    return rests
                say(text)
            else:
                say(f"{name} again: that one is there already; {text}")
        elif step is not None:
            reason = str(step)
            show(f"waiting for {REST_S:g} s at rest: {reason}")
        if waited_s > timeout_s:
            raise SensorError(f"calibrate: expected a new pose within {timeout_s:g} s, got none; {text}; {reason}")
    raise SensorError(f"calibrate: expected poses, got the end of the samples; {text}; {reason}")


def _teller() -> tuple[Callable[[str], None], Callable[[str], None]]:
    """Return what says a line on standard error, and what shows one there for a moment if it is a terminal."""
    moving = sys.stderr.isatty()
    clear = "\r\x1b[2K" if moving else ""

    def say(text: str) -> None:
        print(clear + text, file=sys.stderr, flush=True)

    def show(text: str) -> None:
        if moving:
            print(clear + text[: shutil.get_terminal_size().columns - 1], end="", file=sys.stderr, flush=True)

    return say, show


@dataclass(frozen=True)
class Result:
    """What came of it. lines: for people. failure: why it is not to be stored. accel: where that was fitted."""

    what: str
    rests: Sequence[Rest]
    calibration: Calibration
    lines: Sequence[str]
    failure: str | None = None
    accel: AccelFit | None = None


def fit(what: str, rests: Sequence[Rest], old: Calibration, *, gravity: float) -> Result:
    """Return what the poses say: `what` is gyro, accel, mount or all; `old` holds what is not fitted.

    Raises InputError where poses are missing or cannot be what they should.
    """
    means = np.array([rest.mean for rest in rests])
    new, lines, failure, accel = replace(old, when_s=time.time()), [], None, None
    if what == "gyro" or (what == "all" and np.isfinite(means[:, 3:]).all()):
        new = replace(new, gyro_bias=fit_gyro_bias(means[:, 3:]))
        lines.append(f"gyroscope bias       {_row(new.gyro_bias)} rad/s ({_row(np.degrees(new.gyro_bias))} deg/s)")
    if what in ("accel", "all"):
        accel = fit_accelerometer(means[:, :3], gravity=gravity)
        failure = accel.failure
        new = replace(
            new,
            accel_bias=accel.bias,
            accel_matrix=accel.matrix,
            residual_before=accel.residual_before,
            residual_after=accel.residual_after,
            poses=len(rests),
        )
        lines += _accel_lines(accel)
    if what == "mount":
        if len(means) < 2:
            raise InputError(f"mount: expected two poses, level and with the front tilted up, got {len(means)}")
        level, nose_up = (means[:2, :3] - old.accel_bias) @ old.accel_matrix.T
        new = replace(new, mount=fit_mount(level, nose_up))
        rows = "; ".join(", ".join(f"{value + 0.0:.4f}" for value in row) for row in new.mount)
        lines.append(f"mount                {rows}")
        lines.append(f"front tilted up by   {angle_deg(level, nose_up):.1f} degrees")
    return Result(what, rests, new, lines, failure, accel)


def _accel_lines(accel: AccelFit) -> list[str]:
    skew = accel.matrix[(0, 0, 1), (1, 2, 2)]
    poses, leaning = len(accel.leaning), int(accel.leaning.sum())
    lines = [
        f"accelerometer bias   {_row(accel.bias)} m/s²",
        f"accelerometer scale  {'  '.join(f'{value:.4f}' for value in np.diag(accel.matrix))}"
        + (f", skew xy xz yz {_row(skew)}" if skew.any() else ""),
        f"|acc| before         off by {accel.residual_before:.3f} m/s² in the worst of {poses} poses",
    ]
    if leaning:
        verdict = "not good" if accel.failure else "good"
        lines.append(
            f"|acc| after          off by {accel.residual_after:.3f} m/s² in the worst of {leaning} leaning poses, "
            f"each predicted by the other poses: {verdict} (at most {GOOD_RESIDUAL:g})"
        )
        if accel.untested:
            lines.append(f"                     no pose leans towards {', '.join(accel.untested)}: not proven there")
    return lines


def _row(values: Iterable[float]) -> str:
    return "  ".join(f"{value:+.4f}" for value in values)


def _figure(path: Path) -> Any:
    """Return an empty figure, before anybody has turned a sensor round for it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("--plot needs matplotlib: pip install 'motionsig[plot]'") from error
    figure = Figure(figsize=(12, 7.5), layout="constrained")
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise InputError(f"--plot: expected a file name ending in one of {', '.join(known)}, got {str(path)!r}")
    return figure


def _draw(figure: Any, result: Result, gravity: float, name: str) -> None:
    """Draw the samples of the poses side by side, before and after."""
    rests = result.rests[:_MOST_DRAWN]
    before = np.concatenate([rest.data for rest in rests])
    x = np.concatenate([pose + np.linspace(0.05, 0.95, len(rest.data)) for pose, rest in enumerate(rests)])
    drawn = _Drawn(x, before, result.calibration.apply(before), result.accel, gravity)
    gyro = np.isfinite(before[:, 3:]).any()
    panels = [panel for panel in _PANELS[result.what] if gyro or panel is not _draw_rates]
    figure.set_size_inches(12, 1 + 2.5 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        panel(axis, drawn)
        # Beside the axes: the curves leave no corner free.
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
        axis.spines[["top", "right"]].set_visible(False)
        for edge in range(1, len(rests)):
            axis.axvline(edge, color="0.85", linewidth=0.8, zorder=0)
    names = [face_of(rest.mean[:3]) for rest in rests]
    axes[-1].set_xticks(np.arange(len(names)) + 0.5, names)
    axes[-1].set_xlim(0, len(names))
    left_out = len(result.rests) - len(rests)
    axes[-1].set_xlabel(
        f"poses, at most {REST_S:g} s of each" + (f"; {left_out} more are not drawn" if left_out else "")
    )
    axes[0].set_title(f"{name}: {_TITLES[result.what]}", loc="left")


@dataclass(frozen=True)
class _Drawn:
    """What is drawn: samples (n, 6) before and after at x (n,), where pose i takes from i to i + 1."""

    x: Floats
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    accel: AccelFit | None
    gravity: float


def _draw_lengths(axis: Any, drawn: _Drawn) -> None:
    for data, colour, label in ((drawn.before, _BEFORE, "before"), (drawn.after, _AFTER, "after")):
        axis.plot(drawn.x, np.linalg.norm(data[:, :3], axis=1), ".", markersize=2.5, color=colour)
        axis.plot([], [], "o", markersize=5, color=colour, label=label)
    axis.axhline(drawn.gravity, color="black", linewidth=0.8, label=f"gravity, {drawn.gravity:.6g}")
    axis.set_ylabel("|acc|, m/s²")


def _draw_errors(axis: Any, drawn: _Drawn) -> None:
    assert drawn.accel is not None
    leaning = drawn.accel.leaning[:_MOST_DRAWN]
    errors = drawn.accel.error_after[:_MOST_DRAWN]
    middle = np.arange(len(errors)) + 0.5
    axis.axhspan(-GOOD_RESIDUAL, GOOD_RESIDUAL, color="0.94", label=f"good: within {GOOD_RESIDUAL:g}", zorder=-1)
    axis.plot(middle[~leaning], errors[~leaning], "o", color=_AFTER, markerfacecolor="none", label="fitted")
    axis.plot(middle[leaning], errors[leaning], "o", color=_AFTER, label="leaning, predicted\nby the others")
    reach = 1.3 * max(GOOD_RESIDUAL, np.abs(errors).max())
    axis.set_ylim(-reach, reach)
    axis.set_ylabel("residual, m/s²")


def _draw_rates(axis: Any, drawn: _Drawn) -> None:
    for data, strength, when in ((drawn.before, 0.4, "before"), (drawn.after, 1.0, "after")):
        for channel in (3, 4, 5):
            # A line over all would join the poses.
            axis.plot(
                drawn.x, np.degrees(data[:, channel]), ".", markersize=2.5, color=_AXES[channel - 3], alpha=strength
            )
            label = f"{CHANNELS[channel]} {when}"
            axis.plot([], [], "o", markersize=5, color=_AXES[channel - 3], alpha=strength, label=label)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_ylabel("angular rate, deg/s")


def _draw_sensor_axes(axis: Any, drawn: _Drawn) -> None:
    _draw_components(axis, drawn.x, drawn.before, ("x", "y", "z"))
    axis.set_ylabel("sensor's axes, m/s²")


def _draw_device_axes(axis: Any, drawn: _Drawn) -> None:
    _draw_components(axis, drawn.x, drawn.after, ("x forward", "y left", "z up"))
    axis.set_ylabel("device's axes, m/s²")


def _draw_components(axis: Any, x: Floats, data: NDArray[np.float32], names: Sequence[str]) -> None:
    for channel, name in enumerate(names):
        axis.plot(x, data[:, channel], ".", markersize=2.5, color=_AXES[channel])
        axis.plot([], [], "o", markersize=5, color=_AXES[channel], label=name)
    axis.axhline(0, color="black", linewidth=0.8)


_TITLES = {
    "all": "accelerometer and gyroscope before and after calibration",
    "accel": "accelerometer before and after calibration",
    "gyro": "gyroscope at rest before and after calibration",
    "mount": "level and with the front tilted up, before and after the mount",
}
_PANELS: dict[str, tuple[Callable[[Any, _Drawn], None], ...]] = {
    "all": (_draw_lengths, _draw_errors, _draw_rates),
    "accel": (_draw_lengths, _draw_errors),
    "gyro": (_draw_rates,),
    "mount": (_draw_sensor_axes, _draw_device_axes),
}
