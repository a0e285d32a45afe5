"""The blocks of a log, judged on the way: what no sensor reports is left out, what cannot be right ends it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from motionsig.blocks import SampleBlock
from motionsig.errors import RecordingError
from motionsig.plausibility.judge import Judge, Judged, Wrong

_ADVICE = {
    "acc": "cut the log there and give each part its acc_unit=",
    "gyr": "pass the right gyr_unit=",
    "both": "pass the right acc_unit= and gyr_unit=",
}


def judged(blocks: Iterable[SampleBlock], judge: Judge, where: str) -> Iterator[SampleBlock]:
    """Yield blocks without the stretches that `judge` finds dead; a gap stands before what follows one.

    Samples come a few chunks of the judge later than they went in. Raises RecordingError, after the last sample that
    can be right, for a log that cannot be right from there on.
    """
    held: deque[SampleBlock] = deque()
    done, gap = 0, False
    pending = iter(blocks)
    while True:
        block = next(pending, None)
        if block is None:
            verdict = judge.finish()
        else:
            verdict = judge.push(block.time_ns, block.data)
            held.append(block)
        for out, done_now, gap_now in _released(held, done, verdict, gap=gap):
            done, gap = done_now, gap_now
            if out is not None:
                yield out
        if verdict.wrong:
            raise _error(held, done, verdict.wrong, where)
        if block is None:
            return


def _released(
    held: deque[SampleBlock], done: int, verdict: Judged, *, gap: bool
) -> Iterator[tuple[SampleBlock | None, int, bool]]:
    """Yield what is settled of the blocks held, the first of whose rows is `done`, with the rows done and the gap."""
    lost = deque(verdict.lost)
    while held and done < verdict.settled:
        block = held.popleft()
        stop = min(done + len(block), verdict.settled)
        while lost and lost[0].stop <= done:
            lost.popleft()
        if lost and lost[0].start <= done:
            stop, out, gap = min(stop, lost[0].stop), None, True
        else:
            stop = min(stop, lost[0].start) if lost else stop
            whole = stop - done == len(block)
            out = block if whole and not gap else _part(block, 0, stop - done, gap=gap or block.gap)
            gap = False
        if stop - done < len(block):
            held.appendleft(_part(block, stop - done, len(block), gap=gap and block.gap))
        done = stop
        yield out, done, gap


def _part(block: SampleBlock, start: int, stop: int, *, gap: bool) -> SampleBlock:
    return replace(block, time_ns=block.time_ns[start:stop], data=block.data[start:stop], gap=gap)


def _error(held: deque[SampleBlock], done: int, wrong: Wrong, where: str) -> RecordingError:
    at = f"sample {wrong.row}"
    if held and wrong.row == done:
        at = f"{at} ({np.datetime64(int(held[0].time_ns[0]), 'ns').astype('datetime64[ms]')}Z)"
    return RecordingError(
        f"{where}: from {at} on {wrong.words}: {_ADVICE[wrong.subject]} (check_units=False takes it as it is)"
    )
