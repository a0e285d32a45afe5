"""Rows that came in another order than they were measured in, as over UDP: put in the order of their times."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.recordings.tables import Rows

PLACES = 64
"""By so many places a row may be late."""
_FEW = 0.1  # of the rows may stand in another place; two sensors in turn move nearly all


def order(time_ns: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the order of the first rows by their times (n,); None where they are more than rows that came late.

    That is: times that are there twice, rows late by more than PLACES, or many rows in another place.
    """
    found = np.argsort(time_ns, kind="stable")
    away = np.abs(found - np.arange(len(found)))
    if not len(found) or (np.diff(time_ns[found]) <= 0).any() or away.max() > PLACES or (away > 0).mean() > _FEW:
        return None
    return found


def in_order(
    stamped: Iterator[tuple[NDArray[np.int64], Rows]], rate_hz: float
) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    """Yield the same rows in the order of their times; the same ones, however they are cut into chunks.

    Rows before a break, or before a step back that is longer than PLACES rows, come before those after it.
    """
    longest = int(PLACES * NS_PER_S / rate_hz)
    times = np.empty(0, np.int64)
    held: Rows | None = None
    highest: int | None = None
    broken_next = False  # a break stands before the next row that goes out
    for stamps, rows in stamped:
        count = len(times)
        times = np.concatenate([times, stamps])
        held = rows if held is None else _joined(held, rows)
        heap = [(time, at) for at, time in enumerate(times[:count].tolist())]
        heapq.heapify(heap)
        out: list[int] = []
        breaks = [0] if broken_next else []
        own = frozenset(rows.breaks)
        for at, time in enumerate(stamps.tolist()):
            broken = at in own
            if broken or (highest is not None and time < highest - longest):
                out += [row for _, row in sorted(heap)]
                heap, highest = [], None
                if broken:
                    breaks.append(len(out))
            highest = time if highest is None else max(highest, time)
            if len(heap) < PLACES:
                heapq.heappush(heap, (time, count + at))
            else:
                out.append(heapq.heappushpop(heap, (time, count + at))[1])
        left = np.array(sorted(row for _, row in heap), np.int64)
        broken_next = len(out) in breaks
        if out:
            yield times[out], _taken(held, np.array(out), tuple(sorted({it for it in breaks if it < len(out)})))
        held, times = _taken(held, left, ()), times[left]
    if held is not None and len(times):
        last = np.argsort(times, kind="stable")
        yield times[last], _taken(held, last, (0,) if broken_next else ())


def _joined(first: Rows, second: Rows) -> Rows:
    columns = {at: np.concatenate([first.columns[at], values]) for at, values in second.columns.items()}
    return Rows(columns, first.breaks, first.first)


def _taken(rows: Rows, which: NDArray[np.int64], breaks: tuple[int, ...]) -> Rows:
    first = rows.first + (int(which.min()) if len(which) else 0)
    return Rows({at: values[which] for at, values in rows.columns.items()}, breaks, first)
