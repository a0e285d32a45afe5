"""The only loop: source, resampler, windower, encoder, and whoever takes the signatures.

A live run, a replay, `signatures` and `extract` differ in the source they read and in who takes the signatures, in
nothing else.
"""

from __future__ import annotations

import hashlib
import operator
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from motionsig.arrays import as_samples
from motionsig.blocks import (
    SampleBlock,
    SignatureBatch,
    Source,
    SourceInfo,
    WindowBatch,
    concatenate,
    sample_block,
)
from motionsig.closing import Closing
from motionsig.conventions import NS_PER_S
from motionsig.encoders import Encoder, open_encoder
from motionsig.errors import InputError
from motionsig.events import Event
from motionsig.model_card import ModelCard
from motionsig.plausibility.bounds import FACTORS, check_plausible, require_gyroscope
from motionsig.quality import Quality, counted, flags_of
from motionsig.resampling import Resampler
from motionsig.windowing import Windower, check_heads_hop

if TYPE_CHECKING:
    from motionsig.publishers import Sink

_BLOCK = 4096

_CHECKED_S = 60.0
"""How much of an array the check of its units looks at, as for recordings."""

_PATIENCE_S = 10.0
"""So much acceleration without any angular rate, and no gyroscope is there."""


@dataclass(frozen=True)
class Summary:
    """What a run read and made; `run` returns it.

    >>> with motionsig.open_recording("walk.npz") as source, motionsig.open_encoder() as encoder:
    ...     summary = motionsig.run(source, encoder, print)
    SignatureBatch(6 signatures ...)
    >>> summary.samples, summary.gaps, summary.windows, summary.signatures, summary.covered_s
    (1000, 0, 6, 6, 10.0)

    * `samples`: what the source delivered. `not_finite`: how many of them were lost, as they held NaN or infinity.
    * `bridged`: short losses that were filled in. `gaps`: longer losses; no window spans one.
    * `windows`, `signatures`: how many were encoded, and handed to the sink.
    * `covered_s`: seconds of the sensor's time on the grid. `elapsed_s`: seconds that the run took.
    * `model`, `device`: what made the last signatures. `on_edgetpu`: how many signatures an Edge TPU made.
    * `at_rest`, `above_grid`: how many signatures have these flags of `Quality`.
    * `events`: what heads found.
    """

    samples: int
    not_finite: int
    bridged: int
    gaps: int
    windows: int
    signatures: int
    covered_s: float
    elapsed_s: float
    model: str
    device: str
    on_edgetpu: int
    at_rest: int
    above_grid: int
    events: int = 0

    def __repr__(self) -> str:
        flagged = f"at_rest={self.at_rest}, " if self.at_rest else ""
        flagged += f"above_grid={self.above_grid}, " if self.above_grid else ""
        flagged += f"events={self.events}, " if self.events else ""
        return (
            f"Summary(signatures={self.signatures}, windows={self.windows}, samples={self.samples}, gaps={self.gaps}, "
            f"{flagged}covered_s={self.covered_s:.2f}, elapsed_s={self.elapsed_s:.2f}, "
            f"{self.model[:32]} on {self.device[:64]})"
        )


def signatures(source: Source, encoder: Encoder, *, hop: int | None = None) -> Iterator[SignatureBatch]:
    """Yield the signatures of `source` as they are made, a few windows at a time, to its end.

    >>> with motionsig.open_recording("walk.npz") as source, motionsig.open_encoder() as encoder:
    ...     for made in motionsig.signatures(source, encoder):
    ...         print(made.time[0], made.codes.shape)
    1970-01-01T00:00:00.000000000 (6, 64)

    `hop`: samples of the grid from one window to the next, in place of the model's own. The caller opens and closes
    source and encoder; what they raise passes through. Raises InputError for a rate or a hop that cannot be, and for a
    source without a gyroscope: every model needs one.
    """
    return (made.signatures for made in _Loop(source, encoder, hop))


class Judging(Protocol):
    """What `run` needs of heads: a `Head`, or many in a `motionsig.heads.Judge`."""

    def judge(self, signatures: SignatureBatch) -> list[Event]: ...

    def flush(self) -> list[Event]: ...


class Taking(Protocol):
    """What `run` needs of a sink where there are heads."""

    def publish(self, signatures: SignatureBatch) -> None: ...

    def publish_events(self, events: Sequence[Event]) -> None: ...


def run(
    source: Source,
    encoder: Encoder,
    sink: Sink | Taking | Callable[[SignatureBatch], object],
    *,
    hop: int | None = None,
    heads: Judging | None = None,
    heads_hop: int | Callable[[], int | None] | None = None,
) -> Summary:
    """Hand the `signatures` of `source` to `sink`, or to any function of one SignatureBatch, until the source ends.

    >>> with motionsig.open_recording("walk.npz") as source, motionsig.open_encoder() as encoder:
    ...     with motionsig.open_sink("store:mine.db", device="wrist") as sink:
    ...         print(motionsig.run(source, encoder, sink))
    Summary(signatures=6, windows=6, samples=1000, gaps=0, covered_s=10.00, elapsed_s=..., motion64 on cpu (...))

    `hop`: samples of the grid from one window to the next, in place of the model's own. `heads`: what judges the
    signatures; its events go to the sink's `publish_events`. `heads_hop`: samples between two windows that heads judge,
    of which `hop` is a multiple; then windows are made so often, and the sink gets those that it would get without
    heads. A function is asked again and again, so that heads may come and go while the source goes on (None: as often
    as for the sink). The caller opens and closes source, encoder and sink; what they raise passes through, and what was
    published before an error stays published. Raises InputError as `signatures` does, for a `sink` that is neither, for
    one that takes no events where there are heads, and for hops that do not go together.
    """
    if not callable(sink):
        _require(sink, "publish", "a Sink, as open_sink(url) returns, or a function")
    publish = sink.publish if hasattr(sink, "publish") else sink
    if heads is not None:
        _require(sink, "publish_events", "a Sink that takes events, as open_sink(url) returns")
    loop = _Loop(source, encoder, hop, heads_hop if callable(heads_hop) else lambda: heads_hop)
    began = time.monotonic()
    count, found, flagged = 0, 0, Counter[Quality]()
    for made in loop:
        if heads is not None and (events := heads.judge(made.signatures)):
            sink.publish_events(events)  # type: ignore[union-attr]
            found += len(events)
        kept = made.signatures
        if made.every > 1:
            kept = replace(kept[made.first :: made.every], hop_ns=made.every * kept.hop_ns)
        if len(kept):
            publish(kept)
            count += len(kept)
            flagged.update(counted(kept.quality))
    if heads is not None and (events := heads.flush()):
        sink.publish_events(events)  # type: ignore[union-attr]
        found += len(events)
    counts = loop.resampler.counts
    return Summary(
        samples=counts.samples,
        not_finite=counts.not_finite,
        bridged=counts.bridged,
        gaps=counts.gaps,
        windows=loop.windower.windows,
        signatures=count,
        covered_s=loop.windower.samples / encoder.card.rate_hz,
        elapsed_s=time.monotonic() - began,
        model=encoder.card.name,
        device=encoder.device,
        on_edgetpu=flagged[Quality.EDGE_TPU],
        at_rest=flagged[Quality.AT_REST],
        above_grid=flagged[Quality.ABOVE_GRID],
        events=found,
    )


class _Made(NamedTuple):
    """Signatures, of which the sink gets the one at `first` and each `every`-th after it."""

    signatures: SignatureBatch
    first: int
    every: int


class _Loop:
    """One pass of a source through resampler, windower and encoder.

    A small block costs what the calls for it cost, whatever it holds: so those of a live sensor wait until the next
    window can come of them.
    """

    def __init__(
        self, source: Source, encoder: Encoder, hop: int | None, heads_hop: Callable[[], int | None] = lambda: None
    ) -> None:
        """hop: of what the sink gets, None for the card's. heads_hop: gives that of what is made, None for the same."""
        _require(
            source, "rate_hz", "a Source, as open_recording(path) and open_sensor(name) return; extract takes arrays"
        )
        _require(encoder, "card", "an Encoder, as open_encoder() returns")
        card = encoder.card
        self.resampler = Resampler(source.rate_hz, grid_hz=card.rate_hz, max_gap_s=card.max_gap_s)
        self.windower = _windower(card, hop)
        self._hop, self._heads_hop = self.windower.hop, heads_hop
        self._source, self._encoder = source, encoder
        self._due_ns = 0  # of samples before, no window comes
        self._set_hop()

    def _set_hop(self) -> None:
        hop = self._heads_hop()
        if hop is not None:
            check_heads_hop(hop, hop=self._hop, length=self.windower.length)
        if (wanted := self._hop if hop is None else hop) != self.windower.hop:
            # By way of the sink's hop, of which each is a part.
            self.windower.set_hop(self._hop)
            self.windower.set_hop(wanted)

    def __iter__(self) -> Iterator[_Made]:
        labels, windower = _Labels(), self.windower
        length, step_ns = windower.length, windower.hop_ns // windower.hop
        count = 0  # grid points since the last gap
        for block in self._grid(labels):
            self._set_hop()
            hop, every = windower.hop, self._hop // windower.hop
            windows = windower.push(block)
            count = len(block) + (0 if block.gap else count)
            missing = length - count if count < length else hop - (count - length) % hop
            # A gap may come before the next window, which then needs a whole length.
            self._due_ns = int(block.time_ns[-1]) + min(missing, length) * step_ns + self.resampler.wait_ns
            if len(windows):
                yield _Made(labels.put_on(self._encoder.encode(windows)), -windows.number % every, every)

    def _grid(self, labels: _Labels) -> Iterator[SampleBlock]:
        turns, still = False, 0  # whether an angular rate was seen, and how many samples came without one
        waiting = list[SampleBlock]()
        for block in self._source:
            finite = np.isfinite(block.data)
            if not turns:
                turns = bool(finite[:, 3:].any())
                still += int(finite[:, :3].all(axis=1).sum())
                require_gyroscope(turns or still < _PATIENCE_S * self._source.rate_hz)
            # As in the resampler, a sample that is not finite is lost, and its time counts for nothing.
            time_ns = block.time_ns if finite.all() else block.time_ns[finite.all(axis=1)]
            runs_back = labels.runs_back(time_ns)
            if runs_back or block.gap:
                yield from self._resampled(waiting)
            if runs_back:
                # The times that follow may be in the run before, too, so its last windows leave before they are known.
                yield from self.resampler.flush()
                self.resampler.counts.gaps += 1
                labels.begin_run()
            labels.add(time_ns, block.label)
            waiting.append(block)
            if len(block) and block.time_ns[-1] >= self._due_ns:
                yield from self._resampled(waiting)
            else:
                # A source may use its arrays again.
                waiting[-1] = SampleBlock(block.time_ns.copy(), block.data.copy(), block.gap)
        require_gyroscope(turns or not still)
        yield from self._resampled(waiting)
        yield from self.resampler.flush()

    def _resampled(self, waiting: list[SampleBlock]) -> Iterator[SampleBlock]:
        """Yield what comes of blocks that follow one another, and empty the list."""
        if not waiting:
            return
        gap, time_ns, data = waiting[0].gap, waiting[0].time_ns, waiting[0].data
        if len(waiting) > 1:
            time_ns = np.concatenate([block.time_ns for block in waiting])
            data = np.concatenate([block.data for block in waiting])
        waiting.clear()
        # However much a source delivers at once, memory holds the windows of a few thousand samples.
        for first in range(0, max(len(time_ns), 1), _BLOCK):
            part = slice(first, first + _BLOCK)
            yield from self.resampler.push(SampleBlock(time_ns[part], data[part], gap and not first))


class _Span(NamedTuple):
    """Samples in a row under one label, from the first one's time to the last one's."""

    start_ns: int
    end_ns: int
    label: str


class _Labels:
    """Remembers which label held when, in one run of samples, until the windows of that time have come.

    In a run the time only grows: where a clock is set back a new run begins.
    """

    def __init__(self) -> None:
        self._spans = deque[_Span]()
        self._any = False

    def runs_back(self, time_ns: NDArray[np.int64]) -> bool:
        """Tell whether the next samples, taken at `time_ns`, are no later than the last one of the run."""
        return bool(self._spans and len(time_ns) and time_ns[0] <= self._spans[-1].end_ns)

    def begin_run(self) -> None:
        """Forget the run so far: all its windows have come."""
        self._spans.clear()

    def add(self, time_ns: NDArray[np.int64], label: str) -> None:
        """Take the next samples of the run."""
        self._any |= label != ""
        if len(time_ns):
            start_ns, end_ns = int(time_ns[0]), int(time_ns[-1])
            if self._spans and self._spans[-1].label == label:
                start_ns = self._spans.pop().start_ns
            self._spans.append(_Span(start_ns, end_ns, label))

    def put_on(self, made: SignatureBatch) -> SignatureBatch:
        """Return signatures of the run with the label of the sample nearest to the middle of each window.

        Unchanged before the first label.
        """
        if not self._any:
            return made
        spans = self._spans
        labels = list[str]()
        for middle_ns in (made.start_ns + made.spec.length_ns // 2).tolist():
            while len(spans) > 1 and spans[1].start_ns - middle_ns < middle_ns - spans[0].end_ns:
                spans.popleft()
            labels.append(spans[0].label)
        return replace(made, labels=np.array(labels, np.str_))


def _require(given: object, member: str, expected: str) -> None:
    if not hasattr(given, member):
        got = repr(given) if isinstance(given, str | None) else type(given).__name__
        raise InputError(f"expected {expected}, got {got}")


def _windower(card: ModelCard, hop: int | None) -> Windower:
    return Windower(length=card.length, hop=card.hop if hop is None else hop, grid_hz=card.rate_hz)


def signature_stream_id(source_stream_id: int, card: ModelCard, hop: int | None = None) -> int:
    """Return the stream id under which signatures of a stream of samples are published, 0 to 2^63 - 1.

    The same samples through the same encoder at the same hop give the same id: replayed twice they are stored once, and
    a replay of what a device recorded repeats what it published. Another model or another hop gives another id.
    hop: samples of the grid; the card's own for None.

    >>> with motionsig.open_recording("walk.npz") as source, motionsig.open_encoder() as encoder:
    ...     stream_id = motionsig.signature_stream_id(source.info.stream_id, encoder.card)
    ...     for _ in range(2):
    ...         with motionsig.open_sink("store:mine.db", device="wrist", stream_id=stream_id) as sink:
    ...             print(motionsig.run(source, encoder, sink).signatures, "made,", sink.counts.duplicates, "known")
    6 made, 0 known
    6 made, 6 known
    """
    hop = card.hop if hop is None else hop
    digest = hashlib.sha256(f"{source_stream_id} {hop} ".encode() + card.fingerprint).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, eq=False)
class _Array(Closing):
    """One continuous array as a Source; the time of sample i is computed from i."""

    data: NDArray[np.float32]
    rate_hz: float
    start_ns: int
    info: ClassVar[SourceInfo] = SourceInfo("array", "array", 0)

    def __iter__(self) -> Iterator[SampleBlock]:
        for first in range(0, len(self.data), _BLOCK):
            rows = self.data[first : first + _BLOCK]
            offset_ns = np.rint(np.arange(first, first + len(rows)) * (NS_PER_S / self.rate_hz)).astype(np.int64)
            yield sample_block(self.start_ns + offset_ns, rows)


def extract(
    data: Any,
    *,
    rate_hz: float,
    start_ns: int = 0,
    model: str | Path | None = None,
    device: str = "cpu",
    hop: int | None = None,
    encoder: Encoder | None = None,
    check_units: bool = True,
) -> SignatureBatch:
    """Return the signatures of one continuous recording, or of windows that are cut already.

    >>> motionsig.extract(data, rate_hz=100).codes.shape
    (6, 64)
    >>> windows = data[:640].reshape(5, 128, 6)  # of the model's length and rate
    >>> motionsig.extract(windows, rate_hz=50).codes.shape
    (5, 64)

    * `data`: samples (n, 6), columns acc_x, acc_y, acc_z in m/s² and gyr_x, gyr_y, gyr_z in rad/s, sensor frame; or a
      table that has columns of these names (a DataFrame); or windows (k, length, 6). A recording gives exactly what
      `run` makes of it. Samples that are not finite count as lost. Less than one window gives an empty batch.
    * `rate_hz`: samples per second, 10 to 8,000; windows are at the model's own rate.
    * `start_ns`: Unix time of the first sample, in ns.
    * `model`, `device`: as for `open_encoder`. `encoder`: an open one in their place, for many recordings.
    * `hop`: samples of the grid from one window to the next, in place of the model's own. Windows that are cut already
      get times one length apart without it.
    * `check_units`: refuse what cannot be m/s² and rad/s with gravity, as `open_recording` does.

    Raises InputError for other data, another rate, or a hop that is no whole number from 1 up; else as `open_encoder`.
    """
    samples = as_samples(data)
    try:
        start_ns = operator.index(start_ns)
    except TypeError as error:
        raise InputError(f"start_ns: expected an integer, Unix nanoseconds, got {start_ns!r}") from error
    if encoder is not None:
        _require(encoder, "card", "an Encoder, as open_encoder() returns")
        if model is not None:
            raise InputError(f"encoder: expected either an open encoder or a model, got both, {model!r} as model")
    with open_encoder(model, device) if encoder is None else nullcontext(encoder) as opened:
        if samples.ndim == 3:
            windows = _cut(samples, rate_hz, start_ns, opened.card, hop)
        else:
            # One empty batch first, so that too little data is an empty result and not a special case.
            windows = _windower(opened.card, hop).push(SampleBlock(np.empty(0, np.int64), samples[:0]))
        loop = _Loop(_Array(samples, rate_hz, start_ns), opened, hop) if samples.ndim == 2 else ()
        if check_units:
            _check_units(samples.reshape(-1, samples.shape[-1]), rate_hz)
        return concatenate([opened.encode(windows), *(made.signatures for made in loop)])


def _cut(windows: NDArray[np.float32], rate_hz: float, start_ns: int, card: ModelCard, hop: int | None) -> WindowBatch:
    """Return windows (k, length, 6) of a caller's as the encoder takes them."""
    if windows.shape[1] != card.length or rate_hz != card.rate_hz:
        raise InputError(
            f"data: expected windows of {card.length} samples at {card.rate_hz:g} Hz, as {card.name} takes them, got "
            f"{windows.shape[1]} samples at {rate_hz!r} Hz; a recording (n, 6) of any rate is resampled and cut"
        )
    lost = np.flatnonzero(~np.isfinite(windows).all(axis=(1, 2)))
    if len(lost):
        raise InputError(
            f"data: expected finite numbers in windows, got others in window {lost[0]} and {len(lost) - 1} more"
        )
    hop_ns = _windower(card, card.length if hop is None else hop).hop_ns
    start = start_ns + np.arange(len(windows), dtype=np.int64) * hop_ns
    return WindowBatch(start, windows, flags_of(windows), hop_ns)


def _check_units(samples: NDArray[np.float32], rate_hz: float) -> None:
    """Raise InputError where the first minute of what is finite cannot be m/s² and rad/s."""
    finite = samples[np.isfinite(samples).all(axis=1)]
    check_plausible(finite[: round(_CHECKED_S * rate_hz)], rate_hz, "data", remedies=FACTORS)
