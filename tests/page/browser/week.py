"""A store of a week as one device filled it: rest, hours of walking, and a turn now and then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hand import Motion, measured_of

import motionsig
from motionsig import wire
from motionsig.publishers.store import Store
from motionsig.sensors.simulated import walking

HOP_NS = 1_280_000_000
DAY_NS = 86_400 * 10**9
STREAM_ID = 77
EACH = 500


def fill_week(path: Path, until_ns: int, *, device: str, days: int = 7) -> list[int]:
    """Store the signatures of the days before `until_ns`; return when the turns in them begin, Unix ns.

    Each day has two walks, turns at other times, and one of them hours in which the device is off. The codes are
    those of real windows of these motions, the same ones again and again.
    """
    begin_s = 40.0
    times_ns = np.arange(round(100 * 2 * begin_s)) * 10_000_000
    serials = np.arange(len(times_ns))
    turned = measured_of([Motion("turn", begin_s, 1.0)])(serials, times_ns)
    at_rest, on_foot = (
        motionsig.extract(it.astype(np.float32), rate_hz=100.0) for it in (turned, walking(serials, times_ns))
    )
    turn_at = round(begin_s * 1e9) // HOP_NS - 2  # the first of four rows about the turn
    count = days * DAY_NS // HOP_NS
    start_ns = until_ns - (count - np.arange(count)) * HOP_NS
    codes, quality = at_rest.codes[np.arange(count) % 16], at_rest.quality[np.arange(count) % 16]
    stored = np.ones(count, np.bool_)
    rng, turns = np.random.default_rng(0), []

    def at(hour: float) -> int:
        """Return the row of an hour of the day."""
        return int(np.searchsorted(start_ns, midnight_ns + hour * 3.6e12))

    for day in range(days + 1):
        midnight_ns = start_ns[0] // DAY_NS * DAY_NS + day * DAY_NS
        for hour in (8, 17):
            begin = hour + rng.uniform(0, 1)
            rows = slice(at(begin), at(begin + rng.uniform(0.4, 1.2)))
            which = np.arange(rows.stop - rows.start) % len(on_foot)
            codes[rows], quality[rows] = on_foot.codes[which], on_foot.quality[which]
        for hour in rng.uniform(10.5, 16.5, 4).tolist() + rng.uniform(19.5, 23.5, 2).tolist():
            row = at(hour)
            if 0 < row < count - 4:
                codes[row : row + 4] = at_rest.codes[turn_at : turn_at + 4]
                quality[row : row + 4] = at_rest.quality[turn_at : turn_at + 4]
                turns.append(int(start_ns[row]) + round(begin_s * 1e9) - turn_at * HOP_NS)
        if day == 3:
            stored[at(2) : at(5)] = False
    batch = replace(at_rest, start_ns=start_ns, codes=codes, quality=quality, labels=None)
    store = Store(path)
    try:
        for first in range(0, count, 100 * EACH):
            parts = [slice(at, at + EACH) for at in range(first, min(first + 100 * EACH, count), EACH)]
            store.add_all([wire.Message(device, STREAM_ID, it.start, batch[it]) for it in parts if stored[it].all()])
    finally:
        store.close()
    return turns
