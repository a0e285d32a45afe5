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


def fill_week(path: Path, until_ns: int, *, device: str, days: int = 7, turns_a_day: int = 6) -> list[int]:
    """Store the signatures of the days before `until_ns`; return when the turns in them begin, Unix ns.

    Each day has its walk of an hour, from its 10th hour on, and turns from its 14th hour on, an hour apart; the codes are those
    of real windows of these motions, the same ones again and again.
    """
    begin_s = 40.0
    times_ns = np.arange(round(100 * 2 * begin_s)) * 10_000_000
    serials = np.arange(len(times_ns))
    turned = measured_of([Motion("turn", begin_s, 1.0)])(serials, times_ns)
    walked = walking(serials, times_ns)
    at_rest, on_foot = (motionsig.extract(it.astype(np.float32), rate_hz=100.0) for it in (turned, walked))
    turn_at = round(begin_s * 1e9 - HOP_NS) // HOP_NS  # the first row whose window has the turn in its middle
    count = days * DAY_NS // HOP_NS
    first_ns = until_ns - count * HOP_NS
    hours = np.arange(count) * HOP_NS % DAY_NS / 3.6e12
    rows = np.arange(count) % 16  # of what rests
    walks = (hours >= 10) & (hours < 11)
    codes, quality = at_rest.codes[rows], at_rest.quality[rows]
    which = np.arange(count) % len(on_foot)
    codes[walks], quality[walks] = on_foot.codes[which[walks]], on_foot.quality[which[walks]]
    turns = []
    for day in range(days):
        for number in range(turns_a_day):
            at = round((day * DAY_NS + (14 + number) * 3.6e12) / HOP_NS)
            there, of = slice(at, at + 4), slice(turn_at - 1, turn_at + 3)
            codes[there], quality[there] = at_rest.codes[of], at_rest.quality[of]
            turns.append(first_ns + at * HOP_NS + round(begin_s * 1e9) - (turn_at - 1) * HOP_NS)
    start_ns = first_ns + np.arange(count) * HOP_NS
    store = Store(path)
    try:
        messages = []
        for first in range(0, count, EACH):
            part = slice(first, first + EACH)
            batch = replace(at_rest, start_ns=start_ns[part], codes=codes[part], quality=quality[part], labels=None)
            messages.append(wire.Message(device, STREAM_ID, first, batch))
        for first in range(0, len(messages), 100):
            store.add_all(messages[first : first + 100])
    finally:
        store.close()
    return turns
