"""From the rows of a log to a Source: one place for everything that must hold of samples, whatever file they stood in.

A reader gives times and six channels in SI units; `recorded` looks at the first minute to learn the rate and to refuse
what cannot be right (gravity removed, g taken for m/s²), and the Source it returns cuts the rows into blocks. Time that
stands still drops the row, time that runs backwards starts a new stretch after a gap; lost samples (NaN, a jump of the
time) are passed on for the Resampler to count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, Source, SourceInfo
from motionsig.closing import Closing
from motionsig.conventions import NS_PER_S
from motionsig.errors import RecordingError
from motionsig.plausibility import check_plausible

log = logging.getLogger(__name__)

_BLOCK = 4096
_HEAD_NS = 60 * NS_PER_S
_HEAD_ROWS = 65_536
_RATES_HZ = (0.5, 50_000)


class Samples(NamedTuple):
    """Rows of a log in SI units: time_ns (n,) int64 in the file's order, data (n, 6)."""

    time_ns: NDArray[np.int64]
    data: NDArray[Any]


@dataclass(frozen=True)
class RecordedSource(Closing):
    """A Source over `rows`, which opens the recording anew for each iteration."""

    info: SourceInfo
    rate_hz: float
    rows: Callable[[], Iterator[Samples]]

    def __repr__(self) -> str:
        return f"RecordedSource({self.rate_hz:g} Hz, {self.info!r})"

    def __iter__(self) -> Iterator[SampleBlock]:
        return _blocks(self.rows(), self.info.name)


def recorded(
    rows: Callable[[], Iterator[Samples]],
    where: str,
    info: SourceInfo,
    *,
    rate_hz: float | None = None,
    check_units: bool = True,
) -> Source:
    """Return the Source of `rows`, after a look at their first minute.

    rate_hz: the nominal rate; None for the one the times show. check_units: refuse what no body-worn sensor reports.
    Raises RecordingError for a recording with fewer than two samples and for one that would be read wrongly.
    """
    head: list[Samples] = []
    count = 0
    for part in rows():
        head.append(part)
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
    return RecordedSource(info, rate, rows)


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


def _blocks(rows: Iterator[Samples], where: str) -> Iterator[SampleBlock]:
    last: int | None = None
    count = repeated = 0
    for part in rows:
        times, data = part
        steps = np.diff(times, prepend=times[0] - 1 if last is None else last)
        if (steps == 0).any():
            repeated += int((steps == 0).sum())
            times, data = times[steps != 0], data[steps != 0]
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
                block = slice(at, min(at + _BLOCK, stop))
                yield SampleBlock(times[block], values[block], gap=at == start and at in backwards)
        last = int(part.time_ns[-1])
    if repeated:
        log.warning("%s: dropped %d rows that had the time of the row before", where, repeated)
