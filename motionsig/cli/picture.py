"""The picture of a replay: acceleration and angular rate, and the signature under them on the same time axis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.blocks import SampleBlock, SignatureBatch, SourceInfo
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError, MissingExtraError
from motionsig.hints import install_hint
from motionsig.model_card import ModelCard

# Points along the time axis. A long log is kept as the extremes of so many intervals, so its memory is bounded.
_COLUMNS = 4096
COLOURS = ("#c44e52", "#55a868", "#4c72b0")
_LABELS = ("acceleration, m/s²", "angular rate, rad/s")
_CODES = {"cmap": "RdBu_r", "vmin": -128, "vmax": 128, "rasterized": True}


def empty_figure(path: Path) -> Any:
    """Return an empty figure; to be called before the work whose result it will show.

    Raises MissingExtraError without matplotlib, InputError for a file that it could not write.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(f"--plot needs matplotlib: {install_hint('matplotlib')}") from error
    figure = Figure(figsize=(12, 7.5), layout="constrained")
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise InputError(f"--plot: expected a file name ending in one of {', '.join(known)}, got {str(path)!r}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"--plot: expected a file that can be written, got {str(path)!r}")
    return figure


class Picture:
    """Collects samples and signatures during a replay and draws them at its end."""

    def __init__(self, figure: Any, card: ModelCard) -> None:
        self._figure, self._spec, self._max_gap_s = figure, card.spec, card.max_gap_s
        self._title, self._longest_ns = "", 0
        self._gaps_ns: list[tuple[int, int]] = []
        self._last_ns: int | None = None
        self._stride = 1  # samples per kept pair of extremes
        self._waiting = SampleBlock(np.empty(0, np.int64), np.empty((0, len(CHANNELS)), np.float32))
        self._time_ns = np.empty(0, np.int64)
        self._low = self._high = np.empty((0, len(CHANNELS)), np.float32)
        self._keep_every = 1
        self._passed = 0
        self._starts_ns = np.empty(0, np.int64)
        self._codes = np.empty((0, card.dim), np.int8)
        self._hop_ns = 0

    def begin(self, info: SourceInfo, rate_hz: float) -> None:
        """Take the title, and the time step from which on lost samples are drawn as a gap."""
        self._title = f"{info.name} ({info.format})"
        self._longest_ns = round(NS_PER_S * (1 / rate_hz + self._max_gap_s))

    def add_samples(self, block: SampleBlock) -> None:
        """Take samples as the source gives them."""
        finite = np.isfinite(block.data).all(axis=1)
        block = SampleBlock(block.time_ns[finite], block.data[finite])
        if not len(block):
            return
        steps = np.diff(block.time_ns, prepend=block.time_ns[0] if self._last_ns is None else self._last_ns)
        for row in np.flatnonzero((steps > self._longest_ns) | (steps < 0)):
            self._gaps_ns.append((int(block.time_ns[row] - steps[row]), int(block.time_ns[row])))
        self._last_ns = int(block.time_ns[-1])
        time_ns = np.concatenate([self._waiting.time_ns, block.time_ns])
        data = np.concatenate([self._waiting.data, block.data])
        whole = len(time_ns) - len(time_ns) % self._stride
        self._waiting = SampleBlock(time_ns[whole:], data[whole:])
        parts = data[:whole].reshape(-1, self._stride, len(CHANNELS))
        self._time_ns = np.concatenate([self._time_ns, time_ns[: whole : self._stride]])
        self._low = np.concatenate([self._low, parts.min(axis=1)])
        self._high = np.concatenate([self._high, parts.max(axis=1)])
        while len(self._time_ns) > 2 * _COLUMNS:
            pairs, shape = len(self._time_ns) // 2 * 2, (-1, 2, len(CHANNELS))
            self._time_ns = self._time_ns[:pairs:2]
            self._low = self._low[:pairs].reshape(shape).min(axis=1)
            self._high = self._high[:pairs].reshape(shape).max(axis=1)
            self._stride *= 2

    def add_signatures(self, signatures: SignatureBatch) -> None:
        """Take signatures as the encoder makes them."""
        first = -self._passed % self._keep_every
        self._passed += len(signatures)
        self._hop_ns = signatures.hop_ns
        self._starts_ns = np.concatenate([self._starts_ns, signatures.start_ns[first :: self._keep_every]])
        self._codes = np.concatenate([self._codes, signatures.codes[first :: self._keep_every]])
        while len(self._starts_ns) > 2 * _COLUMNS:
            self._starts_ns, self._codes = self._starts_ns[::2], self._codes[::2]
            self._keep_every *= 2

    def save(self, path: Path) -> None:
        """Draw and write the file. Raises OSError where it cannot be written."""
        first_ns = int(self._time_ns[0]) if len(self._time_ns) else 0
        seconds = (self._time_ns - first_ns) / NS_PER_S
        unit, per_unit = ("s", 1.0) if not len(seconds) or seconds[-1] < 600 else ("min", 60.0)
        if len(seconds) and seconds[-1] > 6 * 3600:
            unit, per_unit = "h", 3600.0
        axes = self._figure.subplots(3, 1, sharex=True, height_ratios=(1, 1, 1.3))
        x = seconds / per_unit
        for axis, channels, label in zip(axes, (range(3), range(3, 6)), _LABELS, strict=False):
            for channel, colour in zip(channels, COLOURS, strict=True):
                low, look = self._low[:, channel], {"color": colour, "linewidth": 0.7, "label": CHANNELS[channel]}
                if self._stride > 1:
                    axis.fill_between(x, low, self._high[:, channel], **look)
                else:
                    axis.plot(x, low, **look)
            axis.set_ylabel(label)
            # Above the axes: the curves leave no corner free.
            axis.legend(loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=3, frameon=False, fontsize="small")
            axis.spines[["top", "right"]].set_visible(False)
        self._draw_codes(axes[2], first_ns, per_unit)
        for axis in axes:
            # Over the curves, which would bridge the gap with a straight line.
            for first, last in self._gaps_ns:
                span = ((edge - first_ns) / NS_PER_S / per_unit for edge in (first, last))
                axis.axvspan(*span, color="0.82", linewidth=0, zorder=3)
        gaps = f", {len(self._gaps_ns)} gaps in grey" if self._gaps_ns else ""
        axes[0].set_title(self._title + gaps, loc="left")
        axes[2].set_xlabel(f"time since the first sample, {unit}")
        self._figure.savefig(path, dpi=110)

    def _draw_codes(self, axis: Any, first_ns: int, per_unit: float) -> None:
        motion, dim = self._spec.motion_dim, self._spec.quantization.dim
        if len(self._starts_ns):
            # A signature is drawn in the middle of its window, as wide as the hop.
            middle = (self._starts_ns - first_ns + self._spec.length_ns // 2) / NS_PER_S
            step = self._keep_every * self._hop_ns / NS_PER_S
            breaks = np.flatnonzero(np.abs(np.diff(middle) - step) > step / 2)
            for first, last in zip((0, *(breaks + 1)), (*(breaks + 1), len(middle)), strict=True):
                edges = np.append(middle[first:last] - step / 2, middle[last - 1] + step / 2) / per_unit
                mesh = axis.pcolormesh(edges, np.arange(dim + 1), self._codes[first:last].T, **_CODES)
            self._figure.colorbar(mesh, ax=axis, label="code", pad=0.01, fraction=0.03)
        axis.axhline(motion, color="black", linewidth=0.8)
        axis.set_yticks([motion / 2, (motion + dim) / 2], ["motion", "posture"], rotation=90, va="center")
        axis.set_ylim(dim, 0)
        axis.set_ylabel("signature")
