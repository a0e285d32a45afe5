"""The picture of a replay: labels, samples, signatures and which of them are alike, on one time axis.

Colours are Okabe and Ito's (2008), which stay apart for colour-blind readers; where a colour means a group, a letter
says so, too. A long log is kept as the extremes of so many intervals, so memory is bounded whatever its length.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, SignatureBatch, SourceInfo
from motionsig.cli.alike import letter
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError, MissingExtraError
from motionsig.hints import install_hint
from motionsig.model_card import ModelCard

_COLUMNS = 4096  # points along the time axis
_MOST_SPANS = 1024  # labels and gaps: of more, the longest
_LEAST_CHARS = 3  # of a label that is cut short
_ACROSS_CHARS = 100  # about as many fit side by side over the whole time
_LINE_PX, _MARGIN_PX = 22, 3

COLOURS = ("#0072B2", "#E69F00", "#404040")
_QUANTITIES = ("acceleration\nm/s²", "angular rate\nrad/s")
_GROUPS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_DARK = ("#0072B2", "#009E73", "#D55E00")
_HATCHES = ("", "///", "...", "xxx")  # of the second seven groups, the third, ...
_LEGEND = "\nSame letter: windows that are alike, by their motion codes. Grey: windows like few others."
_NO_GROUP, _GAP, _LABEL = "0.91", "0.82", ("0.93", "0.86")
_CODES = {"cmap": "RdBu_r", "vmin": -128, "vmax": 128, "rasterized": True}
# Large enough to be read where the picture is shown at half its size.
_DPI = 110
_STYLE: dict[Any, Any] = {
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "text.parse_math": False,  # names are no formulas
}


class _Span(NamedTuple):
    start_ns: int
    end_ns: int
    name: str = ""


@dataclass(frozen=True)
class _Time:
    """The time axis: what a Unix time is on it."""

    first_ns: int
    unit: str
    unit_s: float

    def __call__(self, time_ns: Any) -> Any:
        return (time_ns - self.first_ns) / (NS_PER_S * self.unit_s)


def empty_figure(path: Path) -> Any:
    """Return an empty figure; to be called before the work whose result it will show.

    Raises MissingExtraError without matplotlib, InputError for a file that it could not write.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(f"--plot needs matplotlib: {install_hint('matplotlib')}") from error
    figure = Figure(figsize=(12, 7.5), dpi=_DPI, layout="constrained")
    known = sorted(set(figure.canvas.get_supported_filetypes()) - {"pgf"})  # pgf needs a TeX installation
    if path.suffix.lstrip(".").lower() not in known:
        others = f"matplotlib also writes {', '.join(known)}"
        raise InputError(f"--plot: expected a file name ending in .png, .svg or .pdf, got {str(path)!r}; {others}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"--plot: expected a file that can be written, got {str(path)!r}")
    return figure


def _plain(text: str) -> str:
    """Return a text in one line without what cannot be printed, such as control characters, which no SVG may hold."""
    return "".join(filter(str.isprintable, " ".join(text.split())))


def _time_axis(first_ns: int, last_ns: int) -> _Time:
    seconds = (last_ns - first_ns) / NS_PER_S
    if seconds < 600:
        return _Time(first_ns, "s", 1)
    return _Time(first_ns, "min", 60) if seconds <= 6 * 3600 else _Time(first_ns, "h", 3600)


def _longest(spans: list[_Span]) -> list[_Span]:
    """Return the spans in their order; of too many, the longer half, and the last, which may still grow."""
    if len(spans) <= 2 * _MOST_SPANS:
        return spans
    by_length = sorted(range(len(spans) - 1), key=lambda row: spans[row].start_ns - spans[row].end_ns)
    return [spans[row] for row in sorted(by_length[:_MOST_SPANS])] + spans[-1:]


def _bars(axis: Any, edges: Sequence[tuple[float, float]], **look: Any) -> None:
    """Draw bars from one x to another over the whole height of the axis, as one thing, however many they are."""
    from matplotlib.collections import PolyCollection

    corners = [[(first, 0), (first, 1), (last, 1), (last, 0)] for first, last in edges]
    axis.add_collection(PolyCollection(corners, transform=axis.get_xaxis_transform(), **look), autolim=False)


def _write(axis: Any, first: float, last: float, name: str, *, upright: bool = False, **look: Any) -> bool:
    """Write a name between two x, in two lines or shortened where it has to be; tell whether there was room."""
    across = np.ptp(axis.transData.transform([(first, 0), (last, 0)])[:, 0])
    room = axis.bbox.height if upright else across
    if across < (_LINE_PX if upright else _LINE_PX / 2):
        return False
    middle, above = (first + last) / 2, axis.get_xaxis_transform()
    look |= {"ha": "center", "va": "center", "rotation": 90 * upright, "transform": above}
    text = axis.text(middle, 0.5 if upright else 0.47, name, **look)

    def fits(shown: str) -> bool:
        text.set_text(shown)
        box = text.get_window_extent()
        return bool((box.height if upright else box.width) <= room - _MARGIN_PX)

    if fits(name):
        return True
    chars = int(len(name) * room / max(text.get_window_extent().width, text.get_window_extent().height))
    if " " in name and across > 2 * _LINE_PX:
        # At the space that is nearest to the middle.
        _, cut = min((abs(2 * at - len(name)), at) for at, char in enumerate(name) if char == " ")
        if fits(f"{name[:cut]}\n{name[cut + 1 :]}"):
            return True
    for kept in range(min(chars, len(name) - 1), _LEAST_CHARS - 1, -1):
        if fits(f"{name[:kept].rstrip()}…"):
            return True
    text.remove()
    return False


def _upright(labels: list[_Span], whole_ns: int) -> bool:
    """Tell whether most of the names have more room if they are written from bottom to top."""
    shares = [(_ACROSS_CHARS * (span.end_ns - span.start_ns) / whole_ns, span.name) for span in labels]
    wide = [max(map(len, name.split())) > chars for chars, name in shares if chars >= 2]
    return 2 * sum(wide) > len(wide)


def _draw_labels(axis: Any, time: _Time, labels: list[_Span], *, upright: bool) -> Callable[[], None]:
    """Draw the spans of the labels; return what writes the names once all has its place."""
    edges = [(time(span.start_ns), time(span.end_ns)) for span in labels]
    for parity, grey in enumerate(_LABEL):
        _bars(axis, edges[parity::2], facecolor=grey, edgecolor="none")
    _bare(axis, "label")

    def names() -> None:
        for span, (first, last) in zip(labels, edges, strict=True):
            _write(axis, first, last, span.name, upright=upright)

    return names


def _bare(axis: Any, name: str) -> None:
    """Leave of an axis only its name, at the left."""
    axis.set_yticks([0.5], [name])
    axis.tick_params(left=False, bottom=False)
    axis.set_ylim(0, 1)
    axis.spines[:].set_visible(False)


def _runs(breaks: NDArray[np.bool_]) -> list[slice]:
    """Return the runs of k rows, where `breaks` (k - 1,) tells which row does not go on in the next."""
    ends = [*(np.flatnonzero(breaks) + 1).tolist(), len(breaks) + 1]
    return [slice(first, last) for first, last in zip([0, *ends], ends, strict=False)]


def _edges(signatures: SignatureBatch) -> NDArray[np.int64]:
    """Return from when to when each signature is drawn (k, 2): in the middle of its window, as long as the hop."""
    first = signatures.start_ns + (signatures.spec.length_ns - signatures.hop_ns) // 2
    edges = np.stack([first, first + signatures.hop_ns], axis=1)
    near = np.abs(edges[1:, 0] - edges[:-1, 1]) <= signatures.hop_ns // 2
    edges[:-1, 1][near] = edges[1:, 0][near]
    return edges


def _draw_codes(axis: Any, edges: NDArray[np.float64], signatures: SignatureBatch) -> Any:
    """Draw each signature between its `edges` (k, 2), nothing between two that do not touch; return the mesh."""
    pieces = _runs(edges[1:, 0] != edges[:-1, 1])
    x = np.concatenate([np.append(edges[piece, 0], edges[piece, 1][-1]) for piece in pieces])
    hole = np.full((1, signatures.codes.shape[1]), np.nan, np.float32)
    codes = np.concatenate([part for piece in pieces for part in (signatures.codes[piece], hole)])[:-1]
    mesh = axis.pcolormesh(x, np.arange(codes.shape[1] + 1), codes.T, **_CODES)
    motion, dim = signatures.spec.motion_dim, codes.shape[1]
    axis.axhline(motion, color="black", linewidth=0.8)
    axis.set_yticks([motion / 2, (motion + dim) / 2], ["motion", "posture"])
    axis.set_ylim(dim, 0)
    return mesh


def _draw_groups(axis: Any, edges: NDArray[np.float64], groups: NDArray[np.intp]) -> Callable[[], None]:
    """Draw which windows are alike; return what writes the letters once all has its place."""
    runs = _runs((groups[1:] != groups[:-1]) | (edges[1:, 0] != edges[:-1, 1]))
    spans = [(edges[run, 0][0], edges[run, 1][-1]) for run in runs]
    numbers = [int(groups[run.start]) for run in runs]
    for number in sorted(set(numbers)):
        colour = _GROUPS[number % len(_GROUPS)] if number >= 0 else _NO_GROUP
        hatch = _HATCHES[max(number, 0) // len(_GROUPS)]
        chosen = [span for span, other in zip(spans, numbers, strict=True) if other == number]
        look = {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        _bars(axis, chosen, label=letter(number) if number >= 0 else "", **look)
    _bare(axis, "alike")

    def letters() -> None:
        written = set[int]()
        for (first, last), number in zip(spans, numbers, strict=True):
            colour = "white" if _GROUPS[number % len(_GROUPS)] in _DARK else "black"
            if number >= 0 and _write(axis, first, last, letter(number), color=colour, weight="bold"):
                written.add(number)
        if len(written) <= groups.max():
            look = {"ncols": int(groups.max()) + 1, "handlelength": 0.9, "columnspacing": 0.7, "handletextpad": 0.25}
            axis.legend(loc="lower left", bbox_to_anchor=(0, 0.95), borderpad=0, frameon=False, **look)

    return letters


class Picture:
    """Collects samples during a replay and draws them with its signatures at its end."""

    def __init__(self, figure: Any, card: ModelCard) -> None:
        self._figure, self._max_gap_s = figure, card.max_gap_s
        self._needed = f"no signature: one needs {card.spec.length_ns / NS_PER_S:g} s without a gap"
        self._title, self._longest_ns = "", 0
        self._gaps, self._gap_count = list[_Span](), 0
        self._labels = list[_Span]()
        self._last_ns: int | None = None
        self._ends_ns: tuple[int, int] | None = None  # the earliest and the latest, for the clock may be set back
        self._set_back = False
        self._stride = 1  # samples per kept pair of extremes
        self._waiting = SampleBlock(np.empty(0, np.int64), np.empty((0, len(CHANNELS)), np.float32))
        self._time_ns = np.empty(0, np.int64)
        self._low = self._high = np.empty((0, len(CHANNELS)), np.float32)

    def begin(self, info: SourceInfo, rate_hz: float) -> None:
        """Take the title, and the time step from which on lost samples are drawn as a gap."""
        self._title = _plain(f"{info.name} ({info.format})")
        self._longest_ns = round(NS_PER_S * (1 / rate_hz + self._max_gap_s))

    def add_samples(self, block: SampleBlock) -> None:
        """Take samples as the source gives them."""
        finite = np.isfinite(block.data).all(axis=1)
        block = SampleBlock(block.time_ns[finite], block.data[finite], label=block.label)
        if not len(block):
            return
        steps = np.diff(block.time_ns, prepend=block.time_ns[0] if self._last_ns is None else self._last_ns)
        gaps = np.flatnonzero(steps > self._longest_ns)
        self._gap_count += len(gaps)
        ends_ns = block.time_ns[gaps].tolist()
        starts_ns = (block.time_ns[gaps] - steps[gaps]).tolist()
        self._gaps = _longest(self._gaps + [_Span(*span) for span in zip(starts_ns, ends_ns, strict=True)])
        self._add_label(block, [0, *np.flatnonzero((steps > self._longest_ns) | (steps < 0)).tolist()])
        self._set_back |= bool((steps < 0).any())
        self._last_ns = int(block.time_ns[-1])
        first_ns, last_ns = self._ends_ns or (self._last_ns, self._last_ns)
        self._ends_ns = min(first_ns, int(block.time_ns.min())), max(last_ns, int(block.time_ns.max()))
        self._add_extremes(block)

    def _add_label(self, block: SampleBlock, firsts: list[int]) -> None:
        name = _plain(block.label)
        for first, last in zip(firsts, [*firsts[1:], len(block)], strict=True):
            if not name or first == last:
                continue
            span = _Span(int(block.time_ns[first]), int(block.time_ns[last - 1]), name)
            follows = self._labels and self._labels[-1].name == name and self._labels[-1].end_ns == self._last_ns
            if follows and 0 <= span.start_ns - self._labels[-1].end_ns <= self._longest_ns:
                span = span._replace(start_ns=self._labels.pop().start_ns)
            self._labels.append(span)
        self._labels = _longest(self._labels)

    def _add_extremes(self, block: SampleBlock) -> None:
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

    def save(self, path: Path, signatures: SignatureBatch | None, groups: NDArray[np.intp]) -> None:
        """Draw and write the file. Raises OSError where it cannot be written.

        signatures: as many as shall be drawn, None where there are none; groups: which of them are alike.
        """
        import matplotlib as mpl

        with mpl.rc_context(_STYLE), warnings.catch_warnings():
            # A name in a script that the font does not have. Some versions of matplotlib warn of it in two ways.
            warnings.filterwarnings("ignore", "Glyph .* missing from|Matplotlib currently does not support .* natively")
            self._draw(signatures, groups)
            self._figure.savefig(path, dpi=_DPI)

    def _draw(self, signatures: SignatureBatch | None, groups: NDArray[np.intp]) -> None:
        ends_ns = self._ends_ns or (0, 0)
        time = _time_axis(*ends_ns)
        upright = _upright(self._labels, max(1, ends_ns[1] - ends_ns[0]))
        ratios = {"label": 0.85 if upright else 0.26, "acc": 1.0, "gyr": 1.0, "codes": 1.3, "groups": 0.16}
        if not self._labels:
            del ratios["label"]
        if signatures is None:
            del ratios["groups"]
        drawn = self._figure.subplots(len(ratios), 1, sharex=True, height_ratios=tuple(ratios.values()))
        axes = dict(zip(ratios, drawn, strict=True))
        writers = []
        if self._labels:
            writers.append(_draw_labels(axes["label"], time, self._labels, upright=upright))
        self._draw_samples(axes["acc"], time, range(3), _QUANTITIES[0])
        self._draw_samples(axes["gyr"], time, range(3, 6), _QUANTITIES[1])
        if signatures is None:
            axes["codes"].text(0.5, 0.5, self._needed, ha="center", transform=axes["codes"].transAxes)
            axes["codes"].set_yticks([])
        else:
            edges = time(_edges(signatures))
            mesh = _draw_codes(axes["codes"], edges, signatures)
            self._figure.colorbar(mesh, ax=axes["codes"], label="code", pad=0.01, fraction=0.03)
            writers.append(_draw_groups(axes["groups"], edges, groups))
        axes["codes"].set_ylabel("signature")
        gaps = [(time(gap.start_ns), time(gap.end_ns)) for gap in self._gaps]
        for name in ("acc", "gyr", "codes"):
            # Over the curves, which would bridge the gap with a straight line.
            _bars(axes[name], gaps, facecolor=_GAP, edgecolor=_GAP, linewidth=0.3, zorder=3)
        counted = f", {self._gap_count} gap{'s' if self._gap_count > 1 else ''} in grey" if self._gap_count else ""
        set_back = ", the clock was set back" if self._set_back else ""
        drawn[0].set_title(self._title + counted + set_back)
        drawn[-1].set_xlabel(f"time since the first sample, {time.unit}" + ("" if signatures is None else _LEGEND))
        drawn[-1].set_xlim(0, time(ends_ns[1]) or 1)
        # Only now it is known how much room there is for names.
        self._figure.draw_without_rendering()
        for write in writers:
            write()

    def _draw_samples(self, axis: Any, time: _Time, channels: range, quantity: str) -> None:
        # No line from the last sample before the clock was set back to the first one after it.
        back = np.flatnonzero(np.diff(self._time_ns) < 0) + 1
        x = np.insert(time(self._time_ns), back, np.nan)
        for channel, colour in zip(channels, COLOURS, strict=True):
            low, high = (np.insert(values[:, channel], back, np.nan) for values in (self._low, self._high))
            look = {"color": colour, "linewidth": 0.9, "label": CHANNELS[channel][-1]}
            if self._stride > 1:
                axis.fill_between(x, low, high, alpha=0.8, **look)
            else:
                axis.plot(x, low, **look)
        axis.set_ylabel(quantity)
        # Beside the axes: the curves leave no corner free.
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=1, borderpad=0)
        axis.spines[["top", "right"]].set_visible(False)
