"""From a file's rows to a Source: one place for everything that must hold of samples, whatever file they stood in.

A reader gives times and six channels in SI units; `recorded` learns the rate from the first minute and refuses what
cannot be right (gravity removed, g taken for m/s²); its Source cuts the rows into blocks. A row whose time stands still
is dropped, one whose time runs backwards comes after a gap; lost samples are passed on for the Resampler to count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, Source, SourceInfo
from motionsig.closing import Closing
from motionsig.conventions import NS_PER_S
from motionsig.errors import RecordingError
from motionsig.escaping import own_logger
from motionsig.plausibility import check_plausible
from motionsig.recordings.labels import LabelCutter
from motionsig.recordings.understanding import Understanding

log = own_logger(__name__)

_BLOCK = 4096
_HEAD_NS = 60 * NS_PER_S
_HEAD_ROWS = 65_536
_RATES_HZ = (0.5, 50_000)


@dataclass(frozen=True)
class Reader:
    """A format of recordings; an entry point of the group `motionsig.readers` names one.

    >>> import zlib
    >>> from pathlib import Path
    >>> class Floats(motionsig.Source):  # a file of float32, six for each sample, at 100 Hz
    ...     def __init__(self, path):
    ...         self.path, self.rate_hz = path, 100.0
    ...         self.info = motionsig.SourceInfo(path.name, "floats", stream_id=zlib.crc32(path.read_bytes()))
    ...     def __iter__(self):
    ...         data = np.fromfile(self.path, np.float32).reshape(-1, 6)
    ...         yield motionsig.sample_block(np.arange(len(data)) * 10_000_000, data)
    >>> READER = motionsig.Reader("floats", lambda path, head: int(path.suffix == ".floats"), Floats)
    >>> data.astype(np.float32).tofile("walk.floats")
    >>> READER.recognises(Path("walk.floats"), b""), [len(block) for block in READER.open(Path("walk.floats"))]
    (1, [1000])

    * `name`: of the format, for messages.
    * `recognises(path, head)`: how sure it is that the file or folder at `path` has this format. `head` is the first
      64 KiB of a file, b"" for a folder. 0: it has not; 1: the general shape fits, as of any table of numbers; 2: it is
      the layout of one application; 3: it begins as no other format does. It must not raise for bytes it does not know.
    * `open(path, **options)`: returns the recording as a Source; raises RecordingError. Its keyword-only parameters are
      the options that `open_recording` takes for this format; text from a command line becomes the type that the
      parameter is annotated with (str, int, float, bool, Mapping).
    * `inspect(path, **options)`: returns what is understood of the recording, with the options of `open`; None where
      opening it tells all that there is to know.
    """

    name: str
    recognises: Callable[[Path, bytes], int] = field(repr=False)
    open: Callable[..., Source] = field(repr=False)
    inspect: Callable[..., Understanding] | None = field(default=None, repr=False)


class Samples(NamedTuple):
    """Rows of a log: time_ns (n,) int64 in the file's order, data (n, k), here in SI units and k = 6.

    * `labels`: (n,) text or numbers; None where there are none.
    * `breaks`: the rows before which samples were lost, as the log itself says; rising.
    * `first`: the line, or the row, of the first of them in the file, for messages; 0 where it has none.
    """

    time_ns: NDArray[np.int64]
    data: NDArray[Any]
    labels: NDArray[Any] | None = None
    breaks: tuple[int, ...] = ()
    first: int = 0


@dataclass(frozen=True)
class RecordedSource(Closing):
    """A Source over `rows`, which opens the recording anew for each iteration.

    label_chosen: the caller named the column of the label.
    """

    info: SourceInfo
    rate_hz: float
    rows: Callable[[], Iterator[Samples]]
    label_chosen: bool = False

    def __repr__(self) -> str:
        return f"RecordedSource({self.rate_hz:g} Hz, {self.info!r})"

    def __iter__(self) -> Iterator[SampleBlock]:
        return _blocks(self.rows(), self.info.name, label_chosen=self.label_chosen)


def head_of(rows: Iterator[Samples], where: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the times (n,) and data (n, k) of the first minute, at most 65,536 rows; raise RecordingError for none."""
    times, data = [], []
    count = 0
    for part in rows:
        times.append(part.time_ns)
        data.append(part.data)
        count += len(part.time_ns)
        if count >= _HEAD_ROWS or (count and part.time_ns[-1] - times[0][0] >= _HEAD_NS):
            break
    if count < 2:
        raise RecordingError(f"{where}: expected samples, got {count}")
    return np.concatenate(times)[:_HEAD_ROWS], np.concatenate(data)[:_HEAD_ROWS]


def recorded(
    rows: Callable[[], Iterator[Samples]],
    where: str,
    info: SourceInfo,
    *,
    rate_hz: float | None = None,
    check_units: bool = True,
    label_chosen: bool = False,
) -> Source:
    """Return the Source of `rows`. check_units: refuse what no body-worn sensor reports. label_chosen: see LabelCutter.

    Raises RecordingError for a recording with fewer than two samples and for one that would be read wrongly.
    """
    head: list[Samples] = []
    count = 0
    for part in rows():
        # Without labels: pieces of one label may be too short to show a rate.
        head.append(part._replace(labels=None))
        count += len(part.time_ns)
        if count >= _HEAD_ROWS or part.time_ns[-1] - head[0].time_ns[0] >= _HEAD_NS:
            break
    if count < 2:
        raise RecordingError(f"{where}: expected samples, got {count}")
    # As blocks, whose making rejects a bad time column: now, and not at the first iteration.
    blocks = list(_blocks(iter(head), where))
    rate = rate_hz or _rate_hz(blocks, where)
    if check_units:
        check_plausible(np.concatenate([block.data for block in blocks]), rate, where, error=RecordingError)
    return RecordedSource(info, rate, rows, label_chosen)


def _rate_hz(blocks: list[SampleBlock], where: str) -> float:
    steps = np.concatenate([np.diff(block.time_ns) for block in blocks]).astype(np.float64)
    if not len(steps):
        raise RecordingError(f"{where}: expected times that increase, got none; pass rate_hz=50 (say)")
    # The mean of the steps near the median: robust against gaps, unbiased where a coarse clock knows only two steps.
    median = float(np.median(steps))
    rate = NS_PER_S / float(steps[(steps > 0.5 * median) & (steps < 1.5 * median)].mean())
    if not _RATES_HZ[0] <= rate <= _RATES_HZ[1]:
        raise RecordingError(
            f"{where}: expected {_RATES_HZ[0]} to {_RATES_HZ[1]} samples a second, the times show {rate:.3g}; "
            "pass the right time_unit= ('s', 'ms', 'us' or 'ns')"
        )
    return rate


def _blocks(rows: Iterator[Samples], where: str, *, label_chosen: bool = False) -> Iterator[SampleBlock]:
    cutter = LabelCutter(where, chosen=label_chosen)
    last: int | None = None
    count = repeated = 0
    for part in rows:
        times, data, labels = part.time_ns, part.data, part.labels
        steps = np.diff(times, prepend=times[0] - 1 if last is None else last)
        if (steps == 0).any():
            repeated += int((steps == 0).sum())
            times, data = times[steps != 0], data[steps != 0]
            labels = None if labels is None else labels[steps != 0]
            steps = steps[steps != 0]
        count += len(part.time_ns)
        if repeated > 1 + count // 100:
            raise RecordingError(
                f"{where}: expected a time of its own for each sample, got {repeated} of {count} rows with the time of "
                "the row before; the time column is too coarse: pass rate_hz=50 (say) to number the rows instead"
            )
        with np.errstate(over="ignore"):
            values = data.astype(np.float32)
        backwards = np.flatnonzero(steps < 0).tolist()
        for start, stop in zip([0, *backwards], [*backwards, len(times)], strict=True):
            for at in range(start, stop, _BLOCK):
                end = min(at + _BLOCK, stop)
                gap = at == start and at in backwards
                if labels is None:
                    yield SampleBlock(times[at:end], values[at:end], gap)
                    continue
                for first, after, label in cutter.runs(labels[at:end]):
                    run = slice(at + first, at + after)
                    yield SampleBlock(times[run], values[run], gap and first == 0, label=label)
        last = int(part.time_ns[-1])
    if repeated:
        log.warning("%s: dropped %d rows that had the time of the row before", where, repeated)
    cutter.report()
