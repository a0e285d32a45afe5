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
from motionsig.facts import Fact
from motionsig.plausibility.bounds import check_plausible
from motionsig.plausibility.judge import Judge
from motionsig.recordings.labels import LabelCutter
from motionsig.recordings.plausible import judged
from motionsig.recordings.progress import Reads
from motionsig.recordings.understanding import Understanding

log = own_logger(__name__)

_BLOCK = 4096
_HEAD_NS = 60 * NS_PER_S
_HEAD_ROWS = 65_536


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


class CoarseError(RecordingError):
    """Times that stand still for many rows, though a log's first rows did not show it."""


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


class RecordedSource(Closing):
    """A Source over `rows`, which opens the recording anew for each iteration and judges it to its end.

    label_chosen: the caller named the column of the label. check_units: as for `recorded`.
    """

    def __init__(
        self,
        rows: Callable[[], Iterator[Samples]],
        where: str,
        info: SourceInfo,
        rate_hz: float,
        *,
        check_units: bool = True,
        label_chosen: bool = False,
    ) -> None:
        self.info, self.rate_hz = info, rate_hz
        self._rows, self._where = rows, where
        self._check_units, self._label_chosen = check_units, label_chosen
        self._judge: Judge | None = None
        self._reads = Reads()

    def __repr__(self) -> str:
        return f"RecordedSource({self.rate_hz:g} Hz, {self.info!r})"

    def __iter__(self) -> Iterator[SampleBlock]:
        self._reads = Reads()
        self._judge = Judge(self.rate_hz, check_units=self._check_units)
        blocks = _blocks(self._reads.during(self._rows()), self._where, label_chosen=self._label_chosen)
        return judged(blocks, self._judge, self._where)

    @property
    def read_bytes(self) -> int | None:
        """How many bytes of the log the latest iteration has read, of those on the disk; None where it cannot tell."""
        return self._reads.count

    @property
    def findings(self) -> tuple[Fact, ...]:
        """What the samples showed, as far as the latest iteration has come."""
        return () if self._judge is None else self._judge.findings()


def recorded(
    rows: Callable[[], Iterator[Samples]],
    where: str,
    info: SourceInfo,
    *,
    rate_hz: float,
    check_units: bool = True,
    label_chosen: bool = False,
) -> Source:
    """Return the Source of `rows`. check_units: refuse what no body-worn sensor reports. label_chosen: see LabelCutter.

    Raises RecordingError for a recording with fewer than two samples and for one that would be read wrongly.
    """
    _, data = head_of(rows(), where)
    if check_units:
        check_plausible(data, rate_hz, where, error=RecordingError, judged=True)
    return RecordedSource(rows, where, info, rate_hz, check_units=check_units, label_chosen=label_chosen)


def head_of(rows: Iterator[Samples], where: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the times (n,) and data (n, k) of the first minute, or of 65,536 rows, without rows that repeat a time.

    Raises RecordingError for fewer than two samples, and for times that cannot be.
    """
    head: list[Samples] = []
    count = 0
    for part in rows:
        # Without labels: pieces of one label may be too short to show a rate.
        head.append(part._replace(labels=None))
        count += len(part.time_ns)
        if count >= _HEAD_ROWS or (count and part.time_ns[-1] - head[0].time_ns[0] >= _HEAD_NS):
            break
    if count < 2:
        raise RecordingError(f"{where}: expected samples, got {count}")
    parts = list(_distinct(iter(head), where))
    return np.concatenate([it.time_ns for it in parts]), np.concatenate([it.data for it in parts])


def _distinct(rows: Iterator[Samples], where: str) -> Iterator[Samples]:
    """Yield rows without those that have the time of the row before; raise RecordingError where they are many."""
    last: int | None = None
    before = np.empty(0)
    count = repeated = again = 0
    for part in rows:
        if not len(part.time_ns):
            continue
        steps = np.diff(part.time_ns, prepend=part.time_ns[0] - 1 if last is None else last)
        still = steps == 0
        count += len(still)
        last = int(part.time_ns[-1])
        if still.any():
            whole = part.data[:1] if not len(before) else before[None]
            same = (part.data == np.concatenate([whole, part.data[:-1]])).all(axis=1)
            repeated += int((still & ~same).sum())
            again += int((still & same).sum())
            if repeated > 1 + count // 100:
                raise CoarseError(
                    f"{where}: expected a time of its own for each sample, got {repeated} of {count} rows with the "
                    "time of the row before; the time column is too coarse: pass rate_hz=50 (say) to number the rows "
                    "instead"
                )
            before = part.data[-1]
            keep = ~still
            places = np.searchsorted(np.flatnonzero(keep), part.breaks).tolist()
            labels = None if part.labels is None else part.labels[keep]
            breaks = tuple(dict.fromkeys(it for it in places if it < keep.sum()))
            part = Samples(part.time_ns[keep], part.data[keep], labels, breaks, part.first)
        else:
            before = part.data[-1]
        if len(part.time_ns):
            yield part
    if repeated + again:
        log.warning("%s: dropped %d rows that had the time of the row before", where, repeated + again)


def _blocks(rows: Iterator[Samples], where: str, *, label_chosen: bool = False) -> Iterator[SampleBlock]:
    cutter = LabelCutter(where, chosen=label_chosen)
    last: int | None = None
    for part in _distinct(rows, where):
        times, labels = part.time_ns, part.labels
        with np.errstate(over="ignore"):
            values = part.data.astype(np.float32)
        gaps = np.flatnonzero(np.diff(times, prepend=times[0] - 1 if last is None else last) < 0).tolist()
        gaps = sorted({*gaps, *(it for it in part.breaks if it or last is not None)})
        last = int(times[-1])
        cuts = gaps if gaps[:1] == [0] else [0, *gaps]
        for start, stop in zip(cuts, [*cuts[1:], len(times)], strict=True):
            for at in range(start, stop, _BLOCK):
                end = min(at + _BLOCK, stop)
                gap = at == start and (start > 0 or gaps[:1] == [0])
                if labels is None:
                    yield SampleBlock(times[at:end], values[at:end], gap)
                    continue
                for first, after, label in cutter.runs(labels[at:end]):
                    run = slice(at + first, at + after)
                    yield SampleBlock(times[run], values[run], gap and first == 0, label=label)
    cutter.report()
