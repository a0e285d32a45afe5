"""The poses before and after calibration, drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.cli.calibrate.result import Result
from motionsig.cli.picture import COLOURS
from motionsig.conventions import CHANNELS
from motionsig.sensors.calibration.fit import GOOD_RESIDUAL, AccelFit
from motionsig.sensors.calibration.model import Floats
from motionsig.sensors.calibration.poses import face_of
from motionsig.sensors.calibration.rest import REST_S

_MOST_DRAWN = 24
_BEFORE, _AFTER = "#dd8452", "#4c72b0"


@dataclass(frozen=True)
class _Drawn:
    """What is drawn: samples (n, 6) before and after at x (n,), where pose i takes from i to i + 1."""

    x: Floats
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    accel: AccelFit | None
    gravity: float


def _dots(axis: Any, x: Floats, y: NDArray[Any], label: str, colour: str, strength: float = 1.0) -> None:
    axis.plot(x, y, ".", markersize=2.5, color=colour, alpha=strength)
    axis.plot([], [], "o", markersize=5, color=colour, alpha=strength, label=label)


def _draw_lengths(axis: Any, drawn: _Drawn) -> None:
    for data, colour, label in ((drawn.before, _BEFORE, "before"), (drawn.after, _AFTER, "after")):
        _dots(axis, drawn.x, np.linalg.norm(data[:, :3], axis=1), label, colour)
    axis.axhline(drawn.gravity, color="black", linewidth=0.8, label=f"gravity, {drawn.gravity:.6g}")
    axis.set_ylabel("|acc|, m/s²")


def _draw_errors(axis: Any, drawn: _Drawn) -> None:
    assert drawn.accel is not None
    leaning = drawn.accel.leaning[:_MOST_DRAWN]
    errors, middle = drawn.accel.error_after[:_MOST_DRAWN], np.arange(len(leaning)) + 0.5
    axis.axhspan(-GOOD_RESIDUAL, GOOD_RESIDUAL, color="0.94", label=f"good: within {GOOD_RESIDUAL:g}", zorder=-1)
    axis.plot(middle[~leaning], errors[~leaning], "o", color=_AFTER, markerfacecolor="none", label="fitted")
    axis.plot(middle[leaning], errors[leaning], "o", color=_AFTER, label="leaning, predicted\nby the others")
    reach = 1.3 * max(GOOD_RESIDUAL, np.abs(errors).max())
    axis.set_ylim(-reach, reach)
    axis.set_ylabel("residual, m/s²")


def _draw_rates(axis: Any, drawn: _Drawn) -> None:
    for data, strength, when in ((drawn.before, 0.4, "before"), (drawn.after, 1.0, "after")):
        for channel, colour in zip((3, 4, 5), COLOURS, strict=True):
            rate = np.degrees(data[:, channel])
            _dots(axis, drawn.x, rate, f"{CHANNELS[channel]} {when}", colour, strength)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_ylabel("angular rate, deg/s")


def _draw_components(whose: str, names: Sequence[str], axis: Any, drawn: _Drawn) -> None:
    data = drawn.before if whose == "sensor's" else drawn.after
    for channel, name in enumerate(names):
        _dots(axis, drawn.x, data[:, channel], name, COLOURS[channel])
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_ylabel(f"{whose} axes, m/s²")


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
    "mount": (
        partial(_draw_components, "sensor's", ("x", "y", "z")),
        partial(_draw_components, "device's", ("x forward", "y left", "z up")),
    ),
}


def draw(figure: Any, result: Result, gravity: float, name: str) -> None:
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
    more = f"; {left_out} more are not drawn" if left_out else ""
    axes[-1].set_xlabel(f"poses, at most {REST_S:g} s of each{more}")
    axes[0].set_title(f"{name}: {_TITLES[result.what]}", loc="left")
